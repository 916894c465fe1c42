//! Many runs, each of another world: every seed draws a cluster, a network, a workload, faults and
//! adversaries within the budget.

mod behaviours;
mod own;
mod switches;

pub use own::swarm_of;
pub use switches::{Pairs, Setting};

use crate::network::{Delay, NetworkOptions, Traffic};
use crate::rng::{Seed, Stream};
use crate::scenario::{Expectation, Scenario};
use crate::subject::Subject;
use crate::world::{self, ClientLie, Counts, CrashKind, Fault, Options, Outcome, Verdict};
use behaviours::any_behaviour;
use core::fmt;
use core::time::Duration;
use pbft::message::Kind;
use pbft::{REJOIN_GAP, REJOIN_GAP_TOLERANCE, ReplicaId};
use quorate_adversary::{Behaviour, ReplyLie};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What a swarm came to.
#[derive(Clone, Debug, Default)]
pub struct Swarm {
    /// How many worlds were run.
    pub runs: u64,
    /// The seeds that did not pass, with what went wrong.
    pub failures: Vec<(Seed, Verdict)>,
    /// In how many runs something happened that is worth having happened.
    pub coverage: BTreeMap<&'static str, u64>,
}

/// Runs the worlds of these seeds.
pub fn swarm(seeds: Range<u64>) -> Swarm {
    swarm_with(seeds, &Subject::Store)
}

fn swarm_with(seeds: Range<u64>, subject: &Subject) -> Swarm {
    let mut swarm = Swarm::default();
    for seed in seeds.map(Seed::new) {
        let options = options_of(seed);
        let outcome = world::run_subject(seed, &options, subject);
        swarm.runs += 1;
        for (what, happened) in coverage(&options, &outcome.counts) {
            *swarm.coverage.entry(what).or_default() += u64::from(happened);
        }
        if outcome.verdict != Verdict::Pass {
            swarm.failures.push((seed, outcome.verdict));
        }
    }
    swarm
}

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} worlds, {} failed", self.runs, self.failures.len())?;
        for (seed, verdict) in &self.failures {
            write!(f, "\nseed {}: {verdict}", seed.get())?;
        }
        Ok(())
    }
}

/// One run of a swarm.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its seed.
    pub seed: Seed,
    /// What it came to.
    pub outcome: Outcome,
    /// What happened in it that is worth having happened.
    pub coverage: Vec<(&'static str, bool)>,
    /// Which optimizations were on.
    pub switches: Vec<(&'static str, bool)>,
}

/// Runs the world of one seed.
pub fn run_one(seed: Seed) -> Run {
    let options = options_of(seed);
    let outcome = world::run(seed, &options);
    let coverage = coverage(&options, &outcome.counts);
    let switches = switches::of(&options).to_vec();
    Run { seed, outcome, coverage, switches }
}

/// The world of one seed as a scenario, which must pass.
pub fn scenario_of(seed: Seed) -> Scenario {
    let options = options_of(seed);
    let mut scenario = Scenario {
        title: format!("swarm, seed {}", seed.get()),
        about: String::new(),
        seed,
        kinds: vec!["honest_node".to_owned(); options.replica_count as usize],
        beyond_budget: false,
        options,
        expect: Expectation::default(),
        text: String::new(),
    };
    scenario.text = crate::scenario::write(&scenario);
    scenario
}

/// The world that a seed of the swarm stands for.
pub fn options_of(seed: Seed) -> Options {
    let mut rng = seed.stream("options");
    let replica_count = *rng.pick(&[4, 4, 4, 5, 6, 7, 7, 8, 10, 13]).unwrap_or(&4);
    let mut options = Options::calm(replica_count);
    let period = rng.within(1..=10);
    options.parameters.checkpoint_period = period;
    options.parameters.log_window = period * rng.within(2..=6);
    options.parameters.instances_in_flight_max = rng.within(1..=6);
    options.parameters.batch_requests_max = rng.index(8) + 1;
    options.parameters.client_window = rng.within(2..=16);
    options.workload.clients = u32::try_from(rng.within(1..=5)).unwrap_or(1);
    options.workload.operations = rng.within(20..=200);
    options.workload.concurrency = u32::try_from(rng.within(1..=6)).unwrap_or(1);
    options.workload.keys = rng.within(1..=8);
    options.client.outstanding_max = rng.within(1..=6);
    options.network = any_network(&mut rng);
    if rng.chance(400_000) {
        // A slow disk: long enough between a write and its sync for a crash to fall there.
        let span = Duration::from_millis(rng.within(2..=40));
        options.sync = (span / 2, span);
    }
    options.heals_at = Duration::from_millis(rng.within(0..=12_000));
    options.workload.think_max = options.heals_at / 20 + Duration::from_millis(1);
    add_adversaries(&mut rng, &mut options);
    add_rejoiner(&mut seed.stream("rejoiners"), &mut options);
    add_lying_clients(&mut seed.stream("lying clients"), &mut options);
    add_faults(&mut rng, &mut options);
    add_loss(&mut seed.stream("losses"), &mut options);
    add_disk_fault(&mut seed.stream("disks"), &mut options);
    add_old_disks(&mut seed.stream("old disks"), &mut options);
    add_losses_in_turn(&mut seed.stream("turns"), &mut options);
    add_return_to_strangers(&mut seed.stream("strangers"), &mut options);
    add_traffic_faults(&mut seed.stream("traffic"), &mut options);
    add_reads(&mut seed.stream("reads"), &mut options);
    add_gathering(&mut seed.stream("gathering"), &mut options);
    add_digest_replies(&mut seed.stream("digest replies"), &mut options);
    add_tentative(&mut seed.stream("tentative"), &mut options);
    add_separate_requests(&mut seed.stream("separate requests"), &mut options);
    // Where nothing else is demanded of it, a primary may be as slow as the timeout lets it be.
    options.parameters.throughput_floor = seed.stream("throughput floor").chance(850_000);
    switches::add(&mut seed.stream("switches"), &mut options);
    // Nothing is broken after the world has healed.
    let heals_at = options.heals_at;
    options.timeline.retain(|(at, fault)| *at < heals_at || matches!(fault, Fault::Behave(..)));
    options.timeline.sort_by_key(|(at, _)| *at);
    options.recovery_max = recovery_bound(&options);
    options
}

/// How long the work may take once the world has healed: a minute; where a memory is lost
/// the time for which its replica waits if it has to rejoin twice; for each operation sixty syncs of the
/// disk; and what slow replicas need. Where K is 1 an operation waits for a checkpoint of its own,
/// and hashing one takes a machine up to fifty syncs; the request timer may run out meanwhile, and
/// a view change costs the rest.
fn recovery_bound(options: &Options) -> Duration {
    let (_, slowest_sync) = options.sync;
    let operations = u32::try_from(options.workload.operations).unwrap_or(u32::MAX);
    let may_rejoin =
        |fault: &Fault| matches!(fault, Fault::Lose(_) | Fault::LoseInTurn(_) | Fault::RollBack(_));
    let may_rejoin_twice = options.timeline.iter().any(|(_, fault)| may_rejoin(fault));
    let longest_wait = REJOIN_GAP + REJOIN_GAP_TOLERANCE;
    let wait = if may_rejoin_twice { longest_wait } else { Duration::ZERO };
    Duration::from_secs(60)
        + wait
        + slowest_sync.saturating_mul(operations.saturating_mul(60))
        + options.slow_replicas()
}

/// Where fewer than f misbehave or are slow, one replica may lose its memory, now and then more
/// than once: until it has rejoined, the others have to get on without it.
fn add_loss(rng: &mut Stream, options: &mut Options) {
    let Some(id) = another_one(rng, options).filter(|_| !rng.chance(700_000)) else { return };
    for _ in 0..rng.within(1..=2) {
        let mut at = any_time(rng, options);
        let mut then = |rng: &mut Stream, fault: Fault| {
            options.timeline.push((at, fault));
            at += any_span(rng);
            options.timeline.push((at, Fault::Restart(id)));
            at += any_span(rng);
        };
        if rng.chance(300_000) {
            then(rng, Fault::Copy(id));
            then(rng, Fault::RollBack(id));
        } else {
            then(rng, Fault::Lose(id));
        }
    }
}

/// Where fewer than f misbehave, are slow or lose their memory, the disk of one more may fail.
fn add_disk_fault(rng: &mut Stream, options: &mut Options) {
    let Some(id) = another_one(rng, options).filter(|_| rng.chance(400_000)) else { return };
    let fault = match rng.below(4) {
        0 => Fault::FailSync(id),
        1 => Fault::FillDisk(id),
        2 => Fault::FlipState(id),
        _ => Fault::Rot(id),
    };
    let at = any_time(rng, options);
    options.timeline.push((at, fault));
    options.timeline.push((at + any_span(rng), Fault::Restart(id)));
}

/// Now and then a disk that was lost is found again, put back while its replica rejoins without it or
/// later, and perhaps given up once more. Drawn by itself, so that the worlds of older seeds stay
/// what they were.
fn add_old_disks(rng: &mut Stream, options: &mut Options) {
    let loses = |(_, fault): &(Duration, Fault)| matches!(fault, Fault::Lose(_));
    let Some(place) = options.timeline.iter().position(loses).filter(|_| rng.chance(500_000))
    else {
        return;
    };
    let (at, Fault::Lose(id)) = options.timeline[place].clone() else { return };
    options.timeline.insert(place, (at, Fault::Copy(id)));
    let mut at = at;
    for _ in 0..rng.within(1..=4) {
        at += any_span(rng);
        options.timeline.push((at, Fault::SwapDisk(id)));
        options.timeline.push((at + Duration::from_millis(1), Fault::Restart(id)));
    }
}

/// Now and then replicas lose their memories one after the other, each when those before it have
/// rejoined; and a disk is set back at the end, to before most of that. Such a world takes longer.
fn add_losses_in_turn(rng: &mut Stream, options: &mut Options) {
    if rng.chance(850_000) {
        return;
    }
    let begins_at = options.heals_at;
    options.heals_at += Duration::from_secs(rng.within(10..=40));
    options.workload.think_max = options.heals_at / 20;
    if let Some(id) = another_one(rng, options).filter(|_| rng.chance(500_000)) {
        for (at, fault) in
            [(begins_at, Fault::Copy(id)), (options.heals_at * 9 / 10, Fault::RollBack(id))]
        {
            options.timeline.push((at, fault));
            options.timeline.push((at + Duration::from_millis(50), Fault::Restart(id)));
        }
    }
    let mut at = begins_at;
    while at < options.heals_at * 8 / 10 {
        let id = ReplicaId::new(rng.below(u64::from(options.replica_count)) as u32);
        options.timeline.push((at, Fault::LoseInTurn(id)));
        options.timeline.push((at + Duration::from_millis(50), Fault::Restart(id)));
        at += Duration::from_millis(rng.within(500..=6_000));
    }
}

/// Now and then a replica is down while all the others lose their memories one after the other, and
/// comes back with a disk from before its last start: only what those who rejoined took over from
/// each other keeps that disk out. Not where memories are lost in turn already: such a world is
/// long enough.
fn add_return_to_strangers(rng: &mut Stream, options: &mut Options) {
    let is_lost_in_turn = |(_, fault): &(Duration, Fault)| matches!(fault, Fault::LoseInTurn(_));
    let Some(absent) = another_one(rng, options).filter(|_| rng.chance(300_000)) else { return };
    if options.fault_bound() < 2 || options.timeline.iter().any(is_lost_in_turn) {
        return;
    }
    let mut at = options.heals_at;
    let mut then = |at: &mut Duration, fault: Fault, span: Duration| {
        options.timeline.push((*at, fault));
        *at += span;
    };
    let pause = Duration::from_millis(50);
    then(&mut at, Fault::Copy(absent), pause);
    then(&mut at, Fault::Restart(absent), any_span(rng));
    then(&mut at, Fault::Crash(absent, any_crash(rng)), pause);
    let mut others: Vec<ReplicaId> =
        (0..options.replica_count).map(ReplicaId::new).filter(|id| *id != absent).collect();
    rng.shuffle(&mut others);
    for id in others {
        then(&mut at, Fault::LoseInTurn(id), pause);
        then(&mut at, Fault::Restart(id), Duration::from_millis(rng.within(1_000..=6_000)));
    }
    then(&mut at, Fault::RollBack(absent), pause);
    then(&mut at, Fault::Restart(absent), any_span(rng));
    options.heals_at = at;
    options.workload.think_max = at / 20;
}

/// A replica that may fail beside those that misbehave, are slow or lose their memory, if those are
/// fewer than f.
fn another_one(rng: &mut Stream, options: &Options) -> Option<ReplicaId> {
    let fails = |id| options.timeline.iter().any(|(_, fault)| fault.spends_budget() == Some(id));
    let all = (0..options.replica_count).map(ReplicaId::new);
    let correct: Vec<ReplicaId> = all.filter(|id| options.is_timely(*id) && !fails(*id)).collect();
    let failing = options.replica_count as usize - correct.len();
    rng.pick(&correct).copied().filter(|_| failing < options.fault_bound() as usize)
}

/// As often as not requests gather for batches, and operations for requests.
fn add_gathering(rng: &mut Stream, options: &mut Options) {
    if rng.chance(500_000) {
        let gathering = Duration::from_micros(rng.within(100..=5_000));
        options.parameters.batch_gathering_max = gathering;
        options.client.gathering_max = gathering;
    }
}

/// Now and then clients read without ordering; and then, as often as not, a replica with a slow disk
/// loses power again and again, and learns late what it executed before: what is on its disk then
/// need not be all that it has shown.
fn add_reads(rng: &mut Stream, options: &mut Options) {
    options.workload.one_round_reads = rng.chance(400_000);
    if !options.workload.one_round_reads || rng.chance(500_000) {
        return;
    }
    let span = Duration::from_millis(rng.within(5..=40));
    options.sync = (span / 2, span);
    let all: Vec<ReplicaId> = (0..options.replica_count).map(ReplicaId::new).collect();
    let Some(one) = rng.pick(&all).copied() else { return };
    for _ in 0..rng.within(1..=3) {
        let traffic = Traffic { from: all.clone(), to: vec![one], kinds: vec![Kind::Repair] };
        let late = Duration::from_millis(rng.within(100..=1_000));
        let mut at = any_time(rng, options);
        options.timeline.push((at, Fault::Delay(traffic, late / 2, late)));
        options.timeline.push((at, Fault::Crash(one, CrashKind::Power)));
        at += Duration::from_millis(rng.within(1..=200));
        options.timeline.push((at, Fault::Restart(one)));
        options.timeline.push((at + Duration::from_secs(2), Fault::Mend));
    }
}

/// In a third of the worlds values are long enough for digests of results, and in a third of the
/// others nobody offers them. Whoever lies to clients does so in any way.
fn add_digest_replies(rng: &mut Stream, options: &mut Options) {
    if rng.chance(330_000) {
        options.workload.value_bytes = rng.index(1_200) + 200;
    } else {
        options.parameters.digest_replies = rng.chance(670_000);
    }
    for (_, fault) in &mut options.timeline {
        if let Fault::Behave(_, Behaviour::FaultyReplies { lie }) = fault {
            *lie = rng.pick(ReplyLie::ALL).copied().unwrap_or(*lie);
        }
    }
}

/// In a quarter of the worlds values are long enough for requests to be named; then now and then some
/// client sends its requests to the primary only. In a third of the others nothing is named.
fn add_separate_requests(rng: &mut Stream, options: &mut Options) {
    if rng.chance(250_000) {
        options.workload.value_bytes = rng.index(1_500) + 700;
        if options.lying_clients.is_empty() && rng.chance(300_000) {
            options.lying_clients = vec![ClientLie::PrimaryOnly];
        }
    } else {
        options.parameters.separate_requests = rng.chance(670_000);
    }
}

/// In most worlds replicas execute tentatively; and then now and then, for a while, COMMITs are lost
/// or late between many of them, and PREPAREs between some: so batches prepare at a few, are not
/// committed, and are lost with their view.
fn add_tentative(rng: &mut Stream, options: &mut Options) {
    options.parameters.tentative_execution = rng.chance(800_000);
    if !options.parameters.tentative_execution || rng.chance(600_000) {
        return;
    }
    let all: Vec<ReplicaId> = (0..options.replica_count).map(ReplicaId::new).collect();
    for _ in 0..rng.within(1..=4) {
        let at = any_time(rng, options);
        let late = Duration::from_millis(rng.within(100..=3_000));
        let commits = Traffic { from: all.clone(), to: all.clone(), kinds: vec![Kind::Commit] };
        let fault = if rng.chance(500_000) {
            Fault::Drop(commits)
        } else {
            Fault::Delay(commits, late / 4, late)
        };
        options.timeline.push((at, fault));
        let some: Vec<ReplicaId> = all.iter().copied().filter(|_| rng.chance(600_000)).collect();
        if !some.is_empty() && rng.chance(600_000) {
            let prepares = Traffic { from: all.clone(), to: some, kinds: vec![Kind::Prepare] };
            options.timeline.push((at, Fault::Drop(prepares)));
        }
        options.timeline.push((at + any_span(rng), Fault::Mend));
    }
}

/// Now and then some kinds of messages are lost, or late, between some replicas.
fn add_traffic_faults(rng: &mut Stream, options: &mut Options) {
    if rng.chance(700_000) {
        return;
    }
    for _ in 0..rng.within(1..=3) {
        let at = any_time(rng, options);
        let mut any_ids = || -> Vec<ReplicaId> {
            let all = (0..options.replica_count).map(ReplicaId::new);
            let some: Vec<ReplicaId> = all.clone().filter(|_| rng.chance(600_000)).collect();
            if some.is_empty() { all.collect() } else { some }
        };
        let (from, to) = (any_ids(), any_ids());
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|_| rng.chance(200_000)).collect();
        let fault = if rng.chance(500_000) {
            let late = Duration::from_millis(rng.within(1..=2_000));
            Fault::Delay(Traffic { from, to, kinds }, late / 4, late)
        } else if kinds.is_empty() {
            Fault::Cut(from, to)
        } else {
            Fault::Drop(Traffic { from, to, kinds })
        };
        options.timeline.push((at, fault));
        options.timeline.push((at + any_span(rng), Fault::Mend));
    }
}

fn any_network(rng: &mut Stream) -> NetworkOptions {
    let min = Duration::from_micros(rng.within(20..=20_000));
    let max = min * u32::try_from(rng.within(1..=8)).unwrap_or(1);
    let is_bad = rng.chance(500_000);
    NetworkOptions {
        delay: Delay {
            min,
            max,
            tail_per_million: if is_bad { rng.below(50_000) } else { 0 },
            tail_max: max * 10,
        },
        loss_per_million: if is_bad { rng.below(150_000) } else { 0 },
        duplicate_per_million: if is_bad { rng.below(150_000) } else { 0 },
        reorders: is_bad && rng.chance(700_000),
    }
}

/// At most f replicas misbehave, from the start or from some moment on.
fn add_adversaries(rng: &mut Stream, options: &mut Options) {
    if rng.chance(400_000) {
        return;
    }
    let count = rng.within(1..=u64::from(options.fault_bound()));
    let mut ids: Vec<ReplicaId> = (0..options.replica_count).map(ReplicaId::new).collect();
    rng.shuffle(&mut ids);
    for id in ids.into_iter().take(usize::try_from(count).unwrap_or(0)) {
        let at = if rng.chance(500_000) { Duration::ZERO } else { any_time(rng, options) };
        let behaviour = any_behaviour(rng, options);
        options.timeline.push((at, Fault::Behave(id, behaviour)));
    }
}

/// Now and then one that misbehaves rejoins again and again instead. Drawn by itself, so that the
/// worlds of older seeds stay what they were.
fn add_rejoiner(rng: &mut Stream, options: &mut Options) {
    let behaviours = options.timeline.iter_mut().filter_map(|(_, fault)| match fault {
        Fault::Behave(_, behaviour) => Some(behaviour),
        _ => None,
    });
    if let Some(behaviour) = behaviours.last().filter(|_| rng.chance(100_000)) {
        *behaviour = Behaviour::Rejoining;
    }
}

/// Any number of clients may lie.
fn add_lying_clients(rng: &mut Stream, options: &mut Options) {
    if rng.chance(200_000) {
        let count = rng.within(1..=2);
        let lies = (0..count).filter_map(|_| rng.pick(&ClientLie::ALL).copied());
        options.lying_clients = lies.collect();
    }
}

fn add_faults(rng: &mut Stream, options: &mut Options) {
    let all: Vec<ReplicaId> = (0..options.replica_count).map(ReplicaId::new).collect();
    for _ in 0..rng.below(7) {
        let at = any_time(rng, options);
        let mut ids = all.clone();
        rng.shuffle(&mut ids);
        // Halves are where too small a quorum shows.
        let split = if rng.chance(500_000) { ids.len() / 2 } else { 1 + rng.index(ids.len() - 1) };
        let (one, other) = ids.split_at(split);
        match rng.below(8) {
            0 | 1 => {
                options.timeline.push((at, Fault::Cut(one.to_vec(), other.to_vec())));
                if rng.chance(600_000) {
                    options.timeline.push((at, Fault::Cut(other.to_vec(), one.to_vec())));
                }
                options.timeline.push((at + any_span(rng), Fault::Mend));
            }
            2 => {
                options.timeline.push((at, Fault::CutFromClients(ids[0])));
                options.timeline.push((at + any_span(rng), Fault::Mend));
            }
            3 => {
                let kind = any_crash(rng);
                for id in &all {
                    options.timeline.push((at, Fault::Crash(*id, kind)));
                    options.timeline.push((at + any_span(rng), Fault::Restart(*id)));
                }
            }
            4 | 5 => {
                options.timeline.push((at, Fault::Crash(ids[0], any_crash(rng))));
                options.timeline.push((at + any_span(rng), Fault::Restart(ids[0])));
            }
            6 => {
                // Where in a write power fails matters most for a write that can tear.
                let kind = if rng.chance(500_000) { CrashKind::Torn } else { any_crash(rng) };
                let fault = Fault::CrashAt(ids[0], rng.within(1..=40), kind);
                options.timeline.push((at, fault));
                options.timeline.push((at + any_span(rng), Fault::Restart(ids[0])));
            }
            _ => options.timeline.push((at, Fault::Network(any_network(rng)))),
        }
    }
}

/// Whether a disk is rolled back after all others were to lose their memories in turn.
fn has_return_to_strangers(options: &Options) -> bool {
    let lost: BTreeSet<ReplicaId> = options
        .timeline
        .iter()
        .filter_map(|(_, fault)| match fault {
            Fault::LoseInTurn(id) => Some(*id),
            _ => None,
        })
        .collect();
    options.timeline.iter().any(|(_, fault)| {
        matches!(fault, Fault::RollBack(id) if !lost.contains(id))
            && lost.len() + 1 == options.replica_count as usize
    })
}

fn any_crash(rng: &mut Stream) -> CrashKind {
    *rng.pick(&[CrashKind::Process, CrashKind::Power, CrashKind::Torn]).unwrap_or(&CrashKind::Power)
}

fn any_time(rng: &mut Stream, options: &Options) -> Duration {
    let micros = u64::try_from(options.heals_at.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.within(0..=micros))
}

fn any_span(rng: &mut Stream) -> Duration {
    Duration::from_millis(rng.within(1..=5_000))
}

/// What a run should sometimes contain.
fn coverage(options: &Options, counts: &Counts) -> Vec<(&'static str, bool)> {
    let happened = |name: &str| counts.events.contains_key(name);
    let faulty = |f: &dyn Fn(&Fault) -> bool| options.timeline.iter().any(|(_, fault)| f(fault));
    let shown = |vice: Behaviour| {
        let is_it = |fault: &Fault| matches!(fault, Fault::Behave(_, b) if b.name() == vice.name());
        (vice.name(), faulty(&is_it))
    };
    let lied = |lie: ClientLie| (lie.name(), options.lying_clients.contains(&lie));
    let mut covered = vec![
        ("a view change", happened("view change started")),
        ("two view changes in a row", counts.views_skipped > 0),
        ("a view left because its primary was slow", counts.slow_primaries > 0),
        ("a null request in a new view", counts.null_choices > 0),
        ("a batch executed tentatively", happened("executed tentatively")),
        ("a batch rolled back", happened("rolled back")),
        ("a read that was not ordered", counts.reads > 0),
        ("a read in two rounds", counts.reads_again > 0),
        ("a read that had to be ordered after all", counts.reads_ordered > 0),
        ("a result sent by its digest", counts.digest_replies > 0),
        ("a request sent to the primary alone", counts.requests_to_primary > 0),
        ("a request sent to all after the primary alone", counts.requests_sent_on > 0),
        ("a request named in a PRE-PREPARE", counts.outlines > 0),
        ("a named request that had to be asked for", counts.requests_asked_for > 0),
        ("a window race at a checkpoint", counts.window_races > 0),
        ("a torn tail", counts.torn_tails > 0),
        ("a state transfer", happened("state transferred")),
        ("evidence", happened("evidence found")),
        ("a crash", faulty(&|fault| matches!(fault, Fault::Crash(..) | Fault::CrashAt(..)))),
        ("an adversary", faulty(&|fault| matches!(fault, Fault::Behave(..)))),
        ("a partition", faulty(&|fault| matches!(fault, Fault::Cut(..)))),
        ("a stable checkpoint", happened("checkpoint stable")),
        ("a rejoin", happened("rejoin executed")),
        ("a disk rolled back", faulty(&|fault| matches!(fault, Fault::RollBack(..)))),
        ("a disk found again", faulty(&|fault| matches!(fault, Fault::SwapDisk(..)))),
        ("memories lost in turn", faulty(&|fault| matches!(fault, Fault::LoseInTurn(..)))),
        ("an old disk put back among replicas that all rejoined", has_return_to_strangers(options)),
        ("a replica that stopped because of its disk", !counts.stopped.is_empty()),
        (
            "some kinds of messages lost or late",
            faulty(&|fault| matches!(fault, Fault::Drop(..) | Fault::Delay(..))),
        ),
    ];
    covered.extend(Behaviour::vices().map(shown));
    covered.extend(ClientLie::ALL.map(lied));
    covered
}
