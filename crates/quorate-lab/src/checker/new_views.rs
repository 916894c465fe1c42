//! A NEW-VIEW of a correct primary starts and chooses what follows from the VIEW-CHANGEs that it
//! names, decided once more.

use super::{Checker, Observation};
use crate::report::wording::choices;
use crate::restated::{Thresholds, decide};
use pbft::message::{NewViewProof, ViewChange};
use pbft::{Message, ReplicaId, View};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct NewViews {
    thresholds: Thresholds,
    log_window: u64,
    /// It goes to everybody, and is judged once.
    judged: BTreeSet<(ReplicaId, View)>,
}

impl NewViews {
    pub(super) fn new(replica_count: u32, log_window: u64) -> Self {
        let thresholds = Thresholds::of(replica_count as usize);
        Self { thresholds, log_window, judged: BTreeSet::new() }
    }

    fn judge(&self, proof: &NewViewProof) -> Result<(), String> {
        let used: Vec<&ViewChange> = proof.view_changes.iter().map(|vc| &vc.body).collect();
        let body = &proof.new_view.body;
        let decided = decide(self.thresholds, &used, self.log_window);
        if decided
            .as_ref()
            .is_some_and(|(start, chosen)| *start == body.checkpoint && *chosen == body.chosen)
        {
            return Ok(());
        }
        let who: Vec<String> = used.iter().map(|vc| vc.replica.to_string()).collect();
        let what = decided.map_or("leave it open".to_owned(), |(start, chosen)| {
            format!("start it at {} and choose {}", start.0, choices(&chosen))
        });
        Err(format!(
            "the NEW-VIEW of view {} starts at {} and chooses {}, but the VIEW-CHANGEs of replicas {} \
             {what}",
            body.view,
            body.checkpoint.0,
            choices(&body.chosen),
            who.join(", ")
        ))
    }
}

impl Checker for NewViews {
    fn property(&self) -> &'static str {
        "a new view follows from its VIEW-CHANGEs"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Sent { from, message: Message::NewView(proof), .. }
                if proof.new_view.signer == *from
                    && self.judged.insert((*from, proof.new_view.body.view)) =>
            {
                self.judge(proof)
            }
            _ => Ok(()),
        }
    }
}
