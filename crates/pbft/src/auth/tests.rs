use super::*;
use crate::SeqNum;
use crate::message::{Checkpoint, CheckpointId};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([seed; 32]))
}

fn domain(cluster: u8, epoch: u64) -> Domain {
    Domain { cluster: Digest::from_bytes([cluster; 32]), epoch: Epoch::new(epoch) }
}

fn checkpoint(replica: u32) -> Checkpoint {
    let root = Digest::from_bytes([9; 32]);
    let id = CheckpointId { state_root: root, history_root: root };
    Checkpoint { seq: SeqNum::new(128), id, replica: ReplicaId::new(replica) }
}

/// [AU1] A signature is bound to the cluster, the epoch and the signer.
#[test]
fn signature_holds_only_in_its_own_cluster_epoch_and_name() {
    let signer = ReplicaId::new(1);
    let signed = Signed::sign(&domain(1, 0), &key(1), signer, checkpoint(1));
    let public = key(1).verification_key();
    assert!(signed.claim(&domain(1, 0), &public).holds());
    assert!(!signed.claim(&domain(2, 0), &public).holds(), "another cluster");
    assert!(!signed.claim(&domain(1, 1), &public).holds(), "another epoch");
    assert!(!signed.claim(&domain(1, 0), &key(2).verification_key()).holds(), "another key");
    let renamed = Signed { signer: ReplicaId::new(2), ..signed };
    assert!(!renamed.claim(&domain(1, 0), &public).holds(), "another name");
}

/// [AU2] The eight points of small order, and sums of one with a sound key, are refused.
#[test]
fn keys_with_a_component_of_small_order_are_refused() {
    use curve25519_dalek::constants::EIGHT_TORSION;
    for torsion in EIGHT_TORSION {
        assert_eq!(VerificationKey::from_bytes(torsion.compress().to_bytes()), None);
    }
    let sound = key(3).verification_key().to_bytes();
    assert!(VerificationKey::from_bytes(sound).is_some());
    let point = CompressedEdwardsY(sound).decompress().unwrap();
    for torsion in &EIGHT_TORSION[1..] {
        let mixed = (point + torsion).compress().to_bytes();
        assert_eq!(VerificationKey::from_bytes(mixed), None);
    }
}

#[test]
fn private_keys_have_no_textual_form() {
    assert_eq!(alloc::format!("{:?}", key(7)), "SigningKey(secret)");
}
