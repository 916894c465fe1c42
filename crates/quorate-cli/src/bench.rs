//! `quorate bench`: measurements on real processes, each beside what this machine does without
//! replication. Absolute times of a shared machine are noise, so ratios within one run are the
//! results.

mod ablation;
mod baseline;
mod etcd;
mod faults;
mod fill;
mod goals;
mod kv;
mod load;
mod page;
mod plan;
mod replicas;
mod report;
mod sample;
mod spinners;
mod state;
mod targets;
mod work;

use crate::args::bench::{Bench, Suite};
use crate::commands::cluster::runtime;
use crate::descriptors;
use crate::render;
use anyhow::{Context, Result, ensure};
use baseline::Baseline;
use indicatif::{ProgressBar, ProgressStyle};
use plan::{Point, Target, points};
use quorate_node::setup::LocalCluster;
use report::{BaselineRow, DRIFT_MAX, Report, Row};
use sample::Sample;
use spinners::Spinners;
use std::path::{Path, PathBuf};
use targets::Targets;

/// Descriptors that a client may need beside one for each of its connections.
const DESCRIPTORS_BESIDE: u64 = 4;
/// What must be free on the disk.
const FREE_BYTES_MIN: u64 = 2 << 30;

pub(crate) fn run(args: &Bench) -> Result<()> {
    let mut suites = if args.all { Suite::ALL.to_vec() } else { args.suites.clone() };
    suites.retain(|suite| !points(*suite, args).is_empty());
    ensure!(
        !suites.is_empty(),
        "nothing in these suites has `{}` in its name: run them without --only to see the names",
        args.only.as_deref().unwrap_or_default()
    );
    check_room(args, &suites)?;
    let mut bench = Runner { args, rows: Vec::new(), baseline: BaselineRow::default() };
    let mut report = Report::new(bench.baseline, Vec::new());
    for suite in suites {
        bench.measure(suite)?;
        // What was measured stays, whatever becomes of the next suite.
        report = Report::new(bench.baseline, bench.rows.clone());
        report.write(&args.out)?;
    }
    if args.json {
        return render::line(format_args!("{}", serde_json::to_string(&report)?));
    }
    report.show()?;
    render::line(format_args!("the page is {}", args.out.join("bench.html").display()))
}

/// Says what is missing before anything is started.
fn check_room(args: &Bench, suites: &[Suite]) -> Result<()> {
    let out = &args.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    ensure!(
        !LocalCluster::exists(out),
        "{} is the folder of a cluster; name another one with --out",
        out.display()
    );
    let all = suites.iter().flat_map(|suite| points(*suite, args));
    let needs = |point: &Point| {
        let clients = u64::from(point.clients);
        clients * (u64::from(point.target.links()) + DESCRIPTORS_BESIDE)
    };
    let greediest = all.max_by_key(needs).context("there is nothing to measure")?;
    let (clients, needed) = (greediest.clients, needs(&greediest));
    if let Some(allowed) = descriptors::allow_all() {
        ensure!(
            needed <= allowed,
            "{clients} clients need {needed} file descriptors, and {allowed} are allowed: raise \
             `ulimit -n`, or ask for fewer with --clients-max"
        );
    }
    let state = if suites.contains(&Suite::State) { state::bytes(args) } else { 0 };
    let memory = available_bytes()?;
    ensure!(
        state <= memory,
        "{} keys need about {} MiB of memory, and {} MiB are available: ask for fewer with --keys",
        args.keys,
        state >> 20,
        memory >> 20
    );
    let disk = rustix::fs::statvfs(out).context("cannot ask how much room the disk has")?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = FREE_BYTES_MIN + state;
    ensure!(
        free >= needed,
        "{} has {} MiB free, and {} MiB are needed; name another disk with --out",
        out.display(),
        free >> 20,
        needed >> 20
    );
    Ok(())
}

/// What the system can give to processes without swapping.
fn available_bytes() -> Result<u64> {
    let path = "/proc/meminfo";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 =
        kilobytes.context("the system does not say how much memory it has")?.parse()?;
    Ok(kilobytes * 1024)
}

struct Runner<'a> {
    args: &'a Bench,
    rows: Vec<Row>,
    baseline: BaselineRow,
}

impl Runner<'_> {
    /// Measures E and L, the suite, and E and L again.
    fn measure(&mut self, suite: Suite) -> Result<()> {
        let mut points = points(suite, self.args);
        if points.iter().any(|point| point.target == Target::Etcd) && !etcd::is_installed() {
            render::note(format_args!(
                "there is no etcd on this machine, so it is not measured beside: install Debian's \
                 etcd-server, for instance"
            ));
            points.retain(|point| point.target != Target::Etcd);
        }
        let before = Baseline::measure(self.args.span)?;
        let samples = self.sample_all(suite, &points)?;
        let drift = before.drift_to(&Baseline::measure(self.args.span)?);
        let usable = (drift <= DRIFT_MAX).then_some(before);
        if usable.is_none() {
            render::note(format_args!(
                "{}: the machine was {:.0} % faster or slower at the end than at the beginning, so \
                 no ratio is shown; measure again when nothing else runs",
                suite.name(),
                100.0 * drift
            ));
        }
        self.baseline = BaselineRow {
            echo_ops: before.echo_ops,
            echo_p50_us: before.echo_p50_us,
            drift: self.baseline.drift.max(drift),
        };
        for (point, samples) in points.into_iter().zip(samples) {
            let row = Row::of(suite.name(), point, &samples, usable, &self.rows)?;
            self.rows.push(row);
        }
        Ok(())
    }

    /// Measures all points, each as often as it can be.
    fn sample_all(&self, suite: Suite, points: &[Point]) -> Result<Vec<Vec<Sample>>> {
        let dir = self.folder(suite)?;
        let progress = ProgressBar::new(0);
        progress.set_style(ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}")?);
        progress.set_prefix(suite.name());
        let samples = runtime()?.block_on(async {
            match suite {
                Suite::State => state::measure(&dir, self.args, points, &progress).await,
                _ => self.sample_in_turn(&dir, points, &progress).await,
            }
        });
        progress.finish_and_clear();
        let samples = samples.with_context(|| suite.name())?;
        let removed = std::fs::remove_dir_all(&dir);
        removed.with_context(|| format!("cannot remove {}", dir.display()))?;
        Ok(samples)
    }

    /// Repeats all points in turn, so that what disturbs the machine for a while disturbs all.
    async fn sample_in_turn(
        &self,
        dir: &Path,
        points: &[Point],
        progress: &ProgressBar,
    ) -> Result<Vec<Vec<Sample>>> {
        progress.set_length(u64::from(self.args.repeats) * points.len() as u64);
        let mut samples = vec![Vec::new(); points.len()];
        let mut targets = Targets::start(dir, points).await?;
        for _ in 0..self.args.repeats {
            for (point, samples) in points.iter().zip(&mut samples) {
                let Point { workload, clients, .. } = point;
                progress.set_message(format!("{workload}, clients: {clients}"));
                let _awake = Spinners::start()?;
                let sample = targets.sample(point).await;
                samples.push(sample.with_context(|| workload.clone())?);
                progress.inc(1);
            }
        }
        targets.stop().await?;
        Ok(samples)
    }

    /// A folder for what a suite asks, which must not be there yet: it is removed afterwards.
    fn folder(&self, suite: Suite) -> Result<PathBuf> {
        let dir = self.args.out.join(suite.name());
        ensure!(
            !dir.exists(),
            "{} is left from a run that was interrupted, or is not of a run: remove it, or name \
             another folder with --out",
            dir.display()
        );
        Ok(dir)
    }
}
