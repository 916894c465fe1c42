//! Making a connection to a replica whose address and key are known, again and again.

use crate::{
    backoff::Backoff,
    identity::SecretKeys,
    limits::HANDSHAKE_TIMEOUT,
    link::{self, LinkEnd, LinkReader, LinkWriter},
    metrics::LinkCounters,
    peers::PeerAddress,
    random,
    socket::{SecureStream, Socket},
    tls::{self, Purpose, UnknownKey},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsConnector;

/// Why there is no connection. Each message says what to look at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot connect: {0}; is it running, and is the address right?")]
    Connect(io::Error),
    #[error("{0}; either its configuration or its key file is not the one of this cluster")]
    WrongKey(UnknownKey),
    #[error("the TLS handshake failed: {0}; is this the address of a replica?")]
    Handshake(io::Error),
    #[error("it refused this process: {0}; is our link key in its configuration?")]
    Refused(LinkEnd),
    #[error("no answer within {HANDSHAKE_TIMEOUT:?}")]
    Timeout,
}

/// Dials one replica for one purpose, as often as asked.
pub(crate) struct Dialer {
    replica: PeerAddress,
    purpose: Purpose,
    connector: TlsConnector,
    counters: Arc<LinkCounters>,
    backoff: Backoff,
    /// When the last connection was made *(while it is, or was, in use)*.
    connected_at: Option<Instant>,
    last_failure: String,
}

impl Dialer {
    pub(crate) fn new(
        replica: &PeerAddress,
        keys: &SecretKeys,
        purpose: Purpose,
        counters: &Arc<LinkCounters>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            replica: replica.clone(),
            purpose,
            connector: TlsConnector::from(tls::client_config(keys, replica.link_key, purpose)?),
            counters: Arc::clone(counters),
            backoff: Backoff::new(),
            connected_at: None,
            last_failure: String::new(),
        })
    }

    /// The next connection: tries until there is one, with growing pauses, after one that has
    /// just ended too.
    pub(crate) async fn connect(&mut self) -> (LinkReader<SecureStream>, LinkWriter<SecureStream>) {
        if let Some(connected_at) = self.connected_at.take() {
            self.pause(connected_at.elapsed()).await;
        }
        loop {
            match self.dial().await {
                Ok(link) => {
                    self.last_failure.clear();
                    self.connected_at = Some(Instant::now());
                    return link;
                }
                Err(error) => {
                    self.note(&error);
                    self.pause(Duration::ZERO).await;
                }
            }
        }
    }

    /// Connects once, proves both identities, and waits to be accepted.
    pub(crate) async fn dial(
        &self,
    ) -> Result<(LinkReader<SecureStream>, LinkWriter<SecureStream>), DialError> {
        timeout(HANDSHAKE_TIMEOUT, self.dial_without_limit())
            .await
            .unwrap_or(Err(DialError::Timeout))
    }

    async fn dial_without_limit(
        &self,
    ) -> Result<(LinkReader<SecureStream>, LinkWriter<SecureStream>), DialError> {
        let tcp = TcpStream::connect(&self.replica.address).await.map_err(DialError::Connect)?;
        let socket = Socket::new(tcp).map_err(DialError::Connect)?;
        let stream = self.connector.connect(tls::server_name(), socket).await;
        let stream = stream.map_err(|error| match UnknownKey::find(&error) {
            Some(wrong) => DialError::WrongKey(wrong),
            None => DialError::Handshake(error),
        })?;
        let (mut reader, writer) =
            link::split(SecureStream::from(stream), self.purpose.frame_bytes_max(), &self.counters);
        reader.accepted().await.map_err(DialError::Refused)?;
        Ok((reader, writer))
    }

    async fn pause(&mut self, lasted: Duration) {
        sleep(self.backoff.pause(lasted, random::jitter())).await;
    }

    /// Warns once about each new reason, then keeps trying quietly.
    fn note(&mut self, error: &DialError) {
        self.counters.dials_failed.increment();
        let reason = error.to_string();
        if reason != self.last_failure {
            let PeerAddress { id, address, .. } = &self.replica;
            tracing::warn!(replica = %id, %address, %reason, "cannot reach replica; still trying");
            self.last_failure = reason;
        }
    }
}
