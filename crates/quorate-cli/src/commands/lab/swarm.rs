//! `quorate lab swarm`: many random worlds on all cores.

use crate::args::lab::Swarm;
use crate::failure::Shown;
use crate::render;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_lab::rng::Seed;
use quorate_lab::scenario;
use quorate_lab::swarm::{self, Pairs, Run};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

/// What a swarm came to. The format is stable: fields are only added.
#[derive(Debug, Serialize)]
struct Report {
    runs: u64,
    violations: u64,
    stalls: u64,
    /// Runs whose second try went otherwise.
    not_reproduced: u64,
    coverage: BTreeMap<&'static str, u64>,
    /// Two optimizations, each on or off, that came together in the fewest runs.
    rarest_pair: Option<RarestPair>,
    /// What happened in too few runs.
    too_rare: Vec<&'static str>,
    failures: Vec<Failure>,
    runs_per_minute: f64,
}

#[derive(Debug, Serialize)]
struct RarestPair {
    switches: BTreeMap<&'static str, bool>,
    runs: u64,
}

#[derive(Debug, Serialize)]
struct Failure {
    seed: u64,
    verdict: &'static str,
    explanation: String,
    replay: String,
}

/// One run in so many is made twice, and must be the same.
const REPRODUCED_EVERY: u64 = 100;

/// With fewer runs than this a share of one per cent says nothing.
const COVERED_FROM_RUNS: u64 = 1_000;

pub(super) fn run(args: &Swarm) -> Result<()> {
    let begun = Instant::now();
    let bar = ProgressBar::new(args.seeds / args.shard.count);
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} worlds, {msg}{eta} left")
            .context("the progress bar has a valid template")?,
    );
    let mut report = Report {
        runs: 0,
        violations: 0,
        stalls: 0,
        not_reproduced: 0,
        coverage: BTreeMap::new(),
        rarest_pair: None,
        too_rare: Vec::new(),
        failures: Vec::new(),
        runs_per_minute: 0.0,
    };
    let mut pairs = Pairs::default();
    for done in run_all(args) {
        bar.inc(1);
        pairs.count(&done.run.switches);
        take(&mut report, done, args)?;
        if !report.failures.is_empty() {
            bar.set_message(format!("{} failed, ", report.failures.len()));
        }
    }
    bar.finish_and_clear();
    report.rarest_pair = pairs
        .rarest()
        .map(|(setting, runs)| RarestPair { switches: setting.into_iter().collect(), runs });
    report.failures.sort_by_key(|failure| failure.seed);
    report.runs_per_minute = report.runs as f64 * 60.0 / begun.elapsed().as_secs_f64();
    if report.runs >= COVERED_FROM_RUNS {
        let rare = report.coverage.iter().filter(|(_, runs)| **runs * 100 < report.runs);
        report.too_rare = rare.map(|(what, _)| *what).collect();
    }
    show(&report, args.json)?;
    let is_good =
        report.failures.is_empty() && report.too_rare.is_empty() && report.not_reproduced == 0;
    if is_good { Ok(()) } else { Err(Shown.into()) }
}

struct Done {
    run: Run,
    is_reproduced: bool,
}

/// Runs the worlds on as many threads as there are cores; they come back in any order.
fn run_all(args: &Swarm) -> mpsc::IntoIter<Done> {
    let (first, end) = (args.first_seed, args.first_seed.saturating_add(args.seeds));
    let shard = args.shard;
    let next = std::sync::Arc::new(AtomicU64::new(first));
    let (sender, receiver) = mpsc::sync_channel(64);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    for _ in 0..threads {
        let (sender, next) = (sender.clone(), std::sync::Arc::clone(&next));
        std::thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    break;
                }
                if seed % shard.count != shard.index {
                    continue;
                }
                let run = swarm::run_one(Seed::new(seed));
                let is_reproduced = !seed.is_multiple_of(REPRODUCED_EVERY)
                    || swarm::run_one(Seed::new(seed)).outcome.trace_hash == run.outcome.trace_hash;
                // Nobody waits any more: then nobody wants to know.
                if sender.send(Done { run, is_reproduced }).is_err() {
                    break;
                }
            }
        });
    }
    receiver.into_iter()
}

fn take(report: &mut Report, done: Done, args: &Swarm) -> Result<()> {
    let Done { run, is_reproduced } = done;
    report.runs += 1;
    report.not_reproduced += u64::from(!is_reproduced);
    for (what, happened) in &run.coverage {
        *report.coverage.entry(what).or_default() += u64::from(*happened);
    }
    let verdict = scenario::verdict_name(&run.outcome.verdict);
    match verdict {
        scenario::VerdictName::Pass => return Ok(()),
        scenario::VerdictName::NoProgress => report.stalls += 1,
        scenario::VerdictName::Violation => report.violations += 1,
    }
    let file = args.report.join(format!("swarm-{}.toml", run.seed.get()));
    std::fs::create_dir_all(&args.report)
        .and_then(|()| std::fs::write(&file, swarm::scenario_of(run.seed).text))
        .with_context(|| format!("cannot write {}", file.display()))?;
    report.failures.push(Failure {
        seed: run.seed.get(),
        verdict: verdict.name(),
        explanation: run.outcome.verdict.to_string(),
        replay: format!("quorate lab replay {}", file.display()),
    });
    Ok(())
}

fn show(report: &Report, json: bool) -> Result<()> {
    if json {
        return render::line(format_args!("{}", serde_json::to_string(report)?));
    }
    for failure in &report.failures {
        render::line(format_args!("seed {}: {}", failure.seed, failure.explanation))?;
        render::line(format_args!("  {}", failure.replay))?;
    }
    let rows: Vec<Vec<String>> = report
        .coverage
        .iter()
        .map(|(what, runs)| {
            let share = format!("{:.1} %", *runs as f64 * 100.0 / report.runs.max(1) as f64);
            vec![(*what).to_owned(), runs.to_string(), share]
        })
        .collect();
    render::table(&["what happened", "in so many runs", "share"], &rows)?;
    if let Some(RarestPair { switches, runs }) = &report.rarest_pair {
        let each: Vec<String> = switches
            .iter()
            .map(|(name, is_on)| format!("{name} {}", if *is_on { "on" } else { "off" }))
            .collect();
        render::line(format_args!(
            "every two optimizations were on and off together in {runs} runs at least: {}",
            each.join(", ")
        ))?;
    }
    for what in &report.too_rare {
        render::line(format_args!("too rare, in less than 1 % of the runs: {what}"))?;
    }
    if report.not_reproduced > 0 {
        render::line(format_args!(
            "{} runs went otherwise when made again",
            report.not_reproduced
        ))?;
    }
    render::line(format_args!(
        "{} runs, {:.0} a minute: {} violations, {} stalls",
        report.runs, report.runs_per_minute, report.violations, report.stalls
    ))
}
