//! `alert parse FILE`: what the bot reads from one Slack event or webhook body.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

/// No Slack event or webhook body is longer.
const FILE_MAX: u64 = 16 * 1024 * 1024;

pub fn parse(file: &Path) -> anyhow::Result<()> {
    let mut body = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(FILE_MAX).read_to_end(&mut body)?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        opened.take(FILE_MAX).read_to_end(&mut body)?;
    }
    let value = serde_json::from_slice(&body).with_context(|| format!("{} is no JSON", file.display()))?;
    println!("{}", serde_json::to_string(&crate::intake::reading::read(&value))?);
    Ok(())
}
