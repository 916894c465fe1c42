//! Who did wrong in a run, concluded from what the protocol saw and nothing else: the labels of a
//! scenario are not looked at.
//!
//! Only evidence proves a lie, to anybody. Everything else makes a replica suspect: what one replica
//! says about another may itself be a lie, so f+1 of them must say it; silence and slowness may
//! always be the network's.

use crate::trace::{result_digest, subject};
use core::time::Duration;
use pbft::message::Kind;
use pbft::{
    ClientId, Conviction, Digest, Event, Evidence, Message, Reject, ReplicaId, SeqNum, Time,
    Timestamp, View, ViewChangeCause,
};
use std::collections::{BTreeMap, BTreeSet};

/// A replica that did wrong, or seems to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// Which replica.
    pub replica: ReplicaId,
    /// Whether its own signatures prove it.
    pub proved: bool,
    /// What it did, in words.
    pub what: String,
    /// The proof, if there is one.
    pub evidence: Option<Evidence>,
}

/// Collects what the protocol sees while a run goes on.
#[derive(Debug)]
pub(crate) struct Suspicions {
    /// A reply that comes so much later than the quorum's is slow.
    slow: Duration,
    proofs: BTreeMap<(ReplicaId, &'static str), (View, Evidence)>,
    accusations: BTreeMap<(ReplicaId, Accusation), BTreeSet<ReplicaId>>,
    /// Who saw which digest voted for, by whom.
    votes: BTreeMap<Ballot, BTreeSet<ReplicaId>>,
    /// Digests that the primary of a view was seen to propose.
    proposed: BTreeSet<(View, SeqNum, Digest)>,
    committed: BTreeMap<SeqNum, Digest>,
    /// Which replicas each replica heard anything of.
    heard: BTreeMap<ReplicaId, BTreeSet<ReplicaId>>,
    replies: BTreeMap<(ClientId, Timestamp), Replies>,
}

/// Something that one replica holds against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Accusation {
    AsPrimary(View, ViewChangeCause),
    /// What was refused, if it was a message at all.
    Refused(Option<Kind>, Reject),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ballot {
    by: ReplicaId,
    kind: Kind,
    view: View,
    seq: SeqNum,
    digest: Digest,
}

/// The replies to one request.
#[derive(Debug, Default)]
struct Replies {
    each: BTreeMap<ReplicaId, (Time, Digest)>,
}

/// How much later, in the times of a scenario file.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

impl Default for Suspicions {
    fn default() -> Self {
        Self::new(SLOW)
    }
}

impl Suspicions {
    /// Nothing is suspected yet. A reply that comes `slow` after the quorum's will be.
    pub(crate) fn new(slow: Duration) -> Self {
        Self {
            slow,
            proofs: BTreeMap::new(),
            accusations: BTreeMap::new(),
            votes: BTreeMap::new(),
            proposed: BTreeSet::new(),
            committed: BTreeMap::new(),
            heard: BTreeMap::new(),
            replies: BTreeMap::new(),
        }
    }

    pub(crate) fn proved(&mut self, conviction: Conviction, evidence: &Evidence) {
        let key = (conviction.replica, conviction.lie);
        self.proofs.entry(key).or_insert_with(|| (conviction.view, evidence.clone()));
    }

    /// A replica handled, or refused, what another one sent.
    pub(crate) fn seen(
        &mut self,
        at: ReplicaId,
        from: ReplicaId,
        message: Option<&Message>,
        refusal: Option<Reject>,
    ) {
        self.heard.entry(at).or_default().insert(from);
        if let Some(reason) = refusal {
            return self.refused(at, from, message.map(Message::kind), reason);
        }
        let Some(message) = message else { return };
        let about = subject(message);
        let (Some(view), Some(seq), Some(digest)) = (about.view, about.seq, about.digest) else {
            return;
        };
        match message.kind() {
            Kind::PrePrepare => {
                self.proposed.insert((view, seq, digest));
            }
            kind @ (Kind::Prepare | Kind::Commit) => {
                let ballot = Ballot { by: from, kind, view, seq, digest };
                self.votes.entry(ballot).or_default().insert(at);
            }
            _ => {}
        }
    }

    /// Something happened at a replica.
    pub(crate) fn happened(
        &mut self,
        at: ReplicaId,
        event: &Event,
        primary: impl Fn(View) -> ReplicaId,
    ) {
        match *event {
            Event::Rejected { from, kind, reason } => self.refused(at, from, Some(kind), reason),
            Event::Committed { seq, digest } => {
                self.committed.entry(seq).or_insert(digest);
            }
            Event::ViewChangeStarted {
                cause: ViewChangeCause::Joined | ViewChangeCause::Rejoin,
                ..
            } => {}
            Event::ViewChangeStarted { view, cause } => {
                let left = View::new(view.get().saturating_sub(1));
                let accused = primary(left);
                // A primary that leaves its own view accuses nobody.
                if accused != at {
                    // Whether one request waited too long, or many a little, is one accusation.
                    let cause = match cause {
                        ViewChangeCause::SlowPrimary => ViewChangeCause::RequestTimeout,
                        cause => cause,
                    };
                    let accusation = Accusation::AsPrimary(left, cause);
                    self.accusations.entry((accused, accusation)).or_default().insert(at);
                }
            }
            _ => {}
        }
    }

    /// A client got a reply.
    pub(crate) fn replied(
        &mut self,
        now: Time,
        client: ClientId,
        from: ReplicaId,
        message: Option<&Message>,
    ) {
        let Some(Message::Reply(reply)) = message else { return };
        let replies = self.replies.entry((client, reply.timestamp)).or_default();
        replies.each.entry(from).or_insert((now, result_digest(reply)));
    }

    fn refused(&mut self, at: ReplicaId, from: ReplicaId, kind: Option<Kind>, reason: Reject) {
        if broken_rule(reason).is_some() {
            let accusation = Accusation::Refused(kind, reason);
            self.accusations.entry((from, accusation)).or_default().insert(at);
        }
    }

    /// Everybody who is proved or suspected to have done wrong, proofs first.
    pub(crate) fn culprits(&self, replica_count: u32) -> Vec<Culprit> {
        let weak_quorum = (replica_count as usize - 1) / 3 + 1;
        let mut culprits: Vec<Culprit> = self
            .proofs
            .iter()
            .map(|((replica, lie), (view, evidence))| Culprit {
                replica: *replica,
                proved: true,
                what: format!("{lie}, in view {view}"),
                evidence: Some(evidence.clone()),
            })
            .collect();
        let mut suspect = |replica: ReplicaId, what: String| {
            culprits.push(Culprit { replica, proved: false, what, evidence: None });
        };
        for ((replica, accusation), by) in &self.accusations {
            // Who left a view because of a proof says nothing that the proof does not say.
            let is_proved = match accusation {
                Accusation::AsPrimary(view, ViewChangeCause::PrimaryLied) => {
                    self.proofs.iter().any(|((liar, _), (at, _))| (liar, at) == (replica, view))
                }
                _ => false,
            };
            if by.len() >= weak_quorum && !is_proved {
                suspect(*replica, accusation.to_string());
            }
        }
        for (replica, what) in self.odd_votes(weak_quorum) {
            suspect(replica, what);
        }
        for (replica, what) in self.odd_replies(replica_count) {
            suspect(replica, what);
        }
        for replica in (0..replica_count).map(ReplicaId::new) {
            let deaf = self
                .heard
                .iter()
                .filter(|(at, heard)| **at != replica && !heard.contains(&replica));
            if deaf.count() >= weak_quorum {
                suspect(replica, "nothing was heard of it".to_owned());
            }
        }
        culprits
    }

    /// Who voted, before f+1 replicas, for digests that no primary proposed and that were not
    /// committed.
    fn odd_votes(&self, weak_quorum: usize) -> BTreeSet<(ReplicaId, String)> {
        let is_odd = |ballot: &Ballot| {
            self.committed.get(&ballot.seq).is_some_and(|committed| *committed != ballot.digest)
                && !self.proposed.contains(&(ballot.view, ballot.seq, ballot.digest))
        };
        let odd =
            self.votes.iter().filter(|(ballot, by)| by.len() >= weak_quorum && is_odd(ballot));
        let mut kinds: BTreeMap<ReplicaId, BTreeSet<&str>> = BTreeMap::new();
        for (ballot, _) in odd {
            kinds.entry(ballot.by).or_default().insert(ballot.kind.name());
        }
        let what = |kinds: BTreeSet<&str>| {
            let kinds: Vec<&str> = kinds.into_iter().rev().collect();
            format!("its {} named a batch that nobody proposed", kinds.join(" and its "))
        };
        kinds.into_iter().map(|(replica, kinds)| (replica, what(kinds))).collect()
    }

    /// Who answered clients otherwise than a quorum, or much later.
    fn odd_replies(&self, replica_count: u32) -> BTreeSet<(ReplicaId, String)> {
        let faults = (replica_count as usize - 1) / 3;
        let quorum = (replica_count as usize + faults) / 2 + 1;
        let mut odd = BTreeSet::new();
        for replies in self.replies.values() {
            let mut times: BTreeMap<Digest, Vec<Time>> = BTreeMap::new();
            for (at, digest) in replies.each.values() {
                times.entry(*digest).or_default().push(*at);
            }
            let Some((accepted, times)) = times.iter_mut().find(|(_, t)| t.len() >= quorum) else {
                continue;
            };
            times.sort_unstable();
            let known_at = times[quorum - 1];
            for (replica, (at, digest)) in &replies.each {
                if digest != accepted {
                    let what = "its REPLY contradicts what a quorum answered";
                    odd.insert((*replica, what.to_owned()));
                } else if at.since(known_at) > self.slow {
                    let what = "its REPLY came long after those of a quorum";
                    odd.insert((*replica, what.to_owned()));
                }
            }
        }
        odd
    }
}

/// The rule that a message broke which was refused for this reason; none if correct replicas send
/// such messages too.
pub(crate) const fn broken_rule(reason: Reject) -> Option<&'static str> {
    Some(match reason {
        Reject::Undecodable => "its bytes are no message",
        Reject::OutOfRange => "it names a view or number beyond what can be reached",
        Reject::OverLimit => "it is longer than a limit allows",
        Reject::BadSignature => "its signature does not verify",
        Reject::WrongDigest => "its digest is not that of what it carries",
        Reject::ForgedSender => "it speaks in the name of another",
        Reject::NotThePrimary => "only the primary of that view may send it",
        Reject::NotACheckpoint => "no checkpoint is taken at that number",
        Reject::MalformedProof => "its proof of a stable checkpoint proves nothing",
        Reject::MalformedBatch => "its batch contains a request twice",
        Reject::MalformedViewChange => "it breaks a rule that every VIEW-CHANGE keeps",
        Reject::MalformedNewView => "it does not match the VIEW-CHANGEs that come with it",
        Reject::PrepareFromPrimary => {
            "a primary must not send PREPARE, since its PRE-PREPARE stands for it"
        }
        Reject::Contradiction => "it contradicts what the sender said first in its place",
        Reject::Unjustified => "it does not follow from the VIEW-CHANGEs that justify it",
        Reject::UnknownVersion
        | Reject::WrongEpoch
        | Reject::UnknownReplica
        | Reject::UnknownClient
        | Reject::NotForClients
        | Reject::NotForReplicas
        | Reject::Incompatible
        | Reject::NotOffered
        | Reject::Starting
        | Reject::WrongView
        | Reject::OutsideWindow
        | Reject::Duplicate
        | Reject::ClockSkew
        | Reject::Stale
        | Reject::ClientWindow
        | Reject::Unsolicited
        | Reject::TooOften => return None,
    })
}

impl core::fmt::Display for Accusation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::AsPrimary(
                view,
                ViewChangeCause::RequestTimeout | ViewChangeCause::SlowPrimary,
            ) => {
                write!(f, "as the primary of view {view} it let requests wait too long")
            }
            Self::AsPrimary(view, ViewChangeCause::NewViewTimeout) => {
                write!(f, "as the primary of view {view} it did not begin it in time")
            }
            Self::AsPrimary(view, ViewChangeCause::BadNewView) => {
                write!(f, "its NEW-VIEW for view {view} does not follow from its VIEW-CHANGEs")
            }
            Self::AsPrimary(
                view,
                ViewChangeCause::PrimaryLied | ViewChangeCause::Joined | ViewChangeCause::Rejoin,
            ) => {
                write!(f, "as the primary of view {view} it was caught lying")
            }
            Self::Refused(kind, reason) => {
                let what = kind.map_or("garbage", Kind::name);
                let rule = broken_rule(*reason).unwrap_or("it breaks a rule");
                write!(f, "its {what} was refused: {rule}")
            }
        }
    }
}
