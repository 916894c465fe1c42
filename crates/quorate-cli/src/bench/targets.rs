//! Everything that a suite asks, running at the same time, so that points can be measured in turn.

use super::ablation;
use super::etcd::Etcd;
use super::plan::{AnyLoad, Point, REPLICAS, Target};
use super::replicas::{Gateway, Replicas, Shape};
use super::sample::Sample;
use anyhow::{Context, Result, bail};
use quorate_node::cluster::Durability;
use std::path::Path;

/// What runs.
pub(super) struct Targets(Vec<(Target, Running)>);

enum Running {
    Replicas(Box<Replicas>),
    Gateway(Gateway),
    Etcd(Etcd),
}

impl Targets {
    /// Starts whatever the points need, with what it remembers in `dir`.
    pub(super) async fn start(dir: &Path, points: &[Point]) -> Result<Self> {
        let mut targets = Self(Vec::new());
        for Point { target, .. } in points {
            if targets.0.iter().any(|(known, _)| known == target) {
                continue;
            }
            let of_target = points.iter().filter(|point| point.target == *target);
            let clients = of_target.map(|point| point.clients).max().unwrap_or(1);
            let home = dir.join(targets.0.len().to_string());
            let running = match *target {
                Target::Replicas(replicas, durability) => {
                    // One more, who floods.
                    let shape = Shape::new(replicas, clients + 1, durability);
                    Running::Replicas(Box::new(Replicas::start(&home, &shape).await?))
                }
                Target::Ablated(_) => {
                    let shape = Shape::new(REPLICAS, clients, Durability::Sync);
                    let shape = Shape { switches: target.switches(), ..shape };
                    Running::Replicas(Box::new(Replicas::start(&home, &shape).await?))
                }
                Target::Gateway => Running::Gateway(Gateway::start(&home, REPLICAS).await?),
                Target::Etcd => Running::Etcd(Etcd::start(&home).await?),
            };
            targets.0.push((*target, running));
        }
        Ok(targets)
    }

    /// Measures one point once.
    pub(super) async fn sample(&mut self, point: &Point) -> Result<Sample> {
        let running = self.0.iter_mut().find(|(target, _)| *target == point.target);
        let (target, running) = running.context("a target was not started")?;
        match (running, point.load) {
            (Running::Replicas(replicas), AnyLoad::Own(load)) => match point.fault {
                Some(fault) => fault.sample(replicas, load, point.clients).await,
                None if matches!(target, Target::Ablated(_)) => {
                    ablation::sample(replicas, load, point.clients).await
                }
                None => replicas.sample(load, point.clients).await,
            },
            (Running::Gateway(gateway), AnyLoad::Kv(load)) => {
                load.run(std::slice::from_ref(&gateway.endpoint), point.clients).await
            }
            (Running::Etcd(etcd), AnyLoad::Kv(load)) => {
                load.run(&etcd.endpoints, point.clients).await
            }
            (_, load) => bail!("{target:?} does not understand {load:?}"),
        }
    }

    /// Ends them all.
    pub(super) async fn stop(self) -> Result<()> {
        for (_, running) in self.0 {
            match running {
                Running::Replicas(replicas) => replicas.stop().await?,
                Running::Gateway(gateway) => gateway.stop().await?,
                Running::Etcd(etcd) => etcd.stop().await?,
            }
        }
        Ok(())
    }
}
