//! The places between an alert and the end of its story at which a process can die, one number each.
//!
//! The rule that is not obvious: in production nothing is armed and passing costs one look at an empty
//! option. A test arms one point, and whoever comes to it stops there for good, as a process that was killed
//! does: nothing after it runs, nothing is cleaned up, and the test goes on with another process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

/// Where a process can die. The numbers never change: the first nineteen follow a click, the others are before it or
/// all along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Point {
    /// The click is stored, and nobody has looked at it.
    ClickTaken = 1,
    /// It is known who may decide, and nothing is decided.
    RulesKnown = 2,
    /// The decision is stored, and nobody sees it.
    Decided = 3,
    /// The decision is shown, and the click's job is not finished.
    DecisionShown = 4,
    /// The approved change is about to be looked at.
    Approved = 5,
    /// The plan was looked at and still holds.
    Checked = 6,
    /// 'Sent' is on disk, and the call has not left.
    Marked = 7,
    /// AWS answered, and nothing of that is stored.
    Answered = 8,
    /// The answer is in the trail, and its outcome is not stored.
    AnswerNoted = 9,
    /// The outcome is stored, and nobody was told.
    OutcomeStored = 10,
    /// People were told, and the job is not finished.
    OutcomeTold = 11,
    /// The change is in effect, and it is not judged.
    InEffect = 12,
    /// It is judged, and nobody was told.
    Judged = 13,
    /// People were told whether it helped, and the job is not finished.
    JudgementTold = 14,
    /// What AWS holds was read back, and nothing of that is stored.
    ReadBack = 15,
    /// When it took effect is stored, and the symptom is not looked at.
    EffectNoted = 16,
    /// Taking it back is asked for in the database, and nobody sees it.
    UndoAsked = 17,
    /// The decision is stored; that it was made alone is not told.
    Alone = 18,
    /// The time is over in the database, and the message still has its buttons.
    Expired = 19,
    /// The alert is stored, and its sender does not know it.
    AlertStored = 20,
    /// The headline is owed, and nothing is read.
    InvestigationBegun = 21,
    /// The evidence is read, and nothing of it is stored.
    Gathered = 22,
    /// The verdict is stored, and its job is not finished.
    Concluded = 23,
    /// The result is owed, and its job is not finished.
    ReportOwed = 24,
    /// The click is stored, and Slack does not know it.
    ClickStored = 25,
    /// It is noted that a message leaves, and it has not left.
    Leaving = 26,
    /// Slack has a message, and nothing of that is stored.
    Arrived = 27,
    /// A step is done, and its job still stands in the queue.
    StepDone = 28,
    /// A press or a form was signed and read, and nothing of it is stored or acknowledged.
    ClickArrived = 29,
    /// The form that asks why is open, and its press is not acknowledged.
    FormOpened = 30,
    /// The end of a test is asked for and decided, and its job is not finished.
    EndAsked = 31,
    /// That a test is over is stored, and nobody was told.
    TrialOver = 32,
    /// What was counted in a test is stored, and nobody was told.
    TrialRead = 33,
}

impl Point {
    /// Those that every alert comes by until its verdict is in the channel and somebody clicks.
    pub const UNTIL_A_CLICK: [Self; 6] = [
        Self::AlertStored,
        Self::InvestigationBegun,
        Self::Gathered,
        Self::Concluded,
        Self::ReportOwed,
        Self::ClickStored,
    ];

    /// Those that only some stories come by.
    pub const OF_OTHER_STORIES: [Self; 6] =
        [Self::ReadBack, Self::UndoAsked, Self::Alone, Self::Expired, Self::ClickArrived, Self::FormOpened];

    /// Those that every step and every message comes by.
    pub const ALL_ALONG: [Self; 3] = [Self::Leaving, Self::Arrived, Self::StepDone];

    pub fn all() -> impl Iterator<Item = Self> {
        let others = Self::OF_OTHER_STORIES.into_iter().chain(Self::ALL_ALONG).chain(Self::OF_A_TRIAL);
        Self::UNTIL_A_CLICK.into_iter().chain(Self::OF_A_RECOVERY).chain(others)
    }

    /// Those that every approved test comes by, once it has begun.
    pub const OF_A_TRIAL: [Self; 3] = [Self::EndAsked, Self::TrialOver, Self::TrialRead];

    /// Those that every approved change that helps comes by.
    pub const OF_A_RECOVERY: [Self; 15] = [
        Self::ClickTaken,
        Self::RulesKnown,
        Self::Decided,
        Self::DecisionShown,
        Self::Approved,
        Self::Checked,
        Self::Marked,
        Self::Answered,
        Self::AnswerNoted,
        Self::OutcomeStored,
        Self::OutcomeTold,
        Self::EffectNoted,
        Self::InEffect,
        Self::Judged,
        Self::JudgementTold,
    ];
}

/// Which point is armed; none by default.
#[derive(Debug, Clone, Default)]
pub struct FailPoints(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    point: Point,
    /// So many more pass it before one stops.
    passes: AtomicU32,
    reached: Arc<Notify>,
}

impl FailPoints {
    /// Whoever comes to this point stops there; `reached` is notified.
    pub fn armed(point: Point, reached: Arc<Notify>) -> Self {
        Self::armed_after(point, 0, reached)
    }

    /// The same, after so many have passed.
    pub fn armed_after(point: Point, passes: u32, reached: Arc<Notify>) -> Self {
        Self(Some(Arc::new(Armed { point, passes: AtomicU32::new(passes), reached })))
    }

    /// Goes on, or never, where this point is armed.
    pub(crate) async fn pass(&self, point: Point) {
        let Some(armed) = self.0.as_ref().filter(|armed| armed.point == point) else { return };
        let last = |left: u32| left.checked_sub(1);
        if armed.passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, last).is_err() {
            armed.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}
