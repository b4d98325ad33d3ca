//! The header of a plain line: time, level, process, thread, logger, in whatever order a framework
//! puts them.
//!
//! The rule that is not obvious: what is skipped is gone, so a word is header only by its shape and its
//! place. A host name or a status that begins the message is message.

use super::line::{Level, Line};

/// Most words that a header has.
const LONGEST: usize = 12;

/// Skips the header and takes the level from it; what remains is the message.
pub(super) fn skip<'a>(head: &'a str, line: &mut Line<'a>) -> &'a str {
    let mut header = Header::default();
    if let Some(message) = syslog(head.trim_start(), line) {
        return message;
    }
    let mut rest = priority(head.trim_start());
    for position in 0..LONGEST {
        if let Some(after) = header.span(rest) {
            rest = after;
            continue;
        }
        let (word, after) = next_word(rest);
        if let Some(message) = header.joined(rest, word, position, line) {
            rest = message;
            continue;
        }
        if !header.takes(word, after, position, line) {
            break;
        }
        rest = after;
    }
    rest
}

/// Skips a logger that stands before the message, its level and time being known already.
pub(super) fn skip_logger(text: &str) -> &str {
    let (word, after) = next_word(text);
    let header = Header { levelled: true, timed: true, ..Header::default() };
    let parted = after.starts_with("- ") && word.contains(['.', ':']);
    if parted || header.is_logger(word, word.trim_end_matches(':'), after) {
        after.strip_prefix("- ").unwrap_or(after)
    } else {
        text
    }
}

fn next_word(text: &str) -> (&str, &str) {
    let (word, after) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, after.trim_start())
}

/// The message of a line in syslog's newer form (RFC 5424): `<11>1 TIME HOST PROGRAM PROCESS ID [data] message`.
/// Its priority tells the level.
fn syslog<'a>(text: &'a str, line: &mut Line<'a>) -> Option<&'a str> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let priority: u8 = number.parse().ok().filter(|priority| *priority < 192)?;
    let mut rest = rest.strip_prefix("1 ")?;
    let mut words = 0;
    // Time, host, program, process, identifier of the message.
    while words < 5 {
        let (word, after) = rest.split_once(' ')?;
        if words == 0 && word != "-" && !(word.len() >= 20 && word.contains('T')) {
            return None;
        }
        rest = after;
        words += 1;
    }
    let message = if rest.starts_with('[') {
        rest.split_once("] ").map_or("", |(_, message)| message)
    } else {
        rest.strip_prefix('-')?
    };
    line.level = match priority % 8 {
        0..=3 => Level::Error,
        4 => Level::Warning,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    };
    Some(message.trim_start_matches(['\u{feff}', ' ']))
}

/// Syslog's `<11>`.
fn priority(text: &str) -> &str {
    let inner = text.strip_prefix('<').and_then(|text| text.split_once('>'));
    match inner {
        Some((number, rest)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            rest.trim_start()
        }
        _ => text,
    }
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "what has been seen so far; the words come in any order")]
pub(super) struct Header {
    levelled: bool,
    timed: bool,
    /// The word before was a month's name, as in syslog.
    month: bool,
    /// The word before was a container's stream.
    stream: bool,
    glog: bool,
    /// The word before was a logger in brackets.
    bracketed: bool,
}

impl Header {
    /// A time or a level was found.
    pub fn began(&self) -> bool {
        self.levelled || self.timed
    }

    /// Whether a column holds nothing but header: a time, a level.
    pub fn takes_all(&mut self, column: &str, line: &mut Line<'_>) -> bool {
        let mut rest = column;
        let mut position = 0;
        while !rest.is_empty() {
            let (word, after) = next_word(rest);
            let bare = bare(word);
            let level = !self.levelled && Level::of(bare).is_some() && bare.len() > 1;
            if level {
                self.level(bare, line);
            } else if !self.is_time(bare, after) && !is_identifier(bare) {
                return false;
            }
            rest = after;
            position += 1;
        }
        position > 0
    }

    /// Rust's spans, `request{id=62e0 method=GET}:inner{a=1}: `, once the level is known.
    fn span<'a>(&self, rest: &'a str) -> Option<&'a str> {
        const WIDEST: usize = 400;
        if !self.levelled {
            return None;
        }
        let open = rest.find('{').filter(|open| *open > 0)?;
        rest.get(..open).filter(|name| names_logger(name))?;
        let close = open + rest.get(open..)?.find("}: ").filter(|length| *length < WIDEST)?;
        rest.get(close + 3..).map(str::trim_start)
    }

    /// Level and logger in one word: `ERROR:root:message`, `app.ERROR: message`.
    fn joined<'a>(
        &mut self,
        rest: &'a str,
        word: &'a str,
        position: usize,
        line: &mut Line<'a>,
    ) -> Option<&'a str> {
        if self.levelled {
            return None;
        }
        if let Some((name, level)) = word.strip_suffix(':').and_then(|word| word.rsplit_once('.'))
            && names_logger(name)
            && is_loud(level)
        {
            self.level(level, line);
            return rest.get(word.len()..).map(str::trim_start);
        }
        let (level, tail) = rest.split_once(':')?;
        let (logger, message) = tail.split_once(':')?;
        (position == 0 && is_loud(level) && names_logger(logger)).then(|| {
            self.level(level, line);
            message.trim_start()
        })
    }

    fn level(&mut self, word: &str, line: &mut Line<'_>) {
        line.level = Level::of(word).unwrap_or(line.level);
        self.levelled = true;
    }

    /// Whether a word belongs to the header.
    fn takes(&mut self, word: &str, after: &str, position: usize, line: &mut Line<'_>) -> bool {
        let bare = bare(word);
        let bracketed = std::mem::take(&mut self.bracketed);
        if word.is_empty() {
            return false;
        }
        if bare.contains('=') {
            // Before the level a pair is header: whose request it is, which process.
            return !self.levelled && self.timed && level_within(after, 6);
        }
        if bare.is_empty() || matches!(word, "-" | "--" | "---" | "—") {
            return position > 0 || bare.is_empty();
        }
        if self.is_initial(word, bare, position, line) {
            return true;
        }
        if word.contains("][") && word.starts_with(|letter: char| letter == '[' || letter.is_ascii_digit()) {
            return self.brackets(word, line);
        }
        if self.is_time(bare, after) || is_identifier(bare) {
            return true;
        }
        // logrus counts seconds behind its level: `ERRO[0012]`.
        if position == 0
            && let Some((level, seconds)) = word.strip_suffix(']').and_then(|word| word.split_once('['))
            && is_loud(level)
            && seconds.bytes().all(|byte| byte.is_ascii_digit())
        {
            self.level(level, line);
            return true;
        }
        // Celery's `ERROR/ForkPoolWorker-1]`.
        if !self.levelled
            && self.timed
            && let Some((level, _)) = bare.split_once('/')
            && is_loud(level)
        {
            self.level(level, line);
            return true;
        }
        // A thread in round brackets behind the logger in square ones: `[com.acme.Cart] (executor-1)`.
        if bracketed && word.starts_with('(') && word.ends_with(')') && word.contains(['-', ' ']) {
            return true;
        }
        let from_container = self.timed && !self.levelled;
        if from_container && (matches!(bare, "stdout" | "stderr") || self.stream && matches!(bare, "F" | "P"))
        {
            self.stream = true;
            return true;
        }
        if !self.levelled && self.is_level(word, bare, position) {
            self.level(bare, line);
            return true;
        }
        let logger = position > 0 && self.is_logger(word, bare, after);
        self.bracketed = logger && word.starts_with('[');
        position > 0 && (self.is_process(word, bare, after) || logger)
    }

    /// Several brackets without a blank between them: `[12:00:00][12][error][http]`.
    fn brackets(&mut self, word: &str, line: &mut Line<'_>) -> bool {
        for part in word.split("][").map(bare) {
            if !self.levelled && part.len() > 1 && Level::of(part).is_some() {
                self.level(part, line);
            } else {
                self.is_time(part, "");
            }
        }
        true
    }

    /// Ruby's `E, [time #31]  ERROR -- :` and glog's `E0206`.
    fn is_initial(&mut self, word: &str, bare: &str, position: usize, line: &mut Line<'_>) -> bool {
        let (letter, tail) = bare.split_at(bare.chars().next().map_or(0, char::len_utf8));
        if position > 0 || letter.len() != 1 || Level::of(letter).is_none() {
            return false;
        }
        let glog = tail.len() == 4 && tail.bytes().all(|byte| byte.is_ascii_digit());
        if !(glog || tail.is_empty() && word.ends_with(',')) {
            return false;
        }
        line.level = Level::of(letter).unwrap_or(line.level);
        self.glog = glog;
        true
    }

    fn is_time(&mut self, bare: &str, after: &str) -> bool {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let digits = bare.bytes().filter(u8::is_ascii_digit).count();
        let of_month = std::mem::take(&mut self.month);
        if DAYS.contains(&bare) {
            let next = next_word(after).0;
            return MONTHS.contains(&next)
                || next.len() <= 2 && next.bytes().all(|byte| byte.is_ascii_digit());
        }
        // `14-Aug-2026`, `14/Aug/2026:12:00:00`, `12:00PM`.
        let named =
            MONTHS.iter().any(|month| bare.get(2..).is_some_and(|rest| rest.get(1..4) == Some(month)))
                && bare.starts_with(|letter: char| letter.is_ascii_digit());
        let kitchen = bare.strip_suffix("PM").or_else(|| bare.strip_suffix("AM"));
        let bare = kitchen.filter(|hour| hour.contains(':')).unwrap_or(bare);
        if MONTHS.contains(&bare) && after.starts_with(|letter: char| letter.is_ascii_digit()) {
            self.month = true;
            return true;
        }
        let day = of_month && digits == bare.len() && digits <= 2;
        let enough = digits >= 4 || kitchen.is_some() && digits >= 3;
        let timely = named
            || enough
                && bare.bytes().all(|byte| {
                    byte.is_ascii_digit()
                        || matches!(byte, b'-' | b':' | b'.' | b',' | b'T' | b'Z' | b'/' | b'+')
                });
        let zone =
            self.timed && matches!(bare, "UTC" | "GMT" | "Z" | "AM" | "PM" | "CET" | "CEST" | "EST" | "PST");
        self.timed |= timely;
        day || timely || zone
    }

    fn is_level(&self, word: &str, bare: &str, position: usize) -> bool {
        let capitals = bare.bytes().filter(u8::is_ascii_alphabetic).all(|byte| byte.is_ascii_uppercase());
        let plain = self.timed
            && position > 0
            && matches!(bare, "error" | "warn" | "warning" | "info" | "debug" | "fatal");
        bare.len() > 1 && (capitals || word.starts_with('[') || plain) && Level::of(bare).is_some()
    }

    /// Process and thread numbers, in all their spellings.
    fn is_process(&self, word: &str, bare: &str, after: &str) -> bool {
        let digits = bare.bytes().filter(u8::is_ascii_digit).count();
        let hashes = bare.bytes().filter(|byte| matches!(byte, b'#' | b'*')).count();
        let number = digits > 0 && digits + hashes == bare.len();
        // `name[22]:`, with the host before it.
        let named = |word: &str| {
            word.strip_suffix("]:").and_then(|word| word.split_once('[')).is_some_and(|(name, number)| {
                !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        let host = self.timed && !self.levelled && after.split(char::is_whitespace).next().is_some_and(named);
        let place = is_place(word, bare);
        (number && (self.glog || hashes > 0 || after.starts_with('-'))) || named(word) || host || place
    }

    fn is_logger(&self, word: &str, bare: &str, after: &str) -> bool {
        let parted = after.starts_with(['-', ':', '|', '[']);
        let colon = word.ends_with(':');
        // A status in brackets begins the message.
        let status = bare.len() == 3
            && bare.starts_with(['4', '5'])
            && bare.bytes().all(|byte| byte.is_ascii_digit())
            && !colon;
        if word.starts_with('[') && word.ends_with([']', ':']) && !after.is_empty() && !status {
            return true;
        }
        if self.levelled && word.starts_with('(') && word.ends_with("):") {
            return true;
        }
        // Python's usual order: time, logger, level, message.
        if !self.levelled && names_logger(bare) && level_follows(after) {
            return true;
        }
        // `cart.worker:41`, `Cart:41`: the line stands behind the name.
        let name = bare.rsplit_once(':').filter(|(_, line)| is_number(line)).map_or(bare, |(name, _)| name);
        if name.len() < bare.len() && self.levelled && names_logger(name) && parted {
            return true;
        }
        if !self.levelled || !bare.split("::").all(names_logger) {
            return false;
        }
        // A class in its package, or a method of one.
        let class = bare.matches('.').count() >= 2
            && bare.rsplit(['.', ':']).take(2).any(|part| part.starts_with(|c: char| c.is_ascii_uppercase()));
        (bare.contains("::") || bare.contains('.')) && !is_host(bare) && (colon || parted || class)
    }
}

fn bare(word: &str) -> &str {
    word.trim_matches(['[', ']', '(', ')', ':', '|', ',', '<', '>'])
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Where in the source it was logged: `main.go:31:`, `mail/handler.go:97`, `mail.go:212]`. A port behind a
/// host looks alike, so without punctuation behind it the file has to be a program's.
fn is_place(word: &str, bare: &str) -> bool {
    const SOURCES: [&str; 26] = [
        "go", "py", "js", "mjs", "cjs", "ts", "tsx", "java", "kt", "scala", "rb", "rs", "cs", "fs", "php",
        "c", "cc", "cpp", "h", "ex", "exs", "erl", "swift", "clj", "lua", "dart",
    ];
    bare.rsplit_once(':').is_some_and(|(file, line)| {
        let kind = file.rsplit_once('.').map(|(_, kind)| kind);
        is_number(line)
            && kind.is_some_and(|kind| SOURCES.contains(&kind) || word.ends_with(':') && !is_host(file))
    })
}

/// A level as loggers shout it.
fn is_loud(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase()) && Level::of(word).is_some()
}

fn is_identifier(bare: &str) -> bool {
    let uuid = bare.len() == 36 && bare.bytes().filter(|byte| *byte == b'-').count() == 4;
    let hexadecimal = bare.len() >= 16
        && bare.bytes().all(|byte| byte.is_ascii_hexdigit())
        && bare.bytes().any(|byte| byte.is_ascii_digit());
    uuid || hexadecimal
}

fn names_logger(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'-'))
}

/// A host name in full: loggers are named from the outside in and do not end like that.
fn is_host(word: &str) -> bool {
    const ENDS: [&str; 12] =
        ["com", "net", "org", "io", "internal", "local", "example", "cloud", "eu", "de", "uk", "test"];
    word.matches('.').count() >= 2 && word.rsplit('.').next().is_some_and(|end| ENDS.contains(&end))
}

/// Whether the next word, beyond a dash, is a level in capitals.
fn level_follows(after: &str) -> bool {
    let next = after.trim_start_matches([' ', '\t', '-', '|', ':', '[', '(']);
    is_loud(next.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or(""))
}

/// Whether one of the next words is a level by itself: in brackets, or shouted.
fn level_within(after: &str, words: usize) -> bool {
    after.split_whitespace().take(words).any(|word| {
        let name = bare(word);
        name.len() > 1 && Level::of(name).is_some() && (word.starts_with('[') || is_loud(name))
    })
}
