//! The whole story, from an alert to a recovery, told by processes of which one dies at a numbered point; compared with
//! the story that nobody disturbed.

use std::time::Duration;

use futures::StreamExt as _;
use incident_commander::demo::aws::{WorldClock, WorldOptions};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::domain::incident::IncidentId;
use incident_commander::fail_points::Point;
use incident_commander::store::Store;
use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::SqlitePool;
use tokio::net::TcpListener;

use super::victim::{Order, Stop, Victim};
use super::{GLANCE, asked_for};
use crate::aws_account::{Account, FUNCTION, at};
use crate::aws_late::fail;
use crate::credentials::{READ, WRITE, strays};
use crate::deploy::granted;
use crate::house::PATIENCE;

const APPROVE: &str = "rollback_approve";
/// An hour on the story's clock: whatever happens, it has ended by then.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// What can be seen of a story once it has ended, but for its times.
#[derive(Debug, PartialEq)]
struct Picture {
    incident: Value,
    /// Kind, whether it stands in the thread, and how it begins.
    messages: Vec<(String, bool, String)>,
    changes: Vec<String>,
    decided: usize,
}

struct World {
    account: Account,
    slack: SlackWorld,
    slack_clock: WorldClock,
    order: Order,
    victim: Option<Victim>,
    stop: Option<Stop>,
    /// Where the story ends unless it dies before.
    died: bool,
    database: Option<SqlitePool>,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl World {
    /// The alias moved at 12:00 to a version with a pool too small, orders failed from 12:05 on, and it is 12:07:30.
    async fn open(stop: Option<Stop>) -> Self {
        let now = at("12:07:30");
        let account = Account::with(WorldOptions::immediate(WorldClock::manual(now))).await;
        account.deploy_checkout();
        fail(&account, at("11:00:00"), 67);
        let slack_clock = WorldClock::manual(now);
        let slack = SlackWorld::new(Options {
            clock: Some(slack_clock.clone()),
            ack_deadline: PATIENCE,
            trigger_lifetime: PATIENCE,
            ..Options::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let role = |name: &str, file: &str| {
            let actions = granted(file);
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            account.world.add_role(name, &actions)
        };
        let config = format!(
            "[slack]\nalert_channels = [\"{}\"]\n[aws]\nregion = \"us-east-1\"\nread_role_arn = \"{}\"\n\
             write_role_arn = \"{}\"\n[approvals]\napprovers = [\"{}\"]\n[incidents]\nlook_again = []\n\
             [[person]]\nslack = \"{}\"\naws = [\"arn:aws:iam::123456789012:user/alice\"]\n",
            id::ALERTS,
            role(READ, "iam-read.json"),
            role(WRITE, "iam-write.json"),
            id::APPROVER,
            id::DEVELOPER,
        );
        let order = Order {
            folder: folder.path().to_owned(),
            config,
            slack_api_url: slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap(),
            aws_endpoint_url: account.url.clone(),
            access_key: account.access_key.clone(),
            now,
            stop: stop.map(|stop| (stop.point as u8, stop.passes)),
        };
        let mut world = Self {
            account,
            slack,
            slack_clock,
            order,
            victim: None,
            stop,
            died: false,
            database: None,
            client: reqwest::Client::new(),
            _folder: folder,
        };
        world.begin().await;
        world
    }

    async fn begin(&mut self) {
        let victim = Victim::start(&self.order).await;
        self.slack.set_bot(&victim.url, "signing");
        self.victim = Some(victim);
        if self.database.is_none() {
            self.database = Some(SqlitePool::connect(&self.order.database_url()).await.unwrap());
        }
    }

    fn victim(&self) -> &Victim {
        self.victim.as_ref().unwrap()
    }

    /// It has come to its point: it is killed, and another one begins that lives on.
    async fn die(&mut self) {
        self.victim.take().unwrap().kill().await;
        self.died = true;
        self.order.stop = None;
        self.order.now = self.account.clock.now();
        self.begin().await;
    }

    async fn number(&self, sql: &'static str) -> Option<i64> {
        let now = self.account.clock.now().as_millisecond();
        sqlx::query_scalar(sql).bind(now).fetch_one(self.database.as_ref().unwrap()).await.unwrap()
    }

    /// Whether the process is at something.
    async fn is_busy(&self) -> bool {
        const UNDER_WAY: &str =
            "SELECT (SELECT count(*) FROM jobs WHERE state = 'ready' AND leased_until > ?1)
                + (SELECT count(*) FROM outbox WHERE state = 'due' AND leased_until > ?1)";
        self.number(UNDER_WAY).await.unwrap() > 0
    }

    /// Lets time pass until this holds; whoever comes to its point meanwhile dies and is followed.
    async fn until(&mut self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        // Never longer than until something is due, and never so long that a lease ends.
        const NEXT: &str = "SELECT min(at) - ?1 FROM (
                SELECT run_at AS at FROM jobs WHERE state = 'ready'
                UNION ALL SELECT not_before FROM outbox WHERE state = 'due') WHERE at > ?1";
        let end = self.account.clock.now() + LONGEST;
        let real_end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if self.victim().has_reached() {
                self.die().await;
            }
            if holds(self).await {
                return;
            }
            assert!(self.account.clock.now() < end, "{what} did not come ({:?})", self.stop);
            assert!(tokio::time::Instant::now() < real_end, "{what} takes too long ({:?})", self.stop);
            if self.is_busy().await {
                tokio::time::sleep(GLANCE).await;
                continue;
            }
            let next = self.number(NEXT).await.map_or(1, |milliseconds| milliseconds / 1000 + 1);
            self.pass(next.clamp(1, 5) as u64).await;
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Moves all clocks; orders come in as ever, and fail where the bad version serves them.
    async fn pass(&mut self, seconds: u64) {
        let (version, _) = self.account.world.live_configuration(FUNCTION, "live").unwrap();
        let begin = self.account.clock.now();
        for second in 0..seconds {
            let (at, failed) = (begin + Duration::from_secs(second), version == "2" && second % 10 < 7);
            self.account.world.record_invocation(FUNCTION, &version, Some("live"), at, 150.0, failed);
        }
        self.account.clock.advance(Duration::from_secs(seconds));
        self.slack_clock.advance(Duration::from_secs(seconds));
        self.victim.as_mut().unwrap().pass(seconds).await;
    }

    /// A monitoring tool sends the alert until it hears that it is taken in. How often it was sent.
    async fn alert(&mut self) -> i64 {
        let body = format!(r#"{{"service": "{FUNCTION}", "triggered_at": "2026-02-06T12:07:00Z"}}"#);
        for sent in 1.. {
            let request = self.client.post(format!("{}/alert", self.victim().url)).body(body.clone()).send();
            let status = tokio::select! {
                answer = request => answer.map(|answer| answer.status().as_u16()).ok(),
                () = self.victim().reaches() => None,
            };
            match status {
                Some(202) => return sent,
                Some(other) => panic!("{other} ({:?})", self.stop),
                None => self.die().await,
            }
        }
        unreachable!("it is taken in")
    }

    /// Somebody who may approves, once more where Slack said that it did not work.
    async fn approve(&mut self) {
        loop {
            let asks = |slack: &SlackWorld| {
                let all = slack.messages(id::ALERTS);
                all.into_iter().find(|message| message.action_ids().contains(&APPROVE))
            };
            let ready = async |world: &Self| {
                asks(&world.slack).is_some() && world.number(PENDING_WITH_PLACE).await == Some(1)
            };
            const PENDING_WITH_PLACE: &str = "SELECT count(*) FROM approvals WHERE decision IS NOT NULL OR message_ts IS NOT NULL AND ?1 > 0";
            self.until("the request", ready).await;
            let Some(message) = asks(&self.slack) else { return };
            let slack = self.slack.clone();
            let acknowledged = tokio::select! {
                outcome = slack.click(id::APPROVER, id::ALERTS, &message.ts, APPROVE) => outcome.unwrap().acknowledged(),
                () = self.victim().reaches() => false,
            };
            if acknowledged {
                return;
            }
            self.die().await;
            // What was stored is carried out; who pressed sees whether anything happens before pressing again.
            const WAITS: &str =
                "SELECT count(*) FROM jobs WHERE state = 'ready' AND kind = 'decide' AND ?1 > 0";
            self.until("the first press", async |world: &Self| world.number(WAITS).await == Some(0)).await;
            if self.number("SELECT count(*) FROM approvals WHERE decision IS NOT NULL AND ?1 > 0").await
                == Some(1)
            {
                return;
            }
        }
    }

    async fn picture(&self, sent: i64) -> Picture {
        let store = Store::open_beside(&self.order.database_url()).await.unwrap();
        let lines = store.list(10).await.unwrap();
        assert_eq!(lines.len(), 1, "one incident ({:?})", self.stop);
        let heard = lines[0].alerts_received;
        assert!(1 <= heard && heard <= sent, "{heard} of {sent} ({:?})", self.stop);
        assert_eq!(strays(&self.account.world, &store).await, Vec::<String>::new(), "{:?}", self.stop);
        let incident = json!(store.incident(IncidentId(1)).await.unwrap().unwrap());
        let trail = store.audit_trail().await.unwrap();
        let messages = self.slack.messages(id::ALERTS).into_iter().map(|message| {
            let root = message.is_reply();
            let kind =
                message.event_type().unwrap_or(if message.files.is_empty() { "other" } else { "chart" });
            // Times and figures depend on when it was looked at.
            let begins = message.text.split([':', '.', ',']).next().unwrap_or_default();
            let begins = begins.chars().filter(|letter| !letter.is_ascii_digit()).collect();
            (kind.to_owned(), root, begins)
        });
        let mut messages: Vec<_> = messages.collect();
        messages.sort();
        store.close().await;
        Picture {
            incident: json!({
                "service": incident["service"], "state": incident["state"], "cause": incident["verdict"]["cause"],
                "change": incident["verdict"]["change"]["resource"], "approvals": incident["approvals"].as_array().unwrap().len(),
                "judged": incident["approvals"][0]["judged"],
            }),
            messages,
            changes: self.account.world.mutations().into_iter().map(|one| one.operation).collect(),
            decided: trail.iter().filter(|row| row.what.contains(r#""kind":"decided""#)).count(),
        }
    }
}

/// From the alert until the recovery is told and nothing is owed any more.
async fn tell(stop: Option<Stop>) -> Picture {
    let mut world = World::open(stop).await;
    let sent = world.alert().await;
    world.approve().await;
    const OPEN: &str = "SELECT (SELECT count(*) FROM approvals WHERE judged IS NULL)
            + (SELECT count(*) FROM jobs WHERE state = 'ready' AND kind NOT IN ('close_quiet', 'expire'))
            + (SELECT count(*) FROM outbox WHERE state = 'due') + (?1 < 0)";
    world.until("the end", async |world: &World| world.number(OPEN).await == Some(0)).await;
    assert!(stop.is_none() || world.died, "{stop:?} was never reached");
    world.picture(sent).await
}

/// Every numbered point, and those that every step and message comes by again and again.
fn everywhere() -> Vec<Stop> {
    let once =
        Point::UNTIL_A_CLICK.into_iter().chain(Point::OF_A_RECOVERY).map(|point| Stop { point, passes: 0 });
    let often =
        Point::ALL_ALONG.into_iter().flat_map(|point| (0..4).map(move |passes| Stop { point, passes }));
    once.chain(often).collect()
}

/// Stories at the same time: each waits mostly for its other process.
const AT_ONCE: usize = 3;

async fn end_as_the_undisturbed(stops: Vec<Stop>) {
    let undisturbed = tell(None).await;
    assert_eq!(undisturbed.incident["state"], "recovered");
    assert_eq!(undisturbed.changes, ["lambda:UpdateAlias"]);
    let told = futures::stream::iter(stops).map(|stop| async move { (stop, tell(Some(stop)).await) });
    let told: Vec<_> = told.buffer_unordered(AT_ONCE).collect().await;
    for (stop, picture) in told {
        assert_eq!(picture, undisturbed, "killed at {stop:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_after_the_alert_a_message_or_the_change_is_followed_by_one_who_ends_the_story() {
    let stops = [(Point::AlertStored, 0), (Point::Arrived, 1), (Point::Answered, 0)];
    let stops = stops.map(|(point, passes)| Stop { point, passes }).to_vec();
    end_as_the_undisturbed(stops).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute or two: tests/soak/kills.sh runs it"]
async fn who_is_killed_anywhere_is_followed_by_one_who_ends_the_story() {
    let every = asked_for("EVERY", 1).max(1);
    end_as_the_undisturbed(everywhere().into_iter().step_by(every).collect()).await;
}
