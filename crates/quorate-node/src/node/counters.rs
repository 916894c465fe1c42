//! What a replica counts, and what of its events people see in the log.

use pbft::{Event, Reject, Sender, ViewChangeCause};
use std::collections::BTreeMap;
use std::time::Instant;

/// Counts of what happened at the protocol thread, by name.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Messages dropped, by sender and reason.
    rejected: BTreeMap<(Sender, Reject), u64>,
    named: BTreeMap<&'static str, u64>,
    /// Since when it has been between views *(while it is)*.
    left_at: Option<Instant>,
}

impl Counters {
    pub(super) fn add(&mut self, name: &'static str, amount: u64) {
        *self.named.entry(name).or_default() += amount;
    }

    pub(super) fn get(&self, name: &'static str) -> u64 {
        self.named.get(name).copied().unwrap_or_default()
    }

    pub(super) fn on_rejected(&mut self, sender: Sender, reason: Reject) {
        let count = self.rejected.entry((sender, reason)).or_default();
        *count += 1;
        // The first of a kind is news; a flood of them is a number.
        if *count == 1 {
            tracing::debug!(?sender, ?reason, "message dropped; counted from now on");
        }
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        match event {
            Event::Rejected { from, reason, .. } => {
                self.on_rejected(Sender::Replica(*from), *reason);
            }
            Event::Admitted => tracing::info!("the other replicas let this one in"),
            Event::Executed { requests, .. } => {
                self.add("batches_executed", 1);
                self.add("requests_executed", *requests as u64);
            }
            Event::ExecutedTentatively { .. } => self.add("batches_executed_tentatively", 1),
            Event::RolledBack { seq } => {
                self.add("batches_rolled_back", 1);
                tracing::debug!(%seq, "a batch that was executed tentatively is rolled back");
            }
            Event::CheckpointStable { seq, .. } => {
                self.add("checkpoints_stable", 1);
                tracing::debug!(%seq, "checkpoint stable");
            }
            Event::ViewChangeStarted { view, cause } => {
                self.add("view_changes_started", 1);
                if *cause == ViewChangeCause::SlowPrimary {
                    self.add("slow_primaries_left", 1);
                }
                self.left_at.get_or_insert_with(Instant::now);
                tracing::info!(%view, ?cause, "leaving the lower views");
            }
            Event::ViewEntered { view } => {
                self.add(VIEWS_ENTERED, 1);
                if let Some(left_at) = self.left_at.take() {
                    let took = u64::try_from(left_at.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.named.insert(LAST_VIEW_CHANGE_US, took);
                }
                tracing::info!(%view, "active in view");
            }
            Event::StateTransferStarted { seq } => {
                self.add("state_transfers_started", 1);
                tracing::info!(%seq, "fetching the state from the others");
            }
            Event::StateTransferred { seq } => {
                self.add("state_transfers", 1);
                tracing::info!(%seq, "state fetched and installed");
            }
            Event::RejoinExecuted { replica, incarnation, seq } => {
                self.add("rejoins_executed", 1);
                tracing::info!(%replica, %incarnation, %seq, "a replica without its memory rejoins");
            }
            Event::EvidenceFound { replica, view } => {
                self.add("evidence_found", 1);
                tracing::warn!(%replica, %view, "a replica was caught lying");
            }
            Event::StartNotKnown { peer, seen } => {
                tracing::warn!(
                    %peer,
                    start = seen,
                    "another replica remembers a start of this one that its data folder does not \
                     know: the folder is an old one, or that replica lies"
                );
            }
            Event::Halted(reason) => tracing::error!(%reason, "stopping for good"),
            Event::RequestWaiting { .. }
            | Event::PrePrepared { .. }
            | Event::Prepared { .. }
            | Event::Committed { .. }
            | Event::CheckpointTaken { .. }
            | Event::NewViewTimerStarted { .. } => {}
        }
    }

    /// Everything, under names that say what it is.
    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        let named = self.named.iter().map(|(name, count)| ((*name).to_owned(), *count));
        let rejected = self.rejected.iter().map(|((sender, reason), count)| {
            let sender = match sender {
                Sender::Replica(id) => format!("replica_{id}"),
                Sender::Client(id) => format!("client_{id}"),
            };
            (format!("rejected_{sender}_{reason:?}"), *count)
        });
        named.chain(rejected).collect()
    }
}

/// How long the last change of views took, from leaving one to being active in another, in
/// microseconds.
const LAST_VIEW_CHANGE_US: &str = "last_view_change_us";

/// The name of a counter that the status shows.
pub(super) const VIEWS_ENTERED: &str = "views_entered";
