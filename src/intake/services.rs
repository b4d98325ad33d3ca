//! Which service a name means that a person typed: a known one, one that is spelled alike, or a new one.
//!
//! The rule that is not obvious: a name that fits nothing is no mistake. AWS's own naming may know it,
//! so it is looked at; only a name that is nearly a known one is asked about.

use crate::config::Config;

/// Names that are known: configured, and seen in incidents.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// A service's own name, then what else it is called.
    services: Vec<Vec<String>>,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// This service, under its own name.
    Known(String),
    /// None of these, but nearly; the nearest first.
    Nearly(Vec<String>),
    Unheard,
}

/// So many are offered where a name is nearly right.
const OFFERED_MAX: usize = 3;

impl Directory {
    pub fn of(config: &Config, seen: &[String]) -> Self {
        let configured = config.services.iter().map(|service| {
            std::iter::once(&service.name).chain(&service.aliases).cloned().collect::<Vec<String>>()
        });
        let mut services: Vec<Vec<String>> = configured.collect();
        for name in seen {
            if config.service(name).is_none() {
                services.push(vec![name.clone()]);
            }
        }
        Self { services }
    }

    pub fn knows(&self, name: &str) -> bool {
        matches!(self.find(name), Fit::Known(_))
    }

    /// What `name` means.
    pub fn find(&self, name: &str) -> Fit {
        let typed = plain(name);
        let own = |names: &Vec<String>| names.first().cloned();
        if let Some(names) =
            self.services.iter().find(|names| names.iter().any(|known| plain(known) == typed))
        {
            return own(names).map_or(Fit::Unheard, Fit::Known);
        }
        let mut near: Vec<(usize, String)> = self
            .services
            .iter()
            .filter_map(|names| {
                let distance = names.iter().filter_map(|known| nearness(&typed, &plain(known))).min()?;
                Some((distance, own(names)?))
            })
            .collect();
        near.sort();
        near.truncate(OFFERED_MAX);
        if near.is_empty() {
            Fit::Unheard
        } else {
            Fit::Nearly(near.into_iter().map(|(_, name)| name).collect())
        }
    }

    /// Names that begin with, contain or nearly are what was typed so far, for a list to choose from.
    pub fn suggest(&self, typed: &str, limit: usize) -> Vec<String> {
        let typed = plain(typed);
        let rank = |names: &[String]| -> Option<usize> {
            let ranks = names.iter().filter_map(|known| {
                let known = plain(known);
                if known.starts_with(&typed) {
                    Some(0)
                } else if known.contains(&typed) {
                    Some(1)
                } else {
                    nearness(&typed, &known).map(|distance| distance + 1)
                }
            });
            ranks.min()
        };
        let mut fitting: Vec<(usize, &String)> =
            self.services.iter().filter_map(|names| Some((rank(names)?, names.first()?))).collect();
        fitting.sort();
        fitting.into_iter().take(limit).map(|(_, name)| name.clone()).collect()
    }
}

/// Lower case, with one kind of separator: `Order Service`, `order_service` and `order-service` are one.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '_', '.', '/'], "-")
}

/// How far one name is from being the other; `None` where they are different names.
///
/// One slip is forgiven in four letters, two in eight (optimal string alignment: a letter too many,
/// too few, another, or two exchanged). A whole part of a name (`checkout` of `shop-checkout`) is near too.
pub(super) fn nearness(typed: &str, known: &str) -> Option<usize> {
    let length = typed.chars().count();
    let allowed = if length >= 8 { 2 } else { usize::from(length >= 4) };
    let slips = slips(typed, known, allowed);
    let part = || {
        let parts: Vec<&str> = known.split('-').collect();
        let wanted: Vec<&str> = typed.split('-').collect();
        let within = length >= 4 && parts.windows(wanted.len()).any(|window| window == wanted.as_slice());
        within.then_some(3)
    };
    slips.or_else(part)
}

fn slips(typed: &str, known: &str, allowed: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (typed.chars().collect(), known.chars().collect());
    if allowed == 0 || a.len().abs_diff(b.len()) > allowed || a.len() > 200 {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|slips| *slips <= allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn directory() -> Directory {
        let text = "[[service]]\nname = \"demo-checkout-service\"\naliases = [\"checkout\"]\n\
                    [[service]]\nname = \"payments\"\n";
        Directory::of(&Config::parse(text).unwrap(), &["order-service".into(), "checkout".into()])
    }

    #[test]
    fn a_name_is_found_as_people_write_it() {
        for typed in ["checkout", "CHECKOUT", "demo-checkout-service", "Demo Checkout Service"] {
            assert_eq!(directory().find(typed), Fit::Known("demo-checkout-service".into()), "{typed}");
        }
        assert_eq!(directory().find("order_service"), Fit::Known("order-service".into()));
    }

    #[test]
    fn a_slip_is_asked_about() {
        assert_eq!(directory().find("chekcout"), Fit::Nearly(vec!["demo-checkout-service".into()]));
        assert_eq!(directory().find("paymnts"), Fit::Nearly(vec!["payments".into()]));
        assert_eq!(directory().find("order"), Fit::Nearly(vec!["order-service".into()]));
    }

    #[test]
    fn another_name_is_another_service() {
        for typed in ["search", "pay", "pm", "payments-v2-worker"] {
            assert_eq!(directory().find(typed), Fit::Unheard, "{typed}");
        }
    }

    #[test]
    fn typing_narrows_the_list() {
        assert_eq!(directory().suggest("", 10).len(), 3);
        assert_eq!(directory().suggest("pay", 10), ["payments"]);
        assert_eq!(directory().suggest("out", 10), ["demo-checkout-service"]);
        assert!(directory().suggest("zzz", 10).is_empty());
    }

    proptest! {
        #[test]
        fn a_known_name_is_found_in_any_case_and_nothing_panics(typed in "\\PC{0,30}") {
            let _ = directory().find(&typed);
            let own = Directory::of(&Config::default(), std::slice::from_ref(&typed));
            prop_assert_eq!(own.find(&typed.to_ascii_uppercase()), own.find(&typed.to_ascii_lowercase()));
            prop_assert!(own.knows(&typed));
        }
    }
}
