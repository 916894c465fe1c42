//! The gateway's integration tests. `server` is about addresses, connections and endings;
//! `answers` about what becomes of a request, against scripted answers, and
//! `replicas` about scripted replicas behind TLS; `same_as_etcd` compares with the real etcd, on the
//! real store, what its own client prints and what calls return; `habits` is what operators type
//! besides; `generated` makes calls up; `in_process` is
//! the gateway without a port; `etcdctl` runs the programs.

#![expect(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

mod answers;
mod etcdctl;
mod generated;
mod habits;
mod harness;
mod in_process;
mod replicas;
mod same_as_etcd;
mod server;
