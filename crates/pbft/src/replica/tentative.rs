//! Tentative execution (OSDI '99 section 5.1.2, TOCS 2002 section 5.1.2): a batch is executed as
//! soon as it has prepared and everything before it is committed, and its clients are answered one
//! message delay earlier.
//!
//! To everything but these answers it was not executed yet. Only when the same batch commits does
//! [`Replica::finish_execution`] draw the consequences, and until then it can be rolled back.

use super::{Replica, RequestKey, Step};
use crate::event::Event;
use crate::input::Execution;
use crate::message::{Certainty, Outcome};
use crate::output::Output;
use crate::rejoin::Rejoined;
use crate::{Digest, Position, ReplicaId, SeqNum};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What an `Execute` that waits for its answer was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Executing {
    /// A batch that is committed.
    Committed,
    /// One with this digest that has prepared.
    Tentatively(Digest),
    /// One that was rolled back meanwhile.
    InVain,
}

/// Whether a client is told so before it is committed. That its session is open it is not: a replica
/// at which that is not committed drops what is sent in it.
pub(super) fn may_be_told_tentatively(outcome: &Outcome) -> bool {
    *outcome != Outcome::SessionOpened
}

/// A batch that was executed tentatively.
#[derive(Clone, Debug)]
pub(super) struct Tentative {
    pub(super) digest: Digest,
    pub(super) executions: Vec<Execution>,
    pub(super) rejoined: Vec<(ReplicaId, Rejoined)>,
}

impl Replica {
    /// Executes the next number tentatively if it has prepared here in the view in which this
    /// replica is active [TE1]. What has no requests leaves nobody waiting for an answer.
    pub(super) fn try_execute_tentatively(&mut self, step: &mut Step<'_>, seq: SeqNum) {
        let is_offered = self.config.parameters.tentative_execution;
        if !is_offered || !self.active || self.tentative.is_some() {
            return;
        }
        let Some((digest, _)) = self.prepared_here(seq) else { return };
        let Some(batch) = self.batches.get(&digest).filter(|batch| !batch.requests.is_empty())
        else {
            return;
        };
        let (batch, requests) = (Some(Arc::clone(batch)), batch.requests.len());
        self.executing = Some(Executing::Tentatively(digest));
        // Its clients may take what they are told for done, whether it is rolled back or not: then
        // another view commits it [TE5].
        self.shown_until = self.shown_until.max(seq);
        step.outputs.push(Output::Execute { seq, digest, batch, tentative: true });
        step.event(Event::ExecutedTentatively { view: self.view, seq, digest, requests });
    }

    /// The host executed the batch: answer its clients, and nothing else [TE2].
    pub(super) fn on_executed_tentatively(&mut self, step: &mut Step<'_>, tentative: Tentative) {
        for execution in &tentative.executions {
            self.reply_tentatively(step, execution, execution.replier);
        }
        self.tentative = Some(tentative);
        self.try_execute(step);
    }

    /// A request came again whose answer may have been lost: it is answered in full [DR3].
    pub(super) fn answer_tentatively(&mut self, step: &mut Step<'_>, key: &RequestKey) {
        let executions = self.tentative.iter().flat_map(|tentative| &tentative.executions);
        let of_key = |it: &&Execution| (it.client, it.session, it.timestamp) == *key;
        if let Some(execution) = executions.clone().find(of_key).cloned() {
            self.reply_tentatively(step, &execution, None);
        }
    }

    /// A tentative answer counts towards what a client believes, so it waits for the P entry, and
    /// for whatever a committed one waits for [TE3].
    fn reply_tentatively(
        &self,
        step: &mut Step<'_>,
        execution: &Execution,
        replier: Option<ReplicaId>,
    ) {
        let Execution { client, session, timestamp, outcome, .. } = execution;
        let Some(outcome) = outcome.as_ref().filter(|outcome| may_be_told_tentatively(outcome))
        else {
            return;
        };
        let prepared = self.prepared_here(self.last_executed.next());
        let prepared_at = prepared.map_or(self.position, |(_, position)| position);
        step.outputs.push(Output::Reply {
            client: *client,
            session: *session,
            timestamp: *timestamp,
            view: self.view,
            certainty: Certainty::Tentative,
            outcome: Some(outcome.clone()),
            replier,
            after: self.executed_after.max(prepared_at),
        });
    }

    /// Undoes what was executed tentatively, if anything was, because it may not be what commits
    /// [TE4].
    pub(super) fn roll_back(&mut self, step: &mut Step<'_>) {
        if self.awaited_tentatively().is_none() {
            return;
        }
        if self.tentative.take().is_none() {
            self.executing = Some(Executing::InVain);
        }
        let seq = self.last_executed.next();
        step.outputs.push(Output::RollBack { seq });
        step.event(Event::RolledBack { seq });
    }

    /// The digest of what is executed tentatively, or about to be.
    pub(super) fn awaited_tentatively(&self) -> Option<Digest> {
        match (&self.tentative, self.executing) {
            (Some(tentative), _) => Some(tentative.digest),
            (None, Some(Executing::Tentatively(digest))) => Some(digest),
            _ => None,
        }
    }

    /// Whether nothing that is known here speaks against the next number's being committed with
    /// this digest.
    pub(super) fn may_commit_next(&self, digest: Digest) -> bool {
        let prepared = self.prepared_here(self.last_executed.next());
        self.active
            && self.transfer.is_none()
            && self.halted.is_none()
            && prepared.is_some_and(|(prepared, _)| prepared == digest)
    }

    /// What to say of a committed batch with an answer: whether it goes together with tentative ones
    /// of this view [TE6].
    pub(super) fn certainty_of(&self, seq: SeqNum, digest: Digest) -> Certainty {
        let has_prepared =
            || self.prepared_here(seq).is_some_and(|(prepared, _)| prepared == digest);
        let is_certified = || {
            let quorum = self.config.quorums.quorum();
            let slot = self.slots.get(&seq);
            slot.is_some_and(|slot| slot.commit_count(self.view, digest) >= quorum)
        };
        let is_offered = self.config.parameters.tentative_execution;
        if is_offered && self.active && (has_prepared() || is_certified()) {
            Certainty::CommittedInView
        } else {
            Certainty::Committed
        }
    }

    /// What prepared at a number in the current view, and where its P entry was made durable.
    fn prepared_here(&self, seq: SeqNum) -> Option<(Digest, Position)> {
        let slot = self.slots.get(&seq)?;
        Some((slot.proposal.as_ref()?.digest, slot.prepared_at?))
    }
}
