//! `incidents diff SERVICE FROM TO`: what of a service's configuration differs between two times, as the bot recorded it.
//!
//! The rule that is not obvious: what was not recorded at the earlier time is said to be so, and is no difference.

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;

use super::Misuse;
use crate::domain::alert::parse_time;
use crate::domain::snapshot::{self, Difference, KeyDifference};
use crate::report;
use crate::store::Store;

pub async fn diff(store: &Store, service: &str, times: [&str; 2], as_json: bool) -> anyhow::Result<()> {
    let [from, to] = times.map(|text| {
        parse_time(text).ok_or_else(|| Misuse(format!("{text:?} is not a time: 2026-02-06T12:15:00Z is")))
    });
    let (from, to) = (from?, to?);
    if from > to {
        return Err(Misuse(format!("{from} is after {to}")).into());
    }
    // What was seen last before the earlier time may be long ago.
    let seen =
        store.snapshots(service, Timestamp::UNIX_EPOCH, to).await.context("reading what was recorded")?;
    anyhow::ensure!(!seen.is_empty(), "nothing of {service} was recorded by {to}");
    let found = snapshot::differences(&seen, from, to);
    if as_json {
        let whole = json!({"service": service, "from": from, "to": to, "differences": found});
        println!("{}", report::json(&whole)?);
    } else {
        print!("{}", report::plain_lines(&text(service, from, to, &found)));
    }
    Ok(())
}

fn text(service: &str, from: Timestamp, to: Timestamp, found: &[Difference]) -> String {
    let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    if found.is_empty() {
        return format!("{service}: no difference was recorded between {} and {}\n", time(from), time(to));
    }
    let mut out = String::new();
    for one in found {
        out.push_str(&one.resource);
        match (one.from, one.to) {
            (Some(from), Some(to)) => {
                out.push_str(&format!(" (last seen so {}, first seen so {})\n", time(from), time(to)));
            }
            (_, to) => {
                let to = to.map_or_else(String::new, |to| format!(" {}", time(to)));
                out.push_str(&format!(": first recorded{to}, nothing shows what it was before\n"));
            }
        }
        for key in &one.keys {
            out.push_str(&format!("  {}\n", line(key)));
        }
    }
    out
}

fn line(key: &KeyDifference) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    if key.secret {
        format!("{}: changed (a secret, of which only that is known)", key.key)
    } else {
        format!("{}: {} → {}", key.key, side(&key.before), side(&key.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_with_its_values_and_when_they_were_seen() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let key = |key: &str, before: Option<&str>, secret: bool| KeyDifference {
            key: key.to_owned(),
            before: before.map(str::to_owned),
            after: (!secret).then(|| "5".to_owned()),
            secret,
        };
        let found = [
            Difference {
                resource: "lambda/checkout/environment".to_owned(),
                from: at("2026-02-06T11:50:00Z"),
                to: at("2026-02-06T12:05:00Z"),
                keys: vec![
                    key("POOL", Some("10"), false),
                    key("PASSWORD", None, true),
                    key("NEW", None, false),
                ],
            },
            Difference {
                resource: "ecs/prod/checkout".to_owned(),
                from: None,
                to: at("2026-02-06T12:05:00Z"),
                keys: vec![],
            },
        ];
        let (from, to) = (at("2026-02-06T11:00:00Z").unwrap(), at("2026-02-06T12:10:00Z").unwrap());
        assert_eq!(
            text("checkout", from, to, &found),
            "lambda/checkout/environment (last seen so 2026-02-06 11:50 UTC, first seen so 2026-02-06 12:05 UTC)\n  \
             POOL: 10 → 5\n  PASSWORD: changed (a secret, of which only that is known)\n  NEW: not set → 5\n\
             ecs/prod/checkout: first recorded 2026-02-06 12:05 UTC, nothing shows what it was before\n"
        );
        assert!(text("checkout", from, to, &[]).starts_with("checkout: no difference was recorded between"));
    }
}
