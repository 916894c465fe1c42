//! Mutual-TLS links, frames, peers with bounded queues, and the asynchronous client.
