//! `quorate lab shrink`: a failing scenario without everything it fails without.

use super::load;
use crate::args::lab::Shrink;
use crate::render;
use anyhow::{Context, Result};
use quorate_lab::scenario;
use quorate_lab::shrink;
use std::path::Path;

pub(super) fn run(args: &Shrink) -> Result<()> {
    let scenario = load(&args.file)?;
    let mut tries = 0;
    let smaller = shrink::shrink(&scenario, &mut |left| {
        tries += 1;
        if tries % 100 == 0 {
            render::note(format_args!("{tries} runs, {left} parts left"));
        }
    })
    .with_context(|| format!("{} passes: there is nothing to shrink", args.file.display()))?;
    let name = || format!("{}.min.toml", super::stem(&args.file));
    let out = args.out.clone().unwrap_or_else(|| Path::new("lab-reports").join(name()));
    let writing = || format!("cannot write {}", out.display());
    std::fs::create_dir_all(out.parent().unwrap_or(Path::new(""))).with_context(writing)?;
    std::fs::write(&out, scenario::write(&smaller)).with_context(writing)?;
    render::line(format_args!(
        "{}: {} events, {} operations of {} clients, after {tries} runs",
        out.display(),
        smaller.options.timeline.len(),
        smaller.options.workload.operations,
        smaller.options.workload.clients
    ))
}
