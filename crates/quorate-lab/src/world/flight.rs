//! What is under way on the network: how it leaves, and what becomes of it.

use super::signatures::KnownSignatures;
use super::{Happening, World};
use crate::checker::Observation;
use crate::trace::{Fate, Line, MessageLine};
use core::time::Duration;
use pbft::{
    Claim, ClientId, Config, Digest, Message, Reject, ReplicaId, Sender, Time, Verified, wire,
};
use quorate_adversary::Endpoint;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A message under way, to one receiver or to many: the door is the same for all of them.
pub(super) struct Flight {
    /// The message, or why the bytes are none.
    message: Result<Arc<Message>, Reject>,
    verified: OnceCell<Result<Verified, Reject>>,
    /// The proofs of the signatures in it, where it counts which are new to a machine.
    proofs: RefCell<Vec<Digest>>,
    /// How many bytes it is on the wire.
    size: OnceCell<u64>,
}

impl Flight {
    pub(super) fn new(message: Arc<Message>) -> Rc<Self> {
        Rc::new(Self::of(Ok(message), OnceCell::new()))
    }

    /// Bytes that need not be a message.
    pub(super) fn of_bytes(config: &Config, bytes: &[u8]) -> Rc<Self> {
        let message = wire::decode(config.domain.epoch, bytes).map(Arc::new);
        let size = OnceCell::from(bytes.len() as u64);
        Rc::new(Self::of(message, size))
    }

    fn of(message: Result<Arc<Message>, Reject>, size: OnceCell<u64>) -> Self {
        let (verified, proofs) = (OnceCell::new(), RefCell::default());
        Self { message, verified, proofs, size }
    }

    /// Whether it is this very message, and not an equal one.
    pub(super) fn carries(&self, message: &Arc<Message>) -> bool {
        self.message.as_ref().is_ok_and(|own| Arc::ptr_eq(own, message))
    }

    fn size(&self, config: &Config) -> u64 {
        let encoded = |message| wire::encode(config.domain.epoch, message).len() as u64;
        *self.size.get_or_init(|| self.message().map_or(0, encoded))
    }

    fn message(&self) -> Option<&Message> {
        self.message.as_deref().ok()
    }

    fn admitted(
        &self,
        config: &Config,
        sender: Sender,
        known: &KnownSignatures,
        counts_signatures: bool,
    ) -> Result<Verified, Reject> {
        let message = self.message.as_ref().map_err(|reason| *reason)?;
        let verify = |claim: &Claim| {
            if counts_signatures {
                self.proofs.borrow_mut().push(claim.proof());
            }
            known.holds(claim)
        };
        let admit = || config.admit_with(sender, Message::clone(message), &verify);
        self.verified.get_or_init(admit).clone()
    }
}

impl World<'_> {
    pub(super) fn depart_after(
        &mut self,
        delay: Duration,
        at: ReplicaId,
        to: Endpoint,
        flight: Rc<Flight>,
    ) {
        if delay.is_zero() {
            self.depart(Endpoint::Replica(at), to, &flight);
        } else {
            let when = self.now.after(delay);
            self.schedule(when, Happening::Departure { from: at, to, flight });
        }
    }

    pub(super) fn depart(&mut self, from: Endpoint, to: Endpoint, flight: &Rc<Flight>) {
        let tampering = self.tampering.as_mut().zip(flight.message());
        let changed =
            tampering.and_then(|(tampering, message)| tampering.change(from, to, message));
        let flight = &changed.map_or_else(|| Rc::clone(flight), |m| Flight::new(Arc::new(m)));
        let kind = flight.message().map(Message::kind);
        if let Some(kind) = kind {
            self.trace.departed(kind);
        }
        let sent = self.now;
        for to in self.instances(to) {
            let arrivals = if self.are_separated(from, to, kind) {
                Vec::new()
            } else {
                let size = || flight.size(&self.config);
                self.network.arrivals(sent, (from, to), kind, size)
            };
            if arrivals.is_empty() {
                self.show_message((sent, sent), (from, to), flight.message(), Fate::Lost, None);
            }
            for arrival in arrivals {
                let flight = Rc::clone(flight);
                self.schedule(arrival, Happening::Arrival { sent, from, to, flight });
            }
        }
    }

    pub(super) fn on_arrival(
        &mut self,
        sent: Time,
        from: Endpoint,
        to: Endpoint,
        flight: &Rc<Flight>,
    ) {
        let message = flight.message();
        self.trace.arrived(self.now, from, to, message);
        let from = match from {
            Endpoint::Replica(instance) => Endpoint::Replica(self.identity(instance)),
            client @ Endpoint::Client(_) => client,
        };
        match to {
            Endpoint::Replica(to) => self.on_arrival_at_replica(sent, from, to, flight),
            Endpoint::Client(client) => {
                self.spend_at_client();
                self.on_arrival_at_client(sent, from, client, message);
            }
        }
    }

    fn on_arrival_at_client(
        &mut self,
        sent: Time,
        from: Endpoint,
        to: ClientId,
        message: Option<&Message>,
    ) {
        // Liars do not care what they are answered.
        let is_correct = to.get() < self.options.workload.clients;
        let fate = if is_correct { Fate::Handled } else { Fate::Discarded };
        let ends = (from, Endpoint::Client(to));
        if fate.is_handled() {
            self.trace.handled(self.now, ends, message, fate, None);
        }
        self.show_message((sent, self.now), ends, message, fate, None);
        if let (true, Endpoint::Replica(from), Some(message)) = (is_correct, from, message) {
            if let Message::Reply(reply) = message {
                self.check(&Observation::Told { client: to, from, reply });
            }
            let message = message.clone();
            self.client(to, |clients, now, client| clients.on_message(now, client, from, message));
        }
    }

    fn on_arrival_at_replica(
        &mut self,
        sent: Time,
        from: Endpoint,
        to: ReplicaId,
        flight: &Rc<Flight>,
    ) {
        let sender = match from {
            Endpoint::Replica(replica) => Sender::Replica(replica),
            Endpoint::Client(client) => Sender::Client(client),
        };
        let admitted =
            flight.admitted(&self.config, sender, &self.signatures, self.processors.is_some());
        if self.machine(to).is_up() {
            self.spend_on_arrival(to, &flight.proofs.borrow());
        }
        let refusal = admitted.as_ref().err().copied();
        let mut answers = Vec::new();
        let fate = self.machine(to).fate(from, flight.message(), refusal, &mut answers);
        let ends = (from, Endpoint::Replica(to));
        if fate.is_handled() {
            self.trace.handled(self.now, ends, flight.message(), fate, refusal);
        }
        self.show_message((sent, self.now), ends, flight.message(), fate, refusal);
        let races = |message| !self.machine(to).is_faulty() && self.machine(to).is_behind(message);
        if fate == Fate::Handled && flight.message().is_some_and(races) {
            self.trace.raced();
        }
        if !answers.is_empty() {
            self.follow_up(to, answers);
        }
        match (admitted, fate) {
            (Ok(verified), Fate::Handled) => {
                if !self.machine(to).is_faulty() {
                    self.check(&Observation::Handled { at: to, from, message: verified.message() });
                }
                self.with(to, |machine, now, sent| machine.on_message(now, verified, sent));
            }
            (Err(reason), Fate::Refused) => self.on_rejected(from, to, reason),
            _ => {}
        }
    }

    /// A correct replica has dropped a message; what the faulty drop says nothing.
    pub(super) fn on_rejected(&mut self, from: Endpoint, at: ReplicaId, reason: Reject) {
        if !self.machine(at).is_faulty() {
            self.trace.rejected(from, reason);
        }
    }

    pub(super) fn show_message(
        &mut self,
        times: (Time, Time),
        ends: (Endpoint, Endpoint),
        message: Option<&Message>,
        fate: Fate,
        refusal: Option<Reject>,
    ) {
        if self.observer.is_none() {
            return;
        }
        let for_session = message.is_some_and(|message| self.trace.opens_sessions(message));
        self.show(|| {
            let mut line = MessageLine::new(times, ends, message, fate);
            line.session = for_session;
            line.reason = refusal.filter(|_| fate == Fate::Refused);
            Line::Message(line)
        });
    }
}
