//! What is known before a message is let through the door, so that signatures are checked neither
//! in vain nor twice: where the replica is, and which signatures were already found to hold.

use bytes::Bytes;
use pbft::{
    Claim, Config, Digest, Message, Reject, ReplicaStatus, Sender, SeqNum, Verified, View, wire,
};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Signatures remembered; the oldest is forgotten for a newer one, and checked again if it comes
/// again. It covers what many clients can have outstanding: each request comes from its client and
/// in a batch, VIEW-CHANGEs and CHECKPOINTs by themselves and as parts of proofs.
const KNOWN_COUNT_MAX: usize = 1 << 14;

/// Checks messages, from every thread.
pub(super) struct Checker {
    config: Arc<Config>,
    /// The replica's view, as the protocol thread published it last.
    view: AtomicU64,
    /// Its low water mark, as the protocol thread published it last.
    low_water_mark: AtomicU64,
    known: Mutex<Known>,
    /// Whoever sent a signature that does not hold. What they send is checked by itself from then
    /// on, so that it costs nobody else a second check. No longer than the membership.
    doubted: Mutex<BTreeSet<Sender>>,
    /// Whether signatures are verified together at all.
    verifies_together: bool,
    signatures_checked: AtomicU64,
    signature_checks: AtomicU64,
}

/// **Invariant:** `proofs` and `order` hold the same, each once; no more than
/// [`KNOWN_COUNT_MAX`].
#[derive(Default)]
struct Known {
    proofs: BTreeSet<Digest>,
    /// Oldest first.
    order: VecDeque<Digest>,
}

impl Checker {
    pub(super) fn new(config: Arc<Config>, verifies_together: bool) -> Self {
        let (view, low_water_mark) = (AtomicU64::default(), AtomicU64::default());
        let (known, doubted) = (Mutex::default(), Mutex::default());
        let (signatures_checked, signature_checks) = (AtomicU64::default(), AtomicU64::default());
        Self {
            config,
            view,
            low_water_mark,
            known,
            doubted,
            verifies_together,
            signatures_checked,
            signature_checks,
        }
    }

    /// Makes known where the replica is now.
    ///
    /// What is judged by it saves work and no more. It may be a moment old, so a PRE-PREPARE that
    /// arrives on the heels of a change may be dropped where the core would have taken it; that
    /// is one more loss of the network, and STATUS repairs it.
    pub(super) fn publish(&self, status: &ReplicaStatus) {
        let (low_water_mark, _) = status.stable_checkpoint;
        self.view.store(status.view.get(), Ordering::Relaxed);
        self.low_water_mark.store(low_water_mark.get(), Ordering::Relaxed);
    }

    /// Decodes messages and lets them through the door, with their signatures verified together
    /// [AU3].
    pub(super) fn check(&self, frames: &[(Sender, Bytes)]) -> Vec<Result<Verified, Reject>> {
        let decoded = frames.iter().map(|(sender, frame)| (*sender, self.decode(frame)));
        let results = self.config.admit_all(decoded, &|claims| self.hold(claims));
        for ((sender, _), result) in frames.iter().zip(&results) {
            if matches!(result, Err(Reject::BadSignature)) {
                self.doubted().insert(*sender);
            }
        }
        results
    }

    /// Whether messages of this sender are best checked by themselves.
    pub(super) fn checks_alone(&self, sender: Sender) -> bool {
        !self.verifies_together || self.doubted().contains(&sender)
    }

    /// How many signatures were verified, known ones not counted again.
    pub(super) fn signatures_checked(&self) -> u64 {
        self.signatures_checked.load(Ordering::Relaxed)
    }

    /// In how many checks, of one or of many together.
    pub(super) fn signature_checks(&self) -> u64 {
        self.signature_checks.load(Ordering::Relaxed)
    }

    fn decode(&self, frame: &[u8]) -> Result<Message, Reject> {
        let message = wire::decode(self.config.domain.epoch, frame)?;
        let view = View::new(self.view.load(Ordering::Relaxed));
        let low_water_mark = SeqNum::new(self.low_water_mark.load(Ordering::Relaxed));
        self.config.check_place(&message, view, low_water_mark)?;
        Ok(message)
    }

    /// Whether all of these hold; those that are known to are not checked again.
    fn hold(&self, claims: &[Claim]) -> bool {
        let known = self.lock();
        let is_new = |(proof, _): &(Digest, Claim)| !known.proofs.contains(proof);
        let claims = claims.iter().map(|claim| (claim.proof(), *claim));
        let (proofs, new): (Vec<_>, Vec<_>) = claims.filter(is_new).unzip();
        drop(known);
        let hold = new.chunks(if self.verifies_together { usize::MAX } else { 1 }).all(|claims| {
            self.signatures_checked.fetch_add(claims.len() as u64, Ordering::Relaxed);
            self.signature_checks.fetch_add(1, Ordering::Relaxed);
            Claim::all_hold(claims)
        });
        if hold {
            let mut known = self.lock();
            proofs.into_iter().for_each(|proof| known.remember(proof));
        }
        hold
    }

    fn doubted(&self) -> MutexGuard<'_, BTreeSet<Sender>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn remember(&mut self, proof: Digest) {
        if !self.proofs.insert(proof) {
            return;
        }
        self.order.push_back(proof);
        if self.order.len() > KNOWN_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.proofs.remove(&oldest);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
