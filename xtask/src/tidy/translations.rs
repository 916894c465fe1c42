//! A translation gives the same commands as its original, in the same order, and each leads to the
//! other.

use super::Finding;
use super::sources::Sources;
use crate::tree::Tree;
use anyhow::Result;

/// Each original with its translation, and how each calls the other from where it is.
const TRANSLATIONS: &[(&str, &str, &str, &str)] = &[
    ("README.md", "README.zh-CN.md", "README.zh-CN.md", "README.md"),
    (
        "docs/from-python.md",
        "docs/zh-CN/from-python.md",
        "zh-CN/from-python.md",
        "../from-python.md",
    ),
];

pub(super) fn check(tree: &Tree, _: &Sources) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (original, translation, there, back) in TRANSLATIONS {
        let Some(text) = tree.get(original) else { continue };
        let Some(translated) = tree.get(translation) else {
            findings.push(Finding::violation(*translation, "missing"));
            continue;
        };
        if let Some(difference) = difference(&commands(text), &commands(translated)) {
            findings.push(Finding::violation(*translation, difference));
        }
        for (path, text, target) in [(original, text, there), (translation, translated, back)] {
            if !text.contains(&format!("]({target})")) {
                findings.push(Finding::violation(*path, format!("no link to {target}")));
            }
        }
    }
    Ok(findings)
}

/// The lines of code blocks that a reader types.
fn commands(text: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let typed = line.strip_prefix("$ ").unwrap_or(line);
        let program = typed.split(' ').next().unwrap_or_default();
        if in_code && matches!(program, "cargo" | "quorate" | "etcdctl") {
            commands.push(typed);
        }
    }
    commands
}

/// Where two lists of commands first differ.
fn difference(original: &[&str], translated: &[&str]) -> Option<String> {
    (0..original.len().max(translated.len())).find_map(|index| {
        let (expected, found) = (original.get(index), translated.get(index));
        let shown =
            |command: Option<&&str>| command.map_or("nothing".to_owned(), |c| format!("`{c}`"));
        (expected != found).then(|| {
            format!("command {}: {} instead of {}", index + 1, shown(found), shown(expected))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn found(original: &str, translation: &str) -> Vec<Finding> {
        let tree = Tree::of(&[("README.md", original), ("README.zh-CN.md", translation)]);
        check(&tree, &Sources::of(&tree)).unwrap()
    }

    const ORIGINAL: &str =
        "[there](README.zh-CN.md)\n```\n$ cargo a\noutput\ncargo b\n```\ncargo in prose\n";

    #[test]
    fn the_same_commands_pass_whatever_is_said_between_them() {
        let translation = "[back](README.md)\n```\ncargo a\n```\nx\n```\ncargo b\n```\n";
        assert_eq!(found(ORIGINAL, translation), []);
    }

    #[test]
    fn another_command_a_missing_one_and_a_missing_link_are_violations() {
        let other = "[back](README.md)\n```\ncargo a\ncargo c\n```\n";
        assert_eq!(
            violations(&found(ORIGINAL, other)),
            ["command 2: `cargo c` instead of `cargo b`"]
        );
        let short = "```\ncargo a\n```\n";
        assert_eq!(
            violations(&found(ORIGINAL, short)),
            ["command 2: nothing instead of `cargo b`", "no link to README.md"]
        );
    }
}
