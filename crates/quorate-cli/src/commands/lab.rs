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
use quorate_lab::report::Summary;
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

/// Runs a scenario, read from the file called `name`, on real replicas, and writes everything about
/// the run into `dir`.
#[cfg(feature = "cluster")]
fn run_on_processes(
    name: &str,
    scenario: Scenario,
    time_scale: f64,
    dir: &Path,
) -> Result<Summary> {
    processes::run(name, scenario, time_scale, dir)
}

#[cfg(not(feature = "cluster"))]
fn run_on_processes(_: &str, _: Scenario, _: f64, _: &Path) -> Result<Summary> {
    anyhow::bail!(
        "this quorate is the simulator alone and has no replicas to start; for --processes, build \
         it with its default features: cargo build --release --package quorate-cli"
    )
}

/// Takes out of a scenario what is about the world of the simulator, in which processes do not live.
fn leave_out_the_world(scenario: &mut toml::Table) {
    for section in ["network", "disk", "processor"] {
        scenario.remove(section);
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
