//! One panel: grid with units, the series as a line that breaks at holes, its usual level dashed.
//!
//! The rule that is not obvious: a line never crosses a hole. A gap of more than three times the
//! usual distance between points, or a value that is no number, ends one piece and begins another.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::scale::{Scale, Unit, drawable, seconds};
use super::svg::write_text;

/// More points than this are reduced to the highest of each stretch: spikes are what matters.
const MOST_POINTS: usize = 1400;

/// A white rim that keeps text legible over a line.
const HALO: &str = r##"stroke="#ffffff" stroke-width="5" stroke-linejoin="round" paint-order="stroke""##;

/// What one panel shows and where.
pub(super) struct Panel<'a> {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) points: &'a [(Timestamp, f64)],
    pub(super) before: Option<f64>,
    pub(super) after: Option<f64>,
    pub(super) colour: &'static str,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Panel<'_> {
    fn ticks(&self) -> Vec<f64> {
        let levels = [self.before, self.after].into_iter().flatten();
        self.unit.ticks(self.points.iter().map(|(_, value)| *value).chain(levels))
    }

    fn values(&self) -> Scale {
        let high = self.ticks().last().copied().unwrap_or(1.0);
        Scale::new(0.0, high, self.bottom, self.top)
    }

    /// Rules and figures of the value axis.
    pub(super) fn grid(&self, left: f64, right: f64) -> String {
        let values = self.values();
        let mut grid = String::new();
        for tick in self.ticks() {
            let y = values.pixel(tick);
            let colour = if tick == 0.0 { "#9aa0a8" } else { "#e3e6ea" };
            let _ = writeln!(
                grid,
                r#"<line x1="{left}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="{colour}" stroke-width="1"/>"#
            );
            let style = r##"fill="#5c6066" text-anchor="end""##;
            let _ =
                writeln!(grid, "{}", write_text(left - 8.0, y + 4.5, 13.0, style, &self.unit.figure(tick)));
        }
        grid.trim_end().to_owned()
    }

    /// The name at the left; the levels before and after at the right.
    pub(super) fn caption(&self, left: f64, right: f64) -> String {
        let y = self.top - 13.0;
        let name = format!(r#"fill="{}" font-weight="bold" {HALO}"#, self.colour);
        let mut caption = write_text(left, y, 14.5, &name, self.name);
        let figure = |value: Option<f64>| value.and_then(drawable).map(|value| self.unit.figure(value));
        let levels = match (figure(self.before), figure(self.after)) {
            (Some(before), Some(after)) => format!("usually {before}, in the incident {after}"),
            (Some(before), None) => format!("usually {before}"),
            (None, Some(after)) => format!("in the incident {after}"),
            (None, None) => return caption,
        };
        let style = format!(r##"fill="#1d1c1d" text-anchor="end" {HALO}"##);
        let _ = write!(caption, "\n{}", write_text(right, y, 14.0, &style, &levels));
        caption
    }

    /// The line, the surface below it and the usual level; words where there is nothing to draw.
    pub(super) fn series(&self, time: Option<Scale>, right: f64) -> String {
        let values = self.values();
        let pieces = time.map(|time| pieces(self.points, time, values)).unwrap_or_default();
        let mut drawn = String::new();
        for piece in &pieces {
            self.piece(piece, &mut drawn);
        }
        if let Some(level) = self.before.and_then(drawable) {
            let y = values.pixel(level);
            let left = time.map_or(right, |time| time.pixel(f64::MIN));
            let _ = writeln!(
                drawn,
                r##"<line class="baseline" x1="{left:.1}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="#3f4348" stroke-width="1.4" stroke-dasharray="6 4"/>"##
            );
        }
        if pieces.is_empty() {
            let y = f64::midpoint(self.top, self.bottom) + 5.0;
            let style = format!(r##"fill="#5c6066" text-anchor="middle" {HALO}"##);
            let _ = writeln!(drawn, "{}", write_text(425.0, y, 14.0, &style, "no data in this window"));
        }
        drawn.trim_end().to_owned()
    }

    fn piece(&self, piece: &[(f64, f64)], drawn: &mut String) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return };
        let colour = self.colour;
        if piece.len() == 1 {
            let _ = writeln!(
                drawn,
                r#"<circle class="series" cx="{:.1}" cy="{:.1}" r="3.5" fill="{colour}"/>"#,
                first.0, first.1
            );
            return;
        }
        let mut path = String::new();
        for (x, y) in piece {
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
        }
        let bottom = self.bottom;
        let _ = writeln!(
            drawn,
            r#"<path d="{path}L{:.1} {bottom:.1}L{:.1} {bottom:.1}Z" fill="{colour}" fill-opacity="0.13"/>"#,
            last.0, first.0
        );
        let _ = writeln!(
            drawn,
            r#"<path class="series" d="{path}" fill="none" stroke="{colour}" stroke-width="2.4" stroke-linejoin="round" stroke-linecap="round"/>"#
        );
    }
}

/// Pixels of the series in order of time, cut at holes, at most [`MOST_POINTS`] or so.
fn pieces(points: &[(Timestamp, f64)], time: Scale, values: Scale) -> Vec<Vec<(f64, f64)>> {
    let mut points: Vec<(f64, f64)> = points.iter().map(|(at, value)| (seconds(*at), *value)).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut steps: Vec<f64> =
        points.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|step| *step > 0.0).collect();
    steps.sort_by(f64::total_cmp);
    let longest = steps.get(steps.len() / 2).map_or(f64::INFINITY, |usual| usual * 3.0);
    let together = points.len().div_ceil(MOST_POINTS).max(1);

    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut previous: Option<f64> = None;
    for stretch in points.chunks(together) {
        let highest = stretch
            .iter()
            .filter_map(|(at, value)| Some((*at, drawable(*value)?)))
            .reduce(|best, point| if point.1 > best.1 { point } else { best });
        let Some((at, value)) = highest else {
            previous = None;
            continue;
        };
        let pixel = (time.pixel(at), values.pixel(value));
        let joined = previous.is_some_and(|previous| at - previous <= longest * together as f64);
        match pieces.last_mut().filter(|_| joined) {
            Some(piece) => piece.push(pixel),
            None => pieces.push(vec![pixel]),
        }
        previous = Some(at);
    }
    pieces
}
