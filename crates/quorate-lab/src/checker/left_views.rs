//! A correct replica that has left a view by a VIEW-CHANGE sends no PRE-PREPARE, PREPARE or COMMIT
//! in it any more, after a restart neither; but for a COMMIT that its VIEW-CHANGE stands by, because
//! it lists the same in P.

use super::{Checker, Observation};
use pbft::{Digest, Message, ReplicaId, SeqNum, View};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct LeftViews {
    /// The lowest view in which each replica may still vote.
    lowest: BTreeMap<ReplicaId, View>,
    /// What the VIEW-CHANGEs of each replica list in P.
    listed: BTreeSet<(ReplicaId, SeqNum, Digest, View)>,
}

impl Checker for LeftViews {
    fn property(&self) -> &'static str {
        "a view that was left stays left"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Sent { from, message, .. } = observation else { return Ok(()) };
        let lowest = self.lowest.entry(*from).or_default();
        let voted = match message {
            Message::ViewChange(signed) if signed.signer == *from => {
                *lowest = signed.body.new_view.max(*lowest);
                let entries = signed.body.prepared.iter();
                self.listed.extend(entries.map(|e| (*from, e.seq, e.digest, e.view)));
                return Ok(());
            }
            Message::Commit(vote)
                if self.listed.contains(&(*from, vote.seq, vote.digest, vote.view)) =>
            {
                return Ok(());
            }
            Message::PrePrepare(signed, _) | Message::Outline(signed, _)
                if signed.signer == *from =>
            {
                signed.body.view
            }
            Message::Prepare(vote) | Message::Commit(vote) => vote.view,
            _ => return Ok(()),
        };
        if voted >= *lowest {
            return Ok(());
        }
        let kind = message.kind().name();
        Err(format!(
            "replica {from} sent a {kind} in view {voted} after its VIEW-CHANGE for view {lowest}"
        ))
    }
}
