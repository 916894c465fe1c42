//! What goes into [`Replica::step`](crate::Replica::step).

use crate::auth::Verified;
use crate::message::{CheckpointId, Outcome};
use crate::rejoin::Rejoined;
use crate::{ClientId, ReplicaId, SeqNum, Session, Timestamp, WallTime};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// One thing that happened to a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A message that passed the door.
    Message(Verified),
    /// A link to this peer was (re-)established.
    Connected(ReplicaId),
    /// Time has passed; due timers fire.
    Tick,
    /// The answer to [`Output::Choose`](crate::Output::Choose).
    Chosen(Vec<u8>),
    /// The answer to [`Output::Execute`](crate::Output::Execute).
    Executed {
        /// Which number was executed.
        seq: SeqNum,
        /// What became of each request of the batch, in its order.
        executions: Vec<Execution>,
        /// The REJOINs of the batch that had an effect.
        rejoined: Vec<(ReplicaId, Rejoined)>,
    },
    /// The answer to [`Output::TakeCheckpoint`](crate::Output::TakeCheckpoint).
    CheckpointTaken {
        /// The checkpoint.
        seq: SeqNum,
        /// The state there.
        id: CheckpointId,
    },
    /// The answer to [`Output::FetchState`](crate::Output::FetchState): the state at the
    /// checkpoint is verified, installed and durable.
    StateInstalled {
        /// The checkpoint.
        seq: SeqNum,
        /// The state there.
        id: CheckpointId,
        /// What that state says.
        state: StateMirror,
    },
}

/// What the core must know of a replicated state that it has not executed itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StateMirror {
    /// The client table.
    pub clients: Vec<(ClientId, ClientWindow)>,
    /// The replicas that ever rejoined.
    pub rejoined: Vec<(ReplicaId, Rejoined)>,
    /// The agreed time: the latest of all batches executed.
    pub time: WallTime,
}

/// What became of one request when its batch was executed. The client table inside the replicated
/// state decided it, so it is the same at every correct replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Execution {
    /// Who asked.
    pub client: ClientId,
    /// In which session.
    pub session: Session,
    /// Which request.
    pub timestamp: Timestamp,
    /// What to reply; `None` when nothing is to be said (a request already acknowledged).
    pub outcome: Option<Outcome>,
    /// Who alone replies with the whole outcome, the others with its digest; `None` if all reply
    /// with the whole [DR2].
    pub replier: Option<ReplicaId>,
    /// The client's window afterwards.
    pub window: ClientWindow,
}

/// What the core must know of a client to admit its requests: a mirror of the client table in the
/// replicated state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientWindow {
    /// The client's open session.
    pub session: Session,
    /// Every timestamp below this one was executed and acknowledged.
    pub low: Timestamp,
    /// The timestamps from `low` on that were executed.
    pub executed: BTreeSet<Timestamp>,
}
