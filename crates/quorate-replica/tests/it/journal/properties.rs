//! Random sequences of operations, crashes and restarts against a model of what must survive.

use super::crash::{Model, Step};
use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Action {
    Take(Step),
    Reopen,
    /// Goes down at this many operations from now, then comes up like this.
    Crash(u64, Fall),
}

fn lengths() -> impl Strategy<Value = &'static [usize]> {
    prop_oneof![
        Just([4].as_slice()),
        Just([500, 4].as_slice()),
        Just([494].as_slice()),
        Just([495].as_slice()),
        Just([2500, 8, 8].as_slice()),
        Just([7000].as_slice()),
        Just([20_000, 5].as_slice()),
    ]
}

fn fall() -> impl Strategy<Value = Fall> {
    prop_oneof![
        Just(Fall::Process),
        Just(Fall::LosingAll),
        Just(Fall::KeepingAll),
        any::<u64>().prop_map(Fall::Tearing),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => lengths().prop_map(|lengths| Action::Take(Step::Write(lengths))),
        2 => lengths().prop_map(|lengths| Action::Take(Step::Rotate(lengths))),
        2 => Just(Action::Take(Step::Delete)),
        1 => Just(Action::Reopen),
        3 => (1_u64..25, fall()).prop_map(|(after, fall)| Action::Crash(after, fall)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn confirmed_records_survive_any_sequence_of_crashes(
        actions in proptest::collection::vec(action(), 1..60)
    ) {
        let mut backend = MemoryBackend::new();
        let mut model = Model::default();
        let mut next_fall = Fall::LosingAll;
        let mut journal = model.open(&backend).ok();
        for action in actions {
            if backend.has_crashed() {
                backend = restart(&backend, next_fall);
                journal = None;
            }
            match action {
                Action::Crash(after, fall) => {
                    backend.crash_at(backend.operations().mutations() + after);
                    next_fall = fall;
                }
                Action::Reopen => journal = None,
                Action::Take(step) => {
                    if journal.is_none() {
                        journal = model.open(&backend).ok();
                    }
                    let taken = match &mut journal {
                        Some(journal) => model.take(journal, step).is_ok(),
                        None => false,
                    };
                    prop_assert!(taken || backend.has_crashed());
                }
            }
        }
        model.open(&restart(&backend, next_fall)).unwrap();
    }
}
