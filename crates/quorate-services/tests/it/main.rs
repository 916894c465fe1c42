//! The store against etcd's documented behaviour, against a naive model, and against its own
//! written formats.
#![expect(clippy::unwrap_used, reason = "a failed unwrap in a test's helper is a failed test")]

mod compaction;
mod encoding;
mod limits;
mod model;
mod properties;
mod ranges;
mod replica;
mod transactions;
mod work;
mod writes;
