//! Replicate your own service so that it gives right answers while some replicas lie.
//!
//! A [`Service`] executes operations on the replicated [`State`]. A [`Node`] is one replica of it:
//! *3f+1* of them give right answers while up to *f* are faulty in whatever way. A [`Client`] has
//! the cluster execute an operation and returns a result only when a quorum agreed on it.
//!
//! This crate adds nothing to the crates below it: it selects what an embedder needs. Three
//! programs in `examples/` use it: the smallest service, the smallest client, and a package of its
//! own that replicates an auction on four processes.
//!
//! # A service
//!
//! ```
//! use quorate::{Context, Reading, Service, State, StateRead};
//!
//! /// Remembers the longest word that it was told.
//! struct LongestWord;
//!
//! impl Service for LongestWord {
//!     fn execute(&mut self, _: &Context<'_>, word: &[u8], state: &mut dyn State) -> Vec<u8> {
//!         let longest = state.get(b"word").unwrap_or_default();
//!         if word.len() <= longest.len() {
//!             return longest;
//!         }
//!         state.put(b"word", word.to_vec());
//!         word.to_vec()
//!     }
//!
//!     fn query(&self, _: &Context<'_>, _: &[u8], state: &dyn StateRead) -> Option<Reading> {
//!         state.get(b"word").map(Reading::from)
//!     }
//!
//!     fn restored(&mut self, _: &dyn StateRead) {}
//! }
//! ```
//!
//! What it must not do, for all replicas to end in the same state, is said at [`Service`]:
//! time, randomness and everything else that differs between machines come from the [`Context`].
//!
//! # Replicas and clients
//!
//! Each lives in a folder, its [`Home`]: keys, the public file of the cluster, and a replica's
//! memory. [`LocalCluster::create`] makes the folders of a whole cluster on one machine;
//! [`make_member`] and [`make_cluster`] are for members that do not trust one another with their
//! keys.
//!
//! ```no_run
//! use quorate::{Client, Home, Node, NodeConfig, Operation, Service, ServiceId, Services};
//! # use quorate::{Context, Reading, State, StateRead};
//! # struct LongestWord;
//! # impl Service for LongestWord {
//! #     fn execute(&mut self, _: &Context<'_>, _: &[u8], _: &mut dyn State) -> Vec<u8> {
//! #         Vec::new()
//! #     }
//! #     fn query(&self, _: &Context<'_>, _: &[u8], _: &dyn StateRead) -> Option<Reading> {
//! #         None
//! #     }
//! #     fn restored(&mut self, _: &dyn StateRead) {}
//! # }
//!
//! const LONGEST_WORD: ServiceId = ServiceId(1);
//!
//! /// One replica, from its start to its end.
//! async fn replica(home: Home) -> Result<(), Box<dyn std::error::Error>> {
//!     let service: Box<dyn Service> = Box::new(LongestWord);
//!     let services = Services::from([(LONGEST_WORD, service)]);
//!     let mut node = Node::start(NodeConfig::new(home, services))?;
//!     println!("it ended: {:?}", node.ended().await);
//!     Ok(())
//! }
//!
//! /// One operation, with ten seconds to complete.
//! async fn submit(home: Home) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//!     let client = Client::start(home.client_settings(&home.membership()?)?)?;
//!     let operation = Operation { service: LONGEST_WORD, body: b"eigenvalue".to_vec() };
//!     let deadline = quorate::tokio::time::Instant::now() + std::time::Duration::from_secs(10);
//!     Ok(client.submit(operation, deadline).await?)
//! }
//! ```
//!
//! Nodes and clients speak through [`tokio`], which is handed on so that a program and this crate use one
//! version of it, and both tell what they do through the crate `tracing`.
//!
//! # Before it is replicated
//!
//! The feature `lab` adds the module `lab`, for tests: it runs your service in as many simulated
//! worlds as you like, with networks, disks and machines that fail and replicas that lie. If your
//! service is not deterministic, it says at which operation which replicas parted.
#![warn(missing_docs)]

#[cfg(feature = "lab")]
pub mod lab;

pub use pbft::message::{Operation, ServiceId};
pub use pbft::{
    CHOICE_BYTES_MAX, ClientId, ClientParameters, Context, KEY_BYTES_MAX, ReadAgain, Reading,
    ReplicaId, ReplyRule, SeqNum, Service, State, StateRead, View, WallTime,
};
pub use quorate_net::{Client, ClientError, ClientSettings, Fate, Queried};
pub use quorate_node::cluster::{
    Card, Cluster, ClusterError, Durability, Fingerprint, ParametersFile, Role, Together,
};
pub use quorate_node::home::{Home, HomeError, Membership};
pub use quorate_node::node::{Control, Ended, HaltCause, Node, NodeConfig, NodeError, Services};
pub use quorate_node::setup::{
    ClusterSettings, LocalCluster, SetupError, make_cluster, make_member,
};
pub use tokio;
