//! The replica as a state machine.
