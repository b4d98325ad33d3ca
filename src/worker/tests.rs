//! A disk that is full while many problems are told.
//!
//! The rule that is not obvious: the disk here takes what fits into pages that are there, as one that is nearly full
//! does: claims and notes go through, a verdict with its chart does not. That lasts longer than any job is tried.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;

use super::*;
use crate::app;
use crate::config::{AwsKey, Config, Secret};
use crate::demo::aws::WorldClock;
use crate::demo::slack::pace::Pace;
use crate::demo::slack::workspace::id;
use crate::demo::slack::{Options, SlackWorld};
use crate::domain::alert::Alert;
use crate::domain::incident::IncidentId;
use crate::domain::report::{Cause, Report, Symptoms};
use crate::store::{Accepted, Conclusion, JobKind, NewAlert, Origin, STORM_FROM};

fn noon() -> Timestamp {
    "2026-02-06T12:00:00Z".parse().unwrap()
}

struct Desk {
    bench: Bench,
    slack: SlackWorld,
    slack_clock: WorldClock,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn open() -> Self {
        let slack_clock = WorldClock::manual(noon());
        let slack = SlackWorld::new(Options {
            clock: Some(slack_clock.clone()),
            pace: Pace::unlimited(),
            ..Options::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            config: Config::parse(&format!(
                "[slack]\nalert_channels = [\"{}\"]\n[aws]\nregion = \"us-east-1\"\n",
                id::ALERTS
            ))
            .unwrap(),
            database_url: format!("sqlite://{}", folder.path().join("bot.db").display()),
            listen: "127.0.0.1:0".parse().unwrap(),
            slack_bot_token: Some(Secret::Value("xoxb-demo".into())),
            slack_signing_secret: None,
            slack_app_token: None,
            slack_api_url: Some(slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap()),
            // Nobody listens there: no step here asks AWS.
            aws_endpoint_url: Some("http://127.0.0.1:9".into()),
            aws_credentials: Some(AwsKey { id: "AKIATEST".into(), secret: "secret".into() }),
            alert_token: None,
            public_url: None,
        };
        let bench = app::assemble(&settings, Clock::manual(noon())).await.unwrap();
        Self { bench, slack, slack_clock, _folder: folder }
    }

    async fn alert(&self, number: i64) -> Result<Accepted, StoreError> {
        let alert = Alert {
            service: format!("service-{number}"),
            at: noon(),
            metric: Some("5xx".into()),
            value: None,
            threshold: None,
            severity: None,
            alert_name: None,
            source: None,
        };
        self.bench.store.accept(NewAlert { alert, origin: Origin::default() }, self.bench.clock.now()).await
    }

    /// An investigation that comes to a verdict with so much evidence.
    async fn conclude(&self, incident: IncidentId) -> Result<bool, StoreError> {
        let conclusion = Conclusion {
            report: Report { summary: "Too many orders.".into(), ..Report::bare("x", Cause::Traffic, 0.97) },
            symptoms: Symptoms::default(),
            files: BTreeMap::from([("bundle.json".to_owned(), vec![b' '; 50_000])]),
            plan: None,
            not_offered: None,
            expires_after: SignedDuration::from_mins(30),
            close_after: SignedDuration::from_hours(2),
        };
        self.bench.store.conclude(incident, 1, &conclusion, self.bench.clock.now()).await
    }

    /// Does and delivers what is due, as long as the disk lets it, and lets time pass.
    async fn live(&self, seconds: u64) {
        for _ in 0..seconds {
            while step_once(&self.bench).await.unwrap_or(false) {}
            while deliver_once(&self.bench).await.unwrap_or(false) {}
            self.bench.clock.advance(SignedDuration::from_secs(1));
            self.slack_clock.advance(Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn however_long_the_disk_is_full_nothing_is_put_aside_and_every_message_stands_once() {
    for problems in [1, STORM_FROM + 1] {
        let desk = Desk::open().await;
        let store = &desk.bench.store;
        for number in 0..problems {
            desk.alert(number).await.unwrap();
        }
        while let Some(job) = store.claim(desk.bench.clock.now()).await.unwrap() {
            // The others are left for when the disk is full.
            let (JobKind::Investigate, Some(incident)) = (&job.kind, job.incident) else { continue };
            assert!(desk.conclude(incident).await.unwrap());
            store.finish(job.id).await.unwrap();
        }
        store.release_leases(desk.bench.clock.now()).await.unwrap();
        store.fill_the_disk().await;
        let refused = loop {
            if let Err(error) = desk.alert(0).await {
                break error;
            }
        };
        assert!(matches!(refused, StoreError::Full), "nothing is acknowledged that is not stored: {refused}");
        // Eight attempts would be over in five minutes.
        desk.live(600).await;
        assert_eq!(store.put_aside().await.unwrap(), [], "{problems}");

        store.make_room().await;
        desk.live(120).await;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for message in desk.slack.messages(id::ALERTS) {
            let Some(metadata) = &message.metadata else { continue };
            let about = &metadata["event_payload"]["incident"];
            *seen.entry(format!("{about} {}", message.event_type().unwrap())).or_default() += 1;
        }
        for number in 1..=problems {
            for kind in ["incident_headline", "incident_result"] {
                let times = seen.get(&format!("\"INC-{number}\" {kind}"));
                assert_eq!(times, Some(&1), "INC-{number} {kind} of {problems}: {seen:?}");
            }
        }
        assert!(seen.values().all(|count| *count == 1), "{seen:?}");
    }
}
