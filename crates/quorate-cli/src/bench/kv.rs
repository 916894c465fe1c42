//! Clients of the etcd API, the same for a gateway and for etcd itself.

use super::load::{PATIENCE, WARM_UP};
use super::sample::{Gaps, Sample, histogram, note};
use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};

/// What every caller does: one call after the other, on a key of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct KvLoad {
    pub(super) call: Call,
    /// How long is measured.
    pub(super) span: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    /// Puts an empty value.
    Put,
    /// Gets it, linearizably.
    Get,
}

/// How long whoever serves may take to answer for the first time.
const FIRST_TIMEOUT: Duration = Duration::from_secs(60);

impl KvLoad {
    /// So many callers, spread evenly over the endpoints, each with a connection of its own.
    ///
    /// # Errors
    /// If any call failed: that is no measurement.
    pub(super) async fn run(self, endpoints: &[String], clients: u32) -> Result<Sample> {
        let mut callers = JoinSet::new();
        let mut connections = Vec::new();
        for (id, endpoint) in (0..clients).zip(endpoints.iter().cycle()) {
            let mut kv = connect(endpoint).await?;
            let key = format!("bench/{id}").into_bytes();
            // So that there is something to get.
            call(&mut kv, Call::Put, &key).await?;
            connections.push((kv, key));
        }
        let begin = Instant::now() + WARM_UP;
        let end = begin + self.span;
        let gaps = Arc::new(Gaps::from(begin));
        for (kv, key) in connections {
            callers.spawn(self.call_until(kv, key, (begin, end), Arc::clone(&gaps)));
        }
        let mut latencies = histogram()?;
        while let Some(caller) = callers.join_next().await {
            latencies.add(caller.context("a caller failed")??)?;
        }
        let calls = latencies.len();
        let sample = Sample::new(latencies, calls, self.span)?;
        Ok(sample.with_longest_gap(gaps.end_at(end)))
    }

    /// Counts what is answered between the two moments.
    async fn call_until(
        self,
        mut kv: KvClient<Channel>,
        key: Vec<u8>,
        (begin, end): (Instant, Instant),
        gaps: Arc<Gaps>,
    ) -> Result<Histogram<u64>> {
        let mut latencies = histogram()?;
        loop {
            let called = Instant::now();
            call(&mut kv, self.call, &key).await?;
            let answered = Instant::now();
            if answered >= end {
                return Ok(latencies);
            }
            if answered >= begin {
                note(&mut latencies, answered - called);
                gaps.answered_at(answered);
            }
        }
    }
}

async fn connect(endpoint: &str) -> Result<KvClient<Channel>> {
    let endpoint = Endpoint::from_shared(endpoint.to_owned())?.tcp_nodelay(true);
    Ok(KvClient::new(endpoint.connect().await.context("cannot connect to what is measured")?))
}

async fn call(kv: &mut KvClient<Channel>, call: Call, key: &[u8]) -> Result<()> {
    let key = key.to_vec();
    let answered = async {
        match call {
            Call::Put => {
                kv.put(pb::PutRequest { key, ..Default::default() }).await?;
            }
            Call::Get => {
                let request = pb::RangeRequest { key, ..Default::default() };
                let count = kv.range(request).await?.into_inner().count;
                anyhow::ensure!(count == 1, "a key that was put is not there");
            }
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, answered).await.context("a call was not answered in time")?
}

/// Waits until a first call is answered.
pub(super) async fn wait_until_served(endpoint: &str) -> Result<()> {
    let first = async {
        loop {
            let served = async { call(&mut connect(endpoint).await?, Call::Put, b"first").await };
            match served.await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "not served yet"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = timeout(FIRST_TIMEOUT, first).await;
    waited.with_context(|| format!("{endpoint} did not answer in time"))
}
