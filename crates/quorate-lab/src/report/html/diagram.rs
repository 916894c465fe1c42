//! The message sequence diagram that every text about PBFT draws: replicas and clients as rows,
//! time as columns.

use super::{escape, party, phase, seconds};
use crate::scenario::Scenario;
use crate::trace::{Fate, Line, MessageLine, Party};
use core::fmt::Write;
use std::collections::{BTreeMap, BTreeSet};

/// The most messages that are drawn: a page with more is slow to open and impossible to read.
const DRAWN_MAX: usize = 1_500;
/// The left margin, with the names of the rows.
const LEFT: f64 = 190.0;
const TOP: f64 = 44.0;
const ROW: f64 = 64.0;

/// The diagram.
pub(super) fn svg(scenario: &Scenario, lines: &[Line]) -> String {
    let chosen = choose(lines);
    let end = chosen.messages.last().map_or(0, |message| message.at);
    let axis = Axis::new(&chosen.messages, lines, end);
    let rows = Rows::new(scenario, &chosen.messages);
    let (width, height) = (axis.width() + 30.0, TOP + ROW * rows.count() as f64 + 20.0);
    let mut svg = format!(
        "<div class=\"scroll\"><svg class=\"diagram\" role=\"img\" aria-label=\"message sequence \
         diagram\" width=\"{width:.0}\" height=\"{height:.0}\">"
    );
    rows.draw(&mut svg, width);
    draw_views(&mut svg, lines, &axis, &rows, end);
    draw_faults(&mut svg, lines, &axis, end, height);
    for message in &chosen.messages {
        draw_message(&mut svg, message, &axis, &rows);
    }
    draw_events(&mut svg, lines, &axis, &rows, end);
    svg.push_str("</svg></div>");
    if chosen.left_out > 0 {
        let _ = write!(
            svg,
            "<p class=\"note\">{} later messages are not drawn; all are in trace.jsonl.</p>",
            chosen.left_out
        );
    }
    svg
}

struct Chosen<'a> {
    messages: Vec<&'a MessageLine>,
    left_out: usize,
}

/// The messages to draw. What opens links says nothing about the run, and what opens sessions only
/// where views change: then a session may be what had to wait.
fn choose(lines: &[Line]) -> Chosen<'_> {
    let views_change = lines.iter().any(|line| match line {
        Line::Event(event) => event.event == "view change started",
        _ => false,
    });
    let mut messages: Vec<&MessageLine> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Message(message) => Some(message),
            _ => None,
        })
        .filter(|message| message.fate != Fate::Own && message.kind != "HELLO")
        .filter(|message| views_change || !message.session)
        .collect();
    messages.sort_by_key(|message| message.at);
    let left_out = messages.len().saturating_sub(DRAWN_MAX);
    messages.truncate(DRAWN_MAX);
    Chosen { messages, left_out }
}

/// From times to places: between two moments there is more room the longer the pause, but a pause a
/// thousand times as long takes only a few times the room. What is hidden at first gets no room of
/// its own.
struct Axis(BTreeMap<u64, f64>);

impl Axis {
    fn new(messages: &[&MessageLine], lines: &[Line], end: u64) -> Self {
        let shown = messages.iter().filter(|message| phase::of(message.kind).is_shown);
        let mut times: BTreeSet<u64> = shown.flat_map(|m| [m.sent, m.at]).collect();
        let first = times.first().copied().unwrap_or(0);
        times.extend(lines.iter().filter_map(|line| match line {
            Line::Event(event) if is_drawn(event.event) => Some(event.at),
            Line::Fault { at, .. } => Some(*at),
            _ => None,
        }));
        let mut x = LEFT + 10.0;
        let mut before = None;
        let mut places = BTreeMap::new();
        for at in times.into_iter().filter(|at| (first..=end).contains(at)) {
            if let Some(before) = before {
                let gap = (at - before) as f64;
                x += 3.0 + 9.0 * (1.0 + gap / 40.0).ln();
            }
            before = Some(at);
            places.insert(at, x);
        }
        Self(places)
    }

    /// Where a time is; times between two places are at the earlier one.
    fn at(&self, time: u64) -> f64 {
        self.0.range(..=time).next_back().map_or(LEFT + 10.0, |(_, x)| *x)
    }

    fn width(&self) -> f64 {
        self.0.last_key_value().map_or(LEFT + 100.0, |(_, x)| *x)
    }
}

struct Rows {
    of: BTreeMap<Party, usize>,
    labels: Vec<String>,
}

impl Rows {
    /// Clients above, replicas below.
    fn new(scenario: &Scenario, messages: &[&MessageLine]) -> Self {
        let all = messages.iter().flat_map(|message| [message.from, message.to]);
        let clients: BTreeSet<Party> = all.filter(|p| matches!(p, Party::Client(_))).collect();
        let replicas =
            (0..scenario.options.replica_count).map(|id| Party::Replica(pbft::ReplicaId::new(id)));
        let parties: Vec<Party> = clients.into_iter().chain(replicas).collect();
        let labels = parties
            .iter()
            .map(|row| match row {
                Party::Replica(id) => {
                    let kind = scenario.kinds.get(id.get() as usize).map_or("", String::as_str);
                    format!("{} ({kind})", party(*row))
                }
                Party::Client(_) => party(*row),
            })
            .collect();
        Self { of: parties.into_iter().zip(0..).collect(), labels }
    }

    fn count(&self) -> usize {
        self.labels.len()
    }

    fn y(&self, row: Party) -> f64 {
        TOP + ROW * (self.of.get(&row).copied().unwrap_or(0) as f64 + 0.5)
    }

    fn draw(&self, svg: &mut String, width: f64) {
        for (index, label) in self.labels.iter().enumerate() {
            let y = TOP + ROW * (index as f64 + 0.5);
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{width:.0}\" y2=\"{y}\" stroke=\"#bbb\"/>\
                 <text x=\"8\" y=\"{:.1}\">{}</text>",
                y + 4.0,
                escape(label)
            );
        }
    }
}

/// In which view each replica is: a strip along its row, hatched while it is between views.
fn draw_views(svg: &mut String, lines: &[Line], axis: &Axis, rows: &Rows, end: u64) {
    let mut since: BTreeMap<Party, (u64, u64, bool)> = BTreeMap::new();
    let strip = |svg: &mut String, row: Party, (from, view, active): (u64, u64, bool), to: u64| {
        let (x1, x2, y) = (axis.at(from), axis.at(to.min(end)), rows.y(row) + 14.0);
        if x2 <= x1 {
            return;
        }
        let fill = if view.is_multiple_of(2) { "#dbe9f6" } else { "#fde7cf" };
        let dashes = if active { "" } else { " stroke=\"#a02010\" stroke-dasharray=\"3 2\"" };
        let state = if active { "active in" } else { "waits for" };
        let _ = write!(
            svg,
            "<g><title>{} {state} view {view}</title><rect x=\"{x1:.1}\" y=\"{y:.1}\" \
             width=\"{:.1}\" height=\"12\" fill=\"{fill}\"{dashes}/><text x=\"{:.1}\" \
             y=\"{:.1}\" font-size=\"10\">{}v{view}</text></g>",
            party(row),
            x2 - x1,
            x1 + 3.0,
            y + 10.0,
            if active { "" } else { "→ " }
        );
    };
    for line in lines {
        let Line::Event(event) = line else { continue };
        let (Some(view), at, row) = (event.view, event.at, event.replica) else { continue };
        let active = match event.event {
            "view change started" => false,
            "view entered" => true,
            _ => continue,
        };
        let earlier = since.insert(row, (at, view, active)).unwrap_or((0, 0, true));
        strip(svg, row, earlier, at);
    }
    for row in rows.of.keys().filter(|row| matches!(row, Party::Replica(_))) {
        let last = since.get(row).copied().unwrap_or((0, 0, true));
        strip(svg, *row, last, end);
    }
}

fn draw_faults(svg: &mut String, lines: &[Line], axis: &Axis, end: u64, height: f64) {
    for line in lines {
        let Line::Fault { at, what } = line else { continue };
        if *at > end {
            continue;
        }
        let x = axis.at(*at);
        let _ = write!(
            svg,
            "<g><title>{}: {}</title><line x1=\"{x:.1}\" y1=\"20\" x2=\"{x:.1}\" \
             y2=\"{height:.0}\" stroke=\"#a02010\" stroke-dasharray=\"2 3\"/><text x=\"{x:.1}\" \
             y=\"14\" fill=\"#a02010\">⚡</text></g>",
            seconds(*at),
            escape(what)
        );
    }
}

fn draw_message(svg: &mut String, message: &MessageLine, axis: &Axis, rows: &Rows) {
    let phase = phase::of(message.kind);
    let (x1, y1) = (axis.at(message.sent), rows.y(message.from));
    let (mut x2, mut y2) = (axis.at(message.at), rows.y(message.to));
    let is_lost = matches!(message.fate, Fate::Lost | Fate::Down);
    if message.fate == Fate::Lost {
        (x2, y2) = (x1 + 14.0, y1 + (y2 - y1) * 0.4);
    }
    let _ = write!(
        svg,
        "<g class=\"{}\"><title>{}</title><line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" \
         y2=\"{y2:.1}\" stroke=\"{}\" stroke-dasharray=\"{}\" stroke-opacity=\"0.75\"/>",
        phase.class,
        escape(&describe(message)),
        phase.colour,
        phase.dashes
    );
    if is_lost {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#a02010\">✕</text>",
            x2 - 5.0,
            y2 + 4.0
        );
    } else {
        svg.push_str(&phase.head(x2, y2));
    }
    if message.fate == Fate::Refused {
        let _ = write!(
            svg,
            "<circle cx=\"{x2:.1}\" cy=\"{y2:.1}\" r=\"8\" fill=\"none\" stroke=\"#a02010\" \
             stroke-width=\"2\"/>"
        );
    }
    svg.push_str("</g>");
}

fn describe(message: &MessageLine) -> String {
    let mut text = message.kind.to_owned();
    if let Some(view) = message.view {
        let _ = write!(text, ", view {view}");
    }
    if let Some(seq) = message.seq {
        let _ = write!(text, ", number {seq}");
    }
    if let Some(digest) = &message.digest {
        let _ = write!(text, ", digest {digest}");
    }
    if let Some((session, timestamp)) = message.request {
        let _ = write!(text, ", session {session}, timestamp {timestamp}");
    }
    let _ = write!(
        text,
        ": {} at {} to {} at {}",
        party(message.from),
        seconds(message.sent),
        party(message.to),
        seconds(message.at)
    );
    match message.fate {
        Fate::Handled | Fate::Own => {}
        Fate::Refused => {
            let _ = write!(text, "; refused: {}", message.reason.as_deref().unwrap_or(""));
        }
        Fate::Discarded => text.push_str("; the receiver looks at nothing"),
        Fate::Down => text.push_str("; the receiver is down"),
        Fate::Lost => text.push_str("; lost by the network"),
    }
    text
}

fn is_drawn(event: &str) -> bool {
    matches!(
        event,
        "executed"
            | "rejected"
            | "view change started"
            | "view entered"
            | "evidence found"
            | "halted"
    )
}

/// Marks on the rows: what was executed, what was refused, who left its view.
fn draw_events(svg: &mut String, lines: &[Line], axis: &Axis, rows: &Rows, end: u64) {
    for line in lines {
        let Line::Event(event) = line else { continue };
        if !is_drawn(event.event) || event.at > end {
            continue;
        }
        let (mark, colour) = match event.event {
            "executed" => ("▮", "#00603a"),
            "rejected" => ("✗", "#a02010"),
            "view change started" => ("↷", "#b0005a"),
            "view entered" => ("●", "#b0005a"),
            _ => ("⚑", "#a02010"),
        };
        let (x, y) = (axis.at(event.at), rows.y(event.replica) - 8.0);
        let what = format!("{}: {}", party(event.replica), event.describe());
        let _ = write!(
            svg,
            "<g><title>{} at {}</title><text x=\"{:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{mark}\
             </text></g>",
            escape(&what),
            seconds(event.at),
            x - 4.0
        );
    }
}
