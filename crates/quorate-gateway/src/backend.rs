//! The way of one request: its deadline, its place under the limits, the checks that need no
//! agreement, and the one submission to the cluster. What every service of the interface shares.

use crate::deadline::Deadline;
use crate::etcd::etcdserverpb::ResponseHeader;
use crate::limits::{REQUESTS_BYTES_MAX, REQUESTS_COUNT_MAX};
use crate::members::Members;
use crate::refusal::{refused_by_store, too_many_requests, unanswered, unreadable};
use crate::submit::Submitter;
use pbft::View;
use quorate_net::ClientError;
use quorate_services::store::{Operation, Outcome, REQUEST_BYTES_MAX, Response, StoreError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tonic::{Request, Status};

/// What all requests share.
pub(crate) struct Backend {
    submitter: Submitter,
    members: Members,
    request_timeout: Duration,
    /// The highest view an answer came with; it only grows.
    view: AtomicU64,
    /// One permit for each request that may still begin.
    requests: Semaphore,
    /// One permit for each byte of operations that may still be submitted.
    operation_bytes: Semaphore,
}

/// An agreed answer and the header that goes with it.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) header: ResponseHeader,
    pub(crate) response: Response,
}

impl Backend {
    pub(crate) fn new(submitter: Submitter, members: Members, request_timeout: Duration) -> Self {
        Self {
            submitter,
            members,
            request_timeout,
            view: AtomicU64::new(View::ZERO.get()),
            requests: Semaphore::new(REQUESTS_COUNT_MAX),
            operation_bytes: Semaphore::new(REQUESTS_BYTES_MAX),
        }
    }

    /// Has one request executed by the cluster, a write at most once, and returns what a quorum of
    /// replicas agreed on.
    ///
    /// - A request that can be refused without asking anyone is refused, in etcd's order: what is
    ///   wrong with it, then its size.
    /// - An answer that does not come in time is an error that says whether the operation may have
    ///   been executed. It is never submitted again.
    /// - A read whose result the replicas did not keep is read once more, since that is harmless.
    pub(crate) async fn execute<T: prost::Message>(
        &self,
        request: Request<T>,
        translate: fn(T) -> Result<Operation, Status>,
    ) -> Result<Agreed, Status> {
        let deadline = Deadline::of(request.metadata(), Instant::now(), self.request_timeout)?;
        let _place = self.requests.try_acquire().map_err(|_full| too_many_requests())?;
        let request = request.into_inner();
        let request_bytes = request.encoded_len();
        let operation = translate(request)?;
        operation.check().map_err(refused_by_store)?;
        if request_bytes > REQUEST_BYTES_MAX {
            return Err(refused_by_store(StoreError::RequestTooLarge));
        }
        let changes_nothing = operation.is_read_only();
        let encoded = operation.encode();
        drop(operation);
        let _room = self.room_for(encoded.len())?;
        let mut answer = self.submitter.submit(encoded.clone(), deadline.at).await;
        if changes_nothing && answer == Err(ClientError::ResultLost) {
            answer = self.submitter.submit(encoded, deadline.at).await;
        }
        let answer = answer.map_err(|error| unanswered(error, deadline.set_by))?;
        self.view.fetch_max(answer.view.get(), Ordering::Relaxed);
        let outcome = Outcome::decode(&answer.result).ok_or_else(unreadable)?;
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

    fn room_for(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Status> {
        let bytes = u32::try_from(bytes).map_err(|_| too_many_requests())?;
        self.operation_bytes.try_acquire_many(bytes).map_err(|_full| too_many_requests())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::etcdserverpb::{PutRequest, RangeRequest};
    use crate::submit::Submission;
    use crate::translate;
    use pbft::{ClientId, Digest};
    use std::sync::Arc;
    use tokio::sync::mpsc::Receiver;
    use tonic::Code;

    fn backend() -> (Arc<Backend>, Receiver<Submission>) {
        let (submitter, submissions) = Submitter::queue();
        let members = Members::new(&Digest::default(), ClientId::new(0), Vec::new());
        (Arc::new(Backend::new(submitter, members, Duration::from_secs(5))), submissions)
    }

    fn get() -> Request<RangeRequest> {
        Request::new(RangeRequest { key: b"k".to_vec(), ..RangeRequest::default() })
    }

    fn put(value_bytes: usize) -> Request<PutRequest> {
        let value = vec![0; value_bytes];
        Request::new(PutRequest { key: b"k".to_vec(), value, ..PutRequest::default() })
    }

    /// Begins requests until one is refused, and returns how many were under way by then.
    async fn begun_until_refused(
        begin: impl Fn(Arc<Backend>) -> tokio::task::JoinHandle<Result<Agreed, Status>>,
    ) -> usize {
        let (backend, mut submissions) = backend();
        let mut held = Vec::new();
        loop {
            let request = begin(Arc::clone(&backend));
            tokio::select! {
                submission = submissions.recv() => held.push((submission, request)),
                () = async { while !request.is_finished() { tokio::task::yield_now().await } } => {
                    let refused = request.await.unwrap().unwrap_err();
                    assert_eq!(refused.code(), Code::ResourceExhausted);
                    assert_eq!(refused.message(), "etcdserver: too many requests");
                    return held.len();
                }
            }
        }
    }

    #[tokio::test]
    async fn one_request_too_many_is_refused() {
        let begun = begun_until_refused(|backend| {
            tokio::spawn(async move { backend.execute(get(), translate::range).await })
        });
        assert_eq!(begun.await, REQUESTS_COUNT_MAX);
    }

    #[tokio::test]
    async fn one_byte_too_many_is_refused() {
        const VALUE_BYTES: usize = 1024 * 1024;
        let begun = begun_until_refused(|backend| {
            tokio::spawn(async move { backend.execute(put(VALUE_BYTES), translate::put).await })
        });
        assert_eq!(begun.await, REQUESTS_BYTES_MAX / VALUE_BYTES - 1);
    }

    #[tokio::test]
    async fn the_place_of_a_finished_request_is_free_again() {
        let (backend, mut submissions) = backend();
        for _ in 0..3 {
            let (answer, ()) = tokio::join!(backend.execute(get(), translate::range), async {
                drop(submissions.recv().await);
            });
            assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
            assert_eq!(backend.requests.available_permits(), REQUESTS_COUNT_MAX);
            assert_eq!(backend.operation_bytes.available_permits(), REQUESTS_BYTES_MAX);
        }
    }

    #[tokio::test]
    async fn a_read_whose_result_is_lost_is_read_again_and_a_write_is_not() {
        let (backend, mut submissions) = backend();
        let submitted = tokio::spawn(async move {
            let mut reads = Vec::new();
            while let Some(submission) = submissions.recv().await {
                reads.push(Operation::decode(&submission.operation).unwrap().is_read_only());
                submission.answer.send(Err(ClientError::ResultLost)).unwrap();
            }
            reads
        });
        let read = backend.execute(get(), translate::range).await.unwrap_err();
        let write = backend.execute(put(1), translate::put).await.unwrap_err();
        assert_eq!((read.code(), write.code()), (Code::Internal, Code::Internal));
        drop(backend);
        assert_eq!(submitted.await.unwrap(), [true, true, false]);
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
