//! Cores in every state they were seen in, each once, and what one input makes of each, worked out
//! once by the core itself. Exploring the cluster then is choosing among numbers.

use super::THRESHOLDS;
use super::cast::{Cast, TIMEOUT, clock};
use crate::restated;
use pbft::message::{Batch, Kind, NewView, Outcome, PrePrepare, PreparedEntry, ViewChange};
use pbft::{
    ClientWindow, Digest, Event, Execution, Input, Message, Output, Record, Replica, ReplicaId,
    Sender, SeqNum, Time, Timestamp, Verified, View, wire,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The number of a core's state.
pub(super) type NodeId = u32;

/// The number of a message.
pub(super) type MessageId = u32;

/// A core in one state, with what it has done so far that others can know.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: ReplicaId,
    core: Replica,
    now: Time,
    /// Messages of its own that it has sent: everything the others may ever be shown.
    pub(super) said: BTreeSet<MessageId>,
    /// The VIEW-CHANGEs of others that it was shown for its view and later ones, by view and
    /// sender.
    pub(super) heard: BTreeMap<(View, ReplicaId), MessageId>,
    /// The NEW-VIEWs it holds, by what they chose.
    pub(super) new_views: BTreeMap<String, Heard>,
    /// What is committed-local here.
    pub(super) committed: BTreeMap<SeqNum, Digest>,
    pub(super) view: View,
    pub(super) active: bool,
}

/// A message and over whose link it comes.
pub(super) type Heard = (ReplicaId, MessageId);

/// What happens to a core: it hears some messages, or, where there are none, a timeout passes.
type Act = Vec<Heard>;

/// All nodes and messages met so far.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) cast: Cast,
    /// The correct replicas.
    correct: BTreeSet<ReplicaId>,
    nodes: Vec<Node>,
    known: BTreeMap<Digest, NodeId>,
    steps: BTreeMap<(NodeId, Act), NodeId>,
    messages: Vec<Arc<Message>>,
    message_ids: BTreeMap<Vec<u8>, MessageId>,
    verified: BTreeMap<(ReplicaId, MessageId), Option<Verified>>,
    /// The bodies of all batches that were proposed.
    batches: BTreeSet<MessageId>,
    /// The first thing that a correct core did and must never do.
    fault: Option<String>,
}

impl Nodes {
    pub(super) fn new(cast: Cast, correct: BTreeSet<ReplicaId>) -> Self {
        Self {
            cast,
            correct,
            nodes: Vec::new(),
            known: BTreeMap::new(),
            steps: BTreeMap::new(),
            messages: Vec::new(),
            message_ids: BTreeMap::new(),
            verified: BTreeMap::new(),
            batches: BTreeSet::new(),
            fault: None,
        }
    }

    /// The correct cores at the beginning: in view 0, with all requests.
    pub(super) fn initial(&mut self) -> Vec<NodeId> {
        let cores = self.cast.started();
        let requests: Vec<Input> = self.cast.requests().collect();
        let mut initial = Vec::new();
        for core in cores {
            let status = core.status();
            if !self.correct.contains(&status.id) {
                continue;
            }
            let mut node = Node {
                id: status.id,
                core,
                now: Time::ZERO,
                said: BTreeSet::new(),
                heard: BTreeMap::new(),
                new_views: BTreeMap::new(),
                committed: BTreeMap::new(),
                view: View::ZERO,
                active: true,
            };
            for request in &requests {
                self.feed(&mut node, request.clone());
            }
            initial.push(self.intern(node));
        }
        initial
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id as usize]
    }

    /// Every batch there is, as somebody hands it out.
    pub(super) fn batches(&self) -> Vec<Heard> {
        self.batches.iter().map(|id| (ReplicaId::new(0), *id)).collect()
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn step_count(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Whether a replica holds a NEW-VIEW of the same view with the same choices, which makes this
    /// one nothing new.
    pub(super) fn holds_alike(&self, at: NodeId, new_view: MessageId) -> bool {
        let Message::NewView(proof) = self.message(new_view) else { return false };
        self.node(at).new_views.contains_key(&choices(&proof.new_view.body))
    }

    /// The VIEW-CHANGE with which a replica would leave for this view.
    pub(super) fn next_view_change(&self, at: NodeId, new_view: View) -> ViewChange {
        let node = self.node(at);
        let (mut prepared, mut pre_prepared) = (Vec::new(), Vec::new());
        let mut batches = BTreeSet::from([Batch::NULL]);
        for record in node.core.durable_records() {
            match record {
                Record::Batch(batch) => _ = batches.insert(batch.digest()),
                Record::Prepared(entry) => prepared.push(as_entry(&entry)),
                Record::PrePrepared { entry, .. } => pre_prepared.push(as_entry(&entry)),
                _ => {}
            }
        }
        pre_prepared.retain(|entry| batches.contains(&entry.digest));
        let (low_water_mark, replica) = (SeqNum::ZERO, node.id);
        let checkpoints = vec![(low_water_mark, self.cast.genesis())];
        ViewChange { new_view, replica, low_water_mark, checkpoints, prepared, pre_prepared }
    }

    /// The number of a message.
    pub(super) fn name(&mut self, message: Message) -> MessageId {
        let bytes = wire::encode(self.cast.config.domain.epoch, &message);
        if let Some(id) = self.message_ids.get(&bytes) {
            return *id;
        }
        if let Message::PrePrepare(_, batch) = &message {
            let body = self.name(Message::Batch(Arc::clone(batch)));
            self.batches.insert(body);
        }
        let id = self.messages.len() as MessageId;
        self.messages.push(Arc::new(message));
        self.message_ids.insert(bytes, id);
        id
    }

    /// What becomes of a node that hears these messages, one after the other.
    pub(super) fn hearing(&mut self, at: NodeId, messages: Vec<Heard>) -> NodeId {
        if messages.is_empty() { at } else { self.after(at, messages) }
    }

    /// What becomes of a node when a timeout passes.
    pub(super) fn waiting(&mut self, at: NodeId) -> NodeId {
        self.after(at, Vec::new())
    }

    fn after(&mut self, at: NodeId, act: Act) -> NodeId {
        let key = (at, act);
        if let Some(known) = self.steps.get(&key) {
            return *known;
        }
        let mut node = self.node(at).clone();
        for (from, id) in &key.1 {
            self.hear(&mut node, *from, *id);
        }
        if key.1.is_empty() {
            node.now = node.now.after(TIMEOUT);
            self.feed(&mut node, Input::Tick);
        }
        let reached = self.intern(node);
        self.steps.insert(key, reached);
        reached
    }

    /// A message that the door refuses changes nothing.
    fn hear(&mut self, node: &mut Node, from: ReplicaId, id: MessageId) {
        let Some(verified) = self.admitted(from, id) else { return };
        if let Message::ViewChange(signed) = verified.message() {
            let key = (signed.body.new_view, signed.signer);
            node.heard.entry(key).or_insert(id);
        }
        self.feed(node, Input::Message(verified));
    }

    fn admitted(&mut self, from: ReplicaId, id: MessageId) -> Option<Verified> {
        if let Some(known) = self.verified.get(&(from, id)) {
            return known.clone();
        }
        let message = Message::clone(&self.messages[id as usize]);
        let verified = self.cast.config.admit(Sender::Replica(from), message).ok();
        self.verified.insert((from, id), verified.clone());
        verified
    }

    /// Hands an input to a core, answers what it asks of its host, and notes what it says. What is
    /// to be made durable is so at once: crashes are not explored here.
    fn feed(&mut self, node: &mut Node, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            node.core.step(clock(node.now), input, &mut outputs);
            for output in outputs {
                inputs.extend(self.carry_out(node, output));
            }
            if node.core.next_deadline().is_some_and(|deadline| deadline <= node.now) {
                inputs.push_back(Input::Tick);
            }
        }
        let status = node.core.status();
        (node.view, node.active) = (status.view, status.active);
        node.heard.retain(|(view, _), _| *view >= status.view);
        if let Some(rule) = node.core.broken_invariant() {
            self.note_fault(format!("replica {}: {rule}", node.id));
        }
    }

    fn carry_out(&mut self, node: &mut Node, output: Output) -> Option<Input> {
        match output {
            Output::Send { message, .. } => self.note_said(node, Message::clone(&message)),
            // Each primary's batches are its own, so that different primaries never agree by
            // chance.
            Output::Choose => return Some(Input::Chosen(vec![node.id.get() as u8 + 1])),
            Output::Execute { seq, batch, .. } => {
                let executions = batch.map_or_else(Vec::new, |batch| executions(&batch));
                return Some(Input::Executed { seq, executions, rejoined: Vec::new() });
            }
            Output::Event(Event::Committed { seq, digest }) => {
                node.committed.insert(seq, digest);
            }
            Output::Halt(reason) => self.note_fault(format!("replica {} halts: {reason}", node.id)),
            // The checkpoint behind the last number is never taken, so the window stays.
            _ => {}
        }
        None
    }

    fn note_said(&mut self, node: &mut Node, message: Message) {
        match &message {
            Message::NewView(proof) if proof.new_view.signer == node.id => {
                let used: Vec<_> = proof.view_changes.iter().map(|vc| &vc.body).collect();
                let body = &proof.new_view.body;
                let expected =
                    restated::decide(THRESHOLDS, &used, self.cast.config.parameters.log_window);
                if expected != Some((body.checkpoint, body.chosen.clone())) {
                    self.note_fault(format!("replica {} decides {body:?} for itself", node.id));
                }
            }
            Message::ViewChange(signed) if signed.signer == node.id => {}
            Message::PrePrepare(..) | Message::Prepare(_) | Message::Commit(_) => {}
            _ => return,
        }
        let id = self.name(message);
        node.said.insert(id);
        let place = place(self.message(id));
        if node.said.iter().filter(|id| self::place(self.message(**id)) == place).count() > 1 {
            self.note_fault(format!("replica {} sends two messages for one place", node.id));
        }
    }

    pub(super) fn note_fault(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    /// The number of a node. Two nodes are one if they agree in everything that can still matter:
    /// where they stand, what they would find on their disks, and what they may still be quoted
    /// with. Held votes do not count: they are shown to a replica all at once, and then have had
    /// their effect or none.
    fn intern(&mut self, mut node: Node) -> NodeId {
        let status = node.core.status();
        let stand = (status.view, status.active, status.last_executed, status.waiting_requests);
        let records = node.core.durable_records();
        let disk: Vec<String> = records.iter().filter_map(in_essence).collect();
        let quotable: Vec<String> =
            node.said.iter().filter_map(|id| self.quotable(&node, *id)).collect();
        let rest = (stand, &node.heard, &node.committed, node.id);
        let parts = format!("{rest:?} {disk:?} {quotable:?}");
        let digest = Digest::of("quorate lab 1 corner node", &[parts.as_bytes()]);
        if let Some(known) = self.known.get(&digest) {
            return *known;
        }
        node.new_views.clear();
        for record in records {
            if let Record::NewView(proof) = record {
                let (key, from) = (choices(&proof.new_view.body), proof.new_view.signer);
                node.new_views.insert(key, (from, self.name(Message::NewView(proof))));
            }
        }
        let id = self.nodes.len() as NodeId;
        self.nodes.push(node);
        self.known.insert(digest, id);
        id
    }

    /// What can still be made of a message that a node has sent: a vote counts in its view, but a
    /// COMMIT in any; a VIEW-CHANGE until its view has begun, but a liar may use it later; of a
    /// NEW-VIEW its choices count.
    fn quotable(&self, node: &Node, id: MessageId) -> Option<String> {
        match self.message(id) {
            Message::PrePrepare(signed, _) if signed.body.view < node.view => None,
            Message::Prepare(vote) if vote.view < node.view => None,
            Message::ViewChange(signed) => {
                let view = signed.body.new_view;
                let is_over = view < node.view && self.is_correct_primary(view);
                (!is_over).then(|| id.to_string())
            }
            Message::NewView(proof) => Some(choices(&proof.new_view.body)),
            _ => Some(id.to_string()),
        }
    }

    fn is_correct_primary(&self, view: View) -> bool {
        self.correct.contains(&self.cast.config.primary(view))
    }
}

/// A durable record as far as it matters what it says; `None` if all states have it.
fn in_essence(record: &Record) -> Option<String> {
    match record {
        Record::Boot { .. } | Record::PeerStarts { .. } | Record::Stable { .. } => None,
        Record::Batch(batch) => Some(format!("holds {}", batch.digest())),
        Record::NewView(proof) => Some(choices(&proof.new_view.body)),
        Record::PrePrepared { entry, .. } => Some(format!("Q {entry:?}")),
        other => Some(format!("{other:?}")),
    }
}

/// Where a correct replica says one thing only, else it could be convicted of a lie.
fn place(message: &Message) -> (Kind, View, SeqNum) {
    let (view, seq) = match message {
        Message::PrePrepare(signed, _) => (signed.body.view, signed.body.seq),
        Message::Prepare(vote) | Message::Commit(vote) => (vote.view, vote.seq),
        Message::ViewChange(signed) => (signed.body.new_view, SeqNum::ZERO),
        Message::NewView(proof) => (proof.new_view.body.view, SeqNum::ZERO),
        _ => (View::ZERO, SeqNum::ZERO),
    };
    (message.kind(), view, seq)
}

fn as_entry(entry: &PrePrepare) -> PreparedEntry {
    PreparedEntry { seq: entry.seq, digest: entry.digest, view: entry.view }
}

fn choices(new_view: &NewView) -> String {
    let NewView { view, checkpoint: (start, _), chosen, .. } = new_view;
    format!("NEW-VIEW {view} from {start}: {chosen:?}")
}

/// What opening the sessions of a batch comes to.
fn executions(batch: &Batch) -> Vec<Execution> {
    let opened = |request: &Arc<pbft::SignedRequest>| {
        let content = request.request();
        Execution {
            client: content.client,
            session: content.session,
            timestamp: content.timestamp,
            outcome: Some(Outcome::SessionOpened),
            replier: None,
            window: ClientWindow {
                session: content.session,
                low: Timestamp::new(1),
                ..ClientWindow::default()
            },
        }
    };
    batch.requests.iter().map(opened).collect()
}
