//! The bytes of every message, every record of the journal and every kind of evidence, pinned.
//! A difference here means that replicas of two builds do not understand each other, or that a
//! replica cannot read its own disk: it takes a new version, not a blessing.

use crate::cluster::{client_key, config_with, replica_key};
use pbft::message::{
    Answer, Batch, Certainty, Checkpoint, CheckpointId, Committed, Hello, HelloReply, Introduction,
    NewView, NewViewProof, Operation, Outcome, Outline, Outlined, PartId, PrePrepare,
    PreparedEntry, Question, Read, ReadReply, Rejoin, Remembered, Reply, ReplyBody, Request,
    RequestBody, Rest, ServiceId, SignedBody, SlotSet, StableProof, Start, StartId, StatePart,
    StatePartRequest, StateParts, Status, ViewChange, Vote,
};
use pbft::{
    ClientId, Config, Digest, Epoch, Evidence, Incarnation, Message, Parameters, Reading, Record,
    ReplicaId, Sender, SeqNum, Session, Signed, SignedRequest, Timestamp, View, WallTime, wire,
};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Fields have values that are easy to find in the bytes: a digest repeats one byte, and no two
/// numbers of a message are equal.
fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn config() -> Config {
    let parameters = Parameters { checkpoint_period: 4, log_window: 16, ..Parameters::default() };
    config_with(4, parameters)
}

fn sign<T: SignedBody>(signer: u32, body: T) -> Signed<T> {
    Signed::sign(&config().domain, &replica_key(signer), ReplicaId::new(signer), body)
}

fn checkpoint_id(byte: u8) -> CheckpointId {
    CheckpointId { state_root: digest(byte), history_root: digest(byte + 1) }
}

fn request(body: RequestBody) -> Arc<SignedRequest> {
    let is_first = body == RequestBody::OpenSession;
    let request = Request {
        client: ClientId::new(2),
        session: Session::new(0x5e),
        timestamp: Timestamp::new(if is_first { 0 } else { 0x11 }),
        acknowledged_below: Timestamp::new(if is_first { 0 } else { 0x10 }),
        replier: (!is_first).then_some(ReplicaId::new(3)),
        body,
    };
    Arc::new(SignedRequest::sign(&config().domain, &client_key(2), request))
}

fn operations() -> Arc<SignedRequest> {
    let operation =
        |service, body: &[u8]| Operation { service: ServiceId(service), body: body.to_vec() };
    request(RequestBody::Operations(vec![operation(1, b"put"), operation(0x0201, b"")]))
}

fn batch() -> Arc<Batch> {
    let time = WallTime::from_millis(0x0102_0304_0506);
    Arc::new(Batch {
        time,
        choice: b"choice".to_vec(),
        requests: vec![operations()],
        rejoins: vec![rejoin()],
    })
}

fn outline() -> (Signed<PrePrepare>, Arc<Outline>) {
    let opening = request(RequestBody::OpenSession);
    let outline = Outline {
        time: WallTime::from_millis(0x0102_0304_0506),
        choice: b"choice".to_vec(),
        requests: vec![Outlined::Whole(opening), Outlined::Named(digest(0xa7))],
        rejoins: vec![rejoin()],
    };
    let body = PrePrepare { digest: outline.digest(), ..pre_prepare(5) };
    (sign(1, body), Arc::new(outline))
}

fn rejoin() -> Signed<Rejoin> {
    let replica = ReplicaId::new(3);
    let (incarnation, view) = (Incarnation::new(7), View::new(6));
    let expires = WallTime::from_millis(5);
    sign(3, Rejoin { replica, incarnation, start: start(8), view, expires })
}

fn pre_prepare(view: u64) -> PrePrepare {
    PrePrepare { view: View::new(view), seq: SeqNum::new(9), digest: batch().digest() }
}

fn entry(seq: u64, byte: u8, view: u64) -> PreparedEntry {
    PreparedEntry { seq: SeqNum::new(seq), digest: digest(byte), view: View::new(view) }
}

fn view_change(replica: u32) -> Arc<Signed<ViewChange>> {
    let body = ViewChange {
        new_view: View::new(5),
        replica: ReplicaId::new(replica),
        low_water_mark: SeqNum::new(8),
        checkpoints: vec![
            (SeqNum::new(8), checkpoint_id(0xc0)),
            (SeqNum::new(12), checkpoint_id(0xc2)),
        ],
        prepared: vec![entry(9, 0xa1, 3)],
        pre_prepared: vec![entry(9, 0xa1, 3), entry(10, 0xa2, 4)],
    };
    Arc::new(sign(replica, body))
}

fn new_view() -> Arc<NewViewProof> {
    let view_changes: Vec<_> = [0, 2, 3].map(view_change).to_vec();
    let body = NewView {
        view: View::new(5),
        view_changes: view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect(),
        checkpoint: (SeqNum::new(8), checkpoint_id(0xc0)),
        chosen: vec![digest(0xa1), Batch::NULL],
    };
    Arc::new(NewViewProof { new_view: sign(1, body), view_changes })
}

fn checkpoint() -> Signed<Checkpoint> {
    checkpoint_by(3)
}

fn checkpoint_by(replica: u32) -> Signed<Checkpoint> {
    let (seq, id) = (SeqNum::new(8), checkpoint_id(0xc0));
    sign(replica, Checkpoint { seq, id, replica: ReplicaId::new(replica) })
}

fn stable_proof() -> StableProof {
    Arc::new([0, 1, 3].map(checkpoint_by).to_vec())
}

fn status() -> Status {
    let set = |members: &[u64]| {
        let mut set = SlotSet::with_room(16);
        members.iter().for_each(|member| set.insert(*member));
        set
    };
    Status {
        view: View::new(5),
        active: true,
        low_water_mark: SeqNum::new(8),
        last_executed: SeqNum::new(10),
        pre_prepared: set(&[0, 1, 9]),
        prepared: set(&[0, 9]),
        committed: set(&[9]),
        view_changes: {
            let mut set = SlotSet::with_room(4);
            set.insert(2);
            set
        },
        new_view: View::new(4),
        missing: vec![digest(0xd1)],
    }
}

fn reply(certainty: Certainty, body: ReplyBody) -> Message {
    Message::Reply(Reply {
        view: View::new(5),
        session: Session::new(0x5e),
        timestamp: Timestamp::new(0x11),
        certainty,
        designated: ReplicaId::new(3),
        body,
    })
}

fn read() -> Read {
    let operations = vec![Operation { service: ServiceId(7), body: b"get".to_vec() }];
    Read { session: Session::new(0x5e), number: 0x12, not_before: SeqNum::new(9), operations }
}

fn read_reply() -> ReadReply {
    let reading = Reading { content: b"it".to_vec(), revision: 0x13 };
    let readings = vec![Some(reading), None];
    ReadReply { session: Session::new(0x5e), number: 0x12, executed: SeqNum::new(10), readings }
}

fn vote() -> Vote {
    Vote { view: View::new(5), seq: SeqNum::new(9), digest: digest(0xa1) }
}

fn part() -> PartId {
    PartId { path: b"path".to_vec(), digest: digest(0xd2) }
}

fn start(counter: u64) -> StartId {
    StartId { counter, boot_id: [0xb0; 16] }
}

fn started(replica: u32, counter: u64) -> Signed<Start> {
    sign(replica, Start { incarnation: Incarnation::new(6), id: start(counter) })
}

/// Every message, by the name it has in `docs/wire.md`.
fn messages() -> Vec<(&'static str, Message)> {
    let introduction =
        Introduction { start: started(1, 4), knows: vec![start(3)], round: 2, takes_over: true };
    let hello = |question| Hello { config: digest(0xcf), versions: (1, 2), key_epoch: 3, question };
    let full = |outcome| ReplyBody::Full(outcome);
    let part_request =
        StatePartRequest { seq: SeqNum::new(8), state_root: digest(0xc0), parts: vec![part()] };
    let state_parts = |parts, rest| StateParts { seq: SeqNum::new(8), parts, rest };
    let state_part = StatePart { part: part(), content: b"content".to_vec() };
    let hello_reply = |answer| HelloReply { boot_id: [0xb0; 16], answer };
    let remembered = Remembered {
        incarnation: Incarnation::new(6),
        seen: vec![start(9)],
        others: vec![started(1, 7)],
        is_confirmed: true,
        by: [0xb1; 16],
        round: 2,
    };
    let executed = Outcome::Executed(vec![b"result".to_vec(), vec![]]);
    let fenced = Outcome::Fenced { current: Session::new(0x5f) };
    vec![
        ("HELLO, view", Message::Hello(hello(Question::View([0xb0; 16])))),
        ("HELLO, admission", Message::Hello(hello(Question::Admission(introduction)))),
        (
            "HELLO-REPLY, view",
            Message::HelloReply(hello_reply(Answer::View(View::new(5), WallTime::from_millis(7)))),
        ),
        ("HELLO-REPLY, starts", Message::HelloReply(hello_reply(Answer::Starts(remembered)))),
        ("REQUEST, open session", Message::Request(request(RequestBody::OpenSession))),
        ("REQUEST, operations", Message::Request(operations())),
        ("REPLY, session opened", reply(Certainty::Committed, full(Outcome::SessionOpened))),
        ("REPLY, executed", reply(Certainty::Committed, full(executed.clone()))),
        (
            "REPLY, executed before",
            reply(Certainty::Committed, full(Outcome::ExecutedBefore(executed.digest()))),
        ),
        ("REPLY, fenced", reply(Certainty::Committed, full(fenced))),
        ("REPLY, outside the window", reply(Certainty::Committed, full(Outcome::OutsideWindow))),
        (
            "REPLY, tentative, by digest",
            reply(Certainty::Tentative, ReplyBody::Digest(executed.digest())),
        ),
        ("PRE-PREPARE", Message::PrePrepare(sign(1, pre_prepare(5)), batch())),
        ("PREPARE", Message::Prepare(vote())),
        ("COMMIT", Message::Commit(vote())),
        ("CHECKPOINT", Message::Checkpoint(checkpoint())),
        ("VIEW-CHANGE", Message::ViewChange(view_change(2))),
        ("NEW-VIEW", Message::NewView(new_view())),
        ("STATUS", Message::Status(status())),
        ("COMMITTED", Message::Committed(Committed { seq: SeqNum::new(9), digest: digest(0xa1) })),
        ("FETCH-BATCH", Message::FetchBatch(digest(0xa1))),
        ("BATCH", Message::Batch(batch())),
        ("FETCH-PRE-PREPARE", Message::FetchPrePrepare(View::new(5), SeqNum::new(9))),
        ("PRE-PREPARE-SEEN", Message::PrePrepareSeen(sign(1, pre_prepare(5)))),
        ("FETCH-STATE", Message::FetchState(part_request)),
        ("STATE-PARTS", Message::StateParts(state_parts(vec![state_part], Rest::Follows))),
        ("STATE-PARTS, no more", Message::StateParts(state_parts(vec![], Rest::Nothing))),
        ("STATE-PARTS, not held", Message::StateParts(state_parts(vec![], Rest::NotHeld))),
        (
            "STATE-PARTS, later",
            Message::StateParts(state_parts(vec![], Rest::Later { micros: 258 })),
        ),
        ("REJOIN", Message::Rejoin(rejoin())),
        ("STABLE", Message::Stable(stable_proof())),
        ("READ", Message::Read(read())),
        ("READ-REPLY", Message::ReadReply(read_reply())),
        ("PRE-PREPARE, outline", Message::Outline(outline().0, outline().1)),
    ]
}

/// Every record, by the name of its variant.
fn records() -> Vec<(&'static str, Record)> {
    let (seq, id) = (SeqNum::new(8), checkpoint_id(0xc0));
    let boot_id = [0xb0; 16];
    let signed = Some(sign(1, pre_prepare(5)));
    vec![
        ("Boot", Record::Boot { counter: 4, boot_id, incarnation: Incarnation::new(6) }),
        (
            "PeerStarts",
            Record::PeerStarts {
                replica: ReplicaId::new(2),
                starts: vec![started(2, 3), started(2, 4)],
            },
        ),
        ("Batch", Record::Batch(batch())),
        ("PrePrepared", Record::PrePrepared { entry: pre_prepare(5), signed }),
        (
            "PrePrepared, chosen by a NEW-VIEW",
            Record::PrePrepared { entry: pre_prepare(5), signed: None },
        ),
        ("Prepared", Record::Prepared(pre_prepare(5))),
        ("Committed", Record::Committed { seq: SeqNum::new(9), digest: digest(0xa1) }),
        ("Checkpoint", Record::Checkpoint(checkpoint())),
        ("Stable", Record::Stable { seq, id, proof: stable_proof() }),
        ("ViewChange", Record::ViewChange(view_change(2))),
        ("NewView", Record::NewView(new_view())),
        ("StateInstalled", Record::StateInstalled { seq, id }),
        ("Amnesiac", Record::Amnesiac),
        ("Rejoined", Record::Rejoined(Incarnation::new(7))),
    ]
}

fn evidence() -> Vec<(&'static str, Evidence)> {
    let other = PrePrepare { digest: digest(0xbb), ..pre_prepare(5) };
    let proof = new_view();
    let mut second = proof.new_view.body.clone();
    second.chosen.clear();
    let mut changed = view_change(2).body.clone();
    changed.prepared.clear();
    vec![
        (
            "two PRE-PREPAREs",
            Evidence::TwoPrePrepares(Box::new((sign(1, pre_prepare(5)), sign(1, other)))),
        ),
        (
            "two NEW-VIEWs",
            Evidence::TwoNewViews(Box::new((proof.new_view.clone(), sign(1, second)))),
        ),
        (
            "a PRE-PREPARE against its NEW-VIEW",
            Evidence::NewViewAgainstPrePrepare(Box::new((proof.new_view.clone(), sign(1, other)))),
        ),
        ("two VIEW-CHANGEs", Evidence::TwoViewChanges(view_change(2), Arc::new(sign(2, changed)))),
    ]
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// A comment of what the file is, then for each value its name and its bytes, 32 a line.
fn dump(header: &str, values: &[(&'static str, Vec<u8>)]) -> String {
    let mut text: String = header.lines().map(|line| format!("# {}\n", line.trim())).collect();
    for (name, bytes) in values {
        let _ = writeln!(text, "\n# {name}: {} bytes", bytes.len());
        for line in bytes.chunks(32) {
            line.iter().for_each(|byte| {
                let _ = write!(text, "{byte:02x}");
            });
            text.push('\n');
        }
    }
    text
}

/// The byte strings of a golden file, in order.
fn parse(text: &str) -> Vec<Vec<u8>> {
    let blocks = text.split("\n\n").skip(1);
    let digits =
        |block: &str| -> String { block.lines().filter(|line| !line.starts_with('#')).collect() };
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    };
    blocks.map(|block| digits(block).as_bytes().chunks(2).map(byte).collect()).collect()
}

/// Compares with the golden file, or rewrites it when told so, and returns what the file holds.
fn pinned(file: &str, header: &str, values: &[(&'static str, Vec<u8>)]) -> Vec<Vec<u8>> {
    let text = dump(header, values);
    if std::env::var_os("QUORATE_BLESS").is_some() {
        std::fs::write(path(file), &text).expect("the golden folder can be written");
    }
    let golden = std::fs::read_to_string(path(file)).expect("the golden file");
    assert!(golden == text, "{file} differs; now the bytes are:\n{text}");
    parse(&golden)
}

#[test]
fn bytes_of_every_message_are_those_of_wire_version_1() {
    let epoch = Epoch::ZERO;
    let all = messages();
    let values: Vec<_> = all.iter().map(|(name, m)| (*name, wire::encode(epoch, m))).collect();
    let header = "Every message between replicas and clients, wire version 1, epoch 0.
        docs/wire.md explains the bytes: 2 of version, 8 of epoch, 1 of tag, the fields.";
    let golden = pinned("wire-1.hex", header, &values);
    let mut tags = Vec::new();
    for ((name, message), bytes) in all.iter().zip(golden) {
        assert_eq!(wire::decode(epoch, &bytes).as_ref(), Ok(message), "{name}");
        tags.push(bytes[10]);
    }
    tags.dedup();
    assert_eq!(tags, (0..=22).collect::<Vec<u8>>(), "every kind is here, in its order");
}

/// [AU1] The pinned signatures are good, so the golden bytes pin what is signed as well.
#[test]
fn pinned_messages_pass_the_door() {
    let config = config();
    for (name, message) in messages() {
        let sender = Sender::Replica(ReplicaId::new(1));
        let admitted = config.admit(sender, message.clone()).map(|_| ());
        let expected = match message {
            Message::Reply(_) | Message::ReadReply(_) => Err(pbft::Reject::NotForReplicas),
            Message::Read(_) => Err(pbft::Reject::ForgedSender),
            _ => Ok(()),
        };
        assert_eq!(admitted, expected, "{name}");
    }
}

#[test]
fn bytes_of_every_record_are_those_of_journal_version_1() {
    let all = records();
    let values: Vec<_> = all.iter().map(|(name, record)| (*name, record.encode())).collect();
    let header = "Every record of the journal, version 1; docs/storage.md says where they stand.
        1 byte of tag, then the fields as on the wire.";
    let golden = pinned("record-1.hex", header, &values);
    let mut tags = Vec::new();
    for ((name, record), bytes) in all.iter().zip(golden) {
        assert_eq!(Record::decode(&bytes).as_ref(), Some(record), "{name}");
        tags.push(bytes[0]);
    }
    tags.dedup();
    assert_eq!(tags, (0..=12).collect::<Vec<u8>>(), "every kind is here, in its order");
}

/// [EV1] Evidence of today convicts tomorrow.
#[test]
fn bytes_of_every_kind_of_evidence_are_those_of_version_1() {
    let all = evidence();
    let encode = |evidence: &Evidence| borsh::to_vec(evidence).expect("memory");
    let values: Vec<_> = all.iter().map(|(name, e)| (*name, encode(e))).collect();
    let header = "Every kind of evidence, version 1, as `quorate verify` reads it.
        1 byte of tag, then the two signed messages as on the wire.";
    let golden = pinned("evidence-1.hex", header, &values);
    for ((name, value), bytes) in all.iter().zip(golden) {
        assert_eq!(borsh::from_slice::<Evidence>(&bytes).as_ref().ok(), Some(value), "{name}");
        assert!(value.verify(&config()).is_some(), "{name} convicts");
    }
}

/// A writer that knows nothing but the tables of `docs/wire.md`.
#[derive(Default)]
struct ByTheBook(Vec<u8>);

impl ByTheBook {
    fn message(tag: u8) -> Self {
        Self::default().u16(1).u64(0).u8(tag)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    fn u16(self, value: u16) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn digest(self, byte: u8) -> Self {
        self.raw(&[byte; 32])
    }

    fn bytes(self, value: &[u8]) -> Self {
        self.u32(value.len() as u32).raw(value)
    }

    fn checkpoint(self, seq: u64, byte: u8) -> Self {
        self.u64(seq).digest(byte).digest(byte + 1)
    }

    fn entry(self, seq: u64, byte: u8, view: u64) -> Self {
        self.u64(seq).digest(byte).u64(view)
    }
}

/// The tables of `docs/wire.md`, followed to the letter, give the same bytes; of signatures only
/// the place is checked.
#[test]
fn bytes_follow_the_documented_tables() {
    let epoch = Epoch::ZERO;
    let pinned = |name: &str| {
        let all = messages();
        let (_, message) = all.iter().find(|(n, _)| *n == name).expect("a pinned message");
        wire::encode(epoch, message)
    };
    let hello = || ByTheBook::message(0).digest(0xcf).u16(1).u16(2).u64(3);
    let boot_id = [0xb0; 16];
    assert_eq!(pinned("HELLO, view"), hello().u8(0).raw(&boot_id).0);
    let started = |of: ByTheBook, replica: u32, counter: u64| {
        let signature = started(replica, counter).signature;
        let signature = borsh::to_vec(&signature).expect("64 bytes");
        of.u32(replica).u64(6).u64(counter).raw(&boot_id).raw(&signature)
    };
    let introduction = started(hello().u8(1), 1, 4).u32(1).u64(3).raw(&boot_id).u64(2).u8(1);
    assert_eq!(pinned("HELLO, admission"), introduction.0);
    let hello_reply = || ByTheBook::message(1).raw(&boot_id);
    assert_eq!(pinned("HELLO-REPLY, view"), hello_reply().u8(0).u64(5).u64(7).0);
    let remembered = hello_reply().u8(1).u64(6).u32(1).u64(9).raw(&boot_id).u32(1);
    assert_eq!(
        pinned("HELLO-REPLY, starts"),
        started(remembered, 1, 7).u8(1).raw(&[0xb1; 16]).u64(2).0
    );
    let read = ByTheBook::message(20).u64(0x5e).u64(0x12).u64(9).u32(1).u16(7).bytes(b"get");
    assert_eq!(pinned("READ"), read.0);
    let read_reply = ByTheBook::message(21).u64(0x5e).u64(0x12).u64(10).u32(2);
    let read_reply = read_reply.u8(1).bytes(b"it").u64(0x13).u8(0);
    assert_eq!(pinned("READ-REPLY"), read_reply.0);
    let rejoin = ByTheBook::message(18).u32(3).u32(3).u64(7).u64(8).raw(&start(8).boot_id);
    let rejoin = rejoin.u64(6).u64(5).0;
    let bytes = pinned("REJOIN");
    assert_eq!(bytes[..bytes.len() - 64], rejoin);
    let request = ByTheBook::message(2).u32(2).u64(0x5e).u64(0x11).u64(0x10).u8(1).u32(3);
    let operations = request.u8(1).u32(2).u16(1).bytes(b"put").u16(0x0201).bytes(b"");
    let bytes = pinned("REQUEST, operations");
    assert_eq!(bytes[..bytes.len() - 64], operations.0);
    let reply = ByTheBook::message(3).u64(5).u64(0x5e).u64(0x11).u8(0).u32(3).u8(0);
    let executed = reply.u8(1).u32(2).bytes(b"result").bytes(b"").0;
    assert_eq!(pinned("REPLY, executed"), executed);
    let vote = |tag| ByTheBook::message(tag).u64(5).u64(9).digest(0xa1).0;
    assert_eq!(pinned("PREPARE"), vote(5));
    assert_eq!(pinned("COMMIT"), vote(6));
    let view_change = ByTheBook::message(8).u32(2).u64(5).u32(2).u64(8);
    let view_change = view_change.u32(2).checkpoint(8, 0xc0).checkpoint(12, 0xc2);
    let view_change = view_change.u32(1).entry(9, 0xa1, 3);
    let view_change = view_change.u32(2).entry(9, 0xa1, 3).entry(10, 0xa2, 4).0;
    let bytes = pinned("VIEW-CHANGE");
    assert_eq!(bytes[..bytes.len() - 64], view_change);
    let status = ByTheBook::message(10).u64(5).u8(1).u64(8).u64(10);
    let status = status.bytes(&[0b11, 0b10]).bytes(&[1, 0b10]).bytes(&[0, 0b10]).bytes(&[0b100]);
    assert_eq!(pinned("STATUS"), status.u64(4).u32(1).digest(0xd1).0);
    let fetch = ByTheBook::message(16).u64(8).digest(0xc0).u32(1).bytes(b"path").digest(0xd2).0;
    assert_eq!(pinned("FETCH-STATE"), fetch);
    let parts = |count: u32| ByTheBook::message(17).u64(8).u32(count);
    let part = parts(1).bytes(b"path").digest(0xd2).bytes(b"content");
    assert_eq!(pinned("STATE-PARTS"), part.u8(0).0);
    assert_eq!(pinned("STATE-PARTS, no more"), parts(0).u8(1).0);
    assert_eq!(pinned("STATE-PARTS, not held"), parts(0).u8(2).0);
    assert_eq!(pinned("STATE-PARTS, later"), parts(0).u8(3).u64(258).0);
}

/// The same for an outline, whose parts are pinned elsewhere.
#[test]
fn bytes_of_an_outline_follow_the_documented_tables() {
    let (signed, outline) = outline();
    let opening = borsh::to_vec(&request(RequestBody::OpenSession)).expect("memory");
    let signature = borsh::to_vec(&signed.signature).expect("memory");
    let expected = ByTheBook::message(22).u32(1).u64(5).u64(9);
    let expected = expected.raw(outline.digest().as_bytes()).raw(&signature);
    let expected = expected.u64(0x0102_0304_0506).bytes(b"choice");
    let expected = expected.u32(2).u8(0).raw(&opening).u8(1).digest(0xa7);
    let expected = expected.u32(1).raw(&borsh::to_vec(&rejoin()).expect("memory"));
    assert_eq!(wire::encode(Epoch::ZERO, &Message::Outline(signed, outline)), expected.0);
}
