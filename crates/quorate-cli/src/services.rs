//! What the replicas of this program replicate.

use pbft::message::ServiceId;
use quorate_node::node::Services;
use quorate_services::store::Store;

/// The name by which operations call the store.
pub(crate) const STORE: ServiceId = ServiceId(1);

/// The name by which measurements call the service that does nothing; in a laboratory only.
pub(crate) const NULL: ServiceId = ServiceId(2);

/// One of each service.
pub(crate) fn all() -> Services {
    Services::from([(STORE, Box::new(Store::new()) as Box<dyn pbft::Service>)])
}
