//! What is owed to Slack arrives once and in order, whatever Slack or the process does in between.
//!
//! The rule that is not obvious: nothing runs by itself here. Messages are delivered one step at a time,
//! and both clocks stand until they are moved.

use std::time::Duration;

use incident_commander::app;
use incident_commander::clock::Clock;
use incident_commander::config::Secret;
use incident_commander::demo::aws::WorldClock;
use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, Options, SlackWorld};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::incident::IncidentId;
use incident_commander::store::{NewAlert, Origin, Owed};
use incident_commander::worker::{Bench, deliver_once};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::house::{PATIENCE, settings};

const POST: &str = "chat.postMessage";

/// A bot that does nothing by itself, and a workspace whose clock is its own.
struct Desk {
    bench: Bench,
    slack: SlackWorld,
    slack_clock: WorldClock,
    settings: incident_commander::config::Settings,
    /// Held, because the database is in it.
    folder: tempfile::TempDir,
}

impl Desk {
    async fn open() -> Self {
        let noon = "2026-02-06T12:00:00Z".parse().unwrap();
        let slack_clock = WorldClock::manual(noon);
        let slack = SlackWorld::new(Options { clock: Some(slack_clock.clone()), ..Options::default() });
        let api = slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
        settings.slack_api_url = Some(api);
        let bench = app::assemble(&settings, Clock::manual(noon)).await.unwrap();
        Self { bench, slack, slack_clock, settings, folder }
    }

    /// The process ends without a word, and another one starts on the same database.
    async fn crash_and_restart(self) -> Self {
        let Self { bench, slack, slack_clock, settings, folder } = self;
        let clock = bench.clock.clone();
        bench.store.close().await;
        drop(bench);
        let bench = app::assemble(&settings, clock).await.unwrap();
        Self { bench, slack, slack_clock, settings, folder }
    }

    fn pass(&self, seconds: u64) {
        self.bench.clock.advance(SignedDuration::from_secs(seconds as i64));
        self.slack_clock.advance(Duration::from_secs(seconds));
    }

    async fn incident(&self) -> IncidentId {
        let alert = Alert {
            service: format!("service-{}", uuid::Uuid::new_v4().simple()),
            at: self.bench.clock.now(),
            metric: None,
            value: None,
            threshold: None,
            severity: None,
            alert_name: None,
            source: None,
        };
        let new = NewAlert { alert, origin: Origin::default() };
        self.bench.store.accept(new, self.bench.clock.now()).await.unwrap().incident().unwrap()
    }

    async fn owe(&self, incident: IncidentId, purpose: &str, text: &str) {
        self.owe_in(id::ALERTS, incident, purpose, text, None).await;
    }

    async fn owe_in(
        &self,
        channel: &str,
        incident: IncidentId,
        purpose: &str,
        text: &str,
        image: Option<Vec<u8>>,
    ) {
        let body = json!({
            "text": text, "file_name": "chart.png", "title": text, "alternative_text": text,
            "metadata": { "event_type": "incident_notice", "event_payload": { "incident": incident } },
        });
        let owed = Owed {
            purpose: purpose.into(),
            incident: Some(incident),
            channel: channel.into(),
            thread_ts: None,
            body,
            image,
            approval: None,
        };
        self.bench.store.owe(&owed, self.bench.clock.now()).await.unwrap();
    }

    /// Delivers whatever has its turn now.
    async fn deliver(&self) {
        while deliver_once(&self.bench).await.unwrap() {}
    }

    async fn deliver_once_only(&self) {
        assert!(deliver_once(&self.bench).await.unwrap());
    }

    /// Delivers for so many seconds.
    async fn deliver_for(&self, seconds: u64) {
        for _ in 0..seconds {
            self.deliver().await;
            self.pass(1);
        }
        self.deliver().await;
    }

    fn messages(&self) -> Vec<Message> {
        self.slack.messages(id::ALERTS)
    }

    fn texts(&self) -> Vec<String> {
        self.messages().into_iter().map(|message| message.text).collect()
    }

    fn calls(&self, method: &str) -> u64 {
        self.slack.counters().get(method).map_or(0, |counter| counter.calls)
    }

    /// Starts a delivery that never hears Slack's answer, and drops it once Slack has the message.
    async fn die_after_acceptance(&self, method: &str, what: impl Fn(&SlackWorld) -> bool) {
        self.slack.script(Fault::once(method, FaultKind::AcceptedThenSilence));
        let bench = self.bench.clone();
        let delivery = tokio::spawn(async move { deliver_once(&bench).await });
        self.slack.wait_for("Slack has it", PATIENCE, |slack| what(slack).then_some(())).await.unwrap();
        delivery.abort();
        assert!(delivery.await.unwrap_err().is_cancelled());
    }
}

#[tokio::test]
async fn the_first_message_begins_the_thread_and_the_others_follow_in_order() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    for purpose in ["headline", "result/1", "recovery/1"] {
        desk.owe(incident, purpose, purpose).await;
    }
    desk.deliver_for(3).await;
    assert_eq!(desk.texts(), ["headline", "result/1", "recovery/1"]);
    let messages = desk.messages();
    assert!(messages[1..].iter().all(|reply| reply.thread_ts.as_ref() == Some(&messages[0].ts)));
    let row = desk.bench.store.incident_row(incident).await.unwrap().unwrap();
    assert_eq!(row.headline_ts.as_ref(), Some(&messages[0].ts));
    assert_eq!(row.thread_ts.as_ref(), Some(&messages[0].ts));
}

#[tokio::test]
async fn a_process_that_dies_between_acceptance_and_note_posts_nothing_twice() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.owe(incident, "headline", "headline").await;
    desk.die_after_acceptance(POST, |slack| slack.messages(id::ALERTS).len() == 1).await;
    let desk = desk.crash_and_restart().await;
    desk.owe(incident, "result/1", "result").await;
    desk.deliver().await;
    assert_eq!(desk.texts(), ["headline"], "what has left may still arrive: nothing goes before it");
    // In the thread it is looked for among the replies.
    desk.pass(6);
    desk.deliver_once_only().await;
    assert_eq!(desk.calls(POST), 1, "the headline was found, not posted anew");
    desk.die_after_acceptance(POST, |slack| slack.messages(id::ALERTS).len() == 2).await;
    let desk = desk.crash_and_restart().await;
    desk.deliver_for(8).await;
    assert_eq!(desk.texts(), ["headline", "result"]);
    let messages = desk.messages();
    assert_eq!(messages[1].thread_ts.as_ref(), Some(&messages[0].ts));
    assert_eq!(desk.calls(POST), 2);
}

#[tokio::test]
async fn a_message_that_changed_while_its_outcome_was_unknown_is_edited_once_it_is_found() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.owe(incident, "headline", "before").await;
    desk.die_after_acceptance(POST, |slack| slack.messages(id::ALERTS).len() == 1).await;
    let desk = desk.crash_and_restart().await;
    desk.owe(incident, "headline", "after").await;
    desk.deliver_for(8).await;
    assert_eq!(desk.texts(), ["after"]);
}

#[tokio::test]
async fn an_image_whose_answer_was_lost_is_shown_once() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.owe(incident, "headline", "headline").await;
    desk.owe_in(id::ALERTS, incident, "chart/1", "chart", Some(vec![1, 2, 3])).await;
    desk.deliver_once_only().await;
    desk.die_after_acceptance("files.completeUploadExternal", |slack| slack.messages(id::ALERTS).len() == 2)
        .await;
    let desk = desk.crash_and_restart().await;
    desk.deliver_for(8).await;
    let messages = desk.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[1].files.len(), 1);
    assert_eq!(messages[1].thread_ts.as_ref(), Some(&messages[0].ts));
    assert_eq!(desk.bench.store.outbox_depth().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn an_answer_that_was_lost_does_not_make_two_messages_of_one() {
    for kind in [FaultKind::AcceptedThenReset, FaultKind::Status(500), FaultKind::Reset, FaultKind::Malformed]
    {
        let desk = Desk::open().await;
        let incident = desk.incident().await;
        desk.slack.script(Fault::once(POST, kind.clone()));
        desk.owe(incident, "headline", "headline").await;
        desk.owe(incident, "result/1", "result").await;
        desk.deliver_for(10).await;
        assert_eq!(desk.texts(), ["headline", "result"], "{kind:?}");
        let expected = if kind == FaultKind::AcceptedThenReset { 2 } else { 3 };
        assert_eq!(desk.calls(POST), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_not_posted_again() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.slack.script(Fault::once(POST, FaultKind::AcceptedThenReset));
    desk.slack
        .script(Fault { times: Some(3), ..Fault::once("conversations.history", FaultKind::Status(503)) });
    desk.owe(incident, "headline", "headline").await;
    desk.deliver_for(60).await;
    assert_eq!(desk.texts(), ["headline"]);
    assert_eq!((desk.calls(POST), desk.calls("conversations.history")), (1, 4));
}

#[tokio::test]
async fn slack_is_left_alone_for_as_long_as_it_says() {
    let desk = Desk::open().await;
    let (one, other) = (desk.incident().await, desk.incident().await);
    desk.slack.script(Fault::once(POST, FaultKind::RateLimited(Duration::from_secs(30))));
    desk.owe(one, "headline", "one").await;
    desk.owe(other, "headline", "other").await;
    desk.deliver_for(29).await;
    assert_eq!((desk.calls(POST), desk.texts().len()), (1, 0));
    desk.deliver_for(3).await;
    assert_eq!(desk.texts(), ["one", "other"]);
    assert_eq!(desk.calls(POST), 3);
}

#[tokio::test]
async fn slack_never_has_to_say_that_it_was_too_fast() {
    let desk = Desk::open().await;
    let mut incidents = Vec::new();
    for _ in 0..12 {
        let incident = desk.incident().await;
        for purpose in ["headline", "result/1"] {
            desk.owe(incident, purpose, purpose).await;
        }
        incidents.push(incident);
    }
    for second in 0..40 {
        for incident in &incidents {
            desk.owe(*incident, "headline", &format!("headline at {second}")).await;
        }
        desk.deliver_for(1).await;
    }
    let counters = desk.slack.counters();
    assert_eq!(counters[POST].calls, 24);
    for (method, counter) in counters {
        assert!(!counter.errors.contains_key("ratelimited"), "{method}: {counter:?}");
    }
}

#[tokio::test]
async fn only_the_newest_state_of_a_headline_is_sent() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.owe(incident, "headline", "0").await;
    desk.deliver().await;
    for state in 1..=20 {
        desk.owe(incident, "headline", &state.to_string()).await;
    }
    desk.deliver_for(3).await;
    assert_eq!(desk.texts(), ["20"]);
    assert_eq!(desk.calls("chat.update"), 1);
    desk.owe(incident, "headline", "20").await;
    desk.deliver_for(3).await;
    assert_eq!(desk.calls("chat.update"), 1, "what is shown already is not sent again");
}

#[tokio::test]
async fn what_slack_refuses_for_good_is_put_on_record_and_not_repeated() {
    for code in ["channel_not_found", "is_archived", "invalid_blocks", "msg_too_long", "token_revoked"] {
        let desk = Desk::open().await;
        let incident = desk.incident().await;
        let fault = Fault { times: None, ..Fault::once(POST, FaultKind::Error(code.into())) };
        desk.slack.script(fault);
        desk.owe(incident, "headline", "headline").await;
        desk.deliver_for(120).await;
        assert_eq!(desk.calls(POST), 1, "{code}");
        let aside = desk.bench.store.put_aside().await.unwrap();
        assert_eq!(aside.len(), 1);
        assert!(aside[0].error.contains(code), "{aside:?}");
        assert_eq!(aside[0].id, format!("{incident}/headline"));
        assert!(aside[0].channel.is_some(), "{aside:?}");
        assert_eq!(desk.bench.store.undelivered().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_message_that_slack_refuses_as_it_is_arrives_in_a_short_form_with_its_buttons() {
    for code in ["msg_blocks_too_long", "invalid_blocks"] {
        let desk = Desk::open().await;
        let incident = desk.incident().await;
        let buttons = json!({ "type": "actions", "elements": [{
            "type": "button", "action_id": "rollback_approve", "value": "a-1",
            "text": { "type": "plain_text", "text": "Roll back" },
        }] });
        let long = json!({ "type": "section", "text": { "type": "mrkdwn", "text": "word ".repeat(500) } });
        let owe = async |text: &str| {
            let body = json!({
                "text": text, "blocks": [long.clone(), buttons.clone()],
                "metadata": { "event_type": "incident_result", "event_payload": { "incident": incident } },
            });
            let owed = Owed {
                purpose: "result/1".into(),
                incident: Some(incident),
                channel: id::ALERTS.into(),
                thread_ts: None,
                body,
                image: None,
                approval: None,
            };
            desk.bench.store.owe(&owed, desk.bench.clock.now()).await.unwrap();
        };
        desk.slack.script(Fault::once(POST, FaultKind::Error(code.into())));
        owe("A pool is too small.").await;
        desk.deliver_for(3).await;
        let posted = desk.messages().pop().unwrap_or_else(|| panic!("{code}: nothing arrived"));
        assert_eq!(posted.action_ids(), ["rollback_approve"], "{code}");
        let said = json!(posted.blocks).to_string();
        assert!(said.contains("A pool is too small.") && said.contains("incidents show INC-1"), "{said}");
        assert_eq!(desk.bench.store.outbox_depth().await.unwrap().dead, 0);
        // What it says next is tried as it is again, and shortened again where that is refused too.
        owe("Approved.").await;
        desk.deliver_for(3).await;
        assert!(json!(desk.messages()[0].blocks).to_string().contains("word word"));
        desk.slack.script(Fault::once("chat.update", FaultKind::Error(code.into())));
        owe("Rolled back.").await;
        desk.deliver_for(3).await;
        let said = json!(desk.messages()[0].blocks).to_string();
        assert!(said.contains("Rolled back.") && !said.contains("word word"), "{said}");
        assert_eq!(desk.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_headline_does_not_hold_up_the_result() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.slack.script(Fault::once(POST, FaultKind::Error("invalid_blocks".into())));
    desk.owe(incident, "headline", "headline").await;
    desk.owe(incident, "result/1", "result").await;
    desk.deliver_for(3).await;
    assert_eq!(desk.texts(), ["result"]);
}

#[tokio::test]
async fn an_invitation_brings_what_was_refused_for_want_of_it() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.slack.set_membership(id::ALERTS, false);
    desk.owe(incident, "headline", "investigating").await;
    desk.owe(incident, "result/1", "result").await;
    desk.deliver_for(5).await;
    assert_eq!(desk.bench.store.outbox_depth().await.unwrap().dead, 2);
    desk.slack.set_membership(id::ALERTS, true);
    desk.owe(incident, "headline", "verdict given").await;
    desk.deliver_for(5).await;
    assert_eq!(desk.texts(), ["verdict given", "result"]);
}

#[tokio::test]
async fn a_deleted_headline_stays_deleted() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.owe(incident, "headline", "1").await;
    desk.deliver().await;
    desk.slack.script(Fault::once("chat.update", FaultKind::Error("message_not_found".into())));
    for state in 2..5 {
        desk.owe(incident, "headline", &state.to_string()).await;
        desk.deliver_for(3).await;
    }
    assert_eq!((desk.calls(POST), desk.calls("chat.update")), (1, 1));
    assert_eq!(desk.bench.store.outbox_depth().await.unwrap().dead, 0, "that is nobody's failure");
}

#[tokio::test]
async fn where_the_alert_was_deleted_the_answer_begins_a_thread_of_its_own() {
    let desk = Desk::open().await;
    let alert = Alert { service: "checkout".into(), at: desk.bench.clock.now(), ..blank() };
    let origin =
        Origin { channel: Some(id::ALERTS.into()), thread_ts: Some("1.000001".into()), ..Origin::default() };
    let accepted = desk.bench.store.accept(NewAlert { alert, origin }, desk.bench.clock.now()).await.unwrap();
    let incident = accepted.incident().unwrap();
    desk.owe(incident, "headline", "headline").await;
    desk.owe(incident, "result/1", "result").await;
    desk.deliver_for(5).await;
    let messages = desk.messages();
    assert_eq!(desk.texts(), ["headline", "result"]);
    assert_eq!(messages[1].thread_ts.as_ref(), Some(&messages[0].ts));
}

fn blank() -> Alert {
    serde_json::from_value::<Alert>(json!({ "service": "x", "at": "2026-02-06T12:00:00Z" })).unwrap()
}

#[tokio::test]
async fn a_posted_message_names_its_incident_and_its_delivery() {
    let desk = Desk::open().await;
    let incident = desk.incident().await;
    desk.owe(incident, "headline", "headline").await;
    desk.deliver().await;
    let message: Value = desk.slack.message_json(&desk.messages()[0]);
    let payload = &message["metadata"]["event_payload"];
    assert_eq!(payload["incident"], incident.to_string());
    assert!(payload["delivery"].as_str().is_some_and(|token| token.len() == 32), "{payload}");
}
