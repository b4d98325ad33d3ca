//! Late evidence: what is asked again, when, and what people hear of it. Every clock stands, and steps are taken by
//! hand, so that nothing here depends on this machine's speed.

use std::time::Duration;

use incident_commander::app;
use incident_commander::clock::Clock;
use incident_commander::demo::aws::{Fault, WorldClock, WorldOptions};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, Options, SlackWorld};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::incident::IncidentId;
use incident_commander::domain::report::Cause;
use incident_commander::store::{IncidentRow, NewAlert, Origin};
use incident_commander::worker::{Bench, deliver_once, step_once};
use jiff::{SignedDuration, Timestamp};

use super::aws_account::{Account, FUNCTION, at};
use super::house::between;

struct Scene {
    account: Account,
    slack: SlackWorld,
    slack_clock: WorldClock,
    clock: Clock,
    bench: Bench,
    incident: IncidentId,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// The alias moved at 12:00 to a version with a pool too small, orders failed from 12:05 on, the alarm came at
    /// 12:07, and it is half a minute later. CloudTrail delivers after `trail_delay`.
    async fn open(trail_delay: Duration) -> Self {
        let now = at("12:07:30");
        let options = WorldOptions {
            cloudtrail_delay: trail_delay,
            ..WorldOptions::immediate(WorldClock::manual(now))
        };
        let account = Account::with(options).await;
        account.deploy_checkout();
        fail(&account, at("10:00:00"), 127);
        let slack_clock = WorldClock::manual(now);
        let slack = SlackWorld::new(Options { clock: Some(slack_clock.clone()), ..Options::default() });
        let folder = tempfile::tempdir().unwrap();
        let mut settings = between(folder.path(), &account, &slack).await;
        settings.config.slack.default_channel = Some(id::ALERTS.into());
        let clock = Clock::manual(now);
        let bench = app::assemble(&settings, clock.clone()).await.unwrap();
        let body = format!(r#"{{"service": "{FUNCTION}", "triggered_at": "2026-02-06T12:07:00Z"}}"#);
        let alert = Alert::from_body(body.as_bytes()).unwrap();
        let accepted = bench.store.accept(NewAlert { alert, origin: Origin::default() }, now).await.unwrap();
        let incident = accepted.incident().unwrap();
        Self { account, slack, slack_clock, clock, bench, incident, _folder: folder }
    }

    /// Does whatever is due until this time, minute by minute.
    async fn until(&self, time: &str) {
        loop {
            while step_once(&self.bench).await.unwrap() {}
            while deliver_once(&self.bench).await.unwrap() {}
            if self.clock.now() >= at(time) {
                return;
            }
            self.pass(10);
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(SignedDuration::from_secs(seconds as i64));
        self.account.clock.advance(Duration::from_secs(seconds));
        self.slack_clock.advance(Duration::from_secs(seconds));
    }

    async fn row(&self) -> IncidentRow {
        self.bench.store.incident_row(self.incident).await.unwrap().unwrap()
    }

    async fn event_id(&self) -> Option<String> {
        self.row().await.report.unwrap().verdict.change.and_then(|change| change.event_id)
    }

    async fn noted(&self, words: &str) -> usize {
        let incident = self.bench.store.incident(self.incident).await.unwrap().unwrap();
        incident.timeline.iter().filter(|line| line.what.contains(words)).count()
    }

    fn posted(&self, kind: &str) -> Vec<Message> {
        self.slack.messages(id::ALERTS).into_iter().filter(|one| one.event_type() == Some(kind)).collect()
    }
}

/// Calls of the function, ten a minute; from 12:05 on most of them fail for want of a connection.
pub fn fail(account: &Account, from: Timestamp, minutes: u64) {
    account.serve_requests(FUNCTION, from, minutes, at("12:00:00"), at("12:05:00"));
}

#[tokio::test]
async fn records_that_come_late_complete_the_verdict_without_a_word_in_the_thread() {
    let scene = Scene::open(Duration::from_mins(11)).await;
    scene.until("12:07:40").await;
    assert_eq!(scene.row().await.report.unwrap().verdict.cause, Cause::Deployment, "by versions alone");
    assert_eq!(scene.event_id().await, None);
    // The look at 12:12 finds only half of the records; the one at 12:22 all of them.
    scene.until("12:24:00").await;
    assert!(scene.event_id().await.is_some());
    assert!(scene.noted("late evidence arrived; the verdict stands").await >= 1);
    assert_eq!(scene.row().await.round, 1);
    assert_eq!(scene.posted("incident_result").len(), 1);
    assert!(scene.posted("incident_notice").is_empty());
}

#[tokio::test]
async fn a_verdict_that_late_evidence_changes_is_told_once_with_what_changed_it() {
    let scene = Scene::open(Duration::from_mins(11)).await;
    // Without the versions nothing shows the change but CloudTrail.
    for action in ["lambda:ListVersionsByFunction", "lambda:ListAliases"] {
        scene.account.world.rate_fault(action, 1.0, Fault::access_denied(action));
    }
    scene.until("12:07:40").await;
    assert_ne!(scene.row().await.report.unwrap().verdict.cause, Cause::Deployment);
    scene.until("12:40:00").await;
    let row = scene.row().await;
    assert_eq!(row.report.unwrap().verdict.cause, Cause::Deployment);
    let told = scene.posted("incident_notice");
    assert_eq!(told.len(), 1, "{told:#?}");
    let text = &told[0].text;
    assert!(text.starts_with("Late evidence changes the verdict from"), "{text}");
    assert!(text.contains("CloudTrail now shows") && text.contains("alice"), "{text}");
    // One result a round, and no further round.
    assert_eq!((row.round, scene.posted("incident_result").len()), (2, 2));
}

#[tokio::test]
async fn a_second_reading_that_fails_in_part_loses_nothing() {
    let scene = Scene::open(Duration::from_mins(1)).await;
    scene.until("12:07:40").await;
    let first = scene.event_id().await;
    assert!(first.is_some());
    let files = scene.bench.store.evidence(scene.incident).await.unwrap();
    // What anybody changed is answered, and what was changed of the service is not.
    let action = "cloudtrail:LookupEvents";
    scene.account.world.script_faults(action, std::iter::repeat_n(Some(Fault::access_denied(action)), 200));
    scene.until("12:14:00").await;
    assert!(scene.account.world.calls(action) > 3, "it was asked again");
    assert_eq!(scene.event_id().await, first);
    assert_eq!(
        scene.bench.store.evidence(scene.incident).await.unwrap()["cloudtrail.json"],
        files["cloudtrail.json"]
    );
}

#[tokio::test]
async fn lines_and_metrics_that_failed_for_a_moment_are_read_again() {
    let scene = Scene::open(Duration::from_mins(1)).await;
    for action in ["logs:StartQuery", "logs:FilterLogEvents", "cloudwatch:GetMetricData"] {
        scene.account.world.rate_fault(action, 1.0, Fault::Throttle);
    }
    scene.until("12:07:40").await;
    let gaps = scene.row().await.report.unwrap().gaps;
    assert!(gaps.iter().any(|gap| gap.source == "logs") && gaps.iter().any(|gap| gap.source == "metrics"));
    scene.account.world.clear_faults();
    scene.until("12:20:00").await;
    let gaps = scene.row().await.report.unwrap().gaps;
    assert!(!gaps.iter().any(|gap| gap.source == "logs" || gap.source == "metrics"), "{gaps:?}");
    assert_eq!(scene.row().await.report.unwrap().verdict.cause, Cause::Deployment);
}
