//! The connections of clients: how many there may be, and how long one may stay silent.

use crate::limits::{CONNECTIONS_COUNT_MAX, PREFACE_TIMEOUT};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The bytes with which every HTTP/2 client must begin.
const PREFACE_BYTES: usize = 24;

/// How long accepting rests after it failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and hands them over until the other end is dropped; then the port is
/// free. Beyond [`CONNECTIONS_COUNT_MAX`] open ones, new ones wait in the system's backlog.
pub(crate) async fn accept(
    listener: TcpListener,
    connections: mpsc::Sender<io::Result<Connection>>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_COUNT_MAX));
    let accept_all = async {
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Answers are small and clients wait for them; a socket that refuses this
                    // is only slower.
                    let _ = stream.set_nodelay(true);
                    let server = connections.clone();
                    let stopping = async move { server.closed().await };
                    let connection = Connection::new(stream, permit, stopping);
                    if connections.send(Ok(connection)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept_all => {}
        () = connections.closed() => {}
    }
}

/// A client's connection. It counts against the limit while it lives. It must send the HTTP/2
/// preface within [`PREFACE_TIMEOUT`] and before the gateway stops, because until then the server
/// has no means to end it; after that, pings find out whether it lives.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Completes when the preface is overdue; gone once it has come.
    patience: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    preface_bytes_read: usize,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        stopping: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let patience = async {
            tokio::select! {
                () = tokio::time::sleep(PREFACE_TIMEOUT) => {}
                () = stopping => {}
            }
        };
        Self { stream, patience: Some(Box::pin(patience)), preface_bytes_read: 0, _permit: permit }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(patience) = &mut self.patience else {
            return read;
        };
        if read.is_pending() {
            return patience.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        self.preface_bytes_read += buf.filled().len() - filled;
        if self.preface_bytes_read >= PREFACE_BYTES {
            self.patience = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
