//! What the code does not contain: unfinished work, sleeping or ignored tests, nondeterminism in
//! the inner rings, paths of one machine.

use super::edges::INNER_RINGS;
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
    ("fn get_", "a getter is named after what it returns"),
];

/// Every queue has a limit: one without its own says in a comment what bounds it.
const UNBOUNDED: &str = "unbounded_channel(";

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

/// Words that mark unfinished work in a comment.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Folders that exist on one machine only. In pieces, so that this file does not contain them.
const MACHINE_PATHS: &[&str] =
    &[concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/"), concat!("/", "tmp/wt")];

/// None of the above is in the project.
pub(super) fn check(tree: &Tree, sources: &Sources) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, source) in sources.files() {
        let deterministic = crate_of(path).is_some_and(|name| INNER_RINGS.contains(&name));
        for (index, line) in source.lines.iter().enumerate() {
            for (found, why) in forbidden_code(line, deterministic && !line.test) {
                findings.push(violation_at(path, index, format!("`{found}`: {why}")));
            }
            if line.code.contains(UNBOUNDED)
                && !says_bound(&source.lines[index.saturating_sub(2)..=index])
            {
                let message = format!("`{UNBOUNDED}`: say above it what it is bounded by");
                findings.push(violation_at(path, index, message));
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

/// Whether a comment on one of these lines says what a queue is bounded by.
fn says_bound(lines: &[Line]) -> bool {
    lines.iter().any(|line| line.comment.to_lowercase().contains("bounded by"))
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
    fn a_queue_says_what_it_is_bounded_by() {
        let queue = "let (a, b) = unbounded_channel();";
        assert_eq!(count("crates/quorate-net/src/lib.rs", queue), 1);
        let explained = format!("// Bounded by the lanes.\n{queue}");
        assert_eq!(count("crates/quorate-net/src/lib.rs", &explained), 0);
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
