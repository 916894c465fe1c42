//! The rows of a diagram: clients above, replicas below, with what each of them is.

use crate::report::html::escape;
use crate::report::reading::{Reading, replica};
use crate::report::wording::{count, moment, party};
use crate::scenario::Scenario;
use crate::trace::Party;
use core::fmt::Write;
use pbft::ReplicaId;
use std::collections::{BTreeMap, BTreeSet};

/// The width of the column with the names.
pub(super) const NAMES: f64 = 160.0;

pub(super) struct Lanes {
    of: BTreeMap<Party, usize>,
    /// Name, and what more there is to say.
    names: Vec<(String, String)>,
    top: f64,
    step: f64,
}

impl Lanes {
    pub(super) fn new(
        scenario: &Scenario,
        clients: &[Party],
        parties: &BTreeSet<Party>,
        top: f64,
    ) -> Self {
        let mut of = BTreeMap::new();
        let mut names = Vec::new();
        for client in clients {
            of.insert(*client, names.len());
            names.push((party(*client), String::new()));
        }
        // All others share a row.
        let others: Vec<Party> = parties
            .iter()
            .copied()
            .filter(|party| replica(*party).is_none() && !clients.contains(party))
            .collect();
        if !others.is_empty() {
            of.extend(others.iter().map(|other| (*other, names.len())));
            names
                .push((count(others.len() as u64, "other client", "other clients"), String::new()));
        }
        for id in 0..scenario.options.replica_count {
            of.insert(Party::Replica(ReplicaId::new(id)), names.len());
            let kind = scenario.kinds.get(id as usize).map_or("", String::as_str);
            names.push((format!("replica {id}"), kind.to_owned()));
        }
        let step = match names.len() {
            0..=8 => 62.0,
            9..=12 => 46.0,
            13..=24 => 32.0,
            _ => 15.0,
        };
        Self { of, names, top, step }
    }

    pub(super) fn y(&self, row: Party) -> f64 {
        self.top + self.step * (self.of.get(&row).copied().unwrap_or(0) as f64 + 0.5)
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.step * self.names.len() as f64
    }

    /// From one row to the next.
    pub(super) fn step(&self) -> f64 {
        self.step
    }

    /// Whether labels beside arrows have room.
    pub(super) fn is_wide(&self) -> bool {
        self.step > 40.0
    }

    /// The column with the names, which stays in sight while the rest scrolls.
    pub(super) fn names(&self, height: f64) -> String {
        let mut svg = format!(
            "<svg class=\"names\" width=\"{NAMES}\" height=\"{height:.0}\" aria-hidden=\"true\">"
        );
        for (index, (name, kind)) in self.names.iter().enumerate() {
            let y = self.top + self.step * (index as f64 + 0.5);
            let has_room = self.step > 30.0 && !kind.is_empty();
            let up = if has_room { -1.0 } else { 4.0 };
            let _ = write!(
                svg,
                "<text class=\"name\" x=\"6\" y=\"{:.0}\">{}</text>",
                y + up,
                escape(name)
            );
            if has_room {
                let _ = write!(
                    svg,
                    "<text class=\"kind\" x=\"6\" y=\"{:.0}\">{}</text>",
                    y + 12.0,
                    escape(kind)
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }

    /// The lines of the rows: thick while a replica is the primary, dashed while it has left its
    /// view and waits for the next one.
    pub(super) fn draw(
        &self,
        svg: &mut String,
        reading: &Reading<'_>,
        (from, to): (u64, u64),
        x: impl Fn(u64) -> f64,
        width: f64,
    ) {
        for row in self.of.keys().filter(|row| replica(**row).is_none()) {
            let y = self.y(*row);
            let _ = write!(svg, "<path class=\"lane\" d=\"M0 {y:.0}H{width:.0}\"/>");
        }
        for id in 0..reading.replica_count {
            let row = Party::Replica(ReplicaId::new(id));
            for stay in stays(reading, row) {
                if stay.until.is_some_and(|until| until < from) || stay.from > to {
                    continue;
                }
                let left = if stay.from <= from { 0.0 } else { x(stay.from) };
                let right = stay.until.filter(|until| *until <= to).map_or(width, &x);
                let is_primary = stay.is_active && reading.primary(stay.view) == id;
                let class = match (stay.is_active, is_primary) {
                    (false, _) => "lane waits",
                    (true, true) => "lane primary",
                    (true, false) => "lane",
                };
                let state = if stay.is_active { "is in" } else { "has left, and waits for" };
                let _ = write!(
                    svg,
                    "<path class=\"{class}\" d=\"M{left:.0} {:.0}H{right:.0}\"><title>replica {id} \
                     {state} view {}, from {}</title></path>",
                    self.y(row),
                    stay.view,
                    moment(stay.from, reading.zero)
                );
            }
        }
    }
}

/// A replica in a view, or on its way to it.
struct Stay {
    view: u64,
    is_active: bool,
    from: u64,
    until: Option<u64>,
}

fn stays(reading: &Reading<'_>, row: Party) -> Vec<Stay> {
    let mut stays = vec![Stay { view: 0, is_active: true, from: 0, until: None }];
    for event in reading.events.iter().filter(|event| event.replica == row) {
        let is_active = match event.event {
            "view change started" => false,
            "view entered" => true,
            _ => continue,
        };
        let Some(view) = event.view else { continue };
        if let Some(last) = stays.last_mut() {
            last.until = Some(event.at);
        }
        stays.push(Stay { view, is_active, from: event.at, until: None });
    }
    stays
}
