//! What becomes of one request: the checks that need no agreement, and the one submission to the
//! cluster. What every service of the interface shares.

use crate::deadline::Deadline;
use crate::etcd::etcdserverpb::ResponseHeader;
use crate::members::Members;
use crate::refusal::{refused_by_store, unanswered, unreadable};
use crate::submit::Submitter;
use pbft::{SeqNum, View};
use quorate_net::{ClientError, Queried};
use quorate_services::store::{
    Operation, Outcome, REQUEST_BYTES_MAX, RangeRequest, Response, StoreError,
};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tonic::{Request, Status};

/// What all requests share.
pub(crate) struct Backend {
    submitter: Submitter,
    members: Members,
    /// The highest view an answer came with; it only grows.
    view: AtomicU64,
    /// The highest revision that a quorum is known to have executed; it only grows.
    revision: AtomicI64,
}

/// An agreed answer and the header that goes with it.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) header: ResponseHeader,
    pub(crate) response: Response,
}

impl Backend {
    pub(crate) fn new(submitter: Submitter, members: Members) -> Self {
        let (view, revision) = (AtomicU64::new(View::ZERO.get()), AtomicI64::new(0));
        Self { submitter, members, view, revision }
    }

    /// Has one request executed by the cluster, a write at most once, and returns what a quorum of
    /// replicas agreed on.
    ///
    /// - A request that can be refused without asking anyone is refused, in etcd's order: what is
    ///   wrong with it, then its size.
    /// - An answer that does not come in time is an error that says whether the operation may have
    ///   been executed. It is never submitted again.
    /// - A read is not ordered if the replicas agree without.
    /// - A read whose result the replicas did not keep is read once more, since that is harmless.
    pub(crate) async fn execute<T: prost::Message>(
        &self,
        request: Request<T>,
        translate: fn(T) -> Result<Operation, Status>,
    ) -> Result<Agreed, Status> {
        let deadline: Deadline =
            request.extensions().get().copied().expect("a request is admitted with its deadline");
        let request = request.into_inner();
        let request_bytes = request.encoded_len();
        let operation = translate(request)?;
        operation.check().map_err(refused_by_store)?;
        if request_bytes > REQUEST_BYTES_MAX {
            return Err(refused_by_store(StoreError::RequestTooLarge));
        }
        if operation.is_read_only()
            && let Some(outcome) = self.read(&operation, deadline).await?
        {
            return self.agreed(outcome);
        }
        let again = operation.is_read_only().then(|| operation.encode());
        let encoded = operation.encode();
        drop(operation);
        let mut answer = self.submitter.submit(encoded, deadline.at).await;
        if let (Err(ClientError::ResultLost | ClientError::Unknown), Some(encoded)) =
            (&answer, again)
        {
            answer = self.submitter.submit(encoded, deadline.at).await;
        }
        let answer = answer.map_err(|error| unanswered(error, deadline.set_by))?;
        self.view.fetch_max(answer.view.get(), Ordering::Relaxed);
        let outcome = Outcome::decode(&answer.result).ok_or_else(unreadable)?;
        self.revision.fetch_max(outcome.revision, Ordering::Relaxed);
        self.agreed(outcome)
    }

    /// Reads in one round trip, or, where replicas were caught at different revisions of what is
    /// read, in two: the second time at the highest revision among them. `None` if the operation
    /// has to be ordered.
    async fn read(
        &self,
        operation: &Operation,
        deadline: Deadline,
    ) -> Result<Option<Outcome>, Status> {
        let known = self.revision.load(Ordering::Relaxed);
        let again = match self.query(operation, SeqNum::ZERO, deadline).await? {
            Queried::NotAgreed(again) => again,
            Queried::Agreed(reading) => {
                let mut outcome = Outcome::from_reading(&reading).ok_or_else(unreadable)?;
                // A quorum had executed what is known, so somebody who shows this had.
                outcome.revision = outcome.revision.max(known);
                return Ok(Some(outcome));
            }
        };
        let (Some(again), Operation::Range(range)) = (again, operation) else { return Ok(None) };
        if range.revision > 0 {
            return Ok(None);
        }
        // One beyond what the store can count is a lie.
        let Ok(revision) = i64::try_from(again.revision) else { return Ok(None) };
        let at_revision = Operation::Range(RangeRequest { revision, ..range.clone() });
        let queried = self.query(&at_revision, again.not_before, deadline).await?;
        let Queried::Agreed(reading) = queried else { return Ok(None) };
        let outcome = Outcome::from_reading(&reading).ok_or_else(unreadable)?;
        if outcome.result.is_err() {
            // That revision may be a lie, or forgotten; the client did not ask for it.
            return Ok(None);
        }
        self.revision.fetch_max(revision, Ordering::Relaxed);
        Ok(Some(Outcome { revision, ..outcome }))
    }

    async fn query(
        &self,
        operation: &Operation,
        not_before: SeqNum,
        deadline: Deadline,
    ) -> Result<Queried, Status> {
        let queried = self.submitter.query(operation.encode(), not_before, deadline.at).await;
        self.view.fetch_max(self.submitter.view().get(), Ordering::Relaxed);
        queried.map_err(|error| unanswered(error, deadline.set_by))
    }

    fn agreed(&self, outcome: Outcome) -> Result<Agreed, Status> {
        let response = outcome.result.map_err(refused_by_store)?;
        Ok(Agreed { header: self.header(outcome.revision), response })
    }

    /// The header of an answer given at `revision`; 0 where no revision is involved.
    ///
    /// etcd's raft term is the cluster's view counted from 1, because to etcd's clients term 0
    /// means that there never was a primary.
    pub(crate) fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.members.cluster_id(),
            member_id: self.members.gateway_id(),
            revision,
            raft_term: self.view().get().saturating_add(1),
        }
    }

    /// The highest view an answer came with.
    pub(crate) fn view(&self) -> View {
        View::new(self.view.load(Ordering::Relaxed))
    }

    pub(crate) fn members(&self) -> &Members {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::SetBy;
    use crate::etcd::etcdserverpb::{PutRequest, RangeRequest};
    use crate::submit::Submission;
    use crate::translate;
    use pbft::{ClientId, Digest};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::mpsc::Receiver;
    use tokio::time::Instant;
    use tonic::Code;

    fn backend() -> (Arc<Backend>, Receiver<Submission>) {
        let (submitter, submissions) = Submitter::queue();
        let members = Members::new(&Digest::default(), ClientId::new(0), Vec::new());
        (Arc::new(Backend::new(submitter, members)), submissions)
    }

    fn get() -> Request<RangeRequest> {
        admitted(RangeRequest { key: b"k".to_vec(), ..RangeRequest::default() })
    }

    fn put(value_bytes: usize) -> Request<PutRequest> {
        let value = vec![0; value_bytes];
        admitted(PutRequest { key: b"k".to_vec(), value, ..PutRequest::default() })
    }

    fn admitted<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        let at = Instant::now() + Duration::from_secs(5);
        request.extensions_mut().insert(Deadline { at, set_by: SetBy::Gateway });
        request
    }

    #[tokio::test]
    async fn a_read_whose_result_is_lost_is_read_again_and_a_write_is_not() {
        // What the client says when the read was the only operation of its request, and when it
        // shared the request with others.
        for lost in [ClientError::ResultLost, ClientError::Unknown] {
            let (backend, mut submissions) = backend();
            let submitted = tokio::spawn(async move {
                let mut reads = Vec::new();
                while let Some(submission) = submissions.recv().await {
                    reads.push(Operation::decode(&submission.operation).unwrap().is_read_only());
                    submission.answer.send(Err(lost)).unwrap();
                }
                reads
            });
            let code = unanswered(lost, SetBy::Gateway).code();
            let read = backend.execute(get(), translate::range).await.unwrap_err();
            let write = backend.execute(put(1), translate::put).await.unwrap_err();
            assert_eq!((read.code(), write.code()), (code, code));
            drop(backend);
            assert_eq!(submitted.await.unwrap(), [true, true, false]);
        }
    }

    #[tokio::test]
    async fn the_view_only_grows() {
        let (backend, mut submissions) = backend();
        for (view, shown) in [(3, 3), (1, 3), (4, 4)] {
            let (answer, ()) = tokio::join!(backend.execute(get(), translate::range), async {
                let submission = submissions.recv().await.unwrap();
                let refused = Outcome { revision: 7, result: Err(StoreError::FutureRevision) };
                let answer = crate::Answer { result: refused.encode(), view: View::new(view) };
                submission.answer.send(Ok(answer)).unwrap();
            });
            assert_eq!(answer.unwrap_err().code(), Code::OutOfRange);
            assert_eq!(backend.view(), View::new(shown));
            assert_eq!(backend.header(7).raft_term, shown + 1);
        }
    }
}
