//! Lies that differ from the truth by one. Thousands more are in `examples/small_scope.rs`.

use quorate_lab::small_scope::{Bounds, explore};

#[test]
fn small_lies_in_few_rounds_are_masked() {
    let bounds =
        Bounds { replica_count: 4, changed_rounds: 0..=2, split_rounds: 0..=2, seeds: 0..40 };
    let report = explore(&bounds, &mut |_, _| {});
    assert_eq!(report.runs, 9 * 40);
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert!(report.with_view_change > 0 && report.convicting > 0);
}
