//! Which crate may know which: the arrows of ARCHITECTURE.md, and what must stay out of the inner
//! rings however long the way in is.

use super::manifests::{self, Package};
use super::sources::{Sources, crate_of};
use super::{Finding, violation_at};
use crate::tree::Tree;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Each package of the workspace with the others it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("pbft", &[]),
    ("quorate-replica", &["pbft"]),
    ("quorate-services", &["pbft"]),
    ("quorate-adversary", &["pbft"]),
    ("quorate-net", &["pbft"]),
    ("quorate-lab", &["pbft", "quorate-replica", "quorate-services", "quorate-adversary"]),
    ("quorate-node", &["pbft", "quorate-replica", "quorate-net", "quorate-adversary"]),
    ("quorate-gateway", &["pbft", "quorate-net", "quorate-services"]),
    ("quorate", &["pbft", "quorate-lab", "quorate-net", "quorate-node"]),
    (
        "quorate-cli",
        &[
            "pbft",
            "quorate",
            "quorate-adversary",
            "quorate-gateway",
            "quorate-lab",
            "quorate-net",
            "quorate-node",
            "quorate-replica",
            "quorate-services",
        ],
    ),
    (
        "quorate-fuzz",
        &["pbft", "quorate-gateway", "quorate-lab", "quorate-replica", "quorate-services"],
    ),
    ("xtask", &[]),
];

/// The packages that run unchanged in the simulator. Their tests may use each other, but nothing
/// from outside these rings.
pub(super) const INNER_RINGS: &[&str] =
    &["pbft", "quorate-replica", "quorate-services", "quorate-adversary", "quorate-lab"];

/// What may not be reached from the inner rings by any path, tests included.
const OUTER_WORLD: &[&str] = &["tokio", "mio", "rustls", "hyper", "tonic", "axum"];

/// The declared edges are allowed ones, the inner rings reach nothing of the outer world, and the
/// core is `no_std`.
pub(super) fn check(tree: &Tree, sources: &Sources) -> Result<Vec<Finding>> {
    let packages = manifests::packages(tree)?;
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings: Vec<Finding> =
        packages.iter().flat_map(|package| forbidden_edges(package, &names)).collect();
    let locked = manifests::locked(tree)?;
    for package in INNER_RINGS {
        for reached in
            reachable(&locked, package).into_iter().filter(|name| OUTER_WORLD.contains(name))
        {
            findings.push(Finding::violation("Cargo.lock", format!("{package} reaches {reached}")));
        }
    }
    findings.extend(std_in_core(tree, sources));
    Ok(findings)
}

fn forbidden_edges(package: &Package, names: &BTreeSet<&str>) -> Vec<Finding> {
    let place = package.path.as_str();
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
        let message = format!("{} has no place in the map of allowed edges", package.name);
        return vec![Finding::violation(place, message)];
    };
    let ours = |names_listed: &BTreeSet<String>| -> Vec<String> {
        names_listed.iter().filter(|name| names.contains(name.as_str())).cloned().collect()
    };
    let mut findings = Vec::new();
    for dependency in ours(&package.dependencies) {
        if !allowed.contains(&dependency.as_str()) {
            let message = format!("{} may not depend on {dependency}", package.name);
            findings.push(Finding::violation(place, message));
        }
    }
    for dependency in ours(&package.dev_dependencies) {
        let inner = |name: &str| INNER_RINGS.contains(&name);
        if inner(&package.name) && !inner(&dependency) {
            let message = format!("tests of {} may not depend on {dependency}", package.name);
            findings.push(Finding::violation(place, message));
        }
    }
    findings
}

/// Everything that `from` depends on, directly or not.
fn reachable<'a>(
    locked: &'a BTreeMap<String, BTreeSet<String>>,
    from: &'a str,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        for dependency in locked.get(name).into_iter().flatten() {
            if reached.insert(dependency.as_str()) {
                open.push(dependency);
            }
        }
    }
    reached
}

/// Without the standard library the compiler itself keeps clocks, sockets and threads out.
fn std_in_core(tree: &Tree, sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = "crates/pbft/src/lib.rs";
    if tree.get(root).is_some_and(|text| !text.lines().any(|line| line == "#![no_std]")) {
        findings.push(Finding::violation(root, "the core must say #![no_std]"));
    }
    for (path, source) in sources.files().filter(|(path, _)| crate_of(path) == Some("pbft")) {
        for (index, line) in source.lines.iter().enumerate() {
            if !line.test && line.code.contains("extern crate std") {
                findings.push(violation_at(
                    path,
                    index,
                    "the core may not link the standard library",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<Finding> {
        let mut files = files.to_vec();
        if !files.iter().any(|(path, _)| *path == "Cargo.lock") {
            files.push(("Cargo.lock", ""));
        }
        let tree = Tree::of(&files);
        check(&tree, &Sources::of(&tree)).unwrap()
    }

    const PBFT: (&str, &str) = ("crates/pbft/Cargo.toml", "[package]\nname = \"pbft\"");
    const NET: (&str, &str) = (
        "crates/quorate-net/Cargo.toml",
        "[package]\nname = \"quorate-net\"\n[dependencies]\npbft.workspace = true",
    );

    #[test]
    fn an_edge_on_the_map_is_allowed() {
        assert_eq!(findings(&[PBFT, NET]), []);
    }

    #[test]
    fn an_edge_off_the_map_is_a_violation() {
        let core = "[package]\nname = \"pbft\"\n[dependencies]\nquorate-net.workspace = true";
        let found = findings(&[("crates/pbft/Cargo.toml", core), NET]);
        assert_eq!(violations(&found), ["pbft may not depend on quorate-net"]);
    }

    #[test]
    fn a_package_off_the_map_is_a_violation() {
        let found = findings(&[("crates/new/Cargo.toml", "[package]\nname = \"new\"")]);
        assert_eq!(violations(&found), ["new has no place in the map of allowed edges"]);
    }

    #[test]
    fn tests_of_the_inner_rings_stay_inside() {
        let core = "[package]\nname = \"pbft\"\n[dev-dependencies]\nquorate-net.workspace = true";
        let found = findings(&[("crates/pbft/Cargo.toml", core), NET]);
        assert_eq!(violations(&found), ["tests of pbft may not depend on quorate-net"]);
    }

    #[test]
    fn the_lab_reaches_no_runtime_even_by_detours() {
        let lock = "[[package]]\nname = \"quorate-lab\"\ndependencies = [\"a\"]\n\
                    [[package]]\nname = \"a\"\ndependencies = [\"tokio 1.0.0\"]\n";
        let found = findings(&[("Cargo.lock", lock)]);
        assert_eq!(violations(&found), ["quorate-lab reaches tokio"]);
    }

    #[test]
    fn the_core_must_do_without_the_standard_library() {
        let found = findings(&[("crates/pbft/src/lib.rs", "extern crate std;")]);
        assert_eq!(
            violations(&found),
            ["the core must say #![no_std]", "the core may not link the standard library"]
        );
    }

    #[test]
    fn tests_of_the_core_may_link_the_standard_library() {
        let lib = "#![no_std]\n#[cfg(test)]\nextern crate std;";
        assert_eq!(findings(&[("crates/pbft/src/lib.rs", lib)]), []);
    }
}
