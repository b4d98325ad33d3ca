//! The recorder: what watched services are configured like, seen again and again and after each change that AWS
//! tells of, so that there is a before where AWS keeps none.
//!
//! The rule that is not obvious: an investigation records too, and sees its own look beside the earlier ones:
//! values are compared as they were recorded, secrets as hashes, and never with what was read.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Bench, Done, service_settings};
use crate::agents;
use crate::analysis::recorder;
use crate::domain::evidence::Evidence;
use crate::domain::snapshot::Present;

/// One look is a dozen calls, one after the other.
const LOOK_WITHIN: Duration = Duration::from_secs(60);
/// The bot's first look comes once it has started up and what waited is done.
const FIRST_LOOK: Duration = Duration::from_secs(120);
/// Services without an entry in the configuration are watched for so long after an incident of theirs.
const WATCHED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
const WATCHED_MAX: i64 = 50;
/// An investigation looks back over a week; what was seen at its beginning is from before.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Looks at one watched service after the other, each once in `record_every`, until it is to stop.
pub(super) async fn run(bench: Bench) {
    let section = &bench.settings.config.aws;
    if !section.record {
        return;
    }
    let every = Duration::try_from(section.record_every.0).unwrap_or(Duration::from_secs(900));
    let mut wait = FIRST_LOOK;
    let mut queue: Vec<String> = Vec::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = bench.stop.cancelled() => return,
        }
        if queue.is_empty() {
            queue = watched(&bench).await.unwrap_or_default();
            // Spread over the whole time, so that they never come in a bunch.
            wait = every / u32::try_from(queue.len().max(1)).unwrap_or(1);
        }
        if let Some(service) = queue.pop()
            && let Err(error) = look(&bench, &service).await
        {
            tracing::warn!(service, error = %format!("{error:#}"), "a service could not be recorded");
        }
    }
}

/// The services of the configuration, and those that had an incident lately.
async fn watched(bench: &Bench) -> anyhow::Result<Vec<String>> {
    let config = &bench.settings.config;
    let mut names: Vec<String> = config.services.iter().map(|service| service.name.clone()).collect();
    let since = bench.clock.now().saturating_sub(WATCHED_FOR)?;
    for name in bench.store.services_since(since, WATCHED_MAX).await? {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Looks at a service once and notes what is seen.
pub async fn look(bench: &Bench, service: &str) -> anyhow::Result<Done> {
    let settings = service_settings(&bench.settings.config, service);
    let now = bench.clock.now();
    let aws = bench.aws.at(&settings.place);
    let present = agents::present(aws, service, &settings, now, Instant::now() + LOOK_WITHIN).await;
    note(bench, service, &present, now).await?;
    Ok(Done::Finished)
}

async fn note(bench: &Bench, service: &str, present: &Present, at: Timestamp) -> anyhow::Result<()> {
    let fresh = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let key = bench.store.recorder_key(&fresh).await?;
    let states = recorder::states(present, key.as_bytes());
    Ok(bench.store.record(service, &states, at).await?)
}

/// Records what an investigation read, and adds to it what was seen before.
pub async fn add_recorded(bench: &Bench, service: &str, mut evidence: Evidence) -> anyhow::Result<Evidence> {
    if !bench.settings.config.aws.record {
        return Ok(evidence);
    }
    let now = evidence.scope.now;
    note(bench, service, &Present::of(&evidence), now).await?;
    let mut seen = bench.store.snapshots(service, now.saturating_sub(LOOKED_BACK)?, now).await?;
    // Of what is seen for the first time nothing tells what it was before.
    let known: BTreeSet<String> =
        seen.iter().filter(|one| one.first_at < now).map(|one| one.resource.clone()).collect();
    seen.retain(|one| known.contains(&one.resource));
    evidence.snapshots = seen;
    Ok(evidence)
}
