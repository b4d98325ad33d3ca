//! Every kind of message and form that the bot makes, of hostile and huge content: within every limit, and with
//! nothing alive in it.
//!
//! The rule that is not obvious: what is made here is also written to `target/tmp/slack-messages.ndjson`, for
//! two programs that share no code with this one (tests/slack-checks).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use incident_commander::demo::slack::limits::{self, Surface};
use incident_commander::domain::alert::{Alert, AlertState};
use incident_commander::domain::approval::Decision;
use incident_commander::domain::change::{ChangeKind, KeyChange};
use incident_commander::domain::evidence::Gap;
use incident_commander::domain::incident::{IncidentId, State};
use incident_commander::domain::plan::Plan;
use incident_commander::domain::report::{
    Action, ActionKind, Agent, Cause, Cleared, EvidenceItem, Hypothesis, NamedChange, Onset, Report,
    TimelineEntry, Verdict,
};
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::domain::scorecard::{self, Judged, Voices, Word};
use incident_commander::domain::trial::Design;
use incident_commander::intake::command::COMMANDS;
use incident_commander::slack::answers::{self, ListLine, MuteLine, TimeRead};
use incident_commander::slack::approvals::{self, DecidedView, OwnerAsked};
use incident_commander::slack::messages::{self, Headline, Message, ResultView};
use incident_commander::slack::storm::{self, StormView, Waiting};
use incident_commander::slack::{digest, evidence, feedback, home, questions, views};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

const ID: IncidentId = IncidentId(7);
/// Enough for each hostile text to stand in each place, and few enough to be quick.
const CASES: u32 = 48;

/// Texts that came from outside, and figures to choose by.
#[derive(Debug)]
struct Outside {
    texts: Vec<String>,
    many: usize,
    turn: Cell<usize>,
}

impl Outside {
    fn turn(&self) -> usize {
        self.turn.set(self.turn.get() + 1);
        self.turn.get()
    }

    fn text(&self) -> String {
        self.texts[self.turn() % self.texts.len()].clone()
    }

    /// A name is never blank: whoever reads one refuses that.
    fn name(&self) -> String {
        let text = self.text();
        if text.trim().is_empty() { "checkout".into() } else { text }
    }

    /// A name that is configured or was seen before is no novel.
    fn known(&self) -> String {
        self.name().chars().take(200).collect()
    }

    fn maybe(&self) -> Option<String> {
        (!self.turn().is_multiple_of(3)).then(|| self.name())
    }

    fn one_of<T: Clone>(&self, all: &[T]) -> T {
        all[self.turn() % all.len()].clone()
    }

    fn list<T>(&self, make: impl Fn(&Self) -> T) -> Vec<T> {
        (0..self.many).map(|_| make(self)).collect()
    }

    fn at(&self) -> Timestamp {
        noon() + SignedDuration::from_mins(self.turn() as i64 * 37)
    }
}

fn noon() -> Timestamp {
    "2026-02-06T12:00:00Z".parse().unwrap()
}

fn outside() -> impl Strategy<Value = Outside> {
    let text = prop_oneof![
        Just("<!channel> <!here|here> <@U0EVIL> <#C0EVIL> <https://evil.example|docs>".to_owned()),
        Just("*bold* _it_ ~gone~ `code` ```block``` > quote & &amp; &lt;".to_owned()),
        Just("{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":\"<!channel>\"}}".to_owned()),
        Just("\u{202e}\u{0007}\u{1b}[31m\r\n\ttabs\0 😀🏳️‍🌈 \u{200b} العربية".to_owned()),
        // As a stack trace or an attacker repeats it.
        Just("<@U0EVIL> <!subteam^S0EVIL> &lt;!here&gt; é漢🔥\n> quoted\n".repeat(400)),
        // Sentences, as people write them: nothing is dearer than where these are cut.
        Just("The pool is exhausted. ".repeat(400)),
        Just(" ".to_owned()),
        Just("&".repeat(6_000)),
        Just("<".repeat(3_000)),
        "[a-z0-9.-]{1,20}",
        "\\PC{1,300}",
        "[a-z .]{2900,9000}",
        "[😀ß<&]{100,2000}",
    ];
    (prop::collection::vec(text, 5..12), prop_oneof![Just(0), Just(1), 2usize..12, Just(150)])
        .prop_map(|(texts, many)| Outside { texts, many, turn: Cell::new(0) })
}

fn a_report(from: &Outside) -> Report {
    let cause = from.one_of(&Cause::ALL);
    let change = (cause == Cause::Deployment).then(|| NamedChange {
        event_id: from.maybe(),
        kind: ChangeKind::LambdaConfig,
        resource: from.name(),
        at: from.at(),
        actor: from.maybe(),
        config: from.list(|from| KeyChange { key: from.name(), before: from.maybe(), after: from.maybe() }),
    });
    let (earliest, latest) = (from.at(), from.at());
    Report {
        service: from.name(),
        onset: from.turn().is_multiple_of(2).then_some(Onset { at: earliest, earliest, latest }),
        verdict: Verdict { cause, change, confidence: 0.87 },
        action: Action {
            kind: from.one_of(&[
                ActionKind::Rollback,
                ActionKind::RollForward,
                ActionKind::Escalate,
                ActionKind::Watch,
            ]),
            target: from.maybe(),
            reason: from.text(),
        },
        hypotheses: from.list(|from| Hypothesis {
            cause: from.one_of(&Cause::ALL),
            event_id: from.maybe(),
            probability: 0.1,
            about: from.maybe(),
        }),
        evidence: from.list(|from| EvidenceItem {
            id: format!("E{}", from.turn()),
            source: from.one_of(&[Agent::Logs, Agent::Metrics, Agent::Deploy]),
            statement: from.text(),
            supports: vec![cause],
            query: from.maybe(),
            link: from
                .maybe()
                .map(|text| format!("https://console.aws.amazon.com/?q={}", text.replace(' ', "+"))),
        }),
        cleared: from.list(|from| Cleared { event_id: from.maybe(), what: from.name(), reason: from.text() }),
        gaps: from.list(|from| Gap::new(from.name(), from.text())),
        summary: from.text(),
        timeline: from.list(|from| TimelineEntry { at: from.at(), what: from.text() }),
        cost: None,
    }
}

/// A small test of what comes from outside.
fn a_test(from: &Outside) -> Plan {
    let design = Design {
        function: from.name(),
        alias: from.name(),
        current: from.name(),
        earlier: from.name(),
        change: from.text(),
        other: from.text(),
        if_change: 0.01,
        if_other: 0.4,
        needed: 7,
        expected: 16,
    };
    let target = design.step();
    let differs = from.list(|from| KeyChange { key: from.name(), before: from.maybe(), after: from.maybe() });
    Plan::trying(design, target, from.maybe()).differing(&differs, true, &|_, value| value.to_owned())
}

fn a_plan(from: &Outside) -> Plan {
    if from.turn().is_multiple_of(3) {
        return a_test(from);
    }
    let target = match from.turn() % 2 {
        0 => RollbackTarget::LambdaConcurrency { function: from.name(), from: Some(1), to: None },
        _ => RollbackTarget::LambdaConfiguration {
            settings: BTreeMap::new(),
            function: from.name(),
            keys: from.list(|from| (from.name(), (from.maybe(), from.maybe()))).into_iter().collect(),
            revision_id: "r".into(),
        },
    };
    Plan { tried: from.maybe(), ..Plan::of(target, from.maybe(), from.text(), &|_, value| value.to_owned()) }
}

fn an_alert(from: &Outside) -> Alert {
    Alert {
        alert_name: from.maybe(),
        severity: from.maybe(),
        metric: from.maybe(),
        ..Alert::about(from.name(), noon())
    }
}

/// Everything that the bot says, under the name of what says it.
fn everything(from: &Outside) -> Vec<(&'static str, Surface, Value)> {
    let report = a_report(from);
    let plan = a_plan(from);
    let asked = |undoing| approvals::Asked {
        approval: "a-1",
        plan: &plan,
        expires_at: noon(),
        undoing,
        break_glass: true,
    };
    let decided = approvals::decided_line(&DecidedView {
        decision: from.one_of(&[Decision::Approved, Decision::Rejected, Decision::Expired]),
        by: Some("U0ALEX"),
        at: noon(),
        reason: from.maybe().as_deref(),
        break_glass: from.turn().is_multiple_of(2),
    });
    let begun = from.text();
    let running = |ended| approvals::Running { approval: "a-1", words: &begun, until: noon(), ended };
    let state = from.one_of(&State::ALL);
    let line = |from: &Outside| ListLine {
        id: ID,
        service: from.name(),
        state: from.one_of(&State::ALL),
        opened_at: noon(),
        verdict: Some(report.verdict.clone()),
        link: answers::permalink("https://shop.slack.com/", "C1", "1.2"),
    };
    let mute = |from: &Outside| MuteLine {
        service: from.name(),
        until: noon(),
        by: "U0ALEX".into(),
        reason: from.text(),
        held: from.turn() as i64,
    };
    let read = TimeRead { at: noon(), zone: Some(TimeZone::get("Asia/Kolkata").unwrap()) };
    let mut names = from.list(Outside::known);
    // A question is put only where more than one fits.
    names.extend([from.known(), from.known()]);
    let alerts = from.list(an_alert);
    let states = [AlertState::Firing, AlertState::Resolved];
    let held: Vec<digest::HeldAlert<'_>> = alerts
        .iter()
        .map(|alert| digest::HeldAlert { at: from.at(), alert, state: from.one_of(&states) })
        .collect();
    let progress = from.list(Outside::text);
    let (service, latest, typed, figures) = (from.name(), from.maybe(), from.name(), from.text());
    let name = from.maybe();
    let which = questions::Asked {
        id: 3,
        alert_name: name.as_deref(),
        offered: &names,
        is_open: from.turn().is_multiple_of(2),
        otherwise: &service,
        until: noon(),
    };
    let settled = questions::Ended {
        service: from.one_of(&[None, Some(service.as_str())]),
        by: from.one_of(&[None, Some("U0ALEX")]),
        at: noon(),
        incident: from.one_of(&[None, Some(ID)]),
    };
    let headline = Headline {
        id: ID,
        service: &service,
        state,
        awaits_verdict: state == State::Investigating || from.one_of(&[false, true]),
        opened_at: noon(),
        alerts_received: from.turn() as i64,
        owner: latest.as_deref(),
        previous: Some(IncidentId(6)),
        report: Some(&report),
        progress: &progress,
        latest: latest.as_deref(),
        closed: from.one_of(&[None, Some((typed.as_str(), Some("U0DANA"))), Some(("", Some("U0DANA")))]),
    };
    let view = ResultView {
        id: ID,
        round: 2,
        voices: Voices::of([Word::Right, Word::Wrong]),
        report: &report,
        plan: from.one_of(&[None, Some(asked(false))]),
        not_offered: latest.as_deref(),
        decided: from.one_of(&[None, Some(decided.as_str())]),
    };
    let waiting: Vec<Waiting<'_>> = alerts
        .iter()
        .map(|alert| Waiting { id: ID, service: &alert.service, alerts_received: from.many as i64 })
        .collect();
    let going_on = StormView {
        began_at: from.at(),
        incidents: 40,
        services: 7,
        alerts: 10_000,
        under_way: 4,
        waiting: &waiting,
        over_at: None,
    };
    let ended = digest::Ended {
        service: &service,
        reason: &figures,
        by: "U0ALEX",
        began_at: noon(),
        ended_at: from.at(),
        ended_by: from.one_of(&[None, Some("U0DANA")]),
        held: &held,
    };
    let owner = |undoing, decided| OwnerAsked {
        owner: &service,
        theirs: &typed,
        service: &service,
        plan: &plan,
        expires_at: noon(),
        undoing,
        channel: "C0CHECKOUT",
        refused: Some((&service, &typed)),
        decided,
    };
    let judged = |confidence| Judged { confidence, voices: Voices::of([Word::Right, Word::Wrong]) };
    let card = scorecard::scorecard([judged(0.97), judged(0.6)], [Some(true), None]);
    let waiting = |from: &Outside| home::Waiting {
        id: ID,
        service: from.name(),
        what: from.text(),
        expires_at: noon(),
        link: answers::permalink("https://shop.slack.com/", "C1", "1.2"),
    };
    let at_home = home::Home {
        open: from.list(line),
        open_in_all: from.many + 3,
        waiting: from.list(waiting),
        verdicts: from.list(line),
        scorecard: card.clone(),
        now: noon(),
    };
    let said: Vec<(&'static str, Message)> = vec![
        ("looking", answers::looking(ID, &service, Some(&read), from.one_of(&[None, Some("C0CHECKOUT")]))),
        ("open_already", answers::open_already(ID, &service, state, None)),
        (
            "which_service",
            answers::which_service(
                &typed,
                &names[..names.len().min(3)],
                latest.as_deref().map(|_| "20m ago"),
            ),
        ),
        ("which_of", answers::which_of(&typed, &names, None)),
        ("list", answers::list(&from.list(line)[..from.many.min(10)])),
        ("status", answers::status(&line(from), Some(&report), 3, latest.as_deref())),
        ("mutes", answers::mutes(&from.list(mute))),
        ("muted", answers::muted(&service, noon(), true)),
        ("help", answers::help(COMMANDS)),
        ("plan", approvals::plan(ID, &plan, noon())),
        ("approved_alone", approvals::approved_alone(ID, &plan, "U0ALEX", &figures)),
        ("running", approvals::running(ID, &running(None))),
        ("running", approvals::running(ID, &running(Some((from.at(), &figures))))),
        ("owner_asked", approvals::owner_asked(ID, &owner(false, None))),
        ("owner_asked", approvals::owner_asked(ID, &owner(true, Some(&decided)))),
        ("undo_offer", approvals::undo_offer(ID, &asked(true), None)),
        ("undo_offer", approvals::undo_offer(ID, &asked(true), Some(&decided))),
        ("digest", digest::digest(&ended)),
        ("storm", storm::storm(&going_on)),
        (
            "storm over",
            storm::storm(&StormView { over_at: Some(from.at()), waiting: &[], ..going_on.clone() }),
        ),
        ("message", evidence::message(ID, &report)),
        ("headline", messages::headline(&headline)),
        ("result", messages::result(&view)),
        ("recovery", messages::recovery(ID, from.one_of(&[None, Some(true), Some(false)]), &figures)),
        ("notice", messages::notice(ID, &format!("It cannot be taken back: {figures}"))),
        ("question", questions::question(&which, None)),
        ("question", questions::question(&which, Some(&settled))),
        ("reminder", questions::reminder(&which)),
        ("too_late", questions::too_late(&settled)),
        ("scorecard", feedback::scorecard(&card)),
    ];
    let mut all: Vec<(&'static str, Surface, Value)> =
        said.into_iter().map(|(kind, message)| (kind, Surface::Message, message.to_json())).collect();
    all.push(("modal", Surface::Modal, evidence::modal(ID, &service, Some(&report))));
    all.push(("home", Surface::Home, home::home(&at_home)));
    all.push(("form", Surface::Modal, feedback::form(&figures)));
    all.push(("investigate_form", Surface::Modal, views::investigate_form(&figures)));
    all.push(("plan_view", Surface::Modal, approvals::plan_view(&asked(false), ID, true)));
    let alone = from.turn().is_multiple_of(2);
    all.push(("reason_form", Surface::Modal, approvals::reason_form(alone, &plan, "a-1")));
    all
}

/// What our own marks begin with.
const OURS: &[&str] = &[
    "<@U0ALEX>",
    "<@U0DANA>",
    "<#C0CHECKOUT>",
    "<https://console.aws.amazon.com/",
    "<https://shop.slack.com/archives/",
];

/// Texts in which Slack reads marks: nothing of somebody else's lives in them, and what looks like a link does
/// not become one.
fn check_marks(value: &Value, problems: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if object.get("type").is_some_and(|kind| kind == "mrkdwn") {
                if object["verbatim"] != true {
                    problems.push("links are made by themselves".into());
                }
                check_text(object["text"].as_str().unwrap_or_default(), problems);
            }
            object.values().for_each(|inner| check_marks(inner, problems));
        }
        Value::Array(list) => list.iter().for_each(|inner| check_marks(inner, problems)),
        _ => {}
    }
}

fn check_text(text: &str, problems: &mut Vec<String>) {
    for (start, _) in text.match_indices('<') {
        let rest = &text[start..];
        let mark = rest.split('>').next().unwrap_or_default();
        let whole = rest.len() > mark.len() && !mark[1..].contains(['<', '\n']);
        if !whole || !OURS.iter().any(|own| rest.starts_with(own)) {
            problems.push(format!("{} is alive or cut off", mark.chars().take(40).collect::<String>()));
        }
    }
}

fn problems(surface: Surface, body: &Value) -> Vec<String> {
    let mut problems = if surface == Surface::Message {
        let mut problems = limits::check_blocks(&body["blocks"], surface, &|_| true);
        if limits::blocks_too_long(&body["blocks"]) {
            problems.push("msg_blocks_too_long".into());
        }
        let text = body["text"].as_str().unwrap_or_default();
        if text.trim().is_empty() || text.chars().count() > 4_000 {
            problems.push("the text is empty or too long for chat.update".into());
        }
        if let Some(metadata) = body.get("metadata") {
            problems.extend(limits::check_metadata(metadata).err().map(str::to_owned));
        }
        problems
    } else {
        limits::check_view(body, &|_| true).err().unwrap_or_default()
    };
    check_marks(body, &mut problems);
    check_text(body["text"].as_str().unwrap_or_default(), &mut problems);
    problems
}

#[test]
fn whatever_comes_from_outside_every_message_is_within_the_limits_and_inert() {
    let written = RefCell::new(String::new());
    let found: RefCell<BTreeMap<&str, Vec<String>>> = RefCell::default();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config { cases: CASES, ..Config::default() }, rng);
    // Every kind is looked at in every case, so that one run tells of all that is wrong.
    runner
        .run(&outside(), |from| {
            for (kind, surface, body) in everything(&from) {
                let problems = problems(surface, &body);
                if !problems.is_empty() {
                    found.borrow_mut().entry(kind).or_default().extend(problems);
                }
                let surface = match surface {
                    Surface::Message => "message",
                    Surface::Modal => "modal",
                    Surface::Home => "home",
                };
                let line = json!({ "kind": kind, "surface": surface, "body": body });
                writeln!(written.borrow_mut(), "{line}").unwrap();
            }
            Ok(())
        })
        .unwrap();
    for problems in found.borrow_mut().values_mut() {
        problems.sort();
        problems.dedup();
        problems.truncate(8);
    }
    let found = found.into_inner();
    assert!(found.is_empty(), "{found:#?}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(folder.join("slack-messages.ndjson"), written.into_inner()).unwrap();
}

/// Whoever adds a message adds it above, so that it is checked, and to the page of all kinds, so that it is looked at.
#[test]
fn no_message_is_left_out() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["tests/it/messages.rs", "examples/page_kinds/said.rs"]
        .map(|place| (place, fs::read_to_string(top.join(place)).unwrap()));
    let folder = top.join("src/slack");
    let mut missing = Vec::new();
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // Its files are parts of one module.
            let parts = fs::read_dir(&path).unwrap();
            sources.extend(parts.map(|part| (module.clone(), part.unwrap().path())));
        } else {
            sources.push((module, path));
        }
    }
    for (module, path) in sources {
        let text = fs::read_to_string(&path).unwrap();
        for function in text.split("\npub fn ").skip(1) {
            let name: String = function.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let (signature, rest) = function.split_once('{').unwrap();
            let body = rest.split("\n}\n").next().unwrap();
            let opens = signature.contains("-> Value") && body.contains(" modal(");
            if !opens && !signature.contains("-> Message") {
                continue;
            }
            let lacking = places.iter().filter(|(_, text)| !text.contains(&format!("{module}::{name}(")));
            missing.extend(lacking.map(|(place, _)| format!("{place}: {module}::{name}")));
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
