//! The configuration and the keys of a world's cluster.

use super::Options;
use pbft::{Config, Digest, Domain, Epoch, SigningKey};
use std::sync::Arc;

/// The configuration and all private keys. Keys do not depend on the seed: they are never the
/// reason why a run goes as it goes.
pub(super) fn cluster(options: &Options) -> (Arc<Config>, Vec<SigningKey>, Vec<SigningKey>) {
    let key = |kind: &str, index: u32| {
        let seed = Digest::of("quorate lab 1 key", &[kind.as_bytes(), &index.to_le_bytes()]);
        SigningKey::from_seed((*seed.as_bytes()).into())
    };
    let replicas: Vec<_> = (0..options.replica_count).map(|i| key("replica", i)).collect();
    let clients: Vec<_> = (0..options.workload.clients).map(|i| key("client", i)).collect();
    let domain = Domain { cluster: Digest::of("quorate lab 1 cluster", &[]), epoch: Epoch::ZERO };
    let config = Config::new(
        domain,
        Digest::of("quorate lab 1 configuration", &[]),
        replicas.iter().map(SigningKey::verification_key).collect(),
        clients.iter().map(SigningKey::verification_key).collect(),
        options.parameters.clone(),
    )
    .expect("the options describe a valid cluster");
    (Arc::new(config), replicas, clients)
}
