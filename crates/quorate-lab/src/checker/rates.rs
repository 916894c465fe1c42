//! What a correct replica sends in any stretch of time is bounded by n, L, K, its timers and what it
//! handled, so that nobody can make it a multiplier of messages, and no timer runs wild.
//!
//! Let `i` be `status_interval`, `r` `view_change_resend`, T `view_change_timeout`, and `s` what the
//! slowest sync takes, for which a message may wait. On each link, in any stretch of length `d`:
//!
//! | what | at most |
//! |---|---|
//! | STATUS, and beside it HELLO | `4 + d / (i/2)`, STATUS one more for each start, HELLO one more for each HELLO that came and each time that the link came up, and as many as wait for the disk |
//! | one's own votes, PRE-PREPAREs and CHECKPOINTs, each for the first time | once for each place, up to L above the stable checkpoint |
//! | NEW-VIEWs, and VIEW-CHANGEs of one's own, each for the first time | one for each view |
//! | one's own VIEW-CHANGE again | `4 + (d + s) / r`, and as an answer to STATUS |
//! | CHECKPOINTs again | one for each that was taken, L/K + 1 for each that became stable, and as an answer to STATUS |
//! | all that answers STATUS: COMMITTED, votes and PRE-PREPAREs again, relayed VIEW-CHANGEs and NEW-VIEWs, the proof of a checkpoint, batches | `a = 4 min(64, L) + L/K + n + missing_batches_max + 4` for each STATUS that came, but only `a (3 + (d + s) / (i/2))` |
//! | HELLO-REPLY, PRE-PREPARE-SEEN, batches, messages with parts of the state | one for each HELLO, FETCH or part that was asked for, and one more for each FETCH of parts |
//! | FETCH of a PRE-PREPARE | one for each PREPARE that came |
//! | FETCH of a batch | L for each view that was entered, and one for each number that was committed |
//! | FETCH of the state | `8 + d / 250 ms`, one for each message with parts that came and each fetch that began or could turn to a newer state |
//! | REQUESTs relayed | `128 + 64 d / (T/4)` |
//! | REJOINs, one's own or relayed | `4 n + d / r + n d / (T/4)`, and one for each HELLO-REPLY that came from anybody |
//! | REPLYs to one client | `client_window`, and one for each of its requests that came, alone or in a batch, and for each of its operations that was executed |
//!
//! A replica that was let in after a start may say everything for the first time again.

mod purse;

use super::{Checker, Observation};
use core::time::Duration;
use pbft::message::Batch;
use pbft::{ClientId, Event, Message, Parameters, ReplicaId, SeqNum, Time, View};
use purse::Purse;
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// For how many numbers one STATUS is answered.
const ANSWERED_COUNT_MAX: u64 = 64;

/// How often a peer that lacks a checkpoint is asked for parts of it.
const FETCH_INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Rates {
    n: u64,
    parameters: Parameters,
    slowest_sync: Duration,
    now: Time,
    links: BTreeMap<(ReplicaId, ReplicaId), Link>,
    /// How many REPLYs each replica may still send to each client.
    replies: BTreeMap<(ReplicaId, ClientId), u64>,
    stable: BTreeMap<ReplicaId, SeqNum>,
}

/// What a replica may still send to another one.
#[derive(Debug)]
struct Link {
    status: Purse,
    hello: Purse,
    own_view_change: Purse,
    requests: Purse,
    rejoins: Purse,
    fetches_of_state: Purse,
    /// Answers to STATUS.
    repairs: u64,
    /// When a STATUS last gave some.
    repaired: Option<Time>,
    /// Answers to the questions of this kind.
    answers: BTreeMap<Answer, u64>,
    /// What has been said once.
    said: BTreeSet<Said>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Hello,
    PrePrepare,
    Batch,
    Parts,
    Checkpoints,
    FetchPrePrepare,
    FetchBatch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    PrePrepare(SeqNum, View),
    Prepare(SeqNum, View),
    Commit(SeqNum, View),
    Checkpoint(SeqNum),
    ViewChange(View),
    NewView(View),
}

impl Checker for Rates {
    fn property(&self) -> &'static str {
        "bounded message rate"
    }

    fn pass_time(&mut self, now: Time) {
        self.now = now;
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match *observation {
            Observation::Handled { at, from, message } => self.handled(at, from, message),
            Observation::Linked { at, peer } => self.link(at, peer).hello.gain(1),
            Observation::Durable { at, starts: true, .. } => {
                self.links_of(at).for_each(|link| link.status.gain(1));
            }
            Observation::Happened { at, event } => self.happened(at, event),
            Observation::Executed { at, client, .. } => self.owe_replies(at, client, 1),
            Observation::Sent { from, to: Endpoint::Client(client), message } => {
                if matches!(message, Message::Reply(_)) {
                    return self.replied(from, client);
                }
            }
            Observation::Sent { from, to: Endpoint::Replica(to), message } => {
                return self.sent(from, to, message);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Rates {
    pub(super) fn new(replica_count: u32, parameters: Parameters, slowest_sync: Duration) -> Self {
        Self {
            n: u64::from(replica_count),
            parameters,
            slowest_sync,
            now: Time::ZERO,
            links: BTreeMap::new(),
            replies: BTreeMap::new(),
            stable: BTreeMap::new(),
        }
    }

    /// a: what one STATUS is answered with.
    fn answer_max(&self) -> u64 {
        let Parameters { log_window, checkpoint_period, missing_batches_max, .. } = self.parameters;
        4 * log_window.min(ANSWERED_COUNT_MAX)
            + log_window / checkpoint_period
            + self.n
            + missing_batches_max as u64
            + 4
    }

    fn link(&mut self, from: ReplicaId, to: ReplicaId) -> &mut Link {
        let link = || {
            let now = self.now;
            let p = &self.parameters;
            let quarter = p.view_change_timeout / 4;
            let n = u32::try_from(self.n).unwrap_or(u32::MAX);
            let half = p.status_interval / 2;
            let held = ratio(self.slowest_sync, half);
            let waiting = ratio(self.slowest_sync, p.view_change_resend);
            Link {
                status: Purse::new(now, 4, half),
                hello: Purse::new(now, 4 + held, half),
                own_view_change: Purse::new(now, 4 + waiting, p.view_change_resend),
                requests: Purse::new(now, 128, quarter / 64),
                rejoins: Purse::new(now, 4 * self.n, p.view_change_resend.min(quarter) / (n + 1)),
                fetches_of_state: Purse::new(now, 8, FETCH_INTERVAL),
                repairs: 0,
                repaired: None,
                answers: BTreeMap::new(),
                said: BTreeSet::new(),
            }
        };
        self.links.entry((from, to)).or_insert_with(link)
    }

    /// All links of a replica.
    fn links_of(&mut self, from: ReplicaId) -> impl Iterator<Item = &mut Link> {
        let (first, last) = ((from, ReplicaId::new(0)), (from, ReplicaId::new(u32::MAX)));
        self.links.range_mut(first..=last).map(|(_, link)| link)
    }

    fn handled(&mut self, at: ReplicaId, from: Endpoint, message: &Message) {
        match message {
            Message::Request(request) => self.owe_replies(at, request.request().client, 1),
            Message::PrePrepare(_, batch) | Message::Batch(batch) => self.owe_for(at, batch),
            Message::Outline(_, outline) => {
                for request in outline.whole() {
                    self.owe_replies(at, request.request().client, 1);
                }
            }
            _ => {}
        }
        let Endpoint::Replica(from) = from else { return };
        let now = self.now;
        if matches!(message, Message::HelloReply(_)) {
            self.links_of(at).for_each(|link| link.rejoins.gain(1));
        }
        let half = self.parameters.status_interval / 2;
        let repairs = self.answer_max();
        let repairs_max = repairs * (3 + ratio(self.slowest_sync, half));
        let link = self.link(at, from);
        match message {
            Message::Status(_) if link.repaired.is_none_or(|last| now.since(last) >= half) => {
                link.repaired = Some(now);
                link.repairs = (link.repairs + repairs).min(repairs_max);
            }
            Message::Hello(_) => {
                link.hello.gain(1);
                link.owe(Answer::Hello, 1);
            }
            Message::FetchPrePrepare(..) => link.owe(Answer::PrePrepare, 1),
            Message::FetchBatch(_) => link.owe(Answer::Batch, 1),
            // An answer has at most a message for each part, and one that says that it ends.
            Message::FetchState(request) => link.owe(Answer::Parts, 1 + request.parts.len() as u64),
            Message::Prepare(_) => link.owe(Answer::FetchPrePrepare, 1),
            Message::Outline(..) => link.owe(Answer::FetchBatch, 1),
            Message::StateParts(_) => link.fetches_of_state.gain(1),
            _ => {}
        }
    }

    fn owe_for(&mut self, at: ReplicaId, batch: &Batch) {
        for request in &batch.requests {
            self.owe_replies(at, request.request().client, 1);
        }
    }

    fn owe_replies(&mut self, at: ReplicaId, client: ClientId, count: u64) {
        let first = self.parameters.client_window;
        *self.replies.entry((at, client)).or_insert(first) += count;
    }

    fn happened(&mut self, at: ReplicaId, event: &Event) {
        let Parameters { log_window, checkpoint_period, .. } = self.parameters;
        let others: Vec<ReplicaId> =
            (0..self.n as u32).map(ReplicaId::new).filter(|id| *id != at).collect();
        if let Event::CheckpointStable { seq, .. } = event {
            self.stable.insert(at, *seq);
        }
        for to in others {
            let link = self.link(at, to);
            match event {
                Event::Admitted => {
                    link.said.clear();
                    link.repaired = None;
                    link.owe(Answer::FetchBatch, 2 * log_window);
                }
                // What a restart takes once more is told once more.
                Event::CheckpointTaken { .. } => link.owe(Answer::Checkpoints, 1),
                Event::CheckpointStable { .. } => {
                    link.owe(Answer::Checkpoints, log_window / checkpoint_period + 1);
                }
                Event::ViewEntered { .. } => link.owe(Answer::FetchBatch, log_window),
                Event::Committed { .. } => link.owe(Answer::FetchBatch, 1),
                Event::StateTransferStarted { .. } => link.fetches_of_state.gain(1),
                _ => {}
            }
        }
    }

    fn replied(&mut self, from: ReplicaId, client: ClientId) -> Result<(), String> {
        let first = self.parameters.client_window;
        let left = self.replies.entry((from, client)).or_insert(first);
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None => return Err(format!("replica {from} answers client {client} unasked")),
        }
        Ok(())
    }

    fn sent(&mut self, from: ReplicaId, to: ReplicaId, message: &Message) -> Result<(), String> {
        let now = self.now;
        let highest = self.stable.get(&from).copied().unwrap_or(SeqNum::ZERO);
        let highest = highest.plus(self.parameters.log_window);
        let link = self.link(from, to);
        let may_send = match message {
            Message::Status(_) => link.status.pay(now),
            Message::Hello(_) => link.hello.pay(now),
            Message::HelloReply(_) => link.answer(Answer::Hello),
            Message::PrePrepareSeen(_) => link.answer(Answer::PrePrepare),
            Message::Batch(_) => link.answer(Answer::Batch) || link.repair(),
            Message::StateParts(_) => link.answer(Answer::Parts),
            Message::FetchPrePrepare(..) => link.answer(Answer::FetchPrePrepare),
            Message::FetchBatch(_) => link.answer(Answer::FetchBatch),
            Message::FetchState(_) => link.fetches_of_state.pay(now),
            Message::Request(_) => link.requests.pay(now),
            Message::Rejoin(_) => link.rejoins.pay(now),
            Message::PrePrepare(signed, _) | Message::Outline(signed, _) => {
                let place = Said::PrePrepare(signed.body.seq, signed.body.view);
                let is_own = signed.signer == from && signed.body.seq <= highest;
                is_own && link.says(place) || link.repair()
            }
            Message::Prepare(vote) => {
                vote.seq <= highest && link.says(Said::Prepare(vote.seq, vote.view))
                    || link.repair()
            }
            Message::Commit(vote) => {
                vote.seq <= highest && link.says(Said::Commit(vote.seq, vote.view)) || link.repair()
            }
            Message::Checkpoint(signed) => {
                link.says(Said::Checkpoint(signed.body.seq))
                    || link.answer(Answer::Checkpoints)
                    || link.repair()
            }
            Message::ViewChange(signed) if signed.signer == from => {
                link.says(Said::ViewChange(signed.body.new_view))
                    || link.own_view_change.pay(now)
                    || link.repair()
            }
            Message::NewView(proof) => {
                link.says(Said::NewView(proof.new_view.body.view)) || link.repair()
            }
            Message::ViewChange(_) | Message::Stable(_) | Message::Committed(_) => link.repair(),
            Message::Reply(_) | Message::Read(_) | Message::ReadReply(_) => false,
        };
        if may_send {
            return Ok(());
        }
        let kind = message.kind().name();
        Err(format!("replica {from} sends replica {to} one {kind} more than it may"))
    }
}

impl Link {
    fn owe(&mut self, answer: Answer, count: u64) {
        *self.answers.entry(answer).or_default() += count;
    }

    fn answer(&mut self, answer: Answer) -> bool {
        take_one(self.answers.entry(answer).or_default())
    }

    fn repair(&mut self) -> bool {
        take_one(&mut self.repairs)
    }

    /// Whether it is said for the first time.
    fn says(&mut self, said: Said) -> bool {
        self.said.insert(said)
    }
}

fn take_one(left: &mut u64) -> bool {
    let fewer = left.checked_sub(1);
    *left = fewer.unwrap_or(0);
    fewer.is_some()
}

/// How often `part` fits into `whole`, rounded up.
fn ratio(whole: Duration, part: Duration) -> u64 {
    u64::try_from(whole.as_micros().div_ceil(part.as_micros().max(1))).unwrap_or(u64::MAX)
}
