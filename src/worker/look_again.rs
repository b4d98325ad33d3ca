//! Late evidence: CloudTrail delivers minutes after the fact, and a source may have failed for a moment, so they are
//! asked again.
//!
//! The rule that is not obvious: only CloudTrail and what had gaps are read anew, as of the same moment and against
//! everything else as it was stored. What differs then is due to what came late alone, and an export still
//! re-derives it. People are told in the thread only where the verdict changes; else the messages are edited.

use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::{Bench, Done, delivery, headline, investigate, report, service_settings};
use crate::domain::evidence::Evidence;
use crate::domain::incident::IncidentId;
use crate::domain::redact;
use crate::domain::report::{Cause, Report};
use crate::slack::messages;
use crate::store::StoreError;
use crate::{agents, analysis, bundle};

/// A handful of lookups at two a second, and a query of Logs Insights.
const READ_WITHIN: Duration = Duration::from_secs(20);
/// CloudTrail delivers within about five minutes on average, which is no promise: what it does not show of the time
/// just before it is asked is no evidence until three times as long has passed.
const DELIVERED_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Whether the sources could still tell something that a report lacks. `from` is when the trouble may have begun:
/// a change right before it may not be delivered at `read_at`, however sure the verdict is.
pub fn is_worth_it(report: &Report, from: Timestamp, read_at: Timestamp) -> bool {
    let early = read_at.duration_since(from) < DELIVERED_AFTER;
    let unnamed = report.verdict.change.as_ref().is_some_and(|change| change.event_id.is_none());
    early
        || unnamed
        || report.verdict.cause == Cause::Unknown
        || report.gaps.iter().any(|gap| gap.source == "cloudtrail" || gap.may_pass())
}

/// When the trouble began, or else when the alert says that it was there.
pub fn beginning(report: &Report, alerted: Timestamp) -> Timestamp {
    report.onset.map_or(alerted, |onset| onset.latest.min(alerted))
}

pub async fn look_again(bench: &Bench, id: IncidentId, round: i64, times: usize) -> anyhow::Result<Done> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    let current = row.round == round && !row.awaits_verdict;
    let Some(before) = row.report.as_ref().filter(|_| current) else { return Ok(Done::Finished) };
    let known = bundle::from_files(&bench.store.evidence(id).await?)?;
    let alerted = known.alert.at;
    let service = service_settings(&bench.settings.config, &row.service);
    let evidence = agents::read_again(bench.aws_of(&row.service), known.clone(), &service, READ_WITHIN).await;
    let mut evidence = investigate::add_delivered(bench, evidence).await?;
    // Configurations are as they were stored, masks and all; nothing is put back from here.
    redact::evidence(&mut evidence);
    let arrived = arrived(&known, &evidence);
    let files = bundle::to_files(&evidence);
    let (after, files) = tokio::task::spawn_blocking(move || {
        let evidence = bundle::from_files(&files)?;
        anyhow::Ok((analysis::investigate(&evidence), files))
    })
    .await??;
    let now = bench.clock.now();
    let blamed = |report: &Report| {
        let change = report.verdict.change.as_ref();
        (report.verdict.cause, change.map(|change| (change.resource.clone(), change.kind.clone())))
    };
    if blamed(before) != blamed(&after.report) {
        let why = format!(
            "late evidence changes the verdict from {} to {}: {arrived}",
            in_words(before),
            in_words(&after.report)
        );
        match bench.store.investigate_again(id, &why, now).await {
            Ok(_) => {
                let purpose = format!("late/{round}");
                if let Some(channel) = row.channel.as_deref().filter(|_| bench.slack.is_configured()) {
                    let told = format!("{}{}; a new result follows.", why[..1].to_uppercase(), &why[1..]);
                    delivery::owe(bench, id, channel, &purpose, &messages::notice(id, &told), None).await?;
                }
                bench.wake.notify_one();
            }
            // A change is under way or the incident is closed: it stays as it was told.
            Err(StoreError::Misfit(_)) => bench.store.note(id, &why, now).await?,
            Err(error) => return Err(error.into()),
        }
        return Ok(Done::Finished);
    }
    if *before != after.report {
        bench.store.revise(id, round, &after.report, &files, now).await.context("saving late evidence")?;
        report::refresh_result(bench, id).await?;
        headline::refresh(bench, id, &[], None).await?;
    }
    let delays = &bench.settings.config.incidents.look_again;
    match delays.get(times + 1).zip(delays.get(times)) {
        Some((next, last)) if is_worth_it(&after.report, beginning(&after.report, alerted), now) => {
            let job = crate::store::JobKind::LookAgain { round, times: times + 1 };
            let wait = next.0.saturating_sub(last.0);
            bench.store.enqueue(&job, Some(id), now.saturating_add(wait)?).await?;
        }
        _ => {}
    }
    Ok(Done::Finished)
}

fn in_words(report: &Report) -> String {
    match &report.verdict.change {
        Some(change) => format!("{} of {}", report.verdict.cause.as_str(), change.resource),
        None => report.verdict.cause.as_str().to_owned(),
    }
}

/// What the second reading knows and the first did not, in words.
fn arrived(before: &Evidence, after: &Evidence) -> String {
    let mut parts = Vec::new();
    let known: std::collections::BTreeSet<&str> =
        before.trail.iter().flatten().map(|record| record.event_id.as_str()).collect();
    let records: Vec<_> =
        after.trail.iter().flatten().filter(|record| !known.contains(record.event_id.as_str())).collect();
    if let Some(newest) = records.last() {
        let one =
            format!("{} by {} at {} UTC", newest.name, newest.actor.name, newest.at.strftime("%H:%M:%S"));
        parts.push(match records.len() {
            1 => format!("CloudTrail now shows {one}"),
            more => format!("CloudTrail now shows {more} more records, the last of them {one}"),
        });
    }
    let told: std::collections::BTreeSet<&str> =
        before.releases.events.iter().map(|event| event.id.as_str()).collect();
    let mut events = after.releases.events.iter().filter(|event| !told.contains(event.id.as_str()));
    if let Some(newest) = events.next_back() {
        parts.push(format!("AWS delivered {} of {} UTC", newest.kind, newest.at.strftime("%H:%M:%S")));
    }
    let lines = |evidence: &Evidence| evidence.logs.as_ref().map_or(0, Vec::len);
    if let more @ 1.. = lines(after).saturating_sub(lines(before)) {
        parts.push(format!("{more} more log lines were read"));
    }
    let points = |evidence: &Evidence| {
        evidence.series.iter().flatten().map(|series| series.points.len()).sum::<usize>()
    };
    if let more @ 1.. = points(after).saturating_sub(points(before)) {
        parts.push(format!("{more} more data points were read"));
    }
    if parts.is_empty() { "what was known is read otherwise now".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{Gap, GapKind};

    fn report(cause: Cause) -> Report {
        Report::bare("checkout", cause, 0.97)
    }

    #[test]
    fn however_sure_a_verdict_is_cloudtrail_may_still_deliver_for_a_quarter_of_an_hour() {
        let onset: Timestamp = "2026-02-06T12:15:00Z".parse().unwrap();
        let after = |minutes| onset + SignedDuration::from_mins(minutes);
        for cause in [Cause::Dependency, Cause::Traffic, Cause::None] {
            assert!(is_worth_it(&report(cause), onset, after(3)), "{cause:?}");
            assert!(!is_worth_it(&report(cause), onset, after(16)), "{cause:?}");
        }
        assert!(is_worth_it(&report(Cause::Unknown), onset, after(60)));
    }

    #[test]
    fn what_failed_for_a_moment_is_asked_again_and_what_is_not_allowed_is_not() {
        let onset: Timestamp = "2026-02-06T12:15:00Z".parse().unwrap();
        let with = |kind| Report { gaps: vec![Gap::of(kind, "logs", "why")], ..report(Cause::Traffic) };
        let late = onset + SignedDuration::from_mins(30);
        assert!(is_worth_it(&with(GapKind::Passing), onset, late));
        assert!(!is_worth_it(&with(GapKind::Lasting), onset, late));
    }
}
