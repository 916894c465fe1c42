//! Chance that a seed decides.

use pbft::{Digest, ReplicaId};

/// Random numbers: each draw is a digest of the seed, the replica and the number of the draw.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: [u8; 12],
    draws: u64,
}

impl Dice {
    pub(crate) fn new(replica: ReplicaId, seed: u64) -> Self {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..].copy_from_slice(&replica.get().to_le_bytes());
        Self { seed: bytes, draws: 0 }
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let drawn = self.bytes();
        drawn[..8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte)) % bound
    }

    /// An index below `len`, which is not 0.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// So many random bytes.
    pub(crate) fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 32);
        while bytes.len() < len {
            bytes.extend(self.bytes());
        }
        bytes.truncate(len);
        bytes
    }

    fn bytes(&mut self) -> [u8; 32] {
        self.draws += 1;
        let parts = [&self.seed[..], &self.draws.to_le_bytes()];
        *Digest::of("quorate adversary v1: chance", &parts).as_bytes()
    }
}
