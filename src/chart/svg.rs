//! The page: a light card with a title, the marks' labels, two panels and one time axis.
//!
//! Colours are Okabe and Ito's, which people with any colour vision tell apart; every kind of mark
//! differs in its dashes too. Sizes are chosen for a chat client that shows the picture at half its
//! width: nothing is written smaller than 13 CSS pixels.

use std::fmt::Write as _;

use super::alt_text::{describe, shorten};
use super::labels::{self, Request, text_width};
use super::panel::Panel;
use super::scale::{Scale, Unit, clock, day, drawable, seconds, tick_label, time_ticks};
use super::{ChartInput, HEIGHT, Mark, MarkKind, WIDTH};

const LEFT: f64 = 76.0;
const RIGHT: f64 = WIDTH - 26.0;
const BOTTOM: f64 = HEIGHT - 46.0;
/// The top of the highest row of labels.
const LABELS: f64 = 67.0;
const LABEL_HEIGHT: f64 = 22.0;
const LABEL_SIZE: f64 = 13.0;
/// Between the two panels, with the second one's caption in it.
const BETWEEN: f64 = 44.0;
const LONGEST_LABEL: usize = 30;

const INK: &str = "#1d1c1d";
const MUTED: &str = "#5c6066";
const RULE: &str = "#d9dce1";
const AMBER: &str = "#e69f00";
const VERMILLION: &str = "#d55e00";
const BLUE: &str = "#0072b2";

/// How a kind of mark looks.
struct Style {
    colour: &'static str,
    text: &'static str,
    dashes: &'static str,
}

fn style(kind: MarkKind) -> Style {
    match kind {
        MarkKind::Deployment => Style { colour: INK, text: "#ffffff", dashes: "none" },
        MarkKind::Rollback => Style { colour: "#00795a", text: "#ffffff", dashes: "9 3" },
        MarkKind::Onset => Style { colour: AMBER, text: INK, dashes: "none" },
        MarkKind::Alert => Style { colour: "#9c3f75", text: "#ffffff", dashes: "5 4" },
        MarkKind::Cleared => Style { colour: "#e6e8eb", text: MUTED, dashes: "2 4" },
    }
}

/// The line's colour: that of the label, but dark enough for a thin line.
fn line_colour(kind: MarkKind) -> &'static str {
    if kind == MarkKind::Cleared { "#80868e" } else { style(kind).colour }
}

/// A label with the moment of its line.
struct Label {
    at: f64,
    text: String,
    /// What stands in its place where there is little room.
    time: String,
    kind: MarkKind,
}

fn label_width(text: &str) -> f64 {
    text_width(text, LABEL_SIZE) + 18.0
}

/// Draws the chart. Any input gives a valid picture: one without data says so.
pub fn svg(input: &ChartInput) -> String {
    let symptoms = input.symptoms;
    let window = window(input);
    let time = window.map(|(low, high)| Scale::new(low, high, LEFT, RIGHT));
    let (inside, outside): (Vec<Label>, Vec<Label>) =
        labels_of(input).into_iter().partition(|label| time.is_some_and(|time| time.contains(label.at)));
    let requests: Vec<Request> = inside
        .iter()
        .map(|label| Request {
            x: time.map_or(LEFT, |time| time.pixel(label.at)),
            width: label_width(&label.text),
            least: label_width(&label.time),
        })
        .collect();
    let placed = labels::place(&requests, LEFT - 52.0, RIGHT + 10.0);
    let rows = placed.iter().map(|label| label.row + 1).max().unwrap_or(0);
    let top = LABELS + rows as f64 * (LABEL_HEIGHT + 4.0) + 30.0;
    let height = (BOTTOM - top - BETWEEN) / 2.0;
    let panels = [
        Panel {
            name: "Error rate",
            unit: Unit::Share,
            points: &symptoms.error_rate,
            before: symptoms.baseline_error_rate,
            after: symptoms.incident_error_rate,
            colour: VERMILLION,
            top,
            bottom: top + height,
        },
        Panel {
            name: "p99 latency",
            unit: Unit::Milliseconds,
            points: &symptoms.latency_p99,
            before: symptoms.baseline_latency_p99,
            after: symptoms.incident_latency_p99,
            colour: BLUE,
            top: top + height + BETWEEN,
            bottom: BOTTOM,
        },
    ];

    let mut page = Page::default();
    page.open(input, window);
    if let (Some(time), Some(onset)) = (time, input.onset) {
        let from = time.pixel(seconds(onset.earliest));
        let to = time.pixel(seconds(onset.latest));
        let (from, to) = if to - from < 3.0 { (from - 1.5, from + 1.5) } else { (from, to) };
        for panel in &panels {
            page.line(&format!(
                r#"<rect class="onset" x="{from:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{AMBER}" fill-opacity="0.28"/>"#,
                panel.top, to - from, panel.bottom - panel.top
            ));
        }
    }
    for panel in &panels {
        page.line(&panel.grid(LEFT, RIGHT));
    }
    if let Some((low, high)) = window {
        page.time_axis(low, high);
    }
    let label_top = |row: usize| LABELS + (rows - 1 - row) as f64 * (LABEL_HEIGHT + 4.0);
    for (index, (label, request)) in inside.iter().zip(&requests).enumerate() {
        let from =
            placed.iter().find(|label| label.request == index).map_or(top, |label| label_top(label.row));
        page.line(&format!(
            r#"<line class="mark" x1="{0:.1}" y1="{from:.1}" x2="{0:.1}" y2="{BOTTOM:.1}" stroke="{1}" stroke-width="{2}" stroke-dasharray="{3}"/>"#,
            request.x, line_colour(label.kind), if label.kind == MarkKind::Deployment { 2.0 } else { 1.6 }, style(label.kind).dashes
        ));
    }
    for panel in &panels {
        page.line(&panel.series(time, RIGHT));
        page.line(&panel.caption(LEFT - 52.0, RIGHT));
    }
    for label in &placed {
        if let Some(mark) = inside.get(label.request) {
            let style = style(mark.kind);
            page.line(&format!(
                r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{LABEL_HEIGHT}" rx="4" fill="{}"/>"#,
                label.left,
                label_top(label.row),
                label.width,
                style.colour
            ));
            page.text(
                label.left + label.width / 2.0,
                label_top(label.row) + 15.8,
                LABEL_SIZE,
                &format!(r#"fill="{}" font-weight="bold" text-anchor="middle""#, style.text),
                if label.whole { &mark.text } else { &mark.time },
            );
        }
    }
    page.close(inside.len() - placed.len(), &outside)
}

/// First and last second to show: the data, and the marks that are not far from it.
fn window(input: &ChartInput) -> Option<(f64, f64)> {
    let points = input.symptoms.error_rate.iter().chain(&input.symptoms.latency_p99);
    let data = bounds(points.filter(|(_, value)| drawable(*value).is_some()).map(|(at, _)| seconds(*at)));
    let onset = input.onset.iter().flat_map(|onset| [onset.earliest, onset.latest]);
    let marks: Vec<f64> = input.marks.iter().map(|mark| mark.at).chain(onset).map(seconds).collect();
    let (low, high) = match data {
        Some((low, high)) => {
            let reach = ((high - low) / 2.0).max(600.0);
            let near = marks.into_iter().filter(|at| (low - reach..=high + reach).contains(at));
            bounds(near.chain([low, high]))?
        }
        None => bounds(marks.into_iter())?,
    };
    // A single moment still needs an axis.
    if high - low < 60.0 { Some((low - 300.0, high + 300.0)) } else { Some((low, high)) }
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, value| match bounds {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}

/// Every mark with its label and the time, most important first; the onset's interval has one too.
fn labels_of(input: &ChartInput) -> Vec<Label> {
    let mut marks: Vec<&Mark> = input.marks.iter().collect();
    marks.sort_by_key(|mark| (mark.kind, mark.at));
    let mut labels: Vec<Label> = marks
        .into_iter()
        .map(|mark| {
            let name = mark.label.split_whitespace().collect::<Vec<_>>().join(" ");
            let time = clock(mark.at);
            let text = format!("{time} {}", shorten(&name, LONGEST_LABEL)).trim_end().to_owned();
            Label { at: seconds(mark.at), text, time, kind: mark.kind }
        })
        .collect();
    if let Some(onset) = input.onset
        && !input.marks.iter().any(|mark| mark.kind == MarkKind::Onset)
    {
        let (from, to) = (clock(onset.earliest), clock(onset.latest));
        let time = if from == to { from } else { format!("{from}–{to}") };
        let text = format!("{time} onset");
        let at = labels.iter().take_while(|label| label.kind < MarkKind::Onset).count();
        labels.insert(at, Label { at: seconds(onset.at), text, time, kind: MarkKind::Onset });
    }
    labels
}

/// The SVG as it grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn open(&mut self, input: &ChartInput, window: Option<(f64, f64)>) {
        self.line(&format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="DejaVu Sans, Verdana, sans-serif" role="img">"#
        ));
        self.line(&format!("<title>{}</title>", escape(&input.title)));
        self.line(&format!("<desc>{}</desc>", escape(&describe(input))));
        self.line(&format!(
            r##"<rect x="0.5" y="0.5" width="{}" height="{}" rx="10" fill="#ffffff" stroke="{RULE}"/>"##,
            WIDTH - 1.0,
            HEIGHT - 1.0
        ));
        let title = shorten(&input.title, 58);
        self.text(LEFT - 52.0, 33.0, 19.0, &format!(r#"fill="{INK}" font-weight="bold""#), &title);
        self.text(LEFT - 52.0, 55.0, 13.5, &format!(r#"fill="{MUTED}""#), &subtitle(window));
    }

    fn time_axis(&mut self, low: f64, high: f64) {
        let scale = Scale::new(low, high, LEFT, RIGHT);
        let (ticks, step) = time_ticks(low, high, 9);
        for tick in ticks {
            let x = scale.pixel(tick as f64);
            self.line(&format!(
                r#"<line x1="{x:.1}" y1="{BOTTOM}" x2="{x:.1}" y2="{}" stroke="{MUTED}" stroke-width="1"/>"#,
                BOTTOM + 5.0
            ));
            let style = format!(r#"fill="{MUTED}" text-anchor="middle""#);
            self.text(x, BOTTOM + 20.0, 13.0, &style, &tick_label(tick, step));
        }
        self.text(LEFT - 52.0, BOTTOM + 20.0, 13.0, &format!(r#"fill="{MUTED}""#), "UTC");
    }

    /// Ends the page with a note on what was not drawn.
    fn close(mut self, unlabelled: usize, outside: &[Label]) -> String {
        let mut notes = Vec::new();
        if let Some(first) = outside.first() {
            let more =
                if outside.len() > 1 { format!(" and {} more", outside.len() - 1) } else { String::new() };
            let date = jiff::Timestamp::from_second(first.at as i64).map(day).unwrap_or_default();
            notes.push(format!("outside this window: {date} {}{more}", first.text));
        }
        if unlabelled > 0 {
            notes.push(format!("{unlabelled} without room for a label"));
        }
        if !notes.is_empty() {
            let note = shorten(&notes.join("; "), 92);
            self.text(RIGHT, HEIGHT - 9.0, 13.0, &format!(r#"fill="{MUTED}" text-anchor="end""#), &note);
        }
        self.text.push_str("</svg>\n");
        self.text
    }

    fn line(&mut self, element: &str) {
        if !element.is_empty() {
            self.text.push_str(element);
            self.text.push('\n');
        }
    }

    fn text(&mut self, x: f64, y: f64, size: f64, attributes: &str, text: &str) {
        self.line(&write_text(x, y, size, attributes, text));
    }
}

/// `6 Feb 2026, 11:30 to 13:00 UTC`.
fn subtitle(window: Option<(f64, f64)>) -> String {
    let moment = |second: f64| jiff::Timestamp::from_second(second.round() as i64).ok();
    match window.and_then(|(low, high)| Some((moment(low)?, moment(high)?))) {
        None => "no data and no change to show".to_owned(),
        Some((low, high)) if day(low) == day(high) => {
            format!("{}, {} to {} UTC", day(low), clock(low), clock(high))
        }
        Some((low, high)) => format!("{} {} to {} {} UTC", day(low), clock(low), day(high), clock(high)),
    }
}

/// One `<text>` element; `text` is escaped, `attributes` are written as they are.
pub(super) fn write_text(x: f64, y: f64, size: f64, attributes: &str, text: &str) -> String {
    format!(r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" {attributes}>{}</text>"#, escape(text))
}

/// Text as XML content: the five reserved characters, and nothing that XML 1.0 forbids.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(escaped, "\u{fffd}");
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}
