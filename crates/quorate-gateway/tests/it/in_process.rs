//! The gateway without a port.

use crate::harness::{PATIENCE, members};
use pbft::View;
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_gateway::etcd::etcdserverpb::cluster_client::ClusterClient;
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use quorate_gateway::{Answer, InProcess, Submitter};
use quorate_services::store::{Operation, Outcome, PutResponse, Response};
use tonic::Code;

#[tokio::test]
async fn a_client_in_the_same_process_gets_what_one_on_a_connection_gets() {
    let (submitter, mut submissions) = Submitter::queue();
    let replicas = tokio::spawn(async move {
        let mut keys = Vec::new();
        while let Some(submission) = submissions.recv().await {
            if let Operation::Put(put) = Operation::decode(&submission.operation).unwrap() {
                keys.push(put.key);
            }
            let response = Response::Put(PutResponse { prev_kv: None });
            let result = Outcome { revision: 7, result: Ok(response) }.encode();
            submission.answer.send(Ok(Answer { result, view: View::ZERO })).unwrap();
        }
        keys
    });
    let advertised = "127.0.0.1:2379".parse().unwrap();
    let gateway = InProcess::new(members(), submitter, advertised, PATIENCE);

    let mut kv = KvClient::new(gateway.clone());
    let put = pb::PutRequest { key: b"k".to_vec(), ..pb::PutRequest::default() };
    let written = kv.put(put).await.unwrap().into_inner();
    assert_eq!(written.header.unwrap().revision, 7);
    let refused = kv.put(pb::PutRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    let mut cluster = ClusterClient::new(gateway);
    let listed = cluster.member_list(pb::MemberListRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.members[0].client_ur_ls, ["http://127.0.0.1:2379"]);

    drop((kv, cluster));
    assert_eq!(replicas.await.unwrap(), [b"k"], "what is refused is not submitted");
}
