//! `quorate lab replay`: the same again, bit for bit.

use super::run as single;
use super::{load, report};
use crate::args::lab::Replay;
use crate::failure::Negative;
use crate::render;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;

pub(super) fn run(args: &Replay) -> Result<()> {
    if let Some(recording) = open_recording(&args.path)? {
        return replay_recording(recording, args);
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
    let shown = args.path.display();
    let (file, verdict) = (args.path.join("scenario.toml"), args.path.join("verdict.json"));
    anyhow::ensure!(
        file.exists(),
        "there is no report of a run in {shown}, since it has no scenario.toml: name a folder that \
         `quorate lab run` wrote, a scenario file or a recording"
    );
    anyhow::ensure!(
        verdict.exists(),
        "{shown} has no verdict.json, so there is nothing that a replay could be compared with; \
         `quorate lab run {} --report {shown}` runs its scenario again and writes all of the report",
        file.display()
    );
    let scenario = load(&file)?;
    let recorded = recorded_hash(&verdict)?;
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

/// Opens a file if it is a recording.
fn open_recording(path: &Path) -> Result<Option<BufReader<File>>> {
    if path.is_dir() {
        return Ok(None);
    }
    let reading = || {
        format!(
            "cannot read {}, which should be the folder of a report, a scenario file or a recording",
            path.display()
        )
    };
    let mut file = BufReader::new(File::open(path).with_context(reading)?);
    let found = quorate_lab::replay::is_recording(&mut file).with_context(reading)?;
    file.rewind().with_context(reading)?;
    Ok(found.then_some(file))
}

#[cfg(feature = "cluster")]
fn replay_recording(recording: BufReader<File>, args: &Replay) -> Result<()> {
    super::recording::run(recording, args)
}

#[cfg(not(feature = "cluster"))]
fn replay_recording(_: BufReader<File>, _: &Replay) -> Result<()> {
    anyhow::bail!(
        "this quorate is the simulator alone and does not know the keys and the store of a real \
         replica; for recordings, build it with its default features: \
         cargo build --release --package quorate-cli"
    )
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
