//! A deterministic multi-version key-value store with the semantics of etcd 3.4.

mod error;
mod operation;
mod outcome;

pub use error::{ErrorCode, StoreError};
pub use operation::{
    CompactRequest, Compare, CompareResult, CompareTarget, DeleteRangeRequest, OPERATION_BYTES_MAX,
    Operation, PutRequest, REQUEST_BYTES_MAX, RangeRequest, TXN_OPERATIONS_MAX, TxnOperation,
    TxnRequest,
};
pub use outcome::{
    DeleteRangeResponse, KeyValue, Outcome, PutResponse, RESPONSE_BYTES_MAX, RangeResponse,
    Response, StatusResponse, TxnOperationResponse, TxnResponse,
};
