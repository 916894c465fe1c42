//! The folder that a run leaves behind.

use anyhow::{Context, Result};
use quorate_lab::answers::Answers;
use quorate_lab::report::{Summary, page};
use quorate_lab::scenario::Scenario;
use quorate_lab::trace::Line;
use quorate_lab::world;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// The most lines that the page shows something of; the trace has all of them.
pub(super) const LINES_SHOWN_MAX: usize = 200_000;

/// Runs a scenario and writes everything about the run into `dir`.
pub(super) fn run_and_write(scenario: &Scenario, dir: &Path) -> Result<Summary> {
    check_memory(scenario)?;
    let place = || format!("cannot write the report to {}", dir.display());
    fs::create_dir_all(dir.join("evidence")).with_context(place)?;
    let write = |name: &str, content: &str| fs::write(dir.join(name), content).with_context(place);
    write("scenario.toml", &scenario.text)?;
    let mut trace = BufWriter::new(File::create(dir.join("trace.jsonl")).with_context(place)?);
    let mut shown: Vec<Line> = Vec::new();
    let mut answers = Answers::default();
    let mut written = Ok(());
    let outcome = world::run_observed(scenario.seed, &scenario.options, &mut |line| {
        if written.is_ok() {
            written = write_line(&mut trace, &line);
        }
        answers.see(&line);
        if shown.len() < LINES_SHOWN_MAX {
            shown.push(line);
        }
    });
    written.and_then(|()| Ok(trace.flush()?)).with_context(place)?;
    for (index, culprit) in outcome.culprits.iter().enumerate() {
        if let Some(evidence) = &culprit.evidence {
            let name = format!("evidence/{index}-replica-{}", culprit.replica);
            fs::write(dir.join(name), quorate_lab::report::evidence(evidence))
                .with_context(place)?;
        }
    }
    let report = dir.display().to_string();
    let summary = Summary::new(scenario, &outcome, &report)
        .with_answers(scenario, answers)
        .with_diagram(scenario, &shown);
    write("verdict.json", &serde_json::to_string_pretty(&summary)?)?;
    write("report.html", &page(scenario, &summary, &shown))?;
    Ok(summary)
}

pub(super) fn write_line(trace: &mut impl Write, line: &Line) -> Result<()> {
    serde_json::to_writer(&mut *trace, line)?;
    Ok(trace.write_all(b"\n")?)
}

/// A run that would not fit memory is better not begun.
fn check_memory(scenario: &Scenario) -> Result<()> {
    let needed = scenario.options.memory_estimate();
    let Some(available) = available_memory() else { return Ok(()) };
    anyhow::ensure!(
        needed < available,
        "the run needs about {} MiB of memory and {} MiB are free; take fewer replicas, clients or \
         operations",
        needed >> 20,
        available >> 20
    );
    Ok(())
}

/// Bytes of memory that are free, where the system tells.
fn available_memory() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
