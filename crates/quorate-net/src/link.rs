//! One established connection: frames out of a queue, frames in, and how it ends.
//!
//! A link sends an empty frame as soon as it is up, and again whenever it had nothing else to
//! send for a while. The first one tells the dialling side that it was accepted (in TLS 1.3 the
//! dialler finishes its handshake before the other side has judged its key); the later ones let
//! either side notice a dead or frozen other.

use crate::{
    budget::Meter,
    frame::{FrameDecoder, LENGTH_BYTES, Oversize, length_field},
    limits::{KEEPALIVE_INTERVAL, KEEPALIVES, SILENCE_MAX, STALL_MAX, WRITE_BYTES_MAX},
    metrics::LinkCounters,
    send_queue::SendQueue,
};
use bytes::Bytes;
use std::{convert::Infallible, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    time::{Instant, timeout},
};

/// Frames up to this length are copied together; longer ones go to the transport as they are.
const COPY_BYTES_MAX: usize = 16 << 10;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkEnd {
    #[error("the other side closed the connection")]
    Closed,
    #[error("nothing arrived for too long")]
    Silent,
    #[error("it sent nothing but signs of life, and too many of them")]
    Babbling,
    #[error("nothing could be sent for too long")]
    Stalled,
    #[error(transparent)]
    Oversize(#[from] Oversize),
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("a newer connection took its place")]
    Replaced,
}

impl LinkEnd {
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Broken(error),
        }
    }
}

/// Makes the two directions of an authenticated connection.
pub(crate) fn split<S: AsyncRead + AsyncWrite>(
    stream: S,
    frame_bytes_max: usize,
    counters: &Arc<LinkCounters>,
) -> (LinkReader<S>, LinkWriter<S>) {
    let (reading, writing) = tokio::io::split(stream);
    let reader = LinkReader {
        stream: reading,
        decoder: FrameDecoder::new(frame_bytes_max),
        keepalives: Meter::new(KEEPALIVES, Instant::now()),
        counters: Arc::clone(counters),
    };
    let writer = LinkWriter { stream: writing, buffer: Vec::new(), open: OpenLink::new(counters) };
    (reader, writer)
}

/// The incoming direction.
#[derive(Debug)]
pub(crate) struct LinkReader<S> {
    stream: ReadHalf<S>,
    decoder: FrameDecoder,
    keepalives: Meter,
    counters: Arc<LinkCounters>,
}

impl<S: AsyncRead> LinkReader<S> {
    /// The next frame that says something.
    pub(crate) async fn next(&mut self) -> Result<Bytes, LinkEnd> {
        loop {
            while let Some(frame) = self.decode()? {
                if !frame.is_empty() {
                    self.counters.frames_received.increment();
                    return Ok(frame);
                }
                if !self.keepalives.charge(1, Instant::now()).is_zero() {
                    return Err(LinkEnd::Babbling);
                }
            }
            self.fill(SILENCE_MAX).await?;
        }
    }

    /// Waits until the other side has sent anything at all: only then has it accepted us.
    pub(crate) async fn accepted(&mut self) -> Result<(), LinkEnd> {
        self.fill(SILENCE_MAX).await
    }

    fn decode(&mut self) -> Result<Option<Bytes>, LinkEnd> {
        self.decoder.next().map_err(|oversize| {
            self.counters.frames_oversize.increment();
            LinkEnd::from(oversize)
        })
    }

    async fn fill(&mut self, silence_max: Duration) -> Result<(), LinkEnd> {
        match timeout(silence_max, self.stream.read_buf(self.decoder.space())).await {
            Ok(Ok(0)) => Err(LinkEnd::Closed),
            Ok(Ok(bytes)) => {
                self.counters.bytes_received.add(bytes);
                Ok(())
            }
            Ok(Err(error)) => Err(LinkEnd::from_io(error)),
            Err(_elapsed) => {
                self.counters.silences.increment();
                Err(LinkEnd::Silent)
            }
        }
    }
}

/// The outgoing direction.
#[derive(Debug)]
pub(crate) struct LinkWriter<S> {
    stream: WriteHalf<S>,
    buffer: Vec<u8>,
    open: OpenLink,
}

impl<S: AsyncWrite> LinkWriter<S> {
    /// Sends what the queue holds, and keep-alives, until the link ends. Frames taken from the
    /// queue when it ends are lost.
    pub(crate) async fn pump(&mut self, queue: &SendQueue) -> LinkEnd {
        match self.pump_until_error(queue).await {
            Err(end) => end,
        }
    }

    async fn pump_until_error(&mut self, queue: &SendQueue) -> Result<Infallible, LinkEnd> {
        let mut batch = Vec::new();
        self.send_keepalive().await?;
        loop {
            match timeout(KEEPALIVE_INTERVAL, queue.take(&mut batch)).await {
                Ok(()) => self.send(&mut batch).await?,
                Err(_elapsed) => self.send_keepalive().await?,
            }
        }
    }

    async fn send_keepalive(&mut self) -> Result<(), LinkEnd> {
        self.buffer.extend_from_slice(&length_field(0));
        self.write_buffer().await?;
        self.flush().await
    }

    /// Sends frames in as few calls as their size allows.
    async fn send(&mut self, batch: &mut Vec<Bytes>) -> Result<(), LinkEnd> {
        for frame in batch.drain(..) {
            self.buffer.extend_from_slice(&length_field(frame.len()));
            if frame.len() <= COPY_BYTES_MAX {
                self.buffer.extend_from_slice(&frame);
            } else {
                self.write_buffer().await?;
                self.write(&frame).await?;
            }
            self.open.counters.frames_sent.increment();
            self.open.counters.bytes_sent.add(LENGTH_BYTES + frame.len());
        }
        self.open.counters.writes.increment();
        self.write_buffer().await?;
        self.flush().await
    }

    async fn write_buffer(&mut self) -> Result<(), LinkEnd> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.write(&buffer).await?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    /// Writes in pieces, so that a slow link is told from a dead one by its progress.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), LinkEnd> {
        for piece in bytes.chunks(WRITE_BYTES_MAX) {
            let written = timeout(STALL_MAX, self.stream.write_all(piece)).await;
            self.judge(written)?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), LinkEnd> {
        let flushed = timeout(STALL_MAX, self.stream.flush()).await;
        self.judge(flushed)
    }

    fn judge(
        &self,
        written: Result<io::Result<()>, tokio::time::error::Elapsed>,
    ) -> Result<(), LinkEnd> {
        match written {
            Ok(result) => result.map_err(LinkEnd::from_io),
            Err(_elapsed) => {
                self.open.counters.stalls.increment();
                Err(LinkEnd::Stalled)
            }
        }
    }
}

/// Counts a connection as open for as long as it exists.
#[derive(Debug)]
struct OpenLink {
    counters: Arc<LinkCounters>,
}

impl OpenLink {
    fn new(counters: &Arc<LinkCounters>) -> Self {
        counters.connections.increment();
        counters.connections_opened.increment();
        Self { counters: Arc::clone(counters) }
    }
}

impl Drop for OpenLink {
    fn drop(&mut self) {
        self.counters.connections.subtract(1);
    }
}

#[cfg(test)]
mod tests;
