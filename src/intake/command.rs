//! `/investigate` and what may follow it, as people type it; a mention says the same words.
//!
//! The rule that is not obvious: a time stays words here, because whose clock it is on is not known
//! yet. [`COMMANDS`] is the one list of what can be typed: help, docs/commands.md and mistakes quote it.

use jiff::SignedDuration;

use super::when;
use crate::config::parse_period;
use crate::domain::incident::IncidentId;
use crate::domain::redact;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Nothing was typed: a form asks.
    Form,
    Investigate {
        service: String,
        when: Option<String>,
    },
    Help,
    List,
    Status(IncidentId),
    Close {
        id: IncidentId,
        reason: String,
    },
    Again(IncidentId),
    Mute {
        service: String,
        period: SignedDuration,
        reason: String,
    },
    Unmute {
        service: String,
    },
    Mutes,
    Scorecard,
}

impl Command {
    /// Whether it does more than answer.
    pub fn changes_something(&self) -> bool {
        match self {
            Self::Investigate { .. }
            | Self::Close { .. }
            | Self::Again(_)
            | Self::Mute { .. }
            | Self::Unmute { .. } => true,
            Self::Form | Self::Help | Self::List | Self::Status(_) | Self::Mutes | Self::Scorecard => false,
        }
    }
}

/// What can be typed, and what it does.
pub const COMMANDS: &[(&str, &str)] = &[
    ("/investigate", "opens a form"),
    ("/investigate SERVICE", "looks at a service as it is now"),
    (
        "/investigate SERVICE TIME",
        "looks at it as it was, such as `20 minutes ago`, `14:05` or `yesterday 9pm`",
    ),
    ("/investigate list", "shows the newest incidents"),
    ("/investigate status INC-7", "tells how an incident stands"),
    ("/investigate again INC-7", "investigates it anew"),
    ("/investigate close INC-7 reason", "closes it"),
    (
        "/investigate mute SERVICE 2h reason",
        "holds its alerts back: they are kept, counted and listed at the end",
    ),
    ("/investigate unmute SERVICE", "ends that early"),
    ("/investigate mutes", "shows what is held back"),
    ("/investigate scorecard", "shows how often verdicts were right, and whether rollbacks helped"),
    ("/investigate help", "shows this"),
];

/// The shortest and longest time for which alerts are held back.
const MUTE_MIN: SignedDuration = SignedDuration::from_mins(1);
const MUTE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The longest name of anything in AWS that stands for a service ends far below it.
const SERVICE_NAME_MAX: usize = 256;
/// A service's name has at most so many words.
const NAME_WORDS_MAX: usize = 4;

/// Reads the words after the command or the mention. `known` says whether some words are a service's
/// name, so that `order service 20m ago` is read as one.
///
/// # Errors
/// A sentence that says how to do it right.
pub fn read(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Command, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((first, rest)) = words.split_first() else { return Ok(Command::Form) };
    match first.to_lowercase().as_str() {
        "help" | "?" | "--help" => Ok(Command::Help),
        "list" if rest.is_empty() => Ok(Command::List),
        "mutes" if rest.is_empty() => Ok(Command::Mutes),
        "scorecard" if rest.is_empty() => Ok(Command::Scorecard),
        "list" | "mutes" | "scorecard" => {
            Err(format!("`{}` stands alone: `/investigate {}`.", quoted(first), quoted(first)))
        }
        "status" => Ok(Command::Status(incident(rest, "status")?)),
        "again" => Ok(Command::Again(incident(rest, "again")?)),
        "close" => {
            let id = incident(rest, "close")?;
            Ok(Command::Close { id, reason: rest.get(1..).unwrap_or_default().join(" ") })
        }
        "mute" => mute(rest, known),
        "unmute" => match split_name(rest, known) {
            Some((service, [])) => Ok(Command::Unmute { service }),
            _ => Err("Which service? For example `/investigate unmute checkout`.".to_owned()),
        },
        "investigate" if rest.is_empty() => Ok(Command::Form),
        // After the word itself comes a service, whatever it is called.
        "investigate" => investigate(rest, known),
        _ => investigate(&words, known),
    }
}

fn investigate(words: &[&str], known: &dyn Fn(&str) -> bool) -> Result<Command, String> {
    let Some((service, rest)) = split_name(words, known) else { return Ok(Command::Form) };
    let all = words.join(" ");
    if !known(&service) && when::check(&all).is_ok() {
        let all = quoted(&all);
        return Err(format!("Which service? For example `/investigate checkout {all}`."));
    }
    if !known(&service) && !may_be_a_name(&service) {
        return Err(format!(
            "`{}` is no service's name. For example `/investigate checkout`; `/investigate help` shows what else can be typed.",
            quoted(&service)
        ));
    }
    if rest.is_empty() {
        return Ok(Command::Investigate { service, when: None });
    }
    let said = rest.join(" ");
    // What cannot be a time on anybody's clock is refused before anybody is asked for theirs.
    match when::check(&said) {
        Ok(()) => Ok(Command::Investigate { service, when: Some(said) }),
        Err(error) => Err(format!("I read `{}` as the service. {error}", quoted(&service))),
    }
}

/// Whether something in AWS may be called that: letters, digits and what stands between them.
fn may_be_a_name(service: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    service.len() <= SERVICE_NAME_MAX
        && service.chars().all(inner)
        && service.contains(|c: char| c.is_ascii_alphanumeric())
}

/// The service's name at the start, and the words after it.
fn split_name<'w>(words: &'w [&'w str], known: &dyn Fn(&str) -> bool) -> Option<(String, &'w [&'w str])> {
    let longest = words.len().min(NAME_WORDS_MAX);
    for length in (2..=longest).rev() {
        let (name, rest) = words.split_at(length);
        let name = name.join(" ");
        if known(&name) {
            return Some((name, rest));
        }
    }
    words.split_first().map(|(first, rest)| ((*first).to_owned(), rest))
}

fn incident(words: &[&str], verb: &str) -> Result<IncidentId, String> {
    let word =
        words.first().ok_or_else(|| format!("Which incident? For example `/investigate {verb} INC-7`."))?;
    word.parse().map_err(|_| {
        format!("`{}` is not an incident. For example `/investigate {verb} INC-7`.", quoted(word))
    })
}

fn mute(words: &[&str], known: &dyn Fn(&str) -> bool) -> Result<Command, String> {
    const EXAMPLE: &str = "For example `/investigate mute checkout 2h load test`.";
    let Some((service, rest)) = split_name(words, known) else {
        return Err(format!("Which service, for how long and why? {EXAMPLE}"));
    };
    let rest = match rest.split_first() {
        Some((word, after)) if word.eq_ignore_ascii_case("for") => after,
        _ => rest,
    };
    let one = rest.first().and_then(|word| parse_period(word)).map(|period| (period, 1));
    let two = || {
        let words = rest.get(..2)?;
        parse_period(&words.join(" ").to_lowercase()).map(|period| (period, 2))
    };
    let Some((period, taken)) = one.or_else(two) else {
        return Err(format!("For how long? {EXAMPLE}"));
    };
    if !(MUTE_MIN..=MUTE_MAX).contains(&period) {
        return Err(format!("Alerts can be held back for 1 minute to 7 days. {EXAMPLE}"));
    }
    let reason = rest.get(taken..).unwrap_or_default().join(" ");
    if reason.is_empty() {
        return Err(format!("Why? The reason is shown to whoever wonders where the alerts are. {EXAMPLE}"));
    }
    Ok(Command::Mute { service, period, reason })
}

/// A word of the person's own, short, masked where it looks like a secret, and without the marks that would end the
/// quotation.
fn quoted(word: &str) -> String {
    let masked = redact::text(word);
    crate::slack::text::escape(&masked.chars().filter(|c| *c != '`').take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(name: &str) -> bool {
        name.eq_ignore_ascii_case("order service")
    }

    fn heard(text: &str) -> Result<Command, String> {
        read(text, &known)
    }

    fn look(service: &str, when: Option<&str>) -> Command {
        Command::Investigate { service: service.into(), when: when.map(str::to_owned) }
    }

    #[test]
    fn words_become_commands() {
        let id = IncidentId(7);
        for (typed, expected) in [
            ("", Command::Form),
            ("investigate", Command::Form),
            ("checkout", look("checkout", None)),
            ("investigate checkout", look("checkout", None)),
            ("investigate list", look("list", None)),
            ("checkout 20 minutes ago", look("checkout", Some("20 minutes ago"))),
            ("checkout at 9pm", look("checkout", Some("at 9pm"))),
            ("Order Service 14:05", look("Order Service", Some("14:05"))),
            ("help", Command::Help),
            ("list", Command::List),
            (" status inc-7 ", Command::Status(id)),
            ("again INC-7", Command::Again(id)),
            ("close INC-7 false alarm", Command::Close { id, reason: "false alarm".into() }),
            ("close 7", Command::Close { id, reason: String::new() }),
            ("mutes", Command::Mutes),
            ("scorecard", Command::Scorecard),
            ("unmute order service", Command::Unmute { service: "order service".into() }),
        ] {
            assert_eq!(heard(typed), Ok(expected), "{typed:?}");
        }
    }

    #[test]
    fn a_mute_says_how_long_and_why() {
        let expected = |minutes| {
            Ok(Command::Mute {
                service: "checkout".into(),
                period: SignedDuration::from_mins(minutes),
                reason: "load test".into(),
            })
        };
        assert_eq!(heard("mute checkout 2h load test"), expected(120));
        assert_eq!(heard("mute checkout for 90m load test"), expected(90));
        assert_eq!(heard("mute checkout 2 hours load test"), expected(120));
        assert_eq!(heard("mute checkout 1h30m load test"), expected(90));
    }

    #[test]
    fn a_mistake_gets_a_sentence_that_says_how() {
        for (wrong, part) in [
            ("status", "status INC-7"),
            ("status seven", "status INC-7"),
            ("again", "again INC-7"),
            ("close", "close INC-7"),
            ("list all", "stands alone"),
            ("checkout yesterday", "yesterday 23:10"),
            ("checkout please", "20 minutes ago"),
            ("🔥", "no service's name"),
            ("???", "no service's name"),
            ("@mira", "no service's name"),
            ("...", "no service's name"),
            ("20 minutes ago", "Which service?"),
            ("yesterday 23:10", "Which service?"),
            ("mute", "mute checkout 2h"),
            ("mute checkout", "For how long?"),
            ("mute checkout soon", "For how long?"),
            ("mute checkout 2h", "Why?"),
            ("mute checkout 99d load test", "7 days"),
            ("unmute", "unmute checkout"),
        ] {
            let sentence = heard(wrong).unwrap_err();
            assert!(sentence.contains(part), "{wrong:?}: {sentence}");
        }
    }

    #[test]
    fn a_mistake_quotes_nothing_that_lives() {
        let sentence = heard("<!channel> `x` <@U1>").unwrap_err();
        assert!(!sentence.contains("<!") && !sentence.contains("<@"), "{sentence}");
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = heard(&text);
        }
    }
}
