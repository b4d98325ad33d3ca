//! `/investigate` and what may follow it, as people type it.

use crate::domain::incident::IncidentId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Investigate { service: String },
    Help,
    List,
    Status(IncidentId),
    Close { id: IncidentId, reason: String },
    Again(IncidentId),
}

pub const HELP: &str = "`/investigate SERVICE` looks at a service now.\n\
    `/investigate status INC-7`, `/investigate list` show what is known.\n\
    `/investigate again INC-7` looks anew, `/investigate close INC-7 reason` closes.\n\
    In a thread, mention me instead: slash commands do not work there.";

/// Reads the words after the command or the mention.
///
/// # Errors
/// A sentence that says how to do it right.
pub fn read(text: &str) -> Result<Command, String> {
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else {
        return Err(format!("Which service? For example `/investigate checkout`.\n{HELP}"));
    };
    let incident = |word: Option<&str>, verb: &str| {
        word.ok_or_else(|| format!("Which incident? For example `{verb} INC-7`."))
            .and_then(str::parse::<IncidentId>)
    };
    match first.to_lowercase().as_str() {
        "help" => Ok(Command::Help),
        "list" => Ok(Command::List),
        "status" => Ok(Command::Status(incident(words.next(), "status")?)),
        "again" => Ok(Command::Again(incident(words.next(), "again")?)),
        "close" => {
            let id = incident(words.next(), "close")?;
            let reason = words.collect::<Vec<_>>().join(" ");
            Ok(Command::Close { id, reason })
        }
        "investigate" => read(&words.collect::<Vec<_>>().join(" ")),
        _ => match words.next() {
            None => Ok(Command::Investigate { service: first.to_owned() }),
            Some(extra) => Err(format!(
                "I read {first:?} as a service and do not understand {extra:?} after it.\n{HELP}"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_commands() {
        assert_eq!(read("checkout"), Ok(Command::Investigate { service: "checkout".into() }));
        assert_eq!(read("investigate checkout"), Ok(Command::Investigate { service: "checkout".into() }));
        assert_eq!(read(" status inc-7 "), Ok(Command::Status(IncidentId(7))));
        assert_eq!(
            read("close INC-7 false alarm"),
            Ok(Command::Close { id: IncidentId(7), reason: "false alarm".into() })
        );
    }

    #[test]
    fn a_mistake_gets_a_sentence() {
        for wrong in ["", "status", "status seven", "checkout yesterday"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
