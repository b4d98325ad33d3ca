//! Failing lines by kind: the same words, other numbers and other names.
//!
//! The rule that is not obvious: a word is a name only where many stand in its place. `refused`, `reset` and `closed` are
//! three kinds of failure; forty customers are one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::caps::{Cap, hash};
use super::claims;
use super::line::{self, Level, Line};
use super::phrases::{self, Mechanism};
use crate::analysis::quantities::{self, Quantity};

const KINDS_MAX: usize = 2_000;
const EXAMPLE_CHARS: usize = 300;
/// Different words in one place from which on they are names.
const NAMES: usize = 5;
/// And the part of a family of kinds that must differ there.
const SPREAD: usize = 4;

/// One kind of failing line.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Empty where the lines' words are no evidence, or are too many to be told apart.
    pub example: String,
    pub error_type: Option<String>,
    pub level: Level,
    /// More than the level says that work failed.
    pub hard: bool,
    pub mechanism: Option<Mechanism>,
    /// The numbers that stand in all its lines.
    pub steady: Vec<Quantity>,
    pub total: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// (period, version) → lines.
    pub counts: BTreeMap<(u32, u8), u32>,
}

impl Kind {
    pub fn between(&self, from: usize, to: usize) -> u64 {
        let period = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        if from >= to {
            return 0;
        }
        self.counts.range((period(from), 0)..(period(to), 0)).map(|(_, count)| u64::from(*count)).sum()
    }

    fn of(line: &Line<'_>, cause: Option<&str>, at: Timestamp) -> Self {
        Self {
            example: example(line.text, cause),
            error_type: line.error_type.map(str::to_owned),
            level: line.level,
            hard: false,
            mechanism: None,
            steady: quantities(line.text, cause),
            total: 0,
            first: at,
            last: at,
            counts: BTreeMap::new(),
        }
    }

    /// Counts a line. The example is the smallest by time and text, never the first read.
    fn take(&mut self, line: &Line<'_>, cause: Option<&str>, at: Timestamp, place: (u32, u8)) {
        if self.total > 0 && !self.steady.is_empty() {
            let here = quantities(line.text, cause);
            self.steady.retain(|known| here.contains(known));
        }
        self.total += 1;
        self.hard |= line.hard_failure();
        self.level = self.level.max(line.level);
        if at <= self.first {
            let told = example(line.text, cause);
            if at < self.first || told < self.example {
                self.first = at;
                self.example = told;
                self.error_type = line.error_type.map(str::to_owned);
            }
        }
        self.last = self.last.max(at);
        *self.counts.entry(place).or_insert(0) += 1;
    }

    fn join(&mut self, other: Self) {
        if (other.first, &other.example) < (self.first, &self.example) {
            self.first = other.first;
            self.example = other.example;
        }
        self.steady.retain(|known| other.steady.contains(known));
        self.level = self.level.max(other.level);
        self.hard |= other.hard;
        self.total += other.total;
        self.last = self.last.max(other.last);
        for (place, count) in other.counts {
            *self.counts.entry(place).or_insert(0) += count;
        }
    }
}

/// The kinds of one pass.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    held: Vec<Kind>,
    /// Their words, numbers masked.
    words: Vec<Box<str>>,
    prints: Vec<u64>,
    by_print: HashMap<u64, usize>,
    cap: Cap,
}

impl Kinds {
    pub(super) fn left_out(&self) -> usize {
        self.cap.left_out()
    }

    /// Kinds of a second pass: the commonest.
    pub(super) fn chosen(self) -> Self {
        let held = self.prints.iter().zip(&self.held).map(|(print, kind)| (*print, kind.total));
        Self { cap: self.cap.choose(held, KINDS_MAX), ..Self::default() }
    }

    /// Takes in a failing line; `false` where there is no room for its kind.
    pub(super) fn take(&mut self, line: &Line<'_>, at: Timestamp, place: (u32, u8)) -> bool {
        let cause = told_cause(line);
        let print = hash(words(line.text, cause).chain(line.error_type));
        let index = match self.by_print.get(&print) {
            Some(index) => *index,
            None => {
                if !self.cap.admits(print, self.held.len(), KINDS_MAX) {
                    return false;
                }
                self.held.push(Kind::of(line, cause, at));
                self.words.push(words(line.text, cause).collect::<Vec<_>>().join(" ").into());
                self.prints.push(print);
                self.by_print.insert(print, self.held.len() - 1);
                self.held.len() - 1
            }
        };
        self.held[index].take(line, cause, at, place);
        true
    }

    /// Joins what differs in names only.
    pub(super) fn joined(mut self) -> Joined {
        for kind in &mut self.held {
            kind.mechanism = phrases::mechanism(&kind.example, kind.error_type.as_deref());
        }
        // What may be one: as many words, of one type and one mechanism.
        let mut families: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, (kind, words)) in self.held.iter().zip(&self.words).enumerate() {
            let family = (words.split(' ').count(), kind.error_type.clone(), kind.mechanism);
            families.entry(family).or_default().push(index);
        }
        let mut groups: Vec<(Vec<usize>, Mask)> = Vec::new();
        for ((_, error_type, _), family) in families {
            if family.len() >= NAMES {
                let words: Vec<(usize, Vec<&str>)> =
                    family.iter().map(|index| (*index, self.words[*index].split(' ').collect())).collect();
                split(words, error_type.as_deref(), &mut groups);
            }
        }
        let mut kinds: Vec<Option<Kind>> = self.held.into_iter().map(Some).collect();
        let mut joined = Joined { kinds: Vec::new(), masks: Vec::new(), rest: None };
        for (members, mask) in groups {
            let whole = members.iter().filter_map(|index| kinds[*index].take()).reduce(|mut whole, part| {
                whole.join(part);
                whole
            });
            if let Some(whole) = whole {
                joined.masks.push((mask, joined.kinds.len()));
                joined.kinds.push(whole);
            }
        }
        joined.kinds.extend(kinds.into_iter().flatten());
        joined
    }
}

/// The places in which names stand, and a hash of all the rest.
#[derive(Debug)]
struct Mask {
    places: Vec<usize>,
    length: usize,
    rest: u64,
}

impl Mask {
    fn of(places: &[usize], words: &[&str], error_type: Option<&str>) -> Self {
        let rest = words.iter().enumerate().filter(|(place, _)| !places.contains(place));
        let rest = hash(rest.map(|(_, word)| *word).chain(error_type));
        Self { places: places.to_vec(), length: words.len(), rest }
    }
}

/// Splits a family by its least varied place until every place that still varies holds names (the idea of IPLoM:
/// Makanju, Zincir-Heywood and Milios, KDD 2009).
fn split(family: Vec<(usize, Vec<&str>)>, error_type: Option<&str>, groups: &mut Vec<(Vec<usize>, Mask)>) {
    let length = family.first().map_or(0, |(_, words)| words.len());
    // Each step fixes one place, so that the depth is bounded by the number of words.
    let mut open = vec![family];
    while let Some(family) = open.pop() {
        let mut varying = Vec::new();
        let mut least: Option<(usize, usize)> = None;
        for place in 0..length {
            let distinct = family.iter().map(|(_, words)| words[place]).collect::<BTreeSet<_>>().len();
            if distinct > 1 {
                varying.push(place);
                if least.is_none_or(|(fewest, _)| distinct < fewest) {
                    least = Some((distinct, place));
                }
            }
        }
        let Some((fewest, place)) = least else { continue };
        if fewest >= NAMES.max(family.len() / SPREAD) {
            // Of a sentence more has to stay than goes.
            if 2 * varying.len() <= length
                && let Some((_, words)) = family.first()
            {
                let mask = Mask::of(&varying, words, error_type);
                groups.push((family.iter().map(|(index, _)| *index).collect(), mask));
            }
            continue;
        }
        let mut parts: BTreeMap<&str, Vec<(usize, Vec<&str>)>> = BTreeMap::new();
        for (index, words) in family {
            parts.entry(words[place]).or_default().push((index, words));
        }
        open.extend(parts.into_values().filter(|part| part.len() >= NAMES));
    }
}

/// Kinds with what differs in names only joined.
#[derive(Debug)]
pub(super) struct Joined {
    kinds: Vec<Kind>,
    masks: Vec<(Mask, usize)>,
    /// All lines of kinds that found no room.
    rest: Option<Kind>,
}

impl Joined {
    /// Takes in a line whose kind found no room: by its names it belongs to a known one, or to the rest.
    pub(super) fn take(&mut self, line: &Line<'_>, at: Timestamp, place: (u32, u8)) {
        let cause = told_cause(line);
        let words: Vec<&str> = words(line.text, cause).collect();
        let known = self.masks.iter().find(|(mask, _)| {
            mask.length == words.len() && Mask::of(&mask.places, &words, line.error_type).rest == mask.rest
        });
        match known {
            Some((_, index)) => self.kinds[*index].take(line, cause, at, place),
            None => {
                let bare = Line { text: "", cause: None, error_type: None, ..*line };
                self.rest.get_or_insert_with(|| Kind::of(&bare, None, at)).take(&bare, None, at, place);
            }
        }
    }

    /// All kinds, in an order that does not depend on that of the lines, and the lines that found no kind.
    pub(super) fn told(mut self) -> (Vec<Kind>, u64) {
        let untold = self.rest.as_ref().map_or(0, |rest| rest.total);
        self.kinds.extend(self.rest);
        self.kinds.sort_by(|a, b| {
            b.total
                .cmp(&a.total)
                .then_with(|| a.example.cmp(&b.example))
                .then_with(|| a.error_type.cmp(&b.error_type))
        });
        (self.kinds, untold)
    }
}

/// What a kind is shown and understood by: its message, and the cause that the message hides.
pub(super) fn example(text: &str, cause: Option<&str>) -> String {
    let text = line::unescape(shorten(text));
    match cause {
        Some(cause) => format!("{text}: {}", line::unescape(shorten(cause))),
        None => text,
    }
}

fn quantities(text: &str, cause: Option<&str>) -> Vec<Quantity> {
    let mut found = quantities::read(shorten(text));
    found.extend(cause.map(|cause| quantities::read(shorten(cause))).unwrap_or_default());
    found
}

/// The cause of a line, unless it says no more than the message or speaks to whoever investigates.
fn told_cause<'a>(line: &Line<'a>) -> Option<&'a str> {
    line.cause.filter(|cause| {
        let told = shorten(cause);
        let bare = told.split_once(": ").map_or(told, |(_, rest)| rest);
        !line.text.contains(bare) && !claims::is_claim(cause)
    })
}

/// The first part of a message, cut at a character and before an escaped line break.
pub(super) fn shorten(text: &str) -> &str {
    let text = text.split("\\n").next().unwrap_or(text);
    match text.char_indices().nth(EXAMPLE_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

/// A message's words, `#` for what holds a digit.
fn words<'a>(text: &'a str, cause: Option<&'a str>) -> impl Iterator<Item = &'a str> {
    let cut = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '[' | ']');
    shorten(text)
        .split(cut)
        .chain(cause.map(shorten).unwrap_or_default().split(cut))
        .map(|word| if word.bytes().any(|byte| byte.is_ascii_digit()) { "#" } else { word })
}
