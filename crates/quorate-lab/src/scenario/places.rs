//! Where the replicas and clients of a scenario stand, checked.

use super::build::Refused;
use super::format::{Network, at as place};
use crate::network::{Distances, RoundTrips};
use core::time::Duration;
use std::collections::BTreeSet;
use toml::Spanned;

/// The longest round trip that a file can give, in milliseconds: a longer one is a mistake.
const ROUND_TRIP_MS_MAX: f64 = 60_000.0;

/// Where everybody stands, if the file says it.
pub(super) fn distances(
    network: &Network,
    replica_count: u32,
) -> Result<Option<Distances>, Refused> {
    let at = match (&network.regions, &network.round_trips_ms) {
        (None, None) => return refuse_without_matrix(network),
        (Some(regions), None) => place(regions),
        (None, Some(rows)) => place(rows),
        (Some(_), Some(rows)) => {
            let message = "there is one matrix: regions or round_trips_ms".to_owned();
            return Err((place(rows), message));
        }
    };
    let Some((places, clients)) = network.places.as_ref().zip(network.clients.as_ref()) else {
        let message = "distances need places, a list with the place of each replica, and clients, \
                       the place of the clients";
        return Err((at, message.to_owned()));
    };
    if places.get_ref().is_empty() || places.get_ref().len() > replica_count as usize {
        let message = format!("places names from 1 to {replica_count} places, for the replicas");
        return Err((place(places), message));
    }
    let round_trips = match (&network.regions, &network.round_trips_ms) {
        (Some(regions), _) => published(regions)?,
        (None, Some(rows)) => own(rows, named(places.get_ref(), clients.get_ref()))?,
        (None, None) => return Ok(None),
    };
    let index = |name: &str, at| {
        let known = round_trips.places.iter().position(|place| place == name);
        let all = || round_trips.places.join(", ");
        known.ok_or_else(|| (at, format!("no place is called '{name}': it is one of {}", all())))
    };
    let replicas = places.get_ref().iter().map(|name| index(name, place(places)));
    Ok(Some(Distances {
        published: network.regions.as_ref().map(|name| name.get_ref().clone()),
        replicas: replicas.collect::<Result<_, _>>()?,
        clients: index(clients.get_ref(), place(clients))?,
        jitter_per_million: network.jitter.as_ref().map_or(0, |share| share.get_ref().0),
        round_trips,
    }))
}

/// Events change how the network treats messages, and not what it is.
pub(super) fn refuse_in_event(changes: &Network) -> Result<(), Refused> {
    let bandwidth = changes.bandwidth.as_ref().map(|value| (place(value), "bandwidth"));
    let fixed = about_places(changes)
        .chain(changes.regions.as_ref().map(|value| (place(value), "regions")))
        .chain(changes.round_trips_ms.as_ref().map(|value| (place(value), "round_trips_ms")))
        .chain(bandwidth)
        .next();
    let Some((at, key)) = fixed else { return Ok(()) };
    let allowed = "delay, tail, tail_delay, loss, duplication, reordering";
    Err((at, format!("{key} is that of the whole run; an event may change {allowed}")))
}

fn about_places(
    network: &Network,
) -> impl Iterator<Item = (super::span::At, &'static str)> + use<> {
    let places = network.places.as_ref().map(|value| (place(value), "places"));
    let clients = network.clients.as_ref().map(|value| (place(value), "clients"));
    let jitter = network.jitter.as_ref().map(|value| (place(value), "jitter"));
    [places, clients, jitter].into_iter().flatten()
}

fn refuse_without_matrix(network: &Network) -> Result<Option<Distances>, Refused> {
    let Some((at, key)) = about_places(network).next() else { return Ok(None) };
    Err((at, format!("{key} says something only with regions or round_trips_ms")))
}

fn published(name: &Spanned<String>) -> Result<RoundTrips, Refused> {
    RoundTrips::published(name.get_ref()).ok_or_else(|| {
        let names: Vec<&str> = RoundTrips::published_names().collect();
        let message =
            format!("no matrix is called '{}': it is one of {}", name.get_ref(), names.join(", "));
        (place(name), message)
    })
}

/// The places of a file's own matrix, in the order in which the file names them first.
fn named(replicas: &[String], clients: &String) -> Vec<String> {
    let mut seen = BTreeSet::new();
    replicas.iter().chain([clients]).filter(|name| seen.insert(*name)).cloned().collect()
}

fn own(rows: &Spanned<Vec<Vec<f64>>>, places: Vec<String>) -> Result<RoundTrips, Refused> {
    let n = places.len();
    let wrong = |message: String| (place(rows), message);
    if rows.get_ref().len() != n || rows.get_ref().iter().any(|row| row.len() != n) {
        let names = places.join(", ");
        return Err(wrong(format!("round_trips_ms has {n} rows of {n} numbers, for {names}")));
    }
    let span = |(from, to, millis): (usize, usize, f64)| {
        let micros = (millis * 1e3).round();
        let is_allowed = micros <= ROUND_TRIP_MS_MAX * 1e3 && (micros >= 2.0 || from == to);
        if !is_allowed || millis < 0.0 {
            return Err(wrong(format!(
                "the round trip from {} to {} cannot be {millis} ms: it is from 0.002 to \
                 {ROUND_TRIP_MS_MAX}, and within one place 0 if that is not known",
                places[from], places[to]
            )));
        }
        // Within 0 and the longest, so neither sign nor range is lost.
        Ok(Duration::from_micros(micros as u64))
    };
    let row = |(from, row): (usize, &Vec<f64>)| {
        row.iter().enumerate().map(|(to, millis)| span((from, to, *millis))).collect()
    };
    let rows = rows.get_ref().iter().enumerate().map(row).collect::<Result<_, _>>()?;
    Ok(RoundTrips { places, rows })
}
