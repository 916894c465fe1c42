//! Each vice through the seam, as a host uses it.

mod lies;
mod outlines;
mod silences;

use super::*;
use pbft::message::{Batch, Certainty, Committed, Outcome, PrePrepare, Reply, ReplyBody, Vote};
use pbft::{
    Digest, Domain, Epoch, Parameters, Sender, SeqNum, Session, Signed, Timestamp, View, WallTime,
};
use std::collections::BTreeSet;

fn key(index: u8) -> SigningKey {
    SigningKey::from_seed([index + 1; 32].into())
}

fn identity(replica_count: u8, id: u32) -> Identity {
    let domain = Domain { cluster: Digest::default(), epoch: Epoch::ZERO };
    let replicas = (0..replica_count).map(|index| key(index).verification_key()).collect();
    let config =
        Config::new(domain, Digest::default(), replicas, Vec::new(), Parameters::default());
    let id = ReplicaId::new(id);
    let key = key(u8::try_from(id.get()).unwrap());
    Identity { config: Arc::new(config.unwrap()), id, key, forge: flip_last_byte }
}

fn adversary(behaviour: Behaviour) -> Adversary {
    Adversary::new(behaviour, identity(4, 0), 1)
}

fn replica(id: u32) -> Endpoint {
    Endpoint::Replica(ReplicaId::new(id))
}

fn vote() -> Vote {
    Vote { view: View::ZERO, seq: SeqNum::new(1), digest: Digest::of("test", &[]) }
}

fn proposal(identity: &Identity) -> Message {
    let time = WallTime::from_millis(5);
    let batch = Batch { time, choice: Vec::new(), requests: Vec::new(), rejoins: Vec::new() };
    let body = PrePrepare { view: View::ZERO, seq: SeqNum::new(1), digest: batch.digest() };
    let signed = Signed::sign(&identity.config.domain, &identity.key, identity.id, body);
    Message::PrePrepare(signed, Arc::new(batch))
}

fn only(mut sendings: Vec<Sending>) -> Message {
    assert_eq!(sendings.len(), 1);
    message(sendings.remove(0))
}

fn messages(sendings: Vec<Sending>) -> Vec<Message> {
    sendings.into_iter().map(message).collect()
}

fn message(sending: Sending) -> Message {
    match sending.payload {
        Payload::Message(message) => message,
        Payload::Bytes(_) => panic!("no message"),
    }
}

/// What the adversary sends because of a message, and whether it shows it to its replica.
fn hear(adversary: &mut Adversary, from: Endpoint, message: Message) -> (Vec<Sending>, bool) {
    let mut sendings = Vec::new();
    let shown = adversary.on_receive(from, message, &mut sendings);
    (sendings, shown.is_some())
}

fn reply(results: &[&[u8]]) -> Message {
    Message::Reply(Reply {
        view: View::ZERO,
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        certainty: Certainty::Committed,
        designated: ReplicaId::new(0),
        body: ReplyBody::Full(Outcome::Executed(results.iter().map(|r| r.to_vec()).collect())),
    })
}

#[test]
fn an_equivocating_primary_shows_two_valid_proposals_and_commits_to_both() {
    for replica_count in [4, 5, 7, 10] {
        let identity = identity(replica_count, 0);
        let behaviour = Behaviour::EquivocatingPrimary { second: None, both: false };
        let mut adversary = Adversary::new(behaviour, identity.clone(), 1);
        let mut digests = BTreeSet::new();
        let mut deceived = 0;
        for backup in 1..u32::from(replica_count) {
            let shown = messages(adversary.on_send(replica(backup), proposal(&identity)));
            let [Message::PrePrepare(signed, _), Message::Prepare(vote)] = &shown[..] else {
                panic!("other kinds: {shown:?}")
            };
            let admitted = identity.config.admit(Sender::Replica(identity.id), shown[0].clone());
            assert!(admitted.is_ok(), "the lie passes the door");
            assert_eq!(vote.digest, signed.body.digest);
            digests.insert(signed.body.digest);
            let Message::PrePrepare(honest, _) = proposal(&identity) else { panic!() };
            let honest =
                Vote { view: honest.body.view, seq: honest.body.seq, digest: honest.body.digest };
            let commit = only(adversary.on_send(replica(backup), Message::Commit(honest)));
            let stood_by = Vote { digest: signed.body.digest, ..honest };
            assert_eq!(commit, Message::Commit(stood_by));
            deceived += u32::from(stood_by != honest);
        }
        assert_eq!(digests.len(), 2);
        assert_eq!(deceived, u32::from(replica_count).div_ceil(2) - u32::from(replica_count % 2));
    }
}

#[test]
fn an_equivocator_is_honest_as_a_backup() {
    let mut adversary = adversary(Behaviour::EquivocatingPrimary { second: None, both: false });
    let others = proposal(&identity(4, 1));
    assert_eq!(only(adversary.on_send(replica(3), others.clone())), others);
    let prepare = Message::Prepare(vote());
    assert_eq!(only(adversary.on_send(replica(3), prepare.clone())), prepare);
}

#[test]
fn a_faulty_primary_signs_a_digest_that_is_not_the_batchs() {
    let identity = identity(4, 0);
    let mut adversary = adversary(Behaviour::FaultyPrimary);
    let shown = only(adversary.on_send(replica(1), proposal(&identity)));
    let admitted = identity.config.admit(Sender::Replica(identity.id), shown);
    assert_eq!(admitted, Err(pbft::Reject::WrongDigest));
}

#[test]
fn a_faulty_node_corrupts_prepare_and_commits_honestly() {
    let mut adversary = adversary(Behaviour::FaultyNode { phase: Phase::Prepare });
    let Message::Prepare(shown) = only(adversary.on_send(replica(1), Message::Prepare(vote())))
    else {
        panic!("another kind")
    };
    assert_ne!(shown.digest, vote().digest);
    let commit = Message::Commit(vote());
    assert_eq!(only(adversary.on_send(replica(1), commit.clone())), commit);
    let mut other = self::adversary(Behaviour::FaultyNode { phase: Phase::Commit });
    assert_ne!(only(other.on_send(replica(1), commit.clone())), commit);
}

#[test]
fn a_faulty_node_claims_that_null_is_committed_where_it_is_not() {
    let mut adversary = adversary(Behaviour::FaultyNode { phase: Phase::Committed });
    let Vote { seq, digest, .. } = vote();
    let mut claimed = |digest| {
        let claim = Message::Committed(Committed { seq, digest });
        let Message::Committed(shown) = only(adversary.on_send(replica(1), claim)) else {
            panic!("another kind")
        };
        shown.digest
    };
    assert_eq!(claimed(digest), Batch::NULL);
    assert_ne!(claimed(Batch::NULL), Batch::NULL);
}

#[test]
fn false_replies_differ_from_the_truth_and_agree_among_liars() {
    let client = Endpoint::Client(ClientId::new(0));
    let lies: Vec<Message> = (0..2)
        .map(|id| {
            let behaviour = Behaviour::FaultyReplies { lie: ReplyLie::Changed };
            let mut liar = Adversary::new(behaviour, identity(4, id), 1);
            only(liar.on_send(client, reply(&[b"one", b""])))
        })
        .collect();
    assert_eq!(lies[0], lies[1]);
    assert_ne!(lies[0], reply(&[b"one", b""]));
}

/// Whichever way, the digest that it vouches for is the right one.
#[test]
fn a_liar_about_results_withholds_contradicts_or_disowns_them() {
    let client = Endpoint::Client(ClientId::new(0));
    let whole = reply(&[b"one"]);
    let Message::Reply(Reply { body: ReplyBody::Full(outcome), .. }) = &whole else { panic!() };
    let digest = outcome.digest();
    let said = |lie, message: &Message| -> Vec<ReplyBody> {
        let mut liar = adversary(Behaviour::FaultyReplies { lie });
        let said = messages(liar.on_send(client, message.clone()));
        let body = |message| match message {
            Message::Reply(reply) => reply.body,
            other => panic!("{other:?}"),
        };
        said.into_iter().map(body).collect()
    };
    let lost = ReplyBody::Full(Outcome::ExecutedBefore(digest));
    assert_eq!(said(ReplyLie::Withheld, &whole), [ReplyBody::Digest(digest)]);
    assert_eq!(said(ReplyLie::Lost, &whole), std::slice::from_ref(&lost));
    let contradicted = said(ReplyLie::Contradicted, &whole);
    let [ReplyBody::Digest(first), ReplyBody::Full(second)] = &contradicted[..] else {
        panic!("{contradicted:?}")
    };
    assert!(*first == digest && second != outcome);
    let Message::Reply(by_digest) = whole else { panic!() };
    let by_digest = Message::Reply(Reply { body: ReplyBody::Digest(digest), ..by_digest });
    for lie in [ReplyLie::Changed, ReplyLie::Withheld, ReplyLie::Contradicted] {
        assert_eq!(said(lie, &by_digest), [ReplyBody::Digest(digest)]);
    }
    assert_eq!(said(ReplyLie::Lost, &by_digest), [lost]);
}

#[test]
fn a_silent_replica_neither_sends_nor_hears() {
    let mut adversary = adversary(Behaviour::NonResponding);
    assert!(adversary.on_send(replica(1), Message::Prepare(vote())).is_empty());
    assert_eq!(hear(&mut adversary, replica(1), Message::Prepare(vote())), (Vec::new(), false));
}

#[test]
fn a_slow_replica_delays_what_it_is_told_to() {
    let delay = Duration::from_millis(70);
    for (slowed, late) in [(Slowed::Everything, delay), (Slowed::Replies, Duration::ZERO)] {
        let mut adversary = adversary(Behaviour::Slow { delay, slowed });
        assert_eq!(adversary.on_send(replica(1), Message::Prepare(vote()))[0].delay, late);
        let client = Endpoint::Client(ClientId::new(0));
        assert_eq!(adversary.on_send(client, reply(&[b"x"]))[0].delay, delay);
    }
}

#[test]
fn an_attacker_sends_everything_many_times() {
    let mut adversary = adversary(Behaviour::DosAttacker { factor: 20 });
    assert_eq!(adversary.on_send(replica(1), Message::Prepare(vote())).len(), 20);
}

#[test]
fn a_byzantine_node_does_everything_and_the_same_with_the_same_seed() {
    let run = |seed: u64| {
        let mut adversary = Adversary::new(Behaviour::Byzantine, identity(4, 0), seed);
        (0..200)
            .map(|_| adversary.on_send(replica(1), Message::Prepare(vote())))
            .collect::<Vec<_>>()
    };
    let shown = run(1);
    assert_eq!(shown, run(1));
    assert_ne!(shown, run(2));
    assert!(shown.iter().any(Vec::is_empty));
    assert!(shown.iter().flatten().any(|sending| sending.delay > Duration::ZERO));
    let honest = Payload::Message(Message::Prepare(vote()));
    assert!(shown.iter().flatten().any(|sending| sending.payload != honest));
}
