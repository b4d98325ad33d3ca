//! What somebody types, as Slack's clients turn it into a message: escaped text and a rich text block.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::workspace::Workspace;

/// One piece of a typed line.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    User(String),
    Group(String, String),
    Channel(String, String),
    Link(String),
}

/// The stored text and the rich text block of a typed message.
pub(super) fn compose(workspace: &Workspace, typed: &str) -> (String, Value) {
    let pieces = split(workspace, typed);
    let mut text = String::new();
    let mut elements = Vec::new();
    // Writing to a string cannot fail.
    for piece in &pieces {
        match piece {
            Piece::Text(plain) => {
                text.push_str(&escape(plain));
                elements.push(json!({"type": "text", "text": plain}));
            }
            Piece::User(id) => {
                let _ = write!(text, "<@{id}>");
                elements.push(json!({"type": "user", "user_id": id}));
            }
            Piece::Group(id, handle) => {
                let _ = write!(text, "<!subteam^{id}|@{handle}>");
                elements.push(json!({"type": "usergroup", "usergroup_id": id}));
            }
            Piece::Channel(id, name) => {
                let _ = write!(text, "<#{id}|{name}>");
                elements.push(json!({"type": "channel", "channel_id": id}));
            }
            Piece::Link(url) => {
                let _ = write!(text, "<{}>", escape(url));
                elements.push(json!({"type": "link", "url": url}));
            }
        }
    }
    let block = json!({
        "type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}],
    });
    (text, block)
}

/// Slack's own escaping: these three and no others.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn split(workspace: &Workspace, typed: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // Words with the white space after them, so that nothing is lost.
    for word in typed.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let (core, tail) = match bare.trim_end_matches([',', '.', ':', ';', '!', '?', ')']) {
            "" => (bare, ""),
            core => (core, &bare[core.len()..]),
        };
        let space = &word[bare.len()..];
        match special(workspace, core) {
            Some(piece) => {
                pieces.push(piece);
                push_text(&mut pieces, tail);
                push_text(&mut pieces, space);
            }
            None => push_text(&mut pieces, word),
        }
    }
    pieces
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if text.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

fn special(workspace: &Workspace, word: &str) -> Option<Piece> {
    let app = &workspace.app;
    let user_id =
        |id: &str| (id == app.user_id || workspace.user(id).is_some()).then(|| Piece::User(id.into()));
    if let Some(id) = word.strip_prefix("<@").and_then(|rest| rest.strip_suffix('>')) {
        return user_id(id);
    }
    if let Some(handle) = word.strip_prefix('@') {
        let lower = handle.to_lowercase();
        if lower == app.handle {
            return Some(Piece::User(app.user_id.clone()));
        }
        if let Some(group) = workspace.groups.iter().find(|group| group.handle == lower) {
            return Some(Piece::Group(group.id.clone(), group.handle.clone()));
        }
        let user = workspace.users.iter().find(|user| user.name == lower)?;
        return Some(Piece::User(user.id.clone()));
    }
    if word.starts_with('#') {
        let channel = workspace.channel(word)?;
        return Some(Piece::Channel(channel.id.clone(), channel.name.clone()));
    }
    let is_link = word.starts_with("https://") || word.starts_with("http://");
    (is_link && reqwest::Url::parse(word).is_ok()).then(|| Piece::Link(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::slack::workspace::id;

    #[test]
    fn mentions_links_and_brackets_are_encoded() {
        let (text, block) =
            compose(&Workspace::demo(), "@commander, look at #incidents <b> & https://a.example/x?y=1 now");
        assert_eq!(
            text,
            format!(
                "<@{}>, look at <#{}|incidents> &lt;b&gt; &amp; <https://a.example/x?y=1> now",
                id::APP_USER,
                id::ALERTS
            )
        );
        assert_eq!(block["elements"][0]["elements"][0]["user_id"], id::APP_USER);
    }

    #[test]
    fn nothing_of_plain_text_is_lost() {
        let typed = "  two  spaces\nand @nobody. ";
        assert_eq!(compose(&Workspace::demo(), typed).0, typed);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_typed_becomes_markup(typed in "[<>&@#a-z0-9:/. !^|]{0,40}") {
            let (text, _) = compose(&Workspace::demo(), &typed);
            // Angle brackets are left only around what `compose` itself put there.
            for inside in text.split('<').skip(1) {
                let inside = inside.split('>').next().unwrap_or_default();
                proptest::prop_assert!(["@U0", "#C0", "!subteam^S0", "http"].iter().any(|begin| inside.starts_with(begin)));
            }
        }
    }
}
