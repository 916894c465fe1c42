//! What a correct replica holds in memory is bounded by n, its parameters and the number of clients,
//! whatever the others do, and whatever its disk does.
//!
//! Beside counts of one for each number of the window, each replica or each client:
//!
//! - Each number of the log keeps at most four batches: what is proposed, what is committed, and what
//!   P and Q name; a restart has executed the others again before it does anything else. No batch is
//!   longer than `batch_bytes_max`, or than `request_bytes_max` if it carries one request.
//! - Outlines are kept one for each number, and together they come with requests of no more bytes than
//!   a primary has in flight at most. For each client and backup the primary keeps when that backup
//!   had to ask for its requests.
//! - A client's window is `client_window` wide, and one request more may wait to open a session.
//! - CHECKPOINTs are kept of n replicas at the L/K checkpoints of the window, one's own checkpoints
//!   there, at its beginning, and one that was fetched beyond it.
//! - Of one view, n VIEW-CHANGEs are kept and one NEW-VIEW, and up to 2L that contradict it; of later
//!   views n VIEW-CHANGEs.
//! - 8 proofs of later checkpoints, 1024 lies and 65536 messages that wait for the disk are kept.

use super::{Checker, Observation};
use pbft::{Held, Parameters};

/// Proofs of stable checkpoints whose state is still to come.
const PROOFS_COUNT_MAX: usize = 8;

/// Lies remembered so as not to report them again.
const EVIDENCE_COUNT_MAX: usize = 1024;

/// Messages that wait for the disk.
const HELD_MESSAGES_MAX: usize = 65_536;

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) replica_count: usize,
    pub(super) client_count: usize,
    pub(super) parameters: Parameters,
}

impl Checker for Memory {
    fn property(&self) -> &'static str {
        "bounded memory"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Holds { at, held, messages } = observation else { return Ok(()) };
        let too_many = self.bounds(held, *messages).into_iter().find(|(_, held, max)| held > max);
        match too_many {
            None => Ok(()),
            Some((what, held, max)) => {
                Err(format!("replica {at} holds {held} {what}, more than {max}"))
            }
        }
    }
}

impl Memory {
    /// What is held, how much of it, and how much that may be.
    fn bounds(&self, held: &Held, messages: usize) -> [(&'static str, usize, usize); 22] {
        let n = self.replica_count;
        let p = &self.parameters;
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let window = size(p.log_window);
        let checkpoints = size(p.log_window / p.checkpoint_period);
        let batch_bytes_max = p.batch_bytes_max.max(p.request_bytes_max);
        let replies = self.client_count * size(p.client_window);
        [
            ("slots", held.slots, window),
            ("entries of P", held.prepared, window),
            ("entries of Q", held.pre_prepared, window),
            ("early PRE-PREPAREs", held.early_pre_prepares, window),
            ("outlines", held.outlines, window),
            (
                "bytes of outlines",
                held.outline_bytes,
                size(p.instances_in_flight_max) * p.batch_bytes_max,
            ),
            ("those whose requests were asked for", held.asked_whole, self.client_count * n),
            ("signed PRE-PREPAREs", held.signed_pre_prepares, window),
            ("batches", held.batches, 4 * window),
            ("bytes of batches", held.batch_bytes, held.batches * batch_bytes_max),
            ("batches kept for others", held.past, window),
            ("bytes of those", held.past_bytes, p.log_bytes_max / 4),
            // One share for what comes from the client, and one for what replicas relay.
            ("waiting requests", held.waiting_requests, 2 * (replies + self.client_count)),
            ("bytes of waiting requests", held.waiting_bytes, p.waiting_bytes_max),
            ("VIEW-CHANGEs", held.view_changes, 2 * n),
            ("NEW-VIEWs", held.new_views, 2 * window + 1),
            ("CHECKPOINTs", held.checkpoints, checkpoints * n),
            ("own checkpoints", held.own_checkpoints, checkpoints + 2),
            ("proofs of checkpoints", held.proofs_ahead, PROOFS_COUNT_MAX),
            ("replies", held.replies, replies),
            ("reported lies", held.evidence, EVIDENCE_COUNT_MAX),
            ("messages that wait for the disk", messages, HELD_MESSAGES_MAX),
        ]
    }
}
