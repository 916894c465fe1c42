//! Messages as arrows: where they leave and arrive, what they name, what became of them.

use super::axis::STEP;
use super::marks::Placed;
use super::{Axis, Frame, Lanes};
use crate::report::html::{escape, phase};
use crate::report::reading::{Arrow, letter};
use crate::report::wording::moment;
use crate::trace::{Fate, Party};
use core::fmt::Write;
use std::collections::BTreeMap;

/// Messages that leave one replica at one moment leave beside each other, one place for each
/// content: else they would cover each other.
#[derive(Default)]
pub(super) struct Departures<'a> {
    of: BTreeMap<(Party, u64), Vec<Content<'a>>>,
}

type Content<'a> = (&'a str, Option<u64>, Option<u64>, Option<&'a str>);

fn content<'a>(arrow: &Arrow<'a>) -> Content<'a> {
    let message = arrow.message;
    (message.kind, message.view, message.seq, message.digest.as_deref())
}

impl<'a> Departures<'a> {
    pub(super) fn insert(&mut self, arrow: &Arrow<'a>) {
        let leaving = self.of.entry((arrow.message.from, arrow.message.sent)).or_default();
        let content = content(arrow);
        if !leaving.contains(&content) {
            leaving.push(content);
        }
    }

    /// How many leave any one replica at a time, at most.
    pub(super) fn most(&self) -> BTreeMap<u64, usize> {
        let mut most = BTreeMap::new();
        for ((_, at), contents) in &self.of {
            let so_far = most.entry(*at).or_insert(1);
            *so_far = contents.len().max(*so_far);
        }
        most
    }

    fn place(&self, arrow: &Arrow<'_>) -> f64 {
        let leaving = self.of.get(&(arrow.message.from, arrow.message.sent));
        let content = content(arrow);
        let index = leaving.and_then(|contents| contents.iter().position(|it| *it == content));
        STEP * index.unwrap_or(0) as f64
    }
}

/// Where an arrow begins and ends.
fn ends(
    arrow: &Arrow<'_>,
    departures: &Departures<'_>,
    axis: &Axis,
    lanes: &Lanes,
) -> ((f64, f64), (f64, f64)) {
    let message = arrow.message;
    let (y1, y2) = (lanes.y(message.from), lanes.y(message.to));
    let x2 = axis.at(message.at);
    let x1 = (axis.at(message.sent) + departures.place(arrow)).min(x2 - 2.0);
    let to = match message.fate {
        Fate::Lost => (x1 + 14.0, y1 + (y2 - y1) * 0.4),
        _ => (x2, y2),
    };
    ((x1, y1), to)
}

pub(super) fn draw(
    svg: &mut String,
    frame: &Frame<'_>,
    arrow: &Arrow<'_>,
    departures: &Departures<'_>,
    axis: &Axis,
    lanes: &Lanes,
) {
    let message = arrow.message;
    let phase = phase::of(message.kind);
    let ((x1, y1), (x2, y2)) = ends(arrow, departures, axis, lanes);
    let _ = write!(
        svg,
        "<g class=\"{}\"><title>{}</title><path d=\"M{x1:.0} {y1:.0}L{x2:.0} {y2:.0}\"/>",
        class(frame, arrow),
        escape(&describe(frame, arrow))
    );
    let mark = |svg: &mut String, name: &str| {
        let _ = write!(svg, "<use href=\"#h-{name}\" x=\"{x2:.0}\" y=\"{y2:.0}\"/>");
    };
    match message.fate {
        Fate::Lost | Fate::Down => mark(svg, "lost"),
        _ => mark(svg, phase.class),
    }
    if arrow.is_refused_as_a_lie() {
        mark(svg, "refused");
    }
    svg.push_str("</g>");
}

/// Kind, digest, sort and what it proves, as classes.
fn class(frame: &Frame<'_>, arrow: &Arrow<'_>) -> String {
    let mut class = phase::of(arrow.message.kind).class.to_owned();
    if let Some(rank) = frame.reading.rivals.rank(arrow.message) {
        let _ = write!(class, " b{}", rank.min(3));
    }
    class.push_str(frame.sort(arrow));
    if arrow.convicts.is_some() {
        class.push_str(" proves");
    }
    class
}

/// Where texts are that are shown before anybody asks for more.
pub(super) struct Labels {
    /// The middle of each, and how wide it is.
    taken: Vec<(f64, f64, f64)>,
    /// From one row to the next.
    step: f64,
}

impl Labels {
    /// Marks have their places already; rows lie `step` apart.
    pub(super) fn beside(marks: &[Placed], step: f64) -> Self {
        let shown = marks.iter().filter(|mark| !mark.is_more);
        let middle = |mark: &Placed| (mark.x + mark.width / 2.0, mark.row - 11.0, mark.width);
        Self { taken: shown.map(middle).collect(), step }
    }

    /// A place on an arrow near its head, off the rows and off the other texts, if there is one.
    fn place(&self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), width: f64) -> Option<(f64, f64)> {
        let length = (y2 - y1).abs().max(20.0);
        let on = |off: f64| {
            let way = 1.0 - off / length;
            (x1 + (x2 - x1) * way, y1 + (y2 - y1) * way)
        };
        let is_free = |(x, y): &(f64, f64)| {
            self.taken.iter().all(|(left, top, wide)| {
                (left - x).abs() > (wide + width) / 2.0 || (top - y).abs() > LABEL_HEIGHT
            })
        };
        let offs = (0..).map(|index| FIRST_OFF + 7.0 * f64::from(index));
        let offs = offs.take_while(|off| *off < length - 8.0);
        let is_off_rows = |off: &f64| (10.0..self.step - 10.0).contains(&(off % self.step));
        offs.filter(is_off_rows).map(on).find(is_free)
    }

    /// The place nearest to its head, whatever is there.
    fn nearest((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> (f64, f64) {
        let way = 1.0 - FIRST_OFF / (y2 - y1).abs().max(20.0);
        (x1 + (x2 - x1) * way, y1 + (y2 - y1) * way)
    }
}

const LABEL_HEIGHT: f64 = 13.0;
/// How far from the row of its head a label is at least.
const FIRST_OFF: f64 = 16.0;

/// Which batch an arrow names: number and letter where there are several.
pub(super) fn label(
    svg: &mut String,
    frame: &Frame<'_>,
    arrow: &Arrow<'_>,
    departures: &Departures<'_>,
    axis: &Axis,
    lanes: &Lanes,
    labels: &mut Labels,
) {
    let message = arrow.message;
    let rank = frame.reading.rivals.rank(message);
    let is_proposal = message.kind == "PRE-PREPARE" || arrow.convicts.is_some();
    if !lanes.is_wide() && !is_proposal {
        return;
    }
    let text = match (rank, message.seq) {
        (Some(rank), Some(seq)) if is_proposal => format!("{seq}{}", letter(rank)),
        (Some(rank), _) => letter(rank).to_string(),
        (None, Some(seq)) if is_proposal => seq.to_string(),
        _ => return,
    };
    let (from, to) = ends(arrow, departures, axis, lanes);
    let width = 5.0 + 7.0 * text.len() as f64;
    // Where there is no room the colour of a vote says as much; what is proposed is always named.
    let place = labels.place(from, to, width);
    let Some((x, y)) = place.or(is_proposal.then(|| Labels::nearest(from, to))) else { return };
    if frame.is_drawn_first(arrow) {
        labels.taken.push((x, y, width));
    }
    let _ = write!(
        svg,
        "<g class=\"{}\"><rect x=\"{:.0}\" y=\"{:.0}\" width=\"{width:.0}\" height=\"13\" rx=\"3\"/><text \
         x=\"{x:.0}\" y=\"{:.0}\">{text}</text></g>",
        class(frame, arrow),
        x - width / 2.0,
        y - 7.0,
        y + 4.0
    );
}

/// A party as in traces.
fn short(party: Party) -> String {
    match party {
        Party::Replica(replica) => format!("r{replica}"),
        Party::Client(client) => format!("c{client}"),
    }
}

/// A message in words.
fn describe(frame: &Frame<'_>, arrow: &Arrow<'_>) -> String {
    let message = arrow.message;
    let mut text = phase::words(message).to_owned();
    let numbered = match message.kind {
        // Its number is the low water mark of whoever leaves.
        "VIEW-CHANGE" => message.seq.map(|seq| format!(", stable checkpoint {seq}")),
        "STATUS" => message.seq.map(|seq| format!(", executed up to {seq}")),
        _ => message.seq.map(|seq| format!(", number {seq}")),
    };
    let rank = frame.reading.rivals.rank(message);
    let named = message.digest.as_ref().map(|digest| match rank {
        Some(rank) => format!(", {} = {digest}", letter(rank)),
        None => format!(", digest {digest}"),
    });
    let view = message.view.map(|view| format!(", view {view}"));
    let request = message.request.map(|(session, number)| match message.session {
        true => ", request 0: it opens the client's session".to_owned(),
        false => format!(", request {number} of session {session}"),
    });
    for part in [view, numbered, named, request].into_iter().flatten() {
        text.push_str(&part);
    }
    let zero = frame.reading.zero;
    let _ = write!(
        text,
        "; {} {} → {} {}",
        short(message.from),
        moment(message.sent, zero),
        short(message.to),
        moment(message.at, zero)
    );
    match message.fate {
        Fate::Handled | Fate::Own | Fate::Refused => {}
        Fate::Discarded => text.push_str("; the receiver looks at nothing"),
        Fate::Down => text.push_str("; the receiver is down"),
        Fate::Lost => text.push_str("; lost by the network"),
    }
    if let Some(reason) = arrow.refusal {
        let rule = crate::culprits::broken_rule(reason);
        let _ = match rule {
            Some(rule) => write!(text, "; refused: {rule}"),
            None => write!(text, "; came in vain: {reason}"),
        };
    }
    if arrow.is_repeat {
        text.push_str("; said before");
    }
    if arrow.is_late {
        text.push_str("; the receiver has left that view");
    }
    if let Some(liar) = arrow.convicts {
        let _ = write!(text, "; with it the receiver can prove that replica {liar} lied");
    }
    text
}
