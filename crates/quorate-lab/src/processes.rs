//! A run on real processes, judged from what its replicas and clients recorded: with the counts,
//! the suspicions and the checkers of the simulator.

mod clients;
mod flights;

pub use clients::{ClientEntry, ClientSaw};
pub use flights::UnderWay;

use crate::checker::{
    Checkers, ONLY_THE_FAULTY_ARE_CONVICTED, OWN_INVARIANTS, Observation, Violation,
};
use crate::counts::Counter;
use crate::culprits::{SLOW, Suspicions};
use crate::linearizability::History;
use crate::record::{Arrival, Entry, What, mark};
use crate::scenario::Scenario;
use crate::trace::{EventLine, Fate, Line, MessageLine, Party, event_name, is_agreement};
use crate::workload::describe_answer;
use crate::world::outcome::linearizability;
use crate::world::{Counts, Outcome, Verdict, Worked};
use core::time::Duration;
use flights::Flights;
use pbft::message::{Kind, RequestBody};
use pbft::{
    ClientId, Config, Digest, Event, Evidence, Message, Reject, ReplicaId, SeqNum, Time, Timestamp,
    View, wire,
};
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was recorded of a run. Moments are microseconds of the machine's monotonic
/// clock.
pub struct Recorded<'a> {
    /// What was run, in the times in which it was run.
    pub scenario: &'a Scenario,
    /// By how much the scenario's times were stretched.
    pub time_scale: f64,
    /// The cluster.
    pub config: &'a Config,
    /// When the run's time began.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// What each replica recorded, in order.
    pub replicas: Vec<Vec<Entry>>,
    /// What the clients recorded, in order.
    pub clients: Vec<ClientEntry>,
    /// What was done to the cluster, in words.
    pub faults: Vec<(u64, String)>,
    /// What the clients saw.
    pub history: &'a History,
    /// The proofs that replicas kept.
    pub evidence: Vec<Evidence>,
    /// Which replicas stopped although nobody stopped them, and why.
    pub stopped: Vec<(ReplicaId, String)>,
    /// The view in which the cluster ended.
    pub view: View,
    /// Where everybody stood, if the work was not done in time.
    pub unfinished: Option<String>,
    /// The processor time of the replicas that ran at the end, and of the process with the clients.
    pub worked: Worked,
}

/// Judges a run and shows everything that happened to `observer`, in order.
pub fn judge(recorded: &Recorded<'_>, observer: &mut dyn FnMut(Line)) -> Outcome {
    let mut judge = Judge {
        recorded,
        observer,
        messages: Counter::default(),
        suspicions: Suspicions::new(SLOW.mul_f64(recorded.time_scale)),
        checkers: Checkers::new(
            recorded.scenario.options.replica_count,
            &recorded.scenario.options.parameters,
        ),
        violation: None,
        flights: Flights::default(),
        counts: Counts {
            view: recorded.view,
            stopped: recorded.stopped.iter().cloned().collect(),
            worked: recorded.worked,
            ..Counts::default()
        },
        entered: BTreeSet::new(),
        carried: BTreeMap::new(),
        completed: BTreeSet::new(),
        called: BTreeMap::new(),
        came: BTreeSet::new(),
    };
    let mut all: Vec<(u64, Source<'_>)> = Vec::new();
    for (id, entries) in (0..).map(ReplicaId::new).zip(&recorded.replicas) {
        all.extend(entries.iter().map(|entry| (entry.at, Source::Replica(id, &entry.what))));
    }
    all.extend(recorded.clients.iter().map(|entry| (entry.at, Source::Client(entry))));
    all.extend(recorded.faults.iter().map(|(at, what)| (*at, Source::Fault(what))));
    // Stable, so that the entries of one process keep their order.
    all.sort_by_key(|(at, _)| *at);
    for (at, source) in all {
        let at = Time::from_micros(at.saturating_sub(recorded.began));
        match source {
            Source::Replica(id, what) => judge.on_replica(at, id, what),
            Source::Client(entry) => judge.on_client(at, entry),
            Source::Fault(what) => {
                judge.show(Line::Fault { at: at.as_micros(), what: what.clone() })
            }
        }
    }
    judge.conclude()
}

enum Source<'a> {
    Replica(ReplicaId, &'a What),
    Client(&'a ClientEntry),
    Fault(&'a String),
}

struct Judge<'a> {
    recorded: &'a Recorded<'a>,
    observer: &'a mut dyn FnMut(Line),
    messages: Counter,
    suspicions: Suspicions,
    checkers: Checkers,
    violation: Option<Violation>,
    flights: Flights,
    counts: Counts,
    entered: BTreeSet<View>,
    /// In which request of which client an operation went out.
    carried: BTreeMap<Vec<u8>, (ClientId, Timestamp)>,
    completed: BTreeSet<(ClientId, Timestamp)>,
    /// When each operation was called.
    called: BTreeMap<usize, Time>,
    /// Messages of agreement that came: to whom, and from whom unless that is in the message.
    came: BTreeSet<(Endpoint, Option<Endpoint>, Digest)>,
}

impl Judge<'_> {
    fn on_replica(&mut self, at: Time, id: ReplicaId, what: &What) {
        let is_correct = !self.recorded.scenario.options.is_faulty(id);
        match what {
            What::Arrived { from, frame, fate } => {
                let sent = self.flights.arrives(*from, Party::Replica(id), mark(frame));
                let (message, times) = (self.decode(frame), (sent.unwrap_or(at), at));
                let ends = ((*from).into(), Endpoint::Replica(id));
                self.on_arrival(times, ends, message.as_ref(), *fate);
            }
            What::Sent { to, message } => {
                let own = Endpoint::Replica(id);
                if to.is_none() && is_agreement(message.kind()) {
                    self.handled((at, at), (own, own), Some(message), Fate::Own, None);
                }
                if is_correct {
                    let everybody = self.recorded.config.replica_ids().filter(|peer| *peer != id);
                    let receivers: Vec<Endpoint> = match to {
                        Some(to) => vec![(*to).into()],
                        None => everybody.map(Endpoint::Replica).collect(),
                    };
                    for to in receivers {
                        self.check(at, &Observation::Sent { from: id, to, message });
                    }
                }
            }
            What::Left { to, mark, after, .. } => {
                let leaves = at.after(Duration::from_micros(*after));
                self.flights.leaves(Party::Replica(id), *to, *mark, leaves);
            }
            What::Happened(event) => self.on_event(at, id, event, is_correct),
            What::Undone(from) if is_correct => {
                self.check(at, &Observation::Undone { at: id, from: *from });
            }
            What::Undone(_) => {}
            What::Executed { generation, seq, client, operation } => {
                let (generation, seq, client) = (*generation, *seq, *client);
                if is_correct {
                    let at_replica = id;
                    self.check(
                        at,
                        &Observation::Executed {
                            at: at_replica,
                            generation,
                            seq,
                            client,
                            operation,
                            steps: &[],
                        },
                    );
                }
            }
        }
    }

    fn on_arrival(
        &mut self,
        times: (Time, Time),
        ends: (Endpoint, Endpoint),
        message: Option<&Message>,
        fate: Arrival,
    ) {
        let (fate, refusal) = match fate {
            Arrival::Handled => (Fate::Handled, None),
            Arrival::Refused(reason) => (Fate::Refused, Some(reason)),
            Arrival::Discarded => (Fate::Discarded, None),
        };
        if let (Endpoint::Client(client), Some(Message::Request(signed)), Fate::Handled) =
            (ends.0, message, fate)
        {
            let request = signed.request();
            if let RequestBody::Operations(operations) = &request.body {
                let name = (client, request.timestamp);
                self.carried.extend(operations.iter().map(|op| (op.body.clone(), name)));
            }
            self.check(times.1, &Observation::Requested { request });
        }
        self.handled(times, ends, message, fate, refusal);
        if fate.is_handled()
            && let (Endpoint::Replica(from), Endpoint::Replica(to)) = ends
        {
            self.suspicions.seen(to, from, message, refusal);
        }
    }

    fn handled(
        &mut self,
        times: (Time, Time),
        (from, to): (Endpoint, Endpoint),
        message: Option<&Message>,
        fate: Fate,
        refusal: Option<Reject>,
    ) {
        if fate.is_handled() && message.is_some_and(|it| self.is_repeated(from, to, it)) {
            self.messages.repeated();
        } else if fate.is_handled() {
            self.messages.handled(from, to, message, fate);
        }
        let mut line = MessageLine::new(times, (from, to), message, fate);
        line.session = message.is_some_and(|message| self.messages.opens_sessions(message));
        line.reason = refusal;
        self.show(Line::Message(line));
    }

    /// Whether a replica sent a message of agreement to somebody who had it, from the primary if it
    /// is a PRE-PREPARE. Correct ones, and most liars, do so when something is late, and on a
    /// machine that has much else to do something is: what one request takes is counted without
    /// that; so is a second REPLY to the same request, although more may be known of its batch by
    /// then. Whoever repeats messages on purpose is counted with all of them.
    fn is_repeated(&mut self, from: Endpoint, to: Endpoint, message: &Message) -> bool {
        if !is_agreement(message.kind()) {
            return false;
        }
        let what = match message {
            Message::Reply(reply) => borsh::to_vec(&(reply.session, reply.timestamp))
                .expect("a bounded value always encodes into memory"),
            _ => wire::encode(self.recorded.config.domain.epoch, message),
        };
        let digest = Digest::of("quorate lab 1 message", &[&what]);
        let sender = (message.kind() != Kind::PrePrepare).then_some(from);
        let is_new = self.came.insert((to, sender, digest));
        let options = &self.recorded.scenario.options;
        !is_new && matches!(from, Endpoint::Replica(id) if !options.repeats_messages(id))
    }

    fn on_event(&mut self, at: Time, id: ReplicaId, event: &Event, is_correct: bool) {
        let config = self.recorded.config;
        self.suspicions.happened(id, event, |view| config.primary(view));
        *self.counts.events.entry(event_name(event)).or_default() += 1;
        match event {
            Event::ViewEntered { view } if *view > View::ZERO => {
                self.entered.insert(*view);
            }
            Event::Executed { seq, .. } if is_correct => {
                self.counts.last_executed = SeqNum::max(*seq, self.counts.last_executed);
            }
            _ => {}
        }
        self.show(Line::Event(EventLine::new(at, id, event)));
        if is_correct {
            self.check(at, &Observation::Happened { at: id, event });
        }
    }

    fn on_client(&mut self, at: Time, entry: &ClientEntry) {
        let client = ClientId::new(entry.client);
        match &entry.saw {
            ClientSaw::Reply { from, frame } => {
                let ends = (Endpoint::Replica(*from), Endpoint::Client(client));
                let sent = self.flights.arrives(ends.0.into(), ends.1.into(), mark(frame));
                let (message, times) = (self.decode(frame), (sent.unwrap_or(at), at));
                self.handled(times, ends, message.as_ref(), Fate::Handled, None);
                self.suspicions.replied(at, client, *from, message.as_ref());
                if let Some(Message::Reply(reply)) = &message {
                    self.check(at, &Observation::Told { client, from: *from, reply });
                }
            }
            ClientSaw::Called { operation, what } => {
                self.called.insert(*operation, at);
                self.show(Line::Called {
                    at: at.as_micros(),
                    client: entry.client,
                    operation: *operation,
                    what: what.clone(),
                });
            }
            ClientSaw::Answered { operation, bytes, result } => {
                self.show(Line::Answered {
                    at: at.as_micros(),
                    client: entry.client,
                    operation: *operation,
                    result: describe_answer(result),
                });
                self.completed.extend(self.carried.get(bytes));
                let since = self.called.get(operation).map_or(at, |called| *called);
                self.counts.pace.answered(since, at);
                self.check(at, &Observation::Accepted { client, operation: bytes, result });
            }
        }
    }

    fn decode(&self, frame: &[u8]) -> Option<Message> {
        wire::decode(self.recorded.config.domain.epoch, frame).ok()
    }

    fn check(&mut self, at: Time, observation: &Observation<'_>) {
        if self.violation.is_none() {
            self.violation = self.checkers.observe(at, observation);
        }
    }

    fn show(&mut self, line: Line) {
        (self.observer)(line);
    }

    fn conclude(mut self) -> Outcome {
        let recorded = self.recorded;
        let options = &recorded.scenario.options;
        let ended = Time::from_micros(recorded.ended.saturating_sub(recorded.began));
        for evidence in &recorded.evidence {
            self.on_evidence(ended, evidence);
        }
        for (id, why) in recorded.stopped.iter().filter(|(id, _)| !options.is_faulty(*id)) {
            self.violation.get_or_insert_with(|| Violation {
                property: OWN_INVARIANTS,
                at: ended,
                what: format!("replica {id}: it stopped: {why}"),
            });
        }
        let not_linearizable = || linearizability(ended, recorded.history);
        let violation = self.violation.take().or_else(not_linearizable);
        let verdict = match (violation, &recorded.unfinished) {
            (Some(violation), _) => Verdict::Violation(violation),
            (None, Some(standing)) => Verdict::NoProgress(standing.clone()),
            (None, None) => Verdict::Pass,
        };
        self.counts.operations = recorded.history.answered_count() as u64;
        self.counts.requests = self.completed.len() as u64;
        self.counts.views_entered = self.entered.len() as u64;
        let messages = self.messages.finish(options.replica_count, self.counts.requests);
        let culprits = self.suspicions.culprits(options.replica_count);
        Outcome { verdict, trace_hash: 0, ended, counts: self.counts, messages, culprits }
    }

    /// Evidence must convict, and only the faulty. What a faulty replica keeps is no proof of
    /// anything if it does not.
    fn on_evidence(&mut self, at: Time, evidence: &Evidence) {
        let Some(conviction) = evidence.verify(self.recorded.config) else { return };
        if self.recorded.scenario.options.is_faulty(conviction.replica) {
            self.counts.convicted.insert(conviction.replica);
            self.suspicions.proved(conviction, evidence);
        } else {
            let what = format!(
                "correct replica {} is convicted of {}",
                conviction.replica, conviction.lie
            );
            let property = ONLY_THE_FAULTY_ARE_CONVICTED;
            self.violation.get_or_insert(Violation { property, at, what });
        }
    }
}

#[cfg(test)]
mod tests;
