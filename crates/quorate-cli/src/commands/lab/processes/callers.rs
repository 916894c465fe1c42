//! The clients of a run: the workload of the simulator, called through the real client.

use crate::recorder::now_micros;
use anyhow::{Context, Result};
use pbft::ReplicaId;
use pbft::message::Operation;
use pbft::wire::{self, Head};
use quorate_lab::linearizability::History;
use quorate_lab::processes::{ClientEntry, ClientSaw};
use quorate_lab::rng::{Seed, Stream};
use quorate_lab::scenario::Scenario;
use quorate_lab::workload;
use quorate_lab::world::Workload;
use quorate_net::{Client, ClientError, ClientSettings};
use quorate_node::setup::LocalCluster;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How long a client waits for all replicas to open its session, before it calls.
const OPENING_TIMEOUT: Duration = Duration::from_secs(1);

/// All clients.
pub(super) struct Callers {
    settings: Vec<ClientSettings>,
    /// Those that call; replies still come after the last call.
    clients: Vec<Client>,
    workload: Workload,
    seed: Seed,
    shared: Arc<Mutex<Shared>>,
    tasks: JoinSet<()>,
}

struct Shared {
    /// Operations that nobody has called yet.
    left: u64,
    serial: u64,
    /// Operations called and not answered.
    waiting: u64,
    history: History,
    entries: Vec<ClientEntry>,
}

impl Callers {
    /// Nobody calls yet, and nobody is connected.
    pub(super) fn new(local: &LocalCluster, scenario: &Scenario) -> Result<Self> {
        let workload = scenario.options.workload.clone();
        let shared = Shared {
            left: workload.operations,
            serial: 0,
            waiting: 0,
            history: History::default(),
            entries: Vec::new(),
        };
        let settings = (0..workload.clients).map(|id| {
            let home = local.client_home(id);
            let settings = home.client_settings(&home.membership()?)?;
            Ok(ClientSettings { parameters: scenario.options.client.clone(), ..settings })
        });
        Ok(Self {
            settings: settings.collect::<Result<_>>()?,
            clients: Vec::new(),
            workload,
            seed: scenario.seed,
            shared: Arc::new(Mutex::new(shared)),
            tasks: JoinSet::new(),
        })
    }

    /// Lets every client connect, which opens its session, and call once the replicas that are `up`
    /// have opened it; nobody waits for an answer beyond `deadline`.
    pub(super) fn call(&mut self, up: &[ReplicaId], deadline: Instant) -> Result<()> {
        for settings in self.settings.drain(..) {
            let id = settings.id.get();
            let epoch = settings.config.domain.epoch;
            let (opened, opening) = watch::channel(BTreeSet::new());
            let client = Client::start(settings).context("cannot use the keys of a client")?;
            let (mut replies, shared) = (client.tap(), Arc::clone(&self.shared));
            self.tasks.spawn(async move {
                while let Some((from, frame)) = replies.recv().await {
                    if let Ok(Head::Reply(head)) = wire::head(epoch, &frame)
                        && head.timestamp.get() == 0
                    {
                        opened.send_modify(|by: &mut BTreeSet<ReplicaId>| {
                            by.insert(from);
                        });
                    }
                    let saw = ClientSaw::Reply { from, frame: frame.to_vec() };
                    lock(&shared).note(id, saw);
                }
            });
            let stream = Arc::new(Mutex::new(self.seed.stream_of("client", u64::from(id))));
            for _ in 0..self.workload.concurrency {
                let caller = Caller {
                    id,
                    client: client.clone(),
                    up: up.to_vec(),
                    opening: opening.clone(),
                    stream: Arc::clone(&stream),
                    shared: Arc::clone(&self.shared),
                    keys: self.workload.keys,
                    value_bytes: self.workload.value_bytes,
                    think_max: self.workload.think_max,
                    deadline,
                };
                self.tasks.spawn(caller.call_all());
            }
            self.clients.push(client);
        }
        Ok(())
    }

    pub(super) fn are_done(&self) -> bool {
        let shared = lock(&self.shared);
        shared.left == 0 && shared.waiting == 0
    }

    /// What the clients still wait for.
    pub(super) fn describe(&self) -> String {
        let Shared { left, waiting, .. } = *lock(&self.shared);
        format!("{left} operations were never called, {waiting} were not answered")
    }

    /// What the clients recorded since this was last asked.
    pub(super) fn recorded(&self) -> Vec<ClientEntry> {
        std::mem::take(&mut lock(&self.shared).entries)
    }

    /// Ends all clients, and returns what they saw.
    pub(super) async fn finish(mut self) -> History {
        self.tasks.shutdown().await;
        std::mem::take(&mut lock(&self.shared).history)
    }
}

impl Shared {
    fn note(&mut self, client: u32, saw: ClientSaw) {
        self.entries.push(ClientEntry { at: now_micros(), client, saw });
    }
}

/// One of the calls that a client keeps outstanding.
struct Caller {
    id: u32,
    client: Client,
    up: Vec<ReplicaId>,
    /// Who has opened the session.
    opening: watch::Receiver<BTreeSet<ReplicaId>>,
    stream: Arc<Mutex<Stream>>,
    shared: Arc<Mutex<Shared>>,
    keys: u64,
    value_bytes: usize,
    think_max: Duration,
    deadline: Instant,
}

impl Caller {
    async fn call_all(mut self) {
        // A request that comes before the session is open is dropped, and the reply of a replica
        // that is not connected yet is lost. Whoever is faulty may never answer.
        let Self { up, opening, .. } = &mut self;
        let all = opening.wait_for(|opened| up.iter().all(|id| opened.contains(id)));
        let _ = timeout(OPENING_TIMEOUT, all).await;
        while self.call().await {
            let longest = u64::try_from(self.think_max.as_micros()).unwrap_or(u64::MAX);
            let think = self.stream().within(0..=longest);
            sleep(Duration::from_micros(think)).await;
        }
    }

    /// Calls once. Returns whether there may be more to call.
    async fn call(&self) -> bool {
        let (operation, bytes) = {
            let mut shared = lock(&self.shared);
            if shared.left == 0 {
                return false;
            }
            shared.left -= 1;
            shared.serial += 1;
            shared.waiting += 1;
            let (key, call) =
                workload::any_call(&mut self.stream(), self.keys, self.value_bytes, shared.serial);
            let bytes = workload::encode(shared.serial, &key, &call);
            let what = workload::describe(&key, &call);
            let number = shared.history.operations().len();
            let operation = shared.history.invoke(self.id, &key, call);
            shared.note(self.id, ClientSaw::Called { operation: number, what });
            ((number, operation), bytes)
        };
        let body = Operation { service: workload::SERVICE, body: bytes.clone() };
        let result = match self.client.submit(body, self.deadline).await {
            Ok(result) => result,
            // It is over, and what came of it is not known.
            Err(ClientError::ResultLost | ClientError::Fenced { .. } | ClientError::Unknown) => {
                lock(&self.shared).waiting -= 1;
                return true;
            }
            // There was no answer in time, and it counts as waited for.
            Err(_) => return false,
        };
        let mut shared = lock(&self.shared);
        shared.waiting -= 1;
        if let Some(answer) = workload::decode(&result) {
            shared.history.complete(operation.1, answer);
        }
        shared.note(self.id, ClientSaw::Answered { operation: operation.0, bytes, result });
        true
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        lock(&self.stream)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
