//! Uploads in Slack's three steps: an address, the bytes, and the completion that may share the file.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::api::ApiError;
use super::super::message::{Author, Message};
use super::super::state::File;
use super::{Answer, Call};

/// Slack's own largest file is 1 GB; this endpoint keeps files in memory.
const FILE_MAX: usize = 64 * 1024 * 1024;

pub(super) fn upload_url(call: &mut Call<'_>) -> Answer {
    let name = call.required("filename")?;
    let length = call.arguments.number("length").filter(|&length| length > 0);
    let length = length.ok_or_else(|| ApiError::new("missing_argument"))?;
    if length > FILE_MAX {
        return Err(ApiError::new("file_upload_size_restricted"));
    }
    let id = call.state.next_id("F");
    let secret = uuid::Uuid::new_v4().simple().to_string();
    let alt_text = call.arguments.text("alt_txt").unwrap_or_default();
    if alt_text.chars().count() > 1000 {
        return Err(ApiError::new("alt_txt_too_large"));
    }
    call.state.files.insert(
        id.clone(),
        File {
            id: id.clone(),
            title: name.clone(),
            name,
            alt_text,
            content: Vec::new(),
            length,
            shared_in: Vec::new(),
            completed: None,
        },
    );
    let url = format!("{}/upload/v1/{secret}", call.public_url);
    call.state.uploads.insert(secret, id.clone());
    Ok(json!({"upload_url": url, "file_id": id}))
}

pub(super) fn complete_upload(call: &mut Call<'_>) -> Answer {
    let wrong = || ApiError::new("invalid_arguments");
    let wanted = call.arguments.structure("files").map_err(|()| wrong())?.ok_or_else(wrong)?;
    let mut ids = Vec::new();
    for each in wanted.as_array().ok_or_else(wrong)? {
        let id = each["id"].as_str().ok_or_else(wrong)?.to_owned();
        let file = call.state.files.get_mut(&id).ok_or_else(|| ApiError::new("file_not_found"))?;
        if file.content.is_empty() {
            return Err(ApiError::new("file_not_found"));
        }
        if let Some(title) = each["title"].as_str() {
            title.clone_into(&mut file.title);
        }
        file.completed = Some(Instant::now());
        ids.push(id);
    }
    if ids.is_empty() {
        return Err(wrong());
    }
    if let Some(channel) = call.arguments.text("channel_id") {
        share(call, &channel, &ids)?;
    }
    let files: Vec<Value> = ids.iter().filter_map(|id| call.state.file_json(id)).collect();
    Ok(json!({"files": files}))
}

/// Posts the files as a message of the app's.
fn share(call: &mut Call<'_>, channel: &str, ids: &[String]) -> Result<(), ApiError> {
    let channel = call.state.workspace.channel(channel).cloned();
    let channel = channel.ok_or_else(|| ApiError::new("channel_not_found"))?;
    if !channel.app_is_member {
        return Err(ApiError::new("not_in_channel"));
    }
    let thread_ts = match call.arguments.text("thread_ts") {
        None => None,
        Some(ts) => {
            let root = call.state.thread_root(&channel.id, &ts);
            Some(root.ok_or_else(|| ApiError::new("invalid_thread_ts"))?)
        }
    };
    let ts = call.state.next_ts();
    let text = call.arguments.text("initial_comment").unwrap_or_default();
    let mut message = Message::new(&channel.id, ts, Author::App, text);
    message.thread_ts = thread_ts;
    message.files = ids.to_vec();
    for id in ids {
        if let Some(file) = call.state.files.get_mut(id) {
            file.shared_in.push(channel.id.clone());
        }
    }
    call.state.post(message);
    Ok(())
}

pub(super) fn info(call: &mut Call<'_>) -> Answer {
    let id = call.required("file")?;
    let file = call.state.file_json(&id).ok_or_else(|| ApiError::new("file_not_found"))?;
    Ok(json!({"file": file}))
}
