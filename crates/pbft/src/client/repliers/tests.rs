use super::super::tests::{completions, open_client, operation, reply, result, sent_requests};
use super::*;
use crate::Timestamp;
use crate::client::{Client, ClientOutput, Completion, ReplyRule};
use crate::message::{Outcome, Reply, ReplyBody};
use alloc::vec::Vec;

const LATELY: Duration = Duration::from_secs(2);

fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

fn answered_by(replicas: &[u32]) -> Repliers {
    let mut repliers = Repliers::default();
    for replica in replicas {
        repliers.answered(at(0), ReplicaId::new(*replica));
    }
    repliers
}

fn named(repliers: &mut Repliers, now: Time, count: usize) -> Vec<Option<u32>> {
    (0..count).map(|_| repliers.next(now, LATELY).map(ReplicaId::get)).collect()
}

/// [DR6]
#[test]
fn replicas_that_answered_are_named_in_turn() {
    let mut repliers = answered_by(&[0, 1, 3]);
    let five = [Some(1), Some(3), Some(0), Some(1), Some(3)];
    assert_eq!(named(&mut repliers, at(0), 5), five);
    assert_eq!(Repliers::default().next(at(0), LATELY), None, "nobody has answered yet");
}

/// [DR6] Not by the clock: a client that was idle for an hour goes on where it was.
#[test]
fn replica_that_fell_silent_while_others_answered_is_not_named() {
    let mut repliers = answered_by(&[0, 1, 2]);
    repliers.answered(at(2_001), ReplicaId::new(1));
    repliers.answered(at(2_000), ReplicaId::new(2));
    assert_eq!(named(&mut repliers, at(3_600_000), 3), [Some(1), Some(2), Some(1)]);
    repliers.answered(at(2_001), ReplicaId::new(0));
    assert_eq!(named(&mut repliers, at(3_600_000), 2), [Some(2), Some(0)]);
}

/// [DR5] And if all were passed over nobody is named, so that all send results whole.
#[test]
fn replica_that_did_not_deliver_is_passed_over_for_a_while() {
    let mut repliers = answered_by(&[0, 1]);
    repliers.pass_over(at(0), ReplicaId::new(1));
    assert_eq!(named(&mut repliers, at(9_999), 2), [Some(0), Some(0)]);
    repliers.pass_over(at(9_999), ReplicaId::new(0));
    assert_eq!(named(&mut repliers, at(9_999), 1), [None]);
    assert_eq!(named(&mut repliers, at(10_000), 2), [Some(1), Some(1)]);
}

/// A client whose request 1 names replica 1, and what it would be told by whom.
struct Asked {
    client: Client,
    now: Time,
    outputs: Vec<ClientOutput>,
}

impl Asked {
    fn new(rule: ReplyRule) -> Self {
        let mut client = open_client(rule);
        client.submit(operation(b"a")).unwrap();
        let mut outputs = Vec::new();
        client.flush(Time::ZERO, &mut outputs);
        let replier = sent_requests(&outputs)[0].replier;
        assert_eq!(replier, Some(ReplicaId::new(1)), "0 to 2 opened its session");
        outputs.clear();
        Self { client, now: Time::ZERO, outputs }
    }

    fn hear(&mut self, from: u32, body: ReplyBody) {
        let reply = Reply { body, ..reply(5, 1, Outcome::OutsideWindow) };
        self.client.on_reply(self.now, ReplicaId::new(from), reply, &mut self.outputs);
    }

    fn hear_digests(&mut self, from: &[u32]) {
        for id in from {
            self.hear(*id, digest_of(b"true"));
        }
    }

    /// Lets time pass until something is due, and returns how often the request is sent then.
    fn wait(&mut self) -> usize {
        self.now = self.client.next_deadline().unwrap();
        let mut outputs = Vec::new();
        self.client.on_tick(self.now, &mut outputs);
        sent_requests(&outputs).len()
    }

    fn is_answered(&self) -> bool {
        let all = completions(&self.outputs);
        assert!(all.iter().all(|it| *it == Completion::Executed(b"true".to_vec())), "{all:?}");
        !all.is_empty()
    }
}

fn digest_of(body: &[u8]) -> ReplyBody {
    ReplyBody::Digest(result(body).digest())
}

fn whole(body: &[u8]) -> ReplyBody {
    ReplyBody::Full(result(body))
}

/// [DR4] In whatever order they come; and a quorum of digests alone says nothing to the caller.
#[test]
fn result_is_that_which_hashes_to_what_a_quorum_vouches_for() {
    let mut asked = Asked::new(ReplyRule::AlwaysQuorum);
    asked.hear_digests(&[0, 2, 3]);
    assert!(!asked.is_answered());
    asked.hear(1, whole(b"true"));
    assert!(asked.is_answered());
    let mut asked = Asked::new(ReplyRule::AlwaysQuorum);
    asked.hear(1, whole(b"true"));
    asked.hear_digests(&[0]);
    assert!(!asked.is_answered(), "two are no quorum");
    asked.hear_digests(&[2]);
    assert!(asked.is_answered());
}

/// [DR4] A wrong result is its sender's word only: it neither counts as the right one nor takes its
/// place, whether it comes before or after.
#[test]
fn whole_result_that_hashes_to_something_else_is_ignored() {
    for rule in [ReplyRule::AlwaysQuorum, ReplyRule::WeakUnlessTentative] {
        let mut asked = Asked::new(rule);
        asked.hear(1, digest_of(b"true"));
        asked.hear(1, whole(b"false"));
        asked.hear_digests(&[0, 2, 3]);
        assert!(!asked.is_answered());
        asked.hear(2, whole(b"true"));
        assert!(asked.is_answered());
    }
    let mut asked = Asked::new(ReplyRule::AlwaysQuorum);
    asked.hear(0, whole(b"true"));
    asked.hear(1, whole(b"false"));
    asked.hear_digests(&[2, 3]);
    assert!(asked.is_answered());
}

/// [DR4] A liar that claims the result lost does not make it so for those who vouch for it by its
/// digest, and keep it.
#[test]
fn result_is_not_lost_while_those_who_vouch_for_it_can_be_asked() {
    for rule in [ReplyRule::AlwaysQuorum, ReplyRule::WeakUnlessTentative] {
        let mut asked = Asked::new(rule);
        asked.hear(1, ReplyBody::Full(Outcome::ExecutedBefore(result(b"true").digest())));
        asked.hear_digests(&[0, 2, 3]);
        assert!(!asked.is_answered());
        asked.hear(2, whole(b"true"));
        assert!(asked.is_answered());
    }
}

/// [DR5] All are asked as soon as the patience is over, once; whoever was named is passed over, and
/// the usual retransmissions go on if that is lost as well.
#[test]
fn withheld_result_is_soon_asked_of_all() {
    let mut asked = Asked::new(ReplyRule::AlwaysQuorum);
    asked.now = Time::from_micros(40_000);
    asked.hear_digests(&[0, 1]);
    let (resend, vouched_at) = (asked.client.next_deadline().unwrap(), Time::from_micros(45_000));
    asked.now = vouched_at;
    asked.hear_digests(&[2]);
    assert_eq!(asked.wait(), 1, "asked of all");
    let waited = asked.now.since(vouched_at);
    assert!(waited < Duration::from_millis(45) && asked.now < resend, "{waited:?}");
    let again = asked.client.next_deadline().unwrap();
    assert_eq!(again, resend, "not at once a second time");
    assert_eq!(asked.wait(), 1, "the retransmission");
    asked.hear(3, whole(b"true"));
    assert!(asked.is_answered());
    let mut named = Vec::new();
    for timestamp in 2..6 {
        asked.client.submit(operation(b"a")).unwrap();
        let mut outputs = Vec::new();
        asked.client.flush(asked.now, &mut outputs);
        named.extend(sent_requests(&outputs)[0].replier.map(ReplicaId::get));
        for id in 0..4 {
            let answer = reply(5, timestamp, result(b"b"));
            asked.client.on_reply(asked.now, ReplicaId::new(id), answer, &mut outputs);
        }
    }
    assert_eq!(named, [2, 3, 0, 2], "replica 1 did not deliver");
}

/// [DR5] However long results are withheld: the latency is the time in which replicas vouch.
#[test]
fn patience_is_the_usual_latency_and_does_not_grow_because_results_are_withheld() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let (mut now, mut waited) = (Time::ZERO, Duration::ZERO);
    for timestamp in 1..=80 {
        client.submit(operation(b"a")).unwrap();
        client.flush(now, &mut Vec::new());
        now = now.after(Duration::from_millis(20));
        let hear = |client: &mut Client, now, id, body| {
            let reply = Reply { body, ..reply(5, timestamp, Outcome::OutsideWindow) };
            client.on_reply(now, ReplicaId::new(id), reply, &mut Vec::new());
        };
        for id in 0..3 {
            hear(&mut client, now, id, digest_of(b"true"));
        }
        let due = client.next_deadline().unwrap();
        waited = due.since(now);
        client.on_tick(due, &mut Vec::new());
        now = due.after(Duration::from_millis(500));
        hear(&mut client, now, 3, whole(b"true"));
        assert_eq!(client.unfinished(), 0);
    }
    let usual = Duration::from_millis(20);
    assert!(waited >= usual * 99 / 100 && waited <= usual * 101 / 100, "{waited:?}");
}

/// [DR6] Neither where nobody answers by digests, nor before anybody has answered.
#[test]
fn nobody_is_named_where_all_send_results_whole_or_to_open_a_session() {
    let mut client = super::super::tests::client(ReplyRule::AlwaysQuorum);
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    assert_eq!(sent_requests(&outputs)[0].replier, None);
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    alloc::sync::Arc::make_mut(&mut client.config).parameters.digest_replies = false;
    client.submit(operation(b"a")).unwrap();
    outputs.clear();
    client.flush(Time::ZERO, &mut outputs);
    assert_eq!(sent_requests(&outputs)[0].replier, None);
}

/// [DR3] A replica may send its whole result once more when all were asked.
#[test]
fn whole_result_is_wanted_of_everybody_once_all_were_asked() {
    let mut asked = Asked::new(ReplyRule::AlwaysQuorum);
    // The first one may have been rolled back.
    asked.hear(1, whole(b"false"));
    asked.hear(1, whole(b"false"));
    asked.hear_digests(&[0, 2, 3]);
    let right = Reply { body: whole(b"true"), ..reply(5, 1, Outcome::OutsideWindow) };
    assert_eq!(right.timestamp, Timestamp::new(1));
    let bytes = crate::wire::encode(crate::Epoch::ZERO, &crate::message::Message::Reply(right));
    let head = crate::wire::head(crate::Epoch::ZERO, &bytes).unwrap();
    assert!(
        !asked.client.wants(ReplicaId::new(1), &head),
        "one whole result each time, and one more"
    );
    assert_eq!(asked.wait(), 1);
    assert!((0..4).all(|id| asked.client.wants(ReplicaId::new(id), &head)));
}
