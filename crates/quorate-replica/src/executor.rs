//! Executes what was agreed on: the replicated state, and the only code that changes it.
//!
//! The state is one authenticated map ([`Tree`]). Each part of it has its own prefix, see
//! [`layout`]: the configuration, the history, the agreed time, the replicas that rejoined, the
//! client table and every service. All of it is a function of the batches executed so far, so every correct replica has
//! the same, and a checkpoint vouches for the client table as it does for the services [EX3].
//!
//! Nothing in a batch can make this code fail: whatever the content of a request, it has a result.
//! A service that panics stops the replica; see [`pbft::Service`] for why it must not.

mod choice;
mod clients;
mod layout;

pub use layout::StateError;

use crate::history::History;
use crate::tree::Tree;
use crate::tree::namespace::{Namespace, NamespaceMut};
use clients::{ClientTable, Standing};
use pbft::message::{
    Batch, CheckpointId, Operation, Outcome, Read, ReadReply, Rejoin, Request, RequestBody,
    ServiceId,
};
use pbft::wire::OUTCOME_BYTES_MAX;
use pbft::{
    ClientId, Config, Context, Digest, Execution, Parameters, Rejoined, Rejoins, ReplicaId, SeqNum,
    Service, Session, StateMirror, Timestamp, WallTime,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The replicated services, by the name that operations call them.
pub type Services = BTreeMap<ServiceId, Box<dyn Service>>;

/// The result of an operation for a service that this cluster does not have. It begins with a
/// zero byte and ends in text, so that no client mistakes it for a result in the encoding of the
/// service it meant.
pub const NO_SUCH_SERVICE: &[u8] = b"\0quorate: no such service";

/// An outcome of up to so many bytes is sent whole by everybody: a digest would save little, and
/// the client would depend on one replica for it.
const SHORT_OUTCOME_BYTES_MAX: usize = 256;

/// What a reading takes in a message beside its content.
const READING_OVERHEAD_BYTES: usize = 16;

/// The replicated state and the services that work on it.
pub(crate) struct Executor {
    config: Arc<Config>,
    tree: Tree,
    services: Services,
    /// Mirror of the record in `tree`.
    history: History,
    /// Mirror of the record in `tree`. **Invariant:** never decreases.
    time: WallTime,
    /// Mirror of the records in `tree`.
    rejoins: Rejoins,
    /// What the state was before the batch that was executed tentatively, *(while one is)*.
    committed: Option<Committed>,
}

/// A state that is rolled back to. Kept in constant time, since the tree is shared as for a
/// checkpoint.
struct Committed {
    tree: Tree,
    history: History,
    time: WallTime,
    rejoins: Rejoins,
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Executed {
    /// Of each request, in their order.
    pub(crate) executions: Vec<Execution>,
    /// Of the REJOINs that had an effect.
    pub(crate) rejoined: Vec<(ReplicaId, Rejoined)>,
}

/// The state after a sequence number, frozen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CheckpointState {
    pub(crate) seq: SeqNum,
    pub(crate) tree: Tree,
    pub(crate) history_root: Digest,
}

impl CheckpointState {
    /// After which number.
    pub fn seq(&self) -> SeqNum {
        self.seq
    }

    /// The state itself.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Hashes what changed since the last checkpoint. The one slow function here: it may run on
    /// another thread.
    pub fn id(&self) -> CheckpointId {
        CheckpointId { state_root: self.tree.root_digest(), history_root: self.history_root }
    }
}

impl Executor {
    /// The state before the first batch.
    pub(crate) fn genesis(config: Arc<Config>, services: Services) -> Self {
        let mut tree = Tree::new();
        let (history, time) = (History::default(), WallTime::default());
        layout::write_configuration(&mut tree, &config);
        layout::write_history(&mut tree, &history);
        layout::write_time(&mut tree, time);
        let rejoins = Rejoins::default();
        let mut executor = Self { config, tree, services, history, time, rejoins, committed: None };
        executor.restore_services();
        executor
    }

    /// Goes on from a state that was stored.
    ///
    /// # Errors
    /// If it is not a state of this cluster, or not that after `seq`.
    pub(crate) fn load(&mut self, seq: SeqNum, tree: Tree) -> Result<(), StateError> {
        self.install(tree)?;
        let found = self.last_executed();
        if found == seq { Ok(()) } else { Err(StateError::OtherCheckpoint { seq, found }) }
    }

    /// Replaces the state by one that was fetched or stored.
    ///
    /// # Errors
    /// If it is not a state of this cluster; then nothing changed.
    pub(crate) fn install(&mut self, tree: Tree) -> Result<(), StateError> {
        let history = self.check_records(&tree)?;
        let time = layout::read_time(&tree)?;
        self.rejoins = layout::read_rejoined(&tree)?.into_iter().collect();
        (self.tree, self.history, self.time) = (tree, history, time);
        self.committed = None;
        self.restore_services();
        Ok(())
    }

    /// Reads what a fetched state says about itself.
    ///
    /// # Errors
    /// If it is not a state of this cluster.
    pub(crate) fn check(&self, tree: Tree) -> Result<CheckpointState, StateError> {
        let history = self.check_records(&tree)?;
        layout::read_time(&tree)?;
        layout::read_rejoined(&tree)?;
        Ok(CheckpointState { seq: history.last(), tree, history_root: history.root() })
    }

    fn check_records(&self, tree: &Tree) -> Result<History, StateError> {
        layout::check_configuration(tree, &self.config)?;
        clients::check(tree)?;
        layout::read_history(tree)
    }

    /// Executes the batch with the next number and returns what became of it. `None` is the null
    /// request: it is part of the history and of nothing else [EX1].
    pub(crate) fn execute(
        &mut self,
        seq: SeqNum,
        digest: Digest,
        batch: Option<&Batch>,
    ) -> Executed {
        assert_eq!(seq, self.last_executed().next(), "batches are executed without a gap");
        let executed = batch.map_or_else(Executed::default, |batch| self.execute_batch(seq, batch));
        self.history.append(digest);
        layout::write_history(&mut self.tree, &self.history);
        executed
    }

    /// As [`Executor::execute`], and keeps what it takes to roll that back.
    pub(crate) fn execute_tentatively(
        &mut self,
        seq: SeqNum,
        digest: Digest,
        batch: Option<&Batch>,
    ) -> Executed {
        assert!(self.committed.is_none(), "at most one batch is executed tentatively");
        self.committed = Some(Committed {
            tree: self.tree.clone(),
            history: self.history.clone(),
            time: self.time,
            rejoins: self.rejoins.clone(),
        });
        self.execute(seq, digest, batch)
    }

    /// What was executed tentatively is committed.
    pub(crate) fn settle(&mut self) {
        self.committed = None;
    }

    /// The state is again what it was before the batch that was executed tentatively [TE4].
    pub(crate) fn roll_back(&mut self) {
        let seq = self.last_executed();
        let Some(Committed { tree, history, time, rejoins }) = self.committed.take() else {
            return;
        };
        (self.tree, self.history, self.time, self.rejoins) = (tree, history, time, rejoins);
        for (id, service) in &mut self.services {
            let prefix = layout::service_prefix(*id);
            service.rolled_back(seq, &Namespace::new(&self.tree, &prefix));
        }
    }

    /// The number of the last batch executed.
    pub(crate) fn last_executed(&self) -> SeqNum {
        self.history.last()
    }

    /// The state as it is now.
    pub(crate) fn checkpoint(&self) -> CheckpointState {
        CheckpointState {
            seq: self.last_executed(),
            tree: self.tree.clone(),
            history_root: self.history.root(),
        }
    }

    /// What the core must know of the state.
    pub(crate) fn mirror(&self) -> StateMirror {
        let (clients, rejoined) = (clients::windows(&self.tree), self.rejoins.all().collect());
        StateMirror { clients, rejoined, time: self.time }
    }

    /// The outcome of a request whose batch is committed, as far as it is kept.
    pub(crate) fn cached_outcome(
        &self,
        client: ClientId,
        session: Session,
        timestamp: Timestamp,
    ) -> Option<Outcome> {
        let tree = self.committed.as_ref().map_or(&self.tree, |committed| &committed.tree);
        clients::cached_outcome(tree, client, session, timestamp)
    }

    /// The primary's choice for a batch: one for each service that makes one.
    pub(crate) fn choose(&mut self) -> Vec<u8> {
        choice::encode(self.services.iter_mut().map(|(id, service)| (*id, service.choose())))
    }

    fn restore_services(&mut self) {
        for (id, service) in &mut self.services {
            let prefix = layout::service_prefix(*id);
            service.restored(&NamespaceMut::new(&mut self.tree, &prefix));
        }
    }

    fn execute_batch(&mut self, seq: SeqNum, batch: &Batch) -> Executed {
        if batch.time > self.time {
            self.time = batch.time;
            layout::write_time(&mut self.tree, self.time);
        }
        let rejoins = batch.rejoins.iter();
        let rejoined = rejoins
            .filter_map(|signed| self.execute_rejoin(seq, batch.time, &signed.body))
            .collect();
        let choices = choice::decode(&batch.choice);
        let requests = batch.requests.iter();
        let executions =
            requests.map(|signed| self.execute_request(seq, &choices, signed.request())).collect();
        Executed { executions, rejoined }
    }

    /// The table in the state decides whether it has an effect [RJ2].
    fn execute_rejoin(
        &mut self,
        seq: SeqNum,
        time: WallTime,
        rejoin: &Rejoin,
    ) -> Option<(ReplicaId, Rejoined)> {
        let (replica, rejoined) = self.rejoins.execute(&self.config, seq, time, rejoin)?;
        layout::write_rejoined(&mut self.tree, replica, &rejoined);
        Some((replica, rejoined))
    }

    /// Exactly once: the client table in the state decides [EX2].
    fn execute_request(
        &mut self,
        seq: SeqNum,
        choices: &choice::Choices,
        request: &Request,
    ) -> Execution {
        let config = Arc::clone(&self.config);
        let parameters = &config.parameters;
        let mut table = ClientTable::open(&mut self.tree, request.client);
        let mut replier = None;
        let outcome = match &request.body {
            RequestBody::OpenSession => Some(table.open_session(request.session)),
            RequestBody::Operations(operations) => {
                match table.admit(request, parameters.client_window) {
                    Standing::Known(outcome) => outcome,
                    Standing::New => {
                        let outcome = self.execute_operations(seq, choices, request, operations);
                        table = ClientTable::open(&mut self.tree, request.client);
                        let kept = table.note_executed(request.timestamp, &outcome, parameters);
                        replier = only_replier(parameters, request, kept);
                        Some(outcome)
                    }
                }
            }
        };
        let (client, session, timestamp) = (request.client, request.session, request.timestamp);
        Execution { client, session, timestamp, outcome, replier, window: table.into_window() }
    }

    /// The operations of a request, until their results are enough for one reply [CL8].
    fn execute_operations(
        &mut self,
        seq: SeqNum,
        choices: &choice::Choices,
        request: &Request,
        operations: &[Operation],
    ) -> Outcome {
        let bytes_max = self.config.parameters.results_bytes_max;
        let (mut results, mut bytes) = (Vec::new(), 0);
        for operation in operations {
            if bytes >= bytes_max {
                break;
            }
            let result = self.execute_operation(seq, choices, request.client, operation);
            bytes += result.len();
            results.push(result);
        }
        let outcome = Outcome::Executed(results);
        // Only a single result of a service can come to that.
        if clients::encoded_bytes(&outcome) > OUTCOME_BYTES_MAX {
            return Outcome::ExecutedBefore(outcome.digest());
        }
        outcome
    }

    /// Reads in the state as it is, as much as fits into one message [RO2].
    pub(crate) fn read(&self, client: ClientId, read: &Read) -> ReadReply {
        let executed = self.last_executed();
        let context = Context { client, seq: executed, time: self.time, choice: &[] };
        let bytes_max = self.config.parameters.results_bytes_max;
        let (mut readings, mut bytes) = (Vec::new(), 0);
        for operation in &read.operations {
            if bytes >= bytes_max {
                break;
            }
            let reading = self.services.get(&operation.service).and_then(|service| {
                let prefix = layout::service_prefix(operation.service);
                service.query(&context, &operation.body, &Namespace::new(&self.tree, &prefix))
            });
            // Only a single result of a service can come to that.
            let reading = reading.filter(|reading| {
                bytes + reading.content.len() + READING_OVERHEAD_BYTES <= OUTCOME_BYTES_MAX
            });
            let content_bytes = reading.as_ref().map_or(0, |reading| reading.content.len());
            bytes += content_bytes + READING_OVERHEAD_BYTES;
            readings.push(reading);
        }
        ReadReply { session: read.session, number: read.number, executed, readings }
    }

    fn execute_operation(
        &mut self,
        seq: SeqNum,
        choices: &choice::Choices,
        client: ClientId,
        operation: &Operation,
    ) -> Vec<u8> {
        let Some(service) = self.services.get_mut(&operation.service) else {
            return NO_SUCH_SERVICE.to_vec();
        };
        let choice = choices.get(&operation.service).map_or(&[][..], Vec::as_slice);
        let context = Context { client, seq, time: self.time, choice };
        let prefix = layout::service_prefix(operation.service);
        let mut state = NamespaceMut::new(&mut self.tree, &prefix);
        service.execute(&context, &operation.body, &mut state)
    }
}

/// Who alone sends an outcome whole: the replica that the request names, if it is worth it, and if
/// everybody keeps the outcome, of which it says how many bytes that takes. What was not kept
/// nobody could be asked for again, so one replica could withhold it for good [DR2].
fn only_replier(
    parameters: &Parameters,
    request: &Request,
    kept_bytes: Option<usize>,
) -> Option<ReplicaId> {
    let is_worth_it = kept_bytes.is_some_and(|bytes| bytes > SHORT_OUTCOME_BYTES_MAX);
    request.replier.filter(|_| parameters.digest_replies && is_worth_it)
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("last_executed", &self.last_executed())
            .field("time", &self.time)
            .field("services", &self.services.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
