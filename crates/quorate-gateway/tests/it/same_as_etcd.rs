//! The real etcdctl cannot tell the gateway from the real etcd.

use crate::etcdctl::{Etcd, FORMATS, Script, is_installed, scripts};
use crate::generated::{Call, odd_calls, sequence};
use crate::harness::{gateway_with_store, gateway_with_store_ahead_by};
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tonic::transport::Endpoint;

/// How many comparisons run at once; most of each is waiting for etcd to begin.
const COMPARISONS_COUNT_MAX: usize = 4;

/// How many sequences of calls are made up, each on an empty store.
const GENERATED_SEQUENCES: u64 = 4;

/// How long each is.
const GENERATED_CALLS: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_prints_the_same_as_against_etcd() {
    if !is_installed() {
        return;
    }
    let places = Arc::new(Semaphore::new(COMPARISONS_COUNT_MAX));
    let mut comparisons = JoinSet::new();
    for script in scripts(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/etcdctl"))) {
        let script = Arc::new(script);
        for format in FORMATS {
            let (script, places) = (Arc::clone(&script), Arc::clone(&places));
            comparisons.spawn(async move {
                let _place = places.acquire().await.unwrap();
                compare(script, format).await;
            });
        }
    }
    assert!(comparisons.len() >= 18, "the scripts were not found");
    comparisons.join_all().await;
}

async fn compare(script: Arc<Script>, format: &'static str) {
    let gateway = gateway_with_store().await;
    let endpoint = gateway.addr.to_string();
    spawn_blocking(move || {
        let etcd = Etcd::start();
        let theirs = script.run(&etcd.endpoint, format);
        let ours = script.run(&endpoint, format);
        if ours != theirs {
            panic!("{}", first_difference(&script.name, format, &ours, &theirs));
        }
    })
    .await
    .unwrap();
}

/// The invocation after which the two transcripts part.
fn first_difference(name: &str, format: &str, ours: &str, theirs: &str) -> String {
    let parts = |text: &str| -> Vec<String> {
        text.split("\n$ ").map(|part| format!("$ {}\n", part.trim_start_matches("$ "))).collect()
    };
    let (ours, theirs) = (parts(ours), parts(theirs));
    let parted = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
    let nothing = "nothing".to_owned();
    let (ours, theirs) = parted.unwrap_or((&nothing, &nothing));
    format!("{name}.txt in format {format}\n--- etcd\n{theirs}\n--- gateway\n{ours}")
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_calls_get_the_same_answers_as_from_etcd() {
    compare_calls("odd calls", odd_calls()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_calls_get_the_same_answers_as_from_etcd() {
    for seed in 0..GENERATED_SEQUENCES {
        compare_calls(&format!("seed {seed}"), sequence(seed, GENERATED_CALLS)).await;
    }
}

#[tokio::test]
async fn a_wrong_revision_would_be_noticed() {
    let right = gateway_with_store().await;
    let wrong = gateway_with_store_ahead_by(1).await;
    let (mut right, mut wrong) = (right.kv(), wrong.kv());
    for call in sequence(0, 20) {
        let answer = call.clone().answer(&mut right).await;
        let other = call.answer(&mut wrong).await;
        assert_eq!(answer == other, !answer.contains("header"), "{answer}");
    }
}

async fn compare_calls(what: &str, calls: Vec<Call>) {
    if !is_installed() {
        return;
    }
    let etcd = spawn_blocking(Etcd::start).await.unwrap();
    let endpoint = Endpoint::from_shared(etcd.endpoint.clone()).unwrap();
    let mut theirs = KvClient::new(endpoint.connect().await.unwrap());
    let gateway = gateway_with_store().await;
    let mut ours = gateway.kv();
    for (step, call) in calls.into_iter().enumerate() {
        let expected = call.clone().answer(&mut theirs).await;
        let answer = call.clone().answer(&mut ours).await;
        assert_eq!(answer, expected, "{what}, call {step}: {}", shortened(&format!("{call:?}")));
    }
}

fn shortened(text: &str) -> &str {
    text.get(..1000).unwrap_or(text)
}
