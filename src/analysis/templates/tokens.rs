//! Cuts one line into words, variables and marks, in a single pass over its bytes.
//!
//! The rule that is not obvious: what carries a digit, names a place (path, address, URL) or stands
//! as a value behind `key=` is a variable on sight, and neighbouring variables are one variable, so
//! that a list of numbers yields the same template whatever its length. Words are judged later, by
//! statistics over many lines. Of an event with several lines the first one speaks.

/// Pieces kept of one line; what comes after them is one variable. It bounds the work that a
/// hostile line can cause.
pub const MAX_PIECES: usize = 192;

/// A longer run of letters is a blob, not a word.
const MAX_WORD: usize = 64;

/// One piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Word(&'a [u8]),
    /// The letters before a number that tells which one: `eth` of `eth0`.
    Stem(&'a [u8]),
    Variable,
    Mark(u8),
}

const SPACE: u8 = 1;
const DELIMITER: u8 = 2;
const DIGIT: u8 = 4;
const LETTER: u8 = 8;
const COLON: u8 = 16;
const PLACE: u8 = 32; // slash, backslash, at sign
const OTHER: u8 = 64;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => SPACE,
            b',' | b';' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'"' | b'\'' | b'='
            | b'|' => DELIMITER,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | 0x80..=0xff => LETTER,
            b':' => COLON,
            b'/' | b'\\' | b'@' => PLACE,
            _ => OTHER,
        };
        byte += 1;
    }
    table
}

/// Calls `emit(piece, space_before)` for each piece of the line, in order. What stands behind `key=`
/// is a word where it looks like one, else a variable.
pub fn scan<'a>(line: &'a [u8], emit: &mut impl FnMut(Piece<'a>, bool)) {
    let mut writer = Writer { emit, after_variable: false, held: None, pieces: 0 };
    if let Some(opening) = stack_frame(line) {
        writer.word(opening, true);
        writer.variable(true);
        return;
    }
    let mut at = 0;
    let mut space = false;
    while let Some(&byte) = line.get(at) {
        if writer.pieces >= MAX_PIECES {
            writer.variable(true);
            break;
        }
        let class = CLASS[byte as usize];
        if class == SPACE {
            if byte == b'\n' && writer.pieces > 0 {
                break;
            }
            space = true;
            at += 1;
            continue;
        }
        if class == DELIMITER {
            if byte == b'<' && less_than_number(line, at) {
                at += 1;
                continue;
            }
            writer.mark(byte, space);
            at += 1;
            space = false;
            continue;
        }
        let start = at;
        let mut flags = class;
        at += 1;
        while let Some(&next) = line.get(at) {
            let class = CLASS[next as usize];
            if class & (SPACE | DELIMITER) != 0 {
                break;
            }
            flags |= class;
            at += 1;
        }
        let chunk = &line[start..at];
        cut_chunk(chunk, flags, space, &mut writer);
        space = false;
        if line.get(at) == Some(&b'=') && flags & (LETTER | DIGIT) != 0 {
            at = cut_value(line, chunk, at, &mut writer);
        }
    }
    writer.finish();
}

/// The word that opens a frame of a stack trace. Which frames there are says where the program was,
/// not what happened: all of them are one template.
fn stack_frame(line: &[u8]) -> Option<&[u8]> {
    if !matches!(line.first(), Some(b' ' | b'\t')) {
        return None;
    }
    let text = line.trim_ascii_start();
    let is_java_or_node = text.starts_with(b"at ") && text.contains(&b'(');
    (is_java_or_node || text.starts_with(b"at /"))
        .then(|| &text[..2])
        .or_else(|| text.starts_with(b"File \"").then(|| &text[..4]))
}

/// `<1 sec`: a bound, not a bracket.
fn less_than_number(line: &[u8], at: usize) -> bool {
    line.get(at + 1).is_some_and(u8::is_ascii_digit)
        && !line[at + 1..].iter().take(24).take_while(|byte| **byte != b' ').any(|byte| *byte == b'>')
}

/// Keys whose value is a sentence for people: it is cut like a message instead of being masked.
fn is_message_key(key: &[u8]) -> bool {
    matches!(key.len(), 2..=7)
        && [&b"msg"[..], b"message", b"event", b"err", b"error", b"text"]
            .iter()
            .any(|name| key.eq_ignore_ascii_case(name))
}

/// The value behind `key=`: masked up to where it ends. Returns the place after it.
fn cut_value<'a, F: FnMut(Piece<'a>, bool)>(
    line: &'a [u8],
    key: &[u8],
    equals: usize,
    writer: &mut Writer<'_, F>,
) -> usize {
    let start = equals + 1;
    match line.get(start) {
        Some(b'=' | b'(' | b'[' | b'{' | b'<' | b'>') => equals,
        Some(quote @ (b'"' | b'\'')) => {
            let inner = &line[start + 1..];
            let length = inner.iter().position(|byte| byte == quote);
            if is_message_key(key) || length.is_some_and(|length| is_short_text(&inner[..length])) {
                return equals;
            }
            writer.mark(b'=', false);
            writer.variable(false);
            length.map_or(line.len(), |length| start + 1 + length + 1)
        }
        _ if is_message_key(key) => equals,
        _ => {
            let ends = |byte: &u8| CLASS[*byte as usize] & (SPACE | DELIMITER) != 0 && *byte != b'=';
            let length = line[start..].iter().position(ends).unwrap_or(line.len() - start);
            let value = &line[start..start + length];
            writer.mark(b'=', false);
            if is_short_text(value) {
                writer.word(value, false);
            } else {
                writer.variable(false);
            }
            start + length
        }
    }
}

/// A value that can be a word of the event's own: letters, few of them.
fn is_short_text(value: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_' | b'-' | b' ');
    matches!(value.len(), 1..=32) && value.iter().all(is_letter) && count(value, b' ') < 3
}

/// A chunk is what stands between white space and delimiters.
fn cut_chunk<'a, F: FnMut(Piece<'a>, bool)>(
    chunk: &'a [u8],
    flags: u8,
    space: bool,
    writer: &mut Writer<'_, F>,
) {
    if flags == LETTER {
        writer.word(chunk, space);
        return;
    }
    if flags & (LETTER | DIGIT) == 0 {
        writer.mark(chunk[0], space);
        return;
    }
    let end =
        chunk.iter().rposition(|byte| !matches!(byte, b':' | b'.' | b'!' | b'?')).map_or(0, |last| last + 1);
    let body = &chunk[..end];
    let tail = chunk.get(end).copied();
    if flags & PLACE != 0 && is_place(body) {
        writer.variable(space);
    } else if flags & COLON != 0 && body.contains(&b':') {
        if flags & DIGIT != 0 && (is_colon_address(body) || is_port(body)) {
            writer.variable(space);
        } else {
            let mut first = true;
            for segment in body.split(|byte| *byte == b':') {
                if !first {
                    writer.mark(b':', false);
                }
                if !segment.is_empty() {
                    cut_segment(segment, first && space, writer);
                }
                first = false;
            }
        }
    } else {
        cut_segment(body, space, writer);
    }
    if let Some(tail) = tail {
        writer.mark(tail, false);
    }
}

fn cut_segment<'a, F: FnMut(Piece<'a>, bool)>(segment: &'a [u8], space: bool, writer: &mut Writer<'_, F>) {
    let Some(row) = row_of_dots(segment) else {
        cut_word(segment, space, writer);
        return;
    };
    // `enable......0`: a row of dots leads to a value.
    let (before, rest) = segment.split_at(row);
    let after = rest.iter().position(|byte| *byte != b'.').and_then(|end| rest.get(end..));
    if !before.is_empty() {
        cut_word(before, space, writer);
    }
    writer.mark(b'.', space && before.is_empty());
    if let Some(after) = after {
        cut_word(after, false, writer);
    }
}

fn row_of_dots(segment: &[u8]) -> Option<usize> {
    let first = segment.iter().position(|byte| *byte == b'.')?;
    segment[first..].windows(3).position(|window| window == b"...").map(|offset| first + offset)
}

fn cut_word<'a, F: FnMut(Piece<'a>, bool)>(word: &'a [u8], space: bool, writer: &mut Writer<'_, F>) {
    let Some(first) = word.iter().position(u8::is_ascii_digit) else {
        writer.word(word, space);
        return;
    };
    let (stem, number) = word.split_at(first);
    // `eth0`, `L2`: the letters name a kind of thing, the number tells which one.
    let names_a_kind = matches!(stem.len(), 1..=5)
        && number.len() <= 4
        && stem.iter().all(u8::is_ascii_alphabetic)
        && number.iter().all(u8::is_ascii_digit);
    if names_a_kind {
        writer.stem(stem, space);
    } else {
        writer.variable(space);
    }
}

#[expect(clippy::naive_bytecount, reason = "fields are short; a crate for it would be more code")]
pub(super) fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().filter(|byte| **byte == wanted).count()
}

/// A path, an e-mail address, a URL, a Java style `/address`.
fn is_place(body: &[u8]) -> bool {
    let slashes = count(body, b'/');
    let inner_at = body.len() > 2 && body[1..body.len() - 1].contains(&b'@');
    (body.first() == Some(&b'/') && body.len() > 1)
        || (slashes == 1 && body.contains(&b'.') && body.last() != Some(&b'/'))
        || body.starts_with(b"./")
        || body.starts_with(b"../")
        || body.starts_with(b"~/")
        || slashes >= 2
        || count(body, b'\\') >= 2
        || inner_at
}

/// Times, hardware addresses, IPv6 addresses: colons between hexadecimal groups.
fn is_colon_address(body: &[u8]) -> bool {
    let hexadecimal = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'%');
    body.iter().all(hexadecimal) && count(body, b':') >= 2
}

/// `shop.example.org:443`.
fn is_port(body: &[u8]) -> bool {
    let Some(colon) = body.iter().position(|byte| *byte == b':') else { return false };
    let (host, port) = (&body[..colon], &body[colon + 1..]);
    matches!(port.len(), 1..=5)
        && port.iter().all(u8::is_ascii_digit)
        && host.iter().any(|byte| matches!(byte, b'.' | b'-'))
        && host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// `5.2 KB`, `30 ms`: the unit belongs to the number before it.
fn is_unit(word: &[u8]) -> bool {
    matches!(
        word,
        b"B" | b"KB"
            | b"MB"
            | b"GB"
            | b"TB"
            | b"kB"
            | b"KiB"
            | b"MiB"
            | b"GiB"
            | b"TiB"
            | b"ns"
            | b"us"
            | b"ms"
            | b"s"
            | b"sec"
    )
}

/// Literals of every language, and the names in dates.
fn is_literal(word: &[u8]) -> bool {
    match word.len() {
        3 => matches!(
            word,
            b"Jan"
                | b"Feb"
                | b"Mar"
                | b"Apr"
                | b"May"
                | b"Jun"
                | b"Jul"
                | b"Aug"
                | b"Sep"
                | b"Oct"
                | b"Nov"
                | b"Dec"
                | b"Mon"
                | b"Tue"
                | b"Wed"
                | b"Thu"
                | b"Fri"
                | b"Sat"
                | b"Sun"
        ),
        4 => word.eq_ignore_ascii_case(b"true") || word.eq_ignore_ascii_case(b"null"),
        5 => word.eq_ignore_ascii_case(b"false"),
        _ => false,
    }
}

/// Passes pieces on and joins neighbouring variables.
struct Writer<'w, F> {
    emit: &'w mut F,
    after_variable: bool,
    /// A separator behind a variable, held back until it is known whether another variable follows.
    held: Option<(u8, bool)>,
    pieces: usize,
}

impl<'a, F: FnMut(Piece<'a>, bool)> Writer<'_, F> {
    fn word(&mut self, word: &'a [u8], space: bool) {
        if word.len() > MAX_WORD || is_literal(word) {
            self.variable(space);
            return;
        }
        if self.after_variable && self.held.is_none() && is_unit(word) {
            return;
        }
        self.release();
        self.after_variable = false;
        self.put(Piece::Word(word), space);
    }

    fn stem(&mut self, stem: &'a [u8], space: bool) {
        if self.after_variable {
            self.held = None;
            return;
        }
        self.release();
        self.after_variable = true;
        self.put(Piece::Stem(stem), space);
    }

    fn variable(&mut self, space: bool) {
        if self.after_variable {
            self.held = None;
            return;
        }
        self.release();
        self.after_variable = true;
        self.put(Piece::Variable, space);
    }

    fn mark(&mut self, mark: u8, space: bool) {
        if self.after_variable
            && self.held.is_none()
            && matches!(mark, b',' | b':' | b'-' | b'/' | b'.' | b';')
        {
            self.held = Some((mark, space));
            return;
        }
        self.release();
        self.after_variable = false;
        self.put(Piece::Mark(mark), space);
    }

    fn release(&mut self) {
        if let Some((mark, space)) = self.held.take() {
            self.put(Piece::Mark(mark), space);
        }
    }

    fn put(&mut self, piece: Piece<'a>, space: bool) {
        self.pieces += 1;
        (self.emit)(piece, space);
    }

    fn finish(&mut self) {
        self.release();
    }
}
