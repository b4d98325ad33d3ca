//! How many names are told apart: memory does not grow with what somebody logs.
//!
//! The rule that is not obvious: which names those are may not depend on the order of lines. A first pass takes them as
//! they come and counts what found no room; where anything did not, the commonest are chosen and the lines are
//! read again. Beyond [`COUNTED`] other names the choice is no longer exact.

use std::collections::{HashMap, HashSet};

/// Names without room whose lines are counted.
const COUNTED: usize = 1 << 17;

/// Room for names of one sort.
#[derive(Debug, Default)]
pub(super) struct Cap {
    /// Those that have room, once they were chosen.
    chosen: Option<HashSet<u64>>,
    /// Lines by name, of those that found no room.
    others: HashMap<u64, u64>,
}

impl Cap {
    /// Whether a name that is not held yet may be.
    pub(super) fn admits(&mut self, name: u64, held: usize, limit: usize) -> bool {
        let admitted = match &self.chosen {
            Some(chosen) => chosen.contains(&name),
            None => held < limit,
        };
        if !admitted && (self.others.len() < COUNTED || self.others.contains_key(&name)) {
            *self.others.entry(name).or_insert(0) += 1;
        }
        admitted
    }

    /// Names that found no room.
    pub(super) fn left_out(&self) -> usize {
        self.others.len()
    }

    /// The cap of a second pass: room for the commonest names.
    pub(super) fn choose(self, held: impl Iterator<Item = (u64, u64)>, limit: usize) -> Self {
        let mut all: Vec<(u64, u64)> = held.chain(self.others).map(|(name, lines)| (lines, name)).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let chosen = all.into_iter().take(limit).map(|(_, name)| name).collect();
        Self { chosen: Some(chosen), others: HashMap::new() }
    }
}

/// FNV-1a, of parts that are kept apart.
pub(super) fn hash<'a>(parts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}
