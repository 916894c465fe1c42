//! `quorate lab calibrate`: what a replica's work costs here, as sections of a scenario.

use crate::args::lab::Calibrate;
use crate::render;
use anyhow::{Context, Result};
use quorate_lab::calibrate::calibrate;
use quorate_lab::scenario::Scenario;
use quorate_lab::world::{self, Processor, Worked};
use quorate_replica::FileBackend;
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub(super) fn run(args: &Calibrate) -> Result<()> {
    let shown = args.disk.display();
    anyhow::ensure!(
        args.disk.is_dir(),
        "there is no folder {shown}: make it, or name another on the disk to be measured with --disk"
    );
    let folder =
        tempfile::tempdir_in(&args.disk).with_context(|| format!("cannot write to {shown}"))?;
    let disk = FileBackend::create(&folder.path().join("journal"))?;
    let mut measured = calibrate(since_start, Arc::new(disk))?;
    if args.processes {
        let worked = worked_by_processes(folder.path())?;
        measured.processor = as_processes(measured.processor, worked)?;
        render::line(format_args!(
            "# What messages cost, so that the load of scenarios/load/saturated.toml takes as much \
             processor\n# time as four real replicas, {:.3} s, and their clients, {:.3} s: medians of \
             {RUNS} runs.",
            worked.replicas.as_secs_f64(),
            worked.clients.as_secs_f64()
        ))?;
    }
    render::line(format_args!("{}", measured.to_string().trim_end()))
}

fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// The load that replicas are measured with.
const LOAD: &str = include_str!("../../../../../scenarios/load/saturated.toml");
const LOAD_NAME: &str = "saturated.toml";
/// How often.
const RUNS: usize = 3;

fn worked_by_processes(folder: &Path) -> Result<Worked> {
    let mut load: toml::Table = LOAD.parse()?;
    super::leave_out_the_world(&mut load);
    let load = toml::to_string(&load)?;
    let (mut replicas, mut clients) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let dir = folder.join(format!("run-{run}"));
        let scenario = Scenario::parse(LOAD_NAME, &load)?;
        let summary = super::run_on_processes(LOAD_NAME, scenario, 1.0, &dir)?;
        anyhow::ensure!(summary.verdict == "pass", "the run of four replicas did not pass");
        replicas.push(Duration::from_secs_f64(summary.processor_seconds));
        clients.push(Duration::from_secs_f64(summary.client_processor_seconds));
    }
    let median = |mut spans: Vec<Duration>| {
        spans.sort_unstable();
        spans[RUNS / 2]
    };
    Ok(Worked { replicas: median(replicas), clients: median(clients) })
}

/// What a message may cost at most; real ones cost a hundredth of it.
const PER_MESSAGE_MAX: Duration = Duration::from_millis(10);
/// How exactly that is looked for.
const PER_MESSAGE_STEP: Duration = Duration::from_nanos(100);

/// The costs with which the load takes so much processor time in the simulator. All replicas and
/// clients share the cores of this machine.
fn as_processes(costs: Processor, worked: Worked) -> Result<Processor> {
    let scenario = Scenario::parse(LOAD_NAME, LOAD)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let cores = u16::try_from(cores).unwrap_or(u16::MAX);
    let simulated = |costs: Processor| {
        let mut options = scenario.options.clone();
        options.processor = Some(Processor { cores, ..costs });
        world::run(scenario.seed, &options).counts.worked
    };
    // How many messages clients get is hardly a matter of costs.
    let unit = Duration::from_micros(1);
    let messages = simulated(Processor { per_client_message: unit, ..costs }).clients.as_micros();
    let per_client_message = worked.clients / u32::try_from(messages)?.max(1);
    let (mut low, mut high) = (Duration::ZERO, PER_MESSAGE_MAX);
    while high - low > PER_MESSAGE_STEP {
        let per_message = low + (high - low) / 2;
        let middle = simulated(Processor { per_message, per_client_message, ..costs });
        if middle.replicas < worked.replicas { low = per_message } else { high = per_message }
    }
    Ok(Processor { per_message: high, per_client_message, cores, ..costs })
}
