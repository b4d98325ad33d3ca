//! What the name of a key says of its value.
//!
//! The rule that is not obvious: the last word says what a thing is. `DB_PASSWORD` is one; `PASSWORD_MIN_LENGTH` and
//! `TOKEN_TTL` are not.

use crate::domain::words;

/// Longer names are text, not names.
const NAME_MAX: usize = 200;

/// The last two words of a name, digits left out: `x-amz-id-2` ends in `id`.
fn last_words(name: &str) -> (String, String) {
    if name.len() > NAME_MAX {
        return (String::new(), String::new());
    }
    let mut words = words::split(name);
    words.retain(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
    let last = words.pop().unwrap_or_default();
    (words.pop().unwrap_or_default(), last)
}

/// Whether a name holds a part that names of secrets have: most names are told apart without taking them to pieces.
fn has_stem(name: &[u8]) -> bool {
    name.iter().enumerate().any(|(at, first)| {
        let stems: &[&[u8]] = match first.to_ascii_lowercase() {
            b'p' => &[b"pass", b"pwd"],
            b's' => &[b"secret", b"sid", b"sess", b"string"],
            b't' => &[b"token"],
            b'c' => &[b"cred", b"cookie"],
            b'k' => &[b"key"],
            b'a' => &[b"auth"],
            b'w' => &[b"webhook"],
            _ => return false,
        };
        let rest = &name[at..];
        stems.iter().any(|stem| rest.len() >= stem.len() && rest[..stem.len()].eq_ignore_ascii_case(stem))
    })
}

/// Whether a name may be a secret's, or names something itself.
pub(super) fn may_matter(name: &str) -> bool {
    has_stem(name.as_bytes()) || ["name", "value"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// Whether a key's value is a secret by the key's name.
pub fn is_secret(key: &str) -> bool {
    if !has_stem(key.as_bytes()) {
        return false;
    }
    let (before, last) = last_words(key);
    match last.as_str() {
        // Whether an instance's metadata must be asked with a token.
        "tokens" if before == "http" => false,
        "password" | "passwords" | "passwd" | "pwd" | "secret" | "secrets" | "token" | "tokens"
        | "credential" | "credentials" | "passphrase" | "passcode" | "apikey" | "apikeys"
        | "authorization" | "cookie" | "cookies" | "pass" | "jsessionid" | "phpsessid" | "webhook" => true,
        "key" | "keys" => matches!(
            before.as_str(),
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
                | "auth"
                | "subscription"
                | "ssh"
                | "hmac"
                | "jwt"
        ),
        "value" | "base64" | "b" | "plain" | "text" | "base" | "hash" | "pem" | "binary" => {
            matches!(before.as_str(), "password" | "secret" | "token" | "credential" | "apikey" | "key")
        }
        // AWS calls a secret's name so; Vault's `secret_id` is one.
        "id" if ["secretId", "SecretId"].contains(&key) => false,
        // Who holds a session's id holds the session.
        "id" | "sid" => matches!(before.as_str(), "session" | "password" | "secret" | "token" | "apikey"),
        "string" => matches!(before.as_str(), "connection" | "secret"),
        "auth" => matches!(before.as_str(), "redis" | "basic" | "http" | "proxy"),
        // Names without a boundary: `PGPASSWORD`, `dbpassword`, `clientsecret`.
        word => {
            word.len() > 8
                && ["password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey"]
                    .iter()
                    .any(|ending| word.ends_with(ending))
        }
    }
}

/// Names of which several values are counted as often as listed: `max_tokens=4096`.
pub(super) fn is_plural(key: &str) -> bool {
    last_words(key).1.ends_with('s')
}

/// Names of what AWS tells a repeated request by, mostly a UUID.
pub(super) fn makes_requests_unique(key: &str) -> bool {
    let words = words::split(key);
    matches!(
        words.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ["client", "token"] | ["client", "request", "token"]
    )
}

/// Whether a key's value is an id or a hash by the key's name: it may look as random as a secret.
pub fn is_identifier(key: &str) -> bool {
    let (_, last) = last_words(key);
    matches!(
        last.as_str(),
        "id" | "ids"
            | "uuid"
            | "guid"
            | "arn"
            | "arns"
            | "hash"
            | "sha"
            | "sum"
            | "checksum"
            | "digest"
            | "etag"
            | "md"
            | "fingerprint"
            | "integrity"
            | "version"
            | "versionid"
            | "revision"
            | "commit"
            | "requestid"
            | "eventid"
            | "traceid"
            | "trace"
            | "spanid"
            | "span"
            | "correlation"
            | "etags"
            | "digests"
            | "cursor"
    ) && !is_secret(key)
}

/// Names whose value is a header with a scheme before the secret.
pub(super) fn is_authorization(key: &str) -> bool {
    last_words(key).1 == "authorization"
}

/// Names whose value is a list of secrets up to the end of the line.
pub(super) fn is_cookie(key: &str) -> bool {
    last_words(key).1 == "cookie"
}

/// Names after which a quoted word is a secret even without a separator: `WITH PASSWORD 'x'`.
pub(super) fn is_password(key: &str) -> bool {
    matches!(last_words(key).1.as_str(), "password" | "passwd" | "pwd" | "passphrase" | "secret")
}
