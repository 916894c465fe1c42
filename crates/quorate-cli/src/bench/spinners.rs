//! Keeps every processor awake without taking time from anybody: a virtual processor that halts
//! takes hundreds of microseconds to wake up, which would be measured instead of the protocol.

use anyhow::{Context, Result, anyhow};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// One busy loop on each processor, of the lowest priority there is, until it is dropped.
pub(super) struct Spinners {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinners {
    /// # Errors
    /// If the system refuses the lowest priority: then they would take time from what is measured.
    pub(super) fn start() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot ask which processors there are")?;
        let mut spinners = Self { stop: Arc::default(), threads: Vec::new() };
        let (sender, started) = std::sync::mpsc::channel();
        let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        for core in cores {
            let (stop, sender) = (Arc::clone(&spinners.stop), sender.clone());
            spinners.threads.push(std::thread::spawn(move || {
                let settled = settle_on(core);
                let is_settled = settled.is_ok();
                // Whoever started it waits for this, and then for the channel to end.
                let _ = sender.send(settled);
                drop(sender);
                while is_settled && !stop.load(Ordering::Relaxed) {
                    spin_loop();
                }
            }));
        }
        drop(sender);
        for settled in started {
            settled?;
        }
        Ok(spinners)
    }
}

fn settle_on(core: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).context("cannot stay on one processor")?;
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
        .map_err(|error| anyhow!("cannot take the lowest priority: {error:?}"))
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinners_start_and_stop() {
        let awake = Spinners::start().unwrap();
        let processors = awake.threads.len();
        assert!(processors >= 1);
        drop(awake);
    }
}
