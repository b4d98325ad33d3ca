//! What people see of an approval: the buttons, the plan in full, and how it was decided.
//!
//! The rule that is not obvious: what a button does stands in its confirmation, so that nobody has to
//! remember which message it belongs to.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::messages::{Kind, Message, bullets, button, clock, context, header, section};
use super::text::{cut, escape, shorten};
use super::views::{modal, plain};
use crate::domain::approval::Decision;
use crate::domain::incident::IncidentId;
use crate::domain::plan::Plan;

/// `callback_id` of the form that asks why.
pub const REASON_FORM: &str = "rollback_reason";
/// Block and action of the reason in it.
pub const REASON: &str = "reason";
/// A reason is a sentence or two, in characters.
const REASON_MAX: usize = 500;
/// What a form shows of the plan, in characters.
const PLAN_LINE_MAX: usize = 1_000;

/// Longer commands hold a whole configuration; nobody types them from a form.
const COMMAND_MAX: usize = 2_000;

/// Slack's limit for a button's label, in characters; the title of its confirmation asks with it.
const LABEL_MAX: usize = 74;
/// Slack's limit for the text of a confirmation, in characters.
const CONFIRM_TEXT_MAX: usize = 300;

/// What approval is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The approval's id: what the buttons carry.
    pub approval: &'a str,
    pub plan: &'a Plan,
    pub expires_at: Timestamp,
    /// Whether it takes a rollback back.
    pub undoing: bool,
    /// Whether somebody may approve it alone.
    pub break_glass: bool,
}

/// The buttons of a plan that waits.
pub fn buttons(asked: &Asked<'_>) -> Vec<Value> {
    let (label, short) = match asked.plan.design() {
        Some(design) => (cut(&design.label(), LABEL_MAX), "Try it"),
        None if asked.undoing => ("Take it back".to_owned(), "Take it back"),
        None => ("Roll back".to_owned(), "Roll back"),
    };
    let mut approve = button("rollback_approve", &label, asked.approval);
    approve["style"] = json!("danger");
    let text = format!("{}. {}", asked.plan.what, asked.plan.effects.join(" "));
    approve["confirm"] = confirm(&label, &text, short);
    let mut all = vec![
        approve,
        button("rollback_reject", "Reject", asked.approval),
        button("show_plan", "Show plan", asked.approval),
    ];
    if asked.break_glass {
        all.push(button("rollback_break_glass", "Approve alone", asked.approval));
    }
    all
}

fn confirm(title: &str, text: &str, label: &str) -> Value {
    json!({
        "title": { "type": "plain_text", "text": format!("{title}?") },
        "text": { "type": "plain_text", "text": cut(text, CONFIRM_TEXT_MAX) },
        "confirm": { "type": "plain_text", "text": label },
        "deny": { "type": "plain_text", "text": "Not now" },
    })
}

/// A test that was begun.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// The id of the approval that it was begun under: what its button carries.
    pub approval: &'a str,
    /// That it was begun, in words.
    pub words: &'a str,
    /// When it ends by itself.
    pub until: Timestamp,
    /// When and how it ended, once it did.
    pub ended: Option<(Timestamp, &'a str)>,
}

/// `action_id` of the button that ends a test.
pub const END_TRIAL: &str = "trial_end";

/// A test under way, with a button that ends it; or how it ended.
pub fn running(id: IncidentId, view: &Running<'_>) -> Message {
    let text = shorten(&escape(view.words), PLAN_LINE_MAX, "(cut)");
    let mut blocks = vec![section(&text)];
    match view.ended {
        Some((at, how)) => {
            let how = format!("{} ({})", shorten(&escape(how), PLAN_LINE_MAX, "(cut)"), clock(at));
            blocks.push(context(&how));
        }
        None => {
            let until = clock(view.until);
            blocks.push(context(&format!("It ends by itself at {until}; an approver can end it now.")));
            let mut end = button(END_TRIAL, "End it now", view.approval);
            let what = format!("All of the traffic goes back at once. By itself that happens at {until}.");
            end["confirm"] = confirm("End the test now", &what, "End it now");
            blocks.push(json!({ "type": "actions", "elements": [end] }));
        }
    }
    Message { text: format!("{id}: {text}"), blocks, about: None }.of(Kind::Notice, id)
}

/// The form that asks why: for a rejection, or for an approval alone. `metadata` says what was pressed where.
pub fn reason_form(alone: bool, plan: &Plan, metadata: &str) -> Value {
    let (title, submit, label) =
        if alone { ("Approve alone", "Approve alone", "Why alone") } else { ("Reject", "Reject", "Why not") };
    let explained = if alone {
        "This approves without a second person. The reason is posted in the thread and kept in the audit trail."
    } else {
        "The reason is posted in the thread and kept in the audit trail."
    };
    let reason = json!({
        "type": "input", "block_id": REASON, "optional": !alone, "label": plain(label),
        "element": { "type": "plain_text_input", "action_id": REASON, "multiline": true, "max_length": REASON_MAX },
    });
    let blocks = [section(&escape(&cut(&plan.what, PLAN_LINE_MAX))), context(explained), reason];
    modal(REASON_FORM, title, Some(submit), metadata, &blocks)
}

/// The plan in full as a form that only shows, with a button that tries it without effect.
pub fn plan_view(asked: &Asked<'_>, id: IncidentId, open: bool) -> Value {
    let mut blocks = plan_blocks(asked.plan, asked.expires_at);
    if open {
        let try_it = button("try_plan", "Try it without effect", asked.approval);
        blocks.push(json!({ "type": "actions", "elements": [try_it] }));
        blocks.push(context("The answer comes in the incident's thread, for you alone."));
    }
    modal("plan", &format!("{id}: plan"), None, "", &blocks)
}

/// What everybody in the thread learns when somebody approved alone: an edited message notifies nobody.
pub fn approved_alone(id: IncidentId, plan: &Plan, by: &str, reason: &str) -> Message {
    let noun = plan.noun();
    let text = format!("<@{by}> approved the {noun} alone (break-glass). Reason: {}", escape(reason));
    Message::plain(text).of(Kind::Notice, id)
}

/// The plan in full, as blocks of a message or a modal.
pub fn plan_blocks(plan: &Plan, expires_at: Timestamp) -> Vec<Value> {
    let mut blocks = vec![section(&escape(&plan.what))];
    let mut list = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            blocks.push(section(&format!("*{title}*\n{}", bullets(lines))));
        }
    };
    list("Afterwards", &plan.effects);
    list(
        "Expected",
        plan.expected.is_empty().then(Vec::new).unwrap_or_else(|| vec![plan.expected.clone()]).as_slice(),
    );
    list("What stays wrong", &plan.stays_wrong);
    list("Only while", &plan.preconditions);
    blocks.push(section(&format!(
        "*The call*\n`{}`, once. The same by hand:\n```{}```",
        plan.call,
        shorten(&escape(&plan.command), COMMAND_MAX, "(cut)")
    )));
    let mut small = format!("Can be approved until {}.", expires_at.strftime("%Y-%m-%d %H:%M UTC"));
    if let Some(tried) = &plan.tried {
        small.push_str(&format!(" {}", escape(tried)));
    }
    blocks.push(context(&small));
    blocks
}

/// The plan in full, for whoever wants to know before pressing.
pub fn plan(id: IncidentId, plan: &Plan, expires_at: Timestamp) -> Message {
    let mut blocks = vec![header(&format!("{id}: plan"))];
    blocks.extend(plan_blocks(plan, expires_at));
    Message { text: format!("{id}: plan"), blocks, about: None }
}

/// A rollback that did not help can be taken back: asked for in a message of its own.
pub fn undo_offer(id: IncidentId, asked: &Asked<'_>, decided: Option<&str>) -> Message {
    let text = format!(
        "The rollback did not help. It can be taken back: {}. That needs an approval of its own.",
        escape(&asked.plan.what)
    );
    let mut blocks = vec![section(&text)];
    match decided {
        Some(decided) => blocks.push(context(decided)),
        None => blocks.push(json!({ "type": "actions", "elements": buttons(asked) })),
    }
    Message { text: format!("{id}: {text}"), blocks, about: None }.of(Kind::Notice, id)
}

/// What the owner of a service is told whose change would be undone.
#[derive(Debug, Clone, Copy)]
pub struct OwnerAsked<'a> {
    pub owner: &'a str,
    /// The service whose change it is, and the one that is in trouble.
    pub theirs: &'a str,
    pub service: &'a str,
    pub plan: &'a Plan,
    pub expires_at: Timestamp,
    /// Whether it takes a rollback back.
    pub undoing: bool,
    /// Where the button is.
    pub channel: &'a str,
    /// The owner's own channel, where Slack takes no message of the bot's, and its reason.
    pub refused: Option<(&'a str, &'a str)>,
    pub decided: Option<&'a str>,
}

/// Asks the owner of a change for an approval that is another team's to give: the plan's facts, and where to decide.
pub fn owner_asked(id: IncidentId, asked: &OwnerAsked<'_>) -> Message {
    let OwnerAsked { plan, .. } = asked;
    let (service, theirs) = (escape(asked.service), escape(asked.theirs));
    let proposed = if asked.undoing {
        format!("undoing a change of {theirs} did not help {id} of {service}. Taking that back is proposed")
    } else {
        format!("{id} of {service} is put down to a change of {theirs}. Undoing it is proposed")
    };
    let text = format!("{}: {proposed}: {}.", mention(asked.owner), escape(&cut(&plan.what, PLAN_LINE_MAX)));
    let mut facts = plan.effects.clone();
    facts.push(plan.expected.clone());
    let where_to = match asked.decided {
        Some(decided) => decided.to_owned(),
        None => format!(
            "Approvers of {theirs} decide it in the thread of {id} in <#{}>, until {}.",
            escape(asked.channel),
            asked.expires_at.strftime("%Y-%m-%d %H:%M UTC")
        ),
    };
    let mut blocks = vec![section(&text), section(&bullets(&facts)), context(&where_to)];
    if let Some((elsewhere, why)) = asked.refused {
        let told = if mention(asked.owner).starts_with('<') {
            "so that it is said here"
        } else {
            "so that nobody of theirs has heard of it: please tell them"
        };
        let (elsewhere, why) = (mention(elsewhere), escape(why));
        blocks.push(context(&format!("Slack takes no message of the bot's in {elsewhere} ({why}), {told}.")));
    }
    Message { text, blocks, about: None }.of(Kind::Notice, id)
}

/// An owner as Slack links to it, where the configuration gives its id: a person, a group or a channel. Else as it
/// is written.
fn mention(owner: &str) -> String {
    // Ids of Slack's are upper case and digits, nine or more of them.
    let is_id = owner.len() >= 9 && owner.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    match owner.chars().next().filter(|_| is_id) {
        Some('U' | 'W') => format!("<@{owner}>"),
        Some('S') => format!("<!subteam^{owner}>"),
        Some('C') => format!("<#{owner}>"),
        _ => escape(owner),
    }
}

/// How an approval was decided.
#[derive(Debug, Clone, Copy)]
pub struct DecidedView<'a> {
    pub decision: Decision,
    pub by: Option<&'a str>,
    pub at: Timestamp,
    pub reason: Option<&'a str>,
    pub break_glass: bool,
}

/// The line that replaces the buttons once it is decided.
pub fn decided_line(view: &DecidedView<'_>) -> String {
    let word = match view.decision {
        Decision::Approved if view.break_glass => "Approved alone (break-glass)",
        Decision::Approved => "Approved",
        Decision::Rejected => "Rejected",
        Decision::Expired => "Expired without a decision",
        Decision::Superseded => "Replaced by a newer look",
    };
    let by = view.by.map(|by| format!(" by <@{by}>")).unwrap_or_default();
    let reason = view.reason.map(|reason| format!(": {}", escape(reason))).unwrap_or_default();
    format!("{word}{by} at {}{reason}", clock(view.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rollback::RollbackTarget;

    fn a_plan() -> Plan {
        let target =
            RollbackTarget::LambdaConcurrency { function: "checkout".into(), from: Some(1), to: None };
        Plan::of(target, None, "The error rate goes back.".into(), &|_, value| value.to_owned())
    }

    #[test]
    fn the_plan_says_what_stays_wrong_and_until_when_it_holds() {
        let body = json!(plan_blocks(&a_plan(), "2026-02-06T12:50:00Z".parse().unwrap())).to_string();
        for part in ["stays wrong", "12:50 UTC", "lambda:DeleteFunctionConcurrency", "Only while", "Expected"]
        {
            assert!(body.contains(part), "{part}: {body}");
        }
    }

    #[test]
    fn an_owner_is_mentioned_by_its_id_and_is_inert_otherwise() {
        assert_eq!(mention("U0ALEXAPPROV"), "<@U0ALEXAPPROV>");
        assert_eq!(mention("S0APPROVERS"), "<!subteam^S0APPROVERS>");
        assert_eq!(mention("#team-checkout"), "#team-checkout");
        assert_eq!(mention("<!channel>"), "&lt;!channel&gt;");
    }

    #[test]
    fn a_reason_is_shown_and_inert() {
        let line = decided_line(&DecidedView {
            decision: Decision::Approved,
            by: Some("U1"),
            at: "2026-02-06T12:20:00Z".parse().unwrap(),
            reason: Some("alone <!channel>"),
            break_glass: true,
        });
        assert_eq!(line, "Approved alone (break-glass) by <@U1> at 12:20 UTC: alone &lt;!channel&gt;");
    }
}
