//! How many instructions the hot paths of the core and of the codec take, under valgrind:
//! `cargo bench -p pbft --bench instructions`. It fails where one takes more than its limit.
//!
//! A limit is some 15 % above what was counted when it was written, so that another version of the
//! compiler passes. Raise one only with the reason in the commit.
#![expect(unused_qualifications, reason = "the macros write them")]

#[path = "../tests/it/cluster.rs"]
#[expect(dead_code, reason = "most of it is for tests")]
mod cluster;

use cluster::{Cluster, config_with};
use core::hint::black_box;
use core::time::Duration;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use pbft::message::{Batch, Kind, PrePrepare};
use pbft::{Epoch, Message, Parameters, SeqNum, View, wire};
use std::sync::Arc;

/// At most so many instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn cluster() -> Cluster {
    let parameters = Parameters { batch_gathering_max: Duration::ZERO, ..Parameters::default() };
    Cluster::with_config(config_with(4, parameters))
}

/// Eight instances that all replicas have pre-prepared and none has prepared: what is on its way
/// are their votes.
fn pre_prepared() -> Cluster {
    let mut cluster = cluster();
    for timestamp in 1..=8 {
        cluster.ask(0, timestamp, "an operation of a service");
    }
    for envelope in cluster.take(|envelope| envelope.kind() == Kind::PrePrepare) {
        cluster.deliver(&envelope);
    }
    cluster
}

/// A PRE-PREPARE of eight requests.
fn pre_prepare() -> Message {
    let cluster = cluster();
    let requests = (1..=8).map(|timestamp| cluster.operation(0, timestamp, "an operation"));
    let batch = Batch { requests: requests.collect(), ..Batch::default() };
    let body = PrePrepare { view: View::new(0), seq: SeqNum::new(1), digest: batch.digest() };
    Message::PrePrepare(cluster.sign(0, body), Arc::new(batch))
}

fn encoded_pre_prepare() -> Vec<u8> {
    wire::encode(Epoch::ZERO, &pre_prepare())
}

// 9 PREPAREs and 12 COMMITs of each instance, encoded, decoded and handled, and what follows from
// them: until eight batches are executed by four replicas.
#[library_benchmark(config = at_most(1_470_000))]
#[bench::of_eight_instances(pre_prepared())]
fn votes(mut cluster: Cluster) -> Cluster {
    cluster.deliver_all();
    cluster
}

#[library_benchmark(config = at_most(11_500))]
#[bench::of_eight_requests(pre_prepare())]
fn encode(message: Message) -> Vec<u8> {
    wire::encode(Epoch::ZERO, black_box(&message))
}

#[library_benchmark(config = at_most(29_500))]
#[bench::of_eight_requests(encoded_pre_prepare())]
fn decode(bytes: Vec<u8>) -> Option<Message> {
    wire::decode(Epoch::ZERO, black_box(&bytes)).ok()
}

library_benchmark_group!(name = agreement; benchmarks = votes);
library_benchmark_group!(name = codec; benchmarks = encode, decode);
main!(library_benchmark_groups = agreement, codec);
