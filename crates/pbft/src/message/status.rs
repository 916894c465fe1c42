//! STATUS: the receiver-driven repair of everything the network may lose. A replica says what it
//! has; whoever can help sends what it lacks.

use crate::{Digest, SeqNum, View};
use alloc::vec;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// A set of sequence numbers above a base, as a bit map.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct SlotSet(Vec<u8>);

impl SlotSet {
    /// An empty set with room for `count` numbers.
    pub fn with_room(count: u64) -> Self {
        Self(vec![0; usize::try_from(count.div_ceil(8)).unwrap_or(0)])
    }

    /// Adds the number `offset` above the base; an offset beyond the room is ignored.
    pub fn insert(&mut self, offset: u64) {
        if let Some(byte) = self.0.get_mut((offset / 8) as usize) {
            *byte |= 1 << (offset % 8);
        }
    }

    /// Whether the number `offset` above the base is in the set.
    pub fn contains(&self, offset: u64) -> bool {
        usize::try_from(offset / 8)
            .ok()
            .and_then(|index| self.0.get(index))
            .is_some_and(|byte| byte & (1 << (offset % 8)) != 0)
    }

    /// How many bytes the set occupies.
    pub fn byte_count(&self) -> usize {
        self.0.len()
    }
}

/// STATUS.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Status {
    /// The sender's view.
    pub view: View,
    /// Whether the sender is active in it, or waits for its NEW-VIEW.
    pub active: bool,
    /// The sender's low water mark: its last stable checkpoint.
    pub low_water_mark: SeqNum,
    /// The last batch the sender executed; also the base of the sets below.
    pub last_executed: SeqNum,
    /// Numbers above `last_executed` whose PRE-PREPARE and batch the sender holds, or will hold once
    /// the requests that it expects have come [SR3] (bit 0 stands for `last_executed + 1`).
    pub pre_prepared: SlotSet,
    /// Numbers prepared at the sender.
    pub prepared: SlotSet,
    /// Numbers committed at the sender.
    pub committed: SlotSet,
    /// Replicas whose VIEW-CHANGE for `view` the sender holds (bit = replica), when not active.
    pub view_changes: SlotSet,
    /// The highest view whose NEW-VIEW the sender holds and found justified; 0 if none.
    pub new_view: View,
    /// Digests of batches the sender knows to be chosen and does not have.
    pub missing: Vec<Digest>,
}
