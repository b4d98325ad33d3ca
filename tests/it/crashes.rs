//! A process that dies between the click and the end of its story, and another one that goes on.
//!
//! The rule that is not obvious: nothing runs by itself here, and all clocks stand until they are moved.

use std::sync::Arc;

use incident_commander::demo::aws::Fault;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::approval::Decision;
use incident_commander::domain::recovery::Word;
use incident_commander::worker::{Bench, FailPoints, Point};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use tokio::sync::Notify;

use crate::ward::{Ward, trail};

const APPROVE: &str = "rollback_approve";
const REJECT: &str = "rollback_reject";

/// The request is in the channel.
async fn asked() -> (Ward, Bench) {
    let ward = Ward::open(true, |_| {}).await;
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
    for point in Point::ALL {
        let (ward, bench) = asked().await;
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

/// Something that happens while a request waits.
#[derive(Debug, Clone)]
enum Happening {
    Press(&'static str, &'static str),
    /// Slack sends an earlier press again.
    Retry(usize),
    Crash(usize),
    Drift,
    Fault(&'static str, Fault),
    Live(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let user = prop_oneof![Just(id::APPROVER), Just(id::ON_CALL), Just(id::STRANGER)];
    let action = prop_oneof![3 => Just(APPROVE), 1 => Just(REJECT)];
    let fault = prop_oneof![
        Just(Fault::Reset),
        Just(Fault::LostAnswer),
        Just(Fault::Throttle),
        Just(Fault::Error { status: 500, code: "ServiceException".into(), message: "internal".into() }),
    ];
    let call = prop_oneof![Just("lambda:UpdateAlias"), Just("lambda:GetAlias")];
    prop_oneof![
        4 => (user, action).prop_map(|(user, action)| Happening::Press(user, action)),
        1 => (0usize..4).prop_map(Happening::Retry),
        3 => (0usize..Point::ALL.len()).prop_map(Happening::Crash),
        1 => Just(Happening::Drift),
        2 => (call, fault).prop_map(|(call, fault)| Happening::Fault(call, fault)),
        2 => (1u64..20).prop_map(Happening::Live),
    ]
}

/// The same interleavings as in `domain::execution`, fewer of them, against the database, the worker, and AWS.
#[tokio::test]
async fn no_order_of_clicks_crashes_drift_and_errors_makes_two_changes_or_loses_a_decision() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let stories = prop::collection::vec(happening(), 3..9);
    for _ in 0..12 {
        let story = stories.new_tree(&mut runner).unwrap().current();
        let (ward, mut bench) = asked().await;
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
                    let point = Point::ALL[point % Point::ALL.len()];
                    (bench, _) = die_at(&ward, bench, point, 5).await;
                }
                Happening::Drift => ward.drift(),
                Happening::Fault(call, fault) => {
                    ward.account.world.script_faults(call, [Some(fault.clone())]);
                }
                Happening::Live(seconds) => ward.live(&bench, *seconds).await,
            }
            let now = ward.of(&bench).await;
            let seen = now.decision.map(|decision| (decision, now.decided_by));
            assert!(decided.is_none() || decided == seen, "a decision was replaced: {story:?}");
            decided = seen;
        }
        ward.live(&bench, 120).await;
        let approval = ward.of(&bench).await;
        let made: Vec<_> =
            ward.changes(&bench.store).await.into_iter().filter(|one| one.error_code.is_none()).collect();
        assert!(made.len() <= 1, "{story:?}: {made:?}");
        assert!(trail(&bench.store, &["decided"]).await.len() <= 1, "{story:?}");
        let may = |user: &str| user != id::STRANGER;
        if pressed.iter().any(|(_, user, _)| may(user)) {
            assert!(approval.decision.is_some(), "a decision was lost: {story:?}");
        }
        if approval.decision == Some(Decision::Approved) {
            assert!(approval.outcome.is_some(), "an approval without an end: {story:?}");
        } else {
            assert_eq!(made, [], "{story:?}");
        }
        if let Some(ended) = trail(&bench.store, &["ended"]).await.first() {
            // It may not know; it must not say what is not so.
            assert_ne!(ended["applied"], made.len() != 1, "the trail is not true: {story:?}");
        }
    }
}
