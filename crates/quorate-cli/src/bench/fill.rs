//! Filling the store: one client with thousands of puts under way, which share requests.

use super::load::PATIENCE;
use super::replicas::{Replicas, close};
use super::sample::{Gaps, Sample, histogram, note};
use super::work::put;
use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use quorate_net::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Puts under way: as many as fill what a client has outstanding, four requests of 1024 operations,
/// and wait for the next ones.
const UNDER_WAY: u64 = 8192;

/// Puts so many keys, each once, and waits until all replicas that run have executed them.
pub(super) async fn fill(replicas: &Replicas, keys: u64, progress: &ProgressBar) -> Result<Sample> {
    let clients = replicas.clients(1).await?;
    let client = clients.first().context("one client was asked for")?;
    progress.set_message("filling the store");
    progress.inc_length(keys);
    let (next, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let gaps = Arc::new(Gaps::from(began));
    let before = client.metrics().requests_sent.get();
    let mut callers = JoinSet::new();
    for _ in 0..UNDER_WAY.min(keys) {
        let caller = Caller {
            client: client.clone(),
            next: Arc::clone(&next),
            keys,
            gaps: Arc::clone(&gaps),
            progress: progress.clone(),
        };
        callers.spawn(caller.call());
    }
    let mut latencies = histogram()?;
    while let Some(caller) = callers.join_next().await {
        latencies.add(caller.context("a caller failed")??)?;
    }
    let (end, sent) = (Instant::now(), client.metrics().requests_sent.get() - before);
    let sample = Sample::new(latencies, sent, end - began)?;
    close(clients).await;
    replicas.until_settled().await?;
    Ok(sample.with_longest_gap(gaps.end_at(end)))
}

struct Caller {
    client: Client,
    /// The number of the next key that nobody puts yet.
    next: Arc<AtomicU64>,
    keys: u64,
    gaps: Arc<Gaps>,
    progress: ProgressBar,
}

impl Caller {
    async fn call(self) -> Result<Histogram<u64>> {
        let mut latencies = histogram()?;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.keys {
                return Ok(latencies);
            }
            let called = Instant::now();
            put(&self.client, number, 0, called + PATIENCE).await?;
            let answered = Instant::now();
            note(&mut latencies, answered - called);
            self.gaps.answered_at(answered);
            self.progress.inc(1);
        }
    }
}
