//! Parameters that are sets, never empty ones: `1+3+5`, `prepare+commit`.

use core::fmt;
use pbft::message::Kind;
use pbft::{REPLICA_COUNT_MAX, ReplicaId};

/// A set of replicas, written as their ids with a plus between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplicaSet(u128);

const _: () = assert!(REPLICA_COUNT_MAX <= u128::BITS);

impl ReplicaSet {
    /// Whether the replica is in the set.
    pub fn contains(self, replica: ReplicaId) -> bool {
        replica.get() < u128::BITS && self.0 >> replica.get() & 1 == 1
    }

    /// The replicas in the set.
    pub fn ids(self) -> impl Iterator<Item = ReplicaId> {
        (0..u128::BITS).map(ReplicaId::new).filter(move |id| self.contains(*id))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let ids = text.split('+').map(|id| id.parse().ok().filter(|id| *id < REPLICA_COUNT_MAX));
        ids.map(|id| id.map(ReplicaId::new)).collect()
    }
}

impl FromIterator<ReplicaId> for ReplicaSet {
    /// Replicas that no cluster has room for are left out.
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(replicas: I) -> Self {
        let possible = replicas.into_iter().filter(|replica| replica.get() < u128::BITS);
        Self(possible.fold(0, |set, replica| set | 1 << replica.get()))
    }
}

impl fmt::Display for ReplicaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sum(f, self.ids().map(|id| id.to_string()))
    }
}

/// A set of kinds of messages, written as their names with a plus between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindSet(u16);

const _: () = assert!(Kind::ALL.len() <= u16::BITS as usize);

impl KindSet {
    /// Whether the kind is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 >> kind as u16 & 1 == 1
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let known = |name: &str| Kind::ALL.into_iter().find(|kind| spelling(*kind) == name);
        text.split('+').map(known).collect()
    }
}

impl FromIterator<Kind> for KindSet {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | 1 << kind as u16))
    }
}

impl fmt::Display for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sum(f, Kind::ALL.into_iter().filter(|kind| self.contains(*kind)).map(spelling))
    }
}

/// The papers' name, as parameters are written: `pre_prepare`.
fn spelling(kind: Kind) -> String {
    kind.name().to_ascii_lowercase().replace('-', "_")
}

fn write_sum(f: &mut fmt::Formatter<'_>, mut parts: impl Iterator<Item = String>) -> fmt::Result {
    f.write_str(&parts.next().unwrap_or_default())?;
    parts.try_for_each(|part| write!(f, "+{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_read_as_they_are_written() {
        let replicas: ReplicaSet = [5, 1, 127].map(ReplicaId::new).into_iter().collect();
        assert_eq!(replicas.to_string(), "1+5+127");
        assert_eq!(ReplicaSet::parse("127+5+1"), Some(replicas));
        let kinds: KindSet = [Kind::Commit, Kind::PrePrepare].into_iter().collect();
        assert_eq!(kinds.to_string(), "pre_prepare+commit");
        assert_eq!(KindSet::parse("commit+pre_prepare"), Some(kinds));
        assert!(kinds.contains(Kind::Commit) && !kinds.contains(Kind::Reply));
        assert_eq!(ReplicaSet::parse("128"), None);
        assert_eq!(ReplicaSet::parse(""), None);
        assert_eq!(KindSet::parse("prepare+promise"), None);
    }
}
