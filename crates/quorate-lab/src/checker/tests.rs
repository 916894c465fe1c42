//! Each property, shown a world in which it does not hold.

mod bounds;
mod disks;
mod promises;

use super::*;
use pbft::message::{
    Batch, Certainty, Checkpoint, CheckpointId, Operation, Outcome, PrePrepare, PreparedEntry,
    ReadReply, Reply, ReplyBody, Request, RequestBody, ServiceId, ViewChange, Vote,
};
use pbft::{
    Digest, Domain, Epoch, Incarnation, Session, Signed, SigningKey, Timestamp, View, WallTime,
};
use std::sync::Arc;

const DOMAIN: Domain = Domain { cluster: Digest::from_bytes([0; 32]), epoch: Epoch::ZERO };
const CLIENT: ClientId = ClientId::new(0);

fn replica(id: u32) -> ReplicaId {
    ReplicaId::new(id)
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn vote(view: u64, byte: u8) -> Vote {
    Vote { view: View::new(view), seq: SeqNum::new(1), digest: digest(byte) }
}

/// The property that does not hold after these observations.
fn judge(observations: &[Observation<'_>]) -> Option<&'static str> {
    let mut checkers = Checkers::new(4, &Parameters::default());
    let violation =
        observations.iter().find_map(|observation| checkers.observe(Time::ZERO, observation));
    violation.map(|violation| violation.property)
}

/// The property that does not hold in a world of four with these observations.
fn judge_world(observations: &[Observation<'_>]) -> Option<&'static str> {
    let mut checkers = Checkers::new(4, &Parameters::default()).with_promises(4);
    let violation =
        observations.iter().find_map(|observation| checkers.observe(Time::ZERO, observation));
    violation.map(|violation| violation.property)
}

fn durable(records: &[Record]) -> Observation<'_> {
    Observation::Durable { at: replica(1), starts: false, records }
}

fn handed(from: u32, message: &Message) -> Observation<'_> {
    Observation::Handled { at: replica(1), from: Endpoint::Replica(replica(from)), message }
}

fn pre_prepared(view: u64, byte: u8) -> Record {
    let Vote { view, seq, digest } = vote(view, byte);
    Record::PrePrepared { entry: PrePrepare { view, seq, digest }, signed: None }
}

fn prepared(view: u64, byte: u8) -> Record {
    let Vote { view, seq, digest } = vote(view, byte);
    Record::Prepared(PrePrepare { view, seq, digest })
}

const DURABLE: Option<&str> = Some("promises are durable before they leave");

fn sent(from: u32, message: &Message) -> Observation<'_> {
    let (from, to) = (replica(from), Endpoint::Replica(replica(9)));
    Observation::Sent { from, to, message }
}

fn signed<T: pbft::message::SignedBody>(signer: u32, body: T) -> Signed<T> {
    Signed::sign(&DOMAIN, &SigningKey::from_seed([7; 32].into()), replica(signer), body)
}

#[test]
fn two_digests_committed_at_one_number_break_agreement() {
    let seq = SeqNum::new(4);
    let committed = |byte| Event::Committed { seq, digest: digest(byte) };
    let (one, other) = (committed(1), committed(2));
    let at = |id, event| Observation::Happened { at: replica(id), event };
    assert_eq!(judge(&[at(0, &one), at(1, &one)]), None);
    assert_eq!(judge(&[at(0, &one), at(1, &other)]), Some("agreement"));
}

#[test]
fn two_states_at_one_number_are_noticed_in_what_is_sent() {
    let checkpoint = |signer: u32, byte: u8| {
        let id = CheckpointId { state_root: digest(byte), history_root: digest(0) };
        let body = Checkpoint { seq: SeqNum::new(8), id, replica: replica(signer) };
        Message::Checkpoint(signed(signer, body))
    };
    let (one, same, other) = (checkpoint(0, 1), checkpoint(1, 1), checkpoint(1, 2));
    assert_eq!(judge(&[sent(0, &one), sent(1, &same)]), None);
    assert_eq!(judge(&[sent(0, &one), sent(1, &other)]), Some("equal states"));
    // What one replica relays of another says nothing about the one that relays.
    assert_eq!(judge(&[sent(0, &one), sent(0, &other)]), None);
}

#[test]
fn fetched_state_that_is_not_what_its_digest_says_is_noticed() {
    let fetched =
        |byte| Observation::Fetched { at: replica(1), kept: digest(1), made_anew: digest(byte) };
    assert_eq!(judge(&[fetched(1)]), None);
    assert_eq!(judge(&[fetched(2)]), Some("equal states"));
}

#[test]
fn two_votes_of_one_kind_in_one_place_are_equivocation() {
    let (prepare, commit) = (Message::Prepare(vote(0, 1)), Message::Commit(vote(0, 2)));
    assert_eq!(judge(&[sent(0, &prepare), sent(0, &commit), sent(0, &prepare)]), None);
    let other = Message::Prepare(vote(0, 2));
    assert_eq!(judge(&[sent(0, &prepare), sent(1, &other)]), None);
    assert_eq!(
        judge(&[sent(0, &prepare), sent(0, &other)]),
        Some("no correct replica equivocates")
    );
    let in_next_view = Message::Prepare(vote(1, 2));
    assert_eq!(judge(&[sent(0, &prepare), sent(0, &in_next_view)]), None);
}

#[test]
fn two_pre_prepares_are_equivocation_of_the_primary_alone() {
    let proposal = |byte| {
        let body = PrePrepare { view: View::ZERO, seq: SeqNum::new(1), digest: digest(byte) };
        let batch = Batch {
            time: WallTime::default(),
            choice: Vec::new(),
            requests: Vec::new(),
            rejoins: Vec::new(),
        };
        Message::PrePrepare(signed(0, body), Arc::new(batch))
    };
    let (one, other) = (proposal(1), proposal(2));
    assert_eq!(judge(&[sent(0, &one), sent(0, &other)]), Some("no correct replica equivocates"));
    assert_eq!(judge(&[sent(1, &one), sent(1, &other)]), None);
}

/// Replica 0 leaves for view 2, P being what is given as numbers and views.
fn view_change(prepared: &[(u64, u64)]) -> Message {
    let id = CheckpointId { state_root: digest(0), history_root: digest(0) };
    let entry = |(seq, view): &(u64, u64)| PreparedEntry {
        seq: SeqNum::new(*seq),
        digest: digest(1),
        view: View::new(*view),
    };
    Message::ViewChange(Arc::new(signed(
        0,
        ViewChange {
            new_view: View::new(2),
            replica: replica(0),
            low_water_mark: SeqNum::new(128),
            checkpoints: vec![(SeqNum::new(128), id)],
            prepared: prepared.iter().map(entry).collect(),
            pre_prepared: Vec::new(),
        },
    )))
}

#[test]
fn an_entry_of_p_out_of_place_is_noticed() {
    let parameters = Parameters::default();
    let high = 128 + parameters.log_window;
    for prepared in [vec![], vec![(129, 0), (130, 1)], vec![(high, 1)]] {
        assert_eq!(judge(&[sent(0, &view_change(&prepared))]), None);
    }
    for prepared in [vec![(128, 0)], vec![(high + 1, 1)], vec![(129, 2)], vec![(129, 0), (129, 1)]]
    {
        let property = Some("VIEW-CHANGEs tell what they may");
        assert_eq!(judge(&[sent(0, &view_change(&prepared))]), property);
    }
}

#[test]
fn a_vote_in_a_view_that_was_left_is_noticed() {
    let leaving = view_change(&[]);
    let (before, after) = (Message::Commit(vote(1, 1)), Message::Commit(vote(2, 1)));
    assert_eq!(judge(&[sent(0, &before), sent(0, &leaving), sent(0, &after)]), None);
    assert_eq!(
        judge(&[sent(0, &leaving), sent(0, &before)]),
        Some("a view that was left stays left")
    );
}

/// The P entry of its VIEW-CHANGE stands by it.
#[test]
fn a_commit_that_the_view_change_lists_may_be_said_again() {
    let leaving = Message::ViewChange(Arc::new(signed(0, remembers(0, &[(1, 1)]))));
    let (listed, other) = (Message::Commit(vote(1, 1)), Message::Commit(vote(1, 2)));
    let prepare = Message::Prepare(vote(1, 1));
    let property = Some("a view that was left stays left");
    assert_eq!(judge(&[sent(0, &leaving), sent(0, &listed)]), None);
    assert_eq!(judge(&[sent(0, &leaving), sent(0, &other)]), property);
    assert_eq!(judge(&[sent(0, &leaving), sent(0, &prepare)]), property);
}

/// Replica 0 executes the operation in this generation of its state, at this number.
fn executes(generation: u64, seq: u64) -> Observation<'static> {
    Observation::Executed {
        at: replica(0),
        generation,
        seq: SeqNum::new(seq),
        client: CLIENT,
        operation: b"once",
        steps: &[],
    }
}

/// That the batch with this number is executed and committed.
fn executed(seq: u64) -> Event {
    Event::Executed { seq: SeqNum::new(seq), digest: digest(1), requests: 1 }
}

#[test]
fn a_second_execution_is_noticed_but_a_replay_is_not() {
    let (third, fourth) = (executed(3), executed(4));
    let happened = |event| Observation::Happened { at: replica(0), event };
    let property = Some("one execution of each operation");
    let replay = [executes(1, 3), happened(&third), executes(2, 3), happened(&third)];
    assert_eq!(judge(&replay), None);
    assert_eq!(judge(&[executes(1, 3), executes(1, 3), happened(&third)]), property);
    let elsewhere = [executes(1, 3), happened(&third), executes(1, 4), happened(&fourth)];
    assert_eq!(judge(&elsewhere), property);
    // What is rolled back takes no effect, whatever comes in its place.
    let undone = Observation::Undone { at: replica(0), from: SeqNum::new(3) };
    let lost = [executes(1, 3), undone, happened(&third), executes(2, 4), happened(&fourth)];
    assert_eq!(judge(&lost), None);
    assert_eq!(judge(&[executes(1, 3), undone, executes(2, 3), happened(&third)]), None);
    let kept = [executes(1, 3), happened(&third), executes(2, 4), happened(&fourth)];
    assert_eq!(judge(&kept), property);
}

#[test]
fn a_result_that_no_correct_replica_gave_is_noticed() {
    let operation = Operation { service: ServiceId(0), body: b"op".to_vec() };
    let request = Request {
        client: CLIENT,
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        acknowledged_below: Timestamp::new(1),
        replier: None,
        body: RequestBody::Operations(vec![operation]),
    };
    let outcome = |result: &[u8]| Outcome::Executed(vec![result.to_vec()]);
    let told = |body| Reply {
        view: View::ZERO,
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        certainty: Certainty::Committed,
        designated: replica(0),
        body,
    };
    let whole = |result| told(ReplyBody::Full(outcome(result)));
    let digest_of = |result| Message::Reply(told(ReplyBody::Digest(outcome(result).digest())));
    let answered = |from, message| Observation::Sent {
        from: replica(from),
        to: Endpoint::Client(CLIENT),
        message,
    };
    let accepted = |result| Observation::Accepted { client: CLIENT, operation: b"op", result };
    let requested = Observation::Requested { request: &request };
    let replied = |reply| Observation::Told { client: CLIENT, from: replica(0), reply };
    let (truth, lie) = (whole(b"truth"), whole(b"lie"));
    let (vouched, other) = (digest_of(b"truth"), digest_of(b"lie"));
    let property = Some("accepted results are results of correct replicas");
    let from_a_liar = [requested, answered(0, &vouched), replied(&lie), replied(&truth)];
    let then = |last| [&from_a_liar[..], &[last]].concat();
    assert_eq!(judge(&then(accepted(b"truth"))), None);
    assert_eq!(judge(&then(accepted(b"lie"))), property);
    assert_eq!(judge(&[requested, replied(&truth), accepted(b"truth")]), property);
    assert_eq!(judge(&[requested, answered(0, &vouched), accepted(b"truth")]), property);
    assert_eq!(judge(&[requested, answered(0, &vouched), answered(1, &other)]), property);
    let given_up = Observation::GivenUp { client: CLIENT, operation: b"op" };
    let digest = outcome(b"truth").digest();
    let lost = Message::Reply(told(ReplyBody::Full(Outcome::ExecutedBefore(digest))));
    assert_eq!(judge(&then(given_up)), property);
    assert_eq!(judge(&[requested, answered(0, &lost), given_up]), None);
    // What was told tentatively may be undone, if nobody has accepted it.
    let undone = told(ReplyBody::Full(outcome(b"undone")));
    let tentative = Message::Reply(Reply { certainty: Certainty::Tentative, ..undone.clone() });
    let begun = [requested, answered(0, &tentative), replied(&undone), replied(&truth)];
    let then = |last: [Observation<'_>; 2]| judge(&[&begun[..], &last].concat());
    assert_eq!(then([answered(1, &vouched), accepted(b"truth")]), None);
    assert_eq!(then([accepted(b"undone"), answered(1, &vouched)]), property);
    assert_eq!(then([answered(1, &vouched), accepted(b"undone")]), property);
}

/// What replicas say of a result, one after the other, and that the client accepts it then.
fn judge_acceptance(said: &[(u32, Certainty, u64)]) -> Option<&'static str> {
    let request = Request {
        client: CLIENT,
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        acknowledged_below: Timestamp::new(1),
        replier: None,
        body: RequestBody::Operations(vec![Operation {
            service: ServiceId(0),
            body: b"op".to_vec(),
        }]),
    };
    let reply = |certainty, view| Reply {
        view: View::new(view),
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        certainty,
        designated: replica(0),
        body: ReplyBody::Full(Outcome::Executed(vec![b"r".to_vec()])),
    };
    let mut checker = acceptances::Acceptances::new(4, false);
    let mut see = |observation: Observation<'_>| checker.observe(&observation).is_err();
    assert!(!see(Observation::Requested { request: &request }));
    for (from, certainty, view) in said {
        let reply = &reply(*certainty, *view);
        assert!(!see(Observation::Told { client: CLIENT, from: replica(*from), reply }));
    }
    let accepted = Observation::Accepted { client: CLIENT, operation: b"op", result: b"r" };
    see(accepted).then_some(checker.property())
}

#[test]
fn a_result_that_no_quorum_stands_for_is_noticed() {
    use Certainty::{Committed, CommittedInView, Tentative};
    let property = Some("clients believe quorums");
    for (of_1, of_2, expected) in [
        ((Committed, 0), (Committed, 1), None),
        ((Committed, 0), (CommittedInView, 1), None),
        ((Tentative, 1), (Committed, 1), property),
        ((Tentative, 1), (Tentative, 2), property),
    ] {
        let said = [(0, Committed, 0), (1, of_1.0, of_1.1), (2, of_2.0, of_2.1)];
        assert_eq!(judge_acceptance(&said), expected, "{said:?}");
    }
    let of_view = |certainty| [(0, Tentative, 1), (1, Tentative, 1), (2, certainty, 1)];
    assert_eq!(judge_acceptance(&of_view(CommittedInView)), None);
    assert_eq!(judge_acceptance(&of_view(Tentative)), None);
    assert_eq!(judge_acceptance(&of_view(Committed)), property);
    assert_eq!(judge_acceptance(&of_view(Tentative)[..2]), property, "too few");
}

#[test]
fn a_reading_from_before_an_earlier_one_is_noticed() {
    let shown = |executed| {
        Message::ReadReply(ReadReply {
            session: Session::new(1),
            number: 1,
            executed: SeqNum::new(executed),
            readings: Vec::new(),
        })
    };
    let (early, late) = (shown(7), shown(8));
    let sent = |from, message| Observation::Sent {
        from: replica(from),
        to: Endpoint::Client(CLIENT),
        message,
    };
    assert_eq!(judge(&[sent(0, &early), sent(0, &late), sent(1, &early)]), None);
    let property = Some("no reading goes back");
    assert_eq!(judge(&[sent(0, &late), sent(0, &early)]), property);
}

/// What a replica would tell that is at the beginning and has these entries of P and Q.
fn remembers(id: u32, prepared: &[(u64, u8)]) -> ViewChange {
    let entries: Vec<PreparedEntry> = prepared
        .iter()
        .map(|(view, byte)| PreparedEntry {
            seq: SeqNum::new(1),
            digest: digest(*byte),
            view: View::new(*view),
        })
        .collect();
    let genesis = CheckpointId { state_root: digest(0), history_root: digest(0) };
    ViewChange {
        new_view: View::new(5),
        replica: replica(id),
        low_water_mark: SeqNum::ZERO,
        checkpoints: vec![(SeqNum::ZERO, genesis)],
        prepared: entries.clone(),
        pre_prepared: entries,
    }
}

#[test]
fn a_committed_digest_that_a_quorum_would_not_choose_is_noticed() {
    let committed = Event::Committed { seq: SeqNum::new(1), digest: digest(1) };
    let committed = Observation::Happened { at: replica(0), event: &committed };
    let told = |all: &[ViewChange]| {
        let told = all
            .iter()
            .map(|tells| Observation::Remembers { at: tells.replica, tells: Some(tells) });
        judge(&told.chain([committed]).collect::<Vec<_>>())
    };
    let property = Some("what is committed is the only choice");
    let prepared = |id| remembers(id, &[(1, 1)]);
    let silent = |id| remembers(id, &[]);
    // The quorum that committed it, with or without the one that did not hear of it.
    assert_eq!(told(&[prepared(0), prepared(1), prepared(2), silent(3)]), None);
    assert_eq!(told(&[prepared(0), silent(1), silent(2), silent(3)]), property, "null");
    let other = |id| remembers(id, &[(2, 2)]);
    assert_eq!(told(&[prepared(0), prepared(1), other(2), other(3)]), property, "a later digest");
    assert_eq!(told(&[prepared(0), silent(1)]), None, "no quorum is up");
}

/// Replica 3 rejoins twice, so many milliseconds apart; in between something else happens.
fn judge_rejoins(apart_ms: u64, between: Option<Observation<'_>>) -> Option<&'static str> {
    let at = replica(0);
    let given = |number: u64| Event::RejoinExecuted {
        replica: replica(3),
        incarnation: Incarnation::new(number),
        seq: SeqNum::new(number),
    };
    let (first, second) = (given(1), given(2));
    let (begin, end) = (Time::from_micros(1_000_000), Time::from_micros(1000 * (1000 + apart_ms)));
    let timeline = [
        Some((begin, Observation::Happened { at, event: &first })),
        between.map(|between| (begin.after(Duration::from_millis(1)), between)),
        Some((end, Observation::Happened { at, event: &second })),
    ];
    let mut checkers = Checkers::new(4, &Parameters::default());
    let mut all = timeline.into_iter().flatten();
    let violation = all.find_map(|(time, observation)| checkers.observe(time, &observation));
    violation.map(|violation| violation.property)
}

#[test]
fn rejoin_soon_after_another_one_is_noticed() {
    let started = Observation::Durable { at: replica(1), starts: true, records: &[] };
    let noticed = Some("a replica rejoins seldom");
    assert_eq!(judge_rejoins(179_999, None), noticed);
    assert_eq!(judge_rejoins(180_000, None), None);
    assert_eq!(judge_rejoins(179_999, Some(started)), None, "one does not know since when");
}
