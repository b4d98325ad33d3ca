//! Who is named in an error: hosts, services, vendors of an API.
//!
//! The rule that is not obvious: points make a host only where its last part is a domain; `io.EOF`, `app.py`
//! and `com.acme.Cart` are classes and files.

use crate::analysis::words;
use crate::domain::evidence::Scope;

/// Domains of hosts that anybody may reach.
const PUBLIC: [&str; 24] = [
    "com", "net", "org", "io", "dev", "app", "cloud", "ai", "info", "biz", "tech", "systems", "network",
    "services", "example", "online", "site", "shop", "bank", "finance", "software", "digital", "edu", "gov",
];
/// Domains inside an organisation, or none at all.
const PRIVATE: [&str; 12] = [
    "internal",
    "local",
    "lan",
    "corp",
    "intern",
    "intranet",
    "home",
    "svc",
    "cluster",
    "test",
    "localhost",
    "private",
];
/// Endings of files that are domains of countries as well.
const SOURCES: [&str; 10] = ["py", "rs", "rb", "sh", "cs", "cc", "md", "ps", "ts", "so"];

/// Whether a name with points is a host's: its last part is a domain.
fn is_host(token: &str) -> bool {
    let Some((_, last)) = token.rsplit_once('.') else { return false };
    let country =
        last.len() == 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic()) && !SOURCES.contains(&last);
    // A source's ending that is no country's.
    let file = ["js", "go"].contains(&last);
    (country && !file) || PUBLIC.contains(&last) || PRIVATE.contains(&last)
}

/// Whether a part of the name is the service's own.
fn is_own(token: &str, scope: &Scope) -> bool {
    let own = |part: &str| {
        part.eq_ignore_ascii_case(&scope.service)
            || scope.resources.lambda.iter().any(|name| name.eq_ignore_ascii_case(part))
            || scope.resources.ecs.iter().any(|ecs| ecs.service.eq_ignore_ascii_case(part))
    };
    own(token) || token.split('.').any(own)
}

/// Whether a host in an error belongs to somebody else altogether: a public name, none of AWS, not the
/// service's own, no address of a mail or of a page to read.
pub(super) fn is_foreign(text: &str, token: &str, scope: &Scope) -> bool {
    let last = token.rsplit('.').next().unwrap_or("");
    let first = token.split('.').next().unwrap_or("");
    let mail = text.find(token).and_then(|at| text.get(..at)).is_some_and(|before| before.ends_with('@'));
    is_host(token)
        && !PRIVATE.contains(&last)
        && !token.ends_with("amazonaws.com")
        && !mail
        && !["docs", "doc", "help", "support", "wiki", "developer", "www"].contains(&first)
        && !is_own(token, scope)
        && !scope.peers.iter().any(|peer| words::contains_token(token, &peer.to_lowercase()))
        && is_party(token, scope)
}

/// The part of a host's name that tells its owner: the last two labels.
pub(super) fn owner(host: &str) -> &str {
    host.rmatch_indices('.').nth(1).and_then(|(at, _)| host.get(at + 1..)).unwrap_or(host)
}

/// A host or another service: a name with parts, not an address, a file, a class or the service itself.
pub(super) fn is_party(token: &str, scope: &Scope) -> bool {
    let parts: Vec<&str> = token.split(['.', '-']).collect();
    let lettered =
        parts.iter().filter(|part| part.len() >= 2 && part.chars().any(char::is_alphabetic)).count();
    // What has points is a host or the name of a class or file.
    let other = token.contains('.') && !is_host(token);
    let word = [
        "read-only",
        "time-out",
        "re-",
        "non-",
        "self-",
        "retry-after",
        "x-",
        "content-type",
        "end-of",
        "up-to",
        "in-flight",
    ]
    .iter()
    .any(|head| token.starts_with(head));
    parts.len() >= 2
        && lettered >= 2
        && lettered == parts.iter().filter(|part| !part.is_empty()).count()
        && !other
        && !word
        && !is_own(token, scope)
        && !scope.peers.iter().any(|peer| peer.eq_ignore_ascii_case(token))
}

/// Whether the text says that this name did something or had something done to it. Host names need
/// no such sign.
pub(super) fn acts(text: &str, token: &str) -> bool {
    if token.contains('.') {
        return true;
    }
    let Some(at) = text.find(token) else { return false };
    let before = text.get(..at).unwrap_or("").trim_end_matches([' ', '\'', '"', ':', '/', '(']);
    let after = text.get(at + token.len()..).unwrap_or("").trim_start_matches([' ', '\'', '"', ':', ')']);
    let calls = [
        "to", "from", "for", "calling", "upstream", "service", "by", "with", "against", "circuit", "via",
        "on",
    ];
    let does = [
        "returned",
        "responded",
        "answered",
        "replied",
        "rejected",
        "refused",
        "failed",
        "unavailable",
        "is ",
        "timed",
        "did not",
        "gave",
        "said",
        "closed",
        "status",
        "error",
        "5",
        "4",
    ];
    before.rsplit(' ').next().is_some_and(|word| calls.contains(&word))
        || does.iter().any(|verb| after.starts_with(verb))
}

/// `acme API: too many requests`: the word before `api`, where it is a name.
pub(super) fn provider_of_an_api(text: &str) -> Option<String> {
    const NO_NAMES: [&str; 14] = [
        "the", "our", "rest", "internal", "http", "json", "public", "this", "that", "partner", "remote",
        "external", "upstream", "aws",
    ];
    let at = text.find(" api")?;
    if text.get(at + 4..).and_then(|rest| rest.chars().next()).is_some_and(char::is_alphanumeric) {
        return None;
    }
    let name = text.get(..at)?.rsplit(|c: char| !c.is_alphanumeric()).next()?;
    // `Consider increasing it with the UpdateTable API`: advice, which names a call and nobody who failed.
    let before = text.get(..at - name.len())?;
    let advice = ["with the ", "using the ", "use the ", "through the ", "via the ", "call the ", "see the "];
    if advice.iter().any(|words| before.ends_with(words)) {
        return None;
    }
    (name.len() >= 4 && !NO_NAMES.contains(&name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{MetricScope, Resources};

    fn scope() -> Scope {
        Scope {
            service: "basket".into(),
            region: String::new(),
            account: String::new(),
            now: jiff::Timestamp::UNIX_EPOCH,
            resources: Resources { metrics: MetricScope::default(), ..Resources::default() },
            depends_on: vec![],
            peers: vec!["voucher".into()],
        }
    }

    #[test]
    fn the_word_before_api_is_a_provider_where_it_is_no_advice() {
        for (text, expected) in [
            ("acme api: too many requests", Some("acme")),
            ("the acme api returned 503", Some("acme")),
            ("consider increasing your level with the updatetable api", None),
            ("retry using the acme api", None),
            ("our api is down", None),
        ] {
            assert_eq!(provider_of_an_api(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_strangers_host_is_foreign_and_ones_own_is_not() {
        for (text, token) in [
            ("carrier smpp.telco.example: bind refused", "smpp.telco.example"),
            ("getaddrinfo eai_again mail.sender.io", "mail.sender.io"),
            ("handshake with api.bank.de:443 broke off", "api.bank.de"),
        ] {
            assert!(is_foreign(text, token, &scope()), "{text}");
        }
        for (text, token) in [
            ("read failed: io.eof", "io.eof"),
            ("at com.acme.cart", "com.acme.cart"),
            ("no route to ledger.internal", "ledger.internal"),
            ("server basket.example", "basket.example"),
            ("mail to ann@shop.com", "shop.com"),
            ("kms.eu-west-1.amazonaws.com", "kms.eu-west-1.amazonaws.com"),
            ("see docs.driver.io", "docs.driver.io"),
            ("call to voucher.example", "voucher.example"),
            ("in main.py", "main.py"),
        ] {
            assert!(!is_foreign(text, token, &scope()), "{text}");
        }
    }
}
