//! A durable replica: protocol core, journal, state tree, snapshots and service calls, synchronous and deterministic.
