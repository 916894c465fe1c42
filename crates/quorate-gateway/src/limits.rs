//! Every limit of the gateway, in one place.

use quorate_services::store::REQUEST_BYTES_MAX;
use std::time::Duration;

/// Open connections of clients; further ones wait until one closes.
pub const CONNECTIONS_COUNT_MAX: usize = 512;

/// Requests under way on one connection; HTTP/2 makes the client wait with further ones.
pub const CONNECTION_REQUESTS_COUNT_MAX: u32 = 128;

/// Requests under way in the whole gateway, each from its headers until the last byte of its answer
/// has left; further ones get `RESOURCE_EXHAUSTED`.
pub const REQUESTS_COUNT_MAX: usize = 2048;

/// Bytes of the requests that are being read or executed in the whole gateway; a request for which
/// there is no room gets `RESOURCE_EXHAUSTED`.
pub const REQUESTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of answers that their clients have not taken yet, in the whole gateway; an answer for
/// which there is no room is dropped, and its request gets `UNAVAILABLE`.
pub const ANSWERS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The first bytes of every answer need no room but the request's place, so that what a write
/// returns always finds some.
pub const ANSWER_BYTES_FREE: usize = 4 * 1024;

/// How long a client may take to read an answer; beyond it, its connection is cut.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of one request that are read at all. Like etcd, the gateway reads half a MiB more than
/// it accepts, so that a request somewhat too long gets etcd's sentence for it.
pub const REQUEST_BYTES_READ_MAX: usize = REQUEST_BYTES_MAX + 512 * 1024;

/// Bytes a client may send ahead on one request.
pub const REQUEST_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes a client may send ahead on one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 128 * 1024;

/// Bytes of the headers of one request.
pub const HEADERS_BYTES_MAX: u32 = 8 * 1024;

/// How long a new connection may take to send the first bytes of HTTP/2.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a quiet connection is asked whether it lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to answer that.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a stopping gateway waits for requests under way before it cuts the connections.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(6);
