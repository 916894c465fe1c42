//! Runs the worlds of a range of seeds, or describes that of one:
//! `cargo run -p quorate-lab --example swarm -- FIRST COUNT`, or `-- SEED`.
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use quorate_lab::rng::Seed;
use quorate_lab::swarm::{options_of, swarm};
use quorate_lab::world;
use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    match numbers.as_slice() {
        [seed] => {
            let options = options_of(Seed::new(*seed));
            let outcome = world::run(Seed::new(*seed), &options);
            println!("{options:#?}\n{outcome:#?}\n{}", outcome.verdict);
            ExitCode::SUCCESS
        }
        [first, count] => {
            let mut found = 0;
            let mut coverage = std::collections::BTreeMap::new();
            for seed in *first..first + count {
                let one = swarm(seed..seed + 1);
                for (seed, verdict) in &one.failures {
                    found += 1;
                    println!("seed {}: {verdict}", seed.get());
                }
                for (what, runs) in one.coverage {
                    *coverage.entry(what).or_insert(0) += runs;
                }
            }
            println!("{found} of {count} runs failed; of all runs this many had {coverage:#?}");
            if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => {
            println!("usage: swarm FIRST COUNT | swarm SEED");
            ExitCode::from(2)
        }
    }
}
