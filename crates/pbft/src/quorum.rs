//! Every threshold of the protocol, computed from the number of replicas. No other file contains
//! one.
//!
//! | n | f | quorum | weak | prepares beside the pre-prepare |
//! |---|---|---|---|---|
//! | 1 | 0 | 1 | 1 | 0 |
//! | 4 | 1 | 3 | 2 | 2 |
//! | 5 | 1 | 4 | 2 | 3 |
//! | 6 | 1 | 4 | 2 | 3 |
//! | 7 | 2 | 5 | 3 | 4 |
//! | 8 | 2 | 6 | 3 | 5 |
//! | 10 | 3 | 7 | 4 | 6 |
//! | 13 | 4 | 9 | 5 | 8 |

/// The thresholds of a cluster of some size [Q1].
///
/// The papers assume n = 3f+1 and write 2f+1 for a quorum. For any n >= 4 a quorum is
/// ceil((n+f+1)/2): two of them share at least f+1 replicas, hence a correct one, and one can be
/// formed although f replicas are silent. One replica alone, which tolerates nothing, agrees with
/// itself: that is the unreplicated server of the papers' measurements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quorums {
    replica_count: u32,
    fault_bound: u32,
    quorum: u32,
}

impl Quorums {
    /// The thresholds for `replica_count` replicas; `None` for none, two and three, which tolerate
    /// no more than one does.
    pub const fn new(replica_count: u32) -> Option<Self> {
        if replica_count != 1 && replica_count < 4 {
            return None;
        }
        let fault_bound = (replica_count - 1) / 3;
        let quorum = (replica_count + fault_bound + 1).div_ceil(2);
        Some(Self { replica_count, fault_bound, quorum })
    }

    /// The number of replicas, n.
    pub const fn replica_count(self) -> u32 {
        self.replica_count
    }

    /// How many replicas may be faulty, f.
    pub const fn fault_bound(self) -> u32 {
        self.fault_bound
    }

    /// How many replicas make a quorum.
    pub const fn quorum(self) -> usize {
        self.quorum as usize
    }

    /// How many replicas make a weak quorum, f+1: at least one of them is correct.
    pub const fn weak(self) -> usize {
        self.fault_bound as usize + 1
    }

    /// How many PREPAREs of distinct backups complete a prepared certificate, beside the
    /// PRE-PREPARE of the primary.
    pub const fn prepares(self) -> usize {
        self.quorum as usize - 1
    }

    /// How many other replicas make a quorum together with oneself.
    pub const fn quorum_of_others(self) -> usize {
        self.quorum as usize - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [Q1]
    #[test]
    fn two_quorums_share_a_correct_replica_and_one_forms_without_the_faulty() {
        for replica_count in (4..=200u32).chain([1]) {
            let quorums = Quorums::new(replica_count).unwrap();
            let (n, f) = (replica_count as usize, quorums.fault_bound() as usize);
            assert!(3 * f < n, "f is less than a third of {n}");
            assert!(3 * (f + 1) >= n, "f is the largest such number for {n}");
            assert!(2 * quorums.quorum() - n > f, "quorums of {n} intersect in f+1");
            assert!(quorums.quorum() <= n - f, "a quorum of {n} forms although f are silent");
        }
    }

    #[test]
    fn the_papers_thresholds_hold_at_3f_plus_1() {
        for f in 1..=20 {
            let quorums = Quorums::new(3 * f + 1).unwrap();
            assert_eq!(quorums.quorum(), 2 * f as usize + 1);
            assert_eq!(quorums.prepares(), 2 * f as usize);
            assert_eq!(quorums.weak(), f as usize + 1);
        }
    }

    #[test]
    fn fewer_than_four_replicas_are_refused_unless_one_is_alone() {
        assert_eq!([0, 2, 3].map(Quorums::new), [None; 3]);
    }
}
