//! Service KV. Every read is linearizable, those that allow a stale answer included.

use crate::backend::{Agreed, Backend};
use crate::etcd::etcdserverpb::{self as pb, kv_server};
use crate::refusal::unreadable;
use crate::translate;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service's implementation.
#[derive(Clone)]
pub(crate) struct Kv {
    backend: Arc<Backend>,
}

impl Kv {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { backend }
    }
}

#[tonic::async_trait]
impl kv_server::Kv for Kv {
    async fn range(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<pb::RangeResponse>, Status> {
        let agreed = self.backend.execute(request, translate::range).await?;
        answer(agreed, translate::range_response)
    }

    async fn put(
        &self,
        request: Request<pb::PutRequest>,
    ) -> Result<Response<pb::PutResponse>, Status> {
        let agreed = self.backend.execute(request, translate::put).await?;
        answer(agreed, translate::put_response)
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let agreed = self.backend.execute(request, translate::delete_range).await?;
        answer(agreed, translate::delete_range_response)
    }

    async fn txn(
        &self,
        request: Request<pb::TxnRequest>,
    ) -> Result<Response<pb::TxnResponse>, Status> {
        let agreed = self.backend.execute(request, translate::txn).await?;
        answer(agreed, translate::txn_response)
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let agreed = self.backend.execute(request, translate::compaction).await?;
        answer(agreed, translate::compaction_response)
    }
}

/// Turns an agreed answer into protobuf; one of another kind than the question is unreadable.
fn answer<T>(
    agreed: Agreed,
    translate: fn(pb::ResponseHeader, quorate_services::store::Response) -> Option<T>,
) -> Result<Response<T>, Status> {
    translate(agreed.header, agreed.response).map(Response::new).ok_or_else(unreadable)
}
