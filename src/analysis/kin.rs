//! Names that belong to a service without holding its whole name: `parcel-label` behind
//! `parcel-label-prd-v2`, `parcel-db` beside `parcel-label`.
//!
//! The rule that is not obvious: the first word of a service's name tells its product only where no other
//! service that is known here begins with it. Where all are called `shop-…`, the word says nothing.

use crate::domain::evidence::Scope;

/// Parts at the end of a name that tell an environment or a form, and no other thing.
const ENDINGS: &[&str] =
    &["service", "svc", "prod", "prd", "production", "live", "app", "lambda", "fn", "function"];
/// Shorter first words are abbreviations that many things share.
const SHORTEST: usize = 4;
/// First words that name no product, however few services are known.
const COMMON: &[&str] = &[
    "prod",
    "production",
    "live",
    "main",
    "core",
    "internal",
    "public",
    "platform",
    "service",
    "app",
    "shared",
];

/// The name of a service, in lower case, without what tells an environment, a form or a generation; `None`
/// where too little of a name would be left.
pub fn stem(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let mut stem = lower.as_str();
    while let Some((head, ending)) = stem.rsplit_once(['-', '_']) {
        let generation = ending.strip_prefix('v').is_some_and(|rest| !rest.is_empty() && is_number(rest));
        if head.is_empty() || !(generation || ENDINGS.contains(&ending)) {
            break;
        }
        stem = head;
    }
    (stem.len() >= SHORTEST && !COMMON.contains(&stem)).then(|| stem.to_owned())
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The word by which a service's own stores, queues and rules may be called, where it is its own.
#[derive(Debug, Clone, Default)]
pub struct Kin {
    word: Option<String>,
}

impl Kin {
    pub fn of(scope: &Scope) -> Self {
        let first = |name: &str| name.to_lowercase().split(['-', '_', '.']).next().unwrap_or("").to_owned();
        let word = first(&scope.service);
        let others: Vec<String> =
            scope.depends_on.iter().chain(&scope.peers).map(|name| first(name)).collect();
        let telling = word.len() >= SHORTEST
            && word.len() < scope.service.len()
            && !COMMON.contains(&word.as_str())
            && !others.is_empty()
            && !others.contains(&word);
        Self { word: telling.then_some(word) }
    }

    /// Whether a resource's name begins with the service's word.
    pub fn is(&self, name: &str) -> bool {
        let Some(word) = &self.word else { return false };
        let name = name.to_lowercase();
        let name = name.trim_start_matches('/');
        name.strip_prefix(word.as_str()).is_some_and(|rest| rest.starts_with(['-', '_', '.', '/']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{MetricScope, Resources};

    fn kin(service: &str, others: &[&str]) -> Kin {
        Kin::of(&Scope {
            service: service.into(),
            region: String::new(),
            account: String::new(),
            now: jiff::Timestamp::UNIX_EPOCH,
            resources: Resources { metrics: MetricScope::default(), ..Resources::default() },
            depends_on: Vec::new(),
            peers: others.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    #[test]
    fn an_environment_a_form_or_a_generation_is_no_part_of_a_name() {
        for (name, expected) in [
            ("parcel-label-prd", "parcel-label"),
            ("parcel-label-v2", "parcel-label"),
            ("parcel_label_service_v12", "parcel_label"),
            ("parcel-label", "parcel-label"),
            ("parcel-v", "parcel-v"),
            ("parcel-worker", "parcel-worker"),
        ] {
            assert_eq!(stem(name).as_deref(), Some(expected));
        }
        for name in ["core-service", "web-app", "service"] {
            assert_eq!(stem(name), None, "{name}");
        }
    }

    #[test]
    fn the_first_word_tells_where_nobody_else_begins_with_it() {
        let own = kin("parcel-label", &["tram-ticket", "visa-desk"]);
        for name in ["parcel-db", "parcel-db-pg", "parcel/rates", "/parcel/rates"] {
            assert!(own.is(name), "{name}");
        }
        for name in ["parcels-db", "old-parcel-db", "tram-db", "parcel"] {
            assert!(!own.is(name), "{name}");
        }
        // Several services of one product: whose the store is, the word does not say.
        assert!(!kin("parcel-label", &["parcel-rates", "visa-desk"]).is("parcel-db"));
        // No other service is known: the word may be everybody's.
        assert!(!kin("parcel-label", &[]).is("parcel-db"));
        assert!(!kin("platform-label", &["visa-desk"]).is("platform-db"));
    }
}
