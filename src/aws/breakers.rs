//! Services of AWS that do not answer, and how long they are left alone.
//!
//! Rule: what spares a silent service is reading. An approved change is made and looked at whatever else was silent. The
//! breakers belong to the task that investigates, like its ledger, and are shared by all investigations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Clients;
use super::errors::ReadError;
use crate::domain::breaker::Breaker;

/// A call that was given less than this and did not answer may just have had too little time left.
const FAIR: Duration = Duration::from_secs(2);
/// Services that are read, by their IAM prefix, as `/readyz` names them.
const SERVICES: [(&str, &str); 12] = [
    ("appconfig", "aws_appconfig"),
    ("cloudformation", "aws_cloudformation"),
    ("cloudtrail", "aws_cloudtrail"),
    ("cloudwatch", "aws_cloudwatch"),
    ("codedeploy", "aws_codedeploy"),
    ("ecs", "aws_ecs"),
    ("lambda", "aws_lambda"),
    ("logs", "aws_logs"),
    ("ssm", "aws_ssm"),
    ("sts", "aws_sts"),
    ("tag", "aws_tag"),
    ("xray", "aws_xray"),
];

tokio::task_local! {
    static BREAKERS: Arc<Breakers>;
}

#[derive(Debug)]
pub(super) struct Breakers {
    since: Instant,
    by_service: Mutex<BTreeMap<String, Breaker>>,
}

impl Default for Breakers {
    fn default() -> Self {
        Self { since: Instant::now(), by_service: Mutex::default() }
    }
}

impl Breakers {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Breaker>> {
        self.by_service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clients {
    /// Runs a future whose calls spare the services that do not answer.
    pub async fn sparing<F: Future>(&self, future: F) -> F::Output {
        BREAKERS.scope(self.breakers.clone(), future).await
    }

    /// The services that are read, as `/readyz` names them, and whether each answers as far as is known.
    pub fn answering(&self) -> Vec<(&'static str, bool)> {
        let now = self.breakers.now_ms();
        let breakers = self.breakers.lock();
        let answers = |service: &str| !breakers.get(service).is_some_and(|breaker| breaker.is_out(now));
        SERVICES.iter().map(|(service, name)| (*name, answers(service))).collect()
    }
}

fn service_of(action: &str) -> &str {
    action.split(':').next().unwrap_or_default()
}

/// Whether a call may be made.
pub(super) fn admit(action: &str) -> Result<(), ReadError> {
    let asked = BREAKERS.try_with(|breakers| {
        let service = service_of(action);
        let breaker = breakers.lock().get(service).copied().unwrap_or_default();
        breaker.admits(breakers.now_ms()).map_err(|_| ReadError::Spared {
            action: action.to_owned(),
            service: service.to_owned(),
            times: breaker.outage().unwrap_or_default(),
        })
    });
    // Who investigates nothing asks always.
    asked.unwrap_or(Ok(()))
}

/// What became of a call that was made at `asked_at`.
pub(super) fn note(action: &str, asked_at: Instant, outcome: Option<&ReadError>) {
    let silent = match outcome {
        Some(ReadError::TimedOut { .. }) if asked_at.elapsed() < FAIR => return,
        Some(ReadError::TimedOut { .. } | ReadError::Unreachable { .. } | ReadError::Failing { .. }) => true,
        _ => false,
    };
    // Without an investigation nobody keeps count.
    let _ = BREAKERS.try_with(|breakers| {
        let now = breakers.now_ms();
        breakers.lock().entry(service_of(action).to_owned()).or_default().note(!silent, now);
    });
}
