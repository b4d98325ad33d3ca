//! JSON objects read in place: members as slices of the text, nothing allocated.
//!
//! The rule that is not obvious: a log line is cut off or broken as often as not. The reader gives up
//! without a word, and the line is read as plain text instead.

use super::fields;
use super::line::Scalar;

/// The deepest nesting whose fields are looked at.
const DEEPEST: usize = 4;

/// One field of an object, with the name of the object around it (empty at the top).
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub parent: &'a str,
    pub key: &'a str,
    pub value: Scalar<'a>,
    pub depth: usize,
    /// Neither it nor any object around it is what somebody sent.
    pub firm: bool,
}

/// A reader of JSON objects that hands out slices and accepts rubbish by giving up.
pub(super) struct Json<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    firm: bool,
}

impl<'a> Json<'a> {
    /// A reader that stands behind the opening brace of `text`.
    pub fn within(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), text, at: 1, firm: true }
    }

    /// How far it has read, in bytes.
    pub fn end(&self) -> usize {
        self.at
    }

    /// Reads members up to the closing brace. False where the text is not an object to its end.
    pub fn object(&mut self, depth: usize, parent: &'a str, member: &mut dyn FnMut(Member<'a>)) -> bool {
        loop {
            self.blank();
            match self.bytes.get(self.at) {
                Some(b'}') => {
                    self.at += 1;
                    return true;
                }
                Some(b',') => {
                    self.at += 1;
                    continue;
                }
                Some(b'"') => {}
                _ => return false,
            }
            let Some(key) = self.string() else { return false };
            self.blank();
            if self.bytes.get(self.at) != Some(&b':') {
                return false;
            }
            self.at += 1;
            self.blank();
            if !self.value(key, parent, depth, member) {
                return false;
            }
        }
    }

    fn value(
        &mut self,
        key: &'a str,
        parent: &'a str,
        depth: usize,
        member: &mut dyn FnMut(Member<'a>),
    ) -> bool {
        let firm = self.firm;
        let mut tell = |value| member(Member { parent, key, value, depth, firm });
        match self.bytes.get(self.at) {
            Some(b'"') => {
                let Some(text) = self.string() else { return false };
                tell(Scalar::Text(text));
                true
            }
            Some(b'{') if depth < DEEPEST => {
                self.at += 1;
                self.firm = firm && !fields::is_of_request(key);
                let whole = self.object(depth + 1, key, member);
                self.firm = firm;
                whole
            }
            Some(b'{' | b'[') => self.skip_nested(),
            Some(_) => {
                let start = self.at;
                while self
                    .bytes
                    .get(self.at)
                    .is_some_and(|byte| !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace())
                {
                    self.at += 1;
                }
                match self.text.get(start..self.at) {
                    Some("true") => tell(Scalar::Bool(true)),
                    Some("false") => tell(Scalar::Bool(false)),
                    Some("null") => {}
                    Some(number) => match number.parse::<f64>() {
                        Ok(number) if number.is_finite() => tell(Scalar::Number(number)),
                        _ => return false,
                    },
                    None => return false,
                }
                true
            }
            None => false,
        }
    }

    fn skip_nested(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    if self.string().is_none() {
                        return false;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return true;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        false
    }

    fn string(&mut self) -> Option<&'a str> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.bytes.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        self.text.get(start..at)
    }

    fn blank(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }
}
