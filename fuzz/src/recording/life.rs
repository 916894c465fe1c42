//! A replica whose machine does at once whatever it asks for, and what is recorded of it.

use crate::CONFIG;
use pbft::Now;
use quorate_replica::recording::{Entry, OutputMark, RecordedInput};
use quorate_replica::{CheckpointState, Effect, Host, HostInput, JournalTask, Start, StateError};
use std::collections::VecDeque;

pub(super) struct Life {
    pub(super) host: Host,
    /// What is recorded since it started.
    pub(super) entries: Vec<Entry>,
    /// The last state that it had hashed.
    pub(super) last_checkpoint: Option<CheckpointState>,
}

impl Life {
    pub(super) fn start(start: Start, now: Now) -> Result<Self, StateError> {
        let mut effects = Vec::new();
        let host = Host::start(start, now, &mut effects)?;
        let mut life = Self { host, entries: Vec::new(), last_checkpoint: None };
        let answers = life.carry_out(effects);
        life.go_on(now, answers);
        Ok(life)
    }

    pub(super) fn take(&mut self, now: Now, input: HostInput) {
        self.go_on(now, [input].into());
    }

    /// Gives the replica these inputs, and then the answers to what it asks for.
    fn go_on(&mut self, now: Now, mut inputs: VecDeque<HostInput>) {
        let mut has_ticked = false;
        while let Some(input) = inputs.pop_front() {
            let recorded = RecordedInput::of(&CONFIG, &input);
            self.entries.push(Entry::Input { now, input: recorded });
            let mut effects = Vec::new();
            self.host.handle(now, input, &mut effects);
            inputs.extend(self.carry_out(effects));
            // What is due at once, as the proposal of a request that has just come.
            let is_due = self.host.next_deadline().is_some_and(|due| due <= now.monotonic);
            if inputs.is_empty() && is_due && !std::mem::replace(&mut has_ticked, true) {
                inputs.push_back(HostInput::Tick);
            }
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> VecDeque<HostInput> {
        let marks = effects.iter().map(|effect| OutputMark::of(&CONFIG, effect)).collect();
        self.entries.push(Entry::Outputs(marks));
        effects.into_iter().filter_map(|effect| self.answer(effect)).collect()
    }

    fn answer(&mut self, effect: Effect) -> Option<HostInput> {
        match effect {
            Effect::Journal(JournalTask::Append { position, .. }) => {
                Some(HostInput::Durable(position))
            }
            Effect::WriteSnapshot(state) => Some(HostInput::SnapshotDurable { seq: state.seq() }),
            Effect::HashCheckpoint(state) => {
                let (seq, id) = (state.seq(), state.id());
                self.last_checkpoint = Some(state);
                Some(HostInput::CheckpointHashed { seq, id })
            }
            _ => None,
        }
    }
}
