//! What a key does to one way of failing, with what its name and the errors' words say beyond its class.
//!
//! The rule that is not obvious: two limits meet in one mechanism. Callers wait for a pool of their own, or the server
//! refuses more of them; a program is at the end of its heap, or is killed for what it takes beyond its container. More of
//! the one is less of the other, and only the words tell which of them is met.

use super::quote::shares_words;
use super::{Class, Direction, Failure};
use crate::analysis::compatibility::{Judged, of_key};
use crate::analysis::logs::phrases::{self, Mechanism};
use crate::analysis::{ratios, words};
use crate::domain::change::KeyChange;

/// AWS's own name of a function's time limit. Others are limits within it.
const FUNCTION_LIMIT: &str = "Timeout";

/// A limit that is met elsewhere is the likelier one where its words stand in the errors; a worker more is one more who waits.
const MET_ELSEWHERE: f64 = 4.0;
/// More workers are more calls; that others turn these away is one reason of several.
const CALLS_MORE: f64 = 2.0;
/// A call that may take longer than the function does: it needs somebody who is that slow as well.
const OUTLASTS: f64 = 1.5;

pub(super) fn judge(
    change: &KeyChange,
    class: Class,
    direction: Direction,
    mechanism: Mechanism,
    failure: &Failure,
) -> Judged {
    use Mechanism as M;
    let words = words::split_deeply(&change.key);
    let has = |names: &[&str]| {
        words.iter().any(|word| names.contains(&word.as_str()) || names.contains(&words::stem(word)))
    };
    let (class, mechanism) = match (class, mechanism) {
        // How long somebody waits for a connection.
        (Class::Timeout, M::Pool) if has(&["pool", "acquire", "acquisition", "checkout", "borrow"]) => {
            (class, M::Timeout)
        }
        // A limit on a function's instances is one on how many call at once what lies behind.
        (Class::Capacity, M::Pool | M::Handles | M::Contention | M::Upstream)
            if has(&["reserved", "provisioned"]) =>
        {
            (Class::Concurrency, mechanism)
        }
        as_it_is => as_it_is,
    };
    // Longer pauses are fewer tries.
    let pauses = class == Class::Retry && has(&["backoff", "delay", "interval", "pause"]);
    let direction = if pauses { turned(direction) } else { direction };
    let judged = of_key(class, direction, mechanism);
    let refused = || failure.says(phrases::refuses_more_clients);
    let pool_of_callers = class == Class::Capacity && mechanism == M::Pool && has(&["pool"]);
    if pool_of_callers && refused() {
        return match direction {
            Direction::Up(_) => met(MET_ELSEWHERE),
            Direction::Down(_) => Judged { ratio: 1.0 / ratios::CAP, eases: true, beside: false },
            _ => judged,
        };
    }
    let up = matches!(direction, Direction::Up(_));
    if !up && !matches!(direction, Direction::Down(_)) {
        return judged;
    }
    let hands = has(&["thread", "worker", "consumer", "executor"]);
    let copies = has(&["replica", "desired", "task", "shard"]);
    // A pool of workers' connections is no limit on workers, and who waits for a worker says so.
    let few_hands = || {
        let said = failure.texts.iter().any(|text| shares_words(&change.key, text));
        !said && !has(&["pool", "connection", "conn", "socket", "session"])
    };
    let ratio = match (class, mechanism) {
        (Class::Capacity, M::Pool) if hands && (up || few_hands()) => MET_ELSEWHERE,
        // Fewer copies, each with a pool of its own, get as many requests as before: only a server has more room then.
        (Class::Capacity, M::Pool) if copies && (up || refused()) => MET_ELSEWHERE,
        // A caller's limit, whatever it is called; that a server took fewer than before is told by its own name.
        (Class::Capacity, M::Pool)
            if up && has(&["connection", "conn"]) && !is_of_servers(&change.key) && refused() =>
        {
            MET_ELSEWHERE
        }
        (Class::Capacity, M::Throttled)
            if (hands || copies) && (up || failure.says(phrases::is_turned_away_by_others)) =>
        {
            CALLS_MORE
        }
        (Class::Memory, M::Memory)
            if has(&["heap", "xmx"]) && (failure.own_tasks || failure.says(phrases::is_killed)) =>
        {
            MET_ELSEWHERE
        }
        (Class::RateLimit, M::Throttled) if failure.says(phrases::is_turned_away_by_others) => MET_ELSEWHERE,
        // A limit on a call within the function: whoever gives up sooner is not cut off later.
        (Class::Timeout, M::FunctionTimeout)
            if change.key != FUNCTION_LIMIT && !has(&["function", "lambda"]) =>
        {
            OUTLASTS
        }
        _ => return judged,
    };
    if up { met(ratio) } else { Judged { ratio: 1.0, eases: false, beside: true } }
}

/// More of this limit meets the other one.
fn met(ratio: f64) -> Judged {
    Judged { ratio, ..Judged::default() }
}

/// `max_connections`, `max_user_connections`: what database servers call their own limits.
fn is_of_servers(key: &str) -> bool {
    let words = words::split(key);
    let words: Vec<&str> = words.iter().map(|word| words::stem(word)).collect();
    matches!(words[..], ["max", "connection"] | ["max", "user", "connection"])
}

fn turned(direction: Direction) -> Direction {
    match direction {
        Direction::Up(factor) => Direction::Down(factor),
        Direction::Down(factor) => Direction::Up(factor),
        other => other,
    }
}
