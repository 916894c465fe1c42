//! The protocol thread: takes inputs in the order in which they are best taken, gives them to the
//! host, and does what the host asks for.

mod inputs;

use super::checker::Checker;
use super::clock::Clock;
use super::counters::{Counters, VIEWS_ENTERED};
use super::disk::{Disk, Done};
use super::evidence::Archive;
use super::laboratory::{Arrival, Laboratory, Seen, Watcher};
use super::links::{self, Links};
use super::outer::Ends;
use super::recorder::Recorder;
use super::verifier::{Checked, Company, Verifier};
use super::{Command, Ended, NodeError, Opened};
use crate::admin::{NodeStatus, Request, Response};
use crate::cluster::Cluster;
use crate::home::Home;
use inputs::{Inputs, Next};
use pbft::{Config, Message, Now, Reject, ReplicaId, Sender, SigningKey, Verified, wire};
use quorate_adversary::{Behaviour, Identity};
use quorate_net::identity::SecretKeys;
use quorate_net::metrics::{Counter, LinkCounters};
use quorate_net::{Class, PeerEvent, Peers};
use quorate_replica::{
    Effect, HaltCause, Host, HostInput, HostStatus, Services, SnapshotPolicy, Start, TornTail,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Inputs taken in a row before the links, which share this thread, get their turn.
const INPUTS_IN_A_ROW_MAX: u32 = 64;

/// Everything the thread is given.
pub(super) struct Ground {
    pub(super) home: Home,
    pub(super) cluster: Cluster,
    pub(super) id: ReplicaId,
    pub(super) keys: SecretKeys,
    pub(super) signing_key: SigningKey,
    pub(super) forge: fn(&[u8]) -> Vec<u8>,
    pub(super) laboratory: Laboratory,
    pub(super) recordings: Option<PathBuf>,
    pub(super) services: Services,
    pub(super) opened: Opened,
    pub(super) commands: mpsc::Receiver<Command>,
    /// Its other end goes when nobody holds the replica any more.
    pub(super) owner: oneshot::Receiver<()>,
    pub(super) checker: Arc<Checker>,
    pub(super) outer: Ends,
}

/// Runs a replica until it is told to stop, or stops for good. Tells `started` when it runs, or
/// why it does not.
pub(super) fn run(ground: Ground, started: &sync_mpsc::Sender<Result<(), NodeError>>) -> Ended {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error.into()));
            return Ended::Failed;
        }
    };
    let ended = runtime.block_on(async {
        let (core, inputs) = match Core::start(ground) {
            Ok(parts) => parts,
            Err(error) => {
                // The starting thread waits for this, and for nothing else.
                let _ = started.send(Err(error));
                return Ended::Failed;
            }
        };
        let _ = started.send(Ok(()));
        core.run(inputs).await
    });
    runtime.shutdown_background();
    ended
}

struct Core {
    home: Home,
    lab: bool,
    watcher: Option<Watcher>,
    recorder: Option<Recorder>,
    config: Arc<Config>,
    clock: Clock,
    host: Host,
    links: Links,
    disk: Disk,
    archive: Archive,
    checker: Arc<Checker>,
    verifier: Verifier,
    counters: Counters,
    effects: Vec<Effect>,
    ended: Option<Ended>,
    outer: OuterRest,
}

/// What of the outer thread must live as long as this one.
struct OuterRest {
    metrics: Arc<quorate_net::metrics::NetMetrics>,
    _alive: oneshot::Sender<()>,
}

impl Core {
    fn start(ground: Ground) -> Result<(Self, Inputs), NodeError> {
        let Ground { home, cluster, id, keys, signing_key, forge, services, checker, .. } = ground;
        let Laboratory { behaviour, seed, watcher } = ground.laboratory;
        let Ends { clients, requests, metrics, door, _alive } = ground.outer;
        let Opened { memory, stored, is_lost } = ground.opened;
        if let Some(TornTail { segment, offset, bytes }) = stored.torn_tail {
            tracing::info!(%segment, offset, bytes, "a write that a crash interrupted is cut off");
        }
        let config = Arc::clone(&cluster.config);
        let clock = Clock::new();
        let mut effects = Vec::new();
        let start = Start {
            config: Arc::clone(&config),
            id,
            key: signing_key.clone(),
            boot_id: draw_boot_id()?,
            services,
            snapshot_policy: SnapshotPolicy::default(),
            stored,
            is_lost,
        };
        let now = clock.now();
        let recorder = ground.recordings.and_then(|folder| start_recorder(&folder, &start, now));
        let host = Host::start(start, now, &mut effects)?;
        if let Some(recorder) = &recorder {
            recorder.outputs(&effects);
        }
        checker.publish(&host.core().status());
        // Bounded by the work handed to the disk, of which each piece is answered once.
        let (done, done_received) = mpsc::unbounded_channel();
        let disk = Disk::start(memory, Done::new(done), cluster.together)?;
        let archive = Archive::start(home.evidence_path(), Arc::clone(&config))?;
        let (verifier, checked) = Verifier::start(Arc::clone(&checker))?;
        let (peers, inbox, peer_door) = Peers::start(
            id,
            &keys,
            &cluster.replicas,
            &metrics,
            cluster.together.write_bytes_max(),
        )?;
        // The outer thread is gone only if it panicked; then there is no use in going on either.
        let _ = door.send(peer_door);
        let identity = Identity { config: Arc::clone(&config), id, key: signing_key, forge };
        let mut links = Links::new(identity, peers, clients, watcher.clone());
        if let Some(behaviour) = behaviour {
            links.set_faulty(behaviour, seed, None);
        }
        let inputs = Inputs {
            owner: ground.owner,
            commands: ground.commands,
            done: done_received,
            checked,
            peers: inbox,
            requests,
            replicas_in_a_row: 0,
        };
        let core = Self {
            home,
            lab: cluster.lab,
            watcher,
            recorder,
            config,
            clock,
            host,
            links,
            disk,
            archive,
            checker,
            verifier,
            counters: Counters::default(),
            effects,
            ended: None,
            outer: OuterRest { metrics, _alive },
        };
        Ok((core, inputs))
    }

    async fn run(mut self, mut inputs: Inputs) -> Ended {
        self.carry_out();
        while self.ended.is_none() {
            let deadline = links::earliest(&self.clock, self.host.next_deadline(), &self.links);
            let is_behind = self.disk.is_behind();
            let mut next = Some(inputs.next(deadline, is_behind, &self.verifier).await);
            for _ in 0..INPUTS_IN_A_ROW_MAX {
                let Some(input) = next.take() else { break };
                let following = inputs.try_next(is_behind, &self.verifier);
                let is_last = following.is_none();
                self.on_input(input, if is_last { Company::Alone } else { Company::Among });
                next = following;
            }
            if let Some(input) = next {
                self.on_input(input, Company::Among);
            }
            self.on_time();
            tokio::task::yield_now().await;
        }
        let Self { disk, archive, verifier, recorder, ended, .. } = self;
        verifier.finish();
        disk.finish();
        archive.finish();
        if let Some(recorder) = recorder {
            recorder.finish();
        }
        ended.unwrap_or(Ended::Stopped)
    }

    fn on_input(&mut self, input: Next, company: Company) {
        if self.ended.is_some() {
            return;
        }
        match input {
            Next::Command(Command::Stop) => self.ended = Some(Ended::Stopped),
            Next::Command(Command::Ask(request, answer)) => {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(self.answer(request));
            }
            Next::Done(Some(input)) => self.give(input),
            Next::Done(None) => {}
            Next::Checked(checked) => self.on_checked(checked),
            Next::Peer(PeerEvent::Connected(peer)) => self.give(HostInput::Connected(peer)),
            Next::Peer(PeerEvent::Disconnected(_)) => {}
            Next::Peer(PeerEvent::Frame(peer, class, frame)) => {
                self.on_frame(peer, class, frame, company);
            }
            Next::Deadline => {}
        }
    }

    /// Timers that are due fire, however many messages wait.
    fn on_time(&mut self) {
        if self.ended.is_some() {
            return;
        }
        self.links.on_time();
        let due = self.host.next_deadline();
        if due.is_some_and(|due| due <= self.clock.now().monotonic) {
            self.give(HostInput::Tick);
        }
    }

    /// A frame of a peer: votes are let through the door here, whatever needs signatures checked
    /// goes to the pool, unless it is short and alone.
    fn on_frame(&mut self, peer: ReplicaId, class: Class, frame: bytes::Bytes, company: Company) {
        let sender = Sender::Replica(peer);
        if self.links.behaviour().is_some() {
            return self.on_frame_of_faulty(sender, &frame);
        }
        if class == Class::Votes {
            match wire::decode(self.config.domain.epoch, &frame) {
                Err(reason) => return self.refuse(sender, &frame, reason),
                Ok(message) if links::is_unsigned(&message) => {
                    return self.admit(sender, &frame, message);
                }
                // No correct replica sends those here, where nobody asked for room.
                Ok(_) if !self.verifier.has_room(sender) => {
                    return self.refuse(sender, &frame, Reject::TooOften);
                }
                Ok(_) => {}
            }
        }
        if let Some(checked) = self.verifier.take(sender, frame, company) {
            self.on_checked(checked);
        }
    }

    /// A faulty replica's adversary sees what arrives before the replica does.
    fn on_frame_of_faulty(&mut self, sender: Sender, frame: &[u8]) {
        match wire::decode(self.config.domain.epoch, frame) {
            Err(reason) => self.refuse(sender, frame, reason),
            Ok(message) => self.on_message_of_faulty(sender, frame, message),
        }
    }

    fn on_message_of_faulty(&mut self, sender: Sender, frame: &[u8], message: Message) {
        match self.links.seen_by_adversary(sender, message) {
            Some(message) => self.admit(sender, frame, message),
            None => self.arrives(sender, frame, Arrival::Discarded),
        }
    }

    fn on_checked(&mut self, Checked { sender, frame, result, _place }: Checked) {
        match result {
            Err(reason) => self.refuse(sender, &frame, reason),
            Ok(verified) if self.links.behaviour().is_some() => {
                let (sender, message) = verified.into_parts();
                self.on_message_of_faulty(sender, &frame, message);
            }
            Ok(verified) => self.give_message(sender, &frame, verified),
        }
    }

    fn admit(&mut self, sender: Sender, frame: &[u8], message: Message) {
        match self.config.admit(sender, message) {
            Err(reason) => self.refuse(sender, frame, reason),
            Ok(verified) => self.give_message(sender, frame, verified),
        }
    }

    fn refuse(&mut self, sender: Sender, frame: &[u8], reason: Reject) {
        self.arrives(sender, frame, Arrival::Refused(reason));
        self.counters.on_rejected(sender, reason);
    }

    fn give_message(&mut self, sender: Sender, frame: &[u8], verified: Verified) {
        self.arrives(sender, frame, Arrival::Handled);
        self.give(HostInput::Message(verified));
    }

    fn arrives(&self, from: Sender, frame: &[u8], fate: Arrival) {
        if let Some(watcher) = &self.watcher {
            watcher.see(Seen::Arrives { from, frame, fate });
        }
    }

    fn give(&mut self, input: HostInput) {
        let now = self.clock.now();
        if let Some(recorder) = &self.recorder {
            recorder.input(now, &input);
        }
        self.host.handle(now, input, &mut self.effects);
        if let Some(recorder) = &self.recorder {
            recorder.outputs(&self.effects);
        }
        self.checker.publish(&self.host.core().status());
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Journal(task) => self.disk.journal(task),
                Effect::WriteSnapshot(state) => self.disk.write_snapshot(state),
                Effect::HashCheckpoint(state) => self.disk.hash(state),
                Effect::Send { to, message } => self.links.send(to, &message),
                Effect::Reply { client, message } => self.links.reply(client, message),
                Effect::Evidence(evidence) => self.archive.keep(evidence),
                Effect::Event(event) => {
                    if let Some(watcher) = &self.watcher {
                        watcher.see(Seen::Happens(&event));
                    }
                    self.counters.on_event(&event);
                }
                Effect::Halt(cause) => self.halt(cause),
            }
        }
        // The list keeps its room for the next time.
        self.effects = effects;
    }

    fn halt(&mut self, cause: HaltCause) {
        tracing::error!(%cause, "this replica stops for good");
        if let Err(error) = self.home.note_halted(&cause.to_string()) {
            tracing::error!(%error, "the reason could not be noted");
        }
        self.ended = Some(Ended::Halted(cause));
    }

    fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::Status {} => Response::Status(self.status()),
            Request::Counters {} => Response::Counters { counters: self.counters() },
            Request::Break { .. } | Request::Heal {} if !self.lab => Response::Refused {
                reason: "this cluster is not a laboratory: its cluster.toml does not say \
                         `lab = true`, and only `quorate up --lab` writes that"
                    .to_owned(),
            },
            Request::Break { behaviour, for_ms, seed } => match behaviour.parse::<Behaviour>() {
                Ok(behaviour) => {
                    self.links.set_faulty(behaviour, seed, for_ms.map(Duration::from_millis));
                    Response::Done {}
                }
                Err(unknown) => Response::Refused { reason: unknown.to_string() },
            },
            Request::Heal {} => {
                self.links.heal();
                Response::Done {}
            }
        }
    }

    fn status(&self) -> NodeStatus {
        let HostStatus { replica, durable_snapshot, messages_held, .. } = self.host.status();
        let (stable_checkpoint, id) = replica.stable_checkpoint;
        NodeStatus {
            id: replica.id.get(),
            pid: std::process::id(),
            processor_us: u64::try_from(super::processor_time().as_micros()).unwrap_or(u64::MAX),
            admitted: replica.admitted,
            accused_by: replica.accused_by.iter().map(|peer| peer.get()).collect(),
            amnesiac: replica.amnesiac,
            view: replica.view.get(),
            active: replica.active,
            last_executed: replica.last_executed.get(),
            stable_checkpoint: stable_checkpoint.get(),
            checkpoint_digest: format!("{:#}", id.state_root),
            history_digest: format!("{:#}", id.history_root),
            durable_snapshot: durable_snapshot.get(),
            highest_known: replica.highest_known.get(),
            fetching: replica.fetching.map(pbft::SeqNum::get),
            waiting_requests: replica.waiting_requests,
            messages_held,
            connected: self.links.connected(),
            behaviour: self.links.behaviour().map(|behaviour| behaviour.to_string()),
            views_entered: self.counters.get(VIEWS_ENTERED),
        }
    }

    fn counters(&self) -> std::collections::BTreeMap<String, u64> {
        let mut all = self.counters.all();
        let metrics = &self.outer.metrics;
        let counts = [
            ("connections_accepted", &metrics.accepted),
            ("accept_errors", &metrics.accept_errors),
            ("handshakes_failed", &metrics.handshakes_failed),
            ("handshakes_unknown_key", &metrics.handshakes_unknown_key),
            ("handshakes_timed_out", &metrics.handshakes_timed_out),
            ("handshakes_evicted", &metrics.handshakes_evicted),
            ("connections_refused", &metrics.connections_refused),
            ("client_frames_oversize", &metrics.clients.frames_oversize),
            ("client_frames_received", &metrics.clients.frames_received),
            ("client_frames_dropped", &metrics.clients.frames_dropped),
        ];
        all.extend(counts.map(|(name, count)| (name.to_owned(), count.get())));
        let votes = metrics.peers.values().map(|peer| &peer.votes);
        let bulk = metrics.peers.values().map(|peer| &peer.bulk);
        let links: Vec<_> = votes.chain(bulk).chain([&metrics.clients]).collect();
        let sum = |of: fn(&LinkCounters) -> &Counter| links.iter().map(|link| of(link).get()).sum();
        let sums = [
            ("frames_sent", sum(|link| &link.frames_sent)),
            ("bytes_sent", sum(|link| &link.bytes_sent)),
            ("writes", sum(|link| &link.writes)),
            ("signatures_checked", self.checker.signatures_checked()),
            ("signature_checks", self.checker.signature_checks()),
            ("syncs", self.disk.syncs()),
        ];
        all.extend(sums.map(|(name, count)| (name.to_owned(), count)));
        all
    }
}

/// A recording is an aid: a replica starts without one if need be.
fn start_recorder(folder: &Path, start: &Start, now: Now) -> Option<Recorder> {
    let recorder = Recorder::start(folder, start, now);
    let warn = |error: &std::io::Error| {
        tracing::warn!(
            %error,
            "this start is not recorded, and the replica goes on without: the folder must be \
             writable, its disk have 1 GiB left, and its recordings take less than 4 GiB together"
        );
    };
    recorder.inspect_err(warn).ok()
}

fn draw_boot_id() -> std::io::Result<pbft::message::BootId> {
    let mut id = pbft::message::BootId::default();
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    Ok(id)
}
