//! The demo proves what it says, and can fail.

use crate::cluster::{run, text};
use serde_json::Value;
use std::path::Path;

fn demo(more: &[&str]) -> (Option<i32>, Value) {
    let arguments = [&["demo", "--json", "--duration", "12s"], more].concat();
    let output = run(&arguments);
    let verdict = serde_json::from_slice(&output.stdout);
    (output.status.code(), verdict.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
}

#[test]
fn demo_passes_and_its_evidence_verifies_offline() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let (code, verdict) = demo(&["--seed", "5", "--dir", dir.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{verdict}");
    assert_eq!(verdict["verdict"], "pass");
    assert_eq!(verdict["linearizable"], true);
    assert_eq!(verdict["digests_equal"], true);
    assert!(verdict["view_changes"].as_u64() >= Some(1));
    assert!(verdict["killed"][0]["caught_up_ms"].is_u64());
    let evidence = verdict["liars"][0]["evidence"].as_str().unwrap();
    let cluster = dir.join("cluster.toml");
    let verified = run(&["verify", "--json", evidence, "--cluster", cluster.to_str().unwrap()]);
    let conviction: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(conviction["replica"], verdict["liars"][0]["replica"]);

    let mut bytes = std::fs::read(evidence).unwrap();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    let changed = folder.path().join("changed");
    std::fs::write(&changed, bytes).unwrap();
    let refused = run(&["verify", str_of(&changed), "--cluster", str_of(&cluster)]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
}

#[test]
fn demo_beyond_the_budget_is_not_linearizable() {
    let (code, verdict) = demo(&["--beyond-budget"]);
    assert_eq!(code, Some(1), "{verdict}");
    assert_eq!(verdict["linearizable"], false);
    assert_eq!(verdict["verdict"], "fail");
}

fn str_of(path: &Path) -> &str {
    path.to_str().unwrap()
}
