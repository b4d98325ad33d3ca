//! `truth.json`: what a right answer is.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::domain::report::Cause;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    Yes,
    No,
    Either,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Truth {
    /// Any of these is right; best first.
    pub cause: Vec<Cause>,
    /// Any of these names the right change; empty where none is to be named.
    #[serde(default)]
    pub event_ids: Vec<String>,
    #[serde(default)]
    pub config_keys: Vec<String>,
    #[serde(default = "either")]
    pub rollback: Offer,
    #[serde(default = "one")]
    pub max_confidence: f64,
    #[serde(default)]
    pub min_confidence: f64,
}

fn either() -> Offer {
    Offer::Either
}

fn one() -> f64 {
    1.0
}

impl Truth {
    /// # Errors
    /// When the file cannot be read or has no cause.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let truth: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is not a truth", path.display()))?;
        anyhow::ensure!(!truth.cause.is_empty(), "{} names no cause", path.display());
        Ok(truth)
    }

    /// Stands for a truth that cannot be read: nothing is right.
    pub fn unreadable() -> Self {
        Self {
            cause: Vec::new(),
            event_ids: Vec::new(),
            config_keys: Vec::new(),
            rollback: Offer::Either,
            max_confidence: 1.0,
            min_confidence: 0.0,
        }
    }
}
