//! A running replica: threads, clock, sockets, configuration and the admin endpoint.
