//! The tasks of a client: one per link, and the one that drives the state machine.

use super::{Core, LinkState, Shared};
use crate::{
    budget::Budget,
    dial::Dialer,
    limits::{REPLIES_IN_A_ROW_MAX, REPLY_BYTES, REPLY_FRAMES},
    link::{LinkEnd, LinkReader, LinkWriter},
    socket::SecureStream,
};
use bytes::Bytes;
use pbft::{ClientOutput, Message, ReplicaId, Time, wire};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

/// Drives the state machine until the task is aborted.
pub(super) async fn drive(shared: Arc<Shared>) {
    let mut outputs = Vec::new();
    loop {
        shared.take_replies(&mut outputs);
        if !outputs.is_empty() {
            shared.carry_out(&mut outputs);
            // Whoever was answered may have more to submit, and it shares a request.
            yield_now().await;
        }
        let deadline = shared.flush(&mut outputs);
        shared.carry_out(&mut outputs);
        let due = deadline.map(|time| shared.started + Duration::from_micros(time.as_micros()));
        tokio::select! {
            biased;
            () = shared.wake.notified() => {}
            () = sleep_until(due.unwrap_or(shared.started)), if due.is_some() => {}
        }
    }
}

impl Shared {
    /// Tells the state machine what arrived.
    fn take_replies(&self, outputs: &mut Vec<ClientOutput>) {
        let now = self.now();
        let mut taken = 0;
        while let Some((replica, frame)) = self.replies.try_take(|_| true) {
            self.on_frame(now, replica, &frame, outputs);
            taken += 1;
            if taken == REPLIES_IN_A_ROW_MAX {
                // There may be more, and nobody else would say so.
                self.wake.notify_one();
                break;
            }
        }
    }

    /// Sends what waits or is due, and returns when the state machine wants to be called again.
    fn flush(&self, outputs: &mut Vec<ClientOutput>) -> Option<Time> {
        let now = self.now();
        let mut core = self.lock();
        let machine = &mut core.machine;
        if machine.next_deadline().is_some_and(|deadline| deadline <= now) {
            machine.on_tick(now, outputs);
        } else {
            machine.flush(now, outputs);
        }
        machine.next_deadline()
    }

    fn set_connected(&self, replica: ReplicaId, is_connected: bool) {
        self.links[&replica].connected.store(is_connected, Ordering::Relaxed);
        self.lock().machine.set_reachable(self.now(), replica, is_connected);
        // What waits for a link that is gone goes to the others.
        self.wake.notify_one();
    }

    /// Looks at the head of a reply before the rest, because a replica may send junk that is long
    /// to decode. Decodes outside the lock: callers need not wait for it.
    fn on_frame(
        &self,
        now: Time,
        replica: ReplicaId,
        frame: &Bytes,
        outputs: &mut Vec<ClientOutput>,
    ) {
        if let Some(tap) = self.tap.get() {
            // Whoever wanted them may be gone.
            let _ = tap.send((replica, frame.clone()));
        }
        let epoch = self.config.domain.epoch;
        let Ok(head) = wire::head(epoch, frame) else {
            self.metrics.replies_rejected.increment();
            return;
        };
        if !self.lock().machine.wants(replica, &head) {
            self.metrics.replies_unwanted.increment();
            return;
        }
        match wire::decode(epoch, frame) {
            Ok(Message::Reply(reply)) => {
                self.lock().machine.on_reply(now, replica, reply, outputs);
            }
            Ok(Message::ReadReply(reply)) => {
                self.lock().machine.on_read_reply(now, replica, reply, outputs);
            }
            Ok(_) | Err(_) => self.metrics.replies_rejected.increment(),
        }
    }

    fn carry_out(&self, outputs: &mut Vec<ClientOutput>) {
        for output in outputs.drain(..) {
            match output {
                ClientOutput::Send { only, message } => {
                    self.metrics.requests_sent.increment();
                    let frame = Bytes::from(wire::encode(self.config.domain.epoch, &message));
                    let is_addressed = |id: &ReplicaId| only.is_none_or(|only| only == *id);
                    for (_, link) in self.links.iter().filter(|(id, _)| is_addressed(id)) {
                        link.counters.frames_dropped.add(link.queue.push(frame.clone()));
                    }
                }
                ClientOutput::Completed(operation, completion) => {
                    let Core { waiting, .. } = &mut *self.lock();
                    if let Some(waiter) = waiting.remove(&operation) {
                        // Whoever has just stopped waiting does not want it.
                        let _ = waiter.send(completion);
                    }
                }
            }
        }
    }
}

/// The link to one replica, over and over again.
pub(super) struct ReplicaLink {
    shared: Arc<Shared>,
    replica: ReplicaId,
    /// Outlives the connections, so that reconnecting does not refill it.
    budget: Budget,
}

impl ReplicaLink {
    pub(super) fn new(shared: &Arc<Shared>, replica: ReplicaId) -> Self {
        let budget = Budget::new(REPLY_FRAMES, REPLY_BYTES, Instant::now());
        Self { shared: Arc::clone(shared), replica, budget }
    }

    pub(super) async fn keep_up(mut self, mut dialer: Dialer) {
        let replica = self.replica;
        loop {
            let (mut reader, mut writer) = dialer.connect().await;
            tracing::debug!(%replica, "link to replica up");
            let end = self.serve(&mut reader, &mut writer).await;
            tracing::debug!(%replica, %end, "link to replica down");
        }
    }

    async fn serve(
        &mut self,
        reader: &mut LinkReader<SecureStream>,
        writer: &mut LinkWriter<SecureStream>,
    ) -> LinkEnd {
        let Self { shared, replica, budget } = self;
        let LinkState { queue, .. } = &shared.links[replica];
        let _connected = Connected::mark(shared, *replica);
        tokio::select! {
            biased;
            end = writer.pump(queue) => end,
            end = read(shared, *replica, budget, reader) => end,
        }
    }
}

async fn read(
    shared: &Shared,
    replica: ReplicaId,
    budget: &mut Budget,
    reader: &mut LinkReader<SecureStream>,
) -> LinkEnd {
    loop {
        let frame = match reader.next().await {
            Ok(frame) => frame,
            Err(end) => return end,
        };
        let pause = budget.charge(frame.len(), Instant::now());
        shared.replies.push(replica, frame).await;
        if !pause.is_zero() {
            shared.links[&replica].counters.pauses.increment();
            sleep(pause).await;
        }
    }
}

/// Marks a link as up until it is dropped.
struct Connected<'a> {
    shared: &'a Shared,
    replica: ReplicaId,
}

impl<'a> Connected<'a> {
    fn mark(shared: &'a Shared, replica: ReplicaId) -> Self {
        shared.set_connected(replica, true);
        Self { shared, replica }
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.shared.set_connected(self.replica, false);
    }
}
