//! Whole replicas, each on a disk of its own, in a cluster without threads and clocks.

mod cluster;
mod crash;
mod durability;
mod folder;
mod memory;
mod rejoin;
mod requests;
mod transfer;
