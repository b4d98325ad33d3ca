//! A process that dies between the click and the end of its story, and another one that goes on.
//!
//! The rule that is not obvious: nothing runs by itself here, and all clocks stand until they are moved.

use std::sync::{Arc, Mutex};

use incident_commander::demo::aws::{Fault, Identity};
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::approval::Decision;
use incident_commander::domain::recovery::Word;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::fail_points::{FailPoints, Point};
use incident_commander::store::ClickedButton;
use incident_commander::worker::{Bench, step_once};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::sync::Notify;

use crate::aws_account::{ACCOUNT, Account, FUNCTION};
use crate::aws_kinds::{deploy_flags, deploy_service, put_limit};
use crate::truth::{concurrency_back, environment_back, settings_back};
use crate::ward::{Set, Ward, trail};

const APPROVE: &str = "rollback_approve";
const REJECT: &str = "rollback_reject";

/// The request is in the channel.
async fn asked(change: impl FnOnce(&mut Set)) -> (Ward, Bench) {
    let ward = Ward::open(true, change).await;
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    assert!(ward.of(&bench).await.message_ts.is_some());
    (ward, bench)
}

/// Lives on until this point is reached, dies there, and another process begins; or lives for so many seconds.
async fn die_at(ward: &Ward, mut bench: Bench, point: Point, seconds: u64) -> (Bench, bool) {
    let reached = Arc::new(Notify::new());
    bench.fail_points = FailPoints::armed(point, reached.clone());
    let died = tokio::select! {
        () = reached.notified() => true,
        () = ward.live(&bench, seconds) => false,
    };
    bench.store.close().await;
    drop(bench);
    (ward.bench().await, died)
}

fn texts(ward: &Ward, part: &str) -> usize {
    ward.slack.messages(id::ALERTS).iter().filter(|message| message.text.contains(part)).count()
}

fn of_type(ward: &Ward, kind: &str) -> usize {
    ward.slack.messages(id::ALERTS).iter().filter(|message| message.event_type() == Some(kind)).count()
}

#[tokio::test]
async fn wherever_the_process_dies_there_is_one_change_one_message_and_a_true_trail() {
    for point in Point::OF_A_RECOVERY {
        let (ward, bench) = asked(|_| {}).await;
        ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
        let (bench, died) = die_at(&ward, bench, point, 200).await;
        assert!(died, "{point:?} was never reached");
        ward.live(&bench, 200).await;
        let approval = ward.of(&bench).await;
        assert_eq!(approval.decision, Some(Decision::Approved), "{point:?}");
        assert_eq!(trail(&bench.store, &["decided"]).await[0]["actor"], id::APPROVER, "{point:?}");
        // What was marked and never left is sent after the restart, and AWS would refuse the second of two.
        let sendings = if point == Point::Marked { 2 } else { 1 };
        assert_eq!(trail(&bench.store, &["sending"]).await.len(), sendings, "{point:?}");
        let ended = trail(&bench.store, &["ended"]).await;
        assert_eq!(ended.len(), 1, "{point:?}");
        let changes = ward.changes(&bench.store).await;
        assert_eq!(changes.len(), 1, "{point:?}: {changes:?}");
        assert_eq!(ended[0]["applied"], true, "{point:?}");
        assert_eq!(texts(&ward, "Rolled back: checkout:live"), 1, "{point:?}");
        assert_eq!(approval.judged, Some(Word::Recovered), "{point:?}");
        assert_eq!(trail(&bench.store, &["judged"]).await.len(), 1, "{point:?}");
        assert_eq!(of_type(&ward, "incident_recovery"), 1, "{point:?}");
    }
}

/// Dies at this point, which has to come within so many seconds, and another process lives on as long.
async fn dies_and_lives_on(ward: &Ward, bench: Bench, point: Point, seconds: u64) -> Bench {
    let (bench, died) = die_at(ward, bench, point, seconds).await;
    assert!(died, "{point:?} was never reached");
    ward.live(&bench, seconds).await;
    bench
}

#[tokio::test]
async fn who_dies_while_it_reads_back_says_once_what_became_of_it() {
    let (ward, bench) = asked(|_| {}).await;
    ward.account.world.script_faults("lambda:UpdateAlias", [Some(Fault::LostAnswer)]);
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    let bench = dies_and_lives_on(&ward, bench, Point::ReadBack, 200).await;
    assert_eq!(ward.changes(&bench.store).await.len(), 1);
    assert_eq!(trail(&bench.store, &["sending"]).await.len(), 1);
    let ended = trail(&bench.store, &["ended"]).await;
    assert!(ended.len() == 1 && ended[0]["applied"] != false, "{ended:?}");
    assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered));
    assert_eq!(of_type(&ward, "incident_recovery"), 1);
}

#[tokio::test]
async fn who_dies_before_it_is_told_that_somebody_approved_alone_tells_it_once() {
    let (ward, bench) = asked(|set| set.config.approvals.break_glass = vec![id::ON_CALL.into()]).await;
    let approval = ward.of(&bench).await;
    let click = ClickedButton {
        delivery: "form/1".into(),
        action_id: "rollback_break_glass".into(),
        value: approval.id,
        user: id::ON_CALL.into(),
        channel: approval.channel.unwrap(),
        message_ts: approval.message_ts.unwrap(),
        thread_ts: None,
        reason: Some("alone at night".into()),
    };
    bench.store.accept_click("form/1", click, ward.clock.now()).await.unwrap();
    let bench = dies_and_lives_on(&ward, bench, Point::Alone, 60).await;
    assert_eq!(texts(&ward, "alone (break-glass). Reason: alone at night"), 1);
    assert_eq!(texts(&ward, "Rolled back: checkout:live"), 1);
    assert_eq!(ward.changes(&bench.store).await.len(), 1);
}

#[tokio::test]
async fn a_rejection_and_an_end_of_the_time_are_shown_also_by_who_comes_after_a_crash() {
    let shows_buttons =
        |ward: &Ward, ts: &str| ward.slack.message(id::ALERTS, ts).unwrap().action_ids().contains(&APPROVE);
    for point in [Point::RulesKnown, Point::Decided, Point::DecisionShown, Point::Expired] {
        let (ward, bench) = asked(|_| {}).await;
        let shown = ward.of(&bench).await.message_ts.unwrap();
        assert!(shows_buttons(&ward, &shown));
        let decision = if point == Point::Expired {
            ward.pass(30 * 60);
            "expired"
        } else {
            ward.clicked(&bench, "press/1", id::APPROVER, REJECT).await;
            "rejected"
        };
        let bench = dies_and_lives_on(&ward, bench, point, 20).await;
        let decided = trail(&bench.store, &["decided"]).await;
        assert!(decided.len() == 1 && decided[0]["decision"] == decision, "{point:?}: {decided:?}");
        assert!(!shows_buttons(&ward, &shown), "{point:?}: the message still asks");
        assert_eq!(ward.changes(&bench.store).await, []);
    }
}

#[tokio::test]
async fn taking_back_is_offered_once_whoever_dies_in_between() {
    let (ward, bench) = asked(|set| set.afterwards = |_| (40.0, 100.0)).await;
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    let bench = dies_and_lives_on(&ward, bench, Point::UndoAsked, 400).await;
    let done = ward.of(&bench).await;
    let all = bench.store.approvals_of(done.incident).await.unwrap();
    let undo: Vec<_> = all.iter().filter(|one| one.undoes.as_deref() == Some(&done.id)).collect();
    assert_eq!(undo.len(), 1);
    assert!(undo[0].message_ts.is_some(), "and it is in the channel");
    assert_eq!(of_type(&ward, "incident_recovery"), 1);
}

/// What is undone in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Alias,
    Environment,
    Setting,
    Concurrency,
    StoppedDeployment,
    Revision,
    Parameter,
    Configuration,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Alias,
        Self::Environment,
        Self::Setting,
        Self::Concurrency,
        Self::StoppedDeployment,
        Self::Revision,
        Self::Parameter,
        Self::Configuration,
    ];

    fn target(self) -> Option<fn(&Account) -> RollbackTarget> {
        match self {
            Self::Alias => None,
            Self::Environment => Some(environment_back),
            Self::Setting => Some(settings_back),
            Self::Concurrency => Some(concurrency_back),
            Self::StoppedDeployment => Some(|account| deploy_service(account, "12:19:50")),
            Self::Revision => Some(|account| deploy_service(account, "11:00:00")),
            Self::Parameter => Some(|account| put_limit(account, "String")),
            Self::Configuration => Some(|account| deploy_flags(account, 0, "2026-02-06T12:00:00Z")),
        }
    }
}

/// Where somebody else moves the resource.
#[derive(Debug, Clone, Copy)]
enum Drift {
    Good,
    Bad,
    Else,
}

fn drift(ward: &Ward, kind: Kind, drift: Drift) {
    let (world, bob, now) = (&ward.account.world, Identity::user(ACCOUNT, "bob"), ward.account.clock.now());
    match kind {
        Kind::Alias => {
            // Half of the traffic is neither.
            let (version, weights) = match drift {
                Drift::Good => ("1", vec![]),
                Drift::Bad => ("2", vec![]),
                Drift::Else => ("2", vec![("1".to_owned(), 0.5)]),
            };
            let weights = weights.into_iter().collect();
            world.update_alias(FUNCTION, "live", version, &weights, &bob, now).unwrap();
        }
        Kind::Concurrency => {
            let limit = match drift {
                Drift::Good => None,
                Drift::Bad => Some(1),
                Drift::Else => Some(7),
            };
            world.set_function_concurrency(FUNCTION, limit, &bob, now).unwrap();
        }
        _ => {
            let value = match drift {
                Drift::Good => "50",
                Drift::Bad => "5",
                Drift::Else => "7",
            };
            if kind == Kind::Parameter {
                world.put_parameter("/checkout/limit", "String", value, &bob, now).unwrap();
            }
        }
    }
}

/// Something that happens while a request waits or is carried out.
#[derive(Debug, Clone)]
enum Happening {
    Press(&'static str, &'static str),
    /// Slack sends an earlier press again.
    Retry(usize),
    Crash(Point),
    Drift(Drift),
    /// The next changing call meets this.
    Fault(Fault),
    /// The next calls that read do.
    ReadFault(Fault),
    Live(u64),
    /// Two workers at the same time, for so many seconds.
    Two(u64),
    /// The time of the approval passes.
    Late,
}

fn happening() -> impl Strategy<Value = Happening> {
    let user = prop_oneof![3 => Just(id::APPROVER), 1 => Just(id::ON_CALL), 1 => Just(id::STRANGER)];
    let action = prop_oneof![4 => Just(APPROVE), 1 => Just(REJECT), 1 => Just("rollback_break_glass")];
    let error = |status, code: &str| Fault::Error { status, code: code.into(), message: "no".into() };
    let fault = prop_oneof![
        Just(Fault::Reset),
        Just(Fault::LostAnswer),
        Just(Fault::Throttle),
        Just(Fault::access_denied("this")),
        Just(error(412, "PreconditionFailedException")),
        Just(error(500, "ServiceException")),
    ];
    let read = prop_oneof![Just(Fault::Reset), Just(Fault::Throttle), Just(Fault::access_denied("this"))];
    let point = proptest::sample::select(Point::OF_A_RECOVERY.to_vec());
    prop_oneof![
        5 => (user, action).prop_map(|(user, action)| Happening::Press(user, action)),
        1 => (0usize..4).prop_map(Happening::Retry),
        4 => point.prop_map(Happening::Crash),
        1 => prop_oneof![Just(Drift::Good), Just(Drift::Bad), Just(Drift::Else)].prop_map(Happening::Drift),
        2 => fault.prop_map(Happening::Fault),
        1 => read.prop_map(Happening::ReadFault),
        2 => (1u64..20).prop_map(Happening::Live),
        1 => (1u64..8).prop_map(Happening::Two),
        1 => Just(Happening::Late),
    ]
}

/// What the stories came to: a test whose stories change nothing and reach nothing would prove nothing.
#[derive(Debug, Default)]
struct Coverage {
    changed: usize,
    decided: usize,
    in_vain: usize,
    crashed: usize,
}

async fn play(kind: Kind, story: &[Happening], coverage: &Mutex<Coverage>) {
    let (ward, mut bench) = asked(|set| {
        set.target = kind.target();
        set.config.approvals.break_glass = vec![id::ON_CALL.into()];
    })
    .await;
    let call = ward.of(&bench).await.plan.call;
    let mut pressed: Vec<(String, &str, &str)> = Vec::new();
    let mut decided: Option<(Decision, Option<String>)> = None;
    for (step, happening) in story.iter().enumerate() {
        match happening {
            Happening::Press(user, action) => {
                let delivery = format!("press/{step}");
                ward.clicked(&bench, &delivery, user, action).await;
                pressed.push((delivery, user, action));
            }
            Happening::Retry(which) => {
                if let Some((delivery, user, action)) = pressed.get(which % pressed.len().max(1)) {
                    ward.clicked(&bench, delivery, user, action).await;
                }
            }
            Happening::Crash(point) => {
                let died;
                (bench, died) = die_at(&ward, bench, *point, 5).await;
                coverage.lock().unwrap().crashed += usize::from(died);
            }
            Happening::Drift(to) => drift(&ward, kind, *to),
            Happening::Fault(fault) => ward.account.world.script_faults(&call, [Some(fault.clone())]),
            Happening::ReadFault(fault) => {
                let service = call.split(':').next().unwrap();
                ward.account.world.script_faults(&format!("{service}:Get*"), [Some(fault.clone())]);
            }
            Happening::Live(seconds) => ward.live(&bench, *seconds).await,
            Happening::Two(seconds) => {
                let other = bench.clone();
                for _ in 0..*seconds {
                    let (one, two) = tokio::join!(step_once(&bench), step_once(&other));
                    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
                    ward.live(&bench, 1).await;
                }
            }
            Happening::Late => ward.pass(31 * 60),
        }
        let now = ward.of(&bench).await;
        let seen = now.decision.map(|decision| (decision, now.decided_by));
        assert!(decided.is_none() || decided == seen, "a decision was replaced");
        decided = seen;
    }
    ward.account.world.clear_faults();
    // Longer than a call that nobody guards may be on its way.
    ward.live(&bench, 400).await;
    let approval = ward.of(&bench).await;
    let made: Vec<_> =
        ward.changes(&bench.store).await.into_iter().filter(|one| one.error_code.is_none()).collect();
    assert!(made.len() <= 1, "two effects: {made:?}");
    let decisions = trail(&bench.store, &["decided"]).await;
    assert!(decisions.iter().filter(|row| row["click"].is_string()).count() <= 1, "{decisions:?}");
    let ended = trail(&bench.store, &["ended"]).await;
    assert!(ended.len() <= 1, "{ended:?}");
    let may = |user: &str, action: &str| user != id::STRANGER && action != "rollback_break_glass";
    if pressed.iter().any(|(_, user, action)| may(user, action)) {
        assert!(approval.decision.is_some(), "a decision was lost");
    }
    if approval.decision == Some(Decision::Approved) {
        assert!(approval.outcome.is_some(), "an approval without an end");
        let told = ward.slack.messages(id::ALERTS);
        let words: String = ended[0]["words"].as_str().unwrap().chars().take(25).collect();
        let notices = told.iter().filter(|message| message.event_type() == Some("incident_notice"));
        let times = notices.filter(|message| message.text.contains(&words)).count();
        assert_eq!(times, 1, "told {times} times: {words}");
    } else {
        assert_eq!(made, []);
    }
    if let Some(ended) = ended.first() {
        // It may not know; it must not say what is not so.
        match ended["applied"].as_bool() {
            Some(applied) => assert_eq!(applied, made.len() == 1, "the trail is not true: {ended}"),
            None => assert!(ended["applied"].is_null()),
        }
    }
    let mut coverage = coverage.lock().unwrap();
    coverage.changed += made.len();
    coverage.decided += usize::from(approval.decision.is_some());
    coverage.in_vain += usize::from(approval.decision == Some(Decision::Approved) && made.is_empty());
}

/// How many stories are told: few, so that the tests stay quick. `ROLLBACK_STORIES=500` tells other ones each time.
const STORIES: u32 = 12;

/// Random interleavings against the worker's own steps, the database, Slack and AWS, of every kind of change; one
/// that fails is told in its shortest form.
#[test]
fn no_order_of_clicks_crashes_drift_and_errors_makes_two_changes_or_loses_a_decision() {
    // An investigation polled in a debug build, within a story, within the runner, needs more than a test's 2 MB.
    let told = std::thread::Builder::new().stack_size(32 << 20).spawn(tell_stories).unwrap().join();
    if let Err(failure) = told {
        std::panic::resume_unwind(failure);
    }
}

fn tell_stories() {
    let wanted = std::env::var("ROLLBACK_STORIES").ok().and_then(|count| count.parse().ok());
    let config = Config {
        cases: wanted.unwrap_or(STORIES),
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = match wanted {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let coverage = Mutex::new(Coverage::default());
    let stories = (proptest::sample::select(Kind::ALL.to_vec()), prop::collection::vec(happening(), 3..9));
    let told = runner.run(&stories, |(kind, story)| {
        runtime.block_on(Box::pin(play(kind, &story, &coverage)));
        Ok(())
    });
    if let Err(failure) = told {
        panic!("{failure}");
    }
    let coverage = coverage.into_inner().unwrap();
    assert!(coverage.changed > 0 && coverage.in_vain > 0 && coverage.crashed > 1, "{coverage:?}");
    assert!(coverage.decided as u32 * 2 > STORIES, "{coverage:?}");
    println!("{coverage:?}");
}
