//! A TCP connection that can move from one tokio runtime to another.

use crate::limits::SOCKET_BUFFER_BYTES;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

/// An authenticated connection.
pub(crate) type SecureStream = TlsStream<BufReader<Socket>>;

/// A connected socket, without Nagle's delay.
///
/// A socket wakes tasks through the runtime in which it was registered. Accepted connections are
/// registered where handshakes are done and served elsewhere; [`Socket::adopt`] moves them, so
/// that not every wake-up crosses two threads.
#[derive(Debug)]
pub(crate) struct Socket {
    /// `None` only after an `adopt` that failed.
    tcp: Option<TcpStream>,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream) -> io::Result<BufReader<Self>> {
        tcp.set_nodelay(true)?;
        Ok(BufReader::with_capacity(SOCKET_BUFFER_BYTES, Self { tcp: Some(tcp) }))
    }

    /// Registers the socket in the runtime that calls this.
    pub(crate) fn adopt(stream: &mut SecureStream) -> io::Result<()> {
        let socket = stream.get_mut().0.get_mut();
        if let Some(tcp) = socket.tcp.take() {
            socket.tcp = Some(TcpStream::from_std(tcp.into_std()?)?);
        }
        Ok(())
    }

    fn tcp(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        let tcp = self.get_mut().tcp.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(tcp))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.tcp()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tcp()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tcp()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_shutdown(cx)
    }
}
