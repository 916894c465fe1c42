//! From the text of a scenario to a world, checked.

use super::Scenario;
use super::events::{behaviour, faults, ids, lasting};
use super::expectation::expectation;
use super::format::{Believes, Event, File, Network, Start, at as place};
use super::places::distances;
use super::span::{At, Share, Time};
use crate::network::NetworkOptions;
use crate::rng::Seed;
use crate::world::{Fault, Options, Processor};
use core::time::Duration;
use pbft::{ReplicaId, ReplyRule};
use quorate_adversary::{Behaviour, UnknownBehaviour};
use std::collections::BTreeSet;
use toml::Spanned;

/// Where the file is wrong, and what is allowed there.
pub(super) type Refused = (At, String);

pub(super) fn scenario(file: &File, text: &str) -> Result<Scenario, Refused> {
    let nodes = nodes(file)?;
    let replica_count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    let start_at = file.start.first().map_or(At(0), |start| place(&start.at));
    if nodes.len() < 4 || replica_count > pbft::REPLICA_COUNT_MAX {
        let max = pbft::REPLICA_COUNT_MAX;
        let message =
            format!("{} replicas in all [[start]]: there must be from 4 to {max}", nodes.len());
        return Err((start_at, message));
    }
    let mut options = Options::calm(replica_count);
    set_cluster(file, &mut options)?;
    set_work(file, &mut options)?;
    options.network = network(&NetworkOptions::LOCAL, &file.network)?;
    options.distances = distances(&file.network, replica_count)?;
    options.bandwidth = file.network.bandwidth.as_ref().map(|bandwidth| bandwidth.get_ref().0);
    set_disk(file, &mut options)?;
    options.processor = file.processor.as_ref().map(processor);
    let mut spent = BTreeSet::new();
    for (id, node) in (0..).map(ReplicaId::new).zip(&nodes) {
        if !node.at.is_zero() {
            options.late.insert(id);
            options.timeline.push((node.at, Fault::Restart(id)));
        }
        if node.behaviour != Behaviour::Honest {
            check_parameters(&node.behaviour, node.place, &options)?;
            let fault = Fault::Behave(id, node.behaviour);
            spent.extend(fault.spends_budget());
            check_budget(file, &options, spent.len(), node.place)?;
            options.timeline.push((node.at, fault));
        }
    }
    for event in &file.event {
        let faults = faults(event, &options)?;
        spent.extend(faults.iter().filter_map(Fault::spends_budget));
        check_budget(file, &options, spent.len(), place(&event.at))?;
        let at = event.at.get_ref().0;
        options.timeline.extend(faults.into_iter().map(|fault| (at, fault)));
    }
    options.timeline.sort_by_key(|(at, _)| *at);
    set_healing(file, &mut options)?;
    options.check().map_err(|message| (start_at, message))?;
    Ok(Scenario {
        title: file.title.clone(),
        about: file.about.trim().to_owned(),
        seed: Seed::new(file.seed),
        kinds: nodes.into_iter().map(|node| node.kind).collect(),
        beyond_budget: file.beyond_budget,
        expect: expectation(&file.expect, &options)?,
        options,
        text: text.to_owned(),
    })
}

/// One replica of the file.
struct Node {
    at: Duration,
    kind: String,
    behaviour: Behaviour,
    place: At,
}

/// All replicas, in the order in which they are created: by time, and in the order of the file.
fn nodes(file: &File) -> Result<Vec<Node>, Refused> {
    let mut starts: Vec<&Start> = file.start.iter().collect();
    starts.sort_by_key(|start| start.at.get_ref().0);
    let mut nodes = Vec::new();
    for start in starts {
        for (kind, count) in &start.kinds {
            let behaviour =
                behaviour(kind, &count.parameters).map_err(|error| refused(place(kind), error))?;
            if nodes.len() + count.count as usize > 10_000 {
                return Err((place(kind), "that is more replicas than any cluster has".to_owned()));
            }
            nodes.extend((0..count.count).map(|_| Node {
                at: start.at.get_ref().0,
                kind: kind.get_ref().clone(),
                behaviour,
                place: place(kind),
            }));
        }
    }
    Ok(nodes)
}

/// Whether everybody whom the parameters name is there; else a lie would never be told.
pub(super) fn check_parameters(
    behaviour: &Behaviour,
    at: At,
    options: &Options,
) -> Result<(), Refused> {
    let named: Vec<u32> = behaviour.replicas_named().into_iter().map(ReplicaId::get).collect();
    ids(&named, at, options.replica_count)?;
    let clients = options.client_count();
    match behaviour {
        Behaviour::StarvingPrimary { client } if client.get() >= clients => {
            Err((at, format!("there is no client {client}: they are 0 to {}", clients - 1)))
        }
        _ => Ok(()),
    }
}

/// Why no such nodes can be started. Their number stands among their parameters.
fn refused(at: At, error: UnknownBehaviour) -> Refused {
    let count = match error {
        UnknownBehaviour::Parameter { .. } => "; how many there are is said by count",
        UnknownBehaviour::Kind(_) | UnknownBehaviour::Value { .. } => "",
    };
    (at, format!("{error}{count}"))
}

fn check_budget(file: &File, options: &Options, faulty: usize, at: At) -> Result<(), Refused> {
    let bound = options.fault_bound();
    if file.beyond_budget || faulty <= bound as usize {
        return Ok(());
    }
    let message = format!(
        "{faulty} faulty replicas are more than the {bound} that {} replicas tolerate; to run \
         that, write beyond_budget = true",
        options.replica_count
    );
    Err((at, message))
}

fn set_cluster(file: &File, options: &mut Options) -> Result<(), Refused> {
    let cluster = &file.cluster;
    let parameters = &mut options.parameters;
    if let Some(proportion) = &cluster.proportion
        && *proportion.get_ref() != 1.0
    {
        let message = "proportion must be 1: all replicas take part in agreement".to_owned();
        return Err((place(proportion), message));
    }
    if let Some(period) = &cluster.checkpoint_period {
        parameters.checkpoint_period = *above_zero(period, "checkpoint_period")?;
        parameters.log_window = parameters.checkpoint_period.saturating_mul(4);
    }
    if let Some(window) = &cluster.log_window {
        parameters.log_window = *above_zero(window, "log_window")?;
    }
    if let Some(instances) = &cluster.instances_in_flight {
        parameters.instances_in_flight_max = *above_zero(instances, "instances_in_flight")?;
    }
    if let Some(requests) = &cluster.batch_requests {
        let requests = *above_zero(requests, "batch_requests")?;
        parameters.batch_requests_max = usize::try_from(requests).unwrap_or(usize::MAX);
    }
    if let Some(operations) = &cluster.operations_per_request {
        let operations = *above_zero(operations, "operations_per_request")?;
        parameters.operations_per_request_max = usize::try_from(operations).unwrap_or(usize::MAX);
    }
    if let Some(Time(gathering)) = cluster.gathering {
        parameters.batch_gathering_max = gathering;
        options.client.gathering_max = gathering;
    }
    if let Some(window) = &cluster.client_window {
        parameters.client_window = *above_zero(window, "client_window")?;
    }
    if let Some(timeout) = &cluster.view_change_timeout {
        let timeout = *time_above_zero(timeout, "view_change_timeout")?;
        parameters.view_change_timeout = timeout;
        parameters.view_change_timeout_max = timeout * 16;
    }
    if let Some(Time(after)) = cluster.checkpoint_fill_after {
        parameters.checkpoint_fill_after = after;
    }
    parameters.digest_replies = cluster.digest_replies.unwrap_or(parameters.digest_replies);
    parameters.separate_requests =
        cluster.separate_requests.unwrap_or(parameters.separate_requests);
    parameters.requests_to_primary =
        cluster.requests_to_primary.unwrap_or(parameters.requests_to_primary);
    if let Some(is_offered) = cluster.tentative_execution {
        parameters.tentative_execution = is_offered;
    }
    if let Some(is_held) = cluster.throughput_floor {
        parameters.throughput_floor = is_held;
    }
    Ok(())
}

/// When clients call first unless told otherwise: the replicas have let one another in by then.
const BEGINS_AT: Duration = Duration::from_secs(1);

/// The longest value that a workload may write: two of them, and what else a compare and swap says,
/// fit into a request.
const VALUE_BYTES_MAX: usize = 512 << 10;

fn set_work(file: &File, options: &mut Options) -> Result<(), Refused> {
    let workload = &mut options.workload;
    workload.clients = 1;
    workload.operations = 1;
    workload.concurrency = 1;
    workload.think_max = Duration::ZERO;
    workload.one_round_reads = file.client.one_round_reads.unwrap_or(false);
    if let Some(clients) = &file.workload.clients {
        workload.clients = *above_zero(clients, "clients")?;
        workload.operations = u64::from(workload.clients);
    }
    options.lying_clients.clone_from(&file.workload.lying_clients);
    workload.begins_at = file.workload.begins_at.map_or(BEGINS_AT, |Time(at)| at);
    if let Some(operations) = &file.workload.operations {
        workload.operations = *operations.get_ref();
    }
    if let Some(outstanding) = &file.workload.outstanding {
        workload.concurrency = *above_zero(outstanding, "outstanding")?;
    }
    if let Some(keys) = &file.workload.keys {
        workload.keys = *above_zero(keys, "keys")?;
    }
    if let Some(bytes) = &file.workload.value_bytes {
        if *bytes.get_ref() > VALUE_BYTES_MAX {
            let message = format!("value_bytes is at most {VALUE_BYTES_MAX}");
            return Err((place(bytes), message));
        }
        workload.value_bytes = *bytes.get_ref();
    }
    if let Some(Time(think)) = file.workload.think {
        workload.think_max = think;
    }
    let client = &mut options.client;
    client.outstanding_max = u64::from(workload.concurrency);
    if let Some(timeout) = &file.client.retransmission_timeout {
        let timeout = *time_above_zero(timeout, "retransmission_timeout")?;
        client.retransmit_min = timeout;
        client.retransmit_max = timeout * 16;
    }
    if let Some(timeout) = &file.client.retransmission_timeout_max {
        let longest = *time_above_zero(timeout, "retransmission_timeout_max")?;
        if longest < client.retransmit_min {
            let message = "retransmission_timeout_max is below retransmission_timeout".to_owned();
            return Err((place(timeout), message));
        }
        client.retransmit_max = longest;
    }
    if let Some(outstanding) = &file.client.outstanding {
        client.outstanding_max = *above_zero(outstanding, "outstanding")?;
    }
    client.reply_rule = match file.client.believes {
        None | Some(Believes::Quorum) => ReplyRule::AlwaysQuorum,
        Some(Believes::WeakQuorum) => ReplyRule::WeakUnlessTentative,
    };
    Ok(())
}

/// The network with some of it changed.
pub(super) fn network(base: &NetworkOptions, changes: &Network) -> Result<NetworkOptions, Refused> {
    let mut network = base.clone();
    if let Some(delay) = &changes.delay {
        (network.delay.min, network.delay.max) = range(delay)?;
    }
    let share =
        |share: Option<Share>, present: u64| share.map_or(present, |Share(millionths)| millionths);
    network.delay.tail_per_million = share(changes.tail, network.delay.tail_per_million);
    network.delay.tail_max = match changes.tail_delay {
        Some(Time(span)) => span.max(network.delay.max),
        None => network.delay.tail_max.max(network.delay.max),
    };
    network.loss_per_million = share(changes.loss, network.loss_per_million);
    network.duplicate_per_million = share(changes.duplication, network.duplicate_per_million);
    network.reorders = changes.reordering.unwrap_or(network.reorders);
    Ok(network)
}

fn processor(section: &super::format::Processor) -> Processor {
    let span = |time: Option<Time>| time.map_or(Duration::ZERO, |Time(span)| span);
    Processor {
        per_message: span(section.per_message),
        per_verification: span(section.per_verification),
        per_signature: span(section.per_signature),
        per_operation: span(section.per_operation),
        per_client_message: span(section.per_client_message),
        cores: section.cores.unwrap_or(0),
    }
}

fn set_disk(file: &File, options: &mut Options) -> Result<(), Refused> {
    if let Some(sync) = &file.disk.sync {
        options.sync = range(sync)?;
    }
    if let Some(Time(interval)) = file.disk.snapshot_interval {
        options.snapshot_policy.interval = interval;
    }
    if let Some(bytes) = file.disk.snapshot_bytes {
        options.snapshot_policy.journal_bytes = bytes;
    }
    Ok(())
}

fn set_healing(file: &File, options: &mut Options) -> Result<(), Refused> {
    let last = options.timeline.last().map_or(Duration::ZERO, |(at, _)| *at);
    options.heals_at = match &file.heals_at {
        Some(heals_at) if heals_at.get_ref().0 < last => {
            let message =
                format!("heals_at lies before the last event, at {} s", last.as_secs_f64());
            return Err((place(heals_at), message));
        }
        Some(heals_at) => heals_at.get_ref().0,
        None => {
            let end = |(at, fault): &(Duration, Fault)| match fault {
                Fault::Pause(_, span) => *at + *span,
                _ => *at,
            };
            let end = options.timeline.iter().map(end).max().unwrap_or_default();
            refuse_undone(&file.event, end)?;
            end
        }
    };
    options.recovery_max = match &file.expect.within {
        None => options.patience(),
        Some(within) => *time_above_zero(within, "within")?,
    };
    Ok(())
}

/// The world heals when nothing more happens unless the file says otherwise; then what the last event
/// begins would end in the same moment.
fn refuse_undone(events: &[Event], end: Duration) -> Result<(), Refused> {
    let undone = events
        .iter()
        .filter(|event| event.at.get_ref().0 == end)
        .find_map(|event| Some((place(&event.at), lasting(event)?)));
    let Some((at, key)) = undone else { return Ok(()) };
    let message = format!(
        "the {key} would be undone in the moment it begins: without heals_at everything heals at the \
         last event, at {} s; say how long it lasts, by heals_at = {} at the top of the file or by a \
         later event",
        end.as_secs_f64(),
        (end + SUGGESTED_SPAN).as_secs_f64(),
    );
    Err((at, message))
}

/// How long something lasts that a reader is shown how to let last.
const SUGGESTED_SPAN: Duration = Duration::from_secs(10);

/// The shortest and the longest of some times.
pub(super) fn range(span: &Spanned<[Time; 2]>) -> Result<(Duration, Duration), Refused> {
    let [Time(min), Time(max)] = *span.get_ref();
    if min > max {
        return Err((place(span), "the first time is the shortest, the second the longest".into()));
    }
    Ok((min, max))
}

fn above_zero<'a, T: Default + PartialEq>(
    value: &'a Spanned<T>,
    key: &str,
) -> Result<&'a T, Refused> {
    if *value.get_ref() == T::default() {
        return Err((place(value), format!("{key} must be above zero")));
    }
    Ok(value.get_ref())
}

fn time_above_zero<'a>(value: &'a Spanned<Time>, key: &str) -> Result<&'a Duration, Refused> {
    if value.get_ref().0.is_zero() {
        return Err((place(value), format!("{key} must be above zero")));
    }
    Ok(&value.get_ref().0)
}
