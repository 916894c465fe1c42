//! Checkpoints: taking them, proving them stable, and forgetting what they cover (OSDI '99 section
//! 4.3, TOCS 2002 figure 22).

use super::{Replica, Step};
use crate::auth::Signed;
use crate::event::Event;
use crate::fault::{HaltReason, Reject};
use crate::message::{Checkpoint, CheckpointId, Message};
use crate::output::Output;
use crate::record::Record;
use crate::{Digest, ReplicaId, SeqNum};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// How many CHECKPOINTs beyond the window are remembered of one sender.
const BEYOND_WINDOW_MAX: usize = 2;

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

    /// Signs and sends one's own CHECKPOINT; one signed before a restart is sent as it was.
    pub(super) fn send_checkpoint(&mut self, step: &mut Step<'_>, seq: SeqNum, id: CheckpointId) {
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

    /// A CHECKPOINT counts iff it is its signer's first for a number above the low water mark
    /// [CP2]. Beyond the high water mark few of each signer are kept, for they may say that this
    /// replica is behind [CP6].
    pub(super) fn on_checkpoint(
        &mut self,
        step: &mut Step<'_>,
        checkpoint: Signed<Checkpoint>,
    ) -> Result<(), Reject> {
        let Checkpoint { seq, id, replica } = checkpoint.body;
        if seq <= self.low_water_mark {
            return Err(Reject::Stale);
        }
        let of_seq = self.checkpoints.entry(seq).or_default();
        if let Some(first) = of_seq.get(&replica) {
            let same = first.body.id == id;
            return Err(if same { Reject::Duplicate } else { Reject::Contradiction });
        }
        of_seq.insert(replica, checkpoint);
        if seq > self.high_water_mark() {
            self.forget_lowest_beyond_window(replica);
        }
        self.check_divergence(step, seq);
        self.try_stable(step, seq);
        self.consider_transfer(step);
        Ok(())
    }

    fn forget_lowest_beyond_window(&mut self, replica: ReplicaId) {
        let beyond: Vec<SeqNum> = self
            .checkpoints
            .range(self.high_water_mark().next()..)
            .filter(|(_, of_seq)| of_seq.contains_key(&replica))
            .map(|(seq, _)| *seq)
            .collect();
        if beyond.len() > BEYOND_WINDOW_MAX
            && let Some(lowest) = beyond.first()
            && let Some(of_seq) = self.checkpoints.get_mut(lowest)
        {
            of_seq.remove(&replica);
            if of_seq.is_empty() {
                self.checkpoints.remove(lowest);
            }
        }
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

    /// Stable: a quorum of CHECKPOINTs, one's own among them, for one state [CP3].
    fn try_stable(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let Some(id) = self.own_checkpoints.get(&seq).copied() else {
            return;
        };
        let votes = self.checkpoint_votes(seq).get(&id).copied().unwrap_or(0);
        if self.halted.is_none() && votes >= self.config.quorums.quorum() {
            self.advance_low_water_mark(step, seq, id);
            self.try_propose(step);
        }
    }

    /// Moves the window up to a checkpoint that this replica holds, and forgets what it covers
    /// [CP8].
    pub(super) fn advance_low_water_mark(
        &mut self,
        step: &mut Step<'_>,
        seq: SeqNum,
        id: CheckpointId,
    ) {
        let proof: Vec<Signed<Checkpoint>> = self
            .checkpoints
            .get(&seq)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|signed| signed.body.id == id)
            .copied()
            .collect();
        self.persist(step, Record::Stable { seq, id, proof });
        self.forget_up_to(seq, id);
        step.event(Event::CheckpointStable { seq, id });
        step.outputs.push(Output::Stable { seq, id });
    }

    /// Drops everything at or below a number that a checkpoint covers.
    pub(super) fn forget_up_to(&mut self, seq: SeqNum, id: CheckpointId) {
        self.low_water_mark = seq;
        let first_kept = seq.next();
        self.slots = self.slots.split_off(&first_kept);
        self.prepared = self.prepared.split_off(&first_kept);
        self.pre_prepared = self.pre_prepared.split_off(&first_kept);
        self.signed_pre_prepares = self.signed_pre_prepares.split_off(&first_kept);
        self.early_pre_prepares = self.early_pre_prepares.split_off(&first_kept);
        self.checkpoints = self.checkpoints.split_off(&first_kept);
        self.own_checkpoints = self.own_checkpoints.split_off(&seq);
        self.own_checkpoints.insert(seq, id);
        self.own_signed = self.own_signed.split_off(&seq);
        self.last_assigned = self.last_assigned.max(seq);
        self.forget_unused_batches();
    }

    /// A batch is kept as long as the log, P, Q or a replay refers to it.
    fn forget_unused_batches(&mut self) {
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
