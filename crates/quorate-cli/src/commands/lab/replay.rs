//! `quorate lab replay`: the same again, bit for bit.

use super::run as single;
use super::{load, recording, report};
use crate::args::lab::Replay;
use crate::failure::Negative;
use crate::render;
use anyhow::{Context, Result};
use std::path::Path;

pub(super) fn run(args: &Replay) -> Result<()> {
    if let Some(recording) = recording::open(&args.path)? {
        return recording::run(recording, args);
    }
    if args.dir.is_some() {
        anyhow::bail!("--dir is for recordings, and {} is none", args.path.display());
    }
    if !args.path.is_dir() {
        let scenario = load(&args.path)?;
        let dir = Path::new("lab-reports").join(format!("{}-replay", super::stem(&args.path)));
        let summary = report::run_and_write(&scenario, &dir)?;
        single::show(&summary, &dir, args.json)?;
        return single::conclude(&summary);
    }
    let scenario = load(&args.path.join("scenario.toml"))?;
    let recorded = recorded_hash(&args.path.join("verdict.json"))?;
    let summary = report::run_and_write(&scenario, &args.path)?;
    single::show(&summary, &args.path, args.json)?;
    let hash = summary.trace_hash.as_deref().unwrap_or_default();
    if hash != recorded {
        return Err(Negative(format!(
            "the trace differs: its hash is {hash}, and the report has {recorded}; another version \
             of the program made the report, or something here is not deterministic"
        ))
        .into());
    }
    render::note(format_args!("everything happened again: trace hash {recorded}"));
    single::conclude(&summary)
}

fn recorded_hash(file: &Path) -> Result<String> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let verdict: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is not the verdict of a run", file.display()))?;
    let hash = verdict.get("trace_hash").and_then(serde_json::Value::as_str);
    hash.map(str::to_owned).with_context(|| {
        format!(
            "{} has no trace hash: a run on processes does not repeat; run its scenario again",
            file.display()
        )
    })
}
