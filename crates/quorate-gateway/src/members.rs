//! How the cluster looks to a client of etcd: identities of 64 bits, and one address for all.

use crate::etcd::etcdserverpb::Member;
use pbft::{ClientId, Digest, ReplicaId, View};
use std::net::SocketAddr;

/// The low bits of a member's identity hold a replica's index, so that identities sort as
/// replicas do.
const INDEX_BITS: u32 = 16;

/// The identities of the cluster, of its replicas and of this gateway.
///
/// They are derived from the cluster's own identity, so every gateway of a cluster gives the same
/// ones, and a client notices when it reaches another cluster.
#[derive(Clone, Debug)]
pub struct Members {
    cluster_id: u64,
    gateway_id: u64,
    replica_id_base: u64,
    replica_addresses: Vec<String>,
}

impl Members {
    /// The members of the cluster with this identity, whose replicas reach each other at these
    /// addresses (`HOST:PORT`, in the order of replica ids), seen through the gateway that acts
    /// as `client`.
    pub fn new(cluster: &Digest, client: ClientId, replica_addresses: Vec<String>) -> Self {
        let id = |kind: &[u8]| {
            let parts: &[&[u8]] = &[cluster.as_bytes(), kind];
            first_bytes(&Digest::of("quorate 2026-11-22 etcd member identity", parts))
        };
        let low_bits = (1 << INDEX_BITS) - 1;
        Self {
            cluster_id: id(b"cluster"),
            gateway_id: (id(b"gateway") & !low_bits) | (u64::from(client.get()) & low_bits),
            replica_id_base: id(b"replica") & !low_bits,
            replica_addresses,
        }
    }

    /// The cluster's identity.
    pub(crate) fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// The identity under which this gateway answers.
    pub(crate) fn gateway_id(&self) -> u64 {
        self.gateway_id
    }

    /// The identity of the primary of `view`.
    pub(crate) fn primary_id(&self, view: View) -> u64 {
        let replica_count = self.replica_addresses.len();
        let replica_count = u32::try_from(replica_count).expect("replica ids have 32 bits");
        self.replica_id(view.primary(replica_count.max(1)))
    }

    /// The replicas as etcd describes servers. All of them name `gateway` as the address for
    /// clients: one that talked to a single replica would have to trust it.
    pub(crate) fn list(&self, gateway: SocketAddr) -> Vec<Member> {
        (0..)
            .zip(&self.replica_addresses)
            .map(|(index, address)| Member {
                id: self.replica_id(ReplicaId::new(index)),
                name: format!("replica-{index}"),
                peer_ur_ls: vec![format!("quorate://{address}")],
                client_ur_ls: vec![format!("http://{gateway}")],
                is_learner: false,
            })
            .collect()
    }

    fn replica_id(&self, replica: ReplicaId) -> u64 {
        self.replica_id_base + u64::from(replica.get())
    }
}

fn first_bytes(digest: &Digest) -> u64 {
    let (first, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(cluster: u8) -> Members {
        let addresses = (0..4).map(|index| format!("10.0.0.{index}:7000")).collect();
        Members::new(&Digest::from_bytes([cluster; 32]), ClientId::new(3), addresses)
    }

    #[test]
    fn every_replica_sends_clients_to_the_gateway() {
        let gateway = "127.0.0.1:2379".parse().unwrap();
        let list = members(1).list(gateway);
        assert_eq!(list.len(), 4);
        assert_eq!(list[2].name, "replica-2");
        assert_eq!(list[2].peer_ur_ls, ["quorate://10.0.0.2:7000"]);
        assert!(list.iter().all(|member| member.client_ur_ls == ["http://127.0.0.1:2379"]));
        assert!(list.is_sorted_by_key(|member| member.id));
    }

    #[test]
    fn identities_are_distinct_and_belong_to_the_cluster() {
        let gateway = "127.0.0.1:2379".parse().unwrap();
        let ids = |members: &Members| {
            let mut ids: Vec<_> = members.list(gateway).iter().map(|member| member.id).collect();
            ids.extend([members.cluster_id(), members.gateway_id()]);
            ids
        };
        let mut all: Vec<_> = [ids(&members(1)), ids(&members(2))].concat();
        assert_eq!(ids(&members(1)), ids(&members(1)));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 12);
    }

    #[test]
    fn the_primary_moves_with_the_view() {
        let members = members(1);
        let list = members.list("127.0.0.1:2379".parse().unwrap());
        for view in 0..9 {
            assert_eq!(members.primary_id(View::new(view)), list[view as usize % 4].id);
        }
    }
}
