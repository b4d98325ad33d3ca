mod tools;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// CloudWatch alarm by an SNS relay: fields with backticks, the state in a field.
#[test]
fn a_cloudwatch_relay_says_its_state_in_a_field() {
    let reading = read_message(&json!({
        "username": "AWS CloudWatch", "bot_id": "B1", "attachments": [{
            "color": "danger", "fallback": "Alarm basket-errors triggered", "text": "AWS CloudWatch notification",
            "fields": [
                { "title": "Alarm Name", "value": "`basket-errors`" },
                { "title": "Old State", "value": "`OK`" },
                { "title": "Current State", "value": "`ALARM`" },
            ]
        }]
    }));
    assert_eq!(reading.state, Some(AlertState::Firing));
    assert_eq!(reading.alert_name.as_deref(), Some("basket-errors"));
    assert_eq!(reading.at, None);
}

/// Alertmanager's default Slack template: label values without keys.
#[test]
fn alertmanagers_default_title_is_taken_apart() {
    let reading = read_message(&json!({
        "attachments": [{ "title": "[FIRING:3] SlowQueries ledger (prod eu warning)" }]
    }));
    assert_eq!(reading.alert_name.as_deref(), Some("SlowQueries"));
    assert_eq!(reading.service.as_deref(), Some("ledger"));
    assert_eq!(reading.severity.as_deref(), Some("warning"));
    let resolved =
        read_message(&json!({ "attachments": [{ "title": "[RESOLVED] SlowQueries ledger (prod)" }] }));
    assert_eq!(resolved.state, Some(AlertState::Resolved));
}

/// PagerDuty-like blocks: fields with a bold name above the value.
#[test]
fn block_fields_are_names_above_values() {
    let reading = read_message(&json!({
        "attachments": [{ "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": "🚨 Triggered: P2 incident" } },
            { "type": "section", "text": { "type": "mrkdwn", "text": "*Search p95 latency above 1s*" } },
            { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*Service*\nSearch API" }] },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": "Triggered 2026-01-05 14:11:00 UTC · on call" }] },
        ] }]
    }));
    assert_eq!(reading.alert_name.as_deref(), Some("Search p95 latency above 1s"));
    assert_eq!(reading.service.as_deref(), Some("Search API"));
    assert_eq!(reading.metric.as_deref(), Some("p95 latency"));
    assert_eq!(reading.severity.as_deref(), Some("P2"));
    assert_eq!(reading.at, Some(at("2026-01-05T14:11:00Z")));
}

/// Sentry: the title is a link in the text, the time a date token.
#[test]
fn a_date_token_is_the_time() {
    let reading = read_message(&json!({
        "text": "<https://s.example/1|*Critical: orders error rate*>",
        "attachments": [{ "blocks": [{ "type": "section",
            "text": { "type": "mrkdwn", "text": "<!date^1767622260^Started: {date}|Incident>" } }] }]
    }));
    assert_eq!(reading.alert_name.as_deref(), Some("orders error rate"));
    assert_eq!(reading.service.as_deref(), Some("orders"));
    assert_eq!(reading.severity.as_deref(), Some("critical"));
    assert_eq!(reading.at, Some(at("2026-01-05T14:11:00Z")));
}

#[test]
fn what_says_no_condition_is_no_alert() {
    for message in [
        json!({ "text": "Hello from TaskBot" }),
        json!({ "attachments": [{ "pretext": "Build 12 succeeded", "color": "2eb886" }] }),
        json!({ "attachments": [{ "title": "All fine", "text": "Have a good day" }] }),
        json!({ "text": "the deploy was critical for us, error rates are normal" }),
    ] {
        assert!(!read_message(&message).is_alert, "{message}");
    }
}

#[test]
fn a_person_is_no_alert() {
    let event = json!({ "type": "event_callback", "event": { "type": "message", "user": "U1", "text": "ALARM: help" } });
    assert_eq!(read(&event), Reading::default());
}

#[test]
fn an_alert_body_is_read_too() {
    let reading =
        read(&json!({ "alert": { "service": "checkout", "triggered_at": "2026-02-06T12:15:00Z" } }));
    assert!(reading.is_alert);
    assert_eq!(reading.at, Some(at("2026-02-06T12:15:00Z")));
}

fn any_json() -> impl Strategy<Value = Value> {
    any_json_of("[ a-zA-Z:*`<>|!^0-9\\[\\]()\"é🚨-]{0,40}")
}

/// JSON of any shape, shaped somewhat like messages, whose strings are these.
fn any_json_of<S: Strategy<Value = String> + 'static>(text: S) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(Value::from),
        4 => text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(
                "text|title|attachments|blocks|fields|value|elements|type|ts|color|fallback|footer",
                inner,
                0..6
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Words that state no condition make no alert, in whatever fields, colours and blocks they stand.
    #[test]
    fn no_state_no_alert(
        words in prop::collection::vec(
            "hello|lunch|team|basket|page|friday|thanks|plan|notes|42|room|latency|error|rate|p99|cpu|queue|dashboard|\
             threshold|metric|requests|timeout|region|eu-west-1|checkout-api|db-01|12%|350ms|slow|memory|traffic|graph",
            1..12,
        ),
        colour in "danger|good|a30200|439fe0",
        field in "Owner|Room|Topic|Notes|Service",
    ) {
        let text = words.join(" ");
        let message = json!({ "text": text, "attachments": [{ "title": text, "color": colour, "text": text,
            "fields": [{ "title": field, "value": text }] }] });
        prop_assert!(!read_message(&message).is_alert, "{message}");
        let body = json!({ "title": text, "message": text, "value": 3 });
        prop_assert!(!read(&body).is_alert, "{body}");
    }

    /// A name of a state that other tools use too, or of how bad it is, states nothing where a person says it.
    #[test]
    fn words_of_monitoring_in_running_text_state_nothing(
        before in prop::collection::vec("we|the|saw|team|again|yesterday|because|please|latency|basket", 2..6),
        word in "alarm|alert|firing|triggered|resolved|critical|warning|down|recovered|acknowledged|incident|P1|error",
        after in prop::collection::vec("and|of|was|then|people|notes|plan|tomorrow|rate|dashboard", 2..6),
    ) {
        let text = format!("{} {word} {}", before.join(" "), after.join(" "));
        let message = json!({ "text": text, "username": "helper" });
        prop_assert!(!read_message(&message).is_alert, "{message}");
    }

    /// Names of what is watched state nothing, in whatever JSON they stand; nor does a state that somebody speaks of.
    #[test]
    fn no_shape_makes_an_alert_of_words_that_state_nothing(
        message in any_json_of(prop_oneof![
            "(latency|error rate|p99|cpu|queue|dashboard|threshold|basket|db-01|12%|350ms|team)( (graph|page|of|for|notes)){0,2}",
            "(we|they|somebody) (saw|discussed|read about) (an|that|the) (alarm|alert|incident|outage|P1) (and|then) (slept|left)",
            "(Dana|Mia) says (it|that) (fired|resolved|recovered|was down|was critical) (last week|in spring)",
        ]),
    ) {
        for reading in [read_message(&message), read(&message)] {
            prop_assert!(!reading.is_alert, "{message}");
        }
    }

    #[test]
    fn any_message_is_read_without_a_panic(message in any_json()) {
        for reading in [read_message(&message), read(&message)] {
            prop_assert_eq!(reading.is_alert, reading.state.is_some());
        }
    }
}
