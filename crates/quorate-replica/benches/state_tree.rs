//! What the state tree costs at one million keys of 256 bytes, key and value together:
//! `cargo bench -p quorate-replica --bench state_tree [-- KEYS]`.
#![expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]

use quorate_replica::{Assembler, Tree};
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
    let small_rate = steady_rate(&mut filled(1_000), 1_000);
    println!("puts into a store of 1000 keys: {small_rate:.0}/s");

    let before = resident_bytes();
    let (mut tree, took) = timed(|| filled(keys));
    println!("{keys} keys put in {took:.2?}: {:.0}/s", keys as f64 / took.as_secs_f64());
    let (_, took) = timed(|| tree.root_digest());
    println!("first digest: {took:.2?}");
    let data = tree.bytes() as f64;
    let resident = (resident_bytes() - before) as f64;
    let overhead = (resident - data) / keys as f64;
    println!("memory: {:.3} of the data, {overhead:.1} bytes a key over it", resident / data);

    let rate = steady_rate(&mut tree, keys);
    println!("puts at {keys} keys: {rate:.0}/s, {:.2} of the small store's", rate / small_rate);
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
}

/// Puts per second while a checkpoint is taken every [`CHANGES`]: its digest is computed on another
/// thread while the puts go on, and the snapshot before it is dropped. Prints the pauses.
fn steady_rate(tree: &mut Tree, keys: u64) -> f64 {
    let mut random = Random(7);
    let (mut put, mut pause_max) = (Duration::ZERO, Duration::ZERO);
    let (mut hashed, mut hashed_max) = (Duration::ZERO, Duration::ZERO);
    let mut previous = tree.clone();
    for round in 0..CHECKPOINTS {
        let (snapshot, pause) = timed(|| tree.clone());
        pause_max = pause_max.max(pause);
        let old = std::mem::replace(&mut previous, snapshot.clone());
        std::thread::scope(|scope| {
            let hashing = scope.spawn(move || {
                drop(old);
                timed(|| snapshot.root_digest()).1
            });
            let ((), took) = timed(|| {
                for _ in 0..CHANGES {
                    tree.put(&key(random.next() % keys), value(round));
                }
            });
            put += took;
            if let Ok(took) = hashing.join() {
                hashed += took;
                hashed_max = hashed_max.max(took);
            }
        });
    }
    let mean = hashed / CHECKPOINTS as u32;
    println!(
        "  {CHANGES} changes: pause {pause_max:.2?}, digest {mean:.2?}, at most {hashed_max:.2?}"
    );
    (CHECKPOINTS * CHANGES) as f64 / put.as_secs_f64()
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
