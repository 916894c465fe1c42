//! How clusters come to be: keys made where they stay, cards handed out, one public file put
//! together from cards.

use crate::cluster::{Card, Cluster, ClusterError, ClusterFile, ContentError};
use crate::cluster::{CardError, MemberFile, ParametersFile, Role, Together};
use crate::cluster::{Durability, FORMAT, Fingerprint};
use crate::home::{Home, HomeError};
use quorate_net::identity::{KeyFileError, SecretKeys};
use quorate_net::ports;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Why a member or a cluster could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A folder or file could not be made.
    #[error("cannot make {path}: {source}; check the folder, its owner and the space on disk")]
    Make {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is a cluster file already.
    #[error("{path} exists already, and a cluster is never overwritten; choose another folder")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The keys could not be made or stored.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// A card is not usable.
    #[error(transparent)]
    Card(#[from] CardError),
    /// What the cards make is not a cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The members do not make a cluster.
    #[error("these members make no cluster: {0}; correct the list of their cards")]
    NoCluster(ContentError),
    /// Whoever made a whole cluster was interrupted. Nobody has used these keys yet.
    #[error(
        "a cluster was begun in {path} and not finished; remove what is there, or choose another \
         folder"
    )]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the folder could not be written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The system gave no port.
    #[error("cannot get {count} free ports on the loopback interface: {source}")]
    Ports {
        /// How many.
        count: u32,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system provides no randomness.
    #[error("the operating system provides no randomness, so no cluster can be made")]
    NoRandomness,
}

/// What a new cluster is like.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// What people call it.
    pub name: String,
    /// Whether replicas may be made to lie.
    pub lab: bool,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// What its replicas do for many messages at a time.
    pub together: Together,
    /// What differs from the default parameters.
    pub parameters: ParametersFile,
}

impl ClusterSettings {
    /// A cluster of this name, durable, whose replicas cannot be made to lie, with the default
    /// parameters.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lab: false,
            durability: Durability::default(),
            together: Together::default(),
            parameters: ParametersFile::default(),
        }
    }
}

/// A cluster all of whose members live in one folder.
#[derive(Clone, Debug)]
pub struct LocalCluster {
    root: PathBuf,
    /// The cluster.
    pub cluster: Cluster,
}

/// How many client identities a local cluster has: one for its gateway, and others for programs.
pub const LOCAL_CLIENT_COUNT: u32 = 4;

/// Makes a member's keys and its card, in a folder of mode 0700 that is made if need be.
///
/// # Errors
/// If there are keys already; they are never overwritten.
pub fn make_member(home: &Home, role: Role) -> Result<Card, SetupError> {
    make_folder(home.path())?;
    let keys = SecretKeys::generate()?;
    keys.save(&home.keys_path())?;
    let card = Card { role, keys: keys.public() };
    home.write(&home.card_path(), &card.to_text())?;
    Ok(card)
}

/// Puts a cluster together from its members' cards and writes the public file into `folder`.
/// Members are numbered in the order of their cards.
///
/// # Errors
/// If there is one already, or the cards do not make a cluster.
pub fn make_cluster(
    folder: &Path,
    cards: &[Card],
    settings: ClusterSettings,
) -> Result<(PathBuf, Fingerprint), SetupError> {
    make_folder(folder)?;
    let path = folder.join("cluster.toml");
    if path.exists() {
        return Err(SetupError::Exists { path });
    }
    let mut id = [0; 32];
    let drawn = getrandom(&mut id, GetRandomFlags::empty());
    drawn.map_err(|_| SetupError::NoRandomness)?;
    let (mut replica, mut client) = (Vec::new(), Vec::new());
    for card in cards {
        let (list, address) = match &card.role {
            Role::Replica { address } => (&mut replica, Some(address.clone())),
            Role::Client => (&mut client, None),
        };
        let (link_key, signing_key) = (card.keys.link.to_string(), card.keys.signing.to_string());
        let next = u32::try_from(list.len()).unwrap_or(u32::MAX);
        list.push(MemberFile { id: next, address, link_key, signing_key });
    }
    let ClusterSettings { name, lab, durability, together, parameters } = settings;
    let id = blake3::Hash::from_bytes(id).to_hex().to_string();
    let file = ClusterFile {
        format: FORMAT,
        name,
        id,
        epoch: 1,
        lab,
        durability,
        together,
        parameters,
        replica,
        client,
    };
    let text = file.to_text();
    let fingerprint = match Cluster::parse(&path, &text) {
        Ok(cluster) => cluster.fingerprint,
        Err(ClusterError::Content { reason, .. }) => return Err(SetupError::NoCluster(reason)),
        Err(other) => return Err(other.into()),
    };
    let written = crate::durable_file::write(&path, text.as_bytes());
    written.map_err(|source| SetupError::Make { path: path.clone(), source })?;
    Ok((path, fingerprint))
}

impl LocalCluster {
    /// Makes a cluster of `replica_count` replicas on free ports of the loopback interface, with
    /// all keys, and confirms its file for every member.
    ///
    /// # Errors
    /// If there is one in the folder already, or something cannot be written.
    pub fn create(
        root: &Path,
        replica_count: u32,
        settings: ClusterSettings,
    ) -> Result<Self, SetupError> {
        Self::create_for(root, replica_count, LOCAL_CLIENT_COUNT, settings)
    }

    /// As [`LocalCluster::create`], with identities for so many clients.
    ///
    /// # Errors
    /// As there.
    pub fn create_for(
        root: &Path,
        replica_count: u32,
        client_count: u32,
        settings: ClusterSettings,
    ) -> Result<Self, SetupError> {
        let existing = root.join("cluster.toml");
        if existing.exists() {
            return Err(SetupError::Exists { path: existing });
        }
        let first = Home::new(root.join(replica_folder(0)));
        if first.keys_path().exists() && !first.cluster_path().exists() {
            return Err(SetupError::Unfinished { path: root.to_owned() });
        }
        make_folder(root)?;
        let mut cards = Vec::new();
        let reserved = ports::reserve(replica_count);
        let addresses =
            reserved.map_err(|source| SetupError::Ports { count: replica_count, source })?;
        for (id, address) in (0..).zip(addresses) {
            let address = address.to_string();
            let home = Home::new(root.join(replica_folder(id)));
            cards.push(make_member(&home, Role::Replica { address })?);
        }
        for id in 0..client_count {
            let home = Home::new(root.join(client_folder(id)));
            cards.push(make_member(&home, Role::Client)?);
        }
        let (path, fingerprint) = make_cluster(root, &cards, settings)?;
        let read_error = |source| SetupError::Make { path: path.clone(), source };
        let text = fs::read_to_string(&path).map_err(read_error)?;
        let cluster = Cluster::parse(&path, &text)?;
        let local = Self { root: root.to_owned(), cluster };
        for home in local.replica_homes().chain((0..client_count).map(|id| local.client_home(id))) {
            home.write(&home.cluster_path(), &text)?;
            home.confirm(fingerprint)?;
        }
        Ok(local)
    }

    /// Opens the cluster in this folder.
    ///
    /// # Errors
    /// If there is none, or its file is wrong.
    pub fn open(root: &Path) -> Result<Self, ClusterError> {
        let cluster = Cluster::load(&root.join("cluster.toml"))?;
        Ok(Self { root: root.to_owned(), cluster })
    }

    /// Whether there is a cluster in this folder.
    pub fn exists(root: &Path) -> bool {
        root.join("cluster.toml").exists()
    }

    /// The folders of the replicas, in their order.
    pub fn replica_homes(&self) -> impl Iterator<Item = Home> + '_ {
        let count = self.cluster.config.replica_count();
        (0..count).map(|id| Home::new(self.root.join(replica_folder(id))))
    }

    /// The folder of a client; 0 is the gateway.
    pub fn client_home(&self, id: u32) -> Home {
        Home::new(self.root.join(client_folder(id)))
    }

    /// The folder of everything.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn replica_folder(id: u32) -> String {
    format!("replica-{id}")
}

fn client_folder(id: u32) -> String {
    if id == 0 { "gateway".to_owned() } else { format!("client-{id}") }
}

fn make_folder(path: &Path) -> Result<(), SetupError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| SetupError::Make { path: path.to_owned(), source })
}
