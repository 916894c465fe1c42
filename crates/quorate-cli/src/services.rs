//! What the replicas of this program replicate, and how a lying one falsifies its results.

use pbft::message::ServiceId;
use quorate_node::node::Services;
use quorate_services::store::{Outcome, Response, Store, TxnOperationResponse};

/// The name by which operations call the store.
pub(crate) const STORE: ServiceId = ServiceId(1);

/// One of each service.
pub(crate) fn all() -> Services {
    Services::from([(STORE, Box::new(Store::new()) as Box<dyn pbft::Service>)])
}

/// A lie that looks like a result: whatever value was read is another one. Equal results give
/// equal lies, so replicas that lie together agree.
pub(crate) fn forge(result: &[u8]) -> Vec<u8> {
    let Some(mut outcome) = Outcome::decode(result) else {
        return quorate_adversary::flip_last_byte(result);
    };
    if let Ok(response) = &mut outcome.result {
        forge_response(response);
    }
    outcome.encode()
}

fn forge_response(response: &mut Response) {
    match response {
        Response::Range(range) => {
            for kv in &mut range.kvs {
                kv.value = quorate_adversary::flip_last_byte(&kv.value);
            }
        }
        Response::Txn(txn) => {
            let steps = txn.responses.iter_mut();
            steps.for_each(|TxnOperationResponse { response, .. }| forge_response(response));
        }
        Response::Put(_) | Response::DeleteRange(_) | Response::Compact | Response::Status(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_services::store::{KeyValue, RangeResponse};

    #[test]
    fn lie_about_a_read_is_a_well_formed_result_with_another_value() {
        let kv = KeyValue { key: b"k".to_vec(), value: b"v".to_vec(), ..KeyValue::default() };
        let range = RangeResponse { kvs: vec![kv], more: false, count: 1 };
        let truth = Outcome { revision: 7, result: Ok(Response::Range(range)) };
        let lie = Outcome::decode(&forge(&truth.encode())).unwrap();
        assert_eq!(lie.revision, 7);
        let Ok(Response::Range(range)) = lie.result else { panic!("{lie:?}") };
        assert_ne!(range.kvs[0].value, b"v");
        assert_eq!(forge(&truth.encode()), forge(&truth.encode()));
    }
}
