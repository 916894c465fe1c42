//! The host of a replica: carries out what the protocol core asks for, in its order, and answers
//! its questions. Synchronous and deterministic: what takes time (the disk, hashing a checkpoint)
//! leaves as an [`Effect`] and comes back as a [`HostInput`].
//!
//! The one duty on which safety rests, that nothing leaves before what it depends on is durable,
//! is implemented in [`outbox`] and nowhere else [DU1].
//!
//! Which thread does what is not decided here. Each [`JournalTask`] must reach the journal in its
//! order; everything else may be done when its turn comes, on whatever thread.

mod checkpoints;
pub(crate) mod effect;
pub(crate) mod folder;
mod outbox;
mod snapshots;

pub use snapshots::SnapshotPolicy;

use crate::TornTail;
use crate::executor::{CheckpointState, Executed, Executor, Services, StateError};
use crate::transfer::{Fetch, FetchProgress, StateServer};
use crate::tree::Tree;
use checkpoints::Checkpoints;
use effect::{Effect, HaltCause, JournalTask};
use outbox::Outbox;
use pbft::message::{BootId, CheckpointId, Reply, ReplyBody};
use pbft::{
    Config, Event, Input, Message, Now, Output, Position, Recipients, Record, Recovered, Reject,
    Replica, ReplicaId, ReplicaStatus, Sender, SeqNum, SigningKey, Time, Verified,
};
use snapshots::Snapshots;
use std::collections::VecDeque;
use std::sync::Arc;

/// A replica with its state, its outbox and its transfers.
#[derive(Debug)]
pub struct Host {
    config: Arc<Config>,
    id: ReplicaId,
    core: Replica,
    executor: Executor,
    outbox: Outbox,
    /// The checkpoints that may still be asked for.
    checkpoints: Checkpoints,
    snapshots: Snapshots,
    /// The last stable checkpoint.
    stable: (SeqNum, CheckpointId),
    /// A fetch of state under way. It goes on to newer states until the core wants no more.
    fetch: Option<Fetch>,
    /// A fetched state that is not installed yet: it has to be a durable snapshot first.
    arrived: Option<(CheckpointState, CheckpointId)>,
    server: StateServer,
    /// Why this replica stopped for good. Then it does nothing any more.
    halted: Option<HaltCause>,
}

/// What a replica starts from.
pub struct Start {
    /// The cluster.
    pub config: Arc<Config>,
    /// Which replica this is.
    pub id: ReplicaId,
    /// Its signing key.
    pub key: SigningKey,
    /// Names this start; drawn at random.
    pub boot_id: BootId,
    /// What is replicated.
    pub services: Services,
    /// When durable snapshots are made.
    pub snapshot_policy: SnapshotPolicy,
    /// What the disk holds.
    pub stored: Stored,
    /// Whether the replica had another memory, which is lost: then it rejoins with this one, which
    /// is empty [RJ2].
    pub is_lost: bool,
}

/// What a replica's disk holds; by default nothing, as before its first start.
#[derive(Debug, Default)]
pub struct Stored {
    /// The last durable snapshot: the checkpoint and the state.
    pub snapshot: Option<(SeqNum, Tree)>,
    /// Every record of the journal that does not restate an older one, in order.
    pub records: Vec<Record>,
    /// The length of the journal since it was last restated.
    pub journal_bytes: u64,
    /// The end of the journal that was cut off because a crash had interrupted its writing.
    pub torn_tail: Option<TornTail>,
}

/// Something that happened.
#[derive(Debug)]
pub enum HostInput {
    /// A message that passed the door.
    Message(Verified),
    /// A link to this peer was (re-)established.
    Connected(ReplicaId),
    /// Time has passed.
    Tick,
    /// Every record up to this position is durable.
    Durable(Position),
    /// The answer to [`Effect::HashCheckpoint`].
    CheckpointHashed {
        /// The checkpoint.
        seq: SeqNum,
        /// What [`CheckpointState::id`] returned.
        id: CheckpointId,
    },
    /// The answer to [`Effect::WriteSnapshot`].
    SnapshotDurable {
        /// The checkpoint.
        seq: SeqNum,
    },
    /// The journal or the snapshots cannot be written any more. The replica stops: whether the
    /// last write is durable cannot be known.
    StorageFailed(String),
}

/// What a host tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// What its core tells.
    pub replica: ReplicaStatus,
    /// A fetch of state under way.
    pub fetch: Option<FetchProgress>,
    /// The checkpoint of the last durable snapshot.
    pub durable_snapshot: SeqNum,
    /// Messages that wait for the disk.
    pub messages_held: usize,
    /// Why it stopped, if it did.
    pub halted: Option<HaltCause>,
}

impl Host {
    /// Starts a replica from what its disk holds, executing again what was committed after the
    /// last durable snapshot.
    ///
    /// # Errors
    /// If the snapshot is not a state of this cluster, or not the one it is said to be, or if the
    /// records are such as no replica writes.
    pub fn start(start: Start, now: Now, effects: &mut Vec<Effect>) -> Result<Self, StateError> {
        let Start { config, id, key, boot_id, services, snapshot_policy, stored, is_lost } = start;
        let mut executor = Executor::genesis(Arc::clone(&config), services);
        let genesis = executor.checkpoint().id();
        if let Some((seq, tree)) = stored.snapshot {
            executor.load(seq, tree)?;
        }
        let base = executor.checkpoint();
        let checkpoint = (base.seq(), base.id());
        let (state, records) = (executor.mirror(), stored.records);
        let recovered = Recovered { genesis, checkpoint, state, is_lost, records };
        let mut outputs = Vec::new();
        let core =
            Replica::recover(Arc::clone(&config), id, key, boot_id, now, recovered, &mut outputs);
        let status = core.status();
        if let Some(rule) = core.broken_invariant().filter(|_| status.halted.is_none()) {
            return Err(StateError::Contradiction { rule });
        }
        let journal_bytes = stored.journal_bytes;
        let snapshots = Snapshots::new(snapshot_policy, checkpoint.0, journal_bytes, now.monotonic);
        let mut host = Self {
            stable: status.stable_checkpoint,
            config,
            id,
            core,
            executor,
            outbox: Outbox::default(),
            checkpoints: Checkpoints::new(base, checkpoint.1),
            snapshots,
            fetch: None,
            arrived: None,
            server: StateServer::default(),
            halted: None,
        };
        host.carry_out(now, outputs, effects);
        host.settle(now, effects);
        Ok(host)
    }

    /// Takes one input and appends what is to be done to `effects`, in order. Never blocks. The
    /// next input comes when all of them are done or handed on.
    pub fn handle(&mut self, now: Now, input: HostInput, effects: &mut Vec<Effect>) {
        if self.halted.is_some() {
            return;
        }
        match input {
            HostInput::Message(verified) => self.on_message(now, verified, effects),
            HostInput::Connected(peer) => self.step(now, Input::Connected(peer), effects),
            HostInput::Tick => self.step(now, Input::Tick, effects),
            HostInput::Durable(position) => self.outbox.on_durable(position, effects),
            HostInput::CheckpointHashed { seq, id } => {
                for (seq, id) in self.checkpoints.on_hashed(seq, id) {
                    self.step(now, Input::CheckpointTaken { seq, id }, effects);
                }
            }
            HostInput::SnapshotDurable { seq } => self.on_snapshot_durable(now, seq, effects),
            HostInput::StorageFailed(error) => self.halt(HaltCause::Storage(error), effects),
        }
        self.settle(now, effects);
    }

    /// When [`HostInput::Tick`] is due at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.halted.is_some() {
            return None;
        }
        let fetch = self.fetch.as_ref().and_then(Fetch::next_deadline);
        let deadlines = [self.core.next_deadline(), fetch, self.server.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// What the host tells about itself.
    pub fn status(&self) -> HostStatus {
        HostStatus {
            replica: self.core.status(),
            fetch: self.fetch.as_ref().map(Fetch::progress),
            durable_snapshot: self.snapshots.durable(),
            messages_held: self.messages_held(),
            halted: self.halted.clone(),
        }
    }

    /// How many messages wait for the disk.
    pub fn messages_held(&self) -> usize {
        self.outbox.held_count()
    }

    /// The state as it is now.
    pub fn state(&self) -> CheckpointState {
        self.executor.checkpoint()
    }

    /// The protocol core, for checkers.
    pub fn core(&self) -> &Replica {
        &self.core
    }

    fn on_message(&mut self, now: Now, verified: Verified, effects: &mut Vec<Effect>) {
        let is_transfer =
            matches!(verified.message(), Message::FetchState(_) | Message::StateParts(_));
        let (true, Sender::Replica(from)) = (is_transfer, verified.sender()) else {
            return self.step(now, Input::Message(verified), effects);
        };
        let (_, message) = verified.into_parts();
        let kind = message.kind();
        if let Err(reason) = self.on_transfer_message(now.monotonic, from, message, effects) {
            effects.push(Effect::Event(Event::Rejected { from, kind, reason }));
        }
    }

    fn on_transfer_message(
        &mut self,
        now: Time,
        from: ReplicaId,
        message: Message,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Reject> {
        match message {
            Message::FetchState(request) => {
                let retained = |seq| self.checkpoints.find(seq);
                let answer = self.server.answer(now, from, request, retained)?;
                effects.extend(answer.into_iter().map(|parts| Effect::Send {
                    to: Recipients::One(from),
                    message: Arc::new(Message::StateParts(parts)),
                }));
                Ok(())
            }
            Message::StateParts(parts) => {
                self.fetch.as_mut().ok_or(Reject::Unsolicited)?.on_parts(now, from, parts)
            }
            _ => Err(Reject::Unsolicited),
        }
    }

    /// Gives the core one input, and does what it asks for.
    fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        let mut outputs = Vec::new();
        self.core.step(now, input, &mut outputs);
        self.carry_out(now, outputs, effects);
    }

    /// Carries out a list of outputs in its order, then gives the core the answers to its
    /// questions, in the order asked, until nothing is left.
    fn carry_out(&mut self, now: Now, mut outputs: Vec<Output>, effects: &mut Vec<Effect>) {
        let mut answers = VecDeque::new();
        while self.halted.is_none() {
            for output in outputs.drain(..) {
                self.carry_out_one(output, &mut answers, effects);
            }
            let Some(answer) = answers.pop_front() else { return };
            self.core.step(now, answer, &mut outputs);
        }
    }

    fn carry_out_one(
        &mut self,
        output: Output,
        answers: &mut VecDeque<Input>,
        effects: &mut Vec<Effect>,
    ) {
        match output {
            Output::Persist { position, record } => self.outbox.persist(position, &record),
            Output::Send { to, message, after } => {
                self.outbox.release(after, Effect::Send { to, message }, effects);
            }
            Output::Reply {
                client,
                session,
                timestamp,
                view,
                certainty,
                outcome,
                replier,
                after,
            } => {
                let kept = || self.executor.cached_outcome(client, session, timestamp);
                if let Some(outcome) = outcome.or_else(kept) {
                    let designated = replier.unwrap_or(self.id);
                    let body = match designated == self.id {
                        true => ReplyBody::Full(outcome),
                        false => ReplyBody::Digest(outcome.digest()),
                    };
                    let reply = Reply { view, session, timestamp, certainty, designated, body };
                    let message = Message::Reply(reply);
                    self.outbox.release(after, Effect::Reply { client, message }, effects);
                }
            }
            Output::Read { client, read, after } => {
                let message = Message::ReadReply(self.executor.read(client, &read));
                self.outbox.release(after, Effect::Reply { client, message }, effects);
            }
            Output::Choose => answers.push_back(Input::Chosen(self.executor.choose())),
            Output::Execute { seq, digest, batch, tentative } => {
                let batch = batch.as_deref();
                let Executed { executions, rejoined } = if tentative {
                    self.executor.execute_tentatively(seq, digest, batch)
                } else {
                    self.executor.execute(seq, digest, batch)
                };
                answers.push_back(Input::Executed { seq, executions, rejoined });
            }
            Output::Settled { .. } => self.executor.settle(),
            Output::RollBack { .. } => self.executor.roll_back(),
            Output::TakeCheckpoint { seq } => {
                let state = self.executor.checkpoint();
                assert_eq!(state.seq(), seq, "a checkpoint is taken before the next execution");
                self.checkpoints.take(state.clone());
                effects.push(Effect::HashCheckpoint(state));
            }
            Output::FetchState { seq, id } => self.fetch_state((seq, id)),
            Output::Stable { seq, id } => {
                self.stable = (seq, id);
                self.checkpoints.forget_below(seq);
            }
            Output::Evidence(evidence) => effects.push(Effect::Evidence(evidence)),
            Output::Event(event) => effects.push(Effect::Event(event)),
            Output::Halt(reason) => self.halt(HaltCause::Replica(reason), effects),
        }
    }

    fn fetch_state(&mut self, target: (SeqNum, CheckpointId)) {
        if let Some(fetch) = &mut self.fetch {
            return fetch.aim(target);
        }
        let own = self.id;
        let peers = self.config.replica_ids().filter(|id| *id != own);
        let parts_max = self.config.parameters.state_parts_per_request_max;
        self.fetch = Some(Fetch::new(target, self.executor.checkpoint().tree, peers, parts_max));
    }

    /// What may be due after any input, whatever it was.
    fn settle(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.halted.is_some() {
            return;
        }
        self.server.expire(now.monotonic);
        self.advance_fetch(now.monotonic, effects);
        if self.halted.is_none() {
            self.snapshots.note_written(self.outbox.flush(effects));
            self.write_snapshot_if_due(now.monotonic, effects);
        }
    }

    fn advance_fetch(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if let Some(fetch) = &mut self.fetch {
            // What is finished while the state before it is being written is only a step towards
            // the next one.
            let finished = if self.arrived.is_none() { fetch.take_finished() } else { None };
            let (seq, id) = fetch.target();
            if let Some(tree) = finished {
                match self.executor.check(tree) {
                    Ok(state) if state.seq() == seq && state.id() == id => {
                        self.arrived = Some((state, id));
                    }
                    Ok(_) | Err(_) => return self.halt(HaltCause::NoState { seq }, effects),
                }
            } else if fetch.is_hopeless() {
                return self.halt(HaltCause::NoState { seq }, effects);
            }
            let requests = fetch.ask(now).into_iter();
            effects.extend(requests.map(|(to, message)| Effect::Send {
                to: Recipients::One(to),
                message: Arc::new(message),
            }));
        }
        if let Some((state, _)) = &self.arrived
            && self.snapshots.try_start(state.seq(), now)
        {
            effects.push(Effect::WriteSnapshot(state.clone()));
        }
    }

    fn write_snapshot_if_due(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let (seq, _) = self.stable;
        if self.arrived.is_some() || !self.snapshots.is_due(seq, now) {
            return;
        }
        let Some((state, _)) = self.checkpoints.find(seq) else { return };
        // A base too long for the journal becomes shorter with the next stable checkpoint.
        if let Some(base) = snapshots::base(&self.core)
            && self.snapshots.try_start(seq, now)
        {
            effects.push(Effect::Journal(JournalTask::Rotate { base }));
            effects.push(Effect::WriteSnapshot(state));
        }
    }

    fn on_snapshot_durable(&mut self, now: Now, seq: SeqNum, effects: &mut Vec<Effect>) {
        self.snapshots.on_durable(seq);
        if self.arrived.as_ref().is_none_or(|(state, _)| state.seq() != seq) {
            effects.push(Effect::Journal(JournalTask::DropOldSegments));
            return;
        }
        let Some((state, id)) = self.arrived.take() else { return };
        if self.executor.install(state.tree().clone()).is_err() {
            return self.halt(HaltCause::NoState { seq }, effects);
        }
        self.checkpoints.insert(state, id);
        let state = self.executor.mirror();
        self.step(now, Input::StateInstalled { seq, id, state }, effects);
        if self.core.status().fetching.is_none() {
            self.fetch = None;
        }
        if self.halted.is_none()
            && let Some(base) = snapshots::base(&self.core)
        {
            self.snapshots.note_written(self.outbox.flush(effects));
            effects.push(Effect::Journal(JournalTask::Rotate { base }));
            effects.push(Effect::Journal(JournalTask::DropOldSegments));
        }
    }

    fn halt(&mut self, cause: HaltCause, effects: &mut Vec<Effect>) {
        effects.push(Effect::Halt(cause.clone()));
        self.halted = Some(cause);
    }
}
