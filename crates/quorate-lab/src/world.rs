//! A whole cluster in one thread and in virtual time: the unchanged replicas on simulated machines,
//! the unchanged clients, the simulated network, and everything that goes wrong.

mod clients;
mod cluster;
mod faults;
mod flight;
mod interference;
mod lying_clients;
mod machine;
mod options;
pub(crate) mod outcome;
mod patience;
mod processor;
mod signatures;

pub(crate) use interference::Interference;
pub use options::{ClientLie, CrashKind, Fault, Options, Workload};
pub use outcome::{Counts, Outcome, Verdict};
pub use processor::{Processor, Worked};

use crate::checker::{
    Checkers, ONLY_THE_FAULTY_ARE_CONVICTED, OWN_INVARIANTS, Observation, Violation,
};
use crate::network::Network;
use crate::rng::Seed;
use crate::small_scope::Tampering;
use crate::subject::Subject;
use crate::trace::{EventLine, Fate, Line};
use crate::watched::Noted;
use crate::workload;
use clients::Clients;
pub(crate) use cluster::cluster;
use core::time::Duration;
use flight::Flight;
use lying_clients::LyingClients;
use machine::{Chore, Machine, Sent, Standing, Written};
use outcome::Trace;
use pbft::{ClientId, Config, Event, Evidence, Message, Now, ReplicaId, Time, WallTime};
use processor::Processors;
use quorate_adversary::{Endpoint, Identity};
use signatures::KnownSignatures;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Runs the world that `seed` and `options` decide.
///
/// # Panics
/// If the options describe no valid cluster.
pub fn run(seed: Seed, options: &Options) -> Outcome {
    run_with(seed, options, Interference::default())
}

/// Runs the same world as [`run`], and interferes.
pub(crate) fn run_with(seed: Seed, options: &Options, interference: Interference) -> Outcome {
    World::new(seed, options, &Subject::Store, interference, None).run()
}

/// Runs the same world as [`run`], with another service in it.
pub(crate) fn run_subject(seed: Seed, options: &Options, subject: &Subject) -> Outcome {
    World::new(seed, options, subject, Interference::default(), None).run()
}

/// Runs the same world as [`run`], and shows everything that happens to `observer`, in order.
///
/// # Panics
/// If the options describe no valid cluster.
pub fn run_observed(seed: Seed, options: &Options, observer: &mut dyn FnMut(Line)) -> Outcome {
    World::new(seed, options, &Subject::Store, Interference::default(), Some(observer)).run()
}

struct World<'a> {
    options: &'a Options,
    /// Who wants to see everything that happens, if anybody does.
    observer: Option<&'a mut dyn FnMut(Line)>,
    seed: Seed,
    config: Arc<Config>,
    now: Time,
    /// What will happen, by time, and in the order of scheduling where times are equal.
    agenda: BTreeMap<(Time, u64), Happening>,
    scheduled: u64,
    network: Network,
    machines: Vec<Machine>,
    /// Where machines take time for what they do.
    processors: Option<Processors>,
    signatures: KnownSignatures,
    clients: Clients,
    lying_clients: LyingClients,
    checkers: Checkers,
    trace: Trace,
    violation: Option<Violation>,
    interference: Interference,
    tampering: Option<Tampering>,
}

enum Happening {
    Arrival {
        sent: Time,
        from: Endpoint,
        to: Endpoint,
        flight: Rc<Flight>,
    },
    /// A machine has sent a message that its adversary held back.
    Departure {
        from: ReplicaId,
        to: Endpoint,
        flight: Rc<Flight>,
    },
    Linked {
        at: ReplicaId,
        peer: ReplicaId,
    },
    /// The deadline of a replica may have come.
    Deadline {
        at: ReplicaId,
        start: u64,
    },
    /// A machine has done a chore, if it is still up.
    Done {
        at: ReplicaId,
        start: u64,
        chore: Chore,
    },
    /// The processor of a machine may be free for what waits.
    ProcessorFree(ReplicaId),
    ClientDeadline(ClientId),
    ClientCalls(ClientId),
    ClientLies(ClientId),
    Fault(usize),
    Heal,
}

/// How many messages and chores a world at its end waits for, and how long: two adversaries could
/// answer one another for ever, and so could a slow replica and those that help it on.
const ARRIVALS_AT_THE_END_MAX: u64 = 1 << 20;
const ARRIVING_AT_THE_END_MAX: Duration = Duration::from_secs(120);

/// The wall clock at the beginning of every run, in milliseconds since the Unix epoch.
const WALL_START_MS: u64 = 1_800_000_000_000;

impl<'a> World<'a> {
    fn new(
        seed: Seed,
        options: &'a Options,
        subject: &Subject,
        interference: Interference,
        observer: Option<&'a mut dyn FnMut(Line)>,
    ) -> Self {
        let (config, replica_keys, mut client_keys) = cluster(options);
        let liars_keys = client_keys.split_off(options.workload.clients as usize);
        let tampering = interference.plan.clone().map(|plan| {
            let (config, id) = (Arc::clone(&config), plan.liar);
            let key = replica_keys[id.get() as usize].clone();
            Tampering::new(plan, Identity { config, id, key, forge: subject.forge() })
        });
        let machines: Vec<Machine> = (0..options.replica_count)
            .map(ReplicaId::new)
            .chain(interference.twins.iter().copied())
            .map(|id| {
                let key = replica_keys[id.get() as usize].clone();
                let mut machine =
                    Machine::new(Arc::clone(&config), id, key, options, subject, seed);
                if interference.makes_faulty(id) {
                    machine.mark_faulty();
                }
                machine
            })
            .collect();
        let clients = Clients::new(&config, client_keys, options, subject, seed);
        let lying_clients = LyingClients::new(&config, liars_keys, options, subject, seed);
        let mut network = Network::new(options.network.clone(), seed);
        if let Some(distances) = &options.distances {
            network.spread(distances.clone());
        }
        if let Some(bandwidth) = options.bandwidth {
            network.limit(bandwidth);
        }
        let processors = options.processor.map(|costs| Processors::new(costs, machines.len()));
        Self {
            options,
            observer,
            seed,
            config,
            now: Time::ZERO,
            agenda: BTreeMap::new(),
            scheduled: 0,
            network,
            machines,
            processors,
            signatures: KnownSignatures::default(),
            clients,
            lying_clients,
            checkers: Checkers::of_a_world(options),
            trace: Trace::default(),
            violation: None,
            interference,
            tampering,
        }
    }

    fn run(mut self) -> Outcome {
        for (index, (at, fault)) in self.options.timeline.iter().enumerate() {
            if at.is_zero() {
                self.on_fault(fault);
            } else {
                self.schedule(Time::ZERO.after(*at), Happening::Fault(index));
            }
        }
        self.schedule(Time::ZERO.after(self.options.heals_at), Happening::Heal);
        for id in self.ids().filter(|id| !self.options.late.contains(id)) {
            self.start(id);
        }
        for client in self.clients.ids() {
            for _ in 0..self.options.workload.concurrency {
                let begins_at = Time::ZERO.after(self.options.workload.begins_at);
                self.schedule(begins_at, Happening::ClientCalls(client));
            }
        }
        for client in self.lying_clients.ids() {
            self.schedule(Time::ZERO, Happening::ClientLies(client));
        }
        let deadline = Time::ZERO.after(self.options.heals_at).after(self.options.recovery_max);
        let mut is_done = false;
        while let Some(((at, _), happening)) = self.agenda.pop_first() {
            self.now = at;
            if at > deadline || self.violation.is_some() {
                break;
            }
            let may_end = self.on(happening);
            if may_end && self.is_done() {
                is_done = true;
                self.let_messages_arrive();
                break;
            }
        }
        self.conclude(is_done)
    }

    /// All is done, but messages are still under way: they arrive, so that what is counted is not
    /// a race. Nobody's time passes, so nothing new begins.
    fn let_messages_arrive(&mut self) {
        let mut left = ARRIVALS_AT_THE_END_MAX;
        let latest = self.now.after(ARRIVING_AT_THE_END_MAX);
        while let Some(((at, _), happening)) = self.agenda.pop_first() {
            let is_a_message = matches!(
                happening,
                Happening::Arrival { .. }
                    | Happening::Departure { .. }
                    | Happening::Done { .. }
                    | Happening::ProcessorFree(_)
            );
            if is_a_message && at <= latest && self.violation.is_none() && left > 0 {
                left -= 1;
                self.now = at;
                self.on(happening);
            }
        }
    }

    /// Lets something happen. Returns whether it is worth looking if all is done.
    fn on(&mut self, happening: Happening) -> bool {
        if let Some(until) = self.paused_until(&happening) {
            self.schedule(until, happening);
            return false;
        }
        self.process(happening)
    }

    /// Does what happens.
    fn act(&mut self, happening: Happening) -> bool {
        match happening {
            Happening::Arrival { sent, from, to, flight } => {
                self.on_arrival(sent, from, to, &flight);
            }
            Happening::Departure { from, to, flight } => {
                self.depart(Endpoint::Replica(from), to, &flight);
            }
            Happening::Linked { at, peer } => {
                let peer = self.identity(peer);
                self.check(&Observation::Linked { at, peer });
                self.with(at, |machine, now, sent| machine.on_linked(now, peer, sent));
            }
            Happening::Deadline { at, start } => {
                let now = self.now;
                let machine = self.machine(at);
                if machine.start_number() == start && machine.forget_deadline(now) {
                    self.with(at, |machine, now, sent| machine.on_tick(now, sent));
                }
                return true;
            }
            Happening::Done { at, start, chore } => {
                if self.machine(at).start_number() == start {
                    self.with(at, |machine, now, sent| machine.on_done(now, chore, sent));
                }
            }
            // Handled before it comes here: it stands for something that waits.
            Happening::ProcessorFree(_) => {}
            Happening::ClientDeadline(client) => self.client(client, Clients::on_tick),
            Happening::ClientCalls(client) => self.client(client, Clients::call),
            Happening::ClientLies(client) => self.on_client_lies(client),
            Happening::Fault(index) => {
                let (_, fault) = &self.options.timeline[index];
                self.on_fault(fault);
            }
            Happening::Heal => self.heal(),
        }
        false
    }

    /// Until when the machine at which this happens is paused, if it is.
    fn paused_until(&mut self, happening: &Happening) -> Option<Time> {
        let at = match happening {
            Happening::Arrival { to: Endpoint::Replica(at), .. }
            | Happening::Departure { from: at, .. }
            | Happening::Linked { at, .. }
            | Happening::Deadline { at, .. }
            | Happening::Done { at, .. }
            | Happening::ProcessorFree(at) => *at,
            _ => return None,
        };
        let now = self.now;
        self.machine(at).paused_until(now)
    }

    fn show(&mut self, line: impl FnOnce() -> Line) {
        if let Some(observer) = &mut self.observer {
            observer(line());
        }
    }

    /// Lets a machine do something and takes care of what follows.
    fn with(&mut self, at: ReplicaId, act: impl FnOnce(&mut Machine, Now, &mut Vec<Sent>)) {
        let now = self.clocks(at);
        let mut sent = Vec::new();
        act(self.machine(at), now, &mut sent);
        self.follow_up(at, sent);
    }

    fn follow_up(&mut self, at: ReplicaId, sent: Vec<Sent>) {
        let is_correct = !self.machine(at).is_faulty();
        let executions = self.machine(at).take_executions();
        if self.processors.is_some() {
            let messages = sent.iter().filter_map(Sent::message);
            let signatures = processor::signatures_made(at, messages);
            let is_execution = |noted: &&Noted| matches!(noted, Noted::Executed(_));
            self.spend(executions.iter().filter(is_execution).count(), signatures);
        }
        for noted in executions.iter().filter(|_| is_correct) {
            self.check(&match noted {
                Noted::Executed(execution) => Observation::Executed {
                    at,
                    generation: execution.generation,
                    seq: execution.seq,
                    client: execution.client,
                    operation: &execution.operation,
                    steps: &execution.steps,
                },
                Noted::Undone(from) => Observation::Undone { at, from: *from },
            });
        }
        if let Some(why) = self.machine(at).take_stop() {
            let now = self.now.as_micros();
            self.show(|| Line::Fault { at: now, what: format!("replica {at} stops: {why}") });
            self.trace.stopped(at, why);
        }
        if let Some(rule) = self.machine(at).broken_invariant() {
            self.violation.get_or_insert(Violation {
                property: OWN_INVARIANTS,
                at: self.now,
                what: format!("replica {at}: {rule}"),
            });
        }
        self.judge_memory(at, is_correct);
        let busy = self.leaves_after();
        let mut flights: Vec<Rc<Flight>> = Vec::new();
        for effect in sent {
            match effect {
                Sent::Event(event) => {
                    self.trace.happened(self.now, at, &event, &self.config);
                    let now = self.now;
                    self.show(|| Line::Event(EventLine::new(now, at, &event)));
                    if let Event::Rejected { from, reason, .. } = event {
                        self.on_rejected(Endpoint::Replica(from), at, reason);
                    }
                    if is_correct {
                        self.check(&Observation::Happened { at, event: &event });
                        if matches!(event, Event::StateTransferred { .. }) {
                            self.on_fetched(at);
                        }
                    }
                }
                Sent::Message { delay, to, message } => {
                    if is_correct {
                        self.trace.said(&message);
                        self.check(&Observation::Sent { from: at, to, message: &message });
                    }
                    self.trace.left(at, &message);
                    // A broadcast is many sendings of one message: let it be judged once.
                    let shared = flights.iter().find(|flight| flight.carries(&message));
                    let flight = shared.cloned().unwrap_or_else(|| Flight::new(message));
                    flights.push(Rc::clone(&flight));
                    self.depart_after(busy + delay, at, to, flight);
                }
                Sent::Bytes { delay, to, bytes } => {
                    let flight = Flight::of_bytes(&self.config, &bytes);
                    self.depart_after(busy + delay, at, to, flight);
                }
                Sent::Own(message) => {
                    let own = Endpoint::Replica(at);
                    let now = self.now;
                    self.trace.handled(now, (own, own), Some(&message), Fate::Own, None);
                    self.show_message((now, now), (own, own), Some(&message), Fate::Own, None);
                }
                Sent::Evidence(evidence) => self.on_evidence(at, &evidence),
                Sent::Chore { takes, chore } => {
                    let start = self.machine(at).start_number();
                    self.schedule(
                        self.now.after(busy + takes),
                        Happening::Done { at, start, chore },
                    );
                }
            }
        }
        let now = self.now;
        if self.trace.has_healed() && self.machine(at).is_given_up(now) {
            self.start(at);
        }
        if let Some(deadline) = self.machine(at).new_deadline() {
            let start = self.machine(at).start_number();
            self.schedule(deadline.max(self.now), Happening::Deadline { at, start });
        }
    }

    /// What its disk has made durable, and what it holds and would tell, for the checkers.
    fn judge_memory(&mut self, at: ReplicaId, is_correct: bool) {
        let written = self.machine(at).take_written();
        if !is_correct {
            return;
        }
        for Written { starts, snapshot, records } in &written {
            self.check(&Observation::Durable { at, starts: *starts, records });
            if let Some(seq) = *snapshot {
                self.check(&Observation::Restored { at, seq });
            }
        }
        if self.machine(at).take_memory_changed() {
            let tells = self.machine(at).would_tell();
            self.check(&Observation::Remembers { at, tells: tells.as_ref() });
            if let Some((held, messages)) = self.machine(at).held() {
                self.trace.held(&held);
                self.check(&Observation::Holds { at, held: &held, messages });
            }
        }
    }

    fn on_fetched(&mut self, at: ReplicaId) {
        if let Some((kept, made_anew)) = self.machine(at).state_digests() {
            self.check(&Observation::Fetched { at, kept, made_anew });
        }
    }

    /// Evidence must convict, and only the faulty. What the faulty keep to themselves names nobody.
    fn on_evidence(&mut self, at: ReplicaId, evidence: &Evidence) {
        let what = match evidence.verify(&self.config) {
            None => "evidence that proves nothing".to_owned(),
            Some(conviction) if !self.machine(conviction.replica).is_faulty() => {
                format!("correct replica {} is convicted of {}", conviction.replica, conviction.lie)
            }
            Some(_) if self.machine(at).is_faulty() => return,
            Some(conviction) => return self.trace.convicted(self.now, conviction, evidence),
        };
        let property = ONLY_THE_FAULTY_ARE_CONVICTED;
        self.violation.get_or_insert(Violation { property, at: self.now, what });
    }

    /// Lets a client do something and takes care of what follows.
    fn client(
        &mut self,
        client: ClientId,
        act: impl FnOnce(&mut Clients, Time, ClientId) -> clients::Doings,
    ) {
        let doings = act(&mut self.clients, self.now, client);
        for (operation, what) in &doings.called {
            let (at, client) = (self.now.as_micros(), client.get());
            let (operation, what) = (*operation, what.clone());
            self.show(|| Line::Called { at, client, operation, what });
        }
        for (number, bytes, result) in &doings.accepted {
            let (at, operation) = (self.now.as_micros(), *number);
            let what = || workload::describe_answer(result);
            self.show(|| Line::Answered { at, client: client.get(), operation, result: what() });
            self.check(&Observation::Accepted { client, operation: bytes, result });
        }
        for bytes in &doings.given_up {
            self.check(&Observation::GivenUp { client, operation: bytes });
        }
        for (number, result) in &doings.read {
            let (at, operation) = (self.now.as_micros(), *number);
            let what = || workload::describe_answer(result);
            self.show(|| Line::Answered { at, client: client.get(), operation, result: what() });
        }
        for (only, message) in doings.sent {
            if let Message::Request(request) = &*message {
                self.check(&Observation::Requested { request: request.request() });
            }
            let flight = Flight::new(message);
            for id in self.config.replica_ids().filter(|id| only.is_none_or(|only| only == *id)) {
                self.depart(Endpoint::Client(client), Endpoint::Replica(id), &flight);
            }
        }
        for when in doings.calls_at {
            self.schedule(when, Happening::ClientCalls(client));
        }
        if let Some(when) = doings.deadline {
            self.schedule(when.max(self.now), Happening::ClientDeadline(client));
        }
    }

    fn on_client_lies(&mut self, client: ClientId) {
        for (to, message) in self.lying_clients.lie(client) {
            self.depart(Endpoint::Client(client), Endpoint::Replica(to), &Flight::new(message));
        }
        if self.lying_clients.has_more(client) {
            let next = self.now.after(lying_clients::INTERVAL);
            self.schedule(next, Happening::ClientLies(client));
        }
    }

    fn start(&mut self, id: ReplicaId) {
        self.begin_work();
        self.with(id, Machine::start);
        self.end_work(id);
        for peer in self.ids() {
            if self.identity(peer) != self.identity(id) && self.machine(peer).is_up() {
                self.link(id, peer);
            }
        }
    }

    /// Both ends of a link learn that it was established.
    fn link(&mut self, a: ReplicaId, b: ReplicaId) {
        for (at, peer) in [(a, b), (b, a)] {
            self.schedule(self.now, Happening::Linked { at, peer });
        }
    }

    /// Whether the world has healed, all work is done and every correct replica has all of it but
    /// those that are slow. Those active must be so in one view. At most f may have left it alone: nobody follows them
    /// while the others get on, and they come back with the next view.
    fn is_done(&self) -> bool {
        if !self.trace.has_healed() || !self.clients.are_done() {
            return false;
        }
        let correct: Option<Vec<Standing>> =
            self.machines.iter().filter(|m| m.is_timely()).map(Machine::standing).collect();
        let Some(correct) = correct else { return false };
        let (active, left): (Vec<Standing>, Vec<Standing>) =
            correct.iter().partition(|standing| standing.is_active);
        correct.iter().all(|standing| standing.last_executed == correct[0].last_executed)
            && active.iter().all(|standing| standing.view == active[0].view)
            && left.len() <= self.options.fault_bound() as usize
    }

    fn conclude(mut self, is_done: bool) -> Outcome {
        let history = self.clients.history();
        if self.violation.is_none() {
            self.violation = outcome::linearizability(self.now, history);
        }
        let verdict = match self.violation.take() {
            Some(violation) => Verdict::Violation(violation),
            None if is_done => Verdict::Pass,
            None => Verdict::NoProgress(self.describe()),
        };
        let mut outcome = self.trace.into_outcome(verdict, self.now, &self.clients, &self.machines);
        if let Some(processors) = &self.processors {
            outcome.counts.worked = processors.worked();
        }
        outcome
    }

    /// Where everybody stands, for a run that did not finish.
    fn describe(&self) -> String {
        let taking_part = self.machines.iter().filter(|m| m.takes_part()).count();
        let mut lines = vec![self.clients.describe()];
        lines.extend(self.options.too_few(taking_part));
        lines.extend(self.options.impatience());
        lines.extend(self.machines.iter().map(Machine::describe));
        lines.join("\n")
    }

    fn check(&mut self, observation: &Observation<'_>) {
        if let Some(violation) = self.checkers.observe(self.now, observation) {
            self.violation.get_or_insert(violation);
        }
    }

    fn schedule(&mut self, at: Time, happening: Happening) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), happening);
    }

    /// What the clocks of a machine show.
    fn clocks(&mut self, at: ReplicaId) -> Now {
        let millis = WALL_START_MS + self.now.as_micros() / 1_000;
        let wall =
            WallTime::from_millis(millis.saturating_add_signed(self.machine(at).clock_offset_ms()));
        Now { monotonic: self.now, wall }
    }

    fn machine(&mut self, id: ReplicaId) -> &mut Machine {
        &mut self.machines[id.get() as usize]
    }

    /// Every instance of every replica: there is one of each unless somebody interferes.
    fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.machines.len() as u32).map(ReplicaId::new)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
