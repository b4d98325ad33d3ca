//! A message in order, as headings, lines and named values, whatever blocks it was made of.

use serde_json::Value;

use super::markup::plain;

/// Deeper than any message nests, so that a hostile one cannot exhaust the stack.
const DEPTH_MAX: usize = 12;
/// More text than any message of Slack holds (40,000 characters).
const TEXT_MAX: usize = 60_000;

/// What a message says, in its own order.
#[derive(Debug, Default)]
pub struct Parts {
    /// Titles and headers: what the alert is called.
    pub headings: Vec<String>,
    /// Every other line.
    pub lines: Vec<String>,
    /// Named values, names in lower case, first one wins.
    pub pairs: Vec<(String, String)>,
    /// What stands in when nothing else can be shown.
    pub fallbacks: Vec<String>,
    pub footers: Vec<String>,
    /// Epoch seconds that the message carries as dates, in order.
    pub dates: Vec<i64>,
    /// Attachments' own times, epoch seconds.
    pub stamps: Vec<i64>,
    /// Attachments' colours in lower case, without `#`.
    pub colours: Vec<String>,
    size: usize,
}

impl Parts {
    pub fn of(message: &Value) -> Self {
        let mut parts = Self::default();
        if let Some(text) = message["text"].as_str() {
            parts.paragraph(text);
        }
        parts.blocks(&message["blocks"], 0);
        for attachment in message["attachments"].as_array().into_iter().flatten() {
            parts.attachment(attachment);
        }
        parts
    }

    /// The value of the first of these names.
    pub fn value(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        })
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
                Some(title) => {
                    let value = self.clean(&value);
                    self.pair(title, &value);
                }
                None => self.paragraph(&value),
            }
        }
        self.blocks(&attachment["blocks"], 0);
        let fallback = self.clean(text("fallback"));
        if !fallback.is_empty() {
            self.fallbacks.push(fallback);
        }
        let footer = self.clean(text("footer"));
        if !footer.is_empty() {
            self.footers.push(footer);
        }
        let stamp = attachment["ts"].as_i64().or_else(|| attachment["ts"].as_str()?.parse().ok());
        self.stamps.extend(stamp);
        if let Some(colour) = attachment["color"].as_str() {
            self.colours.push(colour.trim_start_matches('#').to_lowercase());
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
                Some(
                    "rich_text"
                    | "rich_text_section"
                    | "rich_text_list"
                    | "rich_text_quote"
                    | "rich_text_preformatted",
                ) => {
                    let mut text = String::new();
                    rich_text(block, &mut text, 0);
                    self.paragraph(&text);
                }
                _ => {
                    if let Some(text) = block["text"]["text"].as_str().or_else(|| block["text"].as_str()) {
                        self.paragraph(text);
                    }
                    for field in block["fields"].as_array().into_iter().flatten() {
                        let text = field["text"].as_str().unwrap_or_default();
                        // `*Service*\ncheckout`: a name in bold above its value.
                        match text.split_once('\n') {
                            Some((name, value)) if !name.trim_end_matches('*').ends_with(':') => {
                                let (name, value) = (self.clean(name), self.clean(value));
                                self.pair(&name, &value);
                            }
                            Some((name, value)) => {
                                let (name, value) = (self.clean(name), self.clean(value));
                                self.pair(name.trim_end_matches(':'), &value);
                            }
                            None => self.paragraph(text),
                        }
                    }
                    self.blocks(&block["elements"], depth + 1);
                }
            }
        }
    }

    fn heading(&mut self, text: &str) {
        let text = self.clean(text);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.headings.push(line.to_owned());
        }
    }

    fn paragraph(&mut self, text: &str) {
        let text = self.clean(text);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let item = line.trim_start_matches(['•', '-', '*', '·', '–', ' ']);
            let split = item.split_once(": ").or_else(|| item.split_once(" = ")).or_else(|| {
                item.split_once(':').filter(|(_, value)| !value.starts_with("//") && !value.is_empty())
            });
            if let Some((name, value)) = split
                && name.split_whitespace().count() <= 4
                && !value.trim().is_empty()
            {
                self.pair(name, value);
            }
            self.lines.push(line.to_owned());
        }
    }

    fn pair(&mut self, name: &str, value: &str) {
        let name = name.trim().trim_end_matches(':').to_lowercase();
        let value = value.trim();
        if !name.is_empty() && !value.is_empty() {
            self.pairs.push((name, value.to_owned()));
        }
    }

    fn clean(&mut self, text: &str) -> String {
        let room = TEXT_MAX.saturating_sub(self.size);
        let text: String = text.chars().take(room).collect();
        self.size += text.len();
        let dates = &mut self.dates;
        plain(&text, |epoch| dates.push(epoch)).trim().to_owned()
    }
}

fn rich_text(element: &Value, out: &mut String, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = element["text"].as_str() {
        out.push_str(text);
    }
    let kind = element["type"].as_str().unwrap_or_default();
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
