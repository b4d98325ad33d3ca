//! The matrix of faults: each dependency, each fault, one problem and many at once, with what comes of it.
//!
//! The rule that is not obvious: what a fault may cost is told beside it, and nothing else is lost: every alert is
//! stored, every incident has its verdict, every message stands once. The database's own faults (full, locked) are told
//! in `src/store/tests/keeping.rs`, silence and lost answers of a single call in `aws_faults.rs` and `outbox.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use incident_commander::app;
use incident_commander::clock::Clock;
use incident_commander::config::Secret;
use incident_commander::demo::aws::{Fault as AwsFault, WorldClock, WorldOptions};
use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::incident::State;
use incident_commander::store::{Accepted, INVESTIGATIONS_AT_ONCE, NewAlert, Origin, STORM_FROM};
use incident_commander::worker::{deliver_once, step_once};
use tokio::net::TcpListener;

use crate::aws_account::{Account, FUNCTION, at};
use crate::house::settings;
use crate::office::{Office, whole};

fn alert(service: &str) -> Alert {
    let body =
        format!(r#"{{"service": "{service}", "alert_name": "HighErrorRate", "at": "2026-02-06T12:17:00Z"}}"#);
    serde_json::from_str(&body).unwrap()
}

/// A fault of Slack, and whether it is silence, which `/readyz` names.
fn of_slack() -> Vec<(FaultKind, bool)> {
    vec![
        (FaultKind::Latency(Duration::from_millis(20)), false),
        (FaultKind::Status(404), true),
        (FaultKind::Status(500), true),
        (FaultKind::RateLimited(Duration::from_secs(2)), false),
        (FaultKind::Error("internal_error".into()), false),
        (FaultKind::Malformed, true),
        (FaultKind::Truncated, true),
        (FaultKind::Reset, true),
        (FaultKind::AcceptedThenReset, true),
    ]
}

#[tokio::test]
async fn whatever_slack_does_every_message_stands_once_as_soon_as_it_answers() {
    for (kind, is_silence) in of_slack() {
        for problems in [1, STORM_FROM as usize + 1] {
            let config = format!("[slack]\nalert_channels = [\"{}\"]\n", id::ALERTS);
            let office = Office::open(Pace::unlimited(), &config).await;
            office.slack.script(Fault::share(1.0, kind.clone()));
            for number in 0..problems {
                let accepted =
                    office.desk.alert(alert(&format!("service-{number}")), Origin::default()).await;
                assert!(matches!(accepted.unwrap(), Accepted::Opened(_)), "{kind:?}");
            }
            office.live(10).await;
            let down = office.bench.metrics.dependencies_down();
            assert_eq!(down.contains(&"slack".to_owned()), is_silence, "{kind:?}: {down:?}");
            office.slack.clear_faults();
            // A minute is the longest that anything waits for its next attempt; a post that may have arrived is looked for.
            office.live(130).await;
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            for message in office.posted() {
                let about = message.metadata.as_ref().unwrap()["event_payload"]["incident"].to_string();
                *seen.entry(format!("{about} {}", message.event_type().unwrap())).or_default() += 1;
            }
            // The storm is one message more, about no incident.
            let expected = 2 * problems + usize::from(problems > 1);
            assert_eq!(seen.len(), expected, "{kind:?} × {problems}: {seen:?}");
            assert!(seen.values().all(|count| *count == 1), "{kind:?} × {problems}: {seen:?}");
            assert_eq!(office.bench.store.put_aside().await.unwrap(), [], "{kind:?} × {problems}");
            assert_eq!(office.bench.metrics.dependencies_down(), Vec::<String>::new(), "{kind:?}");
        }
    }
}

/// A fault of AWS, and whether a source is missing with it.
fn of_aws() -> Vec<(AwsFault, bool)> {
    let error = |status, code: &str| AwsFault::Error { status, code: code.into(), message: "no".into() };
    vec![
        (AwsFault::Delay(Duration::from_millis(50)), false),
        (AwsFault::Reset, true),
        (AwsFault::Truncated, true),
        (AwsFault::Malformed, true),
        (error(400, "ValidationException"), true),
        (error(500, "InternalFailure"), true),
        (AwsFault::Throttle, true),
    ]
}

#[tokio::test]
async fn whatever_aws_does_every_incident_has_its_verdict_and_says_what_it_lacks() {
    for (fault, is_missed) in of_aws() {
        for problems in [1, INVESTIGATIONS_AT_ONCE as usize] {
            let what = format!("{fault:?} × {problems}");
            let account = Account::with(WorldOptions::immediate(WorldClock::manual(at("12:20:00")))).await;
            account.deploy_checkout();
            account.world.rate_fault("*", 1.0, fault.clone());
            let slack_clock = WorldClock::manual(at("12:20:00"));
            let slack = SlackWorld::new(Options {
                clock: Some(slack_clock),
                pace: Pace::unlimited(),
                ..Options::default()
            });
            let folder = tempfile::tempdir().unwrap();
            let mut settings = settings(folder.path());
            settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
            settings.slack_api_url =
                Some(slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap());
            settings.aws_endpoint_url = Some(account.url.clone());
            settings.aws_credentials.as_mut().unwrap().id.clone_from(&account.access_key);
            settings.config.slack.alert_channels = vec![id::ALERTS.into()];
            settings.config.incidents.look_again = Vec::new();
            let bench = app::assemble(&settings, Clock::manual(at("12:20:00"))).await.unwrap();
            for number in 0..problems {
                let service = if number == 0 { FUNCTION.to_owned() } else { format!("service-{number}") };
                let new = NewAlert { alert: alert(&service), origin: Origin::default() };
                bench.store.accept(new, at("12:20:00")).await.unwrap();
            }
            while join_all((0..problems).map(|_| step_once(&bench)))
                .await
                .into_iter()
                .any(|done| done.unwrap())
            {}
            while deliver_once(&bench).await.unwrap() {}
            for line in bench.store.list(10).await.unwrap() {
                assert_eq!(line.state, State::Reported, "{what}");
                let gaps = bench.store.incident(line.id).await.unwrap().unwrap().gaps;
                let missed = gaps.iter().any(|gap| gap.source == "metrics" || gap.source == "cloudtrail");
                assert!(missed || !is_missed, "{what}: {gaps:?}");
            }
            assert_eq!(bench.store.put_aside().await.unwrap(), [], "{what}");
            // What may pass is said where everybody looks, what will not in the result.
            let passes = !matches!(fault, AwsFault::Delay(_) | AwsFault::Error { .. });
            let headlines = slack.messages(id::ALERTS).into_iter();
            let headlines = headlines.filter(|message| message.event_type() == Some("incident_headline"));
            for headline in headlines {
                assert_eq!(whole(&headline).contains("Seen in part"), passes, "{what}: {}", whole(&headline));
            }
        }
    }
}
