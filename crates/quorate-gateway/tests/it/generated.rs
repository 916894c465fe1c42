//! Calls no command line can make, and calls nobody would think of: odd operands, odd numbers,
//! odd bytes, the limits, and a seeded sequence that reads, writes, compares and compacts.

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use quorate_gateway::etcd::etcdserverpb as pb;
use quorate_gateway::etcd::etcdserverpb::kv_client::KvClient;
use tonic::transport::Channel;

/// One call of service KV.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Range(pb::RangeRequest),
    Put(pb::PutRequest),
    DeleteRange(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compact(pb::CompactionRequest),
}

impl Call {
    /// What the server at the other end of `kv` answers, identities aside.
    pub(crate) async fn answer(self, kv: &mut KvClient<Channel>) -> String {
        let answer = match self {
            Self::Range(range) => kv.range(range).await.map(|it| {
                let it = it.into_inner();
                format!("{:?}", pb::RangeResponse { header: without_identity(it.header), ..it })
            }),
            Self::Put(put) => kv.put(put).await.map(|it| {
                let it = it.into_inner();
                format!("{:?}", pb::PutResponse { header: without_identity(it.header), ..it })
            }),
            Self::DeleteRange(delete) => kv.delete_range(delete).await.map(|it| {
                let it = it.into_inner();
                let header = without_identity(it.header);
                format!("{:?}", pb::DeleteRangeResponse { header, ..it })
            }),
            Self::Txn(txn) => kv.txn(txn).await.map(|it| {
                let it = it.into_inner();
                format!("{:?}", pb::TxnResponse { header: without_identity(it.header), ..it })
            }),
            Self::Compact(compact) => kv.compact(compact).await.map(|it| {
                let header = without_identity(it.into_inner().header);
                format!("{:?}", pb::CompactionResponse { header })
            }),
        };
        answer.unwrap_or_else(|error| format!("{:?}: {}", error.code(), error.message()))
    }
}

fn without_identity(header: Option<pb::ResponseHeader>) -> Option<pb::ResponseHeader> {
    let revision = header?.revision;
    Some(pb::ResponseHeader { revision, ..pb::ResponseHeader::default() })
}

/// The calls nobody makes by hand, in an order that keeps each meaningful.
pub(crate) fn odd_calls() -> Vec<Call> {
    let mut calls = vec![put(b"a", b"1"), put(b"a", b"2"), put(b"b", b""), put(b"ab", b"\xff\0")];
    calls.extend(compares());
    calls.extend(odd_ranges());
    calls.extend(odd_txns());
    calls.extend([
        put(&[0xff; 40], b"high"),
        put(b"\0", b"low"),
        put(&[b'k'; 5000], b"a long key"),
        put(b"large", &vec![b'x'; 1_500_000]),
        put(b"too large", &vec![b'x'; 1536 * 1024]),
        delete(b"\0", b"\0"),
        delete(b"", b"\0"),
        get(b"\0", b"\0"),
    ]);
    calls.extend([-1, 0, i64::MIN, i64::MAX, 3].map(|revision| {
        Call::Compact(pb::CompactionRequest { revision, physical: revision == 3 })
    }));
    calls
}

/// Every target with every result, with the operands that make a difference, without an operand
/// and with one of another kind, on a key that exists and one that does not.
fn compares() -> Vec<Call> {
    let targets = [
        CompareTarget::Version,
        CompareTarget::Create,
        CompareTarget::Mod,
        CompareTarget::Value,
        CompareTarget::Lease,
    ];
    let results = [
        CompareResult::Equal,
        CompareResult::Greater,
        CompareResult::Less,
        CompareResult::NotEqual,
    ];
    let operand = |target, number: i64| match target {
        CompareTarget::Version => TargetUnion::Version(number),
        CompareTarget::Create => TargetUnion::CreateRevision(number),
        CompareTarget::Mod => TargetUnion::ModRevision(number),
        CompareTarget::Value => TargetUnion::Value(number.to_string().into_bytes()),
        CompareTarget::Lease => TargetUnion::Lease(number),
    };
    let mut calls = Vec::new();
    for target in targets {
        let other = match target {
            CompareTarget::Value => TargetUnion::Version(2),
            _ => TargetUnion::Value(b"2".to_vec()),
        };
        let mut operands: Vec<_> = (-1..4).map(|number| Some(operand(target, number))).collect();
        operands.extend([None, Some(other)]);
        for (result, key) in results.into_iter().flat_map(|it| [(it, "a"), (it, "missing")]) {
            calls.extend(operands.iter().map(|operand| {
                txn(vec![compare(key, target, result, operand.clone())], Vec::new(), Vec::new())
            }));
        }
    }
    calls
}

fn odd_ranges() -> Vec<Call> {
    let all = pb::RangeRequest { key: b"\0".to_vec(), range_end: b"\0".to_vec(), ..range(b"") };
    let limits = [-1, 0, 1, 2, i64::MIN, i64::MAX].into_iter().flat_map(|limit| {
        [
            pb::RangeRequest { limit, ..all.clone() },
            pb::RangeRequest { limit, count_only: true, ..all.clone() },
            pb::RangeRequest { limit, keys_only: true, sort_order: 1, ..all.clone() },
        ]
    });
    let revisions =
        [-1, 1, 2, i64::MIN, i64::MAX].map(|revision| pb::RangeRequest { revision, ..all.clone() });
    let others = [
        pb::RangeRequest { sort_order: 7, limit: 1, ..all.clone() },
        pb::RangeRequest { keys_only: true, count_only: true, ..all.clone() },
        pb::RangeRequest { serializable: true, ..all.clone() },
        pb::RangeRequest { key: b"b".to_vec(), range_end: b"a".to_vec(), ..all.clone() },
        pb::RangeRequest { key: b"a".to_vec(), range_end: b"a".to_vec(), ..all.clone() },
        pb::RangeRequest { key: Vec::new(), ..all.clone() },
    ];
    limits.chain(revisions).chain(others).map(Call::Range).collect()
}

fn odd_txns() -> Vec<Call> {
    let put = |key: &str| op(Request::RequestPut(put_request(key.as_bytes(), b"v")));
    let delete = |key: &str, end: &str| op(Request::RequestDeleteRange(delete_request(key, end)));
    let unset = || pb::RequestOp { request: None };
    let holds =
        |count| vec![compare("a", CompareTarget::Version, CompareResult::Greater, None); count];
    let puts = |count: usize| -> Vec<_> { (0..count).map(|it| put(&format!("p{it}"))).collect() };
    vec![
        txn(Vec::new(), vec![unset()], Vec::new()),
        txn(Vec::new(), Vec::new(), vec![unset()]),
        txn(Vec::new(), vec![put(""), unset()], Vec::new()),
        txn(Vec::new(), vec![unset(), put("")], Vec::new()),
        txn(Vec::new(), vec![put("x"), put("x"), put("")], Vec::new()),
        txn(holds(128), puts(128), puts(128)),
        txn(holds(129), Vec::new(), Vec::new()),
        txn(Vec::new(), puts(129), Vec::new()),
        txn(Vec::new(), Vec::new(), puts(129)),
        // A deletion that goes on for ever covers no put, a quirk of etcd's.
        txn(Vec::new(), vec![delete("a", "\0"), put("b")], Vec::new()),
        txn(Vec::new(), vec![put("b"), delete("a", "\0")], Vec::new()),
        txn(Vec::new(), vec![put("b"), delete("c", "a")], Vec::new()),
        txn(Vec::new(), vec![delete("b", "b"), put("b")], Vec::new()),
        txn(Vec::new(), vec![put("b"), delete("a", "b")], Vec::new()),
        txn(Vec::new(), vec![put("b"), delete("a", "c")], Vec::new()),
    ]
}

/// So many calls, made up from a seed.
pub(crate) fn sequence(seed: u64, length: usize) -> Vec<Call> {
    let mut dice = Dice(seed);
    (0..length).map(|step| dice.call(step)).collect()
}

/// SplitMix64: enough chance for a test, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// `step` bounds the revisions that make sense so far.
    fn call(&mut self, step: usize) -> Call {
        match self.roll(16) {
            0..=4 => Call::Put(self.put()),
            5..=8 => Call::Range(self.range(step)),
            9..=10 => Call::DeleteRange(self.delete()),
            11..=14 => self.txn(step),
            _ => Call::Compact(pb::CompactionRequest {
                revision: self.revision(step) / 2,
                physical: self.roll(2) == 0,
            }),
        }
    }

    fn key(&mut self) -> Vec<u8> {
        let keys: [&[u8]; 6] = [b"a", b"ab", b"abc", b"b", b"c", b"\xff"];
        keys[self.roll(6) as usize].to_vec()
    }

    fn end(&mut self) -> Vec<u8> {
        match self.roll(4) {
            0 | 1 => Vec::new(),
            2 => b"\0".to_vec(),
            _ => self.key(),
        }
    }

    fn revision(&mut self, step: usize) -> i64 {
        self.roll(step as u64 + 4) as i64
    }

    fn put(&mut self) -> pb::PutRequest {
        let value = self.roll(4).to_string().into_bytes();
        pb::PutRequest { prev_kv: self.roll(2) == 0, ..put_request(&self.key(), &value) }
    }

    fn range(&mut self, step: usize) -> pb::RangeRequest {
        pb::RangeRequest {
            range_end: self.end(),
            limit: self.roll(4) as i64,
            revision: if self.roll(3) == 0 { self.revision(step) } else { 0 },
            keys_only: self.roll(5) == 0,
            count_only: self.roll(5) == 0,
            ..range(&self.key())
        }
    }

    fn delete(&mut self) -> pb::DeleteRangeRequest {
        pb::DeleteRangeRequest {
            key: self.key(),
            range_end: self.end(),
            prev_kv: self.roll(2) == 0,
        }
    }

    fn txn(&mut self, step: usize) -> Call {
        let compares = (0..self.roll(3)).map(|_| self.compare()).collect();
        let success = (0..self.roll(5)).map(|_| self.op(step)).collect();
        let failure = (0..self.roll(3)).map(|_| self.op(step)).collect();
        txn(compares, success, failure)
    }

    fn compare(&mut self) -> pb::Compare {
        let number = self.roll(4) as i64;
        let (target, operand) = match self.roll(5) {
            0 => (CompareTarget::Version, TargetUnion::Version(number)),
            1 => (CompareTarget::Create, TargetUnion::CreateRevision(number)),
            2 => (CompareTarget::Mod, TargetUnion::ModRevision(number)),
            3 => (CompareTarget::Lease, TargetUnion::Lease(number)),
            _ => (CompareTarget::Value, TargetUnion::Value(number.to_string().into_bytes())),
        };
        pb::Compare {
            key: self.key(),
            result: self.roll(4) as i32,
            target: target as i32,
            target_union: Some(operand),
            range_end: Vec::new(),
        }
    }

    fn op(&mut self, step: usize) -> pb::RequestOp {
        op(match self.roll(6) {
            0..=2 => Request::RequestPut(self.put()),
            3..=4 => Request::RequestRange(self.range(step)),
            _ => Request::RequestDeleteRange(self.delete()),
        })
    }
}

fn op(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn txn(
    compare: Vec<pb::Compare>,
    success: Vec<pb::RequestOp>,
    failure: Vec<pb::RequestOp>,
) -> Call {
    Call::Txn(pb::TxnRequest { compare, success, failure })
}

fn compare(
    key: &str,
    target: CompareTarget,
    result: CompareResult,
    target_union: Option<TargetUnion>,
) -> pb::Compare {
    pb::Compare {
        key: key.into(),
        target: target as i32,
        result: result as i32,
        target_union,
        range_end: Vec::new(),
    }
}

fn range(key: &[u8]) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_vec(), ..pb::RangeRequest::default() }
}

fn get(key: &[u8], range_end: &[u8]) -> Call {
    Call::Range(pb::RangeRequest { range_end: range_end.to_vec(), ..range(key) })
}

fn put(key: &[u8], value: &[u8]) -> Call {
    Call::Put(put_request(key, value))
}

fn put_request(key: &[u8], value: &[u8]) -> pb::PutRequest {
    pb::PutRequest { key: key.to_vec(), value: value.to_vec(), ..pb::PutRequest::default() }
}

fn delete(key: &[u8], range_end: &[u8]) -> Call {
    Call::DeleteRange(pb::DeleteRangeRequest {
        key: key.to_vec(),
        range_end: range_end.to_vec(),
        prev_kv: true,
    })
}

fn delete_request(key: &str, range_end: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key.into(), range_end: range_end.into(), prev_kv: false }
}
