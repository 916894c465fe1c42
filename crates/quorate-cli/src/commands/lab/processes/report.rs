//! The folder that a run of processes leaves behind.

use super::play::Played;
use crate::commands::lab::report::{LINES_SHOWN_MAX, write_line};
use anyhow::{Context, Result};
use pbft::Evidence;
use quorate_lab::answers::Answers;
use quorate_lab::linearizability::History;
use quorate_lab::processes::{self, Recorded};
use quorate_lab::report::{Summary, page};
use quorate_lab::scenario::Scenario;
use quorate_lab::trace::Line;
use quorate_node::node::evidence::read_evidence;
use quorate_node::setup::LocalCluster;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Judges a run and writes everything about it into `dir`.
pub(super) fn write(
    local: &LocalCluster,
    scenario: &Scenario,
    played: Played,
    time_scale: f64,
    dir: &Path,
) -> Result<Summary> {
    let place = || format!("cannot write the report to {}", dir.display());
    let write = |name: &str, content: &str| fs::write(dir.join(name), content).with_context(place);
    write("scenario.toml", &scenario.text)?;
    write("history.txt", &in_lines(&played.history))?;
    let Played {
        began,
        ended,
        replicas,
        clients,
        faults,
        history,
        stopped,
        view,
        unfinished,
        worked,
    } = played;
    let recorded = Recorded {
        scenario,
        time_scale,
        config: &local.cluster.config,
        began,
        ended,
        replicas,
        clients,
        faults,
        history: &history,
        evidence: evidence(local)?,
        stopped,
        view,
        unfinished,
        worked,
    };
    let mut trace = BufWriter::new(File::create(dir.join("trace.jsonl")).with_context(place)?);
    let mut shown: Vec<Line> = Vec::new();
    let mut answers = Answers::default();
    let mut written = Ok(());
    let outcome = processes::judge(&recorded, &mut |line| {
        if written.is_ok() {
            written = write_line(&mut trace, &line);
        }
        answers.see(&line);
        if shown.len() < LINES_SHOWN_MAX {
            shown.push(line);
        }
    });
    written.and_then(|()| Ok(trace.flush()?)).with_context(place)?;
    let report = dir.display().to_string();
    let summary = Summary::of_processes(scenario, &outcome, &report, time_scale)
        .with_answers(scenario, answers)
        .with_diagram(scenario, &shown);
    write("verdict.json", &serde_json::to_string_pretty(&summary)?)?;
    write("report.html", &page(scenario, &summary, &shown))?;
    forget_state(local);
    Ok(summary)
}

/// The proofs that any replica kept.
fn evidence(local: &LocalCluster) -> Result<Vec<Evidence>> {
    let mut kept = Vec::new();
    for home in local.replica_homes() {
        let Ok(folder) = fs::read_dir(home.evidence_path()) else { continue };
        for entry in folder {
            kept.push(read_evidence(&entry?.path())?);
        }
    }
    Ok(kept)
}

fn in_lines(history: &History) -> String {
    history.operations().iter().map(|operation| format!("{operation}\n")).collect()
}

/// Leaves logs, records and evidence, and nothing else that takes room.
fn forget_state(local: &LocalCluster) {
    for home in local.replica_homes() {
        // What cannot be removed is no loss.
        let _ = fs::remove_dir_all(home.data_path());
    }
}
