//! Evidence items: one fact each, with figures, units, times and what was read.
//!
//! The rule that is not obvious: what speaks against the verdict is told as well, and supports nothing.

mod changes;
mod logs;
mod others;
mod symptoms;
mod trials;

use jiff::Timestamp;

pub use others::way;
pub use symptoms::{fell, stands, unit};

use super::{Findings, clock, figure, links};
use crate::domain::redact;
use crate::domain::report::{Agent, Cause, EvidenceItem};

/// Longest quotation from a log, in characters.
const QUOTED: usize = 160;

struct Writer<'f> {
    findings: &'f Findings<'f>,
    items: Vec<EvidenceItem>,
}

impl Writer<'_> {
    fn add(&mut self, source: Agent, statement: impl AsRef<str>, supports: &[Cause], query: Option<String>) {
        let link = links::link(self.findings, source, query.as_deref());
        self.push(source, statement, supports, query, link);
    }

    /// A fact about the metrics of some services; about the service's own where none is named.
    fn add_of(&mut self, statement: impl AsRef<str>, supports: &[Cause], services: &[String]) {
        let link = links::of_services(self.findings, services);
        self.push(Agent::Metrics, statement, supports, None, link);
    }

    fn push(
        &mut self,
        source: Agent,
        statement: impl AsRef<str>,
        supports: &[Cause],
        query: Option<String>,
        link: Option<String>,
    ) {
        self.items.push(EvidenceItem {
            id: String::new(),
            source,
            link,
            statement: redact::text(statement.as_ref()),
            supports: supports.to_vec(),
            query: query.map(|query| redact::text(&query)),
        });
    }

    fn clock(&self, at: Timestamp) -> String {
        clock(at, self.findings.evidence.scope.now)
    }

    fn at(&self, period: usize) -> String {
        self.clock(self.findings.symptom.grid.at(period))
    }
}

pub fn items(findings: &Findings<'_>) -> Vec<EvidenceItem> {
    let mut writer = Writer { findings, items: Vec::new() };
    symptoms::symptoms(&mut writer);
    changes::changes(&mut writer);
    trials::trials(&mut writer);
    logs::errors(&mut writer);
    others::demand(&mut writer);
    others::dependencies(&mut writer);
    others::resources(&mut writer);
    others::neighbours(&mut writer);
    logs::zone(&mut writer);
    logs::party(&mut writer);
    others::controls(&mut writer);
    logs::claims(&mut writer);
    numbered(writer.items)
}

/// In the order in which every form of the report prints them: what users see, what the logs say, what
/// changed; each with its number.
fn numbered(mut items: Vec<EvidenceItem>) -> Vec<EvidenceItem> {
    items.sort_by_key(|item| match item.source {
        Agent::Metrics => 0,
        Agent::Logs => 1,
        Agent::Deploy => 2,
    });
    for (at, item) in items.iter_mut().enumerate() {
        item.id = format!("E{}", at + 1);
    }
    items
}

/// A quotation that is safe to show: redacted, on one line, short, without quotation marks of its own.
pub fn quote(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = redact::text(line.trim());
    let mut short: String = line.chars().take(QUOTED).collect();
    if line.chars().count() > QUOTED {
        short.push('…');
    }
    format!("“{}”", short.replace(['“', '”'], "'"))
}

/// A gauge's value with the unit that its metric's name tells.
pub fn amount(value: f64, query: &str) -> String {
    let words = crate::analysis::words::split(query);
    let has = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let unit = if has(&["percent", "utilization", "utilisation", "pct"]) {
        " %"
    } else if has(&["mb", "memory"]) && !has(&["bytes"]) {
        " MB"
    } else {
        ""
    };
    format!("{}{unit}", figure(value))
}

pub fn times(ratio: f64) -> String {
    if ratio.is_finite() && ratio < 1000.0 {
        if ratio >= 10.0 { format!("{ratio:.0} times") } else { format!("{ratio:.1} times") }
    } else {
        "from nothing".to_owned()
    }
}

pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
