//! Every limit of the gateway, in one place.

use quorate_services::store::REQUEST_BYTES_MAX;
use std::time::Duration;

/// Open connections of clients; further ones wait until one closes.
pub const CONNECTIONS_COUNT_MAX: usize = 2048;

/// Requests under way on one connection; HTTP/2 makes the client wait with further ones.
pub const CONNECTION_REQUESTS_COUNT_MAX: u32 = 1024;

/// Requests under way in the whole gateway; further ones get `RESOURCE_EXHAUSTED`.
pub const REQUESTS_COUNT_MAX: usize = 2048;

/// Bytes of the operations under way in the whole gateway; further ones get
/// `RESOURCE_EXHAUSTED`.
pub const REQUESTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of one request that are read at all. Like etcd, the gateway reads half a MiB more than
/// it accepts, so that a request somewhat too long gets etcd's sentence for it.
pub const REQUEST_BYTES_READ_MAX: usize = REQUEST_BYTES_MAX + 512 * 1024;

/// Bytes a client may send ahead on one request.
pub const REQUEST_WINDOW_BYTES: u32 = 256 * 1024;

/// Bytes a client may send ahead on one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;

/// Bytes of the headers of one request.
pub const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// How long a new connection may take to send the first bytes of HTTP/2.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a quiet connection is asked whether it lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to answer that.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a stopping gateway waits for requests under way before it cuts the connections.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(6);
