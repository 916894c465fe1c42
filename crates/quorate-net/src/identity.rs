//! Who a process is: Ed25519 keys, how they are written, and which of them are acceptable.
//!
//! A process has two key pairs with different purposes, so that a signature made for one can
//! never be taken for the other: the *link* key proves its identity in the TLS handshake, the
//! *signing* key signs protocol messages. Both seeds are kept in one [`SecretKeys`] file.

mod key_file;

pub use key_file::KeyFileError;

use crate::random;
use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_zebra::{SigningKey, VerificationKeyBytes};
use std::{fmt, str::FromStr};
use zeroize::{Zeroize, Zeroizing};

/// Length of a public key and of the seed of a secret key, in bytes.
pub const KEY_BYTES: usize = 32;

/// An Ed25519 public key that every implementation of Ed25519 treats alike.
///
/// Verifiers disagree about signatures under keys of small or mixed order, so a faulty member
/// could craft certificates that some correct replicas accept and others reject. Such keys, and
/// second spellings of the same point, cannot be turned into a `PublicKey` at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Accepts the encoding of a key.
    ///
    /// # Errors
    ///
    /// Refuses bytes that are not the canonical encoding of a point of the curve, and points of
    /// small or of mixed order.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Result<Self, KeyError> {
        let point = CompressedEdwardsY(bytes).decompress().ok_or(KeyError::NotAPoint)?;
        if point.compress().to_bytes() != bytes {
            return Err(KeyError::NotCanonical);
        }
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        if !point.is_torsion_free() {
            return Err(KeyError::MixedOrder);
        }
        Ok(Self(bytes))
    }

    /// The encoding, as RFC 8032 defines it.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Parses what `Display` writes: 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; KEY_BYTES];
        decode_hex(text.as_bytes(), &mut bytes).ok_or(KeyError::NotHex)?;
        Self::from_bytes(bytes)
    }
}

/// Why a public key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hexadecimal digits.
    #[error("a key is written as 64 hexadecimal digits, and this is something else")]
    NotHex,
    /// No point of the curve has this encoding.
    #[error("these bytes are not an Ed25519 public key")]
    NotAPoint,
    /// A second encoding of a point that has a canonical one.
    #[error("this Ed25519 public key is not written in its canonical form")]
    NotCanonical,
    /// The point generates a group of at most eight elements.
    #[error("this Ed25519 public key has small order, so anybody could sign for it")]
    SmallOrder,
    /// The point has a component of small order.
    #[error("this Ed25519 public key has mixed order, so verifiers could disagree about it")]
    MixedOrder,
}

/// The two public keys of a process, for its public card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKeys {
    /// Proves the identity of a link (TLS).
    pub link: PublicKey,
    /// Verifies protocol messages.
    pub signing: PublicKey,
}

/// The two secret keys of a process. Wiped from memory when dropped and never printed.
#[derive(Clone)]
pub struct SecretKeys {
    link: Zeroizing<[u8; KEY_BYTES]>,
    signing: Zeroizing<[u8; KEY_BYTES]>,
}

impl SecretKeys {
    /// Makes new keys from the randomness of the operating system.
    ///
    /// # Errors
    ///
    /// Fails when the operating system provides no randomness.
    pub fn generate() -> Result<Self, KeyFileError> {
        let mut keys = Self { link: Zeroizing::default(), signing: Zeroizing::default() };
        random::fill(&mut *keys.link).map_err(|_| KeyFileError::NoRandomness)?;
        random::fill(&mut *keys.signing).map_err(|_| KeyFileError::NoRandomness)?;
        Ok(keys)
    }

    /// Keys from given seeds; the same seeds always give the same keys.
    ///
    /// # Panics
    ///
    /// The seeds must differ: a key for both purposes would defeat their separation.
    pub fn from_seeds(link: [u8; KEY_BYTES], signing: [u8; KEY_BYTES]) -> Self {
        assert!(link != signing, "the link key and the signing key must differ");
        Self { link: Zeroizing::new(link), signing: Zeroizing::new(signing) }
    }

    /// What others may know.
    pub fn public(&self) -> PublicKeys {
        PublicKeys { link: public_of(&self.link), signing: public_of(&self.signing) }
    }

    /// The seed (RFC 8032 private key) with which protocol messages are signed.
    pub fn signing_seed(&self) -> &[u8; KEY_BYTES] {
        &self.signing
    }

    /// The seed with which links are authenticated.
    pub(crate) fn link_seed(&self) -> &[u8; KEY_BYTES] {
        &self.link
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKeys").field("public", &self.public()).finish_non_exhaustive()
    }
}

/// The public key of a seed: a multiple of the base point, which generates the group of prime
/// order, so it never has small or mixed order.
fn public_of(seed: &[u8; KEY_BYTES]) -> PublicKey {
    let mut secret = SigningKey::from(*seed);
    let public = VerificationKeyBytes::from(&secret);
    secret.zeroize();
    PublicKey(public.into())
}

/// Reads exactly as many lower- or upper-case digits as `bytes` needs.
fn decode_hex(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hex_digit(digits[0])? << 4 | hex_digit(digits[1])?;
    }
    Some(())
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
