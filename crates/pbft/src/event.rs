//! What happened: one vocabulary for logs, metrics, checkers, traces and pictures.

use crate::fault::{HaltReason, Reject};
use crate::message::{CheckpointId, Kind};
use crate::{ClientId, Digest, Incarnation, ReplicaId, SeqNum, Session, Time, Timestamp, View};
use borsh::{BorshDeserialize, BorshSerialize};

/// Something that happened at a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Event {
    /// The peers let this replica in: it may vote.
    Admitted,
    /// A message was dropped.
    Rejected {
        /// From whom it came.
        from: ReplicaId,
        /// What it was.
        kind: Kind,
        /// Why it was dropped.
        reason: Reject,
    },
    /// A request of a client now waits to be ordered.
    RequestWaiting {
        /// The client.
        client: ClientId,
        /// Its session.
        session: Session,
        /// Its timestamp.
        timestamp: Timestamp,
    },
    /// A batch pre-prepared here.
    PrePrepared {
        /// In this view.
        view: View,
        /// At this number.
        seq: SeqNum,
        /// With this digest.
        digest: Digest,
        /// Requests in the batch.
        requests: usize,
    },
    /// A batch prepared here.
    Prepared {
        /// In this view.
        view: View,
        /// At this number.
        seq: SeqNum,
        /// With this digest.
        digest: Digest,
    },
    /// A batch is committed-local here.
    Committed {
        /// At this number.
        seq: SeqNum,
        /// With this digest.
        digest: Digest,
    },
    /// A batch was executed.
    Executed {
        /// At this number.
        seq: SeqNum,
        /// With this digest.
        digest: Digest,
        /// Requests in the batch.
        requests: usize,
    },
    /// A checkpoint was taken and signed.
    CheckpointTaken {
        /// At this number.
        seq: SeqNum,
        /// The state there.
        id: CheckpointId,
    },
    /// A checkpoint became stable.
    CheckpointStable {
        /// At this number.
        seq: SeqNum,
        /// The state there.
        id: CheckpointId,
    },
    /// This replica left all lower views.
    ViewChangeStarted {
        /// For this view.
        view: View,
        /// For this reason.
        cause: ViewChangeCause,
    },
    /// The new-view timer runs, since a quorum has left the lower views.
    NewViewTimerStarted {
        /// For this view.
        view: View,
        /// Fires then.
        deadline: Time,
    },
    /// This replica is active in a view.
    ViewEntered {
        /// The view.
        view: View,
    },
    /// A fetch of state began, or was aimed at a newer checkpoint.
    StateTransferStarted {
        /// The checkpoint.
        seq: SeqNum,
    },
    /// A fetched state was installed.
    StateTransferred {
        /// The checkpoint.
        seq: SeqNum,
    },
    /// A REJOIN was executed.
    RejoinExecuted {
        /// Who comes back.
        replica: ReplicaId,
        /// As which incarnation.
        incarnation: Incarnation,
        /// At this number.
        seq: SeqNum,
    },
    /// A lie was proved.
    EvidenceFound {
        /// Whose.
        replica: ReplicaId,
        /// In which view.
        view: View,
    },
    /// The replica stopped.
    Halted(HaltReason),
    /// A peer remembers a start of this replica of which its own disk knows nothing: the disk may be
    /// an old one, or the peer lies.
    StartNotKnown {
        /// Who.
        peer: ReplicaId,
        /// The counter of the highest such start.
        seen: u64,
    },
    /// A batch was executed before it was known to be committed [TE1].
    ExecutedTentatively {
        /// Prepared in this view.
        view: View,
        /// At this number.
        seq: SeqNum,
        /// With this digest.
        digest: Digest,
        /// Requests in the batch.
        requests: usize,
    },
    /// What was executed tentatively was undone [TE4].
    RolledBack {
        /// At this number.
        seq: SeqNum,
    },
}

/// Why a replica leaves a view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub enum ViewChangeCause {
    /// The first request of its queue waited too long.
    RequestTimeout,
    /// The new view did not begin in time.
    NewViewTimeout,
    /// f+1 other replicas have left.
    Joined,
    /// The primary's NEW-VIEW does not follow from its VIEW-CHANGEs.
    BadNewView,
    /// The primary was caught lying.
    PrimaryLied,
    /// A replica rejoins, and may vote in later views only.
    Rejoin,
    /// The primary let work wait that it could have proposed [SP1].
    SlowPrimary,
}
