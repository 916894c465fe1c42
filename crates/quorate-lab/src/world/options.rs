//! What a run is made of, beside its seed.

use super::processor::Processor;
use crate::network::{Distances, NetworkOptions, Traffic};
use crate::trace::MENDED;
use core::fmt;
use core::time::Duration;
use pbft::{ClientParameters, Parameters, ReplicaId};
use quorate_adversary::{Behaviour, Slowed};
use quorate_replica::SnapshotPolicy;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::num::NonZeroU64;

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
    /// Clients beside those, that lie.
    pub lying_clients: Vec<ClientLie>,
    /// The network until the world heals.
    pub network: NetworkOptions,
    /// Where everybody stands; in one place if it is absent.
    pub distances: Option<Distances>,
    /// How many bytes each link carries in a second and direction; without bound if it is absent.
    pub bandwidth: Option<NonZeroU64>,
    /// What machines take time for; they take none if it is absent.
    pub processor: Option<Processor>,
    /// How long a sync of a disk takes, at least and at most.
    pub sync: (Duration, Duration),
    /// When replicas write durable snapshots.
    pub snapshot_policy: SnapshotPolicy,
    /// Replicas that do not start with the others; [`Fault::Restart`] starts them.
    pub late: BTreeSet<ReplicaId>,
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
    /// When they call first.
    pub begins_at: Duration,
    /// How many operations all clients together call.
    pub operations: u64,
    /// How many calls each client has outstanding.
    pub concurrency: u32,
    /// How many keys they share.
    pub keys: u64,
    /// How long the values are that they write, at least.
    pub value_bytes: usize,
    /// Whether gets are read in one round trip and not ordered, where replicas agree.
    pub one_round_reads: bool,
    /// How long a client thinks at most before each call.
    pub think_max: Duration,
}

/// What is wrong with the requests of a lying client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientLie {
    /// Two operations have one timestamp; every other replica is sent the one, the rest the other.
    TwoOperations,
    /// Only the first primary is sent a request, and only once.
    PrimaryOnly,
}

impl ClientLie {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::TwoOperations, Self::PrimaryOnly];

    /// How scenario files spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoOperations => "two_operations",
            Self::PrimaryOnly => "primary_only",
        }
    }
}

/// Something that happens to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes from any of the first to any of the second, in this direction.
    Cut(Vec<ReplicaId>, Vec<ReplicaId>),
    /// Some kinds of messages are lost between some replicas.
    Drop(Traffic),
    /// What some replicas send to some others takes so long, at least and at most.
    Delay(Traffic, Duration, Duration),
    /// Everything passes again, and nothing takes longer than the rest.
    Mend,
    /// A replica is cut off from clients.
    CutFromClients(ReplicaId),
    /// A replica crashes.
    Crash(ReplicaId, CrashKind),
    /// A replica crashes at its so-many-th write or sync from now on.
    CrashAt(ReplicaId, u64, CrashKind),
    /// A crashed replica starts again; one that was found to lack some of its memory does so
    /// without any, and rejoins.
    Restart(ReplicaId),
    /// A replica does nothing for so long, as if it were suspended.
    Pause(ReplicaId, Duration),
    /// The wall clock of a replica jumps.
    ClockJump {
        /// Whose.
        replica: ReplicaId,
        /// Forward by this.
        forward: Duration,
        /// And back by this.
        back: Duration,
    },
    /// A replica crashes and its disk is emptied; when it starts again, it rejoins.
    Lose(ReplicaId),
    /// The same, unless as many others as may be faulty are faulty, or without memory, already.
    LoseInTurn(ReplicaId),
    /// A replica crashes, and somebody copies its disk.
    Copy(ReplicaId),
    /// A replica crashes, and its disk is rolled back to that copy.
    RollBack(ReplicaId),
    /// A replica crashes, and its disk and that copy change places.
    SwapDisk(ReplicaId),
    /// The next sync of a replica's disk fails, so that the replica stops; it may start again.
    FailSync(ReplicaId),
    /// A replica's disk has no room any more, so that the replica stops as soon as it needs some;
    /// there is room when it starts again.
    FillDisk(ReplicaId),
    /// A replica crashes, and a bit on its disk flips: when it starts again it may refuse to.
    Rot(ReplicaId),
    /// A bit of a replica's state flips in its memory when it executes the next operation. It is
    /// faulty in the whole run.
    FlipState(ReplicaId),
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
            batch_gathering_max: Duration::ZERO,
            view_change_timeout: Duration::from_millis(500),
            view_change_timeout_max: Duration::from_secs(8),
            checkpoint_fill_after: Duration::from_secs(2),
            ..Parameters::default()
        };
        Self {
            replica_count,
            parameters,
            client: ClientParameters {
                gathering_max: Duration::ZERO,
                ..ClientParameters::default()
            },
            workload: Workload {
                clients: 3,
                begins_at: Duration::ZERO,
                operations: 120,
                concurrency: 2,
                keys: 4,
                value_bytes: 0,
                one_round_reads: false,
                think_max: Duration::from_millis(20),
            },
            lying_clients: Vec::new(),
            network: NetworkOptions::LOCAL,
            distances: None,
            bandwidth: None,
            processor: None,
            sync: (Duration::from_micros(50), Duration::from_micros(400)),
            snapshot_policy: SnapshotPolicy {
                journal_bytes: 16 << 10,
                interval: Duration::from_secs(1),
            },
            late: BTreeSet::new(),
            timeline: Vec::new(),
            heals_at: Duration::ZERO,
            recovery_max: Duration::from_secs(60),
        }
    }

    /// Whether this replica says anything untrue at any time, or falls silent.
    pub fn is_faulty(&self, id: ReplicaId) -> bool {
        self.timeline.iter().any(|(_, fault)| fault.corrupted() == Some(id))
    }

    /// Whether this replica sends again, on purpose, what it has sent before.
    pub fn repeats_messages(&self, id: ReplicaId) -> bool {
        self.behaviours(id).any(|behaviour| behaviour.repeats_messages())
    }

    /// Whether this replica is correct and, once the world has healed, keeps up.
    pub fn is_timely(&self, id: ReplicaId) -> bool {
        let is_slow =
            |behaviour| matches!(behaviour, Behaviour::Slow { slowed: Slowed::Everything, .. });
        !self.is_faulty(id) && !self.behaviours(id).any(is_slow)
    }

    /// All clients, those that lie behind the others.
    pub(crate) fn client_count(&self) -> u32 {
        self.workload.clients + u32::try_from(self.lying_clients.len()).unwrap_or(0)
    }

    fn behaviours(&self, id: ReplicaId) -> impl Iterator<Item = Behaviour> {
        self.timeline.iter().filter_map(move |(_, fault)| match fault {
            Fault::Behave(who, behaviour) if *who == id => Some(*behaviour),
            _ => None,
        })
    }

    /// Whether these options describe a cluster that can be.
    ///
    /// # Errors
    /// Says which rule is broken.
    pub fn check(&self) -> Result<(), String> {
        super::cluster::config(self).map(|_| ()).map_err(|error| error.to_string())
    }

    /// About how many bytes of memory the run needs. Every replica holds the state and a log, every
    /// operation is in the history and in each replica's reply cache, and with many clients many
    /// messages are under way at once.
    pub fn memory_estimate(&self) -> u64 {
        let n = u64::from(self.replica_count);
        let work = &self.workload;
        let at_once = u64::from(work.clients).saturating_mul(u64::from(work.concurrency));
        let replica = 1 << 20;
        // A value is in the history, in every replica's store and, if it was read, in its replies.
        let per_operation = 2_048 + 512 * n + (1 + 2 * n) * work.value_bytes as u64;
        let in_flight = at_once.saturating_mul(n * n).saturating_mul(256);
        (n * replica)
            .saturating_add(work.operations.saturating_mul(per_operation))
            .saturating_add(in_flight)
    }

    /// f, for this many replicas.
    pub fn fault_bound(&self) -> u32 {
        (self.replica_count - 1) / 3
    }
}

impl Fault {
    /// Whose part of the budget this takes. A replica without its memory takes one too, since what
    /// it promised is forgotten, and one whose disk fails, since it stops.
    pub(crate) fn spends_budget(&self) -> Option<ReplicaId> {
        match self {
            Self::Lose(id)
            | Self::RollBack(id)
            | Self::SwapDisk(id)
            | Self::FailSync(id)
            | Self::FillDisk(id)
            | Self::Rot(id) => Some(*id),
            other => other.corrupted(),
        }
    }

    /// Whom this makes faulty for the whole run. A replica that is only slow is correct: what it
    /// says is true.
    pub fn corrupted(&self) -> Option<ReplicaId> {
        match self {
            Self::Behave(_, Behaviour::Honest | Behaviour::Slow { .. }) => None,
            Self::Behave(id, _) | Self::FlipState(id) => Some(*id),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |ids: &[ReplicaId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Cut(from, to) => {
                write!(f, "nothing passes from replicas {} to {}", list(from), list(to))
            }
            Self::Drop(traffic) => write!(f, "{traffic} is lost"),
            Self::Delay(traffic, min, max) => {
                let (min, max) = (min.as_secs_f64(), max.as_secs_f64());
                write!(f, "{traffic} takes {min} to {max} s")
            }
            Self::Mend => f.write_str(MENDED),
            Self::CutFromClients(replica) => {
                write!(f, "replica {replica} is cut off from clients")
            }
            Self::Crash(replica, kind) => write!(f, "replica {replica} crashes ({kind})"),
            Self::CrashAt(replica, operation, kind) => write!(
                f,
                "replica {replica} will crash at disk operation {operation} from now ({kind})"
            ),
            Self::Restart(replica) => write!(f, "replica {replica} starts"),
            Self::Lose(replica) => write!(f, "the disk of replica {replica} is lost"),
            Self::LoseInTurn(replica) => {
                write!(f, "the disk of replica {replica} is lost if nobody else's is")
            }
            Self::Copy(replica) => write!(f, "the disk of replica {replica} is copied"),
            Self::SwapDisk(replica) => {
                write!(f, "the disk of replica {replica} and its copy change places")
            }
            Self::RollBack(replica) => {
                write!(f, "the disk of replica {replica} is set back to its copy")
            }
            Self::FailSync(replica) => {
                write!(f, "the next sync of the disk of replica {replica} fails")
            }
            Self::FillDisk(replica) => write!(f, "the disk of replica {replica} is full"),
            Self::Rot(replica) => write!(f, "a bit on the disk of replica {replica} flips"),
            Self::FlipState(replica) => {
                write!(f, "a bit of the state of replica {replica} flips in its memory")
            }
            Self::Pause(replica, span) => {
                write!(f, "replica {replica} is suspended for {} s", span.as_secs_f64())
            }
            Self::ClockJump { replica, forward, back } => write!(
                f,
                "the clock of replica {replica} jumps by {} s",
                forward.as_secs_f64() - back.as_secs_f64()
            ),
            Self::Behave(replica, behaviour) => {
                write!(f, "replica {replica} behaves as {behaviour}")
            }
            Self::Network(_) => f.write_str("the network changes"),
        }
    }
}

impl fmt::Display for CrashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "its process dies",
            Self::Power => "power fails, and what was not synced is lost",
            Self::Torn => "power fails, and any part of what was not synced is lost",
        })
    }
}
