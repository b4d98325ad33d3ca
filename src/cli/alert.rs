//! `alert parse FILE`: what the bot reads from one Slack event or webhook body.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use crate::config::Config;
use crate::intake::matching::{self, Meant};
use crate::intake::reading;
use crate::report;

/// No Slack event or webhook body is longer.
const FILE_MAX: u64 = 16 * 1024 * 1024;

pub fn parse(file: &Path, config: Option<&Path>) -> anyhow::Result<()> {
    let body = contents(file, FILE_MAX)?;
    let value = serde_json::from_slice(&body).with_context(|| format!("{} is no JSON", file.display()))?;
    let reading = reading::read(&value);
    let mut shown = serde_json::to_value(&reading)?;
    if let Some(config) = config {
        let config = Config::load(config)?;
        let meant = matching::meant(&config, reading.service.as_deref(), reading.alert_name.as_deref());
        shown["services"] = match meant {
            Meant::One(service) => json!([service]),
            Meant::Several(services) => json!(services),
            Meant::Nobody => json!([]),
        };
    }
    println!("{}", report::plain_json(&shown.to_string()));
    Ok(())
}

/// The bytes of a file, or of standard input where it is called `-`; what is beyond `most` bytes is left.
pub(super) fn contents(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut body)?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        opened.take(most).read_to_end(&mut body)?;
    }
    Ok(body)
}
