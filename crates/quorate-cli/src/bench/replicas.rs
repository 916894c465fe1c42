//! The replicas that are measured: real processes on this machine.

use super::ablation::Switches;
use super::load::{Load, PATIENCE};
use super::sample::Sample;
use super::work::Work;
use crate::commands::cluster::{behave, status};
use crate::processes::Process;
use anyhow::{Context, Result, bail};
use pbft::{ClientParameters, Config};
use quorate_adversary::Behaviour;
use quorate_net::limits::HANDSHAKE_PER_SOURCE_COUNT_MAX;
use quorate_net::{Client, ClientSettings};
use quorate_node::admin::{self, NodeStatus, Request, Response};
use quorate_node::cluster::{Durability, ParametersFile};
use quorate_node::home::{Home, Membership};
use quorate_node::setup::{ClusterSettings, LocalCluster};
use std::collections::BTreeMap;
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
    /// What they and the clients are told.
    pub(super) switches: Switches,
}

impl Shape {
    /// So many, with everything turned on.
    pub(super) fn new(replicas: u32, clients: u32, durability: Durability) -> Self {
        Self { replicas, clients, durability, switches: Switches::default() }
    }
}

/// Running replicas.
pub(super) struct Replicas {
    local: LocalCluster,
    /// Those that have been started.
    processes: BTreeMap<u32, Process>,
    client: ClientParameters,
}

/// Replicas whose turn it is not do nothing while others are measured: they do not fill up to the
/// next checkpoint because they are idle.
const NEVER_MS: u32 = 24 * 60 * 60 * 1000;

/// How long replicas may take to be whole again by themselves, after a fault or a start.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often they are made to change views to be so.
const RECOVERIES: u32 = 4;

/// How long a client waits for its first answer.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);

impl Replicas {
    /// Starts them with what they remember in `dir`, which must be empty or absent.
    pub(super) async fn start(dir: &Path, shape: &Shape) -> Result<Self> {
        Self::start_but(dir, shape, &[]).await
    }

    /// Starts them but these.
    pub(super) async fn start_but(dir: &Path, shape: &Shape, but: &[u32]) -> Result<Self> {
        let Switches { parameters, together, client } = shape.switches.clone();
        let settings = ClusterSettings {
            name: "bench".to_owned(),
            together,
            lab: true,
            durability: shape.durability,
            parameters: ParametersFile { checkpoint_fill_after_ms: Some(NEVER_MS), ..parameters },
        };
        let local = LocalCluster::create_for(dir, shape.replicas, shape.clients, settings)?;
        let mut replicas = Self { local, processes: BTreeMap::new(), client };
        for id in (0..shape.replicas).filter(|id| !but.contains(id)) {
            replicas.start_one(id).await?;
        }
        Ok(replicas)
    }

    /// The primary of the view that enough of them have reached.
    pub(super) fn primary(&self) -> Result<u32> {
        self.report()?.cluster.primary.context("the replicas do not say who is primary")
    }

    /// The view that enough of them have reached.
    pub(super) fn view(&self) -> Result<u64> {
        self.report()?.cluster.view.context("the replicas do not say in which view they are")
    }

    /// What they say of themselves.
    pub(super) fn report(&self) -> Result<status::Report> {
        // Asking blocks, for as short as replicas on this machine take to answer.
        tokio::task::block_in_place(|| status::collect(self.local.root()))
    }

    /// What is the same for all of them.
    pub(super) fn config(&self) -> &Config {
        &self.local.cluster.config
    }

    /// Makes one behave like this.
    pub(super) fn make_faulty(&self, id: u32, behaviour: Behaviour) -> Result<()> {
        let request = Request::Break { behaviour: behaviour.to_string(), for_ms: None, seed: 0 };
        behave::tell(self.local.root(), id, &request)
    }

    /// Makes one behave well again.
    pub(super) fn heal(&self, id: u32) -> Result<()> {
        behave::tell(self.local.root(), id, &Request::Heal {})
    }

    /// What one has counted under this name.
    pub(super) fn counter(&self, id: u32, name: &str) -> Result<u64> {
        Ok(self.counters(id)?.get(name).copied().unwrap_or_default())
    }

    /// What one has counted, by name.
    pub(super) fn counters(&self, id: u32) -> Result<BTreeMap<String, u64>> {
        let path = self.home(id)?.admin_path();
        match admin::ask(&path, &Request::Counters {}, FIRST_TIMEOUT)? {
            Response::Counters { counters } => Ok(counters),
            other => bail!("replica {id} answered {other:?} to the question what it has counted"),
        }
    }

    /// Ends one as SIGKILL does.
    pub(super) async fn kill(&mut self, id: u32) -> Result<()> {
        self.processes.get_mut(&id).context("no such replica runs")?.kill().await
    }

    /// Starts one that does not run, with what it remembers.
    pub(super) async fn start_one(&mut self, id: u32) -> Result<()> {
        self.start_with(id, &["--null-service"]).await
    }

    /// Starts one whose memory is taken from it, so that it has to rejoin.
    pub(super) async fn start_without_memory(&mut self, id: u32) -> Result<()> {
        let path = self.home(id)?.data_path();
        let removed = std::fs::remove_dir_all(&path);
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
        self.start_with(id, &["--null-service", "--rejoin"]).await
    }

    async fn start_with(&mut self, id: u32, arguments: &[&str]) -> Result<()> {
        let mut process = Process::replica_with(&self.home(id)?, arguments)?;
        process.listening().await.with_context(|| format!("replica {id}"))?;
        self.processes.insert(id, process);
        Ok(())
    }

    /// What one says of itself, if it runs.
    pub(super) fn status(&self, id: u32) -> Result<Option<NodeStatus>> {
        let home = self.home(id)?;
        // Asking blocks, as above.
        Ok(tokio::task::block_in_place(|| status::ask(&home)))
    }

    /// Waits until all that run have executed the same.
    pub(super) async fn until_settled(&self) -> Result<()> {
        let is_settled = |report: &status::Report| {
            report.replicas.iter().all(|row| row.behind.is_none_or(|behind| behind == 0))
        };
        self.until(is_settled).await.context("some replicas stay behind")
    }

    /// Waits until all take part in one view, behave well, and none is behind. A replica that has
    /// left its view alone stays out of it until the others leave it too; so they are made to, by
    /// silencing the primary.
    pub(super) async fn until_whole(&self) -> Result<()> {
        let is_whole = |report: &status::Report| {
            let view = report.cluster.view;
            let mut rows = report.replicas.iter();
            rows.all(|row| row.is_up_to_date() && row.behaviour.is_none() && row.view == view)
        };
        for _ in 0..RECOVERIES {
            if self.wait_for(RECOVERY_TIMEOUT, is_whole).await.is_ok() {
                return Ok(());
            }
            let primary = self.primary()?;
            self.make_faulty(primary, Behaviour::NonResponding)?;
            close(self.clients(1).await?).await;
            self.heal(primary)?;
        }
        self.until(is_whole).await.context("the replicas did not recover from a fault")
    }

    /// Waits until this is so.
    pub(super) async fn until(&self, is_so: impl Fn(&status::Report) -> bool) -> Result<()> {
        self.wait_for(PATIENCE, is_so).await
    }

    async fn wait_for(
        &self,
        patience: Duration,
        is_so: impl Fn(&status::Report) -> bool,
    ) -> Result<()> {
        let waited = status::wait_for(self.local.root(), patience, is_so).await;
        waited.map(|_| ()).with_context(|| format!("not within {patience:?}"))
    }

    fn home(&self, id: u32) -> Result<Home> {
        self.local.replica_homes().nth(id as usize).context("no such replica")
    }

    /// What is needed to be one of the clients.
    pub(super) fn membership(&self, client: u32) -> Result<Membership> {
        Ok(self.local.client_home(client).membership()?)
    }

    /// Clients, each with an identity of its own and a link to every replica, that have all been
    /// answered once.
    pub(super) async fn clients(&self, count: u32) -> Result<Vec<Client>> {
        // Of more handshakes at a time from one address replicas close some.
        const AT_ONCE: u32 = HANDSHAKE_PER_SOURCE_COUNT_MAX as u32 / 2;
        let mut clients = Vec::new();
        for first in (0..count).step_by(AT_ONCE as usize) {
            let ids = first..count.min(first + AT_ONCE);
            let new = ids.map(|id| self.start_client(id)).collect::<Result<Vec<Client>>>()?;
            for client in &new {
                let deadline = Instant::now() + FIRST_TIMEOUT;
                let answered = Work::EMPTY.ask(client, (0, 0), deadline).await;
                answered.context("the replicas do not answer")?;
            }
            clients.extend(new);
        }
        Ok(clients)
    }

    /// A client that has not been answered yet.
    pub(super) fn start_client(&self, id: u32) -> Result<Client> {
        let home = self.local.client_home(id);
        let settings = home.client_settings(&home.membership()?)?;
        let parameters = self.client.clone();
        let client = Client::start(ClientSettings { parameters, ..settings });
        client.context("cannot use the keys of a client")
    }

    /// Lets so many clients ask, once.
    pub(super) async fn sample(&self, load: Load, clients: u32) -> Result<Sample> {
        let clients = self.clients(clients).await?;
        let sample = load.run(&clients).await;
        close(clients).await;
        sample
    }

    /// Ends them all.
    pub(super) async fn stop(mut self) -> Result<()> {
        for process in self.processes.values_mut() {
            process.stop().await?;
        }
        Ok(())
    }
}

/// Ends the links of clients that are not needed any more.
pub(super) async fn close(clients: Vec<Client>) {
    for client in clients {
        client.close().await;
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
