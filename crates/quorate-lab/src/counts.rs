//! Messages counted where they are handled, phase by phase.
//!
//! The sums are those of the Python teaching program: with every self-delivery counted, one request
//! among n correct replicas costs n PRE-PREPAREs, n(n-1) PREPAREs, n² COMMITs and n REPLYs, 2n²+n in
//! all. Unlike there they are final counts, and each message counts for the replica that sent it.

use crate::trace::{Fate, Subject, is_agreement, subject};
use pbft::message::{Batch, Kind, RequestBody};
use pbft::{Digest, Epoch, Message, ReplicaId, SeqNum, View, wire};
use quorate_adversary::Endpoint;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What was handled in a run. Every number but those of bytes is a number of lines of its trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MessageCounts {
    /// PRE-PREPAREs that came over the network.
    pub pre_prepare: u64,
    /// How many bytes those were on the wire.
    pub pre_prepare_bytes: u64,
    /// PREPAREs that came over the network.
    pub prepare: u64,
    /// COMMITs that came over the network.
    pub commit: u64,
    /// REPLYs handled by clients.
    pub reply: u64,
    /// How many bytes those were on the wire.
    pub reply_bytes: u64,
    /// CHECKPOINTs.
    pub checkpoint: u64,
    /// VIEW-CHANGEs.
    pub view_change: u64,
    /// NEW-VIEWs.
    pub new_view: u64,
    /// STATUS.
    pub status: u64,
    /// Parts of states, and what asks for them.
    pub state_transfer: u64,
    /// Everything else: HELLO, REQUEST, repair, all that served to open sessions, and garbage.
    pub other: u64,
    /// The three phases and REPLY, without self-deliveries: what a network carries.
    pub total: u64,
    /// The three phases and REPLY, with self-deliveries.
    pub total_with_self: u64,
    /// `total_with_self` for each request completed.
    pub per_request_with_self: f64,
    /// For each replica.
    pub per_replica: Vec<ReplicaCounts>,
}

/// The part of one replica in the three phases and REPLY, with self-deliveries.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplicaCounts {
    /// Which replica.
    pub replica: u32,
    /// Messages that it handled.
    pub handled: u64,
    /// Messages that it sent and somebody handled.
    pub sent: u64,
    /// `sent` as a share of all.
    pub share: f64,
}

/// Counts while a run goes on.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// Messages of the three phases and REPLYs that did not serve to open sessions.
    agreement: BTreeMap<(Kind, Endpoint, Endpoint), u64>,
    /// Everything else.
    others: BTreeMap<Kind, u64>,
    sessions: u64,
    /// The length of all REPLYs that did not serve to open sessions.
    reply_bytes: u64,
    /// The length of all PRE-PREPAREs that came over the network and did not serve to open sessions.
    pre_prepare_bytes: u64,
    /// Bytes that are no messages.
    garbage: u64,
    /// Batches that do nothing but open sessions.
    session_batches: BTreeSet<Digest>,
    /// Where the first batch proposed is such a one: a vote there for anything else, which a faulty
    /// replica made up, is about opening sessions too.
    session_slots: BTreeMap<(View, SeqNum), bool>,
}

impl Counter {
    /// A message was handled, or bytes that are none.
    pub(crate) fn handled(
        &mut self,
        from: Endpoint,
        to: Endpoint,
        message: Option<&Message>,
        fate: Fate,
    ) {
        debug_assert!(fate.is_handled(), "only what is handled counts");
        let Some(message) = message else {
            self.garbage += 1;
            return;
        };
        let kind = message.kind();
        if let Some(signed) = message.pre_prepare() {
            let for_sessions = match message {
                Message::PrePrepare(_, batch) => opens_sessions_only(batch),
                // What opens a session is short, and never only named.
                _ => false,
            };
            self.session_slots.entry((signed.body.view, signed.body.seq)).or_insert(for_sessions);
            if for_sessions {
                self.session_batches.insert(signed.body.digest);
            }
        }
        if !is_agreement(kind) {
            *self.others.entry(kind).or_default() += 1;
        } else if !self.opens_sessions(message) {
            *self.agreement.entry((kind, from, to)).or_default() += 1;
            let bytes = || wire::encode(Epoch::ZERO, message).len() as u64;
            match kind {
                Kind::Reply => self.reply_bytes += bytes(),
                Kind::PrePrepare if from != to => self.pre_prepare_bytes += bytes(),
                _ => {}
            }
        } else if from != to {
            self.sessions += 1;
        }
    }

    /// A message was handled that its sender had sent before, because something was late: it counts
    /// as repair.
    pub(crate) fn repeated(&mut self) {
        *self.others.entry(Kind::Repair).or_default() += 1;
    }

    /// Whether a message serves to open a client's session, not to order an operation.
    pub(crate) fn opens_sessions(&self, message: &Message) -> bool {
        match message {
            Message::Request(signed) => signed.request().timestamp.get() == 0,
            Message::Reply(reply) => reply.timestamp.get() == 0,
            _ => match subject(message) {
                Subject { view: Some(view), seq: Some(seq), digest: Some(digest) } => {
                    self.session_batches.contains(&digest)
                        || self.session_slots.get(&(view, seq)).is_some_and(|is| *is)
                }
                _ => false,
            },
        }
    }

    pub(crate) fn finish(&self, replica_count: u32, requests_completed: u64) -> MessageCounts {
        let other = |kind: Kind| self.others.get(&kind).copied().unwrap_or(0);
        let mut counts = MessageCounts {
            reply_bytes: self.reply_bytes,
            pre_prepare_bytes: self.pre_prepare_bytes,
            checkpoint: other(Kind::Checkpoint),
            view_change: other(Kind::ViewChange),
            new_view: other(Kind::NewView),
            status: other(Kind::Status),
            state_transfer: other(Kind::StateTransfer),
            other: [Kind::Hello, Kind::Request, Kind::Repair, Kind::Rejoin]
                .map(other)
                .iter()
                .sum::<u64>()
                + self.sessions
                + self.garbage,
            per_replica: (0..replica_count)
                .map(|replica| ReplicaCounts { replica, ..ReplicaCounts::default() })
                .collect(),
            ..MessageCounts::default()
        };
        for ((kind, from, to), number) in &self.agreement {
            counts.total_with_self += number;
            if let Some(sender) = part(&mut counts.per_replica, *from) {
                sender.sent += number;
            }
            if let Some(receiver) = part(&mut counts.per_replica, *to) {
                receiver.handled += number;
            }
            if from == to {
                continue;
            }
            counts.total += number;
            match kind {
                Kind::PrePrepare => counts.pre_prepare += number,
                Kind::Prepare => counts.prepare += number,
                Kind::Commit => counts.commit += number,
                _ => counts.reply += number,
            }
        }
        let all = counts.total_with_self as f64;
        if counts.total_with_self > 0 {
            for part in &mut counts.per_replica {
                part.share = part.sent as f64 / all;
            }
        }
        if requests_completed > 0 {
            counts.per_request_with_self = all / requests_completed as f64;
        }
        counts
    }
}

fn part(parts: &mut [ReplicaCounts], endpoint: Endpoint) -> Option<&mut ReplicaCounts> {
    let Endpoint::Replica(replica) = endpoint else { return None };
    parts.get_mut(ReplicaId::get(replica) as usize)
}

fn opens_sessions_only(batch: &Batch) -> bool {
    !batch.requests.is_empty()
        && batch
            .requests
            .iter()
            .all(|signed| matches!(signed.request().body, RequestBody::OpenSession))
}
