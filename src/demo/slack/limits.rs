//! What Slack accepts: blocks, elements, views and metadata, checked as its API checks them.
//!
//! Figures and field names come from Slack's Block Kit reference (docs.slack.dev/reference/block-kit)
//! and from its API's own answers. The rule that is not obvious: Slack refuses the whole message for
//! one bad field, and names each field by JSON pointer in `response_metadata.messages`.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::elements;

/// Where blocks are to be shown; the number allowed and some block types depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Message,
    Modal,
    Home,
}

impl Surface {
    fn blocks_max(self) -> usize {
        match self {
            Surface::Message => 50,
            Surface::Modal | Surface::Home => 100,
        }
    }
}

pub(super) const TEXT_MAX: usize = 3000;
pub(super) const ID_MAX: usize = 255;
/// Serialized metadata, in bytes.
const METADATA_MAX: usize = 16 * 1024;
/// A view, in bytes of JSON.
const VIEW_MAX: usize = 250_000;
/// All blocks of a message together: characters of what they say, and of their JSON.
///
/// Slack documents neither. 11,341 characters of text in sections, headers and rich text were refused
/// (slackapi/bolt-js #2867), and 13,297 of markdown were the most that was taken (#2509): whichever it counts,
/// what is beyond one of these may be refused.
const MESSAGE_TEXT_MAX: usize = 11_300;
const MESSAGE_JSON_MAX: usize = 13_200;

/// Collects what is wrong with one payload.
pub(super) struct Check<'a> {
    problems: Vec<String>,
    file_exists: &'a dyn Fn(&str) -> bool,
}

type Object = Map<String, Value>;

impl Check<'_> {
    pub fn problem(&mut self, pointer: &str, what: impl AsRef<str>) {
        self.problems.push(format!("[ERROR] {} [json-pointer:{pointer}]", what.as_ref()));
    }

    pub fn object<'v>(&mut self, pointer: &str, value: &'v Value) -> Option<&'v Object> {
        let object = value.as_object();
        if object.is_none() {
            self.problem(pointer, "must be an object");
        }
        object
    }

    /// Slack refuses fields that it does not know.
    pub fn only(&mut self, pointer: &str, object: &Object, allowed: &[&str]) {
        for key in object.keys() {
            if key != "type" && !allowed.contains(&key.as_str()) {
                self.problem(pointer, format!("invalid additional property: {key}"));
            }
        }
    }

    pub fn required<'v>(&mut self, pointer: &str, object: &'v Object, key: &str) -> Option<&'v Value> {
        let value = object.get(key).filter(|value| !value.is_null());
        if value.is_none() {
            self.problem(pointer, format!("missing required field: {key}"));
        }
        value
    }

    /// A string of 1 to `max` characters.
    pub fn string(&mut self, pointer: &str, value: &Value, max: usize) {
        match value.as_str() {
            None => self.problem(pointer, "must be a string"),
            Some(text) => self.length(pointer, text.chars().count(), 1, max, "characters"),
        }
    }

    fn length(&mut self, pointer: &str, count: usize, min: usize, max: usize, unit: &str) {
        if count < min {
            self.problem(pointer, format!("must be more than {} {unit}", min - 1));
        } else if count > max {
            self.problem(pointer, format!("must be less than {} {unit}", max + 1));
        }
    }

    pub fn optional_string(&mut self, pointer: &str, object: &Object, key: &str, max: usize) {
        if let Some(value) = object.get(key) {
            self.string(&format!("{pointer}/{key}"), value, max);
        }
    }

    pub fn required_string(&mut self, pointer: &str, object: &Object, key: &str, max: usize) {
        if let Some(value) = self.required(pointer, object, key) {
            self.string(&format!("{pointer}/{key}"), value, max);
        }
    }

    /// An array of `min` to `max` items.
    pub fn array<'v>(&mut self, pointer: &str, value: &'v Value, min: usize, max: usize) -> &'v [Value] {
        let Some(items) = value.as_array() else {
            self.problem(pointer, "must be an array");
            return &[];
        };
        if items.len() < min {
            self.problem(pointer, format!("no fewer than {min} items allowed"));
        } else if items.len() > max {
            self.problem(pointer, format!("no more than {max} items allowed"));
        }
        items
    }

    /// A text object: `plain_text`, or also `mrkdwn` where `plain_only` is false.
    pub fn text(&mut self, pointer: &str, value: &Value, max: usize, plain_only: bool) {
        let Some(object) = self.object(pointer, value) else { return };
        match object.get("type").and_then(Value::as_str) {
            Some("plain_text") => self.only(pointer, object, &["text", "emoji"]),
            Some("mrkdwn") if !plain_only => self.only(pointer, object, &["text", "verbatim"]),
            Some("mrkdwn") => self.problem(&format!("{pointer}/type"), "must be one of: plain_text"),
            _ => self.problem(&format!("{pointer}/type"), "must be one of: plain_text, mrkdwn"),
        }
        self.required_string(pointer, object, "text", max);
    }

    pub fn optional_text(&mut self, pointer: &str, object: &Object, key: &str, max: usize, plain_only: bool) {
        if let Some(value) = object.get(key) {
            self.text(&format!("{pointer}/{key}"), value, max, plain_only);
        }
    }

    pub fn required_text(&mut self, pointer: &str, object: &Object, key: &str, max: usize, plain_only: bool) {
        if let Some(value) = self.required(pointer, object, key) {
            self.text(&format!("{pointer}/{key}"), value, max, plain_only);
        }
    }

    /// An image by public URL or by a file that Slack holds, with its alternative text.
    pub fn image(&mut self, pointer: &str, object: &Object) {
        match (object.get("image_url"), object.get("slack_file")) {
            (Some(url), None) => self.string(&format!("{pointer}/image_url"), url, 3000),
            (None, Some(file)) => {
                let id = file.get("id").and_then(Value::as_str);
                let known = match id {
                    Some(id) => (self.file_exists)(id),
                    None => file.get("url").and_then(Value::as_str).is_some(),
                };
                if !known {
                    self.problem(&format!("{pointer}/slack_file"), "invalid slack file");
                }
            }
            _ => self.problem(pointer, "failed to match exactly one allowed schema: image_url or slack_file"),
        }
        self.required_string(pointer, object, "alt_text", 2000);
    }
}

/// Checks the blocks of a message or view; empty where Slack would take them.
pub fn check_blocks(blocks: &Value, surface: Surface, file_exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut check = Check { problems: Vec::new(), file_exists };
    blocks_at(&mut check, "/blocks", blocks, surface);
    check.problems
}

/// Whether the blocks of a message say too much together: `msg_blocks_too_long`.
pub fn blocks_too_long(blocks: &Value) -> bool {
    fn said(value: &Value) -> usize {
        match value {
            Value::Object(object) => object
                .iter()
                .map(|(key, inner)| match inner {
                    Value::String(text) if key == "text" => text.chars().count(),
                    inner => said(inner),
                })
                .sum(),
            Value::Array(list) => list.iter().map(said).sum(),
            _ => 0,
        }
    }
    said(blocks) > MESSAGE_TEXT_MAX || blocks.to_string().chars().count() > MESSAGE_JSON_MAX
}

fn blocks_at(check: &mut Check<'_>, pointer: &str, blocks: &Value, surface: Surface) {
    let blocks = check.array(pointer, blocks, 0, surface.blocks_max());
    let mut block_ids = HashSet::new();
    for (index, block) in blocks.iter().enumerate() {
        let at = format!("{pointer}/{index}");
        let Some(object) = check.object(&at, block) else { continue };
        if let Some(id) = object.get("block_id") {
            check.string(&format!("{at}/block_id"), id, ID_MAX);
            if let Some(id) = id.as_str()
                && !block_ids.insert(id)
            {
                check.problem(
                    &format!("{at}/block_id"),
                    format!("`block_id`: \"{id}\" already exists for another block"),
                );
            }
        }
        block_at(check, &at, object, surface);
    }
    let tables = blocks.iter().filter(|block| block["type"] == "table").count();
    if tables > 1 {
        check.problem(pointer, "only one table allowed");
    }
    let markdown: usize = blocks
        .iter()
        .filter(|block| block["type"] == "markdown")
        .map(|block| block["text"].as_str().map_or(0, |text| text.chars().count()))
        .sum();
    if markdown > 12_000 {
        check.problem(pointer, "markdown text must be less than 12001 characters in all");
    }
}

fn block_at(check: &mut Check<'_>, at: &str, block: &Object, surface: Surface) {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "header" => {
            check.only(at, block, &["block_id", "text", "level"]);
            check.required_text(at, block, "text", 150, true);
        }
        "section" => {
            check.only(at, block, &["block_id", "text", "fields", "accessory", "expand"]);
            if block.get("text").is_none() && block.get("fields").is_none() {
                check.problem(at, "missing required field: text");
            }
            check.optional_text(at, block, "text", TEXT_MAX, false);
            if let Some(fields) = block.get("fields") {
                let pointer = format!("{at}/fields");
                for (index, field) in check.array(&pointer, fields, 1, 10).iter().enumerate() {
                    check.text(&format!("{pointer}/{index}"), field, 2000, false);
                }
            }
            if let Some(accessory) = block.get("accessory") {
                elements::check_element(check, &format!("{at}/accessory"), accessory, elements::IN_SECTION);
            }
        }
        "divider" => check.only(at, block, &["block_id"]),
        "context" => {
            check.only(at, block, &["block_id", "elements"]);
            let Some(items) = check.required(at, block, "elements") else { return };
            let pointer = format!("{at}/elements");
            for (index, item) in check.array(&pointer, items, 1, 10).iter().enumerate() {
                let each = format!("{pointer}/{index}");
                if item["type"] == "image" {
                    elements::check_element(check, &each, item, &["image"]);
                } else {
                    check.text(&each, item, TEXT_MAX, false);
                }
            }
        }
        "actions" | "context_actions" => {
            check.only(at, block, &["block_id", "elements"]);
            let Some(items) = check.required(at, block, "elements") else { return };
            let (max, allowed) = if kind == "actions" {
                (25, elements::IN_ACTIONS)
            } else {
                (5, elements::IN_CONTEXT_ACTIONS)
            };
            let pointer = format!("{at}/elements");
            let mut action_ids = HashSet::new();
            for (index, item) in check.array(&pointer, items, 1, max).iter().enumerate() {
                let each = format!("{pointer}/{index}");
                elements::check_element(check, &each, item, allowed);
                if let Some(id) = item["action_id"].as_str()
                    && !action_ids.insert(id)
                {
                    check.problem(
                        &format!("{each}/action_id"),
                        format!("`action_id`: \"{id}\" already exists for another element"),
                    );
                }
            }
        }
        "image" => {
            check.only(at, block, &["block_id", "image_url", "slack_file", "alt_text", "title"]);
            check.image(at, block);
            check.optional_text(at, block, "title", 2000, true);
        }
        "input" => {
            check.only(at, block, &["block_id", "label", "element", "dispatch_action", "hint", "optional"]);
            check.required_text(at, block, "label", 2000, true);
            check.optional_text(at, block, "hint", 2000, true);
            if let Some(element) = check.required(at, block, "element") {
                elements::check_element(check, &format!("{at}/element"), element, elements::IN_INPUT);
            }
        }
        "rich_text" => {
            check.only(at, block, &["block_id", "elements"]);
            let Some(items) = check.required(at, block, "elements") else { return };
            for (index, item) in
                check.array(&format!("{at}/elements"), items, 0, usize::MAX).iter().enumerate()
            {
                rich_text_at(check, &format!("{at}/elements/{index}"), item);
            }
        }
        "markdown" if surface == Surface::Message => {
            check.only(at, block, &["block_id", "text"]);
            check.required_string(at, block, "text", 12_000);
        }
        "table" if surface == Surface::Message => table_at(check, at, block),
        "alert" => {
            check.only(at, block, &["block_id", "text", "level"]);
            check.required_text(at, block, "text", TEXT_MAX, false);
        }
        "video" => {
            for key in ["alt_text", "title", "thumbnail_url", "video_url"] {
                check.required(at, block, key);
            }
        }
        "task_card" if surface == Surface::Message => {
            for key in ["task_id", "title"] {
                check.required_string(at, block, key, TEXT_MAX);
            }
        }
        "plan" if surface == Surface::Message => check.required_string(at, block, "title", TEXT_MAX),
        "" => check.problem(at, "missing required field: type"),
        other => check.problem(&format!("{at}/type"), format!("unsupported type: {other}")),
    }
}

fn rich_text_at(check: &mut Check<'_>, at: &str, item: &Value) {
    let kind = item["type"].as_str().unwrap_or_default();
    match kind {
        "rich_text_section" | "rich_text_preformatted" | "rich_text_quote" | "rich_text_list" => {
            let parts = check.array(&format!("{at}/elements"), &item["elements"], 0, usize::MAX);
            for (index, part) in parts.iter().enumerate() {
                let each = format!("{at}/elements/{index}");
                let inner = part["type"].as_str().unwrap_or_default();
                if kind == "rich_text_list" {
                    rich_text_at(check, &each, part);
                } else if inner == "text" {
                    if part["text"].as_str().is_none_or(str::is_empty) {
                        check.problem(&format!("{each}/text"), "must be more than 0 characters");
                    }
                } else if !RICH_TEXT_INLINE.contains(&inner) {
                    check.problem(&format!("{each}/type"), format!("unsupported type: {inner}"));
                }
            }
        }
        other => check.problem(&format!("{at}/type"), format!("unsupported type: {other}")),
    }
}

const RICH_TEXT_INLINE: &[&str] =
    &["link", "emoji", "user", "usergroup", "channel", "broadcast", "date", "color", "team"];

fn table_at(check: &mut Check<'_>, at: &str, block: &Object) {
    check.only(at, block, &["block_id", "rows", "column_settings"]);
    if let Some(settings) = block.get("column_settings") {
        check.array(&format!("{at}/column_settings"), settings, 0, 20);
    }
    let Some(rows) = check.required(at, block, "rows") else { return };
    let mut characters = 0;
    for (row, cells) in check.array(&format!("{at}/rows"), rows, 1, 100).iter().enumerate() {
        let row_at = format!("{at}/rows/{row}");
        for (column, cell) in check.array(&row_at, cells, 1, 20).iter().enumerate() {
            let cell_at = format!("{row_at}/{column}");
            match cell["type"].as_str().unwrap_or_default() {
                "raw_text" => {
                    characters += cell["text"].as_str().map_or(0, |text| text.chars().count());
                    if let Some(cell) = cell.as_object() {
                        check.required_string(&cell_at, cell, "text", 10_000);
                    }
                }
                "raw_number" => {}
                "rich_text" => {
                    for (index, item) in cell["elements"].as_array().into_iter().flatten().enumerate() {
                        rich_text_at(check, &format!("{cell_at}/elements/{index}"), item);
                    }
                }
                other => check.problem(&format!("{cell_at}/type"), format!("unsupported type: {other}")),
            }
        }
    }
    if characters > 10_000 {
        check.problem(at, "table text must be less than 10001 characters in all");
    }
}

/// Checks attachments: at most 100, and the blocks in each as strictly as the message's own.
pub fn check_attachments(attachments: &Value, file_exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut check = Check { problems: Vec::new(), file_exists };
    for (index, attachment) in check.array("/attachments", attachments, 0, 100).iter().enumerate() {
        let at = format!("/attachments/{index}");
        if let Some(object) = check.object(&at, attachment)
            && let Some(blocks) = object.get("blocks")
        {
            blocks_at(&mut check, &format!("{at}/blocks"), blocks, Surface::Message);
        }
    }
    check.problems
}

/// Checks a modal or an App Home view.
pub fn check_view(view: &Value, file_exists: &dyn Fn(&str) -> bool) -> Result<Surface, Vec<String>> {
    let mut check = Check { problems: Vec::new(), file_exists };
    let Some(object) = check.object("/view", view) else { return Err(check.problems) };
    let surface = match object.get("type").and_then(Value::as_str) {
        Some("modal") => {
            check.only(
                "/view",
                object,
                &[
                    "title",
                    "blocks",
                    "close",
                    "submit",
                    "private_metadata",
                    "callback_id",
                    "clear_on_close",
                    "notify_on_close",
                    "external_id",
                    "submit_disabled",
                ],
            );
            check.required_text("/view", object, "title", 24, true);
            check.optional_text("/view", object, "close", 24, true);
            check.optional_text("/view", object, "submit", 24, true);
            let has_input = view["blocks"]
                .as_array()
                .is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "input"));
            if has_input && object.get("submit").is_none() {
                check.problem("/view", "missing required field: submit");
            }
            Surface::Modal
        }
        Some("home") => {
            check.only(
                "/view",
                object,
                &["blocks", "private_metadata", "callback_id", "external_id", "title"],
            );
            Surface::Home
        }
        _ => {
            check.problem("/view/type", "must be one of: modal, home");
            return Err(check.problems);
        }
    };
    for (key, max) in [("private_metadata", 3000), ("callback_id", ID_MAX), ("external_id", ID_MAX)] {
        if object.get(key).is_some_and(|value| value != "") {
            check.optional_string("/view", object, key, max);
        }
    }
    if let Some(blocks) = check.required("/view", object, "blocks") {
        blocks_at(&mut check, "/view/blocks", blocks, surface);
    }
    if view.to_string().len() > VIEW_MAX {
        check.problem("/view", "view is too large");
    }
    if check.problems.is_empty() { Ok(surface) } else { Err(check.problems) }
}

/// Checks message metadata; the error is the API's own word.
pub fn check_metadata(metadata: &Value) -> Result<(), &'static str> {
    let object = metadata.as_object().ok_or("invalid_metadata_format")?;
    let event_type =
        object.get("event_type").and_then(Value::as_str).filter(|name| !name.is_empty() && name.len() <= 255);
    let payload = object.get("event_payload").and_then(Value::as_object);
    if event_type.is_none() || payload.is_none() {
        return Err("invalid_metadata_format");
    }
    if object.keys().any(|key| key != "event_type" && key != "event_payload" && key != "entities") {
        return Err("invalid_metadata_schema");
    }
    if metadata.to_string().len() > METADATA_MAX {
        return Err("metadata_too_large");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
