//! To whom a request goes at first: to the primary alone, as long as nothing speaks against that
//! [CL9]. Its PRE-PREPARE brings the request to the others.

use super::Client;
use crate::auth::SignedRequest;
use crate::message::{RequestBody, SHORT_REQUEST_BYTES_MAX};
use crate::{Digest, ReplicaId, Time, View};
use alloc::collections::BTreeSet;
use core::time::Duration;

/// So long nothing goes to a primary alone that kept something back. Nobody is hurt if that was not
/// its fault: sending to all costs messages and nothing else.
const DOUBTED_FOR: Duration = Duration::from_secs(10);

/// One of so many requests goes to all in any case, and nobody can tell beforehand which: by these
/// the backups judge the primary [SP1], and the client what the others should take.
const ONE_TO_ALL_OF: u8 = 4;

/// What goes to the primary alone may take twice as long as what goes to all, and so much more.
const ALLOWANCE: Duration = Duration::from_millis(10);

/// What speaks for and against the primary. Bounded by the number of replicas.
#[derive(Clone, Debug, Default)]
pub(super) struct Addressees {
    /// The view whose primary is doubted, and until when.
    doubted: Option<(View, Time)>,
    /// Replicas to which the host has no link.
    unreachable: BTreeSet<ReplicaId>,
    /// How long requests took lately.
    observed: Observed,
}

/// How long it took until enough replicas vouched for results. Both averages are smoothed in the same
/// steps, so that a load which changes changes both alike.
#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    /// Of requests to all.
    to_all: Duration,
    /// Of the last one of these.
    last_to_all: Duration,
    /// In which view some went to the primary alone.
    view: View,
    /// How long these took.
    alone: Duration,
    /// Those since the last one to all: how long all of them took, and how many they are.
    lately: (Duration, u32),
}

impl Observed {
    /// Judges the primary of this view, and from now on.
    fn begin(&mut self, view: View) {
        *self = Self { view, alone: self.to_all, lately: (Duration::ZERO, 0), ..*self };
    }

    fn add_alone(&mut self, view: View, latency: Duration) {
        if self.view != view {
            self.begin(view);
        }
        let (sum, count) = self.lately;
        self.lately = (sum + latency, count + 1);
    }

    fn add_to_all(&mut self, latency: Duration) {
        self.last_to_all = latency;
        let (sum, count) = core::mem::take(&mut self.lately);
        if let Some(alone) = sum.checked_div(count) {
            self.to_all = (self.to_all * 7 + latency) / 8;
            self.alone = (self.alone * 7 + alone) / 8;
        }
    }

    fn is_kept_back(&self) -> bool {
        self.alone > self.to_all * 2 + ALLOWANCE
    }
}

impl Addressees {
    /// The primary of this view left something undone.
    pub(super) fn doubt(&mut self, now: Time, view: View) {
        self.doubted = Some((view, now.after(DOUBTED_FOR)));
        self.observed.begin(view);
    }

    fn is_doubted(&self, now: Time, view: View) -> bool {
        self.doubted.is_some_and(|(doubted, until)| doubted == view && now < until)
    }

    /// Enough replicas have come to vouch for a result so long after its request was sent, to the
    /// primary of a view alone or to all. Where the one takes longer than the other, on average, the
    /// primary keeps something back. How much of that counts as usual: else a primary could make
    /// its clients more and more patient.
    pub(super) fn learn(
        &mut self,
        now: Time,
        alone_in: Option<View>,
        latency: Duration,
    ) -> Duration {
        let observed = &mut self.observed;
        let Some(view) = alone_in else {
            observed.add_to_all(latency);
            if observed.is_kept_back() {
                let view = observed.view;
                self.doubt(now, view);
            }
            return latency;
        };
        observed.add_alone(view, latency);
        latency.min(observed.to_all.max(observed.last_to_all) * 2 + ALLOWANCE)
    }
}

impl Client {
    /// The replica that is to be sent this request alone; `None` if all are.
    pub(super) fn only_addressee(&self, now: Time, request: &SignedRequest) -> Option<ReplicaId> {
        let parameters = &self.config.parameters;
        let body = request.request();
        let view = self.view();
        let primary = self.config.primary(view);
        let is_offered = parameters.requests_to_primary
            && matches!(body.body, RequestBody::Operations(_))
            && !(parameters.separate_requests && request.byte_count() > SHORT_REQUEST_BYTES_MAX);
        let is_trusted = !self.addressees.unreachable.contains(&primary)
            && !self.addressees.is_doubted(now, view)
            && !self.goes_to_all(request);
        (is_offered && is_trusted).then_some(primary)
    }

    /// Drawn for each request, with what only this client knows: a primary that could tell would
    /// have only these ordered in time.
    fn goes_to_all(&self, request: &SignedRequest) -> bool {
        let (seed, session) = (self.key.seed(), request.request().session.get().to_le_bytes());
        let timestamp = request.request().timestamp.get().to_le_bytes();
        let parts = [&seed[..], &session, &timestamp];
        let drawn = Digest::of("quorate pbft v1: which requests go to all", &parts);
        drawn.as_bytes()[0].is_multiple_of(ONE_TO_ALL_OF)
    }

    /// The host has a link to this replica, as it has to all of them at first, or has it no more.
    /// What was sent to that replica alone is then due to go to all, by [`Client::on_tick`].
    pub fn set_reachable(&mut self, now: Time, replica: ReplicaId, is_reachable: bool) {
        if is_reachable {
            self.addressees.unreachable.remove(&replica);
            return;
        }
        self.addressees.unreachable.insert(replica);
        for outstanding in self.outstanding.values_mut() {
            if outstanding.alone_in.is_some_and(|view| self.config.primary(view) == replica) {
                outstanding.resend_at = outstanding.resend_at.min(now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
