//! The etcd v3 messages, servers and clients, generated from `proto/`. The clients are public so
//! that tests, the demo and bridges to other protocols speak exactly what the gateway speaks.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

/// Stored keys.
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// Requests, answers and services.
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}
