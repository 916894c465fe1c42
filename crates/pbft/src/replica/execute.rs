//! Execution in the order of sequence numbers, and replies (OSDI '99 sections 4.1 and 4.2).

use super::tentative::{Executing, Tentative, may_be_told_tentatively};
use super::{Replica, Step};
use crate::event::Event;
use crate::input::Execution;
use crate::message::Batch;
use crate::output::Output;
use crate::record::Record;
use crate::rejoin::Rejoined;
use crate::{Digest, ReplicaId, SeqNum, WallTime};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Who was told of a batch before it was committed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nobody,
    /// Those who may be: see [`may_be_told_tentatively`].
    Tentatively,
}

impl Replica {
    /// Executes the next number if it is committed and its batch is held [EX1], or if it has
    /// prepared [TE1]. One at a time: the answer calls this again.
    pub(super) fn try_execute(&mut self, step: &mut Step<'_>) {
        if self.executing.is_some() || self.transfer.is_some() || self.halted.is_some() {
            return;
        }
        let seq = self.last_executed.next();
        match self.committed_digest(seq) {
            Some(digest) => self.execute_committed(step, seq, digest),
            None => self.try_execute_tentatively(step, seq),
        }
    }

    fn execute_committed(&mut self, step: &mut Step<'_>, seq: SeqNum, digest: Digest) {
        if self.awaited_tentatively().is_some_and(|other| other != digest) {
            self.roll_back(step);
        }
        if !self.has_batch(digest) {
            return;
        }
        let after = self.mark_committed(step, seq, digest);
        self.executed_after = self.executed_after.max(after);
        let batch = self.batches.get(&digest).map(Arc::clone);
        let time = batch.as_ref().map(|batch| batch.time).unwrap_or_default();
        self.note_agreed_time(time);
        if let Some(Tentative { executions, rejoined, .. }) = self.tentative.take() {
            step.outputs.push(Output::Settled { seq });
            return self.finish_execution(step, seq, executions, rejoined, Told::Tentatively);
        }
        self.executing = Some(Executing::Committed);
        step.outputs.push(Output::Execute { seq, digest, batch, tentative: false });
    }

    pub(super) fn note_agreed_time(&mut self, time: WallTime) {
        self.agreed_time = self.agreed_time.max(time);
        self.latest_batch_time = self.latest_batch_time.max(time);
    }

    fn committed_digest(&self, seq: SeqNum) -> Option<Digest> {
        let in_log = self.slots.get(&seq).and_then(|slot| slot.committed);
        in_log.or_else(|| self.replay.get(&seq).copied())
    }

    /// Persists the COMMITTED mark, and says what a reply must wait for: the P entry of this
    /// digest, if there is one, else the mark [EX4].
    fn mark_committed(
        &mut self,
        step: &mut Step<'_>,
        seq: SeqNum,
        digest: Digest,
    ) -> crate::Position {
        if seq <= self.replay_until {
            return crate::Position::ZERO;
        }
        let marked_at = self.persist(step, Record::Committed { seq, digest });
        let prepared_at = self.slots.get(&seq).and_then(|slot| {
            let proposal = slot.proposal.as_ref()?;
            if proposal.digest == digest { slot.prepared_at } else { None }
        });
        prepared_at.unwrap_or(marked_at)
    }

    /// The host executed a batch.
    pub(super) fn on_executed(
        &mut self,
        step: &mut Step<'_>,
        seq: SeqNum,
        executions: Vec<Execution>,
        rejoined: Vec<(ReplicaId, Rejoined)>,
    ) {
        let asked = self.executing.take();
        assert!(asked.is_some() && seq == self.last_executed.next(), "the host answers in order");
        match asked {
            Some(Executing::Tentatively(digest)) => {
                let tentative = Tentative { digest, executions, rejoined };
                self.on_executed_tentatively(step, tentative);
            }
            Some(Executing::InVain) => self.try_execute(step),
            _ => self.finish_execution(step, seq, executions, rejoined, Told::Nobody),
        }
    }

    /// A batch was executed and is committed: answer the clients that were not told, note their
    /// windows, take a checkpoint when one is due, and go on [EX2] [EX3].
    fn finish_execution(
        &mut self,
        step: &mut Step<'_>,
        seq: SeqNum,
        executions: Vec<Execution>,
        rejoined: Vec<(ReplicaId, Rejoined)>,
        told: Told,
    ) {
        self.last_executed = seq;
        self.behind_since = self.behind_since.map(|_| step.now.monotonic);
        let digest = self.committed_digest(seq).unwrap_or(Batch::NULL);
        for rejoin in self.batches.get(&digest).iter().flat_map(|batch| &batch.rejoins) {
            self.rejoin_queue.forget_proposal(rejoin.signer);
        }
        // All at once: to look for the batches of each number would cost its square.
        if self.replay.remove(&seq).is_some() && self.replay.is_empty() {
            self.forget_unused_batches();
        }
        step.event(Event::Executed { seq, digest, requests: executions.len() });
        let replaying = seq <= self.replay_until;
        let certainty = self.certainty_of(seq, digest);
        let answers = !replaying && self.admission.is_admitted();
        for execution in executions {
            let Execution { client, session, timestamp, outcome, replier, window } = execution;
            self.requests.remove(&(client, session, timestamp));
            self.clients.insert(client, window);
            self.drop_settled_requests(client);
            let is_answered =
                told == Told::Tentatively && outcome.as_ref().is_some_and(may_be_told_tentatively);
            if let (Some(outcome), true, false) = (outcome, answers, is_answered) {
                step.outputs.push(Output::Reply {
                    client,
                    session,
                    timestamp,
                    view: self.view,
                    certainty,
                    outcome: Some(outcome),
                    replier,
                    after: self.executed_after,
                });
            }
        }
        if self.config.is_checkpoint(seq) {
            step.outputs.push(Output::TakeCheckpoint { seq });
        }
        if !replaying {
            self.note_progress(step.now.monotonic);
        }
        self.note_rejoined(step, rejoined, replaying);
        if self.halted.is_some() {
            return;
        }
        self.answer_waiting_reads(step);
        self.try_execute(step);
        self.try_propose(step);
    }
}
