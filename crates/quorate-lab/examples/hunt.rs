//! Looks for a world of the swarm that does not pass, and stops at the first one:
//! `cargo run --release -p quorate-lab --example hunt -- FIRST_SEED SEEDS`.
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use quorate_lab::rng::Seed;
use quorate_lab::swarm::run_one;
use quorate_lab::world::Verdict;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> = std::env::args().skip(1).map(|arg| arg.parse().ok()).collect();
    let Some(&[first, seeds]) = numbers.as_deref() else {
        println!("usage: hunt FIRST_SEED SEEDS, as in: hunt 0 1000");
        return ExitCode::from(2);
    };
    // A fault that panics is found; what it prints says no more than the result.
    panic::set_hook(Box::new(|_| {}));
    let (next, runs) = (AtomicU64::new(first), AtomicU64::new(0));
    let found = Mutex::new(None);
    let hunt = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || found.lock().is_ok_and(|found| found.is_some()) {
                return;
            }
            let finding = finding(Seed::new(seed));
            runs.fetch_add(1, Ordering::Relaxed);
            if let (Some(finding), Ok(mut found)) = (finding, found.lock()) {
                found.get_or_insert((seed, finding));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(hunt);
        }
    });
    let runs = runs.into_inner();
    match found.into_inner() {
        Ok(Some((seed, finding))) => {
            println!("found: {finding}; {seed}; {runs}");
            ExitCode::FAILURE
        }
        _ => {
            println!("nothing in {runs} runs");
            ExitCode::SUCCESS
        }
    }
}

/// What is wrong in the world of this seed, in a few words.
fn finding(seed: Seed) -> Option<String> {
    let verdict = panic::catch_unwind(AssertUnwindSafe(|| run_one(seed).outcome.verdict));
    match verdict {
        Ok(Verdict::Pass) => None,
        Ok(Verdict::Violation(violation)) => Some(violation.property.to_owned()),
        Ok(Verdict::NoProgress(_)) => Some("no progress".to_owned()),
        Err(_) => Some("panic".to_owned()),
    }
}
