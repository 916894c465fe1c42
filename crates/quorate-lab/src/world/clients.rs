//! The clients of a run: correct ones, each with a few calls outstanding, and the history of what
//! they saw.

use super::{Options, Workload};
use crate::linearizability::{History, OperationId};
use crate::pace::Pace;
use crate::rng::{Seed, Stream};
use crate::subject::{Drawn, Subject};
use crate::workload;
use core::time::Duration;
use pbft::message::{Operation, Reply, RequestBody};
use pbft::{
    Client, ClientId, ClientOutput, Completion, Config, Message, ReplicaId, Session, SigningKey,
    Time, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) struct Clients {
    each: Vec<Caller>,
    workload: Workload,
    subject: Subject,
    /// Operations that nobody has called yet.
    left: u64,
    serial: u64,
    answered: u64,
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
    deadline: Option<Time>,
}

/// A call that waits for its answer.
struct Waiting {
    bytes: Vec<u8>,
    /// Which of the run, counted from 0.
    number: usize,
    /// Its place in the history, if it is known what answers mean.
    recorded: Option<OperationId>,
    since: Time,
}

/// What a client does in answer to something.
#[derive(Default)]
pub(crate) struct Doings {
    /// Sent to every replica.
    pub(crate) to_all: Vec<Arc<Message>>,
    /// Operations called: which of the run, and what, in words.
    pub(crate) called: Vec<(usize, String)>,
    /// Results accepted: which operation of the run, the operation itself, and its result.
    pub(crate) accepted: Vec<(usize, Vec<u8>, Vec<u8>)>,
    /// When it will call again.
    pub(crate) calls_at: Vec<Time>,
    /// A deadline that was not known before.
    pub(crate) deadline: Option<Time>,
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
            let drawn = self.subject.draw(&mut caller.rng, self.workload.keys, self.serial);
            let Drawn { bytes, what, call } = drawn;
            let operation = Operation { service: workload::SERVICE, body: bytes.clone() };
            let submitted = caller.client.submit(operation);
            let submitted = submitted
                .expect("an operation fits into a request, and a client's queue has room for it");
            let recorded = call.map(|(key, call)| self.history.invoke(id.get(), &key, call));
            called = Some((number, what));
            let waiting = Waiting { bytes, number, recorded, since: now };
            caller.outstanding.insert(submitted, waiting);
            caller.client.flush(now, &mut outputs);
        }
        let mut doings = self.take(now, id, outputs);
        doings.called.extend(called);
        doings
    }

    pub(crate) fn on_reply(
        &mut self,
        now: Time,
        id: ClientId,
        from: ReplicaId,
        reply: Reply,
    ) -> Doings {
        let mut outputs = Vec::new();
        self.each[id.get() as usize].client.on_reply(now, from, reply, &mut outputs);
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
        for output in outputs {
            match output {
                ClientOutput::SendToAll(message) => {
                    if let Message::Request(signed) = &*message
                        && let RequestBody::Operations(operations) = &signed.request().body
                    {
                        let timestamp = signed.request().timestamp;
                        let bodies = operations.iter().map(|operation| operation.body.clone());
                        caller.requests.extend(bodies.map(|body| (body, timestamp)));
                    }
                    doings.to_all.push(message);
                }
                ClientOutput::Completed(operation, completion) => {
                    let Some(call) = caller.outstanding.remove(&operation) else { continue };
                    self.pace.answered(call.since, now);
                    if let Completion::Executed(result) = completion {
                        self.answered += 1;
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
