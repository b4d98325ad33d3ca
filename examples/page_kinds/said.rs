//! Everything that the bot says, as `slack` makes it of the samples.
//!
//! The rule that is not obvious: a message is made here exactly as the bot makes it; `tests/it/messages.rs` fails
//! where one is left out.

use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::alert::{Alert, AlertState};
use incident_commander::domain::approval::Decision;
use incident_commander::domain::change::KeyChange;
use incident_commander::domain::incident::{IncidentId, State};
use incident_commander::domain::plan::{NOTHING_EXPECTED, Plan};
use incident_commander::domain::recovery::{self, Beside, Word};
use incident_commander::domain::report::Symptoms;
use incident_commander::domain::scorecard::{self, Judged, Scorecard, Voices};
use incident_commander::domain::trial::{Count, Design, Trial};
use incident_commander::intake::command::COMMANDS;
use incident_commander::slack::answers::{self, ListLine, MuteLine, TimeRead};
use incident_commander::slack::approvals::{self, Asked, DecidedView, OwnerAsked, Running};
use incident_commander::slack::messages::{self, Headline, Message, ResultView};
use incident_commander::slack::storm::{self, StormView, Waiting};
use incident_commander::slack::{digest, evidence, feedback, home, questions, views};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::samples::Sample;

/// What the buttons of the plan carry.
const APPROVAL: &str = "approval-1";

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn link(channel: &str) -> Option<String> {
    answers::permalink("https://shop.slack.com/", channel, "1770380100.000200")
}

pub fn asked(plan: &Plan, now: Timestamp, undoing: bool) -> Asked<'_> {
    Asked { approval: APPROVAL, plan, expires_at: now + minutes(30), undoing, break_glass: true }
}

fn headline_in(sample: &Sample, state: State, progress: &[String], latest: Option<&str>) -> Message {
    let closed = (state == State::Resolved).then_some(("the pool is larger now", Some(id::ON_CALL)));
    headline_of(sample, state, state == State::Investigating, (progress, latest), closed)
}

fn headline_of(
    sample: &Sample,
    state: State,
    awaits_verdict: bool,
    (progress, latest): (&[String], Option<&str>),
    closed: Option<(&str, Option<&str>)>,
) -> Message {
    messages::headline(&Headline {
        id: sample.id,
        service: sample.service(),
        state,
        opened_at: sample.evidence.alert.at,
        awaits_verdict,
        alerts_received: if state == State::Investigating { 1 } else { 3 },
        previous: (state == State::Resolved).then_some(IncidentId(3)),
        owner: Some("team checkout"),
        report: Some(sample.report()),
        progress,
        latest,
        closed,
    })
}

/// What a sample's thread holds: the headline and the result.
pub fn verdict(sample: &Sample, plan: Option<&Plan>, voices: Voices) -> [Message; 2] {
    let now = sample.evidence.scope.now;
    let state = if plan.is_some() { State::AwaitingApproval } else { State::Reported };
    let result = messages::result(&ResultView {
        id: sample.id,
        round: 1,
        voices,
        report: sample.report(),
        plan: plan.map(|plan| asked(plan, now, false)),
        not_offered: None,
        decided: None,
    });
    [headline_in(sample, state, &[], None), result]
}

/// The headline in each state that an incident has.
pub fn headlines(sample: &Sample) -> Vec<Message> {
    let progress =
        ["Logs: 4,210 lines read", "Metrics: reading", "Deploy: not read (CloudTrail did not answer)"]
            .map(str::to_owned);
    let figures = figures(sample);
    let latest = |state| match state {
        State::Verifying => Some(figures[2].1.clone()),
        State::Recovered => Some(figures[0].1.clone()),
        State::NotRecovered => Some(figures[1].1.clone()),
        _ => None,
    };
    let said = |state: State| {
        let progress = if state == State::Investigating { &progress[..] } else { &[] };
        let latest = latest(state);
        headline_in(sample, state, progress, latest.as_deref())
    };
    // Its alert resolved: while it is still investigated, and afterwards.
    let resolved = [true, false].map(|awaits_verdict| {
        let closed = Some(("the alert resolved", None));
        headline_of(sample, State::Resolved, awaits_verdict, (&progress[..1], None), closed)
    });
    State::ALL.into_iter().map(said).chain(resolved).collect()
}

/// Recovery in its three words, with the figures that the domain says them of.
fn figures(sample: &Sample) -> [(Option<bool>, String); 3] {
    let levels = &sample.investigation.symptoms;
    let since = sample.evidence.scope.now;
    let all = |count: i64, rate: Option<f64>, latency: Option<f64>| {
        let mut all = Symptoms::default();
        for minute in 0..count {
            let at = since + minutes(minute);
            all.requests.push((at, 118.0));
            all.error_rate.extend(rate.map(|rate| (at, rate)));
            all.latency_p99.extend(latency.map(|latency| (at, latency)));
        }
        all
    };
    let judged = |after: &Symptoms| {
        let judgement = recovery::judge(levels, after, &Beside::default());
        let word = match judgement.word {
            Word::Recovered => Some(true),
            Word::NotRecovered => Some(false),
            Word::TooEarly => None,
        };
        (word, judgement.figures)
    };
    [
        judged(&all(8, levels.baseline_error_rate, levels.baseline_latency_p99)),
        judged(&all(8, levels.incident_error_rate, levels.incident_latency_p99)),
        judged(&all(0, None, None)),
    ]
}

/// What follows an approval, in the order in which it would be said.
pub fn after_the_verdict(sample: &Sample, plan: &Plan) -> Vec<Message> {
    let now = sample.evidence.scope.now;
    let decided = |decision, by, reason, break_glass| {
        approvals::decided_line(&DecidedView { decision, by, at: now + minutes(3), reason, break_glass })
    };
    let result = |decided: Option<&str>, not_offered| {
        messages::result(&ResultView {
            id: sample.id,
            round: 1,
            voices: Voices { right: 2, wrong: 1 },
            report: sample.report(),
            plan: decided.map(|_| asked(plan, now, false)),
            not_offered,
            decided,
        })
    };
    let reason = "nobody else is awake and orders are lost";
    let alone = decided(Decision::Approved, Some(id::ON_CALL), Some(reason), true);
    let rejected =
        decided(Decision::Rejected, Some(id::APPROVER), Some("we roll forward, see the fix"), false);
    let expired = decided(Decision::Expired, None, None, false);
    let shown = |_: &str, value: &str| value.to_owned();
    let differs: Vec<KeyChange> = plan.differs.iter().cloned().map(KeyChange::reversed).collect();
    let undone = plan.target.reversed().ok().map(|target| {
        Plan::of(target, None, NOTHING_EXPECTED.into(), &shown).differing(&differs, plan.code_differs, &shown)
    });
    let owner = OwnerAsked {
        owner: id::APPROVERS,
        theirs: "payments",
        service: sample.service(),
        plan,
        expires_at: now + minutes(30),
        undoing: false,
        channel: id::ALERTS,
        refused: None,
        decided: None,
    };
    let mut said = vec![
        result(Some(&alone), None),
        result(None, Some("the earlier value is not known any more")),
        approvals::approved_alone(sample.id, plan, id::ON_CALL, reason),
        messages::notice(
            sample.id,
            "The rollback was not carried out: what it changes has moved since the plan was made.",
        ),
        approvals::plan(sample.id, plan, now + minutes(30)),
        approvals::owner_asked(sample.id, &owner),
        approvals::owner_asked(
            sample.id,
            &OwnerAsked {
                refused: Some((id::CHECKOUT, "Slack refuses chat.postMessage: not_in_channel")),
                ..owner
            },
        ),
    ];
    said.extend(figures(sample).map(|(word, figures)| messages::recovery(sample.id, word, &figures)));
    if let Some(undone) = &undone {
        said.push(approvals::undo_offer(sample.id, &asked(undone, now, true), None));
        said.push(approvals::undo_offer(sample.id, &asked(undone, now, true), Some(&rejected)));
        said.push(approvals::undo_offer(sample.id, &asked(undone, now, true), Some(&expired)));
    }
    said.push(evidence::message(sample.id, sample.report()));
    said.extend(of_a_test(sample));
    said
}

/// A small test: asked for, begun, ended, and read.
fn of_a_test(sample: &Sample) -> Vec<Message> {
    let now = sample.evidence.scope.now;
    let design = Design {
        function: sample.service().to_owned(),
        alias: "live".to_owned(),
        current: "42".to_owned(),
        earlier: "41".to_owned(),
        change: format!("configuration change of {} from version 41 to version 42", sample.service()),
        other: "parameter change of /checkout/limit".to_owned(),
        if_change: 0.01,
        if_other: 0.4,
        needed: 7,
        expected: 24,
    };
    let plan = Plan::trying(design.clone(), design.step(), None);
    let result = messages::result(&ResultView {
        id: sample.id,
        round: 1,
        voices: Voices::default(),
        report: sample.report(),
        plan: Some(asked(&plan, now, false)),
        not_offered: None,
        decided: None,
    });
    let words = format!("Test begun: {}.", plan.what);
    let running = |ended| {
        let running = Running { approval: APPROVAL, words: &words, until: now + minutes(5), ended };
        approvals::running(sample.id, &running)
    };
    let how = "The test is ended, and its result follows in a minute or two.";
    let count = |failures, requests| Count { requests, failures };
    let trial = Trial {
        design,
        begun_at: now,
        ended_at: now + minutes(5),
        earlier_count: count(0.0, 26.0),
        current_count: count(190.0, 475.0),
    };
    vec![
        result,
        running(None),
        running(Some((now + minutes(5), how))),
        messages::notice(
            sample.id,
            &format!("{} The hypotheses are weighed anew with it.", trial.describe()),
        ),
    ]
}

pub fn card() -> Scorecard {
    let judged = |confidence, right, wrong| Judged { confidence, voices: Voices { right, wrong } };
    let verdicts =
        [judged(0.97, 2, 0), judged(0.96, 1, 0), judged(0.95, 0, 0), judged(0.86, 1, 0), judged(0.62, 0, 1)];
    scorecard::scorecard(verdicts, [Some(true), Some(true), Some(false), None])
}

fn lines(samples: &[Sample]) -> Vec<ListLine> {
    let states = State::ALL.into_iter().cycle();
    let line = |(sample, state): (&Sample, State)| ListLine {
        id: sample.id,
        service: sample.service().to_owned(),
        state,
        opened_at: sample.evidence.alert.at,
        verdict: (state != State::Investigating).then(|| sample.report().verdict.clone()),
        link: link(id::ALERTS),
    };
    samples.iter().zip(states).map(line).collect()
}

/// What the channel holds beside incidents: a question, how it was answered, and the end of a mute.
pub fn in_the_channel(now: Timestamp) -> Vec<Message> {
    let candidates = ["checkout-api".to_owned(), "checkout-worker".to_owned()];
    let question = questions::Asked {
        id: 3,
        alert_name: Some("Checkout: high error rate"),
        offered: &candidates,
        is_open: false,
        otherwise: "checkout-api",
        until: now + minutes(15),
    };
    let open = questions::Asked {
        alert_name: Some("Disk is full"),
        is_open: true,
        otherwise: "disk-01",
        ..question
    };
    let answered = questions::Ended {
        service: Some("checkout-api"),
        by: Some(id::ON_CALL),
        at: now,
        incident: Some(IncidentId(7)),
    };
    let nobody = questions::Ended { service: None, by: None, at: now, incident: None };
    let named = |name: &str, severity: &str| Alert {
        alert_name: Some(name.to_owned()),
        severity: Some(severity.to_owned()),
        ..Alert::about("checkout-worker".to_owned(), now)
    };
    let (queue, errors) = (named("QueueTooLong", "warning"), named("HighErrorRate", "critical"));
    let held = [
        (0, &queue, AlertState::Firing),
        (20, &queue, AlertState::Resolved),
        (25, &errors, AlertState::Firing),
    ]
    .map(|(after, alert, state)| digest::HeldAlert { at: now + minutes(after), alert, state });
    let ended = digest::Ended {
        service: "checkout-worker",
        reason: "load test",
        by: id::ON_CALL,
        began_at: now,
        ended_at: now + minutes(120),
        ended_by: None,
        held: &held,
    };
    let waiting = ["checkout-api", "search", "payments"].map(|service| Waiting {
        id: IncidentId(20),
        service,
        alerts_received: 12,
    });
    let going_on = StormView {
        began_at: now,
        incidents: 17,
        services: 15,
        alerts: 204,
        under_way: 4,
        waiting: &waiting,
        over_at: None,
    };
    let early = digest::Ended { ended_by: Some(id::DEVELOPER), held: &[], ..ended.clone() };
    vec![
        questions::question(&question, None),
        questions::question(&open, None),
        questions::reminder(&question),
        questions::question(&question, Some(&answered)),
        questions::question(&question, Some(&nobody)),
        digest::digest(&ended),
        digest::digest(&early),
        storm::storm(&going_on),
        storm::storm(&StormView {
            under_way: 0,
            waiting: &[],
            over_at: Some(now + minutes(6)),
            ..going_on.clone()
        }),
    ]
}

/// Answers that only one person sees.
pub fn in_private(samples: &[Sample], now: Timestamp) -> Vec<Message> {
    let read = TimeRead { at: now - minutes(20), zone: TimeZone::get("Europe/Berlin").ok() };
    let near = ["checkout-api".to_owned(), "checkout-worker".to_owned()];
    let ended = questions::Ended {
        service: Some("checkout-api"),
        by: Some(id::APPROVER),
        at: now,
        incident: Some(IncidentId(7)),
    };
    let lines = lines(samples);
    let mute = |service: &str, held| MuteLine {
        service: service.to_owned(),
        until: now + minutes(120),
        by: id::ON_CALL.to_owned(),
        reason: "load test".to_owned(),
        held,
    };
    let mut said = vec![
        answers::looking(IncidentId(7), "checkout-api", Some(&read), None),
        answers::looking(IncidentId(7), "checkout-api", None, Some(id::CHECKOUT)),
        answers::open_already(
            IncidentId(7),
            "checkout-api",
            State::AwaitingApproval,
            link(id::ALERTS).as_deref(),
        ),
        answers::which_service("chekout", &near, Some("20 minutes ago")),
        answers::which_of("Checkout: high error rate", &near, None),
        answers::list(&[]),
        answers::list(&lines),
        answers::mutes(&[]),
        answers::mutes(&[mute("checkout-worker", 2), mute("search", 0)]),
        answers::muted("checkout-worker", now + minutes(120), true),
        answers::help(COMMANDS),
        questions::too_late(&ended),
        feedback::scorecard(&card()),
    ];
    if let (Some(sample), Some(line)) = (samples.first(), lines.get(1)) {
        let line = ListLine { id: sample.id, verdict: Some(sample.report().verdict.clone()), ..line.clone() };
        said.push(answers::status(&line, Some(sample.report()), 3, Some("team checkout")));
    }
    said
}

pub fn at_home(samples: &[Sample], plan: &Plan, now: Timestamp) -> Value {
    let (verdicts, open): (Vec<ListLine>, Vec<ListLine>) =
        lines(samples).into_iter().partition(|line| line.state == State::Resolved);
    let waiting = samples.iter().take(1).map(|sample| home::Waiting {
        id: sample.id,
        service: sample.service().to_owned(),
        what: plan.what.clone(),
        expires_at: now + minutes(30),
        link: link(id::ALERTS),
    });
    home::home(&home::Home {
        open_in_all: open.len(),
        open,
        waiting: waiting.collect(),
        verdicts,
        scorecard: card(),
        now,
    })
}

/// The form that a button opens.
pub fn form(samples: &[Sample], action_id: &str, value: &str) -> Option<Value> {
    let first = samples.first()?;
    let plan = first.plan()?;
    match action_id {
        "show_evidence" => {
            let sample = samples.iter().find(|sample| sample.id.to_string() == value)?;
            Some(evidence::modal(sample.id, sample.service(), Some(sample.report())))
        }
        "show_plan" => {
            Some(approvals::plan_view(&asked(&plan, first.evidence.scope.now, false), first.id, true))
        }
        "rollback_reject" => Some(approvals::reason_form(false, &plan, APPROVAL)),
        "rollback_break_glass" => Some(approvals::reason_form(true, &plan, APPROVAL)),
        "feedback_other" => Some(feedback::form("{}")),
        "investigate" => Some(views::investigate_form("{}")),
        _ => None,
    }
}
