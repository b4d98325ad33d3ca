//! The audit trail: every decision, every refused attempt, every call that changes something, and what came of it.
//!
//! The rule that is not obvious: a row's hash covers the row before it, so that a row that is changed, taken
//! out or put in later breaks the chain from there on. The end of a chain cannot prove itself: whoever wants
//! to notice that the newest rows are gone keeps the last hash elsewhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::execution::Effect;
use super::incident::IncidentId;

/// What the first row names as the hash before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who the bot itself is in the trail; people are their Slack user ids.
pub const BOT: &str = "incident-commander";

/// Something that is written down for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    /// `None` where a click names a request that is not known here.
    pub incident: Option<IncidentId>,
    pub approval: Option<String>,
    /// A Slack user id, or [`BOT`].
    pub actor: String,
    pub what: What,
}

/// What happened. Texts are masked before they come here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// Approval is asked for this plan; `digest` is of the whole plan as it is stored.
    Requested {
        plan: String,
        command: String,
        expires_at: Timestamp,
        #[serde(default)]
        digest: String,
    },
    /// There is no button, for this reason.
    NotOffered { plan: String, reason: String },
    /// Somebody pressed a button or sent a form, and it does not count.
    Refused { action: String, click: String, channel: String, refusal: String, sentence: String },
    /// The request is decided: approved, rejected, expired or superseded.
    Decided { decision: String, click: Option<String>, reason: Option<String>, break_glass: bool },
    /// A look at AWS before the change: whether what the plan starts from is still there.
    Checked { call: String, answer: String },
    /// A call that changes something is about to leave, under this session's name.
    Sending { call: String, resource: String, session: String },
    /// What AWS answered to it.
    Answered { call: String, answer: String },
    /// What AWS holds, read back.
    ReadBack { call: String, answer: String },
    /// What came of the approval. `applied`: whether the bot's own call changed something, `None` where that is
    /// not known. Rows of earlier releases have no `effect`.
    Ended {
        applied: Option<bool>,
        #[serde(default)]
        effect: Option<Effect>,
        words: String,
    },
    /// It is known by now whose hand it was.
    Settled { effect: Effect, words: String },
    /// Whether it helped.
    Judged { word: String, figures: String },
    /// Everything else of the incident was deleted.
    Deleted { incident: String },
}

/// A row of the trail as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// 1, 2, 3 … without gaps, over all incidents.
    pub sequence: i64,
    /// Milliseconds since the epoch.
    #[serde(skip)]
    pub at_millisecond: i64,
    pub incident: Option<IncidentId>,
    pub approval: Option<String>,
    pub actor: String,
    /// [`What`] as JSON, byte for byte as it was hashed.
    #[serde(skip)]
    pub what: String,
    /// Hash of the row before, in hexadecimal.
    pub previous: String,
    pub hash: String,
}

impl Row {
    /// The row that follows one with this sequence and hash.
    ///
    /// # Errors
    /// Where the entry cannot be written as JSON.
    pub fn following(sequence: i64, previous: &str, entry: &Entry) -> Result<Self, serde_json::Error> {
        let mut row = Self {
            sequence: sequence + 1,
            at_millisecond: entry.at.as_millisecond(),
            incident: entry.incident,
            approval: entry.approval.clone(),
            actor: entry.actor.clone(),
            what: serde_json::to_string(&entry.what)?,
            previous: previous.to_owned(),
            hash: String::new(),
        };
        row.hash = row.digest();
        Ok(row)
    }

    pub fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.at_millisecond).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// SHA-256 over the hash before and each field with its length in front, so that no two different rows
    /// are the same bytes.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        let incident = self.incident.map(|incident| incident.0.to_string());
        let fields: [Option<&str>; 7] = [
            Some(&self.previous),
            Some(&self.sequence.to_string()),
            Some(&self.at_millisecond.to_string()),
            incident.as_deref(),
            self.approval.as_deref(),
            Some(&self.actor),
            Some(&self.what),
        ];
        for field in fields {
            match field {
                Some(text) => {
                    hasher.update(format!("{}:", text.len()));
                    hasher.update(text);
                }
                // Nothing is not the same as an empty text.
                None => hasher.update("-:"),
            }
        }
        hex(&hasher.finalize())
    }
}

/// SHA-256 of a text, in hexadecimal.
pub fn digest_of(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    #[error("row {0} is missing")]
    Missing(i64),
    #[error("row {0} is not the one that was written: its content does not give its hash")]
    Changed(i64),
    #[error("row {0} does not follow the row before it")]
    Unchained(i64),
}

/// Checks a whole chain from its first row, and gives its last hash.
///
/// # Errors
/// The first place where it does not hold.
pub fn verify(rows: &[Row]) -> Result<String, Break> {
    let mut previous = GENESIS;
    for (row, expected) in rows.iter().zip(1..) {
        if row.sequence != expected {
            return Err(Break::Missing(expected));
        }
        if row.hash != row.digest() {
            return Err(Break::Changed(row.sequence));
        }
        if row.previous != previous {
            return Err(Break::Unchained(row.sequence));
        }
        previous = &row.hash;
    }
    Ok(previous.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(actor: &str) -> Entry {
        Entry {
            at: "2026-02-06T12:20:00Z".parse().unwrap(),
            incident: Some(IncidentId(7)),
            approval: Some("a1".into()),
            actor: actor.into(),
            what: What::Ended {
                applied: Some(true),
                effect: Some(Effect::Made),
                words: "Rolled back.".into(),
            },
        }
    }

    fn chain(length: usize) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for index in 0..length {
            let (sequence, previous) =
                rows.last().map_or((0, GENESIS.to_owned()), |row| (row.sequence, row.hash.clone()));
            rows.push(Row::following(sequence, &previous, &entry(&format!("U{index}"))).unwrap());
        }
        rows
    }

    #[test]
    fn a_chain_as_it_was_written_holds() {
        assert_eq!(verify(&[]), Ok(GENESIS.to_owned()));
        let rows = chain(3);
        assert_eq!(verify(&rows), Ok(rows[2].hash.clone()));
    }

    #[test]
    fn a_row_that_was_taken_out_or_put_in_is_noticed() {
        let mut rows = chain(4);
        rows.remove(1);
        assert_eq!(verify(&rows), Err(Break::Missing(2)));
        let mut rows = chain(4);
        let forged = Row::following(1, GENESIS, &entry("U-forged")).unwrap();
        rows[1] = forged;
        assert_eq!(verify(&rows), Err(Break::Unchained(2)));
    }

    #[test]
    fn fields_that_run_together_are_told_apart() {
        let mut a = chain(1).remove(0);
        let mut b = a.clone();
        (a.approval, a.actor) = (Some("ab".into()), "c".into());
        (b.approval, b.actor) = (Some("a".into()), "bc".into());
        assert_ne!(a.digest(), b.digest());
        (a.approval, b.approval) = (None, Some(String::new()));
        b.actor = a.actor.clone();
        assert_ne!(a.digest(), b.digest());
    }

    proptest! {
        #[test]
        fn any_change_of_any_row_is_noticed(length in 1usize..8, which in 0usize..8, field in 0usize..6) {
            let mut rows = chain(length);
            let index = which % length;
            let row = &mut rows[index];
            match field {
                0 => row.at_millisecond += 1,
                1 => row.incident = Some(IncidentId(8)),
                2 => row.approval = None,
                3 => row.actor.push('x'),
                4 => row.what.push(' '),
                _ => row.previous = "f".repeat(64),
            }
            let sequence = row.sequence;
            prop_assert_eq!(verify(&rows), Err(Break::Changed(sequence)));
            // Who mends the row's own hash breaks the next one.
            rows[index].hash = rows[index].digest();
            if index + 1 < length {
                prop_assert!(verify(&rows).is_err());
            }
        }
    }
}
