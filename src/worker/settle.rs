//! Whose hand it was: looked for where no answer to a change ever came, until CloudTrail has had its time.
//!
//! The rule that is not obvious: nothing hangs on it but the truth. Whether what is in place helps is seen meanwhile.

use jiff::SignedDuration;

use super::roll_back::{say_once, trace};
use super::{Bench, Done};
use crate::domain::execution::{Effect, Hand};

/// When CloudTrail is asked, counted from the call: about when it delivers, and after that is past.
const ASKED_AFTER: [SignedDuration; 4] = [
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(10),
    SignedDuration::from_mins(16),
    SignedDuration::from_mins(60),
];

pub async fn settle(bench: &Bench, approval: &str) -> anyhow::Result<Done> {
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(Done::Finished) };
    let (Some(mut effect), Some(sent_at)) = (approval.effect, approval.sent_at) else {
        return Ok(Done::Finished);
    };
    if effect.is_open() {
        let now = bench.clock.now();
        let since = now.duration_since(sent_at);
        if since < ASKED_AFTER[0] {
            return Ok(Done::Again(ASKED_AFTER[0] - since));
        }
        let traced = trace(bench, &approval).await?;
        let next = ASKED_AFTER.into_iter().find(|after| *after > since);
        if let (Hand::Unknown, Some(next)) = (traced.hand, next) {
            return Ok(Done::Again(next - since));
        }
        effect = effect.settled(traced.hand);
        let words = format!("{} ({})", in_words(effect), traced.told);
        bench.store.settle(&approval, effect, &words, now).await?;
    }
    let words = format!("{}: {}.", approval.plan.what, in_words(effect));
    say_once(bench, &row, &format!("settled/{}", approval.id), &words).await?;
    Ok(Done::Finished)
}

fn in_words(effect: Effect) -> &'static str {
    match effect {
        Effect::Made => "it was the bot's call that made the change",
        Effect::Overtaken => "the bot's call was made, and something else changed it since",
        Effect::ByAnother => {
            "it was somebody else who did it, and the bot's call changed nothing, by all that AWS shows"
        }
        Effect::NotMade => "the bot's call changed nothing, by all that AWS shows",
        Effect::InPlace | Effect::Unclear | Effect::Unknown => "nothing tells by whose hand it was",
    }
}
