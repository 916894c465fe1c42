//! Mutual-TLS links, frames, peers with bounded queues, and the asynchronous client.
//!
//! This crate moves opaque frames between processes whose keys are known in advance. Three
//! promises hold for every link.
//!
//! - **Identity.** Both ends prove an Ed25519 key pinned in the cluster's configuration, with
//!   TLS 1.3 and raw public keys. Whoever reads a frame knows which replica or client sent it.
//! - **Bounds.** Every queue, table, buffer and wait has a named limit in [`limits`]. No peer and
//!   no client can make this process hold more, and none of them can delay what another one sent.
//! - **Loss.** A link may lose frames: when a queue is full the oldest frame is dropped, when a
//!   connection breaks what was under way is gone. The protocol repairs losses by STATUS, and
//!   clients by retransmission. Within one link and class, frames that arrive keep their order.
//!
//! A replica has one listening address. [`Listener`] runs where client sockets are served; a
//! connection that turns out to come from a replica is handed through a [`PeerDoor`] to the
//! runtime of [`Peers`], which is the one of the replica's protocol thread.
//!
//! [`Client`] is the other end of a client's links: it knows the protocol's messages, as the only
//! thing here that does, and asks all replicas until enough of them agree.
//!
//! Reading order: [`identity`], `tls`, `frame`, the two queues, `link`, then [`Peers`],
//! [`Listener`], [`Clients`] and [`Client`].
#![warn(missing_docs)]

pub mod identity;
pub mod limits;
pub mod metrics;
pub mod ports;

mod backoff;
mod budget;
mod client;
mod clients;
mod dial;
mod fair_queue;
mod frame;
mod handshakes;
mod link;
mod listener;
mod log_limit;
mod peers;
mod random;
mod send_queue;
mod socket;
mod tls;

pub use budget::Rate;
pub use client::{Client, ClientError, ClientSettings, Fate, Queried};
pub use clients::{ClientInbox, ClientLimits, Clients};
pub use listener::{ListenError, Listener};
pub use peers::{Class, PeerAddress, PeerDoor, PeerEvent, PeerInbox, Peers};
pub use tls::{AllowList, AllowListError, Identity};
