//! Signatures of a world, each verified once: a VIEW-CHANGE comes by itself and in NEW-VIEWs, a
//! request in batches, and whether a signature holds depends on nothing but itself.

use pbft::{Claim, Digest};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What was found out about signatures so far.
#[derive(Default)]
pub(super) struct KnownSignatures(RefCell<BTreeMap<Digest, bool>>);

impl KnownSignatures {
    pub(super) fn holds(&self, claim: &Claim) -> bool {
        *self.0.borrow_mut().entry(claim.proof()).or_insert_with(|| claim.holds())
    }
}
