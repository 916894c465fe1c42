//! A cluster of hosts in one thread. Messages arrive in the order in which they are sent; what is
//! written becomes durable some deliveries later; time moves when nothing else does.

use pbft::message::{Operation, Outcome, ReplyBody, Request, RequestBody, ServiceId};
use pbft::{
    ClientId, Config, Context, Digest, Domain, Epoch, Event, Evidence, Message, Now, Parameters,
    Reading, Recipients, ReplicaId, ReplicaStatus, Sender, SeqNum, Service, Session, SignedRequest,
    SigningKey, State, StateRead, Time, Timestamp, WallTime,
};
use quorate_replica::{
    Backend, BackendError, CheckpointState, Effect, Folder, HaltCause, Host, HostInput,
    JournalConfig, JournalIdentity, JournalTask, MemoryBackend, SEGMENT_BYTES_MIN, Services,
    SnapshotPolicy, Start, Stored,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

pub(crate) const REPLICA_COUNT: u32 = 4;

/// After so many deliveries the disks are given their turn.
const DELIVERIES_PER_SYNC: usize = 7;

/// How often the client sends an unanswered request again.
const RETRANSMIT: Duration = Duration::from_millis(300);

/// A story that takes longer than this does not end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time moves at least so far when nothing else does.
const TICK: Duration = Duration::from_millis(1);

/// A message as it left a replica, and in which of its starts.
pub(crate) struct Sent {
    pub(crate) from: ReplicaId,
    pub(crate) message: Arc<Message>,
}

pub(crate) struct Cluster {
    pub(crate) config: Arc<Config>,
    nodes: Vec<Node>,
    network: VecDeque<(Sender, ReplicaId, Arc<Message>)>,
    /// Replicas whose messages are lost, both ways.
    cut: BTreeSet<ReplicaId>,
    /// Replicas whose snapshots are not written for the time being.
    slow: BTreeSet<u32>,
    /// Replicas whose journal is given every so many turns only.
    journal_turns: BTreeMap<u32, u64>,
    /// How often the disks were given their turn.
    turn: u64,
    /// Replicas that are told of the durability of what is not even written.
    deceived: BTreeSet<u32>,
    now: Time,
    next_timestamp: u64,
    /// What the client acknowledges with its requests.
    acknowledged_below: u64,
    requests: BTreeMap<u64, Arc<SignedRequest>>,
    /// The outcomes each replica gave for each request.
    replies: BTreeMap<u64, BTreeMap<ReplicaId, BTreeSet<Outcome>>>,
    /// Who answered a request with the digest of its outcome, in order.
    pub(crate) digests: Vec<(u64, ReplicaId, Digest)>,
    /// Everything that ever left a replica for another.
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<(ReplicaId, Event)>,
    pub(crate) halts: Vec<(ReplicaId, HaltCause)>,
    pub(crate) evidence: Vec<Evidence>,
}

/// A machine: its disk, and what runs on it while it is up.
struct Node {
    backend: MemoryBackend,
    running: Option<Running>,
    starts: u8,
    /// Whether its disk is an empty one in the place of another.
    is_lost: bool,
}

struct Running {
    host: Host,
    folder: Folder,
    tasks: Vec<JournalTask>,
    snapshots: Vec<CheckpointState>,
}

fn replica_key(id: u32) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([id as u8 + 1; 32]))
}

fn client_key() -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([100; 32]))
}

pub(crate) fn replica(id: u32) -> ReplicaId {
    ReplicaId::new(id)
}

fn config() -> Arc<Config> {
    let domain = Domain { cluster: Digest::of("test cluster", &[]), epoch: Epoch::ZERO };
    let replicas = (0..REPLICA_COUNT).map(|id| replica_key(id).verification_key()).collect();
    let parameters = Parameters {
        checkpoint_period: 4,
        log_window: 8,
        checkpoint_fill_after: Duration::from_millis(200),
        ..Parameters::default()
    };
    let clients = vec![client_key().verification_key()];
    let digest = Digest::of("test configuration", &[]);
    Arc::new(Config::new(domain, digest, replicas, clients, parameters).unwrap())
}

impl Cluster {
    /// A cluster whose replicas have never run and whose disks are empty.
    pub(crate) fn new() -> Self {
        let node =
            |_| Node { backend: MemoryBackend::new(), running: None, starts: 0, is_lost: false };
        Self {
            config: config(),
            nodes: (0..REPLICA_COUNT).map(node).collect(),
            network: VecDeque::new(),
            cut: BTreeSet::new(),
            slow: BTreeSet::new(),
            journal_turns: BTreeMap::new(),
            turn: 0,
            deceived: BTreeSet::new(),
            now: Time::from_micros(1),
            next_timestamp: 0,
            acknowledged_below: 0,
            requests: BTreeMap::new(),
            replies: BTreeMap::new(),
            digests: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            halts: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// Starts every replica on an empty disk and opens the client's session.
    pub(crate) fn start_all(&mut self) {
        for id in 0..REPLICA_COUNT {
            self.create(id);
            self.start(id);
        }
        self.request(RequestBody::OpenSession);
    }

    pub(crate) fn disk(&self, id: u32) -> &MemoryBackend {
        &self.nodes[id as usize].backend
    }

    /// Puts another disk into a machine that is down.
    pub(crate) fn set_disk(&mut self, id: u32, backend: MemoryBackend) {
        let node = &mut self.nodes[id as usize];
        assert!(node.running.is_none());
        node.backend = backend;
    }

    /// Makes the folder of a replica, if the disk lets it.
    pub(crate) fn create(&mut self, id: u32) {
        let backend = Arc::new(self.disk(id).clone());
        let created = Folder::create(backend, self.identity(id), journal_config());
        assert!(created.is_ok() || self.disk(id).has_crashed(), "{created:?}");
    }

    /// Starts a replica on what its disk holds; nothing happens if the disk crashes meanwhile.
    pub(crate) fn start(&mut self, id: u32) {
        let backend: Arc<dyn Backend> = Arc::new(self.disk(id).clone());
        match Folder::open(backend, self.identity(id), journal_config()) {
            Ok((folder, stored)) => self.start_on(id, folder, stored),
            Err(error) => assert!(self.disk(id).has_crashed(), "{error:?}"),
        }
    }

    fn start_on(&mut self, id: u32, folder: Folder, stored: Stored) {
        let mut effects = Vec::new();
        self.nodes[id as usize].starts += 1;
        let start = self.start_from(id, stored);
        let host = Host::start(start, now(self.now), &mut effects).unwrap();
        let node = &mut self.nodes[id as usize];
        node.running = Some(Running { host, folder, tasks: Vec::new(), snapshots: Vec::new() });
        self.carry_out(id, effects);
        for peer in (0..REPLICA_COUNT).filter(|peer| *peer != id) {
            self.input(id, HostInput::Connected(replica(peer)));
            self.input(peer, HostInput::Connected(replica(id)));
        }
    }

    fn start_from(&self, id: u32, stored: Stored) -> Start {
        Start {
            config: Arc::clone(&self.config),
            id: replica(id),
            key: replica_key(id),
            boot_id: [self.nodes[id as usize].starts; 16],
            services: Services::from([(LOG, Box::new(Log::default()) as Box<dyn Service>)]),
            snapshot_policy: SnapshotPolicy { journal_bytes: 1, interval: Duration::MAX },
            is_lost: self.nodes[id as usize].is_lost && stored.records.is_empty(),
            stored,
        }
    }

    /// The process dies, its disk is replaced by an empty one, and it starts and rejoins.
    pub(crate) fn start_without_memory(&mut self, id: u32) {
        self.kill(id);
        self.set_disk(id, MemoryBackend::new());
        self.nodes[id as usize].is_lost = true;
        self.create(id);
        self.start(id);
    }

    /// The process dies; its disk stays as it is.
    pub(crate) fn kill(&mut self, id: u32) {
        self.nodes[id as usize].running = None;
    }

    pub(crate) fn is_up(&self, id: u32) -> bool {
        self.nodes[id as usize].running.is_some()
    }

    pub(crate) fn cut(&mut self, id: u32) {
        self.cut.insert(replica(id));
    }

    pub(crate) fn heal(&mut self, id: u32) {
        self.cut.remove(&replica(id));
        for peer in (0..REPLICA_COUNT).filter(|peer| *peer != id) {
            self.input(id, HostInput::Connected(replica(peer)));
        }
    }

    /// Snapshots of this replica take for ever, until [`Self::hasten`].
    pub(crate) fn slow_down(&mut self, id: u32) {
        self.slow.insert(id);
    }

    pub(crate) fn hasten(&mut self, id: u32) {
        self.slow.remove(&id);
    }

    /// From now on this replica in effect sends before it persists.
    pub(crate) fn deceive(&mut self, id: u32) {
        self.deceived.insert(id);
    }

    pub(crate) fn has_halted(&self, id: u32) -> bool {
        self.halts.iter().any(|(halted, _)| *halted == replica(id))
    }

    pub(crate) fn status(&self, id: u32) -> ReplicaStatus {
        self.host(id).status().replica
    }

    pub(crate) fn host(&self, id: u32) -> &Host {
        &self.nodes[id as usize].running.as_ref().expect("the replica is up").host
    }

    /// Sends a request with one operation and waits until f+1 replicas gave one outcome.
    pub(crate) fn operate(&mut self) -> Outcome {
        let body = format!("operation {}", self.next_timestamp).into_bytes();
        self.request(RequestBody::Operations(vec![Operation { service: LOG, body }]))
    }

    fn request(&mut self, body: RequestBody) -> Outcome {
        let timestamp = self.submit(None, body);
        self.await_outcome(timestamp)
    }

    /// Asks for the client's session without waiting for it.
    pub(crate) fn submit_open_session(&mut self) -> u64 {
        self.submit(None, RequestBody::OpenSession)
    }

    pub(crate) fn submit_operation(&mut self) -> u64 {
        let body = vec![self.next_timestamp as u8];
        self.submit(None, RequestBody::Operations(vec![Operation { service: LOG, body }]))
    }

    /// The same, with so long a result, and one replica named to send it.
    pub(crate) fn submit_long_operation(&mut self, replier: u32, bytes: usize) -> u64 {
        let operation = Operation { service: LOG, body: vec![b'x'; bytes] };
        self.submit(Some(replica(replier)), RequestBody::Operations(vec![operation]))
    }

    fn submit(&mut self, replier: Option<ReplicaId>, body: RequestBody) -> u64 {
        let timestamp = self.next_timestamp;
        self.next_timestamp += 1;
        let request = Request {
            client: ClientId::new(0),
            session: Session::new(1),
            timestamp: Timestamp::new(timestamp),
            acknowledged_below: Timestamp::new(self.acknowledged_below),
            replier,
            body,
        };
        let request = SignedRequest::sign(&self.config.domain, &client_key(), request);
        self.requests.insert(timestamp, Arc::new(request));
        self.transmit(timestamp, &[0, 1, 2, 3]);
        timestamp
    }

    /// From now on the client says that it has the results below this timestamp.
    pub(crate) fn acknowledge_below(&mut self, timestamp: u64) {
        self.acknowledged_below = timestamp;
    }

    /// Sends a request to these replicas, again or for the first time.
    pub(crate) fn transmit(&mut self, timestamp: u64, to: &[u32]) {
        let request = Arc::new(Message::Request(Arc::clone(&self.requests[&timestamp])));
        let sender = Sender::Client(ClientId::new(0));
        for id in to {
            self.network.push_back((sender, replica(*id), Arc::clone(&request)));
        }
    }

    pub(crate) fn await_outcome(&mut self, timestamp: u64) -> Outcome {
        let since = self.now;
        let mut resend = self.now.after(RETRANSMIT);
        loop {
            if let Some(outcome) = self.agreed(timestamp) {
                return outcome;
            }
            assert!(self.now.since(since) < PATIENCE, "no answer: {:?}", self.statuses());
            self.advance();
            if self.now >= resend {
                self.transmit(timestamp, &[0, 1, 2, 3]);
                resend = self.now.after(RETRANSMIT);
            }
        }
    }

    /// The outcome that f+1 replicas gave.
    fn agreed(&self, timestamp: u64) -> Option<Outcome> {
        let of_request = self.replies.get(&timestamp)?;
        let mut counts: BTreeMap<&Outcome, usize> = BTreeMap::new();
        for outcome in of_request.values().flatten() {
            *counts.entry(outcome).or_default() += 1;
        }
        let weak = self.config.quorums.weak();
        counts.into_iter().find(|(_, count)| *count >= weak).map(|(outcome, _)| outcome.clone())
    }

    /// The outcomes that f+1 replicas gave so far.
    pub(crate) fn agreed_outcomes(&self) -> BTreeMap<u64, Outcome> {
        let agreed = |timestamp: &u64| self.agreed(*timestamp).map(|outcome| (*timestamp, outcome));
        self.replies.keys().filter_map(agreed).collect()
    }

    /// Every outcome a replica ever gave, by timestamp.
    pub(crate) fn outcomes_of(&self, id: u32) -> BTreeMap<u64, BTreeSet<Outcome>> {
        let of_replica = |(t, replies): (&u64, &BTreeMap<ReplicaId, BTreeSet<Outcome>>)| {
            replies.get(&replica(id)).map(|outcomes| (*t, outcomes.clone()))
        };
        self.replies.iter().filter_map(of_replica).collect()
    }

    /// Lets everything settle: until all replicas that are up have executed and made stable the
    /// same.
    pub(crate) fn settle(&mut self) {
        self.settle_with(|_| {});
    }

    /// The same, with something done in between.
    pub(crate) fn settle_with(&mut self, mut meanwhile: impl FnMut(&mut Self)) {
        let since = self.now;
        while !self.is_settled() {
            assert!(self.now.since(since) < PATIENCE, "unsettled: {:?}", self.statuses());
            self.advance();
            meanwhile(self);
        }
    }

    fn is_settled(&self) -> bool {
        let mut all = self.nodes.iter().filter_map(|node| node.running.as_ref());
        let Some(first) = all.next() else { return true };
        let reached = |running: &Running| {
            let status = running.host.status().replica;
            (status.last_executed, status.stable_checkpoint)
        };
        let (last, stable) = reached(first);
        let is_idle = |node: &Node| node.running.as_ref().is_none_or(|r| r.tasks.is_empty());
        self.network.is_empty()
            && self.nodes.iter().all(is_idle)
            && last == stable.0
            && all.all(|other| reached(other) == (last, stable))
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.now.after(span);
        while self.now < until {
            self.advance();
        }
    }

    fn statuses(&self) -> Vec<ReplicaStatus> {
        let up = self.nodes.iter().filter_map(|node| node.running.as_ref());
        up.map(|running| running.host.status().replica).collect()
    }

    /// Some deliveries and then the disks; or, when there is nothing to deliver, time.
    pub(crate) fn advance(&mut self) {
        let idle = self.network.is_empty();
        for _ in 0..DELIVERIES_PER_SYNC {
            let Some((sender, to, message)) = self.network.pop_front() else { break };
            self.deliver(sender, to, &message);
        }
        self.turn += 1;
        for id in 0..REPLICA_COUNT {
            self.use_disk(id);
        }
        if idle && self.network.is_empty() {
            self.advance_time();
        }
    }

    fn advance_time(&mut self) {
        let up = self.nodes.iter().filter_map(|node| node.running.as_ref());
        let deadline = up.filter_map(|running| running.host.next_deadline()).min();
        self.now = deadline.unwrap_or(self.now).max(self.now.after(TICK));
        for id in 0..REPLICA_COUNT {
            self.input(id, HostInput::Tick);
        }
    }

    pub(crate) fn deliver(&mut self, sender: Sender, to: ReplicaId, message: &Message) {
        let is_cut = |id: &ReplicaId| self.cut.contains(id);
        if is_cut(&to) || matches!(&sender, Sender::Replica(from) if is_cut(from)) {
            return;
        }
        let verified = self.config.admit(sender, message.clone());
        let verified = verified.unwrap_or_else(|reject| panic!("{reject:?}: {message:?}"));
        self.input(to.get(), HostInput::Message(verified));
    }

    /// Hands an input to a host, and a tick if one is due at once then.
    fn input(&mut self, id: u32, input: HostInput) {
        self.handle(id, input);
        let running = self.nodes[id as usize].running.as_ref();
        let deadline = running.and_then(|running| running.host.next_deadline());
        if deadline.is_some_and(|deadline| deadline <= now(self.now).monotonic) {
            self.handle(id, HostInput::Tick);
        }
    }

    fn handle(&mut self, id: u32, input: HostInput) {
        let now = now(self.now);
        let Some(running) = &mut self.nodes[id as usize].running else { return };
        let mut effects = Vec::new();
        running.host.handle(now, input, &mut effects);
        self.carry_out(id, effects);
    }

    fn carry_out(&mut self, id: u32, effects: Vec<Effect>) {
        let mut answers = Vec::new();
        let halt = effects.iter().position(|effect| matches!(effect, Effect::Halt(_)));
        assert!(halt.is_none_or(|halt| halt + 1 == effects.len()), "nothing comes after a halt");
        for effect in effects {
            let Some(running) = &mut self.nodes[id as usize].running else { return };
            match effect {
                Effect::Journal(task) => {
                    if let (true, JournalTask::Append { position, .. }) =
                        (self.deceived.contains(&id), &task)
                    {
                        answers.push(HostInput::Durable(*position));
                    }
                    running.tasks.push(task);
                }
                Effect::WriteSnapshot(state) => running.snapshots.push(state),
                Effect::HashCheckpoint(state) => {
                    answers.push(HostInput::CheckpointHashed { seq: state.seq(), id: state.id() });
                }
                Effect::Send { to, message } => self.send(id, to, &message),
                Effect::Reply { client: _, message } => {
                    let Message::Reply(reply) = message else { panic!("{message:?}") };
                    let timestamp = reply.timestamp.get();
                    match reply.body {
                        ReplyBody::Full(outcome) => {
                            let of_request = self.replies.entry(timestamp).or_default();
                            of_request.entry(replica(id)).or_default().insert(outcome);
                        }
                        ReplyBody::Digest(digest) => {
                            self.digests.push((timestamp, replica(id), digest));
                        }
                    }
                }
                Effect::Evidence(evidence) => self.evidence.push(evidence),
                Effect::Event(event) => self.events.push((replica(id), event)),
                Effect::Halt(cause) => {
                    self.halts.push((replica(id), cause));
                    self.kill(id);
                }
            }
        }
        for input in answers {
            self.input(id, input);
        }
    }

    fn send(&mut self, from: u32, to: Recipients, message: &Arc<Message>) {
        self.sent.push(Sent { from: replica(from), message: Arc::clone(message) });
        let all = (0..REPLICA_COUNT).map(replica).filter(|id| *id != replica(from));
        let to: Vec<ReplicaId> = match to {
            Recipients::Others => all.collect(),
            Recipients::One(to) => vec![to],
        };
        for to in to {
            self.network.push_back((Sender::Replica(replica(from)), to, Arc::clone(message)));
        }
    }

    /// Writes and syncs what a replica has waiting. A disk that crashes takes the process along.
    fn use_disk(&mut self, id: u32) {
        let node = &mut self.nodes[id as usize];
        let Some(running) = &mut node.running else { return };
        let every = self.journal_turns.get(&id).copied().unwrap_or(1);
        let is_its_turn = self.turn.is_multiple_of(every);
        let tasks = if is_its_turn { std::mem::take(&mut running.tasks) } else { vec![] };
        let is_slow = self.slow.contains(&id);
        let snapshots = if is_slow { vec![] } else { std::mem::take(&mut running.snapshots) };
        if !tasks.is_empty() {
            match Folder::perform(&mut running.folder.journal, tasks) {
                Ok(Some(position)) => self.input(id, HostInput::Durable(position)),
                Ok(None) => {}
                Err(_) if self.disk(id).has_crashed() => return self.kill(id),
                Err(error) => self.input(id, HostInput::StorageFailed(error.to_string())),
            }
        }
        for state in snapshots {
            let Some(running) = &mut self.nodes[id as usize].running else { return };
            match Folder::save(&mut running.folder.snapshots, &state) {
                Ok(()) => self.input(id, HostInput::SnapshotDurable { seq: state.seq() }),
                Err(_) if self.disk(id).has_crashed() => return self.kill(id),
                Err(error) => self.input(id, HostInput::StorageFailed(error.to_string())),
            }
        }
    }

    /// Gives the journal of a replica every so many turns only; its snapshots keep theirs.
    pub(crate) fn delay_journal(&mut self, id: u32, turns: u64) {
        self.journal_turns.insert(id, turns);
    }

    /// Writes and syncs what waits for the journal of a replica.
    pub(crate) fn flush_journal(&mut self, id: u32) {
        while let Some(running) = &mut self.nodes[id as usize].running
            && !running.tasks.is_empty()
        {
            let tasks = std::mem::take(&mut running.tasks);
            let done = Folder::perform(&mut running.folder.journal, tasks);
            if let Some(position) = done.expect("the disk works") {
                self.input(id, HostInput::Durable(position));
            }
        }
    }

    /// A replica as it would be if it were started from what is on its disk, apart from the
    /// cluster.
    pub(crate) fn as_after_a_restart(&self, id: u32) -> Host {
        let backend: Arc<dyn Backend> = Arc::new(copy_of(self.disk(id)).unwrap());
        let opened = Folder::open(backend, self.identity(id), journal_config());
        let (_folder, stored) = opened.expect("the disk is whole");
        let mut effects = Vec::new();
        Host::start(self.start_from(id, stored), now(self.now), &mut effects).expect("a good state")
    }

    pub(crate) fn identity(&self, id: u32) -> JournalIdentity {
        JournalIdentity { cluster: self.config.domain.cluster, replica: replica(id) }
    }

    /// The lines that a replica's service has written, by number.
    pub(crate) fn log_of(&self, id: u32) -> Vec<String> {
        let mut lines = Vec::new();
        let state = self.host(id).state();
        state.tree().scan(&LOG_PREFIX, None, &mut |key, line| {
            let is_line = key.starts_with(&LOG_PREFIX);
            lines.extend(is_line.then(|| String::from_utf8(line.to_vec()).unwrap()));
            is_line
        });
        lines
    }

    pub(crate) fn last_executed(&self, id: u32) -> SeqNum {
        self.status(id).last_executed
    }
}

fn now(monotonic: Time) -> Now {
    Now { monotonic, wall: WallTime::from_millis(monotonic.as_micros() / 1000) }
}

/// A disk with the same files, all of them durable.
fn copy_of(disk: &MemoryBackend) -> Result<MemoryBackend, BackendError> {
    let copy = MemoryBackend::new();
    for name in disk.list()? {
        let from = disk.open(&name)?;
        let mut bytes = vec![0; usize::try_from(from.byte_count()?).unwrap()];
        from.read_at(0, &mut bytes)?;
        let to = copy.create(&name)?;
        to.set_byte_count(bytes.len() as u64)?;
        to.write_at(0, &bytes)?;
        to.sync()?;
    }
    copy.sync_directory()?;
    Ok(copy)
}

pub(crate) fn journal_config() -> JournalConfig {
    JournalConfig { segment_bytes: SEGMENT_BYTES_MIN }
}

const LOG: ServiceId = ServiceId(3);

/// Where the state keeps the keys of that service; see `docs/storage.md`.
const LOG_PREFIX: [u8; 3] = [2, 0, 3];

/// Writes every operation down and answers with its line, so that what was executed, and in which
/// order, shows in every answer.
#[derive(Debug, Default)]
struct Log {
    count: u64,
}

impl Service for Log {
    fn execute(
        &mut self,
        _context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> Vec<u8> {
        self.count += 1;
        let line = format!("{}: {}", self.count, String::from_utf8_lossy(operation));
        state.put(&self.count.to_be_bytes(), line.clone().into_bytes());
        line.into_bytes()
    }

    fn query(&self, _: &Context<'_>, _: &[u8], _: &dyn StateRead) -> Option<Reading> {
        None
    }

    fn restored(&mut self, state: &dyn StateRead) {
        self.count = 0;
        state.scan(b"", None, &mut |_, _| {
            self.count += 1;
            true
        });
    }
}
