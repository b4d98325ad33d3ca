//! Permissions and rules of the network: whether what a change of them gave or took can be what requests fail by.
//!
//! The rule that is not obvious: a rule that is added never cuts anybody off, and one that is taken away cuts off its own
//! ports. What a call puts in the place of something else ([`KeyChange`] without either side) may do both.

use super::changes::{ALLOWED, DENIED, IN_PLACE};
use super::failure::Failure;
use super::logs::phrases;
use super::words;
use crate::domain::change::{Change, ChangeKind, KeyChange};

/// From this width on a range of ports is the way back of connections, whose own port is another: lists of a subnet see
/// both ways of each.
const WAY_BACK: u32 = 1000;

/// Whether nothing that a change gave or took can be what requests fail by.
pub fn spares(change: &Change, failure: &Failure) -> bool {
    let keys = &change.keys;
    if keys.is_empty() {
        return false;
    }
    match change.kind {
        ChangeKind::IamPolicy => keys.iter().all(grants) && !failure.says(phrases::is_denied_outright),
        ChangeKind::SecurityGroup | ChangeKind::Network => {
            let named: Vec<u32> = failure.texts.iter().flat_map(|text| ports_named(text)).collect();
            keys.iter().all(|key| opens(key) || !named.is_empty() && closes_others(key, &named))
        }
        _ => false,
    }
}

/// A permission that is added, and by its name none that forbids.
fn grants(key: &KeyChange) -> bool {
    const FORBIDS: &[&str] = &[
        "deny",
        "denied",
        "denies",
        "quarantine",
        "boundary",
        "restrict",
        "restricted",
        "block",
        "lockdown",
    ];
    let forbids = words::split(&key.key).iter().any(|word| FORBIDS.contains(&word.as_str()));
    key.before.is_none() && key.after.as_deref() == Some(IN_PLACE) && !forbids
}

fn opens(key: &KeyChange) -> bool {
    key.before.is_none() && key.after.as_deref() == Some(ALLOWED)
}

/// Whether a rule that is taken away, or refuses, is about other ports than these.
fn closes_others(key: &KeyChange, named: &[u32]) -> bool {
    let taken = key.before.as_deref() == Some(ALLOWED) && key.after.is_none();
    if !taken && key.after.as_deref() != Some(DENIED) {
        return false;
    }
    // `egress tcp 5432 sg-1`, `ingress tcp 8000-8010 10.0.0.0/8`; of all protocols no ports are told.
    let mut words = key.key.split(' ').skip(1);
    if words.next().is_none_or(|protocol| !matches!(protocol, "tcp" | "udp" | "6" | "17")) {
        return false;
    }
    let Some(ports) = words.next() else { return false };
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) else { return false };
    to.saturating_sub(from) < WAY_BACK && named.iter().all(|port| !(from..=to).contains(port))
}

/// Ports of well-known addresses that name none.
const USUAL: &[(&str, u32)] = &[
    ("https://", 443),
    ("http://", 80),
    ("postgres://", 5432),
    ("postgresql://", 5432),
    ("mysql://", 3306),
    ("redis://", 6379),
    ("amqp://", 5672),
    ("amqps://", 5671),
    ("mongodb://", 27017),
];

/// The ports that an error names, of somebody who was called: `10.4.2.9:6379`, `db.internal:5432`, `port 5432`.
fn ports_named(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    let digits = |rest: &str| -> Option<u32> {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let ends = !rest.get(end..).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
        rest.get(..end)?.parse().ok().filter(|port| (10..=65_535).contains(port) && ends)
    };
    for (at, _) in text.match_indices(':') {
        let host = text.get(..at).unwrap_or_default();
        let begin =
            host.rfind(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | ']')));
        let host = host.get(begin.map_or(0, |begin| begin + 1)..).unwrap_or_default();
        if is_host(host) {
            found.extend(text.get(at + 1..).and_then(digits));
        }
    }
    for (at, word) in text.match_indices("port") {
        let rest = text.get(at + word.len()..).unwrap_or_default();
        found.extend(digits(rest.trim_start_matches([' ', '=', ':'])));
    }
    for (scheme, port) in USUAL {
        for (at, _) in text.match_indices(scheme) {
            let rest = text.get(at + scheme.len()..).unwrap_or_default();
            let end = rest.find(['/', ' ', '"', '\'', '?', ')', ',']);
            let address = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            // The scheme of `postgresql://` ends like none other; that of `https://` holds no other either.
            let whole = text.get(..at).and_then(|before| before.chars().next_back());
            let names_one = address.rsplit_once(':').is_some_and(|(_, port)| digits(port).is_some());
            if !names_one && whole.is_none_or(|letter| !letter.is_alphanumeric()) {
                found.push(*port);
            }
        }
    }
    found
}

/// Whether what stands before a colon is called over the network: an address or a name with parts, and no file of code.
fn is_host(name: &str) -> bool {
    const CODE: &[&str] = &[
        "py", "js", "mjs", "cjs", "ts", "tsx", "jsx", "go", "rs", "java", "kt", "rb", "php", "cs", "c", "cc",
        "cpp", "scala", "ex", "exs", "erl", "swift", "lua", "sql", "sh", "pl", "clj", "html", "vue",
    ];
    if name.ends_with(']') || name == "localhost" {
        return true;
    }
    let Some((_, last)) = name.rsplit_once('.') else { return false };
    let address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    address || last.len() >= 2 && last.chars().all(char::is_alphabetic) && !CODE.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::logs::phrases::Mechanism;

    fn key(name: &str, before: Option<&str>, after: Option<&str>) -> KeyChange {
        KeyChange { key: name.into(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    #[test]
    fn an_error_names_the_port_of_whom_it_called() {
        for (text, expected) in [
            ("dial tcp 10.4.2.9:6379: i/o timeout", vec![6379]),
            ("no route to host orders.internal:5432", vec![5432]),
            ("connect to [fd00::12]:443 timed out", vec![443]),
            ("could not connect to server on port 3306", vec![3306]),
            ("post https://api.partner.example/rates timed out", vec![443]),
            ("get http://api.partner.example:8080/x: timeout", vec![8080]),
            ("keyerror at quote.py:88", vec![]),
            ("12:05:33 timed out at 12:05", vec![]),
            ("order 5432 failed", vec![]),
        ] {
            assert_eq!(ports_named(text), expected, "{text}");
        }
    }

    #[test]
    fn a_rule_cuts_off_its_own_ports_only() {
        let named = [5432];
        for (name, others) in [
            ("ingress tcp 22 0.0.0.0/0", true),
            ("egress tcp 5432 sg-1", false),
            ("egress tcp 5400-5500 sg-1", false),
            ("ingress tcp 8000-8010 sg-1", true),
            ("ingress tcp 1024-65535 10.0.0.0/8", false),
            ("ingress all 10.0.0.0/8", false),
        ] {
            assert_eq!(closes_others(&key(name, Some(ALLOWED), None), &named), others, "{name}");
            assert_eq!(closes_others(&key(name, None, Some(DENIED)), &named), others, "{name}");
            assert!(!closes_others(&key(name, None, Some(ALLOWED)), &named), "{name}");
        }
    }

    #[test]
    fn a_permission_that_is_added_forbids_only_by_its_name() {
        assert!(grants(&key("AmazonSQSFullAccess", None, Some(IN_PLACE))));
        assert!(!grants(&key("DenyOutsideHours", None, Some(IN_PLACE))));
        assert!(!grants(&key("data-access", Some(IN_PLACE), None)));
        assert!(!grants(&key("data-access", None, None)));
    }

    #[test]
    fn an_outright_refusal_may_be_a_policy_that_was_added() {
        let failure = |text: &str| Failure {
            mechanisms: vec![(Mechanism::Access, 1.0)],
            texts: vec![text.to_owned()],
            ..Failure::default()
        };
        assert!(
            !failure("because no identity-based policy allows the s3:getobject action")
                .says(phrases::is_denied_outright)
        );
        assert!(
            failure("with an explicit deny in a service control policy").says(phrases::is_denied_outright)
        );
    }
}
