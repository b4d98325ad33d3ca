//! Decides which words are values, and joins the shapes that differ in nothing else.
//!
//! The rule that is not obvious: two shapes can only be joined where all the rest of them is equal,
//! in one place at a time, and words alone are not enough: few words in one place are kinds of
//! event (`Link error`, `Link ok`), many are values. A place that was seen to hold a number or an
//! identifier, or that follows a noun which announces a name, is easier to believe.

use std::collections::BTreeMap;

use super::partition::join_families;
use super::values::mask_values;
use super::{Miner, Token, TokenKind, mix};

/// Rounds, each of which can open one more place of the same template.
const MAX_ROUNDS: usize = 5;
/// A value that is made of more tokens than these is a phrase.
const MAX_VALUE_TOKENS: usize = 8;
/// Places of one shape that are looked at.
const MAX_SLOTS: usize = 48;
/// This many different words in one place are values however many lines there are.
pub(super) const CERTAINLY_VALUES: usize = 24;

/// Nouns of any system that announce a name.
const NOUNS: [&[u8]; 13] = [
    b"user",
    b"username",
    b"account",
    b"host",
    b"hostname",
    b"domain",
    b"device",
    b"file",
    b"directory",
    b"package",
    b"server",
    b"client",
    b"table",
];
/// Prepositions that often stand before a name.
const PREPOSITIONS: [&[u8]; 5] = [b"for", b"from", b"by", b"to", b"of"];

/// A place in a shape: tokens `start..end` hold one value.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Equal for shapes that differ in this place only.
    key: u64,
    shape: u32,
    start: usize,
    end: usize,
}

pub(super) fn merge(miner: &mut Miner) {
    mask_values(miner);
    for _ in 0..MAX_ROUNDS {
        if !merge_round(miner) {
            break;
        }
    }
    join_families(miner);
}

/// The whole of a shape, as a key.
pub(super) fn shape_key(tokens: &[Token], keys: Option<u64>) -> u64 {
    tokens.iter().fold(keys.unwrap_or_default(), |hash, token| mix(hash, token_hash(*token)))
}

/// Joins what can be joined by one place. False when there was nothing.
fn merge_round(miner: &mut Miner) -> bool {
    let counts = miner.root_counts();
    let mut slots: Vec<Slot> = Vec::new();
    for &shape in counts.keys() {
        slots.extend(slot_keys_of(miner, shape).into_iter().map(|(key, start, end)| Slot {
            key,
            shape,
            start,
            end,
        }));
    }
    slots.sort_unstable_by_key(|slot| (slot.key, slot.shape, slot.start));
    let mut candidates: Vec<&[Slot]> = slots.chunk_by(|left, right| left.key == right.key).collect();
    candidates.retain(|slots| slots.len() > 1);
    // The widest choice first.
    candidates.sort_by_key(|slots| {
        (std::cmp::Reverse(slots.len()), slots[0].end - slots[0].start, slots[0].shape, slots[0].start)
    });
    let mut touched = vec![false; miner.shapes.len()];
    let mut any = false;
    for candidate in candidates {
        let slots: Vec<Slot> =
            candidate.iter().filter(|slot| !touched[slot.shape as usize]).copied().collect();
        if slots.len() < 2 {
            continue;
        }
        let accepted = judge(miner, &counts, &slots);
        let Some(first) = accepted.first().copied() else { continue };
        for slot in &accepted {
            touched[slot.shape as usize] = true;
            miner.join(first.shape, slot.shape);
        }
        let root = miner.root(first.shape);
        let tokens = &miner.shapes[first.shape as usize].tokens;
        let mut pattern = tokens[..first.start].to_vec();
        pattern.push(Token { open: true, space: tokens[first.start].space, ..Token::VARIABLE });
        pattern.extend_from_slice(&tokens[first.end..]);
        miner.shapes[root as usize].tokens = pattern.into_boxed_slice();
        miner.open_slots.insert(first.key, root);
        any = true;
    }
    any
}

fn slot_keys_of(miner: &Miner, shape: u32) -> Vec<(u64, usize, usize)> {
    let shape = &miner.shapes[shape as usize];
    slot_keys(&shape.tokens, shape.keys())
}

/// The slots whose values are values: none, or two and more.
fn judge(miner: &Miner, counts: &BTreeMap<u32, u64>, slots: &[Slot]) -> Vec<Slot> {
    let Some(sample) = slots.first().copied() else { return Vec::new() };
    let tokens = &miner.shapes[sample.shape as usize].tokens;
    let context = tokens[..sample.start]
        .iter()
        .chain(&tokens[sample.end..])
        .filter(|token| matches!(token.kind, TokenKind::Word(_)))
        .count();
    if context == 0 {
        return Vec::new();
    }
    let value = |slot: &Slot| &miner.shapes[slot.shape as usize].tokens[slot.start..slot.end];
    let count = |slot: &Slot| counts.get(&slot.shape).copied().unwrap_or(0);
    let lines: u64 = slots.iter().map(count).sum();
    let mut variable_lines = None;
    let (mut stems, mut words, mut capitals, mut names) = (0_usize, 0_usize, 0_usize, 0_usize);
    for slot in slots {
        match value(slot) {
            [Token { kind: TokenKind::Variable, .. }] => variable_lines = Some(count(slot)),
            [Token { kind: TokenKind::Stem(_), .. }] => stems += 1,
            [Token { kind: TokenKind::Word(word), .. }] => {
                words += 1;
                let text = miner.words.text(*word);
                capitals += usize::from(!text.iter().any(u8::is_ascii_lowercase));
                names += usize::from(is_identifier(text));
            }
            _ => words += 1,
        }
    }
    let leads = tokens[..sample.start].iter().any(|token| !matches!(token.kind, TokenKind::Mark(_)));
    let previous = tokens[..sample.start].last().and_then(|token| match token.kind {
        TokenKind::Word(word) => Some(miner.words.text(word)),
        _ => None,
    });
    let announced = previous.is_some_and(|word| NOUNS.iter().any(|noun| word.eq_ignore_ascii_case(noun)));
    let after_preposition = previous.is_some_and(|word| PREPOSITIONS.contains(&word));
    let distinct = stems + words;
    let many = distinct >= enough_values(lines, miner.options.min_values);
    let identifiers = names == words && distinct >= miner.options.min_values;
    let all = if leads {
        many || identifiers
            || announced
            || (after_preposition && context >= 3 && distinct >= 3 && capitals == 0)
    } else {
        (many || identifiers) && context >= 4
    };
    if all || (words == 0 && stems >= 4) {
        return slots.to_vec();
    }
    // The place holds identifiers: rarer words in it are values like them.
    let Some(variable_lines) = variable_lines else { return Vec::new() };
    if context < 2 && stems == 0 {
        return Vec::new();
    }
    let accepted: Vec<Slot> = slots
        .iter()
        .filter(|slot| {
            matches!(value(slot), [Token { kind: TokenKind::Variable | TokenKind::Stem(_), .. }])
                || ((leads || context >= 4) && count(slot) <= variable_lines)
        })
        .copied()
        .collect();
    if accepted.len() < 2 { Vec::new() } else { accepted }
}

/// `com.example.shop`, `order_events`: no word of a sentence.
fn is_identifier(text: &[u8]) -> bool {
    text.get(1..text.len().saturating_sub(1))
        .is_some_and(|inner| inner.iter().any(|byte| b"._/@$#".contains(byte)))
}

/// Different words that are enough to be values: more where there are more lines to choose from.
pub(super) fn enough_values(lines: u64, min_values: usize) -> usize {
    let root = (lines as f64).sqrt().ceil() as usize;
    min_values.max(root.min(CERTAINLY_VALUES))
}

pub(super) fn token_hash(token: Token) -> u64 {
    match token.kind {
        TokenKind::Word(word) => mix(7, u64::from(word)),
        TokenKind::Stem(word) => mix(11, u64::from(word)),
        TokenKind::Variable => mix(13, 0),
        TokenKind::Mark(mark) => mix(17, u64::from(mark)),
    }
}

/// Whether the pattern stands for these tokens, with words in its open places.
pub(super) fn fits(pattern: &[Token], tokens: &[Token]) -> bool {
    let fits_one = |(pattern, token): (&Token, &Token)| {
        pattern.kind == token.kind || (pattern.open && !matches!(token.kind, TokenKind::Mark(_)))
    };
    pattern.len() == tokens.len() && pattern.iter().zip(tokens).all(fits_one)
}

/// The places of a shape that can hold one value, each with a key that is equal for all shapes
/// that differ in this place only.
///
/// `keys` is the key set of a JSON line: only within the same set anything is joined.
pub(super) fn slot_keys(tokens: &[Token], keys: Option<u64>) -> Vec<(u64, usize, usize)> {
    let mut before = Vec::with_capacity(tokens.len() + 1);
    let mut hash = keys.unwrap_or_default();
    before.push(hash);
    for token in tokens {
        hash = mix(hash, token_hash(*token));
        before.push(hash);
    }
    let mut after = vec![0; tokens.len() + 1];
    for (at, token) in tokens.iter().enumerate().rev() {
        after[at] = mix(after[at + 1], !token_hash(*token));
    }
    slots(tokens).into_iter().map(|(start, end)| (mix(before[start], after[end]), start, end)).collect()
}

/// Single words, and whole fields without the marks around them.
fn slots(tokens: &[Token]) -> Vec<(usize, usize)> {
    let is_mark =
        |at: usize, marks: &[u8]| matches!(tokens[at].kind, TokenKind::Mark(mark) if marks.contains(&mark));
    let mut slots = Vec::new();
    let mut start = 0;
    while start < tokens.len() && slots.len() < MAX_SLOTS {
        let end = tokens[start + 1..]
            .iter()
            .position(|token| token.space)
            .map_or(tokens.len(), |gap| start + 1 + gap);
        let words = (start..end).filter(|at| !matches!(tokens[*at].kind, TokenKind::Mark(_)));
        slots.extend(words.map(|at| (at, at + 1)));
        let (mut first, mut last) = (start, end);
        while last > first && is_mark(last - 1, b",;:.") {
            last -= 1;
        }
        for (open, close) in [(b"(", b")"), (b"[", b"]"), (b"\"", b"\""), (b"'", b"'")] {
            if last > first + 2 && is_mark(first, open) && is_mark(last - 1, close) {
                first += 1;
                last -= 1;
            }
        }
        let is_pair = (first..last).any(|at| is_mark(at, b"="));
        if last > first + 1 && last - first <= MAX_VALUE_TOKENS && !is_pair {
            slots.push((first, last));
        }
        start = end;
    }
    slots
}
