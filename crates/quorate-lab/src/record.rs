//! What a replica on real links writes down of itself, so that a run of processes is counted and
//! judged as a simulated one is.
//!
//! A record is a sequence of entries, each with its length before it. A process that is killed
//! leaves the last one torn; that one had no effect yet.

use crate::trace::Party;
use borsh::{BorshDeserialize, BorshSerialize};
use pbft::message::Kind;
use pbft::{ClientId, Digest, Event, Message, Reject, SeqNum};

/// Something that happened, and when: in microseconds of the machine's monotonic clock, which all
/// its processes share.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Entry {
    /// When.
    pub at: u64,
    /// What.
    pub what: What,
}

/// Something that happened at a replica.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum What {
    /// A frame arrived.
    Arrived {
        /// From whom.
        from: Party,
        /// The frame.
        frame: Vec<u8>,
        /// What became of it.
        fate: Arrival,
    },
    /// The replica sent a message; its adversary may have changed it.
    Sent {
        /// To whom; `None` for every other replica.
        to: Option<Party>,
        /// What.
        message: Box<Message>,
    },
    /// A frame went to a link.
    Left {
        /// To whom.
        to: Party,
        /// What kind of message it is, if it is one.
        kind: Option<Kind>,
        /// What tells it from others; see [`mark`].
        mark: u64,
        /// How much later it was to go, in microseconds: an adversary held it back.
        after: u64,
    },
    /// Something happened to the replica.
    Happened(Event),
    /// The workload's service executed an operation.
    Executed {
        /// How often its state was replaced before.
        generation: u64,
        /// In the batch with this number.
        seq: SeqNum,
        /// Who asked.
        client: ClientId,
        /// What.
        operation: Vec<u8>,
    },
    /// What that service executed in batches from this number on was undone, or counts no longer
    /// since its state was replaced.
    Undone(SeqNum),
}

/// What became of a frame that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Arrival {
    /// The replica handled the message.
    Handled,
    /// The message was not believed, or came in vain.
    Refused(Reject),
    /// The replica's adversary looked at nothing.
    Discarded,
}

/// The bytes are no record, or another version of the program wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no record of a replica, or one of another version")]
pub struct NotARecord;

/// Tells a frame from others, at both ends of its way.
pub fn mark(frame: &[u8]) -> u64 {
    let digest = Digest::of("quorate lab 1 frame", &[frame]);
    let bytes = digest.as_bytes().iter().take(8);
    bytes.fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}

/// The number of bytes in which an entry's length is written.
const LENGTH_BYTES: usize = 4;

impl Entry {
    /// The entry as it is written.
    pub fn encode(&self) -> Vec<u8> {
        let body = borsh::to_vec(self).expect("a bounded value always encodes into memory");
        let length =
            u32::try_from(body.len()).expect("an entry holds one frame, and those are short");
        [length.to_le_bytes().as_slice(), &body].concat()
    }

    /// Takes all whole entries from the beginning of `bytes`; what is left is the beginning of the
    /// next one.
    ///
    /// # Errors
    /// If the bytes are no record.
    pub fn take_all(bytes: &mut Vec<u8>) -> Result<Vec<Self>, NotARecord> {
        let mut entries = Vec::new();
        let mut taken = 0;
        while let Some((length, rest)) = bytes[taken..].split_first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some(body) = rest.get(..length) else { break };
            entries.push(borsh::from_slice(body).map_err(|_| NotARecord)?);
            taken += LENGTH_BYTES + length;
        }
        bytes.drain(..taken);
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written_and_a_torn_one_waits_for_its_rest() {
        let entry = |at| Entry { at, what: What::Happened(Event::Admitted) };
        let written = [entry(1).encode(), entry(2).encode()].concat();
        for end in 0..written.len() {
            let mut bytes = written[..end].to_vec();
            let mut read = Entry::take_all(&mut bytes).expect("it is a record");
            bytes.extend(&written[end..]);
            read.extend(Entry::take_all(&mut bytes).expect("it is a record"));
            assert_eq!(read, [entry(1), entry(2)]);
            assert!(bytes.is_empty());
        }
    }
}
