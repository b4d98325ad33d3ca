//! Takes a JSON log line apart without building it: its keys, its message, its values.
//!
//! The rule that is not obvious: the template of a JSON line is the template of its message within
//! the set of its top-level keys, in any order. A line that is not one whole object is plain text.

use std::borrow::Cow;

/// Keys that are looked at; the others of a line that has more are skipped.
const MAX_KEYS: usize = 64;
/// Deeper nesting than this is plain text: nobody logs like that.
const MAX_DEPTH: usize = 64;

/// Keys that hold what a person reads, the best first. The last ones name an event where nothing
/// else does.
const MESSAGE_KEYS: [&[u8]; 13] = [
    b"message",
    b"msg",
    b"@message",
    b"event",
    b"log",
    b"text",
    b"body",
    b"error",
    b"err",
    b"reason",
    b"type",
    b"name",
    b"action",
];

/// What the template of a JSON line is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline<'a> {
    /// Equal for lines with the same set of keys and the same message key.
    pub keys_hash: u64,
    /// The message as written, with its escapes.
    pub message: Option<&'a [u8]>,
}

/// The keys and the message of a line that is one JSON object.
pub fn outline(line: &[u8], hash: impl Fn(&[u8]) -> u64) -> Option<Outline<'_>> {
    let mut keys_hash = 0_u64;
    let mut best = usize::MAX;
    let mut message = None;
    each_member(line, |key, value| {
        let hashed = hash(key);
        keys_hash = keys_hash.wrapping_add(hashed | 1);
        let rank = MESSAGE_KEYS.iter().position(|name| *name == key);
        if let (Some(rank), Some(text)) = (rank, string_body(value))
            && rank < best
        {
            best = rank;
            message = Some(text);
        }
    })?;
    Some(Outline { keys_hash: keys_hash.rotate_left(best.min(63) as u32), message })
}

/// How the line is shown around its message: `{"level": <*>, "message": "` and `"}`.
pub fn frame(line: &[u8]) -> (String, String) {
    let message = outline(line, |_| 0).and_then(|outline| outline.message);
    let (mut before, mut after) = (String::from("{"), String::new());
    let mut seen = false;
    let _ = each_member(line, |key, value| {
        let is_message = !seen
            && message
                .is_some_and(|message| string_body(value).is_some_and(|body| std::ptr::eq(body, message)));
        let text = if seen { &mut after } else { &mut before };
        if text.len() > 1 || seen {
            text.push_str(", ");
        }
        text.push('"');
        text.push_str(&String::from_utf8_lossy(key));
        text.push_str("\": ");
        if is_message {
            text.push('"');
            seen = true;
            after.push('"');
        } else {
            text.push_str("<*>");
        }
    });
    if seen { &mut after } else { &mut before }.push('}');
    (before, after)
}

/// Calls `each(key, value)` for the top-level members of a line that is one JSON object: the key
/// without quotes, the value as written. `None` when the line is anything else; then members that
/// came before the fault have been reported.
pub fn each_member<'a>(line: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
    let mut at = skip_space(line, 0);
    if line.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(line, at + 1);
    let mut count = 0;
    if line.get(at) == Some(&b'}') {
        return (skip_space(line, at + 1) == line.len()).then_some(());
    }
    loop {
        let key_end = end_of_string(line, at)?;
        let key = line.get(at + 1..key_end - 1)?;
        at = skip_space(line, key_end);
        if line.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(line, at + 1);
        let end = end_of_value(line, at)?;
        if count < MAX_KEYS {
            each(key, line.get(at..end)?);
        }
        count += 1;
        at = skip_space(line, end);
        match line.get(at) {
            Some(b',') => at = skip_space(line, at + 1),
            Some(b'}') => return (skip_space(line, at + 1) == line.len()).then_some(()),
            _ => return None,
        }
    }
}

/// The text between the quotes of a value that is a string.
pub fn string_body(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// The text that a JSON string stands for, up to its first line break; broken escapes stay.
pub fn first_line(body: &[u8]) -> Cow<'_, [u8]> {
    if !body.contains(&b'\\') {
        return Cow::Borrowed(body);
    }
    let mut text = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        if *byte != b'\\' {
            text.push(*byte);
            at += 1;
            continue;
        }
        match body.get(at + 1) {
            Some(b'n' | b'r') => break,
            Some(b't') => text.push(b'\t'),
            Some(escaped @ (b'"' | b'\\' | b'/')) => text.push(*escaped),
            Some(b'u') => {
                let code = body
                    .get(at + 2..at + 6)
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                    .and_then(char::from_u32);
                let character = code.unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at += 4;
            }
            _ => text.push(b' '),
        }
        at += 2;
    }
    Cow::Owned(text)
}

fn skip_space(line: &[u8], at: usize) -> usize {
    let rest = line.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len())
}

/// The place after the closing quote of the string that begins at `at`.
fn end_of_string(line: &[u8], at: usize) -> Option<usize> {
    if line.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match line.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn end_of_value(line: &[u8], at: usize) -> Option<usize> {
    match line.get(at)? {
        b'"' => end_of_string(line, at),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut at = at;
            loop {
                match line.get(at)? {
                    b'"' => {
                        at = end_of_string(line, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
                if depth > MAX_DEPTH {
                    return None;
                }
            }
        }
        _ => {
            let rest = line.get(at..)?;
            let length = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t'))?;
            (length > 0).then_some(at + length)
        }
    }
}
