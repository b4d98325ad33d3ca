//! The machine's clock jumps by hours, ahead and back: what becomes of whatever waits for a time.
//!
//! The rule that is not obvious: the clocks of Slack and AWS stay as they are. A jump ahead ends leases and times early,
//! which costs a step that runs twice, or a request that has to be made again; a jump back keeps nothing waiting for
//! longer than it was meant to.

use std::sync::Arc;

use futures::future::join_all;
use incident_commander::config::Period;
use incident_commander::demo::aws::Fault;
use incident_commander::demo::slack::Message;
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::approval::Decision;
use incident_commander::domain::incident::IncidentId;
use incident_commander::domain::plan::Plan;
use incident_commander::domain::recovery::Word;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::store::{Accepted, Origin};
use incident_commander::worker::{Bench, ClockWatch, step_once};
use jiff::SignedDuration;

use crate::crashes::{APPROVE, asked};
use crate::house::PATIENCE;
use crate::office::{Office, whole};
use crate::ward::{Set, trail};

const AHEAD: i64 = 6;
const BACK: i64 = -6;

/// The bot's clock alone, on which it looks as it does each second.
async fn jump(bench: &Bench, hours: i64) {
    let mut watch = ClockWatch::begin(bench);
    bench.clock.advance(SignedDuration::from_hours(hours));
    watch.look(bench).await;
}

async fn alert(office: &Office, service: &str) -> Accepted {
    let body =
        format!(r#"{{"service": "{service}", "alert_name": "HighErrorRate", "at": "2026-02-06T12:17:00Z"}}"#);
    office.desk.alert(serde_json::from_str(&body).unwrap(), Origin::default()).await.unwrap()
}

#[tokio::test]
async fn a_lease_ends_early_where_the_clock_goes_ahead_and_in_its_own_time_where_it_goes_back() {
    for (hours, lasts) in [(AHEAD, 0), (BACK, 90)] {
        let office = Office::quiet().await;
        alert(&office, "checkout").await;
        let (store, clock) = (&office.bench.store, &office.bench.clock);
        let held = store.claim(clock.now()).await.unwrap().unwrap();
        jump(&office.bench, hours).await;
        if lasts > 0 {
            office.pass(lasts - 1);
            assert!(store.claim(clock.now()).await.unwrap().is_none(), "{hours} h");
            office.pass(1);
        }
        assert_eq!(store.claim(clock.now()).await.unwrap().unwrap().id, held.id, "{hours} h");
    }
}

#[tokio::test]
async fn a_mute_ends_early_where_the_clock_goes_ahead_and_when_it_was_to_end_where_it_goes_back() {
    for (hours, lasts) in [(AHEAD, 0), (BACK, 2 * 3_600)] {
        let office = Office::quiet().await;
        let digests = || {
            let all = office.slack.messages(id::ALERTS).into_iter();
            all.filter(|message| message.text.contains("no longer muted")).collect::<Vec<Message>>()
        };
        office.typed(id::ON_CALL, "mute payments 2h load test").await;
        assert!(matches!(alert(&office, "payments").await, Accepted::Held { .. }));
        jump(&office.bench, hours).await;
        if lasts > 0 {
            office.pass(lasts - 60);
            office.work().await;
            assert!(matches!(alert(&office, "payments").await, Accepted::Held { .. }), "{hours} h");
            assert_eq!(digests(), [], "{hours} h");
            office.pass(60);
        }
        office.work().await;
        let digests = digests();
        assert_eq!(digests.len(), 1, "{hours} h");
        assert!(
            whole(&digests[0]).contains("HighErrorRate"),
            "what was held is told: {}",
            whole(&digests[0])
        );
        assert!(matches!(alert(&office, "payments").await, Accepted::Opened(_)), "{hours} h");
    }
}

#[tokio::test]
async fn a_request_ends_without_a_change_where_the_clock_goes_ahead_and_in_its_half_hour_where_it_goes_back()
{
    for (hours, lasts) in [(AHEAD, 0), (BACK, 30 * 60)] {
        let mut office = Office::quiet().await;
        let target =
            RollbackTarget::LambdaConcurrency { function: "checkout".into(), from: Some(1), to: None };
        office.plan = Some(Plan::of(target, None, String::new(), &|_, value| value.to_owned()));
        alert(&office, "checkout").await;
        office.work().await;
        let of = async || office.bench.store.approvals_of(IncidentId(1)).await.unwrap().remove(0);
        let asks = || office.newest("incident_result").unwrap().action_ids().contains(&APPROVE);
        assert!(asks(), "{hours} h");
        jump(&office.bench, hours).await;
        if lasts > 0 {
            office.pass(lasts - 60);
            office.work().await;
            assert!(asks() && of().await.decision.is_none(), "{hours} h");
            office.pass(60);
        }
        office.work().await;
        assert!(!asks(), "{hours} h");
        assert_eq!(of().await.decision, Some(Decision::Expired), "{hours} h");
    }
}

#[tokio::test]
async fn messages_go_out_once_in_order_and_within_seconds_whichever_way_the_clock_goes() {
    for hours in [AHEAD, BACK] {
        let config = format!("[slack]\nalert_channels = [\"{}\"]\n", id::ALERTS);
        let office = Office::open(Pace::real(), &config).await;
        join_all((0..5).map(|number| {
            let office = &office;
            async move { alert(office, &format!("service-{number}")).await }
        }))
        .await;
        office.work().await;
        let at_once = office.posted().len();
        assert!((1..10).contains(&at_once), "some wait for their turn: {at_once}");
        jump(&office.bench, hours).await;
        for _ in 0..30 {
            office.work().await;
            office.pass(1);
        }
        let posted = office.posted();
        for number in 1..=5 {
            let about = |message: &&Message| {
                message.metadata.as_ref().unwrap()["event_payload"]["incident"] == format!("INC-{number}")
            };
            let kinds: Vec<_> =
                posted.iter().filter(about).map(|message| message.event_type().unwrap()).collect();
            assert_eq!(kinds, ["incident_headline", "incident_result"], "INC-{number}, {hours} h");
        }
    }
}

#[tokio::test]
async fn a_clock_that_went_back_while_nothing_ran_keeps_nothing_waiting_after_the_start() {
    let office = Office::quiet().await;
    alert(&office, "checkout").await;
    office.bench.clock.advance(SignedDuration::from_hours(BACK));
    let office = office.crash_and_restart().await;
    office.work().await;
    assert!(office.newest("incident_result").is_some());
}

#[tokio::test]
async fn whether_a_rollback_helped_is_decided_by_awss_times_whatever_the_clock_showed_meanwhile() {
    for hours in [3, -3] {
        // It would be quiet for so long that it closes.
        let open = |set: &mut Set| set.config.incidents.close_after = Period(SignedDuration::from_hours(12));
        let (ward, bench) = asked(open).await;
        ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
        ward.live(&bench, 20).await;
        assert_eq!(ward.changes(&bench.store).await.len(), 1, "{hours} h");
        jump(&bench, hours).await;
        ward.live(&bench, 60).await;
        assert_ne!(ward.of(&bench).await.judged, Some(Word::NotRecovered), "{hours} h");
        jump(&bench, -hours).await;
        ward.live(&bench, 400).await;
        assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered), "{hours} h");
        assert_eq!(ward.changes(&bench.store).await.len(), 1, "{hours} h");
    }
}

#[tokio::test]
async fn a_change_whose_lease_ends_early_while_its_call_is_under_way_is_made_once_at_most() {
    let (ward, bench) = asked(|_| {}).await;
    ward.account.world.script_faults("lambda:UpdateAlias", [Some(Fault::Hang)]);
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    let bench = Arc::new(bench);
    let worker = {
        let bench = bench.clone();
        tokio::spawn(async move { while step_once(&bench).await.unwrap() {} })
    };
    let called = async {
        while !ward.account.world.all_calls().contains_key("lambda:UpdateAlias") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, called).await.expect("the call leaves");
    jump(&bench, AHEAD).await;
    ward.live(&bench, 400).await;
    worker.abort();
    assert!(ward.changes(&bench.store).await.len() <= 1);
    let ended = trail(&bench.store, &["ended"]).await;
    assert_eq!(ended.len(), 1, "and it is said once what became of it: {ended:?}");
}
