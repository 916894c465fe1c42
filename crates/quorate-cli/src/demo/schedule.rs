//! What is to happen when: decided by the seed alone, before anything runs.

use quorate_adversary::{Behaviour, ReplyLie};
use quorate_lab::rng::Seed;
use std::time::Duration;

/// Acts in the order of their times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    acts: Vec<(Duration, Act)>,
    is_beyond_budget: bool,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The primary of that moment, and as many of those who would follow it as make `count`, are
    /// told to misbehave.
    Corrupt { behaviour: Behaviour, count: u32 },
    /// All of them behave well again.
    Heal,
    /// This replica, or the next one that never misbehaved, is killed and started again. It waits
    /// until all replicas are well, so that never more than f are faulty at once.
    Kill { victim: u32, down_for: Duration },
}

impl Schedule {
    /// f replicas lie as primaries, and later another one is killed.
    pub(super) fn within_budget(seed: Seed, replicas: u32, f: u32, duration: Duration) -> Self {
        let mut stream = seed.stream("demo schedule");
        let mut at = |from, to| duration * stream.within(from..=to) as u32 / 1000;
        let lie = at(120, 220);
        let heal = lie + at(200, 260);
        let kill = at(560, 660);
        let down_for = Duration::from_millis(stream.within(1_000..=3_000)).min(duration / 6);
        let victim = stream.below(u64::from(replicas)) as u32;
        let behaviour = Behaviour::EquivocatingPrimary { second: None, both: false };
        let acts = vec![
            (lie, Act::Corrupt { behaviour, count: f }),
            (heal, Act::Heal),
            (kill, Act::Kill { victim, down_for }),
        ];
        Self { acts, is_beyond_budget: false }
    }

    /// f+1 replicas agree on false replies, more than the cluster is built for.
    pub(super) fn beyond_budget(seed: Seed, f: u32, duration: Duration) -> Self {
        let mut stream = seed.stream("demo schedule");
        let lie = duration * stream.within(120..=220) as u32 / 1000;
        let behaviour = Behaviour::FaultyReplies { lie: ReplyLie::Changed };
        let acts = vec![(lie, Act::Corrupt { behaviour, count: f + 1 })];
        Self { acts, is_beyond_budget: true }
    }

    pub(super) fn acts(&self) -> &[(Duration, Act)] {
        &self.acts
    }

    pub(super) fn is_beyond_budget(&self) -> bool {
        self.is_beyond_budget
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(at, act): &(Duration, Act)| {
            let at = at.as_secs_f32();
            match act {
                Act::Corrupt { behaviour, count: 1 } => {
                    format!("{at:5.1} s  the primary misbehaves: {behaviour}")
                }
                Act::Corrupt { behaviour, count } => {
                    format!("{at:5.1} s  the primary and {} more misbehave: {behaviour}", count - 1)
                }
                Act::Heal => format!("{at:5.1} s  they behave well again"),
                Act::Kill { victim, down_for } => format!(
                    "{at:5.1} s  replica {victim}, or the next that never lied, is killed with SIGKILL, \
                     and started again {:.1} s later",
                    down_for.as_secs_f32()
                ),
            }
        };
        let mut lines: Vec<String> = self.acts.iter().map(line).collect();
        if self.is_beyond_budget {
            lines.push(
                "this is more than any cluster tolerates, and the gateway believes f+1 equal \
                 answers, as in the papers, instead of a quorum"
                    .to_owned(),
            );
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_decides_the_schedule_and_different_seeds_differ() {
        let of = |seed| Schedule::within_budget(Seed::new(seed), 4, 1, Duration::from_secs(30));
        assert_eq!(of(1), of(1));
        assert!((2..10).any(|seed| of(seed) != of(1)));
    }

    #[test]
    fn liars_are_healed_before_anybody_is_killed() {
        for seed in 0..100 {
            let schedule = Schedule::within_budget(Seed::new(seed), 7, 2, Duration::from_secs(30));
            assert!(schedule.acts().is_sorted_by_key(|(at, _)| *at));
            let [(_, Act::Corrupt { count: 2, .. }), (_, Act::Heal), (at, Act::Kill { .. })] =
                schedule.acts()
            else {
                panic!("{schedule:?}")
            };
            assert!(*at < Duration::from_secs(20));
        }
    }
}
