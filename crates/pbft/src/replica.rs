//! The replica as a state machine: its state, its invariants, and the one place where inputs are
//! told apart.

mod admission;
mod answers;
mod checkpoint;
mod evidence;
mod execute;
mod held;
mod new_view;
mod normal;
mod outlines;
mod past;
mod peer_starts;
mod reads;
mod recovery;
mod rejoin;
mod rejoin_pace;
mod request;
mod request_queue;
mod slow_primary;
mod state_transfer;
mod status;
mod tentative;
mod timer;
mod view_change;

pub use held::Held;
pub use recovery::Recovered;

use crate::auth::{Sender, Signed, SignedRequest, SigningKey, Verified};
use crate::event::Event;
use crate::fault::{HaltReason, Reject};
use crate::input::{ClientWindow, Input};
use crate::message::{
    Batch, BootId, Checkpoint, CheckpointId, Message, NewViewProof, PrePrepare, StableProof,
    StartId, ViewChange,
};
use crate::output::{Output, Recipients};
use crate::record::Record;
use crate::rejoin::Rejoins;
use crate::slot::Slot;
use crate::{
    ClientId, Config, Digest, Incarnation, Now, Position, ReplicaId, SeqNum, Session, Time,
    Timestamp, View,
};
use admission::Admission;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use evidence::EvidenceKey;
use outlines::{AskedWhole, Outlines};
use past::Past;
use reads::WaitingReads;
use rejoin::RejoinQueue;
use rejoin_pace::RejoinPace;
pub use rejoin_pace::{REJOIN_GAP, REJOIN_GAP_TOLERANCE};
use request_queue::{RequestQueue, Source};
use slow_primary::SlowPrimary;
use state_transfer::Transfer;
use status::Repair;
use tentative::{Executing, Tentative};
use timer::Timers;

/// A replica. See the crate's documentation for the contract with its host.
#[derive(Clone, Debug)]
pub struct Replica {
    config: Arc<Config>,
    id: ReplicaId,
    key: SigningKey,
    /// The position of the last record handed out to be persisted.
    position: Position,
    /// This start, its counter durable before HELLO.
    boot: Boot,
    /// Whether the peers let this replica in after its start; before, it only introduces itself.
    admission: Admission,
    /// Set once, when the replica comes to doubt its own state; then it does nothing any more.
    halted: Option<HaltReason>,

    /// The current view. **Invariant:** never decreases, across restarts too [VC1].
    view: View,
    /// Whether the NEW-VIEW of `view` was processed (or the view is 0). When not, the replica
    /// neither sends nor accepts PRE-PREPARE, PREPARE or COMMIT of its own making.
    active: bool,
    /// The highest NEW-VIEW found justified. **Invariant:** its view is at most `view`, and equal
    /// to it when `active` and above 0.
    new_view: Option<Arc<NewViewProof>>,
    /// Other justified NEW-VIEWs of the same view that cleared P or Q here [VC10]. **Invariant:**
    /// at most 2L, since each took at least one entry with it.
    rival_new_views: Vec<Arc<NewViewProof>>,
    /// VIEW-CHANGEs for `view`, the first of each sender, one's own included.
    view_changes: BTreeMap<ReplicaId, Arc<Signed<ViewChange>>>,
    /// For each sender the VIEW-CHANGE for the highest view above `view`.
    later_view_changes: BTreeMap<ReplicaId, Arc<Signed<ViewChange>>>,

    /// h. **Invariant:** a multiple of K; every key of `slots`, `prepared` and `pre_prepared` is
    /// in (h, h+L].
    low_water_mark: SeqNum,
    /// The log.
    slots: BTreeMap<SeqNum, Slot>,
    /// P: the digest that prepared here at a number, and the latest view in which it did. It is
    /// not the log: it survives failed views, and entries keep their view [VC2].
    prepared: BTreeMap<SeqNum, (Digest, View)>,
    /// Q: likewise for what pre-prepared here [VC3].
    pre_prepared: BTreeMap<SeqNum, (Digest, View)>,
    /// The bodies of batches that the log, P or Q refer to. Any replica may be asked for them.
    batches: BTreeMap<Digest, Arc<Batch>>,
    /// The bytes of all of them.
    log_bytes: usize,
    /// The last batches below h.
    past: Past,
    /// The latest signed PRE-PREPARE seen for a number: what may convict its primary.
    signed_pre_prepares: BTreeMap<SeqNum, Signed<PrePrepare>>,
    /// PRE-PREPAREs of `view` that came before its NEW-VIEW was processed. At most as many as a
    /// correct primary has in flight; empty when active.
    early_pre_prepares: BTreeMap<SeqNum, (Signed<PrePrepare>, Arc<Batch>)>,

    /// PRE-PREPAREs of `view` some of whose requests are not here. **Invariant:** their numbers are
    /// in (h, h+L].
    outlines: Outlines,
    /// Whose requests a backup had to ask for lately *(as primary)*.
    asked_whole: AskedWhole,

    /// The last number executed and committed. **Invariant:** at least h, except while a restart
    /// re-executes.
    last_executed: SeqNum,
    /// The `Execute` that waits for its answer, if one does.
    executing: Option<Executing>,
    /// What was executed tentatively, with the number after `last_executed` [TE1]. **Invariant:**
    /// it prepared here in the view in which this replica is active, and nobody fetches a state.
    tentative: Option<Tentative>,
    /// What replies must wait for: the P entry or COMMITTED mark of every executed number.
    executed_after: Position,
    /// Numbers up to this one were committed before a restart: their clients were answered then.
    replay_until: SeqNum,
    /// The effects of numbers up to this one may have been shown: before a restart [RO4], or
    /// because they were executed tentatively, be it in vain [TE5].
    shown_until: SeqNum,
    /// Committed numbers below h that a restart executes again from an older snapshot.
    replay: BTreeMap<SeqNum, Digest>,

    /// What proves that h is stable; none for the state before the first batch.
    stable_proof: StableProof,
    /// The checkpoints taken or fetched here, from h on. **Invariant:** contains h.
    own_checkpoints: BTreeMap<SeqNum, CheckpointId>,
    /// One's own CHECKPOINTs, signed once and re-sent as they are.
    own_signed: BTreeMap<SeqNum, Signed<Checkpoint>>,
    /// CHECKPOINTs of all replicas in (h, h+L].
    checkpoints: BTreeMap<SeqNum, BTreeMap<ReplicaId, Signed<Checkpoint>>>,
    /// Proofs of stable checkpoints whose state is not here yet; few.
    proofs_ahead: BTreeMap<SeqNum, StableProof>,
    /// A fetch of state under way. While it is, nothing is executed.
    transfer: Option<Transfer>,
    /// Since when a checkpoint of the others has been ahead without progress here.
    behind_since: Option<Time>,
    /// Whether one is ahead, with or without progress here, or state is fetched.
    catching_up: bool,

    /// The last number this primary assigned. *(When primary and active.)*
    last_assigned: SeqNum,
    /// Whether an idle primary is filling up to the next checkpoint.
    filling: bool,
    /// Whether a `Choose` waits for its answer.
    choosing: bool,
    /// The agreed time: the latest of all batches executed.
    agreed_time: crate::WallTime,
    /// The latest time proposed or accepted in the current view, or executed. **Invariant:** when
    /// the view is left it is the agreed one again: what nobody accepted binds nobody [PP6].
    latest_batch_time: crate::WallTime,
    /// Requests that wait to be executed.
    requests: RequestQueue,
    /// Mirror of the client table in the replicated state.
    clients: BTreeMap<ClientId, ClientWindow>,
    /// READs that wait for a number to be executed.
    waiting_reads: WaitingReads,
    /// REJOINs that wait to be executed.
    rejoin_queue: RejoinQueue,
    /// When the last one of each replica was executed.
    rejoin_pace: RejoinPace,
    /// Mirror of the table of rejoined replicas in the replicated state.
    rejoins: Rejoins,

    timers: Timers,
    slow_primary: SlowPrimary,
    repair: Repair,
    /// Lies already reported, so that each is reported once.
    evidence: BTreeSet<EvidenceKey>,
}

/// One start of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boot {
    /// How many starts the disk has seen, this one included.
    pub counter: u64,
    /// Which start this is.
    pub id: BootId,
    /// How often the replica has rejoined.
    pub incarnation: Incarnation,
}

impl Boot {
    fn start(&self) -> StartId {
        StartId { counter: self.counter, boot_id: self.id }
    }
}

/// What a replica tells about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaStatus {
    /// Which replica.
    pub id: ReplicaId,
    /// Whether its peers let it in after its start.
    pub admitted: bool,
    /// The peers that remember a start of which its disk knows nothing, while it is not let in.
    pub accused_by: Vec<ReplicaId>,
    /// Whether it lost its memory and is on its way back: it follows, and promises nothing.
    pub amnesiac: bool,
    /// Its view.
    pub view: View,
    /// Whether it is active in it.
    pub active: bool,
    /// The last number executed.
    pub last_executed: SeqNum,
    /// Its last stable checkpoint.
    pub stable_checkpoint: (SeqNum, CheckpointId),
    /// The checkpoint it is fetching.
    pub fetching: Option<SeqNum>,
    /// The highest number it knows to be assigned or committed.
    pub highest_known: SeqNum,
    /// Requests that wait to be executed.
    pub waiting_requests: usize,
    /// Why it stopped, if it did.
    pub halted: Option<HaltReason>,
}

/// The surroundings of one step: the clocks and the list of outputs.
pub(crate) struct Step<'a> {
    pub(crate) now: Now,
    pub(crate) outputs: &'a mut Vec<Output>,
}

impl Step<'_> {
    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }

    pub(crate) fn broadcast(&mut self, message: Message, after: Position) {
        let to = Recipients::Others;
        self.outputs.push(Output::Send { to, message: Arc::new(message), after });
    }

    pub(crate) fn send(&mut self, to: ReplicaId, message: Message, after: Position) {
        let to = Recipients::One(to);
        self.outputs.push(Output::Send { to, message: Arc::new(message), after });
    }
}

impl Replica {
    /// Takes one input and appends what is to be done to `outputs`, in order.
    pub fn step(&mut self, now: Now, input: Input, outputs: &mut Vec<Output>) {
        if self.halted.is_some() {
            return;
        }
        let mut step = Step { now, outputs };
        match input {
            Input::Message(verified) => self.on_message(&mut step, verified),
            Input::Connected(peer) => self.introduce_to(&mut step, peer),
            Input::Tick => self.on_tick(&mut step),
            Input::Chosen(choice) => self.on_chosen(&mut step, choice),
            Input::Executed { seq, executions, rejoined } => {
                self.on_executed(&mut step, seq, executions, rejoined);
            }
            Input::CheckpointTaken { seq, id } => self.on_checkpoint_taken(&mut step, seq, id),
            Input::StateInstalled { seq, id, state } => {
                self.on_state_installed(&mut step, (seq, id), state);
            }
        }
        self.fire_due_timers(&mut step);
        self.judge_primary(&mut step);
        debug_assert_eq!(self.broken_invariant(), None);
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.halted.is_some() { None } else { self.timers.next_deadline() }
    }

    /// What the replica tells about itself.
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            id: self.id,
            admitted: self.admission.is_admitted(),
            accused_by: self.admission.accusers(),
            amnesiac: self.admission.amnesia.is_some(),
            view: self.view,
            active: self.active,
            last_executed: self.last_executed,
            stable_checkpoint: (self.low_water_mark, self.own_checkpoint(self.low_water_mark)),
            fetching: self.transfer.as_ref().map(|transfer| transfer.seq),
            highest_known: self.highest_known(),
            waiting_requests: self.requests.len(),
            halted: self.halted,
        }
    }

    fn on_message(&mut self, step: &mut Step<'_>, verified: Verified) {
        let (sender, message) = verified.into_parts();
        let kind = message.kind();
        let (from, result) = match sender {
            Sender::Client(client) => {
                match message {
                    Message::Request(request) => self.on_request(step, Source::Client, request),
                    Message::Read(read) => self.on_read(step, client, read),
                    // The door lets nothing else of a client through.
                    _ => {}
                }
                return;
            }
            Sender::Replica(from) => (from, self.on_replica_message(step, from, message)),
        };
        if let Err(reason) = result {
            step.event(Event::Rejected { from, kind, reason });
        }
    }

    fn on_replica_message(
        &mut self,
        step: &mut Step<'_>,
        from: ReplicaId,
        message: Message,
    ) -> Result<(), Reject> {
        match message {
            Message::Hello(hello) => return self.on_hello(step, from, &hello),
            Message::HelloReply(reply) => return self.on_hello_reply(step, from, reply),
            _ => {}
        }
        if !self.admission.follows() {
            return Err(Reject::Starting);
        }
        match message {
            Message::Request(request) => {
                self.on_request(step, Source::Replica, request);
                Ok(())
            }
            Message::PrePrepare(signed, batch) => self.on_pre_prepare(step, signed, batch),
            Message::Outline(signed, outline) => self.on_outline(step, signed, outline),
            Message::Prepare(vote) => self.on_prepare(step, from, vote),
            Message::Commit(vote) => self.on_commit(step, from, vote),
            Message::Checkpoint(checkpoint) => self.on_checkpoint(step, checkpoint),
            Message::Stable(proof) => self.on_stable_proof(step, proof),
            Message::ViewChange(view_change) => self.on_view_change(step, view_change),
            Message::NewView(proof) => self.on_new_view(step, proof),
            Message::Status(status) => self.on_status(step, from, &status),
            Message::Committed(committed) => self.on_committed(step, from, committed),
            Message::FetchBatch(digest) => self.on_fetch_batch(step, from, digest),
            Message::Batch(batch) => self.on_batch(step, batch),
            Message::FetchPrePrepare(view, seq) => self.on_fetch_pre_prepare(step, from, view, seq),
            Message::PrePrepareSeen(signed) => self.on_pre_prepare_seen(step, signed),
            Message::Rejoin(rejoin) => self.on_rejoin(step, rejoin),
            // The host answers FETCH and takes the parts of a state itself; the others were handled
            // above or never pass the door.
            Message::FetchState(_)
            | Message::StateParts(_)
            | Message::Hello(_)
            | Message::HelloReply(_)
            | Message::Reply(_)
            | Message::Read(_)
            | Message::ReadReply(_) => Err(Reject::Unsolicited),
        }
    }

    fn persist(&mut self, step: &mut Step<'_>, record: Record) -> Position {
        self.position = self.position.next();
        step.outputs.push(Output::Persist { position: self.position, record });
        self.position
    }

    fn halt(&mut self, step: &mut Step<'_>, reason: HaltReason) {
        self.roll_back(step);
        self.halted = Some(reason);
        step.event(Event::Halted(reason));
        step.outputs.push(Output::Halt(reason));
    }

    fn is_primary(&self) -> bool {
        self.config.primary(self.view) == self.id
    }

    /// H.
    fn high_water_mark(&self) -> SeqNum {
        self.low_water_mark.plus(self.config.parameters.log_window)
    }

    fn in_window(&self, seq: SeqNum) -> bool {
        self.low_water_mark < seq && seq <= self.high_water_mark()
    }

    fn slot(&mut self, seq: SeqNum) -> &mut Slot {
        debug_assert!(self.in_window(seq), "slots exist only inside the window");
        self.slots.entry(seq).or_default()
    }

    fn has_batch(&self, digest: Digest) -> bool {
        digest == Batch::NULL || self.batches.contains_key(&digest)
    }

    fn own_checkpoint(&self, seq: SeqNum) -> CheckpointId {
        *self.own_checkpoints.get(&seq).expect("a replica knows its own stable checkpoint")
    }

    fn highest_known(&self) -> SeqNum {
        let in_log = self.slots.keys().next_back().copied().unwrap_or(self.low_water_mark);
        let proved = self.checkpoints.keys().chain(self.proofs_ahead.keys());
        let in_checkpoints = proved.max().copied().unwrap_or_default();
        in_log.max(in_checkpoints).max(self.last_executed)
    }

    /// The first invariant of this replica's own state that does not hold, in words. Checked after
    /// every step in tests and in the lab; assertions concern our own state only, never what a
    /// peer sent.
    pub fn broken_invariant(&self) -> Option<&'static str> {
        let in_window = |seq: &SeqNum| self.in_window(*seq);
        let has_promised = self.active
            || self.admission.is_admitted()
            || self.view_changes.contains_key(&self.id)
            || !self.prepared.is_empty()
            || !self.own_signed.is_empty();
        let rules: [(bool, &'static str); 14] = [
            (
                self.admission.amnesia.is_none() || !has_promised,
                "a replica without its memory promises nothing",
            ),
            (self.config.is_checkpoint(self.low_water_mark), "h is a multiple of K"),
            (
                self.last_executed >= self.low_water_mark || !self.replay.is_empty(),
                "h was executed",
            ),
            (self.slots.keys().all(in_window), "the log lies in (h, h+L]"),
            (self.prepared.keys().all(in_window), "P lies in (h, h+L]"),
            (self.pre_prepared.keys().all(in_window), "Q lies in (h, h+L]"),
            (
                self.prepared.values().chain(self.pre_prepared.values()).all(|e| e.1 <= self.view),
                "P and Q name no later view",
            ),
            (
                self.own_checkpoints.contains_key(&self.low_water_mark),
                "the stable checkpoint is known",
            ),
            (
                !self.active
                    || self.view == View::ZERO
                    || self.new_view.as_ref().is_some_and(|p| p.new_view.body.view == self.view),
                "active only after the NEW-VIEW",
            ),
            (
                !self.active || self.early_pre_prepares.is_empty(),
                "early PRE-PREPAREs wait only for a NEW-VIEW",
            ),
            (self.outlines.numbers().all(|seq| in_window(&seq)), "outlines lie in (h, h+L]"),
            (
                self.awaited_tentatively().is_none_or(|digest| self.may_commit_next(digest)),
                "what is executed tentatively has prepared in this view, and may commit",
            ),
            (
                self.awaited_tentatively().is_none() || self.shown_until > self.last_executed,
                "nothing is read while something is executed tentatively",
            ),
            (
                self.awaited_tentatively().is_none()
                    || !self.own_checkpoints.contains_key(&self.last_executed.next()),
                "checkpoints are taken of what is committed",
            ),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
    }
}

/// Names a request: one execution per such key.
pub(crate) type RequestKey = (ClientId, Session, Timestamp);

pub(crate) fn request_key(request: &SignedRequest) -> RequestKey {
    let content = request.request();
    (content.client, content.session, content.timestamp)
}
