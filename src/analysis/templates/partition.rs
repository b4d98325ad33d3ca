//! Joins shapes that differ in several places at once, which the comparison of one place at a time
//! never sees: `user A bought B from C`, where all three are new in every line.
//!
//! The rule that is not obvious: shapes of one layout are split by their least varied place until
//! all places that still vary hold very many words (the idea of IPLoM: Makanju, Zincir-Heywood and
//! Milios, KDD 2009). Only large families are touched: rare lines are told apart by their words.

use std::collections::{BTreeMap, BTreeSet};

use super::merge::{CERTAINLY_VALUES, token_hash};
use super::{Miner, Token, TokenKind, mix};

/// Shapes that a family must have.
const MIN_FAMILY: usize = 64;
/// Words of a line that are looked at; a longer line is prose.
const MAX_WORDS: usize = 24;
/// Share of the family that must differ in a place of values.
const MIN_SPREAD: usize = 4;

pub(super) fn join_families(miner: &mut Miner) {
    let mut families: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for shape in miner.root_counts().into_keys() {
        let Some(known) = miner.shapes.get(shape as usize) else { continue };
        families.entry(layout(&known.tokens, known.keys())).or_default().push(shape);
    }
    for family in families.into_values() {
        let Some(first) = family.first().and_then(|shape| miner.shapes.get(*shape as usize)) else {
            continue;
        };
        let places: Vec<usize> = (0..first.tokens.len())
            .filter(|at| matches!(first.tokens[*at].kind, TokenKind::Word(_)))
            .collect();
        if family.len() >= MIN_FAMILY && places.len() <= MAX_WORDS {
            split(miner, family, &places);
        }
    }
}

/// Equal for shapes that have words, variables and marks in the same places.
fn layout(tokens: &[Token], keys: Option<u64>) -> u64 {
    tokens.iter().fold(keys.unwrap_or_default(), |hash, token| {
        mix(hash, if matches!(token.kind, TokenKind::Word(_)) { 23 } else { token_hash(*token) })
    })
}

fn split(miner: &mut Miner, family: Vec<u32>, places: &[usize]) {
    // Each step fixes one place, so that the depth is bounded by the number of places.
    let mut open = vec![family];
    while let Some(family) = open.pop() {
        let mut least: Option<(usize, usize)> = None;
        let mut varying = Vec::new();
        for &place in places {
            let words: BTreeSet<u64> = family.iter().map(|shape| word_at(miner, *shape, place)).collect();
            if words.len() > 1 {
                varying.push(place);
                if least.is_none_or(|(count, _)| words.len() < count) {
                    least = Some((words.len(), place));
                }
            }
        }
        let Some((count, place)) = least else { continue };
        let fixed = places.len() - varying.len();
        if count >= CERTAINLY_VALUES.max(family.len() / MIN_SPREAD) {
            if fixed >= 2 && 2 * fixed >= varying.len() {
                join(miner, &family, &varying);
            }
            continue;
        }
        let mut parts: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for shape in family {
            parts.entry(word_at(miner, shape, place)).or_default().push(shape);
        }
        open.extend(parts.into_values().filter(|part| part.len() >= MIN_FAMILY));
    }
}

fn word_at(miner: &Miner, shape: u32, place: usize) -> u64 {
    let token = miner.shapes.get(shape as usize).and_then(|shape| shape.tokens.get(place));
    token.map_or(0, |token| token_hash(*token))
}

fn join(miner: &mut Miner, family: &[u32], varying: &[usize]) {
    let Some(first) = family.first().copied() else { return };
    for shape in family {
        miner.join(first, *shape);
    }
    let root = miner.root(first);
    if let Some(shape) = miner.shapes.get_mut(root as usize) {
        for place in varying {
            if let Some(token) = shape.tokens.get_mut(*place) {
                *token = Token { open: true, space: token.space, ..Token::VARIABLE };
            }
        }
    }
}
