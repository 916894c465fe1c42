//! `quorate lab run --processes`: the same scenario on real replicas, judged from what they and
//! the clients recorded.

mod callers;
mod machines;
mod play;
mod report;

use crate::commands::cluster::told_to_stop;
use crate::render;
use anyhow::{Context, Result, bail};
use machines::Machines;
use quorate_lab::report::Summary;
use quorate_lab::scenario::Scenario;
use quorate_node::cluster::{Durability, ParametersFile, Together};
use quorate_node::setup::{ClusterSettings, LocalCluster};
use std::path::Path;

/// Runs a scenario, read from the file called `name`, and writes everything about the run into
/// `dir`.
pub(super) fn run(name: &str, scenario: Scenario, time_scale: f64, dir: &Path) -> Result<Summary> {
    scenario.check_for_processes(name)?;
    let scenario = scenario.in_time_scale(time_scale);
    let local = make_cluster(&scenario, dir)?;
    render::note(format_args!(
        "{} replicas and {} clients in {}, times as in the file × {time_scale}; without progress it \
         ends after {:.0} s",
        scenario.options.replica_count,
        scenario.options.workload.clients,
        dir.display(),
        (scenario.options.heals_at + scenario.options.recovery_max).as_secs_f64(),
    ));
    let played = crate::commands::cluster::runtime()?.block_on(async {
        let mut machines = Machines::new(&local, scenario.seed);
        let played = tokio::select! {
            played = play::play(&mut machines, &scenario) => played,
            stopped = told_to_stop(false) => {
                stopped?;
                Err(anyhow::anyhow!("interrupted"))
            }
        };
        machines.stop().await;
        played?.finish(&mut machines)
    })?;
    report::write(&local, &scenario, played, time_scale, dir)
}

/// The name of the clusters made here.
const NAME: &str = "scenario";

/// Makes a cluster as the scenario describes it, in place of that of an earlier run.
fn make_cluster(scenario: &Scenario, dir: &Path) -> Result<LocalCluster> {
    let root = dir.join("cluster");
    if LocalCluster::exists(&root) {
        if LocalCluster::open(&root)?.cluster.name != NAME {
            bail!("{} holds a cluster of somebody else; choose another --report", root.display());
        }
        let removed = std::fs::remove_dir_all(&root);
        removed.with_context(|| format!("cannot remove {}", root.display()))?;
    }
    let options = &scenario.options;
    let settings = ClusterSettings {
        name: NAME.to_owned(),
        lab: true,
        durability: Durability::Sync,
        together: Together::default(),
        parameters: ParametersFile::of(&options.parameters)
            .context("a parameter under [cluster] is above what processes can be told")?,
    };
    let clients = options.workload.clients;
    Ok(LocalCluster::create_for(&root, options.replica_count, clients, settings)?)
}
