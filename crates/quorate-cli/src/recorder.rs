//! What a replica of a laboratory writes down of itself, for `quorate lab run --processes`.

use anyhow::{Context, Result};
use pbft::message::ServiceId;
use pbft::{Recipients, Sender};
use quorate_lab::record::{Arrival, Entry, What, mark};
use quorate_lab::trace::Party;
use quorate_lab::watched::{Execution, ExecutionLog, Noted, Watched};
use quorate_lab::workload;
use quorate_node::node::laboratory::{self, Seen, Watcher};
use quorate_services::store::Store;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::PoisonError;

/// The service that the workload of a scenario calls, by its name.
pub(crate) type WatchedService = (ServiceId, Box<dyn pbft::Service>);

/// Starts to write into the file `path`, which must be new. Returns who is to be shown everything,
/// and a store that is watched too.
pub(crate) fn start(path: &Path) -> Result<(Watcher, WatchedService)> {
    let created = File::create_new(path);
    let file = created.with_context(|| format!("cannot record into {}", path.display()))?;
    let log = ExecutionLog::default();
    let recorder = Recorder { file, log: ExecutionLog::clone(&log) };
    let watcher = Watcher::new(move |seen| recorder.see(seen));
    // Other starts of the same replica count their generations from an earlier moment.
    let service = Watched::new(Box::new(Store::new()), log, now_micros() << 16);
    Ok((watcher, (workload::SERVICE, Box::new(service))))
}

/// Microseconds of the monotonic clock that all processes of a machine share.
pub(crate) fn now_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
    u64::try_from(micros).unwrap_or_default()
}

struct Recorder {
    file: File,
    log: ExecutionLog,
}

impl Recorder {
    fn see(&self, seen: Seen<'_>) {
        let executed =
            std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        for noted in executed {
            self.write(match noted {
                Noted::Executed(Execution { generation, seq, client, operation, .. }) => {
                    What::Executed { generation, seq, client, operation }
                }
                Noted::Undone(from) => What::Undone(from),
            });
        }
        self.write(match seen {
            Seen::Arrives { from, frame, fate } => {
                let from = match from {
                    Sender::Replica(id) => Party::Replica(id),
                    Sender::Client(id) => Party::Client(id),
                };
                let fate = match fate {
                    laboratory::Arrival::Handled => Arrival::Handled,
                    laboratory::Arrival::Refused(reason) => Arrival::Refused(reason),
                    laboratory::Arrival::Discarded => Arrival::Discarded,
                };
                What::Arrived { from, frame: frame.to_vec(), fate }
            }
            Seen::Sends { to, message } => {
                let to = match to {
                    Recipients::Others => None,
                    Recipients::One(id) => Some(Party::Replica(id)),
                };
                What::Sent { to, message: Box::new(message.clone()) }
            }
            Seen::Replies { client, message } => {
                let message = Box::new(message.clone());
                What::Sent { to: Some(Party::Client(client)), message }
            }
            Seen::Leaves { to, kind, frame, after } => {
                let after = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
                What::Left { to: to.into(), kind, mark: mark(frame), after }
            }
            Seen::Happens(event) => What::Happened(*event),
        });
    }

    /// Writes at once, so that nothing leaves a process that is killed without having been written
    /// down.
    fn write(&self, what: What) {
        let bytes = Entry { at: now_micros(), what }.encode();
        if let Err(error) = (&self.file).write_all(&bytes) {
            // A run must not be judged by half a record.
            tracing::error!(%error, "cannot write the record");
            std::process::abort();
        }
    }
}
