//! What a message says, read and checked the same way wherever it comes from: the Web API, a response
//! URL, or the answer to a command.

use serde_json::Value;

use super::api::ApiError;
use super::arguments::Arguments;
use super::limits::{self, Surface};
use super::message::Message;
use super::state::{State, complete_blocks};

/// Each part is absent where it was not given, so that an edit can leave it as it is.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub text: Option<String>,
    pub blocks: Option<Vec<Value>>,
    pub attachments: Option<Vec<Value>>,
    pub metadata: Option<Value>,
}

/// Text beyond this is cut by `chat.postMessage`.
const TEXT_CUT: usize = 40_000;
const MARKDOWN_MAX: usize = 12_000;

impl Content {
    pub fn read(state: &mut State, arguments: &Arguments) -> Result<Self, ApiError> {
        let mut text = arguments.text("text");
        if let Some(long) = text.as_ref().filter(|text| text.chars().count() > TEXT_CUT) {
            text = Some(long.chars().take(TEXT_CUT).collect());
        }
        let mut blocks = match arguments.structure("blocks") {
            Ok(None) => None,
            Ok(Some(Value::Array(blocks))) => Some(blocks),
            Ok(Some(_)) | Err(()) => return Err(ApiError::new("invalid_blocks_format")),
        };
        if let Some(markdown) = arguments.text("markdown_text") {
            if text.is_some() || blocks.is_some() {
                return Err(ApiError::new("markdown_text_conflict"));
            }
            if markdown.chars().count() > MARKDOWN_MAX {
                return Err(ApiError::new("msg_too_long"));
            }
            blocks = Some(vec![serde_json::json!({"type": "markdown", "text": markdown})]);
            text = Some(markdown);
        }
        if let Some(blocks) = &mut blocks {
            let checked = Value::Array(std::mem::take(blocks));
            let problems =
                limits::check_blocks(&checked, Surface::Message, &|file: &str| state.file_ready(file));
            if !problems.is_empty() {
                return Err(ApiError::invalid("invalid_blocks", &problems));
            }
            if limits::blocks_too_long(&checked) {
                return Err(ApiError::new("msg_blocks_too_long"));
            }
            if let Value::Array(mut checked) = checked {
                complete_blocks(&mut checked, &mut || state.next_id("b"));
                *blocks = checked;
            }
        }
        let mut attachments = match arguments.structure("attachments") {
            Ok(None) => None,
            Ok(Some(Value::Array(attachments))) => Some(attachments),
            Ok(Some(_)) | Err(()) => return Err(ApiError::new("invalid_attachments")),
        };
        if let Some(list) = &mut attachments {
            let checked = Value::Array(std::mem::take(list));
            let problems = limits::check_attachments(&checked, &|file: &str| state.file_ready(file));
            if !problems.is_empty() {
                return Err(ApiError::invalid("invalid_attachments", &problems));
            }
            if let Value::Array(mut checked) = checked {
                complete_attachments(state, &mut checked);
                *list = checked;
            }
        }
        let metadata =
            arguments.structure("metadata").map_err(|()| ApiError::new("invalid_metadata_format"))?;
        if let Some(metadata) = &metadata
            && metadata.as_object().is_none_or(|object| !object.is_empty())
        {
            limits::check_metadata(metadata).map_err(ApiError::new)?;
        }
        Ok(Self { text, blocks, attachments, metadata })
    }

    /// Whether there would be nothing to show.
    pub fn is_empty(&self) -> bool {
        let none = |list: &Option<Vec<Value>>| list.as_ref().is_none_or(Vec::is_empty);
        self.text.is_none() && none(&self.blocks) && none(&self.attachments)
    }

    /// Puts what was given into `message`, and leaves the rest as it is.
    pub fn apply(self, message: &mut Message) {
        if let Some(text) = self.text {
            message.text = text;
        }
        if let Some(blocks) = self.blocks {
            message.blocks = blocks;
        }
        if let Some(attachments) = self.attachments {
            message.attachments = attachments;
        }
        if let Some(metadata) = self.metadata {
            message.metadata =
                metadata.as_object().is_some_and(|object| !object.is_empty()).then_some(metadata);
        }
    }
}

/// Numbers attachments from 1, and gives each the fallback that Slack gives.
pub(super) fn complete_attachments(state: &mut State, attachments: &mut [Value]) {
    for (index, attachment) in attachments.iter_mut().enumerate() {
        let Some(object) = attachment.as_object_mut() else { continue };
        object.insert("id".into(), (index + 1).into());
        if !object.contains_key("fallback") {
            object.insert("fallback".into(), "[no preview available]".into());
        }
        if let Some(Value::Array(blocks)) = object.get_mut("blocks") {
            complete_blocks(blocks, &mut || state.next_id("b"));
        }
    }
}
