//! State transfer, the server's side: hands out parts of checkpoints, within limits that keep one
//! peer from wearing this replica out.

use super::tree_part_id;
use crate::executor::CheckpointState;
use crate::tree::part::{PART_BYTES_MAX, PART_ID_BYTES_MAX};
use pbft::message::{CheckpointId, PartId, StatePart, StatePartRequest};
use pbft::{Reject, ReplicaId, SeqNum, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many bytes of parts one request is answered with.
pub(super) const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How many bytes of parts a peer is sent a second, in the long run.
pub(super) const PEER_BYTES_PER_SECOND_MAX: u64 = 32 << 20;

/// How many bytes a peer that was quiet may be sent at once, above that.
pub(super) const PEER_BURST_BYTES_MAX: u64 = 8 << 20;

/// How long a checkpoint is kept for a peer that fetches it and asks nothing more.
const LEASE: Duration = Duration::from_secs(30);

/// Serves state. What a peer is fetching is kept for it, although this replica has newer
/// checkpoints: one for each peer, until the peer turns to another one or asks no more. It costs
/// what differs from the newer state.
#[derive(Debug, Default)]
pub(crate) struct StateServer {
    peers: BTreeMap<ReplicaId, Peer>,
}

#[derive(Debug)]
struct Peer {
    checkpoint: Option<(CheckpointState, CheckpointId)>,
    /// The bytes it may be sent now.
    credit_bytes: u64,
    last_request: Time,
}

impl StateServer {
    /// Answers a request. `retained` is how this replica finds a checkpoint it holds.
    ///
    /// # Errors
    /// If the peer asks too often, or for what cannot be a part; it is not answered then.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        from: ReplicaId,
        request: StatePartRequest,
        retained: impl FnOnce(SeqNum) -> Option<(CheckpointState, CheckpointId)>,
    ) -> Result<Vec<StatePart>, Reject> {
        if request.parts.iter().any(|part| part.path.len() > PART_ID_BYTES_MAX) {
            return Err(Reject::OverLimit);
        }
        let peer = self.peers.entry(from).or_insert(Peer {
            checkpoint: None,
            credit_bytes: PEER_BURST_BYTES_MAX,
            last_request: now,
        });
        peer.refill(now);
        if peer.credit_bytes < PART_BYTES_MAX as u64 {
            return Err(Reject::TooOften);
        }
        let wanted = (request.seq, request.state_root);
        let held = peer.checkpoint.as_ref();
        if held.is_none_or(|(state, id)| (state.seq(), id.state_root) != wanted)
            && let Some(found) = retained(request.seq)
            && found.1.state_root == request.state_root
        {
            peer.checkpoint = Some(found);
        }
        let held = peer.checkpoint.as_ref();
        let held = held.filter(|(state, id)| (state.seq(), id.state_root) == wanted);
        let (mut answer, mut bytes) = (Vec::new(), 0);
        let bytes_max = ANSWER_BYTES_MAX.min(peer.credit_bytes);
        for part in request.parts {
            let content = held
                .filter(|_| bytes + PART_BYTES_MAX as u64 <= bytes_max)
                .and_then(|(state, _)| state.tree().part(&tree_part_id(&part)?));
            let is_last = content.is_none();
            bytes += cost(&part, content.as_deref());
            answer.push(StatePart { seq: request.seq, part, content });
            if is_last {
                break;
            }
        }
        peer.credit_bytes = peer.credit_bytes.saturating_sub(bytes);
        Ok(answer)
    }

    /// When [`expire`](Self::expire) has something to do at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.peers.values().map(|peer| peer.last_request.after(LEASE)).min()
    }

    /// Lets go of what is kept for peers that ask no more.
    pub(crate) fn expire(&mut self, now: Time) {
        self.peers.retain(|_, peer| now < peer.last_request.after(LEASE));
    }
}

impl Peer {
    fn refill(&mut self, now: Time) {
        let micros = now.since(self.last_request).min(LEASE).as_micros() as u64;
        let refilled = micros * (PEER_BYTES_PER_SECOND_MAX / 1_000_000);
        self.credit_bytes = PEER_BURST_BYTES_MAX.min(self.credit_bytes + refilled);
        self.last_request = now;
    }
}

/// What sending a part counts for: even a refusal is work.
fn cost(part: &PartId, content: Option<&[u8]>) -> u64 {
    (64 + part.path.len() + content.map_or(0, <[u8]>::len)) as u64
}
