//! New inputs out of kept ones: bytes damaged, parts moved, JSON rebuilt, and words that parsers know.
//!
//! The rule that is not obvious: a third of the inputs stay well-formed JSON with one part replaced, since what is
//! behind a parser is never reached by inputs that it refuses at once.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Words and bytes at which parsers of this project branch, or that others stumbled over.
pub const TOKENS: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "1e999",
    "-1e308",
    "-0",
    "99999999999999999999",
    "18446744073709551615",
    "-9223372036854775808",
    "0.1e-400",
    "NaN",
    "\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\u{200b}",
    "é",
    "😀",
    "<!channel>",
    "<@U1>",
    "<https://a|b>",
    "&amp;",
    "*",
    "`",
    "%",
    "%00",
    "%E2",
    "+",
    "=",
    "&",
    ";",
    "-----BEGIN PRIVATE KEY-----",
    "://a:b@c",
    "password=",
    "Bearer ",
    "token:",
    "2026-02-06T12:15:00Z",
    "2026-02-30",
    "24:00",
    "-100000-01-01",
    "tomorrow",
    "ago",
    "yesterday",
    "am",
    "pm",
    "UTC",
    "Europe/Berlin",
    "[FIRING:1]",
    "Resolved",
    "ALARM",
    "INC-7",
    "arn:aws:lambda:us-east-1:1:function:f",
    "NewStateValue",
    "detail-type",
    "type",
    "event",
    "attachments",
    "blocks",
    "fields",
    "text",
    "payload",
    "payload=",
    "user_id=U1",
    "channel_id=C1",
    "text=",
    "actions",
    "view",
    "state",
    "values",
    "eventTime",
    "requestParameters",
    "userIdentity",
    "Records",
    "Type",
    "Notification",
    "Message",
    "Timestamp",
    "H4sIAAAAAAAA",
    "records",
    "data",
    "awslogs",
    "messageType",
    "DATA_MESSAGE",
    "logGroup",
    "logEvents",
    "timestamp",
    "message",
    "StackResources",
    "ResourceTagMappingList",
    "root_module",
    "aws_lambda_function",
    "[[service]]",
    "localhost",
    "127.0.0.1:3000",
    "[::1]",
    "bot.example",
    "@evil.example",
    "https://",
    "/archives/C1/p1770380100000200",
    "?thread_ts=",
    "timestamp,value\n",
    "1770380100,",
];

pub struct Mutator {
    random: Rng,
}

/// The document that an input is, and how many bytes stand before it: where a target reads several kinds of files, the
/// first byte says which one this is.
fn document(input: &[u8]) -> Option<(usize, Value)> {
    let from = |at: usize| Some((at, serde_json::from_slice(input.get(at..)?).ok()?));
    from(0).or_else(|| from(1))
}

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed) }
    }

    /// An input made of those that were kept.
    pub fn next(&mut self, kept: &[Vec<u8>], limit: usize) -> Vec<u8> {
        let mut input = self.random.choice(kept).cloned().unwrap_or_default();
        if self.random.u8(..) < 85
            && let Some((before, mut value)) = document(&input)
        {
            for _ in 0..=self.random.usize(..3) {
                self.rebuild(&mut value);
            }
            input.truncate(before);
            input.extend_from_slice(value.to_string().as_bytes());
        } else {
            for _ in 0..=self.random.usize(..6) {
                self.damage(&mut input, kept);
            }
        }
        input.truncate(limit);
        input
    }

    fn damage(&mut self, input: &mut Vec<u8>, kept: &[Vec<u8>]) {
        let at = self.random.usize(..=input.len());
        match self.random.u8(..11) {
            0 if !input.is_empty() => {
                let at = at.min(input.len() - 1);
                input[at] = self.random.u8(..);
            }
            1 if !input.is_empty() => {
                let at = at.min(input.len() - 1);
                input[at] ^= 1 << self.random.u8(..8);
            }
            2 => input.truncate(at),
            3 => {
                let end = self.random.usize(at..=input.len());
                input.drain(at..end);
            }
            4 => {
                let end = self.random.usize(at..=input.len());
                let piece = input[at..end].to_vec();
                let to = self.random.usize(..=input.len());
                input.splice(to..to, piece);
            }
            5 => {
                let piece = vec![self.random.u8(..); self.random.usize(1..200)];
                input.splice(at..at, piece);
            }
            6 => {
                let open = self.random.choice([b'[', b'{', b'(', b'"', b'\\', b'<', b'\'']).unwrap_or(b'[');
                let piece = vec![open; self.random.usize(1..3_000)];
                input.splice(at..at, piece);
            }
            7 => {
                if let Some(other) = self.random.choice(kept) {
                    let from = self.random.usize(..=other.len());
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
            }
            8 => {
                let digits: String = (0..self.random.usize(1..40)).map(|_| self.random.digit(10)).collect();
                input.splice(at..at, digits.into_bytes());
            }
            _ => {
                let token = self.token();
                input.splice(at..at, token.bytes());
            }
        }
    }

    fn token(&mut self) -> &'static str {
        self.random.choice(TOKENS).copied().unwrap_or_default()
    }

    /// Replaces one part of a document.
    fn rebuild(&mut self, value: &mut Value) {
        if self.random.u8(..4) > 0 {
            match value {
                Value::Object(object) if !object.is_empty() => {
                    let at = self.random.usize(..object.len());
                    if let Some((_, inner)) = object.iter_mut().nth(at) {
                        return self.rebuild(inner);
                    }
                }
                Value::Array(values) if !values.is_empty() => {
                    let at = self.random.usize(..values.len());
                    return self.rebuild(&mut values[at]);
                }
                _ => {}
            }
        }
        let new = self.part(value);
        *value = new;
    }

    fn part(&mut self, old: &Value) -> Value {
        match self.random.u8(..12) {
            0 => Value::Null,
            1 => json!(self.random.bool()),
            2 => json!(self.random.i64(..)),
            3 => json!(self.random.f64() * 1e18),
            4 => json!([]),
            5 => json!({}),
            6 => json!([old, old]),
            7 => {
                let mut map = Map::new();
                map.insert(self.token().to_owned(), old.clone());
                Value::Object(map)
            }
            8 => {
                let mut deep = old.clone();
                for _ in 0..self.random.usize(..100) {
                    deep = json!([deep]);
                }
                deep
            }
            9 => json!(self.token().repeat(self.random.usize(1..200))),
            10 => json!(format!("{}{}", old.as_str().unwrap_or_default(), self.token())),
            _ => json!(self.token()),
        }
    }
}
