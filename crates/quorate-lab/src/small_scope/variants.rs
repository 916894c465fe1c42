//! Every message that differs from a given one in one field, and there by one. What is signed is
//! signed again.

use pbft::message::{
    Batch, Committed, NewView, NewViewProof, PrePrepare, PreparedEntry, SignedBody, ViewChange,
    Vote,
};
use pbft::{
    Config, Message, ReplicaId, SeqNum, Session, Signed, SigningKey, Timestamp, View, WallTime,
};
use std::sync::Arc;

/// The variants of a message that its sender makes.
pub(super) fn variants(
    config: &Config,
    liar: ReplicaId,
    key: &SigningKey,
    message: &Message,
) -> Vec<Message> {
    let pen = Pen { config, liar, key };
    match message {
        Message::PrePrepare(signed, batch) if signed.signer == liar => {
            pen.pre_prepares(&signed.body, batch)
        }
        Message::Prepare(vote) => votes(*vote).map(Message::Prepare).collect(),
        Message::Commit(vote) => votes(*vote).map(Message::Commit).collect(),
        Message::Checkpoint(signed) if signed.signer == liar => {
            let body = signed.body;
            let seqs = near(body.seq.get()).map(SeqNum::new);
            seqs.map(|seq| Message::Checkpoint(pen.sign(pbft::message::Checkpoint { seq, ..body })))
                .collect()
        }
        Message::ViewChange(signed) if signed.signer == liar => {
            let changed = view_changes(&signed.body).into_iter();
            changed.map(|body| Message::ViewChange(Arc::new(pen.sign(body)))).collect()
        }
        Message::NewView(proof) if proof.new_view.signer == liar => {
            let changed = new_views(proof).into_iter();
            changed
                .map(|(body, view_changes)| NewViewProof { new_view: pen.sign(body), view_changes })
                .map(|proof| Message::NewView(Arc::new(proof)))
                .collect()
        }
        Message::Status(status) => {
            let views = near(status.view.get()).map(View::new);
            let of_view = views.map(|view| pbft::message::Status { view, ..status.clone() });
            let seqs = near(status.last_executed.get()).map(SeqNum::new);
            let of_seq =
                seqs.map(|last_executed| pbft::message::Status { last_executed, ..status.clone() });
            of_view.chain(of_seq).map(Message::Status).collect()
        }
        Message::Committed(committed) => near(committed.seq.get())
            .map(|seq| Message::Committed(Committed { seq: SeqNum::new(seq), ..*committed }))
            .collect(),
        Message::Reply(reply) => {
            let mut changed = Vec::new();
            changed.extend(
                near(reply.view.get())
                    .map(|view| pbft::message::Reply { view: View::new(view), ..reply.clone() }),
            );
            changed.extend(near(reply.timestamp.get()).map(|timestamp| pbft::message::Reply {
                timestamp: Timestamp::new(timestamp),
                ..reply.clone()
            }));
            changed.extend(near(reply.session.get()).map(|session| pbft::message::Reply {
                session: Session::new(session),
                ..reply.clone()
            }));
            changed.into_iter().map(Message::Reply).collect()
        }
        _ => Vec::new(),
    }
}

/// What a liar signs with.
struct Pen<'a> {
    config: &'a Config,
    liar: ReplicaId,
    key: &'a SigningKey,
}

impl Pen<'_> {
    fn sign<T: SignedBody>(&self, body: T) -> Signed<T> {
        Signed::sign(&self.config.domain, self.key, self.liar, body)
    }

    fn pre_prepares(&self, body: &PrePrepare, batch: &Arc<Batch>) -> Vec<Message> {
        let views = near(body.view.get()).map(|view| PrePrepare { view: View::new(view), ..*body });
        let seqs = near(body.seq.get()).map(|seq| PrePrepare { seq: SeqNum::new(seq), ..*body });
        let mut changed: Vec<Message> = views
            .chain(seqs)
            .map(|body| Message::PrePrepare(self.sign(body), Arc::clone(batch)))
            .collect();
        changed.extend(near(batch.time.as_millis()).map(|millis| {
            let batch = Batch { time: WallTime::from_millis(millis), ..Batch::clone(batch) };
            let body = PrePrepare { digest: batch.digest(), ..*body };
            Message::PrePrepare(self.sign(body), Arc::new(batch))
        }));
        changed
    }
}

/// The numbers beside a number.
fn near(number: u64) -> impl Iterator<Item = u64> {
    [number.checked_add(1), number.checked_sub(1)].into_iter().flatten()
}

fn votes(vote: Vote) -> impl Iterator<Item = Vote> {
    let views = near(vote.view.get()).map(move |view| Vote { view: View::new(view), ..vote });
    let seqs = near(vote.seq.get()).map(move |seq| Vote { seq: SeqNum::new(seq), ..vote });
    views.chain(seqs)
}

fn view_changes(body: &ViewChange) -> Vec<ViewChange> {
    let mut changed = Vec::new();
    for view in near(body.new_view.get()) {
        changed.push(ViewChange { new_view: View::new(view), ..body.clone() });
    }
    for seq in near(body.low_water_mark.get()) {
        changed.push(ViewChange { low_water_mark: SeqNum::new(seq), ..body.clone() });
    }
    for (index, (seq, id)) in body.checkpoints.iter().enumerate() {
        for seq in near(seq.get()) {
            let mut other = body.clone();
            other.checkpoints[index] = (SeqNum::new(seq), *id);
            changed.push(other);
        }
    }
    for prepared in entries(&body.prepared) {
        changed.push(ViewChange { prepared, ..body.clone() });
    }
    for pre_prepared in entries(&body.pre_prepared) {
        changed.push(ViewChange { pre_prepared, ..body.clone() });
    }
    changed
}

/// The same entries with one of them changed, or left out.
fn entries(entries: &[PreparedEntry]) -> Vec<Vec<PreparedEntry>> {
    let mut changed = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let seqs =
            near(entry.seq.get()).map(|seq| PreparedEntry { seq: SeqNum::new(seq), ..*entry });
        let views =
            near(entry.view.get()).map(|view| PreparedEntry { view: View::new(view), ..*entry });
        for other in seqs.chain(views) {
            let mut all = entries.to_vec();
            all[index] = other;
            changed.push(all);
        }
        let mut fewer = entries.to_vec();
        fewer.remove(index);
        changed.push(fewer);
    }
    changed
}

type Supplied = Vec<Arc<Signed<ViewChange>>>;

/// Another view or start, one choice more or fewer or null instead, one VIEW-CHANGE fewer.
fn new_views(proof: &NewViewProof) -> Vec<(NewView, Supplied)> {
    let body = &proof.new_view.body;
    let mut changed = Vec::new();
    for view in near(body.view.get()) {
        changed.push(NewView { view: View::new(view), ..body.clone() });
    }
    for seq in near(body.checkpoint.0.get()) {
        let checkpoint = (SeqNum::new(seq), body.checkpoint.1);
        changed.push(NewView { checkpoint, ..body.clone() });
    }
    let more = [&body.chosen[..], &[Batch::NULL]].concat();
    changed.push(NewView { chosen: more, ..body.clone() });
    for index in 0..body.chosen.len() {
        let mut other = body.clone();
        other.chosen[index] = Batch::NULL;
        changed.push(other);
        let mut fewer = body.clone();
        fewer.chosen.remove(index);
        changed.push(fewer);
    }
    let mut changed: Vec<(NewView, Supplied)> =
        changed.into_iter().map(|body| (body, proof.view_changes.clone())).collect();
    for index in 0..proof.view_changes.len() {
        let (mut body, mut supplied) = (body.clone(), proof.view_changes.clone());
        body.view_changes.remove(index);
        supplied.remove(index);
        changed.push((body, supplied));
    }
    changed
}
