use super::super::tests::{open_client, operation, reply, result};
use super::*;
use crate::client::{ClientOutput, ReplyRule};
use crate::message::{Message, Reply};
use alloc::sync::Arc;
use alloc::vec::Vec;

const PRIMARY: Option<ReplicaId> = Some(ReplicaId::ZERO);

/// A client with an open session in a cluster of four, whose answers come from replicas 0, 1 and 2.
struct Asking {
    client: Client,
    now: Time,
    view: View,
    timestamp: u64,
}

impl Asking {
    fn new() -> Self {
        let client = open_client(ReplyRule::AlwaysQuorum);
        Self { client, now: Time::from_micros(1), view: View::ZERO, timestamp: 0 }
    }

    /// Sends a request with so many bytes: to whom it goes.
    fn send(&mut self, bytes: usize) -> Option<ReplicaId> {
        self.client.submit(operation(&alloc::vec![1; bytes])).unwrap();
        let mut outputs = Vec::new();
        self.client.flush(self.now, &mut outputs);
        self.timestamp += 1;
        sent_to(&outputs).remove(0)
    }

    fn answer(&mut self, after: Duration) {
        self.now = self.now.after(after);
        let answer = reply(5, self.timestamp, result(b"r"));
        for replica in 0..3 {
            let answer = Reply { view: self.view, ..answer.clone() };
            self.client.on_reply(self.now, ReplicaId::new(replica), answer, &mut Vec::new());
        }
    }

    /// Sends a request and has it answered after so long: to whom it went.
    fn ask(&mut self, answered_after: Duration) -> Option<ReplicaId> {
        let only = self.send(1);
        self.answer(answered_after);
        only
    }

    /// Asks until a request goes to the primary alone, and leaves that one without an answer.
    fn ask_primary_alone(&mut self) {
        while self.send(1).is_none() {
            self.answer(MILLI);
        }
    }

    /// How many of so many requests, each answered at once, go to the primary alone.
    fn alone_of(&mut self, count: usize) -> usize {
        (0..count).filter(|_| self.ask(MILLI).is_some()).count()
    }

    fn parameters(&mut self) -> &mut crate::Parameters {
        &mut Arc::make_mut(&mut self.client.config).parameters
    }
}

const MILLI: Duration = Duration::from_millis(1);

/// To whom requests go.
fn sent_to(outputs: &[ClientOutput]) -> Vec<Option<ReplicaId>> {
    let request = |output: &ClientOutput| match output {
        ClientOutput::Send { only, message } if matches!(**message, Message::Request(_)) => {
            Some(*only)
        }
        _ => None,
    };
    outputs.iter().filter_map(request).collect()
}

/// [CL9] But one of four goes to all, by which the backups judge the primary.
#[test]
fn short_requests_go_to_the_primary_alone_but_one_of_four() {
    let mut asking = Asking::new();
    let alone = asking.alone_of(800);
    assert!((540..=660).contains(&alone), "{alone} of 800");
    assert_eq!(asking.send(900), PRIMARY);
}

/// [CL9] A PRE-PREPARE only names a long request, so the others need it from its client; where it
/// carries all of them, none goes to all for its length.
#[test]
fn long_request_goes_to_all_if_proposals_only_name_it() {
    for (separate, only) in [(true, None), (false, PRIMARY)] {
        let mut asking = Asking::new();
        asking.parameters().separate_requests = separate;
        let last = (0..30).map(|_| {
            let to = asking.send(1_024);
            asking.answer(MILLI);
            to
        });
        assert!(last.filter(|to| *to == only).count() > 15, "separate: {separate}");
    }
}

/// [CL9]
#[test]
fn every_request_goes_to_all_where_that_is_configured() {
    let mut asking = Asking::new();
    asking.parameters().requests_to_primary = false;
    assert_eq!(asking.alone_of(50), 0);
}

/// [CL9, CL2] What the primary leaves unanswered goes to all, and so does all that follows, until
/// another primary is in its place, or ten seconds have passed.
#[test]
fn primary_that_leaves_a_request_unanswered_is_sent_none_alone_for_a_while() {
    for (another_view, wait) in [(true, MILLI), (false, DOUBTED_FOR)] {
        let mut asking = Asking::new();
        asking.ask_primary_alone();
        asking.now = asking.client.next_deadline().unwrap();
        let mut outputs = Vec::new();
        asking.client.on_tick(asking.now, &mut outputs);
        assert_eq!(sent_to(&outputs), [None], "it is sent again, to all");
        asking.answer(MILLI);
        assert_eq!(asking.alone_of(50), 0);
        if another_view {
            asking.view = View::new(1);
            asking.ask(MILLI);
        }
        asking.now = asking.now.after(wait);
        assert!(asking.alone_of(50) > 25, "another view: {another_view}");
        let primary = asking.client.config.primary(asking.view);
        assert!((0..50).filter_map(|_| asking.ask(MILLI)).all(|to| to == primary));
    }
}

/// [CL9] A primary that could tell which requests the backups have would order those in time, and
/// keep back the others for as long as their client is patient.
#[test]
fn primary_that_keeps_back_what_it_alone_was_sent_is_sent_none_alone() {
    let mut asking = Asking::new();
    asking.alone_of(100);
    let mut kept_back = 0;
    for _ in 0..100 {
        let only = asking.send(1);
        kept_back += u32::from(only.is_some());
        asking.answer(if only.is_some() { Duration::from_millis(40) } else { MILLI });
    }
    assert!((1..60).contains(&kept_back), "{kept_back}");
}

/// [CL9] Where all requests take longer, nobody is doubted for that.
#[test]
fn primary_of_a_cluster_that_has_become_slow_is_not_doubted() {
    let mut asking = Asking::new();
    asking.alone_of(100);
    for millis in 1..=100 {
        asking.ask(Duration::from_millis(millis.min(20)));
    }
    let alone = (0..50).filter(|_| asking.ask(Duration::from_millis(20)).is_some()).count();
    assert!(alone > 25, "{alone} of 50");
}

/// [CL9, CL2] Patience follows the latency, but a primary that makes what it alone was sent take longer
/// and longer is doubted long before that makes a difference.
#[test]
fn primary_that_keeps_back_more_and_more_makes_no_client_patient() {
    let mut asking = Asking::new();
    asking.alone_of(100);
    let mut most = Duration::ZERO;
    for _ in 0..1_000 {
        let only = asking.send(1);
        let due = asking.client.next_deadline().unwrap().since(asking.now);
        most = most.max(due);
        asking.answer(if only.is_some() { due - MILLI } else { MILLI });
    }
    assert!(most < asking.client.parameters.retransmit_max / 4, "{most:?}");
}

/// [CL9] Without a link to the primary nobody waits for it: neither what was sent over it nor what
/// is asked next.
#[test]
fn lost_link_to_the_primary_sends_to_all_at_once() {
    let mut asking = Asking::new();
    asking.ask_primary_alone();
    asking.client.set_reachable(asking.now, ReplicaId::new(2), false);
    assert!(asking.client.next_deadline().unwrap() > asking.now);
    asking.client.set_reachable(asking.now, ReplicaId::ZERO, false);
    assert_eq!(asking.client.next_deadline(), Some(asking.now));
    let mut outputs = Vec::new();
    asking.client.on_tick(asking.now, &mut outputs);
    assert_eq!(sent_to(&outputs), [None]);
    asking.answer(MILLI);
    assert_eq!(asking.alone_of(20), 0);
    asking.client.set_reachable(asking.now, ReplicaId::ZERO, true);
    asking.now = asking.now.after(DOUBTED_FOR);
    assert!(asking.alone_of(20) > 10);
}
