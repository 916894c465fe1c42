//! The three phases of the normal case: PRE-PREPARE, PREPARE, COMMIT (OSDI '99 section 4.2), and
//! the batch they agree on.

use super::{Rejoin, SignedBody, encode};
use crate::auth::{Signed, SignedRequest};
use crate::{Digest, SeqNum, View, WallTime};
use alloc::sync::Arc;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// The assignment of a sequence number to a batch by the primary of a view. Signed, so that a
/// primary that assigns one number twice convicts itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct PrePrepare {
    /// The view whose primary signs.
    pub view: View,
    /// The number assigned.
    pub seq: SeqNum,
    /// The digest of the batch; see [`Batch::digest`].
    pub digest: Digest,
}

impl SignedBody for PrePrepare {
    const CONTEXT: &'static str = "quorate pbft v1: PRE-PREPARE";
}

/// The content of a PREPARE or a COMMIT: for this view and number, the sender speaks for this
/// digest. COMMIT carries the digest too (as in OSDI '99), so that a quorum of them suffices to
/// execute even without the PRE-PREPARE [C3].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// The view voted in.
    pub view: View,
    /// The number voted on.
    pub seq: SeqNum,
    /// The digest voted for.
    pub digest: Digest,
}

/// COMMITTED(n, d): the batch with this digest is committed-local at the sender. Accepted in any
/// view; a weak quorum of them holds a correct replica's word [C4].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct Committed {
    /// The number.
    pub seq: SeqNum,
    /// The digest that is committed there.
    pub digest: Digest,
}

/// What one sequence number orders: requests in their order of execution, and what the primary
/// chose for all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Batch {
    /// The primary's proposal for the agreed time.
    pub time: WallTime,
    /// The primary's choice for the services; see [`Service::choose`](crate::Service::choose).
    pub choice: Vec<u8>,
    /// The requests. Empty for a batch that only carries time.
    pub requests: Vec<Arc<SignedRequest>>,
    /// Replicas that come back after they lost their memory [RJ2].
    pub rejoins: Vec<Signed<Rejoin>>,
}

impl Batch {
    /// Stands for the null request: no batch hashes to it, since that would invert the hash
    /// [VC9].
    pub const NULL: Digest = Digest::from_bytes(*b"quorate pbft: the null request .");

    /// How many bytes its requests take on the wire.
    pub fn byte_count(&self) -> usize {
        self.requests.iter().map(|request| request.byte_count()).sum()
    }

    /// The digest agreed on. Independent of the view, so that a batch keeps it when a later view
    /// proposes it again, and injective: every part is hashed behind its length [PP4].
    pub fn digest(&self) -> Digest {
        let requests = self.requests.iter().map(|request| request.digest());
        Self::digest_of(self.time, &self.choice, requests, &self.rejoins)
    }

    /// The digest of the batch with this content, whose requests have these digests.
    pub(super) fn digest_of(
        time: WallTime,
        choice: &[u8],
        requests: impl Iterator<Item = Digest>,
        rejoins: &Vec<Signed<Rejoin>>,
    ) -> Digest {
        let requests: Vec<u8> = requests.flat_map(|request| *request.as_bytes()).collect();
        Digest::of(
            "quorate pbft v1: batch",
            &[&time.as_millis().to_le_bytes(), choice, &requests, &encode(rejoins)],
        )
    }
}
