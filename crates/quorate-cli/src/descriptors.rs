//! How many files and sockets this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises what is allowed to this process, and to those it starts, to the most that it may allow
/// itself, and returns that; `None` if nothing limits it. Many systems allow a process 1024
/// descriptors until it asks for more, which is less than a replica serves.
pub(crate) fn allow_all() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            current
        }
    }
}
