//! Callers that keep so many operations outstanding, for a while.

use super::sample::{Sample, histogram, note};
use crate::services::NULL;
use anyhow::{Context, Result, bail};
use pbft::SeqNum;
use pbft::message::Operation;
use quorate_net::{Client, Queried};
use quorate_services::null;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What every caller does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// How many operations each client has outstanding.
    pub(super) in_flight: u32,
    /// Bytes of each operation.
    pub(super) argument: usize,
    /// Bytes of each result.
    pub(super) result: u32,
    pub(super) asked: Asked,
    /// How long is measured.
    pub(super) span: Duration,
}

/// Whether operations are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// Each is.
    Ordered,
    /// Replicas read it in what they have executed.
    Read,
}

/// How long the callers call before they are measured.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);

/// How long an operation may take before the measurement has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

impl Load {
    /// # Errors
    /// If any operation failed: that is no measurement.
    pub(super) async fn run(self, clients: &[Client]) -> Result<Sample> {
        let begin = Instant::now() + WARM_UP;
        let end = begin + self.span;
        let mut callers = JoinSet::new();
        for client in clients {
            for _ in 0..self.in_flight {
                callers.spawn(self.call(client.clone(), begin, end));
            }
        }
        tokio::time::sleep_until(begin).await;
        let requests = || clients.iter().map(|client| client.metrics().requests_sent.get()).sum();
        let before: u64 = requests();
        tokio::time::sleep_until(end).await;
        let sent = requests() - before;
        let mut latencies = histogram()?;
        while let Some(caller) = callers.join_next().await {
            latencies.add(caller.context("a caller failed")??)?;
        }
        Sample::new(latencies, sent, self.span)
    }

    async fn ask(self, client: &Client, operation: Operation, end: Instant) -> Result<Vec<u8>> {
        match self.asked {
            Asked::Ordered => Ok(client.submit(operation, end).await?),
            Asked::Read => match client.query(operation, SeqNum::ZERO, end).await? {
                Queried::Agreed(reading) => Ok(reading.content),
                Queried::NotAgreed(_) => bail!("replicas that change nothing did not agree"),
            },
        }
    }

    /// Counts what is answered between the two moments.
    async fn call(
        self,
        client: Client,
        begin: Instant,
        end: Instant,
    ) -> Result<hdrhistogram::Histogram<u64>> {
        let body = null::operation(self.argument, self.result);
        let mut latencies = histogram()?;
        loop {
            let called = Instant::now();
            let operation = Operation { service: NULL, body: body.clone() };
            let result = self.ask(&client, operation, called + PATIENCE).await?;
            anyhow::ensure!(
                result.len() == self.result as usize,
                "an operation of the service that does nothing was answered with {} bytes",
                result.len()
            );
            let answered = Instant::now();
            if answered >= end {
                return Ok(latencies);
            }
            if answered >= begin {
                note(&mut latencies, answered - called);
            }
        }
    }
}
