//! What a run is made of, beside its seed.

use crate::network::NetworkOptions;
use core::time::Duration;
use pbft::{ClientParameters, Parameters, ReplicaId};
use quorate_adversary::Behaviour;
use quorate_replica::SnapshotPolicy;

/// The cluster, its work, and what happens to it.
#[derive(Clone, Debug)]
pub struct Options {
    /// n.
    pub replica_count: u32,
    /// Periods, limits and timeouts of the replicas.
    pub parameters: Parameters,
    /// How clients behave.
    pub client: ClientParameters,
    /// What the clients do.
    pub workload: Workload,
    /// The network until the world heals.
    pub network: NetworkOptions,
    /// How long a sync of a disk takes, at least and at most.
    pub sync: (Duration, Duration),
    /// When replicas write durable snapshots.
    pub snapshot_policy: SnapshotPolicy,
    /// What happens, and when. Replicas that get a behaviour here are faulty in the whole run.
    pub timeline: Vec<(Duration, Fault)>,
    /// From then on the network is good, every link carries and every replica is up; only
    /// adversaries stay as they are.
    pub heals_at: Duration,
    /// So long after healing all work must be done and all correct replicas must have it.
    pub recovery_max: Duration,
}

/// What the clients do: each calls again as soon as it was answered and has thought a while.
#[derive(Clone, Debug)]
pub struct Workload {
    /// How many clients.
    pub clients: u32,
    /// How many operations all clients together call.
    pub operations: u64,
    /// How many calls each client has outstanding.
    pub concurrency: u32,
    /// How many keys they share.
    pub keys: u64,
    /// How long a client thinks at most before each call.
    pub think_max: Duration,
}

/// Something that happens to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes from any of the first to any of the second, in this direction.
    Cut(Vec<ReplicaId>, Vec<ReplicaId>),
    /// Everything passes again.
    Mend,
    /// A replica is cut off from clients.
    CutFromClients(ReplicaId),
    /// A replica crashes.
    Crash(ReplicaId, CrashKind),
    /// A replica crashes at its so-many-th write or sync from now on.
    CrashAt(ReplicaId, u64, CrashKind),
    /// A crashed replica starts again.
    Restart(ReplicaId),
    /// A replica behaves so from now on.
    Behave(ReplicaId, Behaviour),
    /// The network treats messages like this from now on.
    Network(NetworkOptions),
}

/// How a machine goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// Only the process dies.
    Process,
    /// Power is lost, and with it everything not synced.
    Power,
    /// Power is lost, and of what was not synced any part survives.
    Torn,
}

impl Options {
    /// A small quick cluster on a good network to which nothing happens.
    pub fn calm(replica_count: u32) -> Self {
        let parameters = Parameters {
            checkpoint_period: 8,
            log_window: 32,
            instances_in_flight_max: 4,
            view_change_timeout: Duration::from_millis(500),
            view_change_timeout_max: Duration::from_secs(8),
            checkpoint_fill_after: Duration::from_secs(2),
            state_transfer_grace: Duration::from_secs(4),
            ..Parameters::default()
        };
        Self {
            replica_count,
            parameters,
            client: ClientParameters::default(),
            workload: Workload {
                clients: 3,
                operations: 120,
                concurrency: 2,
                keys: 4,
                think_max: Duration::from_millis(20),
            },
            network: NetworkOptions::LOCAL,
            sync: (Duration::from_micros(50), Duration::from_micros(400)),
            snapshot_policy: SnapshotPolicy {
                journal_bytes: 16 << 10,
                interval: Duration::from_secs(1),
            },
            timeline: Vec::new(),
            heals_at: Duration::ZERO,
            recovery_max: Duration::from_secs(60),
        }
    }

    /// Whether this replica misbehaves at any time.
    pub fn is_faulty(&self, id: ReplicaId) -> bool {
        self.timeline.iter().any(|(_, fault)| matches!(fault, Fault::Behave(who, _) if *who == id))
    }

    /// f, for this many replicas.
    pub fn fault_bound(&self) -> u32 {
        (self.replica_count - 1) / 3
    }
}
