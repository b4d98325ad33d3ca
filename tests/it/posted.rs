//! Every kind of message and form that the bot makes, with hostile and huge content in all of its fields.
//!
//! The rule that is not obvious: the limits are those of the Slack-compatible endpoint, which shares no
//! code with what is looked at here.

use incident_commander::demo::slack::limits::{Surface, check_blocks, check_metadata, check_view};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::approval::Decision;
use incident_commander::domain::change::{ChangeKind, KeyChange};
use incident_commander::domain::evidence::Gap;
use incident_commander::domain::incident::{IncidentId, State};
use incident_commander::domain::plan::Plan;
use incident_commander::domain::report::{
    Action, ActionKind, Agent, Cause, Cleared, EvidenceItem, Hypothesis, NamedChange, Report, TimelineEntry,
    Verdict,
};
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::domain::scorecard::{self, Voices};
use incident_commander::slack::answers::{self, ListLine, MuteLine};
use incident_commander::slack::approvals::{self, Asked, DecidedView};
use incident_commander::slack::digest::{self, Ended};
use incident_commander::slack::home::{self, Home, Waiting};
use incident_commander::slack::messages::{self, Headline, Message, ResultView};
use incident_commander::slack::{evidence, feedback, views};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

const ID: IncidentId = IncidentId(7);

/// Text as an attacker, a stack trace or an empty field has it.
fn text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("<!channel> ".to_owned()),
        Just("<@U666> <#C666> <!subteam^S666> ".to_owned()),
        Just("<https://evil.example|docs> ".to_owned()),
        Just("&lt;!here&gt; &amp; ```{\"type\":\"button\"}``` ".to_owned()),
        Just("*bold* _it_ ~gone~ `code`\n> quoted\n".to_owned()),
        Just("\u{202e}\u{0}\u{7}🔥é漢 ".to_owned()),
        "[a-z .]{0,40}",
        "\\PC{0,20}",
    ];
    (prop::collection::vec(fragment, 0..6), prop_oneof![Just(1_usize), Just(30), Just(400)])
        .prop_map(|(fragments, times)| fragments.concat().repeat(times))
}

fn at() -> Timestamp {
    "2026-02-06T12:15:00Z".parse().unwrap()
}

/// A report whose every field is one of `texts`, in lists of `count`.
fn report(texts: &[String], count: usize, cause: Cause) -> Report {
    let word = |index: usize| texts[index % texts.len()].clone();
    let key = |index| KeyChange { key: word(index), before: Some(word(index + 1)), after: None };
    let change = NamedChange {
        event_id: Some(word(1)),
        kind: ChangeKind::LambdaConfig,
        resource: word(2),
        at: at(),
        actor: Some(word(3)),
        config: (0..count).map(key).collect(),
    };
    let agents = [Agent::Logs, Agent::Metrics, Agent::Deploy];
    let item = |index: usize| EvidenceItem {
        id: format!("E{index}"),
        source: agents[index % 3],
        statement: word(index),
        supports: vec![],
        query: Some(word(index + 1)),
        link: Some(if index.is_multiple_of(2) {
            word(index)
        } else {
            format!("https://aws.example/{}", word(index))
        }),
    };
    Report {
        service: word(0),
        onset: None,
        verdict: Verdict { cause, change: (cause == Cause::Deployment).then_some(change), confidence: 0.9 },
        action: Action { kind: ActionKind::Rollback, target: Some(word(4)), reason: word(5) },
        hypotheses: (0..count)
            .map(|index| Hypothesis { cause, event_id: None, probability: 0.2, about: Some(word(index)) })
            .collect(),
        evidence: (0..count).map(item).collect(),
        cleared: (0..count)
            .map(|index| Cleared { event_id: Some(word(index)), what: word(index), reason: word(index + 1) })
            .collect(),
        gaps: (0..count).map(|index| Gap::new(word(index), word(index + 1))).collect(),
        summary: word(1),
        timeline: (0..count).map(|index| TimelineEntry { at: at(), what: word(index) }).collect(),
        cost: None,
    }
}

fn plan(texts: &[String]) -> Plan {
    let word = |index: usize| texts[index % texts.len()].clone();
    let target = RollbackTarget::LambdaConcurrency { function: word(0), from: Some(1), to: None };
    let mut plan = Plan::of(target, Some(word(1)), word(2));
    plan.tried = Some(word(3));
    plan.stays_wrong = texts.to_vec();
    plan
}

/// One of each kind, as it is sent.
fn messages(texts: &[String], count: usize, cause: Cause) -> Vec<(&'static str, Message)> {
    let word = |index: usize| texts[index % texts.len()].as_str();
    let report = report(texts, count, cause);
    let plan = plan(texts);
    let asked =
        Asked { approval: "approval-1", plan: &plan, expires_at: at(), undoing: false, break_glass: true };
    let decided = approvals::decided_line(&DecidedView {
        decision: Decision::Approved,
        by: Some("U1"),
        at: at(),
        reason: Some(word(1)),
        break_glass: true,
    });
    let headline = |state| {
        messages::headline(&Headline {
            id: ID,
            service: word(0),
            state,
            opened_at: at(),
            alerts_received: 12,
            previous: Some(IncidentId(6)),
            owner: Some(word(1)),
            report: Some(&report),
            progress: texts,
            latest: Some(word(2)),
        })
    };
    let result = |plan, decided| {
        messages::result(&ResultView {
            id: ID,
            round: 1,
            voices: Voices { right: 1, wrong: 2 },
            report: &report,
            plan,
            not_offered: Some(word(3)),
            decided,
        })
    };
    let alert = |index: usize| Alert {
        alert_name: Some(word(index).to_owned()),
        ..Alert::about(word(0).to_owned(), at())
    };
    let held: Vec<(Timestamp, Alert)> = (0..count).map(|index| (at(), alert(index))).collect();
    let lines = list(texts, count, &report);
    let mute = |index: usize| MuteLine {
        service: word(index).to_owned(),
        until: at(),
        by: "U1".into(),
        reason: word(index + 1).to_owned(),
        held: 3,
    };
    let mutes: Vec<MuteLine> = (0..count).map(mute).collect();
    let card = scorecard::scorecard([], []);
    vec![
        ("headline while investigating", headline(State::Investigating)),
        ("headline with a verdict", headline(State::Reported)),
        ("result with buttons", result(Some(asked), None)),
        ("result decided", result(Some(asked), Some(decided.as_str()))),
        ("recovery", messages::recovery(ID, Some(false), word(0))),
        ("notice", messages::notice(ID, word(0))),
        ("undo offer", approvals::undo_offer(ID, &asked, None)),
        ("plan", approvals::plan(ID, &plan, at())),
        ("evidence", evidence::message(ID, &report)),
        (
            "digest",
            digest::digest(&Ended {
                service: word(0),
                reason: word(1),
                by: "U1",
                began_at: at(),
                ended_at: at(),
                ended_by: Some("U1"),
                held: &held,
            }),
        ),
        ("looking", answers::looking(ID, word(0), None)),
        ("open already", answers::open_already(ID, word(0), State::Reported, None)),
        ("which service", answers::which_service(word(0), &texts[..texts.len().min(3)], Some(word(1)))),
        ("list", answers::list(&lines[..lines.len().min(10)])),
        ("status", answers::status(lines.first().unwrap(), Some(&report), 3, Some(word(1)))),
        ("mutes", answers::mutes(&mutes)),
        ("muted", answers::muted(word(0), at(), true)),
        ("scorecard", feedback::scorecard(&card)),
    ]
}

fn list(texts: &[String], count: usize, report: &Report) -> Vec<ListLine> {
    let line = |index: usize| ListLine {
        id: ID,
        service: texts[index % texts.len()].clone(),
        state: State::Reported,
        opened_at: at(),
        verdict: Some(report.verdict.clone()),
        link: Some("https://shop.slack.com/archives/C1/p1770380100000200".into()),
    };
    (0..count.max(1)).map(line).collect()
}

fn forms(texts: &[String], count: usize, cause: Cause) -> Vec<(&'static str, Value)> {
    let report = report(texts, count, cause);
    let waiting = |index: usize| Waiting {
        id: ID,
        service: texts[index % texts.len()].clone(),
        what: texts[(index + 1) % texts.len()].clone(),
        expires_at: at(),
        link: None,
    };
    let home = Home {
        open: list(texts, count, &report),
        open_in_all: count,
        waiting: (0..count).map(waiting).collect(),
        verdicts: list(texts, count, &report),
        scorecard: scorecard::scorecard([], []),
        now: at(),
    };
    vec![
        ("evidence form", evidence::modal(ID, &texts[0], Some(&report))),
        ("feedback form", feedback::form(&texts[0])),
        ("investigate form", views::investigate_form(&texts[0])),
        ("home", home::home(&home)),
    ]
}

/// Nothing of somebody else's lives: no mention, no link of theirs.
fn inert(kind: &str, body: &Value) -> Result<(), TestCaseError> {
    let mut stack = vec![body];
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(object) if object.get("type").is_some_and(|it| it == "mrkdwn") => {
                prop_assert_eq!(&object["verbatim"], true, "{}: nothing becomes a link by itself", kind);
                let text = object["text"].as_str().unwrap_or_default();
                let own = ["<@U1>", "<https://aws.example/", "<https://shop.slack.com/archives/"];
                for (start, _) in text.match_indices('<') {
                    prop_assert!(
                        own.iter().any(|own| text[start..].starts_with(own)),
                        "{kind}: {}",
                        &text[start..]
                    );
                    let link = text[start..].split('>').next().unwrap_or_default();
                    prop_assert!(!link[1..].contains(['<', '\n']), "{kind}: {link}");
                }
            }
            Value::Object(object) => stack.extend(object.values()),
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_said_fits_slacks_limits_and_lives_in_no_way(
        texts in prop::collection::vec(text(), 1..5),
        count in prop_oneof![Just(0_usize), Just(2), Just(60)],
        cause in prop::sample::select(Cause::ALL.to_vec()),
    ) {
        for (kind, message) in messages(&texts, count, cause) {
            let body = message.to_json();
            let problems = check_blocks(&body["blocks"], Surface::Message, &|_| false);
            prop_assert!(problems.is_empty(), "{kind}: {problems:?}");
            prop_assert!(body["text"].as_str().is_some_and(|text| text.chars().count() <= 4_000), "{kind}");
            if body["metadata"].is_object() {
                prop_assert_eq!(check_metadata(&body["metadata"]), Ok(()), "{}", kind);
            }
            inert(kind, &body)?;
            let plain = body["text"].as_str().unwrap_or_default();
            prop_assert!(!plain.contains("<!") && !plain.contains("<@U666") && !plain.contains("<https://evil"), "{kind}");
        }
        for (kind, view) in forms(&texts, count, cause) {
            let checked = check_view(&view, &|_| false);
            prop_assert!(checked.is_ok(), "{kind}: {checked:?}");
            inert(kind, &view)?;
        }
    }
}
