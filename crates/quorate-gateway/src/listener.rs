//! The connections of clients: how many there may be, and how long one may stay silent.

use crate::authority::AuthorityFilter;
use crate::limits::{CONNECTIONS_COUNT_MAX, PREFACE_TIMEOUT};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How much is read from a connection at once.
const READ_BYTES: usize = 16 * 1024;

/// How long accepting rests after it failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and hands them over until the other end is dropped; then the port is
/// free. Beyond [`CONNECTIONS_COUNT_MAX`] open ones, new ones wait in the system's backlog. All of
/// them end, whatever they are doing, when the sender of `gateway` is dropped.
pub(crate) async fn accept(
    listener: TcpListener,
    connections: mpsc::Sender<io::Result<Connection>>,
    gateway: watch::Receiver<()>,
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
                    let connection = Connection::new(stream, permit, stopping, gateway.clone());
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

/// A client's connection. It counts against the limit while it lives.
///
/// It must send the HTTP/2 preface within [`PREFACE_TIMEOUT`] and before the gateway begins to
/// stop, because until then the server has no means to end it. After that the server's pings find
/// out whether it lives, and it may last until the gateway has ended or an answer on it was not
/// taken in time.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Completes when the connection must end.
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_begun: bool,
    /// Its sender lives as long as the gateway.
    gateway: watch::Receiver<()>,
    handle: ClientConnection,
    filter: AuthorityFilter,
    /// Filtered and not yet passed on, from `passed_on` on.
    filtered: Vec<u8>,
    passed_on: usize,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        stopping: impl Future<Output = ()> + Send + 'static,
        gateway: watch::Receiver<()>,
    ) -> Self {
        let preface_overdue = async {
            tokio::select! {
                () = tokio::time::sleep(PREFACE_TIMEOUT) => {}
                () = stopping => {}
            }
        };
        let handle = ClientConnection::new(stream.connect_info());
        Self {
            stream,
            end: Box::pin(preface_overdue),
            has_begun: false,
            gateway,
            handle,
            filter: AuthorityFilter::default(),
            filtered: Vec::new(),
            passed_on: 0,
            _permit: permit,
        }
    }

    /// The preface has come.
    fn begin(&mut self) {
        let mut gateway = self.gateway.clone();
        let handle = self.handle.clone();
        self.has_begun = true;
        self.end = Box::pin(async move {
            tokio::select! {
                // Nothing is ever sent: it completes once the sender is dropped.
                _ = gateway.changed() => {}
                () = handle.ended() => {}
            }
        });
    }

    /// Reads from the client until there is something to pass on, or nothing more to come.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        self.filtered.clear();
        self.passed_on = 0;
        while self.filtered.is_empty() {
            let mut buf = ReadBuf::uninit(&mut bytes);
            if Pin::new(&mut self.stream).poll_read(cx, &mut buf)?.is_pending() {
                return self.end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
            }
            if buf.filled().is_empty() {
                self.filter.finish(&mut self.filtered);
                break;
            }
            self.filter.filter(buf.filled(), &mut self.filtered);
            if !self.has_begun && self.filter.has_begun() {
                self.begin();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.passed_on == self.filtered.len() {
            ready!(self.poll_fill(cx))?;
        }
        let waiting = &self.filtered[self.passed_on..];
        let passing = &waiting[..waiting.len().min(buf.remaining())];
        buf.put_slice(passing);
        self.passed_on += passing.len();
        Poll::Ready(Ok(()))
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
    type ConnectInfo = ClientConnection;

    fn connect_info(&self) -> ClientConnection {
        self.handle.clone()
    }
}

/// What each request knows of the connection it came on.
#[derive(Clone, Debug)]
pub(crate) struct ClientConnection {
    pub(crate) info: TcpConnectInfo,
    cut: Arc<Notify>,
}

impl ClientConnection {
    pub(crate) fn new(info: TcpConnectInfo) -> Self {
        Self { info, cut: Arc::default() }
    }

    /// Ends the connection, whatever it is doing.
    pub(crate) fn end(&self) {
        self.cut.notify_one();
    }

    /// Waits until the connection is to end.
    pub(crate) async fn ended(&self) {
        self.cut.notified().await;
    }
}
