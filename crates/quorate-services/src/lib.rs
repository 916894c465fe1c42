//! What Quorate replicates: a multi-version key-value store with the semantics of etcd, and a service
//! that does nothing, for measurements.
//!
//! Nothing here knows of the protocol: a service is the trait [`pbft::Service`], executed in the
//! agreed order on state that the replica authenticates, checkpoints and transfers.
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::panic, clippy::unwrap_used))]

pub mod null;
pub mod store;
