//! Slack's markup to what a reader sees.

/// Text without markup: links become their labels, entities their characters, emphasis and
/// `:emoji:` go. Dates (`<!date^1762351000^…>`) are handed to `date`.
pub fn plain(text: &str, mut date: impl FnMut(i64)) -> String {
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
                date(epoch);
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
    strip_emphasis(&strip_emoji(&out))
}

/// Removes `:fire:` and pictographs.
fn strip_emoji(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(':') {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 1..];
        let name = inner.find(':').map(|end| &inner[..end]).filter(|name| {
            name.len() > 1
                && name.chars().any(char::is_alphabetic)
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
        });
        // `12:30:45` and `a:b:c` are no emoji: those stand apart from words.
        let apart = !rest[..start].ends_with(|c: char| c.is_alphanumeric());
        match name.filter(|_| apart) {
            Some(name) => rest = &inner[name.len() + 1..],
            None => {
                out.push(':');
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out.chars()
        .filter(|c| !matches!(u32::from(*c), 0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0xFE0F))
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
        plain(text, |_| {})
    }

    #[test]
    fn markup_goes_and_words_stay() {
        assert_eq!(seen("<https://a.example/x|*Critical: checkout*>"), "Critical: checkout");
        assert_eq!(seen("• *env:* `prod` &amp; more"), "• env: prod & more");
        assert_eq!(seen(":fire: *db_pool_size* at 12:30:45"), " db_pool_size at 12:30:45");
        assert_eq!(seen("<@U1> <!here> end `<unknown>`"), "  end <unknown>");
    }

    #[test]
    fn a_date_is_handed_over() {
        let mut dates = Vec::new();
        let text = plain("<!date^1762351000^Started {date}|Started earlier>", |epoch| dates.push(epoch));
        assert_eq!((text.as_str(), dates), ("Started earlier", vec![1_762_351_000]));
    }
}
