//! Requests: who may ask, what waits, and in which order.

use crate::cluster::{Cluster, client_key, seq, test_config, within};
use pbft::message::{Kind, Outcome, Request, RequestBody};
use pbft::{
    ClientId, Event, Input, Message, Reject, ReplicaId, Sender, Session, SignedRequest, Timestamp,
};
use std::sync::Arc;
use std::time::Duration;

fn executions_of(cluster: &Cluster, replica: u32) -> usize {
    let count = |(r, event): &(u32, Event)| match event {
        Event::Executed { requests, .. } if *r == replica => *requests,
        _ => 0,
    };
    cluster.events.iter().map(count).sum()
}

/// [RQ1] A request is signed by a known client, and within the limits.
#[test]
fn request_of_a_stranger_or_with_a_forged_signature_is_refused_at_the_door() {
    let config = test_config(4);
    let signed_as = |client: u32, key: u32, bytes: usize| {
        let operation =
            pbft::message::Operation { service: pbft::message::ServiceId(0), body: vec![0; bytes] };
        let request = Request {
            client: ClientId::new(client),
            session: Session::new(1),
            timestamp: Timestamp::new(1),
            acknowledged_below: Timestamp::new(1),
            replier: None,
            body: RequestBody::Operations(vec![operation]),
        };
        Message::Request(Arc::new(SignedRequest::sign(&config.domain, &client_key(key), request)))
    };
    let from_client =
        |client, message| config.admit(Sender::Client(ClientId::new(client)), message).map(|_| ());
    let from_replica =
        |message| config.admit(Sender::Replica(ReplicaId::new(1)), message).map(|_| ());
    assert_eq!(from_client(0, signed_as(0, 0, 8)), Ok(()));
    assert_eq!(from_replica(signed_as(0, 0, 8)), Ok(()), "a backup may relay it");
    assert_eq!(from_client(1, signed_as(0, 0, 8)), Err(Reject::ForgedSender));
    assert_eq!(from_client(0, signed_as(0, 1, 8)), Err(Reject::BadSignature));
    assert_eq!(from_replica(signed_as(9, 9, 8)), Err(Reject::UnknownClient));
    let too_long = config.parameters.request_bytes_max;
    assert_eq!(from_client(0, signed_as(0, 0, too_long)), Err(Reject::OverLimit));
}

/// [DR3] Who is named answers alone only when a request is executed: sent again, it is answered in
/// full by everybody.
#[test]
fn request_sent_again_is_answered_in_full_by_everybody() {
    let mut cluster = Cluster::new(4);
    let replier = Some(ReplicaId::new(2));
    let plain = cluster.operation(0, 1, "a").request().clone();
    let request = Request { replier, ..plain };
    let domain = cluster.config.domain;
    let request = Arc::new(SignedRequest::sign(&domain, &client_key(0), request));
    cluster.send_request(Arc::clone(&request));
    cluster.deliver_all();
    let told = |cluster: &Cluster| -> Vec<_> {
        cluster.replies.iter().map(|reply| reply.replier).collect()
    };
    assert_eq!(told(&cluster), [replier; 4]);
    cluster.replies.clear();
    cluster.send_request(request);
    assert_eq!(told(&cluster), [None; 4]);
}

/// [RQ2] An executed request is answered, not ordered again, and makes nobody wait.
#[test]
fn executed_request_is_answered_from_the_cache_and_ordered_once() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, "a");
    cluster.deliver_all();
    let ordered = cluster.status(0).last_executed;
    cluster.replies.clear();
    for _ in 0..100 {
        cluster.ask(0, 1, "a");
    }
    assert_eq!(cluster.replies.len(), 400);
    cluster.deliver_all();
    assert_eq!(cluster.status(0).last_executed, ordered);
    assert!(cluster.ids().all(|replica| cluster.status(replica).waiting_requests == 0));
}

/// [RQ3] Two operations under one timestamp: one executes, the same everywhere, and nobody waits
/// for the other.
#[test]
fn two_operations_under_one_timestamp_leave_nobody_waiting() {
    let mut cluster = Cluster::new(4);
    let (first, second) = (cluster.operation(0, 1, "a"), cluster.operation(0, 1, "b"));
    for replica in cluster.ids() {
        let variant = if replica % 2 == 0 { &first } else { &second };
        cluster.send_request_to(replica, Arc::clone(variant));
    }
    cluster.run(Duration::from_secs(5));
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3], "the primary's variant");
    assert_eq!(cluster.answered(0, 1, "b"), []);
    assert_eq!(cluster.views(&[0, 1, 2, 3]), vec![(0, true); 4], "no view change");
}

/// [RQ4] A batch that is lost with its view: the next primary proposes its requests without the
/// client's help.
#[test]
fn request_of_a_lost_batch_is_proposed_by_the_next_primary() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(0, request);
    cluster.deliver_where(|e| e.kind() == Kind::PrePrepare);
    assert_eq!(cluster.status(1).waiting_requests, 1, "known from the PRE-PREPARE alone");
    cluster.run_where(Duration::from_millis(1500), within(&[1, 2, 3]));
    assert_eq!(cluster.answered(0, 1, "a"), [1, 2, 3]);
}

/// [RQ5] One client with many requests does not push the others out of a batch.
#[test]
fn batches_take_one_request_of_each_client_in_turn() {
    let mut config = test_config(4);
    config.parameters.batch_requests_max = 4;
    config.parameters.instances_in_flight_max = 1;
    let mut cluster = Cluster::with_config(config);
    cluster.ask(3, 1, "fills the pipeline");
    for timestamp in 1..=30 {
        cluster.ask(0, timestamp, "greedy");
    }
    cluster.ask(1, 1, "modest");
    cluster.ask(2, 1, "modest");
    let is_pre_prepare = |e: &crate::cluster::Envelope| e.kind() == Kind::PrePrepare;
    let mut second_batch = Vec::new();
    while let Some(envelope) = cluster.network.pop_front() {
        if let (true, Message::PrePrepare(signed, batch)) =
            (is_pre_prepare(&envelope), &*envelope.message)
            && signed.body.seq == seq(cluster.status(0).last_executed.get() + 1)
            && batch.requests.len() > 1
            && second_batch.is_empty()
        {
            second_batch = batch.requests.iter().map(|r| r.request().client.get()).collect();
        }
        cluster.deliver(&envelope);
    }
    second_batch.sort_unstable();
    assert_eq!(second_batch, [0, 0, 1, 2]);
}

/// How many requests each batch of the primary carried, from the first one that carried any.
fn batch_sizes(cluster: &Cluster) -> Vec<usize> {
    let sizes = cluster.events.iter().filter_map(|(replica, event)| match event {
        Event::PrePrepared { requests, .. } if *replica == 0 && *requests > 0 => Some(*requests),
        _ => None,
    });
    sizes.collect()
}

/// [PP8] What comes one by one is not delayed while little is in flight, and gathers while as much
/// is.
#[test]
fn next_batch_carries_as_many_requests_as_are_in_flight() {
    let mut config = test_config(4);
    config.parameters.instances_in_flight_max = 8;
    config.parameters.batch_gathering_max = Duration::from_millis(2);
    let mut cluster = Cluster::with_config(config);
    for timestamp in 1..=11 {
        cluster.ask(0, timestamp, "a");
    }
    cluster.deliver_where(|e| e.to == 0 && e.kind() == Kind::Request);
    assert_eq!(batch_sizes(&cluster), [1, 1, 2, 4], "and three wait");
}

/// [PP8] When nothing is in flight any more, what waits is ordered, however little it is.
#[test]
fn what_gathered_is_ordered_when_nothing_is_in_flight() {
    let mut config = test_config(4);
    config.parameters.batch_gathering_max = Duration::from_secs(1);
    let mut cluster = Cluster::with_config(config);
    for timestamp in 1..=5 {
        cluster.ask(0, timestamp, "a");
    }
    cluster.deliver_all();
    let sizes = batch_sizes(&cluster);
    assert!(sizes.len() < 5, "{sizes:?}: some shared a batch");
    for timestamp in 1..=5 {
        assert_eq!(cluster.answered(0, timestamp, "a"), [0, 1, 2, 3]);
    }
}

/// [PP8] What is in flight may take long for other reasons than load; nobody waits for it longer
/// than the bound.
#[test]
fn requests_gather_for_so_long_and_no_longer() {
    let mut config = test_config(4);
    config.parameters.batch_gathering_max = Duration::from_millis(2);
    let mut cluster = Cluster::with_config(config);
    for timestamp in 1..=3 {
        cluster.ask(0, timestamp, "a");
    }
    cluster.deliver_where(|e| e.to == 0 && e.kind() == Kind::Request);
    assert_eq!(batch_sizes(&cluster), [1, 1], "and one waits");
    cluster.advance(Duration::from_millis(1));
    assert_eq!(batch_sizes(&cluster), [1, 1]);
    cluster.advance(Duration::from_millis(1));
    assert_eq!(batch_sizes(&cluster), [1, 1, 1]);
}

/// [PP8] Requests that come together share a batch, the first ones too.
#[test]
fn requests_taken_in_before_a_tick_share_a_batch() {
    let mut config = test_config(4);
    config.parameters.batch_gathering_max = Duration::from_millis(2);
    let mut cluster = Cluster::with_config(config);
    for timestamp in 1..=5 {
        let message = Message::Request(cluster.operation(0, timestamp, "a"));
        let verified = cluster.config.admit(Sender::Client(ClientId::new(0)), message);
        cluster.step(0, Input::Message(verified.expect("a good request")));
    }
    assert_eq!(batch_sizes(&cluster), []);
    cluster.step(0, Input::Tick);
    assert_eq!(batch_sizes(&cluster), [5]);
}

/// [RQ6] [SP2] A backup relays a request that the primary did not get: soon, and once more when the
/// primary should have proposed it; the first one that waits again and again, until it is executed.
#[test]
fn backup_relays_a_waiting_request_to_the_primary() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, request);
    cluster.advance(Duration::from_millis(900));
    let relayed = cluster.take(|e| e.kind() == Kind::Request);
    assert_eq!(relayed.iter().map(|e| (e.from, e.to)).collect::<Vec<_>>(), [(2, 0); 4]);
    cluster.deliver(&relayed[0]);
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 1, "a"), [0, 1, 2, 3]);
    assert_eq!(cluster.views(&[0, 1, 2, 3]), vec![(0, true); 4]);
}

/// [EX2] A request that a faulty primary orders twice is executed once.
#[test]
fn request_ordered_twice_is_executed_once() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, "a");
    for number in 0..2 {
        let seq = seq(cluster.status(1).last_executed.get() + 1);
        let batch = crate::normal_case::batch_of(&cluster, number, vec![Arc::clone(&request)]);
        crate::normal_case::order(&mut cluster, seq, &batch);
    }
    let outcomes: Vec<_> = cluster.replies.iter().filter(|r| r.replica == 1).collect();
    assert_eq!(outcomes.len(), 1, "the second execution had nothing to say: {outcomes:?}");
    assert_eq!(executions_of(&cluster, 1), 2, "both batches were executed");
}

/// [EX3] Windows and sessions come with the state, and a fenced session stays fenced.
#[test]
fn requests_of_a_fenced_session_are_refused_everywhere() {
    let mut cluster = Cluster::new(4);
    let request = Request {
        client: ClientId::ZERO,
        session: Session::new(2),
        timestamp: Timestamp::ZERO,
        acknowledged_below: Timestamp::ZERO,
        replier: None,
        body: RequestBody::OpenSession,
    };
    let config = Arc::clone(&cluster.config);
    let open = Arc::new(SignedRequest::sign(&config.domain, &client_key(0), request));
    cluster.send_request(open);
    cluster.deliver_all();
    cluster.replies.clear();
    cluster.ask(0, 1, "of the old session");
    cluster.deliver_all();
    let fenced = Some(Outcome::Fenced { current: Session::new(2) });
    assert_eq!(cluster.replies.len(), 4);
    assert!(cluster.replies.iter().all(|reply| reply.outcome == fenced));
    assert!(cluster.ids().all(|replica| cluster.status(replica).waiting_requests == 0));
}

/// A client keeps at most its window of requests waiting at a replica.
#[test]
fn client_that_floods_fills_its_own_window_only() {
    let mut cluster = Cluster::new(4);
    let window = cluster.config.parameters.client_window;
    for timestamp in 1..=window * 4 {
        let request = cluster.operation(0, timestamp, "flood");
        cluster.send_request_to(1, request);
    }
    assert!(cluster.status(1).waiting_requests as u64 <= window + 1);
    let request = cluster.operation(1, 1, "other");
    let before = cluster.status(1).waiting_requests;
    cluster.send_request_to(1, request);
    assert_eq!(cluster.status(1).waiting_requests, before + 1);
}
