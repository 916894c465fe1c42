//! The asynchronous client: what it believes, what it says when it cannot, and how it goes on.

use crate::{
    replica::until,
    scripted::{REPLICA_COUNT, Script, ScriptedCluster, operation},
};
use pbft::{ClientParameters, ReplicaId, Session, View};
use quorate_net::{Client, ClientError, Fate};
use std::time::Duration;
use tokio::time::Instant;

const HONEST: [Script; 4] = [Script::Honest; 4];
/// Far beyond what any of these tests takes when it passes.
const PATIENCE: Duration = Duration::from_secs(60);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

async fn submit(client: &Client, body: &str) -> Result<String, ClientError> {
    let result = client.submit(operation(body), soon()).await?;
    Ok(String::from_utf8(result).unwrap())
}

async fn start(scripts: [Script; 4]) -> (ScriptedCluster, Client) {
    let cluster = ScriptedCluster::start(scripts).await;
    let client = cluster.client(ClientParameters::default());
    until(|| client.connected().len() == REPLICA_COUNT as usize).await;
    (cluster, client)
}

#[tokio::test]
async fn result_is_what_the_replicas_agree_on() {
    let (_cluster, client) = start(HONEST).await;
    assert_eq!(submit(&client, "abc").await.unwrap(), "cba");
    assert_eq!(client.view(), View::new(3));
    assert_eq!(client.unfinished(), 0);
    assert_eq!(client.metrics().operations_completed.get(), 1);
}

#[tokio::test]
async fn liar_a_babbler_or_a_mute_changes_no_result() {
    for script in [Script::Lie, Script::Junk, Script::Repeat, Script::Garbage, Script::Silent] {
        let (_cluster, client) =
            start([script, Script::Honest, Script::Honest, Script::Honest]).await;
        assert_eq!(submit(&client, "abc").await.unwrap(), "cba");
    }
}

#[tokio::test]
async fn bytes_that_are_no_reply_are_counted() {
    let (_cluster, client) = start([Script::Garbage; 4]).await;
    until(|| client.metrics().replies_rejected.get() >= 4).await;
}

#[tokio::test]
async fn junk_and_repeated_answers_are_not_decoded() {
    for (script, unwanted) in [(Script::Junk, 1), (Script::Repeat, 99)] {
        let scripts = [script, Script::FallSilent, Script::FallSilent, Script::Honest];
        let (_cluster, client) = start(scripts).await;
        let call = submit(&client, "abc");
        tokio::select! {
            result = call => panic!("{result:?}"),
            () = until(|| client.metrics().replies_unwanted.get() >= unwanted) => {}
        }
        assert_eq!(client.metrics().replies_rejected.get(), 0);
    }
}

#[tokio::test]
async fn concurrent_callers_share_requests() {
    let (cluster, client) = start(HONEST).await;
    submit(&client, "opens the session").await.unwrap();
    let before = cluster.requests(0);
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..500 {
        let client = client.clone();
        callers.spawn(async move {
            let result = submit(&client, &format!("{number}x")).await.unwrap();
            assert_eq!(
                result,
                format!("x{}", number.to_string().chars().rev().collect::<String>())
            );
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let requests = cluster.requests(0) - before;
    assert!(requests < 100, "{requests} requests for 500 operations");
}

#[tokio::test]
async fn too_few_reachable_replicas_are_named_in_the_error() {
    let mut cluster = ScriptedCluster::start(HONEST).await;
    cluster.stop(0).await;
    cluster.stop(3).await;
    let client = cluster.client(ClientParameters::default());
    until(|| client.connected().len() == 2).await;
    assert_eq!(client.connected(), [ReplicaId::new(1), ReplicaId::new(2)]);
    tokio::time::pause();
    let error = submit(&client, "abc").await.unwrap_err();
    let fate = Fate::NotExecuted;
    assert_eq!(error, ClientError::NoQuorum { reachable: 2, needed: 3, fate });
    assert!(error.to_string().contains("only 2 replicas can be reached and 3 must agree"));
    assert_eq!(client.unfinished(), 0, "what was given up before it was sent is forgotten");
}

#[tokio::test]
async fn silence_after_the_request_was_sent_leaves_its_fate_unknown() {
    let fall_silent = [Script::Honest, Script::FallSilent, Script::FallSilent, Script::Honest];
    let (cluster, client) = start(fall_silent).await;
    until(|| cluster.requests(0) > 0).await;
    tokio::time::pause();
    let error = submit(&client, "abc").await.unwrap_err();
    assert_eq!(error, ClientError::Timeout { fate: Fate::Unknown });
    assert_eq!(client.metrics().operations_timed_out.get(), 1);
    assert!(cluster.requests(0) > 2, "it was sent again meanwhile");
    cluster.set(1, Script::Honest);
    assert_eq!(submit(&client, "later").await.unwrap(), "retal");
}

#[tokio::test]
async fn client_goes_on_with_replicas_that_came_back() {
    let (mut cluster, client) = start(HONEST).await;
    submit(&client, "abc").await.unwrap();
    cluster.stop(0).await;
    assert_eq!(submit(&client, "one down").await.unwrap(), "nwod eno");
    cluster.restart(0).await;
    until(|| client.connected().len() == 4).await;
    cluster.stop(1).await;
    assert_eq!(submit(&client, "another down").await.unwrap(), "nwod rehtona");
}

#[tokio::test]
async fn session_opened_elsewhere_fences_this_one_for_good() {
    let (_cluster, client) = start([Script::Fence(Session::new(u64::MAX)); 4]).await;
    let fenced = ClientError::Fenced { current: Session::new(u64::MAX) };
    let sent = submit(&client, "abc").await.unwrap_err();
    assert_eq!(sent.fate(), Fate::Unknown, "its result went with the session: {sent}");
    assert_eq!(submit(&client, "def").await.unwrap_err(), fenced);
    assert_eq!(fenced.fate(), Fate::NotExecuted);
}

#[tokio::test]
async fn oversize_operation_is_refused_at_once() {
    let (_cluster, client) = start(HONEST).await;
    let huge = "x".repeat(3 << 20);
    assert!(matches!(submit(&client, &huge).await, Err(ClientError::TooLarge { .. })));
    assert_eq!(submit(&client, "abc").await.unwrap(), "cba");
}

#[tokio::test]
async fn more_operations_than_may_wait_are_refused_at_once() {
    let cluster = ScriptedCluster::start([Script::Silent; 4]).await;
    let parameters = ClientParameters { queued_operations_max: 1, ..ClientParameters::default() };
    let client = cluster.client(parameters);
    let waiting = submit(&client, "waits");
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        result = &mut waiting => panic!("{result:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(submit(&client, "one too many").await.unwrap_err(), ClientError::Overloaded);
}

#[tokio::test]
async fn dropped_call_is_given_up() {
    let cluster = ScriptedCluster::start([Script::Silent; 4]).await;
    let client = cluster.client(ClientParameters::default());
    {
        let call = submit(&client, "never mind");
        tokio::pin!(call);
        tokio::select! {
            biased;
            result = &mut call => panic!("{result:?}"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(client.unfinished(), 1);
    }
    assert_eq!(client.unfinished(), 0);
}

#[tokio::test]
async fn closing_ends_links_and_callers() {
    let (cluster, client) = start([Script::Silent; 4]).await;
    let (waiting, ()) = tokio::join!(submit(&client, "abc"), client.close());
    assert_eq!(waiting.unwrap_err(), ClientError::Closed { fate: Fate::NotExecuted });
    let refused = submit(&client, "abc").await.unwrap_err();
    assert_eq!(refused, ClientError::Closed { fate: Fate::NotExecuted });
    until(|| cluster.connection_count() == 0).await;
}

#[tokio::test]
async fn dropping_the_last_clone_ends_the_links() {
    let (cluster, client) = start(HONEST).await;
    let clone = client.clone();
    drop(client);
    assert_eq!(submit(&clone, "abc").await.unwrap(), "cba");
    drop(clone);
    until(|| cluster.connection_count() == 0).await;
}
