//! What a run came to: its verdict, the hash of everything that happened, and counts.

use super::clients::{AskedAlone, Clients, Reads};
use super::machine::Machine;
use super::processor::Worked;
use crate::checker::{LINEARIZABILITY, Violation};
use crate::counts::{Counter, MessageCounts};
use crate::culprits::{Culprit, Suspicions};
use crate::linearizability::{self, History};
use crate::pace::Pace;
use crate::trace::{Fate, Subject, event_name, subject};
use core::fmt;
use pbft::message::{Batch, Kind, Reply, ReplyBody};
use pbft::{
    Config, Conviction, Event, Evidence, Held, Message, Reject, ReplicaId, SeqNum, Time, View,
    ViewChangeCause,
};
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// A hash of everything that happened, in order.
    pub trace_hash: u64,
    /// When it ended, in virtual time.
    pub ended: Time,
    /// What was counted.
    pub counts: Counts,
    /// Messages, where they were handled.
    pub messages: MessageCounts,
    /// Who is proved, or suspected, to have done wrong.
    pub culprits: Vec<Culprit>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every property held and all work was done in time.
    Pass,
    /// Every safety property held, but the work was not done in time. Says where everybody stood.
    NoProgress(String),
    /// A property did not hold.
    Violation(Violation),
}

/// What was counted in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that left a replica or client, by kind.
    pub sent: BTreeMap<Kind, u64>,
    /// Events, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Messages that correct replicas dropped, by whose link they came on and why.
    pub rejected: BTreeMap<(Endpoint, Reject), u64>,
    /// Replicas that evidence convicts.
    pub convicted: BTreeSet<ReplicaId>,
    /// Replicas that stopped of themselves at any time, and why they last did.
    pub stopped: BTreeMap<ReplicaId, String>,
    /// How fast the clients were answered.
    pub pace: Pace,
    /// The processor time that was taken.
    pub worked: Worked,
    /// Operations answered.
    pub operations: u64,
    /// Requests answered, each of one operation or more under one signature.
    pub requests: u64,
    /// Writes and syncs of each replica's disk since it last came up.
    pub disk_operations: Vec<u64>,
    /// Views that any replica entered.
    pub views_entered: u64,
    /// How often a correct replica entered a view without having entered the one before it.
    pub views_skipped: u64,
    /// How often a correct replica left a view because its primary was slow.
    pub slow_primaries: u64,
    /// NEW-VIEWs of correct primaries that choose a null request.
    pub null_choices: u64,
    /// Operations that were read and not ordered.
    pub reads: u64,
    /// Those of them that were read twice, since replicas were caught at different revisions.
    pub reads_again: u64,
    /// Operations that were to be read, and had to be ordered after all.
    pub reads_ordered: u64,
    /// Requests of correct clients that went to the primary alone at first.
    pub requests_to_primary: u64,
    /// Those of them that went to all later.
    pub requests_sent_on: u64,
    /// REPLYs of correct replicas with the digest of a result in its place.
    pub digest_replies: u64,
    /// PRE-PREPAREs of correct replicas that named requests.
    pub outlines: u64,
    /// At how many backups at once, each client counted by itself, a correct primary's named requests
    /// had lately not arrived in time.
    pub requests_asked_for: usize,
    /// Messages of agreement that met a correct replica whose window had not come up yet.
    pub window_races: u64,
    /// Machines that found a write which a crash had interrupted.
    pub torn_tails: u64,
    /// PREPAREs and COMMITs that each replica sent since it last lost its memory.
    pub votes_since_loss: BTreeMap<ReplicaId, u64>,
    /// The highest view any correct replica was active in.
    pub view: View,
    /// The highest number a correct replica executed.
    pub last_executed: SeqNum,
    /// The virtual time between healing and the end.
    pub recovery: core::time::Duration,
}

/// Collects what happens.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hash: u64,
    counts: Counts,
    messages: Counter,
    suspicions: Suspicions,
    entered: BTreeSet<View>,
    /// The view that each replica entered last.
    entered_last: BTreeMap<ReplicaId, View>,
    healed: Option<Time>,
}

impl Trace {
    /// A message arrived, or bytes that are none.
    pub(super) fn arrived(
        &mut self,
        at: Time,
        from: Endpoint,
        to: Endpoint,
        message: Option<&Message>,
    ) {
        let Some(message) = message else {
            return self.mix(&[at.as_micros(), number(from), number(to)]);
        };
        let Subject { view, seq, digest } = subject(message);
        let [a, b, c, d, e, f, g, h, ..] = *digest.unwrap_or_default().as_bytes();
        self.mix(&[
            at.as_micros(),
            number(from),
            number(to),
            message.kind() as u64,
            view.unwrap_or_default().get(),
            seq.unwrap_or_default().get(),
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        ]);
    }

    /// Somebody handled a message, or bytes that are none.
    pub(super) fn handled(
        &mut self,
        now: Time,
        (from, to): (Endpoint, Endpoint),
        message: Option<&Message>,
        fate: Fate,
        refusal: Option<Reject>,
    ) {
        self.messages.handled(from, to, message, fate);
        match (from, to) {
            (Endpoint::Replica(from), Endpoint::Replica(at)) if from != at => {
                self.suspicions.seen(at, from, message, refusal);
            }
            (Endpoint::Replica(from), Endpoint::Client(client)) => {
                self.suspicions.replied(now, client, from, message);
            }
            _ => {}
        }
    }

    /// Whether a message serves to open a session.
    pub(super) fn opens_sessions(&self, message: &Message) -> bool {
        self.messages.opens_sessions(message)
    }

    pub(super) fn departed(&mut self, kind: Kind) {
        *self.counts.sent.entry(kind).or_default() += 1;
    }

    pub(super) fn lost(&mut self, replica: ReplicaId) {
        self.counts.votes_since_loss.insert(replica, 0);
    }

    pub(super) fn stopped(&mut self, replica: ReplicaId, why: String) {
        self.counts.stopped.insert(replica, why);
    }

    pub(super) fn left(&mut self, replica: ReplicaId, message: &Message) {
        if let Message::Prepare(_) | Message::Commit(_) = message
            && let Some(votes) = self.counts.votes_since_loss.get_mut(&replica)
        {
            *votes += 1;
        }
    }

    pub(super) fn happened(
        &mut self,
        at: Time,
        replica: ReplicaId,
        event: &Event,
        config: &Config,
    ) {
        self.suspicions.happened(replica, event, |view| config.primary(view));
        if let Event::ViewEntered { view } = event
            && *view > View::ZERO
        {
            self.entered.insert(*view);
            let before = self.entered_last.insert(replica, *view).unwrap_or_default();
            self.counts.views_skipped += u64::from(*view > before.next());
        }
        if matches!(event, Event::ViewChangeStarted { cause: ViewChangeCause::SlowPrimary, .. }) {
            self.counts.slow_primaries += 1;
        }
        let name = event_name(event);
        *self.counts.events.entry(name).or_default() += 1;
        self.mix(&[at.as_micros(), u64::from(replica.get())]);
        for byte in name.bytes() {
            self.mix(&[u64::from(byte)]);
        }
    }

    /// A correct replica sent a message.
    pub(super) fn said(&mut self, message: &Message) {
        match message {
            Message::NewView(proof) => {
                let chooses_null = proof.new_view.body.chosen.contains(&Batch::NULL);
                self.counts.null_choices += u64::from(chooses_null);
            }
            Message::Reply(Reply { body: ReplyBody::Digest(_), .. }) => {
                self.counts.digest_replies += 1;
            }
            Message::Outline(..) => self.counts.outlines += 1,
            _ => {}
        }
    }

    /// What a correct replica holds.
    pub(super) fn held(&mut self, held: &Held) {
        self.counts.requests_asked_for = self.counts.requests_asked_for.max(held.asked_whole);
    }

    /// A message met a replica whose window had not come up yet.
    pub(super) fn raced(&mut self) {
        self.counts.window_races += 1;
    }

    pub(super) fn rejected(&mut self, from: Endpoint, reason: Reject) {
        *self.counts.rejected.entry((from, reason)).or_default() += 1;
    }

    pub(super) fn convicted(&mut self, at: Time, conviction: Conviction, evidence: &Evidence) {
        self.counts.convicted.insert(conviction.replica);
        self.suspicions.proved(conviction, evidence);
        self.mix(&[at.as_micros(), u64::from(conviction.replica.get())]);
    }

    pub(super) fn fault(&mut self, at: Time) {
        self.mix(&[at.as_micros()]);
    }

    pub(super) fn healed(&mut self, at: Time) {
        self.healed = Some(at);
        self.mix(&[at.as_micros()]);
    }

    pub(super) fn has_healed(&self) -> bool {
        self.healed.is_some()
    }

    pub(super) fn into_outcome(
        mut self,
        verdict: Verdict,
        ended: Time,
        clients: &Clients,
        machines: &[Machine],
    ) -> Outcome {
        self.counts.operations = clients.answered();
        self.counts.views_entered = self.entered.len() as u64;
        self.counts.requests = clients.requests_completed();
        let AskedAlone { requests, sent_on } = clients.asked_alone();
        self.counts.requests_to_primary = requests;
        self.counts.requests_sent_on = sent_on;
        let Reads { agreed, again, ordered } = clients.reads();
        self.counts.reads = agreed;
        self.counts.reads_again = again;
        self.counts.reads_ordered = ordered;
        self.counts.pace = clients.pace().clone();
        self.counts.recovery = self.healed.map_or_else(Default::default, |at| ended.since(at));
        let torn = machines.iter().filter(|machine| machine.has_found_torn_tail());
        self.counts.torn_tails = torn.count() as u64;
        self.counts.disk_operations = machines.iter().map(Machine::disk_operations).collect();
        for standing in machines.iter().filter(|m| !m.is_faulty()).filter_map(Machine::standing) {
            self.counts.last_executed = standing.last_executed.max(self.counts.last_executed);
            if standing.is_active {
                self.counts.view = standing.view.max(self.counts.view);
            }
        }
        let replica_count = u32::try_from(machines.len()).unwrap_or(u32::MAX);
        let messages = self.messages.finish(replica_count, self.counts.requests);
        let culprits = self.suspicions.culprits(replica_count);
        let (trace_hash, counts) = (self.hash, self.counts);
        Outcome { verdict, trace_hash, ended, counts, messages, culprits }
    }

    /// Folds numbers into the hash, one after the other, so that order counts.
    fn mix(&mut self, numbers: &[u64]) {
        for number in numbers {
            let mixed = (self.hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.hash = mixed ^ (mixed >> 29);
        }
    }
}

/// Judges the history of all clients.
pub(crate) fn linearizability(at: Time, history: &History) -> Option<Violation> {
    let what = match linearizability::check(history) {
        Ok(linearizability::Verdict::Linearizable) => return None,
        Ok(linearizability::Verdict::Violation(violation)) => violation.to_string(),
        Err(error) => error.to_string(),
    };
    Some(Violation { property: LINEARIZABILITY, at, what })
}

fn number(endpoint: Endpoint) -> u64 {
    match endpoint {
        Endpoint::Replica(replica) => u64::from(replica.get()),
        Endpoint::Client(client) => 1 << 32 | u64::from(client.get()),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::NoProgress(what) => write!(f, "no progress: {what}"),
            Self::Violation(violation) => write!(f, "violation: {violation}"),
        }
    }
}
