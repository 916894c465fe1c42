//! `quorate lab run`: one scenario, its counts, its verdict and the place of its report.

use super::{load, report, stem};
use crate::args::lab::Run;
use crate::failure::Shown;
use crate::render;
use anyhow::Result;
use quorate_lab::report::wording::rounded;
use quorate_lab::report::{Summary, count_rows};
use quorate_lab::scenario::Scenario;
use std::path::{Path, PathBuf};

pub(super) fn run(args: &Run) -> Result<()> {
    let mut scenario = load(&args.file)?;
    if let Some(seed) = args.seed {
        scenario = scenario.with_seed(seed);
    }
    let dir = args.report.clone().unwrap_or_else(|| report_dir(args, &scenario));
    let summary = if args.processes {
        super::run_on_processes(&args.file.display().to_string(), scenario, args.time_scale, &dir)?
    } else {
        report::run_and_write(&scenario, &dir)?
    };
    show(&summary, &dir, args.json)?;
    conclude(&summary)
}

fn report_dir(args: &Run, scenario: &Scenario) -> PathBuf {
    let how = if args.processes { "-processes" } else { "" };
    let name = format!("{}-seed-{}{how}", stem(&args.file), scenario.seed.get());
    PathBuf::from("lab-reports").join(name)
}

/// The exit code follows the verdict.
pub(super) fn conclude(summary: &Summary) -> Result<()> {
    if summary.verdict == "pass" && summary.misses.is_empty() {
        return Ok(());
    }
    Err(Shown.into())
}

pub(super) fn show(summary: &Summary, dir: &Path, json: bool) -> Result<()> {
    if json {
        return render::line(format_args!("{}", serde_json::to_string(summary)?));
    }
    let counts = &summary.counts;
    render::line(format_args!("{}, seed {}", summary.scenario, summary.seed))?;
    if let Some(diagram) = &summary.diagram {
        render::line(format_args!("{diagram}\n"))?;
    }
    let rows: Vec<Vec<String>> = count_rows(counts)
        .iter()
        .map(|(name, count)| vec![(*name).to_owned(), count.to_string()])
        .collect();
    render::table(&["messages handled", "number"], &rows)?;
    let rows: Vec<Vec<String>> = counts
        .per_replica
        .iter()
        .map(|part| {
            let share = format!("{:.1} %", part.share * 100.0);
            let numbers = [part.replica, 0].map(|n| n.to_string());
            vec![numbers[0].clone(), part.handled.to_string(), part.sent.to_string(), share]
        })
        .collect();
    render::table(&["replica", "handled", "sent", "share of all sent"], &rows)?;
    let mut facts = vec![
        ("messages for each request", rounded(counts.per_request_with_self)),
        ("requests completed", summary.requests_completed.to_string()),
        ("view changes", format!("{}, ended in view {}", summary.view_changes, summary.final_view)),
        ("the run took", took(summary)),
    ];
    if let Some(scale) = summary.time_scale {
        facts.push(("times", format!("as in the file × {scale}")));
    }
    if let Some(costs) = &summary.processor {
        facts.push(("processors", costs.clone()));
    }
    if let Some(hash) = &summary.trace_hash {
        facts.push(("trace hash", hash.clone()));
    }
    for (name, value) in facts {
        render::line(format_args!("{name:25}  {value}"))?;
    }
    for culprit in &summary.culprits {
        let how = if culprit.proved { "proved" } else { "suspected" };
        let what = format!("replica {}: {}", culprit.replica, culprit.evidence);
        render::line(format_args!("{how:25}  {what}"))?;
    }
    if let Some(explanation) = &summary.explanation {
        render::line(format_args!("{explanation}"))?;
    }
    for remark in &summary.remarks {
        render::line(format_args!("{:25}  {remark}", "note"))?;
    }
    let is_good = summary.verdict == "pass" && summary.misses.is_empty();
    let but = if summary.misses.is_empty() { "" } else { "; the run is not as the file says" };
    let verdict = render::verdict(is_good, &format!("{}{but}", summary.verdict));
    render::line(format_args!("{:25}  {verdict}", "verdict"))?;
    let page = dir.join("report.html");
    render::line(format_args!("{:25}  {}", "report", page.display()))?;
    if summary.trace_hash.is_some() {
        render::line(format_args!("{:25}  quorate lab replay {}", "to replay", dir.display()))?;
    }
    for line in summary.answers.lines() {
        render::line(format_args!("{line}"))?;
    }
    render::line(format_args!(
        "the network exchanged {} messages, and {} with each replica's own",
        counts.total, counts.total_with_self
    ))?;
    for miss in &summary.misses {
        render::line(format_args!("{:25}  {miss}", "not as the file says"))?;
    }
    Ok(())
}

/// How long the run took, which is not how long its clients waited.
fn took(summary: &Summary) -> String {
    let calls = summary.answers.first_call();
    let calls = calls.map(|at| format!("; clients call from second {} on", rounded(at)));
    summary.took() + &calls.unwrap_or_default()
}
