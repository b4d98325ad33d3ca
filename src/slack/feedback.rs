//! Whether a verdict was right: the buttons that ask, the short form behind one, and what it adds up to.
//!
//! The rule that is not obvious: a button names the verdict's round, so that what somebody says of an
//! older verdict is not counted for a newer one.

use serde_json::{Value, json};

use super::messages::{Message, button, context, header, section};
use super::views::{self, plain};
use crate::domain::incident::IncidentId;
use crate::domain::report::Cause;
use crate::domain::scorecard::{Band, Scorecard, Voices};

/// `callback_id` of the form.
pub const FORM: &str = "feedback";
/// Its blocks, each with an element of the same name.
pub const CAUSE: &str = "cause";
pub const NOTE: &str = "note";
/// What somebody may write, in characters.
const NOTE_MAX: usize = 500;

/// Which verdict is meant, as the buttons carry it: `INC-7/1`, with the cause that it was instead where
/// somebody named one: `INC-7/1/traffic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    pub incident: IncidentId,
    pub round: i64,
    pub cause: Option<Cause>,
}

impl About {
    pub fn to_value(self) -> String {
        let cause = self.cause.map(|cause| format!("/{}", cause.as_str())).unwrap_or_default();
        format!("{}/{}{cause}", self.incident, self.round)
    }

    pub fn read(value: &str) -> Option<Self> {
        let mut parts = value.split('/');
        let incident = parts.next()?.parse().ok()?;
        let round = parts.next()?.parse().ok()?;
        let cause = parts.next().and_then(cause);
        Some(Self { incident, round, cause })
    }
}

/// A cause by its name.
pub fn cause(name: &str) -> Option<Cause> {
    Cause::ALL.into_iter().find(|cause| cause.as_str() == name)
}

/// The question under a verdict, with what was said so far.
pub(super) fn blocks(incident: IncidentId, round: i64, voices: Voices) -> Vec<Value> {
    let value = About { incident, round, cause: None }.to_value();
    let buttons = [
        button("feedback_right", "Right", &value),
        button("feedback_wrong", "Wrong", &value),
        button("feedback_other", "It was something else", &value),
    ];
    let said = match (voices.right, voices.wrong) {
        (0, 0) => String::new(),
        (right, 0) => format!(" {right} said right."),
        (0, wrong) => format!(" {wrong} said wrong."),
        (right, wrong) => format!(" {right} said right, {wrong} said wrong."),
    };
    vec![context(&format!("Is this verdict right?{said}")), json!({ "type": "actions", "elements": buttons })]
}

/// What it was instead. `metadata` says which verdict is meant and where the answer belongs.
pub fn form(metadata: &str) -> Value {
    let option = |cause: Cause| json!({ "text": plain(in_words(cause)), "value": cause.as_str() });
    let options: Vec<Value> =
        Cause::ALL.into_iter().filter(|cause| *cause != Cause::Unknown).map(option).collect();
    let blocks = [
        views::input(
            CAUSE,
            "What was it?",
            "",
            &json!({
                "type": "static_select", "action_id": CAUSE, "options": options,
                "placeholder": plain("Choose the nearest"),
            }),
        ),
        views::input(
            NOTE,
            "In your words",
            "Kept with the incident. No passwords, please.",
            &json!({
                "type": "plain_text_input", "action_id": NOTE, "multiline": true, "max_length": NOTE_MAX,
            }),
        ),
    ];
    views::modal(FORM, "It was something else", Some("Send"), metadata, &blocks)
}

fn in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Deployment => "Another change",
        Cause::Traffic => "Traffic",
        Cause::Dependency => "A dependency",
        Cause::Exhaustion => "A resource ran out",
        Cause::Expiry => "Something expired",
        Cause::Platform => "The provider",
        Cause::Recurring => "Nothing new, it recurs",
        Cause::None => "No real incident",
        Cause::Unknown => "Nobody knows",
    }
}

/// Lines of the scorecard, one for each band that has verdicts.
pub(super) fn lines(card: &Scorecard) -> Vec<String> {
    let mut lines = Vec::new();
    let mut below: Option<f64> = None;
    for band in &card.bands {
        let range = match below {
            None => format!("{:.0} % and more", band.from * 100.0),
            Some(to) if band.from <= 0.0 => format!("below {:.0} %", to * 100.0),
            Some(to) => format!("{:.0} to {:.0} %", band.from * 100.0, to * 100.0),
        };
        below = Some(band.from);
        let Band { verdicts, right, wrong, unsaid, .. } = band;
        if *verdicts > 0 {
            lines.push(format!(
                "• {range} sure: {verdicts} · {right} right, {wrong} wrong, {unsaid} not said"
            ));
        }
    }
    let rollbacks = card.rollbacks;
    if rollbacks.made > 0 {
        lines.push(format!(
            "• Rollbacks: {} · {} helped, {} did not, {} undecided",
            rollbacks.made, rollbacks.helped, rollbacks.did_not_help, rollbacks.undecided
        ));
    }
    if lines.is_empty() {
        lines.push("No verdicts yet.".to_owned());
    }
    lines
}

/// The scorecard as an answer.
pub fn scorecard(card: &Scorecard) -> Message {
    let blocks = vec![
        header("Scorecard"),
        section(&lines(card).join("\n")),
        context("By the buttons under each verdict; the last word of each person counts."),
    ];
    Message { text: "Scorecard".to_owned(), blocks, about: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scorecard::{self, Judged, Word};

    #[test]
    fn a_button_names_the_verdict_that_it_is_about() {
        for cause in [None, Some(Cause::Traffic)] {
            let about = About { incident: IncidentId(7), round: 2, cause };
            assert_eq!(About::read(&about.to_value()), Some(about));
        }
        for wrong in ["", "INC-7", "INC-7/", "/1", "INC-x/1", "INC-7/one"] {
            assert_eq!(About::read(wrong), None, "{wrong}");
        }
        assert_eq!(About::read("INC-7/1/nonsense").unwrap().cause, None);
    }

    #[test]
    fn the_scorecard_tells_bands_and_rollbacks() {
        let judged =
            |confidence, words: &[Word]| Judged { confidence, voices: Voices::of(words.iter().copied()) };
        let card = scorecard::scorecard(
            [judged(0.97, &[Word::Right]), judged(0.97, &[]), judged(0.6, &[Word::Wrong])],
            [Some(true)],
        );
        assert_eq!(
            lines(&card),
            [
                "• 95 % and more sure: 2 · 1 right, 0 wrong, 1 not said",
                "• 50 to 80 % sure: 1 · 0 right, 1 wrong, 0 not said",
                "• Rollbacks: 1 · 1 helped, 0 did not, 0 undecided",
            ]
        );
    }
}
