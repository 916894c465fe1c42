//! One replica's machine: its disk, its process when that is up, and its adversary if it has one.

mod disk;

use super::options::{CrashKind, Options};
use crate::rng::{Seed, Stream};
use crate::subject::Subject;
use crate::trace::{Fate, is_agreement};
use crate::watched::{BitFlip, ExecutionLog, Noted};
use crate::workload::SERVICE;
use core::time::Duration;
use pbft::message::ViewChange;
use pbft::{
    Config, Digest, Event, Evidence, HaltReason, Held, Message, Now, Recipients, Record, Reject,
    ReplicaId, SeqNum, SigningKey, Time, Verified, View,
};
use quorate_adversary::{Adversary, Behaviour, Endpoint, Identity, Payload, Sending};
use quorate_replica::{
    Backend, CheckpointState, Effect, Folder, FolderError, HaltCause, Host, HostInput, HostStatus,
    JournalConfig, JournalIdentity, JournalTask, MemoryBackend, Services, SnapshotPolicy, Start,
    Stored, Tree,
};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

/// How long the owner of a machine watches a replica that is not let in before giving up its disk.
const OWNER_WAITS: Duration = Duration::from_secs(10);

pub(crate) struct Machine {
    config: Arc<Config>,
    id: ReplicaId,
    key: SigningKey,
    /// Whether it misbehaves at any time of the run.
    is_faulty: bool,
    /// Whether it is correct and keeps up.
    is_timely: bool,
    /// It does nothing until then.
    paused_until: Time,
    /// By how much its wall clock is wrong.
    clock_offset_ms: i64,
    adversary: Option<Adversary>,
    subject: Subject,
    disk: MemoryBackend,
    /// Whether the replica's folder was created: then it is never created again.
    has_folder: bool,
    snapshot_policy: SnapshotPolicy,
    sync_span: (Duration, Duration),
    /// How the machine goes down when its disk says that it has.
    crash_kind: CrashKind,
    process: Option<Process>,
    /// Why the replica stopped for good, if it did.
    halted: Option<HaltCause>,
    /// Whether what it would tell about P and Q may have changed.
    memory_changed: bool,
    /// Whether a start ever found a write that a crash had interrupted.
    has_found_torn_tail: bool,
    /// Whether it has stopped for good since that was last asked.
    has_stopped: bool,
    /// Whether its disk failed at any time, so that the replica may stop.
    has_failing_disk: bool,
    /// What somebody once copied of the disk.
    copy: Option<DiskCopy>,
    /// Whether the disk is that copy, so that the replica may be found out and stop.
    is_rolled_back: bool,
    /// Whether the disk is an empty one in the place of another.
    is_lost: bool,
    has_forgotten: bool,
    rng: Stream,
    /// How often it has started.
    starts: u64,
    /// When the last one was.
    started_at: Time,
    /// The last start that was let in.
    admitted_start: u64,
    /// What its disk has made durable since that was last asked.
    written: Vec<Written>,
    log: ExecutionLog,
    flip: BitFlip,
}

/// Records that are durable.
pub(crate) struct Written {
    /// Whether a start found them: then they are all there is, beside the snapshot.
    pub(crate) starts: bool,
    /// The checkpoint of the snapshot that a start found.
    pub(crate) snapshot: Option<SeqNum>,
    pub(crate) records: Vec<Record>,
}

/// A disk as it once was.
struct DiskCopy {
    disk: MemoryBackend,
    has_folder: bool,
    /// How often the machine had started then.
    starts: u64,
}

/// A running replica.
struct Process {
    host: Host,
    folder: Folder,
    /// What the journal has to do next.
    tasks: Vec<JournalTask>,
    /// Whether a sync is under way.
    is_syncing: bool,
    /// The deadline that is on the agenda.
    deadline: Option<Time>,
}

/// What leaves a machine, in order.
pub(crate) enum Sent {
    Message {
        delay: Duration,
        to: Endpoint,
        message: Arc<Message>,
    },
    /// A message of agreement that went to all others: the sender handles it too.
    Own(Arc<Message>),
    /// What a faulty replica sends that need not be a message.
    Bytes {
        delay: Duration,
        to: Endpoint,
        bytes: Vec<u8>,
    },
    Event(Event),
    Evidence(Evidence),
    /// The machine has something to do for itself that takes time.
    Chore {
        takes: Duration,
        chore: Chore,
    },
}

impl Sent {
    /// The message that leaves, if one does.
    pub(crate) fn message(&self) -> Option<&Arc<Message>> {
        match self {
            Self::Message { message, .. } => Some(message),
            _ => None,
        }
    }
}

impl From<Sending> for Sent {
    fn from(Sending { delay, to, payload }: Sending) -> Self {
        match payload {
            Payload::Message(message) => Self::Message { delay, to, message: Arc::new(message) },
            Payload::Bytes(bytes) => Self::Bytes { delay, to, bytes },
        }
    }
}

/// Something that takes time, and then is done.
pub(crate) enum Chore {
    /// A sync of the journal.
    Sync,
    /// The digest of a checkpoint.
    Hash(CheckpointState),
    /// A durable snapshot.
    Snapshot(CheckpointState),
}

/// How far a replica is; those that have everything stand alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    pub(crate) view: View,
    pub(crate) is_active: bool,
    pub(crate) last_executed: SeqNum,
}

impl Machine {
    pub(crate) fn new(
        config: Arc<Config>,
        id: ReplicaId,
        key: SigningKey,
        options: &Options,
        subject: &Subject,
        seed: Seed,
    ) -> Self {
        Self {
            config,
            id,
            key,
            is_faulty: options.is_faulty(id),
            is_timely: options.is_timely(id),
            paused_until: Time::ZERO,
            clock_offset_ms: 0,
            adversary: None,
            subject: subject.clone(),
            disk: MemoryBackend::new(),
            has_folder: false,
            snapshot_policy: options.snapshot_policy,
            sync_span: options.sync,
            crash_kind: CrashKind::Power,
            process: None,
            halted: None,
            memory_changed: false,
            has_found_torn_tail: false,
            has_stopped: false,
            has_failing_disk: false,
            copy: None,
            is_rolled_back: false,
            is_lost: false,
            has_forgotten: false,
            rng: seed.stream_of("machine", u64::from(id.get())),
            starts: 0,
            started_at: Time::ZERO,
            admitted_start: 0,
            written: Vec::new(),
            log: ExecutionLog::default(),
            flip: BitFlip::default(),
        }
    }

    pub(crate) fn is_faulty(&self) -> bool {
        self.is_faulty
    }

    /// Whether it has lost what it promised, and was not let in since.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// Whether the disk that it has now has all of its memory.
    pub(crate) fn note_memory(&mut self, is_whole: bool) {
        self.has_forgotten = !is_whole;
    }

    /// It misbehaves without an adversary of its own.
    pub(crate) fn mark_faulty(&mut self) {
        (self.is_faulty, self.is_timely) = (true, false);
    }

    pub(crate) fn is_timely(&self) -> bool {
        self.is_timely
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Which start of the machine this is: what was begun before a crash never ends after it.
    pub(crate) fn start_number(&self) -> u64 {
        self.starts
    }

    pub(crate) fn behave(&mut self, behaviour: Behaviour, seed: u64) {
        let identity = Identity {
            config: Arc::clone(&self.config),
            id: self.id,
            key: self.key.clone(),
            forge: self.subject.forge(),
        };
        self.adversary = Some(Adversary::new(behaviour, identity, seed));
    }

    /// Starts the replica from what the disk holds. The disk may fail it while it starts.
    pub(crate) fn start(&mut self, now: Now, sent: &mut Vec<Sent>) {
        if self.is_given_up(now.monotonic) {
            self.lose_disk();
        }
        self.start_after_disk_failure();
        self.starts += 1;
        self.started_at = now.monotonic;
        let mut effects = VecDeque::new();
        match self.open(now, &mut effects) {
            Ok(process) => {
                self.process = Some(process);
                self.carry_out(effects, sent);
            }
            Err(error) => self.on_disk_error(&error),
        }
    }

    /// Whether the peers remember more than the disk does, or another memory has rejoined since.
    pub(crate) fn is_found_out(&self) -> bool {
        let says_so = |cause: &HaltCause| {
            let HaltCause::Replica(reason) = cause else { return false };
            matches!(reason, HaltReason::Amnesia { .. } | HaltReason::Replaced { .. })
        };
        self.is_rolled_back && self.halted.as_ref().is_some_and(says_so)
    }

    /// Whether the owner of the machine gives up its disk: it is an old one, and was found out, or
    /// has been neither found out nor let in for long although some peers remember more.
    pub(crate) fn is_given_up(&self, now: Time) -> bool {
        let has_waited = now.since(self.started_at) >= OWNER_WAITS;
        let is_accused =
            || self.status().is_some_and(|status| !status.replica.accused_by.is_empty());
        self.is_found_out() || (self.is_rolled_back && has_waited && is_accused())
    }

    /// Whether a start ever found a write that a crash had interrupted.
    pub(crate) fn has_found_torn_tail(&self) -> bool {
        self.has_found_torn_tail
    }

    /// Whether a message is about a number above the replica's window.
    pub(crate) fn is_behind(&self, message: &Message) -> bool {
        let seq = match message {
            Message::PrePrepare(signed, _) | Message::Outline(signed, _) => signed.body.seq,
            Message::Prepare(vote) | Message::Commit(vote) => vote.seq,
            _ => return false,
        };
        let window = self.config.parameters.log_window;
        self.status().is_some_and(|status| {
            let (low, _) = status.replica.stable_checkpoint;
            seq.get() > low.get() + window
        })
    }

    /// The machine does nothing for this long, as if it were suspended.
    pub(crate) fn pause(&mut self, now: Time, span: Duration) {
        self.paused_until = self.paused_until.max(now.after(span));
    }

    pub(crate) fn resume(&mut self) {
        self.paused_until = Time::ZERO;
    }

    /// Until when the machine does nothing; `None` if it runs.
    pub(crate) fn paused_until(&self, now: Time) -> Option<Time> {
        (self.paused_until > now).then_some(self.paused_until)
    }

    pub(crate) fn jump_clock(&mut self, by_ms: i64) {
        self.clock_offset_ms = self.clock_offset_ms.saturating_add(by_ms);
    }

    pub(crate) fn clock_offset_ms(&self) -> i64 {
        self.clock_offset_ms
    }

    /// What becomes of a message, or of bytes that are none, that has arrived and that the door
    /// refused or not. What the machine's adversary sends because of it is appended to `sent`.
    pub(crate) fn fate(
        &mut self,
        from: Endpoint,
        message: Option<&Message>,
        refusal: Option<Reject>,
        sent: &mut Vec<Sent>,
    ) -> Fate {
        if self.process.is_none() {
            return Fate::Down;
        }
        if let Some((adversary, message)) = self.adversary.as_mut().zip(message) {
            let mut sendings = Vec::new();
            let shown = adversary.on_receive(from, message.clone(), &mut sendings);
            sent.extend(sendings.into_iter().map(Sent::from));
            if shown.is_none() {
                return Fate::Discarded;
            }
        }
        if refusal.is_some() { Fate::Refused } else { Fate::Handled }
    }

    pub(crate) fn on_message(&mut self, now: Now, verified: Verified, sent: &mut Vec<Sent>) {
        self.handle(now, HostInput::Message(verified), sent);
    }

    pub(crate) fn on_linked(&mut self, now: Now, peer: ReplicaId, sent: &mut Vec<Sent>) {
        self.handle(now, HostInput::Connected(peer), sent);
    }

    pub(crate) fn on_tick(&mut self, now: Now, sent: &mut Vec<Sent>) {
        self.handle(now, HostInput::Tick, sent);
    }

    /// A chore is done.
    pub(crate) fn on_done(&mut self, now: Now, chore: Chore, sent: &mut Vec<Sent>) {
        let Some(process) = &mut self.process else { return };
        let input = match chore {
            Chore::Sync => {
                process.is_syncing = false;
                let tasks = std::mem::take(&mut process.tasks);
                let records = tasks.iter().flat_map(written_by).collect();
                match Folder::perform(&mut process.folder.journal, tasks) {
                    Ok(None) => return,
                    Ok(Some(position)) => {
                        self.written.push(Written { starts: false, snapshot: None, records });
                        HostInput::Durable(position)
                    }
                    Err(error) => return self.on_disk_error(&error.into()),
                }
            }
            Chore::Hash(state) => HostInput::CheckpointHashed { seq: state.seq(), id: state.id() },
            Chore::Snapshot(state) => {
                if let Err(error) = Folder::save(&mut process.folder.snapshots, &state) {
                    return self.on_disk_error(&error.into());
                }
                HostInput::SnapshotDurable { seq: state.seq() }
            }
        };
        self.handle(now, input, sent);
    }

    /// A deadline that is not on the agenda yet and comes before the one that is.
    pub(crate) fn new_deadline(&mut self) -> Option<Time> {
        let process = self.process.as_mut()?;
        let deadline = process.host.next_deadline()?;
        if process.deadline.is_some_and(|known| known <= deadline) {
            return None;
        }
        process.deadline = Some(deadline);
        Some(deadline)
    }

    /// The agenda has come to a deadline; is it still meant?
    pub(crate) fn forget_deadline(&mut self, now: Time) -> bool {
        let Some(process) = &mut self.process else { return false };
        let is_meant = process.deadline.is_some_and(|known| known <= now);
        if is_meant {
            process.deadline = None;
        }
        is_meant
    }

    /// What the service executed since this was last asked.
    pub(crate) fn take_executions(&mut self) -> Vec<Noted> {
        std::mem::take(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What its disk has made durable since this was last asked.
    pub(crate) fn take_written(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.written)
    }

    /// Whether what it would tell may have changed since this was last asked: only a record does
    /// that, or a crash.
    pub(crate) fn take_memory_changed(&mut self) -> bool {
        std::mem::take(&mut self.memory_changed)
    }

    /// What the replica would tell were it to leave its view now; nothing while it is down, or was
    /// not let in.
    pub(crate) fn would_tell(&self) -> Option<ViewChange> {
        let core = self.process.as_ref()?.host.core();
        let status = core.status();
        let may_tell = status.admitted && status.halted.is_none();
        may_tell.then(|| core.view_change(status.view.next()))
    }

    /// What its core holds, and how many messages wait for its disk; nothing while it is down.
    pub(crate) fn held(&self) -> Option<(Held, usize)> {
        let host = &self.process.as_ref()?.host;
        Some((host.core().held(), host.messages_held()))
    }

    /// The digest that the tree of its state has kept of itself, and that of a tree made anew of the
    /// same entries; nothing while it is down.
    pub(crate) fn state_digests(&self) -> Option<(Digest, Digest)> {
        let state = self.process.as_ref()?.host.state();
        let mut anew = Tree::new();
        state.tree().scan(&[], None, &mut |key, value| {
            anew.put(key, value.to_vec());
            true
        });
        Some((state.tree().root_digest(), anew.root_digest()))
    }

    /// What does not hold at this replica although it is correct.
    pub(crate) fn broken_invariant(&self) -> Option<String> {
        if self.is_faulty {
            return None;
        }
        let may_stop = self.is_found_out() || self.has_stopped_for_its_disk();
        if let Some(cause) = self.halted.as_ref().filter(|_| !may_stop) {
            return Some(format!("it stopped: {cause}"));
        }
        let broken = self.process.as_ref()?.host.core().broken_invariant()?;
        Some(broken.to_owned())
    }

    /// `None` while the process is down, or has not its memory back.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let status = self.status()?.replica;
        if status.amnesiac {
            return None;
        }
        Some(Standing {
            view: status.view,
            is_active: status.active,
            last_executed: status.last_executed,
        })
    }

    pub(crate) fn status(&self) -> Option<HostStatus> {
        self.process.as_ref().map(|process| process.host.status())
    }

    /// Whether the others have let it in.
    pub(crate) fn takes_part(&self) -> bool {
        self.status().is_some_and(|status| status.replica.admitted)
    }

    pub(crate) fn describe(&self) -> String {
        let fault = if self.is_faulty { " (faulty)" } else { "" };
        match (&self.halted, self.status()) {
            (Some(cause), _) => format!("replica {}{fault} stopped: {cause}", self.id),
            (None, None) => format!("replica {}{fault} is down", self.id),
            (None, Some(HostStatus { replica: core, fetch, messages_held, .. })) => format!(
                "replica {}{fault}: view {}{}, executed {} of {}, stable {}, {} requests wait, \
                 {messages_held} messages held{}{}",
                self.id,
                core.view,
                if core.active { "" } else { " (inactive)" },
                core.last_executed,
                core.highest_known,
                core.stable_checkpoint.0,
                core.waiting_requests,
                match (core.admitted, core.amnesiac) {
                    (true, _) => "",
                    (false, true) => ", rejoining",
                    (false, false) => ", not admitted",
                },
                fetch.map_or_else(String::new, |fetch| {
                    format!(", fetching the state at {}", fetch.seq)
                }),
            ),
        }
    }

    fn open(&mut self, now: Now, effects: &mut VecDeque<Effect>) -> Result<Process, FolderError> {
        let backend: Arc<dyn Backend> = Arc::new(self.disk.clone());
        let identity = JournalIdentity { cluster: self.config.domain.cluster, replica: self.id };
        let config = JournalConfig { segment_bytes: SEGMENT_BYTES };
        let (folder, stored) = if self.has_folder {
            Folder::open(backend, identity, config)?
        } else {
            match Folder::create(Arc::clone(&backend), identity, config) {
                Ok(folder) => (folder, Stored::default()),
                // A crash interrupted the creation at its very end.
                Err(FolderError::Exists) => Folder::open(backend, identity, config)?,
                Err(error) => return Err(error),
            }
        };
        self.has_folder = true;
        self.has_found_torn_tail |= stored.torn_tail.is_some();
        let snapshot = stored.snapshot.as_ref().map(|(seq, _)| *seq);
        self.written = vec![Written { starts: true, snapshot, records: stored.records.clone() }];
        let is_lost = self.is_lost && stored.records.is_empty();
        let service = self
            .subject
            .watched(Arc::clone(&self.log), self.starts << 32)
            .flipping(Arc::clone(&self.flip));
        let mut boot_id = [0; 16];
        boot_id[..8].copy_from_slice(&self.rng.bits().to_le_bytes());
        let start = Start {
            config: Arc::clone(&self.config),
            id: self.id,
            key: self.key.clone(),
            boot_id,
            services: Services::from([(SERVICE, Box::new(service) as Box<_>)]),
            snapshot_policy: self.snapshot_policy,
            stored,
            is_lost,
        };
        let mut first = Vec::new();
        let host = Host::start(start, now, &mut first)
            .expect("the snapshot is one that this replica made");
        effects.extend(first);
        Ok(Process { host, folder, tasks: Vec::new(), is_syncing: false, deadline: None })
    }

    fn handle(&mut self, now: Now, input: HostInput, sent: &mut Vec<Sent>) {
        let Some(process) = &mut self.process else { return };
        let mut effects = Vec::new();
        process.host.handle(now, input, &mut effects);
        self.carry_out(effects.into(), sent);
    }

    fn carry_out(&mut self, effects: VecDeque<Effect>, sent: &mut Vec<Sent>) {
        for effect in effects {
            self.carry_out_one(effect, sent);
        }
    }

    fn carry_out_one(&mut self, effect: Effect, sent: &mut Vec<Sent>) {
        let Some(process) = &mut self.process else { return };
        match effect {
            Effect::Journal(task) => {
                self.memory_changed = true;
                process.tasks.push(task);
                if !process.is_syncing {
                    process.is_syncing = true;
                    self.chore(Chore::Sync, sent);
                }
            }
            Effect::WriteSnapshot(state) => self.chore(Chore::Snapshot(state), sent),
            Effect::HashCheckpoint(state) => self.chore(Chore::Hash(state), sent),
            Effect::Send { to: Recipients::Others, message } => {
                let own = self.id;
                if is_agreement(message.kind()) {
                    sent.push(Sent::Own(Arc::clone(&message)));
                }
                for peer in self.config.replica_ids().filter(|peer| *peer != own) {
                    self.send(Endpoint::Replica(peer), Arc::clone(&message), sent);
                }
            }
            Effect::Send { to: Recipients::One(peer), message } => {
                self.send(Endpoint::Replica(peer), message, sent);
            }
            Effect::Reply { client, message } => {
                self.send(Endpoint::Client(client), Arc::new(message), sent);
            }
            Effect::Evidence(evidence) => sent.push(Sent::Evidence(evidence)),
            Effect::Event(event) => {
                if event == Event::Admitted {
                    (self.admitted_start, self.has_forgotten) = (self.starts, false);
                }
                sent.push(Sent::Event(event));
            }
            Effect::Halt(cause) => {
                self.halt(cause);
            }
        }
    }

    fn send(&mut self, to: Endpoint, message: Arc<Message>, sent: &mut Vec<Sent>) {
        let Some(adversary) = &mut self.adversary else {
            sent.push(Sent::Message { delay: Duration::ZERO, to, message });
            return;
        };
        let sendings = adversary.on_send(to, Message::clone(&message));
        sent.extend(sendings.into_iter().map(Sent::from));
    }

    /// Begins something that takes time: as long as a sync does, now and then much longer.
    fn chore(&mut self, chore: Chore, sent: &mut Vec<Sent>) {
        let (min, max) = self.sync_span;
        let span = self.rng.within(super::micros(min)..=super::micros(max));
        let factor = match chore {
            Chore::Sync => 1,
            Chore::Hash(_) | Chore::Snapshot(_) => 1 + self.rng.below(50),
        };
        sent.push(Sent::Chore { takes: Duration::from_micros(span.saturating_mul(factor)), chore });
    }

    /// The disk failed: because the machine was to crash there, or because of damage, which stops
    /// the replica for good.
    fn on_disk_error(&mut self, error: &FolderError) {
        self.process = None;
        if self.disk.has_crashed() {
            self.crash(self.crash_kind);
        } else {
            self.halt(HaltCause::Storage(error.to_string()));
        }
    }

    /// The replica stops for good.
    fn halt(&mut self, cause: HaltCause) {
        self.process = None;
        (self.halted, self.has_stopped) = (Some(cause), true);
    }

    /// Why the replica has stopped, told once.
    pub(crate) fn take_stop(&mut self) -> Option<String> {
        let has_stopped = std::mem::take(&mut self.has_stopped);
        self.halted.as_ref().filter(|_| has_stopped).map(ToString::to_string)
    }
}

/// The journal's segments are small, so that short runs rotate them too.
const SEGMENT_BYTES: u64 = 32 << 10;

/// The records that a task appends.
fn written_by(task: &JournalTask) -> Vec<Record> {
    let JournalTask::Append { records, .. } = task else { return Vec::new() };
    records.iter().filter_map(|bytes| Record::decode(bytes)).collect()
}
