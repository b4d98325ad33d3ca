//! `docs/configuration.md` is made of the code: of the comments, types and defaults in `src/config.rs`, and of the
//! command line's flags. The report in `docs/how-it-reasons.md` is what the engine says of a generated incident.
//! `UPDATE_DOCS=1 cargo test --test it reference` writes both anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use incident_commander::config::{Config, SECRETS};
use incident_commander::{analysis, bundle, cli, report};
use serde_json::Value;

use crate::generator;

const FILE: &str = "docs/configuration.md";

/// The page of one incident worked through by hand: its seed and family stand there too.
const WORKED: &str = "docs/how-it-reasons.md";
const WORKED_SEED: u64 = 7;
const WORKED_FAMILY: &str = "pool-shrunk";

/// A field of a section, as the source declares it.
struct Field {
    name: String,
    type_: String,
    meaning: String,
    /// It need not be there.
    optional: bool,
}

/// The structures of the configuration by name, with their fields in order.
fn structures(source: &str) -> BTreeMap<String, Vec<Field>> {
    let code = source;
    let mut found: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    let (mut structure, mut defaults) = (None, false);
    let (mut meaning, mut renamed, mut optional) = (String::new(), None, false);
    for line in code.lines() {
        let text = line.trim();
        if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            structure = Some(name.to_owned());
        } else if line == "}" {
            (structure, defaults) = (None, false);
        } else if line.starts_with("#[serde(") {
            defaults = line.contains("default");
        }
        let Some(name) = &structure else { continue };
        if let Some(words) = text.strip_prefix("/// ") {
            let space = if meaning.is_empty() { "" } else { " " };
            meaning.push_str(&format!("{space}{words}"));
        } else if text == "#[serde(default)]" {
            optional = true;
        } else if let Some(rest) = text.strip_prefix("#[serde(rename = \"") {
            renamed = rest.split('"').next().map(str::to_owned);
        } else if let Some((field, type_)) = text.strip_prefix("pub ").and_then(|rest| rest.split_once(": "))
        {
            let type_ = type_.trim_end_matches(',').to_owned();
            found.entry(name.clone()).or_default().push(Field {
                name: renamed.take().unwrap_or_else(|| field.to_owned()),
                optional: optional || defaults || type_.starts_with("Option<"),
                type_,
                meaning: std::mem::take(&mut meaning),
            });
            optional = false;
        }
    }
    found
}

/// A type as somebody who writes TOML calls it.
fn in_words(type_: &str, structures: &BTreeMap<String, Vec<Field>>) -> String {
    let inside = |prefix: &str| type_.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
    if let Some(inner) = inside("Option<") {
        return in_words(inner, structures);
    }
    if let Some(inner) = inside("Vec<") {
        return format!(
            "list of {}",
            in_words(inner, structures).replacen("text", "texts", 1).replacen("duration", "durations", 1)
        );
    }
    if let Some(fields) = structures.get(type_) {
        let keys: Vec<String> =
            fields.iter().map(|one| format!("{}{}", one.name, if one.optional { "?" } else { "" })).collect();
        return format!("`{{ {} }}`", keys.join(", "));
    }
    match type_ {
        "String" => "text".to_owned(),
        "bool" => "true or false".to_owned(),
        "Period" => "duration".to_owned(),
        "Timestamp" => "time".to_owned(),
        "Unused" => "names".to_owned(),
        map if map.ends_with("BTreeMap<String, String>") => "table of texts".to_owned(),
        other => panic!("{other}: say in this test what it is called"),
    }
}

fn shown(default: &Value) -> String {
    match default {
        Value::Null => "absent".to_owned(),
        Value::Array(list) if list.is_empty() => "empty".to_owned(),
        other => format!("`{other}`"),
    }
}

fn rows(out: &mut String, fields: &[Field], defaults: &Value, structures: &BTreeMap<String, Vec<Field>>) {
    out.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for field in fields {
        assert!(!field.meaning.is_empty(), "{} has no comment that says what it means", field.name);
        let default = match (&defaults[&field.name], field.optional) {
            (_, false) => "required".to_owned(),
            (Value::Null, true) if !field.type_.starts_with("Option<") => "empty".to_owned(),
            (default, true) => shown(default),
        };
        let type_ = in_words(&field.type_, structures);
        let _ = writeln!(out, "| `{}` | {type_} | {default} | {} |", field.name, field.meaning);
    }
}

/// Flags that an environment variable sets too, each once.
fn variables(command: &clap::Command, found: &mut BTreeMap<String, [String; 3]>) {
    for argument in command.get_arguments() {
        let (Some(variable), Some(flag)) = (argument.get_env(), argument.get_long()) else { continue };
        let default: Vec<String> = argument
            .get_default_values()
            .iter()
            .map(|value| format!("`{}`", value.to_string_lossy()))
            .collect();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let row = [format!("`--{flag}`"), default.join(", "), help];
        let known = found.entry(variable.to_string_lossy().into_owned()).or_insert_with(|| row.clone());
        if known[2].is_empty() {
            *known = row;
        }
    }
    for below in command.get_subcommands() {
        variables(below, found);
    }
}

fn document(source: &str) -> String {
    let structures = structures(source);
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut out = String::from(
        "# Configuration\n\nThis page is made of the code and checked against it; `UPDATE_DOCS=1 cargo test --test it reference` writes it anew.\n\
         [deploy/commander.example.toml](../deploy/commander.example.toml) is a file to start from, and\n\
         `incident-commander doctor --config FILE` says what is missing.\n\n\
         ## The file\n\nTOML. Every key may be left out but those that are called required; an unknown key is an error that names its\n\
         line and column. A duration is written `90s`, `30m`, `2h`, `1h30m` or `400d`; a day has 24 hours. In a table of\n\
         keys, `?` marks those that may be left out. Secrets never stand here.\n",
    );
    for section in &structures["Config"] {
        let list = section.type_.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>'));
        let title =
            if list.is_some() { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) };
        let _ = writeln!(out, "\n### `{title}`\n\n{}\n", section.meaning);
        let fields = &structures[list.unwrap_or(&section.type_)];
        rows(&mut out, fields, &defaults[&section.name], &structures);
    }
    for (title, structure) in
        [("lambda", "LambdaRef"), ("ecs", "EcsRef"), ("appconfig", "AppConfigRef"), ("metrics", "MetricRef")]
    {
        let _ = writeln!(out, "\n### An entry of `{title}`\n");
        rows(&mut out, &structures[structure], &Value::Null, &structures);
    }
    out.push_str("\n## Secrets\n\nFrom the environment, or from a file that `NAME_FILE` names; never both. A file is read again at each use, so a\nsecret is rotated without a restart.\n\n| variable | meaning |\n| --- | --- |\n");
    for (name, meaning) in SECRETS {
        let _ = writeln!(out, "| `{name}`, `{name}_FILE` | {meaning} |");
    }
    out.push_str("\n## Other variables, and their flags\n\n| variable | flag | default | meaning |\n| --- | --- | --- | --- |\n");
    let mut found = BTreeMap::new();
    variables(&cli::command(), &mut found);
    for (variable, [flag, default, help]) in found {
        let _ = writeln!(out, "| `{variable}` | {flag} | {default} | {help} |");
    }
    out.push_str(
        "| `RUST_LOG` | | `warn,incident_commander=info` | What is logged, to standard error; JSON where nobody watches |\n\n\
         AWS's own variables (`AWS_REGION`, `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, …) and its usual chain of credentials work as in\n\
         every program that is made with its SDK.\n",
    );
    out
}

#[test]
fn the_reference_of_the_configuration_is_what_the_code_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Up to where reading and checking begin.
    let declared = |file: &str| {
        let text = fs::read_to_string(root.join(file)).unwrap();
        text.split("\nimpl Maintenance")
            .next()
            .unwrap()
            .split("#[derive(Debug, thiserror::Error)]")
            .next()
            .unwrap()
            .to_owned()
    };
    let made = document(&(declared("src/config.rs") + &declared("src/config/maintenance.rs")));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root.join(FILE), &made).unwrap();
    }
    let written = fs::read_to_string(root.join(FILE)).unwrap_or_default();
    assert!(
        written == made,
        "{FILE} is not what the code says: UPDATE_DOCS=1 cargo test --test it reference"
    );
}

/// What the page shows between these is the engine's own report.
const BEGIN: &str = "<!-- the report begins -->\n";
const END: &str = "<!-- the report ends -->\n";

#[test]
fn the_incident_that_is_worked_through_ends_as_the_page_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(WORKED);
    let incident = generator::generate(WORKED_SEED, 100).find(|one| one.family == WORKED_FAMILY).unwrap();
    let investigation = analysis::investigate(&bundle::from_files(&incident.files).unwrap());
    let told = report::markdown(&investigation.report).replace("\n# ", "\n#### ");
    let told: String = told.lines().map(|line| format!("> {line}").trim_end().to_owned() + "\n").collect();
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return fs::write(&path, format!("{before}{BEGIN}{told}{END}{after}")).unwrap();
    }
    // Wording and figures move with the engine, and are written anew when somebody looks; what it is about must not.
    let onset = investigation.report.onset.unwrap().at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let essential = told.lines().filter(|line| line.starts_with("> # ") || line.starts_with("> | `"));
    for part in essential.chain([onset.as_str()]) {
        assert!(shown.contains(part), "{WORKED} says otherwise than the engine: {part}\n{told}");
    }
    assert!(before.contains(&format!("`{}`", incident.name)), "{}", incident.name);
}

#[test]
fn every_secret_that_is_read_is_told_and_no_other() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/mod.rs")).unwrap();
    let read: Vec<&str> =
        source.split("Secret::from_env(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(read, SECRETS.map(|(name, _)| name));
}
