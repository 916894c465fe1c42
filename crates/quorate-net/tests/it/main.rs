//! Links between replicas, and the client, over real sockets and through the public interface
//! alone.
#![expect(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

mod client;
mod peers;
mod replica;
mod scripted;
