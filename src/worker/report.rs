//! Telling people: the result as one new message in the thread, then the chart.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::delivery::{self, Image};
use super::headline;
use super::{Bench, Done, offer};
use crate::chart::{self, ChartInput, Mark, MarkKind};
use crate::domain::incident::IncidentId;
use crate::domain::report::{Report, Symptoms};
use crate::fail_points::Point;
use crate::slack::approvals::{
    Asked, DecidedView, OwnerAsked, approved_alone, decided_line, owner_asked, undo_offer,
};
use crate::slack::messages::{self, Message, ResultView};
use crate::store::{Approval, IncidentRow, Owed, StoreError};

/// How much of ordinary life the chart shows before the story begins.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(40);

/// Owes the result of this round, with the button where a plan waits for approval, and then the chart.
///
/// # Errors
/// Where it cannot be stored. A second run changes nothing.
pub async fn report(bench: &Bench, id: IncidentId, round: i64) -> anyhow::Result<Done> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    if row.round != round || !bench.slack.is_configured() {
        return Ok(Done::Finished);
    }
    headline::refresh(bench, id, &[], None).await?;
    let channel = row.channel.as_deref().or_else(|| bench.settings.config.channel_for(&row.service));
    let (Some(channel), Some(report)) = (channel, &row.report) else { return Ok(Done::Finished) };
    let pending = bench.store.pending_approval(id).await?;
    owe_result(bench, &row, channel, pending.as_ref().map(|approval| approval.id.clone())).await?;
    if let Some(approval) = &pending {
        ask_owner(bench, &row, channel, approval).await?;
    }
    let purpose = format!("chart/{round}");
    if !bench.store.is_owed(id, &purpose).await? && !bench.store.is_storm().await? {
        match chart(&row, report).await {
            Ok(Some(image)) => delivery::owe_image(bench, id, channel, &purpose, image).await?,
            Ok(None) => {}
            // The verdict stands without its picture.
            Err(error) => {
                tracing::warn!(incident = %id, error = %format!("{error:#}"), "the chart could not be drawn");
            }
        }
    }
    bench.fail_points.pass(Point::ReportOwed).await;
    Ok(Done::Finished)
}

fn result_purpose(round: i64) -> String {
    format!("result/{round}")
}

/// Owes the result as things stand now: the report, and how the approval stands that it asked for.
async fn owe_result(
    bench: &Bench,
    row: &IncidentRow,
    channel: &str,
    pending: Option<String>,
) -> anyhow::Result<()> {
    let Some(report) = &row.report else { return Ok(()) };
    let purpose = result_purpose(row.round);
    // An older round's approval has no place here.
    let asked = match bench.store.approval_on(row.id, &purpose).await? {
        Some(asked) => Some(asked),
        None => pending,
    };
    let approval = match &asked {
        Some(asked) => bench.store.approval(asked).await?,
        None => None,
    };
    let line = approval.as_ref().and_then(decided);
    let message = messages::result(&ResultView {
        id: row.id,
        round: row.round,
        voices: bench.store.voices(row.id, row.round).await?,
        report,
        plan: approval.as_ref().map(|approval| self::asked(bench, approval)),
        not_offered: row.not_offered.as_deref(),
        decided: line.as_deref(),
    });
    delivery::owe(bench, row.id, channel, &purpose, &message, asked.as_deref()).await?;
    Ok(())
}

/// The chart of an incident, where there is anything to show.
async fn chart(row: &IncidentRow, report: &Report) -> anyhow::Result<Option<Image>> {
    let symptoms = shown(&row.symptoms, report);
    let input = chart_input(row, report, &symptoms);
    if input.symptoms.error_rate.is_empty() && input.symptoms.latency_p99.is_empty() {
        return Ok(None);
    }
    let alternative_text = chart::describe(&input);
    let svg = chart::svg(&input);
    let png = tokio::task::spawn_blocking(move || chart::png(&svg)).await.context("drawing")??;
    Ok(Some(Image {
        file_name: format!("{}.png", row.id),
        title: format!("{}: error rate and p99 latency", row.id),
        alternative_text,
        png,
    }))
}

/// The part of the series that tells the story: from some time before the change or the onset on.
fn shown(symptoms: &Symptoms, report: &Report) -> Symptoms {
    let onset = report.onset.map(|onset| onset.earliest);
    let change = report.verdict.change.as_ref().map(|change| change.at);
    // A change that waited for hours is marked in the chart's footnote rather than flattening the rest.
    let near = change.filter(|at| onset.is_none_or(|onset| onset.duration_since(*at) <= LOOK_BACK * 3));
    let Some(first) = onset.into_iter().chain(near).min() else { return symptoms.clone() };
    let from = first.saturating_sub(LOOK_BACK).unwrap_or(first);
    let cut = |points: &[(Timestamp, f64)]| -> Vec<(Timestamp, f64)> {
        points.iter().copied().filter(|(at, _)| *at >= from).collect()
    };
    Symptoms {
        error_rate: cut(&symptoms.error_rate),
        latency_p99: cut(&symptoms.latency_p99),
        requests: cut(&symptoms.requests),
        ..symptoms.clone()
    }
}

/// What the chart of an incident shows.
pub fn chart_input<'a>(row: &IncidentRow, report: &Report, symptoms: &'a Symptoms) -> ChartInput<'a> {
    let mut marks = vec![Mark { at: row.opened_at, label: "alert".into(), kind: MarkKind::Alert }];
    if let Some(change) = &report.verdict.change {
        let keys: Vec<String> = change
            .config
            .iter()
            .map(|key| {
                let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
                format!("{} {} → {}", key.key, side(&key.before), side(&key.after))
            })
            .collect();
        let label = if keys.is_empty() { change.resource.clone() } else { keys.join(", ") };
        marks.push(Mark { at: change.at, label, kind: MarkKind::Deployment });
    }
    ChartInput { title: format!("{} {}", row.id, row.service), symptoms, marks, onset: report.onset }
}

/// What a message shows of an approval that waits.
pub fn asked<'a>(bench: &Bench, approval: &'a Approval) -> Asked<'a> {
    Asked {
        break_glass: !bench.settings.config.approvals.break_glass.is_empty(),
        approval: &approval.id,
        plan: &approval.plan,
        expires_at: approval.expires_at,
        undoing: approval.undoes.is_some(),
    }
}

/// Asks the owner of the change, where that is another team: in its own channel, else in the thread. Once it is
/// decided, the same message says so.
async fn ask_owner(
    bench: &Bench,
    row: &IncidentRow,
    channel: &str,
    approval: &Approval,
) -> Result<(), StoreError> {
    let purpose = owner_purpose(&approval.id);
    let Some(elsewhere) = owners_channel(bench, approval).filter(|elsewhere| *elsewhere != channel) else {
        return ask_owner_here(bench, row, channel, approval, None).await;
    };
    let refused = bench.store.refusal(&purpose).await?;
    if let Some(message) = owners_message(bench, row, channel, approval, None) {
        // It belongs to no thread of this incident.
        delivery::put(bench, &owed_elsewhere(&purpose, elsewhere, &message)).await?;
    }
    match refused {
        Some(why) => ask_owner_here(bench, row, channel, approval, Some((elsewhere, &why))).await,
        None => Ok(()),
    }
}

/// Asks the owner in the incident's own thread; `refused` is the channel that Slack takes no message for, and why.
async fn ask_owner_here(
    bench: &Bench,
    row: &IncidentRow,
    channel: &str,
    approval: &Approval,
    refused: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    match owners_message(bench, row, channel, approval, refused) {
        Some(message) => {
            delivery::owe(bench, row.id, channel, &owner_purpose(&approval.id), &message, None).await
        }
        None => Ok(()),
    }
}

fn owners_message(
    bench: &Bench,
    row: &IncidentRow,
    channel: &str,
    approval: &Approval,
    refused: Option<(&str, &str)>,
) -> Option<Message> {
    let theirs = approval.plan.service.as_deref()?;
    let owner = offer::other_owner(&bench.settings.config, &row.service, theirs)?;
    let line = decided(approval);
    let asked = OwnerAsked {
        owner,
        theirs,
        service: &row.service,
        plan: &approval.plan,
        expires_at: approval.expires_at,
        undoing: approval.undoes.is_some(),
        channel,
        refused,
        decided: line.as_deref(),
    };
    Some(owner_asked(row.id, &asked))
}

fn owners_channel<'a>(bench: &'a Bench, approval: &Approval) -> Option<&'a str> {
    bench.settings.config.service(approval.plan.service.as_deref()?)?.channel.as_deref()
}

fn owner_purpose(approval: &str) -> String {
    format!("owner/{approval}")
}

/// Where Slack refuses what another team's owner was to be told in its own channel, the incident's thread tells it.
///
/// # Errors
/// Where it cannot be stored.
pub async fn owner_not_reached(bench: &Bench, message: &str, why: &str) -> Result<(), StoreError> {
    let Some(approval) = message.strip_prefix(&owner_purpose("")) else { return Ok(()) };
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(()) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    match (row.channel.as_deref(), owners_channel(bench, &approval)) {
        (Some(channel), Some(elsewhere)) => {
            ask_owner_here(bench, &row, channel, &approval, Some((elsewhere, why))).await
        }
        _ => Ok(()),
    }
}

fn owed_elsewhere(purpose: &str, channel: &str, message: &Message) -> Owed {
    Owed {
        purpose: purpose.to_owned(),
        incident: None,
        channel: channel.to_owned(),
        thread_ts: None,
        body: message.to_json(),
        image: None,
        approval: None,
    }
}

/// The line that replaces an approval's buttons, once it is decided.
fn decided(approval: &Approval) -> Option<String> {
    let (decision, at) = approval.decision.zip(approval.decided_at)?;
    Some(decided_line(&DecidedView {
        decision,
        by: approval.decided_by.as_deref(),
        at,
        reason: approval.reason.as_deref(),
        break_glass: approval.break_glass,
    }))
}

/// Replaces the buttons by who decided and when.
///
/// # Errors
/// Where it cannot be stored.
pub async fn show_decision(bench: &Bench, approval: &str) -> anyhow::Result<()> {
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(()) };
    if approval.break_glass {
        bench.fail_points.pass(Point::Alone).await;
        tell_alone(bench, &approval).await?;
    }
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    match row.channel.as_deref() {
        Some(channel) if approval.undoes.is_some() => owe_undo_offer(bench, &row, &approval, channel).await,
        Some(channel) => {
            ask_owner(bench, &row, channel, &approval).await?;
            refresh_result(bench, approval.incident).await
        }
        None => refresh_result(bench, approval.incident).await,
    }
}

/// Tells the thread who approved alone and why, once.
async fn tell_alone(bench: &Bench, approval: &Approval) -> anyhow::Result<()> {
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    let purpose = format!("alone/{}", approval.id);
    let (Some(by), Some(reason), Some(channel)) = (&approval.decided_by, &approval.reason, &row.channel)
    else {
        return Ok(());
    };
    if !bench.store.is_owed(row.id, &purpose).await? {
        let message = approved_alone(row.id, &approval.plan, by, reason);
        delivery::owe(bench, row.id, channel, &purpose, &message, None).await?;
    }
    Ok(())
}

/// Owes the message that offers to take a rollback back, or shows how that was decided.
pub async fn owe_undo_offer(
    bench: &Bench,
    row: &IncidentRow,
    approval: &Approval,
    channel: &str,
) -> anyhow::Result<()> {
    let purpose = format!("take_back/{}", approval.undoes.as_deref().unwrap_or_default());
    let message = undo_offer(approval.incident, &asked(bench, approval), decided(approval).as_deref());
    delivery::owe(bench, approval.incident, channel, &purpose, &message, Some(&approval.id)).await?;
    Ok(ask_owner(bench, row, channel, approval).await?)
}

/// Brings the result's message up to date with what is stored, where one was owed.
///
/// # Errors
/// Where it cannot be stored.
pub async fn refresh_result(bench: &Bench, id: IncidentId) -> anyhow::Result<()> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(()) };
    let channel = row.channel.as_deref().or_else(|| bench.settings.config.channel_for(&row.service));
    match channel {
        Some(channel) if bench.store.is_owed(id, &result_purpose(row.round)).await? => {
            owe_result(bench, &row, channel, None).await
        }
        _ => Ok(()),
    }
}
