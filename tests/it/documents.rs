//! What README and docs name exists: files, headings, commands with their flags, metrics, variables and keys.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use incident_commander::cli;
use incident_commander::config::{Config, SECRETS};
use incident_commander::telemetry::PREFIX;

use crate::observed::is_registered;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A document: its path below the root, and its text.
struct Document {
    path: PathBuf,
    text: String,
}

fn below(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            if !["target", "node_modules", ".git", ".venv"].contains(&&*name) {
                below(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    below(root(), &[".md"], &mut found);
    found.sort();
    found.into_iter().map(|path| Document { text: fs::read_to_string(&path).unwrap(), path }).collect()
}

/// Those that people install and run by: not the history, nor what tests say of themselves.
fn guides() -> Vec<Document> {
    let told = |one: &Document| {
        let inside = one.path.strip_prefix(root()).unwrap();
        inside == Path::new("README.md") || inside.starts_with("docs")
    };
    documents().into_iter().filter(told).collect()
}

/// The source of each program of the project that a document runs by name: an example, a benchmark, a binary or a script.
fn programs(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "`()[],;".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let mut files = Vec::new();
    for pair in words.windows(2) {
        let folder = match pair[0] {
            "--example" => "examples",
            "--bench" => "benches",
            "--bin" => "src/bin",
            _ => continue,
        };
        let own = root().join(folder).join(pair[1]);
        if own.is_dir() {
            below(&own, &[".rs"], &mut files);
        } else {
            files.push(own.with_extension("rs"));
        }
    }
    let is_script = |word: &&&str| {
        ["py", "sh", "mjs"].iter().any(|ending| word.rsplit_once('.').is_some_and(|(_, end)| end == *ending))
    };
    let scripts = words.iter().filter(is_script);
    files.extend(scripts.map(|word| root().join(word)).filter(|path| path.is_file()));
    files.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
}

/// Fenced blocks with the word behind their fence, and the text outside of them.
fn blocks(text: &str) -> (Vec<(String, String)>, String) {
    let (mut blocks, mut outside) = (Vec::new(), String::new());
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, inside)), None) => inside.push_str(&format!("{line}\n")),
            (None, None) => outside.push_str(&format!("{line}\n")),
        }
    }
    (blocks, outside)
}

/// What stands in backticks.
fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
}

/// A heading as GitHub links to it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = blocks(text).1;
    let headings =
        headings.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == ' ' || *c == '_';
    headings
        .map(|line| line.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        let (_, prose) = blocks(&document.text);
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                document.path.clone()
            } else {
                document.path.parent().unwrap().join(file)
            };
            let leads = target.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&target).unwrap_or_default()).contains(anchor));
            if !leads {
                wrong.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The words of a shell's line, without comments, redirections, and what is piped elsewhere.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap();
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        if ["|", ">", ">>", "&&", "||", ";", "&"].contains(&word) {
            break;
        }
        words.push(word.trim_matches(['"', '\'']).to_owned());
    }
    words
}

/// What is typed to a program of the project in this line, from its name on.
fn typed(line: &str, program: &str) -> Option<Vec<String>> {
    let words = words(line.trim().trim_start_matches("$ "));
    // Variables may stand in front of a command.
    let first = words.iter().position(|word| !word.contains('='))?;
    let words = words.get(first..)?;
    let name = Path::new(words.first()?).file_name()?.to_string_lossy().into_owned();
    if name == program {
        return Some(words.to_vec());
    }
    if name == "cargo" && words.get(1).is_some_and(|word| word == "run") {
        let mark = words.iter().position(|word| word == "--")?;
        let (before, after) = words.split_at(mark);
        let named = before.iter().position(|word| ["--bin", "--example"].contains(&word.as_str()));
        let run = named.and_then(|at| before.get(at + 1)).map_or("incident-commander", String::as_str);
        if run == program {
            return Some(std::iter::once(program.to_owned()).chain(after[1..].iter().cloned()).collect());
        }
    }
    None
}

/// Lines of fenced shell blocks; a backslash at the end joins two.
fn shell_lines(text: &str) -> Vec<String> {
    let shell = |language: &str| ["sh", "bash", "console", ""].contains(&language);
    let blocks = blocks(text).0.into_iter().filter(|(language, _)| shell(language));
    blocks
        .flat_map(|(_, inside)| inside.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_command_line_in_a_block_parses() {
    let (mut wrong, mut parsed) = (Vec::new(), 0);
    for document in documents() {
        let mut lines = shell_lines(&document.text);
        // In running text too, where nothing is left out.
        let spans = spans(&blocks(&document.text).1).into_iter();
        lines.extend(spans.filter(|span| !span.contains(['[', '…', '<']) && span.contains(' ')));
        for line in lines {
            let Some(words) = typed(&line, "incident-commander") else { continue };
            parsed += 1;
            if let Err(error) = cli::command().try_get_matches_from(&words)
                && error.use_stderr()
            {
                wrong.push(format!("{}: {line}\n{error}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(parsed > 5, "only {parsed} commands were found");
}

#[test]
fn every_command_has_an_example_that_parses() {
    fn visit(command: &clap::Command, path: &str, wrong: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name()).trim().to_owned();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = help.lines().filter(|line| line.contains("incident-commander")).collect();
        if path != "incident-commander" && examples.is_empty() && !command.has_subcommands() {
            wrong.push(format!("{path} has no example"));
        }
        for line in examples {
            let words = typed(line, "incident-commander");
            let read = words.map(|words| cli::command().try_get_matches_from(words));
            match read {
                Some(Ok(_)) => {}
                Some(Err(error)) => wrong.push(format!("{line}: {error}")),
                None => wrong.push(format!("{line}: no command")),
            }
        }
        for below in command.get_subcommands() {
            visit(below, &path, wrong);
        }
    }
    let mut wrong = Vec::new();
    visit(&cli::command(), "", &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_commands_has_a_row_for_each() {
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name()).trim().to_owned();
            if below.has_subcommands() {
                leaves(below, &path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut commands = Vec::new();
    leaves(&cli::command(), "", &mut commands);
    let page = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    let first = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let told: Vec<String> = first.flat_map(spans).collect();
    let missing: Vec<&String> = commands
        .iter()
        .filter(|command| !told.iter().any(|one| one == *command || one.starts_with(&format!("{command} "))))
        .collect();
    assert!(missing.is_empty() && commands.len() > 15, "{missing:?} of {commands:?}");
}

/// Every long flag of every command.
fn flags(command: &clap::Command, found: &mut BTreeSet<String>) {
    found.extend(command.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))));
    command.get_subcommands().for_each(|below| flags(below, found));
}

/// Flags that are named without their program, and whose they are.
const FLAGS_OF_OTHERS: [(&str, &str); 1] = [("--overwrite", "aws ssm put-parameter")];

#[test]
fn every_flag_that_is_named_exists() {
    let mut known: BTreeSet<String> = ["--help", "--version"].map(str::to_owned).into();
    for (flag, program) in FLAGS_OF_OTHERS {
        assert!(
            guides().iter().any(|document| document.text.contains(flag) && document.text.contains(program)),
            "no page runs {program} and names {flag}"
        );
        known.insert(flag.to_owned());
    }
    flags(&cli::command(), &mut known);
    let mut wrong = Vec::new();
    for document in guides() {
        let programs = programs(&document.text);
        for span in spans(&blocks(&document.text).1) {
            // What belongs to another program stands behind its name; what cargo hands on stands behind a mark.
            let other =
                ["aws ", "docker ", "systemctl ", "terraform ", "git ", "litestream ", "curl ", "npm "];
            let span = match span.split_once(" -- ") {
                Some((before, after)) if before.contains("cargo ") => after,
                _ if span.contains("cargo ") || other.iter().any(|program| span.contains(program)) => {
                    continue;
                }
                _ => &span,
            };
            for word in span
                .split([' ', '[', ']', '|', '(', ')', ',', '='])
                .filter(|word| word.starts_with("--") && word.len() > 2)
            {
                let word = word.trim_end_matches(['.', ':', ';']);
                // Examples, benchmarks and scripts have flags of their own: those that this page runs.
                let field = format!(" {}: ", word.trim_start_matches('-').replace('-', "_"));
                let elsewhere = programs.contains(&format!("\"{word}\"")) || programs.contains(&field);
                if !known.contains(word) && !elsewhere {
                    wrong.push(format!("{}: {word}", document.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_metric_that_is_named_exists() {
    let mut wrong = Vec::new();
    for document in guides() {
        for rest in document.text.split(PREFIX).skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let name = format!("{PREFIX}{name}");
            if name != PREFIX && !is_registered(&name) {
                wrong.push(format!("{}: {name}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Variables that neither a flag nor a secret of the program stands for, and who reads them.
const READ_ELSEWHERE: [(&str, Reader); 13] = [
    ("RUST_LOG", Reader::Library("tracing-subscriber's filter, by its default name")),
    ("FAULT_SCENARIO", Reader::File("src/checkout/settings.rs")),
    ("UPDATE_DOCS", Reader::File("tests/it/reference.rs")),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", Reader::File("src/telemetry/traces.rs")),
    ("OTEL_SERVICE_NAME", Reader::File("src/telemetry/traces.rs")),
    ("OTEL_EXPORTER_OTLP_HEADERS", Reader::Library("opentelemetry-otlp")),
    ("AWS_REGION", Reader::Library("the AWS SDK")),
    ("AWS_PROFILE", Reader::Library("the AWS SDK")),
    ("AWS_CONFIG_FILE", Reader::Library("the AWS SDK")),
    ("AWS_ACCESS_KEY_ID", Reader::Library("the AWS SDK")),
    ("AWS_SECRET_ACCESS_KEY", Reader::Library("the AWS SDK")),
    ("CAPABILITY_IAM", Reader::Library("CloudFormation, as a word of its own and no variable")),
    ("DB_PASSWORD", Reader::Library("nobody: a name that is masked")),
];

enum Reader {
    /// In whose code its whole name stands in quotes, in capital letters or not.
    File(&'static str),
    Library(&'static str),
}

/// Variables that flags of any command stand for.
fn variables(command: &clap::Command, found: &mut BTreeSet<String>) {
    found.extend(
        command
            .get_arguments()
            .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned())),
    );
    command.get_subcommands().for_each(|below| variables(below, found));
}

#[test]
fn every_variable_that_is_named_exists() {
    let mut known = BTreeSet::new();
    variables(&cli::command(), &mut known);
    known.extend(SECRETS.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}_FILE")]));
    for (name, reader) in READ_ELSEWHERE {
        assert!(known.insert(name.to_owned()), "{name} is the program's own");
        match reader {
            Reader::File(file) => {
                let text = fs::read_to_string(root().join(file)).unwrap().to_lowercase();
                let code = text.split("#[cfg(test)]").next().unwrap();
                assert!(code.contains(&format!("\"{}\"", name.to_lowercase())), "{file} reads no {name}");
            }
            Reader::Library(who) => assert!(!who.is_empty()),
        }
    }
    let (mut wrong, mut named) = (Vec::new(), BTreeSet::new());
    // The keys of the incident that is worked through are its own.
    let told = |document: &Document| !document.path.ends_with("docs/how-it-reasons.md");
    for document in guides().into_iter().filter(told) {
        let (blocks, prose) = blocks(&document.text);
        let mut texts = spans(&prose);
        texts.extend(blocks.into_iter().filter(|(language, _)| language == "sh").map(|(_, inside)| inside));
        for text in texts {
            for word in text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')) {
                let shape = word.contains('_')
                    && word.starts_with(|c: char| c.is_ascii_uppercase())
                    && word.len() > 4;
                // A block may set one for itself; `NAME_FILE` stands for each of the secrets.
                let is_set = text.lines().any(|line| line.starts_with(&format!("{word}=")));
                if shape && !is_set && word != "NAME_FILE" && !known.contains(word) {
                    wrong.push(format!("{}: {word}", document.path.display()));
                }
                named.insert(word.to_owned());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let idle: Vec<_> =
        READ_ELSEWHERE.iter().filter(|(name, _)| !named.contains(*name)).map(|(name, _)| name).collect();
    assert!(idle.is_empty(), "no page names {idle:?}");
}

/// Whose pages may be linked to, and why a reader is sent there.
const HOSTS: [(&str, &str); 3] = [
    ("api.slack.com", "where an app is made and its tokens are"),
    ("litestream.io", "the program that follows the database to S3"),
    ("semver.org", "what a version's numbers mean"),
];

/// What stands for an address: the reader's own machine, and names that are nobody's (RFC 2606).
const NO_ONES: [&str; 4] = ["127.0.0.1", "localhost", "commander.example", "…"];

#[test]
fn every_link_to_elsewhere_is_https_and_of_a_host_that_is_known() {
    let (mut wrong, mut linked) = (Vec::new(), BTreeSet::new());
    for document in documents() {
        let tail = document.text.split("://");
        for (before, after) in tail.clone().zip(tail.skip(1)) {
            let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
            let host: String =
                after.chars().take_while(|c| c.is_alphanumeric() || ['.', '-', '…'].contains(c)).collect();
            if !["http", "https"].contains(&scheme) || NO_ONES.contains(&&*host) {
                continue;
            }
            if scheme != "https" || !HOSTS.iter().any(|(known, _)| *known == host) {
                wrong.push(format!("{}: {scheme}://{host}", document.path.display()));
            }
            linked.insert(host);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (host, reason) in HOSTS {
        assert!(linked.contains(host) && !reason.is_empty(), "no page links to {host}");
    }
}

#[test]
fn every_configuration_that_is_shown_is_accepted() {
    let mut shown = 0;
    for document in documents() {
        for (language, inside) in blocks(&document.text).0 {
            if language == "toml" {
                shown += 1;
                if let Err(error) = Config::parse(&inside) {
                    panic!("{}: {error}", document.path.display());
                }
            }
        }
    }
    assert!(shown > 0);
}

/// Keys of a section, and of what is in it.
fn keys(section: &str) -> String {
    let reference = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let part = reference.split("\n### ").find(|part| {
        part.starts_with(&format!("`[{section}]")) || part.starts_with(&format!("`[[{section}]]"))
    });
    part.unwrap_or_default().to_owned()
}

#[test]
fn every_key_that_is_named_with_its_section_exists() {
    let mut wrong = Vec::new();
    for document in guides() {
        for span in spans(&blocks(&document.text).1) {
            // `[aws] topics`, `[[service]] owner`
            let Some((section, key)) = span.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
                continue;
            };
            let section = section.trim_matches(['[', ']']);
            let key = key.split([' ', '=']).next().unwrap_or_default();
            if !keys(section).contains(&format!("| `{key}` |")) {
                wrong.push(format!("{}: {span}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
