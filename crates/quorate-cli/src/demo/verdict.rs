//! What was observed, judged: nothing here knows what was planned, except that somebody lied.

use super::load::Recorded;
use crate::render;
use anyhow::Result;
use pbft::Conviction;
use quorate_lab::linearizability::{self, Verdict as Linearizability};
use quorate_node::node::evidence::read_evidence;
use quorate_node::setup::LocalCluster;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Everything that was seen from outside.
pub(super) struct Observed {
    pub(super) seed: u64,
    pub(super) recorded: Recorded,
    pub(super) view_changes: u64,
    pub(super) killed: Vec<Killed>,
    pub(super) digests_equal: bool,
    pub(super) durability: String,
    /// Whether somebody had to be killed for the run to prove anything.
    pub(super) must_kill: bool,
}

/// A replica that was killed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Killed {
    pub(super) replica: u32,
    /// How long after its restart it had caught up.
    pub(super) caught_up_ms: Option<u64>,
}

/// A replica that was caught.
#[derive(Clone, Debug, Serialize)]
struct Liar {
    replica: u32,
    behaviour: &'static str,
    /// A file that proves it.
    evidence: PathBuf,
}

/// The judgement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    verdict: &'static str,
    seed: u64,
    operations: usize,
    linearizable: bool,
    view_changes: u64,
    longest_outage_ms: u64,
    liars: Vec<Liar>,
    killed: Vec<Killed>,
    digests_equal: bool,
    durability: String,
    #[serde(skip)]
    operations_unknown: usize,
    #[serde(skip)]
    violation: Option<String>,
}

/// Judges a run.
pub(super) fn judge(local: &LocalCluster, observed: Observed) -> Result<Verdict> {
    let Observed { seed, recorded, view_changes, killed, digests_equal, durability, must_kill } =
        observed;
    let history = &recorded.history;
    let violation = match linearizability::check(history)? {
        Linearizability::Linearizable => None,
        Linearizability::Violation(violation) => Some(violation.to_string()),
    };
    let liars = liars(local)?;
    let operations = history.answered_count();
    let all_back = killed.iter().all(|killed| killed.caught_up_ms.is_some());
    let proved_something = !must_kill || (!killed.is_empty() && !liars.is_empty());
    let is_pass =
        violation.is_none() && digests_equal && all_back && proved_something && operations > 0;
    Ok(Verdict {
        verdict: if is_pass { "pass" } else { "fail" },
        seed,
        operations,
        linearizable: violation.is_none(),
        view_changes,
        longest_outage_ms: recorded.longest_outage.as_millis() as u64,
        liars,
        killed,
        digests_equal,
        durability,
        operations_unknown: history.operations().len() - operations,
        violation,
    })
}

/// Whom the files of evidence convict, checked as `quorate verify` does, with nothing but the
/// cluster's public file. What a liar itself wrote does not count.
fn liars(local: &LocalCluster) -> Result<Vec<Liar>> {
    let mut found: BTreeMap<u32, Liar> = BTreeMap::new();
    for (witness, home) in (0..).zip(local.replica_homes()) {
        let Ok(files) = fs::read_dir(home.evidence_path()) else { continue };
        let mut paths: Vec<PathBuf> =
            files.filter_map(|file| file.ok().map(|file| file.path())).collect();
        paths.sort_unstable();
        for path in paths {
            let Ok(evidence) = read_evidence(&path) else { continue };
            let Some(Conviction { replica, lie, .. }) = evidence.verify(&local.cluster.config)
            else {
                continue;
            };
            let replica = replica.get();
            if replica == witness {
                continue;
            }
            found.entry(replica).or_insert(Liar { replica, behaviour: lie, evidence: path });
        }
    }
    Ok(found.into_values().collect())
}

impl Verdict {
    pub(super) fn is_pass(&self) -> bool {
        self.verdict == "pass"
    }

    /// One table.
    pub(super) fn show(&self) -> Result<()> {
        let yes_no = |is_good: bool| render::verdict(is_good, if is_good { "yes" } else { "no" });
        let mut rows = vec![
            ("operations answered and verified", self.operations.to_string()),
            ("operations of unknown outcome", self.operations_unknown.to_string()),
            ("linearizable", yes_no(self.linearizable)),
            ("view changes", self.view_changes.to_string()),
            ("longest time without service", format!("{} ms", self.longest_outage_ms)),
        ];
        for Liar { replica, behaviour, evidence } in &self.liars {
            let proof = format!("replica {replica}: {behaviour}, {}", evidence.display());
            rows.push(("lied, with proof", proof));
        }
        for Killed { replica, caught_up_ms } in &self.killed {
            let caught_up = match caught_up_ms {
                Some(span) => format!("replica {replica}, caught up {span} ms after its restart"),
                None => format!("replica {replica}, which did not catch up"),
            };
            rows.push(("killed", caught_up));
        }
        rows.push(("state digests equal", yes_no(self.digests_equal)));
        rows.push(("durability", self.durability.clone()));
        rows.push(("verdict", render::verdict(self.is_pass(), self.verdict)));
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        render::table(&["", &format!("seed {}", self.seed)], &rows)?;
        match &self.violation {
            Some(violation) => render::line(format_args!("\nnot linearizable: {violation}")),
            None => Ok(()),
        }
    }
}
