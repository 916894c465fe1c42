//! Opening a replica's memory: the one it has, its first one, or, when it rejoins, a new one in the
//! place of one that is lost.

use super::NodeError;
use crate::cluster::{Cluster, Durability};
use crate::home::{Home, HomeError};
use pbft::{Record, ReplicaId};
use quorate_replica::{
    Backend, FileBackend, Folder, FolderError, JournalConfig, JournalIdentity, Stored,
};
use std::sync::Arc;

/// Where a replica's promises are kept.
pub(super) enum Memory {
    /// On its disk.
    Durable(Box<Folder>),
    /// In this process alone.
    Volatile,
}

/// What a replica starts from.
pub(super) struct Opened {
    pub(super) memory: Memory,
    pub(super) stored: Stored,
    /// Whether it had another memory, and rejoins.
    pub(super) is_lost: bool,
}

impl Opened {
    fn durable(folder: Folder, stored: Stored) -> Self {
        Self { memory: Memory::Durable(Box::new(folder)), stored, is_lost: false }
    }
}

/// Opens the memory of a replica that starts.
pub(super) fn open(home: &Home, cluster: &Cluster, id: ReplicaId) -> Result<Opened, NodeError> {
    home.check_not_halted()?;
    let has_started = home.has_started(cluster, id)?;
    if cluster.durability == Durability::Memory {
        // The process that had the memory is gone.
        if has_started {
            return Err(HomeError::MemoryLost { path: home.path().to_owned() }.into());
        }
        return open_volatile(home, cluster, id);
    }
    if has_started {
        home.check_data()?;
    } else {
        match create_folder(home, cluster, id) {
            Ok(folder) => return Ok(Opened::durable(folder, Stored::default())),
            // The start before this one was cut short before it could note that it was one.
            Err(NodeError::Folder { source: FolderError::Exists, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let (folder, stored) = open_folder(home, cluster, id)?;
    home.note_started(cluster, id)?;
    Ok(Opened::durable(folder, stored))
}

/// Opens a memory for a replica that is told to rejoin. What there was is set aside, never
/// deleted; a memory that is whole is not given up. One with which the replica is on its way back
/// already is gone on with.
pub(super) fn open_to_rejoin(
    home: &Home,
    cluster: &Cluster,
    id: ReplicaId,
) -> Result<Opened, NodeError> {
    // Whether it ever started does not matter, as long as it was no other one.
    home.has_started(cluster, id)?;
    let opened = match cluster.durability {
        Durability::Memory => {
            home.set_aside()?;
            open_volatile(home, cluster, id)?
        }
        Durability::Sync => open_new_folder(home, cluster, id)?,
    };
    Ok(Opened { is_lost: true, ..opened })
}

fn open_new_folder(home: &Home, cluster: &Cluster, id: ReplicaId) -> Result<Opened, NodeError> {
    let has_data = home.data_path().is_dir();
    if has_data && home.check_not_halted().is_ok() {
        match open_folder(home, cluster, id) {
            Ok((_, stored)) if is_whole(&stored.records) => {
                return Err(NodeError::NotLost { path: home.data_path() });
            }
            Ok((folder, stored)) => return Ok(Opened::durable(folder, stored)),
            Err(NodeError::Folder { source, .. }) if source.is_loss() => {}
            Err(error) => return Err(error),
        }
    }
    if has_data {
        // No process may still have it open.
        open_backend(home)?;
    }
    home.set_aside()?;
    // From here on there must be a memory again, should this be cut short.
    home.note_started(cluster, id)?;
    let folder = create_folder(home, cluster, id)?;
    Ok(Opened::durable(folder, Stored::default()))
}

/// Whether a memory without a gap begins with these records. One without any was just made.
fn is_whole(records: &[Record]) -> bool {
    let told = records.iter().rev().find_map(|record| match record {
        Record::Amnesiac => Some(false),
        Record::Rejoined(_) => Some(true),
        _ => None,
    });
    !records.is_empty() && told.unwrap_or(true)
}

fn open_volatile(home: &Home, cluster: &Cluster, id: ReplicaId) -> Result<Opened, NodeError> {
    home.note_started(cluster, id)?;
    Ok(Opened { memory: Memory::Volatile, stored: Stored::default(), is_lost: false })
}

fn create_folder(home: &Home, cluster: &Cluster, id: ReplicaId) -> Result<Folder, NodeError> {
    let (backend, identity) = (open_backend(home)?, identity(cluster, id));
    let folder = Folder::create(backend, identity, JournalConfig::default());
    let folder = folder.map_err(|source| folder_error(home, source))?;
    home.note_started(cluster, id)?;
    Ok(folder)
}

fn open_folder(
    home: &Home,
    cluster: &Cluster,
    id: ReplicaId,
) -> Result<(Folder, Stored), NodeError> {
    let (backend, identity) = (open_backend(home)?, identity(cluster, id));
    let opened = Folder::open(backend, identity, JournalConfig::default());
    opened.map_err(|source| folder_error(home, source))
}

fn open_backend(home: &Home) -> Result<Arc<dyn Backend>, NodeError> {
    let path = home.data_path();
    let backend = if path.is_dir() { FileBackend::open(&path) } else { FileBackend::create(&path) };
    match backend {
        Ok(backend) => Ok(Arc::new(backend)),
        Err(source) => Err(NodeError::Backend { path, source }),
    }
}

fn identity(cluster: &Cluster, id: ReplicaId) -> JournalIdentity {
    JournalIdentity { cluster: cluster.config.domain.cluster, replica: id }
}

fn folder_error(home: &Home, source: FolderError) -> NodeError {
    NodeError::Folder { path: home.data_path(), source }
}
