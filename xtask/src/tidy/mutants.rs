//! The list of deliberate faults keeps up with the code: each finds the text that it replaces, and
//! names a rule that there is.

use super::sources::Sources;
use super::{Finding, is_rule_id};
use crate::mutants::{LIST, Mutant};
use crate::tree::Tree;
use anyhow::Result;

pub(super) fn check(tree: &Tree, _sources: &Sources) -> Result<Vec<Finding>> {
    let Some(list) = tree.get(LIST) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    for mutant in Mutant::parse(list)? {
        let result = tree.get(&mutant.file).map(|text| mutant.apply(text));
        match result {
            Some(Ok(_)) => {}
            Some(Err(error)) => findings.push(Finding::violation(LIST, error.to_string())),
            None => {
                let message =
                    format!("'{}' names {}, which is not there", mutant.name, mutant.file);
                findings.push(Finding::violation(LIST, message));
            }
        }
        if !is_rule_id(&mutant.rule) {
            let message = format!("'{}' names no rule: {}", mutant.name, mutant.rule);
            findings.push(Finding::violation(LIST, message));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        "[[mutant]]\nname = \"n\"\nrule = \"P1\"\nfile = \"a.rs\"\nfind = \"x\"\nreplace = \"y\"\n";

    fn findings(code: &str) -> Vec<String> {
        let tree = Tree::of(&[(LIST, ENTRY), ("a.rs", code)]);
        let found = check(&tree, &Sources::of(&tree)).unwrap();
        found.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn what_a_fault_replaces_stands_once() {
        assert_eq!(findings("a x b"), Vec::<String>::new());
        assert_eq!(findings("a b"), ["what 'n' replaces stands 0 times in a.rs"]);
        assert_eq!(findings("x x"), ["what 'n' replaces stands 2 times in a.rs"]);
    }
}
