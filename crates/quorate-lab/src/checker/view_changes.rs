//! A VIEW-CHANGE of a correct replica, sent or yet to come, tells what it may tell: P and Q hold at most one entry for
//! each number, inside the window above its low water mark and from views before the new one; and
//! its checkpoints are checkpoints. So its size is bounded however many views fail.

use super::{Checker, Observation};
use pbft::Message;
use pbft::message::{PreparedEntry, ViewChange};

#[derive(Debug)]
pub(super) struct ViewChanges {
    /// K.
    pub(super) checkpoint_period: u64,
    /// L.
    pub(super) log_window: u64,
}

impl Checker for ViewChanges {
    fn property(&self) -> &'static str {
        "VIEW-CHANGEs tell what they may"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let told = match observation {
            Observation::Sent { from, message: Message::ViewChange(signed), .. }
                if signed.signer == *from =>
            {
                &signed.body
            }
            Observation::Remembers { tells: Some(tells), .. } => tells,
            _ => return Ok(()),
        };
        let ViewChange { replica, new_view, .. } = told;
        match self.fault_of(told) {
            None => Ok(()),
            Some(fault) => Err(format!("that of replica {replica} for view {new_view}: {fault}")),
        }
    }
}

impl ViewChanges {
    fn fault_of(&self, body: &ViewChange) -> Option<&'static str> {
        let low = body.low_water_mark.get();
        let is_checkpoint = |seq: u64| seq.is_multiple_of(self.checkpoint_period);
        let entries_fit = |entries: &[PreparedEntry]| {
            let in_window = |entry: &PreparedEntry| {
                let seq = entry.seq.get();
                low < seq && seq - low <= self.log_window && entry.view < body.new_view
            };
            entries.iter().all(in_window) && entries.windows(2).all(|two| two[0].seq < two[1].seq)
        };
        let listed = body.checkpoints.iter().map(|(seq, _)| seq.get());
        let rules = [
            (is_checkpoint(low), "its low water mark is no checkpoint"),
            (entries_fit(&body.prepared), "an entry of P is out of place"),
            (entries_fit(&body.pre_prepared), "an entry of Q is out of place"),
            (listed.clone().all(|seq| seq >= low && is_checkpoint(seq)), "C lists no checkpoint"),
            (listed.clone().next() == Some(low), "C does not begin at the low water mark"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, fault)| fault)
    }
}
