//! `quorate lab sweep`: one scenario with every combination of some values, several times each, as
//! tables and a figure.

mod figure;
mod grid;
mod statistics;
mod table;

use crate::args::lab::{Setting, Sweep};
use crate::failure::Negative;
use crate::render;
use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_lab::report::Summary;
use quorate_lab::scenario::Scenario;
use quorate_lab::world;
use std::fs;
use std::path::{Path, PathBuf};

/// Where something was run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Simulator,
    Processes,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Processes => "processes",
        }
    }
}

/// One run of one combination.
struct Run {
    values: Vec<String>,
    place: Place,
    summary: Summary,
}

pub(super) fn run(args: &Sweep) -> Result<()> {
    let name = args.file.display().to_string();
    let text = fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read the scenario {name}"))?;
    Scenario::parse(&name, &text)?;
    let base: toml::Table = text.parse().with_context(|| format!("{name} is not TOML"))?;
    check(args)?;
    let combinations = grid::combinations(&args.set);
    // What is wrong with one of them is said before the first run.
    let scenarios = combinations
        .iter()
        .map(|values| Ok((values, scenario(&name, &base, &args.set, values)?)))
        .collect::<Result<Vec<_>>>()?;
    let work = scenarios.len() as u64 * args.seeds * if args.processes { 2 } else { 1 };
    let bar = ProgressBar::new(work);
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left")
            .context("the progress bar has a valid template")?,
    );
    let mut runs = Vec::new();
    for (values, (simulated, real)) in &scenarios {
        for more in 0..args.seeds {
            let seed = simulated.seed.get().saturating_add(more);
            runs.push(Run {
                values: values.to_vec(),
                place: Place::Simulator,
                summary: simulate(simulated.clone().with_seed(seed)),
            });
            bar.inc(1);
            if args.processes {
                let summary = bar.suspend(|| on_processes(&name, real.clone().with_seed(seed)))?;
                runs.push(Run { values: values.to_vec(), place: Place::Processes, summary });
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    write(args, &runs)?;
    let failed = runs.iter().filter(|run| run.summary.verdict != "pass").count();
    if failed > 0 {
        return Err(Negative(format!("{failed} of {} runs did not pass", runs.len())).into());
    }
    Ok(())
}

/// What would make tables that nobody can read, or overwrite one another.
fn check(args: &Sweep) -> Result<()> {
    let keys = || args.set.iter().map(|setting| setting.key.as_str());
    if let Some(key) = keys().find(|key| keys().filter(|other| other == key).count() > 1) {
        anyhow::bail!("{key} is set twice; write all its values in one --set {key}=V,V,…");
    }
    ensure!(
        args.csv.extension().is_some_and(|ending| ending == "csv"),
        "--csv {} must end in .csv, since the medians and the figure go beside it",
        args.csv.display()
    );
    let folder = args.csv.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        anyhow::bail!("there is no folder {}; make it first", folder.display());
    }
    Ok(())
}

/// The scenario with these values, as it is and without what is about the simulator's world alone.
fn scenario(
    name: &str,
    base: &toml::Table,
    settings: &[Setting],
    values: &[String],
) -> Result<(Scenario, Scenario)> {
    let mut changed = base.clone();
    for (setting, value) in settings.iter().zip(values) {
        grid::set(&mut changed, &setting.key, value)?;
    }
    let parse = |table: &toml::Table| -> Result<Scenario> {
        Scenario::parse(name, &toml::to_string(table)?).map_err(|error| {
            anyhow::anyhow!("with {}: {}", grid::describe(settings, values), error.message)
        })
    };
    let simulated = parse(&changed)?;
    super::leave_out_the_world(&mut changed);
    Ok((simulated, parse(&changed)?))
}

fn simulate(scenario: Scenario) -> Summary {
    let outcome = world::run(scenario.seed, &scenario.options);
    Summary::new(&scenario, &outcome, "")
}

fn on_processes(name: &str, scenario: Scenario) -> Result<Summary> {
    let folder = tempfile::tempdir().context("cannot make a folder for the replicas")?;
    super::run_on_processes(name, scenario, 1.0, folder.path())
}

fn write(args: &Sweep, runs: &[Run]) -> Result<()> {
    let keys: Vec<&str> = args.set.iter().map(|setting| setting.key.as_str()).collect();
    let rows = table::medians(runs);
    let medians = beside(&args.csv, "-medians.csv")?;
    write_file(&args.csv, &table::of_runs(&keys, runs)?)?;
    write_file(&medians, &table::of_medians(&keys, &rows)?)?;
    render::line(format_args!("{} runs in {}", runs.len(), args.csv.display()))?;
    render::line(format_args!("medians in {}", medians.display()))?;
    let comparison = table::comparison(&args.set, &rows);
    let title = &runs[0].summary.scenario;
    match figure::draw(title, &args.set, &rows, &comparison)? {
        Ok(svg) => {
            let path = beside(&args.csv, ".svg")?;
            write_file(&path, &svg)?;
            render::line(format_args!("figure in {}", path.display()))?;
        }
        Err(why) => render::note(format_args!("no figure: {why}")),
    }
    comparison.iter().try_for_each(|line| render::line(format_args!("{line}")))
}

/// The file beside another one, with this instead of `.csv`.
fn beside(csv: &Path, ending: &str) -> Result<PathBuf> {
    let stem = csv.file_stem().context("--csv names no file")?.to_string_lossy();
    Ok(csv.with_file_name(format!("{stem}{ending}")))
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
