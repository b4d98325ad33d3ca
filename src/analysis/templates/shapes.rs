//! Shapes: what is left of a line once the variables on sight are masked, and the hash that finds it.
//!
//! The rule that is not obvious: the look-up needs no allocation; tokens are only made for a shape
//! that has never been seen.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::json;
use super::tokens::{Piece, scan};

/// A kept word, variable or mark, and whether white space stood before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub space: bool,
    /// A variable that took the place of words.
    pub open: bool,
}

impl Token {
    pub const VARIABLE: Self = Self { kind: TokenKind::Variable, space: false, open: false };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Word(u32),
    Stem(u32),
    Variable,
    Mark(u8),
}

/// All lines that are equal once what is a variable on sight is masked.
#[derive(Debug)]
pub struct Shape {
    pub tokens: Box<[Token]>,
    /// The line, as long as its header is not known.
    pub example: Option<Box<[u8]>>,
    /// A header stands before the message.
    pub headed: bool,
    /// What stands around the message of a JSON line.
    pub frame: Option<Frame>,
    pub count: u64,
    /// Line numbers, from 1.
    pub first: u64,
    pub last: u64,
}

impl Shape {
    /// The key set of a JSON line.
    pub fn keys(&self) -> Option<u64> {
        self.frame.as_ref().map(|frame| frame.keys_hash)
    }
}

/// How the rest of a JSON line is shown.
#[derive(Debug)]
pub struct Frame {
    pub keys_hash: u64,
    pub before: String,
    pub after: String,
}

/// Hashes are computed by hand; the table takes them as they are.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(bytes);
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

pub type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds a value to a hash, in order (the multiply and fold of wyhash).
pub fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ MULTIPLIER) * u128::from(right ^ 0xd6e8_feb8_6659_fd93);
    (product as u64) ^ ((product >> 64) as u64)
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = 0_u64;
    for byte in rest {
        last = (last << 8) | u64::from(*byte);
    }
    mix(hash, last)
}

/// The message of a line without its header, and the key set of a JSON line: the same message under
/// other keys is another template.
pub fn message(content: &[u8]) -> (Cow<'_, [u8]>, Option<u64>) {
    if content.trim_ascii_start().first() == Some(&b'{')
        && let Some(outline) = json::outline(content, hash_bytes)
    {
        return (json::first_line(outline.message.unwrap_or_default()), Some(outline.keys_hash));
    }
    (Cow::Borrowed(content), None)
}

/// Equal for lines of one shape. Not secret: a crafted line can at worst join another one's template.
pub fn hash_content(content: &[u8]) -> u64 {
    let (message, keys) = message(content);
    let mut hash = keys.unwrap_or_default();
    scan(&message, &mut |piece, _| {
        hash = match piece {
            Piece::Word(word) => mix(hash, hash_bytes(word)),
            Piece::Stem(stem) => mix(hash, !hash_bytes(stem)),
            Piece::Variable => mix(hash, 1),
            Piece::Mark(mark) => mix(hash, 0x100 | u64::from(mark)),
        };
    });
    hash
}

/// Words by number.
#[derive(Debug, Default)]
pub struct Words {
    numbers: HashMap<Box<[u8]>, u32>,
    pub texts: Vec<Box<[u8]>>,
}

impl Words {
    pub fn number(&mut self, word: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(word.into());
        self.numbers.insert(word.into(), number);
        number
    }

    /// The number, or one that stands for no word.
    pub fn known(&self, word: &[u8]) -> u32 {
        self.numbers.get(word).copied().unwrap_or(u32::MAX)
    }

    pub fn text(&self, number: u32) -> &[u8] {
        self.texts.get(number as usize).map_or(&[], |text| text)
    }
}

/// The pieces of a message, with words as numbers.
pub fn tokens_with(content: &[u8], mut number: impl FnMut(&[u8]) -> u32) -> Box<[Token]> {
    let mut tokens = Vec::with_capacity(32);
    scan(content, &mut |piece, space| {
        let kind = match piece {
            Piece::Word(word) => TokenKind::Word(number(word)),
            Piece::Stem(stem) => TokenKind::Stem(number(stem)),
            Piece::Variable => TokenKind::Variable,
            Piece::Mark(mark) => TokenKind::Mark(mark),
        };
        tokens.push(Token { kind, space, open: false });
    });
    tokens.into_boxed_slice()
}
