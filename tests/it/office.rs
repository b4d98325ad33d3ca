//! A bot whose routes are served and whose work is stepped by hand, in a Slack workspace over the wire.
//!
//! The rule that is not obvious: AWS is left out. An investigation is concluded with a verdict that the
//! test gives, so that what is looked at is what people see and press; everything else is the real step.

use std::time::Duration;

use incident_commander::app;
use incident_commander::clock::Clock;
use incident_commander::config::{Config, Secret, Settings};
use incident_commander::demo::aws::WorldClock;
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Ephemeral, Message, Options, Outcome, SlackWorld};
use incident_commander::domain::incident::IncidentId;
use incident_commander::domain::plan::Plan;
use incident_commander::domain::report::{
    Action, ActionKind, Agent, Cause, EvidenceItem, Report, Symptoms, Verdict,
};
use incident_commander::intake::Desk;
use incident_commander::store::{Conclusion, JobKind};
use incident_commander::worker::{Bench, Done, deliver_once, steps};
use jiff::SignedDuration;
use serde_json::json;
use tokio::net::TcpListener;

use crate::house::{PATIENCE, desk, serve, settings};
use crate::process::Process;
use crate::ward::idle;

pub struct Office {
    pub bench: Bench,
    pub desk: Desk,
    pub slack: SlackWorld,
    slack_clock: WorldClock,
    settings: Settings,
    pub process: Process,
    /// The plan that investigations come to, where they come to one.
    pub plan: Option<Plan>,
    /// Held, because the database is in it.
    folder: tempfile::TempDir,
}

/// A verdict that says little.
pub fn report(service: &str) -> Report {
    Report {
        service: service.into(),
        onset: None,
        verdict: Verdict { cause: Cause::Traffic, change: None, confidence: 0.97 },
        action: Action { kind: ActionKind::Watch, target: None, reason: "It passes.".into() },
        hypotheses: vec![],
        evidence: vec![EvidenceItem {
            id: "E1".into(),
            source: Agent::Metrics,
            statement: "Requests rose from 120 to 900 a minute at 12:10 UTC.".into(),
            supports: vec![Cause::Traffic],
            query: Some("AWS/Lambda Invocations Sum".into()),
            link: None,
        }],
        cleared: vec![],
        gaps: vec![],
        summary: "Requests rose eightfold.".into(),
        timeline: vec![],
        cost: None,
    }
}

impl Office {
    pub async fn open(pace: Pace, config: &str) -> Self {
        let noon = "2026-02-06T12:18:00Z".parse().unwrap();
        let slack_clock = WorldClock::manual(noon);
        let slack = SlackWorld::new(Options {
            clock: Some(slack_clock.clone()),
            pace,
            // A machine under load must not look like a bot that is too slow.
            ack_deadline: PATIENCE,
            trigger_lifetime: PATIENCE,
            ..Options::default()
        });
        let api = slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        settings.config = Config::parse(config).unwrap();
        settings.config.aws.region = Some("us-east-1".into());
        settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
        settings.slack_api_url = Some(api);
        Self::begin(settings, Clock::manual(noon), slack, slack_clock, None, folder).await
    }

    /// A process begins on what is stored.
    async fn begin(
        settings: Settings,
        clock: Clock,
        slack: SlackWorld,
        slack_clock: WorldClock,
        plan: Option<Plan>,
        folder: tempfile::TempDir,
    ) -> Self {
        let process = Process::begin();
        let own = settings.clone();
        let (bench, desk, url) = process
            .run(async move {
                let bench = app::assemble(&own, clock).await.unwrap();
                let url = serve(&bench, &own).await;
                let desk = desk(&bench, &own).await;
                (bench, desk, url)
            })
            .await;
        slack.set_bot(&url, "signing");
        Self { bench, desk, slack, slack_clock, settings, process, plan, folder }
    }

    /// The process is killed, whatever it is at, and another one begins on the same database.
    pub async fn crash_and_restart(self) -> Self {
        let Self { bench, desk, slack, slack_clock, settings, process, plan, folder } = self;
        let clock = bench.clock.clone();
        drop((bench, desk));
        process.kill().await;
        Self::begin(settings, clock, slack, slack_clock, plan, folder).await
    }

    /// With two services, one approver, and a Slack that sets no pace.
    pub async fn quiet() -> Self {
        let config = format!(
            "[slack]\nalert_channels = [\"{}\"]\n[approvals]\napprovers = [\"{}\"]\n\
             [[service]]\nname = \"checkout\"\naliases = [\"shop checkout\"]\nowner = \"#team-checkout\"\n\
             [[service]]\nname = \"payments\"\n",
            id::ALERTS,
            id::APPROVERS
        );
        Self::open(Pace::unlimited(), &config).await
    }

    pub fn database_url(&self) -> String {
        self.settings.database_url.clone()
    }

    pub fn pass(&self, seconds: u64) {
        self.bench.clock.advance(SignedDuration::from_secs(seconds as i64));
        self.slack_clock.advance(Duration::from_secs(seconds));
    }

    /// Does all that is due, and delivers all that has its turn.
    pub async fn work(&self) {
        loop {
            self.do_jobs().await;
            if !deliver_once(&self.bench).await.unwrap() {
                return;
            }
        }
    }

    /// Works for so many seconds.
    pub async fn live(&self, seconds: u64) {
        let mut left = seconds;
        while left > 0 {
            self.work().await;
            let idle = idle(&self.bench).await.clamp(1, left);
            self.pass(idle);
            left -= idle;
        }
    }

    /// Does all that is due, and delivers nothing.
    pub async fn do_jobs(&self) {
        while self.step().await.is_some() {}
    }

    /// Does the next thing that is due; what it was, as the queue calls it.
    pub async fn step(&self) -> Option<String> {
        let store = &self.bench.store;
        let now = self.bench.clock.now();
        let job = store.claim(now).await.unwrap()?;
        let kind = json!(job.kind)["job"].as_str().unwrap().to_owned();
        match (&job.kind, job.incident) {
            (JobKind::Investigate, Some(id)) => self.conclude(id).await,
            _ => {
                if let Done::Again(after) = steps::run(&self.bench, &job).await.unwrap() {
                    store.again(job.id, now.saturating_add(after).unwrap()).await.unwrap();
                    return Some(kind);
                }
            }
        }
        store.finish(job.id).await.unwrap();
        Some(kind)
    }

    /// Delivers all that has its turn.
    pub async fn deliver(&self) {
        while deliver_once(&self.bench).await.unwrap() {}
    }

    /// An investigation comes to its verdict, where one is awaited.
    pub async fn conclude(&self, incident: IncidentId) {
        let row = self.bench.store.incident_row(incident).await.unwrap().unwrap();
        let conclusion = Conclusion {
            report: report(&row.service),
            symptoms: Symptoms::default(),
            files: [].into(),
            plan: self.plan.clone(),
            not_offered: None,
            expires_after: SignedDuration::from_mins(30),
            close_after: SignedDuration::from_hours(2),
        };
        let now = self.bench.clock.now();
        let concluded = self.bench.store.conclude(incident, row.round, &conclusion, now).await.unwrap();
        assert_eq!(concluded, row.awaits_verdict);
    }

    /// Types a command and reads the private answer.
    pub async fn typed(&self, user: &str, text: &str) -> String {
        let outcome = self.slack.slash(user, id::ALERTS, "/investigate", text).await.unwrap();
        self.answer(&outcome).await
    }

    /// The private answer to something that was done.
    pub async fn answer(&self, outcome: &Outcome) -> String {
        assert!(outcome.acknowledged(), "{outcome:?}");
        said(&self.slack.private_answer(outcome, PATIENCE).await.unwrap())
    }

    /// What an alerting tool posts; waits until the bot has taken it in.
    pub async fn alert(&self, title: &str, service: &str) -> String {
        let payload = json!({ "attachments": [{
            "title": title, "fields": [{ "title": "Service", "value": service, "short": true }],
        }] });
        let before = self.slack.deliveries().len();
        let ts = self.slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &payload).unwrap();
        self.heard(before).await;
        ts
    }

    /// Waits until everything that was sent to the bot since is answered.
    pub async fn heard(&self, since: usize) {
        let answered = |slack: &SlackWorld| {
            let all = slack.deliveries();
            (all.len() > since && all.iter().skip(since).all(|delivery| delivery.finished)).then_some(())
        };
        self.slack.wait_for("the bot's answer", PATIENCE, answered).await.unwrap();
    }

    /// Slack sends an event once more, and it is answered.
    pub async fn again(&self, event: &str) {
        let attempts = |slack: &SlackWorld| {
            let all = slack.deliveries();
            all.iter().find(|delivery| delivery.id == event).map_or(0, |delivery| delivery.attempts.len())
        };
        let before = attempts(&self.slack);
        assert!(self.slack.redeliver(event));
        let answered = |slack: &SlackWorld| (attempts(slack) > before).then_some(());
        self.slack.wait_for("the bot's answer", PATIENCE, answered).await.unwrap();
    }

    /// What the bot posted, oldest first.
    pub fn posted(&self) -> Vec<Message> {
        let all = self.slack.messages(id::ALERTS);
        all.into_iter().filter(|message| message.metadata.is_some()).collect()
    }

    /// The newest message of the bot of one kind.
    pub fn newest(&self, event_type: &str) -> Option<Message> {
        let mut all = self.posted();
        all.retain(|message| {
            message.metadata.as_ref().is_some_and(|metadata| metadata["event_type"] == event_type)
        });
        all.pop()
    }
}

/// All that a message says.
pub fn whole(message: &Message) -> String {
    format!("{}\n{}", message.text, json!(message.blocks))
}

fn said(ephemeral: &Ephemeral) -> String {
    whole(&ephemeral.message)
}
