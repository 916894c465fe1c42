//! A service that is watched while it executes, in simulated worlds and in real processes.

pub(crate) mod steps;

use crate::workload::untagged;
use pbft::{ClientId, Context, Reading, SeqNum, Service, State, StateRead};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
pub use steps::Step;
use steps::Witness;

/// A service that is watched: it removes the tag, notes what is executed and hands the rest on.
pub struct Watched {
    inner: Box<dyn Service>,
    log: ExecutionLog,
    /// How often the state was replaced or a batch undone.
    generation: u64,
    flip: BitFlip,
    notes_steps: bool,
}

/// Whether a bit of the state is to flip at the next execution.
pub(crate) type BitFlip = Arc<AtomicBool>;

/// What watched services executed and nobody has looked at yet, in its order.
pub type ExecutionLog = Arc<Mutex<Vec<Noted>>>;

/// What happened to a watched service.
#[derive(Debug)]
pub enum Noted {
    /// It executed an operation.
    Executed(Execution),
    /// What it executed in batches from this number on was undone, or its state was replaced and
    /// what it executed before no longer counts.
    Undone(SeqNum),
}

/// One execution of one operation.
#[derive(Debug)]
pub struct Execution {
    /// In which generation of the state.
    pub generation: u64,
    /// In the batch with this number.
    pub seq: SeqNum,
    /// Who asked.
    pub client: ClientId,
    /// What, with its tag.
    pub operation: Vec<u8>,
    /// What the service did, step by step; empty unless that is noted.
    pub steps: Vec<Step>,
}

impl Watched {
    /// Watches `inner` and notes in `log`, counting generations from `generation`.
    pub fn new(inner: Box<dyn Service>, log: ExecutionLog, generation: u64) -> Self {
        Self { inner, log, generation, flip: BitFlip::default(), notes_steps: false }
    }

    /// A bit of its state flips when `flip` says so.
    pub(crate) fn flipping(self, flip: BitFlip) -> Self {
        Self { flip, ..self }
    }

    /// Notes every step of an execution too.
    pub(crate) fn noting_steps(self) -> Self {
        Self { notes_steps: true, ..self }
    }

    fn note(&self, noted: Noted) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(noted);
    }

    /// Has the service execute an operation, and returns the result and the steps noted.
    fn perform(
        &mut self,
        context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> (Vec<u8>, Vec<Step>) {
        if !self.notes_steps {
            return (self.inner.execute(context, operation, state), Vec::new());
        }
        let mut witness = Witness::new(context, state);
        let result = self.inner.execute(context, operation, &mut witness);
        let steps = witness.into_steps(&result);
        (result, steps)
    }
}

/// Flips a bit of the last value: the first ones are soon written again.
fn flip_a_bit(state: &mut dyn State) {
    let mut last = None;
    state.scan(&[], None, &mut |key, value| {
        last = Some((key.to_vec(), value.to_vec()));
        true
    });
    if let Some((key, mut value)) = last {
        value.last_mut().into_iter().for_each(|byte| *byte ^= 1);
        state.put(&key, value);
    }
}

impl Service for Watched {
    fn execute(
        &mut self,
        context: &Context<'_>,
        operation: &[u8],
        state: &mut dyn State,
    ) -> Vec<u8> {
        let (result, steps) = self.perform(context, untagged(operation), state);
        let execution = Execution {
            generation: self.generation,
            seq: context.seq,
            client: context.client,
            operation: operation.to_vec(),
            steps,
        };
        self.note(Noted::Executed(execution));
        if self.flip.swap(false, Ordering::Relaxed) {
            flip_a_bit(state);
        }
        result
    }

    fn query(
        &self,
        context: &Context<'_>,
        operation: &[u8],
        state: &dyn StateRead,
    ) -> Option<Reading> {
        self.inner.query(context, untagged(operation), state)
    }

    fn choose(&mut self) -> Vec<u8> {
        self.inner.choose()
    }

    fn restored(&mut self, state: &dyn StateRead) {
        self.generation += 1;
        self.note(Noted::Undone(SeqNum::ZERO));
        self.inner.restored(state);
    }

    fn rolled_back(&mut self, seq: SeqNum, state: &dyn StateRead) {
        self.generation += 1;
        self.note(Noted::Undone(seq));
        self.inner.rolled_back(seq, state);
    }
}
