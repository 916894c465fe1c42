//! The integration tests of the core, one binary. A test of one replica's reaction to a message
//! goes into the file of its phase; a test that needs a story told to several replicas goes into
//! `stories`; a story that a person should be able to read without Rust goes into
//! `tests/scenarios/`; what must hold for every input goes into `properties`; bytes go into
//! `golden`.

mod cluster;

mod stories;
