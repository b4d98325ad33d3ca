//! What an alert is about where no field and no sentence names it: a monitor in brackets before its state, a workload
//! behind the names of its pods, whoever sends no heartbeat any more.
//!
//! The rule that is not obvious: a pod is called after its workload, with the hash of its template and five letters of its
//! own. Kubernetes takes those from letters that make no words, so that a name is told from a suffix.

use std::sync::LazyLock;

use regex::Regex;

use super::parts::pattern;
use super::state::is_label;
use super::words::{Said, state_of};

/// `[basket] [Down] …`.
static TWO_BRACKETS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\[\s*(?P<subject>[^\[\]]{1,120}?)\s*\]\s*\[\s*(?P<state>[A-Za-z]{2,12})\s*\]")
});
/// `basket-7d9c5b8f6-x2x4q`. Source: k8s.io/apimachinery, `util/rand`: vowels and what looks like them are left out.
static POD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|[\s/:(`'\x22])(?P<workload>[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?)-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}(?:$|[\s/:,.)`'\x22])",
    )
});
/// Why a container does not run, as Kubernetes writes it and nobody else does.
static REASON: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?P<reason>CrashLoopBackOff|ImagePullBackOff|ErrImagePull|InvalidImageName|CreateContainerConfigError|CreateContainerError|RunContainerError|OOMKilled)\b",
    )
});
/// `Heartbeat lost: worker-3`, `worker-3 heartbeat has been restored`, `Missed heartbeat from worker-3`.
static HEARTBEAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:no|(?P<first>lost|missed|missing|late))?\s*(?:the\s+)?(?:(?P<before>[a-z0-9][\w.-]*)\s+)?heartbeats?(?:\s+(?:has\s+been\s+|has\s+|was\s+|is\s+)?(?P<then>lost|missed|missing|late|expired|stopped|failed|restored|recovered|back|resumed))?(?:(?:\s*[:–—]\s*|\s+-\s+|\s+(?:of|from|on|for|by)\s+|\s+)(?P<after>[a-z0-9][\w.-]*))?",
    )
});

/// The monitor in brackets whose state stands in brackets after it.
pub fn bracketed(text: &str) -> Option<&str> {
    let found = TWO_BRACKETS.captures(text)?;
    state_of(found.name("state")?.as_str(), true)?;
    found.name("subject").map(|subject| subject.as_str()).filter(|subject| !is_label(subject))
}

/// The workload whose pod a text names.
pub fn workload(text: &str) -> Option<&str> {
    POD.captures(text)?.name("workload").map(|name| name.as_str())
}

/// Why a container does not run.
pub fn reason(text: &str) -> Option<&str> {
    REASON.captures(text)?.name("reason").map(|reason| reason.as_str())
}

/// What a title says of a heartbeat, and whose it is.
pub fn heartbeat(text: &str) -> Option<(Said, Option<&str>)> {
    let text = text.trim_start_matches(['*', ' ', '#', '-']);
    let found = HEARTBEAT.captures(text)?;
    let word = |name: &str| found.name(name).map(|word| word.as_str().to_lowercase());
    let said = match (word("then").or_else(|| word("first")), text.get(..3)) {
        (Some(word), _) if ["restored", "recovered", "back", "resumed"].contains(&word.as_str()) => {
            Said::Resolved
        }
        (Some(_), _) => Said::Firing,
        (None, Some(no)) if no.eq_ignore_ascii_case("no ") => Said::Firing,
        _ => return None,
    };
    // A name has a letter and is no word of the sentence.
    let is_name = |name: &&str| {
        name.contains(['-', '_', '.']) && name.chars().any(char::is_alphabetic) && !name.ends_with(['.', '-'])
    };
    let name = |group: &str| found.name(group).map(|name| name.as_str()).filter(is_name);
    Some((said, name("after").or_else(|| name("before"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_called_after_its_workload() {
        for (text, name) in [
            ("prod/basket-7d9c5b8f6-x2x4q/app", Some("basket")),
            ("Crashing pod order-api-5b9c8d7f4d-kx2zp in prod", Some("order-api")),
            // Words have vowels, and a stateful set counts.
            ("basket-frontend-proxy", None),
            ("orders-db-0", None),
        ] {
            assert_eq!(workload(text), name, "{text}");
        }
    }

    #[test]
    fn a_heartbeat_is_lost_or_back_and_somebody_s() {
        for (text, said, whose) in [
            ("Heartbeat lost: basket-worker-3 (last seen 14:05 UTC)", Said::Firing, Some("basket-worker-3")),
            ("HEARTBEAT LOST basket-worker-3 for 5 minutes", Said::Firing, Some("basket-worker-3")),
            ("basket-worker heartbeat lost", Said::Firing, Some("basket-worker")),
            ("Missed heartbeat: nightly-orders", Said::Firing, Some("nightly-orders")),
            ("No heartbeat from basket-worker for 10 min", Said::Firing, Some("basket-worker")),
            ("Heartbeat restored: basket-worker-3", Said::Resolved, Some("basket-worker-3")),
            ("Heartbeat lost", Said::Firing, None),
        ] {
            assert_eq!(heartbeat(text), Some((said, whose)), "{text}");
        }
        for text in
            ["our heartbeat is what we call the daily mail", "heartbeat", "the team heartbeats on Friday"]
        {
            assert_eq!(heartbeat(text), None, "{text}");
        }
    }
}
