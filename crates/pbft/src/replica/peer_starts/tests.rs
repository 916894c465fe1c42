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
    let introduction = Introduction { start, knows: ids(knows), takes_over: false };
    peer.hear(&introduction, now).expect("it does not come too soon")
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

/// [RJ1] A disk that was set back does not make its peers forget what it lacks by starting often.
#[test]
fn start_that_a_disk_lacks_is_remembered_beside_the_last_of_that_disk() {
    let (old, missing) = (start(0, 1, 1), start(0, 2, 1));
    let mut peer = PeerStarts::new(vec![missing], Time::ZERO);
    let mut knows = vec![old];
    assert_eq!(hear(&mut peer, start(0, 2, 2), &knows), Heard::Refused, "it is no later one");
    for counter in 3..=200 {
        let next = start(0, counter, 2);
        assert_eq!(hear(&mut peer, next, &knows), Heard::Noted);
        assert_eq!(peer.all(), [missing, next]);
        assert_eq!(peer.others_than(&next.body), [missing.body.id]);
        knows.push(next);
    }
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
        assert_eq!(hear(&mut peer, next, last), Heard::Noted);
        assert_eq!(peer.all(), [next]);
    }
}

/// [RJ1] A message that comes late, of a start that is not the last, takes nothing away.
#[test]
fn late_status_of_an_earlier_start_takes_nothing_away() {
    let mut peer = nothing();
    (1..=STARTS_MAX as u64).for_each(|counter| assert!(peer.learn(&start(0, counter, 1))));
    let before = peer.all().to_vec();
    assert!(!peer.note_admitted(before[STARTS_MAX - 2].body.id.boot_id));
    assert_eq!(peer.all(), before);
}

/// [RJ1] A peer that was let in says that others, on an old disk, are void, although they count
/// further than its own.
#[test]
fn start_takes_the_place_of_later_ones_that_its_replica_calls_void() {
    let (own, of_old_disk) = (start(0, 3, 1), start(0, 6, 2));
    let mut peer = PeerStarts::new(vec![of_old_disk], Time::ZERO);
    assert_eq!(hear(&mut peer, own, &[]), Heard::Refused);
    assert_eq!(hear(&mut peer, own, &[of_old_disk]), Heard::Noted);
    assert_eq!(peer.all(), [own]);
    assert_eq!(hear(&mut peer, of_old_disk, &[]), Heard::Noted, "it is heard beside it");
    assert_eq!(peer.all(), [own, of_old_disk]);
}

/// [RJ1] A peer that forgets its starts again and again displaces its own earlier ones alone.
#[test]
fn last_starts_are_remembered_of_a_peer_that_knows_none_before() {
    let mut peer = nothing();
    for counter in 1..=STARTS_MAX as u64 + 9 {
        assert_eq!(hear(&mut peer, start(0, counter, 1), &[]), Heard::Noted);
    }
    let counters: Vec<u64> = ids(peer.all()).iter().map(|id| id.counter).collect();
    assert_eq!(counters, (10..=STARTS_MAX as u64 + 9).collect::<Vec<_>>());
}

/// [RJ1] A new incarnation leaves those before it behind, and is not followed by them.
#[test]
fn starts_of_an_older_incarnation_are_void() {
    let (old, new) = (start(0, 7, 1), start(1, 1, 2));
    let mut peer = PeerStarts::new(vec![old], Time::ZERO);
    assert_eq!(hear(&mut peer, new, &[]), Heard::Noted);
    assert_eq!(peer.all(), [new]);
    assert_eq!(hear(&mut peer, start(0, 8, 1), &[old]), Heard::Refused);
    assert_eq!(peer.others_than(&start(0, 8, 1).body), [new.body.id]);
    assert!(!peer.learn(&old));
    let newer = start(2, 1, 3);
    assert!(peer.learn(&newer));
    assert_eq!(peer.all(), [newer]);
}

/// [RJ1] The last start has taken part; so none of the others has.
#[test]
fn start_that_was_let_in_is_the_only_one_to_remember() {
    let (fork, last) = (start(0, 3, 1), start(0, 4, 2));
    let mut peer = PeerStarts::new(vec![fork, last], Time::ZERO);
    assert!(!peer.note_admitted(fork.body.id.boot_id), "a message that comes late says nothing");
    assert!(peer.note_admitted(last.body.id.boot_id));
    assert!(!peer.note_admitted(last.body.id.boot_id), "it is no news");
    assert_eq!(peer.all(), [last]);
}

/// [RJ1] What others remember is added.
#[test]
fn starts_that_others_remember_are_learnt() {
    let (one, other, later) = (start(0, 3, 1), start(0, 3, 2), start(0, 5, 1));
    let mut peer = nothing();
    assert!([one, later, other].iter().all(|start| peer.learn(start)));
    assert!(!peer.learn(&other));
    assert_eq!(peer.all(), [one, other, later]);
}

/// [RJ1] Each start costs a durable record, so they may not come one after the other.
#[test]
fn starts_that_come_too_often_are_not_followed() {
    let mut peer = nothing();
    for counter in 1..=u64::from(COUNT_MAX) + 1 {
        let start = start(0, counter, 1);
        let introduction = Introduction { start, knows: Vec::new(), takes_over: false };
        let heard = peer.hear(&introduction, Time::ZERO);
        let is_too_often = counter > u64::from(COUNT_MAX);
        assert_eq!(heard, if is_too_often { Err(Reject::TooOften) } else { Ok(Heard::Noted) });
    }
    assert_eq!(peer.all().len(), COUNT_MAX as usize);
}
