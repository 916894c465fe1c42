//! The workspace's manifests and its lock file, as far as the checks need them.

use crate::tree::Tree;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use toml::Table;

/// One package of the workspace.
pub(super) struct Package {
    /// Its manifest's path from the root.
    pub(super) path: String,
    pub(super) name: String,
    /// What it needs to run and to build.
    pub(super) dependencies: BTreeSet<String>,
    /// What only its tests, examples and benchmarks need.
    pub(super) dev_dependencies: BTreeSet<String>,
    /// Dependencies whose version or path is not taken from the workspace.
    pub(super) own_versions: BTreeSet<String>,
}

/// The packages of the workspace, those beside `crates` included.
pub(super) fn packages(tree: &Tree) -> Result<Vec<Package>> {
    tree.under("", "Cargo.toml")
        .filter(|(path, _)| ["crates/", "fuzz/", "xtask/"].iter().any(|it| path.starts_with(it)))
        .map(|(path, text)| package(path, text))
        .collect()
}

fn package(path: &str, text: &str) -> Result<Package> {
    let manifest: Table = text.parse().with_context(|| format!("{path} is not TOML"))?;
    let name = manifest.get("package").and_then(|package| package.get("name"));
    let name = name.and_then(toml::Value::as_str).with_context(|| format!("{path}: no name"))?;
    let mut package = Package {
        path: path.to_owned(),
        name: name.to_owned(),
        dependencies: BTreeSet::new(),
        dev_dependencies: BTreeSet::new(),
        own_versions: BTreeSet::new(),
    };
    package.add(&manifest);
    for target in table(&manifest, "target").values().filter_map(toml::Value::as_table) {
        package.add(target);
    }
    Ok(package)
}

impl Package {
    /// Adds the dependencies listed in `section`: the manifest itself or one of its targets.
    fn add(&mut self, section: &Table) {
        for key in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (dependency, value) in &table(section, key) {
                if !value.get("workspace").and_then(toml::Value::as_bool).unwrap_or(false) {
                    self.own_versions.insert(dependency.clone());
                }
                match key {
                    "dev-dependencies" => self.dev_dependencies.insert(dependency.clone()),
                    _ => self.dependencies.insert(dependency.clone()),
                };
            }
        }
    }

    /// Every dependency, whatever for.
    pub(super) fn all_dependencies(&self) -> impl Iterator<Item = &String> {
        self.dependencies.iter().chain(&self.dev_dependencies)
    }
}

/// The names in `[workspace.dependencies]` that come from the registry.
pub(super) fn registry_dependencies(tree: &Tree) -> Result<BTreeSet<String>> {
    let text = tree.get("Cargo.toml").context("there is no Cargo.toml")?;
    let manifest: Table = text.parse().context("Cargo.toml is not TOML")?;
    let workspace = table(&manifest, "workspace");
    let dependencies = table(&workspace, "dependencies");
    let external = dependencies.iter().filter(|(_, value)| value.get("path").is_none());
    Ok(external.map(|(name, _)| name.clone()).collect())
}

/// Every package in the lock file with the packages it names, merged over versions.
pub(super) fn locked(tree: &Tree) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let text = tree.get("Cargo.lock").context("there is no Cargo.lock")?;
    let lock: Table = text.parse().context("Cargo.lock is not TOML")?;
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
        let Some(name) = package.get("name").and_then(toml::Value::as_str) else {
            continue;
        };
        let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
        let dependencies = dependencies.into_iter().flatten().filter_map(toml::Value::as_str);
        let names = dependencies.filter_map(|entry| entry.split(' ').next().map(str::to_owned));
        packages.entry(name.to_owned()).or_default().extend(names);
    }
    Ok(packages)
}

/// The table under `key`, empty if there is none.
fn table(section: &Table, key: &str) -> Table {
    section.get(key).and_then(toml::Value::as_table).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_gives_its_dependencies_by_purpose() {
        let tree = Tree::of(&[(
            "crates/a/Cargo.toml",
            "[package]\nname = \"a\"\n[dependencies]\nb = { workspace = true }\nc = \"1\"\n\
             [build-dependencies]\nd.workspace = true\n[dev-dependencies]\ne.workspace = true\n\
             [target.'cfg(unix)'.dependencies]\nf.workspace = true\n",
        )]);
        let package = packages(&tree).unwrap().remove(0);
        assert_eq!(package.dependencies.into_iter().collect::<Vec<_>>(), ["b", "c", "d", "f"]);
        assert_eq!(package.dev_dependencies.into_iter().collect::<Vec<_>>(), ["e"]);
        assert_eq!(package.own_versions.into_iter().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_locked_dependency_is_named_without_its_version() {
        let tree = Tree::of(&[(
            "Cargo.lock",
            "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\"b 2.0.0\", \"c\"]\n",
        )]);
        let names: Vec<_> = locked(&tree).unwrap()["a"].iter().cloned().collect();
        assert_eq!(names, ["b", "c"]);
    }
}
