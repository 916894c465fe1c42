//! How each field is changed. Each function says whether the message has the field.

use crate::{Field, Step};
use pbft::message::{
    Batch, Checkpoint, Committed, Hello, HelloReply, NewView, PrePrepare, Reply, Status,
    ViewChange, Vote,
};
use pbft::{Digest, ReplicaId, SeqNum, Session, Timestamp, View, WallTime};

pub(super) fn hello(hello: &mut Hello, field: Field, by: Step) -> bool {
    match field {
        Field::HelloBootCounter => number(&mut hello.boot_counter, by),
        Field::HelloKeyEpoch => number(&mut hello.key_epoch, by),
        Field::HelloBootId => first_byte(&mut hello.boot_id, by),
        _ => false,
    }
}

pub(super) fn hello_reply(reply: &mut HelloReply, field: Field, by: Step) -> bool {
    match field {
        Field::HelloReplyBootId => first_byte(&mut reply.boot_id, by),
        Field::HelloReplyCounter => {
            reply.seen.last_mut().is_some_and(|start| number(&mut start.counter, by))
        }
        _ => false,
    }
}

pub(super) fn reply(reply: &mut Reply, field: Field, by: Step) -> bool {
    match field {
        Field::ReplyView => view(&mut reply.view, by),
        Field::ReplySession => {
            reply.session = Session::new(stepped(reply.session.get(), by));
            true
        }
        Field::ReplyTimestamp => {
            reply.timestamp = Timestamp::new(stepped(reply.timestamp.get(), by));
            true
        }
        Field::ReplyTentative => opposite(&mut reply.tentative),
        Field::ReplyDesignated => replica(&mut reply.designated, by),
        _ => false,
    }
}

pub(super) fn pre_prepare(body: &mut PrePrepare, field: Field, by: Step) -> bool {
    match field {
        Field::PrePrepareView => view(&mut body.view, by),
        Field::PrePrepareSeq => seq(&mut body.seq, by),
        Field::PrePrepareDigest => digest(&mut body.digest, by),
        _ => false,
    }
}

pub(super) fn prepare(vote: &mut Vote, field: Field, by: Step) -> bool {
    match field {
        Field::PrepareView => view(&mut vote.view, by),
        Field::PrepareSeq => seq(&mut vote.seq, by),
        Field::PrepareDigest => digest(&mut vote.digest, by),
        _ => false,
    }
}

pub(super) fn commit(vote: &mut Vote, field: Field, by: Step) -> bool {
    match field {
        Field::CommitView => view(&mut vote.view, by),
        Field::CommitSeq => seq(&mut vote.seq, by),
        Field::CommitDigest => digest(&mut vote.digest, by),
        _ => false,
    }
}

pub(super) fn checkpoint(body: &mut Checkpoint, field: Field, by: Step) -> bool {
    match field {
        Field::CheckpointSeq => seq(&mut body.seq, by),
        Field::CheckpointState => digest(&mut body.id.state_root, by),
        Field::CheckpointHistory => digest(&mut body.id.history_root, by),
        Field::CheckpointReplica => replica(&mut body.replica, by),
        _ => false,
    }
}

pub(super) fn view_change(body: &mut ViewChange, field: Field, by: Step) -> bool {
    let checkpoint = body.checkpoints.last_mut();
    let (p, q) = (body.prepared.last_mut(), body.pre_prepared.last_mut());
    match field {
        Field::ViewChangeView => view(&mut body.new_view, by),
        Field::ViewChangeReplica => replica(&mut body.replica, by),
        Field::ViewChangeLow => seq(&mut body.low_water_mark, by),
        Field::ViewChangeCheckpointSeq => checkpoint.is_some_and(|(number, _)| seq(number, by)),
        Field::ViewChangeCheckpointState => {
            checkpoint.is_some_and(|(_, id)| digest(&mut id.state_root, by))
        }
        Field::ViewChangePreparedSeq => p.is_some_and(|entry| seq(&mut entry.seq, by)),
        Field::ViewChangePreparedDigest => p.is_some_and(|entry| digest(&mut entry.digest, by)),
        Field::ViewChangePreparedView => p.is_some_and(|entry| view(&mut entry.view, by)),
        Field::ViewChangePrePreparedSeq => q.is_some_and(|entry| seq(&mut entry.seq, by)),
        Field::ViewChangePrePreparedDigest => q.is_some_and(|entry| digest(&mut entry.digest, by)),
        Field::ViewChangePrePreparedView => q.is_some_and(|entry| view(&mut entry.view, by)),
        _ => false,
    }
}

pub(super) fn new_view(body: &mut NewView, field: Field, by: Step) -> bool {
    match field {
        Field::NewViewView => view(&mut body.view, by),
        Field::NewViewCheckpointSeq => seq(&mut body.checkpoint.0, by),
        Field::NewViewCheckpointState => digest(&mut body.checkpoint.1.state_root, by),
        Field::NewViewChosen => body.chosen.last_mut().is_some_and(|choice| digest(choice, by)),
        Field::NewViewNamed => {
            body.view_changes.last_mut().is_some_and(|(_, named)| digest(named, by))
        }
        _ => false,
    }
}

pub(super) fn status(status: &mut Status, field: Field, by: Step) -> bool {
    match field {
        Field::StatusView => view(&mut status.view, by),
        Field::StatusActive => opposite(&mut status.active),
        Field::StatusLow => seq(&mut status.low_water_mark, by),
        Field::StatusExecuted => seq(&mut status.last_executed, by),
        Field::StatusNewView => view(&mut status.new_view, by),
        _ => false,
    }
}

pub(super) fn committed(committed: &mut Committed, field: Field, by: Step) -> bool {
    match field {
        Field::CommittedSeq => seq(&mut committed.seq, by),
        Field::CommittedDigest => digest(&mut committed.digest, by),
        _ => false,
    }
}

pub(super) fn batch_time(batch: &mut Batch, by: Step) -> bool {
    batch.time = WallTime::from_millis(stepped(batch.time.as_millis(), by));
    true
}

pub(super) fn seq(place: &mut SeqNum, by: Step) -> bool {
    *place = SeqNum::new(stepped(place.get(), by));
    true
}

pub(super) fn digest(place: &mut Digest, by: Step) -> bool {
    let mut bytes = *place.as_bytes();
    first_byte(&mut bytes, by);
    *place = Digest::from_bytes(bytes);
    true
}

fn view(place: &mut View, by: Step) -> bool {
    *place = View::new(stepped(place.get(), by));
    true
}

fn replica(place: &mut ReplicaId, by: Step) -> bool {
    *place = ReplicaId::new(match by {
        Step::Up => place.get().wrapping_add(1),
        Step::Down => place.get().wrapping_sub(1),
    });
    true
}

fn number(place: &mut u64, by: Step) -> bool {
    *place = stepped(*place, by);
    true
}

fn first_byte<const COUNT: usize>(bytes: &mut [u8; COUNT], by: Step) -> bool {
    bytes[0] = match by {
        Step::Up => bytes[0].wrapping_add(1),
        Step::Down => bytes[0].wrapping_sub(1),
    };
    true
}

fn opposite(place: &mut bool) -> bool {
    *place = !*place;
    true
}

/// One more or one less; below 0 is the highest number there is.
fn stepped(number: u64, by: Step) -> u64 {
    match by {
        Step::Up => number.wrapping_add(1),
        Step::Down => number.wrapping_sub(1),
    }
}
