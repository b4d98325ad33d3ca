//! The rows of the attack table that come in files: what a command prints of them onto a terminal moves no cursor, and
//! whatever cannot be read is said to be so.
//!
//! The rule that is not obvious: whoever looks at a file owns it, so that nothing is forged, replayed or stale in it; its
//! words are a stranger's all the same.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::table::{CANARY, alert, injections};
use crate::hostile::{ends_well, run};

/// What reads a file, in words of the command line; the file's name follows.
const READERS: [(&[&str], &str); 11] = [
    (&["alert", "parse"], "alert.json"),
    (&["cloudtrail", "read"], "records.json"),
    (&["cloudtrail", "read", "--format", "json"], "records.json"),
    (&["logs", "templates"], "app.log"),
    (&["logs", "templates", "--format", "ndjson"], "app.log"),
    (&["metrics", "shift"], "p99.csv"),
    (&["metrics", "shift", "--format", "json"], "p99.csv"),
    (&["investigate", "--bundle"], "bundle"),
    (&["investigate", "--format", "json", "--bundle"], "bundle"),
    (&["investigate", "--format", "markdown", "--bundle"], "bundle"),
    (&["services", "import"], "tagged.json"),
];

/// A file of this kind in which this text stands wherever there is room for somebody's words.
fn with_words(name: &str, text: &str) -> Vec<u8> {
    let record = json!({ "eventVersion": "1.08", "eventID": text, "eventTime": "2026-02-06T12:00:00Z",
        "eventSource": "lambda.amazonaws.com", "eventName": "UpdateFunctionConfiguration20150331v2", "awsRegion": text,
        "errorMessage": text, "userAgent": text, "userIdentity": { "type": "IAMUser", "userName": text, "arn": text },
        "requestParameters": { "functionName": text, "environment": { "variables": { text: text } } } });
    match name {
        "alert.json" => alert(text).into_bytes(),
        "records.json" => json!({ "Records": [record] }).to_string().into_bytes(),
        "logs.ndjson" => {
            let line = json!({ "timestamp": 1_770_380_100_000_i64, "message": format!("ERROR {text}"),
                "logGroupName": text, "logStreamName": text });
            format!("{line}\n").repeat(20).into_bytes()
        }
        "bundle.json" => json!({ "service": text, "now": "2026-02-06T12:20:00Z",
            "resources": { "lambda": [text], "log_groups": [text] } })
        .to_string()
        .into_bytes(),
        "tagged.json" => {
            let arn = format!("arn:aws:lambda:us-east-1:123456789012:function:{text}");
            json!({ "ResourceTagMappingList": [{ "ResourceARN": arn, "Tags": [{ "Key": "service", "Value": text }] }] })
                .to_string()
                .into_bytes()
        }
        "p99.csv" => format!("timestamp,{text}\n1770380100,{text}\n{text},1\n").into_bytes(),
        _ => format!("ERROR {text} took 7 ms\n").repeat(20).into_bytes(),
    }
}

/// Makes what a command reads of files with this content; its path.
fn made(folder: &Path, name: &str, content: &dyn Fn(&str) -> Vec<u8>) -> PathBuf {
    let path = folder.join(name);
    if name == "bundle" {
        fs::create_dir_all(&path).unwrap();
        for file in ["bundle.json", "alert.json", "logs.ndjson"] {
            fs::write(path.join(file), content(file)).unwrap();
        }
        fs::write(path.join("cloudtrail.json"), content("records.json")).unwrap();
    } else {
        fs::write(&path, content(name)).unwrap();
    }
    path
}

/// Runs each reader on its file; nothing that it prints is more than text in lines.
fn readers_meet(class: &str, content: &dyn Fn(&str) -> Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    for (command, name) in READERS {
        let path = made(folder.path(), name, content);
        let arguments = [command, &[path.to_str().unwrap()]].concat();
        let what = format!("{class}: {}", command.join(" "));
        let output = run(&arguments);
        ends_well(&what, &output);
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let moved = printed.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || turns(*c));
        assert_eq!(moved, None, "{what} prints {printed}");
    }
}

#[test]
fn words_in_a_file_move_no_cursor_whichever_command_shows_them() {
    // A control sequence of terminals that read eight bits.
    let eight_bits = ("directions", format!("{CANARY}\u{9b}2J"));
    for (class, text) in injections().into_iter().chain([eight_bits]) {
        readers_meet(class, &|name| with_words(name, &text));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be_so_by_each_command() {
    let half = json!({ "service": CANARY }).to_string();
    for (class, content) in [
        ("oversized", "x".repeat(9 * 1024 * 1024).into_bytes()),
        ("bomb", format!("[{}1]", "[],".repeat(200_000)).into_bytes()),
        ("deep", "[".repeat(1024 * 1024).into_bytes()),
        ("deep", format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)).into_bytes()),
        ("not UTF-8", b"{\"service\": \"\xff\xfe\x1b[2J\"}".to_vec()),
        ("cut", half.as_bytes()[..half.len() / 2].to_vec()),
    ] {
        readers_meet(class, &|_| content.clone());
    }
}

#[test]
fn a_files_name_moves_no_cursor() {
    let folder = tempfile::tempdir().unwrap();
    for (command, name) in READERS {
        for path in [folder.path().join(format!("\u{1b}[2J\r{name}")), folder.path().join("absent\u{1b}[2J")]
        {
            if !path.ends_with("absent\u{1b}[2J") {
                fs::write(&path, "[1").unwrap();
            }
            let output = run(&[command, &[path.to_str().unwrap()]].concat());
            ends_well(&command.join(" "), &output);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!told.contains(['\u{1b}', '\r']), "{command:?} tells {told:?}");
        }
    }
}
