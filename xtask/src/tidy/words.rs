//! One vocabulary: the papers' words for the protocol, and no word from its relatives.

use super::edges::INNER_RINGS;
use super::sources::{Sources, crate_of};
use super::{Finding, violation_at};
use crate::rust_source::{Line, is_identifier};
use crate::tree::Tree;
use anyhow::Result;

/// A word that crates do not use, and the one they use instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("leader", "primary"),
    ("follower", "backup"),
    ("validator", "replica"),
    ("proposer", "primary"),
    ("dossier", "docs/protocol.md"),
];

/// Forbidden as a part of a name in the inner rings: in prose, and next to terminals and signals,
/// it has other meanings.
const FORBIDDEN_IN_NAMES: &[(&str, &str)] = &[("term", "view")];

/// The etcd API has names of its own for what a status reports; they stay in its crate.
const FOREIGN: &[(&str, &str)] = &[("quorate-gateway", "leader")];

/// File names that say nothing about what is in the file.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "manager"];

/// No forbidden word in code, comments or texts of the crates.
pub(super) fn check(_: &Tree, sources: &Sources) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, source) in sources.under("crates/") {
        let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
        if EMPTY_NAMES.contains(&stem) {
            findings.push(Finding::violation(path, "the file name says nothing about its content"));
        }
        if stem == "mod" {
            findings.push(Finding::violation(path, "modules are foo.rs and foo/, never mod.rs"));
        }
        for (index, line) in source.lines.iter().enumerate() {
            let inner = crate_of(path).is_some_and(|name| INNER_RINGS.contains(&name));
            for (word, instead) in forbidden_words(line, inner) {
                if !FOREIGN
                    .iter()
                    .any(|(owner, own)| crate_of(path) == Some(*owner) && word == *own)
                {
                    let message = format!("\"{word}\" is not a word of this project: {instead}");
                    findings.push(violation_at(path, index, message));
                }
            }
        }
    }
    Ok(findings)
}

/// The forbidden words of a line, each once.
fn forbidden_words(line: &Line, inner: bool) -> Vec<(&'static str, &'static str)> {
    let names = segments(&line.code);
    let prose: Vec<String> =
        segments(&line.comment).into_iter().chain(segments(&line.literal)).collect();
    let mut found: Vec<(&str, &str)> = FORBIDDEN
        .iter()
        .filter(|(word, _)| names.iter().chain(&prose).any(|part| is_form_of(part, word)))
        .chain(
            FORBIDDEN_IN_NAMES.iter().filter(|(word, _)| inner && names.iter().any(|p| p == word)),
        )
        .copied()
        .collect();
    let prose_text = format!("{} {}", line.comment, line.literal).to_lowercase();
    if prose_text.contains("slot number") {
        found.push(("slot number", "sequence number"));
    }
    found
}

/// The word itself or its plural.
fn is_form_of(part: &str, word: &str) -> bool {
    part.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest == "s")
}

/// The words that names and prose consist of, in lower case: `raftTerm_max` gives raft, term, max.
fn segments(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for name in text.split(|c: char| !is_identifier(c)).flat_map(|name| name.split('_')) {
        let mut part = String::new();
        let mut previous_lower = false;
        for character in name.chars() {
            if character.is_uppercase() && previous_lower {
                parts.push(std::mem::take(&mut part));
            }
            previous_lower = !character.is_uppercase();
            part.extend(character.to_lowercase());
        }
        parts.push(part);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        let tree = Tree::of(&[(path, text)]);
        check(&tree, &Sources::of(&tree)).unwrap()
    }

    #[test]
    fn names_fall_apart_into_words() {
        assert_eq!(segments("raftTerm_max fooBar"), ["raft", "term", "max", "foo", "bar"]);
    }

    #[test]
    fn a_forbidden_word_is_found_in_names_and_prose() {
        for text in ["let new_leader = 1;", "// the Leaders", "f(\"no leader\")"] {
            let found = findings("crates/pbft/src/lib.rs", text);
            assert_eq!(violations(&found), ["\"leader\" is not a word of this project: primary"]);
        }
    }

    #[test]
    fn a_term_is_forbidden_only_in_names_of_the_inner_rings() {
        assert_eq!(findings("crates/pbft/src/lib.rs", "// in terms of a term; terminal"), []);
        assert_eq!(findings("crates/quorate-cli/src/args.rs", "Signal::TERM, max_term_width"), []);
        let found = findings("crates/pbft/src/lib.rs", "let current_term = 1;");
        assert_eq!(violations(&found), ["\"term\" is not a word of this project: view"]);
    }

    #[test]
    fn the_gateway_may_use_the_names_of_the_etcd_api() {
        assert_eq!(findings("crates/quorate-gateway/src/lib.rs", "leader: 1, raft_term: 2"), []);
    }

    #[test]
    fn a_slot_number_is_a_sequence_number() {
        let found = findings("crates/pbft/src/lib.rs", "// the slot number");
        assert_eq!(violations(&found).len(), 1);
    }

    #[test]
    fn a_file_is_named_after_what_it_holds() {
        assert_eq!(violations(&findings("crates/pbft/src/util.rs", "")).len(), 1);
        assert_eq!(violations(&findings("crates/pbft/src/replica/mod.rs", "")).len(), 1);
    }
}
