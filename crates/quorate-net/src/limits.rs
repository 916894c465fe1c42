//! Every limit of this crate, and what happens at it.
//!
//! Worst case held for one replica of a cluster of *n*: for each of the *n* - 1 peers the two
//! outgoing queues and the two inbox lanes plus one partial frame per connection; for each client
//! its inbox lane, and for each of its connections a reply queue and one partial frame.

use crate::budget::Rate;
use pbft::wire::{MESSAGE_BYTES_MAX, REPLY_BYTES_MAX};
use std::time::Duration;

/// Longest frame on the connection for votes. A longer one ends the connection.
pub const VOTE_FRAME_BYTES_MAX: usize = 64 << 10;

/// Longest frame on the connection for everything else between replicas. A longer one ends the
/// connection.
pub const BULK_FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// Longest frame a client takes from a replica. A longer one ends the connection. What a replica
/// takes from a client is configured: [`ClientLimits::frame_bytes_max`].
///
/// [`ClientLimits::frame_bytes_max`]: crate::ClientLimits::frame_bytes_max
pub const REPLY_FRAME_BYTES_MAX: usize = REPLY_BYTES_MAX;

/// What the frame of a request has beside the request itself, at most.
pub const REQUEST_FRAME_OVERHEAD_BYTES: usize = 256;

/// Frames that wait to be sent to one peer as votes; the oldest is dropped for a newer one.
pub const VOTE_QUEUE_COUNT_MAX: usize = 8192;

/// Bytes that wait to be sent to one peer as votes; the oldest frames are dropped for newer ones.
pub const VOTE_QUEUE_BYTES_MAX: usize = 2 << 20;

/// Frames that wait to be sent to one peer as bulk; the oldest is dropped for a newer one.
pub const BULK_QUEUE_COUNT_MAX: usize = 4096;

/// Bytes that wait to be sent to one peer as bulk; the oldest frames are dropped for newer ones.
pub const BULK_QUEUE_BYTES_MAX: usize = 16 << 20;

/// Frames that wait to be sent on one client's connection; the oldest is dropped for a newer one,
/// because the client asks again and the reply cache answers.
pub const CLIENT_QUEUE_COUNT_MAX: usize = 1024;

/// Bytes that wait to be sent on one client's connection; the oldest frames are dropped.
pub const CLIENT_QUEUE_BYTES_MAX: usize = 16 << 20;

/// Votes of one peer that were read and not yet taken; above it the connection is not read.
pub const VOTE_LANE_COUNT_MAX: usize = 1024;

/// Bytes of votes of one peer that were read and not yet taken; above it, no more reading.
pub const VOTE_LANE_BYTES_MAX: usize = 1 << 20;

/// Bulk frames of one peer that were read and not yet taken; above it, no more reading.
pub const BULK_LANE_COUNT_MAX: usize = 256;

/// Bytes of bulk frames of one peer that were read and not yet taken; above it, no more reading.
pub const BULK_LANE_BYTES_MAX: usize = 16 << 20;

/// Frames of one client that were read and not yet taken; above it, no more reading.
pub const CLIENT_LANE_COUNT_MAX: usize = 64;

/// Bytes of one client that were read and not yet taken; above it, no more reading.
pub const CLIENT_LANE_BYTES_MAX: usize = 4 << 20;

/// Votes taken in a row while a bulk frame waits; then one bulk frame is taken, so that a flood
/// of votes cannot keep request bodies and state transfer out.
pub const VOTES_IN_A_ROW_MAX: u32 = 64;

/// Requests that a client has waiting for one replica; the oldest is dropped for a newer one. It
/// covers what a client may have outstanding, so what is dropped was answered or is sent again.
pub const REQUEST_QUEUE_COUNT_MAX: usize = 64;

/// Bytes of requests that a client has waiting for one replica; the oldest requests are dropped.
pub const REQUEST_QUEUE_BYTES_MAX: usize = 16 << 20;

/// Replies of one replica that a client has read and not yet looked at; above it, no more reading.
pub const REPLY_LANE_COUNT_MAX: usize = 1024;

/// Bytes of replies of one replica that a client has read and not yet looked at; above it, no
/// more reading.
pub const REPLY_LANE_BYTES_MAX: usize = 16 << 20;

/// Frames a client takes from one replica; beyond it, that replica is read no faster.
pub const REPLY_FRAMES: Rate = Rate { per_second: 50_000, burst: 4_000 };

/// Bytes a client takes from one replica; beyond it, that replica is read no faster, so that junk
/// costs the client a small part of its time.
pub const REPLY_BYTES: Rate = Rate { per_second: 128 << 20, burst: 16 << 20 };

/// Replies a client looks at before it looks at its timers again.
pub const REPLIES_IN_A_ROW_MAX: usize = 256;

/// Connections whose identity is not proved yet. For one more, the oldest of them is closed: an
/// honest handshake takes a few round trips, so the oldest is the likeliest to be idle on purpose.
pub const HANDSHAKE_COUNT_MAX: usize = 256;

/// Connections from one address whose identity is not proved yet. For one more, the oldest of the
/// same address is closed.
pub const HANDSHAKE_PER_SOURCE_COUNT_MAX: usize = 64;

/// Time from accepting or dialling a connection until both identities are proved.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A link on which nothing was sent for this long sends an empty frame.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Empty frames a link takes; one that sends more is closed, since they cost time and nobody else
/// counts them.
pub const KEEPALIVES: Rate = Rate { per_second: 4, burst: 64 };

/// A link on which nothing arrived for this long is taken for dead and closed.
pub const SILENCE_MAX: Duration = Duration::from_secs(6);

/// A link that could not send [`WRITE_BYTES_MAX`] for this long is taken for dead and closed.
pub const STALL_MAX: Duration = Duration::from_secs(10);

/// What is handed to the transport in one call; many queued frames travel together up to it.
pub const WRITE_BYTES_MAX: usize = 64 << 10;

/// Space made for reading ahead of what has arrived, whatever length a frame announces.
pub const READ_AHEAD_BYTES: usize = 16 << 10;

/// Buffer between the socket and TLS, so that many records cost one system call.
pub const SOCKET_BUFFER_BYTES: usize = 32 << 10;

/// First pause before dialling again.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// Longest pause before dialling again.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A link that stayed up this long starts over with the first pause.
pub const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(5);

/// Pause after the operating system could not accept a connection (out of descriptors or memory).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepted connections of one peer and class waiting to be taken over; more are closed.
pub const DOOR_COUNT_MAX: usize = 2;

/// Connections of all clients together, unless configured otherwise; more are closed. Each takes
/// some 50 KiB, most of it for TLS, and at worst [`CLIENT_QUEUE_BYTES_MAX`], a partial frame and its
/// client's [`CLIENT_LANE_BYTES_MAX`], if a client asks for much and reads nothing. All of them are
/// in the cluster's file, and have [`CONNECTION_PER_CLIENT_COUNT_MAX`] each at most.
pub const CLIENT_CONNECTION_COUNT_MAX: usize = 1024;

/// Connections of one client identity; for one more, its oldest is closed.
pub const CONNECTION_PER_CLIENT_COUNT_MAX: usize = 4;

/// Log lines about misbehaving strangers per second; the rest is only counted.
pub const LOG_LINES_PER_SECOND_MAX: u32 = 10;
