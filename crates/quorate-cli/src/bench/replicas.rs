//! The replicas that are measured: real processes on this machine.

use super::load::Load;
use super::sample::Sample;
use crate::processes::Process;
use crate::services::NULL;
use anyhow::{Context, Result};
use pbft::ClientParameters;
use pbft::message::Operation;
use quorate_net::{Client, ClientSettings};
use quorate_node::cluster::{Durability, ParametersFile};
use quorate_node::setup::{ClusterSettings, LocalCluster};
use quorate_services::null;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// What is measured.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// n.
    pub(super) replicas: u32,
    /// How many clients there are at most.
    pub(super) clients: u32,
    pub(super) durability: Durability,
}

/// Running replicas.
pub(super) struct Replicas {
    local: LocalCluster,
    processes: Vec<Process>,
}

/// Replicas whose turn it is not do nothing while others are measured: they do not fill up to the
/// next checkpoint because they are idle.
const NEVER_MS: u32 = 24 * 60 * 60 * 1000;

/// How long a client waits for its first answer.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);

impl Replicas {
    /// Starts them with what they remember in `dir`, which must be empty or absent.
    pub(super) async fn start(dir: &Path, shape: &Shape) -> Result<Self> {
        let settings = ClusterSettings {
            name: "bench".to_owned(),
            lab: true,
            durability: shape.durability,
            parameters: ParametersFile {
                checkpoint_fill_after_ms: Some(NEVER_MS),
                ..ParametersFile::default()
            },
        };
        let local = LocalCluster::create_for(dir, shape.replicas, shape.clients, settings)?;
        let mut processes = Vec::new();
        for (id, home) in local.replica_homes().enumerate() {
            let mut process = Process::replica_with(&home, &["--null-service"])?;
            process.listening().await.with_context(|| format!("replica {id}"))?;
            processes.push(process);
        }
        Ok(Self { local, processes })
    }

    /// Clients, each with an identity of its own and a link to every replica, that have all been
    /// answered once.
    pub(super) async fn clients(&self, count: u32) -> Result<Vec<Client>> {
        let mut clients = Vec::new();
        for id in 0..count {
            let home = self.local.client_home(id);
            let settings = home.client_settings(&home.membership()?)?;
            let parameters = ClientParameters::default();
            let client = Client::start(ClientSettings { parameters, ..settings });
            clients.push(client.context("cannot use the keys of a client")?);
        }
        for client in &clients {
            let deadline = Instant::now() + FIRST_TIMEOUT;
            let body = null::operation(0, 0);
            let answered = client.submit(Operation { service: NULL, body }, deadline).await;
            answered.context("the replicas do not answer")?;
        }
        Ok(clients)
    }

    /// Lets so many clients ask, once.
    pub(super) async fn sample(&self, load: Load, clients: u32) -> Result<Sample> {
        let clients = self.clients(clients).await?;
        let sample = load.run(&clients).await;
        for client in clients {
            client.close().await;
        }
        sample
    }

    /// Ends them all.
    pub(super) async fn stop(mut self) -> Result<()> {
        for process in &mut self.processes {
            process.stop().await?;
        }
        Ok(())
    }
}

/// Running replicas of the store, durable, and a gateway in front of them.
pub(super) struct Gateway {
    processes: Vec<Process>,
    /// Where it serves clients.
    pub(super) endpoint: String,
}

impl Gateway {
    /// Starts them with what they remember in `dir`, which must be empty or absent.
    pub(super) async fn start(dir: &Path, replicas: u32) -> Result<Self> {
        let local = LocalCluster::create(dir, replicas, ClusterSettings::named("bench"))?;
        let mut processes = Vec::new();
        for (id, home) in local.replica_homes().enumerate() {
            let mut process = Process::replica(&home)?;
            process.listening().await.with_context(|| format!("replica {id}"))?;
            processes.push(process);
        }
        let mut gateway = Process::gateway(&local.client_home(0), "127.0.0.1:0", &[])?;
        let address = gateway.listening().await.context("gateway")?;
        processes.push(gateway);
        let endpoint = format!("http://{address}");
        super::kv::wait_until_served(&endpoint).await?;
        Ok(Self { processes, endpoint })
    }

    /// Ends them all, the gateway first.
    pub(super) async fn stop(mut self) -> Result<()> {
        for process in self.processes.iter_mut().rev() {
            process.stop().await?;
        }
        Ok(())
    }
}
