//! The table of the replicas that rejoined after they lost their memory: part of the replicated
//! state, so that every replica agrees on who has which incarnation, and on what follows from it.

use crate::message::{Rejoin, StartId};
use crate::{Config, Incarnation, ReplicaId, SeqNum, View, WallTime};
use alloc::collections::BTreeMap;
use borsh::{BorshDeserialize, BorshSerialize};
use core::ops::RangeInclusive;
use core::time::Duration;

/// So far are the times of two batches apart in which REJOINs of one replica have an effect [RJ2].
/// No parameter, because the state follows from it.
pub const REJOIN_GAP: Duration = Duration::from_secs(5 * 60);

/// The last REJOIN of a replica that had an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Rejoined {
    /// The replica's incarnation since.
    pub incarnation: Incarnation,
    /// The start with which the memory of that incarnation began.
    pub start: StartId,
    /// The number at which it was executed.
    pub seq: SeqNum,
    /// The time that the batch was proposed with. Not the agreed time, which a clock that was once
    /// far ahead keeps from going on.
    pub time: WallTime,
    /// The first view in which the replica may take part again.
    pub view: View,
}

impl Rejoined {
    /// The replica votes for nothing up to this number, a checkpoint [RJ3].
    ///
    /// What it executed before the loss was ordered without this REJOIN, hence below `seq`. So its
    /// last stable checkpoint then was the last one below `seq` at most, and whatever it may have
    /// voted for lay in the window above that.
    pub fn bound(&self, config: &Config) -> SeqNum {
        let before = self.seq.previous().get();
        let checkpoint = before - before % config.parameters.checkpoint_period;
        SeqNum::new(checkpoint).plus(config.parameters.log_window)
    }
}

/// Every replica that ever rejoined.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rejoins(BTreeMap<ReplicaId, Rejoined>);

impl Rejoins {
    /// The last REJOIN of a replica.
    pub fn of(&self, replica: ReplicaId) -> Option<&Rejoined> {
        self.0.get(&replica)
    }

    /// Whether this REJOIN would have an effect in a batch with this number, whichever of `times` is
    /// the batch's. It is of the replica's next incarnation, so that a replayed one has none; the
    /// bound of the last one is passed, and its time is far enough, so that a faulty replica does
    /// not occupy the others with one after the other [RJ2].
    ///
    /// A time before that of the last one is far enough, too: the clocks were set back since, and
    /// the replica does not wait until they have caught up.
    pub(crate) fn admits(
        &self,
        config: &Config,
        seq: SeqNum,
        times: RangeInclusive<WallTime>,
        rejoin: &Rejoin,
    ) -> bool {
        let last = self.of(rejoin.replica);
        let current = last.map_or(Incarnation::ZERO, |last| last.incarnation);
        let is_over = |last: &Rejoined| {
            let is_far = |time: &WallTime| time.distance(last.time) >= REJOIN_GAP;
            let may_be_near = times.contains(&last.time);
            seq > last.bound(config) && !may_be_near && is_far(times.start()) && is_far(times.end())
        };
        rejoin.incarnation == current.next() && last.is_none_or(is_over)
    }

    /// Executes a REJOIN in a batch with this number and time. Its view is put above those of all
    /// before it, because its replica may have followed one of them, and beyond those whose
    /// primary it would be, because it cannot begin one [RJ4].
    pub fn execute(
        &mut self,
        config: &Config,
        seq: SeqNum,
        time: WallTime,
        rejoin: &Rejoin,
    ) -> Option<(ReplicaId, Rejoined)> {
        if !self.admits(config, seq, time..=time, rejoin) {
            return None;
        }
        let Rejoin { replica, incarnation, start, view } = *rejoin;
        let mut view = view.max(self.view().next());
        while config.primary(view) == replica {
            view = view.next();
        }
        let rejoined = Rejoined { incarnation, start, seq, time, view };
        self.0.insert(replica, rejoined);
        Some((replica, rejoined))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (ReplicaId, Rejoined)> + '_ {
        self.0.iter().map(|(replica, rejoined)| (*replica, *rejoined))
    }

    /// Takes over what another replica has found out.
    pub(crate) fn insert(&mut self, replica: ReplicaId, rejoined: Rejoined) {
        self.0.insert(replica, rejoined);
    }

    /// Every lower view is to be left [RJ4].
    pub(crate) fn view(&self) -> View {
        self.0.values().map(|rejoined| rejoined.view).max().unwrap_or_default()
    }

    /// The primary fills up to this number [RJ5].
    pub(crate) fn bound(&self, config: &Config) -> SeqNum {
        self.0.values().map(|rejoined| rejoined.bound(config)).max().unwrap_or_default()
    }
}

impl FromIterator<(ReplicaId, Rejoined)> for Rejoins {
    fn from_iter<T: IntoIterator<Item = (ReplicaId, Rejoined)>>(entries: T) -> Self {
        Self(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
