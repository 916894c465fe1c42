//! What goes wrong while a point is measured.

use super::load::{Load, PATIENCE};
use super::replicas::{Replicas, close};
use super::sample::Sample;
use super::work::Work;
use crate::commands::cluster::status::Report;
use crate::services::NULL;
use anyhow::{Context, Result, ensure};
use pbft::message::{Operation, Request, RequestBody};
use pbft::{Message, Session, SignedRequest, Timestamp, wire};
use quorate_adversary::Behaviour;
use quorate_net::Client;
use quorate_services::null;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// One of the papers' faults, or of those that came after them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// f backups behave like this.
    Backups(Behaviour),
    /// The primary does.
    Primary(Behaviour),
    /// One client more than those that are measured sends [`FLOOD_PER_SECOND`] requests a second
    /// to every replica, under signatures that do not hold.
    Flood,
    /// The primary is killed, and started again afterwards.
    KilledPrimary,
    /// The primary falls silent while nobody asks for anything and the log is empty.
    IdleViewChange,
}

/// How fast a client floods.
const FLOOD_PER_SECOND: u32 = 5_000;
/// How often it does, so that as many requests as it sends at once fit its queue.
const FLOOD_INTERVAL: Duration = Duration::from_millis(2);

/// How long everything is well before the primary is killed.
const BEFORE_THE_KILL: Duration = Duration::from_millis(500);

/// With a primary that holds everything up for nearly as long as it may, and while there is none, so
/// many timeouts are measured at least.
const TIMEOUTS: u32 = 5;

impl Fault {
    /// Measures once, and puts everything right again.
    pub(super) async fn sample(
        self,
        replicas: &mut Replicas,
        load: Load,
        clients: u32,
    ) -> Result<Sample> {
        let view = replicas.view()?;
        let primary = replicas.primary()?;
        let sample = match self {
            Self::Backups(behaviour) => {
                let ids = (0..replicas.config().replica_count()).rev().filter(|id| *id != primary);
                let f = replicas.config().quorums.fault_bound() as usize;
                misbehave(replicas, &ids.take(f).collect::<Vec<_>>(), behaviour, load, clients)
                    .await
            }
            Self::Primary(behaviour) => {
                let load = at_least_timeouts(load, replicas);
                misbehave(replicas, &[primary], behaviour, load, clients).await
            }
            Self::Flood => flood(replicas, load, clients).await,
            Self::KilledPrimary => {
                let load = at_least_timeouts(load, replicas);
                kill(replicas, primary, load, clients).await
            }
            Self::IdleViewChange => change_views_idly(replicas, primary, load).await,
        }?;
        replicas.until_whole().await?;
        let views = replicas.view()?.saturating_sub(view);
        Ok(sample.and("view_changes", views as f64))
    }
}

fn at_least_timeouts(load: Load, replicas: &Replicas) -> Load {
    let span = replicas.config().parameters.view_change_timeout * TIMEOUTS;
    Load { span: load.span.max(span), ..load }
}

async fn misbehave(
    replicas: &Replicas,
    ids: &[u32],
    behaviour: Behaviour,
    load: Load,
    clients: u32,
) -> Result<Sample> {
    for id in ids {
        replicas.make_faulty(*id, behaviour)?;
    }
    let sample = replicas.sample(load, clients).await?;
    for id in ids {
        replicas.heal(*id)?;
    }
    Ok(sample)
}

/// The client after those that are measured floods.
async fn flood(replicas: &Replicas, load: Load, clients: u32) -> Result<Sample> {
    let flooder = replicas.start_client(clients)?;
    Work::EMPTY.ask(&flooder, (0, 0), Instant::now() + PATIENCE).await?;
    let forged = forged_request(replicas, clients)?;
    let rejected = format!("rejected_client_{clients}_BadSignature");
    let measured = replicas.clients(clients).await?;
    let before = replicas.counter(0, &rejected)?;
    let flooded = async {
        tokio::select! {
            () = flood_for_ever(&flooder, forged) => {}
            () = sleep(load.span) => {}
        }
        Ok(())
    };
    let (sample, ()) = load.during(&measured, flooded).await?;
    let arrived = replicas.counter(0, &rejected)?.saturating_sub(before);
    ensure!(arrived > 0, "nothing of the flood arrived");
    close(measured).await;
    flooder.close().await;
    let per_second = arrived as f64 / sample.span.as_secs_f64();
    Ok(sample.and("flood_per_second", per_second))
}

/// A request of this client whose signature takes as long to check as one that holds.
fn forged_request(replicas: &Replicas, client: u32) -> Result<Vec<u8>> {
    let membership = replicas.membership(client)?;
    let domain = replicas.config().domain;
    let operation = Operation { service: NULL, body: null::operation(0, 0) };
    let request = Request {
        client: pbft::ClientId::new(client),
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        acknowledged_below: Timestamp::new(1),
        replier: None,
        body: RequestBody::Operations(vec![operation]),
    };
    let signed = SignedRequest::sign(&domain, &membership.signing_key(), request);
    Ok(wire::encode(domain.epoch, &Message::Request(signed.into())))
}

/// The second half of an Ed25519 signature, which ends a request, is a number, whose first bytes
/// are its lowest.
const SCALAR_BYTES: usize = 32;

async fn flood_for_ever(flooder: &Client, mut frame: Vec<u8>) {
    let mut ticks = interval(FLOOD_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let at_once =
        FLOOD_PER_SECOND / (Duration::from_secs(1).div_duration_f64(FLOOD_INTERVAL) as u32);
    for count in 1_u64.. {
        if count % u64::from(at_once) == 1 {
            ticks.tick().await;
        }
        let start = frame.len() - SCALAR_BYTES;
        for (byte, salt) in frame.iter_mut().skip(start).zip(count.to_le_bytes()) {
            *byte ^= salt;
        }
        flooder.send_frame(frame.clone());
    }
}

/// How long nobody is answered is what the callers find; all of them are in the end.
async fn kill(replicas: &mut Replicas, primary: u32, load: Load, clients: u32) -> Result<Sample> {
    let callers = replicas.clients(clients).await?;
    let killed = async {
        sleep(BEFORE_THE_KILL).await;
        replicas.kill(primary).await?;
        sleep(load.span).await;
        Ok(())
    };
    let (sample, ()) = load.during(&callers, killed).await?;
    close(callers).await;
    replicas.start_one(primary).await?;
    Ok(sample)
}

/// One client measures how long an operation takes, and then how long the replicas take from leaving
/// the view to being active in the next one, at the median of those that do.
async fn change_views_idly(replicas: &Replicas, primary: u32, load: Load) -> Result<Sample> {
    let clients = replicas.clients(1).await?;
    let client = clients.first().context("one client was asked for")?;
    let sample = load.run(&clients).await?;
    empty_the_log(replicas, client).await?;
    let view = replicas.view()?;
    replicas.make_faulty(primary, Behaviour::NonResponding)?;
    // Nobody leaves a view for nothing.
    Work::EMPTY.ask(client, (0, 0), Instant::now() + PATIENCE).await?;
    let others = (0..replicas.config().replica_count()).filter(|id| *id != primary);
    let have_left = |report: &Report| {
        let mut others = report.replicas.iter().filter(|row| row.id != primary);
        others.all(|row| row.active && row.view > Some(view))
    };
    replicas.until(have_left).await.context("the view did not change")?;
    let spans = others.map(|id| replicas.counter(id, "last_view_change_us"));
    let mut spans = spans.collect::<Result<Vec<u64>>>()?;
    spans.sort_unstable();
    let took = spans.get(spans.len() / 2).copied().context("nobody changed views")? as f64;
    replicas.heal(primary)?;
    close(clients).await;
    let operation = sample.quantile_us(0.5);
    Ok(sample.and("view_change_us", took).and("of_one_operation", took / operation))
}

/// Has as many empty operations executed, each by itself, as it takes to the next checkpoint, which
/// covers everything then.
async fn empty_the_log(replicas: &Replicas, client: &Client) -> Result<()> {
    replicas.until_whole().await?;
    replicas.until_settled().await?;
    let rows = replicas.report()?.replicas;
    let executed = rows.iter().filter_map(|row| row.last_executed).max().unwrap_or_default();
    let period = replicas.config().parameters.checkpoint_period;
    for _ in 0..(period - executed % period) % period {
        Work::EMPTY.ask(client, (0, 0), Instant::now() + PATIENCE).await?;
    }
    let is_empty = |report: &Report| {
        let covered = report.replicas.first().and_then(|row| row.stable_checkpoint);
        report.replicas.iter().all(|row| {
            row.last_executed == row.stable_checkpoint && row.stable_checkpoint == covered
        })
    };
    replicas.until(is_empty).await.context("the log was not emptied")?;
    Ok(())
}
