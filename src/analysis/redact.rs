//! Secrets masked in whatever leaves: by the name of the key, by shape, and by entropy.
//!
//! The rule that is not obvious: what an investigation is about must stay readable. Event ids
//! (UUIDs), code hashes after their name, request ids, versions, ARNs and host names are no secrets
//! and look like some.

use std::borrow::Cow;

use super::words;

const MASK: &str = "****";
/// From this length on a random-looking token is a secret unless it has a known shape.
const LONG: usize = 24;
/// Bits per character from which a token looks random.
const RANDOM: f64 = 3.9;

/// The value of a key for showing.
pub fn value(key: &str, value: &str) -> String {
    if is_secret_name(key) { MASK.to_owned() } else { text(value) }
}

/// Whether the words of a key's name say that its value is a secret.
pub fn is_secret_name(key: &str) -> bool {
    let words = words::split(key);
    let Some(last) = words.last().map(String::as_str) else { return false };
    let before = words.len().checked_sub(2).and_then(|index| words.get(index)).map_or("", String::as_str);
    // The last word says what it is: `DB_PASSWORD` is one, `PASSWORD_MIN_LENGTH` and `TOKEN_TTL` are not.
    match last {
        "password" | "passwd" | "pwd" | "secret" | "secrets" | "token" | "tokens" | "credential"
        | "credentials" | "passphrase" | "apikey" | "authorization" | "cookie" | "pass" => true,
        "key" | "keys" => matches!(
            before,
            "api"
                | "access"
                | "private"
                | "signing"
                | "encryption"
                | "license"
                | "licence"
                | "master"
                | "shared"
                | "account"
                | "secret"
        ),
        "value" | "id" | "base64" | "b64" | "plain" | "text" => {
            matches!(before, "password" | "secret" | "token" | "credential" | "apikey")
        }
        "string" => before == "connection",
        _ => false,
    }
}

/// A text for showing: secrets in it masked.
pub fn text(text: &str) -> String {
    let text = credentials_in_urls(text);
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    // What came right before: `password=` or `"token": "`.
    let mut secret_follows = false;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_token_character(c)).unwrap_or(rest.len());
        if end == 0 {
            let Some(separator) = rest.chars().next() else { break };
            // The key's verdict holds over `: = " ' > ` and blanks, and ends with anything else.
            if !matches!(separator, ':' | '=' | '"' | '\'' | ' ' | '>') {
                secret_follows = false;
            }
            out.push(separator);
            rest = &rest[separator.len_utf8()..];
            continue;
        }
        let (token, after) = rest.split_at(end);
        let assigns = after.trim_start_matches(['"', '\'', ' ']).starts_with([':', '=']);
        if secret_follows && !assigns {
            let scheme = ["bearer", "basic"].iter().any(|scheme| token.eq_ignore_ascii_case(scheme));
            if scheme {
                out.push_str(token);
            } else {
                out.push_str(MASK);
                secret_follows = false;
            }
        } else if is_secret_shape(token) {
            out.push_str(MASK);
        } else {
            out.push_str(token);
            let bearer = token.eq_ignore_ascii_case("bearer");
            secret_follows = bearer || (assigns && is_secret_name(token));
        }
        rest = after;
    }
    out
}

fn is_token_character(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '-' | '_' | '+' | '/' | '.' | '~' | '%' | '!' | '@' | '#' | '$' | '^' | '*')
}

/// `scheme://user:password@host` keeps user and host.
fn credentials_in_urls(text: &str) -> Cow<'_, str> {
    if !text.contains("://") || !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (head, tail) = rest.split_at(start + 3);
        out.push_str(head);
        let authority_end =
            tail.find(|c: char| c == '/' || c == '?' || c.is_whitespace() || c == '"').unwrap_or(tail.len());
        let (authority, after) = tail.split_at(authority_end);
        match authority
            .rsplit_once('@')
            .and_then(|(user, host)| user.split_once(':').map(|(name, _)| (name, host)))
        {
            Some((name, host)) => {
                out.push_str(name);
                out.push(':');
                out.push_str(MASK);
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Tokens that are secrets by their own look.
fn is_secret_shape(token: &str) -> bool {
    const PREFIXES: [&str; 17] = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "xoxb-",
        "xoxp-",
        "xapp-",
        "xoxa-",
        "sk_live_",
        "sk-",
        "rk_live_",
        "glpat-",
        "eyJ",
        "AIza",
        "npm_",
        "dop_v1_",
        "SG.",
    ];
    let token = token.trim_matches(['.', ',', '!']);
    if token.len() >= 16 && PREFIXES.iter().any(|prefix| token.starts_with(prefix)) {
        return true;
    }
    // AWS access key ids.
    if token.len() == 20
        && ["AKIA", "ASIA"].iter().any(|prefix| token.starts_with(prefix))
        && token.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    {
        return true;
    }
    if token.len() < LONG || is_known_shape(token) {
        return false;
    }
    let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    let mixed = kinds.iter().filter(|kind| token.bytes().any(|byte| kind(&byte))).count() == 3;
    mixed && entropy(token) >= RANDOM
}

/// Long tokens that an investigation needs: ids, hashes in hex, names and paths.
fn is_known_shape(token: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex(token) {
        return true;
    }
    let uuid: Vec<&str> = token.split('-').collect();
    if uuid.len() == 5 && uuid.iter().all(|part| hex(part)) {
        return true;
    }
    // A base64 SHA-256, as Lambda names code: 43 characters and one `=`, which ends the token.
    if token.len() == 43 {
        return true;
    }
    // Names and paths: parts of words, not one long jumble.
    let longest = token.split(['/', '-', '_', '.', '@', '%']).map(str::len).max().unwrap_or(0);
    longest < 20
}

/// Shannon's entropy in bits per character.
fn entropy(token: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in token.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = token.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * libm::log2(share)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        for (given, expected) in [
            ("password=hunter2 user=bob", "password=**** user=bob"),
            ("\"token\": \"abc123\"", "\"token\": \"****\""),
            ("postgres://app:s3cr3t@db.internal/orders", "postgres://app:****@db.internal/orders"),
            ("Authorization: Bearer abc.def.ghi", "Authorization: Bearer ****"),
            ("key AKIAIOSFODNN7EXAMPLE used", "key **** used"),
            ("STRIPE_API_KEY=abcd and secret_key: efgh", "STRIPE_API_KEY=**** and secret_key: ****"),
            ("xoxb-123456789012-abcdefABCDEF", "****"),
            ("value wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab leaked", "value **** leaked"),
        ] {
            assert_eq!(text(given), expected);
        }
        assert_eq!(value("DB_PASSWORD", "x"), MASK);
        assert_eq!(value("STRIPE_API_KEY", "x"), MASK);
    }

    #[test]
    fn what_an_investigation_needs_stays_readable() {
        for given in [
            "event 9f9e0083-6a91-49ac-a12a-3b19b6a45075",
            "code JdXOVPabcdefghijklmnopqrstuvwxyzABCDEF12345=",
            "arn:aws:ecs:eu-west-1:131822732119:task-definition/route-planner:18",
            "orders-db.cluster-c1.internal:5432",
            "key-escrow-api:130 and token-service:3",
            "revision 4a2f218d12a8481ead8f4c7b835cedd9aa",
            "c.corp.export.OrderServiceConfigurationFactory",
            "2026/02/06/[42]9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        ] {
            assert_eq!(text(given), given);
        }
        assert_eq!(value("TOKEN_TTL_SECONDS", "30"), "30");
        assert_eq!(value("DB_POOL_SIZE", "5"), "5");
    }
}
