//! Text that is safe in Slack's mrkdwn and within its limits.

/// Escapes what Slack gives a meaning: no mention, link or markup of somebody else's text lives.
///
/// Source: Slack, 'Formatting text for app surfaces': `&`, `<` and `>` are control characters.
/// Asterisks, underscores, tildes and backticks are mrkdwn, kept from acting by a zero-width space.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '`' => escaped.push('\u{2bb}'),
            '*' | '~' => {
                escaped.push('\u{200b}');
                escaped.push(character);
            }
            // Control characters, and those that reorder what a reader sees.
            c if (c.is_control() && c != '\n')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                escaped.push(' ');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Keeps a number and its percent sign on one line, by a space that does not break. What stands in backticks is kept as
/// it is: somebody may copy it.
pub fn unbroken(text: &str) -> String {
    let mut whole = String::with_capacity(text.len() + 8);
    let (mut before, mut verbatim) = (' ', false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        verbatim ^= letter == '`';
        let breaks = letter == ' ' && before.is_ascii_digit() && letters.peek() == Some(&'%');
        whole.push(if breaks && !verbatim { '\u{a0}' } else { letter });
        before = letter;
    }
    whole
}

/// Whoever did something: a Slack user as a mention, anybody else by name.
pub fn who(by: &str) -> String {
    let is_user = by.starts_with(['U', 'W'])
        && by.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit());
    if is_user { format!("<@{by}>") } else { escape(by) }
}

/// Cuts at the end of a line, a sentence or a word, with an ellipsis; never within an escape, a link or a mention.
/// `limit` counts characters, as Slack does.
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let head: String = text.chars().take(limit.saturating_sub(2)).collect();
    let mut whole = match head.rfind('&') {
        Some(start) if !head[start..].contains(';') && head.len() - start < 6 => &head[..start],
        _ => &head[..],
    };
    if let Some(start) = whole.rfind('<')
        && ["<https://", "<http://", "<@"].iter().any(|mark| text[start..].starts_with(mark))
        && !whole[start..].contains('>')
    {
        whole = &whole[..start];
    }
    let floor = whole.len() / 2;
    let at = ["\n", ". ", " "]
        .iter()
        .find_map(|mark| whole.rfind(mark).filter(|at| *at >= floor).map(|at| at + mark.trim_end().len()))
        .unwrap_or(whole.len());
    format!("{} …", whole[..at].trim_end())
}

/// The same, and where it was cut a word on where the rest is.
pub fn shorten(text: &str, limit: usize, rest: &str) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(rest.chars().count() + 1);
    format!("{} {rest}", cut(text, room)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mentions_and_links_are_inert() {
        let escaped = escape("<!channel> see <https://evil|docs> & `x`");
        assert_eq!(escaped, "&lt;!channel&gt; see &lt;https://evil|docs&gt; &amp; \u{2bb}x\u{2bb}");
    }

    #[test]
    fn a_number_stays_with_its_percent_sign_but_in_what_is_copied() {
        assert_eq!(unbroken("from 0.2 % to 40 % of them"), "from 0.2\u{a0}% to 40\u{a0}% of them");
        assert_eq!(unbroken("`5 %` of `a`, 7 %"), "`5 %` of `a`, 7\u{a0}%");
        assert_eq!(unbroken("% of 5 s"), "% of 5 s");
    }

    #[test]
    fn a_cut_falls_at_a_sentence() {
        assert_eq!(cut("One is here. Two is here too.", 20), "One is here. …");
        assert_eq!(cut("short", 20), "short");
        assert_eq!(shorten("One is here. Two is here too.", 25, "See E1."), "One is here. … See E1.");
    }

    #[test]
    fn a_cut_leaves_a_link_whole_or_out() {
        let text = "See <https://aws.example/a-long-address|E1> and <@U1>.";
        assert_eq!(cut(text, 30), "See …");
        assert_eq!(cut(text, 52), "See <https://aws.example/a-long-address|E1> and …");
        assert_eq!(cut("a < b holds for all of them", 12), "a < b …");
    }

    proptest! {
        #[test]
        fn a_cut_is_never_too_long_nor_breaks_an_escape(text in "[a-z&<> .\n]{0,200}", limit in 3usize..80) {
            let short = cut(&escape(&text), limit);
            prop_assert!(short.chars().count() <= limit, "{short:?}");
            for (at, _) in short.match_indices('&') {
                prop_assert!(["&amp;", "&lt;", "&gt;"].iter().any(|whole| short[at..].starts_with(whole)), "{short:?}");
            }
        }
    }
}
