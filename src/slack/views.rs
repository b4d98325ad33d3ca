//! Forms: what they ask, as pure functions.
//!
//! The rule that is not obvious: a form travels to Slack and back, so what must be known when it is
//! sent stands in its `private_metadata`, and nothing in there is believed more than what was typed.

use serde_json::{Value, json};

use super::text::cut;

/// `callback_id` of the form behind a bare `/investigate`.
pub const INVESTIGATE: &str = "investigate";

/// Slack's limit for what a form is opened with.
const METADATA_MAX: usize = 3_000;
const OPTION_TEXT_MAX: usize = 75;
const OPTION_VALUE_MAX: usize = 150;

pub(super) fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text })
}

pub(super) fn modal(
    callback_id: &str,
    title: &str,
    submit: Option<&str>,
    metadata: &str,
    blocks: &[Value],
) -> Value {
    let mut view = json!({
        "type": "modal",
        "callback_id": callback_id,
        "title": plain(&cut(title, 24)),
        "close": plain(if submit.is_some() { "Cancel" } else { "Close" }),
        "private_metadata": if metadata.chars().count() <= METADATA_MAX { metadata } else { "" },
        "blocks": blocks,
    });
    if let Some(submit) = submit {
        view["submit"] = plain(submit);
    }
    view
}

pub(super) fn input(block: &str, label: &str, hint: &str, element: &Value) -> Value {
    let mut block = json!({
        "type": "input", "block_id": block, "optional": true, "label": plain(label), "element": element,
    });
    if !hint.is_empty() {
        block["hint"] = plain(hint);
    }
    block
}

/// Which service, at which time, about which message. `metadata` says where the answer belongs.
pub fn investigate_form(metadata: &str) -> Value {
    let blocks = vec![
        input(
            "service",
            "Service",
            "",
            &json!({
                "type": "external_select", "action_id": "service", "min_query_length": 0,
                "placeholder": plain("Type its name"),
            }),
        ),
        input(
            "at",
            "When",
            "Nothing chosen means now.",
            &json!({ "type": "datetimepicker", "action_id": "at" }),
        ),
        input(
            "words",
            "Or when, in words",
            "On your own clock where you name no zone.",
            &json!({
                "type": "plain_text_input", "action_id": "words", "max_length": 100,
                "placeholder": plain("20 minutes ago, 14:05, yesterday 9pm"),
            }),
        ),
        input(
            "link",
            "Or the link of an alert's message",
            "Service and time are read from it, and the answer comes in its thread.",
            &json!({
                "type": "plain_text_input", "action_id": "link", "max_length": 500,
                "placeholder": plain("https://….slack.com/archives/…"),
            }),
        ),
    ];
    modal(INVESTIGATE, "Investigate", Some("Investigate"), metadata, &blocks)
}

/// Answers to what is typed in a select: names to choose from, and the typed one where it is new.
pub fn options(names: &[String], typed: &str) -> Value {
    let option =
        |label: &str, value: &str| json!({ "text": plain(&cut(label, OPTION_TEXT_MAX)), "value": value });
    let fits = |name: &&String| !name.is_empty() && name.chars().count() <= OPTION_VALUE_MAX;
    let mut options: Vec<Value> = names.iter().filter(fits).take(99).map(|name| option(name, name)).collect();
    let typed = typed.trim().to_owned();
    if fits(&&typed) && !names.iter().any(|name| name.eq_ignore_ascii_case(&typed)) {
        options.push(option(&format!("Another one: {typed}"), &typed));
    }
    json!({ "options": options })
}

/// What is wrong with a form, by block.
pub fn errors(errors: &[(&str, String)]) -> Value {
    let errors: serde_json::Map<String, Value> = errors
        .iter()
        // Plain text here: marks would be seen.
        .map(|(block, sentence)| ((*block).to_owned(), json!(cut(&sentence.replace('`', ""), 300))))
        .collect();
    json!({ "response_action": "errors", "errors": errors })
}
