//! The way from the gateway to whatever executes operations: the client of a cluster, or a bounded
//! queue that something else empties, such as a test.

use pbft::message::{Operation, ServiceId};
use pbft::{SeqNum, View};
use quorate_net::{Client, ClientError, Fate, Queried};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How many submissions wait in a queue before new ones are refused.
pub const SUBMISSION_QUEUE_COUNT_MAX: usize = 1024;

/// How long after its deadline a submission is given up even if nobody says anything.
const QUEUE_GRACE: Duration = Duration::from_millis(20);

/// A handle on whatever executes operations; clones share it.
#[derive(Clone)]
pub struct Submitter(Way);

#[derive(Clone)]
enum Way {
    Cluster { client: Client, service: ServiceId },
    Queue(mpsc::Sender<Submission>),
}

/// One operation in a queue.
#[derive(Debug)]
pub struct Submission {
    /// The operation, encoded for the service that executes it.
    pub operation: Vec<u8>,
    /// When to give up.
    pub deadline: Instant,
    /// Where the answer goes. Nobody waits for it any more once the other end is closed.
    pub answer: oneshot::Sender<Result<Answer, ClientError>>,
}

/// What a quorum of replicas answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The result, as the service encoded it.
    pub result: Vec<u8>,
    /// The view the client knows the cluster to be in.
    pub view: View,
}

impl Submitter {
    /// Operations go to the cluster of `client`, for its service `service`.
    ///
    /// The client must believe only what a quorum of replicas answers
    /// ([`ReplyRule::AlwaysQuorum`](pbft::ReplyRule::AlwaysQuorum)).
    pub fn cluster(client: Client, service: ServiceId) -> Self {
        Self(Way::Cluster { client, service })
    }

    /// Operations go into a queue of at most [`SUBMISSION_QUEUE_COUNT_MAX`].
    pub fn queue() -> (Self, mpsc::Receiver<Submission>) {
        let (queue, submissions) = mpsc::channel(SUBMISSION_QUEUE_COUNT_MAX);
        (Self(Way::Queue(queue)), submissions)
    }

    /// Asks the replicas what they read, without having the operation ordered. Nobody agrees on
    /// anything where nobody is asked: in a queue, or in a cluster that does not offer it.
    pub(crate) async fn query(
        &self,
        operation: Vec<u8>,
        not_before: SeqNum,
        deadline: Instant,
    ) -> Result<Queried, ClientError> {
        match &self.0 {
            Way::Cluster { client, service } if client.reads_in_one_round() => {
                let operation = Operation { service: *service, body: operation };
                client.query(operation, not_before, deadline).await
            }
            Way::Cluster { .. } | Way::Queue(_) => Ok(Queried::NotAgreed(None)),
        }
    }

    /// The view the client knows the cluster to be in.
    pub(crate) fn view(&self) -> View {
        match &self.0 {
            Way::Cluster { client, .. } => client.view(),
            Way::Queue(_) => View::ZERO,
        }
    }

    /// Submits an operation once and waits for its answer, until `deadline`.
    pub(crate) async fn submit(
        &self,
        operation: Vec<u8>,
        deadline: Instant,
    ) -> Result<Answer, ClientError> {
        match &self.0 {
            Way::Cluster { client, service } => {
                let operation = Operation { service: *service, body: operation };
                let result = client.submit(operation, deadline).await?;
                Ok(Answer { result, view: client.view() })
            }
            Way::Queue(queue) => enqueue(queue, operation, deadline).await,
        }
    }
}

async fn enqueue(
    queue: &mpsc::Sender<Submission>,
    operation: Vec<u8>,
    deadline: Instant,
) -> Result<Answer, ClientError> {
    let (answer, answered) = oneshot::channel();
    queue.try_send(Submission { operation, deadline, answer }).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => ClientError::Overloaded,
        mpsc::error::TrySendError::Closed(_) => ClientError::Closed { fate: Fate::NotExecuted },
    })?;
    match tokio::time::timeout_at(deadline + QUEUE_GRACE, answered).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_dropped)) => Err(ClientError::Closed { fate: Fate::Unknown }),
        Err(_elapsed) => Err(ClientError::Timeout { fate: Fate::Unknown }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_nobody_empties_cannot_hang_a_request() {
        let (submitter, _submissions) = Submitter::queue();
        let started = Instant::now();
        let outcome = submitter.submit(b"op".to_vec(), soon()).await;
        assert_eq!(outcome, Err(ClientError::Timeout { fate: Fate::Unknown }));
        assert_eq!(started.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once() {
        let (submitter, submissions) = Submitter::queue();
        let waiting: Vec<_> = (0..SUBMISSION_QUEUE_COUNT_MAX)
            .map(|_| {
                let submitter = submitter.clone();
                tokio::spawn(async move { submitter.submit(Vec::new(), soon()).await })
            })
            .collect();
        while submissions.len() < SUBMISSION_QUEUE_COUNT_MAX {
            tokio::task::yield_now().await;
        }
        let outcome = submitter.submit(Vec::new(), soon()).await;
        assert_eq!(outcome, Err(ClientError::Overloaded));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn what_a_queue_that_ends_took_is_unknown_and_what_it_did_not_take_is_not_executed() {
        let (submitter, mut submissions) = Submitter::queue();
        let (outcome, ()) = tokio::join!(submitter.submit(Vec::new(), soon()), async {
            drop(submissions.recv().await);
        });
        assert_eq!(outcome, Err(ClientError::Closed { fate: Fate::Unknown }));
        drop(submissions);
        let outcome = submitter.submit(Vec::new(), soon()).await;
        assert_eq!(outcome, Err(ClientError::Closed { fate: Fate::NotExecuted }));
    }
}
