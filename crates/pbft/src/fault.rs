//! What is wrong with what others send: a [`Reject`] for every message that is dropped, and
//! [`Evidence`] for every lie that can be proved to a third party. Neither is an error of ours.

use crate::auth::Signed;
use crate::message::{NewView, PrePrepare, ViewChange};
use crate::{Config, Digest, ReplicaId, View};
use alloc::boxed::Box;
use alloc::sync::Arc;
use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;

/// Why a message was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub enum Reject {
    /// The bytes are no canonical encoding of a message.
    Undecodable,
    /// A protocol version that is not ours.
    UnknownVersion,
    /// Sent in another epoch of the membership.
    WrongEpoch,
    /// A view or number beyond what the arithmetic allows.
    OutOfRange,
    /// Longer, or more, than a named limit allows.
    OverLimit,
    /// A signature that does not verify.
    BadSignature,
    /// A digest that is not that of the content.
    WrongDigest,
    /// No such replica.
    UnknownReplica,
    /// No such client.
    UnknownClient,
    /// Speaks in the name of another.
    ForgedSender,
    /// Signed by a replica that is not the primary of that view.
    NotThePrimary,
    /// Only replicas send this to replicas.
    NotForClients,
    /// Only clients are sent this.
    NotForReplicas,
    /// A CHECKPOINT at a number that is none.
    NotACheckpoint,
    /// A proof of stability that is none.
    MalformedProof,
    /// A batch that contains a request twice.
    MalformedBatch,
    /// A VIEW-CHANGE that breaks a rule about itself.
    MalformedViewChange,
    /// A NEW-VIEW that does not match what comes with it.
    MalformedNewView,
    /// HELLO from a replica with another configuration, or with no version in common.
    Incompatible,
    /// The receiver has not yet been let in by its peers.
    Starting,
    /// The receiver is not active in the view of the message.
    WrongView,
    /// The number is not above the low water mark and up to the high one.
    OutsideWindow,
    /// A PREPARE from the primary itself.
    PrepareFromPrimary,
    /// Another message of this type and slot came first; the first one counts.
    Duplicate,
    /// Contradicts the first message of this type and slot from the same sender.
    Contradiction,
    /// The proposed time is too far from the receiver's clock.
    ClockSkew,
    /// The choices of a NEW-VIEW do not follow from its VIEW-CHANGEs.
    Unjustified,
    /// An older timestamp, session or view than what is known already.
    Stale,
    /// The client has too many requests outstanding.
    ClientWindow,
    /// Nobody asked for it.
    Unsolicited,
    /// Answering is put off: the sender asks too often.
    TooOften,
    /// The cluster's configuration does not offer this.
    NotOffered,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undecodable => "not decodable",
            Self::UnknownVersion => "unknown protocol version",
            Self::WrongEpoch => "wrong epoch",
            Self::OutOfRange => "view or number out of range",
            Self::OverLimit => "over a limit",
            Self::BadSignature => "bad signature",
            Self::WrongDigest => "wrong digest",
            Self::UnknownReplica => "unknown replica",
            Self::UnknownClient => "unknown client",
            Self::ForgedSender => "forged sender",
            Self::NotThePrimary => "not the primary of that view",
            Self::NotForClients => "not for clients to send",
            Self::NotForReplicas => "not for replicas to receive",
            Self::NotACheckpoint => "no checkpoint at that number",
            Self::MalformedProof => "malformed proof of stability",
            Self::MalformedBatch => "malformed batch",
            Self::MalformedViewChange => "malformed VIEW-CHANGE",
            Self::MalformedNewView => "malformed NEW-VIEW",
            Self::Incompatible => "another configuration or version",
            Self::Starting => "the receiver is not let in yet",
            Self::WrongView => "not the receiver's view",
            Self::OutsideWindow => "outside the water marks",
            Self::PrepareFromPrimary => "PREPARE from the primary",
            Self::Duplicate => "duplicate",
            Self::Contradiction => "contradicts the sender's first message",
            Self::ClockSkew => "proposed time too far from the clock",
            Self::Unjustified => "does not follow from the VIEW-CHANGEs",
            Self::Stale => "stale",
            Self::ClientWindow => "too many requests of the client outstanding",
            Self::Unsolicited => "nobody asked for it",
            Self::TooOften => "asked too often",
            Self::NotOffered => "not offered by the configuration",
        })
    }
}

/// Two signed messages that no correct replica would both have signed, or one that convicts its
/// signer by itself.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Evidence {
    /// Two PRE-PREPAREs with one view and number and two digests.
    TwoPrePrepares(Box<(Signed<PrePrepare>, Signed<PrePrepare>)>),
    /// Two different NEW-VIEWs for one view.
    TwoNewViews(Box<(Signed<NewView>, Signed<NewView>)>),
    /// A PRE-PREPARE that contradicts the choice of its view's own NEW-VIEW.
    NewViewAgainstPrePrepare(Box<(Signed<NewView>, Signed<PrePrepare>)>),
    /// Two different VIEW-CHANGEs for one view.
    TwoViewChanges(Arc<Signed<ViewChange>>, Arc<Signed<ViewChange>>),
}

/// A verified accusation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conviction {
    /// Who lied.
    pub replica: ReplicaId,
    /// In which view.
    pub view: View,
    /// How, in a few words of the papers.
    pub lie: &'static str,
}

impl Evidence {
    /// Checks the evidence with nothing but the cluster's public configuration; `None` if it
    /// proves nothing [EV1].
    pub fn verify(&self, config: &Config) -> Option<Conviction> {
        let convict = |replica, view, lie| Some(Conviction { replica, view, lie });
        match self {
            Self::TwoPrePrepares(pair) => {
                let (a, b) = (&pair.0, &pair.1);
                let clash = a.body.view == b.body.view
                    && a.body.seq == b.body.seq
                    && a.body.digest != b.body.digest;
                let proved = clash
                    && primary_signed(config, a.body.view, a)
                    && primary_signed(config, b.body.view, b);
                if !proved {
                    return None;
                }
                convict(a.signer, a.body.view, "two PRE-PREPAREs for one sequence number")
            }
            Self::TwoNewViews(pair) => {
                let (a, b) = (&pair.0, &pair.1);
                let clash = a.body.view == b.body.view && a.digest() != b.digest();
                let proved = clash
                    && primary_signed(config, a.body.view, a)
                    && primary_signed(config, b.body.view, b);
                if !proved {
                    return None;
                }
                convict(a.signer, a.body.view, "two NEW-VIEWs for one view")
            }
            Self::NewViewAgainstPrePrepare(pair) => {
                let (new_view, pre_prepare) = (&pair.0, &pair.1);
                let view = new_view.body.view;
                let clash = pre_prepare.body.view == view
                    && new_view.body.contradicts(pre_prepare.body.seq, pre_prepare.body.digest);
                let proved = clash
                    && primary_signed(config, view, new_view)
                    && primary_signed(config, view, pre_prepare);
                if !proved {
                    return None;
                }
                convict(new_view.signer, view, "a PRE-PREPARE against its own NEW-VIEW")
            }
            Self::TwoViewChanges(a, b) => {
                let clash = a.signer == b.signer
                    && a.body.new_view == b.body.new_view
                    && a.digest() != b.digest();
                let key = config.replica_key(a.signer)?;
                let proved = clash
                    && a.claim(&config.domain, key).holds()
                    && b.claim(&config.domain, key).holds();
                if !proved {
                    return None;
                }
                convict(a.signer, a.body.new_view, "two VIEW-CHANGEs for one view")
            }
        }
    }

    /// A short name of the kind, for file names and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TwoPrePrepares(_) => "two-pre-prepares",
            Self::TwoNewViews(_) => "two-new-views",
            Self::NewViewAgainstPrePrepare(_) => "new-view-against-pre-prepare",
            Self::TwoViewChanges(..) => "two-view-changes",
        }
    }
}

fn primary_signed<T: crate::message::SignedBody>(
    config: &Config,
    view: View,
    signed: &Signed<T>,
) -> bool {
    signed.signer == config.primary(view)
        && config
            .replica_key(signed.signer)
            .is_some_and(|key| signed.claim(&config.domain, key).holds())
}

impl NewView {
    /// Whether it chose, for this number, something else than `digest`.
    pub fn contradicts(&self, seq: crate::SeqNum, digest: Digest) -> bool {
        self.choice_at(seq).is_some_and(|chosen| chosen != digest)
    }
}

/// Why a replica stopped for good: it doubts its own state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum HaltReason {
    /// More peers than can be faulty durably remember a start of this replica that its own disk
    /// does not: the disk was lost or rolled back.
    Amnesia {
        /// The boot counter on this disk.
        own: u64,
        /// The counter that a weak quorum of peers has seen at least.
        seen: u64,
    },
    /// A REJOIN of this replica was executed that its disk knows nothing of.
    Replaced {
        /// The incarnation that has taken its place.
        by: crate::Incarnation,
    },
    /// More replicas than can be faulty have another state at this checkpoint.
    Diverged {
        /// The checkpoint.
        seq: crate::SeqNum,
    },
    /// Re-execution or restart led to another checkpoint than the one this replica signed.
    OwnCheckpointChanged {
        /// The checkpoint.
        seq: crate::SeqNum,
    },
    /// Two quorums vouch for two batches at one number: more than f replicas are faulty.
    TooManyFaults {
        /// The number.
        seq: crate::SeqNum,
    },
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amnesia { own, seen } => write!(
                f,
                "this replica's data folder was lost or rolled back: its disk knows of {own} \
                 starts, this one included, and other replicas remember another one, number \
                 {seen}; it must not vote with a memory that has a hole. Restore the original \
                 folder, or let the replica rejoin without one: quorate replica --rejoin"
            ),
            Self::Replaced { by } => write!(
                f,
                "this replica has rejoined as incarnation {by} with another data folder: this \
                 folder is from before that, or another process uses the same keys"
            ),
            Self::Diverged { seq } => write!(
                f,
                "the state at checkpoint {seq} differs from that of f+1 other replicas: this \
                 replica's memory, disk or service is at fault"
            ),
            Self::OwnCheckpointChanged { seq } => write!(
                f,
                "executing up to checkpoint {seq} again gave another state than the one this \
                 replica signed: its service is not deterministic or its disk is damaged"
            ),
            Self::TooManyFaults { seq } => write!(
                f,
                "two different batches are vouched for at sequence number {seq}: more than f \
                 replicas are faulty"
            ),
        }
    }
}
