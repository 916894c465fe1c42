//! `quorate gateway`: the etcd interface in front of the cluster, for programs on this machine.

use crate::args::Gateway as Args;
use crate::render;
use crate::services::STORE;
use anyhow::{Result, bail};
use pbft::ReplyRule;
use quorate_gateway::{Config, Exposure, Gateway, Members, Submitter};
use quorate_net::Client;
use quorate_node::home::Home;

pub(super) fn run(args: Args) -> Result<()> {
    let home = Home::new(&args.dir);
    if let Some(fingerprint) = args.confirm {
        home.confirm(fingerprint)?;
    }
    let membership = home.membership()?;
    let mut settings = home.client_settings(&membership)?;
    let cluster = &membership.cluster;
    if args.believe_weak_quorum {
        if !cluster.lab {
            bail!("--believe-weak-quorum is for laboratories, and this cluster is none");
        }
        settings.parameters.reply_rule = ReplyRule::WeakUnlessTentative;
    }
    let addresses = cluster.replicas.iter().map(|replica| replica.address.clone()).collect();
    let members = Members::new(&cluster.config.domain.cluster, settings.id, addresses);
    let exposure = if args.expose { Exposure::Network } else { Exposure::Loopback };
    let config = Config { exposure, ..Config::loopback(args.listen) };
    super::runtime()?.block_on(async {
        let bound = Gateway::bind(config).await?;
        let client = Client::start(settings)?;
        render::line(format_args!("gateway listens on {}", bound.local_addr()))?;
        let submitter = Submitter::cluster(client.clone(), STORE);
        let stop = async {
            if let Err(error) = super::told_to_stop(args.tied).await {
                tracing::error!(%error, "cannot wait for signals");
            }
        };
        let served = bound.serve(members, submitter, stop).await;
        client.close().await;
        Ok(served?)
    })
}
