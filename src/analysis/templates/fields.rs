//! Values of the fields that JSON and logfmt lines carry, before and after an instant.
//!
//! The rule that is not obvious: memory does not grow with the log. Of numbers a few sums and an
//! evenly thinned sample are kept, of texts the first distinct ones; whoever has more distinct
//! texts than that is an identifier and no state, and is said to be one.

use std::collections::{BTreeMap, HashMap};

use super::json::{each_member, string_body};

/// Fields followed; those of a line that come later are not.
const MAX_FIELDS: usize = 256;
/// Fields looked at in one line.
const MAX_FIELDS_OF_LINE: usize = 64;
/// Distinct texts of one field and side before it counts as an identifier.
const MAX_TEXTS: usize = 48;
/// Longer texts are messages.
const MAX_TEXT: usize = 96;
/// Numbers kept for quantiles, of each field and side.
const MAX_SAMPLE: usize = 512;
const MAX_NESTING: usize = 3;

/// Values of one field on one side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldValues {
    /// Lines that carry the field with any value.
    pub count: u64,
    pub numbers: Numbers,
    /// Lines by text (`true` and `false` too); empty when `is_identifier`.
    pub texts: BTreeMap<String, u64>,
    /// More distinct texts than are followed: names single things, says no state.
    pub is_identifier: bool,
}

/// A bounded summary of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    pub count: u64,
    pub sum: f64,
    pub sum_of_squares: f64,
    pub min: f64,
    pub max: f64,
    /// Every `stride`th number, in order of the log.
    sample: Vec<f64>,
    stride: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            sum_of_squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sample: Vec::new(),
            stride: 1,
        }
    }
}

impl Numbers {
    fn learn(&mut self, value: f64) {
        if self.count.is_multiple_of(self.stride) {
            self.sample.push(value);
            if self.sample.len() >= MAX_SAMPLE {
                let mut place = 0;
                self.sample.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.stride *= 2;
            }
        }
        self.count += 1;
        self.sum += value;
        self.sum_of_squares += value * value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The quantile `share` (0 to 1) of the sample; `None` without numbers.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.sample.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64).round();
        sorted.get(place as usize).copied()
    }

    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// An evenly thinned sample, in order of the log.
    pub fn sample(&self) -> &[f64] {
        &self.sample
    }
}

impl FieldValues {
    fn learn(&mut self, value: Value<'_>) {
        self.count += 1;
        match value {
            Value::Number(number) => self.numbers.learn(number),
            Value::Text(text) if !self.is_identifier => {
                if let Some(count) = self.texts.get_mut(text) {
                    *count += 1;
                } else if self.texts.len() < MAX_TEXTS && text.len() <= MAX_TEXT {
                    self.texts.insert(text.to_owned(), 1);
                } else {
                    self.is_identifier = true;
                    self.texts.clear();
                }
            }
            Value::Text(_) => {}
        }
    }
}

/// One field on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The key; nested ones with dots: `pool.in_use`.
    pub name: String,
    pub before: FieldValues,
    pub after: FieldValues,
    /// After the instant, by version.
    pub after_by_version: BTreeMap<String, FieldValues>,
}

impl FieldChange {
    /// Texts that only one side has, or that carry at least `share` more of its lines (0 to 1).
    pub fn shifted_texts(&self, share: f64) -> Vec<(&str, f64, f64)> {
        let part = |values: &FieldValues, text: &str| {
            let total: u64 = values.texts.values().sum();
            values.texts.get(text).map_or(0.0, |count| *count as f64 / total.max(1) as f64)
        };
        if self.before.is_identifier || self.after.is_identifier {
            return Vec::new();
        }
        let all: std::collections::BTreeSet<&String> =
            self.before.texts.keys().chain(self.after.texts.keys()).collect();
        all.into_iter()
            .map(|text| (text.as_str(), part(&self.before, text), part(&self.after, text)))
            .filter(|(_, before, after)| (after - before).abs() >= share)
            .collect()
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Number(f64),
    Text(&'a str),
}

#[derive(Default)]
struct Field {
    sides: [FieldValues; 2],
    after_by_version: BTreeMap<u16, FieldValues>,
}

/// Learns the fields of lines.
#[derive(Default)]
pub(super) struct FieldTable {
    numbers: HashMap<String, usize>,
    fields: Vec<(String, Field)>,
    path: String,
}

impl FieldTable {
    pub(super) fn learn(&mut self, line: &str, is_after: bool, version: Option<u16>) {
        let side = Side { is_after, version };
        let mut room = MAX_FIELDS_OF_LINE;
        let object = line.find('{').filter(|start| *start <= 256).map(|start| line[start..].trim_end());
        if let Some(object) = object
            && each_member(object.as_bytes(), |_, _| {}).is_some()
        {
            self.learn_object(object.as_bytes(), side, 0, &mut room);
        } else if line.contains('=') {
            self.learn_pairs(line, side, &mut room);
        }
    }

    fn learn_object(&mut self, object: &[u8], side: Side, depth: usize, room: &mut usize) {
        let mut members = Vec::new();
        let _ = each_member(object, |key, value| members.push((key, value)));
        for (key, value) in members {
            if *room == 0 {
                return;
            }
            let Ok(key) = std::str::from_utf8(key) else { continue };
            if key.len() > MAX_TEXT {
                continue;
            }
            let length = self.path.len();
            if depth > 0 {
                self.path.push('.');
            }
            self.path.push_str(key);
            if value.first() == Some(&b'{') {
                if depth + 1 < MAX_NESTING {
                    self.learn_object(value, side, depth + 1, room);
                }
            } else if let Some(value) = json_value(value) {
                *room -= 1;
                self.put(side, value);
            }
            self.path.truncate(length);
        }
    }

    fn learn_pairs(&mut self, line: &str, side: Side, room: &mut usize) {
        let mut rest = line;
        while let Some(equals) = rest.find('=')
            && *room > 0
        {
            let (before, behind) = (&rest[..equals], &rest[equals + 1..]);
            let start = before
                .rfind(|c: char| !is_key_character(c))
                .map_or(0, |last| last + before[last..].chars().next().map_or(1, char::len_utf8));
            let key = &before[start..];
            let (value, after) = if let Some(quoted) = behind.strip_prefix('"') {
                quoted.split_once('"').unwrap_or((quoted, ""))
            } else {
                let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')' | ']' | '}' | '=');
                behind.split_at(behind.find(is_end).unwrap_or(behind.len()))
            };
            if !key.is_empty() && key.len() <= 64 && !value.is_empty() {
                *room -= 1;
                self.path.clear();
                self.path.push_str(key);
                self.put(side, plain_value(value));
                self.path.clear();
            }
            rest = after;
        }
    }

    fn put(&mut self, side: Side, value: Value<'_>) {
        let number = match self.numbers.get(self.path.as_str()) {
            Some(number) => *number,
            None if self.fields.len() < MAX_FIELDS => {
                let number = self.fields.len();
                self.fields.push((self.path.clone(), Field::default()));
                self.numbers.insert(self.path.clone(), number);
                number
            }
            None => return,
        };
        let Some((_, field)) = self.fields.get_mut(number) else { return };
        if side.is_after
            && let Some(version) = side.version
        {
            field.after_by_version.entry(version).or_default().learn(value);
        }
        field.sides[usize::from(side.is_after)].learn(value);
    }

    pub(super) fn finish(self, versions: &[String]) -> Vec<FieldChange> {
        let mut changes: Vec<FieldChange> = self
            .fields
            .into_iter()
            .map(|(name, Field { sides: [before, after], after_by_version })| FieldChange {
                name,
                before,
                after,
                after_by_version: after_by_version
                    .into_iter()
                    .filter_map(|(number, values)| Some((versions.get(usize::from(number))?.clone(), values)))
                    .collect(),
            })
            .collect();
        changes.sort_by(|left, right| left.name.cmp(&right.name));
        changes
    }
}

#[derive(Clone, Copy)]
struct Side {
    is_after: bool,
    version: Option<u16>,
}

fn is_key_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '@')
}

fn json_value(value: &[u8]) -> Option<Value<'_>> {
    match string_body(value) {
        Some(text) => std::str::from_utf8(text).ok().map(plain_value),
        None if matches!(value, b"null") || value.first() == Some(&b'[') => None,
        None => std::str::from_utf8(value).ok().map(plain_value),
    }
}

/// A number, also one with a unit of time behind it (as milliseconds), else a text.
fn plain_value(text: &str) -> Value<'_> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let looks_numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if !looks_numeric || text.len() > 32 {
        return Value::Text(text);
    }
    let scaled = [("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("ns", 1e-6), ("s", 1000.0)]
        .into_iter()
        .find_map(|(unit, scale)| Some(number(text.strip_suffix(unit)?)? * scale));
    match number(text).or(scaled) {
        Some(number) => Value::Number(number),
        None => Value::Text(text),
    }
}
