//! Secrets masked in whatever is stored, logged or shown: by the name of the key, by shape, and by entropy.
//!
//! The rule that is not obvious: what an investigation is about must stay readable. Event ids (UUIDs), code hashes,
//! request and version ids under their name, ARNs and host names are no secrets and look like some; a word that says
//! something of a secret (`token: expired`) is none either.

mod document;
mod evidence;
mod names;
mod scan;
mod shapes;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use self::document::json;
pub use self::evidence::{alert, evidence};
pub use self::names::is_secret as is_secret_name;

const MASK: &str = "****";

/// The value of a key for showing.
pub fn value(key: &str, value: &str) -> String {
    mask_value(key, value, &mut plain)
}

/// A text for showing: secrets in it masked.
pub fn text(text: &str) -> String {
    mask_text(text, &mut plain).into_owned()
}

fn plain(_: &str) -> String {
    MASK.to_owned()
}

/// Masks that tell values apart: the same secret has the same mask, another one another.
///
/// A configuration is compared before it is shown, so that a secret that was changed must still differ. The
/// numbers are in the order in which values came; nothing of a value can be found from its mask.
#[derive(Debug, Default)]
pub struct Masks {
    by_secret: BTreeMap<String, String>,
    /// What was masked, by how it looks now.
    originals: BTreeMap<String, String>,
}

impl Masks {
    /// The value of a key, masked.
    pub fn value(&mut self, key: &str, value: &str) -> String {
        let masked = mask_value(key, value, &mut |secret| self.mask(secret));
        if masked != value {
            self.originals.insert(masked.clone(), value.to_owned());
        }
        masked
    }

    /// A document, masked: leaves by the names of their keys.
    pub fn json(&mut self, document: &mut serde_json::Value) {
        document::walk(document, &mut |secret| self.mask(secret));
    }

    /// A whole value before it was masked: what goes back to where it came from.
    pub fn original(&self, masked: &str) -> String {
        self.originals.get(masked).map_or(masked, String::as_str).to_owned()
    }

    fn mask(&mut self, secret: &str) -> String {
        let next = self.by_secret.len() + 1;
        self.by_secret.entry(secret.to_owned()).or_insert_with(|| format!("{MASK}{next}")).clone()
    }
}

/// `****`, or one with its number: masked already.
fn is_mask(text: &str) -> bool {
    text.strip_prefix(MASK).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn mask_value(key: &str, value: &str, replace: &mut dyn FnMut(&str) -> String) -> String {
    if !names::is_secret(key) {
        // Under the name of an id only what is unmistakably a secret is one.
        let spans = if names::is_identifier(key) { scan::unmistakable(value) } else { scan::secrets(value) };
        return replaced(value, &spans, replace).into_owned();
    }
    if is_mask(value) || scan::is_harmless(key, value) { value.to_owned() } else { replace(value) }
}

fn mask_text<'a>(text: &'a str, replace: &mut dyn FnMut(&str) -> String) -> Cow<'a, str> {
    replaced(text, &scan::secrets(text), replace)
}

fn replaced<'a>(
    text: &'a str,
    spans: &[std::ops::Range<usize>],
    replace: &mut dyn FnMut(&str) -> String,
) -> Cow<'a, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        out.push_str(&text[done..span.start]);
        out.push_str(&replace(&text[span.clone()]));
        done = span.end;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
