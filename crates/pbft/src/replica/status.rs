//! STATUS: what this replica has and lacks, and what it sends to a peer that lacks something.
//! Repair is driven by the receiver; the transport may lose anything (OSDI '99 section 4.6).

use super::{Replica, Step};
use crate::fault::Reject;
use crate::message::{Batch, Committed, Message, SlotSet, Status, Vote};
use crate::{Digest, Position, ReplicaId, SeqNum, Time};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How far the peers are, and how much each was helped lately: each has its own small share.
#[derive(Clone, Debug, Default)]
pub(super) struct Repair {
    /// The last number executed, as each peer's last STATUS has it. Not the highest ever: a peer
    /// that has crashed may have less than it had.
    executed: BTreeMap<ReplicaId, SeqNum>,
    /// When the last STATUS was sent.
    sent: Option<Time>,
    /// When each peer's last STATUS was answered.
    answered: BTreeMap<ReplicaId, Time>,
    /// How many bytes each peer may still be sent before the next interval.
    budgets: BTreeMap<ReplicaId, usize>,
    /// How many bytes a peer may be sent in an interval.
    budget: usize,
}

impl Repair {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Takes from the peer's budget; a message larger than all of it passes when it is untouched.
    pub(super) fn may_answer(&mut self, peer: ReplicaId, bytes: usize) -> bool {
        let left = self.budgets.entry(peer).or_insert(self.budget);
        let fits = *left >= bytes || *left == self.budget;
        if fits {
            *left = left.saturating_sub(bytes.max(1));
        }
        fits
    }
}

/// For how many numbers one STATUS is answered: the lowest ones, since they are executed first.
const SLOTS_PER_ANSWER_MAX: usize = 64;

impl Replica {
    /// Makes the next STATUS due soon: something was learnt that may be missing here [ST2].
    pub(super) fn hasten_status(&mut self, now: Time) {
        let interval = self.config.parameters.status_interval;
        let soonest = self.repair.sent.map_or(now, |sent| sent.after(interval / 2).max(now));
        let due = self.timers.status.map_or(soonest, |status| status.min(soonest));
        self.timers.status = Some(due);
    }

    /// Tells all what this replica has, and renews the budgets of its peers [ST1].
    pub(super) fn send_status(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        self.repair.sent = Some(now);
        self.repair.budgets.clear();
        self.greet_silent_peers(step);
        self.admit_alone(step);
        if self.admission.follows() {
            let status = self.compose_status();
            step.broadcast(Message::Status(status), Position::ZERO);
            self.consider_transfer(step);
        }
        let parameters = &self.config.parameters;
        let interval = if self.has_unfinished_business() {
            parameters.status_interval
        } else {
            parameters.status_interval_idle
        };
        self.timers.status = Some(now.after(interval));
    }

    /// Whether f+1 peers, hence a correct one, say that they have executed more than this replica.
    pub(super) fn is_behind_others(&self) -> bool {
        let ahead = self.repair.executed.values().filter(|seq| **seq > self.last_executed);
        ahead.count() >= self.config.quorums.weak()
    }

    /// Asks those who still have to answer HELLO, in a new round [RJ1].
    pub(super) fn greet_silent_peers(&mut self, step: &mut Step<'_>) {
        self.admission.answers.begin_round();
        let silent: Vec<ReplicaId> =
            self.config.replica_ids().filter(|peer| self.admission.awaits(*peer)).collect();
        for peer in silent {
            self.introduce_to(step, peer);
        }
    }

    fn has_unfinished_business(&self) -> bool {
        !self.admission.is_admitted()
            || !self.active
            || self.transfer.is_some()
            || self.behind_since.is_some()
            || self.requests.len() > 0
            || self.slots.keys().next_back().is_some_and(|last| *last > self.last_executed)
    }

    fn compose_status(&self) -> Status {
        let window = self.config.parameters.log_window;
        let empty = || SlotSet::with_room(window);
        let (mut pre_prepared, mut prepared, mut committed) = (empty(), empty(), empty());
        let mut missing: Vec<Digest> = Vec::new();
        for (seq, slot) in self.slots.range(self.last_executed.next()..) {
            let offset = seq.get() - self.last_executed.get() - 1;
            let proposal = slot.proposal.as_ref();
            if proposal.is_some() {
                pre_prepared.insert(offset);
            }
            if slot.prepared_at.is_some() {
                prepared.insert(offset);
            }
            if slot.committed.is_some() {
                committed.insert(offset);
            }
            let wanted = slot.committed.or_else(|| proposal.map(|proposal| proposal.digest));
            missing.extend(wanted.filter(|digest| !self.has_batch(*digest)));
        }
        // Those whose requests may still come by themselves are not asked for yet [SR3].
        let (from, digests) =
            (self.last_executed, self.outlines.expected_above(self.last_executed));
        for (seq, digest) in digests {
            pre_prepared.insert(seq.get() - from.get() - 1);
            missing.retain(|one| *one != digest);
        }
        let noted = self.pre_prepared.values().map(|(digest, _)| *digest);
        missing.extend(noted.filter(|digest| !self.has_batch(*digest)));
        missing.sort_unstable();
        missing.dedup();
        missing.truncate(self.config.parameters.missing_batches_max);
        let mut view_changes = SlotSet::with_room(u64::from(self.config.replica_count()));
        for replica in self.view_changes.keys() {
            view_changes.insert(u64::from(replica.get()));
        }
        Status {
            view: self.view,
            active: self.active,
            low_water_mark: self.low_water_mark,
            last_executed: self.last_executed,
            pre_prepared,
            prepared,
            committed,
            view_changes,
            new_view: self.new_view.as_ref().map(|p| p.new_view.body.view).unwrap_or_default(),
            missing,
        }
    }

    /// Sends a peer what it lacks and is here [ST3]; each peer is answered at most once in a quarter
    /// of an interval, of which correct ones send two, and within its budget [ST4].
    pub(super) fn on_status(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        status: &Status,
    ) -> Result<(), Reject> {
        let now = step.now.monotonic;
        self.repair.executed.insert(from, status.last_executed);
        // Who has less is told, so that it does not blame the primary for what it lacks [SP3].
        if status.view > self.view || status.last_executed != self.last_executed {
            self.hasten_status(now);
        }
        // What a replica without its memory could answer would count as its word [RJ6].
        if !self.admission.is_admitted() {
            return Err(Reject::Starting);
        }
        let quarter = self.config.parameters.status_interval / 4;
        if self.repair.answered.get(&from).is_some_and(|last| now.since(*last) < quarter) {
            return Err(Reject::TooOften);
        }
        self.repair.answered.insert(from, now);
        self.send_checkpoints(step, from, status);
        self.send_view_messages(step, from, status);
        self.send_slots(step, from, status);
        for digest in &status.missing {
            self.send_batch(step, from, *digest);
        }
        Ok(())
    }

    /// What the peer may need to move its window or to find out that it is behind [CP6]: one's own
    /// CHECKPOINTs inside its window, and if one's own window is further the proof of the stable
    /// checkpoint. That needs nobody else's help: of those who signed it, some may be faulty, and
    /// some of the others may have come past it without ever taking it.
    fn send_checkpoints(&mut self, step: &mut Step<'_>, to: ReplicaId, status: &Status) {
        let first = status.low_water_mark.next();
        let last = status.low_water_mark.plus(self.config.parameters.log_window);
        for signed in self.own_signed.range(first..=last).map(|(_, signed)| signed) {
            step.send(to, Message::Checkpoint(*signed), self.position);
        }
        if self.low_water_mark > status.low_water_mark {
            step.send(to, Message::Stable(Arc::clone(&self.stable_proof)), self.position);
        }
    }

    /// What brings the peer into this replica's view: the NEW-VIEW, which it may relay although it
    /// is another's, or while there is none the VIEW-CHANGEs [VC8]. An old NEW-VIEW is sent too,
    /// because it clears P and Q [VC5].
    fn send_view_messages(&mut self, step: &mut Step<'_>, to: ReplicaId, status: &Status) {
        if let Some(proof) = &self.new_view {
            let view = proof.new_view.body.view;
            let useful = view > status.new_view && (view >= status.view || !status.active);
            if useful {
                step.send(to, Message::NewView(Arc::clone(proof)), self.position);
            } else if !status.active {
                self.send_unknown_new_view(step, to);
            }
        }
        if self.active {
            return;
        }
        if status.view < self.view {
            if let Some(own) = self.view_changes.get(&self.id) {
                step.send(to, Message::ViewChange(Arc::clone(own)), self.position);
            }
        } else if status.view == self.view && !status.active {
            self.send_missing_view_changes(step, to, |replica| {
                status.view_changes.contains(u64::from(replica.get()))
            });
        }
    }

    /// A NEW-VIEW whose effect the peer's VIEW-CHANGE does not show [VC10].
    fn send_unknown_new_view(&self, step: &mut Step<'_>, to: ReplicaId) {
        let told = self.view_changes.get(&to).or_else(|| self.later_view_changes.get(&to));
        if let Some(proof) = told.and_then(|told| self.new_view_unknown_to(&told.body)) {
            step.send(to, Message::NewView(Arc::clone(proof)), self.position);
        }
    }

    /// For every number the peer has not executed, those below h included as far as they are kept
    /// [CU4]: that it is committed, or the votes and the
    /// PRE-PREPARE of the current view, or one's COMMIT of another one, from whoever holds it.
    fn send_slots(&mut self, step: &mut Step<'_>, to: ReplicaId, status: &Status) {
        let window = self.config.parameters.log_window;
        let first = status.last_executed.next();
        let last = status.last_executed.plus(window);
        let past: Vec<_> = self.past.digests(first..=last).take(SLOTS_PER_ANSWER_MAX).collect();
        let held = self.slots.range(first..=last).map(|(seq, _)| *seq);
        let numbers: Vec<SeqNum> = held.take(SLOTS_PER_ANSWER_MAX - past.len()).collect();
        for (seq, digest) in past {
            let offset = seq.get() - status.last_executed.get() - 1;
            if !status.committed.contains(offset) {
                step.send(to, Message::Committed(Committed { seq, digest }), self.position);
            }
        }
        let same_view = status.view == self.view && status.active && self.active;
        for seq in numbers {
            let offset = seq.get() - status.last_executed.get() - 1;
            let Some(slot) = self.slots.get(&seq) else {
                continue;
            };
            if let Some(digest) = slot.committed
                && !status.committed.contains(offset)
            {
                let committed = Committed { seq, digest };
                // The claim rests on one's own P entry, too: without it only q-1 are known to
                // hold one, and after a crash too few of them might be left [C4].
                step.send(to, Message::Committed(committed), self.position);
            }
            if same_view {
                self.send_votes(step, to, seq, offset, status);
            } else if !status.committed.contains(offset) {
                self.send_commit_of_another_view(step, to, seq);
            }
        }
    }

    /// A COMMIT counts in any view [C1], and whoever left its view still stands by it: the P entry
    /// says so in every VIEW-CHANGE. Without it a number that one replica alone knows to be
    /// committed, which waits for nothing then, would stay so until the primary leaves its view
    /// too [TM6].
    fn send_commit_of_another_view(&self, step: &mut Step<'_>, to: ReplicaId, seq: SeqNum) {
        if let Some((digest, view)) = self.prepared.get(&seq).copied() {
            step.send(to, Message::Commit(Vote { view, seq, digest }), self.position);
        }
    }

    fn send_votes(
        &mut self,
        step: &mut Step<'_>,
        to: ReplicaId,
        seq: SeqNum,
        offset: u64,
        status: &Status,
    ) {
        let view = self.view;
        let Some(slot) = self.slots.get(&seq) else {
            return;
        };
        let Some(proposal) = slot.proposal.clone() else {
            return;
        };
        let (Some(voted_at), prepared_at) = (proposal.voted_at, slot.prepared_at) else {
            return;
        };
        let vote = Vote { view, seq, digest: proposal.digest };
        if !status.pre_prepared.contains(offset)
            && let (Some(signed), Some(batch)) =
                (proposal.signed, self.batches.get(&proposal.digest).map(Arc::clone))
        {
            let bytes = batch.byte_count();
            if self.repair.may_answer(to, bytes) {
                step.send(to, Message::PrePrepare(signed, batch), voted_at);
            }
        }
        if !status.prepared.contains(offset) && !self.is_primary() {
            step.send(to, Message::Prepare(vote), voted_at);
        }
        if !status.committed.contains(offset)
            && let Some(prepared_at) = prepared_at
        {
            step.send(to, Message::Commit(vote), prepared_at);
        }
    }

    /// Any replica that has the body of a batch sends it, within the asker's budget [ST5]. Outside of
    /// it, once, the primary does that named requests instead of sending them [SR4].
    pub(super) fn on_fetch_batch(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        digest: Digest,
    ) -> Result<(), Reject> {
        let Some(batch) = self.batch_for_others(digest).map(Arc::clone) else {
            return Err(Reject::Unsolicited);
        };
        if self.is_owed_batch(step.now.monotonic, from, digest) {
            step.send(from, Message::Batch(batch), Position::ZERO);
            return Ok(());
        }
        if self.send_batch(step, from, digest) { Ok(()) } else { Err(Reject::TooOften) }
    }

    fn send_batch(&mut self, step: &mut Step<'_>, to: ReplicaId, digest: Digest) -> bool {
        let Some(batch) = self.batch_for_others(digest).map(Arc::clone) else {
            return false;
        };
        let bytes = batch.byte_count();
        let allowed = self.repair.may_answer(to, bytes);
        if allowed {
            step.send(to, Message::Batch(batch), Position::ZERO);
        }
        allowed
    }

    /// The body of a batch of the log, or of one that the log has no more [CU4].
    fn batch_for_others(&self, digest: Digest) -> Option<&Arc<Batch>> {
        self.batches.get(&digest).or_else(|| self.past.batch(digest))
    }

    /// Asks all for a body at once; STATUS asks again until it comes.
    pub(super) fn fetch_batch(&mut self, step: &mut Step<'_>, digest: Digest) {
        step.broadcast(Message::FetchBatch(digest), Position::ZERO);
        self.hasten_status(step.now.monotonic);
    }
}
