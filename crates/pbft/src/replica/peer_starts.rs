//! What a replica durably remembers of the starts of a peer, so that the peer's disk is found out
//! when it misses one in which the peer may have taken part [RJ1].

use crate::fault::Reject;
use crate::message::{BootId, Introduction, STARTS_MAX, Start, StartId};
use crate::record::Record;
use crate::{Incarnation, ReplicaId, Signed, Time};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::time::Duration;

/// The starts of a peer in which it may have taken part, as far as they are heard of.
///
/// A start that the disk of a later one remembers need not be remembered beside it: whatever lacks
/// the one lacks the other. So these are one in the ordinary case, and one more for each time that
/// the disk was set back or emptied, or that the peer was started more often than it can say while
/// it was not heard.
///
/// **Invariant:** all are of one incarnation, in ascending order of their counters, and the last
/// [`STARTS_MAX`] by these. Of the starts of one disk the last one matters, so a liar who tells of
/// earlier ones, however many, displaces nothing by them.
#[derive(Clone, Debug)]
pub(super) struct PeerStarts {
    starts: Vec<Signed<Start>>,
    /// Since when starts of the peer are counted, and how many were noted since: one that claims
    /// start after start is not followed, since each costs a durable record.
    counted: (Time, u32),
}

/// So many starts of one peer are noted in [`COUNT_SPAN`].
const COUNT_MAX: u32 = 16;
const COUNT_SPAN: Duration = Duration::from_secs(60);

/// What became of a start that a peer introduced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// What is remembered has changed; the start is among it.
    Noted,
    /// It is remembered already, as everything else is.
    Known,
    /// It is not remembered, since another one is later.
    Refused,
}

impl PeerStarts {
    pub(super) fn new(starts: Vec<Signed<Start>>, now: Time) -> Self {
        Self { starts, counted: (now, 0) }
    }

    pub(super) fn all(&self) -> &[Signed<Start>] {
        &self.starts
    }

    fn incarnation(&self) -> Incarnation {
        self.starts.last().map(|start| start.body.incarnation).unwrap_or_default()
    }

    /// What is made durable of it.
    pub(super) fn record(&self, replica: ReplicaId) -> Record {
        Record::PeerStarts { replica, starts: self.starts.clone() }
    }

    /// Those that the peer is told when it asks with this start.
    pub(super) fn others_than(&self, start: &Start) -> Vec<StartId> {
        let others = self.starts.iter().map(|other| other.body).filter(|other| other != start);
        others.map(|other| other.id).collect()
    }

    /// The peer introduces itself.
    ///
    /// # Errors
    /// [`Reject::TooOften`] if it does so with start after start.
    pub(super) fn hear(&mut self, introduction: &Introduction, now: Time) -> Result<Heard, Reject> {
        let Introduction { start, knows, .. } = introduction;
        let Start { incarnation, id } = start.body;
        if incarnation < self.incarnation() {
            return Ok(Heard::Refused);
        }
        let is_kept = |other: &&Signed<Start>| {
            other.body.incarnation == incarnation && !knows.contains(&other.body.id)
        };
        let mut kept: Vec<Signed<Start>> = self.starts.iter().filter(is_kept).copied().collect();
        if !kept.iter().any(|known| known.body == start.body) {
            if kept.last().is_some_and(|last| last.body.id.counter >= id.counter) {
                return Ok(Heard::Refused);
            }
            self.count(now)?;
            kept.push(*start);
        }
        let has_changed = kept != self.starts;
        self.starts = kept;
        self.forget_earliest();
        Ok(if has_changed { Heard::Noted } else { Heard::Known })
    }

    fn forget_earliest(&mut self) {
        let too_many = self.starts.len().saturating_sub(STARTS_MAX);
        self.starts.drain(..too_many);
    }

    fn count(&mut self, now: Time) -> Result<(), Reject> {
        let (since, count) = self.counted;
        let counted = if now.since(since) < COUNT_SPAN { (since, count + 1) } else { (now, 1) };
        if counted.1 > COUNT_MAX {
            return Err(Reject::TooOften);
        }
        self.counted = counted;
        Ok(())
    }

    /// Another peer has heard of this start. Returns whether it is news.
    pub(super) fn learn(&mut self, start: &Signed<Start>) -> bool {
        match start.body.incarnation.cmp(&self.incarnation()) {
            Ordering::Less => return false,
            Ordering::Greater => self.starts.clear(),
            Ordering::Equal => {}
        }
        let counter = start.body.id.counter;
        let place = self.starts.partition_point(|known| known.body.id.counter <= counter);
        let is_too_early = place == 0 && self.starts.len() >= STARTS_MAX;
        if is_too_early || self.starts.iter().any(|known| known.body == start.body) {
            return false;
        }
        self.starts.insert(place, *start);
        self.forget_earliest();
        true
    }

    /// The peer was let in at this start. If none is later, it has not taken part in any of the
    /// others: who had heard of that would have kept it out. Returns whether that is news.
    pub(super) fn note_admitted(&mut self, admitted: BootId) -> bool {
        let is_last = self.starts.last().is_some_and(|last| last.body.id.boot_id == admitted);
        let is_news = is_last && self.starts.len() > 1;
        if is_news {
            self.starts.drain(..self.starts.len() - 1);
        }
        is_news
    }
}

#[cfg(test)]
mod tests;
