//! From times to places: between two moments there is more room the longer the pause, but a pause a
//! thousand times as long takes only a few times the room.

use crate::report::wording::{millis, moment};
use core::fmt::Write;
use std::collections::BTreeMap;

/// The room at either end.
const EDGE: f64 = 34.0;
/// The room for each message that leaves beside another one at the same moment.
pub(super) const STEP: f64 = 8.0;
/// The least distance of two labels, and the width of a letter of theirs.
const LABEL: f64 = 84.0;
const LETTER: f64 = 6.6;
/// How much everything is compressed at most: with more it cannot be read.
const FACTOR_MIN: f64 = 0.4;
/// A pause that is named.
const PAUSE_MICROS: u64 = 20_000;

pub(super) struct Axis {
    places: Vec<(u64, f64)>,
    width: f64,
}

impl Axis {
    /// An axis with a place for each time; its value says how many messages of different content
    /// leave one replica then. It is stretched or compressed to `width`, as far as it stays
    /// readable.
    pub(super) fn new(times: &BTreeMap<u64, usize>, width: Option<f64>) -> Self {
        let mut x = EDGE;
        let mut before: Option<(u64, usize)> = None;
        let mut places = Vec::new();
        for (at, leaving) in times {
            if let Some((earlier, left)) = before {
                let gap = (at - earlier) as f64;
                let beside = STEP * left.saturating_sub(1) as f64;
                x += beside + 2.0 + 9.0 * (1.0 + gap / 40.0).ln();
            }
            before = Some((*at, *leaving));
            places.push((*at, x));
        }
        let natural = x - EDGE + before.map_or(0.0, |(_, left)| STEP * left as f64);
        let room = |width: f64| (width - 2.0 * EDGE) / natural;
        let factor = width.map_or(1.0, |width| room(width).clamp(FACTOR_MIN, 3.0));
        for (_, x) in &mut places {
            *x = EDGE + (*x - EDGE) * factor;
        }
        Self { places, width: (natural * factor + 2.0 * EDGE).max(240.0) }
    }

    /// The longest part of a time without scale that a picture of this width has room for, with the
    /// time that it is drawn for: as early as there is room for what follows.
    pub(super) fn part(&self, drawn_for: u64, width: f64) -> Option<(u64, u64)> {
        let room = (width - 2.0 * EDGE) / FACTOR_MIN - LABEL;
        let times = || self.places.iter().copied();
        let (last, end) = times().last()?;
        let (from, begin) = times().find(|(at, x)| end - x <= room || *at >= drawn_for)?;
        let (to, _) = times().rfind(|(_, x)| x - begin <= room).unwrap_or((last, end));
        Some((from, to))
    }

    pub(super) fn width(&self) -> f64 {
        self.width
    }

    /// Where a time is.
    pub(super) fn at(&self, time: u64) -> f64 {
        let after = self.places.partition_point(|(at, _)| *at < time);
        let Some((right, to)) = self.places.get(after) else {
            return self.places.last().map_or(EDGE, |(_, x)| *x);
        };
        let Some((left, from)) = after.checked_sub(1).map(|index| self.places[index]) else {
            return *to;
        };
        from + (to - from) * (time - left) as f64 / (right - left) as f64
    }

    /// The time at a place.
    fn time(&self, x: f64) -> u64 {
        let after = self.places.partition_point(|(_, place)| *place < x);
        let (Some((right, to)), Some((left, from))) =
            (self.places.get(after), after.checked_sub(1).map(|index| self.places[index]))
        else {
            return self.places.first().map_or(0, |(at, _)| *at);
        };
        // Between two times, so never out of range.
        left + ((right - left) as f64 * (x - from) / (to - from).max(0.001)) as u64
    }

    /// The scale, with times relative to `zero`, at the height `y`; and the pauses that were drawn
    /// short.
    pub(super) fn draw(&self, svg: &mut String, zero: u64, top: f64, y: f64) {
        let mut free = f64::MIN;
        let mut x = EDGE;
        while x < self.width {
            let (time, further) = (self.time(x), self.time(x + LABEL));
            let round = round_to(time, zero, further.saturating_sub(time));
            let place = self.at(round);
            let text = moment(round, zero);
            let half = text.chars().count() as f64 * LETTER / 2.0;
            if place - half >= free && place + 30.0 < self.width {
                free = place + half + LETTER;
                let _ = write!(
                    svg,
                    "<path class=\"tick\" d=\"M{place:.0} {top:.0}V{y:.0}\"/><text class=\"scale\" \
                     x=\"{place:.0}\" y=\"{:.0}\">{}</text>",
                    y + 14.0,
                    text
                );
            }
            x += LABEL / 4.0;
        }
        for pair in self.places.windows(2) {
            let ((from, left), (to, right)) = (pair[0], pair[1]);
            if to - from >= PAUSE_MICROS && right - left > LABEL * 0.7 {
                let _ = write!(
                    svg,
                    "<text class=\"scale\" x=\"{:.0}\" y=\"{:.0}\">⋯ {} ⋯</text>",
                    left + (right - left) / 2.0,
                    y + 28.0,
                    millis(to - from)
                );
            }
        }
    }
}

/// The time, its distance from `zero` rounded to what is worth reading where `span` is the next
/// label's distance.
fn round_to(time: u64, zero: u64, span: u64) -> u64 {
    let mut unit = 1;
    while unit * 10 <= span {
        unit *= 10;
    }
    let unit = if unit * 5 <= span { unit * 5 } else { unit };
    match time.checked_sub(zero) {
        Some(after) => zero + after.div_ceil(unit) * unit,
        None => zero - (zero - time) / unit * unit,
    }
}
