//! Where things are in the replicated state: every key that is not a service's own, and the
//! records under them. Written down in `docs/storage.md`, section *Replicated state*.
//!
//! | key | value |
//! |---|---|
//! | `00` "configuration" | cluster, epoch and the replicas' keys |
//! | `00` "history" | the Merkle log of batch digests |
//! | `00` "time" | the agreed time |
//! | `00` "rejoined" replica | the last REJOIN of a replica |
//! | `01` client | session and window of a client |
//! | `01` client timestamp | the reply kept for one request of it |
//! | `02` service … | the keys of a service |
//!
//! Numbers in keys have their highest byte first, so that keys order as the numbers do.

use crate::history::History;
use crate::tree::Tree;
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::message::ServiceId;
use pbft::{ClientId, Config, Epoch, Rejoined, ReplicaId, SeqNum, Timestamp, View, WallTime};

const CONFIGURATION: &[u8] = b"\0configuration";
const HISTORY: &[u8] = b"\0history";
const TIME: &[u8] = b"\0time";
const REJOINED: &[u8] = b"\0rejoined";
/// The first key behind those of the replicas that rejoined.
const REJOINED_END: &[u8] = b"\0rejoinee";
const CLIENTS: u8 = 1;
const SERVICES: u8 = 2;

/// Why a tree is not the state of a replica of this cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A record every state has is missing or is no such record.
    #[error("the stored state has no valid record '{record}'")]
    BadRecord {
        /// Which record.
        record: &'static str,
    },
    /// It is another cluster's state, or that of another epoch of the membership.
    #[error("the stored state belongs to another cluster or another epoch of its membership")]
    OtherCluster,
    /// It is the state after another number than it was said to be.
    #[error("the stored state is that after {found}, not after {seq}")]
    OtherCheckpoint {
        /// What it was said to be.
        seq: SeqNum,
        /// What it says itself.
        found: SeqNum,
    },
    /// The records behind it do not belong together.
    #[error("the records of the journal contradict one another: not true that {rule}")]
    Contradiction {
        /// What they break.
        rule: &'static str,
    },
}

/// The membership, as the state knows it.
#[derive(PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Configuration {
    cluster: pbft::Digest,
    epoch: Epoch,
    replicas: Vec<[u8; 32]>,
}

impl Configuration {
    fn of(config: &Config) -> Self {
        let keys = config.replica_ids().filter_map(|id| config.replica_key(id));
        Self {
            cluster: config.domain.cluster,
            epoch: config.domain.epoch,
            replicas: keys.map(|key| key.to_bytes()).collect(),
        }
    }
}

pub(super) fn write_configuration(tree: &mut Tree, config: &Config) {
    tree.put(CONFIGURATION, encode(&Configuration::of(config)));
}

pub(super) fn check_configuration(tree: &Tree, config: &Config) -> Result<(), StateError> {
    let stored: Configuration = read(tree, CONFIGURATION, "configuration")?;
    if stored == Configuration::of(config) { Ok(()) } else { Err(StateError::OtherCluster) }
}

pub(super) fn write_history(tree: &mut Tree, history: &History) {
    tree.put(HISTORY, encode(history));
}

pub(super) fn read_history(tree: &Tree) -> Result<History, StateError> {
    let history: History = read(tree, HISTORY, "history")?;
    if history.is_sound() { Ok(history) } else { Err(StateError::BadRecord { record: "history" }) }
}

pub(super) fn write_time(tree: &mut Tree, time: WallTime) {
    tree.put(TIME, encode(&time));
}

pub(super) fn read_time(tree: &Tree) -> Result<WallTime, StateError> {
    read(tree, TIME, "time")
}

pub(super) fn write_rejoined(tree: &mut Tree, replica: ReplicaId, rejoined: &Rejoined) {
    let key = [REJOINED, &replica.get().to_be_bytes()].concat();
    tree.put(&key, encode(rejoined));
}

/// Every replica that ever rejoined.
pub(super) fn read_rejoined(tree: &Tree) -> Result<Vec<(ReplicaId, Rejoined)>, StateError> {
    let (mut entries, mut is_sound) = (Vec::new(), true);
    tree.scan(REJOINED, Some(REJOINED_END), &mut |key, value| {
        let replica = key.strip_prefix(REJOINED).and_then(|id| <[u8; 4]>::try_from(id).ok());
        match replica.zip(Rejoined::try_from_slice(value).ok()) {
            Some((id, rejoined)) if rejoined.seq <= SeqNum::MAX && rejoined.view <= View::MAX => {
                entries.push((ReplicaId::new(u32::from_be_bytes(id)), rejoined));
            }
            _ => is_sound = false,
        }
        is_sound
    });
    if is_sound { Ok(entries) } else { Err(StateError::BadRecord { record: "rejoined" }) }
}

/// What every key of a service begins with.
pub(super) fn service_prefix(service: ServiceId) -> [u8; 3] {
    let [high, low] = service.0.to_be_bytes();
    [SERVICES, high, low]
}

/// What every key about a client begins with; by itself the key of its window.
pub(super) fn client_key(client: ClientId) -> [u8; 5] {
    let [a, b, c, d] = client.get().to_be_bytes();
    [CLIENTS, a, b, c, d]
}

/// The client whose window is under `key`; `None` for every other key.
pub(super) fn client_of_key(key: &[u8]) -> Option<ClientId> {
    match *key {
        [CLIENTS, a, b, c, d] => Some(ClientId::new(u32::from_be_bytes([a, b, c, d]))),
        _ => None,
    }
}

/// The first key of the client table and the first behind it.
pub(super) const CLIENT_KEYS: (&[u8], &[u8]) = (&[CLIENTS], &[CLIENTS + 1]);

/// The key of the reply kept for a request.
pub(super) fn reply_key(client: ClientId, timestamp: Timestamp) -> Vec<u8> {
    [&client_key(client)[..], &timestamp.get().to_be_bytes()].concat()
}

pub(super) fn encode(value: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).expect("writing to memory cannot fail")
}

fn read<T: BorshDeserialize>(
    tree: &Tree,
    key: &[u8],
    record: &'static str,
) -> Result<T, StateError> {
    let bytes = tree.get(key).ok_or(StateError::BadRecord { record })?;
    T::try_from_slice(bytes).map_err(|_| StateError::BadRecord { record })
}
