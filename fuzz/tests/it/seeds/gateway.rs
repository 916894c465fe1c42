//! A request of every kind, with every answer that the store and replicas can give it, requests at
//! the limits, and the authorities that etcd's clients send.

use super::Seed;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use prost::Message;
use quorate_fuzz::RPCS;
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_services::store::{
    DeleteRangeResponse, KeyValue, Outcome, PutResponse, RangeResponse, Response, StatusResponse,
    StoreError, TxnOperationResponse, TxnResponse,
};

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    for (name, calls) in named_calls() {
        seeds.push((name.to_owned(), script(&calls)));
    }
    for (rpc, message, outcome) in answers() {
        let name = format!("answer-{}-{}", short(rpc), variant(&outcome));
        let reply = outcome.encode();
        seeds.push((name, script(&[Call { reply, ..call(rpc, &message) }])));
    }
    for rpc in RPCS {
        seeds.push((format!("empty-{}", short(rpc.path)), script(&[call(rpc.path, &[])])));
        seeds.push((format!("malformed-{}", short(rpc.path)), script(&[call(rpc.path, &[0xff])])));
    }
    for (name, authority) in AUTHORITIES {
        seeds.push((format!("authority-{name}"), connection(authority)));
    }
    // So long that its length takes three bytes (RFC 7541, section 5.1).
    let long = [&b"\x83\x41\x7f\xad\x01"[..], &[b'/'; 300], b"\x86"].concat();
    seeds.push(("authority-long".to_owned(), connection(&long)));
    seeds
}

/// One call of a script, see `src/gateway/calls.rs`.
#[derive(Clone, Default)]
struct Call {
    rpc: u8,
    is_raw: bool,
    repetitions: u8,
    timeout: Vec<u8>,
    reply: Vec<u8>,
    message: Vec<u8>,
}

const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";
const DELETE: &str = "/etcdserverpb.KV/DeleteRange";
const TXN: &str = "/etcdserverpb.KV/Txn";
const COMPACT: &str = "/etcdserverpb.KV/Compact";
const ALARM: &str = "/etcdserverpb.Maintenance/Alarm";
const STATUS: &str = "/etcdserverpb.Maintenance/Status";

fn call(path: &str, message: &[u8]) -> Call {
    let rpc = RPCS.iter().position(|rpc| rpc.path == path).expect("a call of the interface");
    Call { rpc: rpc as u8, message: message.to_vec(), ..Call::default() }
}

fn script(calls: &[Call]) -> Vec<u8> {
    let mut bytes = vec![0];
    for call in calls {
        bytes.extend([call.rpc, u8::from(call.is_raw), call.repetitions, call.timeout.len() as u8]);
        bytes.extend_from_slice(&call.timeout);
        for field in [&call.reply, &call.message] {
            bytes.extend_from_slice(&(field.len() as u16).to_le_bytes());
            bytes.extend_from_slice(field);
        }
    }
    bytes
}

fn named_calls() -> Vec<(&'static str, Vec<Call>)> {
    let put_ab = [put("a", b"1"), put("b", b"2")];
    let all = range("a", "\0");
    let txn = txn_of_everything();
    let with = |last: Call| put_ab.iter().cloned().chain([last]).collect::<Vec<_>>();
    let raw = |body: &[u8]| vec![Call { is_raw: true, ..call(RANGE, body) }];
    let patient = |timeout: &[u8]| vec![Call { timeout: timeout.to_vec(), ..put("k", b"v") }];
    vec![
        ("put-and-range", with(call(RANGE, &all.encode_to_vec()))),
        ("range-limited", with(call(RANGE, &limited(&all).encode_to_vec()))),
        ("range-sorted", with(call(RANGE, &sorted(&all).encode_to_vec()))),
        ("delete", with(call(DELETE, &delete("a", "c").encode_to_vec()))),
        ("txn", with(call(TXN, &txn.encode_to_vec()))),
        ("txn-nested", vec![call(TXN, &nested(txn).encode_to_vec())]),
        ("txn-compare-of-a-range", vec![call(TXN, &compare_of_a_range().encode_to_vec())]),
        ("txn-of-other-operands", with(call(TXN, &other_operands().encode_to_vec()))),
        ("txn-answered-by-no-step", vec![answered_by_no_step()]),
        ("compact", with(call(COMPACT, &compact(2).encode_to_vec()))),
        ("compact-future", vec![call(COMPACT, &compact(99).encode_to_vec())]),
        ("status", with(call(STATUS, &[]))),
        ("put-twice-in-a-txn", vec![call(TXN, &twice().encode_to_vec())]),
        ("lease", vec![call(PUT, &leased().encode_to_vec())]),
        ("timeout", patient(b"3S")),
        ("timeout-malformed", patient(b"3 minutes")),
        ("compressed", raw(&[1, 0, 0, 0, 3, 0x0a, 1, b'k'])),
        ("too-long-by-its-prefix", raw(&[0, 0xff, 0xff, 0xff, 0xff, 0])),
        ("too-short-by-its-prefix", raw(&[0, 0, 0, 0, 9, 0x0a, 1, b'k'])),
        ("two-messages", raw(&[0, 0, 0, 0, 3, 0x0a, 1, b'k', 0, 0, 0, 0, 3, 0x0a, 1, b'l'])),
        ("too-many-parts", vec![Call { repetitions: 255, ..call(TXN, &[0x0a, 0].repeat(17)) }]),
        ("too-many-compares", vec![Call { repetitions: 128, ..call(TXN, &compared(1)) }]),
        ("as-many-compares-as-may-be", vec![Call { repetitions: 127, ..call(TXN, &compared(1)) }]),
        ("too-long", vec![Call { repetitions: 127, ..call(TXN, &compared(12_300)) }]),
        ("as-long-as-may-be", vec![Call { repetitions: 126, ..call(TXN, &compared(12_270)) }]),
    ]
}

fn put(key: &str, value: &[u8]) -> Call {
    let (key, value) = (key.into(), value.to_vec());
    call(PUT, &pb::PutRequest { key, value, prev_kv: true, ..Default::default() }.encode_to_vec())
}

fn range(key: &str, end: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.into(), range_end: end.into(), ..Default::default() }
}

fn limited(range: &pb::RangeRequest) -> pb::RangeRequest {
    pb::RangeRequest { limit: 1, revision: 3, keys_only: true, ..range.clone() }
}

fn sorted(range: &pb::RangeRequest) -> pb::RangeRequest {
    pb::RangeRequest { sort_order: 2, sort_target: 1, min_mod_revision: 1, ..range.clone() }
}

fn delete(key: &str, end: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key.into(), range_end: end.into(), prev_kv: true }
}

fn compact(revision: i64) -> pb::CompactionRequest {
    pb::CompactionRequest { revision, physical: true }
}

fn leased() -> pb::PutRequest {
    pb::PutRequest { key: b"k".to_vec(), lease: 7, ..Default::default() }
}

fn step(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn compare(key: &[u8], target: CompareTarget, operand: TargetUnion) -> pb::Compare {
    pb::Compare {
        result: CompareResult::Less as i32,
        target: target as i32,
        key: key.to_vec(),
        range_end: Vec::new(),
        target_union: Some(operand),
    }
}

fn txn_of_everything() -> pb::TxnRequest {
    pb::TxnRequest {
        compare: vec![
            compare(b"a", CompareTarget::Version, TargetUnion::Version(2)),
            compare(b"a", CompareTarget::Create, TargetUnion::CreateRevision(9)),
            compare(b"a", CompareTarget::Mod, TargetUnion::ModRevision(9)),
            compare(b"a", CompareTarget::Value, TargetUnion::Value(b"2".to_vec())),
            compare(b"a", CompareTarget::Lease, TargetUnion::Lease(1)),
        ],
        success: vec![
            step(Request::RequestRange(range("a", "c"))),
            step(Request::RequestPut(pb::PutRequest {
                key: b"c".to_vec(),
                value: b"3".to_vec(),
                ..Default::default()
            })),
            step(Request::RequestDeleteRange(delete("a", ""))),
        ],
        failure: vec![step(Request::RequestRange(range("b", "")))],
    }
}

fn compare_of_a_range() -> pb::TxnRequest {
    let one = compare(b"a", CompareTarget::Version, TargetUnion::Version(2));
    let all = pb::Compare { range_end: vec![0], ..one };
    pb::TxnRequest { compare: vec![all], ..Default::default() }
}

fn answered_by_no_step() -> Call {
    let step = TxnOperationResponse { behind: 0, response: Response::Compact };
    let txn = Response::Txn(TxnResponse { succeeded: false, responses: vec![step] });
    let reply = Outcome { revision: 8, result: Ok(txn) }.encode();
    Call { reply, ..call(TXN, &compared(1)) }
}

/// Each target with an operand that belongs to another one.
fn other_operands() -> pb::TxnRequest {
    let targets = [
        CompareTarget::Version,
        CompareTarget::Create,
        CompareTarget::Mod,
        CompareTarget::Lease,
        CompareTarget::Value,
    ];
    let operand = |target| match target {
        CompareTarget::Value => TargetUnion::Version(1),
        _ => TargetUnion::Value(b"1".to_vec()),
    };
    let compare = targets.map(|target| compare(b"a", target, operand(target))).to_vec();
    pb::TxnRequest { compare, ..Default::default() }
}

fn nested(inner: pb::TxnRequest) -> pb::TxnRequest {
    pb::TxnRequest { success: vec![step(Request::RequestTxn(inner))], ..Default::default() }
}

fn twice() -> pb::TxnRequest {
    let put = Request::RequestPut(pb::PutRequest { key: b"k".to_vec(), ..Default::default() });
    pb::TxnRequest { failure: vec![step(put.clone()), step(put)], ..Default::default() }
}

/// A transaction of one compare with a value of so many bytes; repeated, it is one of many.
fn compared(value_bytes: usize) -> Vec<u8> {
    let operand = TargetUnion::Value(vec![b'v'; value_bytes]);
    let compare = vec![compare(b"k", CompareTarget::Value, operand)];
    pb::TxnRequest { compare, ..Default::default() }.encode_to_vec()
}

/// What replicas may say to each call.
fn answers() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let kv = KeyValue {
        key: b"k".to_vec(),
        create_revision: 2,
        mod_revision: 5,
        version: 3,
        value: b"v".to_vec(),
        lease: 9,
    };
    let ranged = RangeResponse { kvs: vec![kv.clone(), kv.clone()], more: true, count: 7 };
    let deleted = DeleteRangeResponse { deleted: 2, prev_kvs: vec![kv.clone()] };
    let written = PutResponse { prev_kv: Some(kv) };
    let steps = [
        (1, Response::Range(ranged.clone())),
        (0, Response::Put(written.clone())),
        (0, Response::DeleteRange(deleted.clone())),
    ];
    let responses =
        steps.map(|(behind, response)| TxnOperationResponse { behind, response }).to_vec();
    let status = StatusResponse { compact_revision: -1, record_count: 3, record_bytes: 300 };
    let responses = [
        Response::Range(ranged),
        Response::Put(written),
        Response::DeleteRange(deleted),
        Response::Txn(TxnResponse { succeeded: true, responses }),
        Response::Compact,
        Response::Status(status),
    ];
    let errors = [
        StoreError::Compacted,
        StoreError::FutureRevision,
        StoreError::LeaseNotFound,
        StoreError::ResponseTooLarge,
        StoreError::TooMuchWork,
        StoreError::TooManyRequests,
    ];
    let results: Vec<_> = responses.map(Ok).into_iter().chain(errors.map(Err)).collect();
    let calls = [
        (RANGE, range("k", "").encode_to_vec()),
        (PUT, leased().encode_to_vec()),
        (DELETE, delete("k", "").encode_to_vec()),
        (TXN, txn_of_everything().encode_to_vec()),
        (COMPACT, compact(3).encode_to_vec()),
        (STATUS, Vec::new()),
    ];
    let mut answers = Vec::new();
    // Each answer to the call that it belongs to, and to one that it does not.
    for (index, result) in results.into_iter().enumerate() {
        for (rpc, message) in [&calls[index % calls.len()], &calls[(index + 1) % calls.len()]] {
            answers.push((*rpc, message.clone(), Outcome { revision: 9, result: result.clone() }));
        }
    }
    let status = Outcome { revision: 9, result: Ok(Response::Status(status)) };
    answers.push((ALARM, Vec::new(), status));
    answers
}

/// What an answer is, as a part of a name.
fn variant(outcome: &Outcome) -> String {
    let text = match &outcome.result {
        Ok(response) => format!("{response:?}"),
        Err(error) => format!("{error:?}"),
    };
    text.split('(').next().unwrap_or_default().to_lowercase()
}

/// The last part of a path, in small letters.
fn short(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_lowercase()
}

/// What clients send, plain and in Huffman's code (RFC 7541, appendix C.4.1).
const AUTHORITIES: [(&str, &[u8]); 5] = [
    ("none", &[0x83, 0x86]),
    ("sound", b"\x83\x41\x0e127.0.0.1:2379\x86"),
    ("whole-endpoint", b"\x83\x41\x15http://127.0.0.1:2379\x86"),
    ("of-many-endpoints", b"\x83\x41\x12#initially=[a;b;c]\x86"),
    (
        "huffman",
        &[
            0x83, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4,
            0xff, 0x86,
        ],
    ),
];

/// SETTINGS, a request with this header block, and an end in the middle of a frame.
fn connection(block: &[u8]) -> Vec<u8> {
    let settings = frame(4, 0, &[]);
    let padded = [&[2, 0, 0, 0, 0, 16][..], block, &[0, 0]].concat();
    let pieces = 15;
    [
        &[1, pieces][..],
        &settings,
        &frame(1, 4, block),
        &frame(0, 1, b"\0\0\0\0\x03\x0a\x01k"),
        &frame(1, 0x2d, &padded),
        &[0, 0, 9, 1],
    ]
    .concat()
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}
