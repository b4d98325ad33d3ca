//! Tokens that are secrets by their own look.
//!
//! The rule that is not obvious: randomness alone proves nothing, ids and hashes are random too. A token is a
//! secret where it is unlike hex, unlike words, and too long and mixed for the ids that AWS and people make.

use std::ops::Range;

/// A part of a token that looks random must have so many characters: CloudFormation's suffixes have 12 or 13.
const PART: usize = 16;
/// All random parts of a token together. Base64 of 128 bits has 22 characters and is mostly an id; API keys are longer.
const WHOLE: usize = 24;
/// Of two kinds of characters only, such as base 36 or base 32: ULIDs and resource ids have 26.
const WHOLE_OF_TWO: usize = 32;
/// Bits per character from which a mix of letters and digits looks random; prose has below 3.5 at this length.
const RANDOM: f64 = 3.6;
/// Share of a part's characters that lie in natural words, from which it is a name.
const WORDY: f64 = 0.6;
/// The same of a path that has the length and the letters of a secret access key: paths of words have 0.9.
const WORDY_PATH: f64 = 0.75;

/// Beginnings that no id and no name has.
const PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxe-",
    "xoxe.",
    "xoxr-",
    "xoxs-",
    "xapp-",
    "xwfp-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "eyJ",
    "AIza",
    "ya29.",
    "dop_v1_",
    "lin_api_",
    "glsa_",
    "NRAK-",
    "sntrys_",
    "pscale_pw_",
    "pscale_tkn_",
    "shpat_",
    "shpss_",
    "ATATT3",
    "AGE-SECRET-KEY-",
    "hvs.",
    "dckr_pat_",
    "PMAK-",
];
/// Beginnings that names have too; what follows must not be words.
const DOUBTFUL: &[&str] = &["sk-", "npm_", "hf_", "SG.", "key-", "pypi-", "dapi", "ops_", "HRKU-"];
/// No shorter token is a secret by its look.
pub(super) const LEAST: usize = 16;
/// Ids that look like keys and are none: Stripe's objects, subresource integrity.
const PUBLIC: &[&str] = &[
    "evt_", "cus_", "pi_", "ch_", "in_", "sub_", "req_", "price_", "prod_", "acct_", "txn_", "seti_", "po_",
    "sha1-", "sha256-", "sha384-", "sha512-",
];

/// What of a token is a secret by its beginning, in bytes.
pub(super) fn unmistakable_in(token: &str) -> Option<Range<usize>> {
    if token.len() < LEAST {
        return None;
    }
    let mut start = 0;
    for segment in
        token.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=')))
    {
        let trimmed = segment.trim_end_matches(['.', '-']);
        if is_prefixed(trimmed) || is_access_key(trimmed) {
            return Some(start..start + trimmed.len());
        }
        start += segment.len();
        start += token[start..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

fn is_prefixed(token: &str) -> bool {
    if token.len() < LEAST {
        return false;
    }
    PREFIXES.iter().any(|prefix| token.starts_with(prefix))
        || DOUBTFUL.iter().any(|prefix| {
            token.strip_prefix(prefix).is_some_and(|rest| {
                rest.len() >= LEAST
                    && word_share(rest) < WORDY
                    && rest.bytes().any(|byte| byte.is_ascii_digit())
            })
        })
}

/// AWS access key ids.
fn is_access_key(token: &str) -> bool {
    token.len() == 20
        && ["AKIA", "ASIA"].iter().any(|prefix| token.starts_with(prefix))
        && token.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// What of a token is a secret because it looks random. `next` is the character right behind it.
pub(super) fn random_in(token: &str, next: Option<char>) -> Option<Range<usize>> {
    let whole = token.trim_end_matches(['.', '!']);
    if whole.len() < WHOLE || PUBLIC.iter().any(|prefix| whole.starts_with(prefix)) {
        return None;
    }
    // A base64 SHA-256, as Lambda names code: 43 characters and one `=`, which ends the token.
    if whole.len() == 43 && next == Some('=') {
        return None;
    }
    if is_secret_access_key(whole) {
        return Some(0..whole.len());
    }
    let mut start = 0;
    let (mut hull, mut longest) = (None::<Range<usize>>, 0);
    let mut joined = String::new();
    for part in whole.split(['/', '-', '_', '.', '@', '%', '#', '$', '~', '^', '*', '!']) {
        if !is_known(part) {
            longest = longest.max(part.len());
            joined.push_str(part);
            let begin = hull.as_ref().map_or(start, |hull| hull.start);
            hull = Some(begin..start + part.len());
        }
        start += part.len() + 1;
    }
    // Base64 for URLs has `-` and `_` in it, which look like separators.
    let enough = longest >= PART
        || (hull.as_ref().is_some_and(|hull| hull.len() == whole.len()) && is_url_base64(whole));
    (enough && looks_random(&joined)).then_some(hull).flatten()
}

/// Five groups of hex.
pub(super) fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Parts that say what they are: short ones, numbers, hex, words.
fn is_known(part: &str) -> bool {
    part.len() <= 3
        || part.bytes().all(|byte| byte.is_ascii_digit())
        || (part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || !part.is_ascii()
        || word_share(part) >= WORDY
        || is_word_and_number(part)
}

/// `CheckoutService1770380100123`, as sessions are called.
fn is_word_and_number(part: &str) -> bool {
    let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
    part.len() - word.len() >= 6 && word_share(word) >= WORDY
}

/// Few separators for its length: words in a name are shorter.
fn is_url_base64(token: &str) -> bool {
    let separators = token.bytes().filter(|byte| matches!(byte, b'-' | b'_')).count();
    separators * 8 <= token.len() && !token.contains(['/', '.', '@', '%'])
}

/// Forty characters of base64, all three kinds among them: AWS's secret access keys.
fn is_secret_access_key(token: &str) -> bool {
    token.len() == 40
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'))
        && kinds(token) == 3
        && word_share(token) < WORDY_PATH
}

fn looks_random(text: &str) -> bool {
    match kinds(text) {
        3 => text.len() >= WHOLE && entropy(text) >= RANDOM,
        2 if text.bytes().any(|byte| byte.is_ascii_digit()) => {
            text.len() >= WHOLE_OF_TWO && entropy(text) >= RANDOM && alternations(text) * 5 >= text.len()
        }
        // Letters in two cases and no digit happen to be random once in a thousand keys of this length.
        _ => false,
    }
}

/// How many of lower-case letters, capitals and digits occur.
fn kinds(text: &str) -> usize {
    let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    kinds.iter().filter(|kind| text.bytes().any(|byte| kind(&byte))).count()
}

/// How often letters and digits follow each other.
fn alternations(text: &str) -> usize {
    text.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count()
}

/// The share of characters that lie in natural words: four letters or more, small but for the first, with a vowel.
fn word_share(text: &str) -> f64 {
    let bytes = text.as_bytes();
    let mut natural = 0;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        if bytes[at].is_ascii_uppercase() {
            at += 1;
        }
        while at < bytes.len() && bytes[at].is_ascii_lowercase() {
            at += 1;
        }
        let word = &bytes[start..at];
        if word.len() >= 4 && word.iter().any(|byte| b"aeiouyAEIOUY".contains(byte)) {
            natural += word.len();
        }
        at = at.max(start + 1);
    }
    let characters = bytes.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    // A word in capitals is one where nothing else is.
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return 1.0;
    }
    if characters == 0 { 1.0 } else { natural as f64 / characters as f64 }
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
