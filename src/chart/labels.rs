//! Where the labels of the marks go: in rows above the panels, none over another, and none over the
//! line of a mark whose label hangs in a higher row as long as there is another place.
//!
//! The rule that is not obvious: a label without room is left out (its line stays), never drawn over
//! another one. The caller says so in words.

/// Rows of labels at most; more would eat the panels.
const ROWS: usize = 3;
/// CSS pixels between two labels.
const GAP: f64 = 5.0;

/// One label that was placed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    /// Index of the request.
    pub(super) request: usize,
    /// 0 is the row nearest to the panels.
    pub(super) row: usize,
    pub(super) left: f64,
    pub(super) width: f64,
    /// False where only the short form had room.
    pub(super) whole: bool,
}

/// A label to place: the pixel of its line, its width, and that of its short form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Request {
    pub(super) x: f64,
    pub(super) width: f64,
    pub(super) least: f64,
}

/// Places requests in their order, most important first, between the pixels `from` and `to`. What does
/// not fit whole is tried again in its short form once all the others have their place, and only then
/// may a line pass behind another mark's label.
pub(super) fn place(requests: &[Request], from: f64, to: f64) -> Vec<Placed> {
    let mut placed: Vec<Placed> = Vec::new();
    for (whole, strict) in [(true, true), (false, true), (true, false), (false, false)] {
        for (index, request) in requests.iter().enumerate() {
            if placed.iter().any(|label| label.request == index) {
                continue;
            }
            let width = if whole { request.width } else { request.least };
            let found = (0..ROWS).find_map(|row| {
                [0.5, 0.1, 0.9].into_iter().find_map(|anchor| {
                    let left = (request.x - anchor * width).clamp(from, (to - width).max(from));
                    let candidate = Placed { request: index, row, left, width, whole };
                    let free = placed.iter().all(|other| {
                        requests.get(other.request).is_some_and(|theirs| {
                            let crossing =
                                crosses(theirs.x, other, &candidate) || crosses(request.x, &candidate, other);
                            !(collide(&candidate, other) || strict && crossing)
                        })
                    });
                    free.then_some(candidate)
                })
            });
            placed.extend(found);
        }
    }
    placed
}

fn collide(one: &Placed, other: &Placed) -> bool {
    one.row == other.row
        && one.left < other.left + other.width + GAP
        && other.left < one.left + one.width + GAP
}

/// Whether the line that falls from label `from` at `x` runs through the label `through`.
fn crosses(x: f64, from: &Placed, through: &Placed) -> bool {
    from.row > through.row && x > through.left - GAP && x < through.left + through.width + GAP
}

/// The width of a text in DejaVu Sans Bold, a little too large rather than too small: the SVG is
/// written without a font at hand. Widths per em from the font's own metrics, by class.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|letter| match letter {
            ' ' | '\u{a0}' | 'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | 'I' | '\'' => 0.40,
            'f' | 'r' | 't' | '-' | '(' | ')' | '/' => 0.50,
            '0'..='9' | 'a'..='e' | 'g' | 'h' | 'k' | 'n'..='q' | 's' | 'u' | 'v' | 'x'..='z' | '–' => 0.71,
            'A'..='H' | 'J'..='L' | 'N'..='P' | 'R'..='V' | 'X'..='Z' | '_' | '+' | '=' => 0.79,
            _ => 1.05,
        })
        .sum();
    ems * size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(x: f64, width: f64) -> Request {
        Request { x, width, least: 50.0 }
    }

    #[test]
    fn neighbours_go_to_different_rows() {
        let requests = [request(100.0, 120.0), request(103.0, 120.0)];
        let placed = place(&requests, 0.0, 800.0);
        assert_eq!(placed.len(), 2);
        assert_ne!(placed[0].row, placed[1].row);
    }

    #[test]
    fn where_the_whole_does_not_fit_the_short_form_stands() {
        let requests =
            [request(50.0, 100.0), request(110.0, 90.0), request(165.0, 200.0), request(215.0, 190.0)];
        let placed = place(&requests, 0.0, 220.0);
        assert_eq!(
            placed.iter().map(|label| label.whole).collect::<Vec<_>>(),
            [true, true, true, false],
            "{placed:?}"
        );
    }

    #[test]
    fn a_label_without_room_is_left_out() {
        let requests = [request(100.0, 150.0); 9];
        assert!(place(&requests, 0.0, 200.0).len() <= ROWS);
    }

    #[test]
    fn a_line_keeps_clear_of_other_labels_where_it_can() {
        let requests: Vec<Request> =
            (0..3).map(|index| request(f64::from(index) * 140.0 + 60.0, 140.0)).collect();
        let placed = place(&requests, 0.0, 500.0);
        assert_eq!(placed.len(), requests.len());
        for one in &placed {
            for other in &placed {
                assert!(one.request == other.request || !crosses(requests[one.request].x, one, other));
            }
        }
    }
}
