//! The result: the root cause with its evidence, posted once as a message of its own.
//!
//! The rule that is not obvious: the cause, what to do and the buttons have their room first; facts have what is left.

use serde_json::{Value, json};

use super::{
    Kind, Message, NAME_MAX, SMALL_MAX, SUMMARY_MAX, cause_words, clock, context, fields, header, percent,
    rest_of, section,
};
use crate::domain::change::{KeyChange, readable};
use crate::domain::incident::IncidentId;
use crate::domain::report::{ActionKind, Cause, Hypothesis, Report, Verdict};
use crate::domain::scorecard::Voices;
use crate::slack::approvals::{self, Asked};
use crate::slack::fit::{self, MESSAGE_MAX};
use crate::slack::text::{cut, escape, shorten};
use crate::slack::{evidence, feedback};

/// Characters of why something is recommended.
const REASON_MAX: usize = 900;
/// One side of a setting's change.
const SIDE_MAX: usize = 80;

/// What the result is made of.
#[derive(Debug, Clone)]
pub struct ResultView<'a> {
    pub id: IncidentId,
    /// Which investigation of the incident it is, from 1.
    pub round: i64,
    /// What people said about the verdict so far.
    pub voices: Voices,
    pub report: &'a Report,
    /// The plan, where approval of one is asked for.
    pub plan: Option<Asked<'a>>,
    /// Why there is none although a rollback is recommended.
    pub not_offered: Option<&'a str>,
    /// How the approval ended, as a line that replaces the buttons.
    pub decided: Option<&'a str>,
}

/// The root cause with its evidence, posted once as a message of its own.
pub fn result(view: &ResultView<'_>) -> Message {
    let report = view.report;
    let summary = escape(&report.summary);
    let mut blocks = vec![header(&title(&report.verdict)), section(&cut(&summary, SUMMARY_MAX))];
    let facts = facts_at_a_glance(report);
    if !facts.is_empty() {
        blocks.push(fields(&facts));
    }
    let mut after = vec![action(report, REASON_MAX)];
    if let Some(decided) = view.decided {
        after.push(context(&shorten(decided, SMALL_MAX, &rest_of(view.id))));
    }
    if let Some(reason) = view.not_offered {
        let reason = shorten(&escape(reason.trim_end_matches('.')), SMALL_MAX, &rest_of(view.id));
        after.push(context(&format!("No button: {}.", reason.trim_end_matches('.'))));
    }
    let mut buttons = match view.plan {
        Some(asked) if view.decided.is_none() => approvals::buttons(&asked),
        _ => Vec::new(),
    };
    buttons.push(evidence::show(view.id));
    after.push(json!({ "type": "actions", "elements": buttons }));
    after.extend(feedback::blocks(view.id, view.round, view.voices));
    // Facts have what room the others leave: the cause, what to do and the buttons are dearer.
    let room = MESSAGE_MAX.saturating_sub(fit::size(&blocks) + fit::size(&after));
    blocks.extend(evidence::in_short(report, room, is_cut(report)));
    blocks.extend(after);
    let text = format!("{}: {}", view.id, shorten(&summary, SMALL_MAX, "The message says more."));
    Message { text, blocks, about: None }.of(Kind::Result, view.id)
}

/// Whether something beside the facts does not stand in a result as a whole.
fn is_cut(report: &Report) -> bool {
    let long = |text: &str, limit: usize| escape(text).chars().count() > limit;
    let change = report.verdict.change.as_ref();
    long(&report.summary, SUMMARY_MAX)
        || long(&report.action.reason, REASON_MAX)
        || report.action.target.as_ref().is_some_and(|target| long(target, NAME_MAX))
        || change.is_some_and(|change| {
            long(&change.resource, NAME_MAX)
                || change.actor.as_ref().is_some_and(|actor| long(actor, NAME_MAX))
                || change.config.iter().any(|key| {
                    [Some(&key.key), key.before.as_ref(), key.after.as_ref()]
                        .into_iter()
                        .flatten()
                        .any(|text| long(text, SIDE_MAX))
                })
        })
}

/// What to do and why, with at most so many characters of reason.
pub(in crate::slack) fn action(report: &Report, reason_max: usize) -> Value {
    let target = report.action.target.as_ref();
    let target = target.map(|target| format!(": {}", cut(&escape(target), NAME_MAX))).unwrap_or_default();
    section(&format!(
        "*{}*{target}\n{}",
        action_in_words(report.action.kind),
        cut(&escape(&report.action.reason), reason_max)
    ))
}

/// `pool_size` 10 → 5, with at most so many characters of each part.
pub(in crate::slack) fn setting(key: &KeyChange, part_max: usize) -> String {
    let side = |value: &Option<String>| match value {
        Some(value) => format!("`{}`", cut(&escape(&readable(value)), part_max)),
        None => "not known".to_owned(),
    };
    format!("`{}` {} → {}", cut(&escape(&key.key), part_max), side(&key.before), side(&key.after))
}

/// Plain text, as a header wants it.
fn title(verdict: &Verdict) -> String {
    let words = cause_words(verdict);
    match (verdict.cause, &verdict.change) {
        (Cause::Recurring | Cause::None | Cause::Unknown, _) => {
            let mut letters = words.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
        }
        (Cause::Deployment, Some(change)) => {
            format!("Root cause: {} at {}", cut(&words, 110), clock(change.at))
        }
        _ => format!("Root cause: {words}"),
    }
}

fn facts_at_a_glance(report: &Report) -> Vec<(&'static str, String)> {
    let guess = |hypothesis: &Hypothesis| {
        format!("{}, {}", cut(&escape(&hypothesis.describe()), NAME_MAX), percent(hypothesis.probability))
    };
    let unknown = report.verdict.cause == Cause::Unknown;
    // How sure it is that nothing decides would be read as how sure somebody is of a cause.
    let mut facts = Vec::new();
    if !unknown {
        facts.push(("Confidence", percent(report.verdict.confidence)));
    }
    if let Some(onset) = report.onset {
        let (earliest, latest) = (clock(onset.earliest), clock(onset.latest));
        let interval = if earliest == latest { String::new() } else { format!(" ({earliest} to {latest})") };
        facts.push(("Began", format!("{}{interval}", clock(onset.at))));
    }
    if let Some(change) = &report.verdict.change {
        let part = |text: &str| cut(&escape(text), NAME_MAX);
        let by = change.actor.as_deref().map(|actor| format!(", by {}", part(actor))).unwrap_or_default();
        facts.push(("Change", format!("{} at {}{by}", part(&change.resource), clock(change.at))));
        facts.extend(change.config.iter().map(|key| ("Configuration", setting(key, SIDE_MAX))));
    } else if unknown {
        let weighed = report.hypotheses.iter().find(|one| one.cause != Cause::Unknown);
        facts.extend(weighed.map(|weighed| ("Likeliest", guess(weighed))));
    } else if let Some(second) = report.hypotheses.get(1) {
        facts.push(("Next best", guess(second)));
    }
    facts
}

fn action_in_words(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Rollback => "Recommended: roll back",
        ActionKind::RollForward => "Recommended: roll forward",
        ActionKind::Escalate => "Recommended: escalate",
        ActionKind::Watch => "Recommended: watch",
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::{Headline, SECTION_MAX, headline};
    use super::*;
    use crate::domain::incident::State;
    use crate::domain::report::{Action, Agent, EvidenceItem};

    fn report() -> Report {
        Report {
            action: Action { kind: ActionKind::Watch, target: None, reason: "Nothing is proven.".into() },
            evidence: vec![EvidenceItem {
                id: "E1".into(),
                source: Agent::Logs,
                statement: "<!channel> *urgent* `rm -rf`".into(),
                supports: vec![],
                query: None,
                link: None,
            }],
            summary: "Nobody knows <@U1>.".into(),
            ..Report::bare("checkout", Cause::Unknown, 0.4)
        }
    }

    #[test]
    fn what_logs_say_is_inert() {
        let message = result(&ResultView {
            id: IncidentId(7),
            round: 1,
            voices: Voices::default(),
            report: &report(),
            plan: None,
            not_offered: None,
            decided: None,
        });
        let body = message.to_json().to_string();
        assert!(!body.contains("<!channel>") && !body.contains("<@U1>"), "{body}");
    }

    #[test]
    fn without_a_plan_there_is_no_button_that_changes_anything() {
        let message = result(&ResultView {
            id: IncidentId(7),
            round: 1,
            voices: Voices::default(),
            report: &report(),
            plan: None,
            not_offered: None,
            decided: None,
        });
        let body = message.to_json().to_string();
        assert!(!body.contains("rollback_approve"), "{body}");
    }

    #[test]
    fn a_cause_that_is_not_decided_shows_what_was_likeliest_and_no_confidence() {
        let mut undecided = report();
        undecided.hypotheses = [(Cause::Unknown, 0.59), (Cause::Traffic, 0.22)]
            .map(|(cause, probability)| Hypothesis { cause, event_id: None, probability, about: None })
            .into();
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        undecided.onset = Some(crate::domain::report::Onset {
            at: at("2026-02-06T12:15:20Z"),
            earliest: at("2026-02-06T12:15:00Z"),
            latest: at("2026-02-06T12:15:40Z"),
        });
        let facts = facts_at_a_glance(&undecided);
        assert_eq!(
            facts,
            [("Began", "12:15 UTC".to_owned()), ("Likeliest", "more demand than usual, 22 %".to_owned())]
        );
    }

    #[test]
    fn where_all_of_it_is_long_cause_action_and_buttons_stay_and_the_rest_is_pointed_to() {
        let mut long = report();
        long.summary = "The pool is exhausted. ".repeat(300);
        long.action.reason = "It has to be larger. ".repeat(300);
        let item = long.evidence[0].clone();
        let link = Some(format!("https://console.aws.amazon.com/{}", "x".repeat(1_300)));
        long.evidence = [Agent::Logs, Agent::Metrics, Agent::Deploy]
            .into_iter()
            .cycle()
            .take(9)
            .map(|source| EvidenceItem { source, link: link.clone(), ..item.clone() })
            .collect();
        let target = crate::domain::rollback::RollbackTarget::LambdaConcurrency {
            function: "checkout".into(),
            from: Some(1),
            to: None,
        };
        let plan = crate::domain::plan::Plan::of(target, None, String::new(), &|_, value| value.to_owned());
        let asked = Asked {
            approval: "a-1",
            plan: &plan,
            expires_at: "2026-02-06T12:50:00Z".parse().unwrap(),
            undoing: false,
            break_glass: true,
        };
        let view = ResultView {
            id: IncidentId(7),
            round: 1,
            voices: Voices::default(),
            report: &long,
            plan: Some(asked),
            not_offered: None,
            decided: None,
        };
        let body = result(&view).to_json();
        let blocks = body["blocks"].as_array().unwrap();
        assert!(fit::size(blocks) <= MESSAGE_MAX);
        let said = body["blocks"].to_string();
        for part in ["exhausted. …", "larger. …", "rollback_approve", "feedback_right", "what is cut here"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        let headline = headline(&Headline {
            id: IncidentId(7),
            service: "checkout",
            state: State::Reported,
            awaits_verdict: false,
            opened_at: "2026-02-06T12:15:00Z".parse().unwrap(),
            alerts_received: 1,
            previous: None,
            owner: None,
            report: Some(&long),
            progress: &[],
            latest: None,
            closed: None,
        });
        let said = headline.to_json()["blocks"].to_string();
        assert!(said.contains("exhausted. … The result in the thread says more."), "{said}");
    }

    #[test]
    fn nothing_exceeds_a_limit() {
        let mut huge = report();
        huge.summary = "word ".repeat(5_000);
        let item = huge.evidence[0].clone();
        huge.evidence =
            (0..500).map(|_| EvidenceItem { statement: "x".repeat(9_000), ..item.clone() }).collect();
        for message in [
            result(&ResultView {
                id: IncidentId(1),
                round: 1,
                voices: Voices::default(),
                report: &huge,
                plan: None,
                not_offered: None,
                decided: None,
            }),
            evidence::message(IncidentId(1), &huge),
        ] {
            let body = message.to_json();
            let blocks = body["blocks"].as_array().unwrap();
            assert!(blocks.len() <= fit::BLOCKS_MAX && fit::size(blocks) <= MESSAGE_MAX);
            for block in blocks {
                let text = block["text"]["text"].as_str().unwrap_or_default();
                assert!(text.chars().count() <= SECTION_MAX, "{}", text.len());
            }
        }
    }
}
