//! What is left out, held back, or added.

use super::*;
use pbft::message::{Operation, Rejoin, Request, RequestBody, ServiceId, Status};
use pbft::{SignedRequest, Timestamp};

fn request(client: u32) -> Message {
    let operation = Operation { service: ServiceId(0), body: vec![1] };
    let request = Request {
        client: ClientId::new(client),
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        acknowledged_below: Timestamp::new(1),
        replier: None,
        body: RequestBody::Operations(vec![operation]),
    };
    let domain = identity(4, 0).config.domain;
    Message::Request(Arc::new(SignedRequest::sign(&domain, &key(99), request)))
}

fn passes(behaviour: &str, to: Endpoint, message: Message) -> bool {
    let mut adversary = adversary(behaviour.parse().unwrap());
    !adversary.on_send(to, message).is_empty()
}

#[test]
fn silence_is_towards_those_and_of_those_kinds_that_are_named() {
    let (prepare, commit) = (Message::Prepare(vote()), Message::Commit(vote()));
    let client = Endpoint::Client(ClientId::new(0));
    let by_default = "selectively_silent_node";
    assert!(passes(by_default, replica(1), prepare.clone()));
    assert!(!passes(by_default, replica(2), prepare.clone()));
    assert!(passes(by_default, client, reply(&[b"x"])));
    let to_one = "selectively_silent_node:to=1,kinds=prepare+reply";
    assert!(!passes(to_one, replica(1), prepare.clone()));
    assert!(passes(to_one, replica(2), prepare));
    assert!(passes(to_one, replica(1), commit.clone()));
    assert!(!passes(to_one, client, reply(&[b"x"])));
    assert!(!passes("selectively_silent_node:kinds=commit", replica(1), commit));
}

#[test]
fn the_dark_hear_nothing_of_what_the_primary_proposes() {
    let own = identity(4, 0);
    for message in [proposal(&own), Message::Commit(vote())] {
        assert!(!passes("isolating_primary", replica(3), message.clone()));
        assert!(passes("isolating_primary", replica(2), message.clone()));
        assert!(passes("isolating_primary:dark=2", replica(3), message));
    }
    assert!(passes("isolating_primary", replica(3), Message::Prepare(vote())));
}

#[test]
fn one_clients_requests_are_not_heard() {
    let mut adversary = adversary("starving_primary:client=2".parse().unwrap());
    for (client, is_heard) in [(1, true), (2, false)] {
        for from in [Endpoint::Client(ClientId::new(client)), replica(3)] {
            assert_eq!(hear(&mut adversary, from, request(client)), (Vec::new(), is_heard));
        }
    }
}

#[test]
fn a_proposal_is_held_back_for_a_part_of_the_timeout() {
    let own = identity(4, 0);
    let mut adversary = adversary("slow_primary:percent=50".parse().unwrap());
    let delay = adversary.on_send(replica(1), proposal(&own))[0].delay;
    assert_eq!(delay, own.config.parameters.view_change_timeout / 2);
    assert_eq!(adversary.on_send(replica(1), Message::Commit(vote()))[0].delay, Duration::ZERO);
}

#[test]
fn an_accomplice_votes_to_each_for_what_that_one_votes_for_and_once() {
    let mut accomplice = Adversary::new(Behaviour::Accomplice, identity(4, 1), 1);
    let other = Vote { digest: Digest::of("test", &[b"other"]), ..vote() };
    assert!(accomplice.on_send(replica(2), Message::Prepare(vote())).is_empty());
    for (voter, vote) in [(2, vote()), (3, other)] {
        let (sendings, is_heard) = hear(&mut accomplice, replica(voter), Message::Prepare(vote));
        let echoed = [Message::Prepare(vote), Message::Commit(vote)];
        assert_eq!(sendings, echoed.map(|message| vice::now(replica(voter), message)));
        assert!(is_heard);
        assert!(hear(&mut accomplice, replica(voter), Message::Prepare(vote)).0.is_empty());
    }
    assert_eq!(
        only(accomplice.on_send(replica(3), Message::Commit(vote()))),
        Message::Commit(other)
    );
    assert_eq!(
        only(accomplice.on_send(replica(0), Message::Commit(vote()))),
        Message::Commit(vote())
    );
}

#[test]
fn a_repeated_request_makes_the_same_proposal_for_everybody() {
    let own = identity(4, 0);
    let batch_of = |adversary: &mut Adversary, to: u32, seq: u64, client: u32| {
        let Message::Request(request) = request(client) else { panic!() };
        let batch = Batch { requests: vec![request], ..Batch::default() };
        let body = PrePrepare { view: View::ZERO, seq: SeqNum::new(seq), digest: batch.digest() };
        let honest = Message::PrePrepare(own.sign(body), Arc::new(batch));
        let Message::PrePrepare(signed, batch) = only(adversary.on_send(replica(to), honest))
        else {
            panic!("another kind")
        };
        assert_eq!(signed.body.digest, batch.digest());
        batch
    };
    let mut later = adversary("repeating_primary:where=later".parse().unwrap());
    assert_eq!(batch_of(&mut later, 1, 1, 0).requests.len(), 1);
    let second = batch_of(&mut later, 1, 2, 1);
    assert_eq!(second.requests.len(), 2);
    assert_eq!(batch_of(&mut later, 2, 2, 1), second);
    let mut same = adversary("repeating_primary:where=same".parse().unwrap());
    let twice = batch_of(&mut same, 1, 1, 0);
    assert_eq!(twice.requests[0], twice.requests[1]);
}

#[test]
fn a_flooder_asks_beside_what_it_says_and_not_beside_its_answers() {
    let mut flooder = adversary("flooding_node:factor=3".parse().unwrap());
    let asked = flooder.on_send(replica(1), Message::Prepare(vote())).len() - 1;
    assert_eq!(asked, 2 * 3);
    assert_eq!(flooder.on_send(replica(1), proposal(&identity(4, 0))).len(), 1);
}

#[test]
fn a_rejoiner_asks_for_the_next_return_after_the_last_one_that_was_proposed() {
    let own = identity(4, 0);
    let mut rejoiner = adversary("rejoining_node".parse().unwrap());
    let status = |view: u64| {
        Message::Status(Status {
            view: View::new(view),
            active: true,
            low_water_mark: SeqNum::ZERO,
            last_executed: SeqNum::ZERO,
            pre_prepared: Default::default(),
            prepared: Default::default(),
            committed: Default::default(),
            view_changes: Default::default(),
            new_view: View::ZERO,
            missing: Vec::new(),
        })
    };
    let mut asked = |message: Message| {
        let (sendings, is_shown) = hear(&mut rejoiner, replica(2), message);
        assert!(!is_shown, "its replica would stop");
        let rejoins = messages(sendings).into_iter().map(|message| {
            assert!(own.config.admit(Sender::Replica(own.id), message.clone()).is_ok());
            let Message::Rejoin(rejoin) = message else { panic!("{message:?}") };
            rejoin
        });
        rejoins.collect::<Vec<_>>()
    };
    let names = |rejoins: &[Signed<Rejoin>]| -> Vec<(u64, u64)> {
        let bodies = rejoins.iter().map(|rejoin| rejoin.body);
        bodies.map(|body| (body.incarnation.get(), body.view.get())).collect()
    };
    let first = asked(status(0));
    assert_eq!(names(&first), [(1, 1)]);
    assert_eq!(asked(Message::Batch(Arc::new(Batch { rejoins: first, ..Batch::default() }))), []);
    assert_eq!(names(&asked(status(6))), [(1, 7), (2, 7)]);
    assert_eq!(asked(status(u64::MAX)), []);
}
