//! What the state tree and its durable snapshots cost at one million keys of 256 bytes, key and
//! value together:
//! `cargo bench -p quorate-replica --bench state_tree [-- KEYS]`.
#![expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]

use pbft::SeqNum;
use quorate_replica::{Assembler, FileBackend, SnapshotStore, Tree};
use std::time::{Duration, Instant};

const KEYS_DEFAULT: u64 = 1_000_000;
const KEY_BYTES: usize = 32;
const VALUE_BYTES: usize = 224;
/// The changes between two checkpoints.
const CHANGES: u64 = 5_000;
const CHECKPOINTS: u64 = 40;

fn main() {
    // Cargo passes `--bench`; anything else that is a number is the number of keys.
    let keys = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(KEYS_DEFAULT);

    let before = resident_bytes();
    let (mut tree, took) = timed(|| filled(keys));
    println!("{keys} keys put in {took:.2?}: {:.0}/s", keys as f64 / took.as_secs_f64());
    let (_, took) = timed(|| tree.root_digest());
    println!("first digest: {took:.2?}");
    let data = tree.bytes() as f64;
    let resident = (resident_bytes() - before) as f64;
    let overhead = (resident - data) / keys as f64;
    println!("memory: {:.3} of the data, {overhead:.1} bytes a key over it", resident / data);

    steady_puts(&mut tree, keys);
    let resident = (resident_bytes() - before) as f64;
    println!("memory after {CHECKPOINTS} checkpoints of changes: {:.3}", resident / data);

    let ((), took) = timed(|| {
        let mut sum = 0;
        tree.scan(b"", None, &mut |_, value| {
            sum += value.len();
            true
        });
        assert!(sum > 0);
    });
    println!("scan of everything: {took:.2?}");
    transfer(&tree);
    if let Err(error) = snapshots(&mut tree, keys) {
        println!("no snapshots: {error}");
    }
}

/// Puts into a store while a checkpoint is taken every [`CHANGES`]: its digest is computed on
/// another thread while the puts go on, and the snapshot before it is dropped there too. Prints
/// what a change costs each thread, in time on a processor, so that other work on the machine does
/// not show, and the longest pause of the thread that puts.
fn steady_puts(tree: &mut Tree, keys: u64) {
    let mut random = Random(7);
    let mut pause_max = Duration::ZERO;
    let [mut put, mut hashed, mut dropped] = [Duration::ZERO; 3];
    let mut previous = tree.clone();
    for round in 0..CHECKPOINTS {
        let (snapshot, pause) = timed(|| tree.clone());
        pause_max = pause_max.max(pause);
        let old = std::mem::replace(&mut previous, snapshot.clone());
        std::thread::scope(|scope| {
            let hashing = scope.spawn(move || {
                let digest = on_processor(|| snapshot.root_digest());
                (digest.1, on_processor(|| drop((old, snapshot))).1)
            });
            put += on_processor(|| {
                for _ in 0..CHANGES {
                    tree.put(&key(random.next() % keys), value(round));
                }
            })
            .1;
            if let Ok((digest, drops)) = hashing.join() {
                hashed += digest;
                dropped += drops;
            }
        });
    }
    let [put, hashed, dropped] = [put, hashed, dropped].map(|sum| sum / CHECKPOINTS as u32);
    let each = |sum: Duration| sum / CHANGES as u32;
    println!("{keys} keys, a checkpoint every {CHANGES} changes:");
    println!("  a change: put {:.2?}, digest {:.2?}", each(put), each(hashed));
    println!(
        "  a checkpoint: pause at most {pause_max:.2?}, digest {hashed:.2?}, drop {dropped:.2?}"
    );
}

fn transfer(server: &Tree) {
    let (parts, took) = timed(|| {
        let mut assembler = Assembler::new(server.root_digest(), Tree::new());
        let mut parts = 0;
        while assembler.finish().is_none() {
            for id in assembler.wanted(64) {
                let part = server.part(&id).unwrap_or_default();
                if assembler.accept(&id, &part).is_ok() {
                    parts += 1;
                }
            }
        }
        parts
    });
    let rate = server.bytes() as f64 / 1e6 / took.as_secs_f64();
    println!("transfer of everything: {parts} parts in {took:.2?}, {rate:.0} MB/s");
}

/// Stores the tree in a temporary folder, then what changed since, and reads it again.
fn snapshots(tree: &mut Tree, keys: u64) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let backend = FileBackend::open(folder.path())?;
    let mut store = SnapshotStore::create(&backend)?;
    let (saved, took) = timed(|| store.save(SeqNum::new(1), tree));
    saved?;
    let file_bytes = std::fs::metadata(folder.path().join("snapshot.redb"))?.len() as f64;
    let share = file_bytes / tree.bytes() as f64;
    println!("first durable snapshot: {took:.2?}, {share:.2} of the data on disk");
    let mut random = Random(9);
    (0..CHANGES).for_each(|_| tree.put(&key(random.next() % keys), value(9)));
    let (saved, took) = timed(|| store.save(SeqNum::new(2), tree));
    saved?;
    println!("durable snapshot after {CHANGES} changes: {took:.2?}");
    drop(store);
    let (opened, took) = timed(|| SnapshotStore::open(&backend));
    let found = opened?.1.map(|snapshot| snapshot.tree.root_digest());
    assert_eq!(found, Some(tree.root_digest()));
    println!("opened and checked: {took:.2?}");
    Ok(())
}

fn filled(keys: u64) -> Tree {
    let mut tree = Tree::new();
    (0..keys).for_each(|number| tree.put(&key(number), value(number)));
    tree
}

/// Keys in no order: the number's digits after its own hash.
fn key(number: u64) -> Vec<u8> {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = format!("{spread:016x}{number:016}");
    debug_assert_eq!(key.len(), KEY_BYTES);
    key.into_bytes()
}

fn value(seed: u64) -> Vec<u8> {
    seed.to_le_bytes().repeat(VALUE_BYTES / 8)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Like [`timed`], counting only the time this thread was on a processor, as Linux counts it.
fn on_processor<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let now = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    };
    let start = now();
    let result = work();
    (result, now() - start)
}

/// The memory this process holds, in bytes, as Linux counts it.
fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * PAGE_BYTES
}

/// A linear congruential generator: the same changes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 24
    }
}
