//! How many failed authentications one address may make.
//!
//! The rule that is not obvious: only failures are limited. Whoever shows the right token or signature is let in
//! from whichever address: Slack and Amazon SNS send from addresses that they share with strangers, and a proxy
//! makes everybody one address. What is bounded is what a failure costs: its log line, its counting, its answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that are answered in words: a misconfigured sender should see why.
const BURST: u32 = 20;
/// And one more after each of these.
const EVERY: Duration = Duration::from_secs(3);
/// Addresses that are remembered, at some 50 bytes each; further ones share one allowance.
const ADDRESSES: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    fn full(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    fn refill(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.since).as_secs() / EVERY.as_secs();
        if let Ok(earned @ 1..) = u32::try_from(earned) {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.since = now;
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}

/// The failures of all addresses.
#[derive(Debug, Default)]
pub struct Failures {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_address: HashMap<Option<IpAddr>, Allowance>,
    /// When those that have rested were last forgotten.
    swept: Option<Instant>,
}

impl Known {
    /// Forgets who has rested. Nobody rests sooner, and a crowd of strangers must not have all looked at for each.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < EVERY) {
            return;
        }
        self.swept = Some(now);
        self.by_address.retain(|_, allowance| {
            allowance.refill(now);
            allowance.left < BURST
        });
    }
}

impl Failures {
    /// Notes a failure; whether it is within what its address may make. `None` is an address that is not known.
    pub fn allow(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = address.map(network);
        if !known.by_address.contains_key(&key) && known.by_address.len() >= ADDRESSES {
            known.sweep(now);
            if known.by_address.len() >= ADDRESSES {
                key = None;
            }
        }
        known.by_address.entry(key).or_insert_with(|| Allowance::full(now)).take(now)
    }

    /// After how long another failure is answered in words again.
    pub fn retry_after() -> Duration {
        EVERY
    }
}

/// An IPv6 customer holds a network of 64 bits at least: its addresses are one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_gets_its_burst_and_then_one_every_few_seconds() {
        let (failures, begin) = (Failures::default(), Instant::now());
        let (one, other) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        let allowed = (0..100).filter(|_| failures.allow(one, begin)).count();
        assert_eq!(allowed, BURST as usize);
        assert!(failures.allow(other, begin), "nobody pays for somebody else");
        let later = begin + EVERY;
        assert!(failures.allow(one, later));
        assert!(!failures.allow(one, later));
        let allowed = (0..100).filter(|_| failures.allow(one, later + EVERY * 1000)).count();
        assert_eq!(allowed, BURST as usize, "rest earns no more than a burst");
    }

    #[test]
    fn the_memory_is_bounded_whoever_comes() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..200_000_u32 {
            failures.allow(Some(IpAddr::V4(Ipv4Addr::from(number))), now);
        }
        let held = failures.known.lock().unwrap().by_address.len();
        assert!(held <= ADDRESSES + 1, "{held}");
        let late = now + EVERY * 1000;
        assert!(failures.allow(Some("203.0.113.9".parse().unwrap()), late), "what has rested is forgotten");
        assert!(failures.known.lock().unwrap().by_address.len() < 10);
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let address = |text: &str| network(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
