//! Everything that a suite asks, running at the same time, so that points can be measured in turn.

use super::etcd::Etcd;
use super::plan::{AnyLoad, Point, Target};
use super::replicas::{Gateway, Replicas, Shape};
use super::sample::Sample;
use anyhow::{Context, Result, bail};
use quorate_node::cluster::Durability;
use std::path::Path;

/// n, unless a suite says otherwise.
const REPLICAS: u32 = 4;

/// What runs.
#[derive(Default)]
pub(super) struct Targets {
    memory: Option<Replicas>,
    durable: Option<Replicas>,
    gateway: Option<Gateway>,
    etcd: Option<Etcd>,
}

impl Targets {
    /// Starts whatever the points need, with what it remembers in `dir`.
    pub(super) async fn start(dir: &Path, points: &[Point]) -> Result<Self> {
        let mut targets = Self::default();
        for target in [Target::Memory, Target::Durable, Target::Gateway, Target::Etcd] {
            let of_target = points.iter().filter(|point| point.target == target);
            let Some(clients) = of_target.map(|point| point.clients).max() else { continue };
            let shape = |durability| Shape { replicas: REPLICAS, clients, durability };
            match target {
                Target::Memory => {
                    let shape = shape(Durability::Memory);
                    targets.memory = Some(Replicas::start(&dir.join("memory"), &shape).await?);
                }
                Target::Durable => {
                    let shape = shape(Durability::Sync);
                    targets.durable = Some(Replicas::start(&dir.join("durable"), &shape).await?);
                }
                Target::Gateway => {
                    let home = dir.join("gateway");
                    targets.gateway = Some(Gateway::start(&home, REPLICAS).await?);
                }
                Target::Etcd => targets.etcd = Some(Etcd::start(&dir.join("etcd")).await?),
            }
        }
        Ok(targets)
    }

    /// Measures one point once.
    pub(super) async fn sample(&self, point: &Point) -> Result<Sample> {
        match (point.target, point.load) {
            (Target::Memory, AnyLoad::Null(load)) => {
                let replicas = self.memory.as_ref().context("not started")?;
                replicas.sample(load, point.clients).await
            }
            (Target::Durable, AnyLoad::Null(load)) => {
                let replicas = self.durable.as_ref().context("not started")?;
                replicas.sample(load, point.clients).await
            }
            (Target::Gateway, AnyLoad::Kv(load)) => {
                let gateway = self.gateway.as_ref().context("not started")?;
                load.run(std::slice::from_ref(&gateway.endpoint), point.clients).await
            }
            (Target::Etcd, AnyLoad::Kv(load)) => {
                let etcd = self.etcd.as_ref().context("not started")?;
                load.run(&etcd.endpoints, point.clients).await
            }
            (target, load) => bail!("{target:?} does not understand {load:?}"),
        }
    }

    /// Ends them all.
    pub(super) async fn stop(self) -> Result<()> {
        for replicas in [self.memory, self.durable].into_iter().flatten() {
            replicas.stop().await?;
        }
        if let Some(gateway) = self.gateway {
            gateway.stop().await?;
        }
        if let Some(etcd) = self.etcd {
            etcd.stop().await?;
        }
        Ok(())
    }
}
