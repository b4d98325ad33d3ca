//! Whether a message says that something with a date is past it.
//!
//! Two words together say it, in whatever language a runtime was installed in: a thing that somebody must
//! renew (a certificate, a token, a licence) and that its time is over. The rule that is not obvious: either
//! alone does not, and the thing nearest to the word is meant. Reservations, carts and sessions lapse all day long by
//! design, a timeout expires, and of a token that is unexpected the input ended.

use super::wording::Wording;

/// What has a date after which it is worth nothing, until somebody renews it: words, or their beginnings.
const DATED: &[&str] = &[
    "cert",
    "certs",
    "certific*",
    "certificad*",
    "token",
    "tokens",
    "licen*",
    "credential*",
    "subscription",
    "jwt",
    "signature",
    "exp",
    "apikey",
    "entitlement",
    "contract",
    "trial",
    "password",
    "assertion",
    "ticket",
    "mandate",
    "membership",
    "x509",
    "grant",
    "secret",
    "agreement",
    "krb*",
    "leaf",
    "intermediate",
    "saml",
    // German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Turkish, Russian; many begin like the English ones.
    "zertifikat*",
    "lizenz*",
    "kennwort",
    "passwort",
    "zugangsdaten",
    "schlüssel",
    "jeton",
    "passe",
    "clé",
    "identifiants",
    "contraseña",
    "clave",
    "chiave",
    "senha",
    "chave",
    "wachtwoord",
    "certyfikat*",
    "licencj*",
    "certifikat*",
    "licens*",
    "sertifika*",
    "lisans*",
    "сертификат*",
    "лицензи*",
    "токен*",
    "token*",
];

/// `api key`, `signing key`: kinds of key that have a date; a cache has keys as well.
const DATED_KEYS: &[&str] = &[
    "api",
    "product",
    "access",
    "signing",
    "signature",
    "license",
    "licence",
    "account",
    "client",
    "secret",
    "gpg",
    "pgp",
];

/// What is past, beyond doubt.
const PAST: &[&str] = &[
    "expired",
    "lapsed",
    "outlived",
    "notafter",
    "expirado",
    "expirada",
    "expiré",
    "expirée",
    // German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Turkish, Russian.
    "abgelaufen*",
    "périmé*",
    "échu*",
    "échéance",
    "caducad*",
    "vencid*",
    "scadut*",
    "verlopen",
    "wygas*",
    "ważność",
    "gått",
    "doldu",
    "истек",
    "истёк",
    "истекла",
    "просрочен*",
];

/// What says so only of what is sold for a time.
const ENDED: &[&str] = &["ended", "over", "terminated"];
const SOLD: &[&str] = &[
    "licen*",
    "entitlement",
    "subscription",
    "trial",
    "contract",
    "membership",
    "mandate",
    "certific*",
    "agreement",
];

/// What expires by design many times a day, or is no thing at all.
const NO_DATE: &[&str] = &[
    "cache",
    "cached",
    "lock",
    "locks",
    "lease",
    "pool",
    "entry",
    "hold",
    "cart",
    "basket",
    "reservation",
    "offer",
    "quote",
    "timeout",
    "timer",
    "deadline",
    "request",
    "message",
    "batch",
    "wait",
    "session",
    "order",
    "record",
    "records",
    "window",
    "period",
    "url",
    "link",
    "job",
    "item",
    "code",
    "otp",
    "key",
    "ttl",
    "interval",
    "budget",
    "input",
    "stream",
    "file",
    "loop",
    "bucket",
    "graph",
    "topic",
];

/// Words of a text around a word that says 'past' in which its thing is looked for, before and behind it.
const BEFORE: usize = 8;
const BEHIND: usize = 4;

fn is(word: &str, known: &[&str]) -> bool {
    known.iter().any(|form| match form.strip_suffix('*') {
        Some(begin) => word.starts_with(begin),
        None => word == *form,
    })
}

/// Whether a text (in small letters) says that something is past its date.
pub(super) fn is_past(text: &str, said: &Wording) -> bool {
    // It was and is not any more, it is not, or the clocks disagree.
    if said.any(&[
        "renewed|refreshed|rotated",
        "before|until|not|never|hasn't|isn't ..2 expired",
        "has expired or is not yet valid ..12 is before",
        "expired ..8 earlier than",
    ]) && !said.any(&["not yet valid ..12 is after"])
    {
        return false;
    }
    let words = said.words();
    let by_word = (0..words.len()).any(|at| {
        let past = is(&words[at], PAST)
            || words[at] == "past" && words.get(at + 1).is_some_and(|next| next == "its" || next == "the")
            || phrase(words, at, &["no", "longer", "valid"])
            || phrase(words, at, &["not", "valid", "after"])
            || phrase(words, at, &["not", "after"])
            || phrase(words, at, &["out", "of", "date"])
            || phrase(words, at, &["ran", "out", "on"])
            || phrase(words, at, &["nicht", "mehr", "gültig"])
            || phrase(words, at, &["nicht", "mehr", "gueltig"])
            || phrase(words, at, &["à", "expiration"])
            || phrase(words, at, &["plus", "valide"])
            || phrase(words, at, &["plus", "valable"])
            || phrase(words, at, &["niet", "meer", "geldig"]);
        past && is_of_a_dated_thing(words, at) || is(&words[at], ENDED) && is_of_a_sold_thing(words, at)
    });
    by_word || without_spaces(text)
}

fn phrase(words: &[String], at: usize, phrase: &[&str]) -> bool {
    words
        .get(at..at + phrase.len())
        .is_some_and(|part| part.iter().zip(phrase).all(|(word, wanted)| word == wanted))
}

/// Whether the nearest thing that is named has a date.
fn is_of_a_dated_thing(words: &[String], at: usize) -> bool {
    let dated = |index: usize| {
        let word = words[index].as_str();
        if word == "key" && index > 0 && is(&words[index - 1], DATED_KEYS) {
            Some(true)
        } else if is(word, NO_DATE) {
            Some(false)
        } else if is(word, DATED) {
            Some(true)
        } else {
            None
        }
    };
    let before = (at.saturating_sub(BEFORE)..at).rev().find_map(dated);
    // `expired certificate`; behind `no longer valid` stands why.
    let leads = matches!(words[at].as_str(), "expired" | "past" | "abgelaufenes");
    let behind = || (at + 1..words.len().min(at + 1 + BEHIND)).filter(|_| leads).find_map(dated);
    before.or_else(behind).unwrap_or(false)
}

fn is_of_a_sold_thing(words: &[String], at: usize) -> bool {
    let named = |index: &usize| is(&words[*index], SOLD);
    (at.saturating_sub(3)..at).any(|index| named(&index)) && !words.iter().any(|word| is(word, NO_DATE))
}

/// Chinese, Japanese and Korean put no spaces between the two.
fn without_spaces(text: &str) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    any(&[
        "证书",
        "證書",
        "証明書",
        "令牌",
        "许可证",
        "授權",
        "ライセンス",
        "トークン",
        "인증서",
        "토큰",
        "라이선스",
    ]) && any(&["过期", "過期", "到期", "期限が切れ", "期限切れ", "失効", "만료"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(text: &str) -> bool {
        is_past(&text.to_lowercase(), &Wording::of(text))
    }

    #[test]
    fn every_languages_certificate_expires() {
        for text in [
            "das zertifikat des servers ist abgelaufen",
            "le certificat a expiré",
            "le certificat du serveur est arrivé à échéance",
            "le jeton n'est plus valide",
            "el certificado ha caducado",
            "il certificato è scaduto",
            "o certificado está vencido",
            "het certificaat is verlopen",
            "certyfikat serwera wygasł",
            "certifikatet har gått ut",
            "sunucu sertifikasının süresi doldu",
            "срок действия сертификата истёк",
            "服务器证书已过期",
            "サーバー証明書の有効期限が切れています",
            "인증서가 만료되었습니다",
        ] {
            assert!(past(text), "{text}");
        }
    }

    #[test]
    fn what_somebody_must_renew_is_past_its_date() {
        for text in [
            "x509: certificate has expired or is not yet valid: current time 2026-02-06T12:15:00Z is after 2026-02-06T12:00:00Z",
            "javax.net.ssl.SSLHandshakeException: PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed; CertificateExpiredException: NotAfter: Sun Sep 13 00:00:00 UTC 2026",
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1129)",
            "SSL certificate problem: certificate has expired",
            "reason: CERT_HAS_EXPIRED",
            "invalid peer certificate: Expired",
            "TokenExpiredError: jwt expired",
            "jwt.exceptions.ExpiredSignatureError: Signature has expired",
            "IDX10223: Lifetime validation failed. The token is expired.",
            "AADSTS7000222: The provided client secret keys for app 'x' are expired.",
            "invalid_grant: \"the refresh token expired on 2026-07-19\"",
            "blocking [indices:data/read] operations because license expired",
            "ORA-28001: the password has expired",
            "KRB5KRB_AP_ERR_TKT_EXPIRED: Ticket expired",
            "signing key expired 3 days ago",
            "your trial has ended",
            "licence for module billing is not valid after 2026-07-01",
        ] {
            assert!(past(text), "{text}");
        }
    }

    #[test]
    fn what_lapses_by_design_is_not() {
        for text in [
            "seat hold lapsed after 6s",
            "the cart has expired",
            "licence server did not answer",
            "cached token expired, renewed",
            "token cache entry expired",
            "Timeout expired. The timeout period elapsed prior to obtaining a connection from the pool.",
            "certificate check failed: request expired after 30 s",
            "context deadline expired while fetching token",
            "unexpected token: stream ended",
            "AssertionError: loop ended too early",
            "certain orders expired overnight",
            "Batch Expired: Expiring 3 record(s) for orders-0:120000 ms has passed since batch creation",
            "certificate expires in 12 days",
            "password will expire in 3 days",
            "Signature expired: 20260206T120000Z is now earlier than 20260206T121500Z",
            "x509: certificate has expired or is not yet valid: current time 2026-02-06T12:15:00Z is before 2027-02-06T12:00:00Z",
            "failed to parse token expiry date",
            "GraphQL subscription ended by the server",
            "invalid signature on payload",
            "payload is no longer valid under schema 3",
        ] {
            assert!(!past(text), "{text}");
        }
    }
}
