//! The services of etcd's v3 interface: each call is one line of translation around
//! [`Backend::execute`](crate::backend::Backend::execute), or a sentence that says why not.

mod cluster;
mod kv;
mod maintenance;

pub(crate) use cluster::Cluster;
pub(crate) use kv::Kv;
pub(crate) use maintenance::Maintenance;

use crate::refusal::unsupported;
use tonic::body::Body;
use tonic::codegen::http;

/// The longest part of an unknown call's name that is repeated to its caller, in characters.
const CALL_NAME_CHARS_MAX: usize = 100;

/// Answers a call to a service the gateway does not have, for instance Watch or Lease.
pub(crate) async fn unknown_call(uri: http::Uri) -> http::Response<Body> {
    let name = uri.path().trim_start_matches('/');
    let name: String = name.chars().take(CALL_NAME_CHARS_MAX).collect();
    unsupported(&name).into_http()
}
