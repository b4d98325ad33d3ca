//! Where in a text secrets are.
//!
//! The rule that is not obvious: what follows a secret's name is one up to the end of its quotes, or of the word
//! where it has none, unless it is a word that says something of the secret instead.

use std::ops::Range;

use super::{is_mask, names, shapes};

/// What is said of a secret and is none.
const SAID_OF_SECRETS: &[&str] = &[
    "a",
    "an",
    "and",
    "are",
    "at",
    "be",
    "cannot",
    "denied",
    "does",
    "empty",
    "error",
    "expired",
    "expires",
    "failed",
    "failure",
    "false",
    "for",
    "from",
    "has",
    "hidden",
    "in",
    "incorrect",
    "invalid",
    "is",
    "it",
    "malformed",
    "masked",
    "mismatch",
    "missing",
    "must",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "of",
    "off",
    "on",
    "or",
    "out",
    "redacted",
    "rejected",
    "required",
    "reset",
    "revoked",
    "rotated",
    "rotation",
    "see",
    "the",
    "this",
    "to",
    "too",
    "true",
    "unauthorized",
    "undefined",
    "unexpected",
    "unknown",
    "unset",
    "unsupported",
    "validation",
    "was",
    "will",
    "with",
    "wrong",
    "yes",
    "you",
    "your",
];
/// What CloudTrail has in a secret's place: readers know it by this word.
const HIDDEN_BY_AWS: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";
/// Schemes of an `Authorization` header that one word follows.
const SCHEMES: &[&str] = &["bearer", "basic", "token", "apikey", "negotiate", "ssws", "geniekey", "key"];
/// Addresses whose path is the secret.
const SECRET_PATHS: &[&str] = &[
    "://hooks.slack.com/",
    "://hooks.slack-gov.com/",
    "://discord.com/api/webhooks/",
    "://discordapp.com/api/webhooks/",
    "://api.telegram.org/bot",
];

/// Longer than any address; and than what is named in one.
const ADDRESS_MAX: usize = 2_048;
const NAME_MAX: usize = 256;

/// The nearest place at or before `at` where a text can be cut.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// All secrets of a text, in order, apart from each other.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    private_keys(text, &mut spans);
    addresses(text, &mut spans);
    Walk { text, spans: &mut spans, value_is_secret: false, before: 0..0 }.run();
    merged(spans)
}

/// Those that are secrets whatever stands around them.
pub(super) fn unmistakable(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    private_keys(text, &mut spans);
    addresses(text, &mut spans);
    for (start, token) in tokens(text) {
        spans.extend(shapes::unmistakable_in(token).map(|span| start + span.start..start + span.end));
    }
    merged(spans)
}

/// Whether a value under a secret's name is none: empty, a reference to where the secret is, or said of it.
pub(super) fn is_harmless(key: &str, value: &str) -> bool {
    let value = value.trim();
    let lower = value.trim_matches(['.', '!', '*', '[', '<', '(', ']', '>', ')']).to_ascii_lowercase();
    lower.is_empty()
        || SAID_OF_SECRETS.contains(&lower.as_str())
        || value == HIDDEN_BY_AWS
        || value.bytes().all(|byte| byte == b'*')
        || ["arn:aws", "${", "{{", "$(", "%("].iter().any(|start| value.starts_with(start))
        || (names::is_plural(key) && value.parse::<f64>().is_ok())
        || (names::makes_requests_unique(key) && shapes::is_uuid(value))
}

fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.retain(|span| !span.is_empty());
    spans.sort_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// What stands between the lines of a private key in PEM.
fn private_keys(text: &str, spans: &mut Vec<Range<usize>>) {
    if !text.contains("-----") {
        return;
    }
    let mut from = 0;
    while let Some(found) = text[from..].find("PRIVATE KEY-----") {
        let start = from + found + "PRIVATE KEY-----".len();
        let end = text[start..].find("-----END").map_or(text.len(), |end| start + end);
        spans.push(start..end);
        from = end;
        // Past the closing line, which has the same words.
        if let Some(close) = text[from..].find("PRIVATE KEY-----") {
            from += close + "PRIVATE KEY-----".len();
        }
    }
}

/// Passwords and secret paths in addresses.
fn addresses(text: &str, spans: &mut Vec<Range<usize>>) {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\');
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let start = from + found + 3;
        // No address is longer; a text without an end to it is not looked through again and again.
        let window = floor(text, start + ADDRESS_MAX);
        let end = text[start..window].find(ends).map_or(window, |end| start + end);
        let address = &text[start..end];
        if let Some(path) = SECRET_PATHS.iter().find(|path| text[from + found..].starts_with(**path)) {
            spans.push(from + found + path.len()..end);
        } else if let Some(password) = password_in(address) {
            spans.push(start + password.start..start + password.end);
        }
        from = start;
    }
}

/// `user:password@host…`: what stands for the password. It may itself hold `@` and `/`, which it should not.
fn password_in(address: &str) -> Option<Range<usize>> {
    let colon = address.find(':')?;
    if address[..colon].contains(['/', '?', '@', '[']) {
        return None;
    }
    let rest = &address[colon + 1..];
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let query = rest.find(['?', '#']).unwrap_or(rest.len());
    let (near, far) = (rest[..authority].rfind('@'), rest[..query].rfind('@'));
    let at = match (near, far) {
        // `p@ss/word@host`: what follows the first is no host, and another one follows.
        (Some(near), Some(far)) if far > near && !rest[near + 1..authority].contains(['.', ':']) => far,
        (Some(near), _) => near,
        // A port, and an `@` of the path's own.
        (None, Some(_)) if rest[..authority].bytes().all(|byte| byte.is_ascii_digit()) => return None,
        (None, far) => far?,
    };
    let password = colon + 1..colon + 1 + at;
    (!is_mask(&address[password.clone()])).then_some(password)
}

/// By byte, since each line of each log passes here. What is not ASCII counts as a letter.
const IN_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric()
            || letter >= 0x80
            || matches!(
                letter,
                b'-' | b'_' | b'+' | b'/' | b'.' | b'~' | b'%' | b'!' | b'@' | b'#' | b'$' | b'^' | b'*'
            );
        byte += 1;
    }
    table
};

/// The next token at or after `at`.
fn next_token(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut start = at;
    while !IN_TOKEN[usize::from(*bytes.get(start)?)] {
        start += 1;
    }
    let mut end = start;
    while bytes.get(end).is_some_and(|byte| IN_TOKEN[usize::from(*byte)]) {
        end += 1;
    }
    Some(start..end)
}

fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let token = next_token(text, at)?;
        at = token.end;
        Some((token.start, &text[token]))
    })
}

/// Where a quoted value ends. `escapes` backslashes stand before each quote of its own level.
fn closing_quote(text: &str, begin: usize, quote: char, escapes: usize) -> usize {
    let mut from = begin;
    while let Some(found) = text[from..].find(quote) {
        let at = from + found;
        let before = text[begin..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if before <= escapes {
            return at - before;
        }
        from = at + 1;
    }
    text[begin..].find('\n').map_or(text.len(), |line| begin + line)
}

struct Walk<'a, 'b> {
    text: &'a str,
    spans: &'b mut Vec<Range<usize>>,
    /// `"name": "DB_PASSWORD"` came right before: the `value` beside it is a secret.
    value_is_secret: bool,
    /// The token before this one.
    before: Range<usize>,
}

impl Walk<'_, '_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(token) = next_token(self.text, at) {
            at = self.token(token.start, token.end).max(token.end);
        }
    }

    /// Looks at one token; how far the text is dealt with.
    fn token(&mut self, start: usize, end: usize) -> usize {
        let text = self.text;
        let token = &text[start..end];
        if token == "arn" && text[end..].starts_with(":aws") {
            let ends = |c: char| {
                c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ')' | ']' | '}' | '\\' | '<' | ';')
            };
            return text[end..].find(ends).map_or(text.len(), |length| end + length);
        }
        let name = token.trim_start_matches(['-', '$', '@', '/', '*', '#']);
        if self.may_be_name(end) && names::may_matter(name) {
            let is_secret =
                names::is_secret(name) || (self.value_is_secret && name.eq_ignore_ascii_case("value"));
            let names_something = ["name", "key"].iter().any(|word| name.eq_ignore_ascii_case(word));
            if is_secret && let Some(value) = self.assigned(start, end, usize::MAX) {
                self.value_is_secret = false;
                return self.secret_value(name, value);
            }
            if names_something && let Some(value) = self.assigned(start, end, NAME_MAX) {
                self.value_is_secret = names::is_secret(&text[value]);
            }
        }
        if token.len() == 6 && token.eq_ignore_ascii_case("bearer") {
            return self.bearer(end);
        }
        if text.as_bytes().get(end) == Some(&b'(')
            && let Some(at) = self.password_before_network(start, end)
        {
            self.spans.push(start..start + at);
        }
        if token.len() >= shapes::LEAST && !is_mask(token) {
            let span = shapes::unmistakable_in(token).or_else(|| {
                // Under the name of an id only what is unmistakably a secret is one.
                let random = shapes::random_in(token, text[end..].chars().next())?;
                (!self.is_under_an_ids_name(start)).then_some(random)
            });
            self.spans.extend(span.map(|span| start + span.start..start + span.end));
        }
        self.before = start..end;
        end
    }

    /// Whether the token before this one is the name of an id, and this one its value.
    fn is_under_an_ids_name(&self, start: usize) -> bool {
        let between = &self.text[self.before.end..start];
        between.contains([':', '='])
            && between.bytes().all(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b' ' | b':' | b'='))
            && names::is_identifier(&self.text[self.before.clone()])
    }

    /// Whether what stands right behind a token can be the way to a value.
    fn may_be_name(&self, end: usize) -> bool {
        let next = self.text.as_bytes().get(end);
        next.is_some_and(|byte| {
            matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b']' | b' ' | b'\t' | b':' | b'=' | b'>')
        })
    }

    /// The value that a name is given: `name=value`, `"name": "value"`, `--name value`, `<name>value<`, `name 'value'`.
    fn assigned(&self, start: usize, end: usize, within: usize) -> Option<Range<usize>> {
        let text = self.text;
        let name = &text[start..end];
        let rest = &text[end..];
        if rest.starts_with('>') && text[..start].ends_with('<') {
            let length = rest[1..].find('<').unwrap_or(rest.len() - 1);
            return Some(end + 1..end + 1 + length);
        }
        let bytes = text.as_bytes();
        let mut at = end;
        while bytes
            .get(at)
            .is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b']' | b' ' | b'\t'))
        {
            at += 1;
        }
        if let Some(separator @ (b':' | b'=')) = bytes.get(at) {
            at += 1;
            // A path of code or an address is no assignment.
            let next = (bytes.get(at), bytes.get(at + 1));
            if next.0 == Some(&b':') || (*separator == b':' && next == (Some(&b'/'), Some(&b'/'))) {
                return None;
            }
            while bytes.get(at).is_some_and(|byte| matches!(byte, b'=' | b'>' | b' ' | b'\t')) {
                at += 1;
            }
            return Some(self.value_at(at, within));
        }
        let spaced = rest.strip_prefix([' ', '\t'])?;
        let flag = name.starts_with("--") && !spaced.starts_with('-');
        let quoted = names::is_password(name) && spaced.starts_with(['\'', '"']);
        (flag || quoted).then(|| self.value_at(text.len() - spaced.len(), within))
    }

    /// The value that begins here, without its quotes; looked for within so many bytes.
    fn value_at(&self, start: usize, within: usize) -> Range<usize> {
        let text = &self.text[..floor(self.text, start.saturating_add(within))];
        let rest = &text[start..];
        let escapes = rest.len() - rest.trim_start_matches('\\').len();
        let open = &rest[escapes..];
        if let Some(quote) = open.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
            let begin = start + escapes + 1;
            return begin..closing_quote(text, begin, quote, escapes);
        }
        let ends = |byte: &u8| {
            byte.is_ascii_whitespace()
                || matches!(
                    byte,
                    b'"' | b'\''
                        | b'`'
                        | b','
                        | b';'
                        | b'&'
                        | b'|'
                        | b'<'
                        | b'>'
                        | b')'
                        | b']'
                        | b'}'
                        | b'\\'
                )
        };
        let end = rest.as_bytes().iter().position(ends).map_or(text.len(), |length| start + length);
        // `Some("value")`, as programs print what they hold.
        if text[start..end].ends_with('(') && text[end..].starts_with(['"', '\'']) {
            return self.value_at(end, within);
        }
        start..end
    }

    fn secret_value(&mut self, name: &str, value: Range<usize>) -> usize {
        let text = self.text;
        let said = &text[value.clone()];
        if said.starts_with('[') {
            return self.list(value.start);
        }
        if said.starts_with('{') {
            return value.start;
        }
        if names::is_cookie(name) {
            let end =
                text[value.start..].find(['"', '\'', '\n', '\\']).map_or(text.len(), |end| value.start + end);
            self.spans.push(value.start..end);
            return end;
        }
        if names::is_authorization(name) {
            let word = said.split(' ').next().unwrap_or_default();
            let after = value.start + word.len();
            let lower = word.to_ascii_lowercase();
            if SCHEMES.contains(&lower.as_str()) && text[after..].starts_with(' ') {
                let secret = self.value_at(after + 1, usize::MAX);
                self.spans.push(secret.clone());
                return secret.end;
            }
            if lower.starts_with("aws4") || lower == "digest" {
                let end = text[after..].find(['"', '\n']).map_or(text.len(), |end| after + end);
                self.spans.push(after..end);
                return end;
            }
        }
        if !is_mask(said) && !is_harmless(name, said) {
            self.spans.push(value.clone());
        }
        value.end
    }

    /// Each quoted text of a list.
    fn list(&mut self, start: usize) -> usize {
        let text = self.text;
        let end = text[start..].find(']').map_or(text.len(), |end| start + end);
        let mut at = start;
        while let Some(found) = text[at..end].find('"') {
            let begin = at + found + 1;
            let close = closing_quote(text, begin, '"', 0).clamp(begin, end);
            self.spans.push(begin..close);
            at = (close + 1).min(end);
        }
        end
    }

    /// `Bearer …`, where what follows is no word of a sentence.
    fn bearer(&mut self, end: usize) -> usize {
        let text = self.text;
        let Some(rest) = text[end..].strip_prefix(' ') else { return end };
        let start = text.len() - rest.len();
        let value = self.value_at(start, usize::MAX);
        let said = &text[value.clone()];
        let is_word =
            said.trim_end_matches(['.', '!', '?', ':']).bytes().all(|byte| byte.is_ascii_lowercase());
        if is_mask(said) || said.is_empty() || (is_word && said.len() < 16) {
            return end;
        }
        self.spans.push(value.clone());
        value.end
    }

    /// `user:password@tcp(host)`, as MySQL's driver for Go writes it: how long the password is.
    fn password_before_network(&self, start: usize, end: usize) -> Option<usize> {
        let token = &self.text[start..end];
        let (password, network) = token.rsplit_once('@')?;
        let is_network =
            ["tcp", "tcp6", "udp", "unix"].contains(&network) && self.text[end..].starts_with('(');
        (is_network && self.text[..start].ends_with(':') && !is_mask(password)).then_some(password.len())
    }
}
