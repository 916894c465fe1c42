//! VIEW-CHANGE and NEW-VIEW (TOCS 2002 section 4.5, with signatures instead of acknowledgements).

use super::{CheckpointId, SignedBody};
use crate::auth::Signed;
use crate::{Digest, ReplicaId, SeqNum, View};
use alloc::sync::Arc;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// An entry of P or Q: the digest that was prepared (or pre-prepared) here at this number, and the
/// latest view in which it was.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct PreparedEntry {
    /// The number.
    pub seq: SeqNum,
    /// The digest of the batch, or [`Batch::NULL`](super::Batch::NULL).
    pub digest: Digest,
    /// The latest view.
    pub view: View,
}

/// VIEW-CHANGE: the sender has left every view below `new_view` and tells what it knows.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ViewChange {
    /// The view to enter.
    pub new_view: View,
    /// Who signs.
    pub replica: ReplicaId,
    /// The sender's last stable checkpoint, h.
    pub low_water_mark: SeqNum,
    /// C: the sender's checkpoints from `low_water_mark` on, in ascending order.
    pub checkpoints: Vec<(SeqNum, CheckpointId)>,
    /// P: what prepared here, one entry per number, in ascending order.
    pub prepared: Vec<PreparedEntry>,
    /// Q: what pre-prepared here, one entry per number, in ascending order.
    pub pre_prepared: Vec<PreparedEntry>,
}

impl SignedBody for ViewChange {
    const CONTEXT: &'static str = "quorate pbft v1: VIEW-CHANGE";
}

/// NEW-VIEW: which VIEW-CHANGEs the primary of `view` used, and what follows from them.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct NewView {
    /// The view that begins.
    pub view: View,
    /// V: the VIEW-CHANGEs used, by sender and digest, in ascending order of senders.
    pub view_changes: Vec<(ReplicaId, Digest)>,
    /// The checkpoint the view starts from, h*.
    pub checkpoint: (SeqNum, CheckpointId),
    /// X: the digest chosen for each number above h*, from h* + 1 on without a gap; what follows
    /// the last one is null and free.
    pub chosen: Vec<Digest>,
}

impl NewView {
    /// Whether a P or Q entry goes when this NEW-VIEW is found justified: it is of an earlier view
    /// and not what this one chose at its number [VC5].
    pub fn drops(&self, seq: SeqNum, digest: Digest, view: View) -> bool {
        seq > self.checkpoint.0 && view < self.view && self.choice_at(seq) != Some(digest)
    }

    /// The digest chosen for a number; none up to the start of the view and behind the last choice.
    pub fn choice_at(&self, seq: SeqNum) -> Option<Digest> {
        let offset = seq.get().checked_sub(self.checkpoint.0.get())?.checked_sub(1)?;
        usize::try_from(offset).ok().and_then(|offset| self.chosen.get(offset)).copied()
    }
}

impl SignedBody for NewView {
    const CONTEXT: &'static str = "quorate pbft v1: NEW-VIEW";
}

/// A NEW-VIEW together with the VIEW-CHANGEs it names: everything needed to judge it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct NewViewProof {
    /// The primary's message.
    pub new_view: Signed<NewView>,
    /// The VIEW-CHANGEs, in the order in which it names them.
    pub view_changes: Vec<Arc<Signed<ViewChange>>>,
}
