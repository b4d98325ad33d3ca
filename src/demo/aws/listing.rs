//! Listings in pages, as most services have them.
//!
//! Rule: a token is the index of the next item, and one that nobody gave out is refused.

use serde_json::{Value, json};

use super::wire::{Answer, ApiError};
use super::world::Call;

/// One page of a listing; the token is the index of the next item.
pub fn page(call: &Call, key: &str, items: &[Value], most: usize) -> Result<Answer, ApiError> {
    let token = call.text("nextToken").or_else(|| call.text("NextToken"));
    let start = match token {
        None => 0,
        Some(token) => token
            .strip_prefix("item-")
            .and_then(|index| index.parse::<usize>().ok())
            .filter(|index| *index <= items.len())
            .ok_or_else(|| ApiError::new(400, "InvalidParameterException", "Invalid token"))?,
    };
    let size = call.integer("maxResults").or_else(|| call.integer("MaxResults"));
    let size = size.and_then(|size| usize::try_from(size).ok()).map_or(most, |size| size.min(most));
    let end = (start + size.max(1)).min(items.len());
    let mut answer = json!({ key: items[start..end] });
    if end < items.len() {
        let name = if call.operation.starts_with("ecs:") || call.operation.starts_with("codedeploy:") {
            "nextToken"
        } else {
            "NextToken"
        };
        answer[name] = json!(format!("item-{end}"));
    }
    Ok(Answer::ok(answer))
}
