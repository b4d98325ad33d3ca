//! Finds where the header of raw lines ends (time, host, process, level, component) and the message
//! begins, from the lines themselves.
//!
//! The rule that is not obvious: a column is a header because nearly all lines agree on its kind at
//! that place, not because it looks like one format or another; and words are skipped only where
//! such a column follows them. Without a time or a level there is no header at all: bare messages
//! stay whole.

use std::collections::BTreeMap;

use super::mix;
use super::tokens::count;

/// Share of lines that must agree on a column.
const AGREEMENT: f64 = 0.9;
/// Share of lines that must have a component in the same place.
const MAJORITY: f64 = 0.6;
/// A log whose first fields are of one kind in this share of the lines has one format.
const ONE_FORMAT: f64 = 0.8;
/// Share of the lines that a format must have.
const MIN_FORMAT: f64 = 0.01;
/// Fields that tell formats apart.
const FORMAT_FIELDS: usize = 5;
/// Fields that one header can have.
const MAX_FIELDS: usize = 16;
/// Words that can stand before an agreed column.
const MAX_WORDS: usize = 4;
/// Lines of one kind that are needed before their header is judged.
const MIN_LINES: u64 = 8;
/// A bracketed field that does not close within this many bytes is not a field.
const MAX_BRACKET: usize = 256;

/// One step from the beginning of a line towards its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Any one field.
    Field,
    /// A field in brackets; lines without one stay where they are.
    Bracket,
    /// All fields up to a lone separator, which may be some fields ahead.
    Separator(u8),
    /// Up to a field that ends in a colon, which may be one field ahead.
    Colon,
}

/// How the headers of one kind of line are skipped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Header {
    steps: Vec<Step>,
}

/// What a line begins with: lines of different kinds have different headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    Number = 0,
    Bracket = 1,
    Separator = 2,
    Word = 3,
}

/// The headers of all lines of one [`Opening`]: one, or one for each format where a log mixes several.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    common: Header,
    formats: BTreeMap<u64, Header>,
}

impl Headers {
    /// Finds the headers of these lines, each with the number of times it was seen.
    pub fn detect(lines: &[(&[u8], u64)]) -> Self {
        let mut by_format: BTreeMap<u64, Vec<(&[u8], u64)>> = BTreeMap::new();
        for (line, weight) in lines {
            by_format.entry(format(line)).or_default().push((line, *weight));
        }
        let weight = |lines: &[(&[u8], u64)]| lines.iter().map(|(_, weight)| weight).sum::<u64>();
        let total = weight(lines);
        let largest = by_format.values().map(|lines| weight(lines)).max().unwrap_or_default();
        let mut formats = BTreeMap::new();
        if (largest as f64) < ONE_FORMAT * total as f64 {
            by_format.retain(|_, lines| weight(lines) as f64 >= MIN_FORMAT * total as f64);
            let detected = by_format.into_iter().map(|(format, lines)| (format, Header::detect(&lines)));
            formats.extend(detected.filter(|(_, header)| !header.is_empty()));
        }
        Self { common: Header::detect(lines), formats }
    }

    pub fn is_empty(&self) -> bool {
        self.common.is_empty() && self.formats.is_empty()
    }

    /// Where the message of this line begins.
    pub fn skip(&self, line: &[u8]) -> usize {
        if self.formats.is_empty() {
            return self.common.skip(line);
        }
        self.formats.get(&format(line)).unwrap_or(&self.common).skip(line)
    }
}

/// Equal for lines whose first fields are of the same kinds, times of the same punctuation.
fn format(line: &[u8]) -> u64 {
    let mut hash = 0;
    let mut at = 0;
    for _ in 0..FORMAT_FIELDS {
        let (start, end) = field(line, at);
        let code = match kind(line, start, end) {
            Kind::Time => line[start..end].iter().fold(1, |code, byte| {
                code | (1 << (8 + b":-/.,TZ_+".iter().position(|mark| mark == byte).unwrap_or(15)))
            }),
            Kind::Bracket(_) => 3,
            Kind::Separator(mark) => 0x100 | u64::from(mark),
            Kind::Barred => 4,
            Kind::Quote => 5,
            // Any word may happen to be the name of a level.
            Kind::Number | Kind::Colon | Kind::Word(_) | Kind::Level | Kind::Missing => 6,
        };
        hash = mix(hash, code);
        at = end;
    }
    hash
}

/// Number of [`Opening`]s.
pub const OPENINGS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Digits with punctuation and a shape of a date or a time; names of months and days too.
    Time,
    /// Something with a digit.
    Number,
    Level,
    /// In brackets, and whether a time or a level is inside.
    Bracket(bool),
    Separator(u8),
    /// Ends in a colon.
    Colon,
    /// Ends at a bar.
    Barred,
    /// A word, and whether it is a name as programs have them: `app.Pool`, `io-worker`.
    Word(bool),
    /// Begins a quoted text or a JSON object: never a header.
    Quote,
    Missing,
}

/// What the line begins with.
pub fn opening(line: &[u8]) -> Opening {
    match line.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(byte) if byte.is_ascii_digit() => Opening::Number,
        Some(b'[') => Opening::Bracket,
        Some(byte) if byte.is_ascii_alphabetic() || *byte >= 0x80 => Opening::Word,
        _ => Opening::Separator,
    }
}

impl Header {
    /// Finds the header that the given lines share, each with the number of times it was seen.
    fn detect(lines: &[(&[u8], u64)]) -> Self {
        let mut cursors: Vec<Cursor<'_>> =
            lines.iter().map(|(line, weight)| Cursor { line, at: 0, weight: *weight }).collect();
        let total: u64 = cursors.iter().map(|cursor| cursor.weight).sum();
        let mut steps = Vec::new();
        let mut justified = false;
        let mut after = After::default();
        if total < MIN_LINES {
            return Self::default();
        }
        while steps.len() < MAX_FIELDS {
            let Some((passed, anchor)) = next_anchor(&cursors, total, after) else { break };
            if after.colon && !matches!(anchor, Step::Bracket | Step::Separator(_)) {
                break;
            }
            justified |= passed != Anchor::Other;
            after.level |= passed == Anchor::Level;
            after.separator |= !steps.is_empty() && matches!(anchor, Step::Separator(_));
            let advanced: Vec<usize> =
                cursors.iter().map(|cursor| anchor.apply(cursor.line, cursor.at)).collect();
            let with_message: u64 = cursors
                .iter()
                .zip(&advanced)
                .filter(|(cursor, at)| {
                    cursor.line.get(**at..).is_some_and(|rest| !rest.trim_ascii().is_empty())
                })
                .map(|(cursor, _)| cursor.weight)
                .sum();
            if (with_message as f64) < AGREEMENT * total as f64 {
                break;
            }
            for (cursor, at) in cursors.iter_mut().zip(advanced) {
                cursor.at = at;
            }
            after.colon |= anchor == Step::Colon;
            steps.push(anchor);
        }
        if !justified {
            steps.clear();
        }
        Self { steps }
    }

    fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Where the message of this line begins.
    fn skip(&self, line: &[u8]) -> usize {
        if self.steps.is_empty() {
            return 0;
        }
        let end = self.steps.iter().fold(0, |at, step| step.apply(line, at));
        let gap = line
            .get(end..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'|'))
            .count();
        end + gap
    }
}

struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
    weight: u64,
}

/// What a step passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Time,
    Level,
    Other,
}

/// What has been passed already.
#[derive(Debug, Clone, Copy, Default)]
struct After {
    level: bool,
    separator: bool,
    colon: bool,
}

/// The next step that nearly all lines agree on, and what it passes.
fn next_anchor(cursors: &[Cursor<'_>], total: u64, after: After) -> Option<(Anchor, Step)> {
    let mut ahead: Vec<(u64, Vec<Kind>)> = Vec::with_capacity(cursors.len());
    for cursor in cursors {
        let mut kinds = Vec::with_capacity(MAX_WORDS);
        let mut at = cursor.at;
        for _ in 0..MAX_WORDS {
            let (start, end) = field(cursor.line, at);
            kinds.push(kind(cursor.line, start, end));
            at = end;
        }
        ahead.push((cursor.weight, kinds));
    }
    let share = |least: f64, holds: &dyn Fn(&[Kind]) -> bool| {
        let agreeing: u64 = ahead.iter().filter(|(_, kinds)| holds(kinds)).map(|(weight, _)| weight).sum();
        agreeing as f64 >= least * total as f64
    };
    if share(AGREEMENT, &|kinds| kinds[0] == Kind::Time) {
        return Some((Anchor::Time, Step::Field));
    }
    if share(AGREEMENT, &|kinds| kinds[0] == Kind::Level) {
        return Some((Anchor::Level, Step::Field));
    }
    if share(AGREEMENT, &|kinds| matches!(kinds[0], Kind::Bracket(_))) {
        let speaks = share(AGREEMENT, &|kinds| kinds[0] == Kind::Bracket(true));
        return Some((if speaks { Anchor::Time } else { Anchor::Other }, Step::Bracket));
    }
    for separator in [b'-', b'|', b':', b'*', b'#', b'+'] {
        if share(AGREEMENT, &|kinds: &[Kind]| kinds[..3].contains(&Kind::Separator(separator))) {
            return Some((Anchor::Other, Step::Separator(separator)));
        }
    }
    if share(AGREEMENT, &|kinds| matches!(kinds[0], Kind::Barred | Kind::Separator(_))) {
        return Some((Anchor::Other, Step::Field));
    }
    // Behind a level or a separator a number may begin the message.
    if !after.level
        && !after.separator
        && share(AGREEMENT, &|kinds| matches!(kinds[0], Kind::Number | Kind::Time))
    {
        return Some((Anchor::Other, Step::Field));
    }
    for offset in 0..MAX_WORDS {
        let plain = |kinds: &[Kind]| {
            kinds[..offset].iter().all(|kind| {
                // Behind the level a sentence may have begun: only names can be skipped there.
                matches!(kind, Kind::Number | Kind::Level | Kind::Separator(_) | Kind::Word(true))
                    || (!after.level && matches!(kind, Kind::Word(_) | Kind::Colon))
            })
        };
        let step = |last: Step| if offset == 0 { last } else { Step::Field };
        let anchored =
            |kind: Kind| matches!(kind, Kind::Time | Kind::Level | Kind::Bracket(_) | Kind::Barred);
        if share(AGREEMENT, &|kinds| plain(kinds) && anchored(kinds[offset])) {
            return Some((Anchor::Other, Step::Field));
        }
        // Components end in a colon. Some are written with a blank in them.
        let colon = |kinds: &[Kind], at: usize| kinds.get(at) == Some(&Kind::Colon);
        if !after.colon
            && share(MAJORITY, &|kinds| colon(kinds, offset))
            && share(AGREEMENT, &|kinds| plain(kinds) && (colon(kinds, offset) || colon(kinds, offset + 1)))
        {
            return Some((Anchor::Other, step(Step::Colon)));
        }
    }
    None
}

impl Step {
    fn apply(self, line: &[u8], at: usize) -> usize {
        match self {
            Self::Field => field(line, at).1,
            Self::Bracket => {
                let (start, end) = field(line, at);
                if line.get(start) == Some(&b'[') { end } else { at }
            }
            Self::Separator(separator) => {
                let mut next = at;
                for _ in 0..4 {
                    let (start, end) = field(line, next);
                    if line.get(start..end) == Some(&[separator]) {
                        return end;
                    }
                    next = end;
                }
                at
            }
            Self::Colon => {
                let mut next = at;
                for _ in 0..2 {
                    let (start, end) = field(line, next);
                    if end > start && line.get(end - 1) == Some(&b':') {
                        return end;
                    }
                    next = end;
                }
                at
            }
        }
    }
}

/// The next field from `at`: up to white space or a bar, or a whole bracket.
fn field(line: &[u8], at: usize) -> (usize, usize) {
    let is_gap = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'|';
    let rest = line.get(at..).unwrap_or_default();
    let Some(skipped) = rest.iter().position(|byte| !is_gap(byte)) else { return (line.len(), line.len()) };
    let start = at + skipped;
    if line[start] == b'[' {
        let mut depth = 0_usize;
        for (offset, byte) in line[start..].iter().take(MAX_BRACKET).enumerate() {
            match byte {
                b'[' => depth += 1,
                b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return (start, start + offset + 1);
            }
        }
    }
    let length = line[start..].iter().position(is_gap).unwrap_or(line.len() - start);
    (start, start + length)
}

fn kind(line: &[u8], start: usize, end: usize) -> Kind {
    let Some(text) = line.get(start..end).filter(|text| !text.is_empty()) else { return Kind::Missing };
    if matches!(text[0], b'"' | b'\'' | b'{' | b'(') {
        return Kind::Quote;
    }
    if text[0] == b'[' {
        let inner = text.get(1..text.len() - 1).unwrap_or_default();
        return Kind::Bracket(inner.split(|byte| *byte == b' ').any(|part| is_time(part) || is_level(part)));
    }
    if let [only] = text
        && only.is_ascii_punctuation()
    {
        return Kind::Separator(*only);
    }
    if is_time(text) {
        return Kind::Time;
    }
    if is_level(text) {
        return Kind::Level;
    }
    if line.get(end) == Some(&b'|') {
        return Kind::Barred;
    }
    if text.last() == Some(&b':') {
        return Kind::Colon;
    }
    if text.iter().any(u8::is_ascii_digit) {
        Kind::Number
    } else {
        let inner = text.get(1..text.len() - 1).unwrap_or_default();
        Kind::Word(inner.iter().any(|byte| b"._-/:$@".contains(byte)))
    }
}

/// A date, a time of day, seconds or milliseconds since 1970, the name of a month or a day.
fn is_time(text: &[u8]) -> bool {
    if text.len() == 3 {
        const NAMES: [&[u8; 3]; 19] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
            b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun",
        ];
        return NAMES.iter().any(|name| text.eq_ignore_ascii_case(*name));
    }
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let separators = text.iter().skip(1).filter(|byte| matches!(byte, b':' | b'-' | b'/' | b'.')).count();
    let only_time = text.iter().all(|byte| byte.is_ascii_digit() || b":-/.,+TZ_".contains(byte));
    let epoch = digits == text.len() && matches!(digits, 10 | 13 | 16) && text.first() == Some(&b'1');
    // `10.1.2.3:80` is an address, `10.1.2031-07.08.09.123` a time.
    let addressed = count(text, b'.') >= 3 && !text.contains(&b'-') && !text.contains(&b'/');
    epoch
        || (only_time
            && separators >= 1
            && !addressed
            && digits >= 4
            && (separators >= 2 || text.contains(&b':') || text.contains(&b'-') || text.contains(&b'/')))
}

/// Names of levels in any system, without regard to case.
const LEVELS: [&[u8]; 19] = [
    b"TRACE",
    b"DEBUG",
    b"INFO",
    b"NOTICE",
    b"WARN",
    b"WARNING",
    b"ERROR",
    b"ERR",
    b"FATAL",
    b"CRITICAL",
    b"CRIT",
    b"ALERT",
    b"EMERG",
    b"SEVERE",
    b"FAILURE",
    b"VERBOSE",
    b"FINE",
    b"INFORMATION",
    b"PANIC",
];

fn is_level(text: &[u8]) -> bool {
    let bare = text.strip_suffix(b":").or_else(|| text.strip_suffix(b",")).unwrap_or(text);
    match bare {
        [letter] => b"VDIWEFT".contains(letter),
        _ => LEVELS.iter().any(|name| bare.eq_ignore_ascii_case(name)),
    }
}
