//! Frames between their two ends.

use super::{ClientEntry, ClientSaw};
use crate::record::{Entry, What, mark};
use crate::trace::{Party, is_agreement};
use core::time::Duration;
use pbft::{ReplicaId, Time};
use std::collections::{BTreeMap, VecDeque};

type Frame = (Party, Party, u64);

/// When frames left that have not arrived yet.
#[derive(Debug, Default)]
pub(super) struct Flights(BTreeMap<Frame, VecDeque<Time>>);

impl Flights {
    pub(super) fn leaves(&mut self, from: Party, to: Party, mark: u64, at: Time) {
        self.0.entry((from, to, mark)).or_default().push_back(at);
    }

    /// When the frame left, if that is known.
    pub(super) fn arrives(&mut self, from: Party, to: Party, mark: u64) -> Option<Time> {
        self.0.get_mut(&(from, to, mark))?.pop_front()
    }
}

/// Which messages of agreement are under way while a run still goes on. It is told of both ends of
/// their way in any order.
#[derive(Debug, Default)]
pub struct UnderWay {
    /// How many more have left than have arrived, and when the last one left.
    each: BTreeMap<Frame, (i64, u64)>,
    last_activity: u64,
}

/// Who has not arrived so long after it left is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// So long after the last message of agreement nothing more comes of it.
const QUIET_AFTER: Duration = Duration::from_millis(200);

impl UnderWay {
    /// A replica recorded this.
    pub fn replica(&mut self, id: ReplicaId, entry: &Entry) {
        let here = Party::Replica(id);
        match &entry.what {
            What::Left { to, kind, mark, after } if kind.is_some_and(is_agreement) => {
                let at = entry.at + after;
                let (balance, left) = self.each.entry((here, *to, *mark)).or_default();
                *balance += 1;
                *left = at.max(*left);
                self.last_activity = self.last_activity.max(at);
            }
            What::Arrived { from, frame, .. } => self.arrived(entry.at, (*from, here), frame),
            _ => {}
        }
    }

    /// A client recorded this.
    pub fn client(&mut self, entry: &ClientEntry) {
        if let ClientSaw::Reply { from, frame } = &entry.saw {
            let client = Party::Client(pbft::ClientId::new(entry.client));
            self.arrived(entry.at, (Party::Replica(*from), client), frame);
        }
    }

    /// The moment from which on nothing is under way any more, unless something more is recorded.
    pub fn quiet_at(&self) -> u64 {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let missing = self.each.values().filter(|(balance, _)| *balance > 0);
        let lost_at = missing.map(|(_, left)| left + micros(LOST_AFTER)).max();
        lost_at.unwrap_or(0).max(self.last_activity + micros(QUIET_AFTER))
    }

    fn arrived(&mut self, at: u64, (from, to): (Party, Party), frame: &[u8]) {
        let (balance, _) = self.each.entry((from, to, mark(frame))).or_default();
        *balance -= 1;
        // Frames of other kinds never leave here, and so never make anybody wait.
        if *balance >= 0 {
            self.last_activity = self.last_activity.max(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Arrival;
    use pbft::message::Kind;

    fn left(at: u64, after: u64) -> Entry {
        let to = Party::Replica(ReplicaId::new(1));
        Entry { at, what: What::Left { to, kind: Some(Kind::Commit), mark: mark(b"frame"), after } }
    }

    fn arrived(at: u64) -> Entry {
        let from = Party::Replica(ReplicaId::new(0));
        let frame = b"frame".to_vec();
        Entry { at, what: What::Arrived { from, frame, fate: Arrival::Handled } }
    }

    #[test]
    fn a_run_is_quiet_once_what_left_has_arrived_or_is_lost() {
        let (sender, receiver) = (ReplicaId::new(0), ReplicaId::new(1));
        for order in [[0, 1], [1, 0]] {
            let mut under_way = UnderWay::default();
            for end in order {
                match end {
                    0 => under_way.replica(sender, &left(1_000, 5_000)),
                    _ => under_way.replica(receiver, &arrived(7_000)),
                }
            }
            assert!((206_000..=207_000).contains(&under_way.quiet_at()), "{under_way:?}");
        }
        let mut under_way = UnderWay::default();
        under_way.replica(sender, &left(1_000, 5_000));
        assert_eq!(under_way.quiet_at(), 2_006_000);
    }
}
