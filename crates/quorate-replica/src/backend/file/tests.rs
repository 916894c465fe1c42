use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn folder() -> (tempfile::TempDir, FileBackend) {
    let parent = tempfile::tempdir().unwrap();
    let backend = FileBackend::create(&parent.path().join("d")).unwrap();
    (parent, backend)
}

#[test]
fn written_bytes_are_read_back_and_unwritten_ones_are_zero() {
    let (_parent, backend) = folder();
    let file = backend.create("a").unwrap();
    file.preallocate(100).unwrap();
    file.write_at(10, b"hello").unwrap();
    file.sync().unwrap();
    backend.sync_directory().unwrap();
    let mut bytes = [1; 20];
    backend.open("a").unwrap().read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"\0\0\0\0\0\0\0\0\0\0hello\0\0\0\0\0");
    assert_eq!(file.byte_count().unwrap(), 100);
    file.preallocate(50).unwrap();
    assert_eq!(file.byte_count().unwrap(), 100);
    file.set_byte_count(12).unwrap();
    assert_eq!(file.byte_count().unwrap(), 12);
    let error = file.read_at(0, &mut bytes).unwrap_err();
    assert_eq!(error.to_string(), "cannot read 'a': the file is too short");
}

#[test]
fn names_are_listed_in_order_renamed_and_removed() {
    let (_parent, backend) = folder();
    for name in ["c", "a", "b"] {
        backend.create(name).unwrap();
    }
    backend.rename("c", "a").unwrap();
    backend.remove("b").unwrap();
    assert_eq!(backend.list().unwrap(), ["a"]);
    assert!(backend.open("b").unwrap_err().is_not_found());
    let error = backend.create("a").unwrap_err();
    assert_eq!(error.cause, Cause::Os(Errno::EXIST));
}

#[test]
fn second_opening_of_a_folder_is_refused_and_names_the_process() {
    let (parent, backend) = folder();
    let error = FileBackend::open(&parent.path().join("d")).unwrap_err();
    assert_eq!(error.cause, Cause::InUse { pid: Some(std::process::id()) });
    assert!(error.to_string().ends_with(&format!("in use by process {}", std::process::id())));
    drop(backend);
    FileBackend::open(&parent.path().join("d")).unwrap();
}

#[test]
fn folder_must_exist_to_be_opened_and_must_not_to_be_created() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("d");
    assert!(FileBackend::open(&path).unwrap_err().is_not_found());
    drop(FileBackend::create(&path).unwrap());
    assert_eq!(FileBackend::create(&path).unwrap_err().cause, Cause::Os(Errno::EXIST));
}

#[test]
fn folder_and_files_are_closed_to_everybody_else() {
    let (parent, backend) = folder();
    backend.create("a").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = parent.path().join("d");
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("a")), 0o600);
    assert_eq!(mode(&path.join(LOCK_FILE)), 0o600);
}

#[test]
fn symbolic_links_and_anything_but_files_are_refused() {
    let (parent, backend) = folder();
    let target = parent.path().join("precious");
    std::fs::write(&target, "x").unwrap();
    symlink(&target, parent.path().join("d/link")).unwrap();
    std::fs::create_dir(parent.path().join("d/sub")).unwrap();
    assert_eq!(backend.open("link").unwrap_err().cause, Cause::Os(Errno::LOOP));
    assert_eq!(backend.create("link").unwrap_err().cause, Cause::Os(Errno::EXIST));
    assert!(backend.open("sub").is_err());
}

#[test]
fn names_that_leave_the_folder_or_touch_the_lock_are_refused() {
    let (_parent, backend) = folder();
    let long = "a".repeat(super::super::FILE_NAME_BYTES_MAX + 1);
    for name in ["", ".", "..", "../a", "a/b", ".hidden", "Upper", "nul\0", LOCK_FILE, &long] {
        assert_eq!(backend.create(name).unwrap_err().cause, Cause::BadName, "{name}");
        assert_eq!(backend.open(name).unwrap_err().cause, Cause::BadName, "{name}");
        assert_eq!(backend.remove(name).unwrap_err().cause, Cause::BadName, "{name}");
        assert_eq!(backend.rename("a", name).unwrap_err().cause, Cause::BadName, "{name}");
    }
}
