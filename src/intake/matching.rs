//! Which known service the names in an alert mean: by its own names, by AWS's, as a part, by similarity.
//!
//! The rule that is not obvious: the surest kind of match decides alone, and a tie within it is a
//! question for a person, never a guess. A service that is named and fits nothing may still be AWS's own; an
//! alert's name that fits nothing is no service.

use crate::config::{Config, Service};

use super::services::nearness;

/// What the names in an alert mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    One(String),
    /// More than one fits equally; in the configuration's order.
    Several(Vec<String>),
    Nobody,
}

/// A part of a name that is shorter says nothing by itself.
const PART_MIN: usize = 3;

/// What an alert means that names a service, and itself. The service decides where it says anything; the alert's
/// name may settle a tie, or speak where no service is named.
pub fn meant(config: &Config, service: Option<&str>, alert_name: Option<&str>) -> Meant {
    let names: Vec<&str> = [service, alert_name].into_iter().flatten().collect();
    for (index, name) in names.iter().enumerate() {
        let mut fitting = fitting(config, name);
        for other in names.iter().skip(index + 1) {
            if fitting.len() < 2 {
                break;
            }
            let also = self::fitting(config, other);
            let both: Vec<&Service> = fitting
                .iter()
                .copied()
                .filter(|one| also.iter().any(|other| other.name == one.name))
                .collect();
            if !both.is_empty() {
                fitting = both;
            }
        }
        match fitting.as_slice() {
            [] if service == Some(*name) && !name.is_empty() && !name.contains(char::is_whitespace) => {
                return Meant::One((*name).to_owned());
            }
            [] => {}
            [one] => return Meant::One(one.name.clone()),
            several => return Meant::Several(several.iter().map(|one| one.name.clone()).collect()),
        }
    }
    Meant::Nobody
}

/// The configured services that fit a name, by the surest kind of match that any of them has.
fn fitting<'c>(config: &'c Config, name: &str) -> Vec<&'c Service> {
    let wanted = plain(name);
    if wanted.is_empty() {
        return Vec::new();
    }
    let by = |fits: &dyn Fn(&Service) -> bool| -> Vec<&'c Service> {
        config.services.iter().filter(|service| fits(service)).collect()
    };
    let own = by(&|service| own_names(service).any(|known| plain(known) == wanted));
    if !own.is_empty() {
        return own;
    }
    let aws = by(&|service| aws_names(service).iter().any(|known| plain(known) == wanted));
    if !aws.is_empty() {
        return aws;
    }
    let parts = named_in(config, name);
    if !parts.is_empty() {
        return parts;
    }
    if name.contains(char::is_whitespace) {
        return Vec::new();
    }
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let distance = |service: &Service| {
        // `checkout-2` is not a slip of `checkout-1`.
        let known = own_names(service).filter(|known| digits(known) == digits(name));
        known.filter_map(|known| nearness(&wanted, &plain(known))).min()
    };
    let nearest = config.services.iter().filter_map(distance).min();
    by(&|service| nearest.is_some() && distance(service) == nearest)
}

fn own_names(service: &Service) -> impl Iterator<Item = &str> {
    std::iter::once(&service.name).chain(&service.aliases).map(String::as_str)
}

/// What AWS calls a service's parts.
fn aws_names(service: &Service) -> Vec<&str> {
    let tail = |path: &'_ str| path.rfind('/').map(|at| at + 1).unwrap_or_default();
    let mut names: Vec<&str> = service.lambda.iter().map(|lambda| lambda.function.as_str()).collect();
    names.extend(service.ecs.iter().map(|ecs| ecs.service.as_str()));
    names.extend(service.log_groups.iter().flat_map(|group| [group.as_str(), &group[tail(group)..]]));
    names.extend(service.metrics.iter().flat_map(|metric| metric.dimensions.values()).map(String::as_str));
    names.retain(|name| !name.is_empty());
    names
}

/// Services whose names stand in `name` as whole parts (`prod-checkout-errors`, `CheckoutErrors`), else as
/// letters in it. A name within another's longer name does not count: `checkout-worker-lag` is the worker's.
fn named_in<'c>(config: &'c Config, name: &str) -> Vec<&'c Service> {
    let words = words(name);
    let mut found: Vec<(usize, usize, &Service)> = Vec::new();
    for service in &config.services {
        let functions = service.lambda.iter().map(|lambda| lambda.function.as_str());
        let tasks = service.ecs.iter().map(|ecs| ecs.service.as_str());
        for known in own_names(service).chain(functions).chain(tasks) {
            let parts = self::words(known);
            let long_enough = known.chars().count() >= PART_MIN;
            let windows = words.windows(parts.len().max(1)).enumerate();
            for (start, _) in windows.filter(|(_, window)| long_enough && *window == parts.as_slice()) {
                found.push((start, start + parts.len(), service));
            }
        }
    }
    if found.is_empty() {
        // Without spaces or capitals between them: `checkouterrors`.
        let lower = name.to_lowercase();
        for service in &config.services {
            for known in
                own_names(service).map(str::to_lowercase).filter(|known| known.chars().count() > PART_MIN)
            {
                found.extend(
                    lower.match_indices(&known).map(|(start, _)| (start, start + known.len(), service)),
                );
            }
        }
    }
    let inside = |one: &(usize, usize, &Service)| {
        found.iter().any(|other| {
            other.2.name != one.2.name
                && other.0 <= one.0
                && one.1 <= other.1
                && (other.1 - other.0) > (one.1 - one.0)
        })
    };
    let named: Vec<&str> =
        found.iter().filter(|one| !inside(one)).map(|(_, _, service)| service.name.as_str()).collect();
    config.services.iter().filter(|service| named.contains(&service.name.as_str())).collect()
}

/// Lower case with one kind of separator.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '_', '.', '/'], "-")
}

/// The words of a name: parted by anything but letters and digits, and before capitals.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in name.chars() {
        let begins = character.is_uppercase() && before.is_lowercase();
        if begins || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config() -> Config {
        let text = "[[service]]\nname = \"checkout-api\"\naliases = [\"shop\"]\n\
                    lambda = [{ function = \"co-live\", alias = \"live\" }]\n\
                    [[service]]\nname = \"checkout-worker\"\nlog_groups = [\"/aws/lambda/co-jobs\"]\n\
                    [[service]]\nname = \"payments\"\n[[service]]\nname = \"orders-1\"\n[[service]]\nname = \"orders\"\n";
        Config::parse(text).unwrap()
    }

    fn one(name: &str) -> Meant {
        Meant::One(name.into())
    }

    #[test]
    fn a_name_is_found_by_alias_by_aws_and_as_a_part() {
        for (name, service) in [
            ("Checkout API", "checkout-api"),
            ("shop", "checkout-api"),
            ("co-live", "checkout-api"),
            ("/aws/lambda/co-jobs", "checkout-worker"),
            ("co-jobs", "checkout-worker"),
            ("prod-checkout-worker-lag", "checkout-worker"),
            ("PaymentsHighLatency", "payments"),
            ("paymentserrors", "payments"),
            ("paymnts", "payments"),
            ("orders-1", "orders-1"),
            ("orders 1 lag", "orders-1"),
        ] {
            assert_eq!(meant(&config(), Some(name), None), one(service), "{name}");
            assert_eq!(meant(&config(), None, Some(name)), one(service), "{name}");
        }
    }

    #[test]
    fn where_two_fit_both_are_named() {
        let both = Meant::Several(vec!["checkout-api".into(), "checkout-worker".into()]);
        assert_eq!(meant(&config(), Some("checkout"), None), both);
        let two = Meant::Several(vec!["checkout-api".into(), "payments".into()]);
        assert_eq!(meant(&config(), None, Some("shop to payments: errors")), two);
    }

    #[test]
    fn what_else_the_alert_says_settles_a_tie() {
        assert_eq!(meant(&config(), Some("checkout"), Some("checkout-worker lag")), one("checkout-worker"));
    }

    #[test]
    fn a_name_that_fits_nothing_may_be_awss_own() {
        let named = |service| meant(&config(), Some(service), Some("PaymentsHighLatency"));
        assert_eq!(named("search-indexer"), one("search-indexer"));
        assert_eq!(named("two words"), one("payments"), "AWS's names have no spaces");
        assert_eq!(named(""), one("payments"));
        assert_eq!(meant(&config(), Some("orders-2"), None), one("orders"));
    }

    #[test]
    fn an_alerts_name_is_no_service() {
        for name in ["HighErrorRate", "search-errors", "two words", ""] {
            assert_eq!(meant(&config(), None, Some(name)), Meant::Nobody, "{name}");
        }
        assert_eq!(meant(&config(), None, None), Meant::Nobody);
    }

    proptest! {
        #[test]
        fn anything_means_something_or_nobody(name in "\\PC{0,40}") {
            let _ = meant(&config(), Some(&name), Some(&name));
        }
    }
}
