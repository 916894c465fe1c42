//! An auction held by four replicas, each a process of its own: the bidders need not trust any one
//! of them, neither with who leads nor with the time at which a lot is closed.
//!
//! ```text
//! auction init DIR                          makes a cluster of four, and clients 1 to 3
//! auction replica DIR/replica-0             runs one of them, until it is told to stop
//! auction client DIR/client-1 bid vase 120  asks for something; see auction.rs for what
//! auction demo DIR                          does all that, and kills replicas meanwhile
//! ```

mod auction;
mod demo;
#[cfg(test)]
mod worlds;

use auction::Auction;
use quorate::tokio::runtime::Runtime;
use quorate::tokio::signal::unix::{SignalKind, signal};
use quorate::tokio::time::Instant;
use quorate::{
    Client, ClusterSettings, Home, LocalCluster, Node, NodeConfig, Operation, Service, ServiceId,
    Services, tokio,
};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: auction init DIR
       auction replica DIR/replica-N
       auction client DIR/client-N open LOT SECONDS | bid LOT AMOUNT | show LOT
       auction demo DIR";

/// The name by which operations call the auction.
const AUCTION: ServiceId = ServiceId(1);

/// How long a client waits for a quorum to agree.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["init", folder] => init(Path::new(folder)),
        ["replica", folder] => replica(Path::new(folder)),
        ["client", folder, words @ ..] if !words.is_empty() => {
            client(Path::new(folder), &words.join(" "))
        }
        ["demo", folder] => demo::run(Path::new(folder)),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn init(folder: &Path) -> Result<()> {
    let cluster = LocalCluster::create(folder, 4, ClusterSettings::named("auction"))?;
    println!("cluster {} in {}", cluster.cluster.fingerprint, folder.display());
    Ok(())
}

/// Runs the replica of this folder until SIGTERM or Ctrl-C.
fn replica(folder: &Path) -> Result<()> {
    let service: Box<dyn Service> = Box::new(Auction);
    let services = Services::from([(AUCTION, service)]);
    let mut node = Node::start(NodeConfig::new(Home::new(folder), services))?;
    println!("replica {} listens on {}", node.id(), node.address());
    let ended = Runtime::new()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok::<_, std::io::Error>(None),
            _ = tokio::signal::ctrl_c() => Ok(None),
            ended = node.ended() => Ok(Some(ended)),
        }
    })?;
    node.stop();
    match ended {
        None => Ok(()),
        Some(ended) => Err(format!("the replica ended by itself: {ended:?}").into()),
    }
}

/// Has the cluster execute one operation, and prints what a quorum answered.
fn client(folder: &Path, words: &str) -> Result<()> {
    Runtime::new()?.block_on(async {
        let client = connect(folder)?;
        println!("{}", ask(&client, words).await?);
        client.close().await;
        Ok(())
    })
}

/// A client with the identity of this folder. Must be called within a runtime.
fn connect(folder: &Path) -> Result<Client> {
    let home = Home::new(folder);
    Ok(Client::start(home.client_settings(&home.membership()?)?)?)
}

async fn ask(client: &Client, words: &str) -> Result<String> {
    let operation = Operation { service: AUCTION, body: words.as_bytes().to_vec() };
    let answer = client.submit(operation, Instant::now() + PATIENCE).await?;
    Ok(String::from_utf8(answer)?)
}
