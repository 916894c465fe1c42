//! The files of the recordings, and the room that they may take.

use quorate_replica::recording::{Beginning, RecordingWriter};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// All recordings in a folder together, in bytes. None is deleted to make room: of a replica that
/// starts again and again it is the first that shows why.
const RECORDINGS_BYTES_MAX: u64 = 4 << 30;

/// What a recording leaves free on its disk, in bytes: it may be the one that the replica's memory
/// is on, and a replica whose memory finds no room stops for good.
const RESERVE_BYTES: u64 = 1 << 30;

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 256 << 10;

pub(super) type Writer = RecordingWriter<BufWriter<Reserved>>;

/// Makes a new file in `folder` and writes the beginning of a recording into it. If that cannot be
/// done the file goes again.
pub(super) fn begin(folder: &Path, beginning: Beginning) -> io::Result<(Writer, PathBuf)> {
    let limits = Limits { recordings: RECORDINGS_BYTES_MAX, reserve: RESERVE_BYTES };
    begin_within(limits, folder, beginning)
}

#[derive(Clone, Copy)]
struct Limits {
    recordings: u64,
    reserve: u64,
}

fn begin_within(
    limits: Limits,
    folder: &Path,
    beginning: Beginning,
) -> io::Result<(Writer, PathBuf)> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| at(folder, error))?;
    let taken = bytes_in(folder).map_err(|error| at(folder, error))?;
    let (file, path) = create(folder)?;
    let file = BufWriter::with_capacity(BUFFER_BYTES, Reserved { file, reserve: limits.reserve });
    let written = RecordingWriter::new(file, limits.recordings.saturating_sub(taken)).and_then(
        |mut writer| {
            beginning.write(&mut writer)?;
            writer.flush()?;
            Ok(writer)
        },
    );
    match written {
        Ok(writer) => {
            tracing::warn!(
                path = %path.display(),
                "every input is recorded, with what clients write in it"
            );
            Ok((writer, path))
        }
        Err(error) => {
            fs::remove_file(&path).map_err(|error| at(&path, error))?;
            Err(at(folder, error))
        }
    }
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// What the recordings in a folder take.
fn bytes_in(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"inputs-") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Makes the first file `inputs-0`, `inputs-1` and so on that is not there yet, mode 0600.
fn create(folder: &Path) -> io::Result<(File, PathBuf)> {
    let mut number = 0_u64;
    loop {
        let path = folder.join(format!("inputs-{number}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(at(&path, error)),
            Ok(file) => return Ok((file, path)),
        }
    }
}

/// A file that leaves so many bytes of its disk free.
pub(super) struct Reserved {
    file: File,
    reserve: u64,
}

impl Write for Reserved {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let disk = rustix::fs::fstatvfs(&self.file)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < self.reserve.saturating_add(bytes.len() as u64) {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("its disk has less than {} MiB left", self.reserve >> 20),
            ));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
