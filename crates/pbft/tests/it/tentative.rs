//! Tentative execution: what is executed before it is committed, who is told so, and how it is undone.

use crate::cluster::{Cluster, Envelope, client_key, config_with, seq, test_config, within};
use pbft::message::{Certainty, Committed, Kind, RequestBody};
use pbft::{Event, Message, Output, Record, SeqNum, Session, SignedRequest};
use std::sync::Arc;
use std::time::Duration;

/// A cluster whose replicas execute tentatively.
fn offering(replica_count: u32) -> Cluster {
    let mut config = test_config(replica_count);
    config.parameters.tentative_execution = true;
    Cluster::with_config(config)
}

fn no_commits(envelope: &Envelope) -> bool {
    envelope.kind() != Kind::Commit
}

/// Client 0 asks for something that prepares everywhere and commits nowhere.
fn prepared_everywhere(n: u32) -> Cluster {
    let mut cluster = offering(n);
    cluster.ask(0, 1, "a");
    cluster.deliver_where(no_commits);
    cluster
}

fn certainties(cluster: &Cluster, timestamp: u64, body: &str) -> Vec<(u32, Certainty)> {
    cluster.told(0, timestamp, body).map(|reply| (reply.replica, reply.certainty)).collect()
}

fn happened(cluster: &Cluster, replica: u32, wanted: fn(&Event) -> bool) -> usize {
    cluster.events.iter().filter(|(at, event)| *at == replica && wanted(event)).count()
}

fn tentatives(cluster: &Cluster, replica: u32) -> usize {
    happened(cluster, replica, |event| matches!(event, Event::ExecutedTentatively { .. }))
}

fn rollbacks(cluster: &Cluster, replica: u32) -> usize {
    happened(cluster, replica, |event| matches!(event, Event::RolledBack { .. }))
}

/// [TE1] [TE2] What has prepared is executed and answered; to everything else it has not happened
/// yet. Once it commits it is not executed again, nor answered again.
#[test]
fn prepared_batch_is_answered_at_once_and_counts_as_executed_when_it_commits() {
    let mut cluster = offering(4);
    let before = cluster.status(2).last_executed;
    cluster.ask(0, 1, "a");
    let mut commits = Vec::new();
    for _ in 0..100 {
        commits.extend(cluster.take(|envelope| envelope.kind() == Kind::Commit));
        let Some(envelope) = cluster.network.pop_front() else { break };
        cluster.deliver(&envelope);
    }
    let told: Vec<u32> =
        certainties(&cluster, 1, "a").iter().map(|(replica, _)| *replica).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(certainties(&cluster, 1, "a").iter().all(|(_, it)| *it == Certainty::Tentative));
    for replica in 0..4 {
        let status = cluster.status(replica);
        assert_eq!((status.last_executed, status.waiting_requests), (before, 1), "{replica}");
        assert_eq!(tentatives(&cluster, replica), 1);
    }
    cluster.network.extend(commits);
    cluster.deliver_all();
    for replica in 0..4 {
        let status = cluster.status(replica);
        assert_eq!((status.last_executed, status.waiting_requests), (before.next(), 0));
        assert_eq!((tentatives(&cluster, replica), rollbacks(&cluster, replica)), (1, 0));
    }
    assert_eq!(certainties(&cluster, 1, "a").len(), 4, "nobody is told twice");
}

/// [TE1] Everything before it must be committed, so at most one batch is executed tentatively.
#[test]
fn batch_behind_one_that_is_not_committed_is_not_executed_tentatively() {
    let mut cluster = prepared_everywhere(4);
    cluster.ask(0, 2, "b");
    cluster.deliver_where(no_commits);
    assert_eq!(certainties(&cluster, 1, "a").len(), 4);
    assert_eq!(certainties(&cluster, 2, "b"), [], "it has prepared, but the first may be lost");
    cluster.run(Duration::from_millis(500));
    assert_eq!(cluster.answered(0, 2, "b"), [0, 1, 2, 3]);
    cluster.assert_agreement();
}

/// [TE1] Where the configuration does not offer it, nothing is executed before it is committed, and
/// no answer speaks of a view.
#[test]
fn nothing_is_executed_tentatively_unless_it_is_offered() {
    let mut parameters = test_config(4).parameters;
    parameters.tentative_execution = false;
    let mut cluster = Cluster::with_config(config_with(4, parameters));
    cluster.ask(0, 1, "a");
    cluster.deliver_where(no_commits);
    assert_eq!(certainties(&cluster, 1, "a"), []);
    cluster.run(Duration::from_millis(500));
    let told = certainties(&cluster, 1, "a");
    assert_eq!(told, [0, 1, 2, 3].map(|replica| (replica, Certainty::Committed)));
}

/// [TE2] Whoever asks again is told again; that a session is open nobody is told before it is
/// committed.
#[test]
fn request_that_comes_again_is_answered_tentatively_but_for_an_opened_session() {
    let mut cluster = prepared_everywhere(4);
    let again = cluster.operation(0, 1, "a");
    cluster.send_request_to(2, again);
    let told: Vec<_> = certainties(&cluster, 1, "a");
    let by_2: Vec<_> = told.iter().filter(|(replica, _)| *replica == 2).collect();
    assert_eq!(by_2, [&(2, Certainty::Tentative), &(2, Certainty::Tentative)]);

    let mut cluster = offering(4);
    cluster.replies.clear();
    let mut open = cluster.signed(0, 0, RequestBody::OpenSession).request().clone();
    open.session = Session::new(2);
    let open = SignedRequest::sign(&cluster.config.domain, &client_key(0), open);
    cluster.send_request(Arc::new(open));
    cluster.deliver_where(no_commits);
    assert_eq!(tentatives(&cluster, 2), 1);
    assert_eq!(cluster.replies, []);
    cluster.run(Duration::from_millis(500));
    let told: Vec<u32> = cluster.replies.iter().map(|reply| reply.replica).collect();
    assert_eq!(told, [0, 1, 2, 3]);
}

/// [TE3] A client counts a tentative answer towards what will be committed, so the P entry is
/// durable before it leaves, and all that a committed answer waits for.
#[test]
fn tentative_answer_waits_for_the_p_entry() {
    let mut cluster = offering(4);
    cluster.hold_syncs(2);
    cluster.ask(0, 1, "a");
    cluster.deliver_where(no_commits);
    // The PREPARE of 2 waits for its disk too, and the others do without.
    let told = |cluster: &Cluster| {
        let all = certainties(cluster, 1, "a");
        all.iter().map(|(replica, _)| *replica).collect::<Vec<_>>()
    };
    assert_eq!(tentatives(&cluster, 2), 1);
    assert_eq!(told(&cluster).len(), 3, "{:?}", told(&cluster));
    assert!(!told(&cluster).contains(&2));
    cluster.sync(2);
    assert_eq!(told(&cluster).last(), Some(&2));
    let records = cluster.durable_records(2);
    assert!(matches!(records.last(), Some(Record::Prepared(_))), "{records:?}");
}

/// [TE4] A batch that is lost with its view is undone, and its requests are ordered in the next one
/// without the client's help.
#[test]
fn batch_that_is_lost_with_its_view_is_undone_and_its_requests_are_not() {
    let mut cluster = offering(4);
    let before = cluster.status(3).last_executed;
    cluster.ask(0, 1, "a");
    // Only 3 gets enough PREPAREs.
    cluster.deliver_where(|e| no_commits(e) && (e.kind() != Kind::Prepare || e.to == 3));
    assert_eq!(certainties(&cluster, 1, "a"), [(3, Certainty::Tentative)]);
    // The view ends without 3, which hears of the next one only when it has begun.
    cluster.crash(0);
    cluster.run_where(Duration::from_millis(1500), |e| within(&[1, 2, 3])(e) && no_commits(e));
    assert_eq!(rollbacks(&cluster, 3), 1);
    cluster.run_where(Duration::from_secs(5), within(&[1, 2, 3]));
    assert!(cluster.status(3).view.get() > 0);
    assert!(cluster.status(3).last_executed > before);
    assert_eq!(cluster.answered(0, 1, "a"), [1, 2, 3]);
    cluster.assert_agreement();
}

/// [TE4] Another batch is committed at that number: word of it comes before word of the view in
/// which it was.
#[test]
fn batch_in_whose_place_another_one_commits_is_undone() {
    let mut cluster = offering(4);
    let before = cluster.status(3).last_executed;
    cluster.ask(0, 1, "a");
    cluster.deliver_where(|e| no_commits(e) && (e.kind() != Kind::Prepare || e.to == 3));
    assert_eq!(tentatives(&cluster, 3), 1);
    let null = Committed { seq: before.next(), digest: pbft::message::Batch::NULL };
    cluster.inject(0, 3, Message::Committed(null));
    assert_eq!(rollbacks(&cluster, 3), 0, "one may lie");
    cluster.inject(1, 3, Message::Committed(null));
    assert_eq!(rollbacks(&cluster, 3), 1);
    assert_eq!(cluster.status(3).last_executed, before.next());
    assert_eq!(cluster.history(3).last(), Some(&(before.next(), null.digest)));
    assert_eq!(cluster.answered(0, 1, "a"), [], "it is to be ordered elsewhere");
    assert_eq!(cluster.status(3).waiting_requests, 1);
}

/// [TE4] A state that is fetched takes the place of a committed one.
#[test]
fn fetch_of_a_state_undoes_what_is_executed_tentatively() {
    let mut cluster = offering(4);
    cluster.ask(0, 1, "a");
    cluster.deliver_where(|e| e.to != 3 || no_commits(e));
    assert_eq!(tentatives(&cluster, 3), 1);
    for timestamp in 2..=30 {
        cluster.ask(0, timestamp, "b");
        cluster.run_where(Duration::from_millis(20), |e| e.to != 3 && e.from != 3);
    }
    assert_eq!(rollbacks(&cluster, 3), 0);
    cluster.run(Duration::from_secs(2));
    let fetched = |event: &Event| matches!(event, Event::StateTransferred { .. });
    assert!(happened(&cluster, 3, fetched) > 0);
    assert_eq!(rollbacks(&cluster, 3), 1);
    cluster.assert_agreement();
    assert_eq!(cluster.status(3).last_executed, cluster.status(0).last_executed);
}

/// [TE4] A checkpoint is taken of what is committed: one that was executed tentatively and rolled
/// back is neither signed nor listed in C.
#[test]
fn no_checkpoint_is_taken_of_what_may_be_rolled_back() {
    let mut cluster = offering(4);
    let mut timestamp = 0;
    while cluster.status(3).last_executed.get() % 4 != 3 {
        timestamp += 1;
        cluster.ask(0, timestamp, "x");
        cluster.deliver_all();
    }
    let before = cluster.status(3).last_executed;
    cluster.trace = Some(Vec::new());
    cluster.ask(0, timestamp + 1, "a");
    cluster.deliver_where(|e| no_commits(e) && (e.kind() != Kind::Prepare || e.to == 3));
    assert_eq!(certainties(&cluster, timestamp + 1, "a"), [(3, Certainty::Tentative)]);
    cluster.crash(0);
    cluster.run_where(Duration::from_millis(1500), |e| within(&[1, 2, 3])(e) && no_commits(e));
    assert_eq!(rollbacks(&cluster, 3), 1);
    let trace = cluster.trace.as_ref().expect("it is kept");
    let listed = trace.iter().find_map(|(_, replica, output)| match output {
        Output::Send { message, .. } if *replica == 3 => match &**message {
            Message::ViewChange(signed) => Some(signed.body.checkpoints.clone()),
            _ => None,
        },
        _ => None,
    });
    let listed = listed.expect("3 has left the view");
    assert!(listed.iter().all(|(number, _)| *number <= before), "{listed:?}");
    let taken = trace.iter().any(|(_, _, output)| matches!(output, Output::TakeCheckpoint { .. }));
    assert!(!taken, "it was never committed");
    cluster.run_where(Duration::from_secs(8), within(&[1, 2, 3]));
    assert_eq!(cluster.answered(0, timestamp + 1, "a"), [1, 2, 3]);
    assert!(cluster.status(3).stable_checkpoint.0 > before, "this time it was");
    cluster.assert_agreement();
}

/// [TE5] The client may have been told by then: the state before is old, and that after it is not
/// sure. So reading waits until the number is executed and committed.
#[test]
fn reading_waits_while_something_is_executed_tentatively() {
    let mut cluster = prepared_everywhere(4);
    for replica in 0..4 {
        cluster.read(replica, 1, SeqNum::ZERO);
    }
    assert_eq!(cluster.shown, []);
    cluster.run(Duration::from_millis(200));
    assert_eq!(cluster.status(2).waiting_requests, 0);
    assert_eq!(cluster.shown, [(0, 1), (1, 1), (2, 1), (3, 1)]);
}

/// [TE5] A client that was told of a batch by a quorum may read when the view has been left: the
/// batch is going to be committed in another one, and nobody shows what was before it.
#[test]
fn reading_waits_for_what_was_rolled_back_too() {
    let mut cluster = prepared_everywhere(4);
    assert_eq!(certainties(&cluster, 1, "a").len(), 4, "the client believes them");
    cluster.crash(0);
    let before = cluster.status(1).last_executed;
    cluster.run_where(Duration::from_millis(1200), |e| {
        within(&[1, 2, 3])(e) && e.kind() != Kind::NewView && no_commits(e)
    });
    for replica in 1..4 {
        assert_eq!(rollbacks(&cluster, replica), 1);
        assert_eq!(cluster.status(replica).last_executed, before);
        cluster.read(replica, 1, SeqNum::ZERO);
    }
    assert_eq!(cluster.shown, [], "it would be old");
    cluster.run_where(Duration::from_millis(400), within(&[1, 2, 3]));
    assert_eq!(cluster.answered(0, 1, "a"), [1, 2, 3]);
    assert_eq!(cluster.shown, [(1, 1), (2, 1), (3, 1)]);
}

/// [TE3] [RO4] A replica that restarts after a tentative answer has the P entry: it shows nothing
/// from before, and executes the batch when it commits.
#[test]
fn restart_after_a_tentative_answer_forgets_the_execution_and_not_the_promise() {
    let mut cluster = prepared_everywhere(4);
    let before = cluster.status(2).last_executed;
    cluster.crash(2);
    cluster.start(2);
    assert_eq!(cluster.status(2).last_executed, before);
    cluster.advance(Duration::from_millis(1));
    cluster.deliver_where(|e| e.kind() == Kind::Hello);
    assert!(cluster.status(2).admitted);
    cluster.read(2, 1, SeqNum::ZERO);
    assert_eq!(cluster.shown, []);
    let told = cluster.core(2).view_change(pbft::View::new(1)).prepared;
    assert_eq!(told.last().map(|entry| entry.seq), Some(before.next()));
    cluster.run(Duration::from_millis(500));
    assert_eq!(cluster.status(2).last_executed, before.next());
    assert_eq!(cluster.shown, [(2, 1)]);
    cluster.assert_agreement();
}

/// [TE6] A replica that executes what is committed says whether that goes together with what is
/// tentative in its view: because it has prepared there too, or was committed there.
#[test]
fn committed_answer_names_the_view_in_which_it_is_known() {
    // 3 is kept in the dark and learns of the batch by COMMITs of view 0.
    let mut cluster = offering(4);
    cluster.ask(0, 1, "a");
    cluster.deliver_where(|e| e.to != 3 || e.kind() != Kind::Prepare);
    let mut told = certainties(&cluster, 1, "a");
    told.sort_unstable();
    assert_eq!(told.last(), Some(&(3, Certainty::CommittedInView)), "{told:?}");
    // And here by the word of others, which says nothing of a view.
    let mut cluster = offering(4);
    let n = cluster.status(3).last_executed.next();
    cluster.ask(0, 1, "a");
    cluster.deliver_where(|e| e.to != 3 || !matches!(e.kind(), Kind::Prepare | Kind::Commit));
    let digest = cluster.history(0).last().expect("it was executed").1;
    for from in [0, 1] {
        cluster.inject(from, 3, Message::Committed(Committed { seq: n, digest }));
    }
    assert_eq!(cluster.status(3).last_executed, n);
    let told: Vec<_> = certainties(&cluster, 1, "a");
    assert_eq!(told.last(), Some(&(3, Certainty::Committed)), "{told:?}");
    assert!(n > seq(0));
}
