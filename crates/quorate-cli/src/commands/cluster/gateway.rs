//! `quorate gateway`: the etcd interface in front of the cluster, for programs on this machine.

use crate::args::cluster::Gateway as Args;
use crate::render;
use crate::services::STORE;
use anyhow::{Context, Result, anyhow, bail};
use pbft::ReplyRule;
use quorate_gateway::{Config, Exposure, Gateway, GatewayError, Members, Submitter};
use quorate_net::Client;
use quorate_node::home::Home;
use std::fs::{File, TryLockError};

pub(super) fn run(args: Args) -> Result<()> {
    let home = Home::new(&args.dir);
    if let Some(fingerprint) = args.confirm {
        home.confirm(fingerprint)?;
    }
    let membership = home.membership()?;
    let mut settings = home.client_settings(&membership)?;
    let _held = hold_identity(&home)?;
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
        let bound = Gateway::bind(config).await.map_err(explain)?;
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

/// Makes sure that no other process acts as this client until the file is closed: whichever
/// started last would end the session of the other, which then serves nobody.
fn hold_identity(home: &Home) -> Result<File> {
    let path = home.keys_path();
    let keys = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    match keys.try_lock() {
        Ok(()) => Ok(keys),
        Err(TryLockError::WouldBlock) => bail!(
            "another process runs the gateway in {}; stop it, or give this one a folder of its own",
            home.path().display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn explain(error: GatewayError) -> anyhow::Error {
    match error {
        GatewayError::NotLoopback(listen) => anyhow!(
            "{listen} can be reached from other machines, and the gateway has neither encryption \
             nor passwords; listen on a loopback address, or allow it with --expose"
        ),
        other => other.into(),
    }
}
