//! `incidents audit`: the trail of decisions and changes, and whether it is as it was written.
//!
//! The rule that is not obvious: the whole chain is checked, also where one incident is asked for: a row
//! that was taken out of one incident breaks the chain of all.

use anyhow::bail;
use serde_json::{Value, json};

use crate::domain::audit::{self, Row, What};
use crate::domain::incident::IncidentId;
use crate::report;
use crate::store::Store;

/// Prints the trail of an incident, or all of it, and fails where the chain does not hold.
///
/// # Errors
/// Where the trail is broken, with the first row that is.
pub async fn audit(store: &Store, incident: Option<IncidentId>, as_json: bool) -> anyhow::Result<()> {
    let rows = store.audit_trail().await?;
    let chain = audit::verify(&rows);
    let untold = store.untold().await?;
    let mine: Vec<&Row> = rows.iter().filter(|row| incident.is_none() || row.incident == incident).collect();
    if as_json {
        let shown = json!({
            "intact": chain.is_ok() && untold.is_empty(),
            "broken": chain.as_ref().err().map(ToString::to_string),
            "untold": untold,
            "last_hash": rows.last().map(|row| &row.hash),
            "rows": mine.iter().map(|row| as_object(row)).collect::<Vec<_>>(),
        });
        println!("{}", report::json(&shown)?);
    } else {
        for row in &mine {
            println!("{}", report::plain(&as_line(row)));
        }
        if let (Ok(last), true) = (&chain, untold.is_empty()) {
            println!("The chain of all {} rows holds. Last hash: {last}", rows.len());
        }
    }
    if let Err(broken) = chain {
        bail!("the audit trail is broken: {broken}");
    }
    if let Some(first) = untold.first() {
        bail!("the audit trail is not complete: {first}");
    }
    Ok(())
}

fn as_object(row: &Row) -> Value {
    let mut object = json!(row);
    object["at"] = json!(row.at());
    // What was tampered with is shown as it is.
    object["what"] = serde_json::from_str(&row.what).unwrap_or_else(|_| json!(row.what));
    object
}

fn as_line(row: &Row) -> String {
    let incident = row.incident.map(|incident| format!("{incident} ")).unwrap_or_default();
    let what = match serde_json::from_str(&row.what) {
        Ok(what) => told(&what),
        Err(_) => format!("unreadable: {}", row.what),
    };
    format!(
        "{:>5}  {}  {incident}{}  {what}  [{}]",
        row.sequence,
        row.at().strftime("%Y-%m-%d %H:%M:%S UTC"),
        row.actor,
        row.hash.get(..12).unwrap_or(&row.hash)
    )
}

fn told(what: &What) -> String {
    match what {
        What::Requested { plan, command, expires_at, .. } => {
            format!(
                "asks for approval until {}: {plan} ({command})",
                expires_at.strftime("%Y-%m-%d %H:%M UTC")
            )
        }
        What::NotOffered { plan, reason } => format!("does not offer {plan}: {reason}"),
        What::Refused { action, refusal, channel, .. } => {
            format!("is refused {action} in {channel}: {refusal}")
        }
        What::Decided { decision, reason, break_glass, .. } => {
            let alone = if *break_glass { " alone" } else { "" };
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{decision}{alone}{reason}")
        }
        What::Checked { call, answer } => format!("looks by {call}: {answer}"),
        What::Sending { call, resource, session } => format!("sends {call} as {session}: {resource}"),
        What::Answered { call, answer } => format!("{call} is answered: {answer}"),
        What::ReadBack { call, answer } => format!("reads back by {call}: {answer}"),
        What::Ended { applied, effect, words } => {
            let word = match (effect, applied) {
                (Some(effect), _) => effect.as_str().replace('_', " "),
                (None, Some(true)) => "applied".to_owned(),
                (None, _) => "not applied".to_owned(),
            };
            format!("{word}: {words}")
        }
        What::Settled { effect, words } => {
            format!("settles, {}: {words}", effect.as_str().replace('_', " "))
        }
        What::Judged { word, figures } => format!("{word}: {figures}"),
        What::Deleted { incident } => format!("deletes all of {incident} but this trail"),
    }
}
