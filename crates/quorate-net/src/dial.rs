//! Making a connection to a replica whose address and key are known.

use crate::{
    identity::{PublicKey, SecretKeys},
    limits::HANDSHAKE_TIMEOUT,
    link::{self, LinkEnd, LinkReader, LinkWriter},
    metrics::LinkCounters,
    socket::{SecureStream, Socket},
    tls::{self, Purpose, UnknownKey},
};
use std::{io, sync::Arc};
use tokio::{net::TcpStream, time::timeout};
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
    address: String,
    connector: TlsConnector,
    frame_bytes_max: usize,
    counters: Arc<LinkCounters>,
}

impl Dialer {
    pub(crate) fn new(
        address: &str,
        keys: &SecretKeys,
        pinned: PublicKey,
        purpose: Purpose,
        counters: &Arc<LinkCounters>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            address: address.to_owned(),
            connector: TlsConnector::from(tls::client_config(keys, pinned, purpose)?),
            frame_bytes_max: purpose.frame_bytes_max(),
            counters: Arc::clone(counters),
        })
    }

    /// Connects, proves both identities, and waits to be accepted.
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
        let tcp = TcpStream::connect(&self.address)
            .await
            .map_err(DialError::Connect)?;
        let socket = Socket::new(tcp).map_err(DialError::Connect)?;
        let stream = self.connector.connect(tls::server_name(), socket).await;
        let stream = stream.map_err(|error| match UnknownKey::find(&error) {
            Some(wrong) => DialError::WrongKey(wrong),
            None => DialError::Handshake(error),
        })?;
        let (mut reader, writer) = link::split(
            SecureStream::from(stream),
            self.frame_bytes_max,
            &self.counters,
        );
        reader.accepted().await.map_err(DialError::Refused)?;
        Ok((reader, writer))
    }
}
