//! What this machine does without replication, cryptography and disk: an echo server over plain TCP,
//! with one thread for it and one for its clients. Every result is shown beside this, taken before
//! and after it.

use super::sample::{Sample, histogram, note};
use super::spinners::Spinners;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// E and L.
#[derive(Clone, Copy, Debug)]
pub(super) struct Baseline {
    /// Operations a second with [`CONNECTIONS`] clients.
    pub(super) echo_ops: f64,
    /// The median latency of a single client, in microseconds.
    pub(super) echo_p50_us: f64,
}

/// Clients of the echo server, each of which has one operation outstanding.
pub(super) const CONNECTIONS: u32 = 64;

/// How long E and L are measured at most, each.
const SPAN_MAX: Duration = Duration::from_secs(2);

/// An operation of no bytes is a length of zero.
const FRAME_BYTES: usize = 4;

impl Baseline {
    /// Measures both, each as long as a point of a suite, within a bound.
    pub(super) fn measure(span: Duration) -> Result<Self> {
        let span = span.min(SPAN_MAX);
        let echo_ops = echo(CONNECTIONS, span)?.per_second();
        let _awake = Spinners::start()?;
        Ok(Self { echo_ops, echo_p50_us: echo(1, span)?.quantile_us(0.5) })
    }

    /// How far apart two are, as a share of the first.
    pub(super) fn drift_to(&self, later: &Self) -> f64 {
        let apart = |before: f64, after: f64| (after - before).abs() / before;
        apart(self.echo_ops, later.echo_ops).max(apart(self.echo_p50_us, later.echo_p50_us))
    }
}

fn echo(connections: u32, span: Duration) -> Result<Sample> {
    let server = one_thread()?;
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).context("cannot listen")?;
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        server.block_on(async {
            tokio::select! {
                () = serve(listener) => {}
                _ = stopped => {}
            }
        });
    });
    let sample = one_thread()?.block_on(call(address, connections, span));
    // It ends because its channel does, at the latest.
    let _ = stop.send(());
    let _ = serving.join();
    sample
}

fn one_thread() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start a runtime")
}

async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream));
    }
}

/// Until the other side closes.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut frame = [0; FRAME_BYTES];
    loop {
        stream.read_exact(&mut frame).await?;
        stream.write_all(&frame).await?;
    }
}

async fn call(address: SocketAddr, connections: u32, span: Duration) -> Result<Sample> {
    let mut callers = JoinSet::new();
    let began = Instant::now();
    let end = began + span;
    for _ in 0..connections {
        callers.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut frame, mut latencies) = ([0; FRAME_BYTES], histogram()?);
            loop {
                let called = Instant::now();
                if called >= end {
                    return anyhow::Ok(latencies);
                }
                stream.write_all(&frame).await?;
                stream.read_exact(&mut frame).await?;
                note(&mut latencies, called.elapsed());
            }
        });
    }
    let mut latencies = histogram()?;
    while let Some(caller) = callers.join_next().await {
        latencies.add(caller.context("a caller failed")??)?;
    }
    let operations = latencies.len();
    Sample::new(latencies, operations, began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_that_of_what_moved_most() {
        let before = Baseline { echo_ops: 100.0, echo_p50_us: 50.0 };
        let after = Baseline { echo_ops: 90.0, echo_p50_us: 60.0 };
        assert!((before.drift_to(&after) - 0.2).abs() < 1e-9);
        assert_eq!(before.drift_to(&before), 0.0);
    }
}
