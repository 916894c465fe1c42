//! How many instructions the state tree and the journal take, under valgrind:
//! `cargo bench -p quorate-replica --bench instructions`. It fails where one takes more than its
//! limit.
//!
//! A limit is some 15 % above what was counted when it was written, so that another version of the
//! compiler passes. Raise one only with the reason in the commit.
#![expect(unused_qualifications, reason = "the macros write them")]

use core::hint::black_box;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use pbft::{Digest, ReplicaId};
use quorate_replica::{Journal, JournalConfig, JournalIdentity, MemoryBackend, Tree};
use std::sync::Arc;

/// At most so many instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn key(number: u64) -> Vec<u8> {
    blake3::hash(&number.to_le_bytes()).as_bytes().to_vec()
}

/// Ten thousand keys, whose digest is known.
fn filled() -> Tree {
    let mut tree = Tree::new();
    (0..10_000).for_each(|number| tree.put(&key(number), vec![7; 224]));
    black_box(tree.root_digest());
    tree
}

// A hundred keys change, and the digest of the whole is computed anew.
#[library_benchmark(config = at_most(4_300_000))]
#[bench::of_a_hundred_changes(filled())]
fn digest(mut tree: Tree) -> (Tree, Digest) {
    (0..100).for_each(|number| tree.put(&key(number * 97), vec![8; 224]));
    let digest = tree.root_digest();
    (tree, digest)
}

// A thousand keys, of which half are there.
#[library_benchmark(config = at_most(1_580_000))]
#[bench::of_a_thousand_keys(filled())]
fn look_up(tree: Tree) -> (Tree, usize) {
    let found = (9_500..10_500).filter(|number| tree.get(&key(*number)).is_some()).count();
    (tree, found)
}

fn journal() -> Journal {
    let identity =
        JournalIdentity { cluster: Digest::of("bench", &[]), replica: ReplicaId::new(0) };
    let config = JournalConfig { segment_bytes: 1 << 20 };
    Journal::create(Arc::new(MemoryBackend::new()), identity, config).expect("nothing is there")
}

// Sixteen records of 300 bytes, with one sync.
#[library_benchmark(config = at_most(41_500))]
#[bench::of_sixteen_records(journal())]
fn group_commit(mut journal: Journal) -> Journal {
    journal.append(&vec![vec![9_u8; 300]; 16]).expect("it has room");
    journal.sync().expect("a memory does not fail");
    journal
}

library_benchmark_group!(name = state; benchmarks = digest, look_up);
library_benchmark_group!(name = log; benchmarks = group_commit);
main!(library_benchmark_groups = state, log);
