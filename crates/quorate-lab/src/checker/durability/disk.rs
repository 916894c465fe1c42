//! What a replica's disk remembers.

use super::Executed;
use pbft::message::{Batch, BootId, CheckpointId, NewView, PrePrepare, StartId, Vote};
use pbft::{Digest, Incarnation, Record, ReplicaId, SeqNum, View};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Disk {
    /// The counter of each start of its own.
    boots: BTreeMap<BootId, u64>,
    /// The starts of its peers.
    noted: BTreeSet<(ReplicaId, Incarnation, BootId)>,
    /// Whether this memory took the place of another, until the replica has rejoined.
    is_amnesiac: bool,
    batches: BTreeSet<Digest>,
    pre_prepared: BTreeSet<(SeqNum, Digest, View)>,
    prepared: BTreeSet<(SeqNum, Digest, View)>,
    committed: BTreeSet<(SeqNum, Digest)>,
    checkpoints: BTreeSet<(SeqNum, CheckpointId)>,
    view_changes: BTreeSet<View>,
    new_views: BTreeSet<View>,
    /// Everything that was executed up to this number is marked as committed, or part of a state
    /// that the disk holds.
    marked: SeqNum,
    /// As that, or prepared.
    covered: SeqNum,
}

impl Disk {
    pub(super) fn write(&mut self, record: &Record) {
        match record {
            Record::Boot { counter, boot_id, incarnation: _ } => {
                self.boots.insert(*boot_id, *counter);
            }
            Record::PeerStarts { replica, starts } => {
                let starts = starts.iter().map(|start| start.body);
                let noted = starts.map(|start| (*replica, start.incarnation, start.id.boot_id));
                self.noted.extend(noted);
            }
            // Its digest takes long to make; see `hold`.
            Record::Batch(_) => {}
            Record::PrePrepared { entry: PrePrepare { view, seq, digest }, signed: _ } => {
                self.pre_prepared.insert((*seq, *digest, *view));
            }
            Record::Prepared(PrePrepare { view, seq, digest }) => {
                self.prepared.insert((*seq, *digest, *view));
            }
            Record::Committed { seq, digest } => {
                self.committed.insert((*seq, *digest));
            }
            Record::Checkpoint(signed) => {
                self.checkpoints.insert((signed.body.seq, signed.body.id));
            }
            Record::Stable { seq, .. } | Record::StateInstalled { seq, .. } => {
                self.hold_state(*seq);
            }
            Record::ViewChange(signed) => {
                self.view_changes.insert(signed.body.new_view);
            }
            Record::NewView(proof) => {
                let NewView { view, checkpoint, chosen, .. } = &proof.new_view.body;
                self.new_views.insert(*view);
                let numbers = (1..).map(|offset| checkpoint.0.plus(offset));
                self.pre_prepared.extend(numbers.zip(chosen).map(|(seq, d)| (seq, *d, *view)));
            }
            Record::Amnesiac => self.is_amnesiac = true,
            Record::Rejoined(_) => self.is_amnesiac = false,
        }
    }

    /// The batch with this digest is on the disk.
    pub(super) fn hold(&mut self, batch: Digest) {
        self.batches.insert(batch);
    }

    /// A state in which this is the last number is on the disk, or follows from what is.
    pub(super) fn hold_state(&mut self, seq: SeqNum) {
        self.marked = self.marked.max(seq);
        self.covered = self.covered.max(seq);
    }

    pub(super) fn is_amnesiac(&self) -> bool {
        self.is_amnesiac
    }

    pub(super) fn has_start(&self, counter: u64, boot_id: BootId) -> bool {
        self.boots.get(&boot_id) == Some(&counter)
    }

    /// Whether at this start of its own the disk knew all of those.
    pub(super) fn knew_at(&self, start: BootId, others: &[StartId]) -> bool {
        self.boots.get(&start).is_some_and(|counter| {
            let knew = |other: &StartId| {
                other.counter <= *counter && self.has_start(other.counter, other.boot_id)
            };
            others.iter().all(knew)
        })
    }

    pub(super) fn has_noted(&self, peer: ReplicaId, incarnation: Incarnation, id: BootId) -> bool {
        self.noted.contains(&(peer, incarnation, id))
    }

    /// The batch, the Q entry, and that its view has begun.
    pub(super) fn can_pre_prepare(&self, view: View, seq: SeqNum, digest: Digest) -> bool {
        let has_begun = view == View::ZERO || self.new_views.contains(&view);
        has_begun
            && (digest == Batch::NULL || self.batches.contains(&digest))
            && self.pre_prepared.contains(&(seq, digest, view))
    }

    /// The P entry, and a Q entry of its view or a later one.
    pub(super) fn can_commit(&self, vote: &Vote) -> bool {
        let Vote { view, seq, digest } = *vote;
        let since = (seq, digest, view)..=(seq, digest, View::MAX);
        self.prepared.contains(&(seq, digest, view))
            && self.pre_prepared.range(since).next().is_some()
    }

    /// The P entry of some view.
    fn has_prepared(&self, seq: SeqNum, digest: Digest) -> bool {
        let all = (seq, digest, View::ZERO)..=(seq, digest, View::MAX);
        self.prepared.range(all).next().is_some()
    }

    /// The lowest number at which one of these batches has prepared in this view.
    pub(super) fn lowest_prepared_in(&self, view: View, batches: &[Digest]) -> Option<SeqNum> {
        let entries = self.prepared.iter();
        let mut of_view = entries.filter(|(_, digest, v)| *v == view && batches.contains(digest));
        of_view.next().map(|(seq, ..)| *seq)
    }

    pub(super) fn has_checkpoint(&self, seq: SeqNum, id: CheckpointId) -> bool {
        self.checkpoints.contains(&(seq, id))
    }

    pub(super) fn has_left_for(&self, view: View) -> bool {
        self.view_changes.contains(&view)
    }

    pub(super) fn has_new_view(&self, view: View) -> bool {
        self.new_views.contains(&view)
    }

    /// Whether all numbers up to this one are marked as committed.
    pub(super) fn has_marked(&mut self, executed: &Executed, seq: SeqNum) -> bool {
        while self.marked < seq {
            let next = self.marked.next();
            let is_marked = |digest: &Digest| self.committed.contains(&(next, *digest));
            if !executed.get(&next).is_some_and(is_marked) {
                return false;
            }
            self.marked = next;
        }
        true
    }

    /// Whether all numbers up to this one are marked as committed or prepared.
    pub(super) fn has_covered(&mut self, executed: &Executed, seq: SeqNum) -> bool {
        while self.covered < seq {
            let next = self.covered.next();
            let is_covered = |digest: &Digest| {
                self.committed.contains(&(next, *digest)) || self.has_prepared(next, *digest)
            };
            if !executed.get(&next).is_some_and(is_covered) {
                return false;
            }
            self.covered = next;
        }
        true
    }
}
