//! The new-view decision explored to the end within small bounds; the larger ones are in
//! `examples/corner.rs`.

use quorate_lab::corner::{Bounds, Report, explore};
use std::collections::BTreeSet;

fn explored(faulty: &[u32], numbers: u64, last_view: u64) -> Report {
    let faulty = faulty.iter().copied().collect();
    let bounds = Bounds { faulty, numbers, last_view, situations_max: 1_000_000 };
    explore(&bounds, &mut |_| {})
}

/// [NV2] [VC5] Whatever one liar does, what is committed is chosen, and nothing else is committed;
/// and each view is one in which something can be committed.
fn one_liar_is_masked(liar: u32) {
    let report = explored(&[liar], 1, 1);
    assert_eq!(report.violation, None);
    assert!(report.is_complete);
    assert_eq!(report.committed_in, BTreeSet::from([0, 1]));
}

#[test]
fn a_lying_primary_of_the_first_view_is_masked() {
    one_liar_is_masked(0);
}

#[test]
fn a_lying_primary_of_the_second_view_is_masked() {
    one_liar_is_masked(1);
}

#[test]
fn a_lying_backup_is_masked() {
    one_liar_is_masked(3);
}

/// The test of the test: with f+1 liars every exploration finds how they break agreement.
#[test]
fn two_liars_are_always_found_out() {
    for one in 0..4 {
        for other in one + 1..4 {
            let report = explored(&[one, other], 1, 1);
            let (property, story) = report.violation.expect("two liars of four break agreement");
            assert!(property.contains("committed"), "{property}");
            assert!(!story.is_empty());
        }
    }
}
