//! Links between replicas over real sockets, through the public interface alone.
#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap in a test is a failed test"
)]

mod peers;
mod replica;
