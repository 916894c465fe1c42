//! How much a replica holds in memory, in counts that cost next to nothing to take.

use super::Replica;

/// What a replica's core holds. Each count is bounded by the parameters of its cluster, whatever
/// its peers and clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// Numbers in the log.
    pub slots: usize,
    /// Entries of P.
    pub prepared: usize,
    /// Entries of Q.
    pub pre_prepared: usize,
    /// PRE-PREPAREs that wait for the NEW-VIEW of their view.
    pub early_pre_prepares: usize,
    /// PRE-PREPAREs of which only an outline is here.
    pub outlines: usize,
    /// The bytes of the requests in them.
    pub outline_bytes: usize,
    /// How often a backup had to ask for a client's requests lately.
    pub asked_whole: usize,
    /// Signed PRE-PREPAREs kept to compare others with.
    pub signed_pre_prepares: usize,
    /// Bodies of batches.
    pub batches: usize,
    /// The bytes of their requests.
    pub batch_bytes: usize,
    /// Numbers below the low water mark whose batches are kept for others.
    pub past: usize,
    /// The bytes of the requests in those batches.
    pub past_bytes: usize,
    /// Requests that wait to be executed.
    pub waiting_requests: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// VIEW-CHANGEs, for the current view and for later ones.
    pub view_changes: usize,
    /// NEW-VIEWs.
    pub new_views: usize,
    /// CHECKPOINTs of all replicas.
    pub checkpoints: usize,
    /// Checkpoints taken or fetched here.
    pub own_checkpoints: usize,
    /// Proofs of stable checkpoints whose state is not here.
    pub proofs_ahead: usize,
    /// Timestamps of executed requests, hence kept replies, of all clients.
    pub replies: usize,
    /// Lies that were reported.
    pub evidence: usize,
}

impl Replica {
    /// How much it holds now.
    pub fn held(&self) -> Held {
        Held {
            slots: self.slots.len(),
            prepared: self.prepared.len(),
            pre_prepared: self.pre_prepared.len(),
            early_pre_prepares: self.early_pre_prepares.len(),
            outlines: self.outlines.len(),
            outline_bytes: self.outlines.byte_count(),
            asked_whole: self.asked_whole.len(),
            signed_pre_prepares: self.signed_pre_prepares.len(),
            batches: self.batches.len(),
            batch_bytes: self.log_bytes,
            past: self.past.len(),
            past_bytes: self.past.byte_count(),
            waiting_requests: self.requests.len(),
            waiting_bytes: self.requests.byte_count(),
            view_changes: self.view_changes.len() + self.later_view_changes.len(),
            new_views: self.rival_new_views.len() + usize::from(self.new_view.is_some()),
            checkpoints: self.checkpoints.values().map(|signed| signed.len()).sum(),
            own_checkpoints: self.own_checkpoints.len(),
            proofs_ahead: self.proofs_ahead.len(),
            replies: self.clients.values().map(|window| window.executed.len()).sum(),
            evidence: self.evidence.len(),
        }
    }
}
