//! Everything a change must pass, in order of cost, stopping at the first failure.

use crate::examples;
use crate::rewrite::{cargo, output, run as execute, shown};
use crate::tidy::{self, is_rule_id};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

type Step = fn(&Path) -> Result<()>;

const STEPS: &[(&str, Step)] = &[
    ("format", |root| execute(&mut cargo(root, &["fmt", "--all", "--check"]))),
    ("tidy", tidy::run),
    ("licences", licences),
    ("clippy", |root| {
        let arguments =
            ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        execute(&mut cargo(root, &arguments))
    }),
    ("core alone", core_alone),
    ("simulator alone", simulator_alone),
    ("tests", |root| execute(&mut cargo(root, &["test", "--workspace"]))),
    ("instructions", instructions),
    ("examples", examples::run),
    ("documentation", documentation),
];

/// Runs every step and prints how long each took.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut taken: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = step(root);
        taken.push((name, start.elapsed()));
        println!("=== {name}: {:.1} s", start.elapsed().as_secs_f64());
        if result.is_err() {
            print_table(&taken);
        }
        result.with_context(|| format!("ci stopped at: {name}"))?;
    }
    print_table(&taken);
    println!("ci: everything passed");
    Ok(())
}

fn print_table(taken: &[(&str, Duration)]) {
    println!();
    for (name, duration) in taken {
        println!("{name:<14} {:>8.1} s", duration.as_secs_f64());
    }
    let total: Duration = taken.iter().map(|(_, duration)| *duration).sum();
    println!("{:<14} {:>8.1} s", "total", total.as_secs_f64());
}

/// Licences, sources and banned crates. Advisories need a database that is fetched, and a check
/// that depends on the network is not a property of the change: `cargo deny check advisories` is
/// run by hand, see CONTRIBUTING.md.
fn licences(root: &Path) -> Result<()> {
    let arguments =
        ["deny", "--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    execute(&mut cargo(root, &arguments))
        .context("if cargo-deny is missing: cargo install --locked --debug cargo-deny")
}

/// Lines of `cargo tree` that fit on a screen.
const CORE_TREE_LINES_MAX: usize = 40;

/// The core builds with its own features alone, on few dependencies, none of which is asked for
/// its part that needs the standard library.
fn core_alone(root: &Path) -> Result<()> {
    execute(&mut cargo(root, &["check", "--locked", "--package", "pbft", "--lib"]))?;
    // Procedural macros run while building and leave nothing in the core.
    let arguments = ["tree", "--locked", "--package", "pbft", "--edges", "normal,no-proc-macro"];
    let tree = output(&mut cargo(root, &arguments))?;
    let line_count = tree.lines().count();
    print!("{tree}");
    if line_count > CORE_TREE_LINES_MAX {
        bail!("the core's dependencies take {line_count} lines; at most {CORE_TREE_LINES_MAX}");
    }
    let edges = "normal,no-proc-macro,features";
    let arguments = ["tree", "--locked", "--package", "pbft", "--edges", edges];
    let features = output(&mut cargo(root, &arguments))?;
    if let Some(line) = features.lines().find(|line| line.contains("feature \"std\"")) {
        bail!("a dependency of the core has its feature std on: {}", line.trim());
    }
    Ok(())
}

/// The hot paths take no more instructions than their limits allow. Where valgrind or its runner is
/// missing this says so and passes, unless `QUORATE_TESTS_NEED_TOOLS` is set.
fn instructions(root: &Path) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_missing =
        |name: &&str| !std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if let Some(missing) = ["valgrind", "gungraun-runner"].into_iter().find(is_missing) {
        let remedy = "apt-get install valgrind; cargo install --locked --debug gungraun-runner";
        if std::env::var_os("QUORATE_TESTS_NEED_TOOLS").is_some() {
            bail!("{missing} is missing: {remedy}");
        }
        println!("skipped, since {missing} is missing: {remedy}");
        return Ok(());
    }
    let packages = ["--package", "pbft", "--package", "quorate-replica"];
    let bench = ["bench", "--locked", "--bench", "instructions"];
    execute(cargo(root, &bench).args(packages))
}

/// What the simulator alone must do without, so that it builds anywhere and soon.
const NOT_IN_SIMULATOR: &[&str] =
    &["quorate-net", "quorate-node", "quorate-gateway", "tokio", "tonic", "rustls"];

/// The command builds without clusters of real processes, and then without all that they need.
fn simulator_alone(root: &Path) -> Result<()> {
    let alone = ["--locked", "--package", "quorate-cli", "--no-default-features"];
    let mut clippy = cargo(root, &["clippy"]);
    execute(clippy.args(alone).args(["--all-targets", "--", "-D", "warnings"]))?;
    let plain = ["--edges", "normal,build", "--prefix", "none"];
    let tree = output(cargo(root, &["tree"]).args(alone).args(plain))?;
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    println!("the simulator alone is built from {} crates", crates.len());
    match crates.iter().find(|name| NOT_IN_SIMULATOR.contains(name)) {
        Some(name) => bail!("the simulator alone needs {name}"),
        None => Ok(()),
    }
}

/// The documentation builds, and every link in it leads somewhere. A citation of a protocol rule
/// looks like a link that does not, so the crates that cite silence rustdoc about such links; here
/// it is made to speak, and what is no citation fails.
fn documentation(root: &Path) -> Result<()> {
    let mut command = cargo(root, &["doc", "--locked", "--workspace", "--no-deps"]);
    let flags = "-D warnings --force-warn rustdoc::broken_intra_doc_links";
    let output = command.env("RUSTDOCFLAGS", flags).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{} ended with {}: {said}", shown(&command), output.status);
    }
    let broken = broken_links(&said);
    if !broken.is_empty() {
        bail!("links that lead nowhere:\n{}", broken.join("\n"));
    }
    Ok(())
}

/// The links that rustdoc could not resolve, each with its place, citations of rules left out.
fn broken_links(said: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut lines = said.lines();
    while let Some(line) = lines.next() {
        let Some((_, rest)) = line.split_once("unresolved link to `") else { continue };
        let target = rest.split('`').next().unwrap_or(rest);
        if !is_rule_id(target) {
            let place = lines.next().unwrap_or_default().trim();
            broken.push(format!("{target} {place}"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_is_no_broken_link_and_everything_else_is() {
        let said = "warning: unresolved link to `PP1`\n  --> a.rs:1:2\n\
                    warning: unresolved link to `Missing`\n  --> b.rs:3:4\n";
        assert_eq!(broken_links(said), ["Missing --> b.rs:3:4"]);
    }
}
