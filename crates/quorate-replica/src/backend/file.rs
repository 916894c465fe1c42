//! A [`Backend`] on a directory of the real file system.

use super::{Backend, BackendError, BackendFile, Cause, Operation, check_name};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of the file system, open to this process alone until the value is dropped.
///
/// Files are mode 0600 and are never opened through a symbolic link, so that whoever can write
/// next to them cannot make a replica overwrite something else.
#[derive(Debug)]
pub struct FileBackend {
    path: PathBuf,
    directory: File,
    /// Holds the lock; the operating system releases it when the process ends, however it ends.
    _lock: File,
}

/// The file that is locked while the directory is open; it holds the process id for messages.
const LOCK_FILE: &str = "lock";
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

impl FileBackend {
    /// Makes the directory, mode 0700, and opens it. It is an error if it exists: an existing
    /// folder may hold promises that must not be forgotten.
    pub fn create(path: &Path) -> Result<Self, BackendError> {
        let failed = |cause| BackendError::new(Operation::Create, &path.to_string_lossy(), cause);
        DirBuilder::new().mode(0o700).create(path).map_err(|error| failed(error.into()))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| failed(error.into()))?;
        Self::open(path)
    }

    /// Opens an existing directory. Fails with [`Cause::InUse`] while another process, or another
    /// value in this one, has it open.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
            BackendError::new(Operation::Open, &path.to_string_lossy(), Cause::Os(errno))
        })?;
        let directory = File::from(directory);
        let lock = lock(path, &directory)?;
        Ok(Self { path: path.to_owned(), directory, _lock: lock })
    }

    fn open_with(
        &self,
        operation: Operation,
        name: &str,
        flags: OFlags,
    ) -> Result<Arc<dyn BackendFile>, BackendError> {
        check_own_name(operation, name)?;
        let file = open_regular(&self.directory, name, flags)
            .map_err(|errno| BackendError::new(operation, name, Cause::Os(errno)))?;
        Ok(Arc::new(OpenFile { name: name.to_owned(), file }))
    }
}

/// Like [`check_name`], and keeps callers away from the lock.
fn check_own_name(operation: Operation, name: &str) -> Result<(), BackendError> {
    check_name(operation, name)?;
    if name == LOCK_FILE {
        return Err(BackendError::new(operation, name, Cause::BadName));
    }
    Ok(())
}

fn open_regular(directory: &File, name: &str, flags: OFlags) -> Result<File, Errno> {
    // Without NONBLOCK, opening a named pipe planted here would block for ever.
    let flags = flags | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::openat(directory, name, flags, FILE_MODE)?);
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if kind == FileType::RegularFile { Ok(file) } else { Err(Errno::INVAL) }
}

/// Takes the directory's lock and leaves our process id in it.
fn lock(path: &Path, directory: &File) -> Result<File, BackendError> {
    let failed = |cause| BackendError::new(Operation::Open, &path.to_string_lossy(), cause);
    let mut file = open_regular(directory, LOCK_FILE, OFlags::CREATE)
        .map_err(|errno| failed(Cause::Os(errno)))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(failed(Cause::InUse { pid }));
        }
        Err(errno) => return Err(failed(Cause::Os(errno))),
    }
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(|error| failed(error.into()))?;
    Ok(file)
}

impl Backend for FileBackend {
    fn create(&self, name: &str) -> Result<Arc<dyn BackendFile>, BackendError> {
        self.open_with(Operation::Create, name, OFlags::CREATE | OFlags::EXCL)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn BackendFile>, BackendError> {
        self.open_with(Operation::Open, name, OFlags::empty())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), BackendError> {
        check_own_name(Operation::Rename, from)?;
        check_own_name(Operation::Rename, to)?;
        rustix::fs::renameat(&self.directory, from, &self.directory, to)
            .map_err(|errno| BackendError::new(Operation::Rename, from, Cause::Os(errno)))
    }

    fn remove(&self, name: &str) -> Result<(), BackendError> {
        check_own_name(Operation::Remove, name)?;
        rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())
            .map_err(|errno| BackendError::new(Operation::Remove, name, Cause::Os(errno)))
    }

    fn list(&self) -> Result<Vec<String>, BackendError> {
        let path = self.path.to_string_lossy();
        let failed = |errno| BackendError::new(Operation::List, &path, Cause::Os(errno));
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A name we could not have made is not a file of ours, whatever it is.
            if let Ok(name) = entry.file_name().to_str()
                && check_own_name(Operation::List, name).is_ok()
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_directory(&self) -> Result<(), BackendError> {
        let path = self.path.to_string_lossy();
        self.directory
            .sync_all()
            .map_err(|error| BackendError::new(Operation::SyncDirectory, &path, error.into()))
    }
}

#[derive(Debug)]
struct OpenFile {
    name: String,
    file: File,
}

impl OpenFile {
    fn failed(&self, operation: Operation, error: std::io::Error) -> BackendError {
        BackendError::new(operation, &self.name, error.into())
    }
}

impl BackendFile for OpenFile {
    fn byte_count(&self) -> Result<u64, BackendError> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(|error| self.failed(Operation::Measure, error))?.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), BackendError> {
        let read = self.file.read_exact_at(out, offset);
        read.map_err(|error| self.failed(Operation::Read, error))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), BackendError> {
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| self.failed(Operation::Write, error))
    }

    fn preallocate(&self, byte_count: u64) -> Result<(), BackendError> {
        let failed = |error: std::io::Error| self.failed(Operation::Preallocate, error);
        #[cfg(target_os = "linux")]
        match rustix::io::retry_on_intr(|| {
            let flags = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&self.file, flags, 0, byte_count)
        }) {
            Ok(()) => return Ok(()),
            // Some network and overlay file systems cannot reserve room: then only the length is
            // set, and a full disk shows at the write.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        if self.byte_count()? < byte_count {
            self.file.set_len(byte_count).map_err(failed)?;
        }
        Ok(())
    }

    fn set_byte_count(&self, byte_count: u64) -> Result<(), BackendError> {
        self.file.set_len(byte_count).map_err(|error| self.failed(Operation::Resize, error))
    }

    fn sync(&self) -> Result<(), BackendError> {
        self.file.sync_data().map_err(|error| self.failed(Operation::Sync, error))
    }
}

#[cfg(test)]
mod tests;
