//! What people do with buttons, forms and menus, read from the bodies that Slack sends.
//!
//! The rule that is not obvious: a trigger lives three seconds. Whoever wants to open a form takes it
//! from here and calls at once; what must not be lost is stored first, because nothing here comes twice.

use serde_json::Value;

/// One interaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Interaction {
    /// A button or a select in a message.
    Press(Press),
    /// A button or a select in a form or on App Home.
    ViewPress(ViewPress),
    /// An entry of a message's menu.
    Shortcut(Box<Shortcut>),
    /// A form was sent.
    Submission(Submission),
    /// Somebody types in a select whose options we offer.
    Suggestion(Suggestion),
    /// Nothing that concerns us, with the reason for the log.
    Ignored { why: &'static str },
}

/// A button that was pressed in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// Unique per press: Slack's retries carry the same.
    pub delivery: String,
    pub action_id: String,
    /// Of the block that the button or select stands in.
    pub block_id: String,
    pub value: String,
    pub user: String,
    pub channel: String,
    pub message_ts: String,
    pub thread_ts: Option<String>,
    /// Answers whoever pressed, in channels that the bot is not in as well.
    pub response_url: Option<String>,
    /// Opens a form within three seconds; empty where Slack sent none.
    pub trigger_id: String,
}

/// A button that was pressed in a form or on App Home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewPress {
    pub action_id: String,
    pub value: String,
    pub user: String,
    pub trigger_id: String,
}

/// 'Investigate this' in a message's menu.
#[derive(Debug, Clone, PartialEq)]
pub struct Shortcut {
    pub delivery: String,
    pub callback_id: String,
    pub user: String,
    pub channel: String,
    pub message_ts: String,
    pub thread_ts: Option<String>,
    pub response_url: Option<String>,
    pub trigger_id: String,
    /// The message as Slack sent it.
    pub message: Value,
}

/// A form that was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Unique per form and content: a second press of the same button carries the same.
    pub delivery: String,
    pub callback_id: String,
    pub user: String,
    /// What the form was opened with.
    pub private_metadata: String,
    pub trigger_id: String,
    /// By block and action id.
    values: Value,
}

impl Submission {
    fn state(&self, block: &str, action: &str) -> &Value {
        &self.values[block][action]
    }

    /// What was typed; `None` where nothing was.
    pub fn text(&self, block: &str, action: &str) -> Option<String> {
        let text = self.state(block, action)["value"].as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The value of the option that was chosen.
    pub fn option(&self, block: &str, action: &str) -> Option<String> {
        let value = self.state(block, action)["selected_option"]["value"].as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Epoch seconds of a date and time that was picked.
    pub fn date_time(&self, block: &str, action: &str) -> Option<i64> {
        self.state(block, action)["selected_date_time"].as_i64()
    }
}

/// What somebody typed so far in a select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub action_id: String,
    pub typed: String,
}

/// Reads the verified payload of an interaction. Never fails: what cannot be read is ignored, with a reason.
pub fn read_interaction(payload: &Value) -> Interaction {
    let read = match payload["type"].as_str() {
        Some("block_actions") => read_press(payload)
            .map(Interaction::Press)
            .or_else(|| read_view_press(payload).map(Interaction::ViewPress)),
        Some("message_action") => read_shortcut(payload).map(|read| Interaction::Shortcut(Box::new(read))),
        Some("view_submission") => read_submission(payload).map(Interaction::Submission),
        Some("block_suggestion") => read_suggestion(payload).map(Interaction::Suggestion),
        Some("view_closed") => Some(Interaction::Ignored { why: "a form that was closed" }),
        _ => Some(Interaction::Ignored { why: "an interaction of an unknown type" }),
    };
    read.unwrap_or(Interaction::Ignored { why: "an interaction that lacks what its type needs" })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn or_empty(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Reads a press of a button in a message; `None` where the payload is none.
pub fn read_press(payload: &Value) -> Option<Press> {
    if payload["type"].as_str()? != "block_actions" {
        return None;
    }
    let action = payload["actions"].as_array()?.first()?;
    let container = &payload["container"];
    let channel = text(&payload["channel"]["id"]).or_else(|| text(&container["channel_id"]))?;
    let message_ts = text(&payload["message"]["ts"]).or_else(|| text(&container["message_ts"]))?;
    let user = text(&payload["user"]["id"])?;
    let action_id = text(&action["action_id"])?;
    let action_ts = or_empty(&action["action_ts"]);
    Some(Press {
        delivery: format!("press/{channel}/{message_ts}/{action_id}/{user}/{action_ts}"),
        block_id: or_empty(&action["block_id"]),
        value: value_of(action),
        thread_ts: text(&payload["message"]["thread_ts"]).or_else(|| text(&container["thread_ts"])),
        response_url: text(&payload["response_url"]),
        trigger_id: or_empty(&payload["trigger_id"]),
        action_id,
        user,
        channel,
        message_ts,
    })
}

/// A button's value, or that of the option that was chosen.
fn value_of(action: &Value) -> String {
    text(&action["value"]).or_else(|| text(&action["selected_option"]["value"])).unwrap_or_default()
}

fn read_view_press(payload: &Value) -> Option<ViewPress> {
    let action = payload["actions"].as_array()?.first()?;
    Some(ViewPress {
        action_id: text(&action["action_id"])?,
        value: value_of(action),
        user: text(&payload["user"]["id"])?,
        trigger_id: or_empty(&payload["trigger_id"]),
    })
}

fn read_shortcut(payload: &Value) -> Option<Shortcut> {
    let channel = text(&payload["channel"]["id"])?;
    let message = &payload["message"];
    let message_ts = text(&payload["message_ts"]).or_else(|| text(&message["ts"]))?;
    let user = text(&payload["user"]["id"])?;
    let action_ts = or_empty(&payload["action_ts"]);
    Some(Shortcut {
        delivery: format!("shortcut/{channel}/{message_ts}/{user}/{action_ts}"),
        callback_id: text(&payload["callback_id"])?,
        thread_ts: text(&message["thread_ts"]),
        response_url: text(&payload["response_url"]),
        trigger_id: or_empty(&payload["trigger_id"]),
        message: message.clone(),
        user,
        channel,
        message_ts,
    })
}

fn read_submission(payload: &Value) -> Option<Submission> {
    let view = &payload["view"];
    let id = or_empty(&view["id"]);
    let hash = or_empty(&view["hash"]);
    Some(Submission {
        delivery: format!("form/{id}/{hash}"),
        callback_id: text(&view["callback_id"])?,
        user: text(&payload["user"]["id"])?,
        private_metadata: or_empty(&view["private_metadata"]),
        trigger_id: or_empty(&payload["trigger_id"]),
        values: view["state"]["values"].clone(),
    })
}

fn read_suggestion(payload: &Value) -> Option<Suggestion> {
    Some(Suggestion { action_id: text(&payload["action_id"])?, typed: or_empty(&payload["value"]) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_press_is_the_same_in_every_retry() {
        let payload = json!({
            "type": "block_actions", "user": { "id": "U1" }, "channel": { "id": "C1" }, "trigger_id": "T",
            "message": { "ts": "1.2" },
            "actions": [{ "action_id": "rollback_approve", "value": "abc", "action_ts": "9.9" }]
        });
        let Interaction::Press(press) = read_interaction(&payload) else { panic!("no press") };
        assert_eq!((press.value.as_str(), press.trigger_id.as_str()), ("abc", "T"));
        assert_eq!(read_press(&payload).unwrap().delivery, press.delivery);
    }

    #[test]
    fn a_form_says_what_was_filled_in() {
        let payload = json!({
            "type": "view_submission", "user": { "id": "U1" },
            "view": { "id": "V1", "hash": "h", "callback_id": "investigate", "private_metadata": "C1",
                "state": { "values": {
                    "service": { "service": { "selected_option": { "value": "checkout" } } },
                    "at": { "at": { "selected_date_time": 1_770_380_100 } },
                    "words": { "words": { "value": "  " } } } } }
        });
        let Interaction::Submission(form) = read_interaction(&payload) else { panic!("no form") };
        assert_eq!(form.option("service", "service").as_deref(), Some("checkout"));
        assert_eq!(form.date_time("at", "at"), Some(1_770_380_100));
        assert_eq!(form.text("words", "words"), None, "blanks are nothing");
        assert_eq!(form.text("nowhere", "words"), None);
    }

    #[test]
    fn a_press_on_app_home_is_none_of_a_message() {
        let payload = json!({
            "type": "block_actions", "user": { "id": "U1" }, "container": { "type": "view", "view_id": "V1" },
            "actions": [{ "action_id": "show_evidence", "value": "INC-7" }]
        });
        assert!(
            matches!(read_interaction(&payload), Interaction::ViewPress(press) if press.value == "INC-7")
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-z_]{0,12}|block_actions|message_action|view_submission|block_suggestion"
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(
                    "type|view|state|values|message|channel|container|user|id|actions|action_id",
                    inner,
                    0..6
                )
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_a_panic(body in any_json()) {
            if let Interaction::Submission(form) = read_interaction(&body) {
                let _ = (form.text("a", "b"), form.option("a", "b"), form.date_time("a", "b"));
            }
        }
    }
}
