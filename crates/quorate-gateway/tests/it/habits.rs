//! What operators of etcd type besides reading and writing keys.

use crate::etcdctl::{Ended, etcdctl, is_installed};
use crate::harness::{TestGateway, gateway_answering, gateway_with_store};
use quorate_net::{ClientError, Fate};
use tokio::task::spawn_blocking;

const NO_QUORUM: ClientError =
    ClientError::NoQuorum { reachable: 2, needed: 3, fate: Fate::Unknown };

/// Runs etcdctl with each list of arguments, at the gateway's address with this before it.
async fn etcdctl_at(gateway: &TestGateway, scheme: &str, lines: &[&str]) -> Vec<Ended> {
    let endpoint = format!("{scheme}{}", gateway.addr);
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    spawn_blocking(move || {
        let run = |line: &String| etcdctl(&endpoint, &line.split(' ').collect::<Vec<_>>(), "");
        lines.iter().map(run).collect()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_status_are_shown_however_the_endpoint_is_written() {
    if !is_installed() {
        return;
    }
    let gateway = gateway_with_store().await;
    let here = gateway.addr;
    for scheme in ["", "http://"] {
        let lines = ["member list", "endpoint status", "endpoint status --cluster", "alarm list"];
        let ended = etcdctl_at(&gateway, scheme, &lines).await;
        for (line, ended) in lines.iter().zip(&ended) {
            assert_eq!(
                (ended.exit_code, ended.error.as_str()),
                (0, ""),
                "{line} at {scheme}{here}"
            );
        }
        let members: Vec<_> = ended[0].stdout.lines().collect();
        assert_eq!(members.len(), 4);
        let expected = format!("started, replica-0, quorate://10.0.0.0:7000, http://{here}, false");
        assert!(members[0].ends_with(&expected), "{members:?}");
        assert!(ended[1].stdout.starts_with(&format!("{scheme}{here}, ")), "{:?}", ended[1]);
        assert!(ended[1].stdout.contains(", 3.4.0, "), "{:?}", ended[1]);
        assert_eq!(ended[2].stdout.lines().count(), 4);
        assert_eq!(ended[3].stdout, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_the_clusters_and_not_the_gateways() {
    if !is_installed() {
        return;
    }
    let healthy = etcdctl_at(&gateway_with_store().await, "", &["endpoint health"]).await;
    assert_eq!(healthy[0].exit_code, 0, "{healthy:?}");
    let stalled = gateway_answering(|_| Err(NO_QUORUM)).await;
    let unhealthy = etcdctl_at(&stalled, "", &["--command-timeout=1s endpoint health"]).await;
    assert_eq!(unhealthy[0].exit_code, 1, "{unhealthy:?}");
    assert_eq!(unhealthy[0].error, "Error: unhealthy cluster\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_yet_fails_with_a_sentence_and_does_not_hang() {
    if !is_installed() {
        return;
    }
    let gateway = gateway_with_store().await;
    let lines = [
        "watch key",
        "watch --prefix --rev=1 key",
        "lease grant 60",
        "lock name",
        "elect name proposal",
        "user list",
        "get key --order=DESCEND",
        "put key --ignore-value",
        "member remove 1",
        "defrag",
    ];
    let ended = etcdctl_at(&gateway, "", &lines).await;
    for (line, ended) in lines.iter().zip(ended) {
        assert_ne!(ended.exit_code, 0, "{line}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("is not supported yet"), "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_quorum_is_said_to_be_one() {
    if !is_installed() {
        return;
    }
    let gateway = gateway_answering(|_| Err(NO_QUORUM)).await;
    let ended = etcdctl_at(&gateway, "", &["put key value", "del key", "endpoint status"]).await;
    for ended in &ended[..2] {
        assert_eq!(ended.exit_code, 1);
        assert_eq!(
            ended.error,
            "Error: rpc error: code = DeadlineExceeded desc = quorate: only 2 replicas can be \
             reached and 3 must agree; whether the operation was executed is unknown; start the \
             others or look at the network\n"
        );
    }
    assert_eq!(ended[2].exit_code, 1);
    assert!(
        ended[2].stderr.contains("only 2 replicas can be reached and 3 must agree"),
        "{:?}",
        ended[2]
    );
}
