//! Which alerts of an incident still fire, and which of them a resolve is about.
//!
//! The rule that is not obvious: tools write figures and ids into names (`error rate is 12 %`, `pod-7f9c`), so a
//! name is compared as it is first, and then without those. A resolve that could be about
//! alerts of several services is about none of them: a person knows, and an incident that stays open costs less
//! than one that was closed over its alert.

use super::alert::Alert;
use super::incident::IncidentId;

/// An alert that fires in an open incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    pub incident: IncidentId,
    pub service: String,
    /// By [`name_of`].
    pub name: String,
}

/// What an alert is told apart by within its service: what it calls itself, else what it measures; empty where it
/// says neither.
pub fn name_of(alert: &Alert) -> String {
    let name = alert.alert_name.as_deref().or(alert.metric.as_deref()).unwrap_or_default();
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether two names are the same alert's, whatever figures and ids they hold.
pub fn is_same_kind(one: &str, other: &str) -> bool {
    one == other || without_figures(one) == without_figures(other)
}

fn without_figures(name: &str) -> Vec<&str> {
    let words: Vec<&str> = name
        .split(|c: char| c.is_whitespace() || "-_/.:,;()[]{}=%".contains(c))
        .filter(|word| !word.is_empty() && !is_figure(word))
        .collect();
    // A name of nothing but figures is told by them.
    if words.is_empty() { vec![name] } else { words }
}

/// A number, with a unit perhaps, or an id: `41`, `2000ms`, `7f9c`. `p99`, `5xx` and `503` say what kind of trouble
/// it is.
fn is_figure(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let is_number = digits == word.chars().count();
    let is_status = is_number && digits == 3 && word.starts_with(['4', '5']);
    (is_number && !is_status) || (digits >= 2 && word.chars().count() >= 4)
}

/// What a resolve is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// These alerts, by their place in the list. Empty: none that fires.
    These(Vec<usize>),
    /// Alerts of that name fire in several services, and it does not say which.
    Doubtful,
}

/// Which of the alerts that fire a resolve ends. `services` are those that it may be about; empty where it names
/// none.
pub fn ended(firing: &[Firing], services: &[String], name: &str) -> Ended {
    if services.is_empty() && name.is_empty() {
        return Ended::These(Vec::new());
    }
    let about: Vec<usize> = (0..firing.len())
        .filter(|index| services.is_empty() || services.contains(&firing[*index].service))
        .collect();
    let by = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        about.iter().copied().filter(|index| fits(&firing[*index].name)).collect()
    };
    let mut found = by(&|known| known == name);
    if found.is_empty() && !name.is_empty() {
        found = by(&|known| is_same_kind(known, name));
    }
    // A tool that names its alert only once: where one alert fires, that is the one.
    if found.is_empty()
        && !services.is_empty()
        && let [only] = about.as_slice()
        && (name.is_empty() || firing[*only].name.is_empty())
    {
        found.push(*only);
    }
    let first = found.first().map(|index| &firing[*index].service);
    if found.iter().any(|index| Some(&firing[*index].service) != first) {
        return Ended::Doubtful;
    }
    Ended::These(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn firing(list: &[(i64, &str, &str)]) -> Vec<Firing> {
        let one = |(incident, service, name): &(i64, &str, &str)| Firing {
            incident: IncidentId(*incident),
            service: (*service).to_owned(),
            name: (*name).to_owned(),
        };
        list.iter().map(one).collect()
    }

    fn of(list: &[(i64, &str, &str)], services: &[&str], name: &str) -> Ended {
        let services: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
        ended(&firing(list), &services, name)
    }

    #[test]
    fn a_resolve_ends_the_alert_of_its_name_and_no_other() {
        let list = [(7, "checkout", "higherrorrate"), (7, "checkout", "checkout5xx"), (8, "payments", "lag")];
        assert_eq!(of(&list, &["checkout"], "higherrorrate"), Ended::These(vec![0]));
        assert_eq!(of(&list, &["checkout"], "somethingelse"), Ended::These(vec![]));
        assert_eq!(of(&list, &[], "lag"), Ended::These(vec![2]), "the name alone says which");
    }

    #[test]
    fn a_name_that_fires_in_two_services_says_not_which() {
        let list = [(7, "checkout", "higherrorrate"), (8, "payments", "higherrorrate")];
        assert_eq!(of(&list, &[], "higherrorrate"), Ended::Doubtful);
        assert_eq!(of(&list, &["payments"], "higherrorrate"), Ended::These(vec![1]));
    }

    #[test]
    fn figures_in_a_name_do_not_keep_its_alert_open() {
        let list = [(7, "checkout", "error rate is 41.2 % on pod-7f9c"), (7, "checkout", "p99 latency")];
        assert_eq!(of(&list, &["checkout"], "error rate is 1.3 % on pod-a81b"), Ended::These(vec![0]));
        let two = [(7, "checkout", "lag on shard-1"), (7, "checkout", "lag on shard-2")];
        assert_eq!(of(&two, &["checkout"], "lag on shard-2"), Ended::These(vec![1]), "as it is comes first");
    }

    #[test]
    fn a_nameless_resolve_ends_the_only_alert_and_none_of_several() {
        assert_eq!(of(&[(7, "checkout", "lag")], &["checkout"], ""), Ended::These(vec![0]));
        assert_eq!(of(&[(7, "checkout", "")], &["checkout"], "lag"), Ended::These(vec![0]));
        let two = [(7, "checkout", "lag"), (7, "checkout", "5xx")];
        assert_eq!(of(&two, &["checkout"], ""), Ended::These(vec![]));
        assert_eq!(of(&[(7, "checkout", "lag")], &[], ""), Ended::These(vec![]), "it says nothing at all");
    }

    #[test]
    fn two_alerts_that_differ_in_words_are_two() {
        assert!(is_same_kind("disk full on web-01", "disk full on web-02"));
        assert!(!is_same_kind("higherrorrate", "highlatency"));
        for (one, other) in
            [("502", "504"), ("http 502 rate", "http 504 rate"), ("api 5xx", "api 4xx"), ("p99", "p95")]
        {
            assert!(!is_same_kind(one, other), "{one} is not {other}");
        }
    }

    proptest! {
        #[test]
        fn a_resolve_never_ends_an_alert_of_a_service_that_it_does_not_name(
            list in prop::collection::vec((1_i64..4, "checkout|payments|search", "[a-z0-9 ]{0,6}"), 0..8),
            service in "checkout|payments|search",
            name in "[a-z0-9 ]{0,6}",
        ) {
            let borrowed: Vec<(i64, &str, &str)> =
                list.iter().map(|(id, service, name)| (*id, service.as_str(), name.as_str())).collect();
            let all = firing(&borrowed);
            let Ended::These(found) = ended(&all, std::slice::from_ref(&service), &name) else {
                panic!("one service is never in doubt")
            };
            prop_assert!(found.iter().all(|index| all[*index].service == service));
        }
    }
}
