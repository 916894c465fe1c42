//! The one listening address of a replica: accepts, proves identities, hands connections on.

use crate::{
    clients::Clients,
    handshakes::{Done, HandshakeError, Handshakes},
    identity::SecretKeys,
    limits::ACCEPT_PAUSE,
    log_limit::LogLimit,
    metrics::NetMetrics,
    peers::PeerDoor,
    socket::SecureStream,
    tls::{self, AllowList, Identity, Purpose},
};
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Why a replica cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address could not be bound.
    #[error(
        "cannot listen on {address}: {source}; stop the process that uses it or change the address"
    )]
    Bind {
        /// The address as configured.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The TLS library did not take the keys.
    #[error("cannot use the link key: {0}")]
    Tls(#[from] rustls::Error),
}

/// Accepts connections of replicas and clients on one address.
///
/// Everything it does runs in the runtime in which [`Listener::run`] is polled, the sessions of
/// clients included; only the links of replicas go elsewhere, through the [`PeerDoor`]. So
/// strangers and clients cost the protocol thread nothing.
pub struct Listener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    allowed: Arc<AllowList>,
    metrics: Arc<NetMetrics>,
    log_limit: LogLimit,
}

impl Listener {
    /// Binds `address` (`HOST:PORT`; port 0 lets the operating system choose).
    ///
    /// # Errors
    ///
    /// Reports an address that cannot be bound and keys the TLS library refuses.
    pub async fn bind(
        address: &str,
        keys: &SecretKeys,
        allowed: AllowList,
        metrics: Arc<NetMetrics>,
    ) -> Result<Self, ListenError> {
        let allowed = Arc::new(allowed);
        let config = tls::server_config(keys, Arc::clone(&allowed))?;
        let bind_error = |source| ListenError::Bind { address: address.to_owned(), source };
        let socket = TcpListener::bind(address).await.map_err(bind_error)?;
        let acceptor = TlsAcceptor::from(config);
        Ok(Self { socket, acceptor, allowed, metrics, log_limit: LogLimit::default() })
    }

    /// The address the operating system gave.
    ///
    /// # Errors
    ///
    /// Fails when the operating system does.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until it is dropped; that closes the address and every client's session.
    pub async fn run(self, peers: PeerDoor, clients: Clients) -> Infallible {
        let mut handshakes = Handshakes::new(self.acceptor.clone());
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_ended) = sessions.join_next() => {}
                done = handshakes.next() => self.conclude(done, &peers, &clients, &mut sessions),
                (tcp, source) = self.accept() => {
                    self.metrics.accepted.increment();
                    if handshakes.begin(tcp, source) {
                        self.metrics.handshakes_evicted.increment();
                    }
                }
            }
        }
    }

    /// The next connection. Where the operating system has no descriptor left, waits a moment
    /// instead of asking again at once.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.metrics.accept_errors.increment();
                    if let Some(suppressed) = self.log_limit.admit() {
                        tracing::warn!(%error, suppressed, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn conclude(
        &self,
        Done { source, result }: Done,
        peers: &PeerDoor,
        clients: &Clients,
        sessions: &mut JoinSet<()>,
    ) {
        match result {
            Ok(stream) => self.route(stream, source, peers, clients, sessions),
            Err(error) => {
                let counter = match &error {
                    HandshakeError::UnknownKey(_) => &self.metrics.handshakes_unknown_key,
                    HandshakeError::Timeout => &self.metrics.handshakes_timed_out,
                    HandshakeError::Failed(_) => &self.metrics.handshakes_failed,
                };
                counter.increment();
                if let Some(suppressed) = self.log_limit.admit() {
                    tracing::debug!(%source, %error, suppressed, "handshake failed");
                }
            }
        }
    }

    /// Gives a proved connection to those who serve its owner, if the owner may use it so.
    fn route(
        &self,
        stream: SecureStream,
        source: SocketAddr,
        peers: &PeerDoor,
        clients: &Clients,
        sessions: &mut JoinSet<()>,
    ) {
        let connection = stream.get_ref().1;
        let owner = tls::key_of(connection).and_then(|key| self.allowed.owner(&key));
        let purpose = tls::purpose_of(connection);
        let served = match (owner, purpose) {
            (Some(Identity::Replica(peer)), Some(Purpose::Peer(class))) => {
                peers.offer(peer, class, stream)
            }
            (Some(Identity::Client(client)), Some(Purpose::Client)) => {
                match clients.admit(client) {
                    Some(session) => {
                        sessions.spawn(session.serve(stream, source));
                        true
                    }
                    None => false,
                }
            }
            _ => false,
        };
        if !served {
            self.metrics.connections_refused.increment();
            if let Some(suppressed) = self.log_limit.admit() {
                tracing::debug!(%source, ?owner, ?purpose, suppressed, "connection refused");
            }
        }
    }
}

/// Errors of `accept` that say something about one connection and nothing about the next.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
