//! `quorate lab calibrate`: what a replica's work costs here, as sections of a scenario.

use crate::args::lab::Calibrate;
use crate::render;
use anyhow::{Context, Result};
use quorate_lab::calibrate::calibrate;
use quorate_replica::FileBackend;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub(super) fn run(args: &Calibrate) -> Result<()> {
    let folder = tempfile::tempdir_in(&args.disk)
        .with_context(|| format!("cannot write to {}", args.disk.display()))?;
    let disk = FileBackend::create(&folder.path().join("journal"))?;
    let measured = calibrate(since_start, Arc::new(disk))?;
    render::line(format_args!("{}", measured.to_string().trim_end()))
}

fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
