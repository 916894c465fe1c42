//! What the replicas of a world replicate, and what its clients ask for.

use crate::linearizability::Call;
use crate::rng::Stream;
use crate::watched::steps::Readable;
use crate::watched::{ExecutionLog, Watched};
use crate::workload::{self, forge_store_outcome};
use crate::world::Workload;
use pbft::{ClientId, Service};
use quorate_services::store::Store;
use std::rc::Rc;

/// What is replicated.
#[derive(Clone)]
pub(crate) enum Subject {
    /// The store, of which it is known what its answers mean.
    Store,
    /// A service of which nothing is known but how to make one and what to ask of it.
    Own(Rc<OwnService>),
}

/// Draws an operation.
pub(crate) type Draw = dyn Fn(&mut Stream) -> Vec<u8>;

/// A service that is not the store.
pub(crate) struct OwnService {
    pub(crate) make: Box<dyn Fn() -> Box<dyn Service>>,
    /// Draws the next operation.
    pub(crate) operation: Box<Draw>,
}

/// The next operation of a correct client.
pub(crate) struct Drawn {
    /// The bytes to be ordered, with the tag that makes them unique.
    pub(crate) bytes: Vec<u8>,
    /// In words.
    pub(crate) what: String,
    /// The key it is about and the call, if it is known what answers mean.
    pub(crate) call: Option<(Vec<u8>, Call)>,
}

impl Subject {
    /// A new instance of the service, watched.
    pub(crate) fn watched(&self, log: ExecutionLog, generation: u64) -> Watched {
        match self {
            Self::Store => Watched::new(Box::new(Store::new()), log, generation),
            Self::Own(own) => Watched::new((own.make)(), log, generation).noting_steps(),
        }
    }

    /// How a lying replica falsifies a result.
    pub(crate) fn forge(&self) -> fn(&[u8]) -> Vec<u8> {
        match self {
            Self::Store => forge_store_outcome,
            Self::Own(_) => quorate_adversary::flip_last_byte,
        }
    }

    /// Draws the next operation of a correct client, on the keys of the store and with values as
    /// the workload says.
    pub(crate) fn draw(&self, rng: &mut Stream, workload: &Workload, serial: u64) -> Drawn {
        match self {
            Self::Store => {
                let Workload { keys, value_bytes, .. } = *workload;
                let (key, call) = workload::any_call(rng, keys, value_bytes, serial);
                let bytes = workload::encode(serial, &key, &call);
                Drawn { bytes, what: workload::describe(&key, &call), call: Some((key, call)) }
            }
            Self::Own(own) => {
                let operation = (own.operation)(rng);
                let what = Readable(&operation).to_string();
                Drawn { bytes: workload::tagged(serial, &operation), what, call: None }
            }
        }
    }

    /// Draws an operation of a lying client: of the store, that a key of its own gets this value.
    pub(crate) fn draw_for_liar(
        &self,
        rng: &mut Stream,
        tag: u64,
        liar: ClientId,
        value: Vec<u8>,
    ) -> Vec<u8> {
        match self {
            Self::Store => {
                let key = format!("liar-{liar}").into_bytes();
                workload::encode(tag, &key, &Call::Put(value))
            }
            Self::Own(own) => workload::tagged(tag, &(own.operation)(rng)),
        }
    }
}
