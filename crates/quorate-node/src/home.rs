//! The folder of one process, a replica or a gateway: what is in it, and who may use it.
//!
//! | name | what |
//! |---|---|
//! | `keys` | the secret keys, mode 0600 |
//! | `card.toml` | the public card made with them |
//! | `cluster.toml` | the cluster's public file |
//! | `confirmed` | the fingerprint of it that the owner has confirmed |
//! | `node.toml` | where to listen, if that differs from the public address |
//! | `data/` | the replica's memory: journal and snapshot |
//! | `data-lost-…/` | what was there before it rejoined, and when that was |
//! | `started` | says that there must be such a memory, and whose it is |
//! | `halted` | why the replica stopped for good |
//! | `evidence/` | proofs of lies |
//! | `admin.sock` | the admin endpoint of the running process |

use crate::cluster::{Cluster, ClusterError, Fingerprint};
use crate::durable_file;
use pbft::{ClientId, ClientParameters, ReplicaId, SigningKey};
use quorate_net::ClientSettings;
use quorate_net::identity::{KeyFileError, SecretKeys};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The folder of one process.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

/// What a member needs before it can start.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The cluster it belongs to.
    pub cluster: Cluster,
    /// Its secret keys.
    pub keys: SecretKeys,
}

impl Membership {
    /// The key with which the member signs.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(Zeroizing::new(*self.keys.signing_seed()))
    }
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The cluster file is missing or wrong.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The key file is missing or wrong.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The owner has not confirmed the cluster file.
    #[error(
        "{path} is not confirmed. Its fingerprint is {fingerprint}: compare it with the other \
         members, then start once with --confirm and the fingerprint"
    )]
    NotConfirmed {
        /// The cluster file.
        path: PathBuf,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// The owner confirmed another file.
    #[error(
        "{path} is not the file that was confirmed: its fingerprint is {fingerprint}, confirmed \
         was {confirmed}. If the change is right, start once with --confirm and the new one"
    )]
    OtherConfirmed {
        /// The cluster file.
        path: PathBuf,
        /// Its fingerprint.
        fingerprint: Fingerprint,
        /// What was confirmed.
        confirmed: String,
    },
    /// The fingerprint given to confirm is not the file's.
    #[error(
        "the fingerprint given is not that of {path}, which is {fingerprint}: this is another \
         file than the one you compared"
    )]
    WrongConfirmation {
        /// The cluster file.
        path: PathBuf,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// The keys are nobody's, or another kind of member's.
    #[error(
        "the keys in {path} belong to no {role} of {cluster}: this is the folder of another \
         member or another cluster"
    )]
    NotAMember {
        /// The folder.
        path: PathBuf,
        /// `replica` or `client`.
        role: &'static str,
        /// The cluster file.
        cluster: PathBuf,
    },
    /// The folder's memory is another replica's.
    #[error(
        "{path} holds the memory of {found}, and not of {wanted}: use the folder it belongs to"
    )]
    OtherMemory {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// There was a memory and it is gone.
    #[error(
        "{path} held this replica's memory and does not any more. A replica without its memory \
         would break promises it made, so it does not start: restore the folder, or let the \
         replica rejoin without it: quorate replica --rejoin"
    )]
    MemoryLost {
        /// The folder.
        path: PathBuf,
    },
    /// The replica has stopped for good.
    #[error(
        "this replica stopped for good: {reason}. When that is dealt with, remove {path} and \
         start again; or give its memory up and start it with --rejoin"
    )]
    Halted {
        /// The file that says so.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not what it should be.
    #[error("{path} is unreadable: {message}; restore it")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("cannot access {path}: {source}; check the folder, its owner and the space on disk")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Whose memory a folder holds: the content of `started`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Started {
    format: u32,
    cluster: String,
    epoch: u64,
    replica: u32,
}

/// Settings of one process: the content of `node.toml`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
}

/// None of the small files is longer, in bytes.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 10;

impl Home {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret keys.
    pub fn keys_path(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// The public card.
    pub fn card_path(&self) -> PathBuf {
        self.path.join("card.toml")
    }

    /// The cluster's public file.
    pub fn cluster_path(&self) -> PathBuf {
        self.path.join("cluster.toml")
    }

    /// The folder of evidence.
    pub fn evidence_path(&self) -> PathBuf {
        self.path.join("evidence")
    }

    /// The admin endpoint.
    pub fn admin_path(&self) -> PathBuf {
        self.path.join("admin.sock")
    }

    /// The folder of the replica's memory.
    pub fn data_path(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The file that says why the replica stopped for good.
    pub fn halted_path(&self) -> PathBuf {
        self.path.join("halted")
    }

    fn confirmed_path(&self) -> PathBuf {
        self.path.join("confirmed")
    }

    fn started_path(&self) -> PathBuf {
        self.path.join("started")
    }

    fn node_path(&self) -> PathBuf {
        self.path.join("node.toml")
    }

    /// Confirms the cluster file, if it has this fingerprint.
    ///
    /// # Errors
    /// If it has another, or cannot be used.
    pub fn confirm(&self, fingerprint: Fingerprint) -> Result<(), HomeError> {
        let found = Cluster::load(&self.cluster_path())?.fingerprint;
        if found != fingerprint {
            let path = self.cluster_path();
            return Err(HomeError::WrongConfirmation { path, fingerprint: found });
        }
        self.write(&self.confirmed_path(), &format!("{found}\n"))
    }

    /// Cluster and keys, provided that the owner has confirmed the cluster's file.
    ///
    /// # Errors
    /// Names the file that is missing or wrong, and what to do.
    pub fn membership(&self) -> Result<Membership, HomeError> {
        let cluster = Cluster::load(&self.cluster_path())?;
        let (path, fingerprint) = (self.cluster_path(), cluster.fingerprint);
        let Some(confirmed) = self.read(&self.confirmed_path())? else {
            return Err(HomeError::NotConfirmed { path, fingerprint });
        };
        if confirmed.parse() != Ok(fingerprint) {
            let confirmed = confirmed.trim().to_owned();
            return Err(HomeError::OtherConfirmed { path, fingerprint, confirmed });
        }
        Ok(Membership { cluster, keys: SecretKeys::load(&self.keys_path())? })
    }

    /// Which replica this folder is for.
    ///
    /// # Errors
    /// If it is not one of the cluster.
    pub fn replica(&self, membership: &Membership) -> Result<ReplicaId, HomeError> {
        let found = membership.cluster.replica_with(&membership.keys.public());
        found.ok_or_else(|| self.not_a_member("replica"))
    }

    /// Which client this folder is for.
    ///
    /// # Errors
    /// If it is not one of the cluster.
    pub fn client(&self, membership: &Membership) -> Result<ClientId, HomeError> {
        let found = membership.cluster.client_with(&membership.keys.public());
        found.ok_or_else(|| self.not_a_member("client"))
    }

    /// What a client with these keys starts with: it believes a quorum only, and otherwise behaves
    /// as clients do by default.
    ///
    /// # Errors
    /// If they are none of the cluster's clients'.
    pub fn client_settings(&self, membership: &Membership) -> Result<ClientSettings, HomeError> {
        let Membership { cluster, keys } = membership;
        Ok(ClientSettings {
            config: Arc::clone(&cluster.config),
            id: self.client(membership)?,
            keys: keys.clone(),
            replicas: cluster.replicas.clone(),
            parameters: ClientParameters::default(),
        })
    }

    /// Where to listen, if that differs from the public address.
    ///
    /// # Errors
    /// If `node.toml` is not such a file.
    pub fn listen(&self) -> Result<Option<String>, HomeError> {
        let path = self.node_path();
        let Some(text) = self.read(&path)? else { return Ok(None) };
        let parsed: Result<NodeFile, _> = toml::from_str(&text);
        let file = parsed.map_err(|error| malformed(&path, &error))?;
        Ok(file.listen)
    }

    /// Notes where to listen.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_listen(&self, listen: &str) -> Result<(), HomeError> {
        let file = NodeFile { listen: Some(listen.to_owned()) };
        let text = toml::to_string(&file).expect("the settings have a form in TOML");
        self.write(&self.node_path(), &text)
    }

    /// Whether this replica ever started from this folder.
    ///
    /// # Errors
    /// If the folder holds the memory of another replica, cluster or epoch.
    pub(crate) fn has_started(&self, cluster: &Cluster, id: ReplicaId) -> Result<bool, HomeError> {
        let path = self.started_path();
        let Some(text) = self.read(&path)? else { return Ok(false) };
        let found: Started = toml::from_str(&text).map_err(|error| malformed(&path, &error))?;
        let wanted = Started::of(cluster, id);
        if found != wanted {
            let (path, found, wanted) = (self.path.clone(), found.describe(), wanted.describe());
            return Err(HomeError::OtherMemory { path, found, wanted });
        }
        Ok(true)
    }

    /// Fails if there is no memory here, although there must be one.
    ///
    /// # Errors
    /// Says so.
    pub(crate) fn check_data(&self) -> Result<(), HomeError> {
        let path = self.data_path();
        if path.is_dir() { Ok(()) } else { Err(HomeError::MemoryLost { path }) }
    }

    /// Gives the memory up that is here, and the note of why the replica stopped with it: both are
    /// kept under another name.
    ///
    /// # Errors
    /// If something cannot be renamed. Then it may be called again.
    pub(crate) fn set_aside(&self) -> Result<(), HomeError> {
        let (data, halted) = (self.data_path(), self.halted_path());
        if !data.exists() && !halted.exists() {
            return Ok(());
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut names = (0_u32..).map(|attempt| match attempt {
            0 => self.path.join(format!("data-lost-{}", since_epoch.as_secs())),
            _ => self.path.join(format!("data-lost-{}-{attempt}", since_epoch.as_secs())),
        });
        let Some(aside) = names.find(|name| !name.exists()) else { return Ok(()) };
        let io_error = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { path, source }
        };
        if data.exists() {
            fs::rename(&data, &aside).map_err(io_error(&data))?;
        } else {
            fs::create_dir(&aside).map_err(io_error(&aside))?;
        }
        if halted.exists() {
            fs::rename(&halted, aside.join("halted")).map_err(io_error(&halted))?;
        }
        let synced = fs::File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(io_error(&self.path))?;
        tracing::warn!(aside = %aside.display(), "the lost memory is set aside");
        Ok(())
    }

    /// Notes durably that from now on there must be a memory.
    pub(crate) fn note_started(&self, cluster: &Cluster, id: ReplicaId) -> Result<(), HomeError> {
        let started = Started::of(cluster, id);
        let text = toml::to_string(&started).expect("the note has a form in TOML");
        self.write(&self.started_path(), &text)
    }

    /// Fails if the replica has stopped for good.
    ///
    /// # Errors
    /// With the reason.
    pub(crate) fn check_not_halted(&self) -> Result<(), HomeError> {
        match self.read(&self.halted_path())? {
            Some(reason) => Err(HomeError::Halted {
                path: self.halted_path(),
                reason: reason.trim().trim_end_matches('.').to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Notes durably why the replica stopped for good.
    pub(crate) fn note_halted(&self, reason: &str) -> Result<(), HomeError> {
        self.write(&self.halted_path(), &format!("{reason}\n"))
    }

    fn not_a_member(&self, role: &'static str) -> HomeError {
        HomeError::NotAMember { path: self.path.clone(), role, cluster: self.cluster_path() }
    }

    fn read(&self, path: &Path) -> Result<Option<String>, HomeError> {
        durable_file::read_text(path, SMALL_FILE_BYTES_MAX)
            .map_err(|source| HomeError::Io { path: path.to_owned(), source })
    }

    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<(), HomeError> {
        durable_file::write(path, text.as_bytes())
            .map_err(|source| HomeError::Io { path: path.to_owned(), source })
    }
}

impl Started {
    fn of(cluster: &Cluster, id: ReplicaId) -> Self {
        let domain = cluster.config.domain;
        Self {
            format: 1,
            cluster: format!("{:#}", domain.cluster),
            epoch: domain.epoch.get(),
            replica: id.get(),
        }
    }

    fn describe(&self) -> String {
        let cluster = self.cluster.get(..8).unwrap_or(&self.cluster);
        format!("replica {} of cluster {cluster}, epoch {}", self.replica, self.epoch)
    }
}

fn malformed(path: &Path, error: &toml::de::Error) -> HomeError {
    let message = error.message().trim().replace('\n', " ");
    HomeError::Malformed { path: path.to_owned(), message }
}

#[cfg(test)]
mod tests;
