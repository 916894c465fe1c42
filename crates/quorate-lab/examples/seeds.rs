//! Runs a scenario file under many seeds in place of its own:
//! `cargo run --release -p quorate-lab --example seeds -- FILE FIRST COUNT`.
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use quorate_lab::rng::Seed;
use quorate_lab::scenario::Scenario;
use quorate_lab::world;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, first, count] = arguments.as_slice() else {
        println!("usage: seeds FILE FIRST COUNT");
        return ExitCode::from(2);
    };
    let (Ok(first), Ok(count)) = (first.parse::<u64>(), count.parse::<u64>()) else {
        println!("FIRST and COUNT are numbers");
        return ExitCode::from(2);
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            println!("cannot read {file}: {error}");
            return ExitCode::from(2);
        }
    };
    let scenario = match Scenario::parse(file, &text) {
        Ok(scenario) => scenario,
        Err(error) => {
            println!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut found = 0;
    for seed in first..first.saturating_add(count) {
        let outcome = world::run(Seed::new(seed), &scenario.options);
        let misses = scenario.misses(&outcome);
        if !misses.is_empty() {
            found += 1;
            println!("seed {seed}: {}", misses.join("; "));
        }
    }
    println!("{found} of {count} seeds did not end as the file says");
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
