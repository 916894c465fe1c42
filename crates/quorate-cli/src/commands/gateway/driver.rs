//! Carries the gateway's submissions to the cluster's client, and its answers back.

use crate::services::STORE;
use pbft::Quorums;
use pbft::message::Operation;
use quorate_gateway::{Answer, Interruption, Reach, Refusal, Submission, SubmitError};
use quorate_net::{Client, ClientError, Fate};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Submits until nobody submits any more. The gateway bounds how many are under way.
pub(super) async fn drive(
    client: Client,
    quorums: Quorums,
    mut submissions: mpsc::Receiver<Submission>,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            Some(_done) = under_way.join_next() => {}
            submission = submissions.recv() => {
                let Some(submission) = submission else { return };
                under_way.spawn(submit(client.clone(), quorums, submission));
            }
        }
    }
}

async fn submit(client: Client, quorums: Quorums, submission: Submission) {
    let Submission { operation, deadline, mut answer } = submission;
    let operation = Operation { service: STORE, body: operation };
    let outcome = tokio::select! {
        // Whoever asked has gone: what was not sent yet need not be.
        () = answer.closed() => return,
        outcome = client.submit(operation, deadline) => outcome,
    };
    let outcome = match outcome {
        Ok(result) => Ok(Answer { result, view: client.view() }),
        Err(error) => Err(translate(&client, quorums, error)),
    };
    // If nobody waits any more, nobody needs to know.
    let _ = answer.send(outcome);
}

fn translate(client: &Client, quorums: Quorums, error: ClientError) -> SubmitError {
    let heard = |answering: usize| Reach::Heard {
        answering: u32::try_from(answering).unwrap_or(u32::MAX),
        replica_count: quorums.replica_count(),
        needed: u32::try_from(quorums.quorum()).unwrap_or(u32::MAX),
    };
    let late = |fate, reach| match fate {
        Fate::NotExecuted => SubmitError::Unsent(reach),
        Fate::Unknown | Fate::Executed => SubmitError::Unanswered(reach),
    };
    match error {
        ClientError::NoQuorum { reachable, fate, .. } => late(fate, heard(reachable)),
        ClientError::Timeout { fate } => late(fate, heard(client.connected().len())),
        ClientError::Fenced { .. } => SubmitError::Refused(Refusal::Fenced),
        ClientError::TooLarge { .. } => SubmitError::Refused(Refusal::TooLarge),
        ClientError::Overloaded => SubmitError::Refused(Refusal::QueueFull),
        ClientError::ResultLost => SubmitError::ResultLost,
        ClientError::Unknown => SubmitError::Interrupted(Interruption::Fenced),
        ClientError::Closed { fate: Fate::NotExecuted } => SubmitError::Refused(Refusal::Stopping),
        ClientError::Closed { .. } => SubmitError::Interrupted(Interruption::Stopped),
    }
}
