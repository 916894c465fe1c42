//! Identities that run twice. The full sets are in `examples/twins.rs`.

use quorate_lab::twins::{Bounds, Report, Schedules, explore};
use quorate_lab::world::Verdict;

fn explored(replica_count: u32, twins: u32, schedules: Schedules) -> Report {
    let bounds = Bounds { replica_count, twins, views: 4, schedules };
    explore(&bounds, &mut |_, _| {})
}

fn masked(report: &Report) {
    let failures: Vec<String> = report
        .failures
        .iter()
        .map(|(schedule, verdict)| format!("{schedule}: {verdict}"))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_static_schedule_of_one_twin_among_four_is_masked() {
    let report = explored(4, 1, Schedules::Static);
    assert_eq!(report.schedules, 208);
    masked(&report);
    assert!(report.convicting > 0, "no twins were caught contradicting each other");
    assert!(report.views.keys().any(|view| *view >= 2), "{:?}", report.views);
}

#[test]
fn twins_are_masked_while_partitions_rotate() {
    masked(&explored(4, 1, Schedules::Rotating(0..60)));
    masked(&explored(7, 2, Schedules::Rotating(0..20)));
}

/// The test of the test: f+1 twins give two quorums that share no correct replica, as a quorum of
/// 2f would.
#[test]
fn more_twins_than_are_tolerated_are_seen_to_break_agreement() {
    let report = explored(4, 2, Schedules::Rotating(0..60));
    let broken = |verdict: &Verdict| matches!(verdict, Verdict::Violation(violation) if violation.property == "agreement");
    assert!(report.failures.iter().any(|(_, verdict)| broken(verdict)), "{:?}", report.failures);
}
