//! One streaming pass over a service's log events: failing lines by kind, minute and version, fields
//! by minute, claims apart.
//!
//! Memory does not grow with the number of lines: kinds, fields, values and versions are capped (see
//! [`super::caps`]), and what is over the cap is counted together and told. The rule that is not obvious: the result
//! may not depend on the order of events, so an example is the smallest by time and text, never the first
//! read, and where a cap is met the lines are read a second time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::caps::{Cap, hash};
use super::claims;
use super::kinds::{Joined, Kind, Kinds, example, shorten};
use super::line::{self, Field, Line, Scalar};
use super::migration;
use super::values::FewValues;
use crate::analysis::grid::Grid;
use crate::analysis::words;
use crate::domain::evidence::LogEvent;

const FIELDS_MAX: usize = 64;
const VERSIONS_MAX: usize = 24;
const ZONES_MAX: usize = 12;
const CLAIMS_MAX: usize = 3;
/// Counterparts and hosts behind circuit breakers that are told apart.
const PARTIES_MAX: usize = 24;

/// Sums of a numeric field by period.
#[derive(Debug, Clone, Default)]
pub struct NumericField {
    pub count: Vec<u32>,
    pub sum: Vec<f64>,
    pub few: FewValues,
}

/// What was too much to be told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Untold {
    /// Failing lines of kinds that are too many.
    pub failing: u64,
    pub versions: usize,
    pub fields: usize,
    pub zones: usize,
}

/// What the logs hold.
#[derive(Debug, Clone)]
pub struct LogSurvey {
    pub grid: Grid,
    pub events: u64,
    /// All lines but the platform's, by period.
    pub lines: Vec<u32>,
    /// Failing lines whose failure is more than a level.
    pub hard: Vec<u32>,
    /// Failing lines by level alone or more.
    pub failing: Vec<u32>,
    /// Lines by version and period, by name; [`NO_VERSION`] in a kind's counts is a line of none of these.
    pub versions: Vec<(String, Vec<u32>)>,
    pub kinds: Vec<Kind>,
    pub numeric: BTreeMap<String, NumericField>,
    /// Fields of words and truth values.
    pub choices: BTreeMap<String, FewValues>,
    /// (lines, failing lines) by availability zone and period.
    pub zones: BTreeMap<String, Vec<(u32, u32)>>,
    /// (lines, failing lines) by period of each counterpart that a field names: (field, value).
    pub parties: BTreeMap<(String, String), Vec<(u32, u32)>>,
    /// Lines by period that tell of a circuit breaker that opened, by the host that they name.
    pub breakers: BTreeMap<String, Vec<u32>>,
    /// What the application or somebody in its logs asserts about the cause; examples.
    pub claims: Vec<String>,
    pub claim_lines: u64,
    /// The first line by period that tells of a change of a database's schema.
    pub migrations: BTreeMap<usize, (Timestamp, String)>,
    /// What was too much to be told apart.
    pub untold: Untold,
    /// Megabytes.
    pub memory_limit: Option<f64>,
}

/// The version of a line that names none, or one of too many.
pub const NO_VERSION: u8 = u8::MAX;

/// Reads all events into a survey over `grid`.
pub fn survey(events: &[LogEvent], grid: Grid) -> LogSurvey {
    let mut state = Survey::new(grid, Caps::default());
    state.read(events);
    if state.caps.left_out() || state.kinds.left_out() > 0 {
        // Somebody came too late: now the commonest have the room.
        state = state.chosen();
        state.read(events);
    }
    let mut joined = std::mem::take(&mut state.kinds).joined();
    if !state.late.is_empty() {
        for index in std::mem::take(&mut state.late) {
            if let Some(event) = events.get(index as usize) {
                state.late_failure(event, &mut joined);
            }
        }
    }
    let (kinds, failing) = joined.told();
    let mut out = state.out;
    out.kinds = kinds;
    out.untold = Untold { failing, ..state.caps.untold() };
    out.claims.sort();
    out.claims.truncate(CLAIMS_MAX);
    sort_versions(&mut out);
    out
}

/// Versions by name instead of by first sight, in the counts of kinds as well.
fn sort_versions(out: &mut LogSurvey) {
    let mut order: Vec<usize> = (0..out.versions.len()).collect();
    order.sort_by(|a, b| out.versions[*a].0.cmp(&out.versions[*b].0));
    let mut place = vec![0_u8; order.len()];
    for (new, old) in order.iter().enumerate() {
        place[*old] = u8::try_from(new).unwrap_or(u8::MAX);
    }
    let mut old = std::mem::take(&mut out.versions);
    out.versions = order.iter().map(|index| std::mem::take(&mut old[*index])).collect();
    for few in out.numeric.values_mut().map(|field| &mut field.few).chain(out.choices.values_mut()) {
        few.renumber(&place);
        few.sort();
    }
    for kind in &mut out.kinds {
        kind.counts = std::mem::take(&mut kind.counts)
            .into_iter()
            .map(|((period, version), count)| {
                ((period, place.get(usize::from(version)).copied().unwrap_or(version)), count)
            })
            .collect();
    }
}

/// Room for each sort of name.
#[derive(Debug, Default)]
struct Caps {
    numeric: Cap,
    choices: Cap,
    versions: Cap,
    zones: Cap,
    parties: Cap,
    breakers: Cap,
}

impl Caps {
    fn left_out(&self) -> bool {
        self.untold() != Untold::default()
    }

    fn untold(&self) -> Untold {
        Untold {
            failing: 0,
            versions: self.versions.left_out(),
            fields: self.numeric.left_out() + self.choices.left_out(),
            zones: self.zones.left_out(),
        }
    }
}

struct Survey {
    out: LogSurvey,
    kinds: Kinds,
    caps: Caps,
    /// Failing lines whose kind found no room.
    late: Vec<u32>,
}

impl Survey {
    fn new(grid: Grid, caps: Caps) -> Self {
        Self {
            out: LogSurvey {
                grid,
                events: 0,
                lines: vec![0; grid.len],
                hard: vec![0; grid.len],
                failing: vec![0; grid.len],
                versions: Vec::new(),
                kinds: Vec::new(),
                numeric: BTreeMap::new(),
                choices: BTreeMap::new(),
                zones: BTreeMap::new(),
                parties: BTreeMap::new(),
                breakers: BTreeMap::new(),
                claims: Vec::new(),
                claim_lines: 0,
                migrations: BTreeMap::new(),
                untold: Untold::default(),
                memory_limit: None,
            },
            kinds: Kinds::default(),
            caps,
            late: Vec::new(),
        }
    }

    /// A second pass, with room for the commonest.
    fn chosen(self) -> Self {
        let name = |name: &String| hash(std::iter::once(name.as_str()));
        let sum = |counts: &[u32]| counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        let Self { out, kinds, caps, .. } = self;
        let numeric = out.numeric.iter().map(|(key, field)| (name(key), sum(&field.count)));
        let choices = out.choices.iter().map(|(key, field)| (name(key), field.lines));
        let versions = out.versions.iter().map(|(key, counts)| (name(key), sum(counts)));
        let lines = |counts: &[(u32, u32)]| counts.iter().map(|count| u64::from(count.0)).sum();
        let zones = out.zones.iter().map(|(key, counts)| (name(key), lines(counts)));
        let parties = out.parties.iter().map(|((field, value), counts)| {
            (hash([field.as_str(), value.as_str()].into_iter()), lines(counts))
        });
        let breakers = out.breakers.iter().map(|(host, counts)| (name(host), sum(counts)));
        let caps = Caps {
            numeric: caps.numeric.choose(numeric, FIELDS_MAX),
            choices: caps.choices.choose(choices, FIELDS_MAX),
            versions: caps.versions.choose(versions, VERSIONS_MAX),
            zones: caps.zones.choose(zones, ZONES_MAX),
            parties: caps.parties.choose(parties, PARTIES_MAX),
            breakers: caps.breakers.choose(breakers, PARTIES_MAX),
        };
        Self { kinds: kinds.chosen(), ..Self::new(out.grid, caps) }
    }

    fn read(&mut self, events: &[LogEvent]) {
        for (index, event) in (0..).zip(events) {
            self.event(index, event);
        }
    }

    fn event(&mut self, index: u32, event: &LogEvent) {
        self.out.events += 1;
        let Some(period) = self.out.grid.index(event.at) else { return };
        let grid_len = self.out.grid.len;
        let message = line::unwrapped(&event.message);
        let mut fields: Vec<Field<'_>> = Vec::with_capacity(16);
        let line = line::read(&message, &mut |field| fields.push(field));
        let told = line.text;
        let (line, claimed) = without_claims(line);
        if claimed || fields.iter().any(|field| claims::is_deployment_hint(field.key)) {
            self.out.claim_lines += 1;
        }
        if claimed {
            claim(&mut self.out.claims, told);
        }
        if migration::is_told(line.text) {
            let told = (event.at, example(line.text, None));
            let known = self.out.migrations.entry(period).or_insert_with(|| told.clone());
            if told < *known {
                *known = told;
            }
        }
        // The stream's version where there is one, else the application's.
        let text_of = |is: fn(&str) -> bool| {
            fields.iter().rev().find_map(|field| match field.value {
                Scalar::Text(text) if is(field.key) => Some(text),
                _ => None,
            })
        };
        let (zone, field_version) = (text_of(is_zone_field), text_of(is_version_field));
        let version = event.version().or(field_version).and_then(|name| self.version(name, grid_len));
        for field in &fields {
            self.field(*field, period, version);
        }
        if !line.platform {
            self.out.lines[period] += 1;
            if let Some(version) = version {
                self.out.versions[usize::from(version)].1[period] += 1;
            }
        }
        if let Some(zone) = zone {
            self.zone(zone, period, line.failing(), grid_len);
        }
        for Field { key, value, .. } in &fields {
            if let Scalar::Text(value) = value
                && is_party_field(key)
            {
                self.party(key, value, period, line.failing());
            }
        }
        self.breaker(line.text, period);
        if !line.failing() {
            return;
        }
        self.out.failing[period] += 1;
        if line.hard_failure() {
            self.out.hard[period] += 1;
        }
        let place = (u32::try_from(period).unwrap_or(0), version.unwrap_or(NO_VERSION));
        if !self.kinds.take(&line, event.at, place) {
            self.late.push(index);
        }
    }

    fn field(&mut self, field: Field<'_>, period: usize, version: Option<u8>) {
        let Field { key, value, firm } = field;
        if claims::is_deployment_hint(key) {
            return;
        }
        let grid_len = self.out.grid.len;
        let few = if let Scalar::Number(number) = value {
            if key == "Memory Size" {
                self.out.memory_limit = Some(number);
                return;
            }
            let Some(numeric) = slot(&mut self.out.numeric, &mut self.caps.numeric, key) else { return };
            if numeric.count.is_empty() {
                numeric.count = vec![0; grid_len];
                numeric.sum = vec![0.0; grid_len];
            }
            numeric.count[period] += 1;
            numeric.sum[period] += number;
            &mut numeric.few
        } else {
            let Some(few) = slot(&mut self.out.choices, &mut self.caps.choices, key) else { return };
            few
        };
        few.lines += 1;
        few.loose |= !firm;
        few.add(value, period, version, grid_len);
    }

    fn zone(&mut self, name: &str, period: usize, failing: bool, grid_len: usize) {
        if !self.out.zones.contains_key(name) {
            let held = self.out.zones.len();
            if name.len() > 32 || !self.caps.zones.admits(hash(std::iter::once(name)), held, ZONES_MAX) {
                return;
            }
            self.out.zones.insert(name.to_owned(), vec![(0, 0); grid_len]);
        }
        if let Some(counts) = self.out.zones.get_mut(name) {
            counts[period].0 += 1;
            counts[period].1 += u32::from(failing);
        }
    }

    fn party(&mut self, field: &str, value: &str, period: usize, failing: bool) {
        let grid_len = self.out.grid.len;
        let place = (field.to_owned(), value.to_owned());
        if !self.out.parties.contains_key(&place) {
            let held = self.out.parties.len();
            let name = hash([field, value].into_iter());
            if value.len() > 64 || !self.caps.parties.admits(name, held, PARTIES_MAX) {
                return;
            }
        }
        let counts = self.out.parties.entry(place).or_insert_with(|| vec![(0, 0); grid_len]);
        counts[period].0 += 1;
        counts[period].1 += u32::from(failing);
    }

    /// A circuit breaker opens only where calls to somebody have failed.
    fn breaker(&mut self, text: &str, period: usize) {
        if !(text.contains("ircuit") || text.contains("reaker")) {
            return;
        }
        let lower = text.to_lowercase();
        if !["open", "tripped"].iter().any(|word| lower.contains(word)) {
            return;
        }
        let grid_len = self.out.grid.len;
        for host in words::tokens(&lower).into_iter().filter(|token| token.contains(['.', '-'])) {
            let held = self.out.breakers.len();
            let name = hash(std::iter::once(host.as_str()));
            if self.out.breakers.contains_key(&host) || self.caps.breakers.admits(name, held, PARTIES_MAX) {
                self.out.breakers.entry(host).or_insert_with(|| vec![0; grid_len])[period] += 1;
            }
        }
    }

    fn version(&mut self, name: &str, grid_len: usize) -> Option<u8> {
        let known = self.out.versions.iter().position(|(known, _)| known == name);
        let index = match known {
            Some(index) => index,
            None => {
                let held = self.out.versions.len();
                if !self.caps.versions.admits(hash(std::iter::once(name)), held, VERSIONS_MAX) {
                    return None;
                }
                self.out.versions.push((name.to_owned(), vec![0; grid_len]));
                held
            }
        };
        u8::try_from(index).ok()
    }

    /// A failing line whose kind found no room, read again.
    fn late_failure(&self, event: &LogEvent, joined: &mut Joined) {
        let Some(period) = self.out.grid.index(event.at) else { return };
        let mut field_version: Option<&str> = None;
        let message = line::unwrapped(&event.message);
        let line = line::read(&message, &mut |Field { key, value, .. }| {
            if let Scalar::Text(text) = value
                && is_version_field(key)
            {
                field_version = Some(text);
            }
        });
        let name = event.version().or(field_version);
        let version = name.and_then(|name| self.out.versions.iter().position(|(known, _)| known == name));
        let version = version.and_then(|index| u8::try_from(index).ok()).unwrap_or(NO_VERSION);
        joined.take(&without_claims(line).0, event.at, (u32::try_from(period).unwrap_or(0), version));
    }
}

/// A line without the words that claim something, and whether it had any. Whatever they say, the work of that line failed
/// or went well.
fn without_claims(line: Line<'_>) -> (Line<'_>, bool) {
    if claims::is_claim(line.text) { (Line { text: "", cause: None, ..line }, true) } else { (line, false) }
}

fn slot<'m, T: Default>(fields: &'m mut BTreeMap<String, T>, cap: &mut Cap, key: &str) -> Option<&'m mut T> {
    if !fields.contains_key(key) {
        let held = fields.len();
        if key.len() > 64 || !cap.admits(hash(std::iter::once(key)), held, FIELDS_MAX) {
            return None;
        }
        fields.insert(key.to_owned(), T::default());
    }
    fields.get_mut(key)
}

fn claim(claims: &mut Vec<String>, text: &str) {
    let text = line::unescape(shorten(text));
    if !claims.contains(&text) {
        claims.push(text);
        // The first by the alphabet, whichever was read first.
        if claims.len() > 64 {
            claims.sort();
            claims.truncate(CLAIMS_MAX);
        }
    }
}

/// A field that names the release that wrote the line.
pub fn is_version_field(key: &str) -> bool {
    matches!(
        key,
        "app_version"
            | "appVersion"
            | "version"
            | "service_version"
            | "release"
            | "build"
            | "git_sha"
            | "commit"
            | "image_tag"
    )
}

/// A field that names whom a request was passed on to.
fn is_party_field(key: &str) -> bool {
    const NAMES: &[&str] = &[
        "acquirer",
        "backend",
        "bank",
        "carrier",
        "dependency",
        "destination",
        "downstream",
        "issuer",
        "peer",
        "peername",
        "peerservice",
        "provider",
        "psp",
        "remote",
        "remotehost",
        "remoteservice",
        "supplier",
        "targethost",
        "targetservice",
        "thirdparty",
        "upstream",
        "upstreamhost",
        "upstreamservice",
        "vendor",
    ];
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    NAMES.contains(&plain.to_ascii_lowercase().as_str())
}

fn is_zone_field(key: &str) -> bool {
    matches!(
        key,
        "az" | "zone"
            | "availability_zone"
            | "availabilityZone"
            | "aws_az"
            | "az_id"
            | "cloud.availability_zone"
    )
}

#[cfg(test)]
mod tests;
