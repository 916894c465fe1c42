//! `quorate lab replay` of a recording: the inputs of a real replica once more.

use crate::args::lab::Replay;
use crate::failure::Shown;
use crate::{render, services};
use anyhow::{Context, Result};
use quorate_lab::replay::{Replayed, replay};
use quorate_node::home::Home;
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

pub(super) fn run(recording: BufReader<File>, args: &Replay) -> Result<()> {
    let dir = args.dir.as_ref().context(
        "a replica signs what it sends, so its keys are needed: say --dir and the folder of the \
         replica that made the recording",
    )?;
    let home = Home::new(dir);
    let membership = home.membership()?;
    let id = home.replica(&membership)?;
    let key = membership.signing_key();
    let replayed = replay(recording, &membership.cluster.config, id, key, services::all())
        .with_context(|| format!("cannot replay {}", args.path.display()))?;
    let verdict = Verdict::of(&args.path, id.get(), &replayed);
    if args.json {
        render::line(format_args!("{}", serde_json::to_string(&verdict)?))?;
    } else {
        show(&verdict, &replayed)?;
    }
    if replayed.divergence.is_some() { Err(Shown.into()) } else { Ok(()) }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Verdict<'a> {
    recording: String,
    replica: u32,
    verdict: &'static str,
    records_recovered: usize,
    started_at: u64,
    inputs: u64,
    outputs_compared: u64,
    checkpoints_compared: u64,
    view: u64,
    last_executed: u64,
    cut: bool,
    divergence: Option<Sides<'a>>,
}

#[derive(Serialize)]
struct Sides<'a> {
    input: u64,
    what: &'a str,
    recorded: &'a str,
    replayed: &'a str,
}

impl<'a> Verdict<'a> {
    fn of(path: &Path, replica: u32, replayed: &'a Replayed) -> Self {
        let divergence = replayed.divergence.as_ref().map(|found| Sides {
            input: found.input,
            what: &found.what,
            recorded: &found.recorded,
            replayed: &found.replayed,
        });
        Self {
            recording: path.display().to_string(),
            replica,
            verdict: match (&divergence, replayed.is_cut) {
                (Some(_), _) => "diverged",
                (None, true) => "identical up to the cut",
                (None, false) => "identical",
            },
            records_recovered: replayed.records_recovered,
            started_at: replayed.started_at.get(),
            inputs: replayed.inputs,
            outputs_compared: replayed.outputs_compared,
            checkpoints_compared: replayed.checkpoints_compared,
            view: replayed.view.get(),
            last_executed: replayed.last_executed.get(),
            cut: replayed.is_cut,
            divergence,
        }
    }
}

fn show(verdict: &Verdict<'_>, replayed: &Replayed) -> Result<()> {
    let Verdict { started_at, records_recovered, view, last_executed, .. } = verdict;
    let rows = [
        ("replica", verdict.replica.to_string()),
        ("started from", format!("checkpoint {started_at} and {records_recovered} records")),
        ("ended", format!("in view {view}, {last_executed} executed")),
        ("inputs", verdict.inputs.to_string()),
        ("outputs compared", verdict.outputs_compared.to_string()),
        ("checkpoints compared", verdict.checkpoints_compared.to_string()),
    ];
    for (name, value) in rows {
        render::line(format_args!("{name:25}  {value}"))?;
    }
    let said = match &replayed.divergence {
        Some(found) => format!("diverged at {found}"),
        None if replayed.is_cut => {
            format!("identical up to input {}, where the recording was cut", replayed.inputs)
        }
        None => "identical".to_owned(),
    };
    render::line(format_args!("{}", render::verdict(verdict.divergence.is_none(), &said)))
}
