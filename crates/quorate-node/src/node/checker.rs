//! What is known before a message is let through the door, so that signatures are checked neither
//! in vain nor twice: where the replica is, and which signatures were already found to hold.

use pbft::{Claim, Config, Digest, Reject, ReplicaStatus, Sender, SeqNum, Verified, View, wire};
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
    pub(super) fn new(config: Arc<Config>) -> Self {
        let (view, low_water_mark) = (AtomicU64::default(), AtomicU64::default());
        Self { config, view, low_water_mark, known: Mutex::default() }
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

    /// Decodes a message and lets it through the door.
    pub(super) fn check(&self, sender: Sender, frame: &[u8]) -> Result<Verified, Reject> {
        let message = wire::decode(self.config.domain.epoch, frame)?;
        let view = View::new(self.view.load(Ordering::Relaxed));
        let low_water_mark = SeqNum::new(self.low_water_mark.load(Ordering::Relaxed));
        self.config.check_place(&message, view, low_water_mark)?;
        self.config.admit_with(sender, message, &|claim| self.holds(claim))
    }

    fn holds(&self, claim: &Claim) -> bool {
        let proof = claim.proof();
        if self.lock().proofs.contains(&proof) {
            return true;
        }
        let holds = claim.holds();
        if holds {
            self.lock().remember(proof);
        }
        holds
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
