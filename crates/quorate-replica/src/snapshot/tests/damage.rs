//! SnapshotDamage is an error with a sentence, never an empty state, an older one, or a panic.

use super::*;

fn stored() -> MemoryBackend {
    let backend = MemoryBackend::new();
    let mut store = create(&backend);
    store.save(SeqNum::new(1), &first_tree()).unwrap();
    store.save(SeqNum::new(2), &second_tree()).unwrap();
    drop(store);
    backend
}

/// What opening a store finds wrong.
fn damage(backend: &MemoryBackend) -> SnapshotDamage {
    match SnapshotStore::open(backend) {
        Err(SnapshotError::Damaged(damage)) => damage,
        other => panic!("not found out: {other:?}"),
    }
}

#[test]
fn rot_anywhere_is_found_out_or_harmless() {
    let length = stored().open(FILE_NAME).unwrap().byte_count().unwrap();
    let (mut found_out, mut harmless) = (0, 0);
    // Every byte of the header, which everything hangs on, and a sample of the others.
    for offset in (0..320).chain((320..length).step_by(2_503)) {
        let backend = stored();
        backend.rot(FILE_NAME, offset, 0x40).unwrap();
        match SnapshotStore::open_with(&backend, SMALL_BATCH_BYTES) {
            Ok((_, snapshot)) => {
                assert_is(snapshot.as_ref(), 2, &second_tree());
                harmless += 1;
            }
            Err(SnapshotError::Damaged(_) | SnapshotError::Database(_)) => found_out += 1,
            Err(error) => panic!("rot at {offset}: {error}"),
        }
    }
    assert!(found_out > 30 && harmless > 30, "{found_out} found out, {harmless} harmless");
}

#[test]
fn missing_cut_and_foreign_files_are_no_empty_stores() {
    let backend = MemoryBackend::new();
    let missing = SnapshotStore::open(&backend);
    assert!(matches!(missing, Err(SnapshotError::Backend(error)) if error.is_not_found()));
    for cut in [0, 1, 100, 4096, 100_000] {
        let backend = stored();
        backend.open(FILE_NAME).unwrap().set_byte_count(cut).unwrap();
        assert!(matches!(damage(&backend), SnapshotDamage::File(_)));
    }
    let backend = MemoryBackend::new();
    let file = backend.create(FILE_NAME).unwrap();
    file.write_at(0, &[7; 20_000]).unwrap();
    assert!(matches!(damage(&backend), SnapshotDamage::File(_)));
}

/// Removes the rows of the keys that begin with `prefix`, as no crash ever would.
fn remove_rows(backend: &MemoryBackend, table: Table, prefix: &[u8]) {
    let database = open_database(DatabaseFile::new(backend.open(FILE_NAME).unwrap())).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut open = transaction.open_table(table).unwrap();
    open.retain(|(key, ..), _| !key.starts_with(prefix)).unwrap();
    drop(open);
    transaction.commit().unwrap();
}

#[test]
fn missing_rows_are_found_out() {
    let backend = stored();
    remove_rows(&backend, VALUES, b"large");
    assert!(matches!(damage(&backend), SnapshotDamage::Rows(BadRows::Value)));

    let backend = stored();
    let (tree, nothing) = (second_tree(), Tree::new());
    let pages = tree.changes_since(&nothing).pages;
    remove_rows(&backend, PAGES, pages.keys().nth(1).expect("the tree has many pages"));
    assert!(matches!(damage(&backend), SnapshotDamage::OtherState { .. }));

    let backend = stored();
    remove_rows(&backend, PAGES, b"");
    assert!(matches!(damage(&backend), SnapshotDamage::Rows(BadRows::StrayValue)));
}

#[test]
fn altered_rows_are_found_out() {
    let write = |table: Table, key: &[u8], content: Vec<u8>| {
        let backend = stored();
        let database = open_database(DatabaseFile::new(backend.open(FILE_NAME).unwrap())).unwrap();
        rows::write(&database, table, vec![Row::whole(key, 2, content)]).unwrap();
        drop(database);
        damage(&backend)
    };
    assert!(matches!(write(VALUES, b"large", vec![8; 3000]), SnapshotDamage::Rows(BadRows::Value)));
    assert!(matches!(
        write(VALUES, b"stray", vec![8; 3000]),
        SnapshotDamage::Rows(BadRows::StrayValue)
    ));
    assert!(matches!(write(PAGES, b"a", vec![8; 3000]), SnapshotDamage::Rows(BadRows::Page)));
    let page = [&[1, 0, 1, 0, 0, 0][..], b"z", b"v"].concat();
    assert!(matches!(write(PAGES, b"a", page.clone()), SnapshotDamage::Rows(BadRows::Page)));
    assert!(matches!(write(PAGES, b"z", page), SnapshotDamage::OtherState { .. }));
    let overlapping = [&[1, 0, 0, 0, 0, 0][..], b"0", &[1, 0, 0, 0, 0, 0], b"z"].concat();
    assert!(matches!(write(PAGES, b"0", overlapping), SnapshotDamage::Rows(BadRows::Order)));
}

#[test]
fn records_of_other_formats_are_told_from_damage() {
    let opened_with = |record: &[u8]| {
        let backend = stored();
        let database = open_database(DatabaseFile::new(backend.open(FILE_NAME).unwrap())).unwrap();
        rows::write_record(&database, record).unwrap();
        drop(database);
        SnapshotStore::open(&backend).unwrap_err()
    };
    assert!(matches!(opened_with(&[2, 0, 1, 2, 3]), SnapshotError::OtherFormat(2)));
    assert!(matches!(opened_with(&[1]), SnapshotError::Damaged(SnapshotDamage::Record)));
    assert!(matches!(opened_with(&[1, 0, 9]), SnapshotError::Damaged(SnapshotDamage::Record)));
}
