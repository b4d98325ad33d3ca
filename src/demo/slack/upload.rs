//! The addresses that file bytes go to and come from.

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::SlackWorld;

/// Takes an upload's bytes; the secret in the address is the authorisation, as with Slack's.
pub(super) async fn receive(
    Extract(world): Extract<SlackWorld>,
    Path(secret): Path<String>,
    body: Bytes,
) -> Response {
    world.write(|state| {
        let Some(id) = state.uploads.remove(&secret) else {
            return (StatusCode::NOT_FOUND, "upload URL is unknown or used").into_response();
        };
        let Some(file) = state.files.get_mut(&id) else {
            return (StatusCode::NOT_FOUND, "file is gone").into_response();
        };
        if body.len() != file.length {
            let text = format!("{} bytes were announced, {} came", file.length, body.len());
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
        file.content = body.to_vec();
        (StatusCode::OK, format!("OK - {}", body.len())).into_response()
    })
}

/// Gives a file's bytes to who holds the bot's token.
pub(super) async fn download(
    Extract(world): Extract<SlackWorld>,
    Path((file, _name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let right = world.read(|state| format!("Bearer {}", state.bot_token));
    let id = file.split_once('-').map_or(file.as_str(), |(_, id)| id);
    match world.file(id) {
        Some((kind, content)) if given == Some(right.as_str()) => {
            ([(header::CONTENT_TYPE, kind)], content).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
