//! The matrix of faults: each dependency, each fault, one problem and many at once, with what comes of it.
//!
//! The rule that is not obvious: what a fault may cost is told beside it, and nothing else is lost: every alert is
//! stored, every incident has its verdict, every message stands once. A full disk is told in `src/worker/tests.rs`,
//! silence and lost answers of a single call in `aws_faults.rs` and `outbox.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::iter;
use incident_commander::app;
use incident_commander::clock::Clock;
use incident_commander::demo::aws::{Fault as AwsFault, WorldClock, WorldOptions};
use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::incident::State;
use incident_commander::slack::socket::{Answer, Envelope, Timing};
use incident_commander::store::{Accepted, NewAlert, Origin, STORM_FROM, StoreError};
use incident_commander::worker::{deliver_once, step_once};
use jiff::SignedDuration;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};

use crate::aws_account::{Account, FUNCTION, at};
use crate::house::{PATIENCE, between};
use crate::office::{Office, whole};
use crate::sns::{self, Trouble};
use crate::socket_mode::{Line, hurried};

fn alert(service: &str) -> Alert {
    let body =
        format!(r#"{{"service": "{service}", "alert_name": "HighErrorRate", "at": "2026-02-06T12:17:00Z"}}"#);
    serde_json::from_str(&body).unwrap()
}

/// A fault of Slack, and whether it is silence, which `/readyz` names.
fn of_slack() -> Vec<(FaultKind, bool)> {
    vec![
        (FaultKind::Latency(Duration::from_millis(20)), false),
        (FaultKind::Status(403), true),
        (FaultKind::Status(404), true),
        (FaultKind::Status(500), true),
        (FaultKind::Status(503), true),
        (FaultKind::RateLimited(Duration::from_secs(2)), false),
        (FaultKind::Error("internal_error".into()), false),
        (FaultKind::Malformed, true),
        (FaultKind::Truncated, true),
        (FaultKind::Reset, true),
        (FaultKind::AcceptedThenReset, true),
    ]
}

/// A bot beside a Slack that sets no pace, whose work is stepped by hand.
async fn office() -> Office {
    let config = format!("[slack]\nalert_channels = [\"{}\"]\n", id::ALERTS);
    Office::open(Pace::unlimited(), &config).await
}

/// So many alerts of as many services, while this befalls Slack; then it answers again. Every message stands once.
/// `is_down` where it is known what its last call was.
async fn slack_meets(fault: Fault, is_down: Option<bool>, problems: usize) {
    let what = format!("{fault:?} × {problems}");
    let office = office().await;
    office.slack.script(fault);
    for number in 0..problems {
        let accepted = office.desk.alert(alert(&format!("service-{number}")), Origin::default()).await;
        assert!(matches!(accepted.unwrap(), Accepted::Opened(_)), "{what}");
    }
    office.live(10).await;
    let down = office.bench.metrics.dependencies_down();
    let told = down.contains(&"slack".to_owned());
    assert!(is_down.is_none_or(|is_down| is_down == told), "{what}: {down:?}");
    office.slack.clear_faults();
    stands_once(&office, &what, problems).await;
    assert_eq!(office.bench.metrics.dependencies_down(), Vec::<String>::new(), "{what}");
}

/// All goes well from now on: each problem comes to one headline and one result, and a storm to one message more.
async fn stands_once(office: &Office, what: &str, problems: usize) {
    // A minute is the longest that anything waits for its next attempt; a post that may have arrived is looked for.
    office.live(130).await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for message in office.posted() {
        let about = message.metadata.as_ref().unwrap()["event_payload"]["incident"].to_string();
        *seen.entry(format!("{about} {}", message.event_type().unwrap())).or_default() += 1;
    }
    // The storm is about no incident.
    let expected = 2 * problems + usize::from(problems > 1);
    assert_eq!(seen.len(), expected, "{what}: {seen:?}");
    assert!(seen.values().all(|count| *count == 1), "{what}: {seen:?}");
    assert_eq!(office.bench.store.put_aside().await.unwrap(), [], "{what}");
}

/// One problem, and so many that they are a storm.
const IDLE_AND_STORM: [usize; 2] = [1, STORM_FROM as usize + 1];

#[tokio::test]
async fn whatever_slack_does_every_message_stands_once_as_soon_as_it_answers() {
    for (kind, is_silence) in of_slack() {
        for problems in IDLE_AND_STORM {
            slack_meets(Fault::share(1.0, kind.clone()), Some(is_silence), problems).await;
        }
    }
}

#[tokio::test]
#[ignore = "waits for deadlines as they are: tests/soak/kills.sh runs it"]
async fn where_slack_is_silent_every_message_stands_once_all_the_same() {
    // It takes two messages, and never says so.
    let silence = Fault { times: Some(2), ..Fault::once("chat.postMessage", FaultKind::AcceptedThenSilence) };
    let [idle, storm] = IDLE_AND_STORM;
    tokio::join!(slack_meets(silence.clone(), None, idle), slack_meets(silence, None, storm));
}

/// Holds the office's database as another program would that writes to it.
async fn held(office: &Office) -> SqliteConnection {
    let mut other = SqliteConnection::connect(&office.database_url()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

#[tokio::test]
async fn while_another_program_writes_everything_waits_and_nothing_is_lost() {
    for problems in IDLE_AND_STORM {
        let office = office().await;
        let release = async |mut other: SqliteConnection| {
            // A while that is shorter than anybody's patience on any machine.
            const A_WHILE: &str =
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                                   SELECT count(*) FROM n";
            sqlx::query(A_WHILE).execute(&mut other).await.unwrap();
            sqlx::query("COMMIT").execute(&mut other).await.unwrap();
        };
        let alerts = (0..problems).map(|number| alert(&format!("service-{number}")));
        let alerts = alerts.map(|alert| office.desk.alert(alert, Origin::default()));
        let other = held(&office).await;
        let (accepted, ()) = tokio::join!(join_all(alerts), release(other));
        assert!(accepted.iter().all(|one| matches!(one, Ok(Accepted::Opened(_)))), "{accepted:?}");
        let other = held(&office).await;
        tokio::join!(office.work(), release(other));
        stands_once(&office, "a database that is slow", problems).await;
    }
}

#[tokio::test]
#[ignore = "waits for deadlines as they are: tests/soak/kills.sh runs it"]
async fn while_the_database_is_locked_nothing_is_acknowledged_and_afterwards_nothing_is_missing() {
    let [idle, storm] = IDLE_AND_STORM;
    let locked = async |problems: usize| {
        let office = office().await;
        let send = async || {
            let all = (0..problems).map(|number| alert(&format!("service-{number}")));
            join_all(all.map(|alert| office.desk.alert(alert, Origin::default()))).await
        };
        assert!(send().await.iter().all(|one| matches!(one, Ok(Accepted::Opened(_)))));
        let mut other = held(&office).await;
        let refused = send().await;
        assert!(refused.iter().all(|one| matches!(one, Err(StoreError::Locked))), "{refused:?}");
        // Whoever works finds no job, says why, and looks again later.
        assert!(matches!(step_once(&office.bench).await, Err(StoreError::Locked)));
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        assert!(send().await.iter().all(|one| matches!(one, Ok(Accepted::Joined(_)))), "they are sent again");
        for line in office.bench.store.list(100).await.unwrap() {
            assert_eq!(line.alerts_received, 2, "what was acknowledged, and no more");
        }
        stands_once(&office, "a database that was locked", problems).await;
    };
    tokio::join!(locked(idle), locked(storm));
}

/// What a fault of AWS costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cost {
    Nothing,
    /// Every source, until somebody mends it: told in the result.
    Sources,
    /// Every source, for as long as the fault lasts: told in the headline as well.
    SourcesMeanwhile,
    /// The same, and the service counts as one that is down.
    Service,
}

fn of_aws() -> Vec<(AwsFault, Cost)> {
    const PAGE: &str = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>";
    let error = |status, code: &str| AwsFault::Error { status, code: code.into(), message: "no".into() };
    vec![
        (AwsFault::Delay(Duration::from_millis(50)), Cost::Nothing),
        (AwsFault::Reset, Cost::Service),
        (AwsFault::Truncated, Cost::SourcesMeanwhile),
        (AwsFault::Malformed, Cost::SourcesMeanwhile),
        (error(400, "ValidationException"), Cost::Sources),
        (error(403, "AccessDeniedException"), Cost::Sources),
        (error(500, "InternalFailure"), Cost::Service),
        (error(503, "ServiceUnavailable"), Cost::Service),
        (AwsFault::Page { status: 503, body: "" }, Cost::Service),
        (AwsFault::Page { status: 503, body: PAGE }, Cost::Service),
        (AwsFault::Throttle, Cost::SourcesMeanwhile),
    ]
}

/// So many problems at once, while this befalls AWS. Each has its verdict, which says what it lacks.
async fn aws_meets(fault: AwsFault, cost: Cost, problems: usize) {
    let what = format!("{fault:?} × {problems}");
    let account = Account::with(WorldOptions::immediate(WorldClock::manual(at("12:20:00")))).await;
    account.deploy_checkout();
    account.world.rate_fault("*", 1.0, fault.clone());
    let slack_clock = WorldClock::manual(at("12:20:00"));
    let slack = SlackWorld::new(Options {
        clock: Some(slack_clock.clone()),
        pace: Pace::unlimited(),
        ..Options::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let mut settings = between(folder.path(), &account, &slack).await;
    settings.config.incidents.look_again = Vec::new();
    let bench = app::assemble(&settings, Clock::manual(at("12:20:00"))).await.unwrap();
    for number in 0..problems {
        let service = if number == 0 { FUNCTION.to_owned() } else { format!("service-{number}") };
        let new = NewAlert { alert: alert(&service), origin: Origin::default() };
        bench.store.accept(new, at("12:20:00")).await.unwrap();
    }
    while join_all((0..problems).map(|_| step_once(&bench))).await.into_iter().any(|done| done.unwrap()) {}
    // A channel takes a message a second.
    for _ in 0..=3 * problems {
        while deliver_once(&bench).await.unwrap() {}
        bench.clock.advance(SignedDuration::from_secs(1));
        slack_clock.advance(Duration::from_secs(1));
    }
    let lines = bench.store.list(100).await.unwrap();
    assert_eq!(lines.len(), problems, "{what}");
    for line in lines {
        assert_eq!(line.state, State::Reported, "{what}");
        let gaps = bench.store.incident(line.id).await.unwrap().unwrap().gaps;
        for source in ["metrics", "cloudtrail", "logs"] {
            let is_missed = gaps.iter().any(|gap| gap.source == source);
            assert!(is_missed || cost == Cost::Nothing, "{what}: {source}: {gaps:?}");
        }
    }
    assert_eq!(bench.store.put_aside().await.unwrap(), [], "{what}");
    let mut headlines = slack.messages(id::ALERTS);
    headlines.retain(|message| message.event_type() == Some("incident_headline"));
    assert_eq!(headlines.len(), problems, "{what}");
    let passes = matches!(cost, Cost::SourcesMeanwhile | Cost::Service);
    for headline in headlines {
        assert_eq!(whole(&headline).contains("Seen in part"), passes, "{what}: {}", whole(&headline));
    }
    // Each asks for lines of its own: metrics are listed once for all of them, and CloudTrail is asked slowly. A single
    // problem may end before it has asked often enough to tell.
    let logs = bench.aws.answering().into_iter().find(|(name, _)| *name == "aws_logs").unwrap();
    if cost != Cost::Service || problems > 1 {
        assert_eq!(logs.1, cost != Cost::Service, "{what}");
    }
}

/// Cases that are met at the same time: each waits mostly, for deadlines and second attempts.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_aws_does_every_incident_has_its_verdict_and_says_what_it_lacks() {
    let cases = of_aws()
        .into_iter()
        .flat_map(|(fault, cost)| IDLE_AND_STORM.map(|problems| aws_meets(fault.clone(), cost, problems)));
    iter(cases).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

#[tokio::test]
#[ignore = "waits for deadlines as they are: tests/soak/kills.sh runs it"]
async fn where_aws_never_answers_every_incident_has_its_verdict_at_its_deadlines() {
    let [idle, storm] = IDLE_AND_STORM;
    let hangs = |problems| aws_meets(AwsFault::Hang, Cost::Service, problems);
    tokio::join!(hangs(idle), hangs(storm));
}

/// What befalls Socket Mode: the call that opens a connection, so many times; or a connection that is open.
#[derive(Debug, Clone)]
enum OfSocket {
    Opening(FaultKind),
    Line(fn(&SlackWorld)),
}

fn of_socket() -> Vec<OfSocket> {
    let opening = of_slack().into_iter().map(|(kind, _)| match kind {
        FaultKind::RateLimited(_) => FaultKind::RateLimited(Duration::from_secs(1)),
        kind => kind,
    });
    let lines: [fn(&SlackWorld); 5] = [
        SlackWorld::cut_links,
        SlackWorld::freeze_links,
        |slack| slack.disconnect_links("refresh_requested"),
        |slack| slack.send_to_links("{\"type\": \"events_api\", \"envelope_id\""),
        |slack| slack.send_to_links(&"[".repeat(100_000)),
    ];
    opening.map(OfSocket::Opening).chain(lines.map(OfSocket::Line)).collect()
}

/// So many alerts at once, while this befalls Socket Mode: each is handled, and acknowledged in the end.
async fn socket_meets(fault: OfSocket, problems: usize) {
    let what = format!("{fault:?} × {problems}");
    let slack = SlackWorld::new(hurried());
    let line_breaks = match &fault {
        OfSocket::Opening(kind) => {
            slack.script(Fault::once("apps.connections.open", kind.clone()));
            None
        }
        OfSocket::Line(befalls) => Some(befalls),
    };
    // Seconds instead of half a minute until a silent connection is given up.
    let timing = Timing {
        ping_every: Duration::from_millis(50),
        silent_after: Duration::from_millis(500),
        ..Timing::default()
    };
    let handled = Arc::new(Mutex::new(BTreeSet::new()));
    let heard = handled.clone();
    let handle = move |envelope: Envelope| {
        heard.lock().unwrap().insert(envelope.payload["event_id"].as_str().map(str::to_owned));
        async { Answer::Acknowledge(None) }
    };
    let mut line = Line::begin(slack, timing, handle).await;
    if let Some(befalls) = line_breaks {
        line.slack.wait_for(&what, PATIENCE, |slack| (slack.links() > 0).then_some(())).await.unwrap();
        befalls(&line.slack);
    }
    for number in 0..problems {
        let text = format!("[FIRING:1] HighErrorRate (service-{number} critical)");
        line.slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &json!({ "text": text })).unwrap();
    }
    let all = |slack: &SlackWorld| {
        let deliveries = slack.deliveries();
        (deliveries.len() == problems && deliveries.iter().all(|each| each.acknowledged)).then_some(())
    };
    line.slack.wait_for(&what, PATIENCE, all).await.unwrap();
    assert_eq!(handled.lock().unwrap().len(), problems, "{what}");
    let reached = tokio::time::timeout(PATIENCE, line.reachable.wait_for(|reachable| *reachable));
    assert!(reached.await.is_ok_and(|told| told.is_ok()), "{what}: it is told as up again");
    line.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_socket_mode_every_alert_is_acknowledged_as_soon_as_a_line_holds() {
    let cases = of_socket().into_iter();
    let cases = cases.flat_map(|fault| IDLE_AND_STORM.map(|problems| socket_meets(fault.clone(), problems)));
    // They wait for nothing but the pauses between two attempts.
    iter(cases).buffer_unordered(4 * AT_ONCE).collect::<Vec<()>>().await;
}

/// So many deliveries of an alarm at once, while this befalls whoever fetches Amazon's certificate: SNS is told to send
/// again, and what it sends then counts once.
async fn certificate_meets(trouble: Trouble, problems: usize) {
    let what = format!("{trouble:?} × {problems}");
    let amazon = sns::amazon().await;
    let house = sns::house(&amazon).await;
    let is_late = matches!(trouble, Trouble::Late(_));
    *amazon.trouble.lock().unwrap() = Some(trouble);
    let deliver = async || {
        let body = sns::message("alarm_v2", &amazon).to_string();
        join_all((0..problems).map(|_| house.post("/aws/sns", body.clone()))).await
    };
    let expected = if is_late { 200 } else { 503 };
    for (status, answer) in deliver().await {
        assert_eq!(status, expected, "{what}: {answer}");
    }
    *amazon.trouble.lock().unwrap() = None;
    for (status, answer) in deliver().await {
        assert_eq!(status, 200, "{what}: {answer}");
    }
    assert_eq!(house.get("/incidents/INC-1").await.1["alerts_received"], 1, "{what}");
    assert_eq!(house.get("/incidents/INC-2").await.0, 404, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_amazons_certificate_an_alarm_counts_once_as_soon_as_it_is_there() {
    let troubles = [
        Trouble::Late(Duration::from_millis(50)),
        Trouble::Status(403),
        Trouble::Status(404),
        Trouble::Status(429),
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::Malformed,
        Trouble::BreaksAfter(0),
        Trouble::BreaksAfter(100),
    ];
    let cases = troubles.into_iter();
    let cases =
        cases.flat_map(|trouble| IDLE_AND_STORM.map(|problems| certificate_meets(trouble.clone(), problems)));
    iter(cases).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

#[tokio::test]
#[ignore = "waits for deadlines as they are: tests/soak/kills.sh runs it"]
async fn where_amazons_certificate_never_comes_an_alarm_counts_once_as_soon_as_it_is_there() {
    let [idle, storm] = IDLE_AND_STORM;
    tokio::join!(certificate_meets(Trouble::Silent, idle), certificate_meets(Trouble::Silent, storm));
}
