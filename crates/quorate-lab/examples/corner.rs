//! Explores the corner of the new-view decision within bounds:
//! `cargo run --release -p quorate-lab --example corner -- FAULTY NUMBERS LAST_VIEW`, where FAULTY
//! are ids with commas between them.
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use quorate_lab::corner::{Bounds, explore};
use std::process::ExitCode;

/// What fits into the memory of a large machine.
const SITUATIONS_MAX: u64 = 300_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(bounds) = read(&arguments) else {
        println!("usage: corner FAULTY NUMBERS LAST_VIEW, as in: corner 0 1 2");
        return ExitCode::from(2);
    };
    let report = explore(&bounds, &mut |progress| {
        println!(
            "{}: {} situations, {} states of replicas",
            progress.phase, progress.situations, progress.replica_states
        );
    });
    let extent = if report.is_complete { "all" } else { "not all" };
    println!(
        "{extent} was explored: {} situations, {} states of replicas, {} steps; committed in views {:?}",
        report.situations, report.replica_states, report.steps, report.committed_in
    );
    let Some((property, story)) = report.violation else {
        return if report.is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    println!("{property}");
    for line in story {
        println!("  {line}");
    }
    ExitCode::FAILURE
}

fn read(arguments: &[String]) -> Option<Bounds> {
    let [faulty, numbers, last_view] = arguments else { return None };
    let faulty = faulty.split(',').map(|id| id.parse().ok().filter(|id| *id < 4));
    Some(Bounds {
        faulty: faulty.collect::<Option<_>>()?,
        numbers: numbers.parse().ok().filter(|numbers| *numbers > 0)?,
        last_view: last_view.parse().ok()?,
        situations_max: SITUATIONS_MAX,
    })
}
