//! State transfer, the server's side: hands out parts of checkpoints, within limits that keep one
//! peer from wearing this replica out.

use super::tree_part_id;
use crate::executor::CheckpointState;
use crate::tree::part::{PART_BYTES_MAX, PART_ID_BYTES_MAX};
use pbft::message::{CheckpointId, Rest, StatePart, StatePartRequest, StateParts};
use pbft::{Digest, Reject, ReplicaId, SeqNum, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many bytes of parts one request is answered with.
pub(super) const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// A message is closed once its parts come to so many bytes.
pub(super) const MESSAGE_BYTES_MIN: u64 = 64 << 10;

/// How many bytes of parts a peer is sent a second, in the long run. Of four replicas three serve the
/// fourth.
pub(super) const PEER_BYTES_PER_SECOND_MAX: u64 = 64 << 20;

/// How many bytes a peer that was quiet may be sent at once, above that.
pub(super) const PEER_BURST_BYTES_MAX: u64 = 16 << 20;

/// Who has used up what it may be sent waits until it may be sent so many bytes.
const WAIT_BYTES: u64 = 2 * ANSWER_BYTES_MAX;

const BYTES_PER_MICRO: u64 = PEER_BYTES_PER_SECOND_MAX / 1_000_000;

/// What answering a request counts for beside the parts, in bytes.
const REQUEST_COST_BYTES: u64 = 64;

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
    /// It was told not to ask before this.
    waits_until: Option<Time>,
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
    ) -> Result<Vec<StateParts>, Reject> {
        if request.parts.iter().any(|part| part.path.len() > PART_ID_BYTES_MAX) {
            return Err(Reject::OverLimit);
        }
        let peer = self.peers.entry(from).or_insert(Peer {
            checkpoint: None,
            credit_bytes: PEER_BURST_BYTES_MAX,
            last_request: now,
            waits_until: None,
        });
        peer.refill(now);
        peer.hold(request.seq, request.state_root, retained);
        let nothing = |rest| vec![StateParts { seq: request.seq, parts: Vec::new(), rest }];
        if peer.credit_bytes < PART_BYTES_MAX as u64 {
            if peer.waits_until.is_some_and(|until| now < until) {
                return Err(Reject::TooOften);
            }
            let micros = WAIT_BYTES / BYTES_PER_MICRO;
            peer.waits_until = Some(now.after(Duration::from_micros(micros)));
            return Ok(nothing(Rest::Later { micros }));
        }
        peer.pay(REQUEST_COST_BYTES);
        let Some(state) = peer.held(request.seq, request.state_root) else {
            return Ok(nothing(Rest::NotHeld));
        };
        let (answer, bytes) = answer(&state, request, peer.credit_bytes);
        peer.pay(bytes);
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
        let refilled = micros * BYTES_PER_MICRO;
        self.credit_bytes = PEER_BURST_BYTES_MAX.min(self.credit_bytes + refilled);
        self.last_request = now;
    }

    fn pay(&mut self, bytes: u64) {
        self.credit_bytes = self.credit_bytes.saturating_sub(bytes);
    }

    /// Keeps the checkpoint for it, if it is here, in place of the one before.
    fn hold(
        &mut self,
        seq: SeqNum,
        state_root: Digest,
        retained: impl FnOnce(SeqNum) -> Option<(CheckpointState, CheckpointId)>,
    ) {
        if self.held(seq, state_root).is_none()
            && let Some(found) = retained(seq).filter(|(_, id)| id.state_root == state_root)
        {
            self.checkpoint = Some(found);
        }
    }

    fn held(&self, seq: SeqNum, state_root: Digest) -> Option<CheckpointState> {
        let (state, id) = self.checkpoint.as_ref()?;
        ((state.seq(), id.state_root) == (seq, state_root)).then(|| state.clone())
    }
}

/// The parts that were asked for, as many as may be sent, in messages of a bounded size; and what
/// sending them counts for. Even a part that is not here is work.
fn answer(
    state: &CheckpointState,
    request: StatePartRequest,
    credit_bytes: u64,
) -> (Vec<StateParts>, u64) {
    let seq = request.seq;
    let bytes_max = ANSWER_BYTES_MAX.min(credit_bytes);
    let message = |parts, rest| StateParts { seq, parts, rest };
    let (mut answer, mut parts, mut bytes, mut sent) = (Vec::new(), Vec::new(), 0, 0);
    for part in request.parts {
        if bytes + PART_BYTES_MAX as u64 > bytes_max {
            break;
        }
        if bytes - sent >= MESSAGE_BYTES_MIN {
            answer.push(message(std::mem::take(&mut parts), Rest::Follows));
            sent = bytes;
        }
        bytes += (64 + part.path.len()) as u64;
        if let Some(content) = tree_part_id(&part).and_then(|id| state.tree().part(&id)) {
            bytes += content.len() as u64;
            parts.push(StatePart { part, content });
        }
    }
    answer.push(message(parts, Rest::Nothing));
    (answer, bytes)
}
