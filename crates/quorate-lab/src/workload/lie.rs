//! Lies about what the store answered: as well formed as the truth, and other than it whatever was
//! asked.

use quorate_services::store::{KeyValue, Outcome, Response, StoreError, TxnOperationResponse};

/// The lie about an outcome of the store, or about bytes that are none. Equal outcomes give equal
/// lies, so that replicas that lie together agree.
///
/// It gives a value that nobody wrote where one was read, finds something where there was nothing,
/// turns around whether something was deleted and whether a transaction's compares held, names
/// another error, and belongs to another revision, which is all that the answer to a put tells.
pub fn forge_store_outcome(result: &[u8]) -> Vec<u8> {
    let Some(mut outcome) = Outcome::decode(result) else {
        return quorate_adversary::flip_last_byte(result);
    };
    let revision = outcome.revision;
    outcome.revision = revision.wrapping_add(1);
    match &mut outcome.result {
        Ok(response) => forge(response, revision),
        Err(error @ StoreError::Compacted) => *error = StoreError::FutureRevision,
        Err(error) => *error = StoreError::Compacted,
    }
    outcome.encode()
}

fn forge(response: &mut Response, revision: i64) {
    match response {
        Response::Range(range) if range.kvs.is_empty() => {
            range.kvs.push(made_up(revision));
            range.count += 1;
        }
        Response::Range(range) => range.kvs.iter_mut().for_each(change_value),
        Response::Put(put) => put.prev_kv.iter_mut().for_each(change_value),
        Response::DeleteRange(deletion) => {
            deletion.deleted = i64::from(deletion.deleted == 0);
            deletion.prev_kvs.clear();
        }
        Response::Txn(txn) => {
            txn.succeeded = !txn.succeeded;
            let steps = txn.responses.iter_mut();
            steps.for_each(|TxnOperationResponse { response, .. }| forge(response, revision));
        }
        Response::Status(status) => status.record_count = status.record_count.wrapping_add(1),
        Response::Compact => {}
    }
}

fn change_value(kv: &mut KeyValue) {
    kv.value.splice(0..0, *b"not ");
}

fn made_up(revision: i64) -> KeyValue {
    KeyValue {
        key: b"a lie".to_vec(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        value: b"a lie".to_vec(),
        lease: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_services::store::{
        DeleteRangeResponse, PutResponse, RangeResponse, StatusResponse, TxnResponse,
    };

    fn lie(result: Result<Response, StoreError>) -> Outcome {
        let truth = Outcome { revision: 7, result };
        let lie = forge_store_outcome(&truth.encode());
        assert_eq!(lie, forge_store_outcome(&truth.encode()), "liars agree");
        let lie = Outcome::decode(&lie).expect("it is well formed");
        assert_ne!(lie, truth);
        lie
    }

    fn kv() -> KeyValue {
        KeyValue { key: b"k".to_vec(), value: b"v".to_vec(), ..KeyValue::default() }
    }

    fn read(kvs: Vec<KeyValue>, count: i64) -> Response {
        Response::Range(RangeResponse { kvs, more: false, count })
    }

    #[test]
    fn every_kind_of_result_has_a_well_formed_lie() {
        let deletion =
            |deleted| Response::DeleteRange(DeleteRangeResponse { deleted, prev_kvs: Vec::new() });
        let put = |prev_kv| Response::Put(PutResponse { prev_kv });
        let step = TxnOperationResponse { behind: 0, response: put(None) };
        for truth in [
            Ok(read(vec![kv()], 1)),
            Ok(read(Vec::new(), 0)),
            Ok(read(Vec::new(), 3)),
            Ok(put(None)),
            Ok(put(Some(kv()))),
            Ok(deletion(0)),
            Ok(deletion(2)),
            Ok(Response::Txn(TxnResponse { succeeded: true, responses: vec![step] })),
            Ok(Response::Txn(TxnResponse { succeeded: false, responses: Vec::new() })),
            Ok(Response::Compact),
            Ok(Response::Status(StatusResponse::default())),
            Err(StoreError::Compacted),
            Err(StoreError::EmptyKey),
        ] {
            let told = lie(truth.clone());
            assert_eq!(told.revision, 8, "another revision: {truth:?}");
            match (&truth, &told.result) {
                (Ok(truth), Ok(lie)) => {
                    let kind = std::mem::discriminant::<Response>;
                    assert_eq!(kind(truth), kind(lie), "of the kind that was asked for");
                }
                (Err(truth), Err(lie)) => assert_ne!(truth, lie),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_read_gives_what_nobody_wrote() {
        let value = |told: Outcome| match told.result {
            Ok(Response::Range(mut range)) => range.kvs.remove(0).value,
            other => panic!("{other:?}"),
        };
        assert_eq!(value(lie(Ok(read(vec![kv()], 1)))), b"not v");
        assert_eq!(value(lie(Ok(read(Vec::new(), 0)))), b"a lie");
    }

    #[test]
    fn what_is_no_outcome_becomes_something_else() {
        for bytes in [&b""[..], b"nonsense"] {
            assert_ne!(forge_store_outcome(bytes), bytes);
        }
    }
}
