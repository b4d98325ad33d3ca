//! `logs templates FILE`: which templates a log holds, or which template each line has.
//!
//! The rule that is not obvious: templates may be joined by what a later line shows, so nothing is
//! printed before the last line was read. What waits is one number a line, beyond a million lines
//! in a temporary file, so that memory does not grow with the log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::analysis::templates::{Miner, Template, TemplateId};
use crate::report;

/// Bytes of one line that are looked at; the rest of a longer one is read and dropped.
const MAX_LINE: usize = 64 * 1024;
const BUFFER: usize = 1 << 20;
/// Ids held in memory before they go to the temporary file.
const HELD_IDS: usize = 1 << 20;

#[derive(Debug, Args)]
pub struct TemplatesArgs {
    /// The log, one event a line; `-` reads standard input.
    pub file: PathBuf,
    #[arg(long, value_enum, default_value_t = TemplatesFormat::Text)]
    pub format: TemplatesFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TemplatesFormat {
    /// A table of templates, the most frequent first.
    Text,
    /// One JSON object a line of the log, in order.
    Ndjson,
}

/// Reads the log and prints its templates to standard output.
pub fn templates(args: &TemplatesArgs) -> anyhow::Result<()> {
    let mut output = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    let result = if args.file == Path::new("-") {
        write_templates(io::stdin().lock(), args.format, &mut output)
    } else {
        let file = File::open(&args.file).with_context(|| format!("cannot open {}", args.file.display()))?;
        write_templates(file, args.format, &mut output)
            .with_context(|| format!("cannot mine {}", args.file.display()))
    };
    match result {
        // Whoever reads has seen enough, as in `| head`.
        Err(error) if is_closed_pipe(&error) => Ok(()),
        other => other,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// The same for any reader and writer.
pub fn write_templates(
    input: impl Read,
    format: TemplatesFormat,
    output: &mut impl Write,
) -> anyhow::Result<()> {
    let mut miner = Miner::default();
    match format {
        TemplatesFormat::Text => {
            for_each_line(input, |line| {
                miner.learn(line);
                Ok(())
            })?;
            miner.settle();
            write_table(&miner, output)?;
        }
        TemplatesFormat::Ndjson => {
            let mut ids = IdSpool::default();
            for_each_line(input, |line| ids.push(miner.learn(line)))?;
            miner.settle();
            write_rows(&miner, ids, output)?;
        }
    }
    output.flush()?;
    Ok(())
}

fn write_table(miner: &Miner, output: &mut impl Write) -> io::Result<()> {
    let mut templates = numbered(miner);
    templates.sort_by_key(|(number, template)| (std::cmp::Reverse(template.count), *number));
    let lines: u64 = templates.iter().map(|(_, template)| template.count).sum();
    writeln!(output, "{lines} lines, {} templates", templates.len())?;
    writeln!(output, "{:>10} {:>7} {:>10} {:>10}  template", "count", "id", "first line", "last line")?;
    for (number, template) in templates {
        let Template { count, first, last, text, .. } = template;
        let text = report::plain(&text);
        writeln!(output, "{count:>10} {number:>7} {first:>10} {last:>10}  {text}")?;
    }
    Ok(())
}

/// Templates numbered from 1 in the order of their first lines.
fn numbered(miner: &Miner) -> Vec<(u64, Template)> {
    let mut templates = miner.templates();
    templates.sort_by_key(|template| template.first);
    (1..).zip(templates).collect()
}

fn write_rows(miner: &Miner, ids: IdSpool, output: &mut impl Write) -> anyhow::Result<()> {
    let mut endings: Vec<Option<String>> = Vec::new();
    for (number, template) in numbered(miner) {
        let index = template.id.0 as usize;
        if endings.len() <= index {
            endings.resize(index + 1, None);
        }
        let text = report::plain_json(&serde_json::to_string(&template.text)?);
        endings[index] = Some(format!(", \"template_id\": {number}, \"template\": {text}}}\n"));
    }
    let mut line = 0_u64;
    ids.for_each(|id| {
        line += 1;
        let root = miner.resolve(id).0 as usize;
        let ending = endings.get(root).and_then(Option::as_deref).unwrap_or_default();
        write!(output, "{{\"line\": {line}{ending}")
    })?;
    Ok(())
}

/// Calls `each` with every line, without its line break and cut at [`MAX_LINE`].
fn for_each_line(input: impl Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    // The beginning of a line whose end is not in the buffer yet.
    let mut partial: Vec<u8> = Vec::new();
    let mut open = false;
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if buffer.is_empty() {
            break;
        }
        let length = buffer.len();
        let mut rest = buffer;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, next) = (&rest[..end], &rest[end + 1..]);
            if open {
                keep(&mut partial, line);
                each(without_return(&partial))?;
                partial.clear();
                open = false;
            } else {
                each(without_return(&line[..line.len().min(MAX_LINE)]))?;
            }
            rest = next;
        }
        if !rest.is_empty() {
            keep(&mut partial, rest);
            open = true;
        }
        input.consume(length);
    }
    if open {
        each(without_return(&partial))?;
    }
    Ok(())
}

fn keep(partial: &mut Vec<u8>, more: &[u8]) {
    let room = MAX_LINE.saturating_sub(partial.len());
    partial.extend_from_slice(&more[..more.len().min(room)]);
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// One id a line, in memory first and in a temporary file then.
#[derive(Default)]
struct IdSpool {
    held: Vec<u32>,
    file: Option<SpoolFile>,
}

struct SpoolFile {
    writer: BufWriter<File>,
    path: PathBuf,
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        // Nothing to be done about a temporary file that is gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl IdSpool {
    fn push(&mut self, id: TemplateId) -> io::Result<()> {
        self.held.push(id.0);
        if self.held.len() >= HELD_IDS { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SpoolFile::create()?),
        };
        for id in self.held.drain(..) {
            file.writer.write_all(&id.to_le_bytes())?;
        }
        Ok(())
    }

    fn for_each(mut self, mut each: impl FnMut(TemplateId) -> io::Result<()>) -> io::Result<()> {
        if let Some(mut spooled) = self.file.take() {
            spooled.writer.flush()?;
            let file = spooled.writer.get_mut();
            file.seek(SeekFrom::Start(0))?;
            let mut reader = BufReader::with_capacity(BUFFER, file);
            let mut bytes = [0; 4];
            loop {
                match reader.read_exact(&mut bytes) {
                    Ok(()) => each(TemplateId(u32::from_le_bytes(bytes)))?,
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                    Err(error) => return Err(error),
                }
            }
        }
        self.held.drain(..).try_for_each(|id| each(TemplateId(id)))
    }
}

impl SpoolFile {
    /// A new file that no other process uses.
    fn create() -> io::Result<Self> {
        let folder = std::env::temp_dir();
        let process = std::process::id();
        for attempt in 0..1000_u32 {
            let path = folder.join(format!("incident-commander-{process}-{attempt}.ids"));
            match File::options().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { writer: BufWriter::with_capacity(BUFFER, file), path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("no free name for a temporary file in {}", folder.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: &[u8], format: TemplatesFormat) -> String {
        let mut output = Vec::new();
        write_templates(input, format, &mut output).expect("memory can be read and written");
        String::from_utf8(output).expect("output is UTF-8")
    }

    #[test]
    fn ndjson_has_one_row_a_line_in_order_with_final_ids() {
        let log = b"gate opened for user ada at dawn\r\n\ngate opened for user bert at dawn";
        let rows: Vec<serde_json::Value> = run(log, TemplatesFormat::Ndjson)
            .lines()
            .map(|row| serde_json::from_str(row).expect("each row is JSON"))
            .collect();
        let gate = "gate opened for user <*> at dawn";
        assert_eq!(
            rows,
            [
                serde_json::json!({"line": 1, "template_id": 1, "template": gate}),
                serde_json::json!({"line": 2, "template_id": 2, "template": ""}),
                serde_json::json!({"line": 3, "template_id": 1, "template": gate}),
            ]
        );
    }

    #[test]
    fn text_lists_the_most_frequent_template_first() {
        let table = run(b"hook 1 up\nrope cut\nrope cut\n", TemplatesFormat::Text);
        let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["3", "lines,", "2", "templates"]);
        assert_eq!(rows[2], ["2", "2", "2", "3", "rope", "cut"]);
        assert_eq!(rows[3], ["1", "1", "1", "1", "hook", "<*>", "up"]);
    }

    #[test]
    fn lines_that_are_no_text_or_longer_than_the_buffer_keep_their_row() {
        let mut log = b"\xff\xfe odd\n".to_vec();
        log.extend(std::iter::repeat_n(b'x', 3 * BUFFER));
        log.extend_from_slice(b"\nrope cut\n");
        let output = run(&log, TemplatesFormat::Ndjson);
        assert_eq!(output.lines().count(), 3);
        assert!(
            output.lines().last().is_some_and(|row| row.contains("\"line\": 3") && row.contains("rope cut"))
        );
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert_eq!(run(b"", TemplatesFormat::Ndjson), "");
        assert!(run(b"", TemplatesFormat::Text).starts_with("0 lines, 0 templates"));
    }

    #[test]
    fn ids_beyond_those_held_come_back_in_order() {
        let mut spool = IdSpool::default();
        let count = u32::try_from(HELD_IDS).expect("it is small") + 3;
        for id in 0..count {
            spool.push(TemplateId(id)).expect("the temporary folder can be written");
        }
        let path = spool.file.as_ref().map(|file| file.path.clone()).expect("it has spilled");
        let mut next = 0;
        spool
            .for_each(|id| {
                assert_eq!(id.0, next);
                next += 1;
                Ok(())
            })
            .expect("what was written can be read");
        assert_eq!(next, count);
        assert!(!path.exists());
    }
}
