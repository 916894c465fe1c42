use super::*;
use crate::auth::{Domain, SigningKey, VerificationKey};
use crate::message::{Certainty, ReplyBody, ServiceId};
use crate::wire::ReplyHead;
use crate::{Epoch, Parameters};
use alloc::vec;
use zeroize::Zeroizing;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([seed; 32]))
}

fn config(replica_count: u8) -> Arc<Config> {
    let domain = Domain { cluster: Digest::from_bytes([7; 32]), epoch: Epoch::ZERO };
    let replicas: Vec<VerificationKey> =
        (0..replica_count).map(|seed| key(seed).verification_key()).collect();
    let clients = vec![key(200).verification_key()];
    let digest = Digest::from_bytes([1; 32]);
    Arc::new(Config::new(domain, digest, replicas, clients, Parameters::default()).unwrap())
}

pub(super) fn client(rule: ReplyRule) -> Client {
    let parameters = ClientParameters { reply_rule: rule, ..ClientParameters::default() };
    Client::new(config(4), ClientId::ZERO, key(200), Session::new(5), parameters)
}

pub(super) fn operation(body: &[u8]) -> Operation {
    Operation { service: ServiceId(0), body: body.to_vec() }
}

pub(super) fn reply(session: u64, timestamp: u64, outcome: Outcome) -> Reply {
    Reply {
        view: View::ZERO,
        session: Session::new(session),
        timestamp: Timestamp::new(timestamp),
        certainty: Certainty::Committed,
        designated: ReplicaId::ZERO,
        body: ReplyBody::Full(outcome),
    }
}

pub(super) fn result(body: &[u8]) -> Outcome {
    Outcome::Executed(vec![body.to_vec()])
}

pub(super) fn sent_requests(outputs: &[ClientOutput]) -> Vec<Request> {
    outputs
        .iter()
        .filter_map(|output| match output {
            ClientOutput::Send { message, .. } => match &**message {
                Message::Request(request) => Some(request.request().clone()),
                _ => None,
            },
            ClientOutput::Completed(..) => None,
        })
        .collect()
}

pub(super) fn completions(outputs: &[ClientOutput]) -> Vec<Completion> {
    outputs
        .iter()
        .filter_map(|output| match output {
            ClientOutput::Completed(_, completion) => Some(completion.clone()),
            ClientOutput::Send { .. } => None,
        })
        .collect()
}

/// Lets replicas 0, 1 and 2 give the same answer, and sends what may then be sent.
fn agree(client: &mut Client, answer: &Reply) -> Vec<ClientOutput> {
    let mut outputs = Vec::new();
    for replica in 0..3 {
        client.on_reply(Time::ZERO, ReplicaId::new(replica), answer.clone(), &mut outputs);
    }
    client.flush(Time::ZERO, &mut outputs);
    outputs
}

pub(super) fn open_client(rule: ReplyRule) -> Client {
    let mut client = client(rule);
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    agree(&mut client, &reply(5, 0, Outcome::SessionOpened));
    client
}

/// [CL1] One liar, or a quorum that does not agree, decides nothing.
#[test]
fn result_is_accepted_only_when_enough_replicas_agree() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"x")).unwrap();
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    outputs.clear();
    client.on_reply(Time::ZERO, ReplicaId::new(0), reply(5, 1, result(b"lie")), &mut outputs);
    client.on_reply(Time::ZERO, ReplicaId::new(1), reply(5, 1, result(b"true")), &mut outputs);
    client.on_reply(Time::ZERO, ReplicaId::new(2), reply(5, 1, result(b"true")), &mut outputs);
    client.on_reply(Time::ZERO, ReplicaId::new(2), reply(5, 1, result(b"true")), &mut outputs);
    assert_eq!(completions(&outputs), [], "two distinct replicas are no quorum of four");
    client.on_reply(Time::ZERO, ReplicaId::new(3), reply(5, 1, result(b"true")), &mut outputs);
    assert_eq!(completions(&outputs), [Completion::Executed(b"true".to_vec())]);
}

/// [CL1] By the papers' rule f+1 committed replies suffice, but tentative ones need a quorum.
#[test]
fn weak_rule_needs_f_plus_1_committed_or_a_quorum_of_tentative_replies() {
    let mut client = open_client(ReplyRule::WeakUnlessTentative);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let mut outputs = Vec::new();
    let tentative = Reply { certainty: Certainty::Tentative, ..reply(5, 1, result(b"r")) };
    client.on_reply(Time::ZERO, ReplicaId::new(0), tentative.clone(), &mut outputs);
    client.on_reply(Time::ZERO, ReplicaId::new(1), tentative, &mut outputs);
    assert_eq!(completions(&outputs), []);
    client.on_reply(Time::ZERO, ReplicaId::new(0), reply(5, 1, result(b"r")), &mut outputs);
    client.on_reply(Time::ZERO, ReplicaId::new(1), reply(5, 1, result(b"r")), &mut outputs);
    assert_eq!(completions(&outputs), [Completion::Executed(b"r".to_vec())]);
}

/// What a replica says of one result.
fn said(certainty: Certainty, view: u64) -> Reply {
    Reply { certainty, view: View::new(view), ..reply(5, 1, result(b"r")) }
}

/// Whether a client of four replicas believes what they say, one after the other.
fn is_believed(replies: &[(u32, Reply)]) -> bool {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let mut outputs = Vec::new();
    for (replica, reply) in replies {
        client.on_reply(Time::ZERO, ReplicaId::new(*replica), reply.clone(), &mut outputs);
    }
    completions(&outputs) == [Completion::Executed(b"r".to_vec())]
}

/// [TE6] Replica 0 answers in view 0, which is left, and 0 rolls the batch back. Then 1 executes it
/// tentatively in view 1, and 2 lies. Only one correct replica has it prepared in view 1, so that
/// view may be lost, and the batch with it.
#[test]
fn tentative_answers_of_two_views_do_not_add_up() {
    use Certainty::Tentative;
    let of_view = |view| said(Tentative, view);
    assert!(is_believed(&[(0, of_view(0)), (1, of_view(0)), (2, of_view(0))]));
    assert!(!is_believed(&[(0, of_view(0)), (1, of_view(1)), (2, of_view(1))]));
    // What a replica says last counts, so none stands in two quorums.
    let first = [(0, of_view(0)), (1, of_view(0)), (1, of_view(1)), (2, of_view(0))];
    assert!(!is_believed(&first));
    assert!(is_believed(&[&first[..], &[(3, of_view(0))]].concat()));
}

/// [TE6] Replica 0 answers in view 0 and rolls back; the request is committed elsewhere in view 1,
/// at a number of which 0 knows nothing. The result is right, but 0 would show readers a state without
/// it: so 0 is no member of the quorum that must know of it.
#[test]
fn tentative_answers_go_together_with_committed_ones_of_their_view_only() {
    use Certainty::{Committed, CommittedInView, Tentative};
    let tentative = (0, said(Tentative, 0));
    let with = |certainty, view| {
        is_believed(&[tentative.clone(), (1, said(certainty, view)), (2, said(certainty, view))])
    };
    assert!(!with(Committed, 0));
    assert!(!with(CommittedInView, 1));
    assert!(with(CommittedInView, 0));
    // So it asks again, much sooner than if nobody had answered.
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let unanswered = client.next_deadline();
    let mut outputs = Vec::new();
    for (replica, certainty) in [(0, Tentative), (1, Tentative), (2, Committed)] {
        assert_eq!(client.next_deadline(), unanswered);
        client.on_reply(Time::ZERO, ReplicaId::new(replica), said(certainty, 0), &mut outputs);
    }
    let soon = client.next_deadline().unwrap();
    assert!(soon < Time::ZERO.after(Duration::from_millis(20)), "{soon:?}");
    client.on_tick(soon, &mut outputs);
    assert_eq!(sent_requests(&outputs).len(), 1);
    for replica in [0, 1] {
        client.on_reply(soon, ReplicaId::new(replica), said(Committed, 0), &mut outputs);
    }
    assert_eq!(completions(&outputs), [Completion::Executed(b"r".to_vec())]);
    // Committed ones alone go together whatever they say of views.
    let committed = [(0, said(CommittedInView, 0)), (1, said(CommittedInView, 1))];
    assert!(is_believed(&[&committed[..], &[(2, said(Committed, 0))]].concat()));
}

/// [CL3] The rule for clusters with one-round reads believes nothing less than a quorum.
#[test]
fn always_quorum_is_not_content_with_f_plus_1() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let mut outputs = Vec::new();
    for replica in 0..2 {
        let replica = ReplicaId::new(replica);
        client.on_reply(Time::ZERO, replica, reply(5, 1, result(b"r")), &mut outputs);
    }
    assert_eq!(completions(&outputs), []);
}

/// [CL2] An unanswered request goes to all replicas again, unchanged, at growing intervals.
#[test]
fn unanswered_request_is_sent_again_with_growing_intervals() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"a")).unwrap();
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    let first = sent_requests(&outputs);
    let mut gaps = Vec::new();
    let mut now = Time::ZERO;
    for _ in 0..4 {
        let due = client.next_deadline().unwrap();
        gaps.push(due.since(now));
        now = due;
        outputs.clear();
        client.on_tick(now, &mut outputs);
        assert_eq!(sent_requests(&outputs), first);
    }
    assert!(gaps.windows(2).all(|pair| pair[0] < pair[1]), "{gaps:?}");
}

/// The OPEN-SESSION of a client that asked for `session` and was told that 9 is open.
fn second_open_session(session: u64) -> Request {
    let parameters = ClientParameters::default();
    let mut client =
        Client::new(config(4), ClientId::ZERO, key(200), Session::new(session), parameters);
    client.flush(Time::ZERO, &mut Vec::new());
    let fenced = Outcome::Fenced { current: Session::new(9) };
    sent_requests(&agree(&mut client, &reply(session, 0, fenced))).remove(0)
}

/// [CL4] A clock that went back is no obstacle: the client opens a later session.
#[test]
fn client_with_an_older_clock_opens_a_later_session() {
    let request = second_open_session(5);
    assert!(request.session > Session::new(9));
    assert_eq!(request.body, RequestBody::OpenSession);
}

/// [CL4] Two processes with one identity and older clocks do not open one and the same session, in
/// which each would take the other's results for its own.
#[test]
fn two_clients_told_of_one_session_open_two() {
    assert_ne!(second_open_session(5).session, second_open_session(6).session);
}

/// [CL4] Two processes with one identity: the older is told and stops. Only of what was never sent
/// can it say that it was not executed: the results of the rest went with the session.
#[test]
fn fenced_client_says_so_and_accepts_nothing_more() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    client.submit(operation(b"b")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    client.submit(operation(b"never sent")).unwrap();
    let current = Session::new(6);
    let outputs = agree(&mut client, &reply(5, 1, Outcome::Fenced { current }));
    let (unknown, fenced) = (Completion::Unknown, Completion::Fenced { current });
    assert_eq!(completions(&outputs), [unknown.clone(), unknown, fenced]);
    assert_eq!(client.submit(operation(b"c")), Err(SubmitError::Fenced { current }));
}

/// [CL5] f liars cannot move the client's idea of the view.
#[test]
fn view_is_the_f_plus_1_highest() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let mut outputs = Vec::new();
    for (replica, view) in [(0, 1 << 60), (1, 3), (2, 2), (3, 2)] {
        let reply = Reply { view: View::new(view), ..reply(5, 9, result(b"")) };
        client.on_reply(Time::ZERO, ReplicaId::new(replica), reply, &mut outputs);
    }
    assert_eq!(client.view(), View::new(3));
}

/// [CL6] What was answered is acknowledged with the next request, so that the window moves.
#[test]
fn next_request_acknowledges_what_was_answered() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    for timestamp in 1..=200 {
        client.submit(operation(b"a")).unwrap();
        let mut outputs = Vec::new();
        client.flush(Time::ZERO, &mut outputs);
        let requests = sent_requests(&outputs);
        assert_eq!(requests[0].timestamp, Timestamp::new(timestamp));
        assert_eq!(requests[0].acknowledged_below, Timestamp::new(timestamp));
        agree(&mut client, &reply(5, timestamp, result(b"")));
    }
}

/// [CL7] Operations submitted while others are outstanding share one request and one signature.
#[test]
fn waiting_operations_are_coalesced_into_one_request() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let mut outputs = Vec::new();
    for _ in 0..58 {
        client.submit(operation(b"a")).unwrap();
        client.flush(Time::ZERO, &mut outputs);
    }
    assert_eq!(sent_requests(&outputs).len(), 4, "no more than the limit are outstanding");
    let outputs = agree(&mut client, &reply(5, 1, result(b"")));
    let requests = sent_requests(&outputs);
    assert_eq!(requests.len(), 1);
    let RequestBody::Operations(operations) = &requests[0].body else { panic!("operations") };
    assert_eq!(operations.len(), 50);
}

/// [CL8] Operations without a result were not executed, and are sent again before anything else.
#[test]
fn operations_that_did_not_fit_the_reply_are_sent_again() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let mut outputs = Vec::new();
    let ids: Vec<OperationId> =
        [b"a", b"b", b"c"].iter().map(|body| client.submit(operation(*body)).unwrap()).collect();
    client.flush(Time::ZERO, &mut outputs);
    let outputs = agree(&mut client, &reply(5, 1, result(b"ra")));
    let done = ClientOutput::Completed(ids[0], Completion::Executed(b"ra".to_vec()));
    assert_eq!(outputs[0], done);
    let RequestBody::Operations(again) = &sent_requests(&outputs)[0].body else { panic!() };
    assert_eq!(*again, [operation(b"b"), operation(b"c")]);
    let both = Outcome::Executed(vec![b"rb".to_vec(), b"rc".to_vec()]);
    let outputs = agree(&mut client, &reply(5, 2, both));
    assert_eq!(outputs[1], ClientOutput::Completed(ids[2], Completion::Executed(b"rc".to_vec())));
}

#[test]
fn cancelling_tells_whether_the_operation_can_still_happen() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let sent = client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let queued = client.submit(operation(b"b")).unwrap();
    assert!(!client.cancel(sent), "it may be executed");
    assert!(client.cancel(queued), "it was never sent");
}

#[test]
fn operation_that_fits_no_request_is_refused() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let bytes_max = client.operation_bytes_max();
    let too_large = operation(&vec![0; bytes_max + 1]);
    assert_eq!(client.submit(too_large), Err(SubmitError::TooLarge { bytes_max }));
    let outputs = &mut Vec::new();
    client.submit(operation(&vec![0; bytes_max])).unwrap();
    client.flush(Time::ZERO, outputs);
    let ClientOutput::Send { message, .. } = &outputs[0] else { panic!("a request") };
    let Message::Request(request) = &**message else { panic!("a request") };
    assert!(request.byte_count() <= Parameters::default().request_bytes_max);
}

/// [CL1] A replica that kept only the digest of a large result vouches for it; the whole one, from
/// any of them, is what the client gets, in whatever order they come.
#[test]
fn whole_result_from_one_replica_serves_a_quorum_that_kept_its_digest() {
    let whole = reply(5, 1, result(b"large"));
    let kept = reply(5, 1, Outcome::ExecutedBefore(result(b"large").digest()));
    for order in [[&whole, &kept, &kept], [&kept, &whole, &kept], [&kept, &kept, &whole]] {
        let mut client = open_client(ReplyRule::AlwaysQuorum);
        client.submit(operation(b"a")).unwrap();
        client.flush(Time::ZERO, &mut Vec::new());
        let mut outputs = Vec::new();
        for (replica, answer) in (0..).zip(order) {
            let replica = ReplicaId::new(replica);
            client.on_reply(Time::ZERO, replica, answer.clone(), &mut outputs);
        }
        assert_eq!(completions(&outputs), [Completion::Executed(b"large".to_vec())]);
    }
}

/// [CL1] That a result is lost is believed when a whole quorum has lost it, by either rule.
#[test]
fn result_is_given_up_only_when_a_quorum_has_lost_it() {
    for rule in [ReplyRule::AlwaysQuorum, ReplyRule::WeakUnlessTentative] {
        let mut client = open_client(rule);
        client.submit(operation(b"a")).unwrap();
        client.flush(Time::ZERO, &mut Vec::new());
        let kept = reply(5, 1, Outcome::ExecutedBefore(result(b"large").digest()));
        let mut outputs = Vec::new();
        for replica in 0..2 {
            let replica = ReplicaId::new(replica);
            client.on_reply(Time::ZERO, replica, kept.clone(), &mut outputs);
        }
        assert_eq!(completions(&outputs), [], "two of four may be slow, not forgetful");
        client.on_reply(Time::ZERO, ReplicaId::new(3), kept, &mut outputs);
        assert_eq!(completions(&outputs), [Completion::ResultLost]);
    }
}

#[test]
fn answers_to_the_oldest_request_are_counted_by_replica() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    assert_eq!(client.answers_to_oldest(), None);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    assert_eq!(client.answers_to_oldest(), Some(0));
    for (replica, count) in [(0, 1), (1, 2), (1, 2)] {
        let lie = reply(5, 1, result(&[replica as u8]));
        client.on_reply(Time::ZERO, ReplicaId::new(replica), lie, &mut Vec::new());
        assert_eq!(client.answers_to_oldest(), Some(count));
    }
}

/// [CL2] The interval doubles up to its maximum, and is spread by less than a quarter of itself.
#[test]
fn intervals_double_up_to_the_maximum_and_are_spread_by_less_than_a_quarter() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let parameters = ClientParameters::default();
    let mut wait = client.next_deadline().unwrap().since(Time::ZERO);
    assert!((parameters.retransmit_min..=parameters.retransmit_max).contains(&wait));
    let (mut spread, mut waited) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..12 {
        let now = client.next_deadline().unwrap();
        client.on_tick(now, &mut Vec::new());
        wait = (wait * 2).min(parameters.retransmit_max);
        let gap = client.next_deadline().unwrap().since(now);
        assert!(gap >= wait && gap < wait + wait / 4, "{gap:?} for {wait:?}");
        spread += gap - wait;
        waited += wait;
    }
    assert!(spread > waited / 20, "not all at once: {spread:?} of {waited:?}");
    assert_eq!(wait, parameters.retransmit_max);
}

#[test]
fn reply_is_worth_decoding_only_while_somebody_waits_for_what_it_holds() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let _ = client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let head = |session, timestamp, body| {
        let reply = Reply { body, ..reply(session, timestamp, result(b"x")) };
        let bytes = crate::wire::encode(Epoch::ZERO, &Message::Reply(reply));
        crate::wire::head(Epoch::ZERO, &bytes).unwrap()
    };
    let from = ReplicaId::ZERO;
    let whole = |outcome| ReplyBody::Full(outcome);
    assert!(client.wants(from, &head(5, 1, whole(result(b"x")))));
    assert!(client.wants(from, &head(5, 1, whole(Outcome::OutsideWindow))));
    assert!(!client.wants(from, &head(4, 1, whole(result(b"x")))), "another session");
    assert!(!client.wants(from, &head(5, 2, whole(result(b"x")))), "a request not sent");
    let two_results = Outcome::Executed(vec![Vec::new(); 2]);
    assert!(!client.wants(from, &head(5, 1, whole(two_results))), "more results than operations");
}

#[test]
fn replica_is_heard_with_a_whole_outcome_once_each_time_it_was_asked_and_once_more() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let _ = client.submit(operation(b"a")).unwrap();
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    let (liar, other) = (ReplicaId::new(3), ReplicaId::new(1));
    let lie = reply(5, 1, result(b"lie"));
    let bytes = crate::wire::encode(Epoch::ZERO, &Message::Reply(lie.clone()));
    let whole = crate::wire::head(Epoch::ZERO, &bytes).unwrap();
    client.on_reply(Time::ZERO, liar, lie.clone(), &mut outputs);
    assert!(client.wants(liar, &whole), "what it said before may have been rolled back");
    client.on_reply(Time::ZERO, liar, lie, &mut outputs);
    assert!(!client.wants(liar, &whole) && client.wants(other, &whole));
    let Head::Reply(head) = whole else { panic!("{whole:?}") };
    assert!(client.wants(liar, &Head::Reply(ReplyHead { is_whole: false, ..head })));
    client.on_tick(client.next_deadline().unwrap(), &mut outputs);
    assert!(client.wants(liar, &whole), "it was asked again");
}

/// [RQ1] The longest operation that is taken makes a request that every replica takes.
#[test]
fn longest_operation_fits_a_request_and_a_longer_one_is_refused() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let bytes_max = client.operation_bytes_max();
    assert_eq!(bytes_max, client.config.parameters.request_bytes_max - 264);
    client.submit(operation(&vec![7; bytes_max])).unwrap();
    let too_long = client.submit(operation(&vec![7; bytes_max + 1]));
    assert_eq!(too_long, Err(SubmitError::TooLarge { bytes_max }));
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    let ClientOutput::Send { message, .. } = &outputs[0] else { panic!("{outputs:?}") };
    let sender = crate::Sender::Client(ClientId::ZERO);
    assert!(client.config.admit(sender, (**message).clone()).is_ok());
}

/// [CL4] While the session is being opened, OPEN-SESSION is outstanding once.
#[test]
fn session_is_opened_by_one_request() {
    let mut client = client(ReplyRule::AlwaysQuorum);
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut outputs);
    assert_eq!(sent_requests(&outputs).len(), 1);
}

/// [CL1] What does not come from a replica of the cluster, or belongs to another session, counts
/// for nothing.
#[test]
fn replies_of_nobody_and_of_another_session_are_ignored() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.submit(operation(b"a")).unwrap();
    client.flush(Time::ZERO, &mut Vec::new());
    let mut outputs = Vec::new();
    for stranger in 4..7 {
        let answer = reply(5, 1, result(b"forged"));
        client.on_reply(Time::ZERO, ReplicaId::new(stranger), answer, &mut outputs);
    }
    outputs.extend(agree(&mut client, &reply(4, 1, result(b"old"))));
    assert_eq!(completions(&outputs), []);
    let outputs = agree(&mut client, &reply(5, 1, result(b"right")));
    assert_eq!(completions(&outputs), [Completion::Executed(b"right".to_vec())]);
}

/// [CL6] The timestamps outstanding stay within the client's window, however many requests it may
/// keep outstanding: a replica would refuse the rest.
#[test]
fn outstanding_requests_stay_within_the_window() {
    const CLIENT_WINDOW: u64 = 8;
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    client.parameters.outstanding_max = 100;
    let parameters = &mut Arc::make_mut(&mut client.config).parameters;
    parameters.client_window = CLIENT_WINDOW;
    parameters.operations_per_request_max = 1;
    let mut outputs = Vec::new();
    for _ in 0..2 * CLIENT_WINDOW {
        client.submit(operation(b"a")).unwrap();
        client.flush(Time::ZERO, &mut outputs);
    }
    assert_eq!(sent_requests(&outputs).len() as u64, CLIENT_WINDOW - 1);
    let next = agree(&mut client, &reply(5, 2, result(b"x")));
    assert_eq!(sent_requests(&next), [], "the oldest is still outstanding");
    let next = agree(&mut client, &reply(5, 1, result(b"x")));
    assert_eq!(sent_requests(&next).len(), 2, "the window has moved beyond both");
}

fn operation_count(request: &Request) -> usize {
    match &request.body {
        RequestBody::Operations(operations) => operations.len(),
        RequestBody::OpenSession => 0,
    }
}

/// [CL7] What comes one by one leaves in requests that grow, and what comes while one is
/// outstanding waits until it is as much.
#[test]
fn next_request_carries_as_much_as_is_outstanding() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let mut outputs = Vec::new();
    for _ in 0..9 {
        client.submit(operation(b"a")).unwrap();
        client.flush(Time::ZERO, &mut outputs);
    }
    let counts: Vec<usize> = sent_requests(&outputs).iter().map(operation_count).collect();
    assert_eq!(counts, [1, 1, 2, 4], "and one waits");
    let results = Outcome::Executed(vec![b"x".to_vec(); 4]);
    let mut next = agree(&mut client, &reply(5, 4, results));
    assert_eq!(sent_requests(&next), [], "four are outstanding, and one waits");
    for _ in 0..3 {
        client.submit(operation(b"a")).unwrap();
    }
    client.flush(Time::ZERO, &mut next);
    let counts: Vec<usize> = sent_requests(&next).iter().map(operation_count).collect();
    assert_eq!(counts, [4]);
}

/// [CL7] What waits for more to come waits for two milliseconds and no longer.
#[test]
fn operations_gather_for_so_long_and_no_longer() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    for _ in 0..5 {
        client.submit(operation(b"a")).unwrap();
    }
    client.flush(Time::ZERO, &mut Vec::new());
    let mut outputs = Vec::new();
    let later = Time::ZERO.after(Duration::from_millis(1));
    client.submit(operation(b"b")).unwrap();
    client.flush(later, &mut outputs);
    assert_eq!(outputs, [], "five are outstanding");
    let due = client.next_deadline().unwrap();
    assert_eq!(due, later.after(client.parameters.gathering_max));
    client.on_tick(due, &mut outputs);
    let counts: Vec<usize> = sent_requests(&outputs).iter().map(operation_count).collect();
    assert_eq!(counts, [1]);
    assert!(client.next_deadline().unwrap() > due, "nothing gathers any more");
}

/// [CL7] A request carries as many operations as it may, and the rest goes into the next one.
#[test]
fn coalesced_operations_are_at_most_so_many() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    Arc::make_mut(&mut client.config).parameters.operations_per_request_max = 3;
    for _ in 0..7 {
        client.submit(operation(b"a")).unwrap();
    }
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    let counts: Vec<usize> = sent_requests(&outputs).iter().map(operation_count).collect();
    assert_eq!(counts, [3, 3], "and one waits for these");
    let results = Outcome::Executed(vec![b"x".to_vec(); 3]);
    let next = agree(&mut client, &reply(5, 1, results.clone()));
    assert_eq!(sent_requests(&next), []);
    let next = agree(&mut client, &reply(5, 2, results));
    let counts: Vec<usize> = sent_requests(&next).iter().map(operation_count).collect();
    assert_eq!(counts, [1]);
}

/// [CL2] A request is sent again after four times the latency that is usual.
#[test]
fn retransmission_adapts_to_the_latency() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let latency = Duration::from_millis(200);
    let mut now = Time::ZERO;
    for timestamp in 1..=80 {
        client.submit(operation(b"a")).unwrap();
        client.flush(now, &mut Vec::new());
        now = now.after(latency);
        for replica in 0..3 {
            let answer = reply(5, timestamp, result(b"x"));
            client.on_reply(now, ReplicaId::new(replica), answer, &mut Vec::new());
        }
    }
    client.submit(operation(b"a")).unwrap();
    client.flush(now, &mut Vec::new());
    let wait = client.next_deadline().unwrap().since(now);
    assert!(wait > latency * 39 / 10 && wait <= latency * 4, "{wait:?}");
}
