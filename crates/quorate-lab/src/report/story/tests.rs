//! Nobody is said to lie who does not.

use super::lies;
use crate::report::reading::Reading;
use crate::scenario::Scenario;
use crate::world::run_observed;
use std::path::Path;

/// A run of a shipped scenario: no correct replica is told to have lied, and some liar is if
/// `is_seen`.
fn check(file: &str, is_seen: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let scenario = Scenario::parse(file, &text).unwrap_or_else(|error| panic!("{error}"));
    let mut lines = Vec::new();
    run_observed(scenario.seed, &scenario.options, &mut |line| lines.push(line));
    let reading = Reading::new(scenario.options.replica_count, &lines);
    let lies = lies::find(&reading);
    for lie in &lies {
        let by = pbft::ReplicaId::new(lie.by);
        assert!(scenario.options.is_faulty(by), "{file}: {lie:?}");
    }
    assert_eq!(!lies.is_empty(), is_seen, "{file}");
}

#[test]
fn only_liars_are_told_to_lie() {
    for file in [
        "acceptance/E19-equivocating-primary-n4.toml",
        "acceptance/E33-new-view-invented-n4.toml",
        "acceptance/E39-divergent-checkpoints-n7.toml",
        "original/byzantine_node.toml",
        "original/faulty_primary.toml",
        "original/timeline.toml",
    ] {
        check(file, true);
    }
}

#[test]
fn nobody_is_told_to_lie_where_all_are_correct() {
    for file in [
        "acceptance/E02-duplicated-and-reordered-n4.toml",
        "acceptance/E27-committed-at-one-replica-n4.toml",
        "acceptance/E35-new-primary-dies-n4.toml",
        "acceptance/E36-state-transfer-into-a-new-view-n4.toml",
        "acceptance/E49-crashes-between-write-and-sync-n4.toml",
        "acceptance/E52-power-failure-n4.toml",
        "acceptance/E53-emptied-disks-n4.toml",
        "original/honest.toml",
    ] {
        check(file, false);
    }
}
