//! Proofs that a key has a value, or has none, in the state with a given root digest: the page
//! that must hold the key, and what stands beside the path from it up to the root.

use super::key::{DEPTH_MAX, Side, side};
use super::node::{Body, Claim, InnerClaim, inner_digest, page_digest};
use super::run::DIGEST_BYTES;
use super::totals::ENCODED_PAGE_BYTES_MAX;
use super::value::{CHUNK_BYTES_MAX, chunk_digest};
use super::{Tree, decode, decode::ValueClaim, empty_digest};
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::Digest;
use thiserror::Error;

/// The longest encoded proof, in bytes.
pub const PROOF_BYTES_MAX: usize =
    4 + DEPTH_MAX * (2 + DIGEST_BYTES + 3 * 8) + 4 + ENCODED_PAGE_BYTES_MAX;

/// A proof that a key has a value, or has none.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// The inner nodes from the root to the page.
    steps: Vec<Step>,
    /// The encoded page; empty if there are no entries at all.
    page: Vec<u8>,
}

/// An inner node on the path to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Step {
    bit: u16,
    /// The child that is not on the path.
    beside: Claim,
}

/// Why bytes are no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadProof {
    /// The bytes are too many, or not the encoding of a proof.
    #[error("not the encoding of a proof")]
    Malformed,
    /// It does not lead to the root digest it was checked against.
    #[error("the proof leads to another root digest")]
    OtherRoot,
}

/// What a proof proves of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proved {
    /// It has no value.
    Absent,
    /// It has this value.
    Value(Vec<u8>),
    /// It has a large value of this length, whose chunks have these digests.
    LargeValue {
        /// The length of the value, in bytes.
        bytes: u64,
        /// The digest of each chunk of [`CHUNK_BYTES_MAX`].
        chunk_digests: Vec<Digest>,
    },
}

impl Proved {
    /// Whether `value` is what the key was proved to have.
    pub fn is(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Absent, None) => true,
            (Self::Value(proved), Some(value)) => proved == value,
            (Self::LargeValue { bytes, chunk_digests }, Some(value)) => {
                let chunks = value.chunks(CHUNK_BYTES_MAX).map(chunk_digest);
                *bytes == value.len() as u64 && chunks.eq(chunk_digests.iter().copied())
            }
            _ => false,
        }
    }
}

impl Proof {
    /// Reads an encoded proof, which does not say yet that it proves anything.
    ///
    /// # Errors
    ///
    /// [`BadProof::Malformed`] if the bytes are more than [`PROOF_BYTES_MAX`] or no proof.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadProof> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(BadProof::Malformed);
        }
        borsh::from_slice(bytes).map_err(|_| BadProof::Malformed)
    }

    /// The encoding of this proof, at most [`PROOF_BYTES_MAX`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to memory cannot fail")
    }

    /// What this proves of `key` in the state with root digest `root`. Relies on `root` being
    /// the digest of a state, which is what the quorum behind a checkpoint vouches for.
    ///
    /// # Errors
    ///
    /// If it proves nothing of that state and that key.
    pub fn verify(&self, root: Digest, key: &[u8]) -> Result<Proved, BadProof> {
        if self.page.is_empty() && self.steps.is_empty() {
            return match root == empty_digest() {
                true => Ok(Proved::Absent),
                false => Err(BadProof::OtherRoot),
            };
        }
        let page = decode::page(&self.page).ok_or(BadProof::Malformed)?;
        let mut claim = Claim { digest: page_digest(&self.page), totals: page.totals };
        let mut bit_below = u16::MAX;
        for step in self.steps.iter().rev() {
            let totals = claim.totals.checked_plus(step.beside.totals);
            let totals = totals.filter(|_| step.bit < bit_below).ok_or(BadProof::Malformed)?;
            let children = match side(key, step.bit) {
                Side::Left => [claim, step.beside],
                Side::Right => [step.beside, claim],
            };
            let inner = InnerClaim { bit: step.bit, children };
            claim = Claim { digest: inner_digest(&inner.encode()), totals };
            bit_below = step.bit;
        }
        if claim.digest != root {
            return Err(BadProof::OtherRoot);
        }
        Ok(match decode::find(&self.page, key) {
            None => Proved::Absent,
            Some(ValueClaim::Inline(value)) => Proved::Value(value.to_vec()),
            Some(ValueClaim::Large(large)) => {
                Proved::LargeValue { bytes: large.bytes as u64, chunk_digests: large.digests }
            }
        })
    }
}

impl Tree {
    /// The proof of what `key` has in this tree. Computes digests that are not known yet.
    pub fn prove(&self, key: &[u8]) -> Proof {
        let mut steps = Vec::new();
        let Some(mut node) = self.root.as_deref() else {
            return Proof { steps, page: Vec::new() };
        };
        while let Body::Inner(inner) = node.body() {
            let turn = side(key, inner.bit());
            let beside = inner.child(turn.opposite());
            let beside = Claim { digest: beside.digest(), totals: beside.totals() };
            steps.push(Step { bit: inner.bit(), beside });
            node = inner.child(turn);
        }
        Proof { steps, page: node.encode() }
    }
}
