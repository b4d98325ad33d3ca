//! A message as words, and patterns of words that stand in it.
//!
//! Names are taken apart at their capitals and separators, so that `PoolTimeout`, `pool_timeout` and `pool
//! timeout` are the same two words, and a word is found whole: `shed` does not stand in `crashed`.
//!
//! A pattern is words in order. `lock|locks` is either of two, `throttl*` any word that begins so. `..` lets up
//! to four other words stand in between, `..2` up to two. `!cache` refuses a message that holds the word
//! anywhere, `!+key` refuses it right behind the pattern. The rule that is not obvious: gaps are short on purpose; what stands
//! far apart in a message is not said of each other.

/// How many words `..` lets stand in between.
const GAP: usize = 4;

/// The words of a message, in small letters.
#[derive(Debug, Clone)]
pub(super) struct Wording {
    words: Vec<String>,
}

impl Wording {
    pub(super) fn of(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let mut rest = text.chars().peekable();
        let (mut previous, mut before) = (' ', ' ');
        while let Some(letter) = rest.next() {
            let next = rest.peek().copied().unwrap_or(' ');
            // `couldn't` is one word, `'name'` is none with marks.
            let apostrophe =
                matches!(letter, '\'' | '’') && previous.is_alphanumeric() && next.is_alphabetic();
            if apostrophe {
                word.push('\'');
            } else if letter.is_alphanumeric() {
                let hump = previous.is_lowercase() && letter.is_uppercase()
                    || (previous.is_uppercase() || previous.is_ascii_digit() && before.is_alphabetic())
                        && letter.is_uppercase()
                        && next.is_lowercase();
                if hump && !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                word.extend(letter.to_lowercase());
            } else if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            (before, previous) = (previous, letter);
        }
        if !word.is_empty() {
            words.push(word);
        }
        Self { words }
    }

    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether one of the patterns stands in the message.
    pub(super) fn any(&self, patterns: &[&'static str]) -> bool {
        patterns.iter().any(|pattern| Pattern::read(pattern).is_in(self))
    }

    pub(super) fn holds_any(&self, patterns: &[Pattern]) -> bool {
        patterns.iter().any(|pattern| pattern.is_in(self))
    }
}

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub(super) struct Pattern {
    steps: Vec<Step>,
    never: Vec<Vec<Form>>,
    not_behind: Vec<Vec<Form>>,
}

#[derive(Debug, Clone)]
struct Step {
    /// Words that may stand between this one and the one before.
    gap: usize,
    forms: Vec<Form>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Whole(&'static str),
    Begins(&'static str),
}

impl Form {
    fn is(self, word: &str) -> bool {
        match self {
            Self::Whole(whole) => word == whole,
            Self::Begins(begin) => word.starts_with(begin),
        }
    }
}

impl Pattern {
    pub(super) fn read_all(texts: &[&'static str]) -> Vec<Self> {
        texts.iter().map(|text| Self::read(text)).collect()
    }

    fn read(text: &'static str) -> Self {
        let forms = |word: &'static str| -> Vec<Form> {
            word.split('|')
                .map(|form| form.strip_suffix('*').map_or(Form::Whole(form), Form::Begins))
                .collect()
        };
        let mut pattern = Self::default();
        let mut gap = 0;
        for part in text.split(' ') {
            if let Some(word) = part.strip_prefix("!+") {
                pattern.not_behind.push(forms(word));
            } else if let Some(word) = part.strip_prefix('!') {
                pattern.never.push(forms(word));
            } else if let Some(count) = part.strip_prefix("..") {
                gap = count.parse().unwrap_or(GAP);
            } else {
                pattern.steps.push(Step { gap, forms: forms(part) });
                gap = 0;
            }
        }
        pattern
    }

    fn is_in(&self, wording: &Wording) -> bool {
        let words = &wording.words;
        let stands = |forms: &Vec<Form>, word: &String| forms.iter().any(|form| form.is(word));
        let refused = self.never.iter().any(|forms| words.iter().any(|word| stands(forms, word)));
        !refused && (0..words.len()).any(|start| self.follows(words, start, 0))
    }

    /// Whether the steps from this one on stand in the words from here on, the first of them right here.
    fn follows(&self, words: &[String], at: usize, step: usize) -> bool {
        let (Some(wanted), Some(word)) = (self.steps.get(step), words.get(at)) else { return false };
        if !wanted.forms.iter().any(|form| form.is(word)) {
            return false;
        }
        let Some(next) = self.steps.get(step + 1) else {
            let behind = words.get(at + 1);
            return !self
                .not_behind
                .iter()
                .any(|forms| behind.is_some_and(|behind| forms.iter().any(|form| form.is(behind))));
        };
        (at + 1..=at + 1 + next.gap).any(|next_at| self.follows(words, next_at, step + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, pattern: &'static str) -> bool {
        Wording::of(text).any(&[pattern])
    }

    #[test]
    fn every_spelling_of_a_name_has_the_same_words() {
        for text in ["PoolTimeout", "pool_timeout", "pool-timeout: x", "c.a.PoolTimeout", "Pool 'timeout'"] {
            assert!(holds(text, "pool timeout"), "{text}");
        }
        assert_eq!(
            Wording::of("S3Exception: it couldn't, HTTPError 4096ms").words(),
            ["s3", "exception", "it", "couldn't", "http", "error", "4096ms"]
        );
    }

    #[test]
    fn a_word_is_found_whole_or_by_its_beginning() {
        assert!(holds("12 requests shed", "shed"));
        assert!(!holds("crashed with 1", "shed"));
        assert!(holds("was throttled", "throttl*"));
        assert!(!holds("unthrottled", "throttl*"));
    }

    #[test]
    fn between_words_stand_no_more_than_allowed() {
        assert!(holds("connection to the old host refused", "connection .. refused"));
        assert!(!holds("connection a b c d e refused", "connection .. refused"));
        assert!(!holds("refused connection", "connection .. refused"));
        assert!(holds("pool is now empty", "pool ..2 empty"));
        assert!(holds("no no free slot", "no free slot"));
    }

    #[test]
    fn refused_words_are_refused() {
        assert!(!holds("token cache expired", "token .. expired !cache"));
        assert!(!holds("unknown host key", "unknown host !+key"));
        assert!(holds("unknown host keys.internal", "unknown host !+key"));
    }
}
