//! The commands about clusters of real processes, and what several of them need.

pub(crate) mod behave;
mod gateway;
mod init;
mod keygen;
mod replica;
pub(crate) mod status;
mod up;
mod verify;

use crate::args::cluster::ClusterCommand;
use anyhow::{Context, Result, bail};
use quorate_node::setup::LocalCluster;
use std::path::Path;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(command: ClusterCommand) -> Result<()> {
    match command {
        ClusterCommand::Demo(args) => crate::demo::run(args),
        ClusterCommand::Up(args) => up::run(args),
        ClusterCommand::Keygen(args) => keygen::run(&args),
        ClusterCommand::Init(args) => init::run(args),
        ClusterCommand::Verify(args) => verify::run(&args),
        ClusterCommand::Replica(args) => replica::run(args),
        ClusterCommand::Gateway(args) => gateway::run(args),
        ClusterCommand::Status(args) => status::run(&args),
        ClusterCommand::Break(args) => behave::make_faulty(&args),
        ClusterCommand::Heal(args) => behave::heal(&args),
    }
}

/// The cluster in a folder that a person named or that is the default.
pub(crate) fn open_cluster(dir: &Path) -> Result<LocalCluster> {
    // A folder of somebody else is not taken for an empty one.
    if let Ok(false) = dir.join("cluster.toml").try_exists() {
        let dir = dir.display();
        bail!(
            "there is no cluster in {dir}, since it has no cluster.toml; make one with \
             `quorate up --dir {dir}`, or name another folder with --dir"
        );
    }
    Ok(LocalCluster::open(dir)?)
}

/// A runtime for commands that wait for several things at once.
pub(crate) fn runtime() -> Result<Runtime> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.context("cannot start the runtime")
}

/// Completes when this process is told to stop: by SIGTERM, by Ctrl-C or, if it is tied to it, by
/// the end of standard input.
pub(crate) async fn told_to_stop(is_tied: bool) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = end_of_input(), if is_tied => {}
    }
    Ok(())
}

/// Completes at the end of standard input. The thread that reads it is left behind: a blocking
/// read cannot be called off.
async fn end_of_input() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An error is an end, too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}
