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
        expires: WallTime::from_millis(EXPIRY_MS),
    }
}

/// When all of them expire.
const EXPIRY_MS: u64 = 1000;

fn execute(table: &mut Rejoins, seq: u64, rejoin: &Rejoin) -> Option<Rejoined> {
    execute_at(table, seq, EXPIRY_MS, rejoin)
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

/// [RJ2] One that was given up and kept by a liar has no effect later.
#[test]
fn rejoin_has_no_effect_after_it_has_expired() {
    for (millis, has_effect) in [(0, true), (EXPIRY_MS, true), (EXPIRY_MS + 1, false)] {
        let rejoined = execute_at(&mut Rejoins::default(), 3, millis, &rejoin(2, 1, 3));
        assert_eq!(rejoined.is_some(), has_effect, "at {millis}");
    }
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
