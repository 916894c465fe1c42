//! `quorate up`: a local cluster that stays, one process a replica, watched over.

use crate::args::cluster::Up;
use crate::failure;
use crate::processes::Process;
use crate::render;
use anyhow::{Result, bail};
use pbft::ReplicaId;
use quorate_node::admin::NodeStatus;
use quorate_node::cluster::{Durability, ParametersFile, Together};
use quorate_node::home::Home;
use quorate_node::setup::{ClusterSettings, LocalCluster};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How many replicas a cluster has unless told otherwise.
const REPLICA_COUNT: u32 = 4;

/// How long after its end a replica is started again.
const RESTART_AFTER: Duration = Duration::from_secs(2);

pub(super) fn run(args: Up) -> Result<()> {
    if !args.listen.ip().to_canonical().is_loopback() {
        bail!(
            "{} can be reached from other machines, and `quorate up` is for this one only; listen \
             on a loopback address, or see `quorate gateway --help`",
            args.listen
        );
    }
    let local = create_or_open(&args)?;
    refuse_to_run_twice(&args, &local)?;
    super::runtime()?.block_on(async {
        let (stop, stopping) = watch::channel(false);
        let mut watchers = JoinSet::new();
        for (id, home) in (0..).map(ReplicaId::new).zip(local.replica_homes()) {
            let process = Process::replica(&home)?;
            let is_restarted = !args.no_restart;
            let watcher = Watcher { id, home, is_restarted, stopping: stopping.clone() };
            watchers.spawn(watcher.watch(process));
        }
        let mut gateway = Process::gateway(&local.client_home(0), &args.listen.to_string(), &[])?;
        let served = async {
            let endpoint = gateway.listening().await?;
            announce(&args, &local, &endpoint)?;
            tokio::select! {
                stopped = super::told_to_stop(false) => stopped,
                ended = gateway.ended() => {
                    ended?;
                    bail!("the gateway ended: {}", gateway.reason().await)
                }
            }
        };
        let outcome = served.await;
        render::note(format_args!("stopping"));
        gateway.stop().await?;
        // The watchers end when they are told, or have ended already.
        let _ = stop.send(true);
        while watchers.join_next().await.is_some() {}
        outcome
    })
}

fn create_or_open(args: &Up) -> Result<LocalCluster> {
    let dir = args.dir.display();
    if !LocalCluster::exists(&args.dir) {
        let settings = ClusterSettings {
            name: "local".to_owned(),
            lab: args.lab,
            durability: Durability::Sync,
            together: Together::default(),
            parameters: ParametersFile::default(),
        };
        let count = args.replicas.unwrap_or(REPLICA_COUNT);
        return Ok(LocalCluster::create(&args.dir, count, settings)?);
    }
    let local = LocalCluster::open(&args.dir)?;
    let count = local.cluster.config.replica_count();
    if args.replicas.is_some_and(|wanted| wanted != count) {
        bail!(
            "the cluster in {dir} has {count} replicas; leave --replicas out or choose another --dir"
        );
    }
    if args.lab && !local.cluster.lab {
        bail!(
            "the cluster in {dir} is not a laboratory and never becomes one; choose another --dir"
        );
    }
    Ok(local)
}

/// A second process for each member would find its folder in use, again and again.
fn refuse_to_run_twice(args: &Up, local: &LocalCluster) -> Result<()> {
    for home in local.replica_homes() {
        if let Some(NodeStatus { id, pid, .. }) = super::status::ask(&home) {
            let dir = args.dir.display();
            bail!(
                "the cluster in {dir} runs already, with replica {id} as process {pid}; use it, \
                 stop it first, or choose another --dir"
            );
        }
    }
    Ok(())
}

fn announce(args: &Up, local: &LocalCluster, endpoint: &str) -> Result<()> {
    let cluster = &local.cluster;
    let (count, f) = (cluster.config.replica_count(), cluster.config.quorums.fault_bound());
    // At once: whoever wants the endpoint alone reads a line and closes the pipe.
    render::line(format_args!(
        "etcd endpoint {endpoint}\ntry: etcdctl --endpoints={endpoint} put greeting hello"
    ))?;
    let lab = if cluster.lab { ", a laboratory" } else { "" };
    render::note(format_args!(
        "{count} replicas in {}, any {f} of them may fail in any way; durability {}{lab}; \
         Ctrl-C stops them",
        args.dir.display(),
        cluster.durability,
    ));
    Ok(())
}

/// Watches over one replica.
struct Watcher {
    id: ReplicaId,
    home: Home,
    is_restarted: bool,
    stopping: watch::Receiver<bool>,
}

impl Watcher {
    async fn watch(mut self, mut process: Process) {
        let id = self.id;
        loop {
            let ended = tokio::select! {
                _told = self.stopping.changed() => {
                    if let Err(error) = process.stop().await {
                        render::note(format_args!("replica {id} did not stop: {error}"));
                    }
                    return;
                }
                ended = process.ended() => ended,
            };
            let is_final = matches!(&ended, Ok(status) if status.code() == Some(1));
            let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            let reason = process.reason().await;
            render::note(format_args!("replica {id} died ({status}): {reason}"));
            if !self.is_restarted || is_final || self.home.halted_path().exists() {
                render::note(format_args!("replica {id} is not started again"));
                if self.home.halted_path().exists() {
                    let dir = self.home.path().display();
                    render::note(format_args!(
                        "to let it rejoin without its memory: quorate replica --dir {dir} --rejoin"
                    ));
                }
                return;
            }
            tokio::select! {
                _told = self.stopping.changed() => return,
                () = sleep(RESTART_AFTER) => {}
            }
            match Process::replica(&self.home) {
                Ok(started) => {
                    process = started;
                    render::note(format_args!("replica {id} started again"));
                }
                Err(error) => {
                    let error = failure::in_one_line(&error);
                    render::note(format_args!("replica {id} cannot be started: {error}"));
                    return;
                }
            }
        }
    }
}
