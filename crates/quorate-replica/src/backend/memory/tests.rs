use super::*;
use crate::backend::{Cause, SECTOR_BYTES};
use rustix::io::Errno;

fn read(backend: &MemoryBackend, name: &str) -> Vec<u8> {
    let file = backend.open(name).unwrap();
    let mut bytes = vec![0xff; file.byte_count().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn with_synced_file(content: &[u8]) -> (MemoryBackend, Arc<dyn BackendFile>) {
    let backend = MemoryBackend::new();
    let file = backend.create("a").unwrap();
    file.write_at(0, content).unwrap();
    file.sync().unwrap();
    backend.sync_directory().unwrap();
    (backend, file)
}

#[test]
fn unsynced_bytes_are_lost_or_kept_as_the_crash_says() {
    let (backend, file) = with_synced_file(b"old");
    file.write_at(0, b"newer").unwrap();
    assert_eq!(read(&backend, "a"), b"newer");
    assert_eq!(read(&backend.restart(Crash::PowerLosingAll), "a"), b"old");
    assert_eq!(read(&backend.restart(Crash::PowerKeepingAll), "a"), b"newer");
    assert_eq!(read(&backend.restart(Crash::Process), "a"), b"newer");
}

#[test]
fn page_cache_that_outlives_the_process_is_still_not_durable() {
    let (backend, file) = with_synced_file(b"old");
    file.write_at(0, b"new").unwrap();
    let backend = backend.restart(Crash::Process);
    assert_eq!(read(&backend, "a"), b"new");
    assert_eq!(read(&backend.restart(Crash::PowerLosingAll), "a"), b"old");
    backend.restart(Crash::Process).open("a").unwrap().sync().unwrap();
    assert_eq!(read(&backend.restart(Crash::PowerLosingAll), "a"), b"old");
}

#[test]
fn torn_write_keeps_whole_sectors_only() {
    let (backend, file) = with_synced_file(&[1; 4 * SECTOR_BYTES]);
    file.write_at(100, &[2; 3 * SECTOR_BYTES]).unwrap();
    let mut turn = 0;
    let torn = backend.restart(Crash::PowerTearing(&mut |_| {
        turn += 1;
        turn % 2
    }));
    let bytes = read(&torn, "a");
    assert!(bytes[..100].iter().all(|byte| *byte == 1));
    assert!(bytes[100..SECTOR_BYTES].iter().all(|byte| *byte == 2));
    assert!(bytes[SECTOR_BYTES..2 * SECTOR_BYTES].iter().all(|byte| *byte == 1));
    assert!(bytes[2 * SECTOR_BYTES..3 * SECTOR_BYTES].iter().all(|byte| *byte == 2));
    assert!(bytes[3 * SECTOR_BYTES..].iter().all(|byte| *byte == 1));
}

#[test]
fn each_version_a_sector_had_may_be_the_one_that_survives() {
    let (backend, file) = with_synced_file(b"0");
    file.write_at(0, b"1").unwrap();
    file.write_at(0, b"2").unwrap();
    for survivors in 0..3 {
        let backend = backend.restart(Crash::PowerTearing(&mut |_| survivors));
        assert_eq!(read(&backend, "a"), [b'0' + survivors as u8]);
    }
}

fn with_changed_names() -> MemoryBackend {
    let (backend, _) = with_synced_file(b"x");
    let other = backend.create("b").unwrap();
    other.write_at(0, b"y").unwrap();
    other.sync().unwrap();
    backend.rename("a", "c").unwrap();
    assert_eq!(backend.list().unwrap(), ["b", "c"]);
    backend
}

#[test]
fn name_is_durable_only_after_the_directory_is_synced() {
    let backend = with_changed_names();
    assert_eq!(backend.restart(Crash::PowerLosingAll).list().unwrap(), ["a"]);
    assert_eq!(backend.restart(Crash::PowerKeepingAll).list().unwrap(), ["b", "c"]);
    let backend = with_changed_names();
    backend.sync_directory().unwrap();
    assert_eq!(backend.restart(Crash::PowerLosingAll).list().unwrap(), ["b", "c"]);
}

#[test]
fn removed_file_comes_back_unless_the_directory_was_synced() {
    let (backend, _) = with_synced_file(b"x");
    backend.remove("a").unwrap();
    assert!(backend.open("a").unwrap_err().is_not_found());
    let backend = backend.restart(Crash::PowerLosingAll);
    assert_eq!(read(&backend, "a"), b"x");
    backend.remove("a").unwrap();
    backend.sync_directory().unwrap();
    assert!(backend.restart(Crash::PowerLosingAll).list().unwrap().is_empty());
}

#[test]
fn open_file_stays_readable_after_its_name_is_gone() {
    let (backend, file) = with_synced_file(b"x");
    backend.remove("a").unwrap();
    backend.sync_directory().unwrap();
    let mut byte = [0];
    file.read_at(0, &mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

#[test]
fn cut_file_reads_zero_when_it_grows_again() {
    let (backend, file) = with_synced_file(&[7; 2000]);
    file.set_byte_count(700).unwrap();
    file.set_byte_count(2000).unwrap();
    let expected: Vec<u8> = [[7; 700].as_slice(), &[0; 1300]].concat();
    assert_eq!(read(&backend, "a"), expected);
    assert_eq!(read(&backend.restart(Crash::PowerLosingAll), "a"), [7; 2000]);
    assert_eq!(read(&backend.restart(Crash::PowerKeepingAll), "a"), expected);
    let mut first = true;
    let only_the_cut = backend.restart(Crash::PowerTearing(&mut |count| {
        if std::mem::take(&mut first) { 1 } else { count }
    }));
    assert_eq!(read(&only_the_cut, "a"), [7; 700]);
}

#[test]
fn crash_comes_at_the_chosen_operation_and_stays() {
    let (backend, file) = with_synced_file(b"old");
    assert_eq!(backend.operations().mutations(), 4);
    backend.crash_at(6);
    file.write_at(0, b"new").unwrap();
    let mut byte = [0];
    file.read_at(0, &mut byte).unwrap();
    assert_eq!(file.sync().unwrap_err().cause, Cause::Crashed);
    assert!(backend.has_crashed());
    assert_eq!(file.read_at(0, &mut byte).unwrap_err().cause, Cause::Crashed);
    assert_eq!(backend.list().unwrap_err().cause, Cause::Crashed);
    assert_eq!(backend.operations().of(Operation::Sync), 2);
    assert_eq!(read(&backend.restart(Crash::PowerLosingAll), "a"), b"old");
}

#[test]
fn handles_of_the_time_before_a_restart_are_dead() {
    let (backend, file) = with_synced_file(b"old");
    let restarted = backend.restart(Crash::PowerLosingAll);
    assert_eq!(file.write_at(0, b"new").unwrap_err().cause, Cause::Crashed);
    assert_eq!(read(&restarted, "a"), b"old");
}

#[test]
fn failed_sync_loses_the_data_even_if_a_later_one_succeeds() {
    let (backend, file) = with_synced_file(b"old");
    file.write_at(0, b"new").unwrap();
    backend.fail_sync_at(2);
    assert_eq!(file.sync().unwrap_err().cause, Cause::Os(Errno::IO));
    file.sync().unwrap();
    assert_eq!(read(&backend, "a"), b"new");
    assert_eq!(read(&backend.restart(Crash::PowerKeepingAll), "a"), b"old");
    assert_eq!(read(&backend.restart(Crash::Process), "a"), b"new");
}

#[test]
fn full_disk_writes_what_fits_and_says_so() {
    let (backend, file) = with_synced_file(b"12345");
    backend.limit_bytes(8);
    let error = file.write_at(5, b"67890").unwrap_err();
    assert!(error.is_disk_full());
    assert_eq!(read(&backend, "a"), b"12345678");
    assert!(file.preallocate(9).unwrap_err().is_disk_full());
    assert!(file.set_byte_count(9).unwrap_err().is_disk_full());
    file.write_at(0, b"x").unwrap();
}

#[test]
fn rot_flips_the_bits_it_is_told_to() {
    let (backend, _file) = with_synced_file(b"abc");
    backend.rot("a", 1, 0x81).unwrap();
    assert_eq!(read(&backend, "a"), [b'a', b'b' ^ 0x81, b'c']);
    assert_eq!(read(&backend.restart(Crash::PowerLosingAll), "a"), [b'a', b'b' ^ 0x81, b'c']);
    assert_eq!(backend.rot("a", 3, 1).unwrap_err().cause, Cause::EndOfFile);
}
