//! Who said it: signatures, keys, and the one door through which bytes from others enter.
//!
//! There is one Ed25519 predicate everywhere, that of ZIP-215, because two replicas that disagree
//! on the validity of one adversarial signature disagree on a certificate; and keys of small or
//! mixed order are refused when the configuration is loaded, so that no signature verifies for two
//! different messages.

mod batch;
mod door;

pub use door::{Sender, Verified};

use crate::message::{Request, SignedBody, encode};
use crate::{ClientId, Digest, Epoch, ReplicaId};
use alloc::vec::Vec;
use borsh::io::{Read, Result as IoResult};
use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use curve25519_dalek::edwards::CompressedEdwardsY;
use zeroize::Zeroizing;

/// What separates one cluster, and one generation of its membership, from every other: part of
/// everything signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Domain {
    /// The cluster.
    pub cluster: Digest,
    /// The generation of its membership.
    pub epoch: Epoch,
}

/// An Ed25519 signature, not yet verified.
#[derive(Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Signature([u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sig:{:02x}{:02x}", self.0[0], self.0[1])
    }
}

/// A public key that signatures are verified with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerificationKey(ed25519_zebra::VerificationKey);

impl VerificationKey {
    /// The key with this encoding; `None` if it is no point of the curve, not the point's only
    /// canonical encoding, or has a component of small order [AU2].
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let point = CompressedEdwardsY(bytes).decompress()?;
        let is_canonical = point.compress().to_bytes() == bytes;
        if !is_canonical || point.is_small_order() || !point.is_torsion_free() {
            return None;
        }
        ed25519_zebra::VerificationKey::try_from(bytes).ok().map(Self)
    }

    /// Its encoding.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.into()
    }
}

/// A signature that a message claims to be its signer's. Whether it [holds](Claim::holds) depends
/// on nothing else, so what was found out about it once may be remembered.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    key: VerificationKey,
    payload: Digest,
    signature: Signature,
}

impl Claim {
    /// Whether the signature is the signer's. This is where the time goes.
    pub fn holds(&self) -> bool {
        let signature = ed25519_zebra::Signature::from_bytes(&self.signature.0);
        self.key.0.verify(&signature, self.payload.as_bytes()).is_ok()
    }

    /// What to remember it by: the digest of content, cluster, epoch, signer and signature. Two
    /// configurations may give one signer different keys, so each needs a memory of its own.
    pub fn proof(&self) -> Digest {
        let parts = [&self.payload.as_bytes()[..], &self.signature.0];
        Digest::of("quorate pbft v1: proof of a signature", &parts)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key:{}", Digest::from_bytes(self.to_bytes()))
    }
}

/// A private key, erased from memory when dropped. It has no textual form.
#[derive(Clone)]
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    key: ed25519_zebra::SigningKey,
}

impl SigningKey {
    /// The key that grows from this secret seed.
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let key = ed25519_zebra::SigningKey::from(*seed);
        Self { seed, key }
    }

    /// The seed, to be stored with the same care.
    pub fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.seed
    }

    /// The public half.
    pub fn verification_key(&self) -> VerificationKey {
        VerificationKey(self.key.verification_key())
    }

    fn sign(&self, payload: &Digest) -> Signature {
        Signature(self.key.sign(payload.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(secret)")
    }
}

/// What is actually signed: the digest of the body, bound to the cluster, the epoch and the
/// signer [AU1].
fn payload(domain: &Domain, signer: &[u8], body: &Digest) -> Digest {
    let epoch = domain.epoch.get().to_le_bytes();
    Digest::of(
        "quorate pbft v1: signature",
        &[domain.cluster.as_bytes(), &epoch, signer, body.as_bytes()],
    )
}

fn replica_tag(replica: ReplicaId) -> [u8; 5] {
    let [a, b, c, d] = replica.get().to_le_bytes();
    [0, a, b, c, d]
}

fn client_tag(client: ClientId) -> [u8; 5] {
    let [a, b, c, d] = client.get().to_le_bytes();
    [1, a, b, c, d]
}

/// A body signed by a replica. Until it has passed [the door](crate::Config::admit), the signature
/// is only claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Signed<T> {
    /// Who claims to have signed.
    pub signer: ReplicaId,
    /// What was signed.
    pub body: T,
    /// The signature.
    pub signature: Signature,
}

impl<T: SignedBody> Signed<T> {
    /// Signs `body` as `signer`.
    pub fn sign(domain: &Domain, key: &SigningKey, signer: ReplicaId, body: T) -> Self {
        let digest = Digest::of(T::CONTEXT, &[&encode(&body)]);
        let signature = key.sign(&payload(domain, &replica_tag(signer), &digest));
        Self { signer, body, signature }
    }

    /// The digest of the body; the signature is not part of it.
    pub fn digest(&self) -> Digest {
        Digest::of(T::CONTEXT, &[&encode(&self.body)])
    }

    /// That the signature is the signer's, whose key is `key`.
    pub(crate) fn claim(&self, domain: &Domain, key: &VerificationKey) -> Claim {
        let payload = payload(domain, &replica_tag(self.signer), &self.digest());
        Claim { key: *key, payload, signature: self.signature }
    }
}

/// A REQUEST with its client's signature. The digest is computed once, when the value is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedRequest {
    request: Request,
    signature: Signature,
    digest: Digest,
    bytes: usize,
}

impl SignedRequest {
    /// Signs `request` as the client named in it.
    pub fn sign(domain: &Domain, key: &SigningKey, request: Request) -> Self {
        let encoded = encode(&request);
        let digest = Digest::of(Request::CONTEXT, &[&encoded]);
        let signature = key.sign(&payload(domain, &client_tag(request.client), &digest));
        Self { request, signature, digest, bytes: encoded.len() + 64 }
    }

    /// The content.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The digest of the content; the signature is not part of it, so that a retransmission
    /// keeps it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many bytes it takes on the wire.
    pub fn byte_count(&self) -> usize {
        self.bytes
    }

    /// That the signature is the client's, whose key is `key`.
    pub(crate) fn claim(&self, domain: &Domain, key: &VerificationKey) -> Claim {
        let payload = payload(domain, &client_tag(self.request.client), &self.digest);
        Claim { key: *key, payload, signature: self.signature }
    }
}

impl BorshSerialize for SignedRequest {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> IoResult<()> {
        self.request.serialize(writer)?;
        self.signature.serialize(writer)
    }
}

impl BorshDeserialize for SignedRequest {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let request = Request::deserialize_reader(reader)?;
        let signature = Signature::deserialize_reader(reader)?;
        let encoded: Vec<u8> = encode(&request);
        let digest = Digest::of(Request::CONTEXT, &[&encoded]);
        Ok(Self { request, signature, digest, bytes: encoded.len() + 64 })
    }
}

#[cfg(test)]
mod tests;
