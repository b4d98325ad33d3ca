//! An incident that waits for approval, with Slack and AWS around it: for tests of what a click comes to.
//!
//! The rule that is not obvious: the bot's policies here are those of `deploy/`, so that whatever it does with
//! the wrong role, or without a permission that people were told to give, fails.

use std::collections::BTreeMap;
use std::time::Duration;

use incident_commander::app::{self, Bot};
use incident_commander::aws::rollback;
use incident_commander::bundle;
use incident_commander::clock::Clock;
use incident_commander::config::{Config, Secret, Settings};
use incident_commander::demo::aws::{Identity, Mutation, WorldClock, WorldOptions};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, Options, SlackWorld, sign};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::audit;
use incident_commander::domain::evidence::{Evidence, Releases, Resources, Scope, Series};
use incident_commander::domain::plan::Plan;
use incident_commander::domain::report::{
    Action, ActionKind, Cause, Hypothesis, Onset, Report, Symptoms, Verdict,
};
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::store::{Approval, ClickedButton, Conclusion, NewAlert, Origin, Store};
use incident_commander::worker::{Bench, deliver_once, step_once};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::aws_account::{ACCOUNT, Account, FUNCTION, at, soon};
use crate::credentials::strays;
use crate::house::{PATIENCE, between};

/// What a test changes before anything runs.
pub struct Set {
    pub config: Config,
    pub requested_by: Option<String>,
    pub author: Option<String>,
    pub expires_after: SignedDuration,
    /// What is to be undone: makes it in the account, and says how it goes back. Absent: an alias's move.
    pub target: Option<fn(&Account) -> RollbackTarget>,
    /// What the plan is made into: a small test, where it is no rollback.
    pub plan: fn(Plan) -> Plan,
    /// The service whose change it is, where that is another than the incident's.
    pub service: Option<String>,
    /// Errors and invocations in each minute from 12:20 on, by its number.
    pub afterwards: fn(i64) -> (f64, f64),
}

pub struct Ward {
    pub account: Account,
    pub slack: SlackWorld,
    pub slack_clock: Option<WorldClock>,
    pub settings: Settings,
    pub clock: Clock,
    pub approval: String,
    /// Held, because the database is in it.
    _folder: tempfile::TempDir,
}

impl Ward {
    /// Everything is in the database, and nothing runs. With `by_hand` Slack's clock stands too.
    pub async fn open(by_hand: bool, change: impl FnOnce(&mut Set)) -> Self {
        let begin = at("12:20:00");
        let account_clock = if by_hand { WorldClock::manual(begin) } else { WorldClock::starting_at(begin) };
        let options = WorldOptions::immediate(account_clock);
        let account = Account::with(WorldOptions { rollout_time: Duration::from_secs(30), ..options }).await;
        account.deploy_checkout();
        let slack_clock = by_hand.then(|| WorldClock::manual(begin));
        let slack = SlackWorld::new(Options {
            clock: slack_clock.clone(),
            // A machine under load must not look like a bot that is too slow.
            ack_deadline: PATIENCE,
            trigger_lifetime: PATIENCE,
            ..Options::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let mut settings = between(folder.path(), &account, &slack).await;
        let mut set = Set {
            config: settings.config.clone(),
            requested_by: None,
            author: None,
            expires_after: SignedDuration::from_mins(30),
            target: None,
            plan: |plan| plan,
            service: None,
            afterwards: |_| (0.0, 100.0),
        };
        let [read, write] = account.roles();
        set.config.aws.read_role_arn = Some(read);
        set.config.aws.write_role_arn = Some(write);
        set.config.approvals.approvers = vec![id::APPROVER.into(), id::ON_CALL.into(), id::DEVELOPER.into()];
        change(&mut set);
        settings.config = set.config;
        // Made after the account's, and so never ahead of it: what is approved is approved before it is made.
        let clock = if by_hand { Clock::manual(begin) } else { Clock::starting_at(begin) };
        let store = Store::open(&settings.database_url).await.unwrap();
        let alert = alert(at("12:15:00"));
        let origin = Origin { requested_by: set.requested_by, ..Origin::default() };
        let accepted = store.accept(NewAlert { alert: alert.clone(), origin }, clock.now()).await.unwrap();
        let incident = accepted.incident().unwrap();
        let plan = Plan::of(
            target(&account, set.target).await,
            set.author,
            "The error rate goes back.".into(),
            &|_, value| value.to_owned(),
        );
        let plan = Plan { service: set.service, ..(set.plan)(plan) };
        let conclusion = conclusion(alert, plan, set.expires_after);
        assert!(store.conclude(incident, 1, &conclusion, clock.now()).await.unwrap());
        let approval = store.pending_approval(incident).await.unwrap().unwrap().id;
        store.close().await;
        fare(&account, set.afterwards);
        Self { account, slack, slack_clock, settings, clock, approval, _folder: folder }
    }

    /// The bot on a port of its own, which Slack talks to with real signatures.
    pub async fn start(&self) -> Bot {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bot = Bot::start(self.settings.clone(), self.clock.clone(), listener, None).await.unwrap();
        self.slack.set_bot(&format!("http://{}", bot.address()), "signing");
        bot
    }

    /// The bot without a signing secret, which opens the connection itself.
    pub async fn start_by_socket(&self) -> Bot {
        let mut settings = self.settings.clone();
        settings.slack_signing_secret = None;
        settings.slack_app_token = Some(Secret::Value("xapp-demo".into()));
        self.slack.use_socket_mode();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bot = Bot::start(settings, self.clock.clone(), listener, None).await.unwrap();
        let linked = |slack: &SlackWorld| (slack.links() > 0).then_some(());
        self.slack.wait_for("the connection", PATIENCE, linked).await.unwrap();
        bot
    }

    /// A bot that does nothing by itself.
    pub async fn bench(&self) -> Bench {
        app::assemble(&self.settings, self.clock.clone()).await.unwrap()
    }

    /// The message that asks for approval, once it is there.
    pub async fn asked(&self) -> Message {
        self.wait("the result", |message| message.event_type() == Some("incident_result")).await
    }

    pub async fn wait(&self, what: &str, fits: impl Fn(&Message) -> bool) -> Message {
        self.slack
            .wait_for(what, PATIENCE, |slack| slack.messages(id::ALERTS).into_iter().find(|one| fits(one)))
            .await
            .unwrap()
    }

    /// What only this person sees: these sentences one after the other, in this channel, and nothing else.
    pub async fn told(&self, user: &str, channel: &str, sentences: &[&str]) {
        let seen = |slack: &SlackWorld| (slack.ephemerals(user).len() >= sentences.len()).then_some(());
        if let Err(error) = self.slack.wait_for("the private answer", PATIENCE, seen).await {
            panic!("{error}: {sentences:?}");
        }
        let seen = self.slack.ephemerals(user);
        let all: Vec<(&str, &str)> =
            seen.iter().map(|one| (one.message.channel.as_str(), one.message.text.as_str())).collect();
        assert_eq!(all, sentences.iter().map(|sentence| (channel, *sentence)).collect::<Vec<_>>());
    }

    /// A press of a button as Slack would tell it, also where its own client would let nobody press.
    pub fn press(&self, user: &str, channel: &str, ts: &str, action: &str) -> Value {
        json!({
            "type": "block_actions", "user": { "id": user }, "channel": { "id": channel },
            "container": { "type": "message", "message_ts": ts, "channel_id": channel },
            "message": { "ts": ts, "thread_ts": self.root().filter(|_| channel == id::ALERTS) },
            "actions": [{ "action_id": action, "value": self.approval, "type": "button",
                          "action_ts": format!("{:.6}", Timestamp::now().as_microsecond() as f64 / 1e6) }],
        })
    }

    fn root(&self) -> Option<String> {
        self.slack.messages(id::ALERTS).first().map(|message| message.ts.clone())
    }

    /// Sends an interaction to the bot, signed with this secret so many seconds ago; the HTTP status.
    pub async fn send(&self, bot: &Bot, secret: &str, payload: &Value, seconds_ago: i64) -> u16 {
        let at = Timestamp::now().as_second() - seconds_ago;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        let response = reqwest::Client::new()
            .post(format!("http://{}/slack/interactions", bot.address()))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-signature", sign(secret, at, &body))
            .header("x-slack-request-timestamp", at.to_string())
            .body(body)
            .send()
            .await
            .unwrap();
        response.status().as_u16()
    }

    /// The routes of a bot that does nothing by itself, which Slack talks to with real signatures.
    pub async fn serve(&self, bench: &Bench) {
        let url = crate::house::serve(bench, &self.settings).await;
        self.slack.set_bot(&url, "signing");
    }

    /// Calls that were to change something since the incident, and what became of them: each approved before.
    pub async fn changes(&self, store: &Store) -> Vec<Mutation> {
        assert_eq!(strays(&self.account.world, store).await, Vec::<String>::new());
        self.account.world.mutations()
    }
}

/// The trail's rows of these kinds, as they are written, after the whole chain was checked.
pub async fn trail(store: &Store, kinds: &[&str]) -> Vec<Value> {
    let rows = store.audit_trail().await.unwrap();
    audit::verify(&rows).unwrap();
    assert_eq!(store.untold().await.unwrap(), Vec::<String>::new());
    let what = rows.iter().map(|row| {
        let mut what: Value = serde_json::from_str(&row.what).unwrap();
        what["actor"] = json!(row.actor);
        what
    });
    what.filter(|what| kinds.contains(&what["kind"].as_str().unwrap())).collect()
}

/// The alert that opens the ward's incident, as it comes at this time.
pub fn alert(at: Timestamp) -> Alert {
    Alert {
        service: FUNCTION.into(),
        at,
        metric: Some("5xx".into()),
        value: None,
        threshold: None,
        severity: None,
        alert_name: None,
        source: None,
    }
}

async fn target(account: &Account, wanted: Option<fn(&Account) -> RollbackTarget>) -> RollbackTarget {
    let alias = |_: &Account| RollbackTarget::LambdaAlias {
        function: FUNCTION.to_owned(),
        alias: "live".to_owned(),
        from_version: "2".to_owned(),
        to_version: "1".to_owned(),
        from_weights: BTreeMap::new(),
        to_weights: BTreeMap::new(),
        revision_id: String::new(),
    };
    let target = wanted.unwrap_or(alias)(account);
    rollback::prepare(&account.clients().await, &target, account.clock.now(), soon()).await.unwrap()
}

/// From 12:00 on, two of five requests fail.
fn conclusion(alert: Alert, plan: Plan, expires_after: SignedDuration) -> Conclusion {
    let minutes = |count: i64| SignedDuration::from_mins(count);
    let series = |metric: &str, value: &dyn Fn(Timestamp) -> f64| Series {
        namespace: "AWS/Lambda".into(),
        metric: metric.into(),
        dimensions: vec![("FunctionName".into(), FUNCTION.into())],
        stat: "Sum".into(),
        period: 60,
        points: (0..80).map(|index| at("11:00:00") + minutes(index)).map(|at| (at, value(at))).collect(),
    };
    let onset = at("12:00:00");
    let evidence = Evidence {
        scope: Scope {
            service: FUNCTION.into(),
            region: "us-east-1".into(),
            account: ACCOUNT.into(),
            now: at("12:20:00"),
            resources: Resources { lambda: vec![FUNCTION.into()], ..Resources::default() },
            depends_on: Vec::new(),
            peers: Vec::new(),
        },
        alert,
        logs: None,
        series: Some(vec![
            series("Errors", &|at| if at < onset { 0.0 } else { 40.0 }),
            series("Invocations", &|_| 100.0),
        ]),
        trail: None,
        functions: BTreeMap::new(),
        ecs_services: Vec::new(),
        task_definitions: None,
        parameters: None,
        appconfig: None,
        releases: Releases::default(),
        snapshots: Vec::new(),
        trials: Vec::new(),
        gaps: Vec::new(),
        cost: None,
    };
    Conclusion {
        report: Report {
            service: FUNCTION.into(),
            onset: Some(Onset { at: onset, earliest: onset, latest: onset + minutes(1) }),
            verdict: Verdict { cause: Cause::Deployment, change: None, confidence: 0.97 },
            action: Action { kind: ActionKind::Rollback, target: None, reason: String::new() },
            hypotheses: [(Cause::Deployment, 0.97), (Cause::Dependency, 0.03)]
                .map(|(cause, probability)| Hypothesis { cause, event_id: None, probability, about: None })
                .to_vec(),
            evidence: vec![],
            cleared: vec![],
            gaps: vec![],
            summary: "A pool is too small.".into(),
            timeline: vec![],
            cost: None,
        },
        symptoms: Symptoms::default(),
        files: bundle::to_files(&evidence),
        plan: Some(plan),
        not_offered: None,
        expires_after,
        close_after: minutes(120),
    }
}

/// Seconds until anything is due: those in which nothing can happen pass together, and what is due is looked at in the
/// very second in which it would be.
pub async fn idle(bench: &Bench) -> u64 {
    let (work, mail) = (bench.store.next_due().await.unwrap(), bench.store.next_delivery().await.unwrap());
    let Some(next) = work.into_iter().chain(mail).min() else { return u64::MAX };
    let milliseconds = next.duration_since(bench.clock.now()).as_millis().max(0) as u64;
    milliseconds.div_ceil(1_000)
}

/// How the service fares from 12:20 on.
pub fn fare(account: &Account, afterwards: fn(i64) -> (f64, f64)) {
    for minute in 0..20 {
        let at = at("12:20:00") + SignedDuration::from_mins(minute);
        let (errors, invocations) = afterwards(minute);
        for (metric, value) in [("Errors", errors), ("Invocations", invocations)] {
            let dimensions = [("FunctionName", FUNCTION)];
            account.world.put_metric("AWS/Lambda", metric, &dimensions, at, value, "Count", false);
        }
    }
}

impl Ward {
    /// Moves every clock.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(SignedDuration::from_secs(seconds as i64));
        self.account.clock.advance(Duration::from_secs(seconds));
        if let Some(clock) = &self.slack_clock {
            clock.advance(Duration::from_secs(seconds));
        }
    }

    /// Does for so many seconds whatever is due.
    pub async fn live(&self, bench: &Bench, seconds: u64) {
        let mut left = seconds;
        while left > 0 {
            while step_once(bench).await.unwrap() {}
            while deliver_once(bench).await.unwrap() {}
            let idle = idle(bench).await.clamp(1, left);
            self.pass(idle);
            left -= idle;
        }
    }

    /// Changes the database behind the bot's back.
    pub async fn run_sql(&self, sql: &'static str) {
        let pool = sqlx::SqlitePool::connect(&self.settings.database_url).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// Somebody else moves the alias.
    pub fn drift(&self) {
        let bob = Identity::user(ACCOUNT, "bob");
        let now = self.account.clock.now();
        self.account.world.update_alias(FUNCTION, "live", "2", &BTreeMap::new(), &bob, now).unwrap();
    }

    pub async fn clicked(&self, bench: &Bench, delivery: &str, user: &str, action: &str) {
        self.clicked_on(bench, &self.of(bench).await, delivery, user, action).await;
    }

    /// A press on this request, wherever it is shown.
    pub async fn clicked_on(
        &self,
        bench: &Bench,
        approval: &Approval,
        delivery: &str,
        user: &str,
        action: &str,
    ) {
        let click = ClickedButton {
            delivery: delivery.to_owned(),
            action_id: action.to_owned(),
            value: approval.id.clone(),
            user: user.to_owned(),
            channel: approval.channel.clone().unwrap_or_default(),
            message_ts: approval.message_ts.clone().unwrap_or_default(),
            thread_ts: self.root(),
            reason: None,
        };
        bench.store.accept_click(delivery, click, self.clock.now()).await.unwrap();
    }

    pub async fn of(&self, bench: &Bench) -> Approval {
        bench.store.approval(&self.approval).await.unwrap().unwrap()
    }
}
