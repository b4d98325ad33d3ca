//! `investigate --bundle`: one offline investigation, printed.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::analysis::{self, Investigation};
use crate::domain::report::Report;
use crate::{bundle, report};

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
    Markdown,
}

/// Investigates a bundle. `truth.json` is never opened.
///
/// # Errors
/// When the folder is not a bundle.
pub fn offline(dir: &Path) -> anyhow::Result<Investigation> {
    let evidence = bundle::read(dir).with_context(|| format!("{} cannot be investigated", dir.display()))?;
    Ok(analysis::investigate(&evidence))
}

/// The printed form of a report, with a line break at its end.
///
/// # Errors
/// None in practice: a report is always JSON.
pub fn print(report: &Report, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Json => format!("{}\n", report::json(&json(report)?)?),
        Format::Markdown => report::plain_lines(&report::markdown(report)),
        Format::Text => report::text(report),
    })
}

/// The report in the shape of the bundle format's contract, additions after it.
fn json(report: &Report) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(report)?)
}
