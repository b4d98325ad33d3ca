//! A process that dies between the click and the end of its story, and another one that goes on.
//!
//! The rule that is not obvious: nothing runs by itself here, and all clocks stand until they are moved.

use std::sync::Arc;

use incident_commander::demo::aws::Fault;
use incident_commander::demo::slack::Submitted;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::approval::Decision;
use incident_commander::domain::recovery::Word;
use incident_commander::fail_points::{FailPoints, Point};
use incident_commander::store::ClickedButton;
use incident_commander::worker::Bench;
use tokio::sync::Notify;

use crate::clicks::reason;
use crate::house::{self, PATIENCE};
use crate::ward::{Set, Ward, trail};

pub const APPROVE: &str = "rollback_approve";
pub const REJECT: &str = "rollback_reject";

/// The request is in the channel.
pub async fn asked(change: impl FnOnce(&mut Set)) -> (Ward, Bench) {
    let ward = Ward::open(true, change).await;
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    assert!(ward.of(&bench).await.message_ts.is_some());
    (ward, bench)
}

/// Lives on until this point is reached, dies there, and another process begins; or lives for so many seconds.
pub async fn die_at(ward: &Ward, mut bench: Bench, point: Point, seconds: u64) -> (Bench, bool) {
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
        lives_until_judged(&ward, &bench).await;
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

/// Lives until it is known whether it helped, and some seconds more, in which nothing else may happen.
async fn lives_until_judged(ward: &Ward, bench: &Bench) {
    for _ in 0..40 {
        ward.live(bench, 5).await;
        if ward.of(bench).await.judged.is_some() {
            break;
        }
    }
    ward.live(bench, 15).await;
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

/// Serves Slack until this point, at which the process dies while Slack waits; then another process serves it.
async fn dies_serving<T>(
    ward: &Ward,
    mut bench: Bench,
    point: Point,
    deed: impl Future<Output = T>,
) -> Bench {
    let reached = Arc::new(Notify::new());
    bench.fail_points = FailPoints::armed(point, reached.clone());
    // Whoever stopped at the point holds the database until the threads are gone on which it was.
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (served, settings) = (bench.clone(), ward.settings.clone());
    let url = process.spawn(async move { house::serve(&served, &settings).await }).await.unwrap();
    ward.slack.set_bot(&url, "signing");
    tokio::select! {
        () = reached.notified() => {}
        _ = deed => panic!("{point:?} was never reached"),
    }
    tokio::task::spawn_blocking(move || process.shutdown_timeout(PATIENCE)).await.unwrap();
    bench.store.close().await;
    drop(bench);
    let bench = ward.bench().await;
    ward.serve(&bench).await;
    bench
}

#[tokio::test]
async fn a_press_that_died_with_the_process_decides_nothing_and_counts_when_it_is_made_again() {
    let (ward, bench) = asked(|_| {}).await;
    let ts = ward.of(&bench).await.message_ts.unwrap();
    let press = || ward.slack.click(id::APPROVER, id::ALERTS, &ts, APPROVE);
    let bench = dies_serving(&ward, bench, Point::ClickArrived, press()).await;
    ward.live(&bench, 20).await;
    assert_eq!(trail(&bench.store, &["decided", "refused"]).await, Vec::<serde_json::Value>::new());
    assert_eq!(ward.changes(&bench.store).await, []);
    assert_eq!(press().await.unwrap().status, Ok(200));
    ward.live(&bench, 60).await;
    assert_eq!(ward.changes(&bench.store).await.len(), 1);
    assert_eq!(trail(&bench.store, &["decided"]).await.len(), 1);
}

#[tokio::test]
async fn a_form_that_was_open_when_the_process_died_is_sent_to_the_next_one() {
    // The press that opened it was not acknowledged, and the sent form was not stored.
    for point in [Point::FormOpened, Point::ClickArrived] {
        let (ward, bench) = asked(|_| {}).await;
        let ts = ward.of(&bench).await.message_ts.unwrap();
        let filled = [reason("we go forward")];
        let deeds = async {
            ward.slack.click(id::APPROVER, id::ALERTS, &ts, REJECT).await.unwrap();
            ward.slack.submit_view(id::APPROVER, &filled).await.unwrap();
        };
        let bench = dies_serving(&ward, bench, point, deeds).await;
        ward.live(&bench, 20).await;
        assert_eq!(trail(&bench.store, &["decided", "refused"]).await, Vec::<serde_json::Value>::new());
        let sent = ward.slack.submit_view(id::APPROVER, &filled).await.unwrap();
        assert_eq!(sent, Submitted::Closed, "{point:?}");
        ward.live(&bench, 20).await;
        let decided = trail(&bench.store, &["decided"]).await;
        assert_eq!(decided.len(), 1, "{point:?}");
        let (decision, why) = (&decided[0]["decision"], &decided[0]["reason"]);
        assert_eq!((decision, why), (&"rejected".into(), &"we go forward".into()), "{point:?}");
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
