//! The chain from a protocol rule to the code that enforces it and the test that shows it.
//!
//! `docs/protocol.md` defines a rule with a heading such as `#### PP1 · Title`. A comment cites it
//! as `[PP1]`, several as `[PP1, PP2]`. Every rule needs a citation in the code of a crate and one
//! in a test or a scenario file; a citation of a rule that does not exist is a violation too.

use super::Finding;
use super::sources::Sources;
use crate::rust_source::is_identifier;
use crate::tree::Tree;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const SPECIFICATION: &str = "docs/protocol.md";

/// Every rule, and every citation.
pub(crate) struct Chain {
    /// By id, in the order of ids.
    rules: BTreeMap<String, Rule>,
    /// There is a specification.
    specified: bool,
    /// Citations of ids no rule has, with their places.
    unknown: Vec<(String, String)>,
    /// Ids defined more than once.
    repeated: Vec<String>,
}

#[derive(Default)]
struct Rule {
    title: String,
    /// Places as `path:line`.
    code: Vec<String>,
    tests: Vec<String>,
}

/// The chain has no gap.
pub(super) fn check(tree: &Tree, sources: &Sources) -> Result<Vec<Finding>> {
    Ok(Chain::of(tree, sources).findings())
}

impl Chain {
    /// Collects the rules from the specification and the citations from the crates.
    pub(crate) fn of(tree: &Tree, sources: &Sources) -> Self {
        let specification = tree.get(SPECIFICATION);
        let mut chain = Self {
            rules: BTreeMap::new(),
            specified: specification.is_some(),
            unknown: Vec::new(),
            repeated: Vec::new(),
        };
        for (id, title) in specification.unwrap_or_default().lines().filter_map(heading) {
            let rule = Rule { title: title.to_owned(), ..Rule::default() };
            if chain.rules.insert(id.to_owned(), rule).is_some() {
                chain.repeated.push(id.to_owned());
            }
        }
        for (path, source) in sources.under("crates/") {
            for (index, line) in source.lines.iter().enumerate() {
                for id in citations(&line.comment) {
                    chain.cite(id, format!("{path}:{}", index + 1), line.test);
                }
            }
        }
        for (path, text) in tree.under("crates/", ".txt") {
            for (index, line) in text.lines().enumerate() {
                for id in citations(line) {
                    chain.cite(id, format!("{path}:{}", index + 1), true);
                }
            }
        }
        chain
    }

    fn cite(&mut self, id: &str, place: String, test: bool) {
        match self.rules.get_mut(id) {
            Some(rule) if test => rule.tests.push(place),
            Some(rule) => rule.code.push(place),
            None => self.unknown.push((id.to_owned(), place)),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        if !self.specified {
            let message = format!("not written yet; {} citations wait for it", self.unknown.len());
            return vec![Finding::remark(SPECIFICATION, message)];
        }
        let mut findings = Vec::new();
        for id in &self.repeated {
            findings.push(Finding::violation(SPECIFICATION, format!("{id} is defined twice")));
        }
        for (id, place) in &self.unknown {
            let message = format!("[{id}] is cited, but {SPECIFICATION} has no such rule");
            findings.push(Finding::violation(place, message));
        }
        for (id, rule) in &self.rules {
            if rule.code.is_empty() {
                findings.push(Finding::violation(SPECIFICATION, format!("no code cites [{id}]")));
            }
            if rule.tests.is_empty() {
                findings.push(Finding::violation(SPECIFICATION, format!("no test cites [{id}]")));
            }
        }
        findings
    }

    /// One line: how many rules there are and how many are cited at both ends.
    pub(crate) fn summary(&self) -> String {
        let complete =
            self.rules.values().filter(|rule| !rule.code.is_empty() && !rule.tests.is_empty());
        format!(
            "{} protocol rules, {} of them with code and test",
            self.rules.len(),
            complete.count()
        )
    }

    /// Every rule with the places that cite it.
    pub(crate) fn matrix(&self) -> String {
        let mut text = String::new();
        for (id, rule) in &self.rules {
            let _ = writeln!(text, "{id} · {}", rule.title);
            for (role, places) in [("code", &rule.code), ("test", &rule.tests)] {
                let shown = if places.is_empty() { "none".to_owned() } else { places.join(", ") };
                let _ = writeln!(text, "    {role}  {shown}");
            }
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }
}

/// The id and the title of a heading that defines a rule.
fn heading(line: &str) -> Option<(&str, &str)> {
    let text = line.strip_prefix('#')?.trim_start_matches('#').trim_start();
    let (id, title) = text.split_once(" · ")?;
    is_rule_id(id).then_some((id, title.trim()))
}

/// The ids cited in `text`.
fn citations(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let before = rest[..open].chars().next_back();
        rest = &rest[open + 1..];
        let Some(close) = rest.find(']') else { break };
        let ids: Vec<&str> = rest[..close].split(',').map(str::trim).collect();
        if ids.iter().all(|id| is_rule_id(id)) && !before.is_some_and(is_identifier) {
            found.extend(ids);
        }
    }
    found
}

/// One to three capitals, then digits.
pub(crate) fn is_rule_id(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let capital_count = text.len() - digits.len();
    (1..=3).contains(&capital_count)
        && !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::violations;
    use super::*;

    fn chain(files: &[(&str, &str)]) -> Chain {
        let tree = Tree::of(files);
        Chain::of(&tree, &Sources::of(&tree))
    }

    const PROTOCOL: (&str, &str) = ("docs/protocol.md", "# Protocol\n#### PP1 · Right primary\n");

    #[test]
    fn a_rule_with_code_and_test_is_complete() {
        let chain = chain(&[
            PROTOCOL,
            ("crates/pbft/src/lib.rs", "// Only the primary may [PP1].\nfn f() {}"),
            ("crates/pbft/tests/it/main.rs", "/// [PP1]\nfn t() {}"),
        ]);
        assert_eq!(chain.findings(), []);
        assert_eq!(chain.summary(), "1 protocol rules, 1 of them with code and test");
    }

    #[test]
    fn a_rule_without_code_or_test_is_a_violation() {
        let found = chain(&[PROTOCOL]).findings();
        assert_eq!(violations(&found), ["no code cites [PP1]", "no test cites [PP1]"]);
    }

    #[test]
    fn a_scenario_file_counts_as_a_test() {
        let chain = chain(&[
            PROTOCOL,
            ("crates/pbft/src/lib.rs", "// [PP1]"),
            ("crates/pbft/tests/scenarios/a.txt", "# shows [PP1]"),
        ]);
        assert_eq!(chain.findings(), []);
    }

    #[test]
    fn a_citation_of_no_rule_is_a_violation() {
        let found =
            chain(&[("docs/protocol.md", "# Protocol\n"), ("crates/pbft/src/lib.rs", "// [VC9]")])
                .findings();
        assert_eq!(violations(&found), ["[VC9] is cited, but docs/protocol.md has no such rule"]);
    }

    #[test]
    fn a_rule_defined_twice_is_a_violation() {
        let text = "#### PP1 · One\n#### PP1 · Two\n";
        let found = chain(&[
            ("docs/protocol.md", text),
            ("crates/pbft/src/lib.rs", "// [PP1]"),
            ("crates/pbft/src/tests.rs", "// [PP1]"),
        ])
        .findings();
        assert_eq!(violations(&found), ["PP1 is defined twice"]);
    }

    #[test]
    fn citations_wait_for_the_specification() {
        let found = chain(&[("crates/pbft/src/lib.rs", "// [VC9]")]).findings();
        assert_eq!(violations(&found), Vec::<&str>::new());
    }

    #[test]
    fn code_that_indexes_is_no_citation() {
        let chain = chain(&[
            ("docs/protocol.md", ""),
            ("crates/pbft/src/lib.rs", "fn f() { x[P1] } // y[P1], [a link]"),
        ]);
        assert_eq!(chain.findings(), []);
    }

    #[test]
    fn several_rules_can_be_cited_at_once() {
        assert_eq!(citations("see [PP1, VC2] and [NV10]"), ["PP1", "VC2", "NV10"]);
    }

    #[test]
    fn the_matrix_names_the_places() {
        let text = chain(&[PROTOCOL, ("crates/pbft/src/lib.rs", "// [PP1]")]).matrix();
        assert!(text.contains("PP1 · Right primary"));
        assert!(text.contains("code  crates/pbft/src/lib.rs:1"));
        assert!(text.contains("test  none"));
    }
}
