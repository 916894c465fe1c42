//! All Rust files of the project, scanned, with what is only compiled for tests marked as such.

use crate::rust_source::Source;
use crate::tree::Tree;
use std::collections::BTreeMap;

/// The scanned Rust files by path.
pub(super) struct Sources {
    files: BTreeMap<String, Source>,
}

impl Sources {
    /// Scans every Rust file in `tree`.
    pub(super) fn of(tree: &Tree) -> Self {
        let mut files: BTreeMap<String, Source> = tree
            .under("", ".rs")
            .map(|(path, text)| (path.to_owned(), Source::scan(text)))
            .collect();
        let test_modules: Vec<String> = files
            .iter()
            .flat_map(|(path, source)| {
                source.test_modules.iter().map(|module| format!("{}{module}", children(path)))
            })
            .collect();
        for (path, source) in &mut files {
            if is_test_path(path) || test_modules.iter().any(|module| is_module(path, module)) {
                source.lines.iter_mut().for_each(|line| line.test = true);
            }
        }
        Self { files }
    }

    /// Every file, in order of paths.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// The files below `prefix`.
    pub(super) fn under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Source)> {
        self.files().filter(move |(path, _)| path.starts_with(prefix))
    }
}

/// The crate a path belongs to: `pbft` for `crates/pbft/src/lib.rs`.
pub(super) fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.split('/').next()
}

/// Files that are tests by where they stand.
fn is_test_path(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

/// Where the modules declared in the file at `path` live.
fn children(path: &str) -> String {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main")) => format!("{folder}/"),
        _ => format!("{stem}/"),
    }
}

/// Whether the file at `path` is the module at `module` (a path without suffix) or inside it.
fn is_module(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_declared_for_tests_is_a_test_with_everything_below_it() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "#[cfg(test)]\nmod testing;\nmod real;"),
            ("crates/a/src/testing.rs", "fn a() {}"),
            ("crates/a/src/testing/inner.rs", "fn b() {}"),
            ("crates/a/src/real.rs", "fn c() {}"),
            ("crates/a/src/real/tests.rs", "fn d() {}"),
            ("crates/a/tests/it/main.rs", "fn e() {}"),
        ]);
        let sources = Sources::of(&tree);
        let tests: Vec<(&str, bool)> =
            sources.files().map(|(path, source)| (path, source.lines[0].test)).collect();
        assert_eq!(
            tests,
            [
                ("crates/a/src/lib.rs", true),
                ("crates/a/src/real.rs", false),
                ("crates/a/src/real/tests.rs", true),
                ("crates/a/src/testing.rs", true),
                ("crates/a/src/testing/inner.rs", true),
                ("crates/a/tests/it/main.rs", true),
            ]
        );
    }

    #[test]
    fn a_path_names_its_crate() {
        assert_eq!(crate_of("crates/quorate-net/src/lib.rs"), Some("quorate-net"));
        assert_eq!(crate_of("xtask/src/main.rs"), None);
    }
}
