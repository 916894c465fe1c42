//! Service Maintenance. Status is ordered like everything else: what it says, the replicas agree
//! on, and a cluster that cannot answer it cannot answer anything.

use crate::backend::Backend;
use crate::etcd::etcdserverpb::{self as pb, maintenance_server};
use crate::refusal::{unreadable, unsupported};
use quorate_services::store;
use std::sync::Arc;
use tonic::codegen::tokio_stream::Empty;
use tonic::{Request, Response, Status};

/// The etcd version whose behaviour the gateway follows. Clients refuse servers older than they
/// know how to talk to, and they parse this as three numbers.
const ETCD_VERSION: &str = "3.4.0";

/// The service's implementation.
#[derive(Clone)]
pub(crate) struct Maintenance {
    backend: Arc<Backend>,
}

impl Maintenance {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { backend }
    }
}

#[tonic::async_trait]
impl maintenance_server::Maintenance for Maintenance {
    /// What etcd calls the raft index is the store's revision here: like an index it grows with
    /// every write, and replicas agree on it. What it calls the leader is the primary.
    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let agreed = self.backend.execute(request, |_| Ok(store::Operation::Status)).await?;
        let store::Response::Status(status) = agreed.response else {
            return Err(unreadable());
        };
        let index = u64::try_from(agreed.header.revision).map_err(|_| unreadable())?;
        let bytes = i64::try_from(status.record_bytes).map_err(|_| unreadable())?;
        Ok(Response::new(pb::StatusResponse {
            version: ETCD_VERSION.to_owned(),
            db_size: bytes,
            db_size_in_use: bytes,
            leader: self.backend.members().primary_id(self.backend.view()),
            raft_index: index,
            raft_applied_index: index,
            raft_term: agreed.header.raft_term,
            header: Some(agreed.header),
            ..pb::StatusResponse::default()
        }))
    }

    type SnapshotStream = Empty<Result<pb::SnapshotResponse, Status>>;

    async fn snapshot(
        &self,
        _: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(unsupported("a snapshot through the gateway"))
    }

    /// Nothing here can raise an alarm yet, so there never is one. Newer clients ask for alarms to
    /// find out whether a server is healthy, so the question goes to the cluster all the same.
    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        if request.get_ref().action != pb::alarm_request::AlarmAction::Get as i32 {
            return Err(unsupported("raising or clearing an alarm"));
        }
        let agreed = self.backend.execute(request, |_| Ok(store::Operation::Status)).await?;
        Ok(Response::new(pb::AlarmResponse { header: Some(agreed.header), alarms: Vec::new() }))
    }

    async fn defragment(
        &self,
        _: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        Err(unsupported("defragmentation through the gateway"))
    }

    async fn hash(
        &self,
        _: Request<pb::HashRequest>,
    ) -> Result<Response<pb::HashResponse>, Status> {
        Err(unsupported("the hash of the store"))
    }

    async fn hash_kv(
        &self,
        _: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        Err(unsupported("the hash of the keys"))
    }

    async fn move_leader(
        &self,
        _: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        Err(unsupported("moving the primary by hand"))
    }

    async fn downgrade(
        &self,
        _: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        Err(unsupported("a downgrade"))
    }
}
