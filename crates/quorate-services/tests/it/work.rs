//! That no operation and no batch keeps a replica busy for long, whatever it asks for.

use std::cell::Cell;

use pbft::{Service, StateRead};
use quorate_services::store::{
    Compare, CompareResult, CompareTarget, Operation, RangeRequest, TxnRequest,
};

use crate::replica::{MapState, Replica, To, context, get, put};

/// State that counts the bytes copied out of it.
struct Watched<'a> {
    state: &'a MapState,
    copied: Cell<usize>,
}

impl StateRead for Watched<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.state.get(key)?;
        self.copied.update(|copied| copied + value.len());
        Some(value)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        self.state.scan(start, end, visit);
    }
}

#[test]
fn no_value_is_copied_that_is_not_in_the_answer() {
    let mut replica = Replica::default();
    for key in ["a", "b", "c", "d"] {
        replica.execute(put(key, &"v".repeat(1_000_000)));
    }
    let compare = |target| TxnRequest {
        compare: vec![Compare { key: b"a".to_vec(), result: CompareResult::Equal, target }],
        ..TxnRequest::default()
    };
    let all = get("\0").to("\0");
    let operations: [Operation; 5] = [
        RangeRequest { keys_only: true, ..all.clone() }.into(),
        RangeRequest { count_only: true, ..all.clone() }.into(),
        compare(CompareTarget::Version(1)).into(),
        compare(CompareTarget::Value(b"v".to_vec())).into(),
        all.into(),
    ];
    for operation in operations {
        let state = Watched { state: &replica.state, copied: Cell::new(0) };
        replica.store.query(&context(), &operation.encode(), &state).unwrap();
        assert_eq!(state.copied.get(), 0, "{operation:?}");
    }
}
