//! What people type and press in Slack, and what they see then: signed requests over the wire.

use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Action, Chosen, Place, Submitted};
use incident_commander::domain::incident::State;
use incident_commander::domain::plan::Plan;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::intake::command::COMMANDS;

use crate::house::PATIENCE;
use crate::office::{Office, whole};

const HEADLINE: &str = "incident_headline";
const RESULT: &str = "incident_result";

fn filled(action_id: &str, chosen: Chosen) -> Action {
    Action { action_id: action_id.into(), block_id: None, chosen }
}

async fn state(office: &Office, id: i64) -> State {
    let id = incident_commander::domain::incident::IncidentId(id);
    office.bench.store.incident_row(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn nothing_typed_opens_a_form_that_offers_services_and_reads_a_time_in_words() {
    let office = Office::quiet().await;
    let typed = office.slack.slash(id::ON_CALL, id::ALERTS, "/investigate", "").await.unwrap();
    assert!(typed.acknowledged());
    let form = office.slack.modal(id::ON_CALL).expect("a form");
    assert_eq!(form.body["callback_id"], "investigate");
    let select = filled("service", Chosen::Click);
    let offered = office.slack.suggest(id::ON_CALL, &Place::Modal, &select, "pay").await.unwrap();
    assert_eq!(offered[0]["value"], "payments", "{offered:?}");

    let nothing = office.slack.submit_view(id::ON_CALL, &[]).await.unwrap();
    assert!(matches!(nothing, Submitted::Errors(errors) if errors["service"] == "Which service?"));
    let service = filled("service", Chosen::Offered(offered[0].clone()));
    let odd = [service.clone(), filled("words", Chosen::Text("when it rained".into()))];
    let refused = office.slack.submit_view(id::ON_CALL, &odd).await.unwrap();
    assert!(matches!(&refused, Submitted::Errors(errors) if errors.contains_key("words")), "{refused:?}");

    let right = [service, filled("words", Chosen::Text("20 minutes ago".into()))];
    assert_eq!(office.slack.submit_view(id::ON_CALL, &right).await, Ok(Submitted::Closed));
    office.work().await;
    let headline = office.newest(HEADLINE).expect("a headline");
    assert!(whole(&headline).contains("payments"), "{headline:?}");
    let id = "INC-1".parse().unwrap();
    let alert = office.bench.store.alerts(id).await.unwrap().remove(0);
    assert_eq!(alert.at, "2026-02-06T11:58:00Z".parse().unwrap());
}

#[tokio::test]
async fn a_time_is_read_on_the_clock_of_whoever_typed_it() {
    let office = Office::quiet().await;
    let answer = office.typed(id::ON_CALL, "shop checkout 13:05").await;
    assert!(answer.contains("looking at checkout"), "{answer}");
    assert!(answer.contains("2026-02-06 12:05 UTC (13:05 on your clock)"), "Berlin: {answer}");
    let answer = office.typed(id::STRANGER, "payments 21:05").await;
    assert!(answer.contains("2026-02-06 12:05 UTC (21:05 on your clock)"), "Tokyo: {answer}");
}

#[tokio::test]
async fn help_tells_everything_that_can_be_typed() {
    let office = Office::quiet().await;
    let answer = office.typed(id::ON_CALL, "help").await;
    for (typed, _) in COMMANDS {
        assert!(answer.contains(typed), "{typed}: {answer}");
    }
}

#[tokio::test]
async fn an_incident_is_listed_told_looked_at_again_and_closed() {
    let office = Office::quiet().await;
    assert!(office.typed(id::ON_CALL, "list").await.contains("No incidents yet"));
    office.typed(id::ON_CALL, "checkout").await;
    office.work().await;
    let list = office.typed(id::STRANGER, "list").await;
    assert!(list.contains("INC-1") && list.contains("checkout"), "{list}");
    let status = office.typed(id::STRANGER, "status inc-1").await;
    assert!(
        status.contains("Requests rose eightfold") && status.contains("owner #team-checkout"),
        "{status}"
    );

    let again = office.typed(id::ON_CALL, "again INC-1").await;
    assert!(again.contains("looking again"), "{again}");
    assert!(office.typed(id::ON_CALL, "again INC-1").await.contains("being investigated at this moment"));
    office.work().await;
    let results = office.posted().iter().filter(|message| whole(message).contains("Root cause")).count();
    assert_eq!(results, 2, "each look has its result");

    let closed = office.typed(id::ON_CALL, "close INC-1 false alarm").await;
    assert!(closed.contains("is closed"), "{closed}");
    office.pass(2);
    office.work().await;
    assert_eq!(state(&office, 1).await, State::Resolved);
    let headline = whole(&office.newest(HEADLINE).unwrap());
    assert!(headline.contains("closed") && headline.contains("false alarm"), "{headline}");
    assert!(office.typed(id::ON_CALL, "close INC-1").await.contains("closed already"));
}

#[tokio::test]
async fn a_muted_services_alerts_are_kept_and_listed_at_the_end() {
    let office = Office::quiet().await;
    let muted = office.typed(id::ON_CALL, "mute payments 2h load test").await;
    assert!(muted.contains("payments is muted until 2026-02-06 14:18 UTC"), "{muted}");
    office.alert("ALARM: payments-error-rate", "payments").await;
    office.work().await;
    assert!(office.posted().is_empty(), "nothing is said of it yet");
    let mutes = office.typed(id::STRANGER, "mutes").await;
    assert!(
        mutes.contains("payments") && mutes.contains("load test") && mutes.contains("1 alert held"),
        "{mutes}"
    );
    assert!(office.typed(id::STRANGER, "unmute checkout").await.contains("is not muted"));
    office.typed(id::STRANGER, "unmute payments").await;
    office.work().await;
    let posted = office.posted();
    assert_eq!(posted.len(), 1);
    assert!(whole(&posted[0]).contains("1 alert came in the meantime"), "{posted:?}");
}

#[tokio::test]
async fn a_mention_in_a_thread_is_about_the_threads_first_message() {
    let office = Office::quiet().await;
    let first = office.slack.user_message(id::DEVELOPER, id::ALERTS, "checkout is slow", None).unwrap();
    office.heard(0).await;
    let before = office.slack.deliveries().len();
    office.slack.user_message(id::ON_CALL, id::ALERTS, "@commander", Some(&first)).unwrap();
    office.heard(before).await;
    office.work().await;
    let headline = office.newest(HEADLINE).expect("a headline");
    assert_eq!(headline.thread_ts.as_ref(), Some(&first));
    assert!(whole(&headline).contains("checkout"));
    // The same words as in a command, answered privately in the thread.
    let before = office.slack.deliveries().len();
    office.slack.user_message(id::STRANGER, id::ALERTS, "@commander status INC-1", Some(&first)).unwrap();
    office.heard(before).await;
    let told = |slack: &incident_commander::demo::slack::SlackWorld| slack.ephemerals(id::STRANGER).pop();
    let told = office.slack.wait_for("the status", PATIENCE, told).await.unwrap();
    assert!(whole(&told.message).contains("INC-1"), "{told:?}");
}

#[tokio::test]
async fn a_mention_takes_a_time_in_a_thread_and_helps_where_it_asks_for_nothing() {
    let office = Office::quiet().await;
    let mention = async |user: &str, text: &str, thread: Option<&str>| {
        let before = office.slack.deliveries().len();
        office.slack.user_message(user, id::ALERTS, text, thread).unwrap();
        office.heard(before).await;
    };
    let whisper = async |user: &str| {
        let told = |slack: &incident_commander::demo::slack::SlackWorld| slack.ephemerals(user).pop();
        whole(&office.slack.wait_for("the answer", PATIENCE, told).await.unwrap().message)
    };
    let before = office.slack.deliveries().len();
    let first = office.slack.user_message(id::DEVELOPER, id::ALERTS, "payments is slow", None).unwrap();
    office.heard(before).await;
    mention(id::ON_CALL, "@commander 20 minutes ago", Some(&first)).await;
    office.work().await;
    assert_eq!(office.newest(HEADLINE).unwrap().thread_ts.as_ref(), Some(&first));
    let alert = office.bench.store.alerts("INC-1".parse().unwrap()).await.unwrap().remove(0);
    assert_eq!((alert.service.as_str(), alert.at), ("payments", "2026-02-06T11:58:00Z".parse().unwrap()));
    mention(id::STRANGER, "@commander", None).await;
    assert!(whisper(id::STRANGER).await.contains("/investigate SERVICE TIME"));
    mention(id::APPROVER, "@commander again INC-9", Some(&first)).await;
    assert!(whisper(id::APPROVER).await.contains("INC-9 is not known here"));
    let unnamed = office.slack.user_message(id::DEVELOPER, id::ALERTS, "all is slow", None).unwrap();
    mention(id::DEVELOPER, "@commander", Some(&unnamed)).await;
    assert!(whisper(id::DEVELOPER).await.contains("names no service that I know"));
    assert_eq!(office.bench.store.list(10).await.unwrap().len(), 1, "one was asked for");
}

#[tokio::test]
async fn a_link_to_a_message_says_what_the_form_leaves_open() {
    let office = Office::quiet().await;
    let ts = office.slack.user_message(id::DEVELOPER, id::ALERTS, "payments looks odd", None).unwrap();
    office.pass(30 * 60);
    office.slack.slash(id::ON_CALL, id::ALERTS, "/investigate", "").await.unwrap();
    let link = |ts: &str| {
        let link = format!("https://shop.slack.com/archives/{}/p{}", id::ALERTS, ts.replace('.', ""));
        [filled("link", Chosen::Text(link))]
    };
    let nowhere = office.slack.submit_view(id::ON_CALL, &link("1700000000.000100")).await.unwrap();
    assert!(matches!(&nowhere, Submitted::Errors(errors) if errors.contains_key("link")), "{nowhere:?}");
    assert_eq!(office.slack.submit_view(id::ON_CALL, &link(&ts)).await, Ok(Submitted::Closed));
    office.work().await;
    let alert = office.bench.store.alerts("INC-1".parse().unwrap()).await.unwrap().remove(0);
    assert_eq!(alert.service, "payments");
    assert_eq!(alert.at, "2026-02-06T12:18:00Z".parse().unwrap(), "when the message was written");
}

#[tokio::test]
async fn what_is_closed_or_under_way_is_not_looked_at_again() {
    let office = Office::quiet().await;
    office.typed(id::ON_CALL, "checkout").await;
    assert!(office.typed(id::STRANGER, "again INC-1").await.contains("being investigated at this moment"));
    office.work().await;
    office.typed(id::ON_CALL, "close INC-1").await;
    let answer = office.typed(id::ON_CALL, "again INC-1").await;
    assert!(answer.contains("is closed and stays as it is"), "{answer}");
    let status = office.typed(id::ON_CALL, "status 1").await;
    assert!(status.contains("closed") && status.contains("Requests rose eightfold"), "{status}");
}

#[tokio::test]
async fn the_shortcut_on_a_message_investigates_what_it_names() {
    let office = Office::quiet().await;
    let named = office.slack.user_message(id::DEVELOPER, id::ALERTS, "payments looks odd", None).unwrap();
    let unnamed =
        office.slack.user_message(id::DEVELOPER, id::ALERTS, "everything is on fire", None).unwrap();
    let shortcut = "investigate_this";
    assert!(
        office
            .slack
            .message_shortcut(id::ON_CALL, id::ALERTS, &named, shortcut)
            .await
            .unwrap()
            .acknowledged()
    );
    office.work().await;
    assert_eq!(office.newest(HEADLINE).unwrap().thread_ts, Some(named));
    office.slack.message_shortcut(id::ON_CALL, id::ALERTS, &unnamed, shortcut).await.unwrap();
    assert!(office.slack.modal(id::ON_CALL).is_some(), "what the message does not say, a form asks");
}

#[tokio::test]
async fn a_mistake_gets_a_private_sentence_that_says_how_to_do_it_right() {
    let office = Office::quiet().await;
    for (wrong, part) in [
        ("status", "status INC-7"),
        ("status INC-9", "is not known here"),
        ("close", "close INC-7"),
        ("again seven", "again INC-7"),
        ("mute checkout", "For how long?"),
        ("mute checkout 2h", "Why?"),
        ("checkout tomorrow at noon", "I read"),
        ("chekcout", "Which one do you mean?"),
        ("20 minutes ago", "Which service?"),
        ("scorecard all", "stands alone"),
        ("🔥", "is no service's name"),
        ("<!channel> now", "is no service's name"),
        (&"x".repeat(3_000), "is no service's name"),
        ("checkout 25:99", "I cannot read"),
        ("checkout 2026-13-45 12:00", "I cannot read"),
        ("payments 200 days ago", "90 days"),
        ("again INC-0", "again INC-7"),
        ("close INC-99999999999999999999 x", "close INC-7"),
        ("mute checkout 99d load test", "7 days"),
        ("mute paymnts 2h load test", "Do you mean"),
        ("unmute checkout", "is not muted"),
    ] {
        let answer = office.typed(id::ON_CALL, wrong).await;
        assert!(answer.contains(part), "{wrong}: {answer}");
        assert!(!answer.contains("<!channel>"), "{answer}");
    }
    office.work().await;
    assert!(office.slack.messages(id::ALERTS).is_empty(), "nobody else sees it, and nothing was opened");
}

#[tokio::test]
async fn the_headline_follows_alerts_that_join_and_the_resolve() {
    let office = Office::quiet().await;
    let first = office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await;
    office.work().await;
    for _ in 0..4 {
        office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await;
    }
    office.pass(2);
    office.work().await;
    let headline = whole(&office.newest(HEADLINE).unwrap());
    assert!(headline.contains("5 alerts") && headline.contains("owner #team-checkout"), "{headline}");
    let resolved = serde_json::json!({ "attachments": [{
        "title": "[RESOLVED] HighErrorRate checkout", "fields": [{ "title": "Service", "value": "checkout" }] }] });
    let before = office.slack.deliveries().len();
    office.slack.edit_alert_message(id::ALERTS, &first, &resolved).unwrap();
    office.heard(before).await;
    office.pass(2);
    office.work().await;
    let headline = whole(&office.newest(HEADLINE).unwrap());
    assert!(headline.contains("closed") && headline.contains("the alert resolved"), "{headline}");
}

#[tokio::test]
async fn evidence_opens_as_a_form_however_old_the_incident_is() {
    let office = Office::quiet().await;
    office.typed(id::ON_CALL, "checkout").await;
    office.work().await;
    office.pass(90 * 24 * 3600);
    let result = office.newest(RESULT).unwrap();
    office.slack.click(id::STRANGER, id::ALERTS, &result.ts, "show_evidence").await.unwrap();
    let shown = office.slack.modal(id::STRANGER).expect("a form").body.to_string();
    assert!(shown.contains("Requests rose from 120 to 900") && shown.contains("Invocations Sum"), "{shown}");
    assert_eq!(office.slack.counters()["views.open"].ok, 1);
    // Where it cannot be opened in time, it comes as a private message.
    use incident_commander::demo::slack::fault::{Fault, FaultKind};
    office.slack.script(Fault::once("views.open", FaultKind::Error("expired_trigger_id".into())));
    let late = office.slack.click(id::ON_CALL, id::ALERTS, &result.ts, "show_evidence").await.unwrap();
    office.work().await;
    assert!(office.answer(&late).await.contains("Requests rose from 120 to 900"));
}

#[tokio::test]
async fn what_people_say_of_a_verdict_is_kept_shown_and_added_up() {
    let office = Office::quiet().await;
    office.typed(id::ON_CALL, "checkout").await;
    office.work().await;
    let result = office.newest(RESULT).unwrap();
    for (user, action) in [
        (id::ON_CALL, "feedback_wrong"),
        // She thinks better of it; pressing twice counts once.
        (id::ON_CALL, "feedback_right"),
        (id::ON_CALL, "feedback_right"),
        (id::APPROVER, "feedback_right"),
    ] {
        let pressed = office.slack.click(user, id::ALERTS, &result.ts, action).await.unwrap();
        office.work().await;
        assert!(office.answer(&pressed).await.contains("Noted for INC-1"));
    }
    office.slack.click(id::DEVELOPER, id::ALERTS, &result.ts, "feedback_other").await.unwrap();
    let empty = office.slack.submit_view(id::DEVELOPER, &[]).await.unwrap();
    assert!(matches!(empty, Submitted::Errors(_)), "{empty:?}");
    let form = [
        filled("cause", Chosen::Option("dependency".into())),
        filled("note", Chosen::Text("password=hunter2 was rotated <!channel>".into())),
    ];
    assert_eq!(office.slack.submit_view(id::DEVELOPER, &form).await, Ok(Submitted::Closed));
    office.pass(2);
    office.work().await;
    let shown = whole(&office.newest(RESULT).unwrap());
    assert!(shown.contains("2 said right, 1 said wrong"), "{shown}");
    let incident = office.bench.store.incident("INC-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(incident.feedback.len(), 5, "every word is kept");
    let last = incident.feedback.last().unwrap();
    assert_eq!((last.by.as_str(), last.cause.as_deref()), (id::DEVELOPER, Some("dependency")));
    assert!(!last.note.as_ref().unwrap().contains("hunter2"), "{last:?}");
    let card = office.typed(id::STRANGER, "scorecard").await;
    assert!(card.contains("95\u{a0}% and more sure: 1 · 1 right, 0 wrong, 0 not said"), "{card}");
}

#[tokio::test]
async fn home_shows_what_is_open_and_what_waits_for_whoever_opens_it() {
    let mut office = Office::quiet().await;
    let target = RollbackTarget::LambdaConcurrency { function: "checkout".into(), from: Some(1), to: None };
    let plan = Plan::of(target, None, String::new(), &|_, value| value.to_owned());
    let what = plan.what.clone();
    office.plan = Some(plan);
    office.alert("ALARM: checkout-error-rate", "checkout").await;
    office.work().await;
    let home = async |user: &str| {
        office.slack.open_home(user).unwrap();
        let shown = |slack: &incident_commander::demo::slack::SlackWorld| slack.home(user);
        office.slack.wait_for("App Home", PATIENCE, shown).await.unwrap().body.to_string()
    };
    let approvers = home(id::APPROVER).await;
    assert!(approvers.contains("Waits for your decision") && approvers.contains(&what), "{approvers}");
    let result = office.newest(RESULT).unwrap();
    assert!(
        approvers.contains(&format!("p{}", result.ts.replace('.', ""))),
        "it links to the button: {approvers}"
    );
    let strangers = home(id::STRANGER).await;
    assert!(!strangers.contains("Waits for your decision"), "{strangers}");
    for part in ["Open incidents", "INC-1", "Scorecard", "95\u{a0}% and more sure: 1"] {
        assert!(strangers.contains(part), "{part}: {strangers}");
    }
    office.slack.act(id::STRANGER, &Place::Home, &Action::click("show_evidence")).await.unwrap();
    assert!(office.slack.modal(id::STRANGER).is_some());
}
