//! What a replica durably remembers of the starts of a peer, so that the peer's disk is found out
//! when it misses one in which the peer may have taken part [RJ1].

use crate::fault::Reject;
use crate::message::{Introduction, STARTS_MAX, Start, StartId};
use crate::record::Record;
use crate::{Incarnation, ReplicaId, Signed, Time};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::time::Duration;

/// The starts at which this replica let a peer in, and at which others did who told of it: the peer
/// may have taken part in them.
///
/// A start that is let in takes the place of all others, since its disk knows these: whatever lacks
/// one of them lacks this one, too. So it is one start, unless others told of more.
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It is let in, and remembered from now on.
    Noted,
    /// It was let in before.
    Known,
    /// It is not let in, because the peer did not say that its disk knows all of these.
    KeptOut(Vec<StartId>),
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

    /// The peer introduces itself.
    ///
    /// # Errors
    /// [`Reject::TooOften`] if it does so with start after start.
    pub(super) fn hear(&mut self, introduction: &Introduction, now: Time) -> Result<Heard, Reject> {
        let Introduction { start, knows, .. } = introduction;
        let is_older = start.body.incarnation < self.incarnation();
        let is_newer = start.body.incarnation > self.incarnation();
        let keeps_out = |other: &Signed<Start>| {
            is_older || !(is_newer || other.body == start.body || knows.contains(&other.body.id))
        };
        if self.starts.iter().any(keeps_out) {
            let others = self.starts.iter().filter(|other| other.body != start.body);
            return Ok(Heard::KeptOut(others.map(|other| other.body.id).collect()));
        }
        if let [known] = self.starts[..]
            && known.body == start.body
        {
            return Ok(Heard::Known);
        }
        self.count(now)?;
        self.starts = alloc::vec![*start];
        Ok(Heard::Noted)
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

    /// Another peer has let this start in. Returns whether it is news.
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
}

#[cfg(test)]
mod tests;
