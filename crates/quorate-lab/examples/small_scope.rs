//! Runs lies that differ from the truth by one, for each pair of at most two changed and at most
//! two split rounds:
//! `cargo run --release -p quorate-lab --example small_scope -- REPLICAS FIRST COUNT`, where FIRST
//! and COUNT are seeds of each pair.
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use quorate_lab::small_scope::{Bounds, explore};
use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Option<Vec<u32>> = std::env::args().skip(1).map(|arg| arg.parse().ok()).collect();
    let Some([replica_count, first, count]) = numbers.as_deref() else {
        println!("usage: small_scope REPLICAS FIRST COUNT, as in: small_scope 4 0 1000");
        return ExitCode::from(2);
    };
    let seeds = u64::from(*first)..u64::from(*first) + u64::from(*count);
    let bounds =
        Bounds { replica_count: *replica_count, changed_rounds: 0..=2, split_rounds: 0..=2, seeds };
    let report = explore(&bounds, &mut |done, all| {
        if done % 500 == 0 {
            println!("{done} of {all}");
        }
    });
    for (case, verdict) in &report.failures {
        println!("{case:?}: {verdict}");
    }
    println!(
        "{} of {} runs failed; {} had a view change, {} a conviction",
        report.failures.len(),
        report.runs,
        report.with_view_change,
        report.convicting
    );
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
