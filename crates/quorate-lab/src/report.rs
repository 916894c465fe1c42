//! What a run leaves behind: one JSON object, and one page for people.

mod checked;
mod html;
mod reading;
mod story;
mod terminal;
pub mod wording;

pub use html::page;
pub use terminal::diagram;

use crate::answers::Answers;
use crate::counts::MessageCounts;
use crate::scenario::{Scenario, processor, verdict_name};
use crate::trace::Line;
use crate::world::{Fault, Options, Outcome, Processor, Verdict};
use pbft::{Evidence, ReplicaId};
use serde::Serialize;
use std::collections::BTreeMap;
use wording::rounded;

/// The machine-readable outcome of a run. Its format is stable: fields are only added.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The scenario's title.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// `pass`, `no_progress` or `violation`.
    pub verdict: &'static str,
    /// The property that does not hold, or where everybody stood when progress stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// What the run did not do as the scenario says it must.
    pub misses: Vec<String>,
    /// A hash of everything that happened, in hexadecimal; none of a run on processes, which never
    /// repeats.
    pub trace_hash: Option<String>,
    /// How long the run took in virtual time; none of a run on processes.
    pub virtual_seconds: Option<f64>,
    /// How long a run on processes took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_seconds: Option<f64>,
    /// By how much a run on processes stretched the times of its scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_scale: Option<f64>,
    /// What machines take time for, as the scenario's section `[processor]`; none if they take none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Messages, counted where they were handled.
    pub counts: MessageCounts,
    /// Operations answered in a second, from the first call to the last answer.
    pub operations_per_second: Option<f64>,
    /// How long the answer to an operation took, in the median.
    pub median_latency_seconds: Option<f64>,
    /// The processor time of all replicas together, in seconds.
    pub processor_seconds: f64,
    /// That of the clients.
    pub client_processor_seconds: f64,
    /// Requests completed, each counted once.
    pub requests_completed: u64,
    /// Operations completed: a request may carry several.
    pub operations_completed: u64,
    /// View changes that led to a new view.
    pub view_changes: u64,
    /// The view in which the cluster ended.
    pub final_view: u64,
    /// Who is proved, or suspected, to have done wrong.
    pub culprits: Vec<CulpritSummary>,
    /// The folder with everything about the run.
    pub report: String,
    /// What the clients called and got; for people only.
    #[serde(skip)]
    pub answers: Answers,
    /// What a reader may not expect of a run like this; for people only.
    #[serde(skip)]
    pub remarks: Vec<String>,
    /// The sequence diagram in plain text; for people only.
    #[serde(skip)]
    pub diagram: Option<String>,
}

/// A replica that did wrong, or seems to have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CulpritSummary {
    /// Which replica.
    pub replica: u32,
    /// What it did.
    pub evidence: String,
    /// Whether its own signatures prove it.
    pub proved: bool,
}

/// The bytes in which evidence is kept, the same as on the wire.
pub fn evidence(evidence: &Evidence) -> Vec<u8> {
    borsh::to_vec(evidence).expect("a bounded value always encodes into memory")
}

impl Summary {
    /// The outcome of a run of this scenario, whose report is in the folder `report`.
    pub fn new(scenario: &Scenario, outcome: &Outcome, report: &str) -> Self {
        let explanation = match &outcome.verdict {
            Verdict::Pass => None,
            Verdict::NoProgress(what) => Some(what.clone()),
            Verdict::Violation(violation) => Some(violation.to_string()),
        };
        Self {
            scenario: scenario.title.clone(),
            seed: scenario.seed.get(),
            verdict: verdict_name(&outcome.verdict).name(),
            explanation,
            misses: scenario.misses(outcome),
            trace_hash: Some(format!("{:016x}", outcome.trace_hash)),
            virtual_seconds: Some(seconds(outcome)),
            real_seconds: None,
            time_scale: None,
            processor: scenario.options.processor.as_ref().map(costs),
            counts: outcome.messages.clone(),
            operations_per_second: outcome.counts.pace.operations_per_second(),
            median_latency_seconds: outcome.counts.pace.median().map(|span| span.as_secs_f64()),
            processor_seconds: outcome.counts.worked.replicas.as_secs_f64(),
            client_processor_seconds: outcome.counts.worked.clients.as_secs_f64(),
            requests_completed: outcome.counts.requests,
            operations_completed: outcome.counts.operations,
            view_changes: outcome.counts.views_entered,
            final_view: outcome.counts.view.get(),
            culprits: outcome
                .culprits
                .iter()
                .map(|culprit| CulpritSummary {
                    replica: culprit.replica.get(),
                    evidence: culprit.what.clone(),
                    proved: culprit.proved,
                })
                .collect(),
            report: report.to_owned(),
            answers: Answers::default(),
            remarks: Vec::new(),
            diagram: None,
        }
    }

    /// The outcome of a run of this scenario on processes, whose report is in the folder `report`.
    pub fn of_processes(
        scenario: &Scenario,
        outcome: &Outcome,
        report: &str,
        time_scale: f64,
    ) -> Self {
        Self {
            trace_hash: None,
            virtual_seconds: None,
            real_seconds: Some(seconds(outcome)),
            time_scale: Some(time_scale),
            ..Self::new(scenario, outcome, report)
        }
    }

    /// The same with what the clients of the run called and got.
    #[must_use]
    pub fn with_answers(self, scenario: &Scenario, answers: Answers) -> Self {
        Self { remarks: late(&scenario.options, &answers), answers, ..self }
    }

    /// The same with the diagram of what happened, as far as these lines tell.
    #[must_use]
    pub fn with_diagram(self, scenario: &Scenario, lines: &[Line]) -> Self {
        let diagram = diagram(scenario.options.replica_count, &self, lines);
        Self { diagram, ..self }
    }

    /// How long the run took, in its own time.
    pub fn seconds(&self) -> f64 {
        self.virtual_seconds.or(self.real_seconds).unwrap_or_default()
    }

    /// How long the run took, in words.
    pub fn took(&self) -> String {
        let kind = if self.virtual_seconds.is_some() { "virtual" } else { "real" };
        format!("{:.6} s of {kind} time", self.seconds())
    }
}

/// The counts of a run with their names, for tables.
pub fn count_rows(counts: &MessageCounts) -> [(&'static str, u64); 12] {
    [
        ("PRE-PREPARE", counts.pre_prepare),
        ("PREPARE", counts.prepare),
        ("COMMIT", counts.commit),
        ("REPLY", counts.reply),
        ("the four phases together", counts.total),
        ("and with each replica's own", counts.total_with_self),
        ("CHECKPOINT", counts.checkpoint),
        ("VIEW-CHANGE", counts.view_change),
        ("NEW-VIEW", counts.new_view),
        ("STATUS", counts.status),
        ("state transfer", counts.state_transfer),
        ("other: HELLO, REQUEST, repair, sessions", counts.other),
    ]
}

/// The costs in one line.
fn costs(costs: &Processor) -> String {
    processor(costs).trim_end().replace('\n', ", ").replace('"', "")
}

/// Who started when every request had been answered.
fn late(options: &Options, answers: &Answers) -> Vec<String> {
    let Some(last) = answers.last_reply() else { return Vec::new() };
    let starts = options.timeline.iter().filter_map(|(at, fault)| match fault {
        Fault::Restart(id) if options.late.contains(id) => Some((*id, at.as_secs_f64())),
        _ => None,
    });
    // Of the starts of one replica the first counts, and the timeline is in order.
    let mut first = BTreeMap::new();
    starts.for_each(|(id, at)| {
        first.entry(id).or_insert(at);
    });
    let remark = |(id, at): (ReplicaId, f64)| {
        let (at, last) = (rounded(at), rounded(last));
        format!(
            "replica {id} started at {at} s, after the last reply, at {last} s, and had no part in \
             it: raise workload.operations or workload.begins_at"
        )
    };
    first.into_iter().filter(|(_, at)| *at > last).map(remark).collect()
}

fn seconds(outcome: &Outcome) -> f64 {
    outcome.ended.as_micros() as f64 / 1e6
}
