//! What a correct replica promises is on its disk before it leaves, so that no crash can make it say
//! otherwise.
//!
//! | message | record |
//! |---|---|
//! | HELLO | the start that it names |
//! | HELLO-REPLY | the start that it answers, where nothing in it is news to the asker: then it lets the asker in |
//! | REJOIN | that the memory was lost, and with which start the new one began |
//! | PRE-PREPARE, PREPARE | the batch; the Q entry, or the NEW-VIEW of its view that chose it; the NEW-VIEW of its view |
//! | PRE-PREPARE-SEEN | of a PRE-PREPARE of one's own what that needs |
//! | COMMIT | the P entry, and a Q entry of its view or a later one |
//! | REPLY | the P entry or the COMMITTED mark of every number up to that of the request |
//! | CHECKPOINT | itself, and the COMMITTED marks of every number up to its own |
//! | VIEW-CHANGE, NEW-VIEW | itself |
//! | any of these but the first three | that the replica has rejoined, if its memory was lost |
//!
//! The P entry of a number without the Q entry would commit to what the replica never pre-prepared.
//! A state that was fetched stands for the marks up to its number once it is a durable snapshot.
//!
//! What must be durable before COMMITTED depends on the certificate behind it, and so is judged with
//! the certificates.
//!
//! The others promise nothing. STABLE, BATCH, STATE-PART and whatever is relayed are true whoever
//! sends them; FETCH-BATCH, FETCH-PRE-PREPARE and FETCH-STATE are questions; STATUS says what the
//! sender lacks, and to ask too much is harmless; the view in a HELLO-REPLY may be too high, and is
//! not too low as long as VIEW-CHANGEs are durable; a HELLO-REPLY that names a start which the asker
//! does not know, or answers one that knows itself to be an amnesiac, lets nobody in.

mod disk;

use super::{Checker, Observation};
use disk::Disk;
use pbft::message::{Answer, Batch, BootId, PrePrepare, Question, Remembered, Reply, StartId};
use pbft::{ClientId, Digest, Event, Message, Record, ReplicaId, SeqNum, Session, Timestamp};
use quorate_adversary::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// What was executed at each number.
type Executed = BTreeMap<SeqNum, Digest>;

type RequestName = (ClientId, Session, Timestamp);

#[derive(Debug, Default)]
pub(super) struct Durability {
    disks: BTreeMap<ReplicaId, Disk>,
    executed: Executed,
    /// The lowest number at which each batch was executed.
    executed_at: BTreeMap<Digest, SeqNum>,
    /// Every batch that ever was on a disk.
    batches: BTreeSet<Digest>,
    /// The batches that each request is in.
    carried: BTreeMap<RequestName, Vec<Digest>>,
}

impl Checker for Durability {
    fn property(&self) -> &'static str {
        "promises are durable before they leave"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match *observation {
            Observation::Durable { at, starts, records } => {
                let disk = self.disks.entry(at).or_default();
                if starts {
                    *disk = Disk::default();
                }
                for record in records {
                    if let Record::Batch(batch) = record {
                        let digest = batch.digest();
                        disk.hold(digest);
                        if self.batches.insert(digest) {
                            note_requests(&mut self.carried, digest, batch);
                        }
                    } else {
                        disk.write(record);
                    }
                }
                Ok(())
            }
            Observation::Restored { at, seq } => {
                self.disk(at).hold_state(seq);
                Ok(())
            }
            Observation::Happened { event: Event::Executed { seq, digest, .. }, .. } => {
                self.executed.insert(*seq, *digest);
                let first = self.executed_at.entry(*digest).or_insert(*seq);
                *first = (*first).min(*seq);
                Ok(())
            }
            Observation::Sent { from, to, message } => {
                if self.is_durable(from, to, message) {
                    return Ok(());
                }
                let kind = message.kind().name();
                Err(format!("replica {from} sent a {kind} that its disk knows nothing of"))
            }
            _ => Ok(()),
        }
    }
}

fn note_requests(carried: &mut BTreeMap<RequestName, Vec<Digest>>, digest: Digest, batch: &Batch) {
    for request in &batch.requests {
        let request = request.request();
        let name = (request.client, request.session, request.timestamp);
        carried.entry(name).or_default().push(digest);
    }
}

impl Durability {
    /// Whether all that the message promises is on its sender's disk.
    fn is_durable(&mut self, own: ReplicaId, to: Endpoint, message: &Message) -> bool {
        match (message, to) {
            (Message::HelloReply(reply), Endpoint::Replica(asker)) => {
                let Answer::Starts(told) = &reply.answer else { return true };
                return !self.lets_in(asker, reply.boot_id, told)
                    || self.disk(own).has_noted(asker, told.incarnation, reply.boot_id);
            }
            (Message::Reply(reply), Endpoint::Client(client)) => {
                return self.may_reply(own, client, reply);
            }
            (Message::ReadReply(reply), Endpoint::Client(_)) => {
                let disk = self.disks.entry(own).or_default();
                return disk.has_covered(&self.executed, reply.executed) && !disk.is_amnesiac();
            }
            _ => {}
        }
        let disk = self.disks.entry(own).or_default();
        let is_there = match message {
            Message::Hello(hello) => {
                let Question::Admission(introduction) = &hello.question else { return true };
                let StartId { counter, boot_id } = introduction.start.body.id;
                return disk.has_start(counter, boot_id);
            }
            Message::Rejoin(signed) if signed.signer == own => {
                let StartId { counter, boot_id } = signed.body.start;
                return disk.is_amnesiac() && disk.has_start(counter, boot_id);
            }
            Message::PrePrepare(signed, _)
            | Message::Outline(signed, _)
            | Message::PrePrepareSeen(signed)
                if signed.signer == own =>
            {
                let PrePrepare { view, seq, digest } = signed.body;
                disk.can_pre_prepare(view, seq, digest)
            }
            Message::Prepare(vote) => disk.can_pre_prepare(vote.view, vote.seq, vote.digest),
            Message::Commit(vote) => disk.can_commit(vote),
            Message::Committed(_) => true,
            Message::Checkpoint(signed) if signed.signer == own => {
                disk.has_checkpoint(signed.body.seq, signed.body.id)
                    && disk.has_marked(&self.executed, signed.body.seq)
            }
            Message::ViewChange(signed) if signed.signer == own => {
                disk.has_left_for(signed.body.new_view)
            }
            Message::NewView(proof) if proof.new_view.signer == own => {
                disk.has_new_view(proof.new_view.body.view)
            }
            _ => return true,
        };
        is_there && !disk.is_amnesiac()
    }

    fn disk(&mut self, id: ReplicaId) -> &mut Disk {
        self.disks.entry(id).or_default()
    }

    /// Whether nothing in the answer keeps the asker from voting.
    fn lets_in(&mut self, asker: ReplicaId, boot_id: BootId, told: &Remembered) -> bool {
        self.disk(asker).knew_at(boot_id, &told.seen)
    }

    /// Whether everything up to the request's number is on disk. A request that was never executed
    /// is told so by its session or its window alone.
    ///
    /// Where it was executed tentatively the P entry of the reply's view is there, and everything
    /// below.
    fn may_reply(&mut self, own: ReplicaId, client: ClientId, reply: &Reply) -> bool {
        if !reply.certainty.is_committed() {
            let name = (client, reply.session, reply.timestamp);
            let batches = self.carried.get(&name).map_or(&[][..], Vec::as_slice);
            let disk = self.disks.entry(own).or_default();
            let lowest = disk.lowest_prepared_in(reply.view, batches);
            return lowest.is_some_and(|seq| {
                seq.get() == 0 || disk.has_covered(&self.executed, SeqNum::new(seq.get() - 1))
            }) && !disk.is_amnesiac();
        }
        let batches = self.carried.get(&(client, reply.session, reply.timestamp));
        let numbers = batches.into_iter().flatten().filter_map(|it| self.executed_at.get(it));
        let Some(seq) = numbers.min().copied() else { return true };
        let disk = self.disks.entry(own).or_default();
        disk.has_covered(&self.executed, seq) && !disk.is_amnesiac()
    }
}
