//! Trouble by script: what the endpoint does wrong, to which method, how often.
//!
//! The rule that is not obvious: `AcceptedThenReset` does the work and then loses the answer. A client
//! that simply tries again posts twice.

use std::time::Duration;

use fastrand::Rng;

#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// The answer comes, but late.
    Latency(Duration),
    /// This HTTP status with a body that is not JSON.
    Status(u16),
    /// 429 with this `Retry-After`.
    RateLimited(Duration),
    /// `ok: false` with this error.
    Error(String),
    /// 200 with JSON that breaks off.
    Malformed,
    /// Everything is done, and the connection breaks in the middle of the answer.
    Truncated,
    /// The connection breaks before anything is done.
    Reset,
    /// The connection breaks after everything is done.
    AcceptedThenReset,
    /// Everything is done, and no answer ever comes.
    AcceptedThenSilence,
}

/// One line of the script. Lines are tried in the order in which they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The method that it befalls; `None`: every one.
    pub method: Option<String>,
    /// Calls that pass before it begins.
    pub skip: u32,
    /// Calls that it befalls; `None`: all from then on.
    pub times: Option<u32>,
    /// The share of calls, 0 to 1, that it befalls.
    pub share: f64,
    pub kind: FaultKind,
}

impl Fault {
    /// The next call of `method` goes wrong.
    pub fn once(method: &str, kind: FaultKind) -> Self {
        Self { method: Some(method.to_owned()), skip: 0, times: Some(1), share: 1.0, kind }
    }

    /// A share of all calls goes wrong.
    pub fn share(share: f64, kind: FaultKind) -> Self {
        Self { method: None, skip: 0, times: None, share, kind }
    }
}

#[derive(Debug)]
pub(super) struct Script {
    faults: Vec<Fault>,
    chance: Rng,
}

impl Script {
    pub fn new(seed: u64) -> Self {
        Self { faults: Vec::new(), chance: Rng::with_seed(seed) }
    }

    pub fn push(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub fn clear(&mut self) {
        self.faults.clear();
    }

    /// What befalls this call, if anything.
    pub fn next(&mut self, method: &str) -> Option<FaultKind> {
        for fault in &mut self.faults {
            if fault.method.as_deref().is_some_and(|name| name != method) || fault.times == Some(0) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.share < 1.0 && self.chance.f64() >= fault.share {
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            return Some(fault.kind.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_skips_befalls_and_ends() {
        let mut script = Script::new(1);
        script.push(Fault { skip: 1, ..Fault::once("chat.postMessage", FaultKind::Status(500)) });
        assert_eq!(script.next("auth.test"), None);
        assert_eq!(script.next("chat.postMessage"), None);
        assert_eq!(script.next("chat.postMessage"), Some(FaultKind::Status(500)));
        assert_eq!(script.next("chat.postMessage"), None);
    }

    #[test]
    fn a_share_of_calls_is_about_that_share() {
        let mut script = Script::new(7);
        script.push(Fault::share(0.02, FaultKind::Reset));
        let hit = (0..10_000).filter(|_| script.next("chat.update").is_some()).count();
        assert!((120..300).contains(&hit), "{hit}");
    }
}
