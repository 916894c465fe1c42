//! What the clients of a run on processes record.

use pbft::ReplicaId;

/// Something that a client saw or did, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEntry {
    /// When: in microseconds of the machine's monotonic clock.
    pub at: u64,
    /// Which client.
    pub client: u32,
    /// What.
    pub saw: ClientSaw,
}

/// Something that a client saw or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientSaw {
    /// A frame of a replica arrived, wanted or not.
    Reply {
        /// Of which replica.
        from: ReplicaId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// It called an operation.
    Called {
        /// Which operation of the run, from 0.
        operation: usize,
        /// On which key, and what.
        what: String,
    },
    /// It accepted an answer.
    Answered {
        /// Which operation of the run, from 0.
        operation: usize,
        /// The operation as it was ordered.
        bytes: Vec<u8>,
        /// Its result.
        result: Vec<u8>,
    },
}
