//! The table of acceptance scenarios names what exists: every scenario file, and tests that are
//! there.

use super::sources::Sources;
use super::{Finding, violation_at};
use crate::tree::Tree;
use anyhow::Result;
use std::collections::BTreeSet;

const TABLE: &str = "docs/acceptance.md";
const FOLDER: &str = "scenarios/acceptance/";

/// Every row has a place where its scenario is run, every place exists, and every file of the
/// folder has a row.
pub(super) fn check(tree: &Tree, sources: &Sources) -> Result<Vec<Finding>> {
    let Some(table) = tree.get(TABLE) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    let mut named = BTreeSet::new();
    for (index, line) in table.lines().enumerate().filter(|(_, line)| is_row(line)) {
        let mut place_count = 0;
        for place in line.split('`').skip(1).step_by(2) {
            let exists = if let Some((path, test)) = place.split_once("::") {
                is_test(sources, &format!("crates/{path}"), test)
            } else {
                named.insert(place);
                ["n4", "n7"].iter().all(|n| tree.exists(&format!("{FOLDER}{place}-{n}.toml")))
            };
            place_count += 1;
            if !exists {
                findings.push(violation_at(TABLE, index, format!("there is no {place}")));
            }
        }
        if place_count == 0 {
            findings.push(violation_at(TABLE, index, "a row names a file or a test"));
        }
    }
    for (path, _) in tree.under(FOLDER, ".toml") {
        let name = path.trim_start_matches(FOLDER).rsplit_once("-n").map_or("", |(name, _)| name);
        if !named.contains(name) {
            findings.push(Finding::violation(path, format!("no row of {TABLE} names it")));
        }
    }
    Ok(findings)
}

/// A row that begins with an id: `| E01 |`.
fn is_row(line: &str) -> bool {
    let id = line.strip_prefix("| E").and_then(|rest| rest.split_once(' '));
    id.is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// Whether the file has a test of this name.
fn is_test(sources: &Sources, path: &str, test: &str) -> bool {
    let head = format!("fn {test}(");
    let Some((_, source)) = sources.under(path).find(|(found, _)| *found == path) else {
        return false;
    };
    source.lines.windows(2).any(|lines| {
        let [attribute, function] = lines else { return false };
        attribute.code.trim() == "#[test]" && function.code.trim_start().starts_with(&head)
    })
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn found(table: &str, files: &[(&str, &str)]) -> Vec<String> {
        let files = [&[(TABLE, table)], files].concat();
        let tree = Tree::of(&files);
        let findings = check(&tree, &Sources::of(&tree)).unwrap();
        violations(&findings).into_iter().map(str::to_owned).collect()
    }

    const FILES: &[(&str, &str)] = &[
        ("scenarios/acceptance/E01-calm-n4.toml", ""),
        ("scenarios/acceptance/E01-calm-n7.toml", ""),
        ("crates/a/tests/it/main.rs", "#[test]\nfn holds() {\n}\n"),
    ];

    #[test]
    fn a_row_names_files_and_tests_that_exist() {
        let row = "| E01 | Calm. | `E01-calm` | `a/tests/it/main.rs::holds` |";
        assert_eq!(found(row, FILES), Vec::<String>::new());
        let row = "| E01 | Calm. | `E01-calm` `E01-storm` | `a/tests/it/main.rs::breaks` |";
        let missing = ["there is no E01-storm", "there is no a/tests/it/main.rs::breaks"];
        assert_eq!(found(row, FILES), missing);
    }

    #[test]
    fn another_function_is_no_test() {
        let files = [("crates/a/src/lib.rs", "fn holds() {\n}\n")];
        let row = "| E01 | Calm. | | `a/src/lib.rs::holds` |";
        assert_eq!(found(row, &files), ["there is no a/src/lib.rs::holds"]);
    }

    #[test]
    fn every_row_has_a_place_and_every_file_a_row() {
        let rows = "| E01 | Calm. | | nowhere |";
        let message = "no row of docs/acceptance.md names it";
        assert_eq!(found(rows, FILES), ["a row names a file or a test", message, message]);
    }
}
