//! What is known of a peer as a source of state.

use pbft::message::Rest;
use pbft::{SeqNum, Time};
use std::time::Duration;

/// How long a peer has to answer a request in full. What it has not sent by then is asked of
/// others, so a peer that drips parts holds nothing up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a peer rests that does not have the checkpoint (yet, or any more), or that has answered
/// nothing.
const LACKING_REST: Duration = Duration::from_millis(250);

/// The longest rest that a peer asks for itself.
const LATER_MAX: Duration = Duration::from_millis(500);

/// The first rest of a peer that was silent or wrong; it doubles with every further one.
const FIRST_REST: Duration = Duration::from_millis(500);

/// No rest is longer.
pub(super) const REST_MAX: Duration = Duration::from_secs(16);

/// A peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// What it was asked for last and has not answered in full.
    asked: Option<Asked>,
    /// It is not asked before this; `None` if it does not rest.
    rests_until: Option<Time>,
    /// Whether it has the checkpoint, if it said so.
    pub(super) holds: Option<bool>,
    /// How often in a row it let a deadline pass.
    pub(super) timeouts: u32,
    /// How many wrong parts it sent.
    pub(super) wrong_parts: u32,
}

#[derive(Debug)]
struct Asked {
    seq: SeqNum,
    /// When it is asked of others.
    deadline: Time,
    /// The parts that have not come.
    missing: usize,
    /// Whether any has come.
    is_begun: bool,
}

impl Peer {
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) fn rests(&self) -> bool {
        self.rests_until.is_some()
    }

    /// Whether an answer about this checkpoint is to come.
    pub(super) fn awaits(&self, seq: SeqNum) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.seq == seq)
    }

    /// When [`expire`](Self::expire) is due.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.asked.as_ref().map(|asked| asked.deadline).or(self.rests_until)
    }

    /// It is asked for so many parts, or to keep the checkpoint.
    pub(super) fn ask(&mut self, now: Time, seq: SeqNum, parts: usize) {
        let deadline = now.after(ANSWER_TIMEOUT);
        self.asked = Some(Asked { seq, deadline, missing: parts, is_begun: false });
    }

    /// It sent a part that was asked for and is right.
    pub(super) fn on_part(&mut self) {
        self.timeouts = 0;
        if let Some(asked) = &mut self.asked {
            asked.is_begun = true;
            asked.missing -= 1;
            if asked.missing == 0 {
                self.asked = None;
                self.holds = Some(true);
            }
        }
    }

    /// It sent a part that is not what its name says.
    pub(super) fn on_wrong_part(&mut self, now: Time) {
        self.asked = None;
        self.wrong_parts += 1;
        self.rest(now, doubling(self.wrong_parts));
    }

    /// It said that there is nothing more to come.
    pub(super) fn on_end(&mut self, now: Time, rest: Rest) {
        let Some(asked) = self.asked.take() else { return };
        match rest {
            Rest::Follows => {}
            Rest::Nothing => {
                self.holds = Some(true);
                // Else whoever answers with nothing would be asked for ever.
                if asked.missing > 0 && !asked.is_begun {
                    self.rest(now, LACKING_REST);
                }
            }
            Rest::NotHeld => {
                self.holds = Some(false);
                self.rest(now, LACKING_REST);
            }
            Rest::Later { micros } => {
                self.holds = Some(true);
                self.rest(now, Duration::from_micros(micros).min(LATER_MAX));
            }
        }
    }

    /// Wakes it, or takes it that it does not answer any more; then returns true.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        self.rests_until = self.rests_until.filter(|until| *until > now);
        let is_overdue = self.asked.as_ref().is_some_and(|asked| asked.deadline <= now);
        if is_overdue {
            self.asked = None;
            self.timeouts += 1;
            self.rest(now, doubling(self.timeouts));
        }
        is_overdue
    }

    /// Another checkpoint is fetched, which it may have although it lacked the one before.
    pub(super) fn on_new_target(&mut self) {
        self.holds = None;
        if self.wrong_parts == 0 && self.timeouts == 0 {
            self.rests_until = None;
        }
    }

    fn rest(&mut self, now: Time, span: Duration) {
        self.rests_until = Some(now.after(span));
    }
}

/// The rest after so many failures, doubling.
fn doubling(failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_REST.saturating_mul(factor).min(REST_MAX)
}
