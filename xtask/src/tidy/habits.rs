//! What the code does not contain: unfinished work, sleeping or ignored tests, nondeterminism in
//! the inner rings, paths of one machine.

use super::sources::{Sources, crate_of};
use super::{Finding, violation_at};
use crate::rust_source::{Line, is_identifier};
use crate::tree::Tree;
use anyhow::Result;

/// Code that is nowhere right, with the reason.
const NOWHERE: &[(&str, &str)] = &[
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("#[ignore", "an ignored test tests nothing: assert what is, and say why"),
    ("#[allow(", "say #[expect(.., reason = \"..\")]"),
    ("#![allow(", "say #![expect(.., reason = \"..\")]"),
    ("unbounded_channel", "every queue has a named limit"),
    ("fn get_", "a getter is named after what it returns"),
];

/// Code that is wrong in a test.
const IN_TESTS: &[(&str, &str)] = &[
    ("thread::sleep", "wait for the cause, not for time to pass"),
    ("time::sleep", "wait for the cause, not for time to pass"),
];

/// Code that would make a run depend on more than its seed.
const NONDETERMINISM: &[(&str, &str)] = &[
    ("HashMap", "its order is random: use BTreeMap"),
    ("HashSet", "its order is random: use BTreeSet"),
    ("Instant::now", "time is an input"),
    ("SystemTime", "time is an input"),
    ("thread::spawn", "the inner rings have no threads"),
    ("thread_rng", "randomness comes from a seed"),
];

/// The crates that must be a function of their inputs.
const DETERMINISTIC: &[&str] =
    &["pbft", "quorate-replica", "quorate-services", "quorate-adversary", "quorate-lab"];

/// Words that mark unfinished work in a comment.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Folders that exist on one machine only. In pieces, so that this file does not contain them.
const MACHINE_PATHS: &[&str] =
    &[concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/"), concat!("/", "tmp/wt")];

/// None of the above is in the project.
pub(super) fn check(tree: &Tree, sources: &Sources) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, source) in sources.files() {
        let deterministic = crate_of(path).is_some_and(|name| DETERMINISTIC.contains(&name));
        for (index, line) in source.lines.iter().enumerate() {
            for (found, why) in forbidden_code(line, deterministic && !line.test) {
                findings.push(violation_at(path, index, format!("`{found}`: {why}")));
            }
            for word in UNFINISHED.iter().filter(|word| has_word(&line.comment, word)) {
                findings.push(violation_at(path, index, format!("{word}: finish it or file it")));
            }
        }
    }
    for (path, text) in tree.files() {
        for (index, line) in text.lines().enumerate() {
            if MACHINE_PATHS.iter().any(|folder| names_folder(line, folder)) {
                findings.push(violation_at(path, index, "a path of one machine"));
            }
        }
    }
    Ok(findings)
}

fn forbidden_code(line: &Line, deterministic: bool) -> Vec<(&'static str, &'static str)> {
    let in_tests = IN_TESTS.iter().filter(|_| line.test);
    let nondeterminism = NONDETERMINISM.iter().filter(|_| deterministic);
    let lists = NOWHERE.iter().chain(in_tests).chain(nondeterminism);
    lists.filter(|(pattern, _)| line.code.contains(pattern)).copied().collect()
}

/// Whether `word` stands alone in `text`.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !is_identifier(c)).any(|part| part == word)
}

/// Whether `line` names `folder` as an absolute path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| is_identifier(c) || matches!(c, '.' | '-' | '}' | '/'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        let tree = Tree::of(&[(path, text)]);
        violations(&check(&tree, &Sources::of(&tree)).unwrap()).len()
    }

    #[test]
    fn unfinished_work_is_a_violation() {
        assert_eq!(count("crates/quorate-net/src/lib.rs", "fn f() { todo!() }"), 1);
        assert_eq!(count("crates/quorate-net/src/lib.rs", concat!("// FIX", "ME later")), 1);
        assert_eq!(count("crates/quorate-net/src/lib.rs", "f(\"todo!\")"), 0);
    }

    #[test]
    fn a_test_may_neither_sleep_nor_be_ignored() {
        assert_eq!(count("crates/quorate-net/tests/it/main.rs", "thread::sleep(d);"), 1);
        assert_eq!(count("crates/quorate-net/src/lib.rs", "time::sleep(backoff).await;"), 0);
        assert_eq!(count("crates/quorate-net/tests/it/main.rs", "#[ignore]"), 1);
    }

    #[test]
    fn the_inner_rings_are_deterministic() {
        assert_eq!(count("crates/quorate-lab/src/lib.rs", "let m: HashMap<u8, u8>;"), 1);
        assert_eq!(count("crates/quorate-lab/src/lib.rs", "let t = Instant::now();"), 1);
        assert_eq!(count("crates/quorate-node/src/lib.rs", "let t = Instant::now();"), 0);
    }

    #[test]
    fn no_file_names_a_folder_of_one_machine() {
        assert_eq!(count("docs/a.md", concat!("see /", "home/somebody/x")), 1);
        assert_eq!(count("docs/a.md", "see docs/home/page and ${HOME}"), 0);
    }
}
