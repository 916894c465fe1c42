//! What a client reads without having it ordered [RO1].

use super::{Client, ClientOutput, Completion, OPERATION_OVERHEAD_BYTES, OperationId};
use super::{REQUEST_OVERHEAD_BYTES, SessionState, SubmitError};
use crate::message::{Message, Operation, Read, ReadReply};
use crate::quorum::Quorums;
use crate::wire::ReadReplyHead;
use crate::{Reading, ReplicaId, SeqNum, Time};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where to read again what replicas did not agree on: they answer once they have executed this
/// number, and the highest revision among a quorum of them was this one.
///
/// Every write that was acknowledged before the first reading began is at or below both, since any
/// quorum contains a correct replica that has executed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadAgain {
    /// A number that the last of a quorum has executed.
    pub not_before: SeqNum,
    /// The revision of the service there.
    pub revision: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    last_number: u64,
    queue: VecDeque<(OperationId, SeqNum, Operation)>,
    outstanding: BTreeMap<u64, Outstanding>,
}

/// One READ. **Invariant:** at least one of its operations is not done.
#[derive(Clone, Debug)]
struct Outstanding {
    /// `None` once it is done.
    operations: Vec<Option<OperationId>>,
    gives_up_at: Time,
    /// The first answer of each replica.
    replies: BTreeMap<ReplicaId, ReadReply>,
}

impl Reads {
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn unfinished(&self) -> usize {
        let sent = self.outstanding.values().flat_map(|sent| &sent.operations);
        self.queue.len() + sent.flatten().count()
    }

    pub(super) fn cancel(&mut self, operation: OperationId) -> bool {
        let place = self.queue.iter().position(|(id, ..)| *id == operation);
        place.and_then(|place| self.queue.remove(place)).is_some()
    }

    pub(super) fn drain_queue(&mut self) -> impl Iterator<Item = OperationId> + '_ {
        self.queue.drain(..).map(|(id, ..)| id)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.outstanding.values().map(|sent| sent.gives_up_at).min()
    }

    /// Operations for one READ: those that wait for the same number.
    fn take_next(
        &mut self,
        count_max: usize,
        bytes_max: usize,
    ) -> Option<(SeqNum, Vec<OperationId>, Vec<Operation>)> {
        let (_, not_before, _) = *self.queue.front()?;
        let (mut room, mut ids, mut operations) = (bytes_max, Vec::new(), Vec::new());
        while operations.len() < count_max
            && let Some((_, waits_for, next)) = self.queue.front()
            && *waits_for == not_before
            && let Some(left) = room.checked_sub(next.body.len() + OPERATION_OVERHEAD_BYTES)
            && let Some((id, _, operation)) = self.queue.pop_front()
        {
            room = left;
            ids.push(id);
            operations.push(operation);
        }
        Some((not_before, ids, operations))
    }
}

impl Outstanding {
    fn add(&mut self, from: ReplicaId, reply: ReadReply) {
        if reply.readings.len() <= self.operations.len() {
            self.replies.entry(from).or_insert(reply);
        }
    }

    /// What the answers so far decide about one of the operations.
    fn verdict(&self, place: usize, quorums: Quorums) -> Option<Completion> {
        let readings: Vec<&Reading> =
            self.replies.values().filter_map(|reply| reply.readings.get(place)?.as_ref()).collect();
        let mut best = 0;
        for one in &readings {
            let equal = readings.iter().filter(|other| other.content == one.content);
            let mut revisions: Vec<u64> = equal.map(|other| other.revision).collect();
            if revisions.len() >= quorums.quorum() {
                revisions.sort_unstable();
                // One of those at or below it is a correct replica's, and one at or above it.
                let revision = revisions.get(quorums.weak() - 1).copied().unwrap_or_default();
                let content = one.content.clone();
                return Some(Completion::Read(Reading { content, revision }));
            }
            best = best.max(revisions.len());
        }
        let silent = quorums.replica_count() as usize - self.replies.len();
        (best + silent < quorums.quorum()).then(|| self.not_agreed(place, quorums))
    }

    fn not_agreed(&self, place: usize, quorums: Quorums) -> Completion {
        let quorum = quorums.quorum();
        // Of more answers than a quorum the lowest ones: liars may have said any number.
        let highest_of_lowest = |mut all: Vec<u64>| {
            all.sort_unstable();
            all.get(quorum - 1).copied()
        };
        let executed = self.replies.values().map(|reply| reply.executed.get()).collect();
        let readings =
            self.replies.values().filter_map(|reply| reply.readings.get(place)?.as_ref());
        let revisions = readings.map(|reading| reading.revision).collect();
        let again = highest_of_lowest(executed).zip(highest_of_lowest(revisions));
        Completion::NotAgreed(again.map(|(not_before, revision)| ReadAgain {
            not_before: SeqNum::new(not_before),
            revision,
        }))
    }
}

impl Client {
    /// Takes an operation that changes nothing, to be answered by each replica from what it has
    /// executed, and not before `not_before` is. Nothing is sent before [`Client::flush`].
    ///
    /// It completes with [`Completion::Read`] or [`Completion::NotAgreed`]; then read again as that
    /// says, or [submit](Client::submit) the operation to have it ordered [RO5].
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn read(
        &mut self,
        operation: Operation,
        not_before: SeqNum,
    ) -> Result<OperationId, SubmitError> {
        let id = self.accept(&operation)?;
        self.reads.queue.push_back((id, not_before, operation));
        Ok(id)
    }

    /// An answer to READ arrived over the link of `from`.
    pub fn on_read_reply(
        &mut self,
        now: Time,
        from: ReplicaId,
        reply: ReadReply,
        outputs: &mut Vec<ClientOutput>,
    ) {
        let (number, quorums) = (reply.number, self.config.quorums);
        if from.get() >= self.config.replica_count() || reply.session != self.session {
            return;
        }
        let Some(outstanding) = self.reads.outstanding.get_mut(&number) else { return };
        outstanding.add(from, reply);
        for place in 0..outstanding.operations.len() {
            if let Some(operation) = outstanding.operations[place]
                && let Some(completion) = outstanding.verdict(place, quorums)
            {
                outstanding.operations[place] = None;
                outputs.push(ClientOutput::Completed(operation, completion));
            }
        }
        if outstanding.operations.iter().all(Option::is_none) {
            self.reads.outstanding.remove(&number);
        }
        self.flush(now, outputs);
    }

    /// Whether an answer to READ of `from` that begins like this can matter.
    pub(super) fn wants_reading(&self, from: ReplicaId, head: &ReadReplyHead) -> bool {
        let outstanding = self.reads.outstanding.get(&head.number);
        head.session == self.session
            && outstanding.is_some_and(|outstanding| !outstanding.replies.contains_key(&from))
    }

    /// Sends what waits to be read; in an open session only, since only then its number is this
    /// process's own.
    pub(super) fn flush_reads(&mut self, now: Time, outputs: &mut Vec<ClientOutput>) {
        let limits = &self.config.parameters;
        let bytes_max = limits.request_bytes_max.saturating_sub(REQUEST_OVERHEAD_BYTES);
        while matches!(self.state, SessionState::Open)
            && (self.reads.outstanding.len() as u64) < self.parameters.outstanding_max
            && let Some((not_before, ids, operations)) =
                self.reads.take_next(limits.operations_per_request_max, bytes_max)
        {
            self.reads.last_number += 1;
            let number = self.reads.last_number;
            let read = Read { session: self.session, number, not_before, operations };
            outputs.push(ClientOutput::Send { only: None, message: Arc::new(Message::Read(read)) });
            let outstanding = Outstanding {
                operations: ids.into_iter().map(Some).collect(),
                gives_up_at: now.after(self.retransmit_after()),
                replies: BTreeMap::new(),
            };
            self.reads.outstanding.insert(number, outstanding);
        }
    }

    /// What was not answered in time is not read in one round.
    pub(super) fn give_up_reads(&mut self, now: Time, outputs: &mut Vec<ClientOutput>) {
        let quorums = self.config.quorums;
        let is_late = |_: &u64, sent: &mut Outstanding| sent.gives_up_at <= now;
        for (_, late) in self.reads.outstanding.extract_if(.., is_late) {
            for (place, operation) in late.operations.iter().enumerate() {
                let completed = |id| ClientOutput::Completed(id, late.not_agreed(place, quorums));
                outputs.extend(operation.map(completed));
            }
        }
    }
}

#[cfg(test)]
mod tests;
