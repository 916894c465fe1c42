//! The message sequence diagram that every text about PBFT draws: replicas and clients as rows,
//! time as columns.

mod arrows;
mod axis;
mod contents;
mod lanes;
pub(super) mod marks;
mod stretch;

use super::{escape, phase};
use crate::report::reading::{Arrow, Reading, replica};
use crate::report::story::{Lie, Sentence, Story};
use crate::report::wording::{count, moment};
use crate::scenario::Scenario;
use crate::trace::{EventLine, MessageLine, Party};
use arrows::{Departures, Labels};
use axis::Axis;
use core::fmt::Write;
use lanes::Lanes;
use std::collections::{BTreeMap, BTreeSet};
use stretch::Stretch;

/// The most arrows in the picture of the telling stretch, and in that of the whole run: with more a
/// page is slow to open and impossible to read.
const TELLING_MAX: usize = 600;
const WHOLE_MAX: usize = 300;
/// How many more there may be for each replica, if they are shown before anybody asks.
const MORE_FOR_EACH: usize = 50;
/// The most clients that are drawn before anybody asks for more.
const CLIENTS_MAX: usize = 3;
/// The width that a slide has for the columns.
const WIDTH: f64 = 1_070.0;
const TOP: f64 = 46.0;

/// The picture of the stretch that tells most.
pub(super) fn telling(scenario: &Scenario, reading: &Reading<'_>, story: &Story) -> String {
    let frame = Frame::telling(reading, &story.lies);
    frame.figure(scenario, "picture", Some(WIDTH), &story.sentences)
}

/// What that picture shows before anybody asks for more: whose requests, and which messages.
pub(in crate::report) fn drawn_first<'a>(
    reading: &'a Reading<'a>,
    lies: &[Lie],
) -> (Vec<Party>, Vec<&'a Arrow<'a>>) {
    let frame = Frame::telling(reading, lies);
    let drawn = frame.arrows.iter().copied().filter(|arrow| frame.is_drawn_first(arrow));
    let drawn = drawn.collect();
    (frame.clients, drawn)
}

/// The picture of the whole run, as far as it can be drawn; and a title that says how far.
pub(super) fn whole(scenario: &Scenario, reading: &Reading<'_>) -> (String, String) {
    let frame = Frame::new(reading, Stretch::whole(reading), WHOLE_MAX);
    let title = if frame.stretch.to < reading.end {
        format!(
            "Messages of all numbers, until {} of {}",
            moment(frame.stretch.to, reading.zero),
            moment(reading.end, reading.zero)
        )
    } else {
        "Messages of the whole run".to_owned()
    };
    (title, frame.figure(scenario, "whole", None, &[]))
}

/// What is in a picture.
pub(super) struct Frame<'a> {
    reading: &'a Reading<'a>,
    stretch: Stretch,
    arrows: Vec<&'a Arrow<'a>>,
    /// Whose requests are shown before anybody asks for more.
    clients: Vec<Party>,
    left_out: usize,
}

impl<'a> Frame<'a> {
    /// The stretch that tells most, as much of it as fits a slide.
    fn telling(reading: &'a Reading<'a>, lies: &[Lie]) -> Self {
        let mut frame = Self::new(reading, Stretch::telling(reading, lies), TELLING_MAX);
        let (_, _, times) = frame.places();
        let part = Axis::new(&times, None).part(frame.stretch.drawn_for, WIDTH);
        let all = (frame.stretch.from, frame.stretch.to);
        let Some((from, to)) = part.filter(|part| *part != all) else { return frame };
        let stretch = Stretch { from, to, ..frame.stretch };
        frame = Self::new(reading, stretch, TELLING_MAX);
        let named: BTreeSet<u64> =
            frame.numbered().filter(|seq| frame.is_asked(Some(*seq))).collect();
        // Without any that are asked for all would be.
        if !named.is_empty() {
            frame.stretch.seqs = named;
        }
        frame
    }

    /// The numbers that messages are about.
    fn numbered(&self) -> impl Iterator<Item = u64> {
        let messages = self.arrows.iter().map(|arrow| arrow.message);
        messages.filter(|message| phase::of(message.kind).is_numbered).filter_map(|it| it.seq)
    }

    fn new(reading: &'a Reading<'a>, stretch: Stretch, most: usize) -> Self {
        let is_inside = |arrow: &&Arrow<'_>| {
            arrow.message.at >= stretch.from
                && arrow.message.at <= stretch.to
                && arrow.message.sent >= stretch.from
        };
        let mut arrows: Vec<&Arrow<'_>> = reading.arrows.iter().filter(is_inside).collect();
        arrows.sort_by_key(|arrow| arrow.message.at);
        let all = arrows.len();
        let mut frame =
            Self { reading, stretch, arrows: Vec::new(), clients: Vec::new(), left_out: 0 };
        frame.clients = clients(&arrows);
        let (mut kept, hidden): (Vec<_>, Vec<_>) =
            arrows.into_iter().partition(|arrow| frame.is_drawn_first(arrow));
        let bound = most + MORE_FOR_EACH * reading.replica_count.min(16) as usize;
        if kept.len() > bound {
            kept.truncate(bound);
            frame.stretch.to = kept.last().map_or(frame.stretch.to, |arrow| arrow.message.at);
        }
        // What is shown before anybody asks is kept first.
        let room = most.saturating_sub(kept.len());
        kept.extend(
            hidden.into_iter().filter(|arrow| arrow.message.at <= frame.stretch.to).take(room),
        );
        kept.sort_by_key(|arrow| arrow.message.at);
        frame.left_out = all - kept.len();
        frame.arrows = kept;
        frame
    }

    /// The sort of those messages that are shown only when somebody asks; as a class, with a space.
    fn sort(&self, arrow: &Arrow<'_>) -> &'static str {
        let message = arrow.message;
        if arrow.is_repeat {
            " repeat"
        } else if arrow.convicts.is_some() || arrow.asks_for_proof {
            " proof"
        } else if arrow.is_late {
            " late"
        } else if arrow.refusal.is_some() && !arrow.is_refused_as_a_lie() {
            " vain"
        } else if self.is_elsewhere(message) {
            " more"
        } else {
            ""
        }
    }

    /// Whether it is about another number than the picture, or for another client.
    fn is_elsewhere(&self, message: &MessageLine) -> bool {
        let phase = phase::of(message.kind);
        let mut clients =
            [message.from, message.to].into_iter().filter(|it| replica(*it).is_none());
        phase.is_numbered && !self.is_asked(message.seq)
            || clients.any(|client| !self.clients.contains(&client))
    }

    fn is_asked(&self, seq: Option<u64>) -> bool {
        let seqs = &self.stretch.seqs;
        seqs.is_empty() || seq.is_some_and(|seq| seqs.contains(&seq))
    }

    /// Whether an event is about a number that is shown only when somebody asks.
    fn is_more(&self, event: &EventLine) -> bool {
        event.event.starts_with("executed") && !self.is_asked(event.seq)
    }

    fn is_drawn_first(&self, arrow: &Arrow<'_>) -> bool {
        match self.sort(arrow) {
            "" => phase::of(arrow.message.kind).is_shown,
            sort => sort == " proof",
        }
    }

    fn events(&self) -> impl Iterator<Item = &'a EventLine> {
        let (from, to) = (self.stretch.from, self.stretch.to);
        self.reading.events.iter().copied().filter(move |event| (from..=to).contains(&event.at))
    }

    fn figure(
        &self,
        scenario: &Scenario,
        id: &str,
        width: Option<f64>,
        sentences: &[Sentence],
    ) -> String {
        if self.arrows.is_empty() {
            return "<p>No message was sent.</p>".to_owned();
        }
        let mut html = format!(
            "<figure id=\"{id}\"><p class=\"alone\"><a href=\"#{id}\">Show the picture alone, \
             large</a><a href=\"#\" class=\"back\">Back to the page</a></p>"
        );
        self.draw(&mut html, scenario, width, sentences);
        let _ = write!(
            html,
            "{}<figcaption>{} Time runs to the right; pauses are drawn short.{} Point at \
             anything to read what it is.</figcaption></figure>",
            phase::choices(self),
            self.stretch.caption(self.reading),
            match self.left_out {
                0 => String::new(),
                many => format!(
                    " {} not drawn: all are in trace.jsonl.",
                    count(many as u64, "other message is", "other messages are")
                ),
            }
        );
        html
    }

    /// Which messages leave where, the parties, and the times at which something is drawn at first.
    fn places(&self) -> (Departures<'a>, BTreeSet<Party>, BTreeMap<u64, usize>) {
        let mut departures = Departures::default();
        let mut parties = BTreeSet::new();
        let shown = self.arrows.iter().filter(|arrow| self.is_drawn_first(arrow));
        let mut moments = BTreeSet::from([self.stretch.from, self.stretch.to]);
        for arrow in shown {
            departures.insert(arrow);
            parties.extend([arrow.message.from, arrow.message.to]);
            moments.insert(arrow.message.at);
        }
        let marked =
            self.events().filter(|event| marks::of(event).is_some() && !self.is_more(event));
        moments.extend(marked.map(|event| event.at));
        let mut times = departures.most();
        for at in moments {
            times.entry(at).or_insert(1);
        }
        for arrow in self.arrows.iter().filter(|arrow| !self.is_drawn_first(arrow)) {
            departures.insert(arrow);
            parties.extend([arrow.message.from, arrow.message.to]);
        }
        (departures, parties, times)
    }

    fn draw(
        &self,
        svg: &mut String,
        scenario: &Scenario,
        width: Option<f64>,
        sentences: &[Sentence],
    ) {
        let (departures, parties, times) = self.places();
        let axis = Axis::new(&times, width);
        let lanes = Lanes::new(scenario, &self.clients, &parties, TOP);
        let height = lanes.bottom() + 44.0;
        let _ = write!(
            svg,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"message \
             sequence diagram, scrolls sideways\">{}<svg role=\"img\" aria-label=\"message sequence \
             diagram\" width=\"{:.0}\" height=\"{height:.0}\">",
            lanes.names(height),
            axis.width()
        );
        self.draw_views(svg, &axis, lanes.bottom());
        axis.draw(svg, self.reading.zero, TOP, lanes.bottom() + 4.0);
        let stretch = (self.stretch.from, self.stretch.to);
        lanes.draw(svg, self.reading, stretch, |at| axis.at(at), axis.width());
        self.draw_faults(svg, &axis, lanes.bottom());
        self.draw_story(svg, &axis, lanes.bottom(), sentences);
        // What convicts lies above everything else.
        let (proofs, others): (Vec<&Arrow<'_>>, Vec<&Arrow<'_>>) =
            self.arrows.iter().partition(|arrow| arrow.convicts.is_some());
        let arrows: Vec<&Arrow<'_>> = others.into_iter().chain(proofs).collect();
        for arrow in &arrows {
            arrows::draw(svg, self, arrow, &departures, &axis, &lanes);
        }
        // Texts lie above lines; marks, proofs and proposals find their places before votes do.
        let marks = marks::place(self, &axis, &lanes);
        let mut labels = Labels::beside(&marks, lanes.step());
        let mut named = arrows;
        named.reverse();
        named.sort_by_key(|arrow| (arrow.convicts.is_none(), arrow.message.kind != "PRE-PREPARE"));
        for arrow in &named {
            arrows::label(svg, self, arrow, &departures, &axis, &lanes, &mut labels);
        }
        marks::draw(svg, &marks);
        svg.push_str("</svg></div>");
    }

    /// The numbers of the sentences that are about something here.
    fn draw_story(&self, svg: &mut String, axis: &Axis, bottom: f64, sentences: &[Sentence]) {
        let (from, to) = (self.stretch.from, self.stretch.to);
        let mut free = f64::MIN;
        for (index, sentence) in sentences.iter().enumerate() {
            let Some(at) = sentence.at.filter(|at| (from..=to).contains(at)) else { continue };
            let place = axis.at(at);
            let number = (index + 1).to_string();
            let radius = 6.0 + 3.0 * number.len() as f64;
            let x = place.min(axis.width() - radius).max(free + radius);
            free = x + radius + 2.0;
            let _ = write!(
                svg,
                "<g class=\"row\"><title>{}</title><path d=\"M{x:.0} 40L{place:.0} {TOP}V{bottom:.0}\"/>\
                 <circle cx=\"{x:.0}\" cy=\"31\" r=\"{radius:.0}\"/><text x=\"{x:.0}\" y=\"35\">{number}</text></g>",
                escape(&sentence.text),
            );
        }
    }

    /// The views of the cluster, each with its primary, as bands over all rows.
    fn draw_views(&self, svg: &mut String, axis: &Axis, bottom: f64) {
        let (from, to) = (self.stretch.from, self.stretch.to);
        let mut left_at = from;
        for period in &self.reading.periods {
            let until = period.until.unwrap_or(u64::MAX);
            if until < from || period.from > to {
                continue;
            }
            let x1 = if period.from <= from { 0.0 } else { axis.at(period.from) };
            let x2 = if until >= to { axis.width() } else { axis.at(until) };
            if period.from > left_at && period.from > from {
                let x = axis.at(left_at);
                let text = if x1 - x > 102.0 { "between views" } else { "" };
                band(svg, "between", (x, x1), bottom, text);
            }
            left_at = until.max(from);
            let primary = self.reading.primary(period.view);
            let text = match x2 - x1 {
                0.0..40.0 => String::new(),
                40.0..165.0 => format!("v{}: r{primary}", period.view),
                _ => format!("view {} · primary: replica {primary}", period.view),
            };
            let class = if period.view.is_multiple_of(2) { "even" } else { "odd" };
            band(svg, class, (x1, x2), bottom, &text);
        }
        if left_at < to {
            band(svg, "between", (axis.at(left_at), axis.width()), bottom, "between views");
        }
    }

    fn draw_faults(&self, svg: &mut String, axis: &Axis, bottom: f64) {
        let (from, to) = (self.stretch.from, self.stretch.to);
        let mut taken = f64::MIN;
        for (at, what) in self.reading.faults.iter().filter(|(at, _)| (from..=to).contains(at)) {
            let x = axis.at(*at).max(taken + 14.0);
            taken = x;
            let _ = write!(
                svg,
                "<g class=\"fault\"><title>{}: {}</title><path d=\"M{x:.0} 26V{bottom:.0}\"/><text \
                 x=\"{:.0}\" y=\"57\">⚡</text></g>",
                moment(*at, self.reading.zero),
                escape(what),
                x + 3.0
            );
        }
    }
}

/// The first clients of a picture: those that are answered in it before those that only ask.
fn clients(arrows: &[&Arrow<'_>]) -> Vec<Party> {
    let of = |kind: &'static str| {
        let messages = arrows.iter().map(|arrow| arrow.message);
        let messages = messages.filter(move |message| message.kind == kind && !message.session);
        messages.flat_map(|message| [message.from, message.to])
    };
    let mut clients = Vec::new();
    let opening = arrows.iter().flat_map(|arrow| [arrow.message.from, arrow.message.to]);
    for party in of("REPLY").chain(of("REQUEST")).chain(opening) {
        if replica(party).is_none() && !clients.contains(&party) && clients.len() < CLIENTS_MAX {
            clients.push(party);
        }
    }
    clients.sort_unstable();
    clients
}

fn band(svg: &mut String, class: &str, (x1, x2): (f64, f64), bottom: f64, text: &str) {
    let _ = write!(
        svg,
        "<rect class=\"band {class}\" x=\"{x1:.0}\" y=\"0\" width=\"{:.0}\" height=\"{bottom:.0}\"/>\
         <text class=\"view\" x=\"{:.0}\" y=\"15\">{text}</text>",
        (x2 - x1).max(1.0),
        x1 + 6.0
    );
}
