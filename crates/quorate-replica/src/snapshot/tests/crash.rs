//! The power is cut at every write and sync of a save, of opening after it, and of creating.

use super::*;

/// A different choice at every question, the same in every run.
fn tear(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |choices| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as usize % (choices + 1)
    }
}

/// Brings the machine up again, in the `way`th way there is.
fn restart(backend: &MemoryBackend, way: u64, seed: u64) -> MemoryBackend {
    match way {
        0 => backend.restart(Crash::Process),
        1 => backend.restart(Crash::PowerLosingAll),
        2 => backend.restart(Crash::PowerKeepingAll),
        _ => backend.restart(Crash::PowerTearing(&mut tear(seed * 31 + way))),
    }
}

const WAYS: std::ops::Range<u64> = 0..5;

/// A disk on which the first snapshot is durable, and the store as a restart finds it.
fn prepared() -> (MemoryBackend, SnapshotStore) {
    let backend = MemoryBackend::new();
    let mut store = create(&backend);
    store.save(SeqNum::new(1), &first_tree()).unwrap();
    drop(store);
    let (store, _) = open(&backend);
    (backend, store)
}

/// Whether the disk has the second snapshot; if not it must have the first.
fn has_second(snapshot: Option<&Snapshot>) -> bool {
    let is_second = snapshot.is_some_and(|snapshot| snapshot.seq == SeqNum::new(2));
    match is_second {
        true => assert_is(snapshot, 2, &second_tree()),
        false => assert_is(snapshot, 1, &first_tree()),
    }
    is_second
}

#[test]
fn crash_at_any_write_of_a_save_leaves_one_snapshot_whole() {
    let second = second_tree();
    let mut found = [0_u32; 2];
    for way in WAYS {
        for at in 1.. {
            let (backend, mut store) = prepared();
            backend.crash_at(backend.operations().mutations() + at);
            let saved = store.save(SeqNum::new(2), &second);
            if saved.is_err() {
                assert!(matches!(saved, Err(SnapshotError::Backend(_))), "{saved:?}");
                let again = store.save(SeqNum::new(2), &second);
                assert!(matches!(again, Err(SnapshotError::HasFailed)));
            }
            drop(store);
            let backend = restart(&backend, way, at);
            let (mut store, snapshot) = open(&backend);
            let has_second = has_second(snapshot.as_ref());
            assert!(saved.is_err() || has_second);
            found[usize::from(has_second)] += 1;

            // What was left half done is gone, and the next save works.
            let third = tree(40);
            store.save(SeqNum::new(3), &third).unwrap();
            let everything = Tree::new();
            let everything = third.changes_since(&everything);
            assert_eq!(row_count(&store, PAGES), everything.pages.len() as u64);
            assert_eq!(row_count(&store, VALUES), 0);
            drop(store);
            assert_is(open(&backend).1.as_ref(), 3, &third);
            if saved.is_ok() {
                break;
            }
        }
    }
    assert!(found.iter().all(|count| *count > 20), "{found:?}");
}

#[test]
fn crash_while_opening_after_a_crash_loses_nothing() {
    let (backend, mut store) = prepared();
    let start = backend.operations().mutations();
    store.save(SeqNum::new(2), &second_tree()).unwrap();
    let length = backend.operations().mutations() - start;
    // The first crash comes somewhere in the save, so that opening has something to clear away.
    for share in [3, 5, 8] {
        for at in 1.. {
            let (backend, mut store) = prepared();
            backend.crash_at(backend.operations().mutations() + length * share / 9);
            store.save(SeqNum::new(2), &second_tree()).unwrap_err();
            drop(store);
            let backend = backend.restart(Crash::PowerKeepingAll);
            backend.crash_at(at);
            drop(SnapshotStore::open_with(&backend, SMALL_BATCH_BYTES));
            let is_over = !backend.has_crashed();
            let backend = restart(&backend, at % WAYS.end, at);
            has_second(open(&backend).1.as_ref());
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn crash_while_creating_leaves_no_store_or_an_empty_one() {
    for way in WAYS {
        for at in 1.. {
            let backend = MemoryBackend::new();
            backend.crash_at(at);
            let created = SnapshotStore::create(&backend);
            let is_over = created.is_ok() && !backend.has_crashed();
            drop(created);
            let backend = restart(&backend, way, at);
            match SnapshotStore::open(&backend) {
                Ok((_, snapshot)) => assert!(snapshot.is_none()),
                Err(SnapshotError::Backend(error)) => {
                    assert!(error.is_not_found() && !is_over, "{error}");
                    drop(SnapshotStore::create(&backend).unwrap());
                }
                Err(error) => panic!("crash at {at}: {error}"),
            }
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn failed_sync_stops_the_store() {
    for at in 1..8 {
        let (backend, mut store) = prepared();
        let before = backend.operations().of(crate::Operation::Sync);
        backend.fail_sync_at(before + at);
        let saved = store.save(SeqNum::new(2), &second_tree());
        assert!(matches!(saved, Err(SnapshotError::Backend(_))), "{saved:?}");
        let again = store.save(SeqNum::new(2), &second_tree());
        assert!(matches!(again, Err(SnapshotError::HasFailed)));
        drop(store);
        has_second(open(&backend.restart(Crash::PowerLosingAll)).1.as_ref());
    }
}

#[test]
fn full_disk_is_reported_as_such_and_loses_nothing() {
    let (backend, mut store) = prepared();
    backend.limit_bytes(0);
    let saved = store.save(SeqNum::new(2), &tree(20_000));
    assert!(
        matches!(&saved, Err(SnapshotError::Backend(error)) if error.is_disk_full()),
        "{saved:?}"
    );
    drop(store);
    assert_is(open(&backend.restart(Crash::Process)).1.as_ref(), 1, &first_tree());
}
