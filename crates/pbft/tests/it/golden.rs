//! The bytes on the wire and in the journal's records, pinned: a change here is a new version of
//! the format and needs a new number.

use pbft::message::{
    Batch, Checkpoint, CheckpointId, Committed, Hello, HelloReply, NewView, NewViewProof,
    Operation, Outcome, PartId, PrePrepare, PreparedEntry, Rejoin, Reply, ReplyBody, Request,
    RequestBody, ServiceId, SlotSet, StatePart, StatePartRequest, Status, ViewChange, Vote,
};
use pbft::{
    ClientId, Digest, Domain, Epoch, Evidence, Incarnation, Message, Record, Reject, ReplicaId,
    SeqNum, Session, Signed, SignedRequest, SigningKey, Timestamp, View, WallTime, wire,
};
use std::sync::Arc;
use zeroize::Zeroizing;

const EPOCH: Epoch = Epoch::new(7);
const SEQ: SeqNum = SeqNum::new(0x0102);
const VIEW: View = View::new(5);
const PRIMARY: ReplicaId = ReplicaId::new(1);
const BACKUP: ReplicaId = ReplicaId::new(2);

fn digest(fill: u8) -> Digest {
    Digest::from_bytes([fill; 32])
}

fn domain() -> Domain {
    Domain { cluster: digest(0xc1), epoch: EPOCH }
}

fn key(fill: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([fill; 32]))
}

fn signed<T: pbft::message::SignedBody>(signer: ReplicaId, body: T) -> Signed<T> {
    Signed::sign(&domain(), &key(0x10 + signer.get() as u8), signer, body)
}

fn request(body: RequestBody) -> Arc<SignedRequest> {
    let request = Request {
        client: ClientId::new(3),
        session: Session::new(4),
        timestamp: Timestamp::new(6),
        acknowledged_below: Timestamp::new(5),
        body,
    };
    Arc::new(SignedRequest::sign(&domain(), &key(0x33), request))
}

fn operations() -> RequestBody {
    let operation = |body: &[u8]| Operation { service: ServiceId(1), body: body.to_vec() };
    RequestBody::Operations(vec![operation(b"put"), operation(b"")])
}

fn batch() -> Arc<Batch> {
    Arc::new(Batch {
        time: WallTime::from_millis(0x0102_0304),
        choice: b"choice".to_vec(),
        requests: vec![request(operations()), request(RequestBody::OpenSession)],
        rejoins: Vec::new(),
    })
}

fn pre_prepare() -> Signed<PrePrepare> {
    signed(PRIMARY, PrePrepare { view: VIEW, seq: SEQ, digest: batch().digest() })
}

fn checkpoint_id() -> CheckpointId {
    CheckpointId { state_root: digest(0xa1), history_root: digest(0xa2) }
}

fn checkpoint() -> Signed<Checkpoint> {
    let body = Checkpoint { seq: SeqNum::new(128), id: checkpoint_id(), replica: BACKUP };
    signed(BACKUP, body)
}

fn view_change() -> Arc<Signed<ViewChange>> {
    let entry = |fill| PreparedEntry { seq: SEQ, digest: digest(fill), view: View::new(4) };
    let body = ViewChange {
        new_view: VIEW,
        replica: BACKUP,
        low_water_mark: SeqNum::new(128),
        checkpoints: vec![(SeqNum::new(128), checkpoint_id())],
        prepared: vec![entry(0xb1)],
        pre_prepared: vec![entry(0xb1)],
    };
    Arc::new(signed(BACKUP, body))
}

fn new_view() -> Arc<NewViewProof> {
    let view_change = view_change();
    let body = NewView {
        view: VIEW,
        view_changes: vec![(BACKUP, view_change.digest())],
        checkpoint: (SeqNum::new(128), checkpoint_id()),
        chosen: vec![Batch::NULL, digest(0xb1)],
    };
    Arc::new(NewViewProof { new_view: signed(PRIMARY, body), view_changes: vec![view_change] })
}

fn reply(body: ReplyBody) -> Message {
    Message::Reply(Reply {
        view: VIEW,
        session: Session::new(4),
        timestamp: Timestamp::new(6),
        tentative: false,
        designated: PRIMARY,
        body,
    })
}

fn status() -> Status {
    let set = |room, member| {
        let mut set = SlotSet::with_room(room);
        set.insert(member);
        set
    };
    Status {
        view: VIEW,
        active: true,
        low_water_mark: SeqNum::new(128),
        last_executed: SEQ,
        pre_prepared: set(16, 0),
        prepared: set(16, 9),
        committed: set(16, 15),
        view_changes: set(4, 2),
        new_view: View::new(4),
        missing: vec![digest(0xb1)],
    }
}

/// One of each, in the order of their tags; of those with variants inside, one of each variant.
fn messages() -> Vec<(&'static str, Message)> {
    let vote = Vote { view: VIEW, seq: SEQ, digest: digest(0xb1) };
    let part = PartId { path: b"path".to_vec(), digest: digest(0xd1) };
    let state_root = digest(0xa1);
    let lacking = StatePart { seq: SEQ, part: part.clone(), content: None };
    let content = StatePart { content: Some(b"content".to_vec()), ..lacking.clone() };
    let incarnation = Incarnation::new(2);
    let hello = Hello {
        config: digest(0xcf),
        versions: (1, 2),
        key_epoch: 3,
        boot_counter: 9,
        boot_id: [0xb0; 16],
        incarnation,
    };
    let rejoin = signed(BACKUP, Rejoin { replica: BACKUP, incarnation, boot_counter: 1 });
    vec![
        ("HELLO", Message::Hello(hello)),
        ("HELLO-REPLY", Message::HelloReply(HelloReply { boot_id: [0xb0; 16], seen: 8 })),
        ("REQUEST, operations", Message::Request(request(operations()))),
        ("REQUEST, open session", Message::Request(request(RequestBody::OpenSession))),
        ("REPLY, session opened", reply(ReplyBody::Full(Outcome::SessionOpened))),
        ("REPLY, executed", reply(ReplyBody::Full(Outcome::Executed(vec![b"result".to_vec()])))),
        ("REPLY, executed before", reply(ReplyBody::Full(Outcome::ExecutedBefore(digest(0xe1))))),
        ("REPLY, fenced", reply(ReplyBody::Full(Outcome::Fenced { current: Session::new(9) }))),
        ("REPLY, outside window", reply(ReplyBody::Full(Outcome::OutsideWindow))),
        ("REPLY, by digest", reply(ReplyBody::Digest(Outcome::SessionOpened.digest()))),
        ("PRE-PREPARE", Message::PrePrepare(pre_prepare(), batch())),
        ("PREPARE", Message::Prepare(vote)),
        ("COMMIT", Message::Commit(vote)),
        ("CHECKPOINT", Message::Checkpoint(checkpoint())),
        ("VIEW-CHANGE", Message::ViewChange(view_change())),
        ("NEW-VIEW", Message::NewView(new_view())),
        ("STATUS", Message::Status(status())),
        ("COMMITTED", Message::Committed(Committed { seq: SEQ, digest: digest(0xb1) })),
        ("FETCH-BATCH", Message::FetchBatch(digest(0xb1))),
        ("BATCH", Message::Batch(batch())),
        ("FETCH-PRE-PREPARE", Message::FetchPrePrepare(VIEW, SEQ)),
        ("PRE-PREPARE-SEEN", Message::PrePrepareSeen(pre_prepare())),
        (
            "FETCH-STATE",
            Message::FetchState(StatePartRequest { seq: SEQ, state_root, parts: vec![part] }),
        ),
        ("STATE-PART, content", Message::StatePart(content)),
        ("STATE-PART, lacking", Message::StatePart(lacking)),
        ("REJOIN", Message::Rejoin(rejoin)),
    ]
}

fn records() -> Vec<(&'static str, Record)> {
    let (boot_id, incarnation) = ([0xb0; 16], Incarnation::new(2));
    let entry = PrePrepare { view: VIEW, seq: SEQ, digest: digest(0xb1) };
    let (seq, id) = (SeqNum::new(128), checkpoint_id());
    vec![
        ("boot", Record::Boot { counter: 9, boot_id, incarnation }),
        ("peer boot", Record::PeerBoot { replica: BACKUP, counter: 9, boot_id, seen: 8 }),
        ("batch", Record::Batch(batch())),
        ("pre-prepared", Record::PrePrepared { entry, signed: Some(pre_prepare()) }),
        ("pre-prepared, by NEW-VIEW", Record::PrePrepared { entry, signed: None }),
        ("prepared", Record::Prepared(entry)),
        ("committed", Record::Committed { seq: SEQ, digest: digest(0xb1) }),
        ("checkpoint", Record::Checkpoint(checkpoint())),
        ("stable", Record::Stable { seq, id, proof: vec![checkpoint()] }),
        ("view change", Record::ViewChange(view_change())),
        ("new view", Record::NewView(new_view())),
        ("state installed", Record::StateInstalled { seq, id }),
    ]
}

/// Evidence outlives the cluster it was found in, so its format is pinned too.
fn evidence() -> Vec<(&'static str, Evidence)> {
    let other = signed(PRIMARY, PrePrepare { view: VIEW, seq: SEQ, digest: digest(0xee) });
    let new_view = new_view().new_view.clone();
    vec![
        ("two PRE-PREPAREs", Evidence::TwoPrePrepares(Box::new((pre_prepare(), other)))),
        ("two NEW-VIEWs", Evidence::TwoNewViews(Box::new((new_view.clone(), new_view.clone())))),
        (
            "NEW-VIEW against PRE-PREPARE",
            Evidence::NewViewAgainstPrePrepare(Box::new((new_view, other))),
        ),
        ("two VIEW-CHANGEs", Evidence::TwoViewChanges(view_change(), view_change())),
    ]
}

/// A name and a count, then 32 bytes a line.
fn dump<'a>(items: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> String {
    let mut text = String::new();
    for (name, bytes) in items {
        text += &format!("{name}: {} bytes\n", bytes.len());
        for line in bytes.chunks(32) {
            text.extend(line.iter().map(|byte| format!("{byte:02x}")));
            text.push('\n');
        }
    }
    text
}

fn compare(file: &str, golden: &str, text: &str) {
    if std::env::var_os("QUORATE_BLESS").is_some() {
        let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, text).expect("the golden files can be written");
        return;
    }
    assert_eq!(text, golden, "{file}\n{text}");
}

#[test]
fn messages_have_the_bytes_of_version_1() {
    let bytes = messages().into_iter().map(|(name, message)| (name, wire::encode(EPOCH, &message)));
    compare("wire-1.txt", include_str!("../golden/wire-1.txt"), &dump(bytes));
}

#[test]
fn messages_decode_to_what_was_encoded_and_from_nothing_else() {
    for (name, message) in messages() {
        let bytes = wire::encode(EPOCH, &message);
        assert_eq!(wire::decode(EPOCH, &bytes), Ok(message), "{name}");
        assert_eq!(wire::decode(Epoch::new(8), &bytes), Err(Reject::WrongEpoch), "{name}");
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(wire::decode(EPOCH, &longer), Err(Reject::Undecodable), "{name}");
        for length in 0..bytes.len() {
            assert!(wire::decode(EPOCH, &bytes[..length]).is_err(), "{name}, cut to {length}");
        }
    }
}

#[test]
fn every_message_has_its_tag_once() {
    let tags: Vec<u8> = messages().iter().map(|(_, m)| wire::encode(EPOCH, m)[10]).collect();
    let mut distinct = tags.clone();
    distinct.dedup();
    assert_eq!(distinct, (0..=18).collect::<Vec<u8>>());
}

#[test]
fn records_have_the_bytes_of_version_1() {
    let bytes = records().into_iter().map(|(name, record)| (name, record.encode()));
    compare("records-1.txt", include_str!("../golden/records-1.txt"), &dump(bytes));
    for (name, record) in records() {
        assert_eq!(Record::decode(&record.encode()), Some(record), "{name}");
    }
}

#[test]
fn evidence_has_the_bytes_of_version_1() {
    let bytes = evidence().into_iter().map(|(name, item)| (name, borsh::to_vec(&item).unwrap()));
    compare("evidence-1.txt", include_str!("../golden/evidence-1.txt"), &dump(bytes));
}

#[test]
fn digests_are_those_of_version_1() {
    let outcome = Outcome::Executed(vec![b"result".to_vec()]);
    let digests = [
        ("request", request(operations()).digest()),
        ("batch", batch().digest()),
        ("outcome", outcome.digest()),
        ("PRE-PREPARE", pre_prepare().digest()),
        ("CHECKPOINT", checkpoint().digest()),
        ("VIEW-CHANGE", view_change().digest()),
        ("NEW-VIEW", new_view().new_view.digest()),
        ("null request", Batch::NULL),
    ];
    let bytes = digests.map(|(name, digest)| (name, digest.as_bytes().to_vec()));
    compare("digests-1.txt", include_str!("../golden/digests-1.txt"), &dump(bytes));
}
