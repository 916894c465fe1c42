//! The verifying sidecar: etcd's v3 interface in front, a PBFT client behind.
//!
//! A stock etcd client trusts the server it talks to. If that server were a replica, one lying
//! replica would be enough to deceive it. So no replica speaks etcd; this gateway does, on the
//! user's side, and it passes on only what a quorum of replicas answered alike.
//!
//! What it promises for each request:
//!
//! - it submits a write to the cluster at most once and never repeats one whose outcome it does
//!   not know: etcd's interface has no identity for a request, so a repetition could execute
//!   it twice;
//! - it answers by the client's deadline, or its own, and says what is missing when it cannot;
//! - what it does not support it refuses by name, instead of ignoring it.
//!
//! Read `gateway.rs` for the server, `admission.rs` for the limits, `backend.rs` for what becomes
//! of a request, `submit.rs` for the seam to the cluster, `translate.rs` for the types.
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::panic, clippy::unwrap_used))]

mod admission;
mod api;
mod authority;
mod backend;
mod deadline;
pub mod etcd;
mod gateway;
mod in_process;
pub mod limits;
mod listener;
mod members;
mod refusal;
mod submit;
mod transaction_size;
mod translate;

pub use authority::AuthorityFilter;
pub use gateway::{Bound, Config, Exposure, Gateway, GatewayError};
pub use in_process::InProcess;
pub use members::Members;
pub use submit::{Answer, SUBMISSION_QUEUE_COUNT_MAX, Submission, Submitter};
