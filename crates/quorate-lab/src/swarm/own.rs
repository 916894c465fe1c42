//! The same worlds with a service that is not the store.

use super::{Swarm, swarm_with};
use crate::rng::Stream;
use crate::subject::{OwnService, Subject};
use pbft::Service;
use std::ops::Range;
use std::rc::Rc;

/// Runs the worlds of these seeds with another service than the store: the clusters, networks,
/// disks, faults, lying replicas and lying clients are those of [`swarm`](super::swarm).
///
/// `service` makes an instance, for each replica and again whenever one starts. `operation` draws
/// what the next call of a client asks for; randomness comes from the stream alone, so that a
/// seed's clients ask for the same every time. Lying clients draw their operations from it too.
///
/// What is checked is everything that can be judged without knowing what operations mean:
/// agreement, equal states, one execution of each operation, what is promised in view changes and
/// with certificates, and progress once the world has healed. Beside that the service must be
/// deterministic: whenever two correct replicas execute an operation, or one executes it again
/// after a restart, and is given the same by the state, it must do the same. A verdict about that
/// names the number, the operation, the replicas and the step at which they parted.
///
/// [`Service::query`] is not called.
///
/// # Panics
/// If the service or `operation` panics, or an operation is longer than what fits into a request,
/// see `Parameters::request_bytes_max`.
pub fn swarm_of<S: Service + 'static>(
    seeds: Range<u64>,
    service: impl Fn() -> S + 'static,
    operation: impl Fn(&mut Stream) -> Vec<u8> + 'static,
) -> Swarm {
    let make = Box::new(move || Box::new(service()) as Box<dyn Service>);
    let own = OwnService { make, operation: Box::new(operation) };
    swarm_with(seeds, &Subject::Own(Rc::new(own)))
}
