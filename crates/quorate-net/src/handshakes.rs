//! Connections whose identity is not proved yet: how many there may be, and who gives way.

use crate::{
    limits::{HANDSHAKE_COUNT_MAX, HANDSHAKE_PER_SOURCE_COUNT_MAX, HANDSHAKE_TIMEOUT},
    socket::{SecureStream, Socket},
    tls::UnknownKey,
};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
};
use tokio::{
    net::TcpStream,
    task::{AbortHandle, Id, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error(transparent)]
    UnknownKey(UnknownKey),
    #[error("no handshake within {HANDSHAKE_TIMEOUT:?}")]
    Timeout,
    #[error("{0}")]
    Failed(io::Error),
}

/// A handshake that ended.
pub(crate) struct Done {
    pub(crate) source: SocketAddr,
    pub(crate) result: Result<SecureStream, HandshakeError>,
}

/// The handshakes under way.
///
/// When there are too many, from one address or in all, the *oldest* gives way. Refusing the
/// newest instead would let a handful of idle connections keep everybody out; an honest handshake
/// is over in a few round trips and is seldom the oldest.
pub(crate) struct Handshakes {
    acceptor: TlsAcceptor,
    running: JoinSet<Done>,
    /// **Invariant:** the tasks of `running` that were not evicted, oldest first.
    order: VecDeque<Candidate>,
}

struct Candidate {
    task: Id,
    source: IpAddr,
    abort: AbortHandle,
}

impl Handshakes {
    pub(crate) fn new(acceptor: TlsAcceptor) -> Self {
        Self { acceptor, running: JoinSet::new(), order: VecDeque::new() }
    }

    /// Begins a handshake. Returns whether another one had to give way.
    pub(crate) fn begin(&mut self, tcp: TcpStream, source: SocketAddr) -> bool {
        let evicted = self.make_room(source.ip());
        let accept = accept(self.acceptor.clone(), tcp);
        let abort = self.running.spawn(async move { Done { source, result: accept.await } });
        self.order.push_back(Candidate { task: abort.id(), source: source.ip(), abort });
        evicted
    }

    /// The next handshake to end; waits for ever while none is under way. Cancellation safe.
    pub(crate) async fn next(&mut self) -> Done {
        loop {
            match self.running.join_next_with_id().await {
                Some(Ok((task, done))) => {
                    self.order.retain(|candidate| candidate.task != task);
                    return done;
                }
                // Evicted, and already forgotten.
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => std::future::pending().await,
            }
        }
    }

    fn make_room(&mut self, source: IpAddr) -> bool {
        let same_source = |candidate: &Candidate| candidate.source == source;
        let victim = if self.order.iter().filter(|c| same_source(c)).count()
            >= HANDSHAKE_PER_SOURCE_COUNT_MAX
        {
            self.order.iter().position(same_source)
        } else if self.order.len() >= HANDSHAKE_COUNT_MAX {
            Some(0)
        } else {
            None
        };
        let victim = victim.and_then(|index| self.order.remove(index));
        victim.inspect(|victim| victim.abort.abort()).is_some()
    }
}

async fn accept(acceptor: TlsAcceptor, tcp: TcpStream) -> Result<SecureStream, HandshakeError> {
    let socket = Socket::new(tcp).map_err(HandshakeError::Failed)?;
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Ok(SecureStream::from(stream)),
        Ok(Err(error)) => Err(match UnknownKey::find(&error) {
            Some(unknown) => HandshakeError::UnknownKey(unknown),
            None => HandshakeError::Failed(error),
        }),
        Err(_elapsed) => Err(HandshakeError::Timeout),
    }
}
