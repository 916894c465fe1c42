//! Callers that keep so many operations outstanding, for a while.

use super::sample::{Gaps, Sample, histogram, note};
use super::work::Work;
use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use quorate_net::Client;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// What every caller does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// How many operations each client has outstanding.
    pub(super) in_flight: u32,
    pub(super) work: Work,
    /// How long is measured.
    pub(super) span: Duration,
}

/// How long the callers call before they are measured.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);

/// How long an operation may take before the measurement has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// When is measured. The end is set once it is reached.
struct Window {
    begin: Instant,
    end: OnceLock<Instant>,
    gaps: Gaps,
}

impl Load {
    /// # Errors
    /// If any operation failed: that is no measurement.
    pub(super) async fn run(self, clients: &[Client]) -> Result<Sample> {
        let measured = self.during(clients, async {
            sleep(self.span).await;
            Ok(())
        });
        Ok(measured.await?.0)
    }

    /// Measures while something else is done, from when the callers are warm until that is done.
    ///
    /// # Errors
    /// If that fails, or any operation did: none is lost, whatever is done.
    pub(super) async fn during<T>(
        self,
        clients: &[Client],
        something: impl Future<Output = Result<T>>,
    ) -> Result<(Sample, T)> {
        let begin = Instant::now() + WARM_UP;
        let window = Arc::new(Window { begin, end: OnceLock::new(), gaps: Gaps::from(begin) });
        let mut callers = JoinSet::new();
        let places = clients.iter().flat_map(|client| (0..self.in_flight).map(move |_| client));
        for (place, client) in (0..).zip(places) {
            callers.spawn(self.call(place, client.clone(), Arc::clone(&window)));
        }
        sleep_until(begin).await;
        let requests = || clients.iter().map(|client| client.metrics().requests_sent.get()).sum();
        let before: u64 = requests();
        let done = something.await;
        let end = *window.end.get_or_init(Instant::now);
        let sent = requests() - before;
        let mut latencies = histogram()?;
        while let Some(caller) = callers.join_next().await {
            latencies.add(caller.context("a caller failed")??)?;
        }
        let sample = Sample::new(latencies, sent, end - begin)?;
        Ok((sample.with_longest_gap(window.gaps.end_at(end)), done?))
    }

    /// Counts what is answered between the two moments.
    async fn call(self, place: u32, client: Client, window: Arc<Window>) -> Result<Histogram<u64>> {
        let mut latencies = histogram()?;
        for round in 0.. {
            let called = Instant::now();
            self.work.ask(&client, (place, round), called + PATIENCE).await?;
            let answered = Instant::now();
            if window.end.get().is_some_and(|end| answered >= *end) {
                break;
            }
            if answered >= window.begin {
                note(&mut latencies, answered - called);
                window.gaps.answered_at(answered);
            }
        }
        Ok(latencies)
    }
}
