//! What much state costs: memory, time for puts, checkpoints, transfers and restarts.
//!
//! Two clusters of the store, durable: one is filled while one of its replicas has not been started
//! yet, which then fetches everything; the other one stays as good as empty.

use super::fill::fill;
use super::load::Load;
use super::plan::{AnyLoad, Point, REPLICAS, Target};
use super::replicas::{Replicas, Shape, close};
use super::report::Against;
use super::sample::Sample;
use super::spinners::Spinners;
use super::work::{PAIR_BYTES, Work};
use crate::args::bench::Bench;
use crate::render;
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use quorate_node::admin::NodeStatus;
use quorate_node::cluster::Durability;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The replica that is started late, and again.
const LATE: u32 = REPLICAS - 1;

/// A store with so few keys, twice as many as puts are in flight, is as good as empty.
const FEW: u64 = 1024;

/// So many keys are what the goals are about.
const MILLION: u64 = 1_000_000;

/// How often a replica is asked how far it is.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long a replica may take to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

/// So long is measured at most while a replica catches up under full load.
const CHASE_MAX: Duration = Duration::from_secs(60);

/// A replica with so few numbers to go has caught up: the others go on meanwhile.
const BEHIND_MAX: u64 = 64;

/// The rows, as [`measure`] returns what it measured.
pub(super) fn points(args: &Bench, (clients, in_flight): (u32, u32)) -> Vec<Point> {
    let keys = args.keys;
    // With fewer keys, rows are not what the goals are about.
    let key = |name: &str| if keys == MILLION { name.to_owned() } else { format!("{name} {keys}") };
    let many = Load { in_flight, work: Work::Put { keys }, span: args.span };
    let to_few = Load { work: Work::Put { keys: FEW }, ..many };
    let one = Load { in_flight: 1, ..many };
    let coalesced = Load { in_flight: clients, ..many };
    let point = |name: &str, workload: String, clients, load, against| Point {
        key: key(name),
        workload: format!("put 256 B, {workload}"),
        clients,
        target: Target::Replicas(REPLICAS, Durability::Sync),
        load: AnyLoad::Own(load),
        against,
        unreplicated: None,
        fault: None,
    };
    let each = format!("{in_flight} in flight each");
    let filled = format!("{keys} keys, to fill the store");
    let before = format!("{each}, beside {keys} keys, three of four replicas");
    let during = format!("{each}, beside {keys} keys, while the fourth fetches them");
    let beside_none = format!("{each}, beside no keys");
    let beside_all = format!("{each}, beside {keys} keys");
    let paused = format!("{clients} in flight, beside {keys} keys");
    let transfer = format!("one at a time, while a replica without a memory fetches {keys} keys");
    let restart =
        format!("one at a time, while a replica with {keys} keys is killed and restarted");
    let of_before = Against::Row(key("before a transfer"));
    vec![
        point("fill", filled, 1, one, Against::E),
        point("before a transfer", before, clients, many, Against::E),
        point("during a transfer", during, clients, many, of_before),
        point("put beside none", beside_none, clients, to_few, Against::E),
        point("put beside all", beside_all, clients, many, Against::E),
        point("pauses", paused, 1, coalesced, Against::E),
        point("transfer", transfer, 1, one, Against::L),
        point("restart", restart, 1, one, Against::L),
    ]
}

/// What all replicas take in memory together, and on disk, with room to spare: four are filled, and
/// one of them twice.
pub(super) fn bytes(args: &Bench) -> u64 {
    const COPIES: u64 = 20;
    args.keys * PAIR_BYTES as u64 * COPIES
}

/// Measures all of them: what is filled and fetched once, the rest as often as is asked for.
pub(super) async fn measure(
    dir: &Path,
    args: &Bench,
    points: &[Point],
    progress: &ProgressBar,
) -> Result<Vec<Vec<Sample>>> {
    let [_, before, during, beside_none, beside_all, pauses, transfer, restart] = points else {
        bail!("the rows of this suite are others");
    };
    let clients = points.iter().map(|point| point.clients).max().unwrap_or(1);
    let shape = Shape::new(REPLICAS, clients, Durability::Sync);
    let mut filled = Replicas::start_but(&dir.join("filled"), &shape, &[LATE]).await?;
    let _awake = Spinners::start()?;
    let fill = with_memory(&filled, fill(&filled, args.keys, progress).await?, args.keys)?;
    let said = |point: &Point| progress.set_message(point.workload.clone());
    said(before);
    let before = filled.sample(own_load(before)?, before.clients).await?;
    said(during);
    let during = while_it_starts_late(&mut filled, own_load(during)?, during.clients).await?;
    let empty = Replicas::start(&dir.join("empty"), &shape).await?;
    let (mut of_none, mut of_all) = (Vec::new(), Vec::new());
    let (mut of_pauses, mut of_restarts) = (Vec::new(), Vec::new());
    for _ in 0..args.repeats {
        said(beside_none);
        of_none.push(empty.sample(own_load(beside_none)?, beside_none.clients).await?);
        said(beside_all);
        of_all.push(filled.sample(own_load(beside_all)?, beside_all.clients).await?);
        said(pauses);
        let taken = checkpoints(&filled)?;
        let sample = filled.sample(own_load(pauses)?, pauses.clients).await?;
        of_pauses.push(sample.and("checkpoints", (checkpoints(&filled)? - taken) as f64));
        said(restart);
        of_restarts.push(while_it_restarts(&mut filled, own_load(restart)?).await?);
    }
    said(transfer);
    let transfer = while_it_fetches(&mut filled, own_load(transfer)?, args.keys).await?;
    empty.stop().await?;
    filled.stop().await?;
    let [fill, before, during, transfer] = [fill, before, during, transfer].map(|once| vec![once]);
    Ok(vec![fill, before, during, of_none, of_all, of_pauses, transfer, of_restarts])
}

fn own_load(point: &Point) -> Result<Load> {
    match point.load {
        AnyLoad::Own(load) => Ok(load),
        AnyLoad::Kv(_) => bail!("this suite has no gateway"),
    }
}

/// With the memory that the largest replica has now, beside what the keys and values are.
fn with_memory(replicas: &Replicas, sample: Sample, keys: u64) -> Result<Sample> {
    let mut most = 0;
    for pid in replicas.report()?.replicas.iter().filter_map(|row| row.pid) {
        most = most.max(resident_bytes(pid)?);
    }
    let data = keys * PAIR_BYTES as u64;
    let sample = sample.and("memory_mb", most as f64 / 1e6);
    Ok(sample.and("memory_of_data", most as f64 / data as f64))
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.context("the system does not say how much memory")?.parse()?;
    Ok(kilobytes * 1024)
}

fn checkpoints(replicas: &Replicas) -> Result<u64> {
    replicas.counter(0, "checkpoints_stable")
}

/// Measures while the last replica is started for the first time, until it has fetched the state and
/// caught up, or for as long as it may chase the others; then it catches up without load.
async fn while_it_starts_late(replicas: &mut Replicas, load: Load, clients: u32) -> Result<Sample> {
    let callers = replicas.clients(clients).await?;
    let started = async {
        let began = Instant::now();
        replicas.start_one(LATE).await?;
        match timeout(CHASE_MAX, until_caught_up(replicas, LATE)).await {
            Ok(caught_up) => caught_up.map(|()| Some(began.elapsed())),
            Err(_elapsed) => Ok(None),
        }
    };
    let (sample, took) = load.during(&callers, started).await?;
    close(callers).await;
    let Some(took) = took else {
        render::note(format_args!(
            "state: a replica that fetches the state has not caught up within {CHASE_MAX:?} under \
             load; it goes on without"
        ));
        until_caught_up(replicas, LATE).await?;
        return Ok(sample);
    };
    Ok(sample.and("caught_up_s", took.as_secs_f64()))
}

/// Measures while the last replica is killed and started again, until it has caught up.
async fn while_it_restarts(replicas: &mut Replicas, load: Load) -> Result<Sample> {
    replicas.until_whole().await?;
    let id = if replicas.primary()? == LATE { LATE - 1 } else { LATE };
    let callers = replicas.clients(1).await?;
    let restarted = async {
        replicas.kill(id).await?;
        let began = Instant::now();
        replicas.start_one(id).await?;
        until_caught_up(replicas, id).await?;
        Ok(began.elapsed())
    };
    let (sample, took) = load.during(&callers, restarted).await?;
    close(callers).await;
    Ok(sample.and("restart_s", took.as_secs_f64()))
}

/// Measures while the last replica, whose memory is taken from it, rejoins and fetches the state,
/// and how fast that comes.
async fn while_it_fetches(replicas: &mut Replicas, load: Load, keys: u64) -> Result<Sample> {
    replicas.until_whole().await?;
    let callers = replicas.clients(1).await?;
    let fetched = async {
        replicas.kill(LATE).await?;
        replicas.start_without_memory(LATE).await?;
        until(replicas, LATE, |fetching, _| fetching).await.context("it fetches nothing")?;
        let began = Instant::now();
        until(replicas, LATE, |fetching, _| !fetching).await.context("it fetches for ever")?;
        let took = began.elapsed();
        until_caught_up(replicas, LATE).await?;
        Ok(took)
    };
    let (sample, took) = load.during(&callers, fetched).await?;
    close(callers).await;
    let megabytes = (keys * PAIR_BYTES as u64) as f64 / 1e6;
    Ok(sample.and("transfer_mb_per_s", megabytes / took.as_secs_f64()))
}

/// Waits until a replica was let in, takes part, fetches nothing, and has as good as nothing to
/// execute that others have.
async fn until_caught_up(replicas: &Replicas, id: u32) -> Result<()> {
    until(replicas, id, |fetching, behind| !fetching && behind.is_some_and(|b| b <= BEHIND_MAX))
        .await
        .with_context(|| format!("replica {id} did not catch up"))
}

/// Waits until this holds of whether a replica fetches state and, if it takes part, of how far it
/// is behind another one.
async fn until(
    replicas: &Replicas,
    id: u32,
    is_so: impl Fn(bool, Option<u64>) -> bool,
) -> Result<()> {
    let began = Instant::now();
    let mut seen = (None, None);
    while began.elapsed() < PATIENCE {
        seen = (replicas.status(id)?, replicas.status((id + 1) % REPLICAS)?);
        if let (Some(own), Some(other)) = &seen {
            let behind = other.last_executed.saturating_sub(own.last_executed);
            let takes_part = own.admitted && own.active;
            if is_so(own.fetching.is_some(), takes_part.then_some(behind)) {
                return Ok(());
            }
        }
        sleep(POLL_INTERVAL).await;
    }
    let [own, other] = [seen.0, seen.1].map(whereabouts);
    let slow = replicas.counter(id, "slow_primaries_left")?;
    bail!(
        "not within {PATIENCE:?}: it {own}, and found {slow} primaries slow; the next one {other}"
    )
}

fn whereabouts(status: Option<NodeStatus>) -> String {
    let Some(status) = status else {
        return "does not answer".to_owned();
    };
    let takes_part = if status.admitted && status.active { "takes" } else { "does not take" };
    let fetching = status.fetching.map(|seq| format!(", fetching {seq}")).unwrap_or_default();
    let NodeStatus { view, last_executed, .. } = status;
    format!("{takes_part} part in view {view}, has executed {last_executed}{fetching}")
}
