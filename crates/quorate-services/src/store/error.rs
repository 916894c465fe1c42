//! Why the store refused an operation, in etcd's words and with etcd's gRPC codes.

use borsh::{BorshDeserialize, BorshSerialize};

/// A refusal. Its `Display` text and [`code`](Self::code) are what etcd 3.4 answers, unless the
/// text begins with `quorate:`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum StoreError {
    /// A request or compare names the empty key.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// An operation of a transaction is unset ([`TxnOperation::Unset`](super::TxnOperation)).
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// More than [`TXN_OPERATIONS_MAX`](super::TXN_OPERATIONS_MAX) compares, or operations in one
    /// branch.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOperations,
    /// Within one branch two puts write the same key, or a delete covers the key of a put.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// The operation is longer than [`OPERATION_BYTES_MAX`](super::OPERATION_BYTES_MAX).
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// The lease named by a put does not exist.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// The revision asked for is below the compacted one; for a compaction, at or below it.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// The revision asked for has not been reached.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// The answer would be longer than [`RESPONSE_BYTES_MAX`](super::RESPONSE_BYTES_MAX). Nothing
    /// was written. etcd has no such limit; here an answer must fit what replicas keep and send.
    #[error("quorate: the response is too large, ask for fewer keys with a limit")]
    ResponseTooLarge,
    /// The bytes are no operation of this version. No correct gateway sends such.
    #[error("quorate: malformed operation")]
    Malformed,
    /// The operation would take more work than
    /// [`OPERATION_WORK_MAX`](super::OPERATION_WORK_MAX). Nothing was written. etcd has no such
    /// limit; here every replica works on the same operation at the same moment.
    #[error("quorate: the operation visits too many keys, ask for smaller ranges")]
    TooMuchWork,
    /// The operation is not small, and the others of its batch leave too little of
    /// [`BATCH_WORK_MAX`](super::BATCH_WORK_MAX) for it. Nothing was written; later it may pass.
    #[error("etcdserver: too many requests")]
    TooManyRequests,
}

impl StoreError {
    /// The gRPC status code etcd answers with.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::EmptyKey
            | Self::KeyNotFound
            | Self::TooManyOperations
            | Self::DuplicateKey
            | Self::RequestTooLarge
            | Self::Malformed => ErrorCode::InvalidArgument,
            Self::LeaseNotFound => ErrorCode::NotFound,
            Self::ResponseTooLarge | Self::TooMuchWork | Self::TooManyRequests => {
                ErrorCode::ResourceExhausted
            }
            Self::Compacted | Self::FutureRevision => ErrorCode::OutOfRange,
        }
    }
}

/// The gRPC status codes the store uses; each discriminant is the code's number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum ErrorCode {
    /// `INVALID_ARGUMENT`.
    InvalidArgument = 3,
    /// `NOT_FOUND`.
    NotFound = 5,
    /// `RESOURCE_EXHAUSTED`.
    ResourceExhausted = 8,
    /// `OUT_OF_RANGE`.
    OutOfRange = 11,
}
