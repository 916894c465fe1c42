//! `quorate demo`: the proof in a minute. Real processes, load through the etcd interface, faults
//! whose times and victims a seed decides, and a verdict that rests on what was observed alone.
//!
//! The plan says whom to corrupt and whom to kill. The verdict does not look at it: who lied comes
//! from evidence that replicas wrote and that verifies offline, whether answers were right from the
//! recorded history, whether states agree from the replicas' digests.

mod cast;
mod load;
mod schedule;
mod verdict;

use crate::args::cluster::Demo;
use crate::failure::Shown;
use crate::render;
use anyhow::{Context, Result};
use cast::Cast;
use indicatif::{ProgressBar, ProgressStyle};
use load::Load;
use quorate_adversary::Behaviour;
use quorate_lab::rng::Seed;
use quorate_node::cluster::{Durability, ParametersFile, Together};
use quorate_node::setup::{ClusterSettings, LocalCluster};
use schedule::{Act, Schedule};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use verdict::{Killed, Observed};

/// How long the cluster may take to be whole again after a fault.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn run(args: Demo) -> Result<()> {
    let (dir, is_temporary) = folder(args.dir.as_deref())?;
    let settings = ClusterSettings {
        name: "demo".to_owned(),
        lab: true,
        durability: Durability::Sync,
        together: Together::default(),
        parameters: ParametersFile::default(),
    };
    let local = LocalCluster::create(&dir, args.replicas, settings)?;
    let f = local.cluster.config.quorums.fault_bound();
    let seed = Seed::new(args.seed);
    let schedule = if args.beyond_budget {
        Schedule::beyond_budget(seed, f, args.duration)
    } else {
        Schedule::within_budget(seed, args.replicas, f, args.duration)
    };
    render::note(format_args!(
        "{} replicas in {}, f = {f}, seed {}; the schedule:",
        args.replicas,
        dir.display(),
        args.seed
    ));
    schedule.lines().iter().for_each(|line| render::note(format_args!("  {line}")));
    let played =
        crate::commands::cluster::runtime()?.block_on(play(&local, &schedule, seed, args.duration));
    if is_temporary {
        forget_state(&local);
    }
    let verdict = verdict::judge(&local, played?)?;
    if args.json {
        render::line(format_args!("{}", serde_json::to_string(&verdict)?))?;
    } else {
        verdict.show()?;
    }
    render::note(format_args!("logs and evidence are in {}", dir.display()));
    if verdict.is_pass() { Ok(()) } else { Err(Shown.into()) }
}

/// The folder to work in, and whether nobody asked for it.
fn folder(wanted: Option<&Path>) -> Result<(PathBuf, bool)> {
    if let Some(dir) = wanted {
        return Ok((dir.to_owned(), false));
    }
    let made = tempfile::Builder::new().prefix("quorate-demo-").tempdir();
    Ok((made.context("cannot make a temporary folder; choose one with --dir")?.keep(), true))
}

/// Leaves logs and evidence, and nothing else that takes room.
fn forget_state(local: &LocalCluster) {
    for home in local.replica_homes() {
        // What cannot be removed stays in the folder for temporary things.
        let _ = std::fs::remove_dir_all(home.data_path());
    }
}

/// Runs the cluster and the load, and lets happen what is scheduled.
async fn play(
    local: &LocalCluster,
    schedule: &Schedule,
    seed: Seed,
    duration: Duration,
) -> Result<Observed> {
    let mut cast = Cast::start(local, schedule.is_beyond_budget()).await?;
    let outcome = perform(&mut cast, schedule, seed, duration).await;
    cast.stop().await;
    outcome
}

async fn perform(
    cast: &mut Cast,
    schedule: &Schedule,
    seed: Seed,
    duration: Duration,
) -> Result<Observed> {
    load::wait_until_served(cast.endpoint()).await?;
    let first_view = cast.view();
    let load = Load::start(cast.endpoint(), seed).await?;
    let began = Instant::now();
    let progress = Progress::start(duration);
    let (mut killed, mut corrupted) = (Vec::new(), BTreeSet::new());
    for (at, act) in schedule.acts() {
        progress.until(began, began + *at).await;
        match act {
            Act::Corrupt { behaviour, count } => {
                corrupted.extend(corrupt(cast, *behaviour, *count, &progress)?);
            }
            Act::Heal => {
                cast.heal_all();
                progress.say("everybody behaves well again");
            }
            Act::Kill { victim, down_for } => {
                if !cast.wait_until_whole(WHOLE_TIMEOUT).await {
                    progress.say("not every replica has caught up; nobody is killed");
                    continue;
                }
                let victim = cast.first_from(*victim, &corrupted);
                progress.say(&format!("replica {victim} is killed with SIGKILL"));
                cast.kill(victim).await?;
                progress.until(began, Instant::now() + *down_for).await;
                cast.restart(victim)?;
                let caught_up = cast.wait_until_caught_up(victim, WHOLE_TIMEOUT).await;
                progress.say(&match caught_up {
                    Some(span) => {
                        format!("replica {victim} caught up after {} ms", span.as_millis())
                    }
                    None => format!("replica {victim} did not catch up"),
                });
                let caught_up_ms = caught_up.map(|span| span.as_millis() as u64);
                killed.push(Killed { replica: victim, caught_up_ms });
            }
        }
    }
    progress.until(began, began + duration).await;
    progress.finish();
    let recorded = load.finish().await;
    cast.heal_all();
    let digests_equal = cast.wait_until_equal(WHOLE_TIMEOUT).await;
    let view_changes = cast.view().saturating_sub(first_view);
    Ok(Observed {
        seed: seed.get(),
        recorded,
        view_changes,
        killed,
        digests_equal,
        durability: cast.durability(),
        must_kill: !schedule.is_beyond_budget(),
    })
}

/// Corrupts the primary and those who would follow it, so that each gets its turn to lie. Returns
/// who they are.
fn corrupt(
    cast: &Cast,
    behaviour: Behaviour,
    count: u32,
    progress: &Progress,
) -> Result<BTreeSet<u32>> {
    let (view, mut corrupted) = (cast.view(), BTreeSet::new());
    for next in 0..count {
        let id = cast.primary_of(view + u64::from(next));
        cast.make_faulty(id, behaviour)?;
        corrupted.insert(id);
        let role = if next == 0 { "the primary" } else { "a next primary" };
        progress.say(&format!("replica {id}, {role}, is told to behave as {behaviour}"));
    }
    Ok(corrupted)
}

/// A bar on a terminal, and what happens above it.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn start(duration: Duration) -> Self {
        // Hidden where standard error is no terminal.
        let bar = ProgressBar::new(duration.as_millis() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3}%") {
            bar.set_style(style);
        }
        Self { bar }
    }

    async fn until(&self, began: Instant, moment: Instant) {
        const STEP: Duration = Duration::from_millis(100);
        loop {
            self.bar.set_position(began.elapsed().as_millis() as u64);
            let now = Instant::now();
            if now >= moment {
                return;
            }
            sleep_until(moment.min(now + STEP)).await;
        }
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| render::note(format_args!("  {text}")));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
