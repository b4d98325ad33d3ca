//! Who may press what, over the wire and with Slack's own signatures, and over Socket Mode: what each is told,
//! word for word, and the row of the trail, whole.
//!
//! The rule that is not obvious: a case is data. What it looks like when a press does not count is the same for
//! all of them, and told once, in [`refused`].

use incident_commander::app::Bot;
use incident_commander::config::{Config, Person};
use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Action, Chosen, Message, Outcome, Submitted};
use incident_commander::store::JobKind;
use incident_commander::worker::step_once;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::ward::{Set, Ward, trail};

const APPROVE: &str = "rollback_approve";
const REJECT: &str = "rollback_reject";
const ALONE: &str = "rollback_break_glass";
const DANA: &str = "arn:aws:sts::123456789012:assumed-role/developer/dana@shop.example";

async fn open(change: impl FnOnce(&mut Set)) -> (Ward, Bot, Message) {
    let ward = Ward::open(false, change).await;
    let bot = ward.start().await;
    let asked = ward.asked().await;
    (ward, bot, asked)
}

/// What a form is filled with.
pub fn reason(text: &str) -> Action {
    Action { action_id: "reason".into(), block_id: None, chosen: Chosen::Text(text.into()) }
}

/// What happened to the request before the press.
enum Before {
    Nothing,
    /// Somebody else, or the same person, was first.
    Pressed(&'static str, &'static str),
    /// Its time ran out, and the message says so.
    Expired,
    /// The investigation began anew.
    Superseded,
    Deleted,
    /// This method of Slack's answers with an error from now on.
    SlackFails(&'static str),
}

/// Where the press is made.
enum Place {
    Message,
    /// With a form that asks why.
    Form(&'static str),
    /// As nobody could in Slack's own client: in another channel, or on a button that is gone.
    Forced(&'static str),
    /// The same with the id of a request that was never made.
    Unknown,
}

/// A press that does not count.
struct Case {
    set: fn(&mut Set),
    before: Before,
    who: &'static str,
    action: &'static str,
    place: Place,
    refusal: &'static str,
    sentence: &'static str,
}

/// An approver who may press, if nothing else is in the way.
fn a_press() -> Case {
    Case {
        set: |_| {},
        before: Before::Nothing,
        who: id::APPROVER,
        action: APPROVE,
        place: Place::Message,
        refusal: "",
        sentence: "",
    }
}

impl Before {
    async fn happen(&self, ward: &Ward, bot: &Bot, asked: &Message) {
        match self {
            Self::Nothing => {}
            Self::Pressed(who, action) => {
                ward.slack.click(who, id::ALERTS, &asked.ts, action).await.unwrap();
                if *action == REJECT {
                    ward.slack.submit_view(who, &[reason("we go forward")]).await.unwrap();
                    ward.wait("the decision", |message| {
                        json!(message.blocks).to_string().contains("Rejected")
                    })
                    .await;
                } else {
                    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
                }
            }
            Self::Expired => {
                let gone = |message: &Message| !message.action_ids().contains(&APPROVE);
                ward.wait("the end of the request", |one| one.ts == asked.ts && gone(one)).await;
            }
            Self::Superseded => {
                let incident = bot.store().approval(&ward.approval).await.unwrap().unwrap().incident;
                bot.store().investigate_again(incident, "asked for", ward.clock.now()).await.unwrap();
            }
            Self::Deleted => ward.slack.delete_message(id::ALERTS, &asked.ts).unwrap(),
            Self::SlackFails(method) => {
                let error = FaultKind::Error("fatal_error".into());
                ward.slack.script(Fault { times: None, ..Fault::once(method, error) });
            }
        }
    }
}

/// Where a press was made, and the id of its delivery, as far as it is known beforehand.
struct Pressed {
    channel: &'static str,
    delivery: Option<String>,
}

impl Case {
    async fn press(&self, ward: &Ward, asked: &Message) -> Pressed {
        let (who, action, ts) = (self.who, self.action, asked.ts.as_str());
        let made = |outcome: Outcome| {
            assert_eq!(outcome.status, Ok(200));
            format!("press/{}/{ts}/{action}/{who}/{}", id::ALERTS, outcome.since)
        };
        let forced = async |payload: &Value, channel: &str| {
            assert_eq!(ward.slack.send_interaction(payload).await, Ok(200));
            let at = payload["actions"][0]["action_ts"].as_str().unwrap();
            format!("press/{channel}/{ts}/{action}/{who}/{at}")
        };
        match self.place {
            Place::Message => {
                let outcome = ward.slack.click(who, id::ALERTS, ts, action).await.unwrap();
                Pressed { channel: id::ALERTS, delivery: Some(made(outcome)) }
            }
            Place::Form(text) => {
                made(ward.slack.click(who, id::ALERTS, ts, action).await.unwrap());
                ward.slack.submit_view(who, &[reason(text)]).await.unwrap();
                Pressed { channel: id::ALERTS, delivery: None }
            }
            Place::Forced(channel) => {
                let payload = ward.press(who, channel, ts, action);
                Pressed { channel, delivery: Some(forced(&payload, channel).await) }
            }
            Place::Unknown => {
                let mut payload = ward.press(who, id::ALERTS, ts, action);
                payload["actions"][0]["value"] = json!("never-asked-for");
                Pressed { channel: id::ALERTS, delivery: Some(forced(&payload, id::ALERTS).await) }
            }
        }
    }
}

/// A row of the trail that tells why a press does not count.
fn row(who: &str, action: &str, channel: &str, click: &str, refusal: &str, sentence: &str) -> Value {
    json!({
        "kind": "refused", "action": action, "click": click, "channel": channel, "refusal": refusal,
        "sentence": sentence, "actor": who,
    })
}

/// The press is acknowledged and does not count: whoever made it is told why, nobody else is, the trail has the
/// whole row, and nothing is changed by it.
async fn refused(case: &Case, by_socket: bool) {
    let ward = Ward::open(false, case.set).await;
    let bot = if by_socket { ward.start_by_socket().await } else { ward.start().await };
    let asked = ward.asked().await;
    case.before.happen(&ward, &bot, &asked).await;
    let (changed, decided) = (ward.changes(bot.store()).await, trail(bot.store(), &["decided"]).await);
    let pressed = case.press(&ward, &asked).await;
    ward.told(case.who, pressed.channel, &[case.sentence]).await;
    let rows = trail(bot.store(), &["refused"]).await;
    let click = rows[0]["click"].as_str().unwrap().to_owned();
    match pressed.delivery {
        Some(delivery) => assert_eq!(click, delivery),
        None => assert!(click.starts_with("form/"), "{click}"),
    }
    let expected = row(case.who, case.action, pressed.channel, &click, case.refusal, case.sentence);
    assert_eq!(rows, [expected]);
    assert_eq!(trail(bot.store(), &["decided"]).await, decided);
    assert_eq!(ward.changes(bot.store()).await, changed);
    bot.stop().await;
}

macro_rules! refused {
    ($($name:ident: $case:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            for by_socket in [false, true] {
                refused(&$case, by_socket).await;
            }
        })*
    };
}

refused! {
    a_stranger_may_not_approve: Case {
        who: id::STRANGER,
        refusal: "not_an_approver",
        sentence: "You are not on the list of approvers of this service.",
        ..a_press()
    };
    a_stranger_s_reason_rejects_nothing: Case {
        who: id::STRANGER,
        action: REJECT,
        place: Place::Form("I say so"),
        refusal: "not_an_approver",
        sentence: "You are not on the list of approvers of this service.",
        ..a_press()
    };
    who_asked_may_not_under_the_two_person_rule: Case {
        set: |set| set.requested_by = Some(id::ON_CALL.into()),
        who: id::ON_CALL,
        refusal: "requester",
        sentence: "You asked for this investigation; with the two-person rule somebody else approves.",
        ..a_press()
    };
    who_made_the_change_is_known_by_the_configuration: Case {
        set: |set| {
            let arn = "arn:aws:iam::123456789012:user/dana";
            set.author = Some(arn.into());
            set.config.people = vec![Person { slack: id::DEVELOPER.into(), aws: vec![arn.into()] }];
        },
        who: id::DEVELOPER,
        refusal: "author",
        sentence: "You made the change that would be undone; with the two-person rule somebody else approves.",
        ..a_press()
    };
    who_made_the_change_is_known_by_the_address_that_is_the_session: Case {
        set: |set| set.author = Some(DANA.into()),
        who: id::DEVELOPER,
        refusal: "author",
        sentence: "You made the change that would be undone; with the two-person rule somebody else approves.",
        ..a_press()
    };
    whom_slack_does_not_tell_may_be_the_author: Case {
        set: |set| set.author = Some(DANA.into()),
        before: Before::SlackFails("users.info"),
        refusal: "author_unknown",
        sentence: "Slack does not say whether you made the change that would be undone. Try again in a minute.",
        ..a_press()
    };
    a_person_of_whom_nothing_says_who_that_is_in_slack_may_be_anybody: Case {
        set: |set| set.author = Some("arn:aws:iam::123456789012:user/alice".into()),
        refusal: "author_unmapped",
        sentence: "AWS names arn:aws:iam::123456789012:user/alice as who made the change that would be undone, and nothing here says who that is in Slack. Add it to a `[[person]]` in the configuration, or to `pipelines` under `[approvals]` where it is nobody; until then only who may approve alone can.",
        ..a_press()
    };
    whether_the_message_is_there_has_to_be_known: Case {
        before: Before::SlackFails("conversations.replies"),
        refusal: "message_unknown",
        sentence: "Slack does not say whether the message with this button is still there. Try again in a minute.",
        ..a_press()
    };
    nobody_may_once_it_has_expired: Case {
        set: |set| set.expires_after = SignedDuration::from_secs(10),
        before: Before::Expired,
        place: Place::Forced(id::ALERTS),
        refusal: "closed",
        sentence: "This request is expired and can no longer be decided.",
        ..a_press()
    };
    nobody_may_once_the_investigation_looks_again: Case {
        before: Before::Superseded,
        place: Place::Forced(id::ALERTS),
        refusal: "closed",
        sentence: "This request is superseded and can no longer be decided.",
        ..a_press()
    };
    the_second_one_learns_who_was_first: Case {
        before: Before::Pressed(id::APPROVER, APPROVE),
        who: id::ON_CALL,
        place: Place::Forced(id::ALERTS),
        refusal: "already_decided",
        sentence: "Already approved by <@U0ALEXAPPROV>. Nothing more is to be done here.",
        ..a_press()
    };
    the_same_person_s_second_press_decides_nothing: Case {
        before: Before::Pressed(id::APPROVER, APPROVE),
        place: Place::Forced(id::ALERTS),
        refusal: "already_decided",
        sentence: "Already approved by <@U0ALEXAPPROV>. Nothing more is to be done here.",
        ..a_press()
    };
    what_was_rejected_is_not_approved: Case {
        before: Before::Pressed(id::ON_CALL, REJECT),
        place: Place::Forced(id::ALERTS),
        refusal: "already_decided",
        sentence: "Already rejected by <@U0MIRAONCALL>. Nothing more is to be done here.",
        ..a_press()
    };
    a_press_in_another_channel_does_not_count: Case {
        place: Place::Forced(id::CHECKOUT),
        refusal: "wrong_message",
        sentence: "This button belongs to another message. Use the one in the incident's own thread.",
        ..a_press()
    };
    a_message_that_was_deleted_asks_for_nothing_any_more: Case {
        before: Before::Deleted,
        place: Place::Forced(id::ALERTS),
        refusal: "message_gone",
        sentence: "The message with this button was deleted. `/investigate again` makes a new one.",
        ..a_press()
    };
    what_was_never_asked_for_is_not_decided: Case {
        place: Place::Unknown,
        refusal: "not_known",
        sentence: "This request is not known here.",
        ..a_press()
    };
    a_group_that_slack_does_not_tell_lets_nobody_through: Case {
        set: |set| set.config.approvals.approvers = vec![id::APPROVERS.into()],
        before: Before::SlackFails("usergroups.users.list"),
        refusal: "group_unknown",
        sentence: "Slack does not say who is in S0APPROVERS, so nobody can be let through. Try again in a minute.",
        ..a_press()
    };
    without_approvers_nobody_may: Case {
        set: |set| set.config.approvals.approvers = Vec::new(),
        refusal: "nobody_may_approve",
        sentence: "Nobody is configured as an approver. Set `approvers` under `[approvals]`.",
        ..a_press()
    };
    who_is_not_on_the_list_does_not_break_the_glass: Case {
        set: |set| set.config.approvals.break_glass = vec![id::ON_CALL.into()],
        action: ALONE,
        refusal: "may_not_break_glass",
        sentence: "You are not on the list of those who may approve alone.",
        ..a_press()
    };
    where_there_is_no_glass_nobody_breaks_it: Case {
        action: ALONE,
        place: Place::Forced(id::ALERTS),
        refusal: "no_break_glass",
        sentence: "Nobody may break the glass here: `break_glass` under `[approvals]` is empty.",
        ..a_press()
    };
    the_glass_is_not_broken_without_a_reason: Case {
        // The form that asks for it cannot be opened, so that the press itself is decided.
        set: |set| set.config.approvals.break_glass = vec![id::ON_CALL.into()],
        before: Before::SlackFails("views.open"),
        who: id::ON_CALL,
        action: ALONE,
        refusal: "no_reason",
        sentence: "Approving alone needs a reason: it is posted and kept.",
        ..a_press()
    };
    a_group_that_slack_does_not_tell_breaks_no_glass: Case {
        set: |set| set.config.approvals.break_glass = vec![id::APPROVERS.into()],
        before: Before::SlackFails("usergroups.users.list"),
        action: ALONE,
        place: Place::Form("alone at night"),
        refusal: "group_unknown",
        sentence: "Slack does not say who is in S0APPROVERS, so nobody can be let through. Try again in a minute.",
        ..a_press()
    };
}

#[tokio::test]
async fn an_approver_may_and_the_change_is_made_once_with_the_writing_role() {
    for by_socket in [false, true] {
        let ward = Ward::open(false, |_| {}).await;
        let bot = if by_socket { ward.start_by_socket().await } else { ward.start().await };
        let asked = ward.asked().await;
        assert_eq!(ward.changes(bot.store()).await, [], "nothing is changed before an approval");
        let outcome = ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
        ward.wait("the outcome", |message| message.text.contains("Rolled back: checkout:live")).await;
        let changes = ward.changes(bot.store()).await;
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].operation, "lambda:UpdateAlias");
        let rows = trail(bot.store(), &["decided", "sending", "answered", "ended", "refused"]).await;
        let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["decided", "sending", "answered", "ended"]);
        let who = id::APPROVER;
        let click = format!("press/{}/{}/{APPROVE}/{who}/{}", id::ALERTS, asked.ts, outcome.since);
        assert_eq!(
            rows[0],
            json!({
                "kind": "decided", "decision": "approved", "click": click, "reason": null,
                "break_glass": false, "actor": who,
            })
        );
        ward.told(who, id::ALERTS, &[]).await;
        bot.stop().await;
    }
}

#[tokio::test]
async fn of_two_at_the_same_moment_one_decides_and_the_other_learns_who() {
    let (ward, bot, asked) = open(|_| {}).await;
    let press = |who| ward.press(who, id::ALERTS, &asked.ts, APPROVE);
    let (one, other) = (press(id::APPROVER), press(id::ON_CALL));
    let sent = tokio::join!(ward.send(&bot, "signing", &one, 0), ward.send(&bot, "signing", &other, 0));
    assert_eq!(sent, (200, 200));
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
    let decided = trail(bot.store(), &["decided"]).await;
    assert_eq!(decided.len(), 1, "{decided:?}");
    let first = decided[0]["actor"].as_str().unwrap();
    let second = if first == id::APPROVER { id::ON_CALL } else { id::APPROVER };
    let sentence = format!("Already approved by <@{first}>. Nothing more is to be done here.");
    ward.told(second, id::ALERTS, &[&sentence]).await;
    ward.told(first, id::ALERTS, &[]).await;
    let rows = trail(bot.store(), &["refused"]).await;
    let click = rows[0]["click"].as_str().unwrap();
    assert_eq!(rows, [row(second, APPROVE, id::ALERTS, click, "already_decided", &sentence)]);
    assert_eq!(ward.changes(bot.store()).await.len(), 1);
}

#[tokio::test]
async fn a_press_after_the_time_is_refused_although_nobody_came_to_say_that_it_is_over() {
    let ward = Ward::open(true, |_| {}).await;
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    ward.serve(&bench).await;
    let asked = ward.asked().await;
    ward.pass(30 * 60);
    // A worker has the job that ends the request, and is silent.
    let taken = loop {
        let job = bench.store.claim(ward.clock.now()).await.unwrap().expect("the job is due");
        if matches!(job.kind, JobKind::Expire { .. }) {
            break job;
        }
        bench.store.finish(job.id).await.unwrap();
    };
    let outcome = ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
    assert_eq!(outcome.status, Ok(200));
    while step_once(&bench).await.unwrap() {}
    let sentence = "This request expired at 2026-02-06 12:50:00 UTC. `/investigate again` makes a new one.";
    ward.told(id::APPROVER, id::ALERTS, &[sentence]).await;
    let rows = trail(&bench.store, &["refused", "decided"]).await;
    let who = id::APPROVER;
    let click = format!("press/{}/{}/{APPROVE}/{who}/{}", id::ALERTS, asked.ts, outcome.since);
    assert_eq!(rows, [row(who, APPROVE, id::ALERTS, &click, "expired", sentence)]);
    assert_eq!(ward.changes(&bench.store).await, []);
    // Another worker takes the job over, and then the message says so too.
    bench.store.again(taken.id, ward.clock.now()).await.unwrap();
    ward.live(&bench, 5).await;
    let shown = ward.slack.message(id::ALERTS, &asked.ts).unwrap();
    assert!(!shown.action_ids().contains(&APPROVE), "{:?}", shown.action_ids());
    assert_eq!(trail(&bench.store, &["decided"]).await[0]["decision"], "expired");
}

#[tokio::test]
async fn a_plan_that_a_newer_deployment_overtook_is_not_carried_out() {
    for by_socket in [false, true] {
        let ward = Ward::open(false, |_| {}).await;
        let bot = if by_socket { ward.start_by_socket().await } else { ward.start().await };
        let asked = ward.asked().await;
        ward.drift();
        ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
        let told = ward.wait("what moved", |message| message.text.contains("Nothing was changed")).await;
        assert!(told.text.contains("The investigation looks again"), "{}", told.text);
        ward.told(id::APPROVER, id::ALERTS, &[&told.text]).await;
        assert_eq!(ward.changes(bot.store()).await, []);
        let rows = trail(bot.store(), &["sending", "ended"]).await;
        assert_eq!((rows.len(), &rows[0]["applied"]), (1, &false.into()), "{rows:?}");
        bot.stop().await;
    }
}

/// `payments` belongs to this owner, whose channel the bot is no member of.
async fn asked_of_a_team_that_slack_does_not_reach(owner: &'static str) -> String {
    let ward = Ward::open(true, move |set| {
        set.service = Some("payments".into());
        set.config.services = Config::parse(&format!(
            r##"
            [[service]]
            name = "checkout"
            owner = "#team-checkout"
            [[service]]
            name = "payments"
            owner = "{owner}"
            channel = "{}"
            approvers = ["{}"]
            "##,
            id::CHECKOUT,
            id::APPROVER
        ))
        .unwrap()
        .services;
    })
    .await;
    ward.slack.set_membership(id::CHECKOUT, false);
    let bench = ward.bench().await;
    ward.live(&bench, 10).await;
    assert!(ward.slack.messages(id::CHECKOUT).is_empty());
    let told = ward.slack.messages(id::ALERTS).into_iter();
    let mut told =
        told.filter(|message| json!(message.blocks).to_string().contains("Slack takes no message"));
    let message = told.next().expect("the thread tells it");
    assert!(message.thread_ts.is_some() && told.next().is_none(), "once, in the incident's thread");
    json!(message.blocks).to_string()
}

#[tokio::test]
async fn where_slack_does_not_reach_the_owner_the_thread_mentions_them_or_says_that_nobody_told_them() {
    let told = asked_of_a_team_that_slack_does_not_reach("S0PAYMENTS").await;
    for part in ["<!subteam^S0PAYMENTS>", "is put down to a change of payments", "so that it is said here"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = asked_of_a_team_that_slack_does_not_reach("#team-payments").await;
    for part in ["#team-payments", "nobody of theirs has heard of it", "not_in_channel"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn a_change_of_another_team_is_put_to_its_owner_and_decided_by_its_approvers() {
    let ward = Ward::open(true, |set| {
        set.service = Some("payments".into());
        let services = r##"
            [[service]]
            name = "checkout"
            owner = "#team-checkout"
            [[service]]
            name = "payments"
            owner = "S0PAYMENTS1"
            channel = "C0CHECKOUT01"
            approvers = ["U0DEVELOPER1"]
        "##;
        set.config.services = Config::parse(services).unwrap().services;
        set.config.services[1].approvers = Some(vec![id::DEVELOPER.into()]);
    })
    .await;
    ward.slack.set_membership(id::CHECKOUT, true);
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    let owners = |part: &str| {
        let [message] = &ward.slack.messages(id::CHECKOUT)[..] else { panic!("one message to the owner") };
        let body = json!(message.blocks).to_string();
        assert!(body.contains(part), "{part}: {body}");
    };
    for part in [
        "<!subteam^S0PAYMENTS1>",
        "is put down to a change of payments",
        "All traffic through live goes to version 1",
        "The error rate goes back",
        "Approvers of payments decide it in the thread",
        &format!("<#{}>", id::ALERTS),
    ] {
        owners(part);
    }
    // Who may approve for everybody else may not for them.
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    ward.live(&bench, 5).await;
    assert_eq!(trail(&bench.store, &["refused"]).await[0]["refusal"], "not_an_approver");
    ward.clicked(&bench, "press/2", id::DEVELOPER, APPROVE).await;
    ward.live(&bench, 10).await;
    assert_eq!(ward.changes(&bench.store).await.len(), 1);
    owners("Approved by <@");
}

#[tokio::test]
async fn what_slack_did_not_sign_decides_nothing_and_is_written_down() {
    let (ward, bot, asked) = open(|_| {}).await;
    let press = ward.press(id::APPROVER, id::ALERTS, &asked.ts, APPROVE);
    for _ in 0..3 {
        assert_eq!(ward.send(&bot, "another secret", &press, 0).await, 401);
    }
    let rows = trail(bot.store(), &["refused", "decided"]).await;
    let sentence = "the signature is not Slack's";
    assert_eq!(rows, [row("unknown", "interaction", "", "", "bad_signature", sentence)]);
    // Nobody knows who it was, and whom it names may have nothing to do with it.
    ward.told(id::APPROVER, id::ALERTS, &[]).await;
    assert_eq!(ward.changes(bot.store()).await, []);
}

#[tokio::test]
async fn a_press_that_is_sent_again_counts_once_and_that_is_told_and_written_down() {
    for by_socket in [false, true] {
        let ward = Ward::open(false, |_| {}).await;
        let bot = if by_socket { ward.start_by_socket().await } else { ward.start().await };
        let asked = ward.asked().await;
        let press = ward.press(id::APPROVER, id::ALERTS, &asked.ts, APPROVE);
        for _ in 0..3 {
            assert_eq!(ward.slack.send_interaction(&press).await, Ok(200));
        }
        ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
        assert_eq!(ward.slack.send_interaction(&press).await, Ok(200));
        let sentence = "This press arrived a second time; it counts once.";
        ward.told(id::APPROVER, id::ALERTS, &[sentence]).await;
        let rows = trail(bot.store(), &["refused", "decided"]).await;
        let (refused, decided): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row["kind"] == "refused");
        let click = decided[0]["click"].as_str().unwrap();
        assert_eq!(decided.len(), 1);
        assert_eq!(refused, [row(id::APPROVER, APPROVE, id::ALERTS, click, "replayed", sentence)]);
        assert_eq!(ward.changes(bot.store()).await.len(), 1);
        bot.stop().await;
    }
}

#[tokio::test]
async fn a_press_that_slack_signed_more_than_five_minutes_ago_does_not_count() {
    let (ward, bot, asked) = open(|_| {}).await;
    let press = ward.press(id::APPROVER, id::ALERTS, &asked.ts, APPROVE);
    for _ in 0..3 {
        assert_eq!(ward.send(&bot, "signing", &press, 301).await, 401);
    }
    let sentence = "This press is more than five minutes old by this machine's clock, so it does not count. Press \
                    the button again; where that is refused too, the clock is wrong.";
    ward.told(id::APPROVER, id::ALERTS, &[sentence]).await;
    let at = press["actions"][0]["action_ts"].as_str().unwrap();
    let who = id::APPROVER;
    let click = format!("press/{}/{}/{APPROVE}/{who}/{at}", id::ALERTS, asked.ts);
    let rows = trail(bot.store(), &["refused", "decided"]).await;
    assert_eq!(rows, [row(who, APPROVE, id::ALERTS, &click, "too_old", sentence)]);
    assert_eq!(ward.changes(bot.store()).await, []);
    // One that did not wait counts.
    ward.slack.click(who, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
}

#[tokio::test]
async fn a_form_without_a_reason_says_so_and_is_an_attempt() {
    let (ward, bot, asked) = open(|set| set.config.approvals.break_glass = vec![id::ON_CALL.into()]).await;
    ward.slack.click(id::ON_CALL, id::ALERTS, &asked.ts, ALONE).await.unwrap();
    let sentence = "Approving alone needs a reason: it is posted and kept.";
    let said = ward.slack.submit_view(id::ON_CALL, &[reason("  ")]).await.unwrap();
    let Submitted::Errors(errors) = said else { panic!("{said:?}") };
    assert_eq!(Value::Object(errors), json!({ "reason": sentence }));
    let rows = trail(bot.store(), &["refused", "decided"]).await;
    let click = rows[0]["click"].as_str().unwrap();
    assert_eq!(rows, [row(id::ON_CALL, ALONE, id::ALERTS, click, "no_reason", sentence)]);
    // The same form with a reason counts.
    assert_eq!(ward.slack.submit_view(id::ON_CALL, &[reason("alone")]).await.unwrap(), Submitted::Closed);
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
    assert_eq!(ward.changes(bot.store()).await.len(), 1);
}

#[tokio::test]
async fn who_may_break_the_glass_does_so_with_a_reason_that_everybody_reads() {
    let (ward, bot, asked) = open(|set| {
        set.config.approvals.break_glass = vec![id::ON_CALL.into()];
        set.requested_by = Some(id::ON_CALL.into());
    })
    .await;
    ward.slack.click(id::ON_CALL, id::ALERTS, &asked.ts, ALONE).await.unwrap();
    let form = ward.slack.submit_view(id::ON_CALL, &[reason("alone at night")]).await.unwrap();
    assert_eq!(form, Submitted::Closed);
    ward.wait("the reason", |message| message.text.contains("alone (break-glass). Reason: alone at night"))
        .await;
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
    assert_eq!(ward.changes(bot.store()).await.len(), 1);
    let rows = trail(bot.store(), &["decided"]).await;
    let click = rows[0]["click"].as_str().unwrap();
    assert!(click.starts_with("form/"), "{click}");
    let decided = json!({
        "kind": "decided", "decision": "approved", "click": click, "reason": "alone at night",
        "break_glass": true, "actor": id::ON_CALL,
    });
    assert_eq!(rows, [decided]);
}

#[tokio::test]
async fn a_rejection_says_why() {
    let (ward, bot, asked) = open(|_| {}).await;
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, REJECT).await.unwrap();
    ward.slack.submit_view(id::APPROVER, &[reason("we go forward")]).await.unwrap();
    ward.wait("the decision", |message| {
        let body = serde_json::to_string(&message.blocks).unwrap();
        body.contains("Rejected by") && body.contains("we go forward")
    })
    .await;
    let rows = trail(bot.store(), &["decided"]).await;
    assert_eq!((&rows[0]["decision"], &rows[0]["reason"]), (&"rejected".into(), &"we go forward".into()));
    assert_eq!(ward.changes(bot.store()).await, []);
}

#[tokio::test]
async fn the_plan_is_shown_whole_and_tried_without_effect() {
    let (ward, bot, asked) = open(|_| {}).await;
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, "show_plan").await.unwrap();
    let view = ward.slack.modal(id::APPROVER).unwrap();
    let body = view.body["blocks"].to_string();
    for part in ["aws lambda update-alias", "What stays wrong", "Only while", "--revision-id"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let place = incident_commander::demo::slack::Place::Modal;
    ward.slack.act(id::APPROVER, &place, &Action::click("try_plan")).await.unwrap();
    let tried = |slack: &incident_commander::demo::slack::SlackWorld| {
        let seen = slack.ephemerals(id::APPROVER);
        seen.into_iter().find(|one| one.message.text.contains("tried without effect"))
    };
    ward.slack.wait_for("the trial", crate::house::PATIENCE, tried).await.unwrap();
    assert_eq!(ward.changes(bot.store()).await, []);
}

#[tokio::test]
async fn a_stranger_reads_a_plan_and_does_not_try_it() {
    let (ward, bot, asked) = open(|_| {}).await;
    ward.slack.click(id::STRANGER, id::ALERTS, &asked.ts, "show_plan").await.unwrap();
    let place = incident_commander::demo::slack::Place::Modal;
    ward.slack.act(id::STRANGER, &place, &Action::click("try_plan")).await.unwrap();
    let sentence = "Trying a plan is for approvers of this service and for who asked for the investigation.";
    ward.told(id::STRANGER, id::ALERTS, &[sentence]).await;
    let rows = trail(bot.store(), &["refused", "checked"]).await;
    assert_eq!((rows.len(), &rows[0]["refusal"]), (1, &"may_not_try".into()), "{rows:?}");
}

#[tokio::test]
async fn a_role_that_the_configuration_calls_a_pipeline_is_nobody() {
    let (ward, _bot, asked) = open(|set| {
        set.author = Some("arn:aws:sts::123456789012:assumed-role/shipper/run-7".into());
        set.config.approvals.pipelines = vec!["arn:aws:iam::123456789012:role/shipper".into()];
    })
    .await;
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
}
