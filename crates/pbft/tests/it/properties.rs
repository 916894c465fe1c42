//! What must hold for every input: of bytes, of a client's replies, of the order in which messages
//! arrive and machines fail.

mod client;
mod codec;
mod schedules;
