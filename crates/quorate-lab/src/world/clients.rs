//! The clients of a run: correct ones, each with a few calls outstanding, and the history of what
//! they saw.

use super::{Options, Workload};
use crate::linearizability::{Call, History, OperationId};
use crate::pace::Pace;
use crate::rng::{Seed, Stream};
use crate::subject::{Drawn, Subject};
use crate::workload;
use core::time::Duration;
use pbft::message::{Operation, RequestBody};
use pbft::{
    Client, ClientId, ClientOutput, Completion, Config, Message, ReplicaId, SeqNum, Session,
    SigningKey, Time, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub(crate) struct Clients {
    each: Vec<Caller>,
    workload: Workload,
    subject: Subject,
    /// Operations that nobody has called yet.
    left: u64,
    serial: u64,
    answered: u64,
    reads: Reads,
    asked_alone: AskedAlone,
    history: History,
    requests_completed: BTreeSet<(ClientId, Timestamp)>,
    pace: Pace,
}

struct Caller {
    client: Client,
    rng: Stream,
    outstanding: BTreeMap<pbft::OperationId, Waiting>,
    /// The requests that were sent and not answered, by the operations in them.
    requests: BTreeMap<Vec<u8>, Timestamp>,
    /// The requests that only the primary was sent.
    sent_alone: BTreeSet<Timestamp>,
    deadline: Option<Time>,
}

/// How many operations were read without being ordered.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reads {
    /// Those on which a quorum agreed.
    pub(crate) agreed: u64,
    /// Those of them that were read twice.
    pub(crate) again: u64,
    /// Those on which nobody agreed, so that they were ordered.
    pub(crate) ordered: u64,
}

/// How many requests went to the primary alone at first.
#[derive(Clone, Copy, Default)]
pub(crate) struct AskedAlone {
    /// All of them.
    pub(crate) requests: u64,
    /// Those that went to all later.
    pub(crate) sent_on: u64,
}

/// A call that waits for its answer.
struct Waiting {
    bytes: Vec<u8>,
    /// How it asks.
    way: Way,
    /// Which of the run, counted from 0.
    number: usize,
    /// Its place in the history, if it is known what answers mean.
    recorded: Option<OperationId>,
    since: Time,
}

/// How an operation is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is ordered.
    Ordered,
    /// Replicas read it in what they have executed.
    Read,
    /// They read it once more, at this revision: they had been caught at different ones.
    ReadAt(u64),
}

/// What a client does in answer to something.
#[derive(Default)]
pub(crate) struct Doings {
    /// What it sends: to this replica alone, or to every one.
    pub(crate) sent: Vec<(Option<ReplicaId>, Arc<Message>)>,
    /// Operations called: which of the run, and what, in words.
    pub(crate) called: Vec<(usize, String)>,
    /// Results accepted: which operation of the run, the operation itself, and its result.
    pub(crate) accepted: Vec<(usize, Vec<u8>, Vec<u8>)>,
    /// Operations whose results are said to be lost.
    pub(crate) given_up: Vec<Vec<u8>>,
    /// What was read without being ordered: which operation of the run, and its result.
    pub(crate) read: Vec<(usize, Vec<u8>)>,
    /// When it will call again.
    pub(crate) calls_at: Vec<Time>,
    /// A deadline that was not known before.
    pub(crate) deadline: Option<Time>,
}

impl Caller {
    /// Hands an operation over. Nothing is sent yet.
    fn ask(&mut self, bytes: &[u8], way: Way, not_before: SeqNum) -> pbft::OperationId {
        let operation = |body| Operation { service: workload::SERVICE, body };
        let asked = match way {
            Way::Ordered => self.client.submit(operation(bytes.to_vec())),
            Way::Read => self.client.read(operation(bytes.to_vec()), not_before),
            Way::ReadAt(revision) => {
                self.client.read(operation(workload::read_at(bytes, revision)), not_before)
            }
        };
        asked.expect("an operation fits into a request, and a client's queue has room for it")
    }
}

fn is_answer(completion: &Completion) -> bool {
    matches!(completion, Completion::Executed(_) | Completion::Read(_))
}

impl Clients {
    pub(crate) fn new(
        config: &Arc<Config>,
        keys: Vec<SigningKey>,
        options: &Options,
        subject: &Subject,
        seed: Seed,
    ) -> Self {
        let each = (0u32..)
            .zip(keys)
            .map(|(index, key)| {
                let (id, session) = (ClientId::new(index), Session::new(1));
                let parameters = options.client.clone();
                Caller {
                    client: Client::new(Arc::clone(config), id, key, session, parameters),
                    rng: seed.stream_of("client", u64::from(index)),
                    outstanding: BTreeMap::new(),
                    requests: BTreeMap::new(),
                    sent_alone: BTreeSet::new(),
                    deadline: None,
                }
            })
            .collect();
        let workload = options.workload.clone();
        let left = workload.operations;
        Self {
            each,
            workload,
            subject: subject.clone(),
            left,
            serial: 0,
            answered: 0,
            reads: Reads::default(),
            asked_alone: AskedAlone::default(),
            history: History::default(),
            requests_completed: BTreeSet::new(),
            pace: Pace::default(),
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ClientId> + use<> {
        (0..self.workload.clients).map(ClientId::new)
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Operations answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// How they read.
    pub(crate) fn reads(&self) -> Reads {
        self.reads
    }

    /// What they asked the primary alone.
    pub(crate) fn asked_alone(&self) -> AskedAlone {
        self.asked_alone
    }

    /// Requests of which an operation was answered.
    pub(crate) fn requests_completed(&self) -> u64 {
        self.requests_completed.len() as u64
    }

    /// How fast they were answered.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(crate) fn are_done(&self) -> bool {
        self.left == 0 && self.each.iter().all(|caller| caller.outstanding.is_empty())
    }

    /// One more call of this client, if there is anything left to call.
    pub(crate) fn call(&mut self, now: Time, id: ClientId) -> Doings {
        let caller = &mut self.each[id.get() as usize];
        let mut outputs = Vec::new();
        let mut called = None;
        if self.left > 0 {
            let number = (self.workload.operations - self.left) as usize;
            self.left -= 1;
            self.serial += 1;
            let drawn = self.subject.draw(&mut caller.rng, &self.workload, self.serial);
            let Drawn { bytes, what, call } = drawn;
            let is_read = matches!(call, Some((_, Call::Get)));
            let way =
                if self.workload.one_round_reads && is_read { Way::Read } else { Way::Ordered };
            let submitted = caller.ask(&bytes, way, SeqNum::ZERO);
            let recorded = call.map(|(key, call)| self.history.invoke(id.get(), &key, call));
            called = Some((number, what));
            let waiting = Waiting { bytes, way, number, recorded, since: now };
            caller.outstanding.insert(submitted, waiting);
            caller.client.flush(now, &mut outputs);
        }
        let mut doings = self.take(now, id, outputs);
        doings.called.extend(called);
        doings
    }

    pub(crate) fn on_message(
        &mut self,
        now: Time,
        id: ClientId,
        from: ReplicaId,
        message: Message,
    ) -> Doings {
        let mut outputs = Vec::new();
        let client = &mut self.each[id.get() as usize].client;
        match message {
            Message::Reply(reply) => client.on_reply(now, from, reply, &mut outputs),
            Message::ReadReply(reply) => client.on_read_reply(now, from, reply, &mut outputs),
            _ => {}
        }
        client.flush(now, &mut outputs);
        self.take(now, id, outputs)
    }

    pub(crate) fn on_tick(&mut self, now: Time, id: ClientId) -> Doings {
        let caller = &mut self.each[id.get() as usize];
        if caller.deadline != Some(now) {
            return Doings::default();
        }
        caller.deadline = None;
        let mut outputs = Vec::new();
        caller.client.on_tick(now, &mut outputs);
        self.take(now, id, outputs)
    }

    /// What the clients still wait for, for a run that did not finish.
    pub(crate) fn describe(&self) -> String {
        let waiting: usize = self.each.iter().map(|caller| caller.outstanding.len()).sum();
        format!("{} operations were never called, {waiting} were not answered", self.left)
    }

    fn take(&mut self, now: Time, id: ClientId, outputs: Vec<ClientOutput>) -> Doings {
        let mut doings = Doings::default();
        let caller = &mut self.each[id.get() as usize];
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            match output {
                ClientOutput::Send { only, message } => {
                    if let Message::Request(signed) = &*message
                        && let RequestBody::Operations(operations) = &signed.request().body
                    {
                        let timestamp = signed.request().timestamp;
                        let bodies = operations.iter().map(|operation| operation.body.clone());
                        caller.requests.extend(bodies.map(|body| (body, timestamp)));
                        if only.is_some() {
                            caller.sent_alone.insert(timestamp);
                            self.asked_alone.requests += 1;
                        } else if caller.sent_alone.remove(&timestamp) {
                            self.asked_alone.sent_on += 1;
                        }
                    }
                    doings.sent.push((only, message));
                }
                ClientOutput::Completed(operation, completion) => {
                    let Some(mut call) = caller.outstanding.remove(&operation) else { continue };
                    if let Completion::NotAgreed(again) = completion {
                        let not_before = again.map_or(SeqNum::ZERO, |again| again.not_before);
                        call.way = match (call.way, again) {
                            (Way::Read, Some(again)) => Way::ReadAt(again.revision),
                            _ => Way::Ordered,
                        };
                        self.reads.ordered += u64::from(call.way == Way::Ordered);
                        let asked = caller.ask(&call.bytes, call.way, not_before);
                        caller.outstanding.insert(asked, call);
                        let mut further = Vec::new();
                        caller.client.flush(now, &mut further);
                        outputs.extend(further);
                        continue;
                    }
                    self.pace.answered(call.since, now);
                    self.answered += u64::from(is_answer(&completion));
                    match completion {
                        Completion::Executed(result) => {
                            if let Some((recorded, answer)) =
                                call.recorded.zip(workload::decode(&result))
                            {
                                self.history.complete(recorded, answer);
                            }
                            if let Some(timestamp) = caller.requests.remove(&call.bytes) {
                                self.requests_completed.insert((id, timestamp));
                            }
                            doings.accepted.push((call.number, call.bytes, result));
                        }
                        Completion::Read(reading) => {
                            self.reads.agreed += 1;
                            let at = match call.way {
                                Way::ReadAt(revision) => {
                                    self.reads.again += 1;
                                    revision
                                }
                                _ => reading.revision,
                            };
                            let result = workload::at_revision(&reading.content, at);
                            if let Some((recorded, answer)) =
                                call.recorded.zip(workload::decode(&result))
                            {
                                self.history.complete_unordered(recorded, answer);
                            }
                            doings.read.push((call.number, result));
                        }
                        Completion::ResultLost => doings.given_up.push(call.bytes),
                        _ => {}
                    }
                    let think = caller.rng.within(0..=super::micros(self.workload.think_max));
                    doings.calls_at.push(now.after(Duration::from_micros(think)));
                }
            }
        }
        let deadline = caller.client.next_deadline();
        if deadline != caller.deadline {
            caller.deadline = deadline;
            doings.deadline = deadline;
        }
        doings
    }
}
