//! Runs identities twice, under every static schedule or under rotating ones:
//! `cargo run --release -p quorate-lab --example twins -- REPLICAS TWINS VIEWS [FIRST COUNT]`, where
//! FIRST and COUNT are seeds of rotating schedules.
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use quorate_lab::twins::{Bounds, Schedules, explore};
use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Option<Vec<u32>> = std::env::args().skip(1).map(|arg| arg.parse().ok()).collect();
    let (replica_count, twins, views, schedules) = match numbers.as_deref() {
        Some([replicas, twins, views]) => (*replicas, *twins, *views, Schedules::Static),
        Some([replicas, twins, views, first, count]) => {
            let first = u64::from(*first);
            let seeds = first..first + u64::from(*count);
            (*replicas, *twins, *views, Schedules::Rotating(seeds))
        }
        _ => {
            println!("usage: twins REPLICAS TWINS VIEWS [FIRST COUNT], as in: twins 4 1 4");
            return ExitCode::from(2);
        }
    };
    let report = explore(&Bounds { replica_count, twins, views, schedules }, &mut |done, all| {
        if done % 100 == 0 {
            println!("{done} of {all}");
        }
    });
    for (schedule, verdict) in &report.failures {
        println!("{schedule}: {verdict}");
    }
    println!(
        "{} of {} schedules failed; {} convicted somebody; they ended in view: number of them {:?}",
        report.failures.len(),
        report.schedules,
        report.convicting,
        report.views
    );
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
