//! The one door: a decoded message becomes [`Verified`] here or is rejected for a named reason.
//! Nothing else constructs a `Verified`, so nothing behind the door ever doubts a signature, a
//! recomputed digest, an identity in range or a limit.

use super::{Claim, Signed, SignedRequest};
use crate::message::{
    Answer, Batch, Checkpoint, Hello, HelloReply, Message, NewViewProof, Outline, Outlined,
    PrePrepare, PreparedEntry, Question, Read, Rejoin, Remembered, RequestBody, STARTS_MAX,
    SignedBody, Start, Status, ViewChange,
};
use crate::{ClientId, Config, Reject, ReplicaId, SeqNum, Session, Timestamp, View};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use core::cell::RefCell;
use core::ops::Range;

/// Whose link a message arrived on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub enum Sender {
    /// A replica of the cluster.
    Replica(ReplicaId),
    /// A client of the cluster.
    Client(ClientId),
}

/// A message that passed the door: it came over the authenticated link of its sender, every
/// signature in it verifies, every digest was recomputed, every limit is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    sender: Sender,
    message: Message,
}

impl Verified {
    /// Whose link it came on.
    pub fn sender(&self) -> Sender {
        self.sender
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Sender and message.
    pub fn into_parts(self) -> (Sender, Message) {
        (self.sender, self.message)
    }
}

impl Config {
    /// Lets a message in that arrived on the authenticated link of `sender`, or says why not.
    /// Pure and safe to call from several threads at once; this is where the time of signature
    /// checks goes.
    pub fn admit(&self, sender: Sender, message: Message) -> Result<Verified, Reject> {
        self.admit_with(sender, message, &Claim::holds)
    }

    /// As [`Config::admit`], but asks `verify` about each signature, which must say what
    /// [`Claim::holds`] says; it may know that from before, for a claim with the same
    /// [proof](Claim::proof).
    pub fn admit_with(
        &self,
        sender: Sender,
        message: Message,
        verify: &dyn Fn(&Claim) -> bool,
    ) -> Result<Verified, Reject> {
        let door = Door { config: self, verify };
        match sender {
            Sender::Replica(replica) => door.check_from_replica(replica, &message)?,
            Sender::Client(client) => door.check_from_client(client, &message)?,
        }
        Ok(Verified { sender, message })
    }

    /// Lets several messages in that were decoded, as [`Config::admit_with`] does each. Their
    /// signatures are found out about together: `verify` says whether [all hold](Claim::all_hold) that it is given, and is
    /// asked again about those of each message if they do not all hold.
    pub fn admit_all(
        &self,
        messages: impl IntoIterator<Item = (Sender, Result<Message, Reject>)>,
        verify: &dyn Fn(&[Claim]) -> bool,
    ) -> Vec<Result<Verified, Reject>> {
        let mut claims = Vec::new();
        let admit = |(sender, message): (Sender, Result<Message, Reject>)| {
            let begun = claims.len();
            let collected = RefCell::new(core::mem::take(&mut claims));
            let collect = |claim: &Claim| {
                collected.borrow_mut().push(*claim);
                true
            };
            let admitted = message.and_then(|message| self.admit_with(sender, message, &collect));
            claims = collected.into_inner();
            (admitted, begun..claims.len())
        };
        let admitted: Vec<_> = messages.into_iter().map(admit).collect();
        let all_hold = verify(&claims);
        let judge = |(admitted, own): (Result<Verified, Reject>, Range<usize>)| {
            let verified = admitted?;
            let holds = all_hold || verify(&claims[own]);
            if holds { Ok(verified) } else { Err(Reject::BadSignature) }
        };
        admitted.into_iter().map(judge).collect()
    }

    /// Whether a replica in this view and with this low water mark can have a use for the message:
    /// it drops a PRE-PREPARE of another view, or with a number outside its window, whatever else
    /// is in it [PP2], and a proof that its own window is where it is [CP6]. Looks at no
    /// signature, so that it can be asked before hundreds of them are checked.
    pub fn check_place(
        &self,
        message: &Message,
        view: View,
        low_water_mark: SeqNum,
    ) -> Result<(), Reject> {
        if let Message::Stable(proof) = message {
            let news = proof.first().is_none_or(|first| first.body.seq > low_water_mark);
            return if news { Ok(()) } else { Err(Reject::Stale) };
        }
        let Some(pre_prepare) = message.pre_prepare() else { return Ok(()) };
        let body = &pre_prepare.body;
        if body.view != view {
            return Err(Reject::WrongView);
        }
        let high = low_water_mark.plus(self.parameters.log_window);
        let in_window = low_water_mark < body.seq && body.seq <= high;
        if in_window { Ok(()) } else { Err(Reject::OutsideWindow) }
    }

    /// What must be true of the requests of a batch together [PP5]: looked at behind the door where
    /// an outline was filled in, and at the door everywhere else.
    pub(crate) fn check_requests_together(&self, batch: &Batch) -> Result<(), Reject> {
        if batch.requests.len() > 1 && batch.byte_count() > self.parameters.batch_bytes_max {
            return Err(Reject::OverLimit);
        }
        let mut seen = BTreeSet::new();
        let repeated = batch.requests.iter().any(|request| {
            let content = request.request();
            !seen.insert((content.client, content.session, content.timestamp))
        });
        if repeated { Err(Reject::MalformedBatch) } else { Ok(()) }
    }
}

/// What messages are checked against.
struct Door<'a> {
    config: &'a Config,
    /// Finds out whether a signature holds.
    verify: &'a dyn Fn(&Claim) -> bool,
}

impl Door<'_> {
    fn check_from_client(&self, client: ClientId, message: &Message) -> Result<(), Reject> {
        match message {
            Message::Request(request) if request.request().client != client => {
                Err(Reject::ForgedSender)
            }
            Message::Request(request) => self.check_request(request),
            Message::Read(read) => self.check_read(client, read),
            _ => Err(Reject::NotForClients),
        }
    }

    /// A READ is within the limits of a request, and comes from its client itself [RO1].
    fn check_read(&self, client: ClientId, read: &Read) -> Result<(), Reject> {
        let parameters = &self.config.parameters;
        if !parameters.one_round_reads {
            return Err(Reject::NotOffered);
        }
        if self.config.client_key(client).is_none() {
            return Err(Reject::UnknownClient);
        }
        let bytes: usize = read.operations.iter().map(|operation| operation.body.len()).sum();
        if read.operations.is_empty()
            || read.operations.len() > parameters.operations_per_request_max
            || bytes > parameters.request_bytes_max
        {
            return Err(Reject::OverLimit);
        }
        check_range(View::ZERO, read.not_before)
    }

    fn check_from_replica(&self, from: ReplicaId, message: &Message) -> Result<(), Reject> {
        if from.get() >= self.config.replica_count() {
            return Err(Reject::UnknownReplica);
        }
        match message {
            Message::Hello(hello) => self.check_hello(from, hello),
            Message::HelloReply(reply) => self.check_hello_reply(reply),
            Message::Reply(_) | Message::ReadReply(_) => Err(Reject::NotForReplicas),
            // Only whoever is at the other end of a link may read over it.
            Message::Read(_) => Err(Reject::ForgedSender),
            Message::Request(request) => self.check_request(request),
            Message::PrePrepare(pre_prepare, batch) => {
                self.check_pre_prepare(pre_prepare)?;
                self.check_batch(batch)?;
                if batch.digest() != pre_prepare.body.digest {
                    return Err(Reject::WrongDigest);
                }
                batch.requests.iter().try_for_each(|request| self.check_request(request))
            }
            Message::Outline(pre_prepare, outline) => {
                self.check_pre_prepare(pre_prepare)?;
                self.check_outline(outline)?;
                if outline.digest() != pre_prepare.body.digest {
                    return Err(Reject::WrongDigest);
                }
                outline.whole().try_for_each(|request| self.check_request(request))
            }
            Message::Prepare(vote) | Message::Commit(vote) => check_range(vote.view, vote.seq),
            Message::Checkpoint(checkpoint) => self.check_checkpoint(checkpoint),
            Message::Stable(proof) => self.check_stable_proof(proof),
            Message::ViewChange(view_change) => self.check_view_change(view_change),
            Message::NewView(proof) => self.check_new_view(proof),
            Message::Status(status) => self.check_status(status),
            Message::Committed(committed) => check_range(View::ZERO, committed.seq),
            Message::FetchBatch(_) => Ok(()),
            Message::Batch(batch) => {
                self.check_batch(batch)?;
                batch.requests.iter().try_for_each(|request| self.check_request(request))
            }
            Message::FetchPrePrepare(view, seq) => check_range(*view, *seq),
            Message::PrePrepareSeen(pre_prepare) => self.check_pre_prepare(pre_prepare),
            Message::FetchState(request) => {
                let limit = self.config.parameters.state_parts_per_request_max;
                let too_many = request.parts.len() > limit;
                if too_many { Err(Reject::OverLimit) } else { Ok(()) }
            }
            Message::StateParts(_) => Ok(()),
            Message::Rejoin(rejoin) => self.check_rejoin(rejoin),
        }
    }

    /// Only its own starts are introduced by a replica [RJ1].
    fn check_hello(&self, from: ReplicaId, hello: &Hello) -> Result<(), Reject> {
        let Question::Admission(introduction) = &hello.question else { return Ok(()) };
        if introduction.start.signer != from {
            return Err(Reject::ForgedSender);
        }
        if introduction.knows.len() > STARTS_MAX {
            return Err(Reject::OverLimit);
        }
        self.check_start(&introduction.start)
    }

    fn check_hello_reply(&self, reply: &HelloReply) -> Result<(), Reject> {
        match &reply.answer {
            Answer::View(view, _) => check_range(*view, SeqNum::ZERO),
            Answer::Starts(Remembered { seen, others, .. }) => {
                let others_max = STARTS_MAX * self.config.replica_count() as usize;
                if seen.len() > STARTS_MAX || others.len() > others_max {
                    return Err(Reject::OverLimit);
                }
                others.iter().try_for_each(|start| self.check_start(start))
            }
        }
    }

    fn check_start(&self, start: &Signed<Start>) -> Result<(), Reject> {
        let Start { incarnation, id } = &start.body;
        check_range(View::ZERO, SeqNum::new(incarnation.get().max(id.counter)))?;
        self.check_signature(start)
    }

    /// A REJOIN is signed by the replica that comes back; any other may relay it [RJ2].
    fn check_rejoin(&self, rejoin: &Signed<Rejoin>) -> Result<(), Reject> {
        if rejoin.body.replica != rejoin.signer {
            return Err(Reject::ForgedSender);
        }
        check_range(rejoin.body.view, SeqNum::ZERO)?;
        self.check_signature(rejoin)
    }

    fn check_signature<T: SignedBody>(&self, signed: &Signed<T>) -> Result<(), Reject> {
        let key = self.config.replica_key(signed.signer).ok_or(Reject::UnknownReplica)?;
        if (self.verify)(&signed.claim(&self.config.domain, key)) {
            Ok(())
        } else {
            Err(Reject::BadSignature)
        }
    }

    fn check_checkpoint(&self, checkpoint: &Signed<Checkpoint>) -> Result<(), Reject> {
        if checkpoint.body.replica != checkpoint.signer {
            return Err(Reject::ForgedSender);
        }
        if !self.config.is_checkpoint(checkpoint.body.seq) {
            return Err(Reject::NotACheckpoint);
        }
        check_range(View::ZERO, checkpoint.body.seq)?;
        self.check_signature(checkpoint)
    }

    /// CHECKPOINTs of exactly a quorum of replicas, in ascending order, for one number and state
    /// [CP3].
    fn check_stable_proof(&self, proof: &[Signed<Checkpoint>]) -> Result<(), Reject> {
        let ascending = proof.windows(2).all(|pair| pair[0].signer < pair[1].signer);
        let agreeing = proof
            .windows(2)
            .all(|pair| (pair[0].body.seq, pair[0].body.id) == (pair[1].body.seq, pair[1].body.id));
        if proof.len() != self.config.quorums.quorum() || !ascending || !agreeing {
            return Err(Reject::MalformedProof);
        }
        proof.iter().try_for_each(|checkpoint| self.check_checkpoint(checkpoint))
    }

    /// A request is signed by a known client and within the limits [RQ1], and whom it names to
    /// answer is there [DR1].
    fn check_request(&self, request: &SignedRequest) -> Result<(), Reject> {
        let content = request.request();
        let key = self.config.client_key(content.client).ok_or(Reject::UnknownClient)?;
        if request.byte_count() > self.config.parameters.request_bytes_max {
            return Err(Reject::OverLimit);
        }
        let names_nobody = |replier: ReplicaId| replier.get() >= self.config.replica_count();
        if content.session == Session::ZERO || content.replier.is_some_and(names_nobody) {
            return Err(Reject::OutOfRange);
        }
        let is_first = content.timestamp == Timestamp::ZERO;
        match &content.body {
            RequestBody::OpenSession if !is_first => return Err(Reject::OutOfRange),
            RequestBody::OpenSession => {}
            RequestBody::Operations(_) if is_first => return Err(Reject::OutOfRange),
            RequestBody::Operations(operations) => {
                let limit = self.config.parameters.operations_per_request_max;
                if operations.is_empty() || operations.len() > limit {
                    return Err(Reject::OverLimit);
                }
            }
        }
        if (self.verify)(&request.claim(&self.config.domain, key)) {
            Ok(())
        } else {
            Err(Reject::BadSignature)
        }
    }

    /// A PRE-PREPARE is signed by the primary of its view, which need not be the sender.
    fn check_pre_prepare(&self, pre_prepare: &Signed<PrePrepare>) -> Result<(), Reject> {
        let body = &pre_prepare.body;
        check_range(body.view, body.seq)?;
        if pre_prepare.signer != self.config.primary(body.view) {
            return Err(Reject::NotThePrimary);
        }
        self.check_signature(pre_prepare)
    }

    /// The content checks of a batch that depend on nothing but the batch [PP5].
    fn check_batch(&self, batch: &Batch) -> Result<(), Reject> {
        self.check_around_requests(&batch.choice, batch.requests.len(), &batch.rejoins)?;
        self.config.check_requests_together(batch)
    }

    /// The same of an outline [PP5]. What is true of the requests together is found out when all of
    /// them are there [SR2].
    fn check_outline(&self, outline: &Outline) -> Result<(), Reject> {
        let parameters = &self.config.parameters;
        if !parameters.separate_requests {
            return Err(Reject::NotOffered);
        }
        self.check_around_requests(&outline.choice, outline.requests.len(), &outline.rejoins)?;
        if outline.byte_count() > parameters.batch_bytes_max {
            return Err(Reject::OverLimit);
        }
        let mut seen = BTreeSet::new();
        let repeated = outline.requests.iter().map(Outlined::digest).any(|one| !seen.insert(one));
        if repeated { Err(Reject::MalformedBatch) } else { Ok(()) }
    }

    fn check_around_requests(
        &self,
        choice: &[u8],
        requests: usize,
        rejoins: &[Signed<Rejoin>],
    ) -> Result<(), Reject> {
        let requests_max = self.config.parameters.batch_requests_max;
        if choice.len() > crate::CHOICE_BYTES_MAX || requests > requests_max {
            return Err(Reject::OverLimit);
        }
        // One of each replica at most, in ascending order: so their number has a limit, too.
        if !rejoins.windows(2).all(|pair| pair[0].signer < pair[1].signer) {
            return Err(Reject::MalformedBatch);
        }
        rejoins.iter().try_for_each(|rejoin| self.check_rejoin(rejoin))
    }

    /// The acceptance conditions of a VIEW-CHANGE (TOCS 2002 fig. 23, with n >= h for C) [VC4].
    fn check_view_change(&self, view_change: &Signed<ViewChange>) -> Result<(), Reject> {
        let body = &view_change.body;
        if body.replica != view_change.signer {
            return Err(Reject::ForgedSender);
        }
        let low = body.low_water_mark;
        check_range(body.new_view, low)?;
        if body.new_view == View::ZERO || !self.config.is_checkpoint(low) {
            return Err(Reject::MalformedViewChange);
        }
        let high = low.plus(self.config.parameters.log_window);
        let ascending = body.checkpoints.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let in_window = body
            .checkpoints
            .iter()
            .all(|(seq, _)| self.config.is_checkpoint(*seq) && low <= *seq && *seq <= high);
        let lists_own = body.checkpoints.first().is_some_and(|(seq, _)| *seq == low);
        let entries_hold =
            |entries: &[PreparedEntry]| entries_are_valid(entries, low, high, body.new_view);
        if !(ascending
            && in_window
            && lists_own
            && entries_hold(&body.prepared)
            && entries_hold(&body.pre_prepared))
        {
            return Err(Reject::MalformedViewChange);
        }
        self.check_signature(view_change)
    }

    /// A NEW-VIEW is signed by the primary of its view and comes with exactly the VIEW-CHANGEs it
    /// names, a quorum at least, each valid by itself [NV3]. Whether its choices follow from them
    /// is judged behind the door.
    fn check_new_view(&self, proof: &NewViewProof) -> Result<(), Reject> {
        let body = &proof.new_view.body;
        check_range(body.view, body.checkpoint.0)?;
        if proof.new_view.signer != self.config.primary(body.view) {
            return Err(Reject::NotThePrimary);
        }
        let named = &body.view_changes;
        let ascending = named.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascending
            || named.len() < self.config.quorums.quorum()
            || named.len() != proof.view_changes.len()
            || body.chosen.len() as u64 > self.config.parameters.log_window
        {
            return Err(Reject::MalformedNewView);
        }
        self.check_signature(&proof.new_view)?;
        for ((replica, digest), view_change) in named.iter().zip(&proof.view_changes) {
            let matches = view_change.body.replica == *replica
                && view_change.body.new_view == body.view
                && view_change.digest() == *digest;
            if !matches {
                return Err(Reject::MalformedNewView);
            }
            self.check_view_change(view_change)?;
        }
        Ok(())
    }

    fn check_status(&self, status: &Status) -> Result<(), Reject> {
        check_range(status.view, status.last_executed)?;
        check_range(status.view, status.low_water_mark)?;
        let window_bytes = self.config.parameters.log_window.div_ceil(8) as usize;
        let sets = [&status.pre_prepared, &status.prepared, &status.committed];
        if sets.iter().any(|set| set.byte_count() > window_bytes)
            || status.view_changes.byte_count() > self.config.replica_count().div_ceil(8) as usize
            || status.missing.len() > self.config.parameters.missing_batches_max
        {
            return Err(Reject::OverLimit);
        }
        Ok(())
    }
}

/// P and Q hold at most one entry per number, in ascending order, inside the window, from views
/// before the new one.
fn entries_are_valid(entries: &[PreparedEntry], low: SeqNum, high: SeqNum, new_view: View) -> bool {
    entries.windows(2).all(|pair| pair[0].seq < pair[1].seq)
        && entries.iter().all(|e| low < e.seq && e.seq <= high && e.view < new_view)
}

fn check_range(view: View, seq: SeqNum) -> Result<(), Reject> {
    if view > View::MAX || seq > SeqNum::MAX { Err(Reject::OutOfRange) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
