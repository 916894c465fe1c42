//! Catching up past the window: deciding when a replica cannot catch up by the log any more, and
//! what state to fetch instead (TOCS 2002 section 5.3). The fetching itself is the host's, part by
//! digest-verified part.

use super::{Replica, Step};
use crate::Time;
use crate::event::Event;
use crate::input::StateMirror;
use crate::message::{CheckpointId, StableProof};
use crate::output::Output;
use crate::record::Record;
use crate::{ClientId, SeqNum};
use alloc::vec::Vec;

/// So many proofs of stable checkpoints beyond the window are kept: those of the states that may
/// still arrive.
const PROOFS_AHEAD_MAX: usize = 8;

/// A fetch of state under way.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    /// The latest checkpoint that the host was asked for. It may first fetch an earlier one [CU3].
    pub(super) seq: SeqNum,
}

impl Replica {
    /// Keeps the proof of a stable checkpoint beyond the window until its state is here.
    pub(super) fn note_proof_ahead(&mut self, proof: StableProof) {
        let Some(seq) = proof.first().map(|signed| signed.body.seq) else {
            return;
        };
        self.proofs_ahead.entry(seq).or_insert(proof);
        if self.proofs_ahead.len() > PROOFS_AHEAD_MAX {
            self.proofs_ahead.pop_first();
        }
    }

    /// The highest checkpoint beyond what was executed here whose state is right: one that is
    /// proved stable, or one inside the window that f+1 replicas signed, hence a correct one.
    fn checkpoint_ahead(&self) -> Option<(SeqNum, CheckpointId)> {
        let proved = self.proofs_ahead.values().next_back().and_then(|proof| proof.first());
        if let Some(body) = proved.map(|signed| signed.body).filter(|b| b.seq > self.last_executed)
        {
            return Some((body.seq, body.id));
        }
        let weak = self.config.quorums.weak();
        self.checkpoints.range(self.last_executed.next()..).rev().find_map(|(seq, _)| {
            let votes = self.checkpoint_votes(*seq);
            votes.into_iter().find(|(_, count)| *count >= weak).map(|(id, _)| (*seq, id))
        })
    }

    /// Fetches the state when the others are a checkpoint ahead and the log does not help: at once
    /// when the checkpoint is beyond the window, else when there was no progress for a while
    /// [CU1].
    pub(super) fn consider_transfer(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        let Some((seq, id)) = self.checkpoint_ahead() else {
            self.behind_since = None;
            return self.consider_caught_up(now);
        };
        self.start_catching_up(now);
        let patience = self.config.parameters.state_transfer_patience;
        if self.transfer.is_some() {
            return self.fetch_state(step, seq, id);
        }
        let since = *self.behind_since.get_or_insert(now);
        if seq > self.high_water_mark() || now.since(since) >= patience {
            self.fetch_state(step, seq, id);
        } else if now.since(since) >= self.config.parameters.status_interval / 2 {
            self.hasten_status(now);
        }
    }

    /// From here on until it has caught up this replica does not judge the primary [TM4].
    fn start_catching_up(&mut self, now: Time) {
        self.catching_up = true;
        self.timers.halt_request_timer(now);
    }

    /// Judges the primary again, unless state is fetched or f+1 CHECKPOINTs say that others are
    /// ahead [TM4].
    pub(super) fn consider_caught_up(&mut self, now: Time) {
        if self.catching_up && self.transfer.is_none() && self.checkpoint_ahead().is_none() {
            self.catching_up = false;
            self.timers.resume_request_timer(now, self.patience());
        }
    }

    pub(super) fn fetch_state(&mut self, step: &mut Step<'_>, seq: SeqNum, id: CheckpointId) {
        let now = step.now.monotonic;
        if self.transfer.as_ref().is_some_and(|transfer| transfer.seq >= seq) {
            return;
        }
        self.start_catching_up(now);
        self.roll_back(step);
        self.transfer = Some(Transfer { seq });
        step.event(Event::StateTransferStarted { seq });
        step.outputs.push(Output::FetchState { seq, id });
    }

    /// The fetched state is verified, installed and durable: go on from it [CU2].
    pub(super) fn on_state_installed(
        &mut self,
        step: &mut Step<'_>,
        (seq, id): (SeqNum, CheckpointId),
        state: StateMirror,
    ) {
        // A state that was overtaken while it was made durable is a step ahead all the same: if it
        // were refused, a replica whose disk is slower than the others' progress would never
        // catch up.
        let expected = self.transfer.as_ref().is_some_and(|t| seq <= t.seq);
        if !expected {
            return;
        }
        self.transfer = None;
        self.behind_since = None;
        if seq <= self.last_executed {
            // The batch that was being executed when the fetch began led to this very state.
            self.consider_caught_up(step.now.monotonic);
            self.try_activate(step);
            return self.try_execute(step);
        }
        self.last_executed = seq;
        self.executing = None;
        self.replay.clear();
        self.clients = state.clients.into_iter().collect();
        self.note_agreed_time(state.time);
        let position = self.persist(step, Record::StateInstalled { seq, id });
        self.executed_after = position;
        self.own_checkpoints.insert(seq, id);
        self.last_assigned = self.last_assigned.max(seq);
        step.event(Event::StateTransferred { seq });
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.drop_settled_requests(client);
        }
        self.note_rejoined(step, state.rejoined, false);
        if self.halted.is_some() {
            return;
        }
        self.send_checkpoint(step, seq, id);
        match self.proofs_ahead.remove(&seq) {
            Some(proof) => self.advance_low_water_mark(step, seq, id, proof),
            None => self.try_stable(step, seq),
        }
        self.try_activate(step);
        self.consider_request_timer(step.now.monotonic);
        self.hasten_status(step.now.monotonic);
        self.answer_waiting_reads(step);
        self.try_execute(step);
        self.consider_transfer(step);
    }
}
