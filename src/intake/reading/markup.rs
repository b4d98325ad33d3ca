//! Slack's markup to what a reader sees.
//!
//! The rule that is not obvious: what is taken off is handed over, because a date token holds the only
//! time of many alerts, and a pictograph often the only word on how things are.

/// What a pictograph or a colour says about a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Alarm,
    Fine,
}

/// What was taken off a text.
#[derive(Debug, Default)]
pub struct Marks {
    /// Epoch seconds of date tokens, in order.
    pub dates: Vec<i64>,
    /// Telling pictographs, in order.
    pub signs: Vec<Sign>,
}

/// Names as Slack writes them between colons.
const ALARM_NAMES: &[&str] = &[
    "red_circle",
    "rotating_light",
    "fire",
    "x",
    "no_entry",
    "no_entry_sign",
    "octagonal_sign",
    "small_red_triangle",
    "small_red_triangle_down",
    "bangbang",
    "exclamation",
    "warning",
    "large_orange_circle",
    "large_yellow_circle",
    "large_red_square",
    "red_square",
    "boom",
    "siren",
    "alert",
];
const FINE_NAMES: &[&str] = &[
    "white_check_mark",
    "heavy_check_mark",
    "ballot_box_with_check",
    "large_green_circle",
    "large_green_square",
    "green_circle",
    "green_heart",
    "ok",
];
const ALARM_PICTOGRAPHS: &[char] =
    &['🔴', '🚨', '🔥', '❌', '⛔', '🚫', '🛑', '🔺', '🔻', '‼', '❗', '⚠', '🟠', '🟡', '🟥', '💥'];
const FINE_PICTOGRAPHS: &[char] = &['✅', '✔', '☑', '🟢', '🟩', '💚', '🆗'];

/// Text without markup: links become their labels, entities their characters, emphasis and
/// pictographs go. Dates (`<!date^1762351000^…>`) and telling pictographs are noted in `marks`.
pub fn plain(text: &str, marks: &mut Marks) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 1..];
        let Some(end) = inner.find('>') else {
            rest = &rest[start..];
            break;
        };
        let token = &inner[..end];
        if let Some(spec) = token.strip_prefix("!date^") {
            if let Some(epoch) = spec.split('^').next().and_then(|epoch| epoch.parse().ok()) {
                marks.dates.push(epoch);
            }
            if let Some((_, fallback)) = token.rsplit_once('|') {
                out.push_str(fallback);
            }
        } else if token.starts_with(['@', '#', '!']) {
            // A mention says nothing about an alert.
        } else {
            let (address, label) = token.split_once('|').unwrap_or((token, token));
            if address.contains("://") || address.starts_with("mailto:") {
                out.push_str(label);
            } else {
                // Something like `<unknown>` is text, not a link.
                out.push_str(&rest[start..=start + 1 + end]);
            }
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    let out = out.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    strip_emphasis(&strip_emoji(&out, marks))
}

/// What `:name:` says.
pub fn sign_of_name(name: &str) -> Option<Sign> {
    if ALARM_NAMES.contains(&name) {
        Some(Sign::Alarm)
    } else if FINE_NAMES.contains(&name) {
        Some(Sign::Fine)
    } else {
        None
    }
}

/// What a colour says: Slack's three names, or six hexadecimal digits that are clearly red, orange or
/// green.
pub fn sign_of_colour(colour: &str) -> Option<Sign> {
    match colour {
        "danger" | "warning" | "red" | "orange" => return Some(Sign::Alarm),
        "good" | "green" => return Some(Sign::Fine),
        _ => {}
    }
    let channel = |range| colour.get(range).and_then(|digits| i32::from_str_radix(digits, 16).ok());
    let (red, green, blue) = (channel(0..2)?, channel(2..4)?, channel(4..6)?);
    if red > 140 && red > green + 30 && red > blue + 60 {
        Some(Sign::Alarm)
    } else if green > 90 && green > red + 30 && green > blue {
        Some(Sign::Fine)
    } else {
        None
    }
}

/// Removes `:fire:` and pictographs.
fn strip_emoji(text: &str, marks: &mut Marks) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(':') {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 1..];
        let name = inner.find(':').map(|end| &inner[..end]).filter(|name| {
            !name.is_empty()
                && name.chars().any(char::is_alphabetic)
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
        });
        // `12:30:45` and `a:b:c` are no emoji: those stand apart from words.
        let apart = !rest[..start].ends_with(|c: char| c.is_alphanumeric());
        // `):sum:trace.errors`: a query, with something at both its ends.
        let within = rest[..start].ends_with(|c: char| !c.is_whitespace())
            && name
                .and_then(|name| inner[name.len() + 1..].chars().next())
                .is_some_and(char::is_alphanumeric);
        match name.filter(|_| apart && !within) {
            Some(name) => {
                marks.signs.extend(sign_of_name(name));
                rest = &inner[name.len() + 1..];
            }
            None => {
                out.push(':');
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out.chars()
        .filter(|c| {
            if ALARM_PICTOGRAPHS.contains(c) {
                marks.signs.push(Sign::Alarm);
            } else if FINE_PICTOGRAPHS.contains(c) {
                marks.signs.push(Sign::Fine);
            }
            !matches!(u32::from(*c),
                0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0x203C | 0xFE0F | 0x200D)
        })
        .collect()
}

/// Removes asterisks, backticks and tildes that stand at a word's edge, and underscores that wrap.
fn strip_emphasis(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (index, character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| characters.get(index));
        let after = characters.get(index + 1);
        let inside = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let drop = match character {
            '`' => true,
            '*' | '~' => !(inside(before) && inside(after)),
            '_' => inside(before) != inside(after) && after.is_none_or(|c| !c.is_ascii_digit()),
            _ => false,
        };
        if !drop {
            out.push(*character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> String {
        plain(text, &mut Marks::default())
    }

    #[test]
    fn markup_goes_and_words_stay() {
        assert_eq!(seen("<https://a.example/x|*Critical: checkout*>"), "Critical: checkout");
        assert_eq!(seen("• *env:* `prod` &amp; more"), "• env: prod & more");
        assert_eq!(seen(":fire: *db_pool_size* at 12:30:45"), " db_pool_size at 12:30:45");
        assert_eq!(seen("<@U1> <!here> end `<unknown>`"), "  end <unknown>");
    }

    #[test]
    fn a_date_and_a_sign_are_handed_over() {
        let mut marks = Marks::default();
        let text = plain(":x: <!date^1762351000^Started {date}|Started earlier> ✅", &mut marks);
        assert_eq!((text.trim(), marks.dates), ("Started earlier", vec![1_762_351_000]));
        assert_eq!(marks.signs, [Sign::Alarm, Sign::Fine]);
    }

    #[test]
    fn a_colour_says_something_where_it_is_plain() {
        for (colour, sign) in [
            ("danger", Some(Sign::Alarm)),
            ("a30200", Some(Sign::Alarm)),
            ("e5a21c", Some(Sign::Alarm)),
            ("2eb886", Some(Sign::Fine)),
            ("439fe0", None),
            ("cccccc", None),
            ("é", None),
        ] {
            assert_eq!(sign_of_colour(colour), sign, "{colour}");
        }
    }
}
