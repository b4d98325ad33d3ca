//! Permissions and rules of the network: whether what a change of them gave or took can be what requests fail by.
//!
//! The rule that is not obvious: a rule that is added never cuts anybody off, and one that is taken away cuts off its own
//! ports. What a call puts in the place of something else ([`KeyChange`] without either side, or with both) may do both, and
//! a policy that is attached forbids where it says so, which no record holds.

use super::changes::{ALLOWED, DENIED, GRANTED, IN_PLACE};
use super::failure::Failure;
use super::logs::phrases::{self, Mechanism};
use super::words;
use crate::domain::change::{Change, ChangeKind, KeyChange, Relation};

/// From this width on a range of ports is the way back of connections, whose own port is another: lists of a subnet see
/// both ways of each.
const WAY_BACK: u32 = 1000;
/// Where names are looked up. Whoever finds no name tells the port of whom he meant to call.
const NAMES: u32 = 53;

/// Whether nothing that a change gave or took can be what requests fail by.
pub fn spares(change: &Change, failure: &Failure) -> bool {
    let keys = &change.keys;
    if keys.is_empty() {
        return false;
    }
    match change.kind {
        ChangeKind::IamPolicy => {
            keys.iter().all(grants)
                && !failure.says(phrases::is_denied_outright)
                && !is_unread(change, failure)
        }
        ChangeKind::SecurityGroup | ChangeKind::Network => {
            let named = ports_of_all(change, failure);
            keys.iter().all(|key| opens(key) || named.as_ref().is_some_and(|named| closes_others(key, named)))
        }
        _ => false,
    }
}

/// Whether a change attached policies that nobody read, while requests are refused in words that leave open whether somebody
/// forbids it: most policies only allow, and the few that forbid do just this.
pub fn is_unread(change: &Change, failure: &Failure) -> bool {
    let refused = failure.frequent().any(|found| found == Mechanism::Access);
    let attached = |key: &KeyChange| grants(key) && key.after.as_deref() == Some(IN_PLACE);
    change.kind == ChangeKind::IamPolicy
        && refused
        && !failure.texts.iter().all(|text| phrases::is_allowed_by_nobody(text))
        && !failure.says(phrases::is_denied_outright)
        && change.keys.iter().all(grants)
        && change.keys.iter().any(attached)
}

/// The ports that all of the errors name, where each of them names one and it is the service's own way that the change is
/// about: whom others can reach, and which names are found, no port of ours tells.
fn ports_of_all(change: &Change, failure: &Failure) -> Option<Vec<u32>> {
    let own = matches!(change.relation, Relation::Own | Relation::Shared);
    if !own || failure.texts.is_empty() || failure.frequent().any(|found| found == Mechanism::Dns) {
        return None;
    }
    let named: Vec<Vec<u32>> = failure.texts.iter().map(|text| ports_named(text)).collect();
    named.iter().all(|ports| !ports.is_empty()).then(|| named.concat())
}

/// A permission that is added, and by its name none that forbids.
fn grants(key: &KeyChange) -> bool {
    const FORBIDS: &[&str] = &[
        "deny",
        "denied",
        "denies",
        "quarantine",
        "boundary",
        "restrict",
        "restricted",
        "block",
        "lockdown",
    ];
    let forbids = words::split(&key.key).iter().any(|word| FORBIDS.contains(&word.as_str()));
    key.before.is_none() && matches!(key.after.as_deref(), Some(IN_PLACE | GRANTED)) && !forbids
}

fn opens(key: &KeyChange) -> bool {
    key.before.is_none() && key.after.as_deref() == Some(ALLOWED)
}

/// Whether a rule that is taken away, or refuses, is about other ports than these.
fn closes_others(key: &KeyChange, named: &[u32]) -> bool {
    let taken = key.before.as_deref() == Some(ALLOWED) && key.after.is_none();
    // What is denied in the place of another rule takes that one with it.
    let denied = key.before.is_none() && key.after.as_deref() == Some(DENIED);
    if !taken && !denied {
        return false;
    }
    // `egress tcp 5432 sg-1`, `ingress tcp 8000-8010 10.0.0.0/8`; of all protocols no ports are told.
    let mut words = key.key.split(' ').skip(1);
    if words.next().is_none_or(|protocol| !matches!(protocol, "tcp" | "udp" | "6" | "17")) {
        return false;
    }
    let Some(ports) = words.next() else { return false };
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) else { return false };
    let holds = |port: &u32| (from..=to).contains(port);
    to.saturating_sub(from) < WAY_BACK && !holds(&NAMES) && !named.iter().any(holds)
}

/// Ports of well-known addresses that name none.
const USUAL: &[(&str, u32)] = &[
    ("https://", 443),
    ("http://", 80),
    ("postgres://", 5432),
    ("postgresql://", 5432),
    ("mysql://", 3306),
    ("redis://", 6379),
    ("amqp://", 5672),
    ("amqps://", 5671),
    ("mongodb://", 27017),
];

/// The ports that an error names, of somebody who was called: `10.4.2.9:6379`, `db.internal:5432`, `port 5432`.
fn ports_named(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    let digits = |rest: &str| -> Option<u32> {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let ends = !rest.get(end..).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
        rest.get(..end)?.parse().ok().filter(|port| (10..=65_535).contains(port) && ends)
    };
    for (at, _) in text.match_indices(':') {
        let host = text.get(..at).unwrap_or_default();
        let begin =
            host.rfind(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | ']')));
        let host = host.get(begin.map_or(0, |begin| begin + 1)..).unwrap_or_default();
        if is_host(host) {
            found.extend(text.get(at + 1..).and_then(digits));
        }
    }
    for (at, word) in text.match_indices("port") {
        // `import`, `report`, `transport`.
        if text.get(..at).is_some_and(|before| before.ends_with(char::is_alphabetic)) {
            continue;
        }
        let rest = text.get(at + word.len()..).unwrap_or_default();
        found.extend(digits(rest.trim_start_matches([' ', '=', ':'])));
    }
    for (scheme, port) in USUAL {
        for (at, _) in text.match_indices(scheme) {
            let rest = text.get(at + scheme.len()..).unwrap_or_default();
            let end = rest.find(['/', ' ', '"', '\'', '?', ')', ',']);
            let address = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            // The scheme of `postgresql://` ends like none other; that of `https://` holds no other either.
            let whole = text.get(..at).and_then(|before| before.chars().next_back());
            let names_one = address.rsplit_once(':').is_some_and(|(_, port)| digits(port).is_some());
            let called = !is_for_people(text.get(..at).unwrap_or_default(), address);
            if called && !names_one && whole.is_none_or(|letter| !letter.is_alphanumeric()) {
                found.push(*port);
            }
        }
    }
    found
}

/// Whether an address is where people are to read on, by the words before it or by its own name: `(Background on this error
/// at: https://sqlalche.me/e/20/3o7r)`.
fn is_for_people(before: &str, address: &str) -> bool {
    const LEADS: &[&str] = &[
        "error at:",
        "see",
        "see:",
        "see also",
        "visit",
        "visit:",
        "docs",
        "docs:",
        "help",
        "help:",
        "refer to",
        "more at",
        "more at:",
        "information:",
        "info:",
        "details:",
    ];
    let before = before.trim_end_matches([' ', '"', '\'', '(', '<', '[', '`']);
    let leads = |lead: &&str| {
        let head = before.strip_suffix(*lead);
        head.is_some_and(|head| !head.ends_with(char::is_alphanumeric))
    };
    LEADS.iter().any(leads) || ["docs.", "help.", "support."].iter().any(|name| address.starts_with(name))
}

/// Whether what stands before a colon is called over the network: an address or a name with parts, and no file of code.
fn is_host(name: &str) -> bool {
    const CODE: &[&str] = &[
        "py", "js", "mjs", "cjs", "ts", "tsx", "jsx", "go", "rs", "java", "kt", "rb", "php", "cs", "c", "cc",
        "cpp", "scala", "ex", "exs", "erl", "swift", "lua", "sql", "sh", "pl", "clj", "html", "vue",
    ];
    if name.ends_with(']') || name == "localhost" {
        return true;
    }
    let Some((_, last)) = name.rsplit_once('.') else { return false };
    let address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    address || last.len() >= 2 && last.chars().all(char::is_alphabetic) && !CODE.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::logs::phrases::Mechanism;

    fn key(name: &str, before: Option<&str>, after: Option<&str>) -> KeyChange {
        KeyChange { key: name.into(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    #[test]
    fn an_error_names_the_port_of_whom_it_called() {
        for (text, expected) in [
            ("dial tcp 10.4.2.9:6379: i/o timeout", vec![6379]),
            ("no route to host orders.internal:5432", vec![5432]),
            ("connect to [fd00::12]:443 timed out", vec![443]),
            ("could not connect to server on port 3306", vec![3306]),
            ("post https://api.partner.example/rates timed out", vec![443]),
            ("get http://api.partner.example:8080/x: timeout", vec![8080]),
            ("keyerror at quote.py:88", vec![]),
            ("12:05:33 timed out at 12:05", vec![]),
            ("order 5432 failed", vec![]),
            ("import 250 orders: report 31, transport: 503", vec![]),
            ("timeout (background on this error at: https://sqlalche.me/e/20/3o7r)", vec![]),
            ("refused, see https://wiki.shop.example/refused", vec![]),
            ("read https://docs.shop.example/refused", vec![]),
            ("cannot oversee https://api.partner.example", vec![443]),
        ] {
            assert_eq!(ports_named(text), expected, "{text}");
        }
    }

    #[test]
    fn a_rule_cuts_off_its_own_ports_only() {
        let named = [5432];
        for (name, others) in [
            ("ingress tcp 22 0.0.0.0/0", true),
            ("egress tcp 5432 sg-1", false),
            ("egress tcp 5400-5500 sg-1", false),
            ("ingress tcp 8000-8010 sg-1", true),
            ("ingress tcp 1024-65535 10.0.0.0/8", false),
            ("ingress all 10.0.0.0/8", false),
            // Without names nobody reaches any port.
            ("egress udp 53 10.0.0.2/32", false),
        ] {
            assert_eq!(closes_others(&key(name, Some(ALLOWED), None), &named), others, "{name}");
            assert_eq!(closes_others(&key(name, None, Some(DENIED)), &named), others, "{name}");
            assert!(!closes_others(&key(name, None, Some(ALLOWED)), &named), "{name}");
            assert!(!closes_others(&key(name, Some("another rule"), Some(DENIED)), &named), "{name}");
        }
    }

    fn change(kind: ChangeKind, relation: Relation, keys: Vec<KeyChange>) -> Change {
        let drafted = crate::analysis::changes::draft(kind, "one".to_owned(), jiff::Timestamp::UNIX_EPOCH);
        Change { relation, keys, ..drafted }
    }

    fn failing(mechanism: Mechanism, texts: &[&str]) -> Failure {
        Failure {
            mechanisms: vec![(mechanism, 1.0)],
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..Failure::default()
        }
    }

    #[test]
    fn a_rule_that_is_gone_is_of_other_ports_only_where_every_error_names_one_of_ours() {
        let closed = |relation: Relation, rule: &str, failure: &Failure| {
            let keys = vec![key(rule, Some(ALLOWED), None)];
            spares(&change(ChangeKind::SecurityGroup, relation, keys), failure)
        };
        let rule = "ingress tcp 22 0.0.0.0/0";
        let partner = "connect to api.partner.example:443 timed out";
        let silent = failing(Mechanism::Timeout, &[partner]);
        assert!(closed(Relation::Own, rule, &silent) && closed(Relation::Shared, rule, &silent));
        // Whom `pricing` can reach, our errors do not tell.
        assert!(!closed(Relation::Dependency("pricing".to_owned()), rule, &silent));
        let some = failing(Mechanism::Timeout, &["no answer from the ledger", partner]);
        assert!(!closed(Relation::Own, rule, &some));
        let nameless = failing(Mechanism::Dns, &["https://api.partner.example: failed to resolve"]);
        assert!(!closed(Relation::Own, rule, &nameless));
        assert!(!closed(Relation::Own, "egress udp 53 10.0.0.2/32", &silent));
    }

    #[test]
    fn a_rule_that_is_replaced_may_have_closed_what_the_other_one_allowed() {
        let silent = failing(Mechanism::Timeout, &["connect to api.partner.example:443 timed out"]);
        let allowed = |before: Option<&str>| {
            let keys = vec![key("egress tcp 8443 0.0.0.0/0", before, Some(ALLOWED))];
            spares(&change(ChangeKind::Network, Relation::Own, keys), &silent)
        };
        assert!(allowed(None));
        assert!(!allowed(Some("another rule")));
    }

    #[test]
    fn a_policy_that_nobody_read_is_spared_only_where_nobody_is_said_to_forbid() {
        let attached = |value: &str, text: &str| {
            let keys = vec![key("RegionLock", None, Some(value))];
            let change = change(ChangeKind::IamPolicy, Relation::Own, keys);
            let failure = failing(Mechanism::Access, &[text]);
            (spares(&change, &failure), is_unread(&change, &failure))
        };
        assert_eq!(attached(IN_PLACE, "accessdenied: access denied"), (false, true));
        assert_eq!(attached(GRANTED, "accessdenied: access denied"), (true, false));
        let nobody = "not authorized to perform s3:getobject because no identity-based policy allows it";
        assert_eq!(attached(IN_PLACE, nobody), (true, false));
        assert_eq!(attached(IN_PLACE, "with an explicit deny in an identity-based policy"), (false, false));
    }

    #[test]
    fn a_permission_that_is_added_forbids_only_by_its_name() {
        assert!(grants(&key("AmazonSQSFullAccess", None, Some(IN_PLACE))));
        assert!(!grants(&key("DenyOutsideHours", None, Some(IN_PLACE))));
        assert!(!grants(&key("data-access", Some(IN_PLACE), None)));
        assert!(!grants(&key("data-access", None, None)));
    }

    #[test]
    fn an_outright_refusal_may_be_a_policy_that_was_added() {
        let failure = |text: &str| Failure {
            mechanisms: vec![(Mechanism::Access, 1.0)],
            texts: vec![text.to_owned()],
            ..Failure::default()
        };
        assert!(
            !failure("because no identity-based policy allows the s3:getobject action")
                .says(phrases::is_denied_outright)
        );
        assert!(
            failure("with an explicit deny in a service control policy").says(phrases::is_denied_outright)
        );
    }
}
