//! From the events of a scenario to what happens in its world, checked.

use super::build::{Refused, check_parameters, network, range};
use super::format::{Behave, CrashHow, Cut, Delay, Event, at as place};
use super::places::refuse_in_event;
use super::shapes;
use super::span::{At, Time};
use crate::network::Traffic;
use crate::world::{CrashKind, Fault, Options};
use core::time::Duration;
use pbft::ReplicaId;
use pbft::message::Kind;
use quorate_adversary::{Behaviour, UnknownBehaviour};
use std::collections::BTreeSet;
use toml::Spanned;

/// What an event does.
pub(super) fn faults(event: &Event, options: &Options) -> Result<Vec<Fault>, Refused> {
    let count = options.replica_count;
    let mut actions: Vec<Vec<Fault>> = Vec::new();
    if let Some(cut) = &event.cut {
        let Cut { from, to, kinds } = cut.get_ref();
        let Traffic { from, to, kinds } = traffic(from, to, kinds.as_deref(), place(cut), count)?;
        actions.push(vec![if kinds.is_empty() {
            Fault::Cut(from, to)
        } else {
            Fault::Drop(Traffic { from, to, kinds })
        }]);
    }
    if let Some(delay) = &event.delay {
        let Delay { from, to, kinds, by } = delay.get_ref();
        let traffic = traffic(from, to, kinds.as_deref(), place(delay), count)?;
        let (min, max) = range(by)?;
        actions.push(vec![Fault::Delay(traffic, min, max)]);
    }
    if let Some(partition) = &event.partition {
        actions.push(partition_faults(partition, count)?);
    }
    if let Some(cut_off) = &event.cut_from_clients {
        let ids = ids(cut_off.get_ref(), place(cut_off), count)?;
        actions.push(ids.into_iter().map(Fault::CutFromClients).collect());
    }
    if event.mend.is_some() {
        actions.push(vec![Fault::Mend]);
    }
    if let Some(crash) = &event.crash {
        let kind = match crash.get_ref().how {
            CrashHow::Process => CrashKind::Process,
            CrashHow::Power => CrashKind::Power,
            CrashHow::Torn => CrashKind::Torn,
        };
        let ids = ids(&crash.get_ref().replicas, place(crash), count)?.into_iter();
        actions.push(match crash.get_ref().at_disk_operation {
            None => ids.map(|id| Fault::Crash(id, kind)).collect(),
            Some(operation) => ids.map(|id| Fault::CrashAt(id, operation, kind)).collect(),
        });
    }
    let mut each = |replicas: &Option<Spanned<Vec<u32>>>, fault: fn(ReplicaId) -> Fault| {
        if let Some(replicas) = replicas {
            let ids = ids(replicas.get_ref(), place(replicas), count)?;
            actions.push(ids.into_iter().map(fault).collect());
        }
        Ok::<(), Refused>(())
    };
    each(&event.restart, Fault::Restart)?;
    each(&event.lose_disk, Fault::Lose)?;
    each(&event.copy_disk, Fault::Copy)?;
    each(&event.roll_back_disk, Fault::RollBack)?;
    each(&event.swap_disk, Fault::SwapDisk)?;
    each(&event.lose_disk_in_turn, Fault::LoseInTurn)?;
    each(&event.fail_sync, Fault::FailSync)?;
    each(&event.fill_disk, Fault::FillDisk)?;
    each(&event.rot, Fault::Rot)?;
    each(&event.flip_state, Fault::FlipState)?;
    if let Some(pause) = &event.pause {
        let span = pause.get_ref().span.0;
        let ids = ids(&pause.get_ref().replicas, place(pause), count)?;
        actions.push(ids.into_iter().map(|id| Fault::Pause(id, span)).collect());
    }
    if let Some(clock) = &event.clock {
        let jump = |time: Option<Time>| time.map_or(Duration::ZERO, |Time(span)| span);
        let (forward, back) = (jump(clock.get_ref().forward), jump(clock.get_ref().back));
        let ids = ids(&clock.get_ref().replicas, place(clock), count)?.into_iter();
        actions.push(ids.map(|replica| Fault::ClockJump { replica, forward, back }).collect());
    }
    if let Some(behave) = &event.behave {
        let Behave { replicas, kind, parameters } = behave.get_ref();
        let behaviour =
            behaviour(kind, parameters).map_err(|error| (place(kind), error.to_string()))?;
        check_parameters(&behaviour, place(behave), options)?;
        let ids = ids(replicas, place(behave), count)?;
        actions.push(ids.into_iter().map(|id| Fault::Behave(id, behaviour)).collect());
    }
    if let Some(changes) = &event.network {
        refuse_in_event(changes)?;
        actions.push(vec![Fault::Network(network(&options.network, changes)?)]);
    }
    match <[Vec<Fault>; 1]>::try_from(actions) {
        Ok([faults]) => Ok(faults),
        Err(_) => {
            let message = format!("an event has its time 'at' and one of {}", shapes::keys());
            Err((place(&event.at), message))
        }
    }
}

/// The key of what an event begins and only another event or the healing ends, if it is of that kind.
pub(super) fn lasting(event: &Event) -> Option<&'static str> {
    let keys = [
        ("cut", event.cut.is_some()),
        ("delay", event.delay.is_some()),
        ("partition", event.partition.is_some()),
        ("cut_from_clients", event.cut_from_clients.is_some()),
        ("crash", event.crash.is_some()),
        ("network", event.network.is_some()),
        ("fail_sync", event.fail_sync.is_some()),
        ("fill_disk", event.fill_disk.is_some()),
    ];
    keys.into_iter().find(|(_, is_there)| *is_there).map(|(key, _)| key)
}

/// What some replicas send to some others: messages of the kinds named, or of every kind.
fn traffic(
    from: &[u32],
    to: &[u32],
    kinds: Option<&[String]>,
    at: At,
    count: u32,
) -> Result<Traffic, Refused> {
    let kind = |name: &String| {
        let known = Kind::ALL.into_iter().find(|kind| kind_name(*kind) == *name);
        known.ok_or_else(|| {
            let names = Kind::ALL.map(kind_name).join(", ");
            (at, format!("there are no messages of kind '{name}': a kind is one of {names}"))
        })
    };
    if kinds.is_some_and(<[String]>::is_empty) {
        return Err((at, "kinds names one at least; without it all are meant".to_owned()));
    }
    let kinds: Vec<Kind> = kinds.unwrap_or_default().iter().map(kind).collect::<Result<_, _>>()?;
    Ok(Traffic { from: ids(from, at, count)?, to: ids(to, at, count)?, kinds })
}

/// A kind of messages as scenario files spell it.
pub(super) fn kind_name(kind: Kind) -> String {
    kind.name().to_ascii_lowercase().replace('-', "_")
}

/// Nothing passes between two groups, in either direction.
fn partition_faults(partition: &Spanned<Vec<Vec<u32>>>, count: u32) -> Result<Vec<Fault>, Refused> {
    let at = place(partition);
    let groups: Vec<Vec<ReplicaId>> =
        partition.get_ref().iter().map(|group| ids(group, at, count)).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    if groups.len() < 2 || !groups.iter().flatten().all(|id| seen.insert(*id)) {
        let message = "a partition is at least two lists of replicas, and none stands in two";
        return Err((at, message.to_owned()));
    }
    let mut faults = Vec::new();
    for (index, one) in groups.iter().enumerate() {
        for other in groups.iter().skip(index + 1) {
            faults.push(Fault::Cut(one.clone(), other.clone()));
            faults.push(Fault::Cut(other.clone(), one.clone()));
        }
    }
    Ok(faults)
}

/// What is said of a node's behaviour, as the command line writes it.
pub(super) fn behaviour(
    kind: &Spanned<String>,
    parameters: &toml::Table,
) -> Result<Behaviour, UnknownBehaviour> {
    let mut text = kind.get_ref().clone();
    for (index, (key, value)) in parameters.iter().enumerate() {
        text.push(if index == 0 { ':' } else { ',' });
        text.push_str(key);
        text.push('=');
        text.push_str(&parameter(value));
    }
    text.parse()
}

/// A parameter's value as the command line writes it.
fn parameter(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(parameter).collect::<Vec<_>>().join("+"),
        other => other.to_string(),
    }
}

/// Replicas by their numbers, all of which must be there.
pub(super) fn ids(numbers: &[u32], at: At, count: u32) -> Result<Vec<ReplicaId>, Refused> {
    match numbers.iter().find(|number| **number >= count) {
        None => Ok(numbers.iter().copied().map(ReplicaId::new).collect()),
        Some(unknown) => {
            let message = format!("there is no replica {unknown}: they are 0 to {}", count - 1);
            Err((at, message))
        }
    }
}
