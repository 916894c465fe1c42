//! The table of the replicas that rejoined after they lost their memory: part of the replicated
//! state, so that every replica agrees on who has which incarnation, and on what follows from it.

use crate::message::{Rejoin, StartId};
use crate::{Config, Incarnation, ReplicaId, SeqNum, View, WallTime};
use alloc::collections::BTreeMap;
use borsh::{BorshDeserialize, BorshSerialize};

/// The last REJOIN of a replica that had an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Rejoined {
    /// The replica's incarnation since.
    pub incarnation: Incarnation,
    /// The start that asked for it, and that alone may vote as that incarnation [RJ3].
    pub start: StartId,
    /// The number at which it was executed.
    pub seq: SeqNum,
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

    /// Whether this REJOIN would have an effect in a batch with this number and time. It is of the
    /// replica's next incarnation, so that a replayed one has none; it has not expired; and the
    /// bound of the last one is passed [RJ2].
    pub(crate) fn admits(
        &self,
        config: &Config,
        seq: SeqNum,
        time: WallTime,
        rejoin: &Rejoin,
    ) -> bool {
        let last = self.of(rejoin.replica);
        let current = last.map_or(Incarnation::ZERO, |last| last.incarnation);
        rejoin.incarnation == current.next()
            && time <= rejoin.expires
            && last.is_none_or(|last| seq > last.bound(config))
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
        if !self.admits(config, seq, time, rejoin) {
            return None;
        }
        let Rejoin { replica, incarnation, start, view, expires: _ } = *rejoin;
        let mut view = view.max(self.view().next());
        while config.primary(view) == replica {
            view = view.next();
        }
        let rejoined = Rejoined { incarnation, start, seq, view };
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
