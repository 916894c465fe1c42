//! One module for each command.

pub(crate) mod behave;
mod gateway;
mod init;
mod keygen;
mod lab;
mod replica;
pub(crate) mod status;
mod up;
mod verify;

use crate::args::Command;
use anyhow::{Context, Result, bail};
use quorate_node::setup::LocalCluster;
use std::path::Path;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(args) => crate::demo::run(args),
        Command::Up(args) => up::run(args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Init(args) => init::run(args),
        Command::Verify(args) => verify::run(&args),
        Command::Replica(args) => replica::run(args),
        Command::Gateway(args) => gateway::run(args),
        Command::Status(args) => status::run(&args),
        Command::Break(args) => behave::make_faulty(&args),
        Command::Heal(args) => behave::heal(&args),
        Command::Lab(args) => lab::run(&args),
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
