//! Service Cluster. The membership is the configuration's, so listing it asks nobody.

use crate::backend::Backend;
use crate::etcd::etcdserverpb::{self as pb, cluster_server};
use crate::refusal::unsupported;
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service's implementation.
#[derive(Clone)]
pub(crate) struct Cluster {
    backend: Arc<Backend>,
    /// The address the gateway listens on.
    local_addr: SocketAddr,
}

impl Cluster {
    pub(crate) fn new(backend: Arc<Backend>, local_addr: SocketAddr) -> Self {
        Self { backend, local_addr }
    }
}

#[tonic::async_trait]
impl cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        // A gateway that listens on every interface is reached by each client at another
        // address, and the one this client used is the one it can use again.
        let gateway = request.local_addr().unwrap_or(self.local_addr);
        Ok(Response::new(pb::MemberListResponse {
            header: Some(self.backend.header(0)),
            members: self.backend.members().list(gateway),
        }))
    }

    async fn member_add(
        &self,
        _: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        Err(unsupported("adding a member"))
    }

    async fn member_remove(
        &self,
        _: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        Err(unsupported("removing a member"))
    }

    async fn member_update(
        &self,
        _: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        Err(unsupported("updating a member"))
    }

    async fn member_promote(
        &self,
        _: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        Err(unsupported("promoting a member"))
    }
}
