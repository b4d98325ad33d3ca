//! Who may approve a change: decided here, purely, before anything is touched.
//!
//! The rule that is not obvious: deny by default. Whatever cannot be established (a group that
//! Slack does not answer for, an approver list that is empty) is a refusal with a sentence.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approved,
    Rejected,
    Expired,
    /// A newer look at the incident replaced the plan.
    Superseded,
}

impl Decision {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

/// What is known about a click when it is decided.
#[derive(Debug, Clone)]
pub struct Click<'a> {
    /// Slack user id of who clicked.
    pub user: &'a str,
    pub channel: &'a str,
    pub message_ts: &'a str,
    pub at: Timestamp,
}

/// What is known about the approval that the click names.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub decided: Option<(Decision, Option<&'a str>)>,
    pub expires_at: Timestamp,
    /// Where the button was posted; `None` where it never was.
    pub channel: Option<&'a str>,
    pub message_ts: Option<&'a str>,
    /// Slack user ids of all who asked for the investigation.
    pub requested_by: &'a BTreeSet<String>,
    /// Slack user id of who approved the change that would be taken back, where it is one of the bot's.
    pub approved_by: Option<&'a str>,
    pub author: Authorship,
}

/// Who made the change that would be undone, seen from whoever clicks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorship {
    Clicker,
    /// Somebody else, a pipeline, which is nobody, or nobody that AWS names.
    Somebody,
    /// It has an author, and Slack does not say whether it is this person.
    Unknown,
    /// A person by all that AWS shows, of whom nothing says who that is in Slack: the ARN.
    Unmapped(String),
}

/// Who an identity of AWS is in Slack, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// By the configuration.
    Person(String),
    /// It goes by an e-mail address, which may be the clicker's.
    Address(String),
    /// Neither.
    Nothing,
}

/// Whether `user` made the change. `address` is the user's own e-mail address: `Err` where Slack does not answer.
pub fn authorship(arn: &str, known: &Known, user: &str, address: Result<Option<&str>, ()>) -> Authorship {
    match (known, address) {
        (Known::Person(person), _) if person == user => Authorship::Clicker,
        (Known::Person(_), _) => Authorship::Somebody,
        (Known::Address(_), Err(())) => Authorship::Unknown,
        (Known::Address(author), Ok(Some(own))) if author.eq_ignore_ascii_case(own) => Authorship::Clicker,
        (Known::Address(_), Ok(Some(_))) => Authorship::Somebody,
        // Whose address Slack does not show may be anybody.
        (Known::Address(_), Ok(None)) | (Known::Nothing, _) => Authorship::Unmapped(arn.to_owned()),
    }
}

/// The rules in force.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Slack user ids, groups already resolved. `Err` says which group could not be resolved.
    pub approvers: Result<BTreeSet<String>, String>,
    pub two_person: bool,
    /// Who may approve alone, groups resolved; empty: nobody.
    pub break_glass: Result<BTreeSet<String>, String>,
}

/// A private sentence for whoever clicked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("This request is not known here.")]
    NotKnown,
    #[error("This button belongs to another message. Use the one in the incident's own thread.")]
    WrongMessage,
    #[error("The message with this button was deleted. `/investigate again` makes a new one.")]
    MessageGone,
    #[error("Already {} by <@{by}>. Nothing more is to be done here.", decision.as_str())]
    AlreadyDecided { decision: Decision, by: String },
    #[error("This request is {} and can no longer be decided.", .0.as_str())]
    Closed(Decision),
    #[error(
        "This request expired at {}. `/investigate again` makes a new one.",
        .0.strftime("%Y-%m-%d %H:%M:%S UTC")
    )]
    Expired(Timestamp),
    #[error("Nobody is configured as an approver. Set `approvers` under `[approvals]`.")]
    NobodyMayApprove,
    #[error("Slack does not say who is in {0}, so nobody can be let through. Try again in a minute.")]
    GroupUnknown(String),
    #[error("You are not on the list of approvers of this service.")]
    NotAnApprover,
    #[error("Nobody may break the glass here: `break_glass` under `[approvals]` is empty.")]
    NoGlass,
    #[error("You are not on the list of those who may approve alone.")]
    MayNotBreakGlass,
    #[error("Approving alone needs a reason: it is posted and kept.")]
    NoReason,
    #[error("You asked for this investigation; with the two-person rule somebody else approves.")]
    Requester,
    #[error("You made the change that would be undone; with the two-person rule somebody else approves.")]
    Author,
    #[error("Slack does not say whether you made the change that would be undone. Try again in a minute.")]
    AuthorUnknown,
    #[error(
        "AWS names {0} as who made the change that would be undone, and nothing here says who that is in Slack. Add it to a `[[person]]` in the configuration, or to `pipelines` under `[approvals]` where it is nobody; until then only who may approve alone can."
    )]
    AuthorUnmapped(String),
    #[error(
        "You approved the rollback that would be taken back; with the two-person rule somebody else approves."
    )]
    ApprovedIt,
    #[error("Slack does not say whether the message with this button is still there. Try again in a minute.")]
    MessageUnknown,
    #[error("Trying a plan is for approvers of this service and for who asked for the investigation.")]
    MayNotTry,
    #[error("The test is over, or is just being ended.")]
    TrialOver,
    #[error("This press arrived a second time; it counts once.")]
    Replayed,
    #[error(
        "This press is more than five minutes old by this machine's clock, so it does not count. Press the button \
         again; where that is refused too, the clock is wrong."
    )]
    TooOld,
}

impl Refusal {
    /// One word for the audit trail.
    pub fn name(&self) -> &'static str {
        match self {
            Self::WrongMessage => "wrong_message",
            Self::MessageGone => "message_gone",
            Self::AlreadyDecided { .. } => "already_decided",
            Self::Closed(_) => "closed",
            Self::Expired(_) => "expired",
            Self::NobodyMayApprove => "nobody_may_approve",
            Self::GroupUnknown(_) => "group_unknown",
            Self::NotAnApprover => "not_an_approver",
            Self::NoGlass => "no_break_glass",
            Self::MayNotBreakGlass => "may_not_break_glass",
            Self::NoReason => "no_reason",
            Self::Requester => "requester",
            Self::Author => "author",
            Self::AuthorUnknown => "author_unknown",
            Self::AuthorUnmapped(_) => "author_unmapped",
            Self::ApprovedIt => "approved_it",
            Self::MessageUnknown => "message_unknown",
            Self::MayNotTry => "may_not_try",
            Self::TrialOver => "trial_over",
            Self::Replayed => "replayed",
            Self::TooOld => "too_old",
            Self::NotKnown => "not_known",
        }
    }
}

/// Whether this click may approve this request.
///
/// # Errors
/// The first reason why not, as a sentence for the person.
pub fn may_approve(click: &Click<'_>, request: &Request<'_>, rules: &Rules) -> Result<(), Refusal> {
    may_decide(click, request, rules)?;
    if rules.two_person {
        if request.requested_by.contains(click.user) {
            return Err(Refusal::Requester);
        }
        if request.approved_by == Some(click.user) {
            return Err(Refusal::ApprovedIt);
        }
        match &request.author {
            Authorship::Clicker => return Err(Refusal::Author),
            Authorship::Unknown => return Err(Refusal::AuthorUnknown),
            Authorship::Unmapped(arn) => return Err(Refusal::AuthorUnmapped(arn.clone())),
            Authorship::Somebody => {}
        }
    }
    Ok(())
}

/// Whether this click may approve alone, with this reason: who asked or made the change may too.
///
/// # Errors
/// The first reason why not, as a sentence for the person.
pub fn may_break_glass(
    click: &Click<'_>,
    request: &Request<'_>,
    rules: &Rules,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    still_open(click, request)?;
    match &rules.break_glass {
        Err(group) => return Err(Refusal::GroupUnknown(group.clone())),
        Ok(people) if people.is_empty() => return Err(Refusal::NoGlass),
        Ok(people) if !people.contains(click.user) => return Err(Refusal::MayNotBreakGlass),
        Ok(_) => {}
    }
    match reason {
        Some(reason) if !reason.trim().is_empty() => Ok(()),
        _ => Err(Refusal::NoReason),
    }
}

/// Whether this click may reject: any approver, also who asked or made the change.
///
/// # Errors
/// The first reason why not, as a sentence for the person.
pub fn may_decide(click: &Click<'_>, request: &Request<'_>, rules: &Rules) -> Result<(), Refusal> {
    still_open(click, request)?;
    is_approver(click.user, rules)
}

fn is_approver(user: &str, rules: &Rules) -> Result<(), Refusal> {
    match &rules.approvers {
        Err(group) => Err(Refusal::GroupUnknown(group.clone())),
        Ok(approvers) if approvers.is_empty() => Err(Refusal::NobodyMayApprove),
        Ok(approvers) if !approvers.contains(user) => Err(Refusal::NotAnApprover),
        Ok(_) => Ok(()),
    }
}

/// Whether somebody may end a test before its time: any approver, and who may approve alone. Who asked or made the
/// change may too: ending it restores what was there.
///
/// # Errors
/// The reason why not, as a sentence for the person.
pub fn may_end(user: &str, rules: &Rules) -> Result<(), Refusal> {
    if matches!(&rules.break_glass, Ok(people) if people.contains(user)) {
        return Ok(());
    }
    is_approver(user, rules)
}

/// Whether somebody may have AWS looked at for a plan: any approver, who may approve alone, and who asked.
///
/// # Errors
/// The reason why not, as a sentence for the person.
pub fn may_try(user: &str, askers: &BTreeSet<String>, rules: &Rules) -> Result<(), Refusal> {
    let on = |list: &Result<BTreeSet<String>, String>| matches!(list, Ok(people) if people.contains(user));
    if askers.contains(user) || on(&rules.approvers) || on(&rules.break_glass) {
        return Ok(());
    }
    match &rules.approvers {
        Err(group) => Err(Refusal::GroupUnknown(group.clone())),
        Ok(_) => Err(Refusal::MayNotTry),
    }
}

/// Whether the request can be decided by anybody, on this message.
fn still_open(click: &Click<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    if request.channel != Some(click.channel) || request.message_ts != Some(click.message_ts) {
        return Err(Refusal::WrongMessage);
    }
    match request.decided {
        Some((decision, Some(by))) => return Err(Refusal::AlreadyDecided { decision, by: by.to_owned() }),
        Some((decision, None)) => return Err(Refusal::Closed(decision)),
        None => {}
    }
    if click.at >= request.expires_at {
        return Err(Refusal::Expired(request.expires_at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn click(user: &str) -> Click<'_> {
        Click { user, channel: "C1", message_ts: "1.2", at: at("2026-02-06T12:20:00Z") }
    }

    fn request() -> Request<'static> {
        static ASKED: LazyLock<BTreeSet<String>> = LazyLock::new(|| ["U-asked".to_owned()].into());
        Request {
            decided: None,
            expires_at: at("2026-02-06T12:50:00Z"),
            channel: Some("C1"),
            message_ts: Some("1.2"),
            requested_by: &ASKED,
            approved_by: None,
            author: Authorship::Somebody,
        }
    }

    fn rules() -> Rules {
        let approvers = ["U-ok", "U-asked", "U-author"].map(str::to_owned).into();
        Rules { approvers: Ok(approvers), two_person: true, break_glass: Ok(["U-alone".to_owned()].into()) }
    }

    #[test]
    fn an_approver_who_neither_asked_nor_changed_may() {
        assert_eq!(may_approve(&click("U-ok"), &request(), &rules()), Ok(()));
    }

    #[test]
    fn everybody_else_gets_a_reason() {
        assert_eq!(may_approve(&click("U-stranger"), &request(), &rules()), Err(Refusal::NotAnApprover));
        assert_eq!(may_approve(&click("U-asked"), &request(), &rules()), Err(Refusal::Requester));
        let mine = Request { author: Authorship::Clicker, ..request() };
        assert_eq!(may_approve(&click("U-author"), &mine, &rules()), Err(Refusal::Author));
    }

    #[test]
    fn who_approved_a_rollback_does_not_take_it_back_alone() {
        let mine = Request { approved_by: Some("U-ok"), ..request() };
        assert_eq!(may_approve(&click("U-ok"), &mine, &rules()), Err(Refusal::ApprovedIt));
        assert_eq!(may_decide(&click("U-ok"), &mine, &rules()), Ok(()), "rejecting it is anybody's");
    }

    #[test]
    fn an_author_of_whom_nothing_says_who_it_is_lets_nobody_through() {
        let arn = "arn:aws:iam::123456789012:user/alice";
        let author = |known: Known, address| authorship(arn, &known, "U-ok", address);
        let unmapped = Authorship::Unmapped(arn.to_owned());
        assert_eq!(author(Known::Nothing, Ok(Some("ok@shop.example"))), unmapped);
        assert_eq!(author(Known::Person("U-ok".into()), Err(())), Authorship::Clicker);
        assert_eq!(author(Known::Person("U-other".into()), Err(())), Authorship::Somebody);
        let address = || Known::Address("ok@shop.example".into());
        assert_eq!(author(address(), Ok(Some("OK@shop.example"))), Authorship::Clicker);
        assert_eq!(author(address(), Ok(Some("other@shop.example"))), Authorship::Somebody);
        assert_eq!(author(address(), Ok(None)), unmapped);
        assert_eq!(author(address(), Err(())), Authorship::Unknown);
        let theirs = Request { author: unmapped, ..request() };
        let refusal = may_approve(&click("U-ok"), &theirs, &rules()).unwrap_err();
        assert!(refusal.to_string().contains("`[[person]]`"), "{refusal}");
    }

    #[test]
    fn without_the_two_person_rule_the_author_may() {
        let rules = Rules { two_person: false, ..rules() };
        let mine = Request { author: Authorship::Clicker, ..request() };
        assert_eq!(may_approve(&click("U-author"), &mine, &rules), Ok(()));
    }

    #[test]
    fn a_click_counts_only_on_its_own_message() {
        let elsewhere = Click { channel: "C2", ..click("U-ok") };
        assert_eq!(may_approve(&elsewhere, &request(), &rules()), Err(Refusal::WrongMessage));
        let never_posted = Request { message_ts: None, ..request() };
        assert_eq!(may_approve(&click("U-ok"), &never_posted, &rules()), Err(Refusal::WrongMessage));
    }

    #[test]
    fn the_second_clicker_learns_who_was_first() {
        let decided = Request { decided: Some((Decision::Approved, Some("U-first"))), ..request() };
        let refusal = may_approve(&click("U-ok"), &decided, &rules()).unwrap_err();
        assert!(refusal.to_string().contains("<@U-first>"), "{refusal}");
    }

    #[test]
    fn an_expired_request_cannot_be_approved() {
        let late = Click { at: at("2026-02-06T12:50:00Z"), ..click("U-ok") };
        assert!(matches!(may_approve(&late, &request(), &rules()), Err(Refusal::Expired(_))));
    }

    #[test]
    fn the_glass_is_broken_by_few_and_with_a_reason() {
        let reason = Some("alone at night");
        let may = |user, reason| may_break_glass(&click(user), &request(), &rules(), reason);
        assert_eq!(may("U-alone", reason), Ok(()));
        assert_eq!(may("U-alone", Some(" ")), Err(Refusal::NoReason));
        assert_eq!(may("U-ok", reason), Err(Refusal::MayNotBreakGlass));
        let closed = Rules { break_glass: Ok(BTreeSet::new()), ..rules() };
        assert_eq!(may_break_glass(&click("U-alone"), &request(), &closed, reason), Err(Refusal::NoGlass));
        // Who may approve alone is no approver by that.
        assert_eq!(may_approve(&click("U-alone"), &request(), &rules()), Err(Refusal::NotAnApprover));
    }

    #[test]
    fn a_test_is_ended_by_any_approver_and_by_who_may_approve_alone_and_by_nobody_else() {
        for user in ["U-ok", "U-asked", "U-author", "U-alone"] {
            assert_eq!(may_end(user, &rules()), Ok(()), "{user}");
        }
        assert_eq!(may_end("U-stranger", &rules()), Err(Refusal::NotAnApprover));
        let unknown = Rules { approvers: Err("S222".into()), ..rules() };
        assert_eq!(may_end("U-ok", &unknown), Err(Refusal::GroupUnknown("S222".into())));
    }

    #[test]
    fn what_cannot_be_established_is_refused() {
        let somebody = Request { author: Authorship::Unknown, ..request() };
        assert_eq!(may_approve(&click("U-ok"), &somebody, &rules()), Err(Refusal::AuthorUnknown));
        let unknown = Rules { approvers: Err("S222".into()), ..rules() };
        assert_eq!(
            may_approve(&click("U-ok"), &request(), &unknown),
            Err(Refusal::GroupUnknown("S222".into()))
        );
        let nobody = Rules { approvers: Ok(BTreeSet::new()), ..rules() };
        assert_eq!(may_approve(&click("U-ok"), &request(), &nobody), Err(Refusal::NobodyMayApprove));
    }
}
