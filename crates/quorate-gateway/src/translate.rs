//! Between etcd's protobuf and the store's own types. Mechanical: the store's types mirror etcd's
//! field by field. What the store cannot do yet is refused here, so that nothing is silently
//! ignored.

mod request;
mod response;

pub(crate) use request::{compaction, delete_range, put, range, txn};
pub(crate) use response::{
    compaction_response, delete_range_response, put_response, range_response, txn_response,
};
