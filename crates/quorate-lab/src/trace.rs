//! What happened in a run, line by line: for people, pictures and counts.

use borsh::{BorshDeserialize, BorshSerialize};
use pbft::message::{Kind, Reply, ReplyBody};
use pbft::{
    ClientId, Digest, Event, Message, Reject, ReplicaId, SeqNum, Time, View, ViewChangeCause,
};
use quorate_adversary::Endpoint;
use serde::Serialize;

/// Who sends or receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Party {
    /// A replica, written `r0`.
    Replica(ReplicaId),
    /// A client, written `c0`.
    Client(ClientId),
}

/// One line of a trace. Times are microseconds of virtual time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// A message reached the end of its way, wherever that was.
    Message(MessageLine),
    /// Something happened at a replica.
    Event(EventLine),
    /// The world changed.
    Fault {
        /// When.
        at: u64,
        /// What became different.
        what: String,
    },
    /// A client called an operation.
    Called {
        /// When.
        at: u64,
        /// Which client.
        client: u32,
        /// Which operation of the run, from 0.
        operation: usize,
        /// On which key, and what.
        what: String,
    },
    /// A client accepted an answer.
    Answered {
        /// When.
        at: u64,
        /// Which client.
        client: u32,
        /// Which operation of the run, from 0.
        operation: usize,
        /// What the answer says.
        result: String,
    },
}

/// A message and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageLine {
    /// When it arrived, or was lost.
    pub at: u64,
    /// When it was sent.
    pub sent: u64,
    /// By whom.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// What kind of message, by the papers' name; `GARBAGE` if the bytes were none.
    pub kind: &'static str,
    /// The view it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// The sequence number it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The beginning of the digest it speaks of; of a REPLY, that of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Which request, for REQUEST and REPLY: session and timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<(u64, u64)>,
    /// Whether it serves to open a client's session, not to order an operation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub session: bool,
    /// What became of it.
    pub fate: Fate,
    /// Why the receiver refused it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_words")]
    pub reason: Option<Reject>,
}

fn in_words<S: serde::Serializer>(
    reason: &Option<Reject>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match reason {
        Some(reason) => serializer.collect_str(reason),
        None => serializer.serialize_none(),
    }
}

/// What stands in the place of a kind where bytes were no message.
pub(crate) const GARBAGE: &str = "GARBAGE";

/// What a world says when everything is mended.
pub const HEALED: &str = "everything is mended, and only faulty replicas stay as they are";

/// What a world says when all links are mended.
pub(crate) const MENDED: &str = "every link carries again";

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The receiver handled it.
    Handled,
    /// The receiver handled it and found that it must not be believed.
    Refused,
    /// A replica handled its own message, which no network carried.
    Own,
    /// The receiver accepts everything and looks at nothing.
    Discarded,
    /// Nobody was there.
    Down,
    /// The network lost it.
    Lost,
}

impl Fate {
    /// Whether somebody handled the message.
    pub const fn is_handled(self) -> bool {
        matches!(self, Self::Handled | Self::Refused | Self::Own)
    }
}

/// Something that happened at a replica.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventLine {
    /// When.
    pub at: u64,
    /// Where.
    pub replica: Party,
    /// What.
    pub event: &'static str,
    /// In which view, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// At which number, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The beginning of the digest, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// More, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What the words say of another replica, for those who do not read words.
    #[serde(skip)]
    pub against: Option<Against>,
    /// How many requests a batch has, if it is about one.
    #[serde(skip)]
    pub requests: Option<usize>,
}

/// What a replica found fault with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// A message of this replica, for this reason.
    Message(ReplicaId, Kind, Reject),
    /// This replica, with a proof.
    Proved(ReplicaId),
}

impl MessageLine {
    pub(crate) fn new(
        (sent, at): (Time, Time),
        (from, to): (Endpoint, Endpoint),
        message: Option<&Message>,
        fate: Fate,
    ) -> Self {
        let Subject { view, seq, digest } = message.map(subject).unwrap_or_default();
        let digest = digest.or(match message {
            Some(Message::Reply(reply)) => Some(result_digest(reply)),
            _ => None,
        });
        let request = match message {
            Some(Message::Request(signed)) => {
                let request = signed.request();
                Some((request.session.get(), request.timestamp.get()))
            }
            Some(Message::Reply(reply)) => Some((reply.session.get(), reply.timestamp.get())),
            _ => None,
        };
        Self {
            at: at.as_micros(),
            sent: sent.as_micros(),
            from: from.into(),
            to: to.into(),
            kind: message.map_or(GARBAGE, |message| message.kind().name()),
            view: view.map(View::get),
            seq: seq.map(SeqNum::get),
            digest: digest.map(short),
            request,
            session: false,
            fate,
            reason: None,
        }
    }
}

/// What a message speaks of.
#[derive(Default)]
pub(crate) struct Subject {
    pub(crate) view: Option<View>,
    pub(crate) seq: Option<SeqNum>,
    pub(crate) digest: Option<Digest>,
}

/// What `message` speaks of.
pub(crate) fn subject(message: &Message) -> Subject {
    let (view, seq, digest) = match message {
        Message::PrePrepare(signed, _) | Message::Outline(signed, _) => {
            (Some(signed.body.view), Some(signed.body.seq), Some(signed.body.digest))
        }
        Message::Prepare(vote) | Message::Commit(vote) => {
            (Some(vote.view), Some(vote.seq), Some(vote.digest))
        }
        Message::Checkpoint(signed) => {
            (None, Some(signed.body.seq), Some(signed.body.id.state_root))
        }
        Message::ViewChange(signed) => {
            (Some(signed.body.new_view), Some(signed.body.low_water_mark), None)
        }
        Message::NewView(proof) => (Some(proof.new_view.body.view), None, None),
        Message::Status(status) => (Some(status.view), Some(status.last_executed), None),
        Message::Committed(committed) => (None, Some(committed.seq), Some(committed.digest)),
        Message::FetchBatch(digest) => (None, None, Some(*digest)),
        Message::Batch(batch) => (None, None, Some(batch.digest())),
        Message::Reply(reply) => (Some(reply.view), None, Some(result_digest(reply))),
        Message::FetchPrePrepare(view, seq) => (Some(*view), Some(*seq), None),
        Message::PrePrepareSeen(signed) => {
            (Some(signed.body.view), Some(signed.body.seq), Some(signed.body.digest))
        }
        _ => (None, None, None),
    };
    Subject { view, seq, digest }
}

/// The digest of the result that a REPLY brings, whole or as its digest.
pub(crate) fn result_digest(reply: &Reply) -> Digest {
    match &reply.body {
        ReplyBody::Full(outcome) => outcome.digest(),
        ReplyBody::Digest(digest) => *digest,
    }
}

/// The part of a digest that people compare.
pub(crate) fn short(digest: Digest) -> String {
    digest.as_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl EventLine {
    pub(crate) fn new(at: Time, replica: ReplicaId, event: &Event) -> Self {
        let mut line = Self {
            at: at.as_micros(),
            replica: Party::Replica(replica),
            event: event_name(event),
            view: None,
            seq: None,
            digest: None,
            detail: None,
            against: None,
            requests: None,
        };
        match *event {
            Event::Admitted => {}
            Event::StartNotKnown { peer, seen } => {
                line.detail = Some(format!("replica {peer} remembers start {seen}"));
            }
            Event::Rejected { from, kind, reason } => {
                line.against = Some(Against::Message(from, kind, reason));
                line.detail = Some(format!("{} from replica {from}: {reason}", kind.name()));
            }
            Event::RequestWaiting { client, timestamp, .. } => {
                line.detail = Some(format!("request {timestamp} of client {client}"));
            }
            Event::PrePrepared { view, seq, digest, requests } => {
                line.about(Some(view), Some(seq), Some(digest));
                line.detail = Some(format!("{requests} requests"));
                line.requests = Some(requests);
            }
            Event::Prepared { view, seq, digest } => {
                line.about(Some(view), Some(seq), Some(digest));
            }
            Event::Committed { seq, digest } => line.about(None, Some(seq), Some(digest)),
            Event::ExecutedTentatively { view, seq, digest, requests } => {
                line.about(Some(view), Some(seq), Some(digest));
                line.detail = Some(format!("{requests} requests"));
                line.requests = Some(requests);
            }
            Event::RolledBack { seq } => line.about(None, Some(seq), None),
            Event::Executed { seq, digest, requests } => {
                line.about(None, Some(seq), Some(digest));
                line.detail = Some(format!("{requests} requests"));
                line.requests = Some(requests);
            }
            Event::CheckpointTaken { seq, id } | Event::CheckpointStable { seq, id } => {
                line.about(None, Some(seq), Some(id.state_root));
            }
            Event::ViewChangeStarted { view, cause } => {
                line.about(Some(view), None, None);
                line.detail = Some(cause_text(cause).to_owned());
            }
            Event::NewViewTimerStarted { view, deadline } => {
                line.about(Some(view), None, None);
                line.detail = Some(format!("until {} us", deadline.as_micros()));
            }
            Event::ViewEntered { view } => line.about(Some(view), None, None),
            Event::StateTransferStarted { seq } | Event::StateTransferred { seq } => {
                line.about(None, Some(seq), None);
            }
            Event::RejoinExecuted { replica, seq, incarnation } => {
                line.about(None, Some(seq), None);
                line.detail = Some(format!("replica {replica}, incarnation {incarnation}"));
            }
            Event::EvidenceFound { replica, view } => {
                line.about(Some(view), None, None);
                line.detail = Some(format!("against replica {replica}"));
                line.against = Some(Against::Proved(replica));
            }
            Event::Halted(reason) => line.detail = Some(reason.to_string()),
        }
        line
    }

    /// What happened, in words.
    pub(crate) fn describe(&self) -> String {
        let view = self.view.map(|view| format!(", view {view}"));
        let seq = self.seq.map(|seq| format!(", number {seq}"));
        let detail = self.detail.as_ref().map(|detail| format!(": {detail}"));
        let parts = [view, seq, detail].into_iter().flatten();
        parts.fold(self.event.to_owned(), |text, part| text + &part)
    }

    fn about(&mut self, view: Option<View>, seq: Option<SeqNum>, digest: Option<Digest>) {
        self.view = view.map(View::get);
        self.seq = seq.map(SeqNum::get);
        self.digest = digest.map(short);
    }
}

/// Why replicas leave a view, as far as others ask for it by name.
pub(crate) const WAITED: &str = "a request waited too long";
pub(crate) const JOINED: &str = "f+1 others have left";
const SLOW: &str = "the primary is slow";

fn cause_text(cause: ViewChangeCause) -> &'static str {
    match cause {
        ViewChangeCause::RequestTimeout => WAITED,
        ViewChangeCause::NewViewTimeout => "the new view did not begin in time",
        ViewChangeCause::Joined => JOINED,
        ViewChangeCause::BadNewView => "the NEW-VIEW does not follow from its VIEW-CHANGEs",
        ViewChangeCause::PrimaryLied => "the primary was caught lying",
        ViewChangeCause::Rejoin => "a replica rejoins",
        ViewChangeCause::SlowPrimary => SLOW,
    }
}

/// Every name of an event.
pub const EVENT_NAMES: [&str; 20] = [
    "admitted",
    "rejected",
    "request waiting",
    "pre-prepared",
    "prepared",
    "committed",
    "executed",
    "checkpoint taken",
    "checkpoint stable",
    "view change started",
    "new-view timer started",
    "view entered",
    "state transfer started",
    "state transferred",
    "rejoin executed",
    "evidence found",
    "halted",
    "start not known",
    "executed tentatively",
    "rolled back",
];

/// The name of an event.
pub(crate) fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Admitted => "admitted",
        Event::Rejected { .. } => "rejected",
        Event::RequestWaiting { .. } => "request waiting",
        Event::PrePrepared { .. } => "pre-prepared",
        Event::Prepared { .. } => "prepared",
        Event::Committed { .. } => "committed",
        Event::Executed { .. } => "executed",
        Event::CheckpointTaken { .. } => "checkpoint taken",
        Event::CheckpointStable { .. } => "checkpoint stable",
        Event::ViewChangeStarted { .. } => "view change started",
        Event::NewViewTimerStarted { .. } => "new-view timer started",
        Event::ViewEntered { .. } => "view entered",
        Event::StateTransferStarted { .. } => "state transfer started",
        Event::StateTransferred { .. } => "state transferred",
        Event::RejoinExecuted { .. } => "rejoin executed",
        Event::EvidenceFound { .. } => "evidence found",
        Event::Halted(_) => "halted",
        Event::StartNotKnown { .. } => "start not known",
        Event::ExecutedTentatively { .. } => "executed tentatively",
        Event::RolledBack { .. } => "rolled back",
    }
}

impl From<Endpoint> for Party {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Replica(replica) => Self::Replica(replica),
            Endpoint::Client(client) => Self::Client(client),
        }
    }
}

impl From<Party> for Endpoint {
    fn from(party: Party) -> Self {
        match party {
            Party::Replica(replica) => Self::Replica(replica),
            Party::Client(client) => Self::Client(client),
        }
    }
}

impl Serialize for Party {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Replica(replica) => serializer.collect_str(&format_args!("r{replica}")),
            Self::Client(client) => serializer.collect_str(&format_args!("c{client}")),
        }
    }
}

/// Whether a kind is one of the three phases of agreement, or the reply.
pub(crate) const fn is_agreement(kind: Kind) -> bool {
    matches!(kind, Kind::PrePrepare | Kind::Prepare | Kind::Commit | Kind::Reply)
}
