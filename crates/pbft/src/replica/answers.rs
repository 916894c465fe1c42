//! What peers have answered to this start's HELLO, as far as they let it in [RJ1].

use crate::ReplicaId;
use crate::message::BootId;
use alloc::collections::BTreeMap;

/// The peers that remember this start and none that this disk lacks.
///
/// Each says so twice, in one start of its own: enough of them must have remembered it at one
/// moment, for otherwise those who had noted it may have lost their memory, and rejoined without it,
/// before the others noted it. So a HELLO names the round in which it is sent, its answer repeats
/// that, and the moment is the beginning of a round before which all of them had answered and
/// which all of them have answered since.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    round: u64,
    /// Whether so many as are needed have answered at least once, at some time.
    were_enough: bool,
    of: BTreeMap<ReplicaId, Answered>,
}

#[derive(Clone, Debug)]
struct Answered {
    /// The start in which the peer answered.
    by: BootId,
    /// The round in which its first answer came.
    first: u64,
    /// The last round, after that one, in which it was asked and answered with the right disk.
    last: Option<u64>,
    /// Whether it has answered with its own disk known to be the right one.
    has_right_disk: bool,
}

impl Answers {
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// All peers that still have to answer are asked anew.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// A peer, in this start of its own, lets us in, asked in this round.
    pub(super) fn note(&mut self, peer: ReplicaId, by: BootId, round: u64, has_right_disk: bool) {
        let first = self.round;
        match self.of.get_mut(&peer) {
            Some(known) if known.by == by => {
                known.has_right_disk |= has_right_disk;
                if has_right_disk && round > known.first && round <= self.round {
                    known.last = known.last.max(Some(round));
                }
            }
            _ => {
                self.of.insert(peer, Answered { by, first, last: None, has_right_disk });
            }
        }
    }

    pub(super) fn forget(&mut self, peer: ReplicaId) {
        self.of.remove(&peer);
    }

    /// The peer was started again: what it answered before may be forgotten.
    pub(super) fn forget_other_start(&mut self, peer: ReplicaId, present: BootId) {
        if self.of.get(&peer).is_some_and(|known| known.by != present) {
            self.of.remove(&peer);
        }
    }

    /// Whether so many have said so at least once.
    pub(super) fn are_enough_once(&self, enough: usize) -> bool {
        self.of.len() >= enough
    }

    /// As that; true the first time only.
    pub(super) fn have_become_enough(&mut self, enough: usize) -> bool {
        let have_become = !self.were_enough && self.are_enough_once(enough);
        self.were_enough |= have_become;
        have_become
    }

    /// Whether this peer remembers the start on its right disk.
    pub(super) fn is_kept_by(&self, peer: ReplicaId) -> bool {
        self.of.get(&peer).is_some_and(|known| known.has_right_disk)
    }

    /// The peers that remembered this start at one moment, each with the start in which it did; none
    /// before there are enough of them.
    pub(super) fn at_one_moment(&self, enough: usize) -> Option<BTreeMap<ReplicaId, BootId>> {
        let at = |round: u64| -> BTreeMap<ReplicaId, BootId> {
            let counts =
                |known: &Answered| known.first < round && known.last.is_some_and(|l| round <= l);
            let those = self.of.iter().filter(|(_, known)| counts(known));
            those.map(|(peer, known)| (*peer, known.by)).collect()
        };
        let rounds = self.of.values().filter_map(|known| known.last);
        // Nobody needs no round.
        let rounds = rounds.chain((enough == 0).then_some(self.round));
        rounds.map(at).find(|those| those.len() >= enough)
    }
}

#[cfg(test)]
mod tests;
