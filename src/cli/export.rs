//! `incidents export`: one incident's evidence as a bundle, or all incidents for another program.
//!
//! The rule that is not obvious: a spreadsheet computes a cell that begins like a formula, and names of services and
//! resources come from strangers. Such a cell gets an apostrophe in front, which spreadsheets hide.

use std::path::Path;

use anyhow::Context as _;

use crate::domain::incident::IncidentId;
use crate::report;
use crate::store::{Incident, Store};

/// What a cell begins with that a spreadsheet takes for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

const COLUMNS: [&str; 16] = [
    "id",
    "service",
    "state",
    "opened_at",
    "alerts_received",
    "cause",
    "confidence",
    "resource",
    "changed_at",
    "actor",
    "action",
    "decision",
    "decided_by",
    "effect",
    "judged",
    "previous",
];

/// Writes the evidence of an incident below a folder.
pub(super) async fn bundle(store: &Store, id: IncidentId, directory: &Path) -> anyhow::Result<()> {
    let files = store.evidence(id).await?;
    anyhow::ensure!(!files.is_empty(), "{id} has no evidence stored");
    for (path, body) in &files {
        let target = directory.join(path);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&target, body).with_context(|| format!("cannot write {}", target.display()))?;
    }
    eprintln!("{id}: {} files in {}", files.len(), directory.display());
    Ok(())
}

/// Prints all incidents, the oldest first, one at a time: as a JSON array of what `incidents show` prints, or as CSV.
pub(super) async fn all(store: &Store, as_csv: bool) -> anyhow::Result<()> {
    let mut ids: Vec<IncidentId> = store.list(i64::MAX).await?.into_iter().map(|line| line.id).collect();
    ids.reverse();
    let mut table = csv::Writer::from_writer(std::io::stdout().lock());
    if as_csv {
        table.write_record(COLUMNS)?;
    }
    let mut separator = "[\n";
    for id in ids {
        // It may have been deleted since it was listed.
        let Some(incident) = store.incident(id).await? else { continue };
        if as_csv {
            table.write_record(row(&incident))?;
        } else {
            print!("{separator}{}", report::plain_json(&serde_json::to_string(&incident)?));
            separator = ",\n";
        }
    }
    table.flush()?;
    if !as_csv {
        println!("{}", if separator == "[\n" { "[]" } else { "\n]" });
    }
    Ok(())
}

/// An incident's row, in the order of [`COLUMNS`]. Of several approvals the last one that was decided is told.
fn row(incident: &Incident) -> Vec<String> {
    let verdict = incident.verdict.as_ref();
    let change = verdict.and_then(|verdict| verdict.change.as_ref());
    let decided = incident.approvals.iter().rfind(|approval| approval.decision.is_some());
    let effect = decided.and_then(|approval| approval.effect).map(|effect| effect.as_str().to_owned());
    let cells = [
        Some(incident.id.to_string()),
        Some(incident.service.clone()),
        Some(incident.state.as_str().to_owned()),
        Some(incident.opened_at.to_string()),
        Some(incident.alerts_received.to_string()),
        verdict.map(|verdict| verdict.cause.as_str().to_owned()),
        verdict.map(|verdict| format!("{:.3}", verdict.confidence)),
        change.map(|change| change.resource.clone()),
        change.map(|change| change.at.to_string()),
        change.and_then(|change| change.actor.clone()),
        incident.action.as_ref().and_then(|action| name_of(&action.kind)),
        decided.and_then(|approval| approval.decision.clone()),
        decided.and_then(|approval| approval.by.clone()),
        effect,
        decided.and_then(|approval| name_of(&approval.judged?)),
        incident.previous.map(|previous| previous.to_string()),
    ];
    cells.into_iter().map(|cell| harmless(&cell.unwrap_or_default())).collect()
}

/// As it is called in JSON.
fn name_of(value: &impl serde::Serialize) -> Option<String> {
    Some(serde_json::to_value(value).ok()?.as_str()?.to_owned())
}

/// Neither a formula of a spreadsheet nor anything that moves a terminal's cursor.
fn harmless(cell: &str) -> String {
    let text = report::plain(cell);
    if cell.starts_with(FORMULA) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_compute_is_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for hidden in ["\t=1", "\r=1"] {
            assert_eq!(harmless(hidden), "' =1");
        }
        assert_eq!(harmless("checkout-service"), "checkout-service");
    }
}
