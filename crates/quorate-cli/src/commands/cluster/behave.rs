//! `quorate break` and `quorate heal`: how a replica of a laboratory behaves.

use crate::args::cluster::{Break, Heal};
use crate::render;
use anyhow::{Context, Result, bail};
use quorate_node::admin::{self, Request, Response};
use std::path::Path;
use std::time::Duration;

/// How long a replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn make_faulty(args: &Break) -> Result<()> {
    let for_ms = args.span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    let behaviour = args.behaviour.to_string();
    tell(&args.dir, args.id, &Request::Break { behaviour: behaviour.clone(), for_ms, seed: 0 })?;
    let until = args.span.map_or_else(String::new, |span| format!(" for {span:?}"));
    render::note(format_args!("replica {} now behaves as {behaviour}{until}", args.id));
    Ok(())
}

pub(super) fn heal(args: &Heal) -> Result<()> {
    tell(&args.dir, args.id, &Request::Heal {})?;
    render::note(format_args!("replica {} behaves well", args.id));
    Ok(())
}

/// Tells a replica of a local cluster how to behave.
pub(crate) fn tell(dir: &Path, id: u32, request: &Request) -> Result<()> {
    let local = super::open_cluster(dir)?;
    let home = local.replica_homes().nth(id as usize);
    let home = home.with_context(|| {
        let count = local.cluster.config.replica_count();
        format!("there is no replica {id}: this cluster has replicas 0 to {}", count - 1)
    })?;
    match admin::ask(&home.admin_path(), request, PATIENCE)? {
        Response::Done {} => Ok(()),
        Response::Refused { reason } => bail!("replica {id}: {reason}"),
        Response::Status(_) | Response::Counters { .. } => {
            bail!("replica {id} answered something else than was asked")
        }
    }
}
