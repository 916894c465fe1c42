//! Tests of durable snapshots: what is found again after a restart, a crash anywhere, and damage.

mod crash;
mod damage;

use super::rows::{PAGES, Table, VALUES};
use super::*;
use crate::{CHUNK_BYTES_MAX, Crash, FileBackend, MemoryBackend};
use proptest::prelude::*;
use redb::{ReadableDatabase, ReadableTableMetadata};
use std::fmt::Write;

/// So small that every save takes several transactions.
const SMALL_BATCH_BYTES: usize = 6_000;

fn create(backend: &MemoryBackend) -> SnapshotStore {
    let mut store = SnapshotStore::create(backend).unwrap();
    store.batch_bytes_max = SMALL_BATCH_BYTES;
    store
}

fn open(backend: &MemoryBackend) -> (SnapshotStore, Option<Snapshot>) {
    SnapshotStore::open_with(backend, SMALL_BATCH_BYTES).unwrap()
}

fn key(number: u64) -> Vec<u8> {
    format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

fn tree(count: u64) -> Tree {
    let mut tree = Tree::new();
    (0..count).for_each(|number| tree.put(&key(number), vec![number as u8; 240]));
    tree
}

/// Some pages, and a value of two chunks.
fn first_tree() -> Tree {
    let mut tree = tree(80);
    tree.put(b"large", vec![1; CHUNK_BYTES_MAX + 10]);
    tree.put(b"large too", vec![2; 2000]);
    tree
}

/// The first tree with every kind of change: entries changed, added and removed, pages split and
/// merged, large values replaced and gone.
fn second_tree() -> Tree {
    let mut tree = first_tree();
    (0..30).for_each(|number| tree.delete(&key(number)));
    (75..120).for_each(|number| tree.put(&key(number), vec![9; 300]));
    tree.put(b"large", vec![3; 3000]);
    tree.delete(b"large too");
    tree.put(b"new and large", vec![4; 5000]);
    tree
}

fn row_count(store: &SnapshotStore, table: Table) -> u64 {
    store.database.begin_read().unwrap().open_table(table).unwrap().len().unwrap()
}

fn assert_is(snapshot: Option<&Snapshot>, seq: u64, tree: &Tree) {
    let snapshot = snapshot.expect("there is a snapshot");
    assert_eq!(snapshot.seq, SeqNum::new(seq));
    assert_eq!(snapshot.tree.root_digest(), tree.root_digest());
    assert_eq!(snapshot.tree.len(), tree.len());
    let large = |tree: &Tree| tree.get(b"large").map(<[u8]>::to_vec);
    assert_eq!(large(&snapshot.tree), large(tree));
}

#[test]
fn snapshot_is_found_again_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::open(folder.path()).unwrap();
    let mut store = SnapshotStore::create(&backend).unwrap();
    assert!(SnapshotStore::create(&backend).is_err());
    store.save(SeqNum::new(128), &first_tree()).unwrap();
    drop(store);
    let (mut store, snapshot) = SnapshotStore::open(&backend).unwrap();
    assert_is(snapshot.as_ref(), 128, &first_tree());
    // The host goes on from the tree it was given.
    let mut tree = snapshot.unwrap().tree;
    tree.put(b"more", b"of it".to_vec());
    store.save(SeqNum::new(256), &tree).unwrap();
    drop(store);
    let (_, snapshot) = SnapshotStore::open(&backend).unwrap();
    assert_is(snapshot.as_ref(), 256, &tree);
}

#[test]
fn new_store_has_no_snapshot() {
    let backend = MemoryBackend::new();
    drop(create(&backend));
    assert!(open(&backend).1.is_none());
}

#[test]
fn empty_state_is_a_snapshot_too() {
    let backend = MemoryBackend::new();
    let mut store = create(&backend);
    store.save(SeqNum::new(1), &first_tree()).unwrap();
    store.save(SeqNum::new(2), &Tree::new()).unwrap();
    assert_eq!((row_count(&store, PAGES), row_count(&store, VALUES)), (0, 0));
    drop(store);
    assert_is(open(&backend).1.as_ref(), 2, &Tree::new());
}

#[test]
fn only_what_changed_is_written() {
    let backend = MemoryBackend::new();
    let mut store = SnapshotStore::create(&backend).unwrap();
    let writes = || backend.operations().of(crate::Operation::Write);
    let mut tree = tree(5_000);
    let before = writes();
    store.save(SeqNum::new(1), &tree).unwrap();
    let whole = writes() - before;
    tree.put(&key(7), vec![0; 240]);
    let before = writes();
    store.save(SeqNum::new(2), &tree).unwrap();
    let changed = writes() - before;
    assert!(whole > 300 && changed < 60, "{whole} writes for all, {changed} for one change");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_over_whatever_changes(
        rounds in prop::collection::vec(
            prop::collection::vec((0..60_u64, prop::option::of(prop::sample::select(vec![1, 300, 900, 2_000, 70_000]))), 0..40),
            1..6,
        ),
    ) {
        let backend = MemoryBackend::new();
        let mut store = create(&backend);
        let mut tree = Tree::new();
        for (seq, changes) in (1..).zip(rounds) {
            for (number, length) in changes {
                match length {
                    Some(length) => tree.put(&key(number), vec![seq as u8; length]),
                    None => tree.delete(&key(number)),
                }
            }
            store.save(SeqNum::new(seq), &tree).unwrap();
            let everything = Tree::new();
            let everything = tree.changes_since(&everything);
            prop_assert_eq!(row_count(&store, PAGES), everything.pages.len() as u64);
            let pieces = everything.values.values().flatten().map(|value| value.len().div_ceil(62 << 10));
            prop_assert_eq!(row_count(&store, VALUES), pieces.sum::<usize>() as u64);
            if seq % 2 == 0 {
                drop(store);
                let (opened, snapshot) = open(&backend);
                store = opened;
                let snapshot = snapshot.unwrap();
                prop_assert_eq!(snapshot.tree.root_digest(), tree.root_digest());
                tree = snapshot.tree;
            }
        }
    }
}

#[test]
fn rows_are_those_that_were_published() {
    let backend = MemoryBackend::new();
    let mut store = create(&backend);
    let mut tree = Tree::new();
    tree.put(b"a", b"inline".to_vec());
    tree.put(b"b", vec![0xb0; (62 << 10) + 1]);
    store.save(SeqNum::new(0x1234), &tree).unwrap();
    let mut text = String::new();
    let record = rows::read_record(&store.database).unwrap().unwrap();
    writeln!(text, "record {}", hex(&record)).unwrap();
    for table in [PAGES, VALUES] {
        let rows = store.database.begin_read().unwrap().open_table(table).unwrap();
        for row in rows.range::<(&[u8], u64, u16)>(..).unwrap() {
            let (name, content) = row.unwrap();
            let (key, generation, piece) = name.value();
            let content = content.value();
            let shown = hex(&content[..content.len().min(100)]);
            let length = content.len();
            writeln!(text, "{table} {} {generation} {piece} {length} {shown}", hex(key)).unwrap();
        }
    }
    assert_eq!(text, include_str!("../../tests/golden/snapshot_rows.txt"), "\n{text}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
