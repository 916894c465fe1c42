//! What a replica makes durable, in its own order: the content of the journal. A replica that
//! starts again is rebuilt from these records and the last durable snapshot; table *Durable before
//! it is sent* in `docs/protocol.md` says which record must precede which message.

use crate::auth::Signed;
use crate::message::{
    Batch, BootId, Checkpoint, CheckpointId, NewViewProof, PrePrepare, StableProof, Start,
    ViewChange,
};
use crate::{Digest, Incarnation, ReplicaId, SeqNum};
use alloc::sync::Arc;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// One durable fact. The order of the variants is part of the journal's format.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Record {
    /// This replica started. Before its HELLO.
    Boot {
        /// How many starts this disk has seen, this one included.
        counter: u64,
        /// Which start this is.
        boot_id: BootId,
        /// How often it has rejoined.
        incarnation: Incarnation,
    },
    /// What is remembered of a peer's starts has changed. Before the answer to its HELLO.
    PeerStarts {
        /// The peer.
        replica: ReplicaId,
        /// Those in which it may have taken part, of its latest incarnation, in ascending order.
        starts: Vec<Signed<Start>>,
    },
    /// The body of a batch. Before the PRE-PREPARE or PREPARE that names it.
    Batch(Arc<Batch>),
    /// A Q entry: this digest pre-prepared here. Before the PRE-PREPARE or PREPARE.
    PrePrepared {
        /// The entry's number, digest and view.
        entry: PrePrepare,
        /// The primary's signed message; `None` when a NEW-VIEW chose the digest.
        signed: Option<Signed<PrePrepare>>,
    },
    /// A P entry: this digest prepared here. Before the COMMIT.
    Prepared(PrePrepare),
    /// This digest is committed-local here. Before a reply that no P entry covers.
    Committed {
        /// The number.
        seq: SeqNum,
        /// The digest.
        digest: Digest,
    },
    /// This replica's CHECKPOINT. Before it is sent.
    Checkpoint(Signed<Checkpoint>),
    /// A checkpoint became stable here: everything up to it may be forgotten.
    Stable {
        /// The new low water mark.
        seq: SeqNum,
        /// The state there.
        id: CheckpointId,
        /// The CHECKPOINTs that prove it; none for the state before the first batch.
        proof: StableProof,
    },
    /// The VIEW-CHANGE by which this replica left every lower view. Before it is sent.
    ViewChange(Arc<Signed<ViewChange>>),
    /// A NEW-VIEW judged to be justified. Before it is sent, and before the first vote in its
    /// view.
    NewView(Arc<NewViewProof>),
    /// The state at this checkpoint was fetched and is durable. Before any vote based on it.
    StateInstalled {
        /// The checkpoint.
        seq: SeqNum,
        /// The state there.
        id: CheckpointId,
    },
    /// This memory takes the place of one that was lost: the replica promises nothing until it has
    /// rejoined. Before its REJOIN.
    Amnesiac,
    /// The replica has rejoined, as this incarnation. Before its first vote.
    Rejoined(Incarnation),
}

impl Record {
    /// The bytes that go into the journal.
    pub fn encode(&self) -> Vec<u8> {
        crate::message::encode(self)
    }

    /// The record in these bytes; `None` if they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Self::try_from_slice(bytes).ok()
    }
}
