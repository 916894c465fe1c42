//! The rules of the house that neither the compiler nor clippy knows.
//!
//! Each check is a function from the project's files to findings. A finding that is a violation
//! fails; a remark is printed and changes nothing.

mod acceptance;
mod dependencies;
mod documents;
mod edges;
mod habits;
mod manifests;
mod mutants;
mod rules;
mod sizes;
mod sources;
mod translations;
mod words;

pub(crate) use rules::is_rule_id;

use crate::tree::Tree;
use anyhow::{Result, bail};
use sources::Sources;
use std::path::Path;

/// What a check has to say about one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    severity: Severity,
    /// A path from the root, with a line number where there is one.
    place: String,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Violation,
    Remark,
}

impl Finding {
    fn violation(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Violation, place: place.into(), message: message.into() }
    }

    fn remark(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Remark, place: place.into(), message: message.into() }
    }
}

/// A violation at a line, given by its index from 0.
fn violation_at(path: &str, index: usize, message: impl Into<String>) -> Finding {
    Finding::violation(format!("{path}:{}", index + 1), message)
}

type Check = fn(&Tree, &Sources) -> Result<Vec<Finding>>;

const CHECKS: &[(&str, Check)] = &[
    ("edges", edges::check),
    ("dependencies", dependencies::check),
    ("rules", rules::check),
    ("words", words::check),
    ("sizes", sizes::check),
    ("habits", habits::check),
    ("documents", documents::check),
    ("acceptance", acceptance::check),
    ("translations", translations::check),
    ("mutants", mutants::check),
];

/// Runs every check on the project at `root` and fails if any found a violation.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let sources = Sources::of(&tree);
    let mut violation_count = 0_usize;
    for (name, check) in CHECKS {
        for finding in check(&tree, &sources)? {
            let remark = match finding.severity {
                Severity::Violation => "",
                Severity::Remark => "remark: ",
            };
            violation_count += usize::from(finding.severity == Severity::Violation);
            println!("{}: [{name}] {remark}{}", finding.place, finding.message);
        }
    }
    println!("{}", rules::Chain::of(&tree, &sources).summary());
    match violation_count {
        0 => Ok(()),
        1 => bail!("tidy: one violation"),
        _ => bail!("tidy: {violation_count} violations"),
    }
}

/// Prints the matrix of the protocol's rules.
pub(crate) fn print_rules(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    print!("{}", rules::Chain::of(&tree, &Sources::of(&tree)).matrix());
    Ok(())
}

/// The messages of the violations among `findings`.
#[cfg(test)]
fn violations(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .filter(|finding| finding.severity == Severity::Violation)
        .map(|finding| finding.message.as_str())
        .collect()
}
