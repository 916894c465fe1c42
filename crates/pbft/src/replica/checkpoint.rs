//! Checkpoints: taking them, proving them stable, and forgetting what they cover (OSDI '99 section
//! 4.3, TOCS 2002 figure 22).

use super::{Replica, Step};
use crate::auth::Signed;
use crate::event::Event;
use crate::fault::{HaltReason, Reject};
use crate::message::{Batch, Checkpoint, CheckpointId, Message, StableProof};
use crate::output::Output;
use crate::record::Record;
use crate::slot::Slot;
use crate::{Digest, SeqNum};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The batches kept for others take this part of what the log may.
const PAST_SHARE: usize = 4;

impl Replica {
    /// The host took the checkpoint: sign it, make the signature durable, tell all [CP1].
    pub(super) fn on_checkpoint_taken(
        &mut self,
        step: &mut Step<'_>,
        seq: SeqNum,
        id: CheckpointId,
    ) {
        if let Some(signed) = self.own_signed.get(&seq)
            && signed.body.id != id
        {
            return self.halt(step, HaltReason::OwnCheckpointChanged { seq });
        }
        if seq < self.low_water_mark {
            return;
        }
        if seq == self.low_water_mark {
            if self.own_checkpoint(seq) != id {
                self.halt(step, HaltReason::Diverged { seq });
            }
            return;
        }
        self.own_checkpoints.insert(seq, id);
        step.event(Event::CheckpointTaken { seq, id });
        self.send_checkpoint(step, seq, id);
        self.check_divergence(step, seq);
        self.try_stable(step, seq);
        self.try_activate(step);
    }

    /// Signs and sends one's own CHECKPOINT; one signed before a restart is sent as it was. Before
    /// this replica is let in there is none: [`Replica::confirm_own_checkpoints`] makes up for it.
    pub(super) fn send_checkpoint(&mut self, step: &mut Step<'_>, seq: SeqNum, id: CheckpointId) {
        if !self.admission.is_admitted() {
            return;
        }
        let (signed, after) = match self.own_signed.get(&seq) {
            Some(signed) => (*signed, self.position),
            None => {
                let body = Checkpoint { seq, id, replica: self.id };
                let signed = Signed::sign(&self.config.domain, &self.key, self.id, body);
                self.own_signed.insert(seq, signed);
                (signed, self.persist(step, Record::Checkpoint(signed)))
            }
        };
        self.checkpoints.entry(seq).or_default().insert(self.id, signed);
        step.broadcast(Message::Checkpoint(signed), after);
    }

    /// After a restart, and when the window has come up: says again what states are held here
    /// beyond the stable checkpoint. One that was loaded, not executed up to, is not taken again.
    pub(super) fn confirm_own_checkpoints(&mut self, step: &mut Step<'_>) {
        let (first, last) = (self.low_water_mark.next(), self.high_water_mark());
        let own: Vec<_> =
            self.own_checkpoints.range(first..=last).map(|(s, id)| (*s, *id)).collect();
        for (seq, id) in own {
            self.send_checkpoint(step, seq, id);
        }
    }

    /// A CHECKPOINT counts iff it is its signer's first for a number inside the window [CP2]. One
    /// beyond it is a reason to ask: this replica may be behind [CP6].
    pub(super) fn on_checkpoint(
        &mut self,
        step: &mut Step<'_>,
        checkpoint: Signed<Checkpoint>,
    ) -> Result<(), Reject> {
        let Checkpoint { seq, id, replica } = checkpoint.body;
        if seq <= self.low_water_mark {
            return Err(Reject::Stale);
        }
        if !self.in_window(seq) {
            self.notice_number(step, seq);
            return Err(Reject::OutsideWindow);
        }
        let of_seq = self.checkpoints.entry(seq).or_default();
        if let Some(first) = of_seq.get(&replica) {
            let same = first.body.id == id;
            return Err(if same { Reject::Duplicate } else { Reject::Contradiction });
        }
        of_seq.insert(replica, checkpoint);
        self.check_divergence(step, seq);
        self.try_stable(step, seq);
        self.consider_transfer(step);
        Ok(())
    }

    /// The proof that a checkpoint is stable, from a peer whose window is further than this one's
    /// [CP6]. Where its state was executed the window moves at once, else the state is fetched
    /// first [CU1].
    pub(super) fn on_stable_proof(
        &mut self,
        step: &mut Step<'_>,
        proof: StableProof,
    ) -> Result<(), Reject> {
        let Some(Checkpoint { seq, id, .. }) = proof.first().map(|signed| signed.body) else {
            return Err(Reject::MalformedProof);
        };
        if seq <= self.low_water_mark {
            return Err(Reject::Stale);
        }
        if self.own_checkpoints.get(&seq).is_some_and(|own| *own != id) {
            self.halt(step, HaltReason::Diverged { seq });
        } else if self.covers(seq) {
            self.advance_low_water_mark(step, seq, id, proof);
            self.confirm_own_checkpoints(step);
            self.try_activate(step);
            self.try_propose(step);
        } else {
            self.note_proof_ahead(proof);
            self.consider_transfer(step);
        }
        Ok(())
    }

    /// Whether the state here comes from beyond `seq` or is exactly that: a checkpoint at `seq` or
    /// behind it was taken or fetched, and answers of the host come in order.
    fn covers(&self, seq: SeqNum) -> bool {
        self.last_executed >= seq && self.own_checkpoints.range(seq..).next().is_some()
    }

    /// How many distinct replicas signed each state at a number.
    pub(super) fn checkpoint_votes(&self, seq: SeqNum) -> BTreeMap<CheckpointId, usize> {
        let mut votes = BTreeMap::new();
        for signed in self.checkpoints.get(&seq).into_iter().flat_map(BTreeMap::values) {
            *votes.entry(signed.body.id).or_insert(0) += 1;
        }
        votes
    }

    /// If f+1 others agree on another state than one's own, one's own is wrong: stop [CP4].
    fn check_divergence(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let Some(own) = self.own_checkpoints.get(&seq) else {
            return;
        };
        let weak = self.config.quorums.weak();
        let others_agree =
            self.checkpoint_votes(seq).iter().any(|(id, count)| id != own && *count >= weak);
        if others_agree {
            self.halt(step, HaltReason::Diverged { seq });
        }
    }

    /// Stable: a quorum of CHECKPOINTs for one state, and that state or one built on it is held
    /// here [CP3].
    pub(super) fn try_stable(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        if self.halted.is_some() || seq <= self.low_water_mark || !self.covers(seq) {
            return;
        }
        let held = self.proofs_ahead.get(&seq).cloned();
        let Some(proof) = held.or_else(|| self.proof_from_votes(seq)) else {
            return;
        };
        let Some(id) = proof.first().map(|signed| signed.body.id) else {
            return;
        };
        if self.own_checkpoints.get(&seq).is_some_and(|own| *own != id) {
            return self.halt(step, HaltReason::Diverged { seq });
        }
        self.advance_low_water_mark(step, seq, id, proof);
        self.try_activate(step);
        self.try_propose(step);
    }

    fn proof_from_votes(&self, seq: SeqNum) -> Option<StableProof> {
        let quorum = self.config.quorums.quorum();
        let votes = self.checkpoint_votes(seq);
        let (id, _) = votes.into_iter().find(|(_, count)| *count >= quorum)?;
        let of_seq = self.checkpoints.get(&seq).into_iter().flat_map(BTreeMap::values);
        let agreeing = of_seq.filter(|signed| signed.body.id == id).copied();
        Some(Arc::new(agreeing.take(quorum).collect()))
    }

    /// Moves the window up to a stable checkpoint, and forgets what it covers [CP8]. Nothing less
    /// than the proof of a quorum moves it: a weak quorum may contain a single correct replica,
    /// and then too few correct ones might list the checkpoint for a view change to start from it,
    /// while this replica is past every lower one.
    pub(super) fn advance_low_water_mark(
        &mut self,
        step: &mut Step<'_>,
        seq: SeqNum,
        id: CheckpointId,
        proof: StableProof,
    ) {
        self.persist(step, Record::Stable { seq, id, proof: Arc::clone(&proof) });
        self.stable_proof = proof;
        self.forget_up_to(seq, id);
        step.event(Event::CheckpointStable { seq, id });
        step.outputs.push(Output::Stable { seq, id });
        self.consider_return(step);
    }

    /// Drops everything at or below a number that a checkpoint covers, but for the batches that
    /// others may lack.
    pub(super) fn forget_up_to(&mut self, seq: SeqNum, id: CheckpointId) {
        self.low_water_mark = seq;
        let first_kept = seq.next();
        let later = self.slots.split_off(&first_kept);
        let covered = core::mem::replace(&mut self.slots, later);
        self.keep_for_laggards(covered);
        self.prepared = self.prepared.split_off(&first_kept);
        self.pre_prepared = self.pre_prepared.split_off(&first_kept);
        self.signed_pre_prepares = self.signed_pre_prepares.split_off(&first_kept);
        self.early_pre_prepares = self.early_pre_prepares.split_off(&first_kept);
        self.outlines.forget_up_to(seq);
        self.checkpoints = self.checkpoints.split_off(&first_kept);
        self.own_checkpoints = self.own_checkpoints.split_off(&seq);
        self.own_checkpoints.insert(seq, id);
        self.own_signed = self.own_signed.split_off(&seq);
        self.proofs_ahead = self.proofs_ahead.split_off(&first_kept);
        self.slow_primary.forget_up_to(seq);
        self.last_assigned = self.last_assigned.max(seq);
        self.forget_unused_batches();
    }

    /// Keeps what was executed of the log that a stable checkpoint covers [CU4].
    fn keep_for_laggards(&mut self, covered: BTreeMap<SeqNum, Slot>) {
        let parameters = &self.config.parameters;
        let limits = (parameters.log_window, parameters.log_bytes_max / PAST_SHARE);
        for (seq, slot) in covered.range(..=self.last_executed) {
            let Some(digest) = slot.committed else { continue };
            let batch = self.batches.get(&digest).map(Arc::clone);
            if batch.is_some() || digest == Batch::NULL {
                self.past.keep(*seq, digest, batch, limits);
            }
        }
    }

    /// A batch is kept as long as the log, P, Q or a replay refers to it.
    pub(super) fn forget_unused_batches(&mut self) {
        let in_slots = self.slots.values().flat_map(|slot| {
            slot.proposal.as_ref().map(|proposal| proposal.digest).into_iter().chain(slot.committed)
        });
        let in_entries = self.prepared.values().chain(self.pre_prepared.values()).map(|e| e.0);
        let used: BTreeSet<Digest> =
            in_slots.chain(in_entries).chain(self.replay.values().copied()).collect();
        self.batches.retain(|digest, _| used.contains(digest));
        self.log_bytes = self.batches.values().map(|batch| batch.byte_count()).sum();
    }
}
