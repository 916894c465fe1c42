//! `quorate lab`: the simulator. The worlds are made and judged in `quorate-lab`; here files are
//! read and written, threads started and results shown.

mod calibrate;
mod list;
#[cfg(feature = "cluster")]
mod processes;
#[cfg(feature = "cluster")]
mod recording;
mod replay;
mod report;
mod run;
mod shrink;
mod swarm;
mod sweep;

use crate::args::lab::{Lab, LabCommand};
use anyhow::{Context, Result};
use quorate_lab::scenario::Scenario;
use std::path::Path;

pub(super) fn run(args: &Lab) -> Result<()> {
    match &args.command {
        LabCommand::Run(args) => run::run(args),
        LabCommand::Swarm(args) => swarm::run(args),
        LabCommand::Replay(args) => replay::run(args),
        LabCommand::Shrink(args) => shrink::run(args),
        LabCommand::Sweep(args) => sweep::run(args),
        LabCommand::List(args) => list::run(args),
        LabCommand::Calibrate(args) => calibrate::run(args),
    }
}

/// Reads a scenario file.
fn load(file: &Path) -> Result<Scenario> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the scenario {}", file.display()))?;
    Ok(Scenario::parse(&file.display().to_string(), &text)?)
}

/// The name of a scenario file without folder and ending.
fn stem(file: &Path) -> String {
    file.file_stem().map_or_else(|| "scenario".to_owned(), |stem| stem.to_string_lossy().into())
}
