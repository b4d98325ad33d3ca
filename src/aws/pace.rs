//! Pacing below an API's rate limit, shared by all incidents that are investigated at once.
//!
//! Rule: the limit belongs to the account and Region, not to one investigation or role; whoever comes first
//! goes first. What an approved change looks at goes ahead of the queue: these are a handful of calls, and a person waits.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::errors::ReadError;
use super::ledger;

/// What AWS counts together, as an IAM action or the beginning of one; calls a second, and how many of them at once. A
/// little below what AWS says, since clocks differ, and far below where it says nothing.
const LIMITS: [(&str, f64, u32); 13] = [
    // 'LookupEvents: 2 a second' (CloudTrail's quotas).
    ("cloudtrail:LookupEvents", 1.9, 1),
    // Fifty a second, and twenty-five ('CloudWatch service quotas').
    ("cloudwatch:GetMetricData", 45.0, 40),
    ("cloudwatch:ListMetrics", 22.0, 20),
    // About five a second.
    ("logs:FilterLogEvents", 4.5, 4),
    // Reads of services: twenty a second, a hundred at once ('Request throttling for the Amazon ECS API'); of clusters
    // and task definitions twenty, fifty at once.
    ("ecs:DescribeServices", 18.0, 80),
    ("ecs", 18.0, 45),
    // Lambda's control plane takes fifteen of an account and Region, all of them together ('Lambda quotas').
    ("lambda", 14.0, 12),
    // Parameter Store serves forty reads of values by default, and the account's own applications need them when they
    // start: half of it is theirs. Of its other reads it says nothing.
    ("ssm", 20.0, 20),
    // AppConfig says nothing of its control plane. Twenty at once are the deployments and contents of one environment.
    ("appconfig", 10.0, 20),
    // CodeDeploy's and CloudFormation's limits 'vary and are dynamic', and pipelines that poll share them: as much as one
    // such script asks for, and the resources of one service at once.
    ("codedeploy", 5.0, 10),
    ("cloudformation", 5.0, 10),
    // X-Ray's graph and tags are asked for once an incident.
    ("xray", 5.0, 5),
    ("tag", 5.0, 5),
];
/// What nobody waits for takes two of Lambda's calls a second.
const BACKGROUND_PER_SECOND: f64 = 2.0;
/// AWS runs a hundred Insights queries at once for the whole account: some are left to people.
pub(super) const QUERIES_AT_ONCE: usize = 80;

/// The limits of one account and Region.
#[derive(Debug)]
pub(super) struct Limits {
    paces: Vec<(&'static str, Pace)>,
    /// Calls that nobody waits for.
    pub background: Pace,
    /// Insights queries that may run, of all incidents together.
    pub queries: Semaphore,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            paces: LIMITS.map(|(what, rate, burst)| (what, Pace::new(rate, burst))).into(),
            background: Pace::new(BACKGROUND_PER_SECOND, 1),
            queries: Semaphore::new(QUERIES_AT_ONCE),
        }
    }
}

impl Limits {
    /// Waits for a call's turn; what has no limit goes at once.
    ///
    /// # Errors
    /// Where the turn would come after the deadline.
    pub async fn turn(&self, action: &str, deadline: Instant) -> Result<(), ReadError> {
        let Some(pace) = self.of(action) else { return Ok(()) };
        let now = Instant::now();
        let turn = pace.reserve(now, deadline).ok_or_else(|| ReadError::timed_out(action))?;
        if turn > now {
            ledger::note_wait(action, turn - now);
            sleep_until(turn).await;
        }
        Ok(())
    }

    /// The pace of an action: its own, else its service's.
    fn of(&self, action: &str) -> Option<&Pace> {
        let service = action.split(':').next();
        let find = |wanted: &str| self.paces.iter().find(|(what, _)| *what == wanted).map(|(_, pace)| pace);
        find(action).or_else(|| find(service?))
    }
}

/// Lets calls through at a rate, some of them at once.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    burst: u32,
    /// When the bucket is full again.
    full_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// `per_second` calls, `burst` of them at once.
    pub fn new(per_second: f64, burst: u32) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / per_second), burst, full_at: Mutex::new(None) }
    }

    /// Waits for this call's turn, and says whether it comes before the deadline.
    ///
    /// A turn that would come too late is not taken: fifty incidents at once would otherwise fill the
    /// queue with turns that nobody waits for any more, and the ones after them would find it full.
    pub async fn turn(&self, deadline: Instant) -> bool {
        match self.reserve(Instant::now(), deadline) {
            Some(turn) => {
                sleep_until(turn).await;
                true
            }
            None => false,
        }
    }

    fn reserve(&self, now: Instant, deadline: Instant) -> Option<Instant> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.map_or(now, |at| at.max(now)) + self.interval;
        let turn = full.checked_sub(self.interval * self.burst).map_or(now, |turn| turn.max(now));
        if turn > deadline {
            return None;
        }
        *full_at = Some(full);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(pace: &Pace, calls: usize, start: Instant, within: Duration) -> Vec<u128> {
        let turns = (0..calls).filter_map(|_| pace.reserve(start, start + within));
        turns.map(|turn| (turn - start).as_millis()).collect()
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(2.0, 2);
        let (start, long) = (Instant::now(), Duration::from_mins(1));
        assert_eq!(turns(&pace, 5, start, long), [0, 0, 500, 1000, 1500]);
        // Rest fills the bucket again, and no further than full.
        assert_eq!(turns(&pace, 3, start + long, long), [0, 0, 500]);
    }

    #[test]
    fn an_action_has_its_own_pace_or_its_services() {
        let limits = Limits::default();
        let interval = |action: &str| limits.of(action).map(|pace| pace.interval.as_millis());
        assert_eq!(interval("ecs:DescribeServices"), interval("ecs:ListClusters"));
        assert!(!std::ptr::eq(
            limits.of("ecs:DescribeServices").unwrap(),
            limits.of("ecs:ListClusters").unwrap()
        ));
        assert!(std::ptr::eq(
            limits.of("ssm:DescribeParameters").unwrap(),
            limits.of("ssm:GetParameterHistory").unwrap()
        ));
        assert_eq!(interval("codedeploy:ListDeployments"), Some(200));
        assert_eq!(interval("sts:GetCallerIdentity"), None);
    }

    #[test]
    fn fifty_incidents_at_once_keep_below_every_limit() {
        for (what, rate, burst) in LIMITS {
            let (limits, start) = (Limits::default(), Instant::now());
            let turns = turns(limits.of(what).unwrap(), 50, start, Duration::from_mins(1));
            assert_eq!(turns.len(), 50, "{what}");
            for (nth, at) in turns.iter().enumerate() {
                let may = f64::from(burst) + rate * (*at as f64 + 1.0) / 1000.0;
                assert!((nth + 1) as f64 <= may, "{what}: {} calls within {at} ms", nth + 1);
            }
        }
    }

    #[test]
    fn a_turn_that_comes_too_late_is_left_to_others() {
        let pace = Pace::new(2.0, 1);
        let start = Instant::now();
        assert_eq!(turns(&pace, 50, start, Duration::from_secs(2)), [0, 500, 1000, 1500, 2000]);
        // Whoever comes when the queue has run down finds it free, however many gave up before.
        let later = start + Duration::from_millis(2500);
        assert_eq!(turns(&pace, 2, later, Duration::from_secs(2)), [0, 500]);
    }
}
