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
    let mut header = Header { levelled: false, timed: false, month: false, stream: false, glog: false };
    let mut rest = priority(head.trim_start());
    for position in 0..LONGEST {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let after = after.trim_start();
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

#[expect(clippy::struct_excessive_bools, reason = "what has been seen so far; the words come in any order")]
struct Header {
    levelled: bool,
    timed: bool,
    /// The word before was a month's name, as in syslog.
    month: bool,
    /// The word before was a container's stream.
    stream: bool,
    glog: bool,
}

impl Header {
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
        let bare = word.trim_matches(['[', ']', '(', ')', ':', '|', ',', '<', '>']);
        if word.is_empty() || bare.contains('=') {
            return false;
        }
        if bare.is_empty() || matches!(word, "-" | "--" | "---" | "—") {
            return position > 0 || bare.is_empty();
        }
        if self.is_initial(word, bare, position, line) {
            return true;
        }
        if self.is_time(bare, after) || is_identifier(bare) {
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
        position > 0 && (self.is_process(word, bare, after) || self.is_logger(word, bare, after))
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
        let digits = bare.bytes().filter(u8::is_ascii_digit).count();
        let of_month = std::mem::take(&mut self.month);
        if MONTHS.contains(&bare) && after.starts_with(|letter: char| letter.is_ascii_digit()) {
            self.month = true;
            return true;
        }
        let day = of_month && digits == bare.len() && digits <= 2;
        let timely = digits >= 4
            && bare.bytes().all(|byte| {
                byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b',' | b'T' | b'Z' | b'/' | b'+')
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
        // `main.go:31:`.
        let place = word.ends_with(':')
            && bare.rsplit_once(':').is_some_and(|(file, line)| {
                file.contains('.') && !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
            });
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
        if !self.levelled || !bare.split("::").all(names_logger) {
            return false;
        }
        let last = bare.rsplit(['.', ':']).next().unwrap_or(bare);
        let class =
            bare.matches('.').count() >= 2 && last.starts_with(|letter: char| letter.is_ascii_uppercase());
        (bare.contains("::") || bare.contains('.')) && !is_host(bare) && (colon || parted || class)
    }
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
