//! The client as a state machine (OSDI '99 section 4.1): sessions, several outstanding requests,
//! many operations under one signature, and results that a quorum of replicas agrees on.
//!
//! Its host calls [`Client::submit`] for each operation, [`Client::flush`] when no more of them are
//! at hand, [`Client::on_reply`] for each REPLY that arrives over the authenticated link of a
//! replica, and [`Client::on_tick`] at [`Client::next_deadline`].

mod addressees;
mod outstanding;
mod reads;
mod repliers;

pub use reads::ReadAgain;

use crate::auth::{SignedRequest, SigningKey};
use crate::message::{Message, Operation, Outcome, Reply, Request, RequestBody};
use crate::wire::Head;
use crate::{ClientId, Config, Digest, Reading, ReplicaId, Session, Time, Timestamp, View};
use addressees::Addressees;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use outstanding::Outstanding;
use reads::Reads;
use repliers::Repliers;

/// Names an operation handed to [`Client::submit`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperationId(pub u64);

/// How many equal replies a client believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyRule {
    /// The papers' rule: f+1 of them, or a quorum while some are tentative.
    WeakUnlessTentative,
    /// A quorum always: what a cluster must use in which reads take one round trip, so that every
    /// acknowledged write is known to a quorum [CL3].
    AlwaysQuorum,
}

/// How a client behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientParameters {
    /// How many equal replies it believes.
    pub reply_rule: ReplyRule,
    /// How many requests it keeps outstanding; what is submitted meanwhile shares the next one.
    pub outstanding_max: u64,
    /// How long operations gather for the next request at most while others are outstanding; zero
    /// sends what is there, as long as `outstanding_max` allows [CL7].
    pub gathering_max: Duration,
    /// How many operations may wait to be sent.
    pub queued_operations_max: usize,
    /// The shortest time before an unanswered request is sent again. It adapts to the latency
    /// seen, and doubles with every repetition.
    pub retransmit_min: Duration,
    /// The longest.
    pub retransmit_max: Duration,
    /// The shortest time for which it waits, when enough replicas vouch for a result by its digest,
    /// for the one that is to send it whole. It adapts to the latency seen [DR5].
    pub whole_result_patience_min: Duration,
}

impl Default for ClientParameters {
    fn default() -> Self {
        Self {
            reply_rule: ReplyRule::AlwaysQuorum,
            outstanding_max: 4,
            gathering_max: Duration::from_millis(2),
            queued_operations_max: 65_536,
            retransmit_min: Duration::from_millis(150),
            retransmit_max: Duration::from_secs(2),
            whole_result_patience_min: Duration::from_millis(10),
        }
    }
}

/// What became of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Completion {
    /// It was executed, with this result.
    Executed(Vec<u8>),
    /// It was read, and this is what a quorum of replicas shows. The revision lies between those of
    /// two correct ones of them [RO2].
    Read(Reading),
    /// It was to be read, and no quorum shows the same; where to read again, if that may help.
    NotAgreed(Option<ReadAgain>),
    /// It was executed, but no replica has its result any more.
    ResultLost,
    /// It was never sent, and nothing submitted later will be: another process opened a newer
    /// session with this client's identity.
    Fenced {
        /// The session that is open now.
        current: Session,
    },
    /// Whether it was executed is unknown: the session was fenced while it was outstanding, or the
    /// results of a request with several operations were lost.
    Unknown,
}

/// One thing for the client's host to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientOutput {
    /// Send a message.
    Send {
        /// To this replica alone [CL9]; `None` means to every one.
        only: Option<ReplicaId>,
        /// The message.
        message: Arc<Message>,
    },
    /// This operation is done.
    Completed(OperationId, Completion),
}

/// Why an operation was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubmitError {
    /// Longer than a request may be.
    TooLarge {
        /// The most bytes an operation may have.
        bytes_max: usize,
    },
    /// Too many operations wait already.
    Overloaded,
    /// Another process opened a newer session with this identity.
    Fenced {
        /// The session that is open now.
        current: Session,
    },
}

/// What a request costs beside its operations, at most.
const REQUEST_OVERHEAD_BYTES: usize = 256;
/// What an operation costs beside its body.
const OPERATION_OVERHEAD_BYTES: usize = 8;

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    config: Arc<Config>,
    id: ClientId,
    key: SigningKey,
    parameters: ClientParameters,
    session: Session,
    state: SessionState,
    next_timestamp: Timestamp,
    next_operation: u64,
    /// Operations that no request carries yet.
    queue: VecDeque<(OperationId, Operation)>,
    /// When what is queued has gathered for long enough *(while it gathers)*.
    gathers_until: Option<Time>,
    /// Requests without a result. **Invariant:** the lowest and the next timestamp are less than
    /// the client's window apart.
    outstanding: BTreeMap<Timestamp, Outstanding>,
    /// What is read without being ordered.
    reads: Reads,
    /// The latest view each replica replied in.
    views: BTreeMap<ReplicaId, View>,
    repliers: Repliers,
    addressees: Addressees,
    /// Smoothed time from a request until enough replicas vouch for its result.
    latency: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SessionState {
    /// The OPEN-SESSION request is outstanding, as timestamp 0.
    Opening,
    Open,
    Fenced(Session),
}

impl Client {
    /// A client that will open the session `session`, or a free one above. Sessions must grow
    /// from one start of a client to the next: take the time of day in microseconds, or a durable
    /// counter [CL4].
    pub fn new(
        config: Arc<Config>,
        id: ClientId,
        key: SigningKey,
        session: Session,
        parameters: ClientParameters,
    ) -> Self {
        Self {
            config,
            id,
            key,
            latency: parameters.retransmit_min / 4,
            parameters,
            session: session.max(Session::new(1)),
            state: SessionState::Opening,
            next_timestamp: Timestamp::ZERO,
            next_operation: 0,
            queue: VecDeque::new(),
            gathers_until: None,
            outstanding: BTreeMap::new(),
            reads: Reads::default(),
            views: BTreeMap::new(),
            repliers: Repliers::default(),
            addressees: Addressees::default(),
        }
    }

    /// Takes an operation. Nothing is sent before [`Client::flush`].
    ///
    /// # Errors
    /// See [`SubmitError`]; the operation will not be executed.
    pub fn submit(&mut self, operation: Operation) -> Result<OperationId, SubmitError> {
        let id = self.accept(&operation)?;
        self.queue.push_back((id, operation));
        Ok(id)
    }

    /// Names an operation, if there is room for it.
    fn accept(&mut self, operation: &Operation) -> Result<OperationId, SubmitError> {
        if let SessionState::Fenced(current) = self.state {
            return Err(SubmitError::Fenced { current });
        }
        let bytes_max = self.operation_bytes_max();
        if operation.body.len() > bytes_max {
            return Err(SubmitError::TooLarge { bytes_max });
        }
        let queued = self.queue.len() + self.reads.queued();
        if queued >= self.parameters.queued_operations_max {
            return Err(SubmitError::Overloaded);
        }
        let id = OperationId(self.next_operation);
        self.next_operation += 1;
        Ok(id)
    }

    /// The most bytes an operation may have.
    pub fn operation_bytes_max(&self) -> usize {
        let overhead = REQUEST_OVERHEAD_BYTES + OPERATION_OVERHEAD_BYTES;
        self.config.parameters.request_bytes_max.saturating_sub(overhead)
    }

    /// Nobody waits for this operation any more. True if it will certainly never be executed,
    /// since it was not sent yet; false if it may be.
    pub fn cancel(&mut self, operation: OperationId) -> bool {
        let queued = self.queue.iter().position(|(id, _)| *id == operation);
        if let Some(index) = queued {
            self.queue.remove(index);
            return true;
        }
        self.reads.cancel(operation)
    }

    /// Sends what waits, as far as the number of outstanding requests and the window allow.
    pub fn flush(&mut self, now: Time, outputs: &mut Vec<ClientOutput>) {
        match self.state {
            SessionState::Opening if self.outstanding.is_empty() => self.open_session(now, outputs),
            SessionState::Open => {
                while !self.queue.is_empty() && self.may_send() && self.is_worth_a_request(now) {
                    self.gathers_until = None;
                    self.send_next(now, outputs);
                }
                if self.queue.is_empty() {
                    self.gathers_until = None;
                }
                self.flush_reads(now, outputs);
            }
            SessionState::Opening | SessionState::Fenced(_) => {}
        }
    }

    /// A REPLY arrived over the link of `from`. What waits to be sent waits for
    /// [`Client::flush`], so that those who are answered by it can submit more before.
    pub fn on_reply(
        &mut self,
        now: Time,
        from: ReplicaId,
        reply: Reply,
        outputs: &mut Vec<ClientOutput>,
    ) {
        if from.get() >= self.config.replica_count() || reply.session != self.session {
            return;
        }
        let known = self.views.entry(from).or_default();
        *known = reply.view.min(View::MAX);
        self.repliers.answered(now, from);
        let timestamp = reply.timestamp;
        let (latency, patience) = (self.latency, self.patience());
        let Some(outstanding) = self.outstanding.get_mut(&timestamp) else { return };
        outstanding.add_reply(from, reply);
        let (quorums, rule) = (self.config.quorums, self.parameters.reply_rule);
        if outstanding.is_newly_vouched_for(now, patience, quorums, rule) {
            let mut latest = now.since(outstanding.first_sent).min(self.parameters.retransmit_max);
            if outstanding.repetitions == 0 {
                latest = self.addressees.learn(now, outstanding.alone_in, latest);
            }
            self.latency = (latency * 7 + latest) / 8;
        }
        let Some(outcome) = outstanding.accepted(quorums, rule) else {
            // Whoever executed it tentatively has committed it soon, and says so if asked again.
            if outstanding.is_split(quorums, rule) {
                outstanding.alone_in = None;
                let soon = now.after(latency / 4);
                outstanding.resend_at = outstanding.resend_at.min(soon);
            }
            return;
        };
        let Some(done) = self.outstanding.remove(&timestamp) else { return };
        self.complete(now, done, outcome, outputs);
    }

    /// Whether an answer of `from` that begins like this can matter, so that nothing else need be
    /// decoded: somebody waits for it, it holds no more results than there are operations, and
    /// there was no whole outcome of this replica yet since the request was last sent.
    pub fn wants(&self, from: ReplicaId, head: &Head) -> bool {
        match head {
            Head::Reply(head) => {
                let sent = self.outstanding.get(&head.timestamp);
                head.session == self.session && sent.is_some_and(|sent| sent.wants(from, head))
            }
            Head::ReadReply(head) => self.wants_reading(from, head),
        }
    }

    /// Time has passed: sends unanswered requests again, to all replicas [CL2]; and at once those
    /// of which only the whole result is missing, because who was to send it did not [DR5].
    pub fn on_tick(&mut self, now: Time, outputs: &mut Vec<ClientOutput>) {
        let (id, parameters) = (self.id, &self.parameters);
        for (timestamp, outstanding) in &mut self.outstanding {
            let is_due = outstanding.resend_at <= now;
            let is_withheld = outstanding.gives_up_replier(now);
            if let Some(replier) = outstanding.request.request().replier.filter(|_| is_withheld) {
                self.repliers.pass_over(now, replier);
            }
            if is_due || is_withheld {
                outstanding.repetitions += 1;
                if is_due {
                    outstanding.back_off(now, id, *timestamp, parameters);
                    if let Some(view) = outstanding.alone_in.take() {
                        self.addressees.doubt(now, view);
                    }
                }
                let message = Arc::new(Message::Request(Arc::clone(&outstanding.request)));
                outputs.push(ClientOutput::Send { only: None, message });
            }
        }
        self.give_up_reads(now, outputs);
        self.flush(now, outputs);
    }

    /// When [`Client::on_tick`] is due.
    pub fn next_deadline(&self) -> Option<Time> {
        let requests = self.outstanding.values().map(Outstanding::deadline);
        let gathers_until = self.gathers_until.filter(|_| self.may_send());
        requests.chain(self.reads.next_deadline()).chain(gathers_until).min()
    }

    /// The view that at least one correct replica has reached: the (f+1)-th highest of those
    /// replied in, so that f liars cannot move it [CL5].
    pub fn view(&self) -> View {
        let mut views: Vec<View> = self.views.values().copied().collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        views.get(self.config.quorums.weak() - 1).copied().unwrap_or_default()
    }

    /// Operations that are queued or outstanding.
    pub fn unfinished(&self) -> usize {
        let sent: usize = self.outstanding.values().map(|o| o.operations.len()).sum();
        self.queue.len() + sent + self.reads.unfinished()
    }

    /// How many replicas answered the oldest outstanding request so far; `None` when nothing is
    /// outstanding.
    pub fn answers_to_oldest(&self) -> Option<usize> {
        self.outstanding.values().next().map(Outstanding::answer_count)
    }

    fn may_send(&self) -> bool {
        let oldest = self.outstanding.keys().next().copied().unwrap_or(self.next_timestamp);
        let span = self.next_timestamp.get() - oldest.get();
        (self.outstanding.len() as u64) < self.parameters.outstanding_max
            && span + 1 < self.config.parameters.client_window
    }

    /// Whether as many operations wait as are outstanding, or as many as fit: then another request
    /// is worth its signature and its messages. So is it for those that have gathered for long
    /// enough [CL7].
    fn is_worth_a_request(&mut self, now: Time) -> bool {
        let outstanding: usize = self.outstanding.values().map(|sent| sent.operations.len()).sum();
        if self.queue.len() >= outstanding.min(self.config.parameters.operations_per_request_max) {
            return true;
        }
        let gathering_max = self.parameters.gathering_max;
        *self.gathers_until.get_or_insert_with(|| now.after(gathering_max)) <= now
    }

    fn open_session(&mut self, now: Time, outputs: &mut Vec<ClientOutput>) {
        self.next_timestamp = Timestamp::ZERO;
        self.send(now, RequestBody::OpenSession, Vec::new(), outputs);
    }

    /// One request with as many of the waiting operations as fit [CL7].
    fn send_next(&mut self, now: Time, outputs: &mut Vec<ClientOutput>) {
        let limits = &self.config.parameters;
        let mut room = limits.request_bytes_max.saturating_sub(REQUEST_OVERHEAD_BYTES);
        let mut ids = Vec::new();
        let mut operations = Vec::new();
        while operations.len() < limits.operations_per_request_max
            && let Some((_, next)) = self.queue.front()
            && let Some(left) = room.checked_sub(next.body.len() + OPERATION_OVERHEAD_BYTES)
            && let Some((id, operation)) = self.queue.pop_front()
        {
            room = left;
            ids.push(id);
            operations.push(operation);
        }
        self.send(now, RequestBody::Operations(operations), ids, outputs);
    }

    fn send(
        &mut self,
        now: Time,
        body: RequestBody,
        operations: Vec<OperationId>,
        outputs: &mut Vec<ClientOutput>,
    ) {
        let timestamp = self.next_timestamp;
        self.next_timestamp = timestamp.next();
        let oldest = self.outstanding.keys().next().copied().unwrap_or(timestamp);
        let request = Request {
            client: self.id,
            session: self.session,
            timestamp,
            acknowledged_below: oldest,
            replier: self.next_replier(now, &body),
            body,
        };
        let request = Arc::new(SignedRequest::sign(&self.config.domain, &self.key, request));
        let message = Arc::new(Message::Request(Arc::clone(&request)));
        let only = self.only_addressee(now, &request);
        outputs.push(ClientOutput::Send { only, message });
        let wait = self.retransmit_after();
        let mut outstanding = Outstanding::new(request, operations, now, wait);
        outstanding.alone_in = only.map(|_| self.view());
        self.outstanding.insert(timestamp, outstanding);
    }

    /// Four times the usual latency, within the bounds.
    fn retransmit_after(&self) -> Duration {
        (self.latency * 4).clamp(self.parameters.retransmit_min, self.parameters.retransmit_max)
    }

    /// How long to wait for a whole result: as long again as replicas usually take to vouch for
    /// one. Who withholds results has no part in that latency.
    fn patience(&self) -> Duration {
        self.latency.max(self.parameters.whole_result_patience_min)
    }

    fn next_replier(&mut self, now: Time, body: &RequestBody) -> Option<ReplicaId> {
        let may_be_long = matches!(body, RequestBody::Operations(_));
        if !self.config.parameters.digest_replies || !may_be_long {
            return None;
        }
        self.repliers.next(now, self.parameters.retransmit_max)
    }

    fn complete(
        &mut self,
        now: Time,
        done: Outstanding,
        outcome: Outcome,
        outputs: &mut Vec<ClientOutput>,
    ) {
        match outcome {
            Outcome::SessionOpened => self.state = SessionState::Open,
            Outcome::Executed(results) => {
                self.submit_again(&done, results.len());
                for (operation, result) in done.operations.into_iter().zip(results) {
                    let completion = Completion::Executed(result);
                    outputs.push(ClientOutput::Completed(operation, completion));
                }
            }
            Outcome::ExecutedBefore(_) => {
                // Of several operations the last ones may not have been executed [CL8].
                let completion = match done.operations.len() {
                    1 => Completion::ResultLost,
                    _ => Completion::Unknown,
                };
                let lost = |id| ClientOutput::Completed(id, completion.clone());
                outputs.extend(done.operations.into_iter().map(lost));
            }
            Outcome::Fenced { current } if self.state == SessionState::Opening => {
                self.session = self.session_after(current);
                self.open_session(now, outputs);
            }
            Outcome::Fenced { current } => self.be_fenced(current, done, outputs),
            Outcome::OutsideWindow => {
                let unknown = |id| ClientOutput::Completed(id, Completion::Unknown);
                outputs.extend(done.operations.into_iter().map(unknown));
            }
        }
    }

    /// A session above the open one, by up to a second of those that count microseconds. How far
    /// above depends on what this process asked for first: two processes with one identity that
    /// are told of the same session must not open the same one, or each would take the other's
    /// results for its own [CL4].
    fn session_after(&self, current: Session) -> Session {
        let mixed = Digest::of(
            "quorate pbft v1: next session",
            &[&self.id.get().to_le_bytes(), &self.session.get().to_le_bytes()],
        );
        let [a, b, c, ..] = *mixed.as_bytes();
        let step = 1 + u64::from(u32::from_le_bytes([a, b, c & 0x0f, 0]));
        Session::new(current.get().saturating_add(step))
    }

    /// Puts the operations of a request that were not executed back to the head of the queue
    /// [CL8].
    fn submit_again(&mut self, done: &Outstanding, executed: usize) {
        let RequestBody::Operations(operations) = &done.request.request().body else { return };
        let left = done.operations.iter().copied().zip(operations.iter().cloned()).skip(executed);
        for unexecuted in left.collect::<Vec<_>>().into_iter().rev() {
            self.queue.push_front(unexecuted);
        }
    }

    /// Another process has taken this identity: what was outstanding may or may not have been
    /// executed before, what waited will not be.
    fn be_fenced(
        &mut self,
        current: Session,
        refused: Outstanding,
        outputs: &mut Vec<ClientOutput>,
    ) {
        self.state = SessionState::Fenced(current);
        // What was ever sent, the refused request included, may have been executed before the
        // newer session began, which took the results with it.
        let others = core::mem::take(&mut self.outstanding).into_values();
        let sent = core::iter::once(refused).chain(others).flat_map(|sent| sent.operations);
        let unknown = |id| ClientOutput::Completed(id, Completion::Unknown);
        outputs.extend(sent.map(unknown));
        let fenced = |id| ClientOutput::Completed(id, Completion::Fenced { current });
        outputs.extend(self.queue.drain(..).map(|(id, _)| fenced(id)));
        outputs.extend(self.reads.drain_queue().map(fenced));
    }
}

/// The digest on which replies are compared: that of the whole outcome, also when a replica kept
/// only the digest.
fn comparable(outcome: &Outcome) -> Digest {
    match outcome {
        Outcome::ExecutedBefore(digest) => *digest,
        other => other.digest(),
    }
}

#[cfg(test)]
mod tests;
