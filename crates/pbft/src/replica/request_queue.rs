//! The requests that wait to be executed.

use super::{RequestKey, request_key};
use crate::auth::SignedRequest;
use crate::{ClientId, Digest, Session, Time, Timestamp};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

/// The requests that wait to be executed, in two orders: of arrival, for the timer that watches
/// the primary [TM1]; by client, for fair batches [RQ5]. Bounded by the number of clients times
/// twice their window.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestQueue {
    waiting: BTreeMap<RequestKey, Waiting>,
    /// The same, by digest: outlines name them so [SR2].
    by_digest: BTreeMap<Digest, RequestKey>,
    arrivals: BTreeMap<u64, RequestKey>,
    next_arrival: u64,
    /// The bytes of all waiting requests.
    bytes: usize,
    /// Those that no batch of the current view carries yet.
    unproposed: BTreeMap<ClientId, BTreeSet<(Session, Timestamp)>>,
    /// The same, in the order of arrival.
    unproposed_arrivals: BTreeSet<u64>,
    /// Whichever of them arrived before this was relayed to the primary of the current view.
    relayed_below: u64,
    /// Since when the next batch has gathered requests while others are in flight *(while it
    /// does)*.
    pub(super) gathering_since: Option<Time>,
    /// The client served last: the next batch starts behind it.
    last_served: ClientId,
}

/// A request that waits to be executed.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    request: Arc<SignedRequest>,
    arrival: u64,
    /// From whom it came first.
    source: Source,
    /// When it arrived.
    pub(super) arrived: Time,
    /// When it was relayed to the primary of the current view, for the first time and the last.
    pub(super) relayed: Option<(Time, Time)>,
}

/// From whom a request comes. What a client sends to one replica only must not keep out what it
/// sends to others, and they relay [RQ7].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Client,
    Replica,
}

impl Waiting {
    fn relay(&mut self, now: Time) -> Arc<SignedRequest> {
        let (first, _) = self.relayed.unwrap_or((now, now));
        self.relayed = Some((first, now));
        Arc::clone(&self.request)
    }

    fn byte_count(&self) -> usize {
        self.request.byte_count()
    }
}

impl RequestQueue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes of all that wait.
    pub(super) fn byte_count(&self) -> usize {
        self.bytes
    }

    /// The next place in the order of arrival.
    pub(super) fn next_arrival(&mut self) -> u64 {
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        arrival
    }

    /// The number of the request that has waited longest.
    pub(super) fn head(&self) -> Option<u64> {
        self.arrivals.keys().next().copied()
    }

    pub(super) fn is_waiting(&self, arrival: u64) -> bool {
        self.arrivals.contains_key(&arrival)
    }

    /// Adds a request unless one with its key waits already: the first one stays [RQ3].
    pub(super) fn insert(
        &mut self,
        request: Arc<SignedRequest>,
        source: Source,
        arrived: Time,
    ) -> bool {
        if self.holds(&request) {
            return false;
        }
        let key = request_key(&request);
        let arrival = self.next_arrival();
        self.arrivals.insert(arrival, key);
        self.bytes += request.byte_count();
        self.by_digest.insert(request.digest(), key);
        self.waiting.insert(key, Waiting { request, arrival, source, arrived, relayed: None });
        self.mark_unproposed(key, arrival);
        true
    }

    /// Whether a request with its key waits.
    pub(super) fn holds(&self, request: &SignedRequest) -> bool {
        self.waiting.contains_key(&request_key(request))
    }

    pub(super) fn remove(&mut self, key: &RequestKey) {
        self.mark_proposed(key);
        if let Some(waiting) = self.waiting.remove(key) {
            self.bytes -= waiting.request.byte_count();
            self.by_digest.remove(&waiting.request.digest());
            self.arrivals.remove(&waiting.arrival);
        }
    }

    /// The waiting request with this digest.
    pub(super) fn with_digest(&self, digest: &Digest) -> Option<Arc<SignedRequest>> {
        let key = self.by_digest.get(digest)?;
        self.waiting.get(key).map(|waiting| Arc::clone(&waiting.request))
    }

    /// The waiting requests of one client.
    pub(super) fn of(&self, client: ClientId) -> impl Iterator<Item = &Arc<SignedRequest>> {
        self.waiting_of(client).map(|waiting| &waiting.request)
    }

    fn waiting_of(&self, client: ClientId) -> impl Iterator<Item = &Waiting> {
        let from = (client, Session::ZERO, Timestamp::ZERO);
        let to = (client, Session::new(u64::MAX), Timestamp::new(u64::MAX));
        self.waiting.range(from..=to).map(|(_, waiting)| waiting)
    }

    /// How many requests of a client wait that came from there, and their bytes.
    pub(super) fn share(&self, client: ClientId, source: Source) -> (usize, usize) {
        let from_there = self.waiting_of(client).filter(|waiting| waiting.source == source);
        from_there.fold((0, 0), |(count, bytes), waiting| (count + 1, bytes + waiting.byte_count()))
    }

    pub(super) fn mark_proposed(&mut self, key: &RequestKey) {
        let Some(waiting) = self.waiting.get(key) else { return };
        self.unproposed_arrivals.remove(&waiting.arrival);
        let Some(of_client) = self.unproposed.get_mut(&key.0) else { return };
        of_client.remove(&(key.1, key.2));
        if of_client.is_empty() {
            self.unproposed.remove(&key.0);
        }
    }

    fn mark_unproposed(&mut self, (client, session, timestamp): RequestKey, arrival: u64) {
        self.unproposed_arrivals.insert(arrival);
        self.unproposed.entry(client).or_default().insert((session, timestamp));
    }

    /// A view was left: whatever still waits must be proposed again [RQ4], and its new primary may
    /// not have it.
    pub(super) fn forget_proposals(&mut self) {
        self.relayed_below = 0;
        for waiting in self.waiting.values_mut() {
            waiting.relayed = None;
        }
        let all: Vec<(u64, RequestKey)> = self.arrivals.iter().map(|(a, key)| (*a, *key)).collect();
        for (arrival, key) in all {
            self.mark_unproposed(key, arrival);
        }
    }

    pub(super) fn has_unproposed(&self) -> bool {
        !self.unproposed.is_empty()
    }

    pub(super) fn unproposed_count(&self) -> usize {
        self.unproposed_arrivals.len()
    }

    /// Whichever has waited longest.
    pub(super) fn oldest(&self) -> Option<&Waiting> {
        self.arrivals.values().next().and_then(|key| self.waiting.get(key))
    }

    /// Whether a batch of the current view carries it.
    pub(super) fn is_proposed(&self, waiting: &Waiting) -> bool {
        !self.unproposed_arrivals.contains(&waiting.arrival)
    }

    /// Of those that no batch of the current view carries, the one that has waited longest.
    pub(super) fn oldest_unproposed(&self) -> Option<&Waiting> {
        self.unproposed_arrivals.first().and_then(|arrival| self.at(*arrival))
    }

    /// Of those that besides were not relayed to the primary of the current view, the one that has
    /// waited longest.
    pub(super) fn oldest_to_relay(&mut self) -> Option<&Waiting> {
        let is_relayed = |arrival: &u64| self.at(*arrival).is_some_and(|w| w.relayed.is_some());
        let mut unproposed = self.unproposed_arrivals.range(self.relayed_below..).copied();
        let first = unproposed.find(|arrival| !is_relayed(arrival));
        self.relayed_below = first.unwrap_or(self.next_arrival);
        first.and_then(|arrival| self.at(arrival))
    }

    fn at(&self, arrival: u64) -> Option<&Waiting> {
        self.waiting.get(self.arrivals.get(&arrival)?)
    }

    /// Takes requests for one batch: one of each client in turn, beginning behind the client
    /// served last, until a limit is reached.
    pub(super) fn take_batch(
        &mut self,
        requests_max: usize,
        bytes_max: usize,
    ) -> Vec<Arc<SignedRequest>> {
        let mut batch: Vec<Arc<SignedRequest>> = Vec::new();
        let mut bytes = 0;
        while batch.len() < requests_max {
            let Some(key) = self.next_unproposed() else {
                break;
            };
            let Some(waiting) = self.waiting.get(&key) else {
                break;
            };
            let size = waiting.request.byte_count();
            if !batch.is_empty() && bytes + size > bytes_max {
                break;
            }
            bytes += size;
            batch.push(Arc::clone(&waiting.request));
            self.last_served = key.0;
            self.mark_proposed(&key);
        }
        batch
    }

    fn next_unproposed(&self) -> Option<RequestKey> {
        let behind = (Bound::Excluded(self.last_served), Bound::Unbounded);
        let (client, of_client) =
            self.unproposed.range(behind).next().or_else(|| self.unproposed.iter().next())?;
        of_client.first().map(|(session, timestamp)| (*client, *session, *timestamp))
    }

    /// The first request of the queue, unless it was relayed within the last `pause`, and those
    /// that were not relayed yet, at most `count`; marks them.
    pub(super) fn take_to_relay(
        &mut self,
        now: Time,
        pause: Duration,
        count: usize,
    ) -> Vec<Arc<SignedRequest>> {
        let mut taken = Vec::new();
        for (place, key) in self.arrivals.values().enumerate() {
            if taken.len() == count {
                break;
            }
            let Some(waiting) = self.waiting.get_mut(key) else {
                continue;
            };
            if waiting.relayed.is_none_or(|(_, last)| place == 0 && now.since(last) >= pause) {
                taken.push(waiting.relay(now));
            }
        }
        taken
    }

    /// Those that have waited longest and were neither proposed nor relayed, at most `count`; marks
    /// them.
    pub(super) fn take_unproposed_to_relay(
        &mut self,
        now: Time,
        count: usize,
    ) -> Vec<Arc<SignedRequest>> {
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some(key) = self.oldest_to_relay().map(|waiting| request_key(&waiting.request))
            && let Some(waiting) = self.waiting.get_mut(&key)
        {
            taken.push(waiting.relay(now));
        }
        taken
    }

    /// The one that has waited longest without being proposed, to be relayed a second time, unless
    /// it has been already.
    pub(super) fn take_to_relay_again(&mut self, now: Time) -> Option<Arc<SignedRequest>> {
        let key = self.arrivals.get(self.unproposed_arrivals.first()?)?;
        let waiting = self.waiting.get_mut(key)?;
        let once = waiting.relayed.is_some_and(|(first, last)| first == last);
        once.then(|| waiting.relay(now))
    }
}
