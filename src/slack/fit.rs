//! What a whole message may say: Slack refuses one whose blocks say too much together.
//!
//! The rule that is not obvious: nobody outside Slack knows what exactly it counts, so the JSON is counted, which
//! is longer than anything else that it may be. Whoever makes a message leaves out what is least dear; what is
//! done here is the last resort, and it never touches buttons.

use serde_json::{Value, json};

use super::messages::{context, section};
use super::text::shorten;

/// Characters of all blocks of a message, as JSON.
///
/// Slack documents no such limit and refuses with `msg_blocks_too_long`: 11,341 characters of text in sections,
/// headers and rich text were too much (slackapi/bolt-js #2867), 13,297 of markdown were the most that was taken
/// (#2509). JSON holds the text and more, so this is below both, whatever is counted.
pub(super) const MESSAGE_MAX: usize = 11_000;
pub(super) const BLOCKS_MAX: usize = 50;
/// Bytes of a view's JSON. Slack takes 250 kB, and does not say how it writes letters beyond ASCII.
pub(super) const VIEW_MAX: usize = 240_000;
/// A text that is cut is not cut to less than this: it would say nothing.
const SHORTEST: usize = 300;
/// The text of a short form.
const SHORT_FORM_MAX: usize = 1_500;

/// Characters of blocks as JSON.
pub(super) fn size(blocks: &[Value]) -> usize {
    blocks.iter().map(|block| block.to_string().chars().count() + 1).sum()
}

/// Bytes of blocks as JSON, every letter beyond ASCII written as its escape: the longest that it can be.
pub(super) fn size_in_view(blocks: &[Value]) -> usize {
    let bytes = |letter: char| if letter.is_ascii() { 1 } else { 6 * letter.len_utf16() };
    blocks.iter().map(|block| block.to_string().chars().map(bytes).sum::<usize>() + 1).sum()
}

/// Blocks that a message may have. The longest texts are cut first, then blocks go from the end, and `rest` says
/// where the whole of it is.
pub(super) fn fit(mut blocks: Vec<Value>, rest: &str) -> Vec<Value> {
    let pointer = context(rest);
    while size(&blocks) > MESSAGE_MAX {
        let longest = blocks.iter_mut().flat_map(texts).max_by_key(|text| length(text));
        let Some(text) = longest.filter(|text| length(text) > SHORTEST) else { break };
        let half = length(text) / 2;
        *text = Value::from(shorten(text.as_str().unwrap_or_default(), half.max(SHORTEST), rest));
    }
    let fits = |blocks: &[Value], room: usize| {
        blocks.len() + room <= BLOCKS_MAX
            && size(blocks) + room * size(std::slice::from_ref(&pointer)) <= MESSAGE_MAX
    };
    if fits(&blocks, 0) {
        return blocks;
    }
    while !fits(&blocks, 1)
        && let Some(last) = blocks.iter().rposition(|block| !is_buttons(block))
    {
        blocks.remove(last);
    }
    let place = blocks.iter().rposition(|block| !is_buttons(block)).map_or(0, |last| last + 1);
    blocks.insert(place, pointer);
    blocks
}

fn is_buttons(block: &Value) -> bool {
    block["type"] == "actions"
}

fn length(text: &Value) -> usize {
    text.as_str().map_or(0, |text| text.chars().count())
}

/// The texts of a section or a context, which may be cut.
fn texts(block: &mut Value) -> Vec<&mut Value> {
    let kind = block["type"].as_str().unwrap_or_default().to_owned();
    let Some(object) = block.as_object_mut().filter(|_| ["section", "context"].contains(&kind.as_str()))
    else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for (key, value) in object {
        match (key.as_str(), value) {
            ("text", Value::Object(text)) => texts.extend(text.get_mut("text")),
            ("fields" | "elements", Value::Array(list)) => {
                texts.extend(list.iter_mut().filter_map(|item| item.get_mut("text")));
            }
            _ => {}
        }
    }
    texts
}

/// A message in a few words, for a Slack that refuses it as it is: what its notification says, and its buttons.
/// `None` where that is the message itself.
pub fn short_form(body: &Value) -> Option<Value> {
    let blocks = body["blocks"].as_array()?;
    let text = body["text"].as_str().filter(|text| !text.is_empty())?;
    let rest = match body["metadata"]["event_payload"]["incident"].as_str() {
        Some(id) => {
            format!("Slack refuses the whole of it: `incident-commander incidents show {id}` has it.")
        }
        None => "Slack refuses the whole of it.".to_owned(),
    };
    let mut short = vec![section(&shorten(text, SHORT_FORM_MAX, "")), context(&rest)];
    short.extend(blocks.iter().filter(|block| is_buttons(block)).cloned());
    let mut body = body.clone();
    body["blocks"] = json!(short);
    (short != *blocks).then_some(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::messages::button;
    use super::*;

    fn buttons() -> Value {
        json!({ "type": "actions", "elements": [button("rollback_approve", "Roll back", "a-1")] })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_it_says_a_message_fits_and_keeps_its_buttons(
            texts in prop::collection::vec(("[a-z. \"\n]{1,9}", 0_usize..300), 0..70),
            place in 0_usize..70,
        ) {
            let mut blocks: Vec<Value> =
                texts.iter().map(|(text, times)| section(&text.repeat(*times))).collect();
            blocks.insert(place.min(blocks.len()), buttons());
            let before = blocks.clone();
            let after = fit(blocks, "The rest is elsewhere.");
            prop_assert!(after.len() <= BLOCKS_MAX && size(&after) <= MESSAGE_MAX, "{}", size(&after));
            prop_assert!(after.contains(&buttons()));
            let told = json!(after).to_string().contains("The rest is elsewhere.");
            prop_assert_eq!(told, after != before);
        }
    }

    #[test]
    fn a_short_form_says_what_the_notification_says_and_keeps_the_buttons() {
        let body = json!({
            "text": "INC-7: a pool is too small.", "blocks": [section(&"x".repeat(3_000)), buttons()],
            "metadata": { "event_type": "incident_result", "event_payload": { "incident": "INC-7" } },
        });
        let short = short_form(&body).unwrap();
        let said = short["blocks"].to_string();
        assert!(said.contains("a pool is too small") && said.contains("incidents show INC-7"), "{said}");
        assert_eq!(short["blocks"][2], buttons());
        assert_eq!(short["metadata"], body["metadata"]);
        assert_eq!(short_form(&short), None, "there is nothing shorter");
        assert_eq!(short_form(&json!({ "text": "INC-7" })), None);
    }
}
