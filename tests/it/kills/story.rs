//! The whole story, from an alert to a recovery or another end, told by processes of which one dies at a numbered point;
//! compared with the story that nobody disturbed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use incident_commander::demo::aws::{Fault, WorldClock, WorldOptions};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, Options, SlackWorld, Submitted};
use incident_commander::domain::incident::IncidentId;
use incident_commander::fail_points::Point;
use incident_commander::store::Store;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use tokio::net::TcpListener;

use super::victim::{Order, Stop, Victim};
use super::{GLANCE, asked_for};
use crate::aws_account::{Account, FUNCTION, at};
use crate::aws_late::fail;
use crate::clicks::reason;
use crate::credentials::strays;
use crate::house::PATIENCE;
use crate::trials::{by_version, two_changes_in};
use crate::ward::fare;

const APPROVE: &str = "rollback_approve";
const APPROVE_ALONE: &str = "rollback_break_glass";
/// How often it is let by before it dies, at points that every step and message comes by; all of them where the script
/// asks for so many ([`who_is_killed_anywhere_is_followed_by_one_who_ends_the_story`]).
const SAMPLE: u32 = 4;
/// An hour on the story's clock: whatever happens, it has ended by then.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// How a story goes on once approval is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Plot {
    /// Somebody approves, and it helps.
    Approved,
    /// The same, and AWS makes the change while its answer is lost.
    AnswerLost,
    /// The same by somebody alone, with a reason.
    Alone,
    /// Somebody approves, and it does not help.
    InVain,
    /// Nobody decides in time.
    Expired,
    /// Two changes fit, somebody approves a small test, and nobody decides on what follows from its result.
    Trial,
}

impl Plot {
    const ALL: [Self; 6] =
        [Self::Approved, Self::AnswerLost, Self::Alone, Self::InVain, Self::Expired, Self::Trial];

    /// More of the section on approvals.
    fn approvals(self) -> String {
        match self {
            Self::Alone => format!("break_glass = [\"{}\"]\n", id::ON_CALL),
            Self::Expired => "expires_after = \"2m\"\n".to_owned(),
            // Longer than the test lasts: its own request is decided at once.
            Self::Trial => "expires_after = \"10m\"\n".to_owned(),
            Self::Approved | Self::AnswerLost | Self::InVain => String::new(),
        }
    }

    /// The state in which its incident ends, and what is changed in the account.
    fn end(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Approved | Self::AnswerLost | Self::Alone => ("recovered", &["lambda:UpdateAlias"]),
            Self::InVain => ("not_recovered", &["lambda:UpdateAlias"]),
            Self::Expired => ("reported", &[]),
            // Begun once and ended once.
            Self::Trial => ("reported", &["lambda:UpdateAlias", "lambda:UpdateAlias"]),
        }
    }

    /// Where a process is to die in it.
    fn stops(self) -> Vec<Stop> {
        let first = |point| Stop { point, passes: 0 };
        match self {
            Self::Approved => {
                let once = Point::UNTIL_A_CLICK.into_iter().chain(Point::OF_A_RECOVERY);
                // And those that every step and message comes by again and again.
                let often = Point::ALL_ALONG.into_iter();
                let often = often.flat_map(|point| (0..SAMPLE).map(move |passes| Stop { point, passes }));
                once.chain([Point::ClickArrived]).map(first).chain(often).collect()
            }
            Self::AnswerLost => vec![first(Point::ReadBack)],
            Self::Alone => [Point::FormOpened, Point::ClickArrived, Point::Alone].map(first).to_vec(),
            Self::InVain => vec![first(Point::UndoAsked)],
            Self::Expired => vec![first(Point::Expired)],
            Self::Trial => Point::OF_A_TRIAL.map(first).to_vec(),
        }
    }

    /// When it begins, and when its alert says that it fired.
    fn times(self) -> (Timestamp, &'static str) {
        match self {
            Self::Trial => (at("12:20:00"), "2026-02-06T12:15:00Z"),
            _ => (at("12:07:30"), "2026-02-06T12:07:00Z"),
        }
    }

    /// What has happened in the account by then: the alias moved at 12:00 to a version with a pool too small, and orders
    /// fail from 12:05 on; where a test is offered, another change fits as well.
    fn set_up(self, account: &Account) {
        account.deploy_checkout();
        match self {
            Self::Trial => {
                two_changes_in(account, 100.0);
                by_version(account, 0.0);
                fare(account, |_| (40.0, 100.0));
            }
            _ => fail(account, at("11:00:00"), 67),
        }
        if self == Self::AnswerLost {
            account.world.script_faults("lambda:UpdateAlias", [Some(Fault::LostAnswer)]);
        }
    }
}

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
    plot: Plot,
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
    async fn open(plot: Plot, stop: Option<Stop>) -> Self {
        let (now, _) = plot.times();
        let account = Account::with(WorldOptions::immediate(WorldClock::manual(now))).await;
        plot.set_up(&account);
        let slack_clock = WorldClock::manual(now);
        let slack = SlackWorld::new(Options {
            clock: Some(slack_clock.clone()),
            ack_deadline: PATIENCE,
            trigger_lifetime: PATIENCE,
            ..Options::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let [read, write] = account.roles();
        let config = format!(
            "[slack]\nalert_channels = [\"{}\"]\n[aws]\nregion = \"us-east-1\"\nread_role_arn = \"{read}\"\n\
             write_role_arn = \"{write}\"\n[approvals]\napprovers = [\"{}\"]\n{}[incidents]\nlook_again = []\n\
             [[person]]\nslack = \"{}\"\naws = [\"arn:aws:iam::123456789012:user/alice\"]\n",
            id::ALERTS,
            id::APPROVER,
            plot.approvals(),
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
            plot,
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
            let story = (self.plot, self.stop);
            assert!(self.account.clock.now() < end, "{what} did not come ({story:?})");
            assert!(tokio::time::Instant::now() < real_end, "{what} takes too long ({story:?})");
            if self.is_busy().await {
                tokio::time::sleep(GLANCE).await;
                continue;
            }
            let next = self.number(NEXT).await.map_or(1, |milliseconds| milliseconds / 1000 + 1);
            self.pass(next.clamp(1, 5) as u64).await;
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Moves all clocks; orders come in as ever, and fail where the bad version serves them, or any where nothing helps.
    async fn pass(&mut self, seconds: u64) {
        let (version, _) = self.account.world.live_configuration(FUNCTION, "live").unwrap();
        let begin = self.account.clock.now();
        // What becomes of a test is counted beforehand.
        for second in (0..seconds).filter(|_| self.plot != Plot::Trial) {
            let at = begin + Duration::from_secs(second);
            let failed = (version == "2" || self.plot == Plot::InVain) && second % 10 < 7;
            self.account.world.record_invocation(FUNCTION, &version, Some("live"), at, 150.0, failed);
        }
        self.account.clock.advance(Duration::from_secs(seconds));
        self.slack_clock.advance(Duration::from_secs(seconds));
        self.victim.as_mut().unwrap().pass(seconds).await;
    }

    /// A monitoring tool sends the alert until it hears that it is taken in. How often it was sent.
    async fn alert(&mut self) -> i64 {
        let body = json!({ "service": FUNCTION, "triggered_at": self.plot.times().1 }).to_string();
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

    /// Does this; `None` where the process died meanwhile, and another one follows.
    async fn unless_it_dies<T>(&mut self, deed: impl Future<Output = T>) -> Option<T> {
        let done = tokio::select! {
            done = deed => Some(done),
            () = self.victim().reaches() => None,
        };
        if done.is_none() {
            self.die().await;
        }
        done
    }

    /// The message with this button, once it is there and its place is known; `None` where it is decided already.
    async fn asked(&mut self, button: &'static str) -> Option<Message> {
        const PENDING_WITH_PLACE: &str = "SELECT count(*) FROM approvals WHERE undoes IS NULL
                AND (decision IS NOT NULL OR message_ts IS NOT NULL AND ?1 > 0)";
        let asks = move |slack: &SlackWorld| {
            let all = slack.messages(id::ALERTS);
            all.into_iter().find(|message| message.action_ids().contains(&button))
        };
        let ready = async |world: &Self| {
            let placed = world.number(PENDING_WITH_PLACE).await == Some(1);
            placed && (asks(&world.slack).is_some() || world.is_decided().await)
        };
        self.until("the request", ready).await;
        asks(&self.slack)
    }

    async fn is_decided(&self) -> bool {
        const DECIDED: &str = "SELECT count(*) FROM approvals WHERE decision IS NOT NULL AND ?1 > 0";
        self.number(DECIDED).await == Some(1)
    }

    /// What was stored is carried out; who pressed sees whether anything happens before pressing again.
    async fn first_press_is_done(&mut self) {
        const WAITS: &str = "SELECT count(*) FROM jobs WHERE state = 'ready' AND kind = 'decide' AND ?1 > 0";
        self.until("the first press", async |world: &Self| world.number(WAITS).await == Some(0)).await;
    }

    /// Somebody who may approves, once more where Slack said that it did not work.
    async fn approve(&mut self) {
        while let Some(message) = self.asked(APPROVE).await {
            let slack = self.slack.clone();
            let click = slack.click(id::APPROVER, id::ALERTS, &message.ts, APPROVE);
            if self.unless_it_dies(click).await.is_some_and(|outcome| outcome.unwrap().acknowledged()) {
                return;
            }
            self.first_press_is_done().await;
            if self.is_decided().await {
                return;
            }
        }
    }

    /// Somebody who may alone gives a reason, in the form that is open, however often it takes to send it.
    async fn approve_alone(&mut self) {
        let filled = [reason("alone at night")];
        while let Some(message) = self.asked(APPROVE_ALONE).await {
            let slack = self.slack.clone();
            let click = slack.click(id::ON_CALL, id::ALERTS, &message.ts, APPROVE_ALONE);
            // Where the process died over it, the form is open all the same.
            drop(self.unless_it_dies(click).await);
            for _ in 0..2 {
                let sent = self.unless_it_dies(slack.submit_view(id::ON_CALL, &filled)).await;
                if matches!(sent, Some(Ok(Submitted::Closed))) {
                    return;
                }
            }
            self.first_press_is_done().await;
            if self.is_decided().await {
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

/// What is left of a story, and whether a process died in it.
struct Told {
    picture: Picture,
    died: bool,
}

/// From the alert until how it ended is told and nothing is owed any more.
async fn tell(plot: Plot, stop: Option<Stop>) -> Told {
    let mut world = World::open(plot, stop).await;
    let sent = world.alert().await;
    match plot {
        Plot::Approved | Plot::AnswerLost | Plot::InVain | Plot::Trial => world.approve().await,
        Plot::Alone => world.approve_alone().await,
        Plot::Expired => {}
    }
    // An approved change is judged; to take one back is asked for, and nobody answers.
    const OPEN: &str = "SELECT (SELECT count(*) FROM approvals WHERE undoes IS NULL
                AND (decision IS NULL OR decision = 'approved' AND judged IS NULL
                     AND id NOT IN (SELECT approval_id FROM trials WHERE result IS NOT NULL)))
            + (SELECT count(*) FROM jobs WHERE state = 'ready' AND kind NOT IN ('close_quiet', 'expire'))
            + (SELECT count(*) FROM outbox WHERE state = 'due')
            + (SELECT count(*) FROM incidents WHERE state = 'investigating') + (?1 < 0)";
    world.until("the end", async |world: &World| world.number(OPEN).await == Some(0)).await;
    Told { picture: world.picture(sent).await, died: world.died }
}

/// Stories at the same time: each waits mostly for its other process.
const AT_ONCE: usize = 3;

/// Tells each plot undisturbed, and with each of these stops.
async fn end_as_the_undisturbed(stops: Vec<(Plot, Stop)>) {
    let plots: BTreeSet<Plot> = stops.iter().map(|(plot, _)| *plot).collect();
    let stories = plots.into_iter().map(|plot| (plot, None));
    let stories: Vec<_> = stories.chain(stops.into_iter().map(|(plot, stop)| (plot, Some(stop)))).collect();
    let told = futures::stream::iter(stories)
        .map(|(plot, stop)| async move { ((plot, stop), tell(plot, stop).await) });
    // In their order: the undisturbed ones come first.
    let told: Vec<_> = told.buffered(AT_ONCE).collect().await;
    for ((plot, stop), Told { picture, died }) in &told {
        assert_eq!(*died, stop.is_some(), "{stop:?} was never reached");
        let (state, changes) = plot.end();
        assert_eq!(picture.incident["state"], state, "{plot:?} {stop:?}");
        assert_eq!(picture.changes, changes, "{plot:?} {stop:?}");
        let undisturbed = told.iter().find(|((other, stop), _)| other == plot && stop.is_none());
        assert_eq!(
            Some(picture),
            undisturbed.map(|(_, undisturbed)| &undisturbed.picture),
            "{plot:?}, killed at {stop:?}"
        );
    }
}

fn everywhere() -> Vec<(Plot, Stop)> {
    let all = Plot::ALL.into_iter();
    all.flat_map(|plot| plot.stops().into_iter().map(move |stop| (plot, stop))).collect()
}

#[test]
fn no_numbered_point_is_left_out() {
    let died_at: BTreeSet<u8> = everywhere().into_iter().map(|(_, stop)| stop.point as u8).collect();
    let numbered: BTreeSet<u8> = Point::all().map(|point| point as u8).collect();
    assert_eq!(died_at, numbered);
    assert_eq!(numbered, (1..=33).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_after_the_alert_a_message_or_the_change_is_followed_by_one_who_ends_the_story() {
    let stops = [(Point::AlertStored, 0), (Point::Arrived, 1), (Point::Answered, 0)];
    let stops = stops.map(|(point, passes)| (Plot::Approved, Stop { point, passes })).to_vec();
    end_as_the_undisturbed(stops).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute or two: tests/soak/kills.sh runs it"]
async fn who_is_killed_anywhere_is_followed_by_one_who_ends_the_story() {
    let every = asked_for("EVERY", 1).max(1);
    end_as_the_undisturbed(everywhere().into_iter().step_by(every).collect()).await;
    // And, where the script asks for it, at every further pass, until a story ends that has no more of them.
    let passes = asked_for("PASSES", SAMPLE as usize) as u32;
    if passes <= SAMPLE {
        return;
    }
    let undisturbed = tell(Plot::Approved, None).await.picture;
    for point in Point::ALL_ALONG {
        let stories = (SAMPLE..passes).map(|passes| async move {
            let stop = Stop { point, passes };
            (stop, tell(Plot::Approved, Some(stop)).await)
        });
        let told = futures::stream::iter(stories).buffered(AT_ONCE);
        let mut told = std::pin::pin!(told.take_while(|(_, told)| std::future::ready(told.died)));
        while let Some((stop, told)) = told.next().await {
            assert_eq!(told.picture, undisturbed, "killed at {stop:?}");
        }
    }
}
