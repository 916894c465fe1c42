//! The one signature predicate, frozen [AU2].
//!
//! Implementations of Ed25519 agree on honest signatures and disagree on crafted ones: whether a
//! point may be encoded in a non-canonical way, whether S may be reduced late, whether the
//! equation is checked with or without the cofactor 8. A certificate that holds at one correct
//! replica and not at another splits them. So this table pins the verdict of our predicate, that
//! of ZIP-215 with keys of small or mixed order refused, on each corner; a library update that
//! changes one fails here and not in a cluster of two versions.

use crate::cluster::{config_with, replica_key};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::{Signature, VerificationKey as ZebraKey};
use pbft::message::{Checkpoint, CheckpointId};
use pbft::{
    Claim, Config, Digest, Message, Parameters, Reject, ReplicaId, Sender, SeqNum, Signed,
    VerificationKey,
};
use sha2::{Digest as _, Sha512};

/// The order of the prime subgroup, little-endian.
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The prime of the field, 2^255 - 19, little-endian.
const FIELD_PRIME: [u8; 32] = [
    0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
];

/// Adds a small number to a little-endian one.
fn plus(mut bytes: [u8; 32], number: u8) -> [u8; 32] {
    let mut carry = u16::from(number);
    for byte in &mut bytes {
        carry += u16::from(*byte);
        *byte = carry as u8;
        carry >>= 8;
    }
    bytes
}

fn sum(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    std::array::from_fn(|index| {
        carry += u16::from(a[index]) + u16::from(b[index]);
        let byte = carry as u8;
        carry >>= 8;
        byte
    })
}

/// The encodings of the eight points of small order, the non-canonical ones included: y may be
/// written as y + p where that fits 255 bits, and x = 0 may carry a sign.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let canonical = EIGHT_TORSION.map(|point| point.compress().to_bytes());
    let mut all = canonical.to_vec();
    for number in [0, 1] {
        // y = p (that is 0) and y = p + 1 (that is 1), with either sign of x.
        let encoding = plus(FIELD_PRIME, number);
        let mut negative = encoding;
        negative[31] |= 0x80;
        all.extend([encoding, negative]);
    }
    for y in [[1; 1].as_slice(), &[]] {
        // x = 0 with its sign bit set: y = 1 and y = -1.
        let mut encoding = [0; 32];
        if y.is_empty() {
            encoding = FIELD_PRIME;
            encoding[0] -= 1;
        } else {
            encoding[0] = 1;
        }
        encoding[31] |= 0x80;
        all.push(encoding);
    }
    all
}

fn challenge(r: [u8; 32], key: [u8; 32], message: &[u8]) -> Scalar {
    let mut hash = Sha512::new();
    hash.update(r);
    hash.update(key);
    hash.update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// A signature over `message` with the secret scalar `secret`, whose R is encoded as `encode` likes.
fn crafted(
    secret: Scalar,
    message: &[u8],
    encode: impl Fn(EdwardsPoint) -> [u8; 32],
) -> ([u8; 32], [u8; 32], Scalar) {
    let key = (ED25519_BASEPOINT_POINT * secret).compress().to_bytes();
    let nonce = Scalar::from(0x0f0f_1234_u64);
    let r = encode(ED25519_BASEPOINT_POINT * nonce);
    let s = nonce + challenge(r, key, message) * secret;
    (key, r, s)
}

fn zip215(key: [u8; 32], r: [u8; 32], s: [u8; 32], message: &[u8]) -> Option<bool> {
    let key = ZebraKey::try_from(key).ok()?;
    let signature = Signature::from_components(r, s);
    Some(key.verify(&signature, message).is_ok())
}

/// The predicate of ZIP-215 accepts anything under a key of small order: S = 0 and an R of small
/// order is a signature of every message. That is why such keys are refused: with one of them a
/// member could later deny what it signed, since the same bytes sign everything.
#[test]
fn keys_of_small_order_sign_everything_and_are_refused() {
    for key in small_order_encodings() {
        assert_eq!(VerificationKey::from_bytes(key), None, "{key:02x?}");
        for r in small_order_encodings() {
            for message in [b"one".as_slice(), b"another"] {
                assert_eq!(zip215(key, r, [0; 32], message), Some(true), "{key:02x?} {r:02x?}");
            }
        }
    }
}

/// A sound key plus a point of small order: the equation without the cofactor fails for most
/// messages and holds for some, so implementations disagree. Refused.
#[test]
fn keys_of_mixed_order_divide_implementations_and_are_refused() {
    let secret = Scalar::from(0x5ec7_e751_u64);
    let sound = ED25519_BASEPOINT_POINT * secret;
    assert!(VerificationKey::from_bytes(sound.compress().to_bytes()).is_some());
    for torsion in &EIGHT_TORSION[1..] {
        let key = (sound + torsion).compress().to_bytes();
        assert_eq!(VerificationKey::from_bytes(key), None);
        let nonce = Scalar::from(77_u64);
        let r = (ED25519_BASEPOINT_POINT * nonce).compress().to_bytes();
        let mut without_cofactor = 0;
        for number in 0..16_u8 {
            let k = challenge(r, key, &[number]);
            let s = (nonce + k * secret).to_bytes();
            assert_eq!(zip215(key, r, s, &[number]), Some(true), "with the cofactor it holds");
            let point = CompressedEdwardsY(key).decompress().expect("a point");
            let left = ED25519_BASEPOINT_POINT * (nonce + k * secret);
            let right = ED25519_BASEPOINT_POINT * nonce + point * k;
            without_cofactor += u32::from(left == right);
        }
        assert!(without_cofactor < 16, "without the cofactor some fail");
    }
}

/// Bytes that are no point of the curve are no key.
#[test]
fn bytes_that_are_no_point_are_refused() {
    let mut refused = 0;
    for number in 0..=255_u8 {
        let mut bytes = [0; 32];
        bytes[0] = number;
        bytes[7] = 9;
        if CompressedEdwardsY(bytes).decompress().is_none() {
            refused += 1;
            assert_eq!(VerificationKey::from_bytes(bytes), None);
        }
    }
    assert!(refused > 64, "about half of all y are on the curve");
}

/// With an honest key, frozen: R may have a component of small order (the cofactor clears it),
/// but a non-canonical S is refused, and so is an R that is no point.
#[test]
fn verdicts_on_odd_encodings_of_r_and_s_with_an_honest_key_are_frozen() {
    let secret = Scalar::from(0x0123_4567_89ab_u64);
    let message = b"a payload";
    let (key, r, s) = crafted(secret, message, |point| point.compress().to_bytes());
    let s_bytes = s.to_bytes();
    assert_eq!(zip215(key, r, s_bytes, message), Some(true), "an honest signature");
    assert_eq!(zip215(key, r, s_bytes, b"another"), Some(false));
    for torsion in &EIGHT_TORSION[1..] {
        let (key, r, s) = crafted(secret, message, |p| (p + torsion).compress().to_bytes());
        assert_eq!(zip215(key, r, s.to_bytes(), message), Some(true), "R of mixed order");
    }
    // R of small order alone, in every encoding: S = k * secret.
    for r in small_order_encodings() {
        let s = challenge(r, key, message) * secret;
        assert_eq!(zip215(key, r, s.to_bytes(), message), Some(true), "R {r:02x?}");
    }
    let late = sum(s_bytes, GROUP_ORDER);
    assert_eq!(zip215(key, r, late, message), Some(false), "S + l: malleable, refused");
    assert_eq!(zip215(key, r, GROUP_ORDER, message), Some(false), "S = l");
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert!(CompressedEdwardsY(no_point).decompress().is_none());
    assert_eq!(zip215(key, no_point, s_bytes, message), Some(false), "R is no point");
}

/// Our own path gives the same verdicts: a signature of ours with S + l or a changed R is refused
/// at the door. (S + l would let anybody change the bytes of a message without its signer.)
#[test]
fn tampered_signatures_do_not_pass_the_door() {
    let config: Config = config_with(4, Parameters::default());
    let root = Digest::from_bytes([9; 32]);
    let id = CheckpointId { state_root: root, history_root: root };
    let body = Checkpoint { seq: SeqNum::new(128), id, replica: ReplicaId::new(1) };
    let signed = Signed::sign(&config.domain, &replica_key(1), ReplicaId::new(1), body);
    let sender = Sender::Replica(ReplicaId::new(1));
    let admit = |signed| config.admit(sender, Message::Checkpoint(signed)).map(|_| ());
    assert_eq!(admit(signed), Ok(()));
    let bytes: [u8; 64] =
        borsh::to_vec(&signed.signature).expect("memory").try_into().expect("64 bytes");
    let with = |bytes: [u8; 64]| Signed {
        signature: borsh::from_slice(&bytes).expect("any 64 bytes are a claim"),
        ..signed
    };
    let mut late = bytes;
    let s: [u8; 32] = bytes[32..].try_into().expect("32 bytes");
    late[32..].copy_from_slice(&sum(s, GROUP_ORDER));
    assert_eq!(admit(with(late)), Err(Reject::BadSignature));
    for index in 0..64 {
        let mut flipped = bytes;
        flipped[index] ^= 0x10;
        assert_eq!(admit(with(flipped)), Err(Reject::BadSignature), "byte {index}");
    }
    assert_eq!(admit(with([0; 64])), Err(Reject::BadSignature));
}

/// [AU3] Among honest signatures that are verified with it, each corner has the verdict that it
/// has alone, and the honest ones have theirs.
#[test]
fn signatures_verified_together_have_the_verdicts_that_they_have_alone() {
    let config: Config = config_with(4, Parameters::default());
    let root = Digest::from_bytes([9; 32]);
    let id = CheckpointId { state_root: root, history_root: root };
    let checkpoint = |seq| {
        let body = Checkpoint { seq: SeqNum::new(seq), id, replica: ReplicaId::new(1) };
        Signed::sign(&config.domain, &replica_key(1), ReplicaId::new(1), body)
    };
    let sender = Sender::Replica(ReplicaId::new(1));
    let honest: [u8; 64] =
        borsh::to_vec(&checkpoint(128).signature).expect("memory").try_into().expect("64 bytes");
    let [r, s]: [[u8; 32]; 2] =
        [&honest[..32], &honest[32..]].map(|half| half.try_into().expect("32 bytes"));
    let joined = |r: [u8; 32], s: [u8; 32]| [r, s].concat();
    let point = CompressedEdwardsY(r).decompress().expect("an honest R");
    let mut odd: Vec<Vec<u8>> = vec![honest.to_vec(), joined(r, sum(s, GROUP_ORDER)), vec![0; 64]];
    odd.extend(EIGHT_TORSION[1..].iter().map(|t| joined((point + t).compress().to_bytes(), s)));
    odd.extend(small_order_encodings().into_iter().map(|r| joined(r, s)));
    odd.extend((0..64).map(|index| {
        let mut flipped = honest.to_vec();
        flipped[index] ^= 0x10;
        flipped
    }));
    for signature in odd {
        let signature = borsh::from_slice(&signature).expect("any 64 bytes are a claim");
        let corner = Message::Checkpoint(Signed { signature, ..checkpoint(128) });
        let alone = config.admit(sender, corner.clone());
        let others = (2..7).map(|n| Message::Checkpoint(checkpoint(128 * n)));
        let all = others.chain([corner]).map(|message| (sender, Ok(message)));
        let mut together = config.admit_all(all, &Claim::all_hold);
        assert_eq!(together.pop(), Some(alone));
        assert!(together.iter().all(Result::is_ok));
    }
}

/// [AU3] Two wrong signatures whose errors are equal and opposite do not cancel each other.
#[test]
fn errors_that_cancel_each_other_do_not_pass_together() {
    let config: Config = config_with(4, Parameters::default());
    let root = Digest::from_bytes([9; 32]);
    let id = CheckpointId { state_root: root, history_root: root };
    let sender = Sender::Replica(ReplicaId::new(1));
    let off_by = |seq: u64, error: Scalar| {
        let body = Checkpoint { seq: SeqNum::new(seq), id, replica: ReplicaId::new(1) };
        let signed = Signed::sign(&config.domain, &replica_key(1), ReplicaId::new(1), body);
        let mut bytes = borsh::to_vec(&signed.signature).expect("memory");
        let s = Scalar::from_bytes_mod_order(bytes[32..].try_into().expect("32 bytes")) + error;
        bytes[32..].copy_from_slice(s.as_bytes());
        let signature = borsh::from_slice(&bytes).expect("any 64 bytes are a claim");
        Message::Checkpoint(Signed { signature, ..signed })
    };
    let errors = [Scalar::ONE, -Scalar::ONE, Scalar::ZERO, Scalar::ZERO];
    let all = (1..).zip(errors).map(|(n, error)| (sender, Ok(off_by(128 * n, error))));
    let together = config.admit_all(all, &Claim::all_hold);
    let passed: Vec<bool> = together.iter().map(Result::is_ok).collect();
    assert_eq!(passed, [false, false, true, true]);
}
