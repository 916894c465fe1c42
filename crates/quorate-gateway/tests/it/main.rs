//! The gateway's integration tests. `server` is about addresses, connections and endings;
//! `answers` about what becomes of a request, against scripted replicas.

mod answers;
mod harness;
mod server;
