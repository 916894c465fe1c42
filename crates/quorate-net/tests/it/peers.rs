//! Two connections to every peer, kept up for ever.

use crate::replica::{Cluster, Replica, keys, until};
use bytes::Bytes;
use pbft::ReplicaId;
use quorate_net::{
    Class, ClientLimits, Clients, PeerEvent, Peers,
    identity::SecretKeys,
    limits::{
        BULK_FRAME_BYTES_MAX, BULK_LANE_BYTES_MAX, VOTE_FRAME_BYTES_MAX, VOTE_QUEUE_COUNT_MAX,
        WRITE_BYTES_MAX,
    },
    metrics::NetMetrics,
};
use std::sync::Arc;
use tokio::{io::AsyncWriteExt, net::TcpStream};

async fn pair() -> (Cluster, Replica, Replica) {
    let cluster = Cluster::new(2).await;
    let mut low = cluster.start(0).await;
    let mut high = cluster.start(1).await;
    low.connected_to(1).await;
    high.connected_to(0).await;
    (cluster, low, high)
}

#[tokio::test]
async fn frames_of_one_class_keep_their_order_in_both_directions() {
    let (_cluster, mut low, mut high) = pair().await;
    for number in 0..500_u32 {
        low.send(1, Class::Votes, number.to_le_bytes().to_vec());
        high.send(0, Class::Bulk, number.to_le_bytes().to_vec());
    }
    for number in 0..500_u32 {
        high.receives(0, Class::Votes, number.to_le_bytes().to_vec()).await;
        low.receives(1, Class::Bulk, number.to_le_bytes().to_vec()).await;
    }
}

#[tokio::test]
async fn longest_frames_arrive_whole() {
    let (_cluster, low, mut high) = pair().await;
    let votes = Bytes::from(vec![1; VOTE_FRAME_BYTES_MAX]);
    let bulk = Bytes::from(vec![2; BULK_FRAME_BYTES_MAX]);
    low.send(1, Class::Votes, votes.clone());
    high.receives(0, Class::Votes, votes).await;
    low.send(1, Class::Bulk, bulk.clone());
    high.receives(0, Class::Bulk, bulk).await;
}

#[tokio::test]
async fn broadcast_reaches_every_peer() {
    let cluster = Cluster::new(4).await;
    let mut replicas = Vec::new();
    for id in 0..4 {
        replicas.push(cluster.start(id).await);
    }
    for (own, replica) in replicas.iter().enumerate() {
        let others = (0..4).filter(|id| *id as usize != own).map(ReplicaId::new);
        until(|| others.clone().all(|peer| replica.peers.is_connected(peer))).await;
    }
    replicas[2].peers.broadcast(Class::Votes, &Bytes::from_static(b"to all"));
    for id in [0, 1, 3] {
        let mut event = replicas[id].inbox.recv(|_| true).await;
        while matches!(event, PeerEvent::Connected(_)) {
            event = replicas[id].inbox.recv(|_| true).await;
        }
        let expected = Bytes::from_static(b"to all");
        assert_eq!(event, PeerEvent::Frame(ReplicaId::new(2), Class::Votes, expected));
    }
}

#[tokio::test]
async fn votes_do_not_wait_behind_bulk_that_nobody_takes() {
    let (_cluster, low, mut high) = pair().await;
    let part = Bytes::from(vec![7; BULK_LANE_BYTES_MAX / 4]);
    let received = &high.metrics.peers[&ReplicaId::new(0)];
    // Four fill the lane, the fifth waits for room, the sixth stays in the connection.
    for count in 1..=5 {
        low.send(1, Class::Bulk, part.clone());
        until(|| received.bulk.frames_received.get() == count).await;
    }
    low.send(1, Class::Bulk, part.clone());
    low.send(1, Class::Votes, "vote");
    until(|| received.votes.frames_received.get() == 1).await;
    high.receives(0, Class::Votes, "vote").await;
    high.receives(0, Class::Bulk, part).await;
}

#[tokio::test]
async fn restarted_listening_replica_is_dialled_again() {
    let (cluster, mut low, high) = pair().await;
    high.stop().await;
    low.disconnected_from(1).await;
    let mut high = cluster.start(1).await;
    low.connected_to(1).await;
    high.connected_to(0).await;
    low.send(1, Class::Votes, "welcome back");
    high.receives(0, Class::Votes, "welcome back").await;
}

#[tokio::test]
async fn restarted_dialling_replica_takes_the_place_of_its_former_self() {
    let (cluster, low, mut high) = pair().await;
    low.stop().await;
    let mut low = cluster.start(0).await;
    low.connected_to(1).await;
    high.disconnected_from(0).await;
    high.connected_to(0).await;
    high.send(0, Class::Bulk, "welcome back");
    low.receives(1, Class::Bulk, "welcome back").await;
}

#[tokio::test]
async fn outage_keeps_the_newest_votes_and_counts_the_rest() {
    let cluster = Cluster::new(2).await;
    let low = cluster.start(0).await;
    let overflow = 10;
    for number in 0..VOTE_QUEUE_COUNT_MAX + overflow {
        low.send(1, Class::Votes, number.to_le_bytes().to_vec());
    }
    let counters = &low.metrics.peers[&ReplicaId::new(1)];
    assert_eq!(counters.votes.frames_dropped.get(), overflow as u64);
    let mut high = cluster.start(1).await;
    high.connected_to(0).await;
    for number in overflow..VOTE_QUEUE_COUNT_MAX + overflow {
        high.receives(0, Class::Votes, number.to_le_bytes().to_vec()).await;
    }
}

#[tokio::test]
async fn impossible_frames_are_not_sent() {
    let (_cluster, low, mut high) = pair().await;
    low.send(1, Class::Votes, vec![0; VOTE_FRAME_BYTES_MAX + 1]);
    low.send(1, Class::Votes, "");
    low.send(7, Class::Votes, "to nobody");
    low.send(1, Class::Votes, "possible");
    high.receives(0, Class::Votes, "possible").await;
    assert_eq!(low.metrics.peers[&ReplicaId::new(1)].votes.frames_dropped.get(), 2);
}

#[tokio::test]
async fn impostor_is_refused_by_those_it_dials_and_by_those_who_dial_it() {
    let cluster = Cluster::new(3).await;
    let mut first = cluster.start(0).await;
    let stolen_address = SecretKeys::from_seeds([77; 32], [78; 32]);
    let mut impostor = cluster.start_with_keys(1, &stolen_address).await;
    let mut third = cluster.start(2).await;
    first.connected_to(2).await;
    third.connected_to(0).await;
    let failures = &first.metrics.peers[&ReplicaId::new(1)].votes.dials_failed;
    until(|| failures.get() > 0 && third.metrics.handshakes_unknown_key.get() > 0).await;
    assert!(!first.peers.is_connected(ReplicaId::new(1)));
    assert!(!third.peers.is_connected(ReplicaId::new(1)));
    first.send(2, Class::Votes, "business as usual");
    third.receives(0, Class::Votes, "business as usual").await;
    assert_eq!(impostor.inbox.try_recv(|_| true), None);
}

#[tokio::test]
async fn strangers_at_the_door_do_not_disturb_the_links() {
    let (cluster, low, mut high) = pair().await;
    let mut strangers = Vec::new();
    for number in 0..200_u8 {
        let mut stranger = TcpStream::connect(cluster.address(1)).await.unwrap();
        // The replica may close first.
        let _ = stranger.write_all(&vec![number; usize::from(number)]).await;
        strangers.push(stranger);
    }
    low.send(1, Class::Votes, "undisturbed");
    high.receives(0, Class::Votes, "undisturbed").await;
}

#[tokio::test]
async fn listener_may_run_on_another_thread_than_the_links() {
    let cluster = Cluster::new(2).await;
    let mut low = cluster.start(0).await;

    let own = ReplicaId::new(1);
    let own_keys = keys(own);
    let metrics = Arc::new(NetMetrics::new([ReplicaId::new(0)]));
    let (peers, mut inbox, door) =
        Peers::start(own, &own_keys, cluster.addresses(), &metrics, WRITE_BYTES_MAX).unwrap();
    let (clients, _client_inbox) = Clients::new(ClientLimits::default(), &metrics);
    let edge =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = {
        let _guard = edge.enter();
        cluster.listener(1, &own_keys, &metrics).await
    };
    edge.spawn(listener.run(door, clients));

    assert_eq!(inbox.recv(|_| true).await, PeerEvent::Connected(ReplicaId::new(0)));
    low.connected_to(1).await;
    peers.send(ReplicaId::new(0), Class::Votes, Bytes::from_static(b"across"));
    low.receives(1, Class::Votes, "across").await;
    tokio::task::spawn_blocking(move || drop(edge)).await.unwrap();
    low.send(1, Class::Votes, "the link outlives the edge");
    let frame = Bytes::from_static(b"the link outlives the edge");
    let expected = PeerEvent::Frame(ReplicaId::new(0), Class::Votes, frame);
    assert_eq!(inbox.recv(|_| true).await, expected);
}
