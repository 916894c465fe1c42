//! What the lines of a trace say together: which message repeats another one, which one brought a
//! proof, what was named at one number, who was the primary when.

mod arrows;
mod first_request;
mod periods;
mod rivals;
mod windows;

pub(super) use arrows::Arrow;
pub(super) use first_request::FirstRequest;
pub(super) use periods::Period;
pub(super) use rivals::{Rivals, letter};

use crate::trace::{EventLine, HEALED, Line, MENDED, Party};
use std::collections::{BTreeMap, BTreeSet};

/// A trace, read.
pub(super) struct Reading<'a> {
    pub(super) replica_count: u32,
    /// The first call of a client: what a page counts its times from.
    pub(super) zero: u64,
    /// The time of the last line.
    pub(super) end: u64,
    /// Messages between two parties in the order in which they arrived, without those that only
    /// open links.
    pub(super) arrows: Vec<Arrow<'a>>,
    pub(super) events: Vec<&'a EventLine>,
    pub(super) faults: Vec<(u64, &'a str)>,
    pub(super) rivals: Rivals<'a>,
    /// The views of the cluster, in order.
    pub(super) periods: Vec<Period>,
    /// Operations in the order of their numbers.
    pub(super) calls: Vec<Call>,
}

/// An operation of a client.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) client: u32,
    pub(super) called: u64,
    pub(super) answered: Option<u64>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(replica_count: u32, lines: &'a [Line]) -> Self {
        let calls = calls(lines);
        let first_line = lines.iter().map(time).min().unwrap_or(0);
        let zero = calls.iter().map(|call| call.called).min().unwrap_or(first_line);
        let event = |line: &'a Line| match line {
            Line::Event(event) => Some(event),
            _ => None,
        };
        let fault = |line: &'a Line| match line {
            Line::Fault { at, what } => Some((*at, what.as_str())),
            _ => None,
        };
        Self {
            replica_count,
            zero,
            end: lines.iter().map(time).max().unwrap_or(zero),
            arrows: arrows::read(lines),
            events: lines.iter().filter_map(event).collect(),
            faults: lines.iter().filter_map(fault).collect(),
            rivals: Rivals::read(lines),
            periods: periods::read(replica_count, lines),
            calls,
        }
    }

    /// The most replicas that may be faulty.
    pub(super) fn fault_bound(&self) -> u32 {
        (self.replica_count - 1) / 3
    }

    /// What the scenario made different after the first call, beside what it only mended.
    pub(super) fn later_faults(&self) -> impl Iterator<Item = (u64, &'a str)> {
        let is_fault = |what: &str| what != HEALED && what != MENDED;
        self.faults.iter().copied().filter(move |(at, what)| *at >= self.zero && is_fault(what))
    }

    /// Who is the primary of a view.
    pub(super) fn primary(&self, view: u64) -> u32 {
        pbft::View::new(view).primary(self.replica_count).get()
    }

    /// The events of a name, in order.
    pub(super) fn named(&self, name: &'static str) -> impl Iterator<Item = &'a EventLine> {
        self.events.iter().copied().filter(move |event| event.event == name)
    }

    /// When batches were executed, tentatively or when they had committed, in order.
    pub(super) fn executions(&self) -> impl Iterator<Item = &'a EventLine> {
        let is_one =
            |event: &&EventLine| matches!(event.event, "executed" | "executed tentatively");
        self.events.iter().copied().filter(is_one)
    }

    /// For each number, what was executed there, and by which replicas.
    pub(super) fn executed(&self) -> BTreeMap<u64, BTreeMap<&'a str, BTreeSet<u32>>> {
        let mut executed: BTreeMap<u64, BTreeMap<&str, BTreeSet<u32>>> = BTreeMap::new();
        for event in self.named("executed") {
            if let (Some(seq), Some(digest), Some(id)) =
                (event.seq, &event.digest, replica(event.replica))
            {
                executed.entry(seq).or_default().entry(digest).or_default().insert(id);
            }
        }
        executed
    }

    /// The median time from call to answer.
    pub(super) fn median_latency(&self) -> Option<u64> {
        let mut latencies: Vec<u64> = self.calls.iter().filter_map(Call::latency).collect();
        latencies.sort_unstable();
        latencies.get(latencies.len().saturating_sub(1) / 2).copied()
    }

    /// How many requests of clients were sent to one replica a second time.
    pub(super) fn resent(&self) -> u64 {
        let mut sent: BTreeMap<(Party, (u64, u64), Party), BTreeSet<u64>> = BTreeMap::new();
        for arrow in &self.arrows {
            let message = arrow.message;
            if let (Party::Client(_), "REQUEST", Some(request)) =
                (message.from, message.kind, message.request)
            {
                sent.entry((message.from, request, message.to)).or_default().insert(message.sent);
            }
        }
        let again = sent.into_iter().filter(|(_, times)| times.len() > 1);
        let again: BTreeSet<_> = again.map(|((from, request, _), _)| (from, request)).collect();
        again.len() as u64
    }
}

impl Call {
    pub(super) fn latency(&self) -> Option<u64> {
        self.answered.map(|answered| answered.saturating_sub(self.called))
    }
}

fn calls(lines: &[Line]) -> Vec<Call> {
    let mut calls: BTreeMap<usize, Call> = BTreeMap::new();
    for line in lines {
        match *line {
            Line::Called { at, client, operation, .. } => {
                calls.insert(operation, Call { client, called: at, answered: None });
            }
            Line::Answered { at, operation, .. } => {
                if let Some(call) = calls.get_mut(&operation) {
                    call.answered.get_or_insert(at);
                }
            }
            _ => {}
        }
    }
    calls.into_values().collect()
}

fn time(line: &Line) -> u64 {
    match line {
        Line::Message(message) => message.at,
        Line::Event(event) => event.at,
        Line::Fault { at, .. } | Line::Called { at, .. } | Line::Answered { at, .. } => *at,
    }
}

/// The id of a party that is a replica.
pub(super) fn replica(party: Party) -> Option<u32> {
    match party {
        Party::Replica(replica) => Some(replica.get()),
        Party::Client(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Fate, MessageLine};
    use pbft::{ClientId, ReplicaId};

    /// A client's request number 1, on its way to a replica.
    fn request(sent: u64, to: u32) -> Line {
        Line::Message(MessageLine {
            at: sent + 5,
            sent,
            from: Party::Client(ClientId::new(0)),
            to: Party::Replica(ReplicaId::new(to)),
            kind: "REQUEST",
            view: None,
            seq: None,
            digest: None,
            request: Some((1, 1)),
            session: false,
            fate: Fate::Handled,
            reason: None,
        })
    }

    #[test]
    fn request_is_sent_again_when_one_replica_is_sent_it_twice() {
        // Links of processes carry the first sending at different moments.
        let once: Vec<Line> = (0..4).map(|id| request(10 + u64::from(id), id)).collect();
        assert_eq!(Reading::new(4, &once).resent(), 0);
        let twice = [once.as_slice(), &[request(90, 2)]].concat();
        assert_eq!(Reading::new(4, &twice).resent(), 1);
    }
}
