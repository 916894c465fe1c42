use super::*;
use bytes::Bytes;
use pbft::message::{
    Batch, Checkpoint, CheckpointId, Operation, PrePrepare, Request, RequestBody, ServiceId,
};
use pbft::{
    ClientId, Domain, Epoch, Message, Parameters, ReplicaId, Session, Signed, SignedRequest,
    SigningKey, Timestamp,
};
use std::cell::RefCell;
use zeroize::Zeroizing;

const EPOCH: Epoch = Epoch::new(1);

/// Seeds of the keys of clients start here.
const CLIENTS: u32 = 100;

fn key(seed: u32) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([u8::try_from(seed).unwrap(); 32]))
}

/// Four replicas and four clients.
pub(in crate::node) fn config() -> Arc<Config> {
    let digest = Digest::of("test", &[]);
    let domain = Domain { cluster: digest, epoch: EPOCH };
    let keys = |first: u32| (first..first + 4).map(|seed| key(seed).verification_key()).collect();
    Arc::new(Config::new(domain, digest, keys(0), keys(CLIENTS), Parameters::default()).unwrap())
}

pub(in crate::node) fn request(config: &Config, client: u32, timestamp: u64) -> Arc<SignedRequest> {
    signed_request(config, client, timestamp, CLIENTS + client)
}

/// A request that another client has signed.
pub(in crate::node) fn forged_request(
    config: &Config,
    client: u32,
    timestamp: u64,
) -> Arc<SignedRequest> {
    signed_request(config, client, timestamp, CLIENTS + client + 1)
}

fn signed_request(config: &Config, client: u32, timestamp: u64, signer: u32) -> Arc<SignedRequest> {
    let operation = Operation { service: ServiceId(1), body: vec![1] };
    let request = Request {
        client: ClientId::new(client),
        session: Session::new(1),
        timestamp: Timestamp::new(timestamp),
        acknowledged_below: Timestamp::new(1),
        replier: None,
        body: RequestBody::Operations(vec![operation]),
    };
    Arc::new(SignedRequest::sign(&config.domain, &key(signer), request))
}

pub(in crate::node) fn frame(message: &Message) -> Bytes {
    wire::encode(EPOCH, message).into()
}

/// A PRE-PREPARE for number 1, signed by the primary of the view.
pub(in crate::node) fn pre_prepare(
    config: &Config,
    view: u64,
    requests: impl IntoIterator<Item = Arc<SignedRequest>>,
) -> Bytes {
    let view = View::new(view);
    let batch = Batch { requests: requests.into_iter().collect(), ..Batch::default() };
    let primary = config.primary(view);
    let body = PrePrepare { view, seq: SeqNum::new(1), digest: batch.digest() };
    let signed = Signed::sign(&config.domain, &key(primary.get()), primary, body);
    frame(&Message::PrePrepare(signed, Arc::new(batch)))
}

const REPLICA: Sender = Sender::Replica(ReplicaId::new(2));
const CLIENT: Sender = Sender::Client(ClientId::new(0));

fn check(checker: &Checker, sender: Sender, frame: Bytes) -> Result<Verified, Reject> {
    checker.check(&[(sender, frame)]).pop().unwrap()
}

#[test]
fn batch_of_a_useless_pre_prepare_is_not_checked() {
    let config = config();
    let checker = Checker::new(Arc::clone(&config), true);
    let check = |view| {
        let frame = pre_prepare(&config, view, [forged_request(&config, 0, 1)]);
        check(&checker, REPLICA, frame).map(|_| ())
    };
    assert_eq!(check(0), Err(Reject::BadSignature));
    assert_eq!(check(2), Err(Reject::WrongView));
    checker.view.store(2, Ordering::Relaxed);
    assert_eq!(check(0), Err(Reject::WrongView));
    assert_eq!(check(2), Err(Reject::BadSignature));
    checker.low_water_mark.store(128, Ordering::Relaxed);
    assert_eq!(check(2), Err(Reject::OutsideWindow));
}

/// [AU3] Whoever sends what does not hold costs the others one more check, and then none.
#[test]
fn forged_request_among_others_is_refused_alone_and_its_sender_is_doubted() {
    let config = config();
    let checker = Checker::new(Arc::clone(&config), true);
    let sent = |client, request| {
        (Sender::Client(ClientId::new(client)), frame(&Message::Request(request)))
    };
    let mut frames: Vec<_> =
        (0..8).map(|n| sent(n % 3, request(&config, n % 3, n.into()))).collect();
    frames[4] = sent(3, forged_request(&config, 3, 1));
    frames.push((Sender::Client(ClientId::new(0)), Bytes::from_static(b"junk")));
    let accepted: Vec<bool> = checker.check(&frames).iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [false, true, true, true, false, true, true, true, false]);
    let doubted: Vec<bool> =
        (0..4).map(|client| checker.checks_alone(Sender::Client(ClientId::new(client)))).collect();
    assert_eq!(doubted, [false, false, false, true], "junk and a bad timestamp cost no check");
}

#[test]
fn signatures_are_checked_one_by_one_if_they_are_not_to_be_verified_together() {
    let config = config();
    let checks = |verifies_together| {
        let checker = Checker::new(Arc::clone(&config), verifies_together);
        let requests = (0..3).map(|client| request(&config, client, 1));
        check(&checker, REPLICA, pre_prepare(&config, 0, requests)).unwrap();
        let is_alone = checker.checks_alone(CLIENT);
        (checker.signatures_checked(), checker.signature_checks(), is_alone)
    };
    assert_eq!(checks(true), (4, 1, false));
    assert_eq!(checks(false), (4, 4, true));
}

/// What the signature of a request is remembered by.
fn proof(config: &Config, request: &Arc<SignedRequest>) -> Digest {
    let asked = RefCell::new(Vec::new());
    let message = Message::Request(Arc::clone(request));
    let verify = |claim: &Claim| {
        asked.borrow_mut().push(claim.proof());
        true
    };
    config.admit_with(REPLICA, message, &verify).unwrap();
    asked.into_inner()[0]
}

#[test]
fn request_is_known_once_it_was_let_in_however_it_came() {
    let config = config();
    let checker = Checker::new(Arc::clone(&config), true);
    let [a, b] = [1, 2].map(|timestamp| request(&config, 0, timestamp));
    let is_known = |request| checker.lock().proofs.contains(&proof(&config, request));
    check(&checker, CLIENT, frame(&Message::Request(Arc::clone(&a)))).unwrap();
    assert!(is_known(&a) && !is_known(&b));
    check(&checker, REPLICA, pre_prepare(&config, 0, [Arc::clone(&a), Arc::clone(&b)])).unwrap();
    assert!(is_known(&a) && is_known(&b));
}

#[test]
fn checkpoint_is_known_once_it_came_in_a_proof() {
    let config = config();
    let checker = Checker::new(Arc::clone(&config), true);
    let seq = SeqNum::new(config.parameters.checkpoint_period);
    let root = Digest::of("test", &[]);
    let id = CheckpointId { state_root: root, history_root: root };
    let checkpoints = (0..3).map(ReplicaId::new).map(|replica| {
        let body = Checkpoint { seq, id, replica };
        Signed::sign(&config.domain, &key(replica.get()), replica, body)
    });
    let checkpoints: Vec<_> = checkpoints.collect();
    let proof = Message::Stable(Arc::new(checkpoints.clone()));
    check(&checker, REPLICA, frame(&proof)).unwrap();
    assert_eq!(checker.lock().proofs.len(), 3);
    check(&checker, REPLICA, frame(&Message::Checkpoint(checkpoints[0]))).unwrap();
    assert_eq!(checker.lock().proofs.len(), 3);
}

#[test]
fn forged_request_in_a_fetched_batch_is_refused_and_not_known() {
    let config = config();
    let checker = Checker::new(Arc::clone(&config), true);
    let forged = forged_request(&config, 0, 1);
    let batch = Batch { requests: vec![Arc::clone(&forged)], ..Batch::default() };
    let fetched = check(&checker, REPLICA, frame(&Message::Batch(Arc::new(batch))));
    assert_eq!(fetched, Err(Reject::BadSignature));
    let again = check(&checker, CLIENT, frame(&Message::Request(forged)));
    assert_eq!(again, Err(Reject::BadSignature));
}

#[test]
fn known_content_with_another_signature_is_checked() {
    let config = config();
    let checker = Checker::new(Arc::clone(&config), true);
    check(&checker, CLIENT, frame(&Message::Request(request(&config, 0, 1)))).unwrap();
    let forged = frame(&Message::Request(forged_request(&config, 0, 1)));
    assert_eq!(check(&checker, CLIENT, forged.clone()), Err(Reject::BadSignature));
    assert_eq!(check(&checker, CLIENT, forged), Err(Reject::BadSignature), "refused, not known");
}

#[test]
fn known_request_is_not_checked_again() {
    let config = config();
    let checker = Checker::new(Arc::clone(&config), true);
    // Nothing but the memory of it lets this one in.
    let forged = forged_request(&config, 0, 1);
    checker.lock().remember(proof(&config, &forged));
    check(&checker, CLIENT, frame(&Message::Request(forged))).unwrap();
}

#[test]
fn oldest_known_request_is_forgotten_first() {
    let proof = |number: usize| Digest::of("test", &[&number.to_le_bytes()]);
    let mut known = Known::default();
    for number in 0..=KNOWN_COUNT_MAX {
        known.remember(proof(number));
        known.remember(proof(1));
    }
    assert_eq!((known.proofs.len(), known.order.len()), (KNOWN_COUNT_MAX, KNOWN_COUNT_MAX));
    assert!(!known.proofs.contains(&proof(0)) && known.proofs.contains(&proof(1)));
}
