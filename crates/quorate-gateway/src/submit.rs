//! The way from the gateway to the cluster: a bounded queue of operations, each with the moment
//! by which it must be answered. Whoever drives the PBFT client takes them out at the other end.

use pbft::View;
use std::fmt;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How many submissions wait in the queue before new ones are refused.
pub const SUBMISSION_QUEUE_COUNT_MAX: usize = 1024;

/// How long after its deadline a submission is given up even if its driver says nothing.
const DRIVER_GRACE: Duration = Duration::from_millis(20);

/// One operation on its way to the cluster.
#[derive(Debug)]
pub struct Submission {
    /// The operation, encoded for the service that executes it.
    pub operation: Vec<u8>,
    /// When to give up.
    pub deadline: Instant,
    /// Where the answer goes. Nobody waits for it any more once the other end is closed, but an
    /// operation that was sent stays sent.
    pub answer: oneshot::Sender<Result<Answer, SubmitError>>,
}

/// What a quorum of replicas answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The result, as the service encoded it.
    pub result: Vec<u8>,
    /// The view the client knows the cluster to be in.
    pub view: View,
}

/// Why there is no agreed answer. What matters most to whoever asked is whether the operation was
/// executed, so each kind says that first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// It will not be executed: it was not accepted.
    Refused(Refusal),
    /// It will not be executed: the deadline passed before it could be sent.
    Unsent(Reach),
    /// It may or may not be executed, now or later: the deadline passed without enough equal
    /// answers. It is never sent again under a new identity.
    Unanswered(Reach),
    /// It may or may not be executed, now or later: the client ended while it was under way.
    Interrupted(Interruption),
    /// It was executed, but no replica kept its result.
    ResultLost,
}

/// Why an operation was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many operations wait already.
    QueueFull,
    /// The operation is longer than one request can carry.
    TooLarge,
    /// The client is stopping.
    Stopping,
    /// Another session of the same client was opened later, and the replicas heed only that one.
    Fenced,
}

/// What ended the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The process stops.
    Stopped,
    /// Another session of the same client was opened.
    Fenced,
}

/// How much of the cluster answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// So many replicas of so many were heard, and so many equal answers are needed.
    Heard {
        /// Replicas heard from since the operation was accepted.
        answering: u32,
        /// Replicas in the cluster.
        replica_count: u32,
        /// Equal answers that make a result.
        needed: u32,
    },
    /// The driver of the client did not say.
    Unknown,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => f.write_str(match refusal {
                Refusal::QueueFull => "too many operations wait",
                Refusal::TooLarge => "the operation is too large",
                Refusal::Stopping => "the gateway is stopping",
                Refusal::Fenced => {
                    "another gateway with the same client key was started later; \
                     each gateway needs its own key"
                }
            }),
            Self::Unsent(reach) | Self::Unanswered(reach) => reach.fmt(f),
            Self::Interrupted(Interruption::Stopped) => {
                f.write_str("the gateway stopped before the replicas answered")
            }
            Self::Interrupted(Interruption::Fenced) => f.write_str(
                "another gateway with the same client key took over before the replicas answered",
            ),
            Self::ResultLost => f.write_str("the replicas no longer have the result"),
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard { answering, replica_count, needed } if answering < needed => {
                write!(f, "only {answering} of {replica_count} replicas answer; {needed} needed")
            }
            Self::Heard { answering, replica_count, needed } => write!(
                f,
                "{answering} of {replica_count} replicas answer, \
                 but fewer than {needed} gave the same answer in time"
            ),
            Self::Unknown => f.write_str("the replicas did not answer in time"),
        }
    }
}

impl std::error::Error for SubmitError {}

/// A handle on the queue of submissions; clones share it.
#[derive(Clone, Debug)]
pub struct Submitter {
    queue: mpsc::Sender<Submission>,
}

impl Submitter {
    /// A queue of at most [`SUBMISSION_QUEUE_COUNT_MAX`] submissions, and the end that drives it.
    pub fn channel() -> (Self, mpsc::Receiver<Submission>) {
        let (queue, submissions) = mpsc::channel(SUBMISSION_QUEUE_COUNT_MAX);
        (Self { queue }, submissions)
    }

    /// Submits an operation once and waits for what a quorum answers, until `deadline`.
    pub(crate) async fn submit(
        &self,
        operation: Vec<u8>,
        deadline: Instant,
    ) -> Result<Answer, SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Submission { operation, deadline, answer }).map_err(|error| {
            SubmitError::Refused(match error {
                mpsc::error::TrySendError::Full(_) => Refusal::QueueFull,
                mpsc::error::TrySendError::Closed(_) => Refusal::Stopping,
            })
        })?;
        match tokio::time::timeout_at(deadline + DRIVER_GRACE, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_dropped)) => Err(SubmitError::Interrupted(Interruption::Stopped)),
            Err(_elapsed) => Err(SubmitError::Unanswered(Reach::Unknown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_says_nothing_cannot_hang_a_request() {
        let (submitter, _submissions) = Submitter::channel();
        let started = Instant::now();
        let outcome = submitter.submit(b"op".to_vec(), soon()).await;
        assert_eq!(outcome, Err(SubmitError::Unanswered(Reach::Unknown)));
        assert_eq!(started.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once() {
        let (submitter, submissions) = Submitter::channel();
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
        assert_eq!(outcome, Err(SubmitError::Refused(Refusal::QueueFull)));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_driver_that_is_gone_refuses_and_one_that_goes_leaves_the_outcome_unknown() {
        let (submitter, mut submissions) = Submitter::channel();
        let (outcome, ()) = tokio::join!(submitter.submit(Vec::new(), soon()), async {
            drop(submissions.recv().await);
        });
        assert_eq!(outcome, Err(SubmitError::Interrupted(Interruption::Stopped)));
        drop(submissions);
        let outcome = submitter.submit(Vec::new(), soon()).await;
        assert_eq!(outcome, Err(SubmitError::Refused(Refusal::Stopping)));
    }

    #[test]
    fn sentences_say_what_is_missing() {
        let heard = |answering| {
            SubmitError::Unanswered(Reach::Heard { answering, replica_count: 4, needed: 3 })
                .to_string()
        };
        assert_eq!(heard(2), "only 2 of 4 replicas answer; 3 needed");
        assert_eq!(
            heard(4),
            "4 of 4 replicas answer, but fewer than 3 gave the same answer in time"
        );
    }
}
