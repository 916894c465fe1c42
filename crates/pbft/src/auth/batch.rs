//! Many signatures verified at once, which takes little more than half the time of each by itself.

use super::Claim;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// Below this many there is nothing to gain.
const COUNT_MIN: usize = 4;

impl Claim {
    /// Whether each of these [holds](Claim::holds). If not, which do not is not said [AU3].
    pub fn all_hold(claims: &[Self]) -> bool {
        if claims.len() < COUNT_MIN {
            return claims.iter().all(Self::holds);
        }
        let mut verifier = ed25519_zebra::batch::Verifier::new();
        for Self { key, payload, signature } in claims {
            let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
            verifier.queue((key.0.into(), signature, payload.as_bytes()));
        }
        verifier.verify(Coefficients::of(claims)).is_ok()
    }
}

/// The coefficients by which the equations of a batch are added up. They are the digest of
/// everything in the batch, so that whoever makes signatures cannot make two wrong ones cancel
/// each other, and nothing here depends on chance.
struct Coefficients(blake3::OutputReader);

impl Coefficients {
    fn of(claims: &[Claim]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("quorate pbft v1: coefficients of a batch");
        for Claim { key, payload, signature } in claims {
            hasher.update(&key.to_bytes());
            hasher.update(payload.as_bytes());
            hasher.update(&signature.0);
        }
        Self(hasher.finalize_xof())
    }

    fn next<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.next()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.next()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Coefficients {}
