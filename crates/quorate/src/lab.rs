//! Your service in simulated worlds, whole clusters in one thread and in virtual time.
//!
//! ```
//! use quorate::{Context, Service, State, StateRead};
//!
//! /// Adds up, and says so.
//! struct Sum;
//!
//! impl Service for Sum {
//!     fn execute(&mut self, _: &Context<'_>, added: &[u8], state: &mut dyn State) -> Vec<u8> {
//!         let sum = state.get(b"sum").and_then(|sum| sum.first().copied()).unwrap_or(0);
//!         let sum = vec![sum.wrapping_add(added.len() as u8)];
//!         state.put(b"sum", sum.clone());
//!         sum
//!     }
//!
//!     fn query(&self, _: &Context<'_>, _: &[u8], state: &dyn StateRead) -> Option<Vec<u8>> {
//!         state.get(b"sum")
//!     }
//!
//!     fn restored(&mut self, _: &dyn StateRead) {}
//! }
//!
//! let operation = |rng: &mut quorate::lab::Stream| vec![0; rng.index(10)];
//! let swarm = quorate::lab::swarm(0..3, || Sum, operation);
//! assert!(swarm.failures.is_empty(), "{swarm}");
//! ```

pub use quorate_lab::Violation;
pub use quorate_lab::rng::{Seed, Stream};
pub use quorate_lab::swarm::{Swarm, swarm_of as swarm};
pub use quorate_lab::world::Verdict;
