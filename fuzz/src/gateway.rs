//! What a client can send to a gateway, and what replicas can answer it.

mod calls;
mod connection;
mod store;

pub use calls::{Answered, RPCS, Rpc};

use crate::script::Script;

/// What an input got done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// It was a connection's bytes, and these stood after its preface; whether an authority was
    /// replaced.
    Connection { is_rewritten: bool },
    /// It was calls.
    Calls(Vec<Answered>),
}

/// A script, whose first byte says of what. Even: calls, one after the other, before one store or
/// before replicas that answer anything. Odd: the bytes of a connection after its preface.
pub fn gateway(data: &[u8]) -> Option<Gateway> {
    let mut script = Script::new(data);
    Some(match script.byte()? % 2 {
        0 => Gateway::Calls(calls::answered(&mut script)),
        _ => Gateway::Connection { is_rewritten: connection::filtered(&mut script) },
    })
}
