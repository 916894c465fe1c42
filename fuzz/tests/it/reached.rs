//! What the corpus gets to. Fuzzing that never passes the first check proves nothing.

use crate::{corpus, inputs};
use pbft::{ReplicaStatus, SeqNum};
use quorate_fuzz::{
    Decoded, Gateway, Opened, RPCS, Rpc, Taken, gateway, journal, record, recording, replica, wire,
};
use std::collections::{BTreeSet, HashSet};
use tonic::Code;

/// The variants of `Message`.
const MESSAGE_COUNT: usize = 23;

/// The variants of `Record`.
const RECORD_COUNT: usize = 13;

/// The variants of `Evidence`.
const EVIDENCE_COUNT: usize = 4;

/// The calls at the beginning of `RPCS` that the gateway serves; the others it refuses by name.
const SERVED_COUNT: usize = 8;

#[test]
fn every_message_is_decoded_and_all_but_replies_pass_the_door() {
    let decoded = inputs(&corpus("wire")).into_iter().filter_map(|input| wire(&input));
    let decoded: Vec<Decoded> = decoded.collect();
    let (mut all, mut admitted) = (HashSet::new(), HashSet::new());
    for message in decoded {
        let (Decoded::Admitted(variant) | Decoded::Refused(variant)) = message;
        all.insert(variant);
        if message == Decoded::Admitted(variant) {
            admitted.insert(variant);
        }
    }
    assert_eq!((all.len(), admitted.len()), (MESSAGE_COUNT, MESSAGE_COUNT - 2));
}

#[test]
fn every_record_is_decoded_and_every_kind_of_evidence_convicts_and_does_not() {
    let (mut records, mut evidence) = (HashSet::new(), HashSet::new());
    for input in inputs(&corpus("record")) {
        let found = record(&input);
        records.extend(found.record);
        evidence.extend(found.evidence);
    }
    assert_eq!(records.len(), RECORD_COUNT);
    let convicting = evidence.iter().filter(|(_, convicts)| *convicts).count();
    assert_eq!((convicting, evidence.len()), (EVIDENCE_COUNT, 2 * EVIDENCE_COUNT));
}

#[test]
fn the_attacked_replica_executes_and_leads_and_follows_and_fetches() {
    let reached: Vec<_> = inputs(&corpus("replica")).iter().map(|input| replica(input)).collect();
    let some = |what: &str, holds: &dyn Fn(&ReplicaStatus) -> bool| {
        assert!(reached.iter().any(holds), "{what}");
    };
    some("it executes", &|it| it.last_executed >= SeqNum::new(5));
    some("it has a stable checkpoint", &|it| it.stable_checkpoint.0 == SeqNum::new(4));
    some("it leads", &|it| it.view.get() == 1 && it.active && it.last_executed > SeqNum::ZERO);
    some("it follows", &|it| it.view.get() == 2 && it.active && it.last_executed > SeqNum::ZERO);
    some("it waits for a new view", &|it| !it.active);
    some("it fetches", &|it| it.fetching.is_some() || it.last_executed == SeqNum::new(8));
    some("it waits for a request", &|it| it.waiting_requests > 0);
}

#[test]
fn opening_a_journal_ends_in_every_way_after_a_life_and_with_any_files() {
    let all = [Opened::Refused, Opened::Whole, Opened::Empty, Opened::Torn];
    for kind in 0..2 {
        let of_kind = |input: &Vec<u8>| input.first().is_some_and(|first| first % 2 == kind);
        let of_kind = inputs(&corpus("journal")).into_iter().filter(of_kind);
        let opened: BTreeSet<Opened> = of_kind.filter_map(|input| journal(&input)).collect();
        assert!(opened.iter().eq(&all), "{opened:?}");
    }
}

#[test]
fn recordings_are_taken_in_every_way() {
    let all = [
        Taken::Refused,
        Taken::Diverged,
        Taken::Cut,
        Taken::Identical,
        Taken::Lived,
        Taken::Halted,
    ];
    let taken = inputs(&corpus("recording")).into_iter().filter_map(|input| recording(&input));
    assert!(taken.collect::<BTreeSet<Taken>>().iter().eq(&all));
}

#[test]
fn every_call_is_accepted_and_refused_and_every_code_is_answered() {
    let mut served = BTreeSet::new();
    let mut codes = HashSet::new();
    let mut rewritten = BTreeSet::new();
    for input in inputs(&corpus("gateway")) {
        match gateway(&input) {
            Some(Gateway::Calls(answered)) => {
                for call in answered {
                    codes.insert(call.code);
                    let scripted = call.is_submitted.then_some(call.is_scripted);
                    served.insert((call.rpc, scripted, call.code == Code::Ok));
                }
            }
            Some(Gateway::Connection { is_rewritten }) => {
                rewritten.insert(is_rewritten);
            }
            None => {}
        }
    }
    for (rpc, Rpc { path, .. }) in RPCS.iter().enumerate().take(SERVED_COUNT) {
        let asks_nobody = path.ends_with("MemberList");
        for scripted in if asks_nobody { vec![None] } else { vec![Some(false), Some(true)] } {
            assert!(served.contains(&(rpc, scripted, true)), "{path} accepted, {scripted:?}");
        }
        assert!(served.contains(&(rpc, None, false)), "{path} refused");
    }
    for (rpc, Rpc { path, .. }) in RPCS.iter().enumerate().skip(SERVED_COUNT) {
        assert!(served.contains(&(rpc, None, false)), "{path} refused by name");
    }
    assert_eq!(rewritten.len(), 2, "connections with a malformed authority, and without");
    let expected = [
        Code::Ok,
        Code::InvalidArgument,
        Code::NotFound,
        Code::ResourceExhausted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
    ];
    for code in expected {
        assert!(codes.contains(&code), "{code:?}");
    }
}
