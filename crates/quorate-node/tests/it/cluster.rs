//! A cluster of four replicas and a client.

use pbft::{ClientId, ClientParameters};
use quorate_net::{Client, ClientSettings};
use quorate_node::cluster::{Durability, ParametersFile, Together};
use quorate_node::node::{Node, NodeConfig, Services};
use quorate_node::setup::{ClusterSettings, LocalCluster};
use std::path::Path;
use std::sync::Arc;

pub(crate) struct TestCluster {
    pub(crate) nodes: Vec<Node>,
    local: LocalCluster,
    _folder: tempfile::TempDir,
}

impl TestCluster {
    pub(crate) fn start(parameters: ParametersFile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = "test".to_owned();
        let durability = Durability::Sync;
        let together = Together::default();
        let settings = ClusterSettings { name, lab: false, durability, together, parameters };
        let local = LocalCluster::create(&folder.path().join("cluster"), 4, settings).unwrap();
        let mut cluster = Self { nodes: Vec::new(), local, _folder: folder };
        (0..4).for_each(|id| cluster.start_again(id));
        cluster
    }

    pub(crate) fn start_again(&mut self, id: usize) {
        self.nodes.push(Node::start(self.config_of(id)).unwrap());
    }

    pub(crate) fn start_recording_into(&mut self, id: usize, folder: &Path) {
        let recordings = Some(folder.to_owned());
        self.nodes.push(Node::start(NodeConfig { recordings, ..self.config_of(id) }).unwrap());
    }

    fn config_of(&self, id: usize) -> NodeConfig {
        NodeConfig::new(self.local.replica_homes().nth(id).unwrap(), Services::new())
    }

    pub(crate) fn client(&self) -> Client {
        let membership = self.local.client_home(0).membership().unwrap();
        let settings = ClientSettings {
            config: Arc::clone(&membership.cluster.config),
            id: ClientId::new(0),
            keys: membership.keys,
            replicas: membership.cluster.replicas,
            parameters: ClientParameters::default(),
        };
        Client::start(settings).unwrap()
    }

    /// Bytes of the longest operation that a client may submit.
    pub(crate) fn longest_operation(&self) -> usize {
        self.local.cluster.config.parameters.request_bytes_max - 1024
    }
}
