//! What the project holds itself to, and how far it is met.

use super::report::Row;
use serde::Serialize;

/// A goal, and how far it is met. One that was not measured has no value, and is not met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Goal {
    pub(super) id: &'static str,
    /// What is measured, in words.
    pub(super) measure: &'static str,
    pub(super) value: Option<f64>,
    pub(super) floor: f64,
    pub(super) aim: f64,
    pub(super) met_floor: bool,
    pub(super) met_aim: bool,
}

/// Whether more is better, or less.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
}
use Better::{Less, More};

/// How a value comes from the rows.
type Value = fn(&Rows<'_>) -> Option<f64>;

struct Wanted {
    id: &'static str,
    measure: &'static str,
    better: Better,
    floor: f64,
    aim: f64,
    value: Value,
}

const fn wanted(
    id: &'static str,
    measure: &'static str,
    better: Better,
    (floor, aim): (f64, f64),
    value: Value,
) -> Wanted {
    Wanted { id, measure, better, floor, aim, value }
}

const WANTED: [Wanted; 24] = [
    wanted("P1", "coalesced, 64 operations of one client in flight, / E", More, (0.25, 0.5), |r| {
        r.ratio("coalesced")
    }),
    wanted(
        "P2",
        "64 clients, each operation under a signature of its own, / E",
        More,
        (0.06, 0.09),
        |r| r.ratio("headline"),
    ),
    wanted("P3", "one client, read-write, p50 / L", Less, (8.0, 6.0), |r| {
        r.ratio("0/0 read-write")
    }),
    wanted("P3", "one client, read-only, p50 / L", Less, (2.5, 1.8), |r| r.ratio("0/0 read-only")),
    wanted("P4", "durable / in memory, 512 in flight", More, (0.5, 0.8), |r| {
        r.ops_over("many durable", "many")
    }),
    wanted("P5", "put through the gateway / etcd, 64 clients", More, (1.0, 2.0), |r| {
        r.ops_over("put 64", "etcd put 64")
    }),
    wanted("P5", "put through the gateway / etcd, p50 of one client", Less, (1.0, 0.75), |r| {
        r.p50_over("put 1", "etcd put 1")
    }),
    wanted(
        "P6",
        "linearizable get through the gateway / etcd, 64 clients",
        More,
        (0.8, 1.5),
        |r| r.ops_over("get 64", "etcd get 64"),
    ),
    wanted(
        "P6",
        "linearizable get through the gateway / etcd, p50 of one client",
        Less,
        (1.2, 0.8),
        |r| r.p50_over("get 1", "etcd get 1"),
    ),
    wanted("P7", "4 KB requests / empty ones, 512 in flight", More, (0.6, 0.75), |r| {
        r.ops_over("many arguments", "many")
    }),
    wanted("P7", "4 KB results / unreplicated, 512 in flight", More, (0.8, 1.1), |r| {
        r.ops_over("many results", "many results, unreplicated")
    }),
    wanted("P8", "seven replicas / four, 512 in flight", More, (0.4, 0.57), |r| {
        r.ops_over("scale 7", "scale 4")
    }),
    wanted("P9", "f silent backups / none", More, (0.8, 0.95), |r| r.ratio("f backups silent")),
    wanted("P9", "a primary at 90 % of the time-out / a correct one", More, (0.3, 0.5), |r| {
        r.ratio("primary at 90 % of the time-out")
    }),
    wanted("P9", "beside a client that floods / without", More, (0.5, 0.8), |r| {
        r.ratio("one client more floods")
    }),
    wanted("P9", "one lying replica / none, the worse of two lies", More, (0.8, 0.95), |r| {
        let votes = r.ratio("f backups vote for what nobody proposed")?;
        Some(votes.min(r.ratio("f backups give wrong results")?))
    }),
    wanted("P9", "during a state transfer / before", More, (0.5, 0.8), |r| {
        r.ratio("during a transfer")
    }),
    wanted("P10", "seconds without service when the primary is killed", Less, (3.0, 1.0), |r| {
        Some(r.find("primary killed")?.longest_gap_ms? / 1000.0)
    }),
    wanted("P10", "an idle view change / one operation", Less, (5.0, 2.0), |r| {
        r.also("idle", "of_one_operation")
    }),
    wanted("P11", "puts beside a million keys / beside none", More, (0.7, 0.9), |r| {
        r.ops_over("put beside all", "put beside none")
    }),
    wanted("P11", "longest pause at a checkpoint, in milliseconds", Less, (20.0, 3.0), |r| {
        r.find("pauses")?.longest_gap_ms
    }),
    wanted("P11", "state transfer, in megabytes a second", More, (50.0, 200.0), |r| {
        r.also("transfer", "transfer_mb_per_s")
    }),
    wanted("P11", "seconds from a restart to serving", Less, (10.0, 3.0), |r| {
        r.also("restart", "restart_s")
    }),
    wanted("P12", "memory of a replica / its data, a million keys", Less, (3.0, 1.7), |r| {
        r.also("fill", "memory_of_data")
    }),
];

/// The rows, by their keys.
pub(super) struct Rows<'a>(pub(super) &'a [Row]);

impl Rows<'_> {
    fn find(&self, key: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.key == key)
    }

    fn ratio(&self, key: &str) -> Option<f64> {
        self.find(key)?.ratio
    }

    fn also(&self, key: &str, name: &str) -> Option<f64> {
        self.find(key)?.also.get(name).copied()
    }

    /// Of two rows of one run, which the baseline does not enter; unless it drifted.
    fn ops_over(&self, one: &str, other: &str) -> Option<f64> {
        let (one, other) = (self.find(one)?, self.find(other)?);
        let is_usable = one.ratio.is_some() && other.ratio.is_some();
        is_usable.then(|| one.ops_per_second / other.ops_per_second)
    }

    fn p50_over(&self, one: &str, other: &str) -> Option<f64> {
        let (one, other) = (self.find(one)?, self.find(other)?);
        let is_usable = one.ratio.is_some() && other.ratio.is_some();
        is_usable.then(|| one.p50_us / other.p50_us)
    }
}

/// All goals, with what these rows say of them.
pub(super) fn goals(rows: &Rows<'_>) -> Vec<Goal> {
    let judge = |wanted: &Wanted| {
        let Wanted { id, measure, better, floor, aim, value } = *wanted;
        let value = value(rows);
        let meets = |bound: f64| {
            value.is_some_and(|value| if better == More { value >= bound } else { value <= bound })
        };
        Goal { id, measure, value, floor, aim, met_floor: meets(floor), met_aim: meets(aim) }
    };
    WANTED.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::row;

    fn goal(rows: &[Row], measure: &str) -> Goal {
        let all = goals(&Rows(rows));
        all.into_iter().find(|goal| goal.measure.starts_with(measure)).unwrap()
    }

    #[test]
    fn goal_is_met_from_its_bound_on_in_its_direction() {
        let coalesced = |ratio| goal(&[row("coalesced", ratio, 1.0)], "coalesced");
        assert!(!coalesced(0.24).met_floor);
        assert!(coalesced(0.25).met_floor && !coalesced(0.25).met_aim);
        assert!(coalesced(0.5).met_aim);
        let read = |ratio| goal(&[row("0/0 read-only", ratio, 1.0)], "one client, read-only");
        assert!(!read(2.6).met_floor && read(2.5).met_floor && read(1.8).met_aim);
    }

    #[test]
    fn goal_that_was_not_measured_has_no_value_and_is_not_met() {
        let goal = goal(&[], "durable");
        assert_eq!((goal.value, goal.met_floor, goal.met_aim), (None, false, false));
        let one_of_two = [row("many", 0.1, 100.0)];
        assert_eq!(goals(&Rows(&one_of_two)).iter().filter(|g| g.value.is_some()).count(), 0);
    }

    #[test]
    fn goal_of_two_lies_is_about_the_worse_one() {
        let mut rows = vec![row("f backups give wrong results", 0.9, 1.0)];
        assert_eq!(goal(&rows, "one lying").value, None);
        rows.push(row("f backups vote for what nobody proposed", 0.7, 1.0));
        assert_eq!(goal(&rows, "one lying").value, Some(0.7));
    }

    #[test]
    fn goal_about_seconds_is_of_the_longest_gap() {
        let mut rows = [row("primary killed", 0.1, 1.0)];
        rows[0].longest_gap_ms = Some(1250.0);
        assert_eq!(goal(&rows, "seconds without service").value, Some(1.25));
    }

    #[test]
    fn goal_of_two_rows_compares_them() {
        let rows = [row("many", 0.1, 100.0), row("many durable", 0.05, 60.0)];
        assert_eq!(goal(&rows, "durable").value, Some(0.6));
    }
}
