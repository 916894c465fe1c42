//! `cluster.toml`: the public file that all members of a cluster share, byte for byte.
//!
//! It says who the members are and how they work together, and holds no secret. Whoever starts a
//! member first compares its [`Fingerprint`] with the others and confirms it, because whoever
//! writes this file decides whom the cluster believes.

mod card;
mod file;
mod fingerprint;

pub use card::{Card, CardError, Role};
pub use file::{ClusterFile, Durability, FORMAT, MemberFile, ParametersFile, Together};
pub use fingerprint::{Fingerprint, NotAFingerprint};

use pbft::{ClientId, Config, ConfigError, Digest, Domain, Epoch, ReplicaId, VerificationKey};
use quorate_net::identity::{KeyError, PublicKey, PublicKeys};
use quorate_net::{AllowList, Identity, PeerAddress};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A valid cluster file.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What people call it.
    pub name: String,
    /// Whether its replicas may be made to lie.
    pub lab: bool,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// What its replicas do for many messages at a time.
    pub together: Together,
    /// What the protocol needs to know.
    pub config: Arc<Config>,
    /// Where the replicas are.
    pub replicas: Vec<PeerAddress>,
    /// Which keys may connect, and as whom.
    pub allowed: AllowList,
    /// What members compare.
    pub fingerprint: Fingerprint,
}

/// Why a cluster file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}; get the cluster's file from whoever runs it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no such file.
    #[error("{path}, line {line}: {message}; correct it, or get the cluster's file again")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line of the mistake, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It contradicts itself or a limit.
    #[error("{path}: {reason}; correct it, or get the cluster's file again")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: ContentError,
    },
}

/// What a cluster file says that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Written by a newer version of this program.
    #[error("it has format {0}, and this program reads format {FORMAT}")]
    Format(u32),
    /// Members are counted from 0 without a gap.
    #[error("{what} number {expected} of the list has id {found}: ids count from 0 without a gap")]
    Ids {
        /// `replica` or `client`.
        what: &'static str,
        /// The place in the list.
        expected: u32,
        /// The id given there.
        found: u32,
    },
    /// A key is not acceptable.
    #[error("the {which} of {who}: {reason}")]
    Key {
        /// Whose.
        who: String,
        /// Which key.
        which: &'static str,
        /// Why.
        reason: KeyError,
    },
    /// The cluster's id is not 64 hexadecimal digits.
    #[error("the cluster's id is not 64 hexadecimal digits")]
    Id,
    /// Members and parameters do not make a cluster.
    #[error("{0}")]
    Config(ConfigError),
    /// Two members share a link key.
    #[error("{0}")]
    Links(quorate_net::AllowListError),
}

/// No cluster file is longer, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a PRE-PREPARE adds to its batch, generously, in bytes.
const FRAME_OVERHEAD_BYTES: usize = 64 << 10;

/// The longest batch, and so the longest request, fits every frame and queue on its way.
const _: () = {
    let frame_bytes_max = pbft::BATCH_BYTES_MAX + FRAME_OVERHEAD_BYTES;
    assert!(frame_bytes_max <= quorate_net::Class::Bulk.frame_bytes_max());
    assert!(frame_bytes_max <= quorate_net::limits::BULK_QUEUE_BYTES_MAX);
    assert!(frame_bytes_max <= quorate_net::limits::REQUEST_QUEUE_BYTES_MAX);
};

impl Cluster {
    /// Reads and checks a cluster file.
    ///
    /// # Errors
    /// Says which line is wrong, or what about the content.
    pub fn load(path: &Path) -> Result<Self, ClusterError> {
        let read_error = |source| ClusterError::Read { path: path.to_owned(), source };
        let text = crate::durable_file::read_text(path, FILE_BYTES_MAX).map_err(read_error)?;
        let text = text.ok_or_else(|| read_error(crate::durable_file::missing()))?;
        Self::parse(path, &text)
    }

    /// Checks the text of a cluster file; `path` is only named in errors.
    ///
    /// # Errors
    /// As [`Cluster::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ClusterError> {
        let file: ClusterFile = toml::from_str(text).map_err(|error| ClusterError::Syntax {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().trim().replace('\n', " "),
        })?;
        Self::check(&file, Fingerprint::of(text))
            .map_err(|reason| ClusterError::Content { path: path.to_owned(), reason })
    }

    fn check(file: &ClusterFile, fingerprint: Fingerprint) -> Result<Self, ContentError> {
        if file.format != FORMAT {
            return Err(ContentError::Format(file.format));
        }
        let replicas = members("replica", &file.replica)?;
        let clients = members("client", &file.client)?;
        let signing = |members: &[(Identity, PublicKeys)], who: &str| {
            let keys = members.iter().zip(0..).map(|((_, keys), id): (_, u32)| {
                VerificationKey::from_bytes(*keys.signing.as_bytes()).ok_or_else(|| {
                    let (which, reason) = ("signing_key", KeyError::NotAPoint);
                    ContentError::Key { who: format!("{who} {id}"), which, reason }
                })
            });
            keys.collect::<Result<Vec<_>, _>>()
        };
        let domain = Domain { cluster: parse_id(&file.id)?, epoch: Epoch::new(file.epoch) };
        if replicas.len() == 1 && !file.lab {
            // It would look like a cluster, and tolerate nothing.
            return Err(ContentError::Config(ConfigError::TooFewReplicas));
        }
        let parameters = file.parameters.resolve();
        let config = Config::new(
            domain,
            fingerprint.digest(),
            signing(&replicas, "replica")?,
            signing(&clients, "client")?,
            parameters,
        )
        .map_err(ContentError::Config)?;
        let owners = replicas.iter().chain(&clients).map(|(owner, keys)| (keys.link, *owner));
        let allowed = AllowList::new(owners).map_err(ContentError::Links)?;
        let addresses = config.replica_ids().zip(&replicas).zip(&file.replica).map(
            |((id, (_, keys)), entry)| {
                let address = entry.address.clone().unwrap_or_default();
                PeerAddress { id, address, link_key: keys.link }
            },
        );
        Ok(Self {
            name: file.name.clone(),
            lab: file.lab,
            durability: file.durability,
            together: file.together,
            replicas: addresses.collect(),
            config: Arc::new(config),
            allowed,
            fingerprint,
        })
    }

    /// The replica with these keys.
    pub fn replica_with(&self, keys: &PublicKeys) -> Option<ReplicaId> {
        let signing = Some(*keys.signing.as_bytes());
        self.config.replica_ids().zip(&self.replicas).find_map(|(id, address)| {
            let key = self.config.replica_key(id).map(|key| key.to_bytes());
            (address.link_key == keys.link && key == signing).then_some(id)
        })
    }

    /// The client with these keys.
    pub fn client_with(&self, keys: &PublicKeys) -> Option<ClientId> {
        let Some(Identity::Client(id)) = self.allowed.owner(&keys.link) else { return None };
        let key = self.config.client_key(id)?;
        (key.to_bytes() == *keys.signing.as_bytes()).then_some(id)
    }

    /// Where a replica is.
    pub fn address(&self, replica: ReplicaId) -> Option<&str> {
        self.replicas.get(replica.get() as usize).map(|entry| entry.address.as_str())
    }
}

fn members(
    what: &'static str,
    entries: &[MemberFile],
) -> Result<Vec<(Identity, PublicKeys)>, ContentError> {
    let checked = entries.iter().zip(0..).map(|(entry, expected)| {
        if entry.id != expected {
            return Err(ContentError::Ids { what, expected, found: entry.id });
        }
        let key = |which, text: &str| {
            let parsed = text.parse::<PublicKey>();
            parsed.map_err(|reason| ContentError::Key {
                who: format!("{what} {expected}"),
                which,
                reason,
            })
        };
        let link = key("link_key", &entry.link_key)?;
        let signing = key("signing_key", &entry.signing_key)?;
        let owner = match what {
            "replica" => Identity::Replica(ReplicaId::new(expected)),
            _ => Identity::Client(ClientId::new(expected)),
        };
        Ok((owner, PublicKeys { link, signing }))
    });
    checked.collect()
}

fn parse_id(text: &str) -> Result<Digest, ContentError> {
    blake3::Hash::from_hex(text)
        .map(|hash| Digest::from_bytes(*hash.as_bytes()))
        .map_err(|_| ContentError::Id)
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
