//! `quorate lab list`: what there is to run.

use super::load;
use crate::args::lab::List;
use crate::failure::in_one_line;
use crate::render;
use anyhow::{Context, Result, bail};
use quorate_adversary::Behaviour;
use quorate_lab::scenario::Scenario;
use serde_json::json;
use std::path::{Path, PathBuf};

pub(super) fn run(args: &List) -> Result<()> {
    let mut files = Vec::new();
    collect(&args.dir, &mut files)?;
    files.sort();
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for file in &files {
        match load(file) {
            Ok(Scenario { options, expect, title, .. }) => {
                let n = options.replica_count;
                rows.push((file.display().to_string(), n, expect.verdict.name(), title));
            }
            Err(error) => refused.push(in_one_line(&error)),
        }
    }
    show(rows, &refused, args.json)?;
    match refused.as_slice() {
        [] => Ok(()),
        [only] => bail!("{only}"),
        [others @ .., last] => {
            others.iter().for_each(|error| render::note(format_args!("quorate: {error}")));
            bail!("{last}")
        }
    }
}

/// File, number of replicas, verdict and title of each.
type Row = (String, u32, &'static str, String);

fn show(rows: Vec<Row>, refused: &[String], json: bool) -> Result<()> {
    if json {
        let scenarios: Vec<_> = rows
            .iter()
            .map(|(file, n, verdict, title)| {
                json!({ "file": file, "replicas": n, "verdict": verdict, "title": title })
            })
            .collect();
        let kinds: Vec<&str> = Behaviour::ALL.iter().map(|kind| kind.name()).collect();
        let object = json!({ "scenarios": scenarios, "kinds": kinds, "refused": refused });
        return render::line(format_args!("{object}"));
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(file, n, verdict, title)| vec![file, n.to_string(), verdict.to_owned(), title])
        .collect();
    render::table(&["file", "replicas", "verdict", "about"], &rows)?;
    let kinds = Behaviour::list();
    render::line(format_args!("\nkinds of nodes, with the values their parameters take:\n{kinds}"))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| {
        format!(
            "cannot read the folder {}: those that come with the project are in scenarios, in the \
             folder of its source, so call this there, or name a folder: quorate lab list DIR",
            dir.display()
        )
    })?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    Ok(())
}
