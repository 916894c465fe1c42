//! Proofs: complete, and sound against whoever made them.

use super::*;
use crate::tree::TREE_KEY_BYTES_MAX;
use crate::tree::proof::{BadProof, PROOF_BYTES_MAX, Proof, Proved};
use crate::tree::value::VALUE_BYTES_MAX;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn proves_presence_and_absence(map in any_map(60), probes in prop::collection::vec(any_key(), 10)) {
        let tree = tree_of(&map);
        let root = tree.root_digest();
        for key in map.keys().chain(&probes) {
            let encoded = tree.prove(key).encode();
            let proved = Proof::decode(&encoded).unwrap().verify(root, key).unwrap();
            prop_assert!(proved.is(map.get(key).map(Vec::as_slice)));
            prop_assert_eq!(proved.is(None), !map.contains_key(key));
            prop_assert!(!proved.is(Some(b"another value")));
        }
    }

    #[test]
    fn altered_proof_proves_nothing_else(
        map in any_map(60),
        key in any_key(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let tree = tree_of(&map);
        let root = tree.root_digest();
        let mut encoded = tree.prove(&key).encode();
        let at = at.index(encoded.len());
        encoded[at] ^= flip;
        if let Ok(proof) = Proof::decode(&encoded) {
            prop_assert!(proof.verify(root, &key).is_err());
        }
    }

    #[test]
    fn proof_of_one_key_says_nothing_false_of_another(map in any_map(60), one in any_key(), other in any_key()) {
        let tree = tree_of(&map);
        if let Ok(proved) = tree.prove(&one).verify(tree.root_digest(), &other) {
            prop_assert!(proved.is(map.get(&other).map(Vec::as_slice)));
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_proof(bytes in prop::collection::vec(any::<u8>(), 0..400), key in any_key()) {
        let root = spread_tree(40).root_digest();
        prop_assert!(Proof::decode(&bytes).and_then(|proof| proof.verify(root, &key)).is_err());
    }
}

#[test]
fn proof_of_the_empty_state_does_not_hold_in_another() {
    let proof = Tree::new().prove(b"key");
    assert_eq!(proof.verify(Tree::new().root_digest(), b"key"), Ok(Proved::Absent));
    assert_eq!(proof.verify(spread_tree(1).root_digest(), b"key"), Err(BadProof::OtherRoot));
}

#[test]
fn large_value_is_proved_by_its_chunks() {
    let mut tree = spread_tree(100);
    let value: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
    tree.put(b"large", value.clone());
    let proved = tree.prove(b"large").verify(tree.root_digest(), b"large").unwrap();
    assert!(proved.is(Some(&value)));
    assert!(!proved.is(Some(&value[..199_999])));
    assert!(!proved.is(None));
}

#[test]
fn longest_proof_is_within_its_bound() {
    let mut tree = deep_tree(TREE_KEY_BYTES_MAX);
    let key = vec![0; TREE_KEY_BYTES_MAX];
    tree.put(&key, vec![0; VALUE_BYTES_MAX]);
    let encoded = tree.prove(&key).encode();
    assert!(encoded.len() > PROOF_BYTES_MAX / 2 && encoded.len() <= PROOF_BYTES_MAX);
    let proved = Proof::decode(&encoded).unwrap().verify(tree.root_digest(), &key).unwrap();
    assert!(proved.is(tree.get(&key)));
    assert_eq!(Proof::decode(&vec![0; PROOF_BYTES_MAX + 1]), Err(BadProof::Malformed));
}
