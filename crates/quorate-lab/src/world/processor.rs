//! Processor time: each machine does one thing at a time, and what arrives meanwhile waits, in
//! order. Everything is handled at the moment at which the machine begins with it; what it sends
//! because of that, and what it then has the disk do, begins when the machine is done.
//!
//! A machine has one core to itself, or all share a few, as processes on one computer do. Clients
//! wait for nothing, but may keep a shared core busy.

use super::{Happening, World};
use core::time::Duration;
use pbft::{Digest, Message, ReplicaId, Time};
use quorate_adversary::Endpoint;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// How long each piece of a machine's work takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// A message that arrives, from its bytes to what is sent because of it, without the rest of
    /// this list.
    pub per_message: Duration,
    /// A signature that is checked. Each machine remembers those that it has found to hold.
    pub per_verification: Duration,
    /// A signature that is made; one for all receivers.
    pub per_signature: Duration,
    /// An operation that is executed.
    pub per_operation: Duration,
    /// A message that arrives at a client. It keeps one of the shared cores busy, and the client
    /// does not wait for it.
    pub per_client_message: Duration,
    /// How many cores all machines share; 0 if each has one to itself.
    pub cores: u16,
}

/// Processor time that was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// By all replicas together.
    pub replicas: Duration,
    /// By all clients together.
    pub clients: Duration,
}

/// The processors of all machines.
pub(super) struct Processors {
    costs: Processor,
    each: Vec<Machine>,
    /// When each of the cores that all share is free, in nanoseconds; empty if they share none.
    shared: Vec<u64>,
    /// All work of all machines so far, and that of the clients.
    worked: Worked,
    /// When the work that is being done began, in nanoseconds: many pieces of work fit into one
    /// microsecond, the unit of time of everything else.
    begun_at: u64,
    /// How long it takes, as far as is known.
    spent: Duration,
}

/// The processor of one machine.
#[derive(Default)]
struct Machine {
    /// When it is done with everything that it has begun, in nanoseconds.
    free_at: u64,
    waiting: VecDeque<Happening>,
    /// Whether the agenda has a moment for the first that waits. **Invariant:** it has at most one.
    is_called: bool,
    /// Signatures that were found to hold.
    known: BTreeSet<Digest>,
}

impl Processors {
    pub(super) fn new(costs: Processor, machine_count: usize) -> Self {
        let each = (0..machine_count).map(|_| Machine::default()).collect();
        let shared = vec![0; usize::from(costs.cores)];
        Self { costs, each, shared, worked: Worked::default(), begun_at: 0, spent: Duration::ZERO }
    }

    /// How long after `now` the machine is done with what it is doing.
    fn ends_after(&self, now: Time) -> Duration {
        whole_micros(self.begun_at + nanos(self.spent)) - Duration::from_micros(now.as_micros())
    }

    fn at(&mut self, id: ReplicaId) -> &mut Machine {
        &mut self.each[id.get() as usize]
    }

    /// The processor time that was taken so far.
    pub(super) fn worked(&self) -> Worked {
        self.worked
    }

    /// When the machine is done with what it has begun and a core is free for it.
    fn free_at(&self, id: ReplicaId) -> u64 {
        let core = self.shared.iter().copied().min().unwrap_or(0);
        self.each[id.get() as usize].free_at.max(core)
    }

    /// The machine is done with what it has begun.
    fn end(&mut self, id: ReplicaId) {
        let ends_at = self.begun_at + nanos(self.spent);
        self.worked.replicas += self.spent;
        if let Some(core) = self.shared.iter_mut().min() {
            *core = (*core).max(ends_at);
        }
        let machine = self.at(id);
        machine.free_at = machine.free_at.max(ends_at);
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The first whole microsecond that is not before this.
fn whole_micros(nanos: u64) -> Duration {
    Duration::from_micros(nanos.div_ceil(1_000))
}

/// At which machine this needs the processor. What a machine has sent already needs none.
fn needs_processor(happening: &Happening) -> Option<ReplicaId> {
    match happening {
        Happening::Arrival { to: Endpoint::Replica(at), .. }
        | Happening::Linked { at, .. }
        | Happening::Deadline { at, .. }
        | Happening::Done { at, .. } => Some(*at),
        _ => None,
    }
}

impl World<'_> {
    /// Lets something happen now, or when the processor that it needs is free. Returns whether it
    /// is worth looking if all is done.
    pub(super) fn process(&mut self, happening: Happening) -> bool {
        let now = self.now.as_micros() * 1_000;
        let Some(processors) = &mut self.processors else { return self.act(happening) };
        (processors.begun_at, processors.spent) = (now, Duration::ZERO);
        let happening = if let Happening::ProcessorFree(at) = happening {
            let free_at = processors.free_at(at);
            let machine = processors.at(at);
            machine.is_called = false;
            if whole_micros(free_at) > whole_micros(now) {
                self.call(at);
                return false;
            }
            let Some(first) = machine.waiting.pop_front() else { return false };
            // It began as soon as the processor was free, which may be within the last microsecond.
            if whole_micros(free_at) == whole_micros(now) {
                processors.begun_at = free_at;
            }
            first
        } else if let Some(at) = needs_processor(&happening) {
            let is_free = processors.free_at(at) <= now;
            let machine = processors.at(at);
            if !is_free || !machine.waiting.is_empty() {
                machine.waiting.push_back(happening);
                self.call(at);
                return false;
            }
            happening
        } else {
            return self.act(happening);
        };
        let at = needs_processor(&happening);
        let may_end = self.act(happening);
        if let Some(at) = at {
            self.end_work(at);
        }
        may_end
    }

    /// The machine begins with something outside the order of what arrives.
    pub(super) fn begin_work(&mut self) {
        if let Some(processors) = &mut self.processors {
            processors.begun_at = self.now.as_micros() * 1_000;
            processors.spent = Duration::ZERO;
        }
    }

    /// Until it is done with that, the machine does nothing else.
    pub(super) fn end_work(&mut self, at: ReplicaId) {
        let Some(processors) = &mut self.processors else { return };
        processors.end(at);
        if !processors.at(at).waiting.is_empty() {
            self.call(at);
        }
    }

    /// Puts the first that waits at a machine on the agenda, if it is not there.
    fn call(&mut self, at: ReplicaId) {
        let Some(processors) = &mut self.processors else { return };
        let free_at = processors.free_at(at);
        if !std::mem::replace(&mut processors.at(at).is_called, true) {
            let when = Time::ZERO.after(whole_micros(free_at)).max(self.now);
            self.schedule(when, Happening::ProcessorFree(at));
        }
    }

    /// How long after now what a machine sends leaves it.
    pub(super) fn leaves_after(&self) -> Duration {
        self.processors.as_ref().map_or(Duration::ZERO, |all| all.ends_after(self.now))
    }

    /// A machine that is up has received a message with these signatures.
    pub(super) fn spend_on_arrival(&mut self, at: ReplicaId, proofs: &[Digest]) {
        let Some(processors) = &mut self.processors else { return };
        let known = &mut processors.at(at).known;
        let new = proofs.iter().filter(|proof| known.insert(**proof)).count();
        let costs = processors.costs;
        processors.spent += costs.per_message + costs.per_verification * count(new);
    }

    /// A client has received a message.
    pub(super) fn spend_at_client(&mut self) {
        let now = self.now.as_micros() * 1_000;
        let Some(processors) = &mut self.processors else { return };
        let cost = processors.costs.per_client_message;
        processors.worked.clients += cost;
        if let Some(core) = processors.shared.iter_mut().min() {
            *core = now.max(*core) + nanos(cost);
        }
    }

    /// A machine has executed operations and made signatures.
    pub(super) fn spend(&mut self, operations: usize, signatures: usize) {
        let Some(processors) = &mut self.processors else { return };
        let costs = processors.costs;
        processors.spent += costs.per_operation * count(operations);
        processors.spent += costs.per_signature * count(signatures);
    }
}

fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

/// How many signatures a replica made for these messages that it sends: one for those in a row that
/// are the same.
pub(super) fn signatures_made<'a>(
    at: ReplicaId,
    messages: impl Iterator<Item = &'a Arc<Message>>,
) -> usize {
    let mut last: Option<&Arc<Message>> = None;
    messages
        .filter(|message| signer(message) == Some(at))
        .filter(|message| {
            let before = last.replace(*message);
            before.is_none_or(|before| !share_a_signature(before, message))
        })
        .count()
}

/// Whether two messages in a row were signed at once: they are the same, or a PRE-PREPARE in two
/// forms.
fn share_a_signature(one: &Message, other: &Message) -> bool {
    one == other || one.pre_prepare().is_some_and(|signed| other.pre_prepare() == Some(signed))
}

/// Who signed the message as a whole, if it is signed.
fn signer(message: &Message) -> Option<ReplicaId> {
    match message {
        Message::PrePrepare(signed, _) | Message::Outline(signed, _) => Some(signed.signer),
        Message::Checkpoint(signed) => Some(signed.signer),
        Message::ViewChange(signed) => Some(signed.signer),
        Message::NewView(proof) => Some(proof.new_view.signer),
        Message::Rejoin(signed) => Some(signed.signer),
        _ => None,
    }
}
