//! Scenario files: a cluster, its work and what happens to it, as text (see `docs/scenarios.md`).
//!
//! What a file says is checked whole before anything runs, and an error names the line and what
//! would be allowed there.

mod build;
mod events;
mod format;
mod places;
mod real;
mod span;
mod write;

pub use format::VerdictName;
pub(crate) use write::time;
pub use write::{processor, write};

use crate::rng::Seed;
use crate::world::{Options, Outcome, Verdict};
use core::fmt;
use core::time::Duration;
use format::File;
use pbft::ReplicaId;
use span::At;
use std::collections::BTreeSet;

/// The newest format of scenario files that is understood here.
pub const FORMAT: u32 = 1;

/// A scenario, ready to run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about, in a few words.
    pub title: String,
    /// More about it.
    pub about: String,
    /// Its seed.
    pub seed: Seed,
    /// The kind of each replica, as the file spells it.
    pub kinds: Vec<String>,
    /// Whether more than f replicas may be faulty.
    pub beyond_budget: bool,
    /// The world.
    pub options: Options,
    /// What the run must come to.
    pub expect: Expectation,
    /// The file's text.
    pub text: String,
}

/// What a run must come to; what is absent is not looked at.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// How the run ends.
    pub verdict: VerdictName,
    /// Which property a violation is of.
    pub property: Option<String>,
    /// The view in which the cluster ends.
    pub view: Option<u64>,
    /// The lowest view in which it may end.
    pub view_at_least: Option<u64>,
    /// The highest view in which it may end.
    pub view_at_most: Option<u64>,
    /// Exactly these replicas are proved to have lied.
    pub proved: Option<BTreeSet<ReplicaId>>,
    /// At least these replicas are suspected.
    pub suspected: Option<BTreeSet<ReplicaId>>,
    /// Exactly these replicas stop of themselves.
    pub stopped: Option<BTreeSet<ReplicaId>>,
    /// Events, by their names in traces, that happen at some replica.
    pub happens: BTreeSet<String>,
    /// Events that happen nowhere.
    pub never: BTreeSet<String>,
    /// No operation takes longer from its call to its answer.
    pub answered_within: Option<Duration>,
    /// Messages of agreement for each request, self-deliveries counted.
    pub messages_per_request: Option<u64>,
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Scenario {
    /// Reads the text of a scenario file. `file` is its name in errors.
    ///
    /// # Errors
    /// Says in which line the file is wrong, and what is allowed there.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let error = |at: At, message: String| ScenarioError {
            file: file.to_owned(),
            line: at.line(text),
            // A parser's message may have several lines; the reader is promised one.
            message: message.lines().map(str::trim).collect::<Vec<_>>().join("; "),
        };
        refuse_newer_format(text).map_err(|(at, message)| error(at, message))?;
        let parsed: File = toml::from_str(text).map_err(|e| {
            let at = At(e.span().map_or(0, |span| span.start));
            error(at, e.message().to_owned())
        })?;
        build::scenario(&parsed, text).map_err(|(at, message)| error(at, message))
    }
}

impl Scenario {
    /// The same scenario with another seed, in its text too.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Seed::new(seed);
        let is_seed = |line: &str| line.trim_start().starts_with("seed");
        let mut lines: Vec<String> = self.text.lines().map(str::to_owned).collect();
        let head = lines.iter().position(|line| line.trim_start().starts_with('['));
        let head = head.unwrap_or(lines.len());
        match lines.iter().take(head).position(|line| is_seed(line)) {
            Some(index) => lines[index] = format!("seed = {seed}"),
            None => lines.insert(0, format!("seed = {seed}")),
        }
        self.text = lines.join("\n") + "\n";
        self
    }

    /// What the run did not do as the file says it must; empty if it did everything.
    pub fn misses(&self, outcome: &Outcome) -> Vec<String> {
        let expect = &self.expect;
        let mut misses = Vec::new();
        let mut miss = |what: String| misses.push(what);
        let verdict = verdict_name(&outcome.verdict);
        if verdict != expect.verdict {
            miss(format!("the verdict is {}, not {}", verdict.name(), expect.verdict.name()));
        }
        if let (Some(expected), Verdict::Violation(violation)) =
            (&expect.property, &outcome.verdict)
            && expected != violation.property
        {
            miss(format!("the violation is of '{}', not of '{expected}'", violation.property));
        }
        let view = outcome.counts.view.get();
        if expect.view.is_some_and(|expected| expected != view) {
            miss(format!("the cluster ended in view {view}"));
        }
        if expect.view_at_least.is_some_and(|least| view < least)
            || expect.view_at_most.is_some_and(|most| view > most)
        {
            miss(format!("the cluster ended in view {view}"));
        }
        let of = |proved: bool| -> BTreeSet<ReplicaId> {
            let culprits = outcome.culprits.iter().filter(|culprit| culprit.proved == proved);
            culprits.map(|culprit| culprit.replica).collect()
        };
        if expect.proved.as_ref().is_some_and(|proved| *proved != of(true)) {
            miss(format!("proved to have lied are {:?}", of(true)));
        }
        if expect.suspected.as_ref().is_some_and(|named| !named.is_subset(&of(false))) {
            miss(format!("suspected are {:?}", of(false)));
        }
        let stopped: BTreeSet<ReplicaId> = outcome.counts.stopped.keys().copied().collect();
        if expect.stopped.as_ref().is_some_and(|expected| *expected != stopped) {
            miss(format!("these stopped of themselves: {:?}", outcome.counts.stopped));
        }
        let happened = |event: &String| outcome.counts.events.contains_key(event.as_str());
        for event in expect.happens.iter().filter(|event| !happened(event)) {
            miss(format!("nowhere this happened: {event}"));
        }
        for event in expect.never.iter().filter(|event| happened(event)) {
            miss(format!("this happened: {event}"));
        }
        let slowest = outcome.counts.slowest_answer;
        if expect.answered_within.is_some_and(|within| slowest > within) {
            miss(format!("an operation took {} s", slowest.as_secs_f64()));
        }
        let messages = outcome.messages.per_request_with_self;
        if expect.messages_per_request.is_some_and(|expected| messages != expected as f64) {
            miss(format!("each request took {messages} messages"));
        }
        misses
    }
}

/// A verdict as files and reports spell it.
pub fn verdict_name(verdict: &Verdict) -> VerdictName {
    match verdict {
        Verdict::Pass => VerdictName::Pass,
        Verdict::NoProgress(_) => VerdictName::NoProgress,
        Verdict::Violation(_) => VerdictName::Violation,
    }
}

/// A newer format may have keys that are unknown here: the reader is told about the format, not
/// about the first such key.
fn refuse_newer_format(text: &str) -> Result<(), (At, String)> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: Option<toml::Spanned<i64>>,
    }
    let Ok(Head { format: Some(format) }) = toml::from_str(text) else { return Ok(()) };
    if (1..=i64::from(FORMAT)).contains(format.get_ref()) {
        return Ok(());
    }
    let message = format!(
        "format {} is not understood by this version, which reads format {FORMAT}",
        format.get_ref()
    );
    Err((format::at(&format), message))
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl core::error::Error for ScenarioError {}

/// How long a scenario may take to get all work done after it healed, unless it says otherwise.
const WITHIN: Duration = Duration::from_secs(60);
