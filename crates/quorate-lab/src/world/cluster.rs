//! The configuration and the keys of a world's cluster.

use super::Options;
use pbft::{Config, ConfigError, Digest, Domain, Epoch, SigningKey};
use std::sync::Arc;

/// The configuration and all private keys.
///
/// # Panics
/// If the options describe no valid cluster.
pub(crate) fn cluster(options: &Options) -> (Arc<Config>, Vec<SigningKey>, Vec<SigningKey>) {
    let config = config(options).expect("the options describe a valid cluster");
    (Arc::new(config), replica_keys(options), client_keys(options))
}

/// The configuration.
pub(super) fn config(options: &Options) -> Result<Config, ConfigError> {
    let domain = Domain { cluster: Digest::of("quorate lab 1 cluster", &[]), epoch: Epoch::ZERO };
    Config::new(
        domain,
        Digest::of("quorate lab 1 configuration", &[]),
        replica_keys(options).iter().map(SigningKey::verification_key).collect(),
        client_keys(options).iter().map(SigningKey::verification_key).collect(),
        options.parameters.clone(),
    )
}

fn replica_keys(options: &Options) -> Vec<SigningKey> {
    (0..options.replica_count).map(|index| key("replica", index)).collect()
}

fn client_keys(options: &Options) -> Vec<SigningKey> {
    (0..options.client_count()).map(|index| key("client", index)).collect()
}

/// Keys do not depend on the seed: they are never the reason why a run goes as it goes.
fn key(kind: &str, index: u32) -> SigningKey {
    let seed = Digest::of("quorate lab 1 key", &[kind.as_bytes(), &index.to_le_bytes()]);
    SigningKey::from_seed((*seed.as_bytes()).into())
}
