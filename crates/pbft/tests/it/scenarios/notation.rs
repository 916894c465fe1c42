//! Messages, records and events in the papers' notation, one line each.

use crate::cluster::view;
use pbft::message::{
    Answer, Batch, Outcome, PreparedEntry, Question, RequestBody, StartId, ViewChange,
};
use pbft::{
    Config, Digest, Event, Message, Output, Recipients, Record, SeqNum, Session, SignedRequest,
    Timestamp, ViewChangeCause,
};
use std::collections::BTreeMap;

/// Digests that a scenario has given a name.
#[derive(Debug, Default)]
pub(super) struct Names(pub(super) BTreeMap<Digest, String>);

impl Names {
    pub(super) fn of(&self, digest: Digest) -> String {
        if digest == Batch::NULL {
            return "null".to_owned();
        }
        self.0.get(&digest).cloned().unwrap_or_else(|| digest.to_string())
    }

    /// The message as the papers write it.
    pub(super) fn message(&self, message: &Message) -> String {
        let at = |v: pbft::View, n: SeqNum, d: Digest| format!("v={v} n={n} d={}", self.of(d));
        match message {
            Message::Hello(hello) => match &hello.question {
                Question::View(_) => "HELLO view?".to_owned(),
                Question::Admission(introduction) => {
                    let (knows, round) = (counters(&introduction.knows), introduction.round);
                    let start = introduction.start.body.id.counter;
                    format!("HELLO start={start} knows={{{knows}}} round={round}")
                }
            },
            Message::HelloReply(reply) => match &reply.answer {
                Answer::Starts(told) if !told.is_confirmed => {
                    let (seen, round) = (counters(&told.seen), told.round);
                    format!("HELLO-REPLY seen={{{seen}}} round={round} unconfirmed")
                }
                Answer::View(view, _) => format!("HELLO-REPLY v={view}"),
                Answer::Starts(told) => {
                    format!("HELLO-REPLY seen={{{}}} round={}", counters(&told.seen), told.round)
                }
            },
            Message::Request(request) => format!("REQUEST {}", request_line(request)),
            Message::Reply(reply) => format!("REPLY t={}", reply.timestamp),
            Message::Read(read) => format!("READ {}", read.number),
            Message::ReadReply(reply) => format!("READ-REPLY {}", reply.number),
            Message::PrePrepare(signed, batch) => {
                let body = signed.body;
                format!("PRE-PREPARE {} {}", at(body.view, body.seq, body.digest), requests(batch))
            }
            Message::Outline(signed, outline) => {
                let (body, count) = (signed.body, outline.requests.len());
                let named = count - outline.whole().count();
                let place = at(body.view, body.seq, body.digest);
                format!("PRE-PREPARE {place} names {named} of {count} requests")
            }
            Message::Prepare(vote) => format!("PREPARE {}", at(vote.view, vote.seq, vote.digest)),
            Message::Commit(vote) => format!("COMMIT {}", at(vote.view, vote.seq, vote.digest)),
            Message::Checkpoint(signed) => {
                let body = signed.body;
                format!("CHECKPOINT n={} d={} by {:?}", body.seq, body.id.state_root, body.replica)
            }
            Message::Stable(proof) => {
                let body = proof[0].body;
                let signers: Vec<String> =
                    proof.iter().map(|signed| format!("{:?}", signed.signer)).collect();
                format!("STABLE n={} d={} by {}", body.seq, body.id.state_root, signers.join(" "))
            }
            Message::ViewChange(signed) => self.view_change(&signed.body),
            Message::NewView(proof) => {
                let body = &proof.new_view.body;
                let named: Vec<String> =
                    body.view_changes.iter().map(|(replica, _)| format!("{replica:?}")).collect();
                let chosen: Vec<String> = (1..)
                    .zip(&body.chosen)
                    .map(|(i, d)| format!("{}:{}", body.checkpoint.0.plus(i), self.of(*d)))
                    .collect();
                let (v, start) = (body.view, body.checkpoint.0);
                let (named, chosen) = (named.join(" "), chosen.join(" "));
                format!("NEW-VIEW v={v} V={{{named}}} h*={start} X={{{chosen}}}")
            }
            Message::Status(status) => {
                let active = if status.active { "active" } else { "not active" };
                let (v, h, e) = (status.view, status.low_water_mark, status.last_executed);
                format!("STATUS v={v} {active} h={h} executed={e}")
            }
            Message::Committed(c) => format!("COMMITTED n={} d={}", c.seq, self.of(c.digest)),
            Message::FetchBatch(digest) => format!("FETCH-BATCH d={}", self.of(*digest)),
            Message::Batch(batch) => {
                format!("BATCH d={} {}", self.of(batch.digest()), requests(batch))
            }
            Message::FetchPrePrepare(v, n) => format!("FETCH-PRE-PREPARE v={v} n={n}"),
            Message::PrePrepareSeen(signed) => {
                let body = signed.body;
                format!("PRE-PREPARE-SEEN {}", at(body.view, body.seq, body.digest))
            }
            Message::FetchState(request) => format!("FETCH-STATE n={}", request.seq),
            Message::StateParts(parts) => format!("STATE-PARTS n={}", parts.seq),
            Message::Rejoin(rejoin) => format!("REJOIN {:?}", rejoin.body.replica),
        }
    }

    fn view_change(&self, body: &ViewChange) -> String {
        let c: Vec<String> = body.checkpoints.iter().map(|(n, _)| n.to_string()).collect();
        format!(
            "VIEW-CHANGE v={} h={} C={{{}}} P={{{}}} Q={{{}}} by {:?}",
            body.new_view,
            body.low_water_mark,
            c.join(" "),
            self.entries(&body.prepared),
            self.entries(&body.pre_prepared),
            body.replica,
        )
    }

    fn entries(&self, entries: &[PreparedEntry]) -> String {
        let shown: Vec<String> = entries
            .iter()
            .map(|e| format!("{}:{}@v{}", e.seq, self.of(e.digest), e.view))
            .collect();
        shown.join(" ")
    }

    /// What becomes durable.
    pub(super) fn record(&self, record: &Record) -> String {
        match record {
            Record::Boot { counter, .. } => format!("start {counter}"),
            Record::PeerStarts { replica, starts } => {
                let counters = starts.iter().map(|start| start.body.id.counter.to_string());
                format!("starts of {replica:?} {{{}}}", counters.collect::<Vec<_>>().join(" "))
            }
            Record::Batch(batch) => format!("batch {}", self.of(batch.digest())),
            Record::PrePrepared { entry, signed } => {
                let by = if signed.is_some() { "" } else { " (by NEW-VIEW)" };
                let d = self.of(entry.digest);
                format!("Q entry {}:{d}@v{}{by}", entry.seq, entry.view)
            }
            Record::Prepared(entry) => {
                format!("P entry {}:{}@v{}", entry.seq, self.of(entry.digest), entry.view)
            }
            Record::Committed { seq, digest } => {
                format!("COMMITTED mark {seq}:{}", self.of(*digest))
            }
            Record::Checkpoint(signed) => format!("CHECKPOINT n={}", signed.body.seq),
            Record::Stable { seq, proof, .. } => {
                format!("stable checkpoint {seq}, {} CHECKPOINTs", proof.len())
            }
            Record::ViewChange(signed) => format!("VIEW-CHANGE v={}", signed.body.new_view),
            Record::NewView(proof) => format!("NEW-VIEW v={}", proof.new_view.body.view),
            Record::StateInstalled { seq, .. } => format!("state at {seq} installed"),
            Record::Amnesiac => "memory lost".to_owned(),
            Record::Rejoined(incarnation) => format!("rejoined as incarnation {incarnation}"),
        }
    }

    /// What happened.
    pub(super) fn event(&self, event: &Event) -> String {
        match event {
            Event::Admitted => "is let in by its peers".to_owned(),
            Event::Rejected { reason, .. } => format!("drops it: {reason:?}"),
            Event::RequestWaiting { client, timestamp, .. } => {
                format!("lets {client:?} t={timestamp} wait")
            }
            Event::PrePrepared { view, seq, digest, .. } => {
                format!("pre-prepared n={seq} d={} in v={view}", self.of(*digest))
            }
            Event::Prepared { view, seq, digest } => {
                format!("prepared n={seq} d={} in v={view}", self.of(*digest))
            }
            Event::Committed { seq, digest } => {
                format!("committed-local n={seq} d={}", self.of(*digest))
            }
            Event::Executed { seq, digest, .. } => {
                format!("executed n={seq} d={}", self.of(*digest))
            }
            Event::CheckpointTaken { seq, id } => {
                format!("took checkpoint {seq}, d={}", id.state_root)
            }
            Event::CheckpointStable { seq, .. } => format!("checkpoint {seq} is stable"),
            Event::ViewChangeStarted { view, cause } => {
                format!("leaves for v={view}: {}", cause_name(*cause))
            }
            Event::NewViewTimerStarted { view, .. } => format!("new-view timer of v={view} runs"),
            Event::ViewEntered { view } => format!("is active in v={view}"),
            Event::StateTransferStarted { seq } => format!("fetches the state at {seq}"),
            Event::StateTransferred { seq } => format!("installed the state at {seq}"),
            Event::RejoinExecuted { replica, incarnation, seq } => {
                format!("{replica:?} rejoins as incarnation {incarnation} from n={seq} on")
            }
            Event::EvidenceFound { replica, view } => {
                format!("convicts {replica:?} of a lie in v={view}")
            }
            Event::Halted(reason) => format!("stops: {reason}"),
            Event::ExecutedTentatively { view, seq, digest, .. } => {
                format!("executed n={seq} d={} tentatively in v={view}", self.of(*digest))
            }
            Event::RolledBack { seq } => format!("rolled n={seq} back"),
            Event::StartNotKnown { peer, seen } => {
                format!("is told by {peer:?} of a start {seen} that it does not know")
            }
        }
    }

    /// One output of a replica; `None` for what an event tells as well.
    pub(super) fn output(&self, config: &Config, output: &Output) -> Option<String> {
        match output {
            Output::Persist { record, .. } => Some(format!("disk: {}", self.record(record))),
            Output::Send { to, message, .. } => {
                let to = match to {
                    Recipients::Others => "all".to_owned(),
                    Recipients::One(replica) => format!("{replica:?}"),
                };
                Some(format!("-> {to} {}", self.message(message)))
            }
            Output::Reply { client, session, timestamp, view, certainty, outcome, .. } => {
                let outcome = self.outcome(outcome.as_ref());
                let tentative = if certainty.is_committed() { "" } else { " (tentative)" };
                let outcome = format!("{outcome}{tentative}");
                Some(reply_line(*client, *session, *timestamp, *view, &outcome))
            }
            Output::Read { client, read, .. } => {
                Some(format!("-> client {client} what READ {} asks for", read.number))
            }
            Output::Evidence(evidence) => {
                let conviction = evidence.verify(config).expect("evidence that convicts");
                Some(format!("evidence against {:?}: {}", conviction.replica, conviction.lie))
            }
            Output::Event(event) => Some(self.event(event)),
            Output::Choose
            | Output::Execute { .. }
            | Output::Settled { .. }
            | Output::RollBack { .. }
            | Output::TakeCheckpoint { .. }
            | Output::FetchState { .. }
            | Output::Stable { .. }
            | Output::Halt(_) => None,
        }
    }

    fn outcome(&self, outcome: Option<&Outcome>) -> String {
        match outcome {
            None => "from the reply cache".to_owned(),
            Some(Outcome::SessionOpened) => "session opened".to_owned(),
            Some(Outcome::Executed(results)) => results.iter().map(|r| text(r)).collect(),
            Some(Outcome::ExecutedBefore(digest)) => {
                format!("executed before, {}", self.of(*digest))
            }
            Some(Outcome::Fenced { current }) => format!("fenced by session {current}"),
            Some(Outcome::OutsideWindow) => "outside the window".to_owned(),
        }
    }
}

fn reply_line(
    client: pbft::ClientId,
    session: Session,
    t: Timestamp,
    v: pbft::View,
    outcome: &str,
) -> String {
    let session = if session == Session::new(1) { String::new() } else { format!(" s={session}") };
    let v = if v == view(0) { String::new() } else { format!(" v={v}") };
    format!("-> {client:?} REPLY{v}{session} t={t} {outcome}")
}

pub(super) fn request_line(request: &SignedRequest) -> String {
    let content = request.request();
    let body = match &content.body {
        RequestBody::OpenSession => format!("open session {}", content.session),
        RequestBody::Operations(operations) => operations.iter().map(|o| text(&o.body)).collect(),
    };
    format!("{:?} t={} {body}", content.client, content.timestamp)
}

/// The requests of a batch, by client and timestamp.
fn requests(batch: &Batch) -> String {
    let named: Vec<String> = batch
        .requests
        .iter()
        .map(|r| format!("{:?} t={}", r.request().client, r.request().timestamp))
        .collect();
    format!("[{}]", named.join(", "))
}

fn text(bytes: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(bytes))
}

fn cause_name(cause: ViewChangeCause) -> &'static str {
    match cause {
        ViewChangeCause::RequestTimeout => "a request waited too long",
        ViewChangeCause::NewViewTimeout => "no NEW-VIEW in time",
        ViewChangeCause::Joined => "f+1 others have left",
        ViewChangeCause::BadNewView => "the NEW-VIEW does not follow",
        ViewChangeCause::PrimaryLied => "the primary lied",
        ViewChangeCause::Rejoin => "a replica rejoins",
        ViewChangeCause::SlowPrimary => "the primary is slow",
    }
}

fn counters(starts: &[StartId]) -> String {
    let counters = starts.iter().map(|start| start.counter.to_string());
    counters.collect::<Vec<_>>().join(" ")
}
