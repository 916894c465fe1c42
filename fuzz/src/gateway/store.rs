//! The store that executes what a gateway accepts, without replicas.

use pbft::{ClientId, Context, SeqNum, Service, State, StateRead, WallTime};
use quorate_services::store::Store;
use std::collections::BTreeMap;

/// A store and the state that replicas would agree on.
#[derive(Default)]
pub(super) struct Alone {
    store: Store,
    state: Memory,
    seq: SeqNum,
}

impl Alone {
    /// Executes an operation in a batch of its own.
    pub(super) fn execute(&mut self, operation: &[u8]) -> Vec<u8> {
        self.seq = self.seq.next();
        let client = ClientId::new(0);
        let context = Context { client, seq: self.seq, time: WallTime::default(), choice: &[] };
        self.store.execute(&context, operation, &mut self.state)
    }
}

#[derive(Default)]
struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl StateRead for Memory {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        let entries = self.0.range(start.to_vec()..);
        for (key, value) in
            entries.take_while(|(key, _)| end.is_none_or(|end| key.as_slice() < end))
        {
            if !visit(key, value) {
                return;
            }
        }
    }
}

impl State for Memory {
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.insert(key.to_vec(), value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}
