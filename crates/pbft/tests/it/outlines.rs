//! Long requests travel apart from PRE-PREPAREs.

use crate::cluster::{Cluster, Envelope, client_key, config_with, seq, test_config, view};
use crate::normal_case::batch_of;
use pbft::message::{
    Batch, Kind, Outline, Outlined, PrePrepare, Request, SHORT_REQUEST_BYTES_MAX, Vote,
};
use pbft::{
    Config, Digest, Event, Evidence, Message, Parameters, Record, Reject, ReplicaId, Sender,
    SignedRequest,
};
use std::sync::Arc;
use std::time::Duration;

/// How long a request may still come by itself.
const PATIENCE: Duration = Duration::from_millis(10);
const MOMENT: Duration = Duration::from_micros(1);

fn long(letter: &str) -> String {
    letter.repeat(2 * SHORT_REQUEST_BYTES_MAX)
}

fn outline_of(cluster: &Cluster, by: u32, n: u64, batch: &Batch) -> Message {
    let outline = Outline::of(batch, |_| true).expect("a long request");
    let body = PrePrepare { view: view(u64::from(by)), seq: seq(n), digest: batch.digest() };
    Message::Outline(cluster.sign(by, body), Arc::new(outline))
}

fn next(cluster: &Cluster) -> u64 {
    cluster.status(1).last_executed.get() + 1
}

/// The long requests that PRE-PREPAREs on the network name, for each receiver, and those that they
/// carry.
fn proposed(cluster: &Cluster) -> Vec<(u32, usize, usize)> {
    let form = |e: &Envelope| match &*e.message {
        Message::PrePrepare(_, batch) => Some((e.to, 0, batch.requests.len())),
        Message::Outline(_, outline) => {
            let whole = outline.whole().count();
            Some((e.to, outline.requests.len() - whole, whole))
        }
        _ => None,
    };
    cluster.network.iter().filter_map(form).collect()
}

fn asks_for_batch(e: &Envelope) -> bool {
    matches!(*e.message, Message::FetchBatch(_))
}

fn rejections(cluster: &Cluster, replica: u32) -> Vec<Reject> {
    let rejected = |(at, event): &(u32, Event)| match event {
        Event::Rejected { reason, .. } if *at == replica => Some(*reason),
        _ => None,
    };
    cluster.events.iter().filter_map(rejected).collect()
}

/// [SR1] [SR2] A long request is named, a short one travels whole, and the batch that is noted down
/// is that of the primary.
#[test]
fn long_request_is_named_and_the_batch_is_rebuilt_from_what_waits() {
    let mut cluster = Cluster::new(4);
    let longest_short = |cluster: &Cluster| {
        let frame = cluster.operation(0, 1, "").byte_count();
        "s".repeat(SHORT_REQUEST_BYTES_MAX - frame)
    };
    let short = longest_short(&cluster);
    cluster.ask(0, 1, &short);
    assert_eq!(proposed(&cluster), [(1, 0, 1), (2, 0, 1), (3, 0, 1)]);
    cluster.deliver_all();
    let one_more = format!("{short}s");
    cluster.ask(0, 2, &one_more);
    assert_eq!(proposed(&cluster), [(1, 1, 0), (2, 1, 0), (3, 1, 0)]);
    let carries = cluster.take(|e| matches!(*e.message, Message::Outline(..)));
    assert!(carries.iter().all(|e| e.kind() == Kind::PrePrepare));
    cluster.network.extend(carries);
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 2, &one_more), [0, 1, 2, 3]);
    let batches = |replica: u32| -> Vec<Digest> {
        let records = cluster.durable_records(replica).iter();
        let digest = |record: &Record| match record {
            Record::Batch(batch) => Some(batch.digest()),
            _ => None,
        };
        records.filter_map(digest).collect()
    };
    assert_eq!(batches(1), batches(0));
}

/// [SR1] Turned off, every PRE-PREPARE carries its batch, and nobody takes an outline.
#[test]
fn nothing_is_named_where_it_is_turned_off() {
    let parameters = Parameters { separate_requests: false, ..test_config(4).parameters.clone() };
    let mut cluster = Cluster::with_config(config_with(4, parameters));
    cluster.ask(0, 1, &long("a"));
    assert_eq!(proposed(&cluster), [(1, 0, 1), (2, 0, 1), (3, 0, 1)]);
    let batch = batch_of(&cluster, 1, vec![cluster.operation(0, 2, &long("b"))]);
    let outline = outline_of(&cluster, 0, next(&cluster), &batch);
    let sender = Sender::Replica(ReplicaId::new(0));
    let refused = cluster.config.admit(sender, outline).map(|_| ());
    assert_eq!(refused, Err(Reject::NotOffered));
}

/// [SR2] [P1] The requests and the outline may come in any order; the PREPARE leaves with the last.
#[test]
fn prepare_leaves_with_the_last_of_the_requests_and_the_outline_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut cluster = Cluster::new(4);
        let requests = [0, 1].map(|client| cluster.operation(client, 1, &long("a"))).to_vec();
        let short = cluster.operation(2, 1, "short");
        let all = [requests.clone(), vec![short]].concat();
        let batch = batch_of(&cluster, 1, all);
        let outline = outline_of(&cluster, 0, next(&cluster), &batch);
        let prepares = |e: &Envelope| e.from == 1 && e.to == 2 && e.kind() == Kind::Prepare;
        for (place, step) in order.into_iter().enumerate() {
            assert!(cluster.take(prepares).is_empty(), "{order:?}: before {place}");
            match requests.get(step) {
                Some(request) => cluster.send_request_to(1, Arc::clone(request)),
                None => cluster.inject(0, 1, outline.clone()),
            }
        }
        let sent = cluster.take(prepares);
        let vote = sent.iter().map(|e| (*e.message).clone()).collect::<Vec<_>>();
        let place = Vote { view: view(0), seq: seq(next(&cluster)), digest: batch.digest() };
        assert_eq!(vote, [Message::Prepare(place)], "{order:?}");
        assert_eq!(cluster.core(1).held().outlines, 0);
    }
}

/// [SR3] What does not come is asked for once, of the primary, and not before it had the time to
/// come by itself.
#[test]
fn batch_whose_request_does_not_come_is_asked_for_once() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, &long("a"));
    cluster.send_request_to(0, request);
    cluster.deliver_all();
    assert_eq!(cluster.core(1).held().outlines, 1);
    cluster.advance(PATIENCE - MOMENT);
    assert!(cluster.take(asks_for_batch).is_empty());
    cluster.advance(MOMENT);
    let asked = cluster.take(asks_for_batch);
    assert_eq!(asked.iter().map(|e| (e.from, e.to)).collect::<Vec<_>>(), [(1, 0), (2, 0), (3, 0)]);
    cluster.advance(3 * PATIENCE);
    assert!(cluster.take(asks_for_batch).is_empty(), "once");
    cluster.network.extend(asked);
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 1, &long("a")), [0, 1, 2, 3]);
    assert_eq!(cluster.core(1).held().outlines, 0);
}

/// [SR3] Where the question or its answer is lost, STATUS brings the whole PRE-PREPARE, as if it had
/// been lost itself; before that STATUS does not ask.
#[test]
fn status_repairs_what_was_asked_for_in_vain() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, &long("a"));
    cluster.send_request_to(0, request);
    let n = next(&cluster);
    let is_outline = |e: &Envelope| matches!(*e.message, Message::Outline(..));
    cluster.deliver_where(is_outline);
    let lacks = |cluster: &Cluster| {
        cluster.network.iter().rev().find_map(|e| match &*e.message {
            Message::Status(status) if e.from == 1 && e.to == 0 => {
                let offset = n - status.last_executed.get() - 1;
                Some(!status.pre_prepared.contains(offset))
            }
            _ => None,
        })
    };
    cluster.advance(PATIENCE - MOMENT);
    cluster.network.clear();
    cluster.advance(MOMENT);
    cluster.network.clear();
    cluster.advance(cluster.config.parameters.status_interval / 2);
    assert_eq!(lacks(&cluster), Some(true));
    cluster.run_where(Duration::from_millis(300), |e| !asks_for_batch(e));
    assert_eq!(cluster.answered(0, 1, &long("a")), [0, 1, 2, 3]);
}

/// [SR3] A request that may still come by itself is not repaired by STATUS, nor fetched when its
/// number is committed, and then executed as soon as it comes.
#[test]
fn committed_number_waits_for_its_request_before_it_asks() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, &long("a"));
    for replica in [0, 1, 2] {
        cluster.send_request_to(replica, Arc::clone(&request));
    }
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 1, &long("a")), [0, 1, 2]);
    assert!(cluster.take(asks_for_batch).is_empty());
    cluster.send_request_to(3, request);
    assert_eq!(cluster.answered(0, 1, &long("a")), [0, 1, 2, 3]);
}

/// [SR3] A request for which the batch was asked for meanwhile may come first all the same.
#[test]
fn request_that_comes_late_is_taken_although_it_was_asked_for() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, &long("a"));
    cluster.send_request_to(0, Arc::clone(&request));
    cluster.deliver_all();
    cluster.advance(2 * PATIENCE);
    cluster.network.clear();
    for backup in [1, 2, 3] {
        cluster.send_request_to(backup, Arc::clone(&request));
    }
    cluster.deliver_all();
    assert_eq!(cluster.answered(0, 1, &long("a")), [0, 1, 2, 3]);
}

/// [SR4] Whoever asked is sent this client's requests whole for ten seconds, and so are all once f+1
/// have asked; nobody else's are.
#[test]
fn requests_that_had_to_be_asked_for_come_whole_for_ten_seconds() {
    // A checkpoint would let the primary forget what it is asked for.
    let parameters = Parameters { batch_gathering_max: Duration::ZERO, ..Parameters::default() };
    let mut cluster = Cluster::with_config(config_with(4, parameters));
    let without = |cluster: &mut Cluster, timestamp: u64, lacking: &[u32]| {
        let request = cluster.operation(0, timestamp, &long("a"));
        for replica in (0..4).filter(|id| !lacking.contains(id)) {
            cluster.send_request_to(replica, Arc::clone(&request));
        }
        let sent = proposed(cluster);
        cluster.deliver_all();
        cluster.run(2 * PATIENCE);
        assert_eq!(cluster.answered(0, timestamp, &long("a")), [0, 1, 2, 3]);
        sent
    };
    let named = |to: u32| (to, 1, 0);
    let whole = |to: u32| (to, 0, 1);
    assert_eq!(without(&mut cluster, 1, &[3]), [named(1), named(2), named(3)]);
    assert_eq!(without(&mut cluster, 2, &[3]), [named(1), named(2), whole(3)]);
    cluster.ask(1, 1, &long("b"));
    assert_eq!(proposed(&cluster), [named(1), named(2), named(3)], "another client");
    cluster.deliver_all();
    assert_eq!(without(&mut cluster, 3, &[2]), [named(1), named(2), whole(3)]);
    assert_eq!(without(&mut cluster, 4, &[]), [whole(1), whole(2), whole(3)]);
    assert_eq!(cluster.core(0).held().asked_whole, 2);
    cluster.run(Duration::from_secs(10));
    assert_eq!(without(&mut cluster, 5, &[]), [named(1), named(2), named(3)]);
    assert_eq!(cluster.core(0).held().asked_whole, 0);
}

/// [SR4] A client that sends to the primary only makes others wait once.
#[test]
fn client_that_sends_to_the_primary_only_is_waited_for_once() {
    let mut cluster = Cluster::new(4);
    for timestamp in 1..=4 {
        let request = cluster.operation(0, timestamp, &long("a"));
        cluster.send_request_to(0, request);
        cluster.deliver_all();
        let waits = cluster.answered(0, timestamp, &long("a")).is_empty();
        assert_eq!(waits, timestamp == 1, "{timestamp}");
        cluster.run(2 * PATIENCE);
        assert_eq!(cluster.answered(0, timestamp, &long("a")), [0, 1, 2, 3]);
    }
}

fn refused(config: &Config, from: u32, message: Message) -> Option<Reject> {
    config.admit(Sender::Replica(ReplicaId::new(from)), message).err()
}

/// [SR2] [PP4] [PP5] The door checks of an outline what it checks of a batch, and that its digest is
/// the one signed: so nobody else can change what it names.
#[test]
fn outline_is_checked_at_the_door_like_a_batch() {
    let cluster = Cluster::new(4);
    let config = &cluster.config;
    let good = batch_of(
        &cluster,
        1,
        vec![cluster.operation(0, 1, &long("a")), cluster.operation(1, 1, "short")],
    );
    let message = |outline: Outline, signer: u32| {
        let body = PrePrepare { view: view(0), seq: seq(9), digest: outline.digest() };
        Message::Outline(cluster.sign(signer, body), Arc::new(outline))
    };
    let outline = || Outline::of(&good, |_| true).expect("a long request");
    let with = |requests: Vec<Outlined>| message(Outline { requests, ..outline() }, 0);
    let [named, short] = &outline().requests[..] else { panic!() };
    assert_eq!(outline().digest(), good.digest());
    assert_eq!(refused(config, 0, message(outline(), 0)), None);
    assert_eq!(refused(config, 2, message(outline(), 0)), None, "the primary signed it");
    assert_eq!(refused(config, 1, message(outline(), 1)), Some(Reject::NotThePrimary));
    let twice = with(vec![named.clone(), short.clone(), named.clone()]);
    assert_eq!(refused(config, 0, twice), Some(Reject::MalformedBatch));
    let many = (0..=config.parameters.batch_requests_max as u64)
        .map(|n| Outlined::Named(Digest::of("name", &[&n.to_le_bytes()])));
    assert_eq!(refused(config, 0, with(many.collect())), Some(Reject::OverLimit));
    let Message::Outline(signed, _) = message(outline(), 0) else { panic!() };
    let other = Outline { requests: vec![short.clone()], ..outline() };
    let garbled = Message::Outline(signed, Arc::new(other));
    assert_eq!(refused(config, 0, garbled), Some(Reject::WrongDigest));
    let plain = cluster.operation(1, 1, "short").request().clone();
    let forged = SignedRequest::sign(&config.domain, &client_key(2), plain.clone());
    let forged = with(vec![named.clone(), Outlined::Whole(Arc::new(forged))]);
    assert_eq!(refused(config, 0, forged), Some(Reject::BadSignature));
    let stranger = Request { client: pbft::ClientId::new(9), ..plain };
    let stranger = SignedRequest::sign(&config.domain, &client_key(9), stranger);
    let stranger = with(vec![named.clone(), Outlined::Whole(Arc::new(stranger))]);
    assert_eq!(refused(config, 0, stranger), Some(Reject::UnknownClient));
    let huge = cluster.operation(1, 1, &"h".repeat(config.parameters.batch_bytes_max));
    let huge = with(vec![named.clone(), Outlined::Whole(huge)]);
    assert_eq!(refused(config, 0, huge), Some(Reject::OverLimit));
}

/// [SR2] [PP5] What is true of a batch only as a whole is found out when it is whole: no request
/// twice, and not too long.
#[test]
fn outline_that_fills_to_no_good_batch_is_refused() {
    let parameters = Parameters { batch_bytes_max: 5000, ..test_config(4).parameters.clone() };
    let mut cluster = Cluster::with_config(config_with(4, parameters));
    let n = next(&cluster);
    let waiting = cluster.operation(0, 1, &long("a"));
    let same_name = cluster.operation(0, 1, "another one with its name");
    cluster.send_request_to(1, Arc::clone(&waiting));
    let twice = batch_of(&cluster, 1, vec![same_name, waiting]);
    let message = outline_of(&cluster, 0, n, &twice);
    cluster.inject(0, 1, message);
    assert_eq!(rejections(&cluster, 1), [Reject::MalformedBatch]);
    let mut cluster = Cluster::with_config((*cluster.config).clone());
    let three: Vec<_> = (0..3).map(|client| cluster.operation(client, 1, &long("a"))).collect();
    for request in &three {
        cluster.send_request_to(1, Arc::clone(request));
    }
    let too_long = batch_of(&cluster, 1, three);
    let message = outline_of(&cluster, 0, n, &too_long);
    cluster.inject(0, 1, message);
    assert_eq!(rejections(&cluster, 1), [Reject::OverLimit]);
    assert_eq!(cluster.core(1).held().outlines, 0);
}

/// [SR3] [EX2] A request that was executed waits nowhere any more: an outline that names it is asked
/// for, and it is not executed again. One of a stranger comes from nowhere.
#[test]
fn outline_that_names_an_executed_request_is_asked_for_and_executes_nothing() {
    let mut cluster = Cluster::new(4);
    cluster.ask(0, 1, &long("a"));
    cluster.deliver_all();
    let executed = cluster.operation(0, 1, &long("a"));
    let batch = batch_of(&cluster, 1, vec![executed]);
    let n = next(&cluster);
    cluster.replies.clear();
    for backup in [1, 2, 3] {
        let message = outline_of(&cluster, 0, n, &batch);
        cluster.inject(0, backup, message);
    }
    cluster.advance(PATIENCE);
    assert_eq!(cluster.take(asks_for_batch).len(), 3);
    for backup in [1, 2, 3] {
        cluster.inject(0, backup, Message::Batch(Arc::clone(&batch)));
    }
    cluster.deliver_where(|e| e.to != 0);
    assert_eq!(cluster.status(1).last_executed, seq(n));
    assert_eq!(cluster.answered(0, 1, &long("a")), [0; 0]);
}

/// [SR3] [EV1] An outline convicts like a PRE-PREPARE, also while it waits.
#[test]
fn two_outlines_for_one_number_convict_their_primary() {
    for held in [true, false] {
        let mut cluster = Cluster::new(4);
        let n = next(&cluster);
        let batches = ["a", "b"].map(|letter| {
            let request = cluster.operation(0, 1, &long(letter));
            batch_of(&cluster, 1, vec![request])
        });
        if !held {
            let request = Arc::clone(&batches[0].requests[0]);
            cluster.send_request_to(1, request);
        }
        for batch in &batches {
            let message = outline_of(&cluster, 0, n, batch);
            cluster.inject(0, 1, message);
        }
        let [(1, Evidence::TwoPrePrepares(pair))] = &cluster.evidence[..] else {
            panic!("{:?}", cluster.evidence)
        };
        assert_eq!(pair.1.body.digest, batches[1].digest());
        assert_eq!(cluster.views(&[1]), [(1, false)]);
        assert_eq!(cluster.core(1).held().outlines, 0, "its view is left");
    }
}

/// [SR3] The first outline of a number stays, one comes not again for a number that has a proposal,
/// and the whole PRE-PREPARE takes its place.
#[test]
fn whole_pre_prepare_takes_the_place_of_its_outline() {
    let mut cluster = Cluster::new(4);
    let request = cluster.operation(0, 1, &long("a"));
    let batch = batch_of(&cluster, 1, vec![request]);
    let n = next(&cluster);
    let outline = outline_of(&cluster, 0, n, &batch);
    cluster.inject(0, 1, outline.clone());
    cluster.inject(0, 1, outline.clone());
    assert_eq!(rejections(&cluster, 1), [Reject::Duplicate]);
    let Message::Outline(signed, _) = outline.clone() else { panic!() };
    cluster.inject(0, 1, Message::PrePrepare(signed, batch));
    assert_eq!(cluster.core(1).held().outlines, 0);
    let prepares = |e: &Envelope| e.from == 1 && e.to == 2 && e.kind() == Kind::Prepare;
    assert_eq!(cluster.take(prepares).len(), 1);
    cluster.inject(0, 1, outline);
    assert_eq!(rejections(&cluster, 1), [Reject::Duplicate; 2]);
    assert!(cluster.take(prepares).is_empty());
}

/// [SR3] Outlines that wait come with requests of so many bytes as a primary has in flight at most;
/// beyond that the highest number goes.
#[test]
fn outlines_that_wait_are_bounded_in_bytes() {
    let parameters = Parameters { batch_bytes_max: 3000, ..test_config(4).parameters.clone() };
    let mut cluster = Cluster::with_config(config_with(4, parameters));
    let n = next(&cluster);
    let whole = cluster.operation(0, 1, &"w".repeat(1700));
    let missing = cluster.operation(1, 1, &"m".repeat(SHORT_REQUEST_BYTES_MAX));
    for offset in [1, 2, 3, 4, 5, 6, 0, 7] {
        let requests = vec![Arc::clone(&whole), Arc::clone(&missing)];
        let batch = batch_of(&cluster, offset as u8, requests);
        let outline = Outline::of(&batch, |client| client.get() == 1).expect("a long request");
        let body = PrePrepare { view: view(0), seq: seq(n + offset), digest: batch.digest() };
        let message = Message::Outline(cluster.sign(0, body), Arc::new(outline));
        cluster.inject(0, 1, message);
    }
    let held = cluster.core(1).held();
    assert_eq!((held.outlines, held.outline_bytes), (6, 6 * whole.byte_count()));
    assert!(7 * whole.byte_count() > 4 * 3000, "one more would be too many");
    assert_eq!(rejections(&cluster, 1), [Reject::OverLimit]);
    cluster.send_request_to(1, missing);
    let prepared: Vec<u64> = cluster
        .take(|e| e.from == 1 && e.to == 2)
        .iter()
        .filter_map(|e| match &*e.message {
            Message::Prepare(vote) => Some(vote.seq.get()),
            _ => None,
        })
        .collect();
    assert_eq!(prepared, [n, n + 1, n + 2, n + 3, n + 4, n + 5]);
}

/// [SR3] An outline that overtakes the NEW-VIEW of its view waits for it, and is asked for only after
/// it.
#[test]
fn outline_that_overtakes_its_new_view_waits_for_both() {
    let mut cluster = Cluster::new(4);
    let timeout = cluster.config.parameters.view_change_timeout;
    let blocker = cluster.operation(1, 1, "never proposed");
    for backup in [1, 2, 3] {
        cluster.send_request_to(backup, Arc::clone(&blocker));
    }
    let is_news_to_3 = |e: &Envelope| e.to == 3 && e.kind() == Kind::NewView;
    let passes = |e: &Envelope| !is_news_to_3(e) && e.from != 0 && e.to != 0;
    cluster.run_where(timeout, passes);
    assert_eq!(cluster.views(&[1, 2, 3]), [(1, true), (1, true), (1, false)]);
    let request = cluster.operation(0, 1, &long("a"));
    let batch = batch_of(&cluster, 1, vec![request]);
    let n = next(&cluster) + 5;
    let message = outline_of(&cluster, 1, n, &batch);
    cluster.inject(1, 3, message);
    assert_eq!(cluster.core(3).held().outlines, 1);
    cluster.advance(2 * PATIENCE);
    assert!(cluster.take(|e| e.from == 3 && asks_for_batch(e)).is_empty());
    cluster.network.clear();
    cluster.run_where(Duration::from_millis(300), |e| {
        e.to != 0 && e.from != 0 && !(e.from == 3 && asks_for_batch(e))
    });
    assert_eq!(cluster.views(&[3]), [(1, true)]);
    cluster.inject(1, 3, Message::Batch(batch));
    let prepared = cluster.take(|e| {
        let is_it = |vote: &Vote| vote.seq == seq(n);
        e.from == 3 && e.to == 2 && matches!(&*e.message, Message::Prepare(vote) if is_it(vote))
    });
    assert_eq!(prepared.len(), 1);
}

/// [SR2] [PP6] A PRE-PREPARE that is refused for its time is no proposal when its request comes, but
/// its batch is executed if others have committed it.
#[test]
fn refused_outline_still_gives_the_batch_that_is_committed() {
    let mut cluster = Cluster::new(4);
    let ahead = cluster.config.parameters.clock_skew_max + Duration::from_secs(1);
    let none = Duration::ZERO;
    cluster.set_clocks([none, none, none, ahead]);
    let request = cluster.operation(0, 1, &long("a"));
    for replica in [0, 1, 2] {
        cluster.send_request_to(replica, Arc::clone(&request));
    }
    cluster.deliver_all();
    cluster.events.clear();
    cluster.send_request_to(3, request);
    assert_eq!(cluster.answered(0, 1, &long("a")), [0, 1, 2, 3]);
    let voted = |(at, event): &(u32, Event)| *at == 3 && matches!(event, Event::PrePrepared { .. });
    assert!(!cluster.events.iter().any(voted));
}
