use super::*;
use crate::Digest;
use crate::auth::{Domain, SigningKey};
use alloc::vec;

/// A start on one of several disks of replica 2, which are copies of each other up to some start.
fn start(incarnation: u64, counter: u64, disk: u8) -> Signed<Start> {
    let domain = Domain { cluster: Digest::default(), epoch: crate::Epoch::ZERO };
    let incarnation = Incarnation::new(incarnation);
    let boot_id = core::array::from_fn(|i| if i == 0 { disk } else { counter as u8 });
    let body = Start { incarnation, id: StartId { counter, boot_id } };
    Signed::sign(&domain, &SigningKey::from_seed([3; 32].into()), ReplicaId::new(2), body)
}

fn ids(starts: &[Signed<Start>]) -> Vec<StartId> {
    starts.iter().map(|start| start.body.id).collect()
}

/// A minute after the one before, so that none comes too soon.
fn hear(peer: &mut PeerStarts, start: Signed<Start>, knows: &[Signed<Start>]) -> Heard {
    let now = peer.counted.0.after(COUNT_SPAN);
    peer.hear(&introduced(start, knows), now).expect("it does not come too soon")
}

fn introduced(start: Signed<Start>, knows: &[Signed<Start>]) -> Introduction {
    Introduction { start, knows: ids(knows), round: 0, takes_over: false }
}

fn kept_out_by(starts: &[Signed<Start>]) -> Heard {
    Heard::KeptOut(ids(starts))
}

fn nothing() -> PeerStarts {
    PeerStarts::new(Vec::new(), Time::ZERO)
}

/// [RJ1] However often a disk is started, one start is remembered of it.
#[test]
fn start_takes_the_place_of_those_that_its_disk_knows() {
    let mut peer = nothing();
    let mut last = Vec::new();
    for counter in 1..=1000 {
        let next = start(0, counter, 1);
        assert_eq!(hear(&mut peer, next, &last), Heard::Noted);
        assert_eq!(hear(&mut peer, next, &last), Heard::Known);
        assert_eq!(peer.all(), [next]);
        last = vec![next];
    }
}

/// [RJ1] A disk that was set back is not let in by starting often, and leaves no trace.
#[test]
fn start_whose_disk_lacks_another_is_kept_out_by_it_and_not_remembered() {
    let (old, missing) = (start(0, 1, 1), start(0, 2, 1));
    let mut peer = PeerStarts::new(vec![missing], Time::ZERO);
    let mut knows = vec![old];
    for counter in 2..=200 {
        let next = start(0, counter, 2);
        assert_eq!(hear(&mut peer, next, &knows), kept_out_by(&[missing]));
        assert_eq!(peer.all(), [missing]);
        knows.push(next);
    }
    let whole = start(0, 3, 1);
    assert_eq!(hear(&mut peer, whole, &[old, missing]), Heard::Noted);
}

/// [RJ1] However many of its starts are told, the last ones are remembered, in whatever order they
/// come; and the peer's disk, if it knows them, takes their place.
#[test]
fn last_starts_are_remembered_of_many_that_are_told() {
    let all: Vec<_> = (1..=3 * STARTS_MAX as u64).map(|counter| start(0, counter, 1)).collect();
    let last = &all[2 * STARTS_MAX..];
    let (mut ascending, mut descending) = (nothing(), nothing());
    assert!(all.iter().all(|start| ascending.learn(start)));
    let learnt = all.iter().rev().filter(|start| descending.learn(start)).count();
    assert_eq!(learnt, STARTS_MAX, "what comes before them is no news");
    for mut peer in [ascending, descending] {
        assert_eq!(peer.all(), last);
        let next = start(0, 1000, 1);
        assert_eq!(hear(&mut peer, next, &last[1..]), kept_out_by(last), "all are named");
        assert_eq!(hear(&mut peer, next, last), Heard::Noted);
        assert_eq!(peer.all(), [next]);
    }
}

/// [RJ1] What comes late, of a start that is not the last, changes nothing.
#[test]
fn late_introduction_takes_nothing_away() {
    let (first, second) = (start(0, 1, 1), start(0, 2, 1));
    let mut peer = PeerStarts::new(vec![second], Time::ZERO);
    assert_eq!(hear(&mut peer, first, &[]), kept_out_by(&[second]));
    assert_eq!(peer.all(), [second]);
}

/// [RJ1] A new incarnation leaves those before it behind, and is not followed by them.
#[test]
fn starts_of_an_older_incarnation_are_void() {
    let (old, new) = (start(0, 7, 1), start(1, 1, 2));
    let mut peer = PeerStarts::new(vec![old], Time::ZERO);
    assert_eq!(hear(&mut peer, new, &[]), Heard::Noted);
    assert_eq!(peer.all(), [new]);
    assert_eq!(hear(&mut peer, start(0, 8, 1), &[old, new]), kept_out_by(&[new]));
    assert!(!peer.learn(&old));
    let newer = start(2, 1, 3);
    assert!(peer.learn(&newer));
    assert_eq!(peer.all(), [newer]);
}

/// [RJ1] What others remember is added.
#[test]
fn starts_that_others_remember_are_learnt() {
    let (one, other, later) = (start(0, 3, 1), start(0, 3, 2), start(0, 5, 1));
    let mut peer = nothing();
    assert!([one, later, other].iter().all(|start| peer.learn(start)));
    assert!(!peer.learn(&other));
    assert_eq!(peer.all(), [one, other, later]);
    assert_eq!(hear(&mut peer, later, &[one]), kept_out_by(&[one, other]));
    assert_eq!(hear(&mut peer, later, &[one, other]), Heard::Noted);
    assert_eq!(peer.all(), [later]);
}

/// [RJ1] Each start costs a durable record, so they may not come one after the other.
#[test]
fn starts_that_come_too_often_are_not_followed() {
    let mut peer = nothing();
    let mut last = Vec::new();
    for counter in 1..=u64::from(COUNT_MAX) + 1 {
        let start = start(0, counter, 1);
        let heard = peer.hear(&introduced(start, &last), Time::ZERO);
        let is_too_often = counter > u64::from(COUNT_MAX);
        assert_eq!(heard, if is_too_often { Err(Reject::TooOften) } else { Ok(Heard::Noted) });
        last = vec![start];
    }
}
