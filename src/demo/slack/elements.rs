//! Interactive elements, options and confirmation dialogs, checked as Slack checks them.
//!
//! Figures come from docs.slack.dev/reference/block-kit/block-elements and /composition-objects.

use serde_json::Value;

use super::limits::{Check, ID_MAX, TEXT_MAX};

pub(super) const IN_SECTION: &[&str] = &[
    "button",
    "checkboxes",
    "datepicker",
    "image",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "overflow",
    "radio_buttons",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "timepicker",
    "workflow_button",
];
pub(super) const IN_ACTIONS: &[&str] = &[
    "button",
    "checkboxes",
    "datepicker",
    "datetimepicker",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "overflow",
    "radio_buttons",
    "rich_text_input",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "timepicker",
    "workflow_button",
];
pub(super) const IN_CONTEXT_ACTIONS: &[&str] = &["feedback_buttons", "icon_button"];
pub(super) const IN_INPUT: &[&str] = &[
    "checkboxes",
    "datepicker",
    "datetimepicker",
    "email_text_input",
    "file_input",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "number_input",
    "plain_text_input",
    "radio_buttons",
    "rich_text_input",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "timepicker",
    "url_text_input",
];

/// Checks one element of a block that takes the types in `allowed`.
pub(super) fn check_element(check: &mut Check<'_>, at: &str, element: &Value, allowed: &[&str]) {
    let Some(object) = check.object(at, element) else { return };
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
    if !allowed.contains(&kind) {
        check.problem(&format!("{at}/type"), format!("unsupported type: {kind}"));
        return;
    }
    check.optional_string(at, object, "action_id", ID_MAX);
    if let Some(confirm) = object.get("confirm") {
        check_confirm(check, &format!("{at}/confirm"), confirm);
    }
    match kind {
        "image" => {
            check.only(at, object, &["image_url", "slack_file", "alt_text"]);
            check.image(at, object);
        }
        "button" => {
            check.only(
                at,
                object,
                &["text", "action_id", "url", "value", "style", "confirm", "accessibility_label"],
            );
            check.required_text(at, object, "text", 75, true);
            check.optional_string(at, object, "url", 3000);
            check.optional_string(at, object, "value", 2000);
            check.optional_string(at, object, "accessibility_label", 75);
            if object.get("style").is_some_and(|style| style != "primary" && style != "danger") {
                check.problem(&format!("{at}/style"), "must be one of: primary, danger");
            }
        }
        "overflow" => {
            check.only(at, object, &["action_id", "options", "confirm"]);
            check_options(check, at, object.get("options"), 1, 5, OptionKind::Overflow);
        }
        "checkboxes" | "radio_buttons" => {
            let initial = if kind == "checkboxes" { "initial_options" } else { "initial_option" };
            check.only(at, object, &["action_id", "options", initial, "confirm", "focus_on_load"]);
            check_options(check, at, object.get("options"), 1, 10, OptionKind::Choice);
        }
        "static_select" | "multi_static_select" => {
            check.only(
                at,
                object,
                &[
                    "action_id",
                    "options",
                    "option_groups",
                    "initial_option",
                    "initial_options",
                    "confirm",
                    "max_selected_items",
                    "focus_on_load",
                    "placeholder",
                ],
            );
            check.optional_text(at, object, "placeholder", 150, true);
            match (object.get("options"), object.get("option_groups")) {
                (options @ Some(_), None) => check_options(check, at, options, 1, 100, OptionKind::Select),
                (None, Some(groups)) => {
                    let pointer = format!("{at}/option_groups");
                    for (index, group) in check.array(&pointer, groups, 1, 100).iter().enumerate() {
                        let each = format!("{pointer}/{index}");
                        let Some(group) = check.object(&each, group) else { continue };
                        check.required_text(&each, group, "label", 75, true);
                        check_options(check, &each, group.get("options"), 1, 100, OptionKind::Select);
                    }
                }
                _ => {
                    check.problem(at, "failed to match exactly one allowed schema: options or option_groups");
                }
            }
        }
        "plain_text_input" => {
            check.only(
                at,
                object,
                &[
                    "action_id",
                    "initial_value",
                    "multiline",
                    "min_length",
                    "max_length",
                    "dispatch_action_config",
                    "focus_on_load",
                    "placeholder",
                ],
            );
            check.optional_text(at, object, "placeholder", 150, true);
            for key in ["min_length", "max_length"] {
                let outside = |value: &Value| value.as_u64().is_none_or(|length| length > TEXT_MAX as u64);
                if object.get(key).is_some_and(outside) {
                    check.problem(&format!("{at}/{key}"), "must be less than 3001");
                }
            }
        }
        _ => check.optional_text(at, object, "placeholder", 150, true),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OptionKind {
    Select,
    /// Checkboxes and radio buttons, whose text may be `mrkdwn`.
    Choice,
    Overflow,
}

fn check_options(
    check: &mut Check<'_>,
    at: &str,
    options: Option<&Value>,
    min: usize,
    max: usize,
    kind: OptionKind,
) {
    let pointer = format!("{at}/options");
    let Some(options) = options else {
        check.problem(at, "missing required field: options");
        return;
    };
    for (index, option) in check.array(&pointer, options, min, max).iter().enumerate() {
        let each = format!("{pointer}/{index}");
        let Some(object) = check.object(&each, option) else { continue };
        let allowed: &[&str] = if kind == OptionKind::Overflow {
            &["text", "value", "description", "url"]
        } else {
            &["text", "value", "description"]
        };
        check.only(&each, object, allowed);
        let plain_only = kind != OptionKind::Choice;
        check.required_text(&each, object, "text", 75, plain_only);
        check.optional_text(&each, object, "description", 75, plain_only);
        check.required_string(&each, object, "value", 150);
    }
}

fn check_confirm(check: &mut Check<'_>, at: &str, confirm: &Value) {
    let Some(object) = check.object(at, confirm) else { return };
    check.only(at, object, &["title", "text", "confirm", "deny", "style"]);
    check.required_text(at, object, "title", 100, true);
    check.required_text(at, object, "text", 300, false);
    check.required_text(at, object, "confirm", 30, true);
    check.required_text(at, object, "deny", 30, true);
}
