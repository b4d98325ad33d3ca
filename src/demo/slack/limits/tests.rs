//! Limits against any JSON: nothing panics, and what a limit forbids is found wherever it stands.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Surface, check_attachments, check_blocks, check_metadata, check_view};

const KEYS: &[&str] = &[
    "type",
    "text",
    "elements",
    "fields",
    "accessory",
    "element",
    "label",
    "options",
    "confirm",
    "rows",
    "title",
    "blocks",
    "block_id",
    "action_id",
    "value",
    "alt_text",
    "slack_file",
    "id",
    "event_type",
    "event_payload",
];
const TYPES: &[&str] = &[
    "section",
    "header",
    "actions",
    "context",
    "image",
    "input",
    "rich_text",
    "rich_text_section",
    "table",
    "markdown",
    "button",
    "static_select",
    "overflow",
    "plain_text",
    "mrkdwn",
    "text",
    "raw_text",
    "modal",
    "home",
    "rich_text_list",
    "checkboxes",
    "plain_text_input",
];

/// JSON that looks like blocks often enough to get deep into the checks.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(TYPES).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            (prop::sample::select(TYPES), prop::collection::vec((prop::sample::select(KEYS), inner), 0..6))
                .prop_map(|(kind, fields)| {
                    let mut object: Map<String, Value> =
                        fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
                    object.insert("type".to_owned(), json!(kind));
                    Value::Object(object)
                }),
        ]
    })
}

fn refused(blocks: &Value) -> bool {
    !check_blocks(blocks, Surface::Message, &|_| false).is_empty()
}

proptest! {
    #[test]
    fn no_json_makes_the_checks_panic(value in anything()) {
        check_blocks(&value, Surface::Message, &|_| true);
        check_attachments(&value, &|_| false);
        let _ = check_view(&value, &|_| false);
        let _ = check_metadata(&value);
    }

    #[test]
    fn a_section_is_refused_exactly_beyond_its_limit(length in 1_usize..6000, letter in prop::char::any()) {
        let text: String = std::iter::repeat_n(letter, length).collect();
        let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": text}}]);
        prop_assert_eq!(refused(&blocks), length > 3000);
    }

    #[test]
    fn a_bad_block_is_found_among_good_ones(before in 0_usize..20, after in 0_usize..20) {
        let good = json!({"type": "divider"});
        let mut blocks = vec![good.clone(); before + after];
        prop_assert!(!refused(&json!(blocks)));
        blocks.insert(before, json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(151)}}));
        let problems = check_blocks(&json!(blocks), Surface::Message, &|_| false);
        prop_assert_eq!(problems.len(), 1);
        let pointer = format!("[json-pointer:/blocks/{before}/text/text]");
        prop_assert!(problems[0].ends_with(&pointer));
    }
}
