//! Faults by configuration: what goes wrong on the wire, for which operation, and how often.
//!
//! Rule: a script (the next N calls) goes before a rate, and an operation is named as an IAM action
//! is, `lambda:UpdateAlias`; `lambda:*` and `*` stand for many.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::wire::ApiError;

/// What happens to one call instead of a plain answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The answer comes this much later.
    Delay(Duration),
    /// The call is refused with this status and code.
    Error { status: u16, code: String, message: String },
    /// Somebody before the service answers, with this status and no code: a load balancer, with a page or nothing.
    Page { status: u16, body: &'static str },
    /// Refused with the service's own throttling code.
    Throttle,
    /// No answer ever comes; the call is not carried out.
    Hang,
    /// The connection breaks before an answer; the call is not carried out.
    Reset,
    /// The call is carried out, and the connection breaks before its answer arrives.
    LostAnswer,
    /// The call is carried out, and no answer ever comes.
    Silence,
    /// The connection breaks in the middle of the answer.
    Truncated,
    /// A complete HTTP answer with half of its body.
    Malformed,
}

impl Fault {
    /// `AccessDeniedException` as IAM words it.
    pub fn access_denied(operation: &str) -> Self {
        Self::Error {
            status: 403,
            code: "AccessDeniedException".to_owned(),
            message: format!(
                "User is not authorized to perform: {operation} because no identity-based policy allows the {operation} action"
            ),
        }
    }
}

#[derive(Debug)]
struct Rated {
    pattern: String,
    /// 0 to 1.
    rate: f64,
    fault: Fault,
}

#[derive(Debug)]
pub struct Faults {
    scripts: BTreeMap<String, VecDeque<Option<Fault>>>,
    rated: Vec<Rated>,
    latencies: BTreeMap<String, Duration>,
    limits: BTreeMap<String, Bucket>,
    random: fastrand::Rng,
}

/// A token bucket of one second's calls, by real time: pacing is about the caller's real speed.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Faults {
    pub fn new(limits: &BTreeMap<String, f64>, seed: u64) -> Self {
        let limits = limits
            .iter()
            .map(|(operation, per_second)| {
                let bucket = Bucket { per_second: *per_second, tokens: *per_second, filled: Instant::now() };
                (operation.clone(), bucket)
            })
            .collect();
        Self {
            scripts: BTreeMap::new(),
            rated: Vec::new(),
            latencies: BTreeMap::new(),
            limits,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// What happens to the next calls of `pattern`, in order; `None` is a plain answer.
    pub fn script(&mut self, pattern: &str, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.scripts.entry(pattern.to_owned()).or_default().extend(faults);
    }

    /// From now on this share of the calls (0 to 1) meets the fault.
    pub fn rate(&mut self, pattern: &str, rate: f64, fault: Fault) {
        self.rated.push(Rated { pattern: pattern.to_owned(), rate, fault });
    }

    /// Every answer of these operations takes this long; of several patterns the longest wins.
    pub fn latency(&mut self, pattern: &str, latency: Duration) {
        self.latencies.insert(pattern.to_owned(), latency);
    }

    /// Ends all scripts, rates and latencies. Rate limits stay: they are the service's own.
    pub fn clear(&mut self) {
        self.scripts.clear();
        self.rated.clear();
        self.latencies.clear();
    }

    /// What happens to this call; also counts it against a script.
    pub fn next(&mut self, operation: &str) -> Option<Fault> {
        for (pattern, script) in &mut self.scripts {
            if matches(pattern, operation)
                && let Some(step) = script.pop_front()
            {
                return step;
            }
        }
        let random = &mut self.random;
        self.rated
            .iter()
            .find(|rated| matches(&rated.pattern, operation) && random.f64() < rated.rate)
            .map(|rated| rated.fault.clone())
    }

    pub fn latency_of(&self, operation: &str) -> Duration {
        let latencies = self.latencies.iter().filter(|(pattern, _)| matches(pattern, operation));
        latencies.map(|(_, latency)| *latency).max().unwrap_or_default()
    }

    /// Takes one call off the operation's rate limit.
    ///
    /// # Errors
    /// The service's throttling error when there is none left.
    pub fn admit(&mut self, operation: &str) -> Result<(), ApiError> {
        let Some(bucket) = self.limits.get_mut(operation) else { return Ok(()) };
        let elapsed = bucket.filled.elapsed().as_secs_f64();
        bucket.filled = Instant::now();
        bucket.tokens = (bucket.tokens + elapsed * bucket.per_second).min(bucket.per_second.max(1.0));
        if bucket.tokens < 1.0 {
            return Err(throttled(operation));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// The throttling error as the operation's service words it.
pub fn throttled(operation: &str) -> ApiError {
    match operation.split(':').next() {
        Some("lambda") => ApiError::new(429, "TooManyRequestsException", "Rate exceeded"),
        Some("cloudwatch" | "sts" | "cloudformation") => ApiError::new(400, "Throttling", "Rate exceeded"),
        _ => ApiError::new(400, "ThrottlingException", "Rate exceeded"),
    }
}

/// Whether `pattern` (`lambda:Get*`, `lambda:*`, `*`, or a full name) covers the operation.
pub fn matches(pattern: &str, operation: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => operation.starts_with(prefix),
        None => pattern == operation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_used_up_in_order_and_then_answers_are_plain() {
        let mut faults = Faults::new(&BTreeMap::new(), 1);
        faults.script("lambda:*", [Some(Fault::Reset), None, Some(Fault::Throttle)]);
        assert_eq!(faults.next("logs:StartQuery"), None);
        assert_eq!(faults.next("lambda:GetAlias"), Some(Fault::Reset));
        assert_eq!(faults.next("lambda:GetAlias"), None);
        assert_eq!(faults.next("lambda:UpdateAlias"), Some(Fault::Throttle));
        assert_eq!(faults.next("lambda:UpdateAlias"), None);
    }

    #[test]
    fn a_limit_lets_one_second_of_calls_through_at_once() {
        let limits = BTreeMap::from([("cloudtrail:LookupEvents".to_owned(), 2.0)]);
        let mut faults = Faults::new(&limits, 1);
        let admitted = (0..10).filter(|_| faults.admit("cloudtrail:LookupEvents").is_ok()).count();
        assert_eq!(admitted, 2);
        assert!(faults.admit("logs:StartQuery").is_ok());
    }
}
