//! Every vice of a faulty replica once, as a filter on messages, without I/O.
