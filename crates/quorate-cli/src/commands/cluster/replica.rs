//! `quorate replica`: one replica, until it is told to stop or stops for good.

use crate::args::cluster::Replica;
use crate::failure::Negative;
use crate::recorder;
use crate::{descriptors, render, services};
use anyhow::Result;
use quorate_node::home::{Home, HomeError};
use quorate_node::node::laboratory::Laboratory;
use quorate_node::node::{Ended, Node, NodeConfig, NodeError};
use quorate_services::null::Null;
use rustix::process::{Signal, set_parent_process_death_signal};

pub(super) fn run(args: Replica) -> Result<()> {
    let home = Home::new(args.dir);
    if let Some(fingerprint) = args.confirm {
        home.confirm(fingerprint)?;
    }
    descriptors::allow_all();
    let mut services = services::all();
    let mut laboratory = None;
    if args.behave.is_some() || args.record.is_some() {
        let recorded = args.record.as_deref().map(recorder::start).transpose()?;
        let watcher = recorded.map(|(watcher, (id, service))| {
            services.insert(id, service);
            watcher
        });
        // Whoever runs a scenario suspends replicas, and one that is suspended does not notice the
        // end of its input. The signal comes when the thread that started this process ends.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        laboratory = Some(Laboratory { behaviour: args.behave, seed: args.seed, watcher });
    }
    if args.null_service {
        services.insert(services::NULL, Box::new(Null));
        laboratory.get_or_insert_default();
    }
    let (forge, rejoin) = (quorate_lab::forge_store_outcome, args.rejoin);
    let recordings = args.record_inputs;
    let config = NodeConfig { home, services, forge, rejoin, laboratory, recordings };
    let mut node = Node::start(config).map_err(explain)?;
    render::line(format_args!("replica {} listens on {}", node.id(), node.address()))?;
    let ended = super::runtime()?.block_on(async {
        tokio::select! {
            ended = node.ended() => Ok::<_, anyhow::Error>(ended),
            stopped = super::told_to_stop(args.tied) => stopped.map(|()| Ended::Stopped),
        }
    })?;
    node.stop();
    match ended {
        Ended::Stopped => Ok(()),
        Ended::Halted(cause) => {
            Err(Negative(format!("the replica stopped for good: {cause}")).into())
        }
        Ended::Failed => anyhow::bail!("a thread of the replica failed; its log says where"),
    }
}

/// A replica that must not start any more is a verdict, everything else the environment.
fn explain(error: NodeError) -> anyhow::Error {
    match error {
        NodeError::Home(HomeError::Halted { .. } | HomeError::MemoryLost { .. }) => {
            Negative(error.to_string()).into()
        }
        other => other.into(),
    }
}
