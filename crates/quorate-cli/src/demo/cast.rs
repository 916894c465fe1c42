//! The processes of the demo, and what can be done to them and asked of them.

use crate::commands::cluster::{behave, status};
use crate::processes::Process;
use anyhow::{Context, Result};
use pbft::View;
use quorate_adversary::Behaviour;
use quorate_node::admin::Request;
use quorate_node::setup::LocalCluster;
use std::collections::BTreeSet;
use std::time::Duration;

/// Replicas and gateway.
pub(super) struct Cast {
    local: LocalCluster,
    replicas: Vec<Process>,
    gateway: Process,
    endpoint: String,
}

impl Cast {
    /// Starts all processes. With `is_gullible` the gateway believes f+1 equal answers.
    pub(super) async fn start(local: &LocalCluster, is_gullible: bool) -> Result<Self> {
        let replicas: Result<Vec<Process>> =
            local.replica_homes().map(|home| Process::replica(&home)).collect();
        let mut replicas = replicas?;
        for (id, replica) in (0..).zip(&mut replicas) {
            let id: u32 = id;
            replica.listening().await.with_context(|| format!("replica {id}"))?;
        }
        let more: &[&str] = if is_gullible { &["--believe-weak-quorum"] } else { &[] };
        let mut gateway = Process::gateway(&local.client_home(0), "127.0.0.1:0", more)?;
        let endpoint = gateway.listening().await.context("gateway")?;
        Ok(Self { local: local.clone(), replicas, gateway, endpoint })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn durability(&self) -> String {
        self.local.cluster.durability.to_string()
    }

    /// The view that a weak quorum has reached.
    pub(super) fn view(&self) -> u64 {
        self.report().and_then(|report| report.cluster.view).unwrap_or_default()
    }

    pub(super) fn primary_of(&self, view: u64) -> u32 {
        self.local.cluster.config.primary(View::new(view)).get()
    }

    /// The first replica from `id` on that is not one of `others`.
    pub(super) fn first_from(&self, id: u32, others: &BTreeSet<u32>) -> u32 {
        let count = self.local.cluster.config.replica_count();
        let mut from = (0..count).map(|step| (id + step) % count);
        from.find(|id| !others.contains(id)).unwrap_or(id)
    }

    pub(super) fn make_faulty(&self, id: u32, behaviour: Behaviour) -> Result<()> {
        let request = Request::Break { behaviour: behaviour.to_string(), for_ms: None, seed: 0 };
        behave::tell(self.local.root(), id, &request)
    }

    pub(super) fn heal_all(&self) {
        for id in 0..self.local.cluster.config.replica_count() {
            if let Err(error) = behave::tell(self.local.root(), id, &Request::Heal {}) {
                tracing::error!(id, %error, "cannot heal a replica");
            }
        }
    }

    pub(super) async fn kill(&mut self, id: u32) -> Result<()> {
        self.process(id)?.kill().await
    }

    pub(super) fn restart(&mut self, id: u32) -> Result<()> {
        let home = self.local.replica_homes().nth(id as usize).context("no such replica")?;
        *self.process(id)? = Process::replica(&home)?;
        Ok(())
    }

    /// Waits until every replica takes part and none is behind.
    pub(super) async fn wait_until_whole(&self, patience: Duration) -> bool {
        let is_well = |row: &status::ReplicaRow| row.is_up_to_date() && row.behaviour.is_none();
        self.wait_for(patience, |report| report.replicas.iter().all(is_well)).await.is_some()
    }

    /// Waits until this replica takes part and is not behind; returns how long it took.
    pub(super) async fn wait_until_caught_up(
        &self,
        id: u32,
        patience: Duration,
    ) -> Option<Duration> {
        let is_there = |report: &status::Report| {
            report.replicas.iter().any(|row| row.id == id && row.is_up_to_date())
        };
        self.wait_for(patience, is_there).await
    }

    /// Waits until all replicas have the same stable checkpoint with the same state, which covers
    /// everything executed.
    pub(super) async fn wait_until_equal(&self, patience: Duration) -> bool {
        let is_equal = |report: &status::Report| {
            let state = |row: &status::ReplicaRow| {
                let is_covered = row.stable_checkpoint == row.last_executed;
                is_covered.then(|| (row.stable_checkpoint, row.checkpoint_digest.clone()))
            };
            let first = report.replicas.first().and_then(state);
            first.is_some() && report.replicas.iter().all(|row| state(row) == first)
        };
        self.wait_for(patience, is_equal).await.is_some()
    }

    pub(super) async fn stop(mut self) {
        for process in self.replicas.iter_mut().chain([&mut self.gateway]) {
            if let Err(error) = process.stop().await {
                tracing::error!(%error, "cannot stop a process");
            }
        }
    }

    async fn wait_for(
        &self,
        patience: Duration,
        is_reached: impl Fn(&status::Report) -> bool,
    ) -> Option<Duration> {
        status::wait_for(self.local.root(), patience, is_reached).await
    }

    fn report(&self) -> Option<status::Report> {
        // Asking blocks, for as short as replicas on this machine take to answer.
        tokio::task::block_in_place(|| status::collect(self.local.root())).ok()
    }

    fn process(&mut self, id: u32) -> Result<&mut Process> {
        self.replicas.get_mut(id as usize).context("no such replica")
    }
}
