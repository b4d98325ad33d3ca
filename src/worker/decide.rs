//! A click on a button: who may do what, decided by the domain on what is known now.

use std::collections::BTreeSet;

use super::headline::note;
use super::{Bench, Done, feedback, report, roll_back};
use crate::domain::approval::{self, Authorship, Click, Decision, Known, Refusal, Request, Rules};
use crate::domain::audit::Entry;
use crate::domain::incident::{IncidentId, State};
use crate::domain::machine;
use crate::domain::redact;
use crate::domain::scorecard::Word;
use crate::fail_points::Point;
use crate::slack::approvals;
use crate::slack::evidence;
use crate::slack::messages::Message;
use crate::store::{Approval, Claim, ClickedButton, Decided, EndPressed, GRACE, JobKind};

/// Answers one click.
///
/// # Errors
/// Where the store or Slack fails; a decision that was made stays made.
pub async fn decide(bench: &Bench, click: &ClickedButton) -> anyhow::Result<Done> {
    bench.fail_points.pass(Point::ClickTaken).await;
    match click.action_id.as_str() {
        _ if click.decides() && is_too_early(bench, click).await? => return Ok(Done::Again(GRACE)),
        "rollback_approve" => change(bench, click, Press::Approve).await?,
        "rollback_reject" => change(bench, click, Press::Reject).await?,
        "rollback_break_glass" => change(bench, click, Press::BreakGlass).await?,
        approvals::END_TRIAL => end_now(bench, click).await?,
        "show_plan" => show_plan(bench, click).await?,
        "try_plan" => try_plan(bench, click).await?,
        "show_evidence" => show_evidence(bench, click).await?,
        "feedback_right" => feedback::keep(bench, click, Word::Right).await?,
        "feedback_wrong" => feedback::keep(bench, click, Word::Wrong).await?,
        "feedback_other" => feedback::keep(bench, click, Word::Other).await?,
        _ => tracing::warn!("a button that nobody knows"),
    }
    Ok(Done::Finished)
}

/// Whether the message with the button is in the channel and we do not know it yet: its outcome is
/// still being looked for. The click waits until the button's place is known.
async fn is_too_early(bench: &Bench, click: &ClickedButton) -> anyhow::Result<bool> {
    let Some(approval) = bench.store.approval(&click.value).await? else { return Ok(false) };
    Ok(approval.message_ts.is_none() && bench.store.is_under_way(&approval.id).await?)
}

/// A press that decides something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Press {
    Approve,
    Reject,
    BreakGlass,
}

impl Press {
    fn decision(self) -> Decision {
        match self {
            Self::Approve | Self::BreakGlass => Decision::Approved,
            Self::Reject => Decision::Rejected,
        }
    }
}

async fn change(bench: &Bench, click: &ClickedButton, press: Press) -> anyhow::Result<()> {
    // A click that was refused stays refused when its step runs again, whatever has changed since.
    if let Some(sentence) = bench.store.refusal_of(&click.delivery).await?.filter(|_| click.is_known()) {
        return tell(bench, click, &Message::plain(sentence)).await;
    }
    let Some(approval) = bench.store.approval(&click.value).await? else {
        return refuse(bench, click, None, &Refusal::NotKnown).await;
    };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    let decision = press.decision();
    if approval.decision.is_some() && bench.store.is_decided_by(&approval.id, &click.delivery).await? {
        // This very click decided in an earlier run of the step; what may be missing is its picture.
        return report::show_decision(bench, &approval.id).await;
    }
    let now = bench.clock.now();
    let rules = rules(bench, approval.plan.service.as_deref().unwrap_or(&row.service), press).await;
    let clicked =
        Click { user: &click.user, channel: &click.channel, message_ts: &click.message_ts, at: now };
    let askers = bench.store.askers(row.id).await?;
    let undone = match &approval.undoes {
        Some(undone) => bench.store.approval(undone).await?,
        None => None,
    };
    let mut request = Request {
        decided: approval.decision.map(|decision| (decision, approval.decided_by.as_deref())),
        expires_at: approval.expires_at,
        channel: approval.channel.as_deref(),
        message_ts: approval.message_ts.as_deref(),
        requested_by: &askers,
        approved_by: undone.as_ref().and_then(|undone| undone.decided_by.as_deref()),
        author: Authorship::Somebody,
    };
    let reason = click.reason.as_deref().map(redact::text).filter(|reason| !reason.trim().is_empty());
    let mut allowed = match press {
        Press::Approve => approval::may_approve(&clicked, &request, &rules),
        Press::BreakGlass => approval::may_break_glass(&clicked, &request, &rules, reason.as_deref()),
        Press::Reject => approval::may_decide(&clicked, &request, &rules),
    };
    if press == Press::Approve && allowed.is_ok() && rules.two_person {
        // Asked last, because it may need Slack.
        request.author = authorship(bench, &approval, &click.user).await;
        allowed = approval::may_approve(&clicked, &request, &rules);
    }
    if press != Press::Reject && allowed.is_ok() {
        allowed = still_there(bench, click).await;
    }
    bench.fail_points.pass(Point::RulesKnown).await;
    if let Err(refusal) = allowed {
        return refuse(bench, click, Some(&approval), &refusal).await;
    }
    let decided = Decided {
        decision,
        by: Some(&click.user),
        reason: reason.as_deref(),
        click: click.is_known().then_some(click.delivery.as_str()),
        break_glass: press == Press::BreakGlass,
    };
    match bench.store.decide(&approval, &decided, now).await? {
        Claim::Won => {
            let how = if decision == Decision::Rejected { "rejected" } else { "approved" };
            bench.metrics.count_of("approvals_decided", how);
            bench.wake.notify_one();
            bench.fail_points.pass(Point::Decided).await;
            report::show_decision(bench, &approval.id).await?;
            bench.fail_points.pass(Point::DecisionShown).await;
            Ok(())
        }
        Claim::Lost => {
            let current = bench.store.approval(&approval.id).await?;
            let refusal = match current.map(|current| (current.decision, current.decided_by)) {
                Some((Some(decision), Some(by))) => Refusal::AlreadyDecided { decision, by },
                Some((Some(decision), None)) => Refusal::Closed(decision),
                _ => Refusal::Closed(Decision::Superseded),
            };
            refuse(bench, click, Some(&approval), &refusal).await
        }
    }
}

/// Whether the message with the button is there: who deletes it takes the request back. Where Slack does not say,
/// nothing is approved.
async fn still_there(bench: &Bench, click: &ClickedButton) -> Result<(), Refusal> {
    let there = bench.slack.message_at(&click.channel, &click.message_ts, click.thread_ts.as_deref());
    match note(bench, there.await) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Refusal::MessageGone),
        Err(error) => {
            tracing::warn!(%error, "whether a button's message is still there cannot be read");
            Err(Refusal::MessageUnknown)
        }
    }
}

/// Writes the attempt down and tells whoever made it why it does not count.
async fn refuse(
    bench: &Bench,
    click: &ClickedButton,
    approval: Option<&Approval>,
    refusal: &Refusal,
) -> anyhow::Result<()> {
    tracing::info!(user = click.user, refusal = ?refusal, "a click is refused");
    bench.metrics.count("approvals_refused");
    let now = bench.clock.now();
    let entry = Entry {
        at: now,
        incident: approval.map(|approval| approval.incident),
        approval: approval.map(|approval| approval.id.clone()),
        actor: click.user.clone(),
        what: click.refused(refusal),
    };
    let line = format!("<@{}> tried to decide and was refused: {refusal}", click.user);
    bench.store.audit_refusal(&entry, &line, now).await?;
    tell(bench, click, &Message::plain(refusal.to_string())).await
}

/// The rules that hold for this service, groups resolved as far as this press needs them.
async fn rules(bench: &Bench, service: &str, press: Press) -> Rules {
    let config = &bench.settings.config;
    let nobody = || Ok(BTreeSet::new());
    let alone = press == Press::BreakGlass;
    Rules {
        approvers: if alone { nobody() } else { people(bench, config.approvers_of(service)).await },
        two_person: config.approvals.two_person,
        break_glass: if alone { people(bench, &config.approvals.break_glass).await } else { nobody() },
    }
}

/// Slack users, groups resolved. `Err` names the group that could not be.
async fn people(bench: &Bench, list: &[String]) -> Result<BTreeSet<String>, String> {
    let mut users = BTreeSet::new();
    for one in list {
        if one.starts_with('S') {
            match note(bench, bench.slack.group_members(one).await) {
                Ok(members) => users.extend(members),
                Err(error) => {
                    tracing::warn!(group = one, error = %error, "a user group cannot be read");
                    return Err(one.clone());
                }
            }
        } else {
            users.insert(one.clone());
        }
    }
    Ok(users)
}

/// Whether who clicked made the change: by the configuration, else by the e-mail address that is the
/// session's name.
async fn authorship(bench: &Bench, approval: &Approval, user: &str) -> Authorship {
    let Some(arn) = approval.plan.author.as_deref() else { return Authorship::Somebody };
    let config = &bench.settings.config;
    if config.approvals.pipelines.iter().any(|role| role == arn || machine::is_same_role(role, arn)) {
        return Authorship::Somebody;
    }
    let session = arn.rsplit('/').next().unwrap_or_default();
    let known = match config.person_of(arn) {
        Some(person) => Known::Person(person.to_owned()),
        None if session.contains('@') => Known::Address(session.to_owned()),
        None => Known::Nothing,
    };
    let address = match &known {
        Known::Address(_) => note(bench, bench.slack.email_of(user).await).map_err(|error| {
            tracing::warn!(user, error = %error, "an e-mail address cannot be read");
        }),
        _ => Ok(None),
    };
    let address = match &address {
        Ok(own) => Ok(own.as_deref()),
        Err(()) => Err(()),
    };
    approval::authorship(arn, &known, user, address)
}

/// Ends a test before its time, which restores what was there before it.
async fn end_now(bench: &Bench, click: &ClickedButton) -> anyhow::Result<()> {
    if let Some(sentence) = bench.store.refusal_of(&click.delivery).await?.filter(|_| click.is_known()) {
        return tell(bench, click, &Message::plain(sentence)).await;
    }
    let trial = bench.store.approval(&click.value).await?.filter(|one| one.plan.design().is_some());
    let Some(trial) = trial else { return refuse(bench, click, None, &Refusal::NotKnown).await };
    let Some(row) = bench.store.incident_row(trial.incident).await? else { return Ok(()) };
    let place = bench.store.place_of(row.id, &super::trial::purpose(&trial)).await?;
    let is_here = place.is_some_and(|(channel, ts)| channel == click.channel && ts == click.message_ts);
    let runs = row.state == State::Trying && bench.store.trial_end(&trial).await?.is_none();
    let service = trial.plan.service.as_deref().unwrap_or(&row.service);
    let mut rules = rules(bench, service, Press::Reject).await;
    rules.break_glass = people(bench, &bench.settings.config.approvals.break_glass).await;
    let allowed = match (is_here, runs) {
        (false, _) => Err(Refusal::WrongMessage),
        (true, false) => Err(Refusal::TrialOver),
        (true, true) => approval::may_end(&click.user, &rules),
    };
    if let Err(refusal) = allowed {
        return refuse(bench, click, Some(&trial), &refusal).await;
    }
    let pressed = EndPressed { by: click.user.clone(), click: click.delivery.clone() };
    let job = JobKind::EndTrial { approval: trial.id.clone(), pressed: Some(pressed) };
    bench.store.enqueue(&job, Some(row.id), bench.clock.now()).await?;
    bench.wake.notify_one();
    Ok(())
}

async fn show_plan(bench: &Bench, click: &ClickedButton) -> anyhow::Result<()> {
    let Some(approval) = bench.store.approval(&click.value).await? else { return Ok(()) };
    let message = approvals::plan(approval.incident, &approval.plan, approval.expires_at);
    tell(bench, click, &message).await
}

/// Looks whether the plan could be carried out now, and changes nothing.
async fn try_plan(bench: &Bench, click: &ClickedButton) -> anyhow::Result<()> {
    let Some(approval) = bench.store.approval(&click.value).await? else { return Ok(()) };
    let Some(channel) = approval.channel.clone() else { return Ok(()) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    let service = approval.plan.service.as_deref().unwrap_or(&row.service);
    let there = ClickedButton { channel, thread_ts: row.thread_ts.clone(), ..click.clone() };
    let askers = bench.store.askers(row.id).await?;
    let mut rules = rules(bench, service, Press::Approve).await;
    rules.break_glass = people(bench, &bench.settings.config.approvals.break_glass).await;
    if let Err(refusal) = approval::may_try(&click.user, &askers, &rules) {
        return refuse(bench, &there, Some(&approval), &refusal).await;
    }
    if approval.decision.is_some() {
        return tell(bench, &there, &Message::plain("This request is decided; there is nothing to try."))
            .await;
    }
    let found = match roll_back::look(bench, &approval, Some(&click.user)).await? {
        Ok(()) => "everything that the plan starts from is there, and so is what it goes back to. \
                   Nothing was changed."
            .to_owned(),
        Err(obstacle) => format!("it could not be carried out now: {obstacle}. Nothing was changed."),
    };
    let at = bench.clock.now().strftime("%H:%M:%S UTC");
    let sentence = format!("{}: tried without effect at {at}: {found}", approval.incident);
    tell(bench, &there, &Message::plain(sentence)).await
}

async fn show_evidence(bench: &Bench, click: &ClickedButton) -> anyhow::Result<()> {
    let Ok(id) = click.value.parse::<IncidentId>() else { return Ok(()) };
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(()) };
    let Some(report) = &row.report else { return Ok(()) };
    tell(bench, click, &evidence::message(id, report)).await
}

/// Answers whoever clicked, where they clicked, so that only they see it.
async fn tell(bench: &Bench, click: &ClickedButton, message: &Message) -> anyhow::Result<()> {
    let thread = click.thread_ts.as_deref();
    note(bench, bench.slack.tell(&click.channel, thread, &click.user, message).await)
}
