//! What comes out of [`Replica::step`](crate::Replica::step): one list, whose order means something.
//!
//! The host carries the outputs out in their order, under one rule:
//!
//! > **A [`Send`](Output::Send), a [`Reply`](Output::Reply) or the answer to a
//! > [`Read`](Output::Read) leaves only when every [`Persist`](Output::Persist) up to the position
//! > it names is durable.**
//!
//! Everything else is done when its turn comes. `Execute`, `Choose`, `TakeCheckpoint` and
//! `FetchState` are questions; the host answers them with an [`Input`](crate::Input), in the order
//! in which they were asked.

use crate::event::Event;
use crate::fault::{Evidence, HaltReason};
use crate::message::{Batch, Certainty, CheckpointId, Message, Outcome, Read};
use crate::record::Record;
use crate::{ClientId, Digest, Position, ReplicaId, SeqNum, Session, Timestamp, View};
use alloc::sync::Arc;

/// One thing for the host to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Make this durable, behind everything with a lower position.
    Persist {
        /// One more than the previous one.
        position: Position,
        /// What to make durable.
        record: Record,
    },
    /// Send to replicas.
    Send {
        /// To whom.
        to: Recipients,
        /// What.
        message: Arc<Message>,
        /// What must be durable first; [`Position::ZERO`] for nothing.
        after: Position,
    },
    /// Send a REPLY to a client.
    Reply {
        /// To whom.
        client: ClientId,
        /// For which request.
        session: Session,
        /// For which request.
        timestamp: Timestamp,
        /// In which view.
        view: View,
        /// What is known of its batch.
        certainty: Certainty,
        /// What became of it; `None` asks the host to look it up in the replicated reply cache.
        outcome: Option<Outcome>,
        /// Who alone sends the whole outcome, the others its digest; `None` if this replica sends
        /// it whole, whoever it is [DR2].
        replier: Option<ReplicaId>,
        /// What must be durable first.
        after: Position,
    },
    /// Read in the state as it is now, and send the client what was found.
    Read {
        /// Whose READ it is.
        client: ClientId,
        /// What to read.
        read: Read,
        /// What must be durable before the answer leaves.
        after: Position,
    },
    /// Ask the services for the primary's choice; answered by
    /// [`Input::Chosen`](crate::Input::Chosen).
    Choose,
    /// Execute this batch; answered by [`Input::Executed`](crate::Input::Executed). Numbers come
    /// in order and without a gap, but for one that was rolled back.
    Execute {
        /// The number.
        seq: SeqNum,
        /// The digest agreed on.
        digest: Digest,
        /// The batch; `None` for the null request, which executes nothing but is part of the
        /// history.
        batch: Option<Arc<Batch>>,
        /// Whether it is not known to be committed yet: keep what brings the state back to what it
        /// is now, until [`Output::Settled`] or [`Output::RollBack`] says what became of it.
        tentative: bool,
    },
    /// The batch that was executed tentatively is committed: it stays.
    Settled {
        /// Its number.
        seq: SeqNum,
    },
    /// Undo the execution of the batch that was executed tentatively, as if it had never been.
    RollBack {
        /// Its number.
        seq: SeqNum,
    },
    /// Take a checkpoint of the state as it is now, after `seq`; answered by
    /// [`Input::CheckpointTaken`](crate::Input::CheckpointTaken), possibly much later.
    TakeCheckpoint {
        /// The number.
        seq: SeqNum,
    },
    /// Fetch the state at this checkpoint from the others, in place of any earlier wish; answered
    /// by [`Input::StateInstalled`](crate::Input::StateInstalled) when it is durable.
    FetchState {
        /// The checkpoint.
        seq: SeqNum,
        /// What it must hash to.
        id: CheckpointId,
    },
    /// The checkpoint became stable: older ones may go, and a durable snapshot may be made of it.
    Stable {
        /// The new low water mark.
        seq: SeqNum,
        /// The state there.
        id: CheckpointId,
    },
    /// Keep this proof of a lie.
    Evidence(Evidence),
    /// Something happened that people and checkers want to know.
    Event(Event),
    /// Stop for good and say why. Nothing comes after it.
    Halt(HaltReason),
}

/// Whom a message goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recipients {
    /// Every other replica.
    Others,
    /// One replica.
    One(ReplicaId),
}
