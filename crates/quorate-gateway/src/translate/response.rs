//! Answers: what the store returned, to protobuf. Each function takes the header of the whole
//! answer; `None` says that the store answered a question nobody asked.

use crate::etcd::{etcdserverpb as pb, mvccpb};
use pb::ResponseHeader;
use pb::response_op::Response;
use quorate_services::store;

/// The answer to a range.
pub(crate) fn range_response(
    header: ResponseHeader,
    response: store::Response,
) -> Option<pb::RangeResponse> {
    let store::Response::Range(range) = response else {
        return None;
    };
    Some(pb::RangeResponse {
        header: Some(header),
        kvs: range.kvs.into_iter().map(key_value).collect(),
        more: range.more,
        count: range.count,
    })
}

/// The answer to a put.
pub(crate) fn put_response(
    header: ResponseHeader,
    response: store::Response,
) -> Option<pb::PutResponse> {
    let store::Response::Put(put) = response else {
        return None;
    };
    Some(pb::PutResponse { header: Some(header), prev_kv: put.prev_kv.map(key_value) })
}

/// The answer to a deletion.
pub(crate) fn delete_range_response(
    header: ResponseHeader,
    response: store::Response,
) -> Option<pb::DeleteRangeResponse> {
    let store::Response::DeleteRange(delete) = response else {
        return None;
    };
    Some(pb::DeleteRangeResponse {
        header: Some(header),
        deleted: delete.deleted,
        prev_kvs: delete.prev_kvs.into_iter().map(key_value).collect(),
    })
}

/// The answer to a transaction.
pub(crate) fn txn_response(
    header: ResponseHeader,
    response: store::Response,
) -> Option<pb::TxnResponse> {
    let store::Response::Txn(txn) = response else {
        return None;
    };
    let revision = header.revision;
    let responses = txn.responses.into_iter();
    Some(pb::TxnResponse {
        header: Some(header),
        succeeded: txn.succeeded,
        responses: responses.map(|step| step_response(revision, step)).collect::<Option<_>>()?,
    })
}

/// The answer to a compaction.
pub(crate) fn compaction_response(
    header: ResponseHeader,
    response: store::Response,
) -> Option<pb::CompactionResponse> {
    let store::Response::Compact = response else {
        return None;
    };
    Some(pb::CompactionResponse { header: Some(header) })
}

/// The answer to one step of a transaction. As with etcd, its header has a revision and no
/// identities.
fn step_response(revision: i64, step: store::TxnOperationResponse) -> Option<pb::ResponseOp> {
    let revision = revision.saturating_sub(i64::from(step.behind));
    let header = ResponseHeader { revision, ..ResponseHeader::default() };
    let response = match step.response {
        range @ store::Response::Range(_) => {
            Response::ResponseRange(range_response(header, range)?)
        }
        put @ store::Response::Put(_) => Response::ResponsePut(put_response(header, put)?),
        delete @ store::Response::DeleteRange(_) => {
            Response::ResponseDeleteRange(delete_range_response(header, delete)?)
        }
        _ => return None,
    };
    Some(pb::ResponseOp { response: Some(response) })
}

fn key_value(kv: store::KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: kv.key,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: kv.value,
        lease: kv.lease,
    }
}
