//! Names and values taken apart into words, so that a rule can speak of `pool` and `timeout`
//! whatever a team spells them: `DB_POOL_SIZE`, `dbPoolSize`, `/shop/db-pool.size`.
//!
//! The rule that is not obvious: a run of capitals is one word unless a lower-case letter follows its
//! last capital (`HTTPMaxSockets` is http, max, sockets).

/// The words of a name, lower-case, in order. Digits end a word and are words of their own.
pub fn split(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let characters: Vec<char> = name.chars().collect();
    for (index, &character) in characters.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|before| characters.get(before)).copied();
        let next = characters.get(index + 1).copied();
        let boundary = match previous {
            None => false,
            Some(before) => {
                (before.is_lowercase() && character.is_uppercase())
                    || (before.is_uppercase()
                        && character.is_uppercase()
                        && next.is_some_and(char::is_lowercase))
                    || (before.is_ascii_digit() != character.is_ascii_digit())
            }
        };
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Words that names run together without any boundary: `petsitebannertext`, `searchdelay`.
const VOCABULARY: &[&str] = &[
    "attempts",
    "audience",
    "banner",
    "batch",
    "bucket",
    "cache",
    "concurrency",
    "concurrent",
    "connection",
    "count",
    "database",
    "deadline",
    "delay",
    "enabled",
    "endpoint",
    "error",
    "fail",
    "fault",
    "feature",
    "footer",
    "header",
    "heap",
    "host",
    "images",
    "interval",
    "latency",
    "level",
    "limit",
    "logging",
    "memory",
    "message",
    "mode",
    "password",
    "percent",
    "pool",
    "queue",
    "rate",
    "replicas",
    "retries",
    "retry",
    "sample",
    "schema",
    "secret",
    "size",
    "sleep",
    "socket",
    "table",
    "text",
    "thread",
    "timeout",
    "title",
    "token",
    "topic",
    "version",
    "worker",
    "email",
    "theme",
    "color",
    "colour",
    "log",
    "url",
    "ttl",
    "max",
];

/// The words of a name, and those that its long words are made of.
pub fn split_deeply(name: &str) -> Vec<String> {
    let mut words = split(name);
    let mut inner = Vec::new();
    for word in words.iter().filter(|word| word.len() >= 8) {
        for known in VOCABULARY {
            // Short ones only at an end, where chance does not make them.
            let inside = if known.len() >= 5 {
                word.contains(known)
            } else {
                word.ends_with(known) || word.starts_with(known) || (known.len() == 4 && word.contains(known))
            };
            if inside && word != known {
                inner.push((*known).to_owned());
            }
        }
    }
    if words.iter().any(|word| word.contains("loglevel")) {
        inner.extend(["log".to_owned(), "level".to_owned()]);
    }
    words.extend(inner);
    words
}

/// A word without its plural ending, so that `connections` meets `connection`.
pub fn stem(word: &str) -> &str {
    if let Some(root) = word.strip_suffix("ies").filter(|root| root.len() > 2) {
        return root;
    }
    if word.len() > 3 && !word.ends_with("ss") { word.strip_suffix('s').unwrap_or(word) } else { word }
}

/// The parts of a configuration value that could turn up in an error message: host names, buckets,
/// tables, paths. Lower-case; short or purely numeric parts say nothing and are left out.
pub fn tokens(value: &str) -> Vec<String> {
    value
        .split(|character: char| !(character.is_alphanumeric() || matches!(character, '-' | '_' | '.')))
        .map(|part| part.trim_matches(['.', '-', '_']).to_lowercase())
        .filter(|part| part.len() >= 4 && part.chars().any(char::is_alphabetic))
        .collect()
}

/// Whether `text` holds `token` as a whole: not as a part of a longer name.
pub fn contains_token(text: &str, token: &str) -> bool {
    if token.is_empty() {
        return false;
    }
    let inside = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(token)) {
        let start = from + found;
        let end = start + token.len();
        let before = text.get(..start).and_then(|head| head.chars().next_back());
        let after = text.get(end..).and_then(|tail| tail.chars().next());
        if !before.is_some_and(inside) && !after.is_some_and(inside) {
            return true;
        }
        from = end;
    }
    false
}

/// The numbers in a text, in order: `timed out after 2.00 seconds` gives 2.
pub fn numbers(text: &str) -> Vec<f64> {
    let mut found = Vec::new();
    let mut start = None;
    let bytes = text.as_bytes();
    for index in 0..=bytes.len() {
        let digit = bytes.get(index).is_some_and(u8::is_ascii_digit);
        let point = bytes.get(index) == Some(&b'.')
            && start.is_some()
            && bytes.get(index + 1).is_some_and(u8::is_ascii_digit);
        if digit || point {
            start.get_or_insert(index);
        } else if let Some(from) = start.take()
            && let Some(number) = text.get(from..index).and_then(|part| part.parse().ok())
        {
            found.push(number);
        }
    }
    found
}

/// Whether `part` stands in `name` as a whole part, with nothing but separators beside it.
pub fn holds_part(name: &str, part: &str) -> bool {
    let mut from = 0;
    while let Some(found) = name.get(from..).and_then(|rest| rest.find(part)) {
        let start = from + found;
        let end = start + part.len();
        let free = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
        let before = name.get(..start).and_then(|text| text.chars().next_back());
        let after = name.get(end..).and_then(|text| text.chars().next());
        if free(before) && free(after) {
            return true;
        }
        from = start + part.chars().next().map_or(1, char::len_utf8);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_has_the_same_words() {
        for name in ["DB_POOL_SIZE", "dbPoolSize", "db-pool.size", "/db/PoolSize", "DbPoolSize"] {
            assert_eq!(split(name), ["db", "pool", "size"], "{name}");
        }
        assert_eq!(split("HTTPMaxSockets2"), ["http", "max", "sockets", "2"]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn a_token_is_found_whole_only() {
        assert!(contains_token("connection refused: cache-b.internal:6380", "cache-b.internal"));
        assert!(!contains_token("no route to orders-db-old.internal", "orders-db"));
        assert!(contains_token("search returned 503", "search"));
        assert!(!contains_token("research returned 503", "search"));
    }

    #[test]
    fn numbers_are_read_out_of_text() {
        assert_eq!(numbers("Task timed out after 2.00 seconds (id 7)."), [2.0, 7.0]);
        assert!(numbers("none").is_empty());
    }

    #[test]
    fn the_telling_parts_of_a_value() {
        assert_eq!(tokens("redis://cache-b.internal:6380/0"), ["redis", "cache-b.internal"]);
    }

    #[test]
    fn only_a_whole_part_of_a_name_counts() {
        for name in ["/checkout/limits/max", "checkout-db", "app/checkout/123", "prod_checkout", "checkout"] {
            assert!(holds_part(name, "checkout"), "{name}");
        }
        for name in ["checkouts", "precheckout-db", "check-out", ""] {
            assert!(!holds_part(name, "checkout"), "{name}");
        }
    }
}
