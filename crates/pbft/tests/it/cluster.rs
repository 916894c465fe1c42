//! A cluster of cores on a table: messages lie in a queue until the test delivers, drops or
//! replays them, time stands still until the test moves it, and disks survive crashes.

use pbft::message::{
    Batch, Certainty, CheckpointId, Kind, Operation, Outcome, Read, Request, RequestBody, ServiceId,
};
use pbft::{
    ClientId, ClientWindow, Config, Digest, Domain, Epoch, Event, Evidence, Execution, HaltReason,
    Input, Message, Now, Output, Parameters, Position, Recipients, Record, Recovered, Rejoined,
    Rejoins, Replica, ReplicaId, ReplicaStatus, Sender, SeqNum, Session, Signed, SignedRequest,
    SigningKey, StateMirror, Time, Timestamp, View, WallTime, wire,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) message: Arc<Message>,
}

impl Envelope {
    pub(crate) fn kind(&self) -> Kind {
        self.message.kind()
    }
}

/// A reply some replica gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenReply {
    pub(crate) replica: u32,
    pub(crate) client: u32,
    pub(crate) timestamp: u64,
    pub(crate) view: u64,
    pub(crate) certainty: Certainty,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) replier: Option<ReplicaId>,
}

/// What one machine holds.
#[derive(Debug)]
struct Machine {
    replica: Option<Replica>,
    /// Records in the order of their positions; durable up to `durable` of them.
    records: Vec<Record>,
    durable: usize,
    /// Records that were durable when the replica last started.
    base: usize,
    /// Whether records become durable as soon as they are written.
    syncs_at_once: bool,
    held: Vec<(Position, Output)>,
    state: ToyState,
    /// What it was before the batch that is executed tentatively, if one is.
    committed: Option<ToyState>,
    /// Whether the next start is told that the memory is lost.
    is_lost: bool,
    /// The last state that was fetched: a durable snapshot.
    snapshot: (SeqNum, ToyState),
    starts: u8,
    /// By how much its time of day is ahead of the others'.
    clock_ahead: Duration,
}

/// The state of a toy service: the history of what was executed, the client table, and who
/// rejoined.
#[derive(Clone, Debug, Default)]
struct ToyState {
    history: Vec<(SeqNum, Digest)>,
    clients: BTreeMap<ClientId, ClientWindow>,
    rejoined: Vec<(ReplicaId, Rejoined)>,
    times: Vec<(SeqNum, WallTime)>,
}

impl ToyState {
    fn mirror(&self) -> StateMirror {
        StateMirror {
            clients: self.clients.clone().into_iter().collect(),
            rejoined: self.rejoined.clone(),
            time: self.times.iter().map(|(_, time)| *time).max().unwrap_or_default(),
        }
    }

    fn id(&self) -> CheckpointId {
        let bytes: Vec<u8> = self.history.iter().flat_map(|(_, d)| *d.as_bytes()).collect();
        let root = Digest::of("test state", &[&bytes]);
        CheckpointId { state_root: root, history_root: root }
    }

    /// Executes a batch as the real executor does, with an echo for a service.
    fn execute(
        &mut self,
        config: &Config,
        seq: SeqNum,
        digest: Digest,
        batch: Option<&Batch>,
    ) -> Input {
        self.history.push((seq, digest));
        let rejoins = batch.map_or(&[][..], |batch| &batch.rejoins);
        let mut table: Rejoins = self.rejoined.iter().copied().collect();
        let time = batch.map_or(WallTime::default(), |batch| batch.time);
        self.times.push((seq, time));
        let rejoined: Vec<_> = rejoins
            .iter()
            .filter_map(|rejoin| table.execute(config, seq, time, &rejoin.body))
            .collect();
        self.rejoined.extend(&rejoined);
        let requests = batch.map_or(&[][..], |batch| &batch.requests);
        let executions =
            requests.iter().map(|request| self.execute_request(request.request())).collect();
        Input::Executed { seq, executions, rejoined }
    }

    fn execute_request(&mut self, request: &Request) -> Execution {
        let window = self.clients.entry(request.client).or_default();
        let outcome = match &request.body {
            RequestBody::OpenSession => {
                if request.session > window.session {
                    *window = ClientWindow {
                        session: request.session,
                        low: Timestamp::new(1),
                        ..ClientWindow::default()
                    };
                }
                Some(Outcome::SessionOpened)
            }
            RequestBody::Operations(_) if request.session != window.session => {
                Some(Outcome::Fenced { current: window.session })
            }
            RequestBody::Operations(operations) => {
                if window.executed.insert(request.timestamp) {
                    let results = operations.iter().map(|o| o.body.clone()).collect();
                    Some(Outcome::Executed(results))
                } else {
                    None
                }
            }
        };
        Execution {
            client: request.client,
            session: request.session,
            timestamp: request.timestamp,
            outcome,
            replier: request.replier,
            window: window.clone(),
        }
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Some work of client 0.
pub(crate) fn work(cluster: &mut Cluster, timestamps: std::ops::RangeInclusive<u64>) {
    for timestamp in timestamps {
        cluster.ask(0, timestamp, "a");
        cluster.run(Duration::from_millis(20));
    }
}

/// The cluster on the table.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) config: Arc<Config>,
    machines: Vec<Machine>,
    pub(crate) network: VecDeque<Envelope>,
    pub(crate) now: Time,
    pub(crate) events: Vec<(u32, Event)>,
    pub(crate) evidence: Vec<(u32, Evidence)>,
    pub(crate) replies: Vec<GivenReply>,
    /// The replicas that showed a client what it wanted to read, by READ.
    pub(crate) shown: Vec<(u32, u64)>,
    pub(crate) halted: Vec<(u32, HaltReason)>,
    /// What the replicas did, in order, once somebody wants to know: a message stands where it
    /// left, not where it began to wait for the disk.
    pub(crate) trace: Option<Vec<(Time, u32, Output)>>,
    serves_state: bool,
    /// What each asked for in vain.
    withheld: BTreeMap<u32, (SeqNum, CheckpointId)>,
}

pub(crate) fn replica_key(replica: u32) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([replica as u8 + 1; 32]))
}

pub(crate) fn client_key(client: u32) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([client as u8 + 101; 32]))
}

/// A configuration with a short window, so that tests reach its edges.
pub(crate) fn test_config(replica_count: u32) -> Config {
    let parameters = Parameters {
        checkpoint_period: 4,
        log_window: 16,
        instances_in_flight_max: 4,
        batch_gathering_max: Duration::ZERO,
        ..Parameters::default()
    };
    config_with(replica_count, parameters)
}

pub(crate) fn config_with(replica_count: u32, parameters: Parameters) -> Config {
    let domain = Domain { cluster: Digest::from_bytes([42; 32]), epoch: Epoch::ZERO };
    let replicas = (0..replica_count).map(|id| replica_key(id).verification_key()).collect();
    let clients = (0..4).map(|id| client_key(id).verification_key()).collect();
    Config::new(domain, Digest::from_bytes([43; 32]), replicas, clients, parameters)
        .expect("the test configuration is valid")
}

impl Cluster {
    /// Replicas that were just started and let each other in.
    pub(crate) fn new(replica_count: u32) -> Self {
        Self::with_config(test_config(replica_count))
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let mut cluster = Self::not_started(config);
        for replica in cluster.ids() {
            cluster.start(replica);
        }
        cluster.advance(Duration::from_millis(1));
        cluster.deliver_all();
        for replica in cluster.ids() {
            assert!(cluster.status(replica).admitted, "replica {replica} was let in");
        }
        cluster.open_sessions();
        cluster
    }

    pub(crate) fn not_started(config: Config) -> Self {
        let machine = |_| Machine {
            replica: None,
            records: Vec::new(),
            durable: 0,
            base: 0,
            syncs_at_once: true,
            held: Vec::new(),
            state: ToyState::default(),
            committed: None,
            is_lost: false,
            snapshot: (SeqNum::ZERO, ToyState::default()),
            starts: 0,
            clock_ahead: Duration::ZERO,
        };
        let machines = (0..config.replica_count()).map(machine).collect();
        Self {
            config: Arc::new(config),
            machines,
            network: VecDeque::new(),
            now: Time::from_micros(1_000_000),
            events: Vec::new(),
            evidence: Vec::new(),
            replies: Vec::new(),
            shown: Vec::new(),
            halted: Vec::new(),
            trace: None,
            serves_state: true,
            withheld: BTreeMap::new(),
        }
    }

    fn open_sessions(&mut self) {
        for client in 0..4 {
            let request = self.signed(client, 0, RequestBody::OpenSession);
            self.send_request(request);
            self.deliver_all();
        }
        self.replies.clear();
        self.events.clear();
    }

    pub(crate) fn ids(&self) -> std::ops::Range<u32> {
        0..self.config.replica_count()
    }

    fn clock(&self, replica: u32) -> Now {
        let ahead = self.machines[replica as usize].clock_ahead;
        let wall = WallTime::from_millis(self.now.after(ahead).as_micros() / 1000);
        Now { monotonic: self.now, wall }
    }

    /// Sets the time of day of these replicas, each by so much ahead of the cluster's own.
    pub(crate) fn set_clocks(&mut self, ahead: impl IntoIterator<Item = Duration>) {
        for (machine, ahead) in self.machines.iter_mut().zip(ahead) {
            machine.clock_ahead = ahead;
        }
    }

    /// Starts a replica from what its disk holds.
    pub(crate) fn start(&mut self, replica: u32) {
        let now = self.clock(replica);
        let config = Arc::clone(&self.config);
        let machine = &mut self.machines[replica as usize];
        machine.records.truncate(machine.durable);
        machine.base = machine.durable;
        machine.held.clear();
        machine.state = machine.snapshot.1.clone();
        machine.committed = None;
        machine.starts += 1;
        let is_lost = std::mem::take(&mut machine.is_lost);
        let recovered = Recovered {
            genesis: ToyState::default().id(),
            checkpoint: (machine.snapshot.0, machine.state.id()),
            state: machine.state.mirror(),
            is_lost,
            records: machine.records.clone(),
        };
        let mut outputs = Vec::new();
        let core = Replica::recover(
            config,
            ReplicaId::new(replica),
            replica_key(replica),
            [machine.starts; 16],
            now,
            recovered,
            &mut outputs,
        );
        machine.replica = Some(core);
        self.carry_out(replica, outputs);
    }

    /// Empties a replica's disk and starts it as one that knows that it lost its memory.
    pub(crate) fn start_without_memory(&mut self, replica: u32) {
        self.crash(replica);
        self.wipe(replica);
        self.machines[replica as usize].is_lost = true;
        self.start(replica);
    }

    /// Stops a replica; what is not durable is gone.
    pub(crate) fn crash(&mut self, replica: u32) {
        self.machines[replica as usize].replica = None;
        self.network.retain(|envelope| envelope.to != replica && envelope.from != replica);
    }

    /// Empties a replica's disk.
    pub(crate) fn wipe(&mut self, replica: u32) {
        let machine = &mut self.machines[replica as usize];
        machine.records.clear();
        machine.durable = 0;
        machine.snapshot = (SeqNum::ZERO, ToyState::default());
    }

    /// Puts an older content of the disk in place of the present one.
    pub(crate) fn restore_disk(&mut self, replica: u32, records: Vec<Record>) {
        let machine = &mut self.machines[replica as usize];
        machine.durable = records.len();
        machine.records = records;
        machine.snapshot = (SeqNum::ZERO, ToyState::default());
    }

    /// From now on nothing becomes durable at this replica until [`Cluster::sync`].
    pub(crate) fn hold_syncs(&mut self, replica: u32) {
        self.machines[replica as usize].syncs_at_once = false;
    }

    /// From now on records become durable at once again.
    pub(crate) fn release_syncs(&mut self, replica: u32) {
        self.machines[replica as usize].syncs_at_once = true;
        self.sync(replica);
    }

    /// After a crash: what was not durable is gone, and the disk is fast again.
    pub(crate) fn lose_unsynced(&mut self, replica: u32) {
        let machine = &mut self.machines[replica as usize];
        machine.records.truncate(machine.durable);
        machine.held.clear();
        machine.syncs_at_once = true;
    }

    /// No machine hands out its state any more.
    pub(crate) fn withhold_state(&mut self) {
        self.serves_state = false;
    }

    /// The machines hand out their state again, and what was last asked for at once.
    pub(crate) fn provide_state(&mut self) {
        self.serves_state = true;
        for (replica, (seq, id)) in std::mem::take(&mut self.withheld) {
            let answer = self.fetch(replica, seq, id).expect("some machine has it");
            self.input(replica, answer);
        }
    }

    /// The replica as it would be after a start from its restated records.
    pub(crate) fn rebuilt_from_restated(&self, replica: u32) -> Replica {
        let core = self.core(replica);
        let (seq, id) = core.status().stable_checkpoint;
        let state = &self.machines[replica as usize].state;
        let recovered = Recovered {
            genesis: ToyState::default().id(),
            checkpoint: (seq, id),
            state: state.mirror(),
            is_lost: false,
            records: core.durable_records(),
        };
        let key = replica_key(replica);
        let config = Arc::clone(&self.config);
        let id = ReplicaId::new(replica);
        let now = self.clock(replica);
        Replica::recover(config, id, key, [99; 16], now, recovered, &mut Vec::new())
    }

    /// Makes durable what was written so far, and sends what waited for it.
    pub(crate) fn sync(&mut self, replica: u32) {
        let machine = &mut self.machines[replica as usize];
        machine.durable = machine.records.len();
        let held = std::mem::take(&mut machine.held);
        for (_, output) in held {
            self.emit(replica, output);
        }
    }

    pub(crate) fn durable_records(&self, replica: u32) -> &[Record] {
        let machine = &self.machines[replica as usize];
        &machine.records[..machine.durable]
    }

    pub(crate) fn core(&self, replica: u32) -> &Replica {
        self.machines[replica as usize].replica.as_ref().expect("the replica runs")
    }

    pub(crate) fn status(&self, replica: u32) -> ReplicaStatus {
        self.core(replica).status()
    }

    /// The last rejoin of a replica, as the state of one that runs has it.
    pub(crate) fn rejoined(&self, at: u32, replica: u32) -> Option<Rejoined> {
        let table = self.machines[at as usize].state.rejoined.iter();
        let of_replica = table.filter(|(id, _)| id.get() == replica);
        of_replica.map(|(_, rejoined)| *rejoined).next_back()
    }

    /// The latest time of all batches that it has executed.
    pub(crate) fn agreed_time(&self, at: u32) -> WallTime {
        self.machines[at as usize].state.mirror().time
    }

    pub(crate) fn history(&self, replica: u32) -> &[(SeqNum, Digest)] {
        let machine = &self.machines[replica as usize];
        &machine.committed.as_ref().unwrap_or(&machine.state).history
    }

    /// Hands one input to a replica and carries out what it asks for, and what is due at once then.
    pub(crate) fn input(&mut self, replica: u32, input: Input) {
        self.step(replica, input);
        let now = self.clock(replica).monotonic;
        let core = self.machines[replica as usize].replica.as_ref();
        if core.and_then(Replica::next_deadline).is_some_and(|deadline| deadline <= now) {
            self.step(replica, Input::Tick);
        }
    }

    /// Hands one input to a replica and carries out what it asks for.
    pub(crate) fn step(&mut self, replica: u32, input: Input) {
        let now = self.clock(replica);
        let Some(core) = self.machines[replica as usize].replica.as_mut() else { return };
        let mut outputs = Vec::new();
        core.step(now, input, &mut outputs);
        assert_eq!(core.broken_invariant(), None, "replica {replica}");
        self.carry_out(replica, outputs);
    }

    fn carry_out(&mut self, replica: u32, outputs: Vec<Output>) {
        let mut answers = VecDeque::new();
        for output in outputs {
            if !matches!(output, Output::Send { .. } | Output::Reply { .. } | Output::Read { .. }) {
                self.note(replica, &output);
            }
            let machine = &mut self.machines[replica as usize];
            match output {
                Output::Persist { position, record } => {
                    machine.records.push(record);
                    let written = machine.records.len() - machine.base;
                    assert_eq!(position.get() as usize, written, "positions are dense");
                    if machine.syncs_at_once {
                        machine.durable = machine.records.len();
                    }
                }
                Output::Send { after, .. }
                | Output::Reply { after, .. }
                | Output::Read { after, .. } => {
                    let durable = (machine.durable - machine.base.min(machine.durable)) as u64;
                    if after.get() <= durable {
                        self.emit(replica, output);
                    } else {
                        machine.held.push((after, output));
                    }
                }
                Output::Choose => answers.push_back(Input::Chosen(Vec::new())),
                Output::Execute { seq, digest, batch, tentative } => {
                    let (config, batch) = (&self.config, batch.as_deref());
                    let committed = tentative.then(|| machine.state.clone());
                    assert!(std::mem::replace(&mut machine.committed, committed).is_none());
                    answers.push_back(machine.state.execute(config, seq, digest, batch));
                }
                Output::Settled { .. } => machine.committed = None,
                Output::RollBack { .. } => {
                    machine.state = machine.committed.take().expect("something to undo");
                }
                Output::TakeCheckpoint { seq } => {
                    assert!(machine.committed.is_none(), "a checkpoint of committed state");
                    let id = machine.state.id();
                    answers.push_back(Input::CheckpointTaken { seq, id });
                }
                Output::FetchState { seq, id } => answers.extend(self.fetch(replica, seq, id)),
                Output::Evidence(evidence) => self.evidence.push((replica, evidence)),
                Output::Event(event) => self.events.push((replica, event)),
                Output::Halt(reason) => self.halted.push((replica, reason)),
                Output::Stable { .. } => {}
            }
        }
        for answer in answers {
            self.input(replica, answer);
        }
    }

    /// Copies the state from any machine that executed far enough and agrees on the digest.
    fn fetch(&mut self, replica: u32, seq: SeqNum, id: CheckpointId) -> Option<Input> {
        if !self.serves_state {
            self.withheld.insert(replica, (seq, id));
            return None;
        }
        let state = self.machines.iter().find_map(|machine| {
            let mut state = machine.state.clone();
            state.history.retain(|(executed, _)| *executed <= seq);
            state.rejoined.retain(|(_, rejoined)| rejoined.seq <= seq);
            state.times.retain(|(executed, _)| *executed <= seq);
            (state.id() == id).then_some(state)
        })?;
        let mirror = state.mirror();
        self.machines[replica as usize].snapshot = (seq, state.clone());
        self.machines[replica as usize].state = state;
        Some(Input::StateInstalled { seq, id, state: mirror })
    }

    fn note(&mut self, replica: u32, output: &Output) {
        if let Some(trace) = &mut self.trace {
            trace.push((self.now, replica, output.clone()));
        }
    }

    fn emit(&mut self, from: u32, output: Output) {
        self.note(from, &output);
        match output {
            Output::Send { to, message, .. } => {
                let to: Vec<u32> = match to {
                    Recipients::Others => self.ids().filter(|id| *id != from).collect(),
                    Recipients::One(to) => vec![to.get()],
                };
                for to in to {
                    self.network.push_back(Envelope { from, to, message: Arc::clone(&message) });
                }
            }
            Output::Reply { client, timestamp, outcome, view, certainty, replier, .. } => {
                self.replies.push(GivenReply {
                    replica: from,
                    client: client.get(),
                    timestamp: timestamp.get(),
                    view: view.get(),
                    certainty,
                    outcome,
                    replier,
                })
            }
            Output::Read { read, .. } => self.shown.push((from, read.number)),
            _ => {}
        }
    }

    /// Delivers one message through the wire format and the door.
    pub(crate) fn deliver(&mut self, envelope: &Envelope) {
        let Envelope { from, to, message } = envelope;
        let bytes = wire::encode(self.config.domain.epoch, message);
        let decoded = wire::decode(self.config.domain.epoch, &bytes).expect("our own bytes");
        let sender = Sender::Replica(ReplicaId::new(*from));
        let verified = self.config.admit(sender, decoded).expect("our own messages pass the door");
        self.input(*to, Input::Message(verified));
    }

    /// Delivers until the network is empty; what `passes` refuses is lost.
    pub(crate) fn deliver_where(&mut self, passes: impl Fn(&Envelope) -> bool) {
        for _ in 0..200_000 {
            let Some(envelope) = self.network.pop_front() else { return };
            if passes(&envelope) {
                self.deliver(&envelope);
            }
        }
        panic!("the network never falls silent");
    }

    pub(crate) fn deliver_all(&mut self) {
        self.deliver_where(|_| true);
    }

    /// Takes the messages that `wanted` picks off the network, without delivering them.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Envelope) -> bool) -> Vec<Envelope> {
        let all = std::mem::take(&mut self.network);
        let (taken, left): (Vec<_>, Vec<_>) = all.into_iter().partition(wanted);
        self.network = left.into();
        taken
    }

    /// Moves time on, firing every timer when it is due, and delivering nothing.
    pub(crate) fn advance(&mut self, span: Duration) {
        let end = self.now.after(span);
        loop {
            let due = self
                .machines
                .iter()
                .filter_map(|machine| machine.replica.as_ref()?.next_deadline())
                .min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            for replica in self.ids() {
                self.input(replica, Input::Tick);
            }
        }
        self.now = end;
    }

    /// Time passes for all, but one replica's process stands still meanwhile.
    pub(crate) fn pause(&mut self, replica: u32, span: Duration) {
        let paused = self.machines[replica as usize].replica.take();
        self.advance(span);
        self.machines[replica as usize].replica = paused;
        self.input(replica, Input::Tick);
    }

    /// Lets time pass in small steps, delivering what `passes` lets through after each.
    pub(crate) fn run_where(&mut self, span: Duration, passes: impl Fn(&Envelope) -> bool) {
        let end = self.now.after(span);
        while self.now < end {
            self.advance(Duration::from_millis(10));
            self.deliver_where(&passes);
        }
    }

    pub(crate) fn run(&mut self, span: Duration) {
        self.run_where(span, |_| true);
    }

    pub(crate) fn signed(
        &self,
        client: u32,
        timestamp: u64,
        body: RequestBody,
    ) -> Arc<SignedRequest> {
        let request = Request {
            client: ClientId::new(client),
            session: Session::new(1),
            timestamp: Timestamp::new(timestamp),
            acknowledged_below: Timestamp::new(1),
            replier: None,
            body,
        };
        Arc::new(SignedRequest::sign(&self.config.domain, &client_key(client), request))
    }

    pub(crate) fn operation(&self, client: u32, timestamp: u64, body: &str) -> Arc<SignedRequest> {
        let operation = Operation { service: ServiceId(0), body: body.as_bytes().to_vec() };
        self.signed(client, timestamp, RequestBody::Operations(vec![operation]))
    }

    /// A client sends a request to one replica.
    pub(crate) fn send_request_to(&mut self, replica: u32, request: Arc<SignedRequest>) {
        let client = request.request().client;
        let message = Message::Request(request);
        let verified = self.config.admit(Sender::Client(client), message).expect("a good request");
        self.input(replica, Input::Message(verified));
    }

    /// A client sends a request to all replicas.
    pub(crate) fn send_request(&mut self, request: Arc<SignedRequest>) {
        for replica in self.ids() {
            self.send_request_to(replica, Arc::clone(&request));
        }
    }

    /// Client 0 wants to read, at this replica.
    pub(crate) fn read(&mut self, replica: u32, number: u64, not_before: SeqNum) {
        let operations = vec![Operation { service: ServiceId(0), body: b"get".to_vec() }];
        let read = Read { session: Session::new(1), number, not_before, operations };
        let client = Sender::Client(ClientId::new(0));
        let verified = self.config.admit(client, Message::Read(read)).expect("a good READ");
        self.input(replica, Input::Message(verified));
    }

    /// A client asks for an operation, from all replicas.
    pub(crate) fn ask(&mut self, client: u32, timestamp: u64, body: &str) {
        let request = self.operation(client, timestamp, body);
        self.send_request(request);
    }

    /// Replicas that gave a client this result, at which it is committed.
    pub(crate) fn answered(&self, client: u32, timestamp: u64, body: &str) -> Vec<u32> {
        let told = self.told(client, timestamp, body);
        let mut replicas: Vec<u32> = told
            .filter(|r| r.certainty.is_committed() || self.is_settled(r))
            .map(|r| r.replica)
            .collect();
        replicas.sort_unstable();
        replicas.dedup();
        replicas
    }

    /// The replies that gave a client this result, tentative ones too.
    pub(crate) fn told(
        &self,
        client: u32,
        timestamp: u64,
        body: &str,
    ) -> impl Iterator<Item = &GivenReply> {
        let expected = Some(Outcome::Executed(vec![body.as_bytes().to_vec()]));
        self.replies
            .iter()
            .filter(move |r| r.client == client && r.timestamp == timestamp)
            .filter(move |r| r.outcome == expected)
    }

    /// Whether the request that was answered is executed and committed at its replica.
    fn is_settled(&self, reply: &GivenReply) -> bool {
        let machine = &self.machines[reply.replica as usize];
        let state = machine.committed.as_ref().unwrap_or(&machine.state);
        let window = state.clients.get(&ClientId::new(reply.client));
        window.is_some_and(|window| window.executed.contains(&Timestamp::new(reply.timestamp)))
    }

    /// Signs something in the name of a replica: for playing a faulty one with its real key.
    pub(crate) fn sign<T: pbft::message::SignedBody>(&self, replica: u32, body: T) -> Signed<T> {
        Signed::sign(&self.config.domain, &replica_key(replica), ReplicaId::new(replica), body)
    }

    /// Delivers a message made up by the test, as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: u32, to: u32, message: Message) {
        self.deliver(&Envelope { from, to, message: Arc::new(message) });
    }

    /// The views of the given replicas, and whether they are active there.
    pub(crate) fn views(&self, replicas: &[u32]) -> Vec<(u64, bool)> {
        replicas
            .iter()
            .map(|replica| {
                let status = self.status(*replica);
                (status.view.get(), status.active)
            })
            .collect()
    }

    /// Checks that no two replicas executed different batches at one number.
    pub(crate) fn assert_agreement(&self) {
        let mut agreed: BTreeMap<SeqNum, Digest> = BTreeMap::new();
        for replica in self.ids() {
            for (seq, digest) in self.history(replica) {
                let first = agreed.entry(*seq).or_insert(*digest);
                assert_eq!(first, digest, "replica {replica} disagrees at {seq}");
            }
        }
    }
}

/// Whether a message is between two replicas of one side.
pub(crate) fn within(side: &[u32]) -> impl Fn(&Envelope) -> bool + '_ {
    move |envelope| side.contains(&envelope.from) && side.contains(&envelope.to)
}

pub(crate) fn view(number: u64) -> View {
    View::new(number)
}

pub(crate) fn seq(number: u64) -> SeqNum {
    SeqNum::new(number)
}
