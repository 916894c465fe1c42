//! What the fuzzer runs, as plain functions of bytes, so that a corpus can be replayed without it.
//! Each panics on a broken promise and on nothing else.
#![forbid(unsafe_code)]

mod host;
mod journal;

pub use host::replica;
pub use journal::journal;

use pbft::{
    ClientId, Config, Digest, Domain, Epoch, Evidence, Message, Parameters, Record, ReplicaId,
    Sender, SigningKey, Verified, wire as codec,
};
use zeroize::Zeroizing;

/// Replicas of the cluster that is attacked.
const REPLICA_COUNT: u8 = 4;
/// Its clients.
const CLIENT_COUNT: u8 = 4;

/// Bytes from a link: the first names the sender, the others are a frame. What decodes encodes to
/// the same bytes, and the door takes any message without a panic.
pub fn wire(data: &[u8]) {
    admitted(&config(), data);
}

/// A record of the journal and a piece of evidence: what decodes encodes to the same bytes, and
/// evidence is judged without a panic.
pub fn record(data: &[u8]) {
    if let Some(record) = Record::decode(data) {
        assert_eq!(record.encode(), data, "a record has one encoding");
    }
    if let Ok(evidence) = borsh::from_slice::<Evidence>(data) {
        let _ = evidence.verify(&config());
    }
}

/// The message in these bytes, if it passes the door.
fn admitted(config: &Config, data: &[u8]) -> Option<Verified> {
    let (sender, frame) = data.split_first()?;
    let epoch = config.domain.epoch;
    let message: Message = codec::decode(epoch, frame).ok()?;
    assert_eq!(codec::encode(epoch, &message), frame, "a message has one encoding");
    let number = u32::from(*sender);
    let sender = if *sender < 128 {
        Sender::Replica(ReplicaId::new(number))
    } else {
        Sender::Client(ClientId::new(number - 128))
    };
    config.admit(sender, message).ok()
}

/// The keys are those of the golden messages in `crates/pbft/tests/golden`, so that these pass the
/// door and make good seeds.
fn config() -> Config {
    let domain = Domain { cluster: Digest::from_bytes([42; 32]), epoch: Epoch::ZERO };
    let key = |seed: u8| SigningKey::from_seed(Zeroizing::new([seed; 32])).verification_key();
    let replicas = (0..REPLICA_COUNT).map(|id| key(id + 1)).collect();
    let clients = (0..CLIENT_COUNT).map(|id| key(id + 101)).collect();
    let parameters = Parameters { checkpoint_period: 4, log_window: 16, ..Parameters::default() };
    Config::new(domain, Digest::from_bytes([43; 32]), replicas, clients, parameters)
        .expect("the configuration is valid")
}
