//! Whether a message says that something with a date is past it.
//!
//! Two words together say it, in whatever language a runtime was installed in: a thing that somebody must
//! renew (a certificate, a token, a licence) and that its time is over. The rule that is not obvious: either
//! alone does not. Reservations, carts and sessions lapse all day long by design, and a licence may be checked
//! for many reasons.

use super::phrases::word_of;

/// What has a date after which it is worth nothing, until somebody renews it.
const DATED: &[&str] = &[
    "cert",
    "token",
    "licen",
    "credential",
    "subscription",
    "jwt",
    "signature",
    "\"exp\"",
    "api key",
    "apikey",
    "product key",
    "access key",
    "signing key",
    "entitlement",
    "contract",
    "trial",
    "password",
    "client secret",
    "assertion",
    "ticket",
    "mandate",
    "membership",
    "x509",
    "x.509",
    "invalid_grant",
    // German, French, Spanish, Italian, Portuguese, Dutch; many of their words begin like the English ones.
    "zertifikat",
    "lizenz",
    "kennwort",
    "passwort",
    "zugangsdaten",
    "schlüssel",
    "jeton",
    "mot de passe",
    "clé",
    "identifiants",
    "contraseña",
    "clave",
    "chiave",
    "senha",
    "chave",
    "wachtwoord",
];

const PAST_ITS_DATE: &[&str] = &[
    "expir",
    " lapsed",
    "past its",
    "past the",
    "no longer valid",
    "validity",
    "outlived",
    " ended",
    "ran out on",
    "out of date",
    "not valid after",
    "notafter",
    "not after",
    // German, French, Spanish, Italian, Portuguese, Dutch.
    "abgelaufen",
    "nicht mehr gültig",
    "nicht mehr gueltig",
    "périmé",
    "plus valide",
    "plus valable",
    "échu",
    "caducad",
    "vencid",
    "scadut",
    "verlopen",
    "niet meer geldig",
];

/// What expires by design, many times a day.
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
];

/// Whether a text (in small letters) says that something is past its date.
pub(super) fn is_past(text: &str) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    any(DATED) && any(PAST_ITS_DATE) && !word_of(text, NO_DATE) && !any(&["timeout expired", "renewed"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_languages_certificate_expires() {
        for text in [
            "pkix path validation failed: certpathvalidatorexception: validity check failed; notafter: sun sep 13 00:00:00 utc 2026",
            "das zertifikat des servers ist abgelaufen",
            "le certificat a expiré",
            "le jeton n'est plus valide",
            "el certificado ha caducado",
            "il certificato è scaduto",
            "o certificado está vencido",
            "het certificaat is verlopen",
            "invalid_grant: \"the refresh token expired on 2026-07-19\"",
            "x509: certificate has expired or is not yet valid",
        ] {
            assert!(is_past(text), "{text}");
        }
        for text in [
            "seat hold lapsed after 6s",
            "the cart has expired",
            "licence server did not answer",
            "cached token expired, renewed",
        ] {
            assert!(!is_past(text), "{text}");
        }
    }
}
