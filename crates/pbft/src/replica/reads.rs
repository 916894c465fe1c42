//! Reads that are not ordered: the read-only optimization (OSDI '99 section 5.1.3).
//!
//! A replica answers from what it has executed, all of which is committed: while something is
//! executed tentatively, or may have been and was rolled back, nothing is read [TE5]. Whatever a
//! client was told, a quorum has executed, so of any quorum that answers a later READ at least one
//! correct replica shows it, and the client believes only what the whole quorum shows [RO2].

use super::{Replica, Step};
use crate::message::Read;
use crate::output::Output;
use crate::{ClientId, SeqNum, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// READs that wait for a number to be executed, at most [`READS_WAITING_MAX`] in
/// [`READS_WAITING_BYTES_MAX`], by that number and a count that tells equal ones apart.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitingReads {
    reads: BTreeMap<(SeqNum, u64), Waiting>,
    bytes: usize,
    count: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    client: ClientId,
    read: Read,
    gives_up_at: Time,
}

/// How many READs of all clients together wait.
const READS_WAITING_MAX: usize = 1024;
/// How many bytes of operations they may hold.
const READS_WAITING_BYTES_MAX: usize = 4 << 20;
/// How many of one client.
const READS_WAITING_PER_CLIENT_MAX: usize = 64;
/// How long one waits: much longer than correct replicas are apart, much shorter than a client's
/// patience.
const READ_PATIENCE: Duration = Duration::from_millis(50);
/// How long one waits for what was executed tentatively: longer, since that most often commits
/// after one more message delay, however long those are.
const READ_PATIENCE_TENTATIVE: Duration = Duration::from_millis(500);

impl WaitingReads {
    /// Adds one that waits until `seq` is executed, if there is room.
    fn push(&mut self, seq: SeqNum, client: ClientId, read: Read, gives_up_at: Time) {
        let bytes = byte_count(&read);
        let of_client = self.reads.values().filter(|waiting| waiting.client == client).count();
        if self.reads.len() >= READS_WAITING_MAX
            || of_client >= READS_WAITING_PER_CLIENT_MAX
            || self.bytes + bytes > READS_WAITING_BYTES_MAX
        {
            return;
        }
        self.bytes += bytes;
        self.count += 1;
        self.reads.insert((seq, self.count), Waiting { client, read, gives_up_at });
    }

    /// Takes the first one out whose number is executed.
    fn pop_executed(&mut self, last_executed: SeqNum) -> Option<(ClientId, Read)> {
        let entry = self.reads.first_entry().filter(|entry| entry.key().0 <= last_executed)?;
        let Waiting { client, read, .. } = entry.remove();
        self.bytes -= byte_count(&read);
        Some((client, read))
    }

    fn drop_expired(&mut self, now: Time) {
        self.reads.retain(|_, waiting| waiting.gives_up_at > now);
        self.bytes = self.reads.values().map(|waiting| byte_count(&waiting.read)).sum();
    }

    fn next_deadline(&self) -> Option<Time> {
        self.reads.values().map(|waiting| waiting.gives_up_at).min()
    }
}

fn byte_count(read: &Read) -> usize {
    read.operations.iter().map(|operation| operation.body.len()).sum()
}

impl Replica {
    /// READ: answered at once, or when the number that it names [RO3] and all that may have been
    /// shown, before a restart [RO4] or because it was executed tentatively [TE5], are executed and
    /// committed, if that is soon; or not at all.
    pub(super) fn on_read(&mut self, step: &mut Step<'_>, client: ClientId, read: Read) {
        let seq = read.not_before.max(self.shown_until);
        if seq <= self.last_executed {
            self.answer_read(step, client, read);
        } else {
            let is_there = read.not_before <= self.last_executed;
            let patience = if is_there { READ_PATIENCE_TENTATIVE } else { READ_PATIENCE };
            let gives_up_at = step.now.monotonic.after(patience);
            self.waiting_reads.push(seq, client, read, gives_up_at);
            self.timers.reads = self.waiting_reads.next_deadline();
        }
    }

    /// A replica shows its state only while its peers know that it is itself [RO4].
    fn answer_read(&mut self, step: &mut Step<'_>, client: ClientId, read: Read) {
        if self.admission.is_admitted() {
            step.outputs.push(Output::Read { client, read, after: self.executed_after });
        }
    }

    pub(super) fn answer_waiting_reads(&mut self, step: &mut Step<'_>) {
        let mut ready = Vec::new();
        while let Some(next) = self.waiting_reads.pop_executed(self.last_executed) {
            ready.push(next);
        }
        if !ready.is_empty() {
            self.timers.reads = self.waiting_reads.next_deadline();
        }
        for (client, read) in ready {
            self.answer_read(step, client, read);
        }
    }

    pub(super) fn drop_expired_reads(&mut self, now: Time) {
        self.waiting_reads.drop_expired(now);
        self.timers.reads = self.waiting_reads.next_deadline();
    }
}
