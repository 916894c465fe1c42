//! Requests: protobuf to operations.

use crate::etcd::etcdserverpb as pb;
use crate::refusal::{refused_by_store, unsupported};
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::range_request::{SortOrder, SortTarget};
use pb::request_op::Request;
use quorate_services::store;
use store::{Operation, StoreError};
use tonic::Status;

/// A read. `serializable` allows a stale answer but does not ask for one, so it changes nothing.
pub(crate) fn range(request: pb::RangeRequest) -> Result<Operation, Status> {
    range_fields(request).map(Operation::Range)
}

/// A write of one key.
pub(crate) fn put(request: pb::PutRequest) -> Result<Operation, Status> {
    put_fields(request).map(Operation::Put)
}

/// A deletion.
pub(crate) fn delete_range(request: pb::DeleteRangeRequest) -> Result<Operation, Status> {
    Ok(Operation::DeleteRange(delete_range_fields(request)))
}

/// A transaction. Its lists are held against etcd's limit before anything in them is looked at.
pub(crate) fn txn(request: pb::TxnRequest) -> Result<Operation, Status> {
    let pb::TxnRequest { compare, success, failure } = request;
    if compare.len().max(success.len()).max(failure.len()) > store::TXN_OPERATIONS_MAX {
        return Err(refused_by_store(StoreError::TooManyOperations));
    }
    Ok(Operation::Txn(store::TxnRequest {
        compare: compare.into_iter().map(compare_fields).collect::<Result<_, _>>()?,
        success: success.into_iter().map(txn_operation).collect::<Result<_, _>>()?,
        failure: failure.into_iter().map(txn_operation).collect::<Result<_, _>>()?,
    }))
}

/// A compaction. `physical` asks to wait until the space is free; here it always is by then.
pub(crate) fn compaction(request: pb::CompactionRequest) -> Result<Operation, Status> {
    Ok(Operation::Compact(store::CompactRequest { revision: request.revision }))
}

fn range_fields(request: pb::RangeRequest) -> Result<store::RangeRequest, Status> {
    // A target other than the key asks for ascending order even where no order is named, and an
    // order nobody has heard of is, to etcd, none at all.
    let by_key = request.sort_target == SortTarget::Key as i32;
    let descending = request.sort_order == SortOrder::Descend as i32;
    if !by_key || descending {
        return Err(unsupported("sorting other than by ascending key"));
    }
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    if filters.iter().any(|bound| *bound != 0) {
        return Err(unsupported("filtering by minimal or maximal revision"));
    }
    Ok(store::RangeRequest {
        key: request.key,
        range_end: request.range_end,
        limit: request.limit,
        revision: request.revision,
        keys_only: request.keys_only,
        count_only: request.count_only,
    })
}

fn put_fields(request: pb::PutRequest) -> Result<store::PutRequest, Status> {
    if request.ignore_value {
        return Err(unsupported("a put with ignore_value"));
    }
    if request.ignore_lease {
        return Err(unsupported("a put with ignore_lease"));
    }
    Ok(store::PutRequest {
        key: request.key,
        value: request.value,
        lease: request.lease,
        prev_kv: request.prev_kv,
    })
}

fn delete_range_fields(request: pb::DeleteRangeRequest) -> store::DeleteRangeRequest {
    store::DeleteRangeRequest {
        key: request.key,
        range_end: request.range_end,
        prev_kv: request.prev_kv,
    }
}

fn txn_operation(operation: pb::RequestOp) -> Result<store::TxnOperation, Status> {
    match operation.request {
        None => Ok(store::TxnOperation::Unset),
        Some(Request::RequestRange(range)) => range_fields(range).map(store::TxnOperation::Range),
        Some(Request::RequestPut(put)) => put_fields(put).map(store::TxnOperation::Put),
        Some(Request::RequestDeleteRange(delete)) => {
            Ok(store::TxnOperation::DeleteRange(delete_range_fields(delete)))
        }
        Some(Request::RequestTxn(_)) => Err(unsupported("a transaction inside a transaction")),
    }
}

fn compare_fields(compare: pb::Compare) -> Result<store::Compare, Status> {
    if !compare.range_end.is_empty() {
        return Err(unsupported("a compare over a range of keys"));
    }
    let result = match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => store::CompareResult::Equal,
        Ok(CompareResult::Greater) => store::CompareResult::Greater,
        Ok(CompareResult::Less) => store::CompareResult::Less,
        Ok(CompareResult::NotEqual) => store::CompareResult::NotEqual,
        Err(_) => return Err(unsupported("this compare result")),
    };
    let operand = compare.target_union;
    let number = |operand: Option<TargetUnion>, which: fn(TargetUnion) -> Option<i64>| {
        operand.and_then(which).unwrap_or(0)
    };
    // An operand of another kind than the target counts as missing, that is, zero or empty.
    let target = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => {
            store::CompareTarget::Version(number(operand, |it| match it {
                TargetUnion::Version(version) => Some(version),
                _ => None,
            }))
        }
        Ok(CompareTarget::Create) => store::CompareTarget::Create(number(operand, |it| match it {
            TargetUnion::CreateRevision(revision) => Some(revision),
            _ => None,
        })),
        Ok(CompareTarget::Mod) => store::CompareTarget::Mod(number(operand, |it| match it {
            TargetUnion::ModRevision(revision) => Some(revision),
            _ => None,
        })),
        Ok(CompareTarget::Lease) => store::CompareTarget::Lease(number(operand, |it| match it {
            TargetUnion::Lease(lease) => Some(lease),
            _ => None,
        })),
        Ok(CompareTarget::Value) => store::CompareTarget::Value(match operand {
            Some(TargetUnion::Value(value)) => value,
            _ => Vec::new(),
        }),
        Err(_) => return Err(unsupported("this compare target")),
    };
    Ok(store::Compare { key: compare.key, result, target })
}
