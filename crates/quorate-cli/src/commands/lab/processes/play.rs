//! A run from its first process to the last message: what the scenario lets happen, when the work
//! is done, and when nothing is under way any more.

use super::callers::Callers;
use super::machines::Machines;
use crate::recorder::now_micros;
use crate::render;
use anyhow::{Context, Result};
use pbft::{ReplicaId, View};
use quorate_lab::linearizability::History;
use quorate_lab::processes::{ClientEntry, UnderWay};
use quorate_lab::record::Entry;
use quorate_lab::scenario::Scenario;
use quorate_lab::world::{Fault, Options, Worked};
use quorate_node::admin::NodeStatus;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long the first replicas and the clients may take to connect with one another.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// How often something that is waited for is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// So long after the last of what was under way when the work was done, the run ends even if there
/// is always something new.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// What was seen of a run.
pub(super) struct Played {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) replicas: Vec<Vec<Entry>>,
    pub(super) clients: Vec<ClientEntry>,
    pub(super) faults: Vec<(u64, String)>,
    pub(super) history: History,
    pub(super) stopped: Vec<(ReplicaId, String)>,
    pub(super) view: View,
    pub(super) unfinished: Option<String>,
    pub(super) worked: Worked,
}

impl Played {
    /// The replicas have ended: reads what they wrote last.
    pub(super) fn finish(mut self, machines: &mut Machines) -> Result<Self> {
        for (id, entries) in (0..).map(ReplicaId::new).zip(&mut self.replicas) {
            entries.extend(machines.recorded(id)?);
        }
        Ok(self)
    }
}

/// Plays the scenario. The replicas that run at its end are left running.
pub(super) async fn play(machines: &mut Machines, scenario: &Scenario) -> Result<Played> {
    let options = &scenario.options;
    let mut agenda = Agenda::of(options);
    agenda.take_behaviours(machines)?;
    let ids = || (0..options.replica_count).map(ReplicaId::new);
    for id in ids().filter(|id| !options.late.contains(id)) {
        machines.start(id)?;
    }
    for id in machines.up() {
        machines.listening(id).await?;
    }
    let mut callers = Callers::new(machines.local(), scenario)?;
    let connected = timeout(CONNECT_TIMEOUT, connect(machines)).await;
    connected.context("the replicas did not connect with one another in time; see their logs")?;
    let (began, clock) = (now_micros(), Instant::now());
    let before = worked(machines);
    let mut run = Run {
        options,
        began: clock,
        deadline: clock + options.heals_at + options.recovery_max,
        faults: Vec::new(),
        replicas: ids().map(|_| Vec::new()).collect(),
        clients: Vec::new(),
        under_way: UnderWay::default(),
    };
    while let Some((at, act)) = agenda.pop() {
        sleep_until(clock + at).await;
        run.act(machines, &mut callers, &mut agenda, act).await?;
    }
    let is_done = run.wait_until_done(machines, &callers).await;
    let after = worked(machines);
    let worked = Worked {
        replicas: after.replicas.saturating_sub(before.replicas),
        clients: after.clients.saturating_sub(before.clients),
    };
    if is_done {
        run.settle(machines, &callers).await?;
    }
    let standing = run.standing(machines);
    let active = standing.iter().filter(|(id, status)| !options.is_faulty(*id) && status.active);
    let view = View::new(active.map(|(_, status)| status.view).max().unwrap_or_default());
    let unfinished = (!is_done).then(|| describe(options, &callers, &standing));
    let stopped = machines.stopped().await;
    let ended = now_micros();
    run.collect(machines, &callers)?;
    let Run { faults, replicas, clients, .. } = run;
    let history = callers.finish().await;
    Ok(Played {
        began,
        ended,
        replicas,
        clients,
        faults,
        history,
        stopped,
        view,
        unfinished,
        worked,
    })
}

/// Waits until the replicas that run have links with one another, and, if they are enough for it,
/// the correct ones have let one another in.
async fn connect(machines: &Machines) {
    let up = machines.up();
    let correct: Vec<ReplicaId> =
        up.iter().copied().filter(|id| machines.is_correct(*id)).collect();
    let are_enough = correct.len() >= machines.local().cluster.config.quorums.quorum();
    let is_active = |id: &ReplicaId| machines.status(*id).is_some_and(|status| status.active);
    let is_linked = |id: &ReplicaId| {
        let others = up.iter().filter(|other| *other != id);
        let status = machines.status(*id);
        status.is_some_and(|status| {
            others.map(|id| id.get()).all(|id| status.connected.contains(&id))
        })
    };
    while !up.iter().all(is_linked) || are_enough && !correct.iter().all(is_active) {
        sleep(POLL_INTERVAL).await;
    }
}

/// The processor time that the replicas that run, and this process, have taken so far.
fn worked(machines: &Machines) -> Worked {
    let up = machines.up().into_iter().filter_map(|id| machines.status(id));
    let replicas = up.map(|status| Duration::from_micros(status.processor_us)).sum();
    Worked { replicas, clients: quorate_node::node::processor_time() }
}

/// What will happen, in order.
struct Agenda(BTreeMap<(Duration, usize), Act>);

/// Something that happens.
enum Act {
    Fault(Fault),
    /// The clients begin.
    Call,
    /// The pause of a replica is over, unless a later one is not.
    Resume(ReplicaId),
    Heal,
}

impl Agenda {
    fn of(options: &Options) -> Self {
        let mut faults: Vec<(Duration, Fault)> = options.timeline.clone();
        // Who starts in this moment misbehaves from its first message on.
        faults.sort_by_key(|(at, fault)| (*at, !matches!(fault, Fault::Behave(..))));
        let mut agenda = Self(BTreeMap::new());
        for (at, fault) in faults {
            agenda.add(at, Act::Fault(fault));
        }
        agenda.add(options.heals_at, Act::Heal);
        agenda.add(options.workload.begins_at, Act::Call);
        agenda
    }

    fn add(&mut self, at: Duration, act: Act) {
        let after = self.0.keys().map(|(_, number)| number + 1).max().unwrap_or(0);
        self.0.insert((at, after), act);
    }

    fn pop(&mut self) -> Option<(Duration, Act)> {
        self.0.pop_first().map(|((at, _), act)| (at, act))
    }

    /// How replicas behave from the beginning on.
    fn take_behaviours(&mut self, machines: &mut Machines) -> Result<()> {
        while let Some(first) = self.0.first_entry()
            && let ((Duration::ZERO, _), Act::Fault(Fault::Behave(id, behaviour))) =
                (first.key(), first.get())
        {
            machines.behave(*id, *behaviour)?;
            first.remove();
        }
        Ok(())
    }
}

/// A run that goes on.
struct Run<'a> {
    options: &'a Options,
    began: Instant,
    deadline: Instant,
    faults: Vec<(u64, String)>,
    replicas: Vec<Vec<Entry>>,
    clients: Vec<ClientEntry>,
    under_way: UnderWay,
}

impl Run<'_> {
    async fn act(
        &mut self,
        machines: &mut Machines,
        callers: &mut Callers,
        agenda: &mut Agenda,
        act: Act,
    ) -> Result<()> {
        match act {
            Act::Fault(fault) => {
                self.say(fault.to_string());
                self.on_fault(machines, agenda, &fault).await
            }
            Act::Resume(id) => {
                let is_paused_again =
                    agenda.0.values().any(|act| matches!(act, Act::Resume(other) if *other == id));
                if is_paused_again { Ok(()) } else { machines.resume(id) }
            }
            Act::Heal => {
                self.say(quorate_lab::trace::HEALED.to_owned());
                agenda.0.retain(|_, act| !matches!(act, Act::Resume(_)));
                for id in (0..self.options.replica_count).map(ReplicaId::new) {
                    machines.resume(id)?;
                    machines.start(id)?;
                }
                Ok(())
            }
            Act::Call => callers.call(&machines.up(), self.deadline),
        }
    }

    async fn on_fault(
        &mut self,
        machines: &mut Machines,
        agenda: &mut Agenda,
        fault: &Fault,
    ) -> Result<()> {
        match fault {
            Fault::Crash(id, _) => machines.crash(*id).await,
            Fault::Restart(id) => machines.start(*id),
            Fault::Pause(id, span) => {
                machines.suspend(*id);
                if machines.is_up(*id) {
                    agenda.add(self.began.elapsed() + *span, Act::Resume(*id));
                }
                Ok(())
            }
            Fault::Behave(id, behaviour) => machines.behave(*id, *behaviour),
            _ => {
                anyhow::bail!("processes cannot do that, and the file should have been refused")
            }
        }
    }

    /// Says what happens, now and in the report.
    fn say(&mut self, what: String) {
        let seconds = self.began.elapsed().as_secs_f64();
        render::note(format_args!("  {seconds:7.3} s  {what}"));
        self.faults.push((now_micros(), what));
    }

    /// Waits until all work is done and every correct replica has all of it but those that are
    /// slow. Returns whether that was in time.
    async fn wait_until_done(&self, machines: &mut Machines, callers: &Callers) -> bool {
        while Instant::now() < self.deadline && machines.stopped().await.is_empty() {
            if callers.are_done() && self.is_level(&self.standing(machines)) {
                return true;
            }
            sleep(POLL_INTERVAL).await;
        }
        false
    }

    /// Whether the replicas that must keep up stand alike; see the simulator's own condition.
    fn is_level(&self, standing: &[(ReplicaId, NodeStatus)]) -> bool {
        let is_timely = |id: &ReplicaId| self.options.is_timely(*id);
        let timely = (0..self.options.replica_count).map(ReplicaId::new).filter(is_timely).count();
        let timely_standing: Vec<&NodeStatus> =
            standing.iter().filter(|(id, _)| is_timely(id)).map(|(_, status)| status).collect();
        let (active, left): (Vec<&NodeStatus>, Vec<&NodeStatus>) =
            timely_standing.iter().partition(|status| status.active);
        timely_standing.len() == timely
            && timely_standing.windows(2).all(|two| two[0].last_executed == two[1].last_executed)
            && active.windows(2).all(|two| two[0].view == two[1].view)
            && left.len() <= self.options.fault_bound() as usize
    }

    fn standing(&self, machines: &Machines) -> Vec<(ReplicaId, NodeStatus)> {
        let ids = (0..self.options.replica_count).map(ReplicaId::new);
        ids.filter_map(|id| Some((id, machines.status(id)?))).collect()
    }

    /// All is done, but messages are still under way: they arrive, so that what is counted is not a
    /// race.
    async fn settle(&mut self, machines: &mut Machines, callers: &Callers) -> Result<()> {
        self.collect(machines, callers)?;
        let longest = u64::try_from(SETTLE_MAX.as_micros()).unwrap_or(u64::MAX);
        let end = self.under_way.quiet_at().max(now_micros()) + longest;
        let left = Duration::from_micros(self.under_way.quiet_at().saturating_sub(now_micros()));
        if left > Duration::from_secs(3) {
            let seconds = left.as_secs_f64();
            render::note(format_args!(
                "  all is done; what was held back arrives in {seconds:.0} s"
            ));
        }
        while now_micros() < self.under_way.quiet_at().min(end) {
            sleep(POLL_INTERVAL).await;
            self.collect(machines, callers)?;
        }
        Ok(())
    }

    /// Takes in what was recorded meanwhile.
    fn collect(&mut self, machines: &mut Machines, callers: &Callers) -> Result<()> {
        for (id, entries) in (0..).map(ReplicaId::new).zip(&mut self.replicas) {
            let new = machines.recorded(id)?;
            new.iter().for_each(|entry| self.under_way.replica(id, entry));
            entries.extend(new);
        }
        let new = callers.recorded();
        new.iter().for_each(|entry| self.under_way.client(entry));
        self.clients.extend(new);
        Ok(())
    }
}

/// Where everybody stood when time was up.
fn describe(options: &Options, callers: &Callers, standing: &[(ReplicaId, NodeStatus)]) -> String {
    let mut lines = vec![callers.describe()];
    let taking_part = standing.iter().filter(|(_, status)| status.admitted).count();
    lines.extend(options.too_few(taking_part));
    lines.extend(options.impatience());
    for id in (0..options.replica_count).map(ReplicaId::new) {
        let fault = if options.is_faulty(id) { " (faulty)" } else { "" };
        let status = standing.iter().find(|(other, _)| *other == id).map(|(_, status)| status);
        lines.push(match status {
            None => format!("replica {id}{fault} does not answer"),
            Some(status) => format!(
                "replica {id}{fault}: view {}{}, executed {} of {}, stable {}, {} requests wait, {} \
                 messages held{}{}",
                status.view,
                if status.active { "" } else { " (inactive)" },
                status.last_executed,
                status.highest_known,
                status.stable_checkpoint,
                status.waiting_requests,
                status.messages_held,
                if status.admitted { "" } else { ", not admitted" },
                status.fetching.map_or_else(String::new, |seq| format!(", fetching {seq}")),
            ),
        });
    }
    lines.join("\n")
}
