//! Whole replicas in this process, through the public interface alone.
#![expect(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

mod cluster;

use cluster::TestCluster;
use pbft::message::{Operation, ServiceId};
use quorate_node::admin::Request;
use quorate_node::cluster::ParametersFile;
use quorate_node::node::Ended;
use std::time::Duration;
use tokio::time::Instant;

/// No test takes so long; it only ends one that would never end.
const PATIENCE: Duration = Duration::from_secs(60);

/// An operation of no service is executed, too: its result says that there is no such service.
fn operation(bytes: usize) -> Operation {
    Operation { service: ServiceId(1), body: vec![7; bytes] }
}

#[tokio::test]
async fn dropped_node_stops() {
    let mut cluster = TestCluster::start(ParametersFile::default());
    let node = cluster.nodes.pop().unwrap();
    let control = node.control();
    assert!(control.ask(Request::Status {}).await.is_some());
    drop(node);
    let stopping = async { while control.ask(Request::Status {}).await.is_some() {} };
    tokio::time::timeout(PATIENCE, stopping).await.unwrap();
}

#[tokio::test]
async fn stopped_node_is_gone_and_can_be_started_again() {
    let mut cluster = TestCluster::start(ParametersFile::default());
    let node = cluster.nodes.pop().unwrap();
    let control = node.control();
    // May be called where no other call may block.
    node.stop();
    assert!(control.ask(Request::Status {}).await.is_none());
    cluster.start_again(3);
    let client = cluster.client();
    client.submit(operation(1), Instant::now() + PATIENCE).await.unwrap();
}

#[tokio::test]
async fn node_that_was_told_to_stop_says_how_it_ended() {
    let mut cluster = TestCluster::start(ParametersFile::default());
    let mut node = cluster.nodes.pop().unwrap();
    node.control().stop().await;
    assert_eq!(node.ended().await, Ended::Stopped);
}

#[tokio::test]
async fn cluster_goes_on_when_its_primary_stops_and_when_it_is_back() {
    let mut cluster = TestCluster::start(ParametersFile::default());
    let client = cluster.client();
    client.submit(operation(1), Instant::now() + PATIENCE).await.unwrap();
    cluster.nodes.remove(0).stop();
    client.submit(operation(1), Instant::now() + PATIENCE).await.unwrap();
    cluster.start_again(0);
    // Now the one that is back is needed.
    cluster.nodes.remove(0).stop();
    client.submit(operation(1), Instant::now() + PATIENCE).await.unwrap();
}

#[tokio::test]
async fn replica_that_cannot_be_recorded_takes_part_all_the_same() {
    let mut cluster = TestCluster::start(ParametersFile::default());
    let file = tempfile::NamedTempFile::new().unwrap();
    cluster.nodes.pop().unwrap().stop();
    cluster.start_recording_into(3, file.path());
    // Now it is needed.
    cluster.nodes.remove(0).stop();
    let client = cluster.client();
    client.submit(operation(1), Instant::now() + PATIENCE).await.unwrap();
}

#[tokio::test]
async fn longest_request_of_the_configuration_is_taken() {
    let request_bytes_max = Some(5 << 20);
    let parameters = ParametersFile { request_bytes_max, ..ParametersFile::default() };
    let cluster = TestCluster::start(parameters);
    let client = cluster.client();
    let longest = cluster.longest_operation();
    assert!(longest > 4 << 20);
    client.submit(operation(longest), Instant::now() + PATIENCE).await.unwrap();
}
