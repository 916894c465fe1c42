use super::*;
use crate::auth::SigningKey;
use crate::message::{CheckpointId, Introduction, Operation, Request, ServiceId, Start, StartId};
use crate::{Digest, Domain, Epoch, Parameters};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use zeroize::Zeroizing;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([seed; 32]))
}

/// Four replicas with the keys 0 to 3 and one client with the key 4.
fn config() -> Config {
    let digest = Digest::of("test", &[]);
    let domain = Domain { cluster: digest, epoch: Epoch::new(1) };
    let replicas = (0..4).map(|seed| key(seed).verification_key()).collect();
    let clients = vec![key(4).verification_key()];
    Config::new(domain, digest, replicas, clients, Parameters::default()).unwrap()
}

fn request(config: &Config, signer: u8) -> SignedRequest {
    let operation = Operation { service: ServiceId(1), body: vec![1] };
    let request = Request {
        client: ClientId::new(0),
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        acknowledged_below: Timestamp::new(1),
        replier: None,
        body: RequestBody::Operations(vec![operation]),
    };
    SignedRequest::sign(&config.domain, &key(signer), request)
}

#[test]
fn pre_prepare_of_another_view_or_outside_the_window_has_no_place() {
    let config = config();
    let (view, low) = (View::new(5), SeqNum::new(128));
    let check = |its_view: u64, seq: u64| {
        let digest = Batch::default().digest();
        let body = PrePrepare { view: View::new(its_view), seq: SeqNum::new(seq), digest };
        let signed = Signed::sign(&config.domain, &key(1), ReplicaId::new(1), body);
        let message = Message::PrePrepare(signed, Arc::new(Batch::default()));
        config.check_place(&message, view, low)
    };
    let high = 128 + config.parameters.log_window;
    assert_eq!(check(5, 129), Ok(()));
    assert_eq!(check(5, high), Ok(()));
    assert_eq!(check(5, 128), Err(Reject::OutsideWindow));
    assert_eq!(check(5, high + 1), Err(Reject::OutsideWindow));
    assert_eq!(check(4, 129), Err(Reject::WrongView));
    assert_eq!(check(6, 129), Err(Reject::WrongView));
}

#[test]
fn proof_of_what_is_known_to_be_stable_has_no_place() {
    let config = config();
    let root = Batch::default().digest();
    let id = CheckpointId { state_root: root, history_root: root };
    let replica = ReplicaId::new(1);
    let body = Checkpoint { seq: SeqNum::new(128), id, replica };
    let signed = Signed::sign(&config.domain, &key(1), replica, body);
    let message = Message::Stable(Arc::new(vec![signed]));
    let check = |low: u64| config.check_place(&message, View::ZERO, SeqNum::new(low));
    assert_eq!((check(0), check(127)), (Ok(()), Ok(())));
    assert_eq!((check(128), check(256)), (Err(Reject::Stale), Err(Reject::Stale)));
}

#[test]
fn other_messages_have_a_place_everywhere() {
    let config = config();
    let message = Message::Request(Arc::new(request(&config, 4)));
    assert_eq!(config.check_place(&message, View::ZERO, SeqNum::ZERO), Ok(()));
}

#[test]
fn whoever_verifies_is_asked_about_signatures_and_nothing_else() {
    let config = config();
    let admit = |sender, request: SignedRequest| {
        let message = Message::Request(Arc::new(request));
        config.admit_with(sender, message, &|_| true).map(|_| ())
    };
    let own = Sender::Client(ClientId::new(0));
    let forged = request(&config, 3);
    let message = Message::Request(Arc::new(forged.clone()));
    assert_eq!(config.admit(own, message), Err(Reject::BadSignature));
    assert_eq!(admit(own, forged.clone()), Ok(()));
    assert_eq!(admit(Sender::Client(ClientId::new(1)), forged), Err(Reject::ForgedSender));
}

/// [DR1] By its client's hand, or another's, or inside a batch.
#[test]
fn request_that_names_a_replier_who_is_not_there_is_refused() {
    let config = config();
    let admit = |replier: Option<u32>| {
        let named = Request {
            replier: replier.map(ReplicaId::new),
            ..request(&config, 4).request().clone()
        };
        let signed = Arc::new(SignedRequest::sign(&config.domain, &key(4), named));
        let batch = Batch { requests: vec![Arc::clone(&signed)], ..Batch::default() };
        let [own, relayed, ordered] = [
            (Sender::Client(ClientId::new(0)), Message::Request(Arc::clone(&signed))),
            (Sender::Replica(ReplicaId::new(1)), Message::Request(signed)),
            (Sender::Replica(ReplicaId::new(1)), Message::Batch(Arc::new(batch))),
        ]
        .map(|(sender, message)| config.admit(sender, message).map(|_| ()));
        assert!(own == relayed && own == ordered);
        own
    };
    assert_eq!((admit(None), admit(Some(3))), (Ok(()), Ok(())));
    assert_eq!(admit(Some(4)), Err(Reject::OutOfRange));
    assert_eq!(admit(Some(u32::MAX)), Err(Reject::OutOfRange));
}

#[test]
fn proof_covers_content_cluster_signer_and_signature() {
    let config = config();
    let claim = |request: &SignedRequest, domain| request.claim(domain, &key(4).verification_key());
    let (own, forged) = (request(&config, 4), request(&config, 3));
    let proof = claim(&own, &config.domain).proof();
    assert_eq!(own.digest(), forged.digest());
    assert_ne!(proof, claim(&forged, &config.domain).proof(), "another signature");
    let elsewhere = Domain { epoch: Epoch::new(2), ..config.domain };
    assert_ne!(proof, claim(&own, &elsewhere).proof(), "another epoch");
    let mut renamed = own.request().clone();
    renamed.client = ClientId::new(1);
    let renamed = SignedRequest::sign(&config.domain, &key(4), renamed);
    assert_ne!(proof, claim(&renamed, &config.domain).proof(), "another signer");
    assert_eq!(proof, claim(&request(&config, 4), &config.domain).proof());
}

/// [RJ1] Nobody makes up a start of another replica, or introduces one as its own.
#[test]
fn starts_are_those_of_the_replicas_that_signed_them() {
    let config = config();
    let id = StartId { counter: 1, boot_id: [7; 16] };
    let started = |signer: u32, seed: u8| {
        let body = Start { incarnation: crate::Incarnation::ZERO, id };
        Signed::sign(&config.domain, &key(seed), ReplicaId::new(signer), body)
    };
    let admit = |message| config.admit(Sender::Replica(ReplicaId::new(1)), message).map(|_| ());
    let hello = |start, known: usize| {
        let introduction =
            Introduction { start, knows: vec![id; known], round: 0, takes_over: false };
        let question = Question::Admission(introduction);
        admit(Message::Hello(Hello {
            config: config.digest,
            versions: (1, 1),
            key_epoch: 0,
            question,
        }))
    };
    assert_eq!(hello(started(1, 1), STARTS_MAX), Ok(()));
    assert_eq!(hello(started(1, 1), STARTS_MAX + 1), Err(Reject::OverLimit));
    assert_eq!(hello(started(1, 2), 0), Err(Reject::BadSignature));
    assert_eq!(hello(started(2, 2), 0), Err(Reject::ForgedSender));
    let reply = |seen: usize, others: Vec<Signed<Start>>| {
        let (incarnation, seen) = (crate::Incarnation::ZERO, vec![id; seen]);
        let answer = Answer::Starts(Remembered {
            incarnation,
            seen,
            others,
            is_confirmed: true,
            by: [7; 16],
            round: 0,
        });
        admit(Message::HelloReply(HelloReply { boot_id: [7; 16], answer }))
    };
    assert_eq!(reply(STARTS_MAX, vec![started(2, 2), started(3, 3)]), Ok(()));
    assert_eq!(reply(STARTS_MAX + 1, vec![]), Err(Reject::OverLimit));
    assert_eq!(reply(0, vec![started(2, 2), started(3, 1)]), Err(Reject::BadSignature));
    let too_many = vec![started(2, 2); 4 * STARTS_MAX + 1];
    assert_eq!(reply(0, too_many), Err(Reject::OverLimit));
}
