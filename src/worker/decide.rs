//! A click on a button: who may do what, decided by the domain on what is known now.

use std::collections::BTreeSet;

use super::headline::note;
use super::{Bench, Done, report};
use crate::domain::approval::{self, Click, Decision, Refusal, Request, Rules};
use crate::domain::incident::IncidentId;
use crate::slack::messages::{self, Message};
use crate::store::{Approval, Claim, ClickedButton, GRACE};

/// Answers one click.
///
/// # Errors
/// Where the store or Slack fails; a decision that was made stays made.
pub async fn decide(bench: &Bench, click: &ClickedButton) -> anyhow::Result<Done> {
    match click.action_id.as_str() {
        "rollback_approve" | "rollback_reject" if is_too_early(bench, click).await? => {
            return Ok(Done::Again(GRACE));
        }
        "rollback_approve" => change(bench, click, Decision::Approved).await?,
        "rollback_reject" => change(bench, click, Decision::Rejected).await?,
        "show_plan" => show_plan(bench, click).await?,
        "show_evidence" => show_evidence(bench, click).await?,
        other => tracing::warn!(action = other, "a button that nobody knows"),
    }
    Ok(Done::Finished)
}

/// Whether the message with the button is in the channel and we do not know it yet: its outcome is
/// still being looked for. The click waits until the button's place is known.
async fn is_too_early(bench: &Bench, click: &ClickedButton) -> anyhow::Result<bool> {
    let Some(approval) = bench.store.approval(&click.value).await? else { return Ok(false) };
    Ok(approval.message_ts.is_none() && bench.store.is_under_way(&approval.id).await?)
}

async fn change(bench: &Bench, click: &ClickedButton, decision: Decision) -> anyhow::Result<()> {
    let Some(approval) = bench.store.approval(&click.value).await? else {
        return tell(bench, click, &Message::plain("This request is not known here.")).await;
    };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    if approval.decision == Some(decision) && approval.decided_by.as_deref() == Some(click.user.as_str()) {
        // This very click was decided by an earlier run of the step; what may be missing is its picture.
        return report::show_decision(bench, &approval.id).await;
    }
    let now = bench.clock.now();
    let rules =
        Rules { approvers: approvers(bench).await, two_person: bench.settings.config.approvals.two_person };
    let author = author_of(bench, &approval, &rules).await;
    let clicked =
        Click { user: &click.user, channel: &click.channel, message_ts: &click.message_ts, at: now };
    let request = Request {
        decided: approval.decision.map(|decision| (decision, approval.decided_by.as_deref())),
        expires_at: approval.expires_at,
        channel: approval.channel.as_deref(),
        message_ts: approval.message_ts.as_deref(),
        requested_by: row.requested_by.as_deref(),
        author: author.as_deref(),
    };
    let allowed = match decision {
        Decision::Approved => approval::may_approve(&clicked, &request, &rules),
        _ => approval::may_decide(&clicked, &request, &rules),
    };
    if let Err(refusal) = allowed {
        tracing::info!(incident = %row.id, user = click.user, refusal = ?refusal, "a click is refused");
        bench.metrics.count("approvals_refused");
        let line = format!("<@{}> tried to decide and was refused: {refusal}", click.user);
        bench.store.note(row.id, &line, now).await?;
        return tell(bench, click, &refused(&refusal)).await;
    }
    match bench.store.decide(&approval, decision, Some(&click.user), click.reason.as_deref(), now).await? {
        Claim::Won => {
            bench.wake.notify_one();
            report::show_decision(bench, &approval.id).await
        }
        Claim::Lost => {
            let current = bench.store.approval(&approval.id).await?;
            let refusal = match current.and_then(|current| current.decision.zip(current.decided_by)) {
                Some((decision, by)) => Refusal::AlreadyDecided { decision, by },
                None => Refusal::Closed(Decision::Superseded),
            };
            tell(bench, click, &refused(&refusal)).await
        }
    }
}

fn refused(refusal: &Refusal) -> Message {
    Message::plain(refusal.to_string())
}

/// The Slack users who may approve, groups resolved. `Err` names the group that could not be.
async fn approvers(bench: &Bench) -> Result<BTreeSet<String>, String> {
    let mut users = BTreeSet::new();
    for approver in &bench.settings.config.approvals.approvers {
        if approver.starts_with('S') {
            match note(bench, bench.slack.group_members(approver).await) {
                Ok(members) => users.extend(members),
                Err(error) => {
                    tracing::warn!(group = approver, error = %error, "a user group cannot be read");
                    return Err(approver.clone());
                }
            }
        } else {
            users.insert(approver.clone());
        }
    }
    Ok(users)
}

/// The Slack user who made the change: by the configuration, else the approver whose e-mail address
/// is the session's name.
async fn author_of(bench: &Bench, approval: &Approval, rules: &Rules) -> Option<String> {
    let arn = approval.plan.author.as_deref()?;
    if let Some(person) = bench.settings.config.person_of(arn) {
        return Some(person.to_owned());
    }
    let session = arn.rsplit('/').next()?.to_lowercase();
    if !session.contains('@') {
        return None;
    }
    for user in rules.approvers.as_ref().ok()? {
        let email = bench.slack.email_of(user).await.ok().flatten();
        if email.is_some_and(|email| email.to_lowercase() == session) {
            return Some(user.clone());
        }
    }
    None
}

async fn show_plan(bench: &Bench, click: &ClickedButton) -> anyhow::Result<()> {
    let Some(approval) = bench.store.approval(&click.value).await? else { return Ok(()) };
    let message = messages::plan(approval.incident, &approval.plan, &approval.plan.target.as_command());
    tell(bench, click, &message).await
}

async fn show_evidence(bench: &Bench, click: &ClickedButton) -> anyhow::Result<()> {
    let Ok(id) = click.value.parse::<IncidentId>() else { return Ok(()) };
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(()) };
    let Some(report) = &row.report else { return Ok(()) };
    tell(bench, click, &messages::all_evidence(id, report)).await
}

/// Answers whoever clicked, where they clicked, so that only they see it.
async fn tell(bench: &Bench, click: &ClickedButton, message: &Message) -> anyhow::Result<()> {
    let thread = click.thread_ts.as_deref();
    note(bench, bench.slack.tell(&click.channel, thread, &click.user, message).await)
}
