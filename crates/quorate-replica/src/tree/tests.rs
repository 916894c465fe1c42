//! Tests of the tree: against an ordered map, against a naive digest of the same content, and
//! against servers and clients that mean harm.

mod golden;
mod map;
mod naive;
mod proofs;
mod transfer;

use super::Tree;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The content of a tree, as a plain map.
type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A change of one key: its new value, or none.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// Few different short keys, many of them beginnings of others, and some long ones.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(prop::sample::select(vec![0, 1, b'a', b'b', 255]), 0..5),
        2 => prop::collection::vec(any::<u8>(), 1..3),
        1 => (any::<u8>(), 30..400usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

/// Mostly values that fill pages fast, some tiny, a few large.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        8 => 0..20usize,
        16 => 100..1100usize,
        1 => prop::sample::select(vec![1024, 1025, 65_535, 65_536, 65_537, 140_000]),
    ];
    (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length])
}

fn any_changes(count: usize) -> impl Strategy<Value = Vec<Change>> {
    let value = prop_oneof![3 => any_value().prop_map(Some), 2 => Just(None)];
    prop::collection::vec((any_key(), value), 0..count)
}

fn any_map(count: usize) -> impl Strategy<Value = Map> {
    prop::collection::btree_map(any_key(), any_value(), 0..count)
}

fn apply(tree: &mut Tree, changes: &[Change]) {
    for (key, value) in changes {
        match value {
            Some(value) => tree.put(key, value.clone()),
            None => tree.delete(key),
        }
    }
}

fn apply_to_map(map: &mut Map, changes: &[Change]) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

fn tree_of(map: &Map) -> Tree {
    let mut tree = Tree::new();
    for (key, value) in map {
        tree.put(key, value.clone());
    }
    tree
}

fn content(tree: &Tree) -> Map {
    let mut map = Map::new();
    tree.scan(b"", None, &mut |key, value| {
        assert!(map.last_key_value().is_none_or(|(last, _)| last.as_slice() < key));
        map.insert(key.to_vec(), value.to_vec());
        true
    });
    map
}

/// Numbered entries whose keys are spread evenly; value and key together take 256 bytes.
fn spread_entry(number: u64) -> (Vec<u8>, Vec<u8>) {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = format!("{spread:016x}").into_bytes();
    let value = number.to_le_bytes().repeat(30);
    (key, value)
}

fn spread_tree(count: u64) -> Tree {
    let mut tree = Tree::new();
    for number in 0..count {
        let (key, value) = spread_entry(number);
        tree.put(&key, value);
    }
    tree
}

/// A tree as deep as keys of this length allow a client to make it: every key differs from all
/// the longer ones at a bit of its own.
fn deep_tree(key_bytes: usize) -> Tree {
    let mut tree = Tree::new();
    for byte in 0..key_bytes {
        for bit in 0..8 {
            let mut key = vec![0; byte + 1];
            key[byte] = 0x80 >> bit;
            tree.put(&key, vec![7; 600]);
        }
    }
    tree
}

/// Runs `test` on a stack that a recursion as deep as a hostile tree would exceed.
fn on_small_stack(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 10);
        thread.spawn_scoped(scope, test).unwrap().join().unwrap();
    });
}
