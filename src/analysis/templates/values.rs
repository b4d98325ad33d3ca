//! Decides which words behind `key=` are values of free choice.
//!
//! The rule that is not obvious: few words behind a key are part of the event (`user=root`,
//! `tag=launch` where the program has that call), many are values; and so are words that are chosen
//! independently of each other (`tenant=a zone=b`, `tenant=a zone=c`, `tenant=d zone=b`, …), however
//! few there are of each. Without this, fields multiply into templates.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::merge::{enough_values, token_hash};
use super::{ByHash, Miner, Token, TokenKind, mix};

/// Different contexts in which a value must vary to be independent of them.
const MIN_CONTEXTS: usize = 2;
/// Kinds of line in which a key must vary to be free of them.
const MIN_KINDS: usize = 3;
/// Positions looked at in one shape.
const MAX_POSITIONS: usize = 24;

/// The places behind `key=` that hold one word or variable.
pub(super) fn positions(tokens: &[Token]) -> Vec<usize> {
    let is_equals = |at: usize| tokens.get(at).is_some_and(|token| token.kind == TokenKind::Mark(b'='));
    let is_quote = |at: usize| tokens.get(at).is_some_and(|token| token.kind == TokenKind::Mark(b'"'));
    (1..tokens.len())
        .filter(|at| matches!(tokens[*at].kind, TokenKind::Word(_) | TokenKind::Variable))
        .filter(|at| !tokens[*at].space)
        .filter(|at| {
            is_equals(at - 1) || (*at >= 2 && is_quote(at - 1) && is_equals(at - 2) && is_quote(at + 1))
        })
        .take(MAX_POSITIONS)
        .collect()
}

/// Equal for shapes that differ in the given places only.
pub(super) fn skeleton(tokens: &[Token], positions: &[usize], keys: Option<u64>) -> u64 {
    let mut hash = keys.unwrap_or_default() ^ 0x5ce1;
    let mut next = positions.iter().copied().peekable();
    for (at, token) in tokens.iter().enumerate() {
        let is_value = next.next_if_eq(&at).is_some();
        hash = mix(hash, if is_value { 19 } else { token_hash(*token) });
    }
    hash
}

/// Shapes of one skeleton, with its key and its places.
type Group = (u64, Vec<usize>, Vec<Member>);

/// One shape of a group of equal skeletons.
struct Member {
    shape: u32,
    /// A hash for each position.
    values: Vec<u64>,
    lines: u64,
}

/// The word before the `=` of a value.
fn key_of(tokens: &[Token], position: usize) -> Option<u64> {
    let equals = tokens[..position].iter().rposition(|token| token.kind == TokenKind::Mark(b'='))?;
    tokens.get(equals.checked_sub(1)?).map(|token| token_hash(*token))
}

/// Keys that vary in several kinds of line: what they hold is chosen elsewhere.
fn free_keys(miner: &Miner, groups: &[Group]) -> BTreeSet<u64> {
    let mut kinds: BTreeMap<u64, usize> = BTreeMap::new();
    for (_, positions, members) in groups {
        let Some(shape) = members.first().and_then(|member| miner.shapes.get(member.shape as usize)) else {
            continue;
        };
        for (place, position) in positions.iter().enumerate() {
            let first = members.first().map(|member| member.values[place]);
            if members.iter().any(|member| Some(member.values[place]) != first)
                && let Some(key) = key_of(&shape.tokens, *position)
            {
                *kinds.entry(key).or_default() += 1;
            }
        }
    }
    kinds.into_iter().filter(|(_, count)| *count >= MIN_KINDS).map(|(key, _)| key).collect()
}

/// Finds the places, keeps them for lines to come, and masks them in all shapes.
pub(super) fn mask_values(miner: &mut Miner) {
    let mut groups: ByHash<(Vec<usize>, Vec<Member>)> = HashMap::default();
    for (shape, lines) in miner.root_counts() {
        let Some(known) = miner.shapes.get(shape as usize) else { continue };
        let positions = positions(&known.tokens);
        if positions.is_empty() {
            continue;
        }
        let values = positions.iter().map(|at| token_hash(known.tokens[*at])).collect();
        let key = skeleton(&known.tokens, &positions, known.keys());
        let (of_group, members) = groups.entry(key).or_insert_with(|| (positions.clone(), Vec::new()));
        if *of_group == positions {
            members.push(Member { shape, values, lines });
        }
    }
    let variable = token_hash(Token::VARIABLE);
    let mut groups: Vec<Group> =
        groups.into_iter().map(|(key, (positions, members))| (key, positions, members)).collect();
    groups.sort_by_key(|(key, _, members)| (members.first().map(|member| member.shape), *key));
    let free = free_keys(miner, &groups);
    for (key, positions, mut members) in groups {
        let Some(shape) = members.first().and_then(|member| miner.shapes.get(member.shape as usize)) else {
            continue;
        };
        let is_free: Vec<bool> = positions
            .iter()
            .map(|at| key_of(&shape.tokens, *at).is_some_and(|key| free.contains(&key)))
            .collect();
        let masked = independent(&mut members, &is_free, variable, miner.options.min_values);
        if masked.is_empty() {
            continue;
        }
        let masked: Vec<usize> =
            masked.into_iter().filter_map(|place| positions.get(place).copied()).collect();
        let mut firsts: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
        for member in members {
            if let Some(tokens) = miner.shapes.get_mut(member.shape as usize).map(|shape| &mut shape.tokens) {
                mask(tokens, &masked);
            }
            match firsts.get(&member.values) {
                Some(first) => miner.join(*first, member.shape),
                None => drop(firsts.insert(member.values, member.shape)),
            }
        }
        miner.value_masks.insert(key, masked.into_boxed_slice());
    }
}

pub(super) fn mask(tokens: &mut [Token], positions: &[usize]) {
    for at in positions {
        if let Some(token) = tokens.get_mut(*at) {
            token.kind = TokenKind::Variable;
        }
    }
}

/// Which places vary freely; their values become equal in all members.
fn independent(
    members: &mut [Member],
    is_free: &[bool],
    variable: u64,
    min_values: usize,
) -> BTreeSet<usize> {
    let places = is_free.len();
    let lines: u64 = members.iter().map(|member| member.lines).sum();
    let mut masked = BTreeSet::new();
    let mut open = |members: &mut [Member], place: usize| {
        masked.insert(place);
        for member in members {
            member.values[place] = variable;
        }
    };
    let distinct = |members: &[Member], place: usize| -> BTreeSet<u64> {
        members.iter().map(|member| member.values[place]).collect()
    };
    for (place, is_free) in is_free.iter().enumerate() {
        let values = distinct(members, place);
        if *is_free
            || values.len() > 1
                && (values.contains(&variable) || values.len() >= enough_values(lines, min_values))
        {
            open(members, place);
        }
    }
    let crossing: Vec<usize> = (0..places).filter(|place| varies_in_contexts(members, *place)).collect();
    for place in crossing {
        open(members, place);
    }
    let combinations: BTreeSet<Vec<u64>> = members.iter().map(|member| member.values.clone()).collect();
    if combinations.len() >= enough_values(lines, min_values) {
        let varied: Vec<usize> = (0..places).filter(|place| distinct(members, *place).len() > 1).collect();
        for place in varied {
            open(members, place);
        }
    }
    masked
}

/// Whether the place varies while all others stay, and that for several choices of the others.
fn varies_in_contexts(members: &[Member], place: usize) -> bool {
    let mut contexts: BTreeMap<Vec<u64>, BTreeSet<u64>> = BTreeMap::new();
    for member in members {
        let mut context = member.values.clone();
        let value = std::mem::replace(&mut context[place], 0);
        contexts.entry(context).or_default().insert(value);
    }
    contexts.values().filter(|values| values.len() > 1).count() >= MIN_CONTEXTS
}
