//! Scenario files: a cluster, its work and what happens to it, as text (see `docs/scenarios.md`).
//!
//! What a file says is checked whole before anything runs, and an error names the line and what
//! would be allowed there.

mod build;
mod events;
mod expectation;
mod format;
mod places;
mod real;
mod shapes;
mod span;
mod write;

pub(crate) use expectation::properties;
pub use format::VerdictName;
pub(crate) use write::time;
pub use write::{processor, write};

use crate::report::wording::rounded;
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
        check_head(text).map_err(|(at, message)| error(at, message))?;
        shapes::check(text).map_err(|(at, message)| error(at, message))?;
        let parsed: File = toml::from_str(text).map_err(|e| {
            let at = At(e.span().map_or(0, |span| span.start));
            error(at, shapes::explained(text, at, e.message()))
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
            miss(format!("expected verdict {}, found {}", expect.verdict.name(), verdict.name()));
        }
        if let (Some(expected), Verdict::Violation(violation)) =
            (&expect.property, &outcome.verdict)
            && expected != violation.property
        {
            let found = violation.property;
            miss(format!("expected a violation of '{expected}', found one of '{found}'"));
        }
        let view = outcome.counts.view.get();
        if let Some(expected) = expect.view.filter(|expected| *expected != view) {
            miss(format!("expected view {expected} at the end, found {view}"));
        }
        if let Some(least) = expect.view_at_least.filter(|least| view < *least) {
            miss(format!("expected view {least} or a higher one at the end, found {view}"));
        }
        if let Some(most) = expect.view_at_most.filter(|most| view > *most) {
            miss(format!("expected view {most} or a lower one at the end, found {view}"));
        }
        let of = |proved: bool| -> BTreeSet<ReplicaId> {
            let culprits = outcome.culprits.iter().filter(|culprit| culprit.proved == proved);
            culprits.map(|culprit| culprit.replica).collect()
        };
        if let Some(expected) = expect.proved.as_ref().filter(|expected| **expected != of(true)) {
            let (expected, found) = (listed(expected), listed(&of(true)));
            miss(format!("expected {expected} to be proved to have lied, found {found}"));
        }
        let suspected = of(false);
        if let Some(expected) = expect.suspected.as_ref().filter(|e| !e.is_subset(&suspected)) {
            let (expected, found) = (listed(expected), listed(&suspected));
            miss(format!("expected {expected} to be suspected, found {found}"));
        }
        let stopped: BTreeSet<ReplicaId> = outcome.counts.stopped.keys().copied().collect();
        if let Some(expected) = expect.stopped.as_ref().filter(|expected| **expected != stopped) {
            let (expected, found) = (listed(expected), listed(&stopped));
            miss(format!("expected {expected} to stop of themselves, found {found}"));
        }
        let happened = |event: &String| outcome.counts.events.contains_key(event.as_str());
        for event in expect.happens.iter().filter(|event| !happened(event)) {
            miss(format!("expected '{event}' to happen, found it nowhere"));
        }
        for event in expect.never.iter().filter(|event| happened(event)) {
            miss(format!("expected '{event}' never to happen, found that it did"));
        }
        let slowest = outcome.counts.pace.slowest();
        if let Some(within) = expect.answered_within.filter(|within| slowest > *within) {
            let (within, slowest) = (within.as_secs_f64(), slowest.as_secs_f64());
            miss(format!("expected every answer within {within} s, found one after {slowest} s"));
        }
        let found = outcome.messages.per_request_with_self;
        if let Some(expected) = expect.messages_per_request.filter(|it| found != *it as f64) {
            let found = rounded(found);
            miss(format!("expected {expected} messages for each request, found {found}"));
        }
        misses
    }
}

/// Replicas in words.
fn listed(replicas: &BTreeSet<ReplicaId>) -> String {
    match replicas.len() {
        0 => "no replica".to_owned(),
        _ => {
            let ids: Vec<String> = replicas.iter().map(ToString::to_string).collect();
            format!("replicas {}", ids.join(", "))
        }
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

/// Looks at what every file must have, before anything else: the reader is told of all of it that is
/// missing at once. A newer format may have keys that are unknown here, and then the reader is told
/// about the format, not about the first such key.
fn check_head(text: &str) -> Result<(), (At, String)> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: Option<toml::Spanned<i64>>,
        title: Option<toml::Value>,
        start: Option<toml::Value>,
    }
    // What cannot be read as this is told of with its place when the whole file is read.
    let Ok(Head { format, title, start }) = toml::from_str(text) else { return Ok(()) };
    if let Some(format) = &format
        && !(1..=i64::from(FORMAT)).contains(format.get_ref())
    {
        let message = format!(
            "format {} is not understood by this version, which reads format {FORMAT}",
            format.get_ref()
        );
        return Err((format::at(format), message));
    }
    let keys =
        [("format", format.is_some()), ("title", title.is_some()), ("[[start]]", start.is_some())];
    let missing: Vec<&str> =
        keys.iter().filter(|(_, is_there)| !is_there).map(|(key, _)| *key).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} missing: a scenario begins with the lines format = {FORMAT} and title = \"…\", and has a \
         [[start]] with the replicas",
        missing.join(" and ")
    );
    Err((At(0), message))
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl core::error::Error for ScenarioError {}
