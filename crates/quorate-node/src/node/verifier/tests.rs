use super::*;
use pbft::message::{Batch, Message, Operation, PrePrepare, Request, RequestBody, ServiceId};
use pbft::{
    ClientId, Digest, Domain, Epoch, Parameters, ReplicaId, SeqNum, Session, Signed, SignedRequest,
    SigningKey, Timestamp, View,
};
use zeroize::Zeroizing;

const EPOCH: Epoch = Epoch::new(1);

/// Seeds of the keys of clients start here.
const CLIENTS: u32 = 100;

fn key(seed: u32) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([u8::try_from(seed).unwrap(); 32]))
}

fn config() -> Arc<Config> {
    let digest = Digest::of("test", &[]);
    let domain = Domain { cluster: digest, epoch: EPOCH };
    let keys = |first: u32| (first..first + 4).map(|seed| key(seed).verification_key()).collect();
    Arc::new(Config::new(domain, digest, keys(0), keys(CLIENTS), Parameters::default()).unwrap())
}

fn request(config: &Config, client: u32, timestamp: u64) -> Arc<SignedRequest> {
    let operation = Operation { service: ServiceId(1), body: vec![1] };
    let request = Request {
        client: ClientId::new(client),
        session: Session::new(1),
        timestamp: Timestamp::new(timestamp),
        acknowledged_below: Timestamp::new(1),
        body: RequestBody::Operations(vec![operation]),
    };
    Arc::new(SignedRequest::sign(&config.domain, &key(CLIENTS + client), request))
}

fn frame(message: &Message) -> Bytes {
    wire::encode(EPOCH, message).into()
}

/// A PRE-PREPARE of so many requests, signed by the primary of its view.
fn pre_prepare(config: &Config, view: u64, requests: u64) -> Bytes {
    let view = View::new(view);
    let requests = (1..=requests).map(|timestamp| request(config, 0, timestamp)).collect();
    let batch = Batch { requests, ..Batch::default() };
    let primary = config.primary(view);
    let body = PrePrepare { view, seq: SeqNum::new(1), digest: batch.digest() };
    let signed = Signed::sign(&config.domain, &key(primary.get()), primary, body);
    frame(&Message::PrePrepare(signed, Arc::new(batch)))
}

/// How many messages of a sender whose lane is always full are checked before the one message of
/// another sender.
async fn overtaken_by(
    config: Arc<Config>,
    (flooder, flood): (Sender, Bytes),
    (other, single): (Sender, Bytes),
) -> usize {
    let (verifier, mut results) = Verifier::start(config).unwrap();
    let fill = || {
        while verifier.has_room(flooder) {
            verifier.take_for_channel(flooder, flood.clone(), Company::Among);
        }
    };
    fill();
    assert!(verifier.has_room(other));
    verifier.take_for_channel(other, single, Company::Among);
    let checked_before = results.len();
    let mut count = 0;
    loop {
        let checked = results.recv().await.unwrap();
        checked.result.unwrap();
        if checked.sender == other {
            break;
        }
        count += 1;
        fill();
    }
    verifier.finish();
    count - checked_before.min(count)
}

/// One message was under way, and a thread may lose its processor for a moment.
const OVERTAKEN_MAX: usize = 8;

#[tokio::test]
async fn replica_that_floods_delays_another_by_one_message() {
    let config = config();
    let [flooder, primary] = [2, 0].map(|id| Sender::Replica(ReplicaId::new(id)));
    let flood = pre_prepare(&config, 2, 512);
    let single = pre_prepare(&config, 0, 1);
    let count = overtaken_by(config, (flooder, flood), (primary, single)).await;
    assert!(count <= OVERTAKEN_MAX, "{count}");
}

#[tokio::test]
async fn client_that_floods_delays_another_by_one_message() {
    let config = config();
    let [flooder, other] = [0, 2].map(|id| Sender::Client(ClientId::new(id)));
    let [flood, single] = [0, 2].map(|id| frame(&Message::Request(request(&config, id, 1))));
    let count = overtaken_by(config, (flooder, flood), (other, single)).await;
    assert!(count <= OVERTAKEN_MAX, "{count}");
}

#[tokio::test]
async fn short_message_is_checked_at_once_only_when_nothing_else_waits() {
    let config = config();
    let sender = Sender::Client(ClientId::new(0));
    let short = frame(&Message::Request(request(&config, 0, 1)));
    let (verifier, mut results) = Verifier::start(config).unwrap();
    let checked = verifier.take(sender, short.clone(), Company::Alone).unwrap();
    checked.result.unwrap();
    assert!(verifier.take(sender, short.clone(), Company::Alone).is_none(), "the first waits");
    drop(checked._place);
    assert!(verifier.take(sender, short, Company::Among).is_none());
    for _ in 0..2 {
        results.recv().await.unwrap().result.unwrap();
    }
    verifier.finish();
}
