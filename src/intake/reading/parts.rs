//! A message taken apart: headings, lines and named values, whatever blocks it was made of.
//!
//! The rule that is not obvious: names are compared without case, spaces and punctuation, so that `Alarm
//! Name`, `alarmName` and `alarm_name` are one; of several values of one name the first wins.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::markup::{Marks, Sign, plain, sign_of_colour, sign_of_name};
use super::words::is_state_field;

/// Deeper than any message nests, so that a hostile one cannot exhaust the stack.
pub(super) const DEPTH_MAX: usize = 12;
/// More text than any message of Slack holds (40,000 characters).
const TEXT_MAX: usize = 60_000;
/// Longer names are sentences.
const NAME_WORDS_MAX: usize = 4;
const NAME_MAX: usize = 48;

/// Names of values that hold named values.
const HOLDERS: &[&str] =
    &["dimensions", "dimension", "labels", "tags", "details", "commonlabels", "attributes"];

/// `*Service:* basket` and `*Service*: basket`: a label within a line.
static BOLD_LABEL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\*(?P<name>[^*\n:`]{1,40})(?::\*|\*:)[ \t]*"));
/// `severity="critical"`, `service:basket`: a label without a space.
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:^|[\s,;({\[|])(?P<name>[A-Za-z_][A-Za-z0-9_.\-]{0,39})(?:=|:)"?(?P<value>[^\s,;"'{}\[\]()|=/][^\s,;"'{}\[\]()|=]{0,99})"#,
    )
});
/// `[label](https://…)`, as Markdown has it.
static LINK: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[([^\]\n]{0,200})\]\(https?://[^)\s]{0,2000}\)"));

/// A pattern that is written in this room, so that it is right or no test passes.
pub(super) fn pattern(source: &str) -> Regex {
    Regex::new(source).unwrap_or_else(|error| unreachable!("a fixed pattern: {error}"))
}

/// A line with what its pictographs say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    pub text: String,
    pub sign: Option<Sign>,
}

/// What a message says, in its own order.
#[derive(Debug, Default)]
pub struct Parts {
    /// Who sent it, as shown.
    pub source: Option<String>,
    /// Titles and headers: what the alert is called.
    pub headings: Vec<Line>,
    /// Every other line.
    pub lines: Vec<Line>,
    /// Named values under their compact names.
    pub pairs: Vec<(String, String)>,
    /// Labels within lines, `service:basket` and `service=basket`, under their compact names.
    pub tags: Vec<(String, String)>,
    /// What stands in when nothing else can be shown.
    pub fallbacks: Vec<Line>,
    pub footers: Vec<String>,
    /// Epoch seconds that the message carries as dates, in order.
    pub dates: Vec<i64>,
    /// Attachments' own times, epoch seconds.
    pub stamps: Vec<i64>,
    /// What attachments' colours say.
    pub colours: Vec<Sign>,
    size: usize,
}

/// A name as it is compared: lower case, letters and digits only, without what stands in brackets.
pub fn compact(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or_default();
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What Slack adds by itself to show what a link leads to: that is not what the tool says. A message that
/// somebody shares comes the same way, and is what they speak of.
fn is_preview(attachment: &Value) -> bool {
    let shared = ["is_share", "is_msg_unfurl"].iter().any(|key| attachment[*key] == true);
    attachment["from_url"].is_string() && !shared
}

impl Parts {
    pub fn of(message: &Value) -> Self {
        let source = message["username"].as_str().or_else(|| message["bot_profile"]["name"].as_str());
        let mut parts = Self { source: source.map(str::to_owned), ..Self::default() };
        let text = message["text"].as_str().unwrap_or_default();
        parts.blocks(&message["blocks"], 0);
        if parts.headings.is_empty() && parts.lines.is_empty() {
            parts.paragraph(text);
        } else {
            // Where blocks say something, Slack shows the text in notifications only.
            let line = parts.line(text);
            parts.fallbacks.extend(Some(line).filter(|line| !line.text.is_empty()));
        }
        for attachment in message["attachments"].as_array().into_iter().flatten() {
            if !is_preview(attachment) {
                parts.attachment(attachment);
            }
        }
        parts
    }

    /// The value of the first of these names that has one.
    pub fn value(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        })
    }

    /// All values of one name, the first first.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of the first of these labels.
    pub fn tag(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            self.tags.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        })
    }

    pub fn has(&self, names: &[&str]) -> bool {
        self.value(names).is_some()
    }

    fn attachment(&mut self, attachment: &Value) {
        let text = |key: &str| attachment[key].as_str().unwrap_or_default();
        self.paragraph(text("pretext"));
        self.heading(text("title"));
        self.heading(text("author_name"));
        self.paragraph(text("text"));
        for field in attachment["fields"].as_array().into_iter().flatten() {
            let value = match &field["value"] {
                Value::String(value) => value.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            match field["title"].as_str().map(str::trim).filter(|title| !title.is_empty()) {
                Some(title) => self.named(title, &value),
                None => self.paragraph(&value),
            }
        }
        self.blocks(&attachment["blocks"], 0);
        let fallback = self.line(text("fallback"));
        if !fallback.text.is_empty() {
            self.fallbacks.push(fallback);
        }
        let footer = self.line(text("footer")).text;
        if !footer.is_empty() {
            self.footers.push(footer);
        }
        let stamp = attachment["ts"].as_i64().or_else(|| attachment["ts"].as_str()?.parse().ok());
        self.stamps.extend(stamp);
        if let Some(colour) = attachment["color"].as_str() {
            self.colours.extend(sign_of_colour(&colour.trim_start_matches('#').to_lowercase()));
        }
    }

    fn blocks(&mut self, blocks: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        for block in blocks.as_array().into_iter().flatten() {
            match block["type"].as_str() {
                Some("header") => self.heading(block["text"]["text"].as_str().unwrap_or_default()),
                Some("actions" | "divider" | "input" | "image") => {}
                Some("context") => {
                    for element in block["elements"].as_array().into_iter().flatten() {
                        self.paragraph(element["text"].as_str().unwrap_or_default());
                    }
                }
                Some(kind) if kind.starts_with("rich_text") => {
                    let mut text = String::new();
                    rich_text(block, &mut text, 0);
                    self.paragraph(&text);
                }
                Some("markdown") => self.markdown(block["text"].as_str().unwrap_or_default()),
                Some("table") => self.table(block),
                _ => {
                    if let Some(text) = block["text"]["text"].as_str().or_else(|| block["text"].as_str()) {
                        self.paragraph(text);
                    }
                    for field in block["fields"].as_array().into_iter().flatten() {
                        let text = field["text"].as_str().unwrap_or_default();
                        // `*Service*\ncheckout`: a name in bold above its value.
                        match text.split_once('\n') {
                            Some((name, value)) => self.named(name, value),
                            None => self.paragraph(text),
                        }
                    }
                    self.blocks(&block["elements"], depth + 1);
                }
            }
        }
    }

    /// Markdown of a `markdown` block: its headings, and rows of its tables.
    fn markdown(&mut self, text: &str) {
        let text = LINK.replace_all(text, "$1");
        for line in text.lines().map(str::trim) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            if line.starts_with('#') {
                self.heading(line.trim_start_matches('#'));
            } else if line.starts_with('|') && cells.len() == 2 {
                self.named(cells[0], cells[1]);
            } else {
                self.paragraph(line);
            }
        }
    }

    /// Two columns are names and values; more have their names in the first row.
    fn table(&mut self, block: &Value) {
        let cell = |cell: &Value| {
            let mut text = cell["text"].as_str().unwrap_or_default().to_owned();
            if text.is_empty() {
                rich_text(cell, &mut text, 0);
            }
            text.trim().to_owned()
        };
        let rows: Vec<Vec<String>> = block["rows"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| row.as_array().into_iter().flatten().map(cell).collect())
            .collect();
        let Some((names, values)) = rows.split_first() else { return };
        if names.len() == 2 {
            for row in &rows {
                if let [name, value] = row.as_slice() {
                    self.named(name, value);
                }
            }
            return;
        }
        for row in values {
            for (name, value) in names.iter().zip(row) {
                self.named(name, value);
            }
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        for line in self.clean(text) {
            self.tags_of(&line.text);
            self.headings.push(line);
        }
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        let labelled = BOLD_LABEL.replace_all(text, "\u{1}$name: ");
        for line in self.clean(&labelled) {
            for segment in segments(&line.text) {
                if let Some((name, value)) = named(segment) {
                    self.pair(name, value);
                }
                // `… – severity: warning – …`. A state in running text is none.
                for part in dashed(segment).skip(1) {
                    if let Some((name, value)) = named(part).filter(|(name, _)| !is_state_field(name)) {
                        self.pair(name, value);
                    }
                }
            }
            let text = line.text.replace('\u{1}', " ").trim().to_owned();
            self.tags_of(&text);
            self.lines.push(Line { text, sign: line.sign });
        }
    }

    /// A value under a name of its own. One of several lines is read as a paragraph too.
    pub(super) fn named(&mut self, name: &str, value: &str) {
        let name = self.line(name).text;
        let several = value.trim().contains('\n');
        let first: Vec<Line> = if several { Vec::new() } else { self.clean(value) };
        if several {
            self.paragraph(value);
        }
        for line in first {
            self.pair(&name, &line.text);
            self.tags_of(&line.text);
            if HOLDERS.contains(&compact(&name).as_str()) {
                for item in line.text.split([',', ';']) {
                    let item = item.trim_matches(['[', ']', '{', '}', ' ']);
                    if let Some((name, value)) = self::named(item) {
                        self.pair(name, value);
                    }
                }
            }
        }
        if several {
            let text = self.clean(value).into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
            self.pair(&name, &text);
        }
    }

    pub(super) fn pair(&mut self, name: &str, value: &str) {
        let value = value.trim().trim_matches('\u{1}').trim();
        // `Time (Europe/Berlin)`: the zone of the value stands with the name.
        let zone = name.split_once('(').and_then(|(_, inner)| inner.split(')').next());
        let zone = zone.filter(|zone| zone.contains('/') || zone.eq_ignore_ascii_case("utc"));
        let name = compact(name);
        if !name.is_empty() && !value.is_empty() {
            let value = zone.map_or_else(|| value.to_owned(), |zone| format!("{value} {zone}"));
            self.pairs.push((name, value));
        }
    }

    pub(super) fn tags_of(&mut self, text: &str) {
        let found = TAG.captures_iter(text).map(|found| (compact(&found["name"]), found["value"].to_owned()));
        self.tags.extend(found.filter(|(name, _)| !name.is_empty()));
    }

    /// One line of a text, without its line breaks.
    fn line(&mut self, text: &str) -> Line {
        let lines = self.clean(text);
        let sign = lines.iter().find_map(|line| line.sign);
        let text = lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join(" ");
        Line { text, sign }
    }

    /// The lines of a text without markup and without empty ones, as far as there is room.
    fn clean(&mut self, text: &str) -> Vec<Line> {
        let room = TEXT_MAX.saturating_sub(self.size);
        let text: String = text.chars().take(room).collect();
        self.size += text.len();
        let mut lines = Vec::new();
        for line in text.lines() {
            let mut marks = Marks::default();
            let text = plain(line, &mut marks).trim().to_owned();
            self.dates.extend(marks.dates);
            if !text.is_empty() {
                lines.push(Line { text, sign: marks.signs.first().copied() });
            }
        }
        lines
    }
}

/// The parts of a line that may each name a value.
fn segments(line: &str) -> impl Iterator<Item = &str> {
    line.split(['\u{1}', '\t', '·', '|'])
        .flat_map(|part| part.split("   "))
        .map(|part| part.trim().trim_start_matches(['•', '-', '*', '–', '>', ' ']).trim())
        .filter(|part| !part.is_empty())
}

/// What stands between dashes.
fn dashed(segment: &str) -> impl Iterator<Item = &str> {
    segment.split(" – ").flat_map(|part| part.split(" — ")).flat_map(|part| part.split(" - ")).map(str::trim)
}

/// `Name: value`, `name = value` or `Name:value`.
fn named(segment: &str) -> Option<(&str, &str)> {
    let (name, value) = segment.split_once(": ").or_else(|| segment.split_once(" = ")).or_else(|| {
        segment.split_once(':').filter(|(name, value)| !value.starts_with("//") && !name.contains(' '))
    })?;
    let words = name.split_whitespace().count();
    let fits = (1..=NAME_WORDS_MAX).contains(&words)
        && name.len() <= NAME_MAX
        && name.chars().any(char::is_alphabetic)
        && !name.contains(['"', '[', ']', '{', '}']);
    (fits && !value.trim().is_empty()).then_some((name, value))
}

fn rich_text(element: &Value, out: &mut String, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    let kind = element["type"].as_str().unwrap_or_default();
    match kind {
        "emoji" => {
            let name = element["name"].as_str().unwrap_or_default();
            if sign_of_name(name).is_some() {
                out.push_str(&format!(":{name}:"));
            }
        }
        "date" => {
            if let Some(epoch) = element["timestamp"].as_i64() {
                let fallback = element["fallback"].as_str().unwrap_or_default();
                out.push_str(&format!("<!date^{epoch}^x|{fallback}>"));
            }
        }
        "link" => {
            out.push_str(element["text"].as_str().or_else(|| element["url"].as_str()).unwrap_or_default());
        }
        _ => out.push_str(element["text"].as_str().unwrap_or_default()),
    }
    for inner in element["elements"].as_array().into_iter().flatten() {
        rich_text(inner, out, depth + 1);
        if kind == "rich_text_list" {
            out.push('\n');
        }
    }
    if kind.starts_with("rich_text_") {
        out.push('\n');
    }
}
