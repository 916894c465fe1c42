//! What a replica says before its disk knows it: of each kind of message the very record that is
//! missing.

use super::*;
use pbft::Incarnation;
use pbft::message::{
    Answer, BootId, Certainty, Hello, HelloReply, Introduction, NewView, NewViewProof, Question,
    Rejoin, Remembered, StableProof, Start, StartId,
};

fn batch(byte: u8) -> Arc<Batch> {
    let request = Request {
        client: CLIENT,
        session: Session::new(1),
        timestamp: Timestamp::new(byte.into()),
        acknowledged_below: Timestamp::new(1),
        replier: None,
        body: RequestBody::OpenSession,
    };
    let key = SigningKey::from_seed([7; 32].into());
    let requests = vec![Arc::new(pbft::SignedRequest::sign(&DOMAIN, &key, request))];
    Arc::new(Batch { requests, ..Batch::default() })
}

/// A vote for a batch with that request.
fn vote_for(view: u64, seq: u64, byte: u8) -> Vote {
    Vote { view: View::new(view), seq: SeqNum::new(seq), digest: batch(byte).digest() }
}

fn q_entry(Vote { view, seq, digest }: Vote) -> Record {
    Record::PrePrepared { entry: PrePrepare { view, seq, digest }, signed: None }
}

fn p_entry(Vote { view, seq, digest }: Vote) -> Record {
    Record::Prepared(PrePrepare { view, seq, digest })
}

fn mark(Vote { seq, digest, .. }: Vote) -> Record {
    Record::Committed { seq, digest }
}

fn starts_with(records: &[Record]) -> Observation<'_> {
    Observation::Durable { at: replica(1), starts: true, records }
}

fn new_view(view: u64) -> Arc<NewViewProof> {
    let genesis = CheckpointId { state_root: digest(0), history_root: digest(0) };
    let checkpoint = (SeqNum::ZERO, genesis);
    let (chosen, view_changes) = (Vec::new(), Vec::new());
    let body = NewView { view: View::new(view), checkpoint, chosen, view_changes };
    Arc::new(NewViewProof { new_view: signed(0, body), view_changes: Vec::new() })
}

/// Replica 1 may say this if its disk holds all of these records, and not if any of them is missing
/// or comes too late.
fn each_is_needed(before: &[Observation<'_>], records: &[Record], message: Observation<'_>) {
    let judge = |records: &[Record]| judge_world(&[before, &[durable(records), message]].concat());
    assert_eq!(judge(records), None, "{message:?}");
    for missing in 0..records.len() {
        let mut some = records.to_vec();
        let record = some.remove(missing);
        assert_eq!(judge(&some), DURABLE, "{message:?} without {record:?}");
        let late = [record];
        let observations = [before, &[durable(&some), message, durable(&late)]].concat();
        assert_eq!(judge_world(&observations), DURABLE, "{message:?} before {late:?}");
    }
    let forgotten = [before, &[durable(records), starts_with(&[]), message]].concat();
    assert_eq!(judge_world(&forgotten), DURABLE, "{message:?} after a restart without memory");
}

#[test]
fn prepare_needs_its_batch_and_its_q_entry() {
    let vote = vote_for(0, 1, 1);
    let prepare = Message::Prepare(vote);
    each_is_needed(&[], &[Record::Batch(batch(1)), q_entry(vote)], sent(1, &prepare));
    let other = [Record::Batch(batch(1)), q_entry(vote_for(0, 1, 2))];
    assert_eq!(judge_world(&[durable(&other), sent(1, &prepare)]), DURABLE);
    let null = Vote { digest: Batch::NULL, ..vote };
    each_is_needed(&[], &[q_entry(null)], sent(1, &Message::Prepare(null)));
}

#[test]
fn first_vote_in_a_view_needs_its_new_view() {
    let vote = vote_for(4, 1, 1);
    let records = [Record::NewView(new_view(4)), Record::Batch(batch(1)), q_entry(vote)];
    each_is_needed(&[], &records, sent(1, &Message::Prepare(vote)));
}

#[test]
fn pre_prepare_of_its_own_needs_what_a_prepare_needs_and_so_does_its_repetition() {
    let vote = vote_for(0, 1, 1);
    let Vote { view, seq, digest } = vote;
    let body = PrePrepare { view, seq, digest };
    let records = [Record::Batch(batch(1)), q_entry(vote)];
    let message = |signer| Message::PrePrepare(signed(signer, body), batch(1));
    each_is_needed(&[], &records, sent(1, &message(1)));
    each_is_needed(&[], &records, sent(1, &Message::PrePrepareSeen(signed(1, body))));
    let of_another = Message::PrePrepareSeen(signed(0, body));
    assert_eq!(judge_world(&[sent(1, &of_another)]), None, "another promised that");
}

fn executed(vote: Vote) -> Event {
    Event::Executed { seq: vote.seq, digest: vote.digest, requests: 1 }
}

fn happened(event: &Event) -> Observation<'_> {
    Observation::Happened { at: replica(1), event }
}

/// The answer to the request in that batch.
fn answer(byte: u8) -> Message {
    Message::Reply(Reply {
        view: View::ZERO,
        session: Session::new(1),
        timestamp: Timestamp::new(byte.into()),
        certainty: Certainty::Committed,
        designated: replica(1),
        body: ReplyBody::Full(Outcome::SessionOpened),
    })
}

fn answered(message: &Message) -> Observation<'_> {
    Observation::Sent { from: replica(1), to: Endpoint::Client(CLIENT), message }
}

#[test]
fn reply_needs_a_record_of_every_number_up_to_its_own() {
    let votes = [vote_for(0, 1, 1), vote_for(0, 2, 2), vote_for(0, 3, 3)];
    let events = votes.map(executed);
    let batches = [1, 2, 3].map(|byte| Record::Batch(batch(byte)));
    let before =
        [durable(&batches), happened(&events[0]), happened(&events[1]), happened(&events[2])];
    let second = answer(2);
    each_is_needed(&before, &[p_entry(votes[0]), mark(votes[1])], answered(&second));
    each_is_needed(&before, &[mark(votes[0]), p_entry(votes[1])], answered(&second));
    let other = [mark(votes[0]), p_entry(vote_for(0, 2, 9))];
    let judge = |records: &[Record], message: &Message| {
        judge_world(&[&before[..], &[durable(records), answered(message)]].concat())
    };
    assert_eq!(judge(&other, &second), DURABLE, "another batch prepared there");
    let (id, seq) = (CheckpointId { state_root: digest(1), history_root: digest(1) }, votes[1].seq);
    assert_eq!(judge(&[Record::StateInstalled { seq, id }], &second), None, "it was fetched");
    assert_eq!(judge(&[Record::StateInstalled { seq, id }], &answer(3)), DURABLE);
    assert_eq!(judge(&[], &answer(9)), None, "it was not executed, as its session says");
}

#[test]
fn checkpoint_needs_itself_and_the_marks_up_to_it() {
    let votes = [vote_for(0, 1, 1), vote_for(0, 2, 2)];
    let events = votes.map(executed);
    let id = CheckpointId { state_root: digest(1), history_root: digest(1) };
    let body = Checkpoint { seq: votes[1].seq, id, replica: replica(1) };
    let own = signed(1, body);
    let before = [happened(&events[0]), happened(&events[1])];
    let records = [Record::Checkpoint(own), mark(votes[0]), mark(votes[1])];
    each_is_needed(&before, &records, sent(1, &Message::Checkpoint(own)));
    let prepared = [Record::Checkpoint(own), mark(votes[0]), p_entry(votes[1])];
    let message = Message::Checkpoint(own);
    let observations = [&before[..], &[durable(&prepared), sent(1, &message)]].concat();
    assert_eq!(judge_world(&observations), DURABLE, "what prepared need not be what was executed");
    let stable = Record::Stable { seq: body.seq, id, proof: StableProof::default() };
    let after_a_restart = [stable, Record::Checkpoint(own)];
    assert_eq!(judge_world(&[starts_with(&after_a_restart), sent(1, &message)]), None);
    let restored = |seq| Observation::Restored { at: replica(1), seq };
    let from_a_snapshot = |seq| {
        let starts = starts_with(&after_a_restart[1..]);
        judge_world(&[starts, restored(seq), happened(&events[1]), sent(1, &message)])
    };
    assert_eq!(from_a_snapshot(votes[1].seq), None);
    assert_eq!(from_a_snapshot(votes[0].seq), DURABLE, "it does not reach so far");
}

const OLD: BootId = [1; 16];
const NEW: BootId = [2; 16];

fn boot(counter: u64, boot_id: BootId) -> Record {
    Record::Boot { counter, boot_id, incarnation: Incarnation::ZERO }
}

fn start(counter: u64, boot_id: BootId) -> StartId {
    StartId { counter, boot_id }
}

fn started(id: u32, counter: u64, boot_id: BootId) -> Signed<Start> {
    signed(id, Start { incarnation: Incarnation::ZERO, id: start(counter, boot_id) })
}

fn hello(question: Question) -> Message {
    Message::Hello(Hello { config: digest(0), versions: (1, 1), key_epoch: 0, question })
}

#[test]
fn hello_needs_the_record_of_its_start() {
    let (start, knows) = (started(1, 2, NEW), Vec::new());
    let asks = Question::Admission(Introduction { start, knows, round: 0, takes_over: false });
    let asks = hello(asks);
    each_is_needed(&[], &[boot(2, NEW)], sent(1, &asks));
    let other = [boot(1, OLD), boot(1, NEW)];
    assert_eq!(judge_world(&[durable(&other), sent(1, &asks)]), DURABLE);
    assert_eq!(judge_world(&[sent(1, &hello(Question::View(NEW)))]), None, "it leaves no trace");
}

fn to_two(message: &Message) -> Observation<'_> {
    Observation::Sent { from: replica(1), to: Endpoint::Replica(replica(2)), message }
}

#[test]
fn hello_reply_that_lets_in_needs_the_record_of_the_start_that_it_answers() {
    let reply = |seen| {
        let (incarnation, others) = (Incarnation::ZERO, Vec::new());
        let answer = Answer::Starts(Remembered {
            incarnation,
            seen,
            others,
            is_confirmed: true,
            by: [7; 16],
            round: 0,
        });
        Message::HelloReply(HelloReply { boot_id: NEW, answer })
    };
    let of_two = [boot(1, OLD), boot(2, NEW)];
    let asker = Observation::Durable { at: replica(2), starts: false, records: &of_two };
    let noted = |id, StartId { counter, boot_id }| Record::PeerStarts {
        replica: replica(id),
        starts: vec![started(id, counter, boot_id)],
    };
    for seen in [vec![], vec![start(1, OLD)]] {
        each_is_needed(&[asker], &[noted(2, start(2, NEW))], to_two(&reply(seen)));
    }
    let of_others = [noted(2, start(1, OLD)), noted(3, start(2, NEW))];
    let lets_in = reply(vec![]);
    assert_eq!(judge_world(&[asker, durable(&of_others), to_two(&lets_in)]), DURABLE);
    for unknown in [start(1, NEW), start(2, OLD), start(3, [3; 16])] {
        let accuses = reply(vec![unknown]);
        assert_eq!(judge_world(&[asker, to_two(&accuses)]), None, "it keeps the asker out");
    }
    let answer = Answer::View(View::ZERO, WallTime::default());
    let view = Message::HelloReply(HelloReply { boot_id: NEW, answer });
    assert_eq!(judge_world(&[asker, to_two(&view)]), None, "an amnesiac");
}

#[test]
fn rejoin_needs_the_record_of_the_loss() {
    let body = Rejoin {
        replica: replica(1),
        incarnation: Incarnation::new(1),
        start: start(1, NEW),
        view: View::new(2),
        expires: WallTime::default(),
    };
    let rejoin = Message::Rejoin(signed(1, body));
    let started = |boot_id| Record::Boot { counter: 1, boot_id, incarnation: Incarnation::ZERO };
    each_is_needed(&[], &[Record::Amnesiac, started(NEW)], sent(1, &rejoin));
    let of_another_start = [Record::Amnesiac, started(OLD)];
    assert_eq!(judge_world(&[durable(&of_another_start), sent(1, &rejoin)]), DURABLE);
    let relayed = Message::Rejoin(signed(2, Rejoin { replica: replica(2), ..body }));
    assert_eq!(judge_world(&[sent(1, &relayed)]), None);
}

#[test]
fn who_lost_its_memory_says_nothing_before_the_record_that_it_is_back() {
    let vote = vote_for(0, 1, 1);
    let lost = [Record::Amnesiac, Record::Batch(batch(1)), p_entry(vote)];
    let returned = [Record::Rejoined(Incarnation::new(1)), q_entry(vote)];
    let prepare = Message::Prepare(vote);
    each_is_needed(&[durable(&lost)], &returned, sent(1, &prepare));
    let event = executed(vote);
    let reply = answer(1);
    let before = [durable(&lost), happened(&event)];
    each_is_needed(&before, &returned[..1], answered(&reply));
}
