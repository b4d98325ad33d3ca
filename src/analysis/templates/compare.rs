//! What a log says before and after an instant, in one pass: templates that came, went or changed
//! their rate, by version, and fields of JSON and logfmt lines that changed their value.
//!
//! The rule that is not obvious: nothing is judged here. Counts and values are facts; whether a
//! difference means anything depends on how long each side is, which only the caller knows.

use std::collections::{BTreeMap, HashMap};

use super::fields::{FieldChange, FieldTable};
use super::{Miner, Options, TemplateId};

/// Versions told apart; further ones are counted without a version.
const MAX_VERSIONS: usize = 32;
/// Bytes kept of the first line of a template.
const MAX_EXAMPLE: usize = 512;

/// One line with its side of the instant and the version that wrote it, if known.
#[derive(Debug, Clone, Copy)]
pub struct SidedLine<'a> {
    pub is_after: bool,
    pub version: Option<&'a str>,
    pub line: &'a str,
}

/// Lines before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sides {
    pub before: u64,
    pub after: u64,
}

impl Sides {
    fn add(&mut self, is_after: bool) {
        *if is_after { &mut self.after } else { &mut self.before } += 1;
    }

    fn join(&mut self, other: Self) {
        self.before += other.before;
        self.after += other.after;
    }

    pub fn total(self) -> u64 {
        self.before + self.after
    }
}

/// How one template differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateChange {
    pub id: TemplateId,
    pub text: String,
    /// The first line of this template, at most 512 bytes of it.
    pub example: String,
    pub lines: Sides,
    /// Lines whose version is known.
    pub by_version: BTreeMap<String, Sides>,
    /// Places in the input, from 0.
    pub first_seen: usize,
    pub first_seen_after: Option<usize>,
}

/// What [`compare`] found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    pub lines: Sides,
    pub by_version: BTreeMap<String, Sides>,
    /// By first line.
    pub templates: Vec<TemplateChange>,
    /// By name.
    pub fields: Vec<FieldChange>,
    /// The template of each line, as an index into `templates`.
    pub of_line: Vec<u32>,
}

#[derive(Default)]
struct Tally {
    lines: Sides,
    first_after: Option<usize>,
    by_version: BTreeMap<u16, Sides>,
    example: String,
    first: usize,
}

impl Tally {
    fn join(&mut self, other: Self) {
        self.lines.join(other.lines);
        self.first_after = [self.first_after, other.first_after].into_iter().flatten().min();
        for (version, sides) in other.by_version {
            self.by_version.entry(version).or_default().join(sides);
        }
        if other.first < self.first {
            self.first = other.first;
            self.example = other.example;
        }
    }
}

/// Mines all lines together and counts each template and field on both sides.
pub fn compare<'a>(lines: impl IntoIterator<Item = SidedLine<'a>>) -> Comparison {
    let mut miner = Miner::new(Options { split_by_keys: false, mask_values: true, ..Options::default() });
    let mut fields = FieldTable::default();
    let mut versions: Vec<String> = Vec::new();
    let mut numbers: HashMap<String, u16> = HashMap::new();
    let mut tallies: Vec<Option<Tally>> = Vec::new();
    let mut of_line: Vec<u32> = Vec::new();
    let mut total = Sides::default();
    let mut by_version: BTreeMap<u16, Sides> = BTreeMap::new();
    for (place, SidedLine { is_after, version, line }) in lines.into_iter().enumerate() {
        let id = miner.learn(line).0;
        of_line.push(id);
        let version = version.and_then(|version| {
            if let Some(number) = numbers.get(version) {
                return Some(*number);
            }
            let number = versions.len();
            if number >= MAX_VERSIONS {
                return None;
            }
            versions.push(version.to_owned());
            numbers.insert(version.to_owned(), number as u16);
            Some(number as u16)
        });
        fields.learn(line, is_after, version);
        total.add(is_after);
        if tallies.len() <= id as usize {
            tallies.resize_with(id as usize + 1, || None);
        }
        let tally = tallies[id as usize].get_or_insert_with(|| Tally {
            example: clip(line).to_owned(),
            first: place,
            ..Tally::default()
        });
        tally.lines.add(is_after);
        if is_after && tally.first_after.is_none() {
            tally.first_after = Some(place);
        }
        if let Some(version) = version {
            tally.by_version.entry(version).or_default().add(is_after);
            by_version.entry(version).or_default().add(is_after);
        }
    }
    miner.settle();
    let mut joined: BTreeMap<u32, Tally> = BTreeMap::new();
    for (id, tally) in tallies.into_iter().enumerate() {
        let Some(tally) = tally else { continue };
        let root = miner.resolve(TemplateId(id as u32)).0;
        match joined.get_mut(&root) {
            Some(known) => known.join(tally),
            None => drop(joined.insert(root, tally)),
        }
    }
    let named = |counts: BTreeMap<u16, Sides>| -> BTreeMap<String, Sides> {
        counts
            .into_iter()
            .filter_map(|(number, sides)| Some((versions.get(usize::from(number))?.clone(), sides)))
            .collect()
    };
    let mut templates: Vec<TemplateChange> = joined
        .into_iter()
        .map(|(root, tally)| TemplateChange {
            id: TemplateId(root),
            text: miner.template(TemplateId(root)),
            example: tally.example,
            lines: tally.lines,
            by_version: named(tally.by_version),
            first_seen: tally.first,
            first_seen_after: tally.first_after,
        })
        .collect();
    templates.sort_by_key(|template| template.first_seen);
    let indexes: HashMap<u32, u32> =
        (0..).zip(&templates).map(|(index, template)| (template.id.0, index)).collect();
    for id in &mut of_line {
        let root = miner.resolve(TemplateId(*id)).0;
        *id = indexes.get(&root).copied().unwrap_or_default();
    }
    Comparison {
        lines: total,
        by_version: named(by_version),
        templates,
        fields: fields.finish(&versions),
        of_line,
    }
}

fn clip(line: &str) -> &str {
    let mut end = line.len().min(MAX_EXAMPLE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}
