//! Files that can be held in mind and functions that fit a screen.

use super::{Finding, sources::Sources};
use crate::tree::Tree;
use anyhow::Result;

/// Lines of code, tests and comments not counted, above which a file is remarked on.
const FILE_LINES_REMARKED: usize = 400;
/// Lines of code above which a file is a violation.
const FILE_LINES_MAX: usize = 700;
/// Lines above which a function is remarked on.
const FUNCTION_LINES_REMARKED: usize = 70;
/// Lines above which a function is a violation.
const FUNCTION_LINES_MAX: usize = 100;

/// No file and no function outside tests is far too long.
pub(super) fn check(_: &Tree, sources: &Sources) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, source) in sources.files() {
        let count = source.code_line_count();
        let message = format!("{count} lines of code; aim at 100 to {FILE_LINES_REMARKED}");
        findings.extend(judge(path, message, count, FILE_LINES_REMARKED, FILE_LINES_MAX));
        for function in source.functions() {
            let place = format!("{path}:{}", function.first_line);
            let count = function.line_count;
            let message = format!("{} has {count} lines", function.name);
            findings.extend(judge(
                &place,
                message,
                count,
                FUNCTION_LINES_REMARKED,
                FUNCTION_LINES_MAX,
            ));
        }
    }
    Ok(findings)
}

fn judge(
    place: &str,
    message: String,
    count: usize,
    remarked: usize,
    max: usize,
) -> Option<Finding> {
    if count > max {
        Some(Finding::violation(place, message))
    } else if count > remarked {
        Some(Finding::remark(place, message))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    fn severities(text: &str) -> Vec<Severity> {
        let tree = Tree::of(&[("crates/a/src/lib.rs", text)]);
        let findings = check(&tree, &Sources::of(&tree)).unwrap();
        findings.iter().map(|finding| finding.severity).collect()
    }

    fn function_of(line_count: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    g();\n".repeat(line_count - 2))
    }

    #[test]
    fn a_file_is_judged_by_its_lines_of_code() {
        assert_eq!(severities(&"const A: u8 = 1;\n".repeat(400)), []);
        assert_eq!(severities(&"const A: u8 = 1;\n".repeat(401)), [Severity::Remark]);
        assert_eq!(severities(&"const A: u8 = 1;\n".repeat(701)), [Severity::Violation]);
        assert_eq!(severities(&"// a comment\n\n".repeat(701)), []);
    }

    #[test]
    fn a_function_is_judged_by_its_lines() {
        assert_eq!(severities(&function_of(70)), []);
        assert_eq!(severities(&function_of(71)), [Severity::Remark]);
        assert_eq!(severities(&function_of(101)), [Severity::Violation]);
    }
}
