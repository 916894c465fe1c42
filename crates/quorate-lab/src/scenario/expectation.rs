//! What a run must come to, checked.

use super::Expectation;
use super::build::Refused;
use super::events::ids;
use super::format::{Expect, at as place};
use super::span::Time;
use crate::checker::{Checkers, LINEARIZABILITY, ONLY_THE_FAULTY_ARE_CONVICTED, OWN_INVARIANTS};
use crate::trace::EVENT_NAMES;
use crate::world::Options;
use pbft::ReplicaId;
use std::collections::BTreeSet;
use toml::Spanned;

/// All properties that a run is judged by: those of its checkers, and those that need none.
pub(crate) fn properties(checkers: &Checkers) -> Vec<&'static str> {
    let mut all = checkers.properties();
    all.extend([ONLY_THE_FAULTY_ARE_CONVICTED, OWN_INVARIANTS, LINEARIZABILITY]);
    all
}

pub(super) fn expectation(expect: &Expect, options: &Options) -> Result<Expectation, Refused> {
    let set = |list: &Option<Spanned<Vec<u32>>>| -> Result<Option<BTreeSet<ReplicaId>>, Refused> {
        let Some(list) = list else { return Ok(None) };
        let ids = ids(list.get_ref(), place(list), options.replica_count)?;
        Ok(Some(ids.into_iter().collect()))
    };
    if let Some(property) = &expect.property {
        let known = properties(&Checkers::of_a_world(options));
        refuse_unknown(property, "property", &known)?;
    }
    Ok(Expectation {
        verdict: expect.verdict,
        property: expect.property.as_ref().map(|name| name.get_ref().clone()),
        view: expect.view,
        view_at_least: expect.view_at_least,
        view_at_most: expect.view_at_most,
        proved: set(&expect.proved)?,
        suspected: set(&expect.suspected)?,
        stopped: set(&expect.stopped)?,
        happens: event_names(&expect.happens)?,
        never: event_names(&expect.never)?,
        answered_within: expect.answered_within.map(|Time(span)| span),
        messages_per_request: expect.messages_per_request,
    })
}

/// Names of events, all of which must be known.
fn event_names(names: &[Spanned<String>]) -> Result<BTreeSet<String>, Refused> {
    names.iter().try_for_each(|name| refuse_unknown(name, "event", &EVENT_NAMES))?;
    Ok(names.iter().map(|name| name.get_ref().clone()).collect())
}

fn refuse_unknown(name: &Spanned<String>, what: &str, known: &[&str]) -> Result<(), Refused> {
    if known.contains(&name.get_ref().as_str()) {
        return Ok(());
    }
    let (written, names) = (name.get_ref(), known.join(", "));
    Err((place(name), format!("no {what} is called '{written}': it is one of {names}")))
}
