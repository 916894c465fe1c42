//! What the work of a replica costs on this machine: the production code of a cluster of four runs
//! in one thread, on disks in memory, and a clock is read before and after each piece of work.

use crate::rng::Seed;
use crate::scenario::{processor, time};
use crate::workload::{SERVICE, any_call, encode};
use crate::world::{Options, Processor, cluster};
use core::time::Duration;
use pbft::message::{Operation, PrePrepare};
use pbft::{
    Client, ClientId, ClientOutput, Config, Context, Digest, Epoch, Message, Now, Position,
    Reading, Recipients, ReplicaId, Sender, SeqNum, Service, Session, Signed, SigningKey, State,
    StateRead, Time, WallTime, wire,
};
use quorate_replica::{
    Backend, Effect, Folder, FolderError, Host, HostInput, JournalConfig, JournalIdentity,
    JournalTask, MemoryBackend, Services, Start, Stored,
};
use quorate_services::store::Store;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a clock has run since some moment of the past.
pub type Clock = fn() -> Duration;

/// How many operations are ordered and executed.
const OPERATIONS: u64 = 1_000;
const SIGNATURES: u32 = 2_000;
const SYNCS: u64 = 200;
/// About what a group of records of one request takes.
const RECORD_BYTES: usize = 256;

/// What was measured, and how often.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The averages.
    pub processor: Processor,
    /// A sync of the journal: of a hundred, five were faster than the first and five slower than
    /// the second. In whole microseconds.
    pub sync: (Duration, Duration),
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    messages: u32,
    verifications: u32,
    operations: u32,
}

/// Measures on this machine, with `disk` as the disk.
///
/// # Errors
/// If the disk fails.
pub fn calibrate(clock: Clock, disk: Arc<dyn Backend>) -> Result<Calibration, FolderError> {
    let mut bench = Bench::new(clock)?;
    bench.run()?;
    let per_signature = bench.signature();
    let executed = *bench.executed.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = Counts { operations: executed.count, ..bench.counts };
    let rest = bench
        .work
        .saturating_sub(bench.verification)
        .saturating_sub(executed.span)
        .saturating_sub(per_signature * bench.signatures);
    let processor = Processor {
        per_message: rest / counts.messages.max(1),
        per_verification: bench.verification / counts.verifications.max(1),
        per_signature,
        per_operation: executed.span / counts.operations.max(1),
        per_client_message: Duration::ZERO,
        cores: 0,
    };
    Ok(Calibration { processor, sync: syncs(clock, disk)?, counts })
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { messages, verifications, operations } = self.counts;
        write!(
            f,
            "# Averages of four replicas in one thread: {messages} messages, {verifications} \
             signatures\n# checked, {SIGNATURES} made, {operations} operations executed.\n\
             [processor]\n{}\n# {SYNCS} syncs of the journal with a record of {RECORD_BYTES} bytes: \
             the 5th and the\n# 95th of a hundred.\n[disk]\nsync = [{}, {}]\n",
            processor(&self.processor),
            time(self.sync.0),
            time(self.sync.1)
        )
    }
}

#[derive(Clone, Copy, Default)]
struct Executed {
    count: u32,
    span: Duration,
}

/// The store, and a watch.
struct Timed {
    store: Store,
    clock: Clock,
    executed: Arc<Mutex<Executed>>,
}

impl Service for Timed {
    fn execute(&mut self, context: &Context<'_>, tagged: &[u8], state: &mut dyn State) -> Vec<u8> {
        let begun = (self.clock)();
        let result = self.store.execute(context, tagged.get(8..).unwrap_or_default(), state);
        let mut executed = self.executed.lock().unwrap_or_else(PoisonError::into_inner);
        executed.count += 1;
        executed.span += (self.clock)().saturating_sub(begun);
        result
    }

    fn query(
        &self,
        context: &Context<'_>,
        operation: &[u8],
        state: &dyn StateRead,
    ) -> Option<Reading> {
        self.store.query(context, operation, state)
    }

    fn restored(&mut self, state: &dyn StateRead) {
        self.store.restored(state);
    }

    fn rolled_back(&mut self, seq: SeqNum, state: &dyn StateRead) {
        self.store.rolled_back(seq, state);
    }
}

struct Member {
    host: Host,
    folder: Folder,
    /// Signatures that were found to hold.
    known: BTreeSet<Digest>,
}

enum Todo {
    Arrival { from: Sender, to: usize, bytes: Arc<Vec<u8>> },
    Input { at: usize, input: HostInput },
    Reply { from: ReplicaId, bytes: Vec<u8> },
}

struct Bench {
    clock: Clock,
    config: Arc<Config>,
    key: SigningKey,
    members: Vec<Member>,
    client: Client,
    completed: u64,
    todo: VecDeque<Todo>,
    counts: Counts,
    /// What the members' processors did, signatures and operations included.
    work: Duration,
    verification: Duration,
    signatures: u32,
    signed: Option<Signed<PrePrepare>>,
    executed: Arc<Mutex<Executed>>,
}

const NOW: Now = Now { monotonic: Time::ZERO, wall: WallTime::from_millis(1_800_000_000_000) };

impl Bench {
    fn new(clock: Clock) -> Result<Self, FolderError> {
        let mut options = Options::calm(4);
        options.workload.clients = 1;
        let (config, keys, client_keys) = cluster(&options);
        let executed = Arc::<Mutex<Executed>>::default();
        let mut todo = VecDeque::new();
        let mut members = Vec::new();
        for (id, key) in config.replica_ids().zip(&keys) {
            let identity = JournalIdentity { cluster: config.domain.cluster, replica: id };
            let backend = Arc::new(MemoryBackend::new());
            let folder = Folder::create(backend, identity, JournalConfig::default())?;
            let service = Timed { store: Store::new(), clock, executed: Arc::clone(&executed) };
            let mut effects = Vec::new();
            let start = Start {
                config: Arc::clone(&config),
                id,
                key: key.clone(),
                boot_id: [0; 16],
                services: Services::from([(SERVICE, Box::new(service) as Box<_>)]),
                snapshot_policy: options.snapshot_policy,
                stored: Stored::default(),
                is_lost: false,
            };
            let host = Host::start(start, NOW, &mut effects).expect("an empty state is a state");
            members.push((Member { host, folder, known: BTreeSet::new() }, effects));
            let peers = config.replica_ids().filter(|peer| *peer != id);
            let at = id.get() as usize;
            todo.extend(peers.map(|peer| Todo::Input { at, input: HostInput::Connected(peer) }));
        }
        let (members, effects): (Vec<Member>, Vec<Vec<Effect>>) = members.into_iter().unzip();
        let client_key = client_keys[0].clone();
        let (id, session) = (ClientId::new(0), Session::new(1));
        let client = Client::new(Arc::clone(&config), id, client_key, session, options.client);
        let mut bench = Self {
            clock,
            config,
            key: keys[0].clone(),
            members,
            client,
            completed: 0,
            todo,
            counts: Counts::default(),
            work: Duration::ZERO,
            verification: Duration::ZERO,
            signatures: 0,
            signed: None,
            executed,
        };
        for (at, effects) in effects.into_iter().enumerate() {
            bench.carry_out(at, effects)?;
        }
        Ok(bench)
    }

    /// Lets the cluster execute operations, one after the other.
    fn run(&mut self) -> Result<(), FolderError> {
        self.settle()?;
        let mut rng = Seed::new(1).stream("calibration");
        for serial in 0..OPERATIONS {
            let (key, call) = any_call(&mut rng, 1_000, 0, serial);
            let operation = Operation { service: SERVICE, body: encode(serial, &key, &call) };
            self.client.submit(operation).expect("the queue of a client has room for one call");
            let mut outputs = Vec::new();
            self.client.flush(NOW.monotonic, &mut outputs);
            self.on_client(outputs);
            self.settle()?;
            assert!(self.completed > serial, "nothing is lost, so each operation is answered");
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), FolderError> {
        while let Some(todo) = self.todo.pop_front() {
            match todo {
                Todo::Arrival { from, to, bytes } => self.on_arrival(from, to, &bytes)?,
                Todo::Input { at, input } => self.give(at, input)?,
                Todo::Reply { from, bytes } => self.on_reply(from, &bytes),
            }
        }
        Ok(())
    }

    fn epoch(&self) -> Epoch {
        self.config.domain.epoch
    }

    fn on_arrival(&mut self, from: Sender, to: usize, bytes: &[u8]) -> Result<(), FolderError> {
        let (clock, known) = (self.clock, core::cell::RefCell::new(&mut self.members[to].known));
        let checked = core::cell::Cell::new((0, Duration::ZERO));
        let verify = |claim: &pbft::Claim| {
            let proof = claim.proof();
            if known.borrow().contains(&proof) {
                return true;
            }
            let begun = clock();
            let holds = claim.holds();
            let (count, span) = checked.get();
            checked.set((count + 1, span + clock().saturating_sub(begun)));
            holds && known.borrow_mut().insert(proof)
        };
        let begun = clock();
        let message = wire::decode(self.config.domain.epoch, bytes);
        let admitted = message.and_then(|m| self.config.admit_with(from, m, &verify));
        self.work += clock().saturating_sub(begun);
        let (count, span) = checked.get();
        self.counts.messages += 1;
        self.counts.verifications += count;
        self.verification += span;
        let verified = admitted.expect("correct replicas send what passes the door");
        self.give(to, HostInput::Message(verified))
    }

    fn give(&mut self, at: usize, input: HostInput) -> Result<(), FolderError> {
        let mut effects = Vec::new();
        let begun = (self.clock)();
        let host = &mut self.members[at].host;
        host.handle(NOW, input, &mut effects);
        if host.next_deadline().is_some_and(|deadline| deadline <= NOW.monotonic) {
            host.handle(NOW, HostInput::Tick, &mut effects);
        }
        self.work += (self.clock)().saturating_sub(begun);
        self.carry_out(at, effects)
    }

    fn carry_out(&mut self, at: usize, effects: Vec<Effect>) -> Result<(), FolderError> {
        let own = ReplicaId::new(u32::try_from(at).unwrap_or(u32::MAX));
        for effect in effects {
            match effect {
                Effect::Journal(task) => {
                    let journal = &mut self.members[at].folder.journal;
                    if let Some(position) = Folder::perform(journal, [task])? {
                        self.todo
                            .push_back(Todo::Input { at, input: HostInput::Durable(position) });
                    }
                }
                Effect::HashCheckpoint(state) => {
                    let input = HostInput::CheckpointHashed { seq: state.seq(), id: state.id() };
                    self.todo.push_back(Todo::Input { at, input });
                }
                Effect::WriteSnapshot(state) => {
                    Folder::save(&mut self.members[at].folder.snapshots, &state)?;
                    let input = HostInput::SnapshotDurable { seq: state.seq() };
                    self.todo.push_back(Todo::Input { at, input });
                }
                Effect::Send { to, message } => {
                    let bytes = Arc::new(self.encoded(&message));
                    let pre_prepare = message.pre_prepare();
                    if pre_prepare.is_some() || matches!(*message, Message::Checkpoint(_)) {
                        self.signatures += 1;
                    }
                    self.signed = pre_prepare.copied().or(self.signed);
                    let to: Vec<ReplicaId> = match to {
                        Recipients::Others => {
                            self.config.replica_ids().filter(|peer| *peer != own).collect()
                        }
                        Recipients::One(peer) => vec![peer],
                    };
                    self.todo.extend(to.into_iter().map(|peer| Todo::Arrival {
                        from: Sender::Replica(own),
                        to: peer.get() as usize,
                        bytes: Arc::clone(&bytes),
                    }));
                }
                Effect::Reply { message, .. } => {
                    let bytes = self.encoded(&message);
                    self.todo.push_back(Todo::Reply { from: own, bytes });
                }
                Effect::Halt(cause) => panic!("a replica stopped: {cause}"),
                Effect::Evidence(_) | Effect::Event(_) => {}
            }
        }
        Ok(())
    }

    fn encoded(&mut self, message: &Message) -> Vec<u8> {
        let begun = (self.clock)();
        let bytes = wire::encode(self.epoch(), message);
        self.work += (self.clock)().saturating_sub(begun);
        bytes
    }

    fn on_reply(&mut self, from: ReplicaId, bytes: &[u8]) {
        let reply = wire::decode(self.epoch(), bytes);
        let Ok(Message::Reply(reply)) = reply else { panic!("what was encoded decodes") };
        let mut outputs = Vec::new();
        self.client.on_reply(NOW.monotonic, from, reply, &mut outputs);
        self.client.flush(NOW.monotonic, &mut outputs);
        self.on_client(outputs);
    }

    fn on_client(&mut self, outputs: Vec<ClientOutput>) {
        for output in outputs {
            match output {
                ClientOutput::Send { only, message } => {
                    let bytes = Arc::new(wire::encode(self.epoch(), &message));
                    let is_addressed =
                        |to: &usize| only.is_none_or(|only| only.get() as usize == *to);
                    let addressed = (0..self.members.len()).filter(is_addressed);
                    self.todo.extend(addressed.map(|to| Todo::Arrival {
                        from: Sender::Client(ClientId::new(0)),
                        to,
                        bytes: Arc::clone(&bytes),
                    }));
                }
                ClientOutput::Completed(..) => self.completed += 1,
            }
        }
    }

    /// How long a signature of a PRE-PREPARE that was sent takes to make.
    fn signature(&self) -> Duration {
        let signed = self.signed.expect("every operation is proposed");
        let begun = (self.clock)();
        for _ in 0..SIGNATURES {
            let again = Signed::sign(&self.config.domain, &self.key, signed.signer, signed.body);
            std::hint::black_box(again);
        }
        (self.clock)().saturating_sub(begun) / SIGNATURES
    }
}

/// How long a sync of a journal takes: what five of a hundred fall below, and what five exceed.
fn syncs(clock: Clock, disk: Arc<dyn Backend>) -> Result<(Duration, Duration), FolderError> {
    let cluster = Digest::of("quorate lab 1 calibration", &[]);
    let identity = JournalIdentity { cluster, replica: ReplicaId::new(0) };
    let mut folder = Folder::create(disk, identity, JournalConfig::default())?;
    let mut spans = Vec::new();
    let mut position = Position::default();
    for _ in 0..SYNCS {
        position = position.next();
        let records = vec![vec![0; RECORD_BYTES]];
        let begun = clock();
        Folder::perform(&mut folder.journal, [JournalTask::Append { records, position }])?;
        spans.push(clock().saturating_sub(begun));
    }
    spans.sort();
    let whole =
        |span: Duration| Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    Ok((whole(spans[spans.len() / 20]), whole(spans[spans.len() - 1 - spans.len() / 20])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A clock that goes on by a microsecond whenever somebody looks.
    fn ticking() -> Duration {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        Duration::from_micros(LOOKS.fetch_add(1, Ordering::Relaxed))
    }

    #[test]
    fn what_it_prints_is_a_part_of_a_scenario() {
        let measured = calibrate(ticking, Arc::new(MemoryBackend::new())).expect("memory holds");
        let text = measured.to_string();
        let start = "[[start]]\nat = 0\nhonest_node = 4\n";
        let file = format!("format = 1\ntitle = \"t\"\n{text}{start}");
        let read = crate::scenario::Scenario::parse("s.toml", &file)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read.options.processor, Some(measured.processor), "{text}");
        assert_eq!(read.options.sync, measured.sync, "{text}");
        // Every replica executed everything, and checked each request once, whether it came from
        // the client or in a batch; beside those there are PRE-PREPAREs and CHECKPOINTs.
        let counts = measured.counts;
        assert_eq!(u64::from(counts.operations), 4 * OPERATIONS);
        assert!(u64::from(counts.verifications) > 7 * OPERATIONS, "{counts:?}");
        assert!(counts.messages > 3 * counts.verifications, "{counts:?}");
    }
}
