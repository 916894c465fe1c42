//! Every timer of a replica, and what its firing does. Liveness rests on them, safety never.

use super::request::Watched;
use super::{Replica, Step};
use crate::Time;
use crate::event::ViewChangeCause;
use core::time::Duration;

/// For how many of its timeouts a request is waited for, all in all, when the replica falls behind
/// again and again meanwhile [TM4].
const TIMEOUTS_MAX: u32 = 4;

/// The timers; `None` is a timer that does not run.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    /// The first request of the queue waits for execution. Runs at an active replica while
    /// requests wait, or numbers are needed [RJ5], and stands still while it catches up [TM4];
    /// firing changes the view [TM1, TM6].
    request: Option<Time>,
    /// What that is.
    pub(super) watched: Option<Watched>,
    /// How long it has been waited for, but for what was spent on catching up since.
    waited: Duration,
    /// From when on the request timer runs, while it does.
    runs_since: Time,
    /// The primary looks whether the requests that wait are worth an instance: at once when some
    /// arrived, but after whatever came with them, and when they have gathered for long enough.
    /// Fires at a tick only [PP8].
    pub(super) propose: Option<Time>,
    /// The primary may not have the request: relay it. Runs with `request` [RQ6].
    pub(super) relay: Option<Time>,
    /// NEW-VIEW is due. Runs from the moment a quorum has left the lower views; firing goes on to
    /// the next view [VC7].
    pub(super) new_view: Option<Time>,
    /// One's VIEW-CHANGE is sent again. Runs until the view begins [VC8].
    pub(super) view_change_resend: Option<Time>,
    /// STATUS is due. Always runs.
    pub(super) status: Option<Time>,
    /// An idle primary fills up to the next checkpoint [CP7].
    pub(super) checkpoint_fill: Option<Time>,
    /// One's REJOIN is sent again. Runs until it is executed [RJ2].
    pub(super) rejoin: Option<Time>,
    /// The first READ that waits for a number gives up [RO3].
    pub(super) reads: Option<Time>,
    /// The primary is looked at again, as it would be in any step. Set anew in each [SP1].
    pub(super) judgement: Option<Time>,
    /// The first outline has waited for its requests long enough: its batch is asked for [SR3].
    pub(super) outlines: Option<Time>,
    /// T now: doubles with failed views, decays with progress [TM2].
    timeout: Duration,
    timeout_min: Duration,
    timeout_max: Duration,
    /// Whether something was executed in the current view.
    progressed: bool,
    /// When T last changed.
    changed: Time,
}

impl Timers {
    pub(super) fn new(now: Time, parameters: &crate::Parameters) -> Self {
        Self {
            request: None,
            watched: None,
            waited: Duration::ZERO,
            runs_since: now,
            propose: None,
            relay: None,
            new_view: None,
            view_change_resend: None,
            status: Some(now),
            checkpoint_fill: None,
            rejoin: None,
            reads: None,
            judgement: None,
            outlines: None,
            timeout: parameters.view_change_timeout,
            timeout_min: parameters.view_change_timeout,
            timeout_max: parameters.view_change_timeout_max,
            progressed: false,
            changed: now,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let all = [
            self.request,
            self.propose,
            self.relay,
            self.new_view,
            self.view_change_resend,
            self.status,
            self.checkpoint_fill,
            self.rejoin,
            self.reads,
            self.judgement,
            self.outlines,
        ];
        all.into_iter().flatten().min()
    }

    /// T.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits for what is `watched`, so many timeouts long.
    pub(super) fn start_request_timer(&mut self, now: Time, watched: Watched, patience: u32) {
        self.watched = Some(watched);
        self.waited = Duration::ZERO;
        self.runs_since = now;
        self.request = Some(now.after(self.timeout.saturating_mul(patience)));
        self.relay = Some(now.after(self.timeout / 4));
    }

    /// The replica is behind: what it waits for may be done elsewhere long since [TM4].
    pub(super) fn halt_request_timer(&mut self, now: Time) {
        if self.request.take().is_some() {
            self.waited = self.waited.saturating_add(now.since(self.runs_since));
        }
    }

    /// What it still waits for has its time anew, but for the last of the times that it may have
    /// altogether [TM4].
    pub(super) fn resume_request_timer(&mut self, now: Time, patience: u32) {
        if self.watched.is_some() && self.request.is_none() {
            let timeout = self.timeout.saturating_mul(patience);
            self.runs_since = now;
            self.request = Some(now.after(timeout.min(self.time_left(patience))));
        }
    }

    /// For how long what is watched may still be waited for altogether.
    fn time_left(&self, patience: u32) -> Duration {
        let most = self.timeout.saturating_mul(patience).saturating_mul(TIMEOUTS_MAX);
        most.saturating_sub(self.waited)
    }

    pub(super) fn stop_request_timer(&mut self) {
        self.watched = None;
        self.request = None;
        self.relay = None;
    }

    /// The view is left: its timers stop, and if nothing was executed in it, the next one gets
    /// twice as long.
    pub(super) fn leave_view(&mut self, now: Time) {
        if !self.progressed {
            self.timeout = self.timeout.saturating_mul(2).min(self.timeout_max);
            self.changed = now;
        }
        self.stop_request_timer();
        self.new_view = None;
        self.view_change_resend = None;
        self.progressed = false;
    }

    pub(super) fn enter_view(&mut self) {
        self.new_view = None;
        self.view_change_resend = None;
    }

    /// Something was executed: halve T, but not more often than once in T, so that frequent view
    /// changes keep it long.
    fn decay(&mut self, now: Time) {
        self.progressed = true;
        if self.timeout > self.timeout_min && now.since(self.changed) >= self.timeout {
            self.timeout = (self.timeout / 2).max(self.timeout_min);
            self.changed = now;
        }
    }
}

fn is_due(timer: Option<Time>, now: Time) -> bool {
    timer.is_some_and(|deadline| deadline <= now)
}

impl Replica {
    pub(super) fn on_tick(&mut self, step: &mut Step<'_>) {
        if is_due(self.timers.propose, step.now.monotonic) {
            self.timers.propose = None;
            self.try_propose(step);
        }
    }

    pub(super) fn fire_due_timers(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        if self.halted.is_none() && is_due(self.timers.relay, now) {
            self.relay_requests(step);
            let timeout = self.timers.timeout;
            self.timers.relay = self.timers.watched.map(|_| now.after(timeout / 4));
        }
        if self.halted.is_none() && is_due(self.timers.request, now) {
            self.on_request_timeout(step);
        }
        if self.halted.is_none() && is_due(self.timers.new_view, now) {
            self.start_view_change(step, self.view.next(), ViewChangeCause::NewViewTimeout);
        }
        if self.halted.is_none() && is_due(self.timers.view_change_resend, now) {
            self.timers.view_change_resend = None;
            self.resend_view_change(step);
        }
        if self.halted.is_none() && is_due(self.timers.checkpoint_fill, now) {
            self.timers.checkpoint_fill = None;
            self.fill_up_to_checkpoint(step);
        }
        if self.halted.is_none() && is_due(self.timers.rejoin, now) {
            self.timers.rejoin = None;
            self.send_rejoin(step);
        }
        if self.halted.is_none() && is_due(self.timers.reads, now) {
            self.drop_expired_reads(now);
        }
        if self.halted.is_none() && is_due(self.timers.outlines, now) {
            self.ask_for_outlined(step);
        }
        if self.halted.is_none() && is_due(self.timers.status, now) {
            self.send_status(step);
        }
    }

    /// The first request of the queue was not executed in time: leave the view. But a replica that
    /// is behind others puts that off a few times [TM4], and one that itself stood still, since its
    /// timer fires so late, knows nothing of what the primary did meanwhile [TM5].
    fn on_request_timeout(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        self.drop_expired_rejoins(step);
        let late = self.timers.request.map_or(Duration::ZERO, |deadline| now.since(deadline));
        let stood_still = late >= self.timers.timeout;
        let is_awaited = self.timers.watched.is_some_and(|watched| self.is_awaited(watched));
        if stood_still || !is_awaited {
            self.timers.stop_request_timer();
            return self.consider_request_timer(now);
        }
        self.timers.halt_request_timer(now);
        let patience = self.patience();
        if self.is_behind_others() && !self.timers.time_left(patience).is_zero() {
            return self.timers.resume_request_timer(now, patience);
        }
        self.start_view_change(step, self.view.next(), ViewChangeCause::RequestTimeout);
    }

    /// Something was executed.
    pub(super) fn note_progress(&mut self, now: Time) {
        if self.active {
            self.timers.decay(now);
        }
        self.consider_caught_up(now);
        self.consider_request_timer(now);
        let fill_after = self.config.parameters.checkpoint_fill_after;
        if self.last_executed > self.low_water_mark && self.timers.checkpoint_fill.is_none() {
            self.timers.checkpoint_fill = Some(now.after(fill_after));
        }
    }
}
