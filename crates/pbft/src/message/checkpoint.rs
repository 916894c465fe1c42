//! CHECKPOINT (OSDI '99 section 4.3) and the transfer of state by digest-verified parts
//! (TOCS 2002 section 5.3).

use super::SignedBody;
use crate::auth::Signed;
use crate::{Digest, ReplicaId, SeqNum};
use alloc::sync::Arc;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// What the state is after a sequence number: two roots, one of the state tree, one of the log of
/// all batch digests from number 1 on.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
pub struct CheckpointId {
    /// Root of the authenticated state tree, client table and sessions included.
    pub state_root: Digest,
    /// Root of the Merkle log of batch digests.
    pub history_root: Digest,
}

/// CHECKPOINT: the sender's state after executing `seq`. Signed; not tied to a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// A multiple of the checkpoint period.
    pub seq: SeqNum,
    /// The state there.
    pub id: CheckpointId,
    /// Who signs.
    pub replica: ReplicaId,
}

impl SignedBody for Checkpoint {
    const CONTEXT: &'static str = "quorate pbft v1: CHECKPOINT";
}

/// CHECKPOINTs of a quorum for one state: the checkpoint is stable. Anybody can check it, so it
/// convinces whoever gets it from whomever.
pub type StableProof = Arc<Vec<Signed<Checkpoint>>>;

/// Names a part of the state tree: where it hangs and what it must hash to. The core treats it as
/// opaque; the state tree gives it meaning.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct PartId {
    /// The position in the tree, in the tree's own encoding.
    pub path: Vec<u8>,
    /// What the part must hash to.
    pub digest: Digest,
}

/// Asks for parts of the state at the checkpoint `seq`, and that the checkpoint be kept meanwhile;
/// without parts it asks for that alone.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StatePartRequest {
    /// The checkpoint the asking replica is fetching.
    pub seq: SeqNum,
    /// Its state root.
    pub state_root: Digest,
    /// The parts wanted, in the order of preference.
    pub parts: Vec<PartId>,
}

/// Parts of the state in answer to a request, or the reason why there are none.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StateParts {
    /// The checkpoint that was asked for.
    pub seq: SeqNum,
    /// Some of the parts that were asked for.
    pub parts: Vec<StatePart>,
    /// What comes after them.
    pub rest: Rest,
}

/// One part of the state.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StatePart {
    /// Which part.
    pub part: PartId,
    /// Its content.
    pub content: Vec<u8>,
}

/// What comes after the parts in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Rest {
    /// Another message with parts.
    Follows,
    /// Nothing: what is missing of the answer is to be asked for again.
    Nothing,
    /// Nothing, because the sender does not have the checkpoint, or no longer.
    NotHeld,
    /// Nothing, because the sender has sent as much as it sends in a while.
    Later {
        /// When to ask again, in microseconds from now.
        micros: u64,
    },
}
