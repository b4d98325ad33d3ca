//! The few values of one field: how often each stood in the lines, by period and by version.
//!
//! The rule that is not obvious: a field of many values is no setting and no choice, so that from the
//! first value too many on nothing of it is kept.

use super::line::Scalar;

/// Values of one field at most: settings have one or two, choices some more.
const VALUES_MAX: usize = 12;
/// Longest text that is a value and not somebody's words, in bytes.
const LONGEST: usize = 64;

/// A value as it stands in the lines.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Text(String),
    Bool(bool),
}

impl Value {
    fn is(&self, scalar: Scalar<'_>) -> bool {
        match (self, scalar) {
            // The very same number: `10` is `10.0` and nothing else.
            (Self::Number(known), Scalar::Number(number)) => known.total_cmp(&number).is_eq(),
            (Self::Text(known), Scalar::Text(text)) => known == text,
            (Self::Bool(known), Scalar::Bool(truth)) => *known == truth,
            _ => false,
        }
    }

    /// As a configuration would hold it.
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Bool(truth) => truth.to_string(),
        }
    }
}

/// One value with the lines that hold it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub value: Value,
    pub periods: Vec<u32>,
    /// By version; shorter than the list of versions where the last ones never held it.
    pub versions: Vec<u32>,
}

/// The values of one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FewValues {
    pub held: Vec<Held>,
    /// Lines that have the field, however many values it has.
    pub lines: u64,
    /// It has more values than a field of few has.
    pub crowded: bool,
    /// Some line holds it where a stranger could have put it.
    pub loose: bool,
}

impl FewValues {
    /// Counts one line of a period.
    pub fn add(&mut self, value: Scalar<'_>, period: usize, version: Option<u8>, grid_len: usize) {
        if self.crowded {
            return;
        }
        let index = if let Some(index) = self.held.iter().position(|held| held.value.is(value)) {
            index
        } else {
            if self.held.len() >= VALUES_MAX || matches!(value, Scalar::Text(text) if text.len() > LONGEST) {
                self.crowded = true;
                self.held = Vec::new();
                return;
            }
            let value = match value {
                Scalar::Number(number) => Value::Number(number),
                Scalar::Text(text) => Value::Text(text.to_owned()),
                Scalar::Bool(truth) => Value::Bool(truth),
            };
            self.held.push(Held { value, periods: vec![0; grid_len], versions: Vec::new() });
            self.held.len() - 1
        };
        let Some(held) = self.held.get_mut(index) else { return };
        if let Some(count) = held.periods.get_mut(period) {
            *count += 1;
        }
        if let Some(version) = version.map(usize::from) {
            if held.versions.len() <= version {
                held.versions.resize(version + 1, 0);
            }
            held.versions[version] += 1;
        }
    }

    /// Numbers the versions anew: `place` holds the new number of each old one.
    pub fn renumber(&mut self, place: &[u8]) {
        for held in &mut self.held {
            let mut versions = vec![0; place.len()];
            for (old, count) in held.versions.iter().enumerate() {
                if let Some(new) = place.get(old).and_then(|new| versions.get_mut(usize::from(*new))) {
                    *new = *count;
                }
            }
            held.versions = versions;
        }
    }

    /// Puts the values into an order that does not hang on that of the lines.
    pub fn sort(&mut self) {
        self.held.sort_by_key(|held| held.value.text());
    }

    /// The value that nearly all of some lines hold, with their number. `count` counts a value's lines.
    pub fn settled(&self, count: impl Fn(&Held) -> u64) -> Option<(&Value, u64)> {
        /// Fewest lines that show a value.
        const FEWEST: u64 = 3;
        let counts: Vec<u64> = self.held.iter().map(count).collect();
        let all: u64 = counts.iter().sum();
        let (index, most) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
        // One line in twenty may be a stranger's, or an old process that still runs.
        (*most >= FEWEST && *most * 20 >= all * 19).then_some((&self.held[index].value, *most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(values: &[f64]) -> FewValues {
        let mut few = FewValues::default();
        for (at, value) in values.iter().enumerate() {
            few.add(Scalar::Number(*value), at, Some(u8::from(at >= 5)), values.len());
        }
        few
    }

    #[test]
    fn a_value_that_nearly_all_lines_hold_is_settled() {
        let few = held(&[10.0, 10.0, 10.0, 10.0, 10.0, 5.0, 5.0, 5.0]);
        let by_version =
            |version: usize| move |held: &Held| u64::from(held.versions.get(version).copied().unwrap_or(0));
        assert_eq!(few.settled(by_version(0)), Some((&Value::Number(10.0), 5)));
        assert_eq!(few.settled(by_version(1)), Some((&Value::Number(5.0), 3)));
        assert_eq!(few.settled(|held| held.periods.iter().copied().map(u64::from).sum()), None);
    }

    #[test]
    fn a_field_of_many_values_keeps_none() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let few = held(&values);
        assert!(few.crowded && few.held.is_empty());
    }

    #[test]
    fn versions_are_numbered_anew_with_their_lines() {
        let mut few = held(&[1.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
        few.renumber(&[1, 0]);
        assert_eq!(few.held[0].versions, [0, 5]);
        assert_eq!(few.held[1].versions, [1, 0]);
    }
}
