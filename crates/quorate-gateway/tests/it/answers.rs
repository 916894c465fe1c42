//! What becomes of a request, before replicas whose answers are scripted.

use crate::harness::{gateway_answering, gateway_before};
use pbft::View;
use quorate_gateway::Answer;
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_net::{ClientError, Fate};
use quorate_services::store::{
    self, Operation, Outcome, PutResponse, RangeResponse, Response, StatusResponse, StoreError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tonic::{Code, Request};

const NO_QUORUM: ClientError =
    ClientError::NoQuorum { reachable: 2, needed: 3, fate: Fate::Unknown };

fn agreed(revision: i64, response: Response) -> Result<Outcome, ClientError> {
    Ok(Outcome { revision, result: Ok(response) })
}

fn get(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.into(), ..pb::RangeRequest::default() }
}

fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.into(), value: value.into(), ..pb::PutRequest::default() }
}

#[tokio::test]
async fn every_field_of_a_range_reaches_the_store_and_comes_back() {
    let kv = store::KeyValue {
        key: b"k1".to_vec(),
        create_revision: 2,
        mod_revision: 5,
        version: 3,
        value: b"v".to_vec(),
        lease: 9,
    };
    let answer = RangeResponse { kvs: vec![kv], more: true, count: 12 };
    let gateway = gateway_answering(move |operation| {
        let asked = store::RangeRequest {
            key: b"k".to_vec(),
            range_end: b"l".to_vec(),
            limit: 1,
            revision: 7,
            keys_only: true,
            count_only: true,
        };
        assert_eq!(operation, Operation::Range(asked));
        agreed(8, Response::Range(answer.clone()))
    })
    .await;
    let request = pb::RangeRequest {
        key: b"k".to_vec(),
        range_end: b"l".to_vec(),
        limit: 1,
        revision: 7,
        sort_order: pb::range_request::SortOrder::Ascend as i32,
        serializable: true,
        keys_only: true,
        count_only: true,
        ..pb::RangeRequest::default()
    };
    let response = gateway.kv().range(request).await.unwrap().into_inner();
    let header = response.header.unwrap();
    assert_eq!(header.revision, 8);
    assert_eq!(header.raft_term, 7, "view 6, counted from 1");
    assert_ne!(header.cluster_id, 0);
    assert_ne!(header.member_id, 0);
    assert!(response.more);
    assert_eq!(response.count, 12);
    let kv = &response.kvs[0];
    assert_eq!((kv.key.as_slice(), kv.value.as_slice()), (&b"k1"[..], &b"v"[..]));
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (2, 5, 3, 9));
}

#[tokio::test]
async fn a_step_of_a_transaction_says_the_revision_it_ran_at_and_no_identity() {
    let gateway = gateway_answering(|_| {
        let step = |behind, response| store::TxnOperationResponse { behind, response };
        let responses = vec![
            step(1, Response::Range(RangeResponse::default())),
            step(0, Response::Put(PutResponse::default())),
        ];
        agreed(4, Response::Txn(store::TxnResponse { succeeded: true, responses }))
    })
    .await;
    let op = |request| pb::RequestOp { request: Some(request) };
    let request = pb::TxnRequest {
        success: vec![
            op(pb::request_op::Request::RequestRange(get("a"))),
            op(pb::request_op::Request::RequestPut(put("a", "1"))),
        ],
        ..pb::TxnRequest::default()
    };
    let response = gateway.kv().txn(request).await.unwrap().into_inner();
    assert_eq!(response.header.unwrap().revision, 4);
    let headers: Vec<_> = response
        .responses
        .into_iter()
        .map(|step| match step.response.unwrap() {
            pb::response_op::Response::ResponseRange(range) => range.header.unwrap(),
            pb::response_op::Response::ResponsePut(put) => put.header.unwrap(),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    let with_revision = |revision| pb::ResponseHeader { revision, ..Default::default() };
    assert_eq!(headers, [with_revision(3), with_revision(4)]);
}

#[tokio::test]
async fn what_needs_no_agreement_is_refused_without_asking() {
    let gateway = gateway_before(|submission| panic!("submitted {submission:?}")).await;
    let mut kv = gateway.kv();
    let refused = kv.put(put("", "v")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "etcdserver: key is not provided");
    let refused = kv.put(put("k", &"x".repeat(store::REQUEST_BYTES_MAX))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "etcdserver: request is too large");
    let refused = kv.put(put("k", &"x".repeat(3 << 20))).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    let compare = vec![pb::Compare { key: b"k".to_vec(), ..pb::Compare::default() }; 129];
    let refused = kv.txn(pb::TxnRequest { compare, ..Default::default() }).await.unwrap_err();
    assert_eq!(refused.message(), "etcdserver: too many operations in txn request");
}

#[tokio::test]
async fn what_the_store_cannot_do_yet_is_refused_by_name() {
    let gateway = gateway_before(|submission| panic!("submitted {submission:?}")).await;
    let mut kv = gateway.kv();
    let descending = pb::range_request::SortOrder::Descend as i32;
    let by_value = pb::range_request::SortTarget::Value as i32;
    let ranges = [
        pb::RangeRequest { sort_order: descending, ..get("k") },
        pb::RangeRequest { sort_target: by_value, ..get("k") },
        pb::RangeRequest { min_mod_revision: 1, ..get("k") },
        pb::RangeRequest { max_create_revision: 1, ..get("k") },
    ];
    for range in ranges {
        let refused = kv.range(range.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "{range:?}");
        assert!(refused.message().ends_with("is not supported yet"), "{refused}");
    }
    let puts = [
        pb::PutRequest { ignore_value: true, ..put("k", "") },
        pb::PutRequest { ignore_lease: true, ..put("k", "") },
    ];
    for put in puts {
        assert_eq!(kv.put(put).await.unwrap_err().code(), Code::Unimplemented);
    }
    let ranged = pb::Compare { key: b"a".to_vec(), range_end: b"b".to_vec(), ..Default::default() };
    let txn = pb::TxnRequest { compare: vec![ranged], ..Default::default() };
    assert_eq!(kv.txn(txn).await.unwrap_err().code(), Code::Unimplemented);
    let nested = pb::request_op::Request::RequestTxn(pb::TxnRequest::default());
    let nested = pb::RequestOp { request: Some(nested) };
    let txn = pb::TxnRequest { failure: vec![nested], ..Default::default() };
    let refused = kv.txn(txn).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "quorate: a transaction inside a transaction is not supported yet"
    );
    let refused = gateway.maintenance().defragment(pb::DefragmentRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let refused = gateway.cluster().member_remove(pb::MemberRemoveRequest { id: 1 }).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_refusal_of_the_store_keeps_etcds_code_and_words() {
    let gateway =
        gateway_answering(|_| Ok(Outcome { revision: 3, result: Err(StoreError::Compacted) }))
            .await;
    let refused = gateway.kv().range(get("k")).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert_eq!(refused.message(), "etcdserver: mvcc: required revision has been compacted");
}

#[tokio::test]
async fn an_answer_to_another_question_is_an_error_and_not_an_answer() {
    let gateway = gateway_answering(|_| agreed(3, Response::Compact)).await;
    assert_eq!(gateway.kv().range(get("k")).await.unwrap_err().code(), Code::Internal);
    let status = gateway.maintenance().status(pb::StatusRequest {}).await;
    assert_eq!(status.unwrap_err().code(), Code::Internal);
    let gateway = gateway_before(|submission| {
        let answer = Answer { result: b"nonsense".to_vec(), view: View::ZERO };
        submission.answer.send(Ok(answer)).unwrap();
    })
    .await;
    assert_eq!(gateway.kv().put(put("k", "v")).await.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn a_write_the_cluster_does_not_answer_is_submitted_once_and_its_outcome_called_unknown() {
    let submitted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&submitted);
    let gateway = gateway_answering(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Err(NO_QUORUM)
    })
    .await;
    let refused = gateway.kv().put(put("k", "v")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(
        refused.message(),
        "quorate: only 2 replicas can be reached and 3 must agree; whether the operation was \
         executed is unknown; start the others or look at the network"
    );
    assert_eq!(submitted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_cluster_that_says_nothing_cannot_hang_a_client_that_gave_a_deadline() {
    let mut held = Vec::new();
    let gateway = gateway_before(move |submission| held.push(submission)).await;
    let mut request = Request::new(get("k"));
    request.set_timeout(Duration::from_secs(3));
    let refused = gateway.kv().range(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    assert!(refused.message().contains("did not agree on a result in time"), "{refused}");
}

#[tokio::test]
async fn members_are_the_replicas_and_all_lead_to_the_gateway() {
    let gateway = gateway_answering(|_| {
        agreed(5, Response::Status(StatusResponse { record_bytes: 4096, ..Default::default() }))
    })
    .await;
    let list = gateway.cluster().member_list(pb::MemberListRequest::default()).await.unwrap();
    let members = list.into_inner().members;
    assert_eq!(members.len(), 4);
    let here = format!("http://{}", gateway.addr);
    assert!(members.iter().all(|member| member.client_ur_ls == [here.clone()]));
    let status = gateway.maintenance().status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.version, "3.4.0");
    assert_eq!((status.db_size, status.db_size_in_use), (4096, 4096));
    assert_eq!((status.raft_index, status.raft_applied_index), (5, 5));
    assert_eq!(status.raft_term, 7);
    assert_eq!(status.leader, members[2].id, "the primary of view 6 of 4 replicas");
}
