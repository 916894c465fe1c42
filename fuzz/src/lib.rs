//! What the fuzzer runs, as plain functions of bytes, so that a corpus can be replayed without it.
//! Each panics on a broken promise and on nothing else.

mod gateway;
mod host;
mod journal;
mod recording;
mod script;

pub use gateway::{Answered, Gateway, RPCS, Rpc, gateway};
pub use host::replica;
pub use journal::{Opened, journal};
pub use recording::{Taken, recording, recording_of, recording_script};

use pbft::message::{Outcome, ReadReply, Reply, ReplyBody};
use pbft::wire::{self as codec, Head, ReadReplyHead, ReplyHead};
use pbft::{
    ClientId, Config, Digest, Domain, Epoch, Evidence, Message, Parameters, Record, ReplicaId,
    Sender, SeqNum, SigningKey, Verified, View,
};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, LazyLock};
use zeroize::Zeroizing;

/// Replicas of the cluster that is attacked.
const REPLICA_COUNT: u8 = 4;
/// Its clients.
const CLIENT_COUNT: u8 = 4;

/// Bytes from a link: the first names the sender, the others are a frame. What decodes encodes to
/// the same bytes, the door takes any message without a panic, and the head of a REPLY says what
/// the whole of it does.
pub fn wire(data: &[u8]) -> Option<Decoded> {
    let head = data.get(1..).map(|frame| codec::head(CONFIG.domain.epoch, frame));
    let (sender, message) = decoded(&CONFIG, data)?;
    let variant = discriminant(&message);
    if let Some(expected) = head_of(&message) {
        assert_eq!(head, Some(Ok(expected)), "an answer has the head that it begins with");
    }
    // Somewhere near the places of the golden messages; its verdict is the core's.
    let _ = CONFIG.check_place(&message, View::new(5), SeqNum::new(8));
    Some(match CONFIG.admit(sender, message) {
        Ok(_) => Decoded::Admitted(variant),
        Err(_) => Decoded::Refused(variant),
    })
}

/// Of what a client is sent.
fn head_of(message: &Message) -> Option<Head> {
    match message {
        Message::Reply(reply) => Some(Head::Reply(reply_head_of(reply))),
        Message::ReadReply(ReadReply { session, number, .. }) => {
            Some(Head::ReadReply(ReadReplyHead { session: *session, number: *number }))
        }
        _ => None,
    }
}

fn reply_head_of(reply: &Reply) -> ReplyHead {
    let result_count = match &reply.body {
        ReplyBody::Full(Outcome::Executed(results)) => results.len(),
        _ => 0,
    };
    ReplyHead {
        session: reply.session,
        timestamp: reply.timestamp,
        is_whole: matches!(reply.body, ReplyBody::Full(_)),
        result_count: u32::try_from(result_count).expect("a frame holds fewer"),
    }
}

/// Which message bytes were, and whether the door let it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decoded {
    /// It was admitted.
    Admitted(Discriminant<Message>),
    /// It was not.
    Refused(Discriminant<Message>),
}

/// A record of the journal and a piece of evidence: what decodes encodes to the same bytes, and
/// evidence is judged without a panic.
pub fn record(data: &[u8]) -> Recorded {
    let record = Record::decode(data);
    if let Some(record) = &record {
        assert_eq!(record.encode(), data, "a record has one encoding");
    }
    let evidence = borsh::from_slice::<Evidence>(data).ok();
    let convicts = |evidence: Evidence| evidence.verify(&CONFIG).is_some();
    Recorded {
        record: record.as_ref().map(discriminant),
        evidence: evidence.map(|evidence| (discriminant(&evidence), convicts(evidence))),
    }
}

/// What bytes on a disk were; a few are both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The record.
    pub record: Option<Discriminant<Record>>,
    /// The evidence, and whether it convicts anybody.
    pub evidence: Option<(Discriminant<Evidence>, bool)>,
}

/// The message in these bytes, if it passes the door.
fn admitted(config: &Config, data: &[u8]) -> Option<Verified> {
    let (sender, message) = decoded(config, data)?;
    config.admit(sender, message).ok()
}

/// The message in these bytes and whom it is from.
fn decoded(config: &Config, data: &[u8]) -> Option<(Sender, Message)> {
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
    Some((sender, message))
}

/// The cluster that is attacked, made once because its keys take longer than most inputs.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(config()));

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
