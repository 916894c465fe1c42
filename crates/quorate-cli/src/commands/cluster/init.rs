//! `quorate init`: the cluster's public file, from cards alone; or a whole local cluster.

use crate::args::cluster::Init;
use crate::render;
use anyhow::Result;
use quorate_node::cluster::{Card, Durability, ParametersFile, Role, Together};
use quorate_node::setup::{self, ClusterSettings, LocalCluster};
use serde_json::json;

pub(super) fn run(args: Init) -> Result<()> {
    let settings = ClusterSettings {
        name: args.name,
        lab: false,
        durability: Durability::Sync,
        together: Together::default(),
        parameters: ParametersFile::default(),
    };
    let (path, fingerprint) = match args.local {
        Some(count) => {
            let local = LocalCluster::create(&args.dir, count, settings)?;
            (local.root().join("cluster.toml"), local.cluster.fingerprint)
        }
        None => {
            let cards: Result<Vec<Card>, _> =
                args.cards.iter().map(|path| Card::load(path)).collect();
            let cards = cards?;
            let made = setup::make_cluster(&args.dir, &cards, settings)?;
            if !cards.iter().any(|card| card.role == Role::Client) {
                render::note(format_args!(
                    "there is no gateway's card among these, so nobody can use this cluster, and \
                     no member can be added later"
                ));
            }
            made
        }
    };
    if args.json {
        let object = json!({ "cluster": path, "fingerprint": fingerprint.to_string() });
        return render::line(format_args!("{object}"));
    }
    render::line(format_args!("{}", path.display()))?;
    render::line(format_args!("fingerprint {fingerprint}"))?;
    if args.local.is_none() {
        render::note(format_args!(
            "give this file to every member; each puts it into its folder, compares the \
             fingerprint with the others and starts once with --confirm FINGERPRINT"
        ));
    }
    Ok(())
}
