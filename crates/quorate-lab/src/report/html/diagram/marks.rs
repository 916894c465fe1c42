//! What happened at a replica, as marks on its row.

use super::{Axis, Frame, Lanes};
use crate::report::html::escape;
use crate::report::wording::{moment, party};
use crate::trace::{EventLine, Party};
use core::fmt::Write;
use std::collections::{BTreeMap, BTreeSet};

/// A mark, and what it means.
pub(in crate::report::html) struct Mark {
    event: &'static str,
    pub(in crate::report::html) glyph: &'static str,
    pub(in crate::report::html) class: &'static str,
    pub(in crate::report::html) meaning: &'static str,
}

pub(in crate::report::html) const MARKS: [Mark; 9] = [
    mark("evidence found", "⚑", "m-proof", "holds the proof of a lie"),
    mark("view change started", "↷", "m-leave", "leaves its view"),
    mark("view entered", "►", "m-enter", "is active in the new view"),
    mark("executed tentatively", "▯", "m-done", "executes the batch before it is committed"),
    mark("rolled back", "⤺", "m-leave", "undoes what it executed tentatively"),
    mark("executed", "▮", "m-done", "executes the batch of this number"),
    mark("state transfer started", "⇣", "m-move", "has fallen behind and asks for the state"),
    mark("state transferred", "⤓", "m-move", "has the state"),
    mark("halted", "■", "m-halt", "stops of itself"),
];

const fn mark(
    event: &'static str,
    glyph: &'static str,
    class: &'static str,
    meaning: &'static str,
) -> Mark {
    Mark { event, glyph, class, meaning }
}

/// The mark of an event, if it has one.
pub(super) fn of(event: &EventLine) -> Option<&'static Mark> {
    MARKS.iter().find(|mark| mark.event == event.event)
}

/// How much is in a batch, if not one request.
fn size(event: &EventLine) -> Option<String> {
    match event.requests? {
        0 => Some(" (empty)".to_owned()),
        1 => None,
        many => Some(format!(" ({many} requests)")),
    }
}

/// A mark at its place.
pub(super) struct Placed {
    /// Where its text begins, and how wide that is.
    pub(super) x: f64,
    pub(super) width: f64,
    /// The height of its row.
    pub(super) row: f64,
    /// Whether it is shown only when somebody asks.
    pub(super) is_more: bool,
    class: &'static str,
    text: String,
    title: String,
}

/// Places the marks, beside each other where they would cover each other.
pub(super) fn place(frame: &Frame<'_>, axis: &Axis, lanes: &Lanes) -> Vec<Placed> {
    let mut taken: BTreeMap<Party, f64> = BTreeMap::new();
    let mut sized = BTreeSet::new();
    let mut placed = Vec::new();
    for event in frame.events() {
        let Some(mark) = of(event) else { continue };
        let text = match (mark.event, event.seq, event.view) {
            ("evidence found", ..) => format!("{} proof", mark.glyph),
            ("executed" | "executed tentatively", Some(seq), _) => {
                let digest = event.digest.as_deref().unwrap_or_default();
                let letter = frame.reading.rivals.letter(seq, digest);
                let size = size(event).filter(|_| sized.insert(seq)).unwrap_or_default();
                format!("{}{seq}{}{size}", mark.glyph, letter.map(String::from).unwrap_or_default())
            }
            ("view entered", _, Some(view)) => format!("{}v{view}", mark.glyph),
            _ => mark.glyph.to_owned(),
        };
        let width = 6.0 + 7.0 * text.chars().count() as f64;
        let is_more = frame.is_more(event);
        let x = axis.at(event.at).min(axis.width() - width);
        let x = x.max(taken.get(&event.replica).copied().unwrap_or(f64::MIN));
        // What is not shown yet pushes nothing aside.
        if !is_more {
            taken.insert(event.replica, x + width);
        }
        let title = format!(
            "{} at {}: {}",
            party(event.replica),
            moment(event.at, frame.reading.zero),
            escape(&event.describe())
        );
        let row = lanes.y(event.replica);
        placed.push(Placed { x, width, row, is_more, class: mark.class, text, title });
    }
    placed
}

pub(super) fn draw(svg: &mut String, marks: &[Placed]) {
    for Placed { x, row, is_more, class, text, title, .. } in marks {
        let more = if *is_more { " more" } else { "" };
        let _ = write!(
            svg,
            "<text class=\"{class}{more}\" x=\"{x:.0}\" y=\"{:.0}\">{text}<title>{title}</title></text>",
            row - 7.0,
        );
    }
}
