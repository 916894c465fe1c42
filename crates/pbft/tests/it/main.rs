//! The integration tests of the core, one binary. A test of a replica's reaction to a message goes
//! into the file of its phase, named as the rule's sentence and citing its id; a test that needs a
//! longer story goes into `stories`; one that a person should be able to read without Rust goes
//! into `tests/scenarios/`; what must hold for every input goes into `properties`; bytes go into
//! `golden`.

mod cluster;

mod attacks;
mod checkpoints;
mod evidence;
mod golden;
mod normal_case;
mod outlines;
mod properties;
mod reads;
mod rejoin;
mod repair;
mod requests;
mod restart;
mod scenarios;
mod signatures;
mod slow_primary;
mod standstills;
mod stories;
mod tentative;
mod view_changes;
