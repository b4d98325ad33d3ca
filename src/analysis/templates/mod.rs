//! Log lines to templates, in one pass and bounded memory.
//!
//! The rule that is not obvious: a line's first template is its *shape* (words kept, what is a
//! variable on sight masked), found by one hash look-up. Shapes are few. Everything that needs
//! statistics (where the header ends, which words are values) is decided on the shapes, now and
//! then and in [`Miner::settle`], and joins shapes into templates. An id that [`Miner::learn`] gave
//! stays valid: [`Miner::resolve`] tells the template that it belongs to by now.

mod header;
mod json;
mod merge;
mod partition;
mod shapes;
mod tokens;
mod values;

use std::collections::{BTreeMap, HashMap};

use header::{Headers, OPENINGS, opening};
use shapes::{ByHash, Frame, Shape, Token, TokenKind, Words, hash_content, message, mix, tokens_with};

/// What a [`Miner`] may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Shapes kept, at most; what comes later and fits no template is counted under one template
    /// for all, `<*>`.
    pub max_shapes: usize,
    /// Bytes of example lines kept for finding headers.
    pub max_example_bytes: usize,
    /// Different words in one place that make it a variable, at least.
    pub min_values: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_shapes: 1 << 14, max_example_bytes: 8 << 20, min_values: 5 }
    }
}

/// Names a shape or, after [`Miner::resolve`], a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub u32);

/// One template with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub id: TemplateId,
    pub text: String,
    /// Lines.
    pub count: u64,
    /// Line numbers, from 1.
    pub first: u64,
    pub last: u64,
}

/// Learns templates from lines, one after the other.
#[derive(Debug)]
pub struct Miner {
    options: Options,
    shapes: Vec<Shape>,
    /// Union-find over shapes.
    parents: Vec<u32>,
    by_hash: ByHash<u32>,
    words: Words,
    headers: [Headers; OPENINGS],
    lines: u64,
    /// Shapes that are part of an older one by now.
    joined: usize,
    example_bytes: usize,
    settle_at: usize,
    settled: bool,
    /// Places found to hold values, by the key of all the rest, with their template.
    open_slots: ByHash<u32>,
    /// Places behind `key=` that hold values, by skeleton.
    value_masks: ByHash<Box<[usize]>>,
    /// Templates by their whole key.
    by_tokens: ByHash<u32>,
    /// Templates with more than one open place, by key set and number of tokens.
    wide: BTreeMap<(Option<u64>, usize), Vec<u32>>,
    /// The template of all lines that found no room.
    catch_all: Option<u32>,
}

/// Shapes after which headers and variables are judged for the first time.
const FIRST_SETTLEMENT: usize = 2048;
/// Ids given at most; a joined shape keeps its own.
const MAX_IDS: usize = 1 << 20;
/// Templates with many open places that are tried one by one.
const MAX_WIDE: usize = 64;
const MAX_EXAMPLE: usize = 4096;

impl Default for Miner {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Miner {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            shapes: Vec::new(),
            parents: Vec::new(),
            by_hash: HashMap::default(),
            words: Words::default(),
            headers: std::array::from_fn(|_| Headers::default()),
            lines: 0,
            joined: 0,
            example_bytes: 0,
            settle_at: FIRST_SETTLEMENT,
            settled: true,
            open_slots: HashMap::default(),
            value_masks: HashMap::default(),
            by_tokens: HashMap::default(),
            wide: BTreeMap::new(),
            catch_all: None,
        }
    }

    /// Learns one line; its end may still hold the line break.
    pub fn learn(&mut self, line: impl AsRef<[u8]>) -> TemplateId {
        let line = line.as_ref();
        self.lines += 1;
        let header = &self.headers[opening(line) as usize];
        let start = header.skip(line);
        let content = line.get(start..).unwrap_or_default();
        let hash = hash_content(content);
        let number = self.lines;
        if let Some(id) = self.by_hash.get(&hash) {
            let shape = &mut self.shapes[*id as usize];
            shape.count += 1;
            shape.last = number;
            return TemplateId(*id);
        }
        let needs_header = header.is_empty();
        let id = self.learn_shape(hash, line, start, needs_header);
        let shape = &mut self.shapes[id as usize];
        shape.count += 1;
        shape.last = number;
        if self.shapes.len() - self.joined >= self.settle_at {
            self.settle();
            let live = self.shapes.len() - self.joined;
            // Doubling keeps the cost of settling linear; a full table that did not shrink stays full.
            let room = self.options.max_shapes.saturating_sub(live);
            self.settle_at = if 4 * room >= self.options.max_shapes {
                FIRST_SETTLEMENT.max(2 * live).min(self.options.max_shapes)
            } else {
                usize::MAX
            };
        }
        TemplateId(id)
    }

    /// A shape that is not in the table: a known template with a new value, or something new.
    fn learn_shape(&mut self, hash: u64, line: &[u8], start: usize, needs_header: bool) -> u32 {
        let content = line.get(start..).unwrap_or_default();
        if let Some(root) = self.known_template(content) {
            if self.by_hash.len() < self.options.max_shapes.saturating_mul(4) {
                self.by_hash.insert(hash, root);
            }
            return root;
        }
        if self.shapes.len() - self.joined >= self.options.max_shapes || self.shapes.len() >= MAX_IDS {
            return self.catch_all();
        }
        self.add(hash, line, start, needs_header)
    }

    /// The template that this line belongs to when its words are values. Words of values are not
    /// kept: a value that is new every time must not cost memory.
    fn known_template(&self, content: &[u8]) -> Option<u32> {
        if self.by_tokens.is_empty() {
            return None;
        }
        let (message, keys) = message(content);
        let mut tokens = tokens_with(&message, |word| self.words.known(word));
        self.mask_values(&mut tokens, keys);
        let exact = self.by_tokens.get(&merge::shape_key(&tokens, keys)).copied();
        let known = exact
            .or_else(|| {
                merge::slot_keys(&tokens, keys).iter().find_map(|(key, ..)| self.open_slots.get(key).copied())
            })
            .or_else(|| {
                let wide = self.wide.get(&(keys, tokens.len()))?;
                wide.iter().copied().find(|root| merge::fits(&self.shapes[*root as usize].tokens, &tokens))
            })?;
        Some(self.root(known))
    }

    fn mask_values(&self, tokens: &mut [Token], keys: Option<u64>) {
        if self.value_masks.is_empty() {
            return;
        }
        let positions = values::positions(tokens);
        if !positions.is_empty()
            && let Some(masked) = self.value_masks.get(&values::skeleton(tokens, &positions, keys))
        {
            values::mask(tokens, masked);
        }
    }

    /// Prepares the look-up of lines whose words are values.
    fn index_templates(&mut self) {
        self.by_tokens.clear();
        self.wide.clear();
        for id in 0..self.shapes.len() {
            if self.root(id as u32) as usize != id {
                let shape = &mut self.shapes[id];
                shape.tokens = Box::default();
                shape.frame = None;
                self.example_bytes -= shape.example.take().map_or(0, |example| example.len());
            }
        }
        for root in self.root_counts().into_keys() {
            let Some(shape) = self.shapes.get(root as usize) else { continue };
            self.by_tokens.insert(merge::shape_key(&shape.tokens, shape.keys()), root);
            if shape.tokens.iter().filter(|token| token.open).count() > 1 {
                let wide = self.wide.entry((shape.keys(), shape.tokens.len())).or_default();
                if wide.len() < MAX_WIDE {
                    wide.push(root);
                }
            }
        }
    }

    /// The template for all that finds no room.
    fn catch_all(&mut self) -> u32 {
        if let Some(id) = self.catch_all {
            return id;
        }
        let id = self.shapes.len() as u32;
        let tokens = Box::from([Token::VARIABLE]);
        self.shapes.push(Shape {
            tokens,
            example: None,
            headed: false,
            frame: None,
            count: 0,
            first: self.lines,
            last: self.lines,
        });
        self.parents.push(id);
        self.catch_all = Some(id);
        id
    }

    fn add(&mut self, hash: u64, line: &[u8], start: usize, needs_header: bool) -> u32 {
        self.settled = false;
        let (tokens, frame) = self.take_apart(line.get(start..).unwrap_or_default());
        let id = self.shapes.len() as u32;
        let example = (needs_header && self.example_bytes < self.options.max_example_bytes)
            .then(|| Box::<[u8]>::from(&line[..line.len().min(MAX_EXAMPLE)]));
        self.example_bytes += example.as_deref().map_or(0, <[u8]>::len);
        self.shapes.push(Shape {
            tokens,
            example,
            headed: start > 0,
            frame,
            count: 0,
            first: self.lines,
            last: self.lines,
        });
        self.parents.push(id);
        self.by_hash.insert(hash, id);
        id
    }

    fn take_apart(&mut self, content: &[u8]) -> (Box<[Token]>, Option<Frame>) {
        let (message, keys) = message(content);
        let words = &mut self.words;
        let tokens = tokens_with(&message, |word| words.number(word));
        let frame = keys.map(|keys_hash| {
            let (before, after) = json::frame(content);
            Frame { keys_hash, before, after }
        });
        (tokens, frame)
    }

    /// Decides anew, over all that was learned, where headers end and which words are values.
    pub fn settle(&mut self) {
        if self.settled {
            return;
        }
        self.settled = true;
        self.find_headers();
        merge::merge(self);
        self.index_templates();
    }

    fn find_headers(&mut self) {
        for kind in 0..OPENINGS {
            if !self.headers[kind].is_empty() {
                continue;
            }
            let lines: Vec<(&[u8], u64)> = self
                .shapes
                .iter()
                .filter_map(|shape| Some((shape.example.as_deref()?, shape.count)))
                .filter(|(example, _)| opening(example) as usize == kind)
                .collect();
            let header = Headers::detect(&lines);
            if header.is_empty() {
                continue;
            }
            for id in 0..self.shapes.len() {
                let Some(example) = self.shapes[id].example.take() else { continue };
                if opening(&example) as usize != kind {
                    self.shapes[id].example = Some(example);
                    continue;
                }
                self.example_bytes -= example.len();
                let start = header.skip(&example);
                let content = example.get(start..).unwrap_or_default();
                let hash = hash_content(content);
                match self.by_hash.get(&hash) {
                    Some(other) => {
                        let other = *other;
                        self.join(other, id as u32);
                    }
                    None => {
                        self.by_hash.insert(hash, id as u32);
                    }
                }
                let (tokens, frame) = self.take_apart(content);
                let shape = &mut self.shapes[id];
                shape.tokens = tokens;
                shape.frame = frame;
                shape.headed = start > 0;
            }
            self.headers[kind] = header;
        }
    }

    pub(super) fn join(&mut self, left: u32, right: u32) {
        let (left, right) = (self.root(left), self.root(right));
        if left != right {
            let (older, newer) = (left.min(right), left.max(right));
            self.parents[newer as usize] = older;
            self.joined += 1;
        }
    }

    pub(super) fn root(&self, id: u32) -> u32 {
        let mut at = id;
        while let Some(parent) = self.parents.get(at as usize).copied() {
            if parent == at {
                break;
            }
            at = parent;
        }
        at
    }

    /// Lines of each template, by its first shape.
    pub(super) fn root_counts(&self) -> BTreeMap<u32, u64> {
        let mut counts = BTreeMap::new();
        for (id, shape) in self.shapes.iter().enumerate() {
            if self.catch_all != Some(id as u32) {
                *counts.entry(self.root(id as u32)).or_default() += shape.count;
            }
        }
        counts
    }

    /// The template that an id belongs to by now.
    pub fn resolve(&self, id: TemplateId) -> TemplateId {
        TemplateId(self.root(id.0))
    }

    /// The template's text: words, and `<*>` for what varies; empty for an id never given.
    pub fn template(&self, id: TemplateId) -> String {
        let root = self.root(id.0);
        let Some(shape) = self.shapes.get(root as usize) else { return String::new() };
        let tokens = &shape.tokens;
        let mut text = Vec::new();
        if shape.headed {
            text.extend_from_slice(b"<*> ");
        }
        if let Some(frame) = &shape.frame {
            text.extend_from_slice(frame.before.as_bytes());
        }
        for (at, token) in tokens.iter().enumerate() {
            if token.space && at > 0 {
                text.push(b' ');
            }
            match token.kind {
                TokenKind::Word(word) => text.extend_from_slice(self.words.text(word)),
                TokenKind::Stem(stem) => {
                    text.extend_from_slice(self.words.text(stem));
                    text.extend_from_slice(b"<*>");
                }
                TokenKind::Variable => text.extend_from_slice(b"<*>"),
                TokenKind::Mark(mark) => text.push(mark),
            }
        }
        if let Some(frame) = &shape.frame {
            text.extend_from_slice(frame.after.as_bytes());
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Number of templates.
    pub fn len(&self) -> usize {
        (0..self.parents.len() as u32).filter(|id| self.root(*id) == *id).count()
    }

    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// All templates, by first line.
    pub fn templates(&self) -> Vec<Template> {
        let mut found: BTreeMap<u32, Template> = BTreeMap::new();
        for (id, shape) in self.shapes.iter().enumerate() {
            let root = self.root(id as u32);
            let entry = found.entry(root).or_insert_with(|| Template {
                id: TemplateId(root),
                text: self.template(TemplateId(root)),
                count: 0,
                first: shape.first,
                last: shape.last,
            });
            entry.count += shape.count;
            entry.first = entry.first.min(shape.first);
            entry.last = entry.last.max(shape.last);
        }
        found.into_values().collect()
    }
}

#[cfg(test)]
mod tests;
