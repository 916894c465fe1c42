//! Keeps strangers from writing our log: so many lines a second, the rest is only counted.

use crate::limits::LOG_LINES_PER_SECOND_MAX;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    start: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Whether to write a line now; if so, how many were kept back since the last one.
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = Instant::now();
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.start.is_none_or(|start| now - start >= Duration::from_secs(1)) {
            window.start = Some(now);
            window.lines = 0;
        }
        if window.lines >= LOG_LINES_PER_SECOND_MAX {
            window.suppressed += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn flood_of_lines_is_cut_and_counted() {
        let limit = LogLimit::default();
        let written = (0..1000).filter(|_| limit.admit().is_some()).count();
        assert_eq!(written, LOG_LINES_PER_SECOND_MAX as usize);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.admit(), Some(1000 - u64::from(LOG_LINES_PER_SECOND_MAX)));
        assert_eq!(limit.admit(), Some(0));
    }
}
