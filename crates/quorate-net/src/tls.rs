//! TLS 1.3 with raw public keys (RFC 7250) and pinned identities.
//!
//! There are no certificates, no names and no authorities: a key is either the one the
//! configuration names or the handshake fails. There is no resumption and no early data, so
//! every connection proves both identities anew and nothing can be replayed. What a connection is
//! for travels in the ALPN extension, together with the version of the framing.

use crate::{
    identity::{KEY_BYTES, PublicKey, SecretKeys},
    limits::REPLY_FRAME_BYTES_MAX,
    peers::Class,
};
use pbft::{ClientId, ReplicaId};
use rustls::{
    CertificateError, ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, ServerConfig, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    },
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

/// The DER of an Ed25519 `SubjectPublicKeyInfo` up to the key itself (RFC 8410).
const PUBLIC_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The DER of an Ed25519 PKCS #8 private key up to the seed itself (RFC 8410).
const SECRET_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Who a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// A replica of the cluster.
    Replica(ReplicaId),
    /// A client of the cluster.
    Client(ClientId),
}

/// The keys that may connect, each with its owner.
#[derive(Clone, Debug, Default)]
pub struct AllowList(BTreeMap<PublicKey, Identity>);

/// Two owners of one key: links could not tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first:?} and {second:?} have the same link key {key}; each needs its own")]
pub struct AllowListError {
    /// The key.
    pub key: PublicKey,
    /// Who was named with it first.
    pub first: Identity,
    /// Who was named with it again.
    pub second: Identity,
}

impl AllowList {
    /// Takes the link keys of all replicas and clients.
    ///
    /// # Errors
    ///
    /// Refuses a list in which two owners share a key.
    pub fn new(
        members: impl IntoIterator<Item = (PublicKey, Identity)>,
    ) -> Result<Self, AllowListError> {
        let mut owners = BTreeMap::new();
        for (key, second) in members {
            if let Some(first) = owners.insert(key, second) {
                return Err(AllowListError { key, first, second });
            }
        }
        Ok(Self(owners))
    }

    /// Whose key this is.
    pub fn owner(&self, key: &PublicKey) -> Option<Identity> {
        self.0.get(key).copied()
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Peer(Class),
    Client,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Peer(Class::Votes), Self::Peer(Class::Bulk), Self::Client];

    /// The longest frame the dialling side takes.
    pub(crate) const fn frame_bytes_max(self) -> usize {
        match self {
            Self::Peer(class) => class.frame_bytes_max(),
            Self::Client => REPLY_FRAME_BYTES_MAX,
        }
    }

    /// The protocol name in the handshake. A change of the framing changes the number.
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Peer(Class::Votes) => b"quorate/1/votes",
            Self::Peer(Class::Bulk) => b"quorate/1/bulk",
            Self::Client => b"quorate/1/client",
        }
    }
}

/// The purpose both ends agreed on.
pub(crate) fn purpose_of(connection: &CommonState) -> Option<Purpose> {
    let agreed = connection.alpn_protocol()?;
    Purpose::ALL.into_iter().find(|purpose| purpose.alpn() == agreed)
}

/// The key the other end has proved.
pub(crate) fn key_of(connection: &CommonState) -> Option<PublicKey> {
    parse_public(connection.peer_certificates()?.first()?).ok()
}

/// Accepts every key of the list, for every purpose; who may do what is decided after.
pub(crate) fn server_config(
    keys: &SecretKeys,
    allowed: Arc<AllowList>,
) -> Result<Arc<ServerConfig>, Error> {
    let provider = provider();
    let verifier = AllowedKeys { allowed, algorithms: provider.signature_verification_algorithms };
    let own = AlwaysResolvesServerRawPublicKeys::new(own_key(keys)?);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(own));
    config.alpn_protocols = Purpose::ALL.map(|purpose| purpose.alpn().to_vec()).to_vec();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Accepts exactly one key.
pub(crate) fn client_config(
    keys: &SecretKeys,
    pinned: PublicKey,
    purpose: Purpose,
) -> Result<Arc<ClientConfig>, Error> {
    let provider = provider();
    let verifier = PinnedKey { pinned, algorithms: provider.signature_verification_algorithms };
    let own = AlwaysResolvesClientRawPublicKeys::new(own_key(keys)?);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![purpose.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// A name the library asks for and nobody looks at: keys are pinned, and it is not sent.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::IpAddr::from([0, 0, 0, 0]).into())
}

/// Named explicitly, because a provider for the whole process may be missing or another one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn own_key(keys: &SecretKeys) -> Result<Arc<CertifiedKey>, Error> {
    let mut secret = Zeroizing::new([0; SECRET_PREFIX.len() + KEY_BYTES]);
    secret[..SECRET_PREFIX.len()].copy_from_slice(&SECRET_PREFIX);
    secret[SECRET_PREFIX.len()..].copy_from_slice(keys.link_seed());
    let signer = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&secret[..]))?;
    let public = [&PUBLIC_PREFIX[..], keys.public().link.as_bytes()].concat();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], signer)))
}

/// The only shape accepted is that of an Ed25519 key, so there is no DER to parse.
fn parse_public(der: &[u8]) -> Result<PublicKey, Error> {
    let bad_encoding = Error::InvalidCertificate(CertificateError::BadEncoding);
    let key = der.strip_prefix(&PUBLIC_PREFIX).ok_or(bad_encoding.clone())?;
    let key = key.try_into().map_err(|_| bad_encoding.clone())?;
    PublicKey::from_bytes(key).map_err(|_| bad_encoding)
}

/// The other end has proved a key, but not one we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key {0} is not the one in the configuration")]
pub(crate) struct UnknownKey(pub(crate) PublicKey);

impl UnknownKey {
    fn refuse(key: PublicKey) -> Error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Self(key)))))
    }

    /// Finds the refusal inside the error of a handshake.
    pub(crate) fn find(error: &std::io::Error) -> Option<Self> {
        match error.get_ref()?.downcast_ref()? {
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                other.0.downcast_ref().copied()
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
struct PinnedKey {
    pinned: PublicKey,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = parse_public(end_entity)?;
        if key != self.pinned {
            return Err(UnknownKey::refuse(key));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_refused())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct AllowedKeys {
    allowed: Arc<AllowList>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AllowedKeys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let key = parse_public(end_entity)?;
        if self.allowed.owner(&key).is_none() {
            return Err(UnknownKey::refuse(key));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_refused())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn verify_signature(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
    rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
}

/// Unreachable while only TLS 1.3 is configured; refusing is right even if it were.
fn tls12_refused() -> Error {
    Error::General("TLS 1.2 is not spoken here".to_owned())
}

#[cfg(test)]
mod tests;
