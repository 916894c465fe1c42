//! What correct peers send the replica that is attacked, so that it takes every way that the
//! protocol has, and the fuzzer need not find a signature.

use super::Seed;
use pbft::message::{
    Batch, Checkpoint, CheckpointId, Committed, NewView, NewViewProof, Operation, Outline,
    PrePrepare, Request, RequestBody, SHORT_REQUEST_BYTES_MAX, ServiceId, SignedBody, ViewChange,
    Vote,
};
use pbft::{
    ClientId, Digest, Domain, Epoch, Message, ReplicaId, SeqNum, Session, Signed, SignedRequest,
    SigningKey, Timestamp, View, WallTime, wire,
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Everybody but the replica that is attacked.
const PEERS: [u32; 3] = [0, 2, 3];
/// How the bytes name client 0.
const CLIENT: u32 = 128;

pub(super) fn seeds() -> Vec<Seed> {
    let open = request(0, RequestBody::OpenSession);
    let put = request(1, operations());
    let requests = [&open, &put].map(|it| sent(CLIENT, &Message::Request(Arc::clone(it))));
    let [opens, puts] = &requests;
    let led = [
        leave(1),
        opens.clone(),
        votes(1, 1, proposed(1000, open).digest()),
        puts.clone(),
        votes(1, 2, proposed(1001, put).digest()),
    ];
    let led = led.concat();
    let follows = [leave(2), new_view(), agree(2, 1), agree(2, 2)].concat();
    let stays = [wait(40), requests.concat(), leave(2)].concat();
    let behind = [checkpoints(8), wait(4)].concat();
    let seeds = [
        ("agreement", (1..=5).flat_map(|seq| agree(0, seq)).chain(checkpoints(4)).collect()),
        ("late", [votes(0, 1, digest(1)), agree(0, 2), committed(1), wait(2)].concat()),
        ("led-by-it", led),
        ("led-by-another", follows),
        ("nobody-leads", stays),
        ("far-behind", behind),
        ("named-and-sent", named(&|long, _| sent(CLIENT, &Message::Request(long)))),
        ("named-and-asked-for", named(&|_, batch| [wait(1), sent(0, &batch)].concat())),
    ];
    seeds.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec()
}

/// A message of this sender.
fn sent(from: u32, message: &Message) -> Vec<u8> {
    let frame = wire::encode(Epoch::ZERO, message);
    [&[from as u8][..], &(frame.len() as u16).to_le_bytes(), &frame].concat()
}

/// A quarter of a second passes so often.
fn wait(times: usize) -> Vec<u8> {
    [250, 0, 0].repeat(times)
}

/// A session opens, and then a long request is ordered by its name; it or its batch comes `then`.
fn named(then: &dyn Fn(Arc<SignedRequest>, Message) -> Vec<u8>) -> Vec<u8> {
    let opening = proposed(1000, request(0, RequestBody::OpenSession));
    let long = Operation { service: ServiceId(1), body: vec![b'l'; 2 * SHORT_REQUEST_BYTES_MAX] };
    let long = request(1, RequestBody::Operations(vec![long]));
    let batch = proposed(1001, Arc::clone(&long));
    let outline = Outline::of(&batch, |_| true).expect("a long request");
    let assigned = |seq, batch: &Batch| {
        let body = PrePrepare { view: View::ZERO, seq: SeqNum::new(seq), digest: batch.digest() };
        signed(0, body)
    };
    let opens = Message::PrePrepare(assigned(1, &opening), Arc::new(opening.clone()));
    let names = Message::Outline(assigned(2, &batch), Arc::new(outline));
    [
        sent(0, &opens),
        votes(0, 1, opening.digest()),
        sent(0, &names),
        then(long, Message::Batch(Arc::new(batch.clone()))),
        votes(0, 2, batch.digest()),
    ]
    .concat()
}

/// A batch and the votes that commit it.
fn agree(view: u64, seq: u64) -> Vec<u8> {
    let body = PrePrepare { view: View::new(view), seq: SeqNum::new(seq), digest: digest(seq) };
    let primary = view as u32 % 4;
    let proposal = Message::PrePrepare(signed(primary, body), Arc::new(batch(seq)));
    [sent(primary, &proposal), votes(view, seq, digest(seq))].concat()
}

fn votes(view: u64, seq: u64, digest: Digest) -> Vec<u8> {
    let vote = Vote { view: View::new(view), seq: SeqNum::new(seq), digest };
    let backups = PEERS.into_iter().filter(|peer| u64::from(*peer) != view % 4);
    let prepares = backups.flat_map(|peer| sent(peer, &Message::Prepare(vote)));
    prepares.chain(from_each(|_| Message::Commit(vote))).collect()
}

fn committed(seq: u64) -> Vec<u8> {
    let word = Committed { seq: SeqNum::new(seq), digest: digest(seq) };
    let body = sent(0, &Message::Batch(Arc::new(batch(seq))));
    [from_each(|_| Message::Committed(word)), body].concat()
}

fn checkpoints(seq: u64) -> Vec<u8> {
    from_each(|peer| {
        let (seq, id, replica) = (SeqNum::new(seq), checkpoint_id(), ReplicaId::new(peer));
        Message::Checkpoint(signed(peer, Checkpoint { seq, id, replica }))
    })
}

/// Everybody else leaves for `view`.
fn leave(view: u64) -> Vec<u8> {
    from_each(|peer| Message::ViewChange(view_change(peer, view)))
}

fn view_change(peer: u32, view: u64) -> Arc<Signed<ViewChange>> {
    let body = ViewChange {
        new_view: View::new(view),
        replica: ReplicaId::new(peer),
        low_water_mark: SeqNum::ZERO,
        checkpoints: vec![(SeqNum::ZERO, checkpoint_id())],
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
    };
    Arc::new(signed(peer, body))
}

/// The NEW-VIEW for view 2 in which nothing was prepared.
fn new_view() -> Vec<u8> {
    let view_changes = PEERS.map(|peer| view_change(peer, 2)).to_vec();
    let body = NewView {
        view: View::new(2),
        view_changes: view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect(),
        checkpoint: (SeqNum::ZERO, checkpoint_id()),
        chosen: Vec::new(),
    };
    let proof = NewViewProof { new_view: signed(2, body), view_changes };
    sent(2, &Message::NewView(Arc::new(proof)))
}

fn from_each(message: impl Fn(u32) -> Message) -> Vec<u8> {
    PEERS.into_iter().flat_map(|peer| sent(peer, &message(peer))).collect()
}

fn request(timestamp: u64, body: RequestBody) -> Arc<SignedRequest> {
    let request = Request {
        client: ClientId::new(0),
        session: Session::new(1),
        timestamp: Timestamp::new(timestamp),
        acknowledged_below: Timestamp::new(timestamp),
        replier: (timestamp > 0).then_some(ReplicaId::new(2)),
        body,
    };
    Arc::new(SignedRequest::sign(&domain(), &key(101), request))
}

fn operations() -> RequestBody {
    RequestBody::Operations(vec![Operation { service: ServiceId(1), body: b"put".to_vec() }])
}

fn batch(seq: u64) -> Batch {
    Batch { time: WallTime::from_millis(1000 + seq), ..Batch::default() }
}

/// What the attacked replica proposes as primary when its only request is this one.
fn proposed(millis: u64, request: Arc<SignedRequest>) -> Batch {
    Batch { time: WallTime::from_millis(millis), requests: vec![request], ..Batch::default() }
}

fn digest(seq: u64) -> Digest {
    batch(seq).digest()
}

/// That of the attacked replica's host, whose service does nothing.
fn checkpoint_id() -> CheckpointId {
    CheckpointId { state_root: Digest::default(), history_root: Digest::default() }
}

fn signed<T: SignedBody>(signer: u32, body: T) -> Signed<T> {
    Signed::sign(&domain(), &key(signer as u8 + 1), ReplicaId::new(signer), body)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([seed; 32]))
}

fn domain() -> Domain {
    Domain { cluster: Digest::from_bytes([42; 32]), epoch: Epoch::ZERO }
}
