//! Documents say for whom they are, keep one sentence a line, and point to things that exist.

use super::sources::Sources;
use super::{Finding, violation_at};
use crate::tree::Tree;
use anyhow::Result;
use std::collections::BTreeSet;

/// What a visitor expects to find.
const REQUIRED: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "docs/style.md",
    "docs/testing.md",
];

/// Lines above which ARCHITECTURE.md is no longer read in one go.
const ARCHITECTURE_LINES_MAX: usize = 300;

/// Every Markdown file is in order, and none of the required ones is missing.
pub(super) fn check(tree: &Tree, _: &Sources) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in REQUIRED.iter().filter(|path| tree.get(path).is_none()) {
        findings.push(Finding::violation(*path, "missing"));
    }
    findings.extend(architecture(tree));
    for (path, text) in tree.under("", ".md") {
        if !says_for_whom(text) {
            findings.push(violation_at(path, 0, "the first line must say for whom: \"For ...\""));
        }
        let prose = prose(text);
        for (index, line) in &prose {
            if holds_two_sentences(line) {
                findings.push(violation_at(path, *index, "one sentence a line"));
            }
            for target in links(line) {
                if let Some(missing) = broken_link(tree, path, target) {
                    findings.push(violation_at(path, *index, format!("no such target: {missing}")));
                }
            }
        }
    }
    Ok(findings)
}

/// ARCHITECTURE.md names every crate and stays short.
fn architecture(tree: &Tree) -> Vec<Finding> {
    let path = "ARCHITECTURE.md";
    let text = tree.get(path).unwrap_or_default();
    let mut findings = Vec::new();
    let crates: BTreeSet<&str> = tree
        .under("crates/", "/Cargo.toml")
        .filter_map(|(manifest, _)| super::sources::crate_of(manifest))
        .collect();
    for name in crates.into_iter().filter(|name| !text.contains(&format!("`{name}`"))) {
        findings.push(Finding::violation(path, format!("the crate {name} is not described")));
    }
    let count = text.lines().count();
    if count > ARCHITECTURE_LINES_MAX {
        let message = format!("{count} lines; at most {ARCHITECTURE_LINES_MAX}");
        findings.push(Finding::violation(path, message));
    }
    findings
}

/// How a document says for whom it is, in each of its languages.
const FOR_WHOM: &[&str] = &["For", "写给"];

/// Whether the first line below the title says for whom.
fn says_for_whom(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or_default().trim_start_matches(['*', '_', '>', ' ']);
    FOR_WHOM.iter().any(|words| first.starts_with(words))
}

/// The lines outside code blocks with their index; what stands between backquotes is emptied.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let pieces = line.split('`').enumerate();
            let kept = pieces.map(|(piece, text)| if piece % 2 == 0 { text } else { "" });
            lines.push((index, kept.collect::<Vec<_>>().join("`")));
        }
    }
    lines
}

/// Whether a sentence ends and another one starts in the middle of `line`. Tables may.
fn holds_two_sentences(line: &str) -> bool {
    if line.trim_start().starts_with('|') {
        return false;
    }
    line.match_indices(". ").any(|(at, _)| {
        let word = line[..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let ends = word.chars().count() > 2 && word.chars().any(char::is_lowercase);
        ends && line[at + 2..].chars().next().is_some_and(char::is_uppercase)
    })
}

/// The targets of the links in `line`.
fn links(line: &str) -> Vec<&str> {
    let starts = line.match_indices("](");
    starts.filter_map(|(at, _)| line[at + 2..].split_once(')').map(|(target, _)| target)).collect()
}

/// The part of `target`, linked from `path`, that does not exist.
fn broken_link(tree: &Tree, path: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(f, a)| (f, Some(a)));
    let resolved = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
    if !tree.exists(&resolved) {
        return Some(resolved);
    }
    let anchor = anchor?;
    let text = tree.get(&resolved).filter(|_| resolved.ends_with(".md"))?;
    let known = text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
    (!known).then(|| format!("{resolved}#{anchor}"))
}

/// `target` as seen from the file at `path`, as a path from the root.
fn resolve(path: &str, target: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor that a heading gets where Markdown is shown as a page.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::of(files);
        let findings = check(&tree, &Sources::of(&tree)).unwrap();
        let messages = violations(&findings).into_iter().filter(|message| *message != "missing");
        messages.map(str::to_owned).collect()
    }

    #[test]
    fn a_document_says_for_whom_it_is() {
        assert_eq!(found(&[("docs/a.md", "# Title\n\nFor operators.\n")]), Vec::<String>::new());
        assert_eq!(found(&[("docs/a.md", "# Title\n\nThis is about.\n")]).len(), 1);
    }

    #[test]
    fn a_line_holds_one_sentence() {
        assert!(holds_two_sentences("It runs. It stops."));
        assert!(!holds_two_sentences("It runs, e.g. Tuesday, as K. Smith said."));
        assert!(!holds_two_sentences("| It runs. It stops. |"));
    }

    #[test]
    fn a_link_leads_somewhere() {
        let good = "For all.\n[a](../README.md#two-words) [b](a.md) [c](https://example.org)\n";
        let readme = ("README.md", "For all.\n## Two words\n");
        assert_eq!(found(&[("docs/a.md", good), readme]), Vec::<String>::new());
        let bad = "For all.\n[a](missing.md)\n[b](../README.md#three)\n";
        assert_eq!(
            found(&[("docs/a.md", bad), readme]),
            ["no such target: docs/missing.md", "no such target: README.md#three"]
        );
    }

    #[test]
    fn code_in_a_document_is_not_prose() {
        let text = "For all.\n```\n[a](missing.md) One. Two.\n```\nand `[b](missing.md)`\n";
        assert_eq!(found(&[("docs/a.md", text)]), Vec::<String>::new());
    }

    #[test]
    fn the_architecture_describes_every_crate() {
        let files = [("ARCHITECTURE.md", "For all: `a`."), ("crates/a/Cargo.toml", "")];
        assert_eq!(found(&files), Vec::<String>::new());
        let files = [("ARCHITECTURE.md", "For all."), ("crates/a/Cargo.toml", "")];
        assert_eq!(found(&files), ["the crate a is not described"]);
    }
}
