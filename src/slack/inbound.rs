//! What Slack sends, as plain values. The bodies were verified before they come here.
//!
//! The rule that is not obvious: the library's models drop alerts (one odd value makes a message's
//! whole content vanish), so the raw JSON is read here with tolerance, field by field.

use serde_json::Value;

/// The header with Slack's signature of a body.
pub const SIGNATURE: &str = "x-slack-signature";
/// The header with the second that a body was signed in.
pub const SIGNED_AT: &str = "x-slack-request-timestamp";

/// Whether the two headers look like Slack's: what does not is not worth reading the body for.
pub fn looks_signed(signature: &str, signed_at: &str) -> bool {
    let hex = signature.strip_prefix("v0=").unwrap_or_default();
    hex.len() == 64
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (1..=12).contains(&signed_at.len())
        && signed_at.bytes().all(|byte| byte.is_ascii_digit())
}

/// One event of the Events API.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Slack asks whether this URL is ours.
    UrlVerification { challenge: String },
    /// A message, of a person or of another bot.
    Message(Box<IncomingMessage>),
    /// Somebody mentioned the bot.
    Mention(Box<IncomingMessage>),
    /// The bot's home tab was opened.
    HomeOpened { user: String },
    /// Nothing that concerns us, with the reason for the log.
    Ignored { why: &'static str },
}

#[derive(Debug, Clone, PartialEq)]
pub struct IncomingMessage {
    /// Slack's id of this delivery: the same in every retry.
    pub event_id: String,
    pub channel: String,
    pub ts: String,
    pub thread_ts: Option<String>,
    pub user: Option<String>,
    pub bot_id: Option<String>,
    pub text: String,
    /// `message_changed`: an alert may resolve by an edit.
    pub edit: Option<Edit>,
    /// Slack's own word that the app which hears this wrote it.
    pub is_own: bool,
    /// The message itself (for an edit, the new one), as Slack sent it.
    pub raw: Value,
}

/// What an edited message was before.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// `Null` where Slack does not say.
    pub previous: Value,
}

/// Reads a verified body of the Events API. Never fails: what cannot be read is ignored, with a reason.
pub fn read_event(body: &Value) -> Event {
    match body["type"].as_str() {
        Some("url_verification") => match body["challenge"].as_str() {
            Some(challenge) => Event::UrlVerification { challenge: challenge.to_owned() },
            None => Event::Ignored { why: "a url_verification without a challenge" },
        },
        Some("event_callback") => read_callback(body),
        _ => Event::Ignored { why: "a body of an unknown type" },
    }
}

fn read_callback(body: &Value) -> Event {
    let event = &body["event"];
    let kind = event["type"].as_str().unwrap_or_default();
    match kind {
        "message" | "app_mention" => {
            let subtype = event["subtype"].as_str();
            let (message, edit) = match subtype {
                None | Some("bot_message" | "thread_broadcast" | "file_share") => (event, None),
                Some("message_changed") => {
                    (&event["message"], Some(Edit { previous: event["previous_message"].clone() }))
                }
                Some(_) => return Event::Ignored { why: "a message subtype that says nothing new" },
            };
            let Some(channel) = event["channel"].as_str() else {
                return Event::Ignored { why: "a message without a channel" };
            };
            let Some(ts) = message["ts"].as_str() else {
                return Event::Ignored { why: "a message without a ts" };
            };
            let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let incoming = Box::new(IncomingMessage {
                event_id: text(&body["event_id"])
                    .unwrap_or_else(|| format!("{channel}/{ts}/{}", edit.is_some())),
                channel: channel.to_owned(),
                ts: ts.to_owned(),
                thread_ts: text(&message["thread_ts"]),
                user: text(&message["user"]),
                bot_id: text(&message["bot_id"]),
                text: message["text"].as_str().unwrap_or_default().to_owned(),
                is_own: is_own(body, message),
                edit,
                raw: message.clone(),
            });
            if kind == "app_mention" { Event::Mention(incoming) } else { Event::Message(incoming) }
        }
        // The same event tells of the tab with the messages.
        "app_home_opened" if event["tab"] == "messages" => Event::Ignored { why: "not the home tab" },
        "app_home_opened" => match event["user"].as_str() {
            Some(user) => Event::HomeOpened { user: user.to_owned() },
            None => Event::Ignored { why: "a home without a user" },
        },
        _ => Event::Ignored { why: "an event of an unknown type" },
    }
}

/// Whether the app that hears an event wrote the message itself: by its app's id, else by the user that it is in
/// this workspace. Holds before anybody asked Slack who the bot is.
pub fn is_own(body: &Value, message: &Value) -> bool {
    let ours = |field: &Value, own: &Value| field.is_string() && field == own;
    ours(&message["app_id"], &body["api_app_id"])
        || ours(&message["bot_profile"]["app_id"], &body["api_app_id"])
        || body["authorizations"].as_array().into_iter().flatten().any(|authorization| {
            authorization["is_bot"] == true && ours(&message["user"], &authorization["user_id"])
        })
}

/// A slash command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub user: String,
    pub channel: String,
    pub text: String,
    /// Answers whoever typed it, in channels that the bot is not in as well.
    pub response_url: Option<String>,
    /// Opens a form within three seconds; empty where Slack sent none.
    pub trigger_id: String,
}

/// What a form from the command URL is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandBody {
    Command(Command),
    /// Slack checks the certificate and expects a bare 200.
    SslCheck,
    Unreadable,
}

/// Reads a verified form of a slash command.
pub fn read_command(form: &[(String, String)]) -> CommandBody {
    let get = |key: &str| form.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    if get("ssl_check").as_deref() == Some("1") {
        return CommandBody::SslCheck;
    }
    match (get("user_id"), get("channel_id")) {
        (Some(user), Some(channel)) => CommandBody::Command(Command {
            user,
            channel,
            text: get("text").unwrap_or_default().trim().to_owned(),
            response_url: get("response_url").filter(|url| !url.is_empty()),
            trigger_id: get("trigger_id").unwrap_or_default(),
        }),
        _ => CommandBody::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bots_message_is_read_with_what_the_library_drops() {
        let body = json!({
            "type": "event_callback", "event_id": "Ev1",
            "event": { "type": "message", "subtype": "bot_message", "channel": "C1", "ts": "1.2", "text": "",
                       "bot_id": "B1", "attachments": [{ "id": "not a number", "fields": [{ "value": 5 }] }] }
        });
        let Event::Message(message) = read_event(&body) else { panic!("not a message") };
        assert_eq!(message.bot_id.as_deref(), Some("B1"));
        assert_eq!(message.raw["attachments"][0]["fields"][0]["value"], 5);
    }

    #[test]
    fn an_edit_carries_the_new_message() {
        let body = json!({
            "type": "event_callback", "event_id": "Ev1",
            "event": { "type": "message", "subtype": "message_changed", "channel": "C1",
                       "message": { "ts": "1.2", "text": "Resolved" }, "previous_message": { "text": "Firing" } }
        });
        let Event::Message(message) = read_event(&body) else { panic!("not a message") };
        assert_eq!(message.edit.unwrap().previous["text"], "Firing");
        assert_eq!(message.text, "Resolved");
    }

    #[test]
    fn ssl_check_is_answered_not_run() {
        let form = vec![("ssl_check".to_owned(), "1".to_owned())];
        assert_eq!(read_command(&form), CommandBody::SslCheck);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z_]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("type|event|message|channel|ts|text|user|actions", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_a_panic(body in any_json()) {
            let _ = read_event(&body);
        }
    }
}
