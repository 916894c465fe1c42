//! How many parts an encoded transaction has, found out before it is decoded: an empty compare or
//! operation takes two bytes on the wire and a hundred in memory.

use bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Compares and operations of one transaction, those of transactions within it included. etcd's
/// limit of 128 in each list is looked at once it is decoded.
const PARTS_MAX: usize = 4096;

/// The numbers of `compare`, `success` and `failure` in `TxnRequest`.
const COMPARE: u32 = 1;
const SUCCESS: u32 = 2;
const FAILURE: u32 = 3;
/// The number of `request_txn` in `RequestOp`.
const NESTED: u32 = 4;

/// Whether this `TxnRequest` has more parts than may be decoded. What is malformed has not: the
/// decoder says so better.
pub(crate) fn has_too_many_parts(transaction: &[u8]) -> bool {
    let mut left = PARTS_MAX;
    count_parts(transaction, &mut left).is_none()
}

/// Takes the parts of a transaction from `left`; `None` if there are more.
fn count_parts(transaction: &[u8], left: &mut usize) -> Option<()> {
    for (number, part) in embedded(transaction) {
        if matches!(number, COMPARE | SUCCESS | FAILURE) {
            *left = left.checked_sub(1)?;
        }
        if matches!(number, SUCCESS | FAILURE) {
            for (_, nested) in embedded(part).filter(|(number, _)| *number == NESTED) {
                count_parts(nested, left)?;
            }
        }
    }
    Some(())
}

/// The embedded messages of a message, by number, as far as it is well-formed.
fn embedded(mut message: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let (number, wire_type) = decode_key(&mut message).ok()?;
            if wire_type != WireType::LengthDelimited {
                skip_field(wire_type, number, &mut message, DecodeContext::default()).ok()?;
                continue;
            }
            let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
            let part = message.get(..length)?;
            message.advance(length);
            return Some((number, part));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::etcdserverpb::request_op::Request;
    use crate::etcd::etcdserverpb::{Compare, PutRequest, RequestOp, TxnRequest};
    use prost::Message;

    fn put(bytes: usize) -> RequestOp {
        let put = PutRequest { value: vec![1; bytes], ..Default::default() };
        RequestOp { request: Some(Request::RequestPut(put)) }
    }

    #[test]
    fn parts_count_wherever_they_are() {
        let compares =
            |count| TxnRequest { compare: vec![Compare::default(); count], ..Default::default() };
        assert!(!has_too_many_parts(&compares(PARTS_MAX).encode_to_vec()));
        assert!(has_too_many_parts(&compares(PARTS_MAX + 1).encode_to_vec()));
        let nested = Request::RequestTxn(compares(PARTS_MAX));
        let outer =
            TxnRequest { failure: vec![RequestOp { request: Some(nested) }], ..Default::default() };
        assert!(has_too_many_parts(&outer.encode_to_vec()));
    }

    #[test]
    fn long_values_are_no_parts() {
        let transaction = TxnRequest { success: vec![put(1 << 20); 2], ..Default::default() };
        assert!(!has_too_many_parts(&transaction.encode_to_vec()));
    }

    #[test]
    fn nesting_ends_with_the_count_and_not_with_the_stack() {
        let mut innermost = Vec::new();
        for _ in 0..2 * PARTS_MAX {
            let operation = [&[0x22], varint(innermost.len()).as_slice(), &innermost].concat();
            innermost = [&[0x12], varint(operation.len()).as_slice(), &operation].concat();
        }
        assert!(has_too_many_parts(&innermost));
    }

    fn varint(value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(value as u64, &mut bytes);
        bytes
    }

    #[test]
    fn what_is_malformed_is_left_to_the_decoder() {
        for bytes in [&[0xff; 40][..], &[0x0a, 0x7f], &[0x12, 2, 0x22, 9], &[0x07]] {
            assert!(!has_too_many_parts(bytes));
        }
    }
}
