//! The smallest service: a counter, replicated by four replicas in this process.
//!
//! ```text
//! cargo run -p quorate --example counter           counts to three and stops
//! cargo run -p quorate --example counter -- DIR    serves from DIR until Ctrl-C, for client.rs
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use quorate::tokio;
use quorate::tokio::runtime::Runtime;
use quorate::tokio::time::Instant;
use quorate::{
    Client, ClusterSettings, Context, LocalCluster, Node, NodeConfig, Operation, Reading, Service,
    ServiceId, Services, State, StateRead,
};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Adds up the numbers it is told. Its state is one key; numbers are decimal text.
struct Counter;

const COUNTER: ServiceId = ServiceId(1);
const COUNT: &[u8] = b"count";

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn count(state: &dyn StateRead) -> u64 {
    state.get(COUNT).and_then(|text| number(&text)).unwrap_or(0)
}

impl Service for Counter {
    fn execute(&mut self, _: &Context<'_>, operation: &[u8], state: &mut dyn State) -> Vec<u8> {
        let Some(step) = number(operation) else { return b"not a number".to_vec() };
        let Some(count) = count(state).checked_add(step) else { return b"too much".to_vec() };
        let text = count.to_string().into_bytes();
        state.put(COUNT, text.clone());
        text
    }

    fn query(&self, _: &Context<'_>, operation: &[u8], state: &dyn StateRead) -> Option<Reading> {
        operation.is_empty().then(|| count(state).to_string().into_bytes().into())
    }

    fn restored(&mut self, _: &dyn StateRead) {}
}

/// The cluster in `folder`, made if there is none.
fn cluster(folder: &Path) -> Result<LocalCluster, Box<dyn Error>> {
    match LocalCluster::exists(folder) {
        true => Ok(LocalCluster::open(folder)?),
        false => Ok(LocalCluster::create(folder, 4, ClusterSettings::named("counter"))?),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let given = std::env::args_os().nth(1);
    let folder = given.as_ref().map_or(temporary.path(), Path::new);
    let cluster = cluster(folder)?;
    let mut nodes = Vec::new();
    for home in cluster.replica_homes() {
        let service: Box<dyn Service> = Box::new(Counter);
        let services = Services::from([(COUNTER, service)]);
        nodes.push(Node::start(NodeConfig::new(home, services))?);
    }
    println!("{} replicas, each durable in its folder in {}", nodes.len(), folder.display());
    match given {
        Some(_) => Runtime::new()?.block_on(tokio::signal::ctrl_c())?,
        None => Runtime::new()?.block_on(count_to_three(&cluster))?,
    }
    nodes.into_iter().for_each(Node::stop);
    Ok(())
}

async fn count_to_three(cluster: &LocalCluster) -> Result<(), Box<dyn Error>> {
    let home = cluster.client_home(1);
    let client = Client::start(home.client_settings(&home.membership()?)?)?;
    for _ in 0..3 {
        let increment = Operation { service: COUNTER, body: b"1".to_vec() };
        let count = client.submit(increment, Instant::now() + Duration::from_secs(10)).await?;
        println!("count {}, said a quorum", String::from_utf8_lossy(&count));
    }
    client.close().await;
    Ok(())
}
