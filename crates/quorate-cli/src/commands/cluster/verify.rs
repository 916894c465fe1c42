//! `quorate verify`: what a piece of evidence proves, with nothing but the public file.

use crate::args::cluster::Verify;
use crate::failure::Negative;
use crate::render;
use anyhow::Result;
use pbft::Conviction;
use quorate_node::cluster::Cluster;
use quorate_node::node::evidence::read_evidence;
use serde_json::json;

pub(super) fn run(args: &Verify) -> Result<()> {
    let cluster = Cluster::load(&args.cluster)?;
    let evidence = read_evidence(&args.file)?;
    let Some(Conviction { replica, view, lie }) = evidence.verify(&cluster.config) else {
        let (file, cluster) = (args.file.display(), args.cluster.display());
        return Err(Negative(format!("{file} proves nothing about a member of {cluster}")).into());
    };
    if args.json {
        let object = json!({ "replica": replica.get(), "view": view.get(), "lie": lie });
        return render::line(format_args!("{object}"));
    }
    render::line(format_args!("replica {replica} lied in view {view}: it signed {lie}"))
}
