//! Carrying an approved change out, as decisions: look, send or read back, and what that comes to.
//!
//! The rule that is not obvious: whether the call may leave again hangs on who checks what it starts from. Where
//! AWS does, by the revision that the call names, a second call can change nothing that the first has changed.
//! Where only the bot looks, right before, a call leaves once, and its silence is waited out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::rollback::RollbackTarget;

/// How long the changing call waits for its answer. An alias answers at once; an environment settles in seconds.
pub const APPLY_WITHIN: Duration = Duration::from_secs(30);
/// A call leaves at the latest when its answer is given up, and is on the network for seconds at most.
const IN_TRANSIT: SignedDuration = SignedDuration::from_secs(40);
/// AWS refuses a request that arrives more than five minutes after it was signed (Signature Version 4).
const SIGNED_FOR: SignedDuration = SignedDuration::from_mins(5);
/// How often what may still be on its way is looked for.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// How often AWS is asked again where it cannot be read, and where the wait is long.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// Beyond this a person has to look at what became of a call that left.
const UNKNOWN_FOR: SignedDuration = SignedDuration::from_mins(30);

/// Who checks, when the call arrives, that what the plan starts from is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// AWS: the call names a revision, a deployment or a number, and is refused where that has moved.
    Aws,
    /// Nobody: the bot looks right before, and a call that arrives late changes whatever is there then.
    Nobody,
}

/// Who guards this step.
pub fn guard(target: &RollbackTarget) -> Guard {
    match target {
        // A revision, compared by Lambda; a deployment, which can be ended once.
        RollbackTarget::LambdaAlias { .. }
        | RollbackTarget::LambdaConfiguration { .. }
        | RollbackTarget::EcsService { deployment: Some(_), .. }
        | RollbackTarget::AppConfig { .. }
        // The number of the newest deployment, compared by AppConfig.
        | RollbackTarget::AppConfigVersion { latest: Some(_), .. } => Guard::Aws,
        RollbackTarget::EcsService { deployment: None, .. }
        | RollbackTarget::SsmParameter { .. }
        | RollbackTarget::LambdaConcurrency { .. }
        | RollbackTarget::AppConfigVersion { latest: None, .. } => Guard::Nobody,
    }
}

/// A call that left, as far as it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub at: Timestamp,
    /// The call was waited for until its deadline, and AWS did not answer. Else the process died meanwhile.
    pub unanswered: bool,
    pub guard: Guard,
}

impl Sent {
    /// From when on what it has not changed it never will.
    pub fn certain_at(&self) -> Timestamp {
        let wait = match self.guard {
            Guard::Aws => IN_TRANSIT,
            Guard::Nobody => IN_TRANSIT + SIGNED_FOR,
        };
        self.at.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

/// What AWS answered to the call, as far as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    Made,
    /// Refused, because what the plan starts from has moved.
    Moved {
        what: String,
    },
    Refused {
        why: String,
    },
    /// None in time.
    None {
        why: String,
    },
}

impl Answer {
    /// The same of a call that was sent a second time: that it was refused says nothing about the first, which
    /// may be why.
    #[must_use]
    pub fn of_second(self) -> Self {
        match self {
            Self::Moved { what: why } | Self::Refused { why } => Self::None { why },
            other => other,
        }
    }
}

/// What is to be done now for an approved change whose call has no answer on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look whether the plan still holds, mark it as sent, and send it.
    Send,
    /// It was marked: read back what AWS holds.
    ReadBack(Sent),
    /// The approval lies too far back; nothing left.
    TooLate,
}

pub fn next(sent: Option<Sent>, expires_at: Timestamp, now: Timestamp) -> Next {
    match sent {
        Some(sent) => Next::ReadBack(sent),
        None if now >= expires_at => Next::TooLate,
        None => Next::Send,
    }
}

/// What reading back showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// As the plan wants it.
    Restored,
    /// AWS's own mark (revision, version, deployment) is the plan's: nothing touched it since.
    Untouched,
    /// As it was when the plan was made, or something else; and by its mark, where it has one, it was changed.
    Changed,
    Unreadable,
}

/// Whose call changed it, by what AWS has written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// The bot's, under this approval.
    Ours,
    /// Somebody else's; the bot's changed nothing.
    Another,
    /// Nothing tells yet.
    Unknown,
}

/// What became of an approval's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The call changed it, and that stands.
    Made,
    /// The call changed it, and something else has changed it since.
    Overtaken,
    /// It is as the plan wants it by somebody else's hand; the call changed nothing.
    ByAnother,
    /// It is as the plan wants it, and nothing tells by whose hand.
    InPlace,
    /// The call changed nothing.
    NotMade,
    /// It is not as the plan wants it, and nothing tells whether the call changed it in between.
    Unclear,
    /// It cannot be read: a person has to look.
    Unknown,
}

impl Effect {
    /// Whether the plan's state is there, so that it can be seen whether it helps.
    pub fn is_in_place(self) -> bool {
        matches!(self, Self::Made | Self::ByAnother | Self::InPlace)
    }

    /// Whether it may yet be known whose hand it was.
    pub fn is_open(self) -> bool {
        matches!(self, Self::InPlace | Self::Unclear)
    }

    /// Whether the bot's own call changed something; `None` where that is not known.
    pub fn was_made(self) -> Option<bool> {
        match self {
            Self::Made | Self::Overtaken => Some(true),
            Self::ByAnother | Self::NotMade => Some(false),
            Self::InPlace | Self::Unclear | Self::Unknown => None,
        }
    }

    /// The same once it is known whose hand it was.
    #[must_use]
    pub fn settled(self, hand: Hand) -> Self {
        match (self, hand) {
            (Self::InPlace, Hand::Ours) => Self::Made,
            (Self::InPlace, Hand::Another) => Self::ByAnother,
            (Self::Unclear, Hand::Ours) => Self::Overtaken,
            (Self::Unclear, Hand::Another) => Self::NotMade,
            (other, _) => other,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Overtaken => "overtaken",
            Self::ByAnother => "by_another",
            Self::InPlace => "in_place",
            Self::NotMade => "not_made",
            Self::Unclear => "unclear",
            Self::Unknown => "unknown",
        }
    }
}

/// What that comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Ended(Effect),
    /// Nothing has changed, and AWS itself refuses a second call once a first has arrived: it is sent again.
    SendAgain,
    /// To be read back again after this time.
    Open(SignedDuration),
}

/// Reads what was seen `now` of a call that left and whose answer is not known.
pub fn find(seen: Seen, hand: Hand, sent: Sent, expires_at: Timestamp, now: Timestamp) -> Finding {
    let on_its_way = now < sent.certain_at();
    let again = if sent.guard == Guard::Nobody { ASK_AGAIN } else { LOOK_AGAIN };
    match (seen, hand) {
        (Seen::Restored, hand) => Finding::Ended(Effect::InPlace.settled(hand)),
        // A process that died may not have come to sending it; one that waited for an answer did.
        (Seen::Untouched, _) if sent.guard == Guard::Aws && !sent.unanswered && now < expires_at => {
            Finding::SendAgain
        }
        (Seen::Untouched, _) if on_its_way => Finding::Open(again),
        (Seen::Untouched, _) => Finding::Ended(Effect::NotMade),
        (Seen::Changed, Hand::Ours) => Finding::Ended(Effect::Overtaken),
        // Where AWS guards it, a call whose start has moved can change nothing any more.
        (Seen::Changed, _) if on_its_way && sent.guard == Guard::Nobody => Finding::Open(again),
        (Seen::Changed, hand) => Finding::Ended(Effect::Unclear.settled(hand)),
        (Seen::Unreadable, _) if now.duration_since(sent.at) < UNKNOWN_FOR => Finding::Open(ASK_AGAIN),
        (Seen::Unreadable, _) => Finding::Ended(Effect::Unknown),
    }
}

#[cfg(test)]
mod tests;
