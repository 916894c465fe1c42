use super::*;
use crate::auth::{Domain, SigningKey};
use crate::{Digest, Epoch, Parameters};
use alloc::vec::Vec;

/// K is 4 and L is 16.
fn config() -> Config {
    let domain = Domain { cluster: Digest::default(), epoch: Epoch::ZERO };
    let key = |id: u8| SigningKey::from_seed([id + 1; 32].into()).verification_key();
    let parameters = Parameters { checkpoint_period: 4, log_window: 16, ..Parameters::default() };
    Config::new(domain, Digest::default(), (0..4).map(key).collect(), Vec::new(), parameters)
        .unwrap()
}

fn rejoin(replica: u32, incarnation: u64, view: u64) -> Rejoin {
    Rejoin {
        replica: ReplicaId::new(replica),
        incarnation: Incarnation::new(incarnation),
        start: StartId { counter: 1, boot_id: [9; 16] },
        view: View::new(view),
    }
}

const DAY: u64 = 24 * 3600 * 1000;

/// In a batch a day later than the one before.
fn execute(table: &mut Rejoins, seq: u64, rejoin: &Rejoin) -> Option<Rejoined> {
    execute_at(table, seq, seq * DAY, rejoin)
}

fn execute_at(table: &mut Rejoins, seq: u64, millis: u64, rejoin: &Rejoin) -> Option<Rejoined> {
    let time = WallTime::from_millis(millis);
    table.execute(&config(), SeqNum::new(seq), time, rejoin).map(|(_, rejoined)| rejoined)
}

/// [RJ3] Whoever executed up to n - 1 had its low water mark at the last checkpoint there at most.
#[test]
fn bound_is_the_high_water_mark_of_all_that_may_have_come_before() {
    for (seq, bound) in [(1, 16), (4, 16), (5, 20), (8, 20), (9, 24)] {
        let rejoined = execute(&mut Rejoins::default(), seq, &rejoin(2, 1, 3)).unwrap();
        assert_eq!(rejoined.bound(&config()), SeqNum::new(bound), "executed at {seq}");
    }
}

/// [RJ2] A replayed REJOIN, one of an incarnation to come, and one too soon after the last have no
/// effect.
#[test]
fn each_incarnation_rejoins_once_and_not_before_the_bound_of_the_last() {
    let mut table = Rejoins::default();
    assert_eq!(execute(&mut table, 3, &rejoin(2, 2, 3)), None);
    assert!(execute(&mut table, 3, &rejoin(2, 1, 3)).is_some());
    for (seq, incarnation) in [(4, 1), (40, 1), (40, 3), (16, 2)] {
        assert_eq!(execute(&mut table, seq, &rejoin(2, incarnation, 9)), None);
    }
    assert!(execute(&mut table, 17, &rejoin(2, 2, 9)).is_some());
    assert!(execute(&mut table, 17, &rejoin(3, 1, 9)).is_some(), "another replica's is its own");
}

/// [RJ2] The next one of a replica waits five minutes, or until the clocks were set back by more.
#[test]
fn each_incarnation_rejoins_five_minutes_from_the_last() {
    for (millis, is_admitted) in [
        (DAY, false),
        (DAY + 299_999, false),
        (DAY + 300_000, true),
        (DAY - 299_999, false),
        (DAY - 300_000, true),
        (0, true),
    ] {
        let mut table = Rejoins::default();
        let first = execute_at(&mut table, 3, DAY, &rejoin(2, 1, 3)).unwrap();
        assert_eq!(first.time, WallTime::from_millis(DAY));
        let second = execute_at(&mut table, 17, millis, &rejoin(2, 2, 9));
        assert_eq!(second.is_some(), is_admitted, "at {millis}");
        assert!(execute_at(&mut table, 18, millis, &rejoin(3, 1, 9)).is_some(), "another replica");
    }
}

/// [RJ2] With a range of times, it is admitted only if it is with each of them.
#[test]
fn rejoin_is_admitted_in_a_range_of_times_if_it_is_at_each_of_them() {
    let mut table = Rejoins::default();
    execute_at(&mut table, 3, DAY, &rejoin(2, 1, 3)).unwrap();
    let admits = |from, to| {
        let times = WallTime::from_millis(from)..=WallTime::from_millis(to);
        table.admits(&config(), SeqNum::new(17), times, &rejoin(2, 2, 9))
    };
    for from in [DAY - 330_000, DAY - 315_000, DAY - 10_000, DAY + 295_000, DAY + 310_000] {
        let everywhere = (0..=20).all(|k| admits(from + k * 1000, from + k * 1000));
        assert_eq!(admits(from, from + 20_000), everywhere, "from {from}");
    }
    assert!(!admits(DAY - 400_000, DAY + 400_000), "it may be near");
}

/// [RJ4] Each REJOIN leads to a later view than all before it, and to one with another primary.
#[test]
fn view_is_above_all_earlier_ones_and_not_the_replicas_own() {
    let mut table = Rejoins::default();
    assert_eq!(execute(&mut table, 1, &rejoin(2, 1, 3)).unwrap().view, View::new(3));
    assert_eq!(execute(&mut table, 2, &rejoin(1, 1, 2)).unwrap().view, View::new(4));
    assert_eq!(execute(&mut table, 3, &rejoin(3, 1, 7)).unwrap().view, View::new(8));
    assert_eq!(table.view(), View::new(8));
}
