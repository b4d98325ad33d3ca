//! The question which service an alert is about: posted in the alert's thread, said once more where nobody answers,
//! and answered by what it named itself where nobody does for long.

use jiff::SignedDuration;

use super::{Bench, Done, delivery};
use crate::slack::messages::Message;
use crate::slack::questions::{self, Asked, Ended};
use crate::store::{Owed, Question};

/// Who is on call acknowledges within five minutes, or the next one is called: that is how escalations are commonly
/// set up. What is not answered by then was not seen.
const REMINDED_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Ten more minutes for whoever was reminded. Then a look at the likeliest service is worth more than none.
const ANSWERED_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// Owes the question as it stands now.
///
/// # Errors
/// Where the database does not take it; it is tried again.
pub async fn show(bench: &Bench, id: i64) -> anyhow::Result<Done> {
    let Some(question) = bench.store.question(id).await? else { return Ok(Done::Finished) };
    let now = bench.clock.now();
    let remind_at = question.asked_at.saturating_add(REMINDED_AFTER)?;
    let until = question.asked_at.saturating_add(ANSWERED_WITHIN)?;
    let otherwise = otherwise(&question);
    if question.answer.is_none() && now >= until {
        bench.store.fall_back(id, &otherwise, now).await?;
        bench.metrics.count("questions_unanswered");
        // The answer is shown by the job that it queued.
        bench.wake.notify_one();
        return Ok(Done::Finished);
    }
    let is_open = question.candidates.is_empty();
    let known = bench.settings.config.services.iter().map(|service| service.name.clone());
    let offered =
        if is_open { known.take(questions::OFFERED_MAX).collect() } else { question.candidates.clone() };
    let asked = Asked {
        id,
        alert_name: question.alert.as_ref().and_then(|alert| alert.alert_name.as_deref()),
        offered: &offered,
        is_open,
        otherwise: &otherwise,
        until,
    };
    let ended = question.answer.as_ref().map(|answer| Ended {
        service: answer.service.as_deref(),
        by: answer.by.as_deref(),
        at: answer.at,
        incident: answer.incident,
    });
    if bench.slack.is_configured() {
        let news = owe(bench, &question, "", &questions::question(&asked, ended.as_ref())).await?;
        if news && question.answer.as_ref().is_some_and(|answer| answer.by.is_some()) {
            bench.metrics.count("questions_answered");
        }
        if ended.is_none() && now >= remind_at {
            owe(bench, &question, "/reminder", &questions::reminder(&asked)).await?;
        }
    }
    Ok(match ended {
        Some(_) => Done::Finished,
        None => Done::Again((if now < remind_at { remind_at } else { until }).duration_since(now)),
    })
}

/// What the alert is taken to be about where nobody says: the first that fits, else what it names itself.
fn otherwise(question: &Question) -> String {
    let named = || {
        let alert = question.alert.as_ref()?;
        let metric = alert.metric.clone().unwrap_or_default();
        [alert.service.clone(), metric].into_iter().find(|name| !name.trim().is_empty())
    };
    question.candidates.first().cloned().or_else(named).unwrap_or_else(|| "unknown service".to_owned())
}

/// True where that is news.
async fn owe(bench: &Bench, question: &Question, part: &str, message: &Message) -> anyhow::Result<bool> {
    let owed = Owed {
        purpose: format!("question/{}{part}", question.id),
        incident: None,
        channel: question.channel.clone(),
        thread_ts: question.thread_ts.clone(),
        body: message.to_json(),
        image: None,
        approval: None,
    };
    Ok(delivery::put(bench, &owed).await?)
}
