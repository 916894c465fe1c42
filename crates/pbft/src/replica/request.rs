//! Requests: admission, relaying, batching by the primary, and what a replica waits for.

use super::request_queue::Source;
use super::{Replica, RequestKey, Step, request_key};
use crate::auth::SignedRequest;
use crate::event::Event;
use crate::message::{Batch, Certainty, Message, Outcome, RequestBody};
use crate::output::Output;
use crate::{CHOICE_BYTES_MAX, ClientId, Position, SeqNum, Time, WallTime};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// How many waiting requests a backup relays to the primary at a time.
pub(super) const RELAYED_AT_ONCE_MAX: usize = 64;

impl Replica {
    /// A request from its client or relayed by a backup [RQ2]. One that was executed is answered
    /// from the reply cache and never makes the replica wait again; a stale one is dropped.
    pub(super) fn on_request(
        &mut self,
        step: &mut Step<'_>,
        source: Source,
        request: Arc<SignedRequest>,
    ) {
        if !self.admission.is_admitted() {
            return;
        }
        match self.standing(&request) {
            Standing::New => {
                let (key, digest) = (request_key(&request), request.digest());
                self.answer_tentatively(step, &key);
                if self.enqueue(request, source, step.now.monotonic) {
                    let (client, session, timestamp) = key;
                    step.event(Event::RequestWaiting { client, session, timestamp });
                    self.consider_request_timer(step.now.monotonic);
                    self.fill_outlines_with(step, digest);
                    if self.config.parameters.batch_gathering_max.is_zero() {
                        self.try_propose(step);
                    } else if self.is_primary() {
                        self.timers.propose = Some(step.now.monotonic);
                    }
                }
            }
            Standing::Answered(outcome) => {
                let (client, session, timestamp) = request_key(&request);
                step.outputs.push(Output::Reply {
                    client,
                    session,
                    timestamp,
                    view: self.view,
                    certainty: Certainty::Committed,
                    outcome,
                    // Asked again, everybody answers in full [DR3].
                    replier: None,
                    after: self.executed_after,
                });
            }
            Standing::Dropped => {}
        }
    }

    /// Puts a new request into the queue, within the client's limits. Those that replicas relay
    /// have a share of their own [RQ7].
    pub(super) fn enqueue(
        &mut self,
        request: Arc<SignedRequest>,
        source: Source,
        now: Time,
    ) -> bool {
        let parameters = &self.config.parameters;
        let (count, bytes) = self.requests.share(request.request().client, source);
        let size = request.byte_count();
        let client_has_room = count == 0 || bytes + size <= parameters.client_waiting_bytes_max;
        count <= parameters.client_window as usize
            && client_has_room
            && self.requests.byte_count() + size <= parameters.waiting_bytes_max
            && self.requests.insert(request, source, now)
    }

    /// Lets go of a client's requests that an execution or a fetched state has settled, be it by
    /// fencing their session: nobody may wait for what will never be executed.
    pub(super) fn drop_settled_requests(&mut self, client: ClientId) {
        let settled: Vec<RequestKey> = self
            .requests
            .of(client)
            .filter(|request| !matches!(self.standing(request), Standing::New))
            .map(|request| request_key(request))
            .collect();
        for key in &settled {
            self.requests.remove(key);
        }
    }

    pub(super) fn standing(&self, request: &SignedRequest) -> Standing {
        let content = request.request();
        let none = crate::ClientWindow::default();
        let window = self.clients.get(&content.client).unwrap_or(&none);
        if let RequestBody::OpenSession = content.body {
            return if content.session > window.session {
                Standing::New
            } else if content.session == window.session {
                Standing::Answered(Some(Outcome::SessionOpened))
            } else {
                Standing::Answered(Some(Outcome::Fenced { current: window.session }))
            };
        }
        if content.session < window.session {
            return Standing::Answered(Some(Outcome::Fenced { current: window.session }));
        }
        if content.session > window.session || content.timestamp < window.low {
            return Standing::Dropped;
        }
        if window.executed.contains(&content.timestamp) {
            return Standing::Answered(None);
        }
        // The request itself may move the window: its acknowledgement counts first [CL6].
        let low = window.low.max(content.acknowledged_below.min(content.timestamp));
        let width = self.config.parameters.client_window;
        if content.timestamp.get() - low.get() >= width {
            return Standing::Dropped;
        }
        Standing::New
    }

    /// Backups hand the primary the requests it may not have received, each once, and the one they
    /// will depose it for again and again: it may have had no room for it before [RQ6].
    pub(super) fn relay_requests(&mut self, step: &mut Step<'_>) {
        if !self.active || self.is_primary() {
            return;
        }
        let primary = self.config.primary(self.view);
        let (now, pause) = (step.now.monotonic, self.timers.timeout() / 4);
        for request in self.requests.take_to_relay(now, pause, RELAYED_AT_ONCE_MAX) {
            step.send(primary, Message::Request(request), Position::ZERO);
        }
        for rejoin in self.rejoin_queue.all() {
            step.send(primary, Message::Rejoin(*rejoin), Position::ZERO);
        }
    }

    /// The primary starts a new instance when requests wait and the window, its own limit within
    /// it, and the number of instances in flight allow [PP1]. What waits meanwhile forms the next
    /// batch.
    pub(super) fn try_propose(&mut self, step: &mut Step<'_>) {
        let log_is_half_full = self.log_bytes > self.config.parameters.log_bytes_max / 2;
        if log_is_half_full && !self.config.is_checkpoint(self.last_assigned) {
            self.fill_up_to_checkpoint(step);
        } else if self.has_unproposed() && !log_is_half_full {
            self.filling = false;
            if self.may_propose() && self.is_worth_an_instance(step.now.monotonic) {
                self.choosing = true;
                step.outputs.push(Output::Choose);
            }
        } else if self.filling || self.has_bound_ahead() {
            self.fill_up_to_checkpoint(step);
        }
    }

    fn has_unproposed(&self) -> bool {
        self.requests.has_unproposed() || self.rejoin_queue.has_unproposed()
    }

    /// Whether as many requests wait as are in flight, or as many as fit: then another instance is
    /// worth its messages. So is it for any request when nothing is in flight, and for those that
    /// have gathered for long enough [PP8].
    fn is_worth_an_instance(&mut self, now: Time) -> bool {
        let parameters = &self.config.parameters;
        let waiting = self.requests.unproposed_count();
        let in_flight = self.requests.len() - waiting;
        // Those that were executed tentatively are answered.
        let answered = self.tentative.as_ref().map(|tentative| tentative.executions.len());
        let last_answered = self.last_executed.plus(u64::from(answered.is_some()));
        let in_flight = in_flight.saturating_sub(answered.unwrap_or(0));
        if self.last_assigned <= last_answered
            || self.rejoin_queue.has_unproposed()
            || waiting >= in_flight.min(parameters.batch_requests_max)
        {
            return true;
        }
        let since = *self.requests.gathering_since.get_or_insert(now);
        let until = since.after(parameters.batch_gathering_max);
        self.timers.propose = Some(until);
        until <= now
    }

    /// Whether a replica that rejoins needs more numbers assigned before it may vote [RJ5].
    fn has_bound_ahead(&self) -> bool {
        self.last_assigned < self.rejoins.bound(&self.config)
    }

    pub(super) fn may_propose(&self) -> bool {
        let parameters = &self.config.parameters;
        let next = self.last_assigned.next();
        self.admission.is_admitted()
            && self.active
            && self.is_primary()
            && !self.choosing
            && self.transfer.is_none()
            && next <= parameters.proposal_limit(self.low_water_mark)
            && next.get().saturating_sub(self.last_executed.get())
                <= parameters.instances_in_flight_max
    }

    pub(super) fn on_chosen(&mut self, step: &mut Step<'_>, mut choice: Vec<u8>) {
        if !core::mem::take(&mut self.choosing) || !self.may_propose() {
            return;
        }
        choice.truncate(CHOICE_BYTES_MAX);
        let parameters = &self.config.parameters;
        let requests =
            self.requests.take_batch(parameters.batch_requests_max, parameters.batch_bytes_max);
        self.requests.gathering_since = None;
        let seq = self.last_assigned.next();
        let time = self.next_batch_time(step);
        let rejoins = self.rejoin_queue.take_batch(&self.config, &self.rejoins, seq, time);
        self.propose(step, Batch { time, choice, requests, rejoins });
        self.timers.checkpoint_fill =
            Some(step.now.monotonic.after(self.config.parameters.checkpoint_fill_after));
        self.try_propose(step);
    }

    /// The time that this replica proposes, or would propose, for the next batch.
    pub(super) fn next_batch_time(&self, step: &Step<'_>) -> WallTime {
        step.now.wall.max(self.latest_batch_time)
    }

    /// The times that this replica believes a primary: those near its own clock, and the later ones
    /// up to the latest that it knows of. Were the clocks of a quorum ahead for a
    /// while, the time of the batches stands still until theirs has caught up; the cluster does
    /// not [PP6].
    pub(super) fn times_believed(&self, step: &Step<'_>) -> RangeInclusive<WallTime> {
        let skew = self.config.parameters.clock_skew_max;
        let wall = step.now.wall;
        wall.before(skew)..=wall.after(skew).max(self.latest_batch_time)
    }

    /// An idle primary fills up to the next checkpoint with empty batches, so that what was
    /// executed becomes stable although no requests come [CP7]; and for a replica that rejoins up
    /// to its bound [RJ5].
    pub(super) fn fill_up_to_checkpoint(&mut self, step: &mut Step<'_>) {
        self.filling = self.active && self.is_filled_too_little();
        while self.filling && self.may_propose() {
            let time = self.next_batch_time(step);
            self.propose(step, Batch { time, ..Batch::default() });
            self.filling = self.is_filled_too_little();
        }
    }

    fn is_filled_too_little(&self) -> bool {
        !self.config.is_checkpoint(self.last_assigned) || self.has_bound_ahead()
    }

    /// What the request timer watches, if anything: an active replica waits for the first request
    /// of its queue [TM1], and for any number at all while a replica that rejoins needs it [RJ5].
    fn awaited(&self) -> Option<Watched> {
        if !self.active || !self.admission.is_admitted() {
            return None;
        }
        let heads = [self.requests.head(), self.rejoin_queue.head()];
        let head = heads.into_iter().flatten().min().map(Watched::Arrival);
        let is_short = self.last_executed < self.rejoins.bound(&self.config);
        head.or_else(|| is_short.then_some(Watched::ExecutionAfter(self.last_executed)))
    }

    /// Whether what the timer watches is still to come.
    pub(super) fn is_awaited(&self, watched: Watched) -> bool {
        match watched {
            Watched::Arrival(arrival) => {
                self.requests.is_waiting(arrival) || self.rejoin_queue.is_waiting(arrival)
            }
            Watched::ExecutionAfter(seq) => self.last_executed == seq,
        }
    }

    /// Starts the request timer if there is something to watch and it does not run. It stops only
    /// for what it watches, so that a primary cannot starve one client while it serves others
    /// [TM3].
    pub(super) fn consider_request_timer(&mut self, now: Time) {
        let Some(head) = self.awaited() else {
            self.timers.stop_request_timer();
            return;
        };
        if self.timers.watched.is_none_or(|watched| !self.is_awaited(watched)) {
            self.timers.start_request_timer(now, head, self.patience());
            if self.catching_up {
                self.timers.halt_request_timer(now);
            }
        }
    }

    /// For how many timeouts this replica waits for a request.
    pub(super) fn patience(&self) -> u32 {
        if self.is_primary() { PATIENCE_OF_PRIMARY } else { 1 }
    }
}

/// How many timeouts the primary waits for a request before it leaves its own view [TM6]: longer
/// than its backups, so that they have judged it first.
const PATIENCE_OF_PRIMARY: u32 = 2;

/// What a replica waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// The request or REJOIN with this place in the order of arrival is executed.
    Arrival(u64),
    /// Anything is executed after this number.
    ExecutionAfter(SeqNum),
}

/// What a request is to this replica.
pub(super) enum Standing {
    /// To be ordered.
    New,
    /// Executed or refused already: answer so; `None` means from the reply cache.
    Answered(Option<Outcome>),
    /// Nothing is to be done.
    Dropped,
}
