//! When a primary had proposed as far as it may and had to wait for a stable checkpoint.

use super::{Reading, replica};
use pbft::{Parameters, SeqNum};

impl Reading<'_> {
    /// From when until when the primaries had no number left that they may propose before the next
    /// stable checkpoint.
    pub(in crate::report) fn full_windows(&self, parameters: &Parameters) -> Vec<(u64, u64)> {
        let is_last = |low, seq| parameters.proposal_limit(SeqNum::new(low)).get() == seq;
        let mut waits = Vec::new();
        for period in &self.periods {
            let primary = self.primary(period.view);
            let (mut low, mut full_since) = (0, None);
            for event in self.events.iter().filter(|event| replica(event.replica) == Some(primary))
            {
                let Some(seq) = event.seq else { continue };
                match event.event {
                    "pre-prepared" if event.view == Some(period.view) && is_last(low, seq) => {
                        full_since = Some(event.at);
                    }
                    "checkpoint stable" if seq > low => {
                        low = seq;
                        waits.extend(full_since.take().map(|since| (since, event.at)));
                    }
                    _ => {}
                }
            }
        }
        waits
    }
}
