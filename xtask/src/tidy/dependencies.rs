//! Every dependency is a decision that is written down, taken from one place, and used.

use super::Finding;
use super::manifests;
use super::sources::Sources;
use crate::tree::Tree;
use anyhow::Result;
use std::collections::BTreeSet;

const DECISION: &str = "docs/decisions/0001-dependencies.md";

/// The workspace's list, the decision's table and what the crates use are the same.
pub(super) fn check(tree: &Tree, _: &Sources) -> Result<Vec<Finding>> {
    let listed = manifests::registry_dependencies(tree)?;
    let explained = explained(tree.get(DECISION).unwrap_or_default());
    let packages = manifests::packages(tree)?;
    let used: BTreeSet<&String> =
        packages.iter().flat_map(manifests::Package::all_dependencies).collect();

    let mut findings = Vec::new();
    for name in listed.difference(&explained) {
        let message = format!("{name} has no line that says why we depend on it");
        findings.push(Finding::violation(DECISION, message));
    }
    for name in explained.difference(&listed) {
        let message = format!("{name} is explained, but not a dependency of the workspace");
        findings.push(Finding::violation(DECISION, message));
    }
    for name in listed.iter().filter(|name| !used.contains(name)) {
        findings.push(Finding::violation("Cargo.toml", format!("no crate uses {name}")));
    }
    for package in &packages {
        for name in &package.own_versions {
            let message = format!("{name} must be taken from the workspace");
            findings.push(Finding::violation(&package.path, message));
        }
    }
    Ok(findings)
}

/// The names in the first column of the decision's tables.
fn explained(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn findings(workspace: &str, decision: &str, manifest: &str) -> Vec<Finding> {
        let tree = Tree::of(&[
            ("Cargo.toml", workspace),
            (DECISION, decision),
            ("crates/a/Cargo.toml", manifest),
        ]);
        check(&tree, &Sources::of(&tree)).unwrap()
    }

    const WORKSPACE: &str = "[workspace.dependencies]\na = { path = \"crates/a\" }\nx = \"1\"\n";
    const USER: &str = "[package]\nname = \"a\"\n[dependencies]\nx.workspace = true\n";

    #[test]
    fn an_explained_and_used_dependency_is_fine() {
        assert_eq!(findings(WORKSPACE, "| `x` | because |", USER), []);
    }

    #[test]
    fn a_dependency_without_a_reason_is_a_violation() {
        let found = findings(WORKSPACE, "", USER);
        assert_eq!(violations(&found), ["x has no line that says why we depend on it"]);
    }

    #[test]
    fn a_dependency_nobody_uses_is_a_violation() {
        let found = findings(WORKSPACE, "| `x` | because |", "[package]\nname = \"a\"\n");
        assert_eq!(violations(&found), ["no crate uses x"]);
    }

    #[test]
    fn a_reason_without_a_dependency_is_a_violation() {
        let found = findings(WORKSPACE, "| `x` | a |\n| `y` | b |", USER);
        let message = "y is explained, but not a dependency of the workspace";
        assert_eq!(violations(&found), [message]);
    }

    #[test]
    fn a_crate_takes_versions_from_the_workspace() {
        let own = "[package]\nname = \"a\"\n[dependencies]\nx = \"2\"\n";
        let found = findings(WORKSPACE, "| `x` | a |", own);
        assert_eq!(violations(&found), ["x must be taken from the workspace"]);
    }
}
