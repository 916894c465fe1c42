//! How each field is changed. Each function says whether the message has the field.

use super::Edit;
use crate::{Field, Step};
use pbft::message::{
    Answer, Certainty, Checkpoint, Committed, HelloReply, NewView, PrePrepare, Reply, Start,
    Status, ViewChange, Vote,
};
use pbft::{Digest, ReplicaId, SeqNum, Session, Timestamp, View, WallTime};

pub(super) fn start(start: &mut Start, edit: Edit) -> bool {
    match edit.field {
        Field::HelloBootCounter => number(&mut start.id.counter, edit.by),
        Field::HelloBootId => first_byte(&mut start.id.boot_id, edit.by),
        _ => false,
    }
}

pub(super) fn hello_reply(reply: &mut HelloReply, edit: Edit) -> bool {
    match (edit.field, &mut reply.answer) {
        (Field::HelloReplyBootId, _) => first_byte(&mut reply.boot_id, edit.by),
        (Field::HelloReplyCounter, Answer::Starts(told)) => {
            edit.of(&mut told.seen).is_some_and(|start| number(&mut start.counter, edit.by))
        }
        _ => false,
    }
}

pub(super) fn reply(reply: &mut Reply, edit: Edit) -> bool {
    match edit.field {
        Field::ReplyView => view(&mut reply.view, edit.by),
        Field::ReplySession => {
            reply.session = Session::new(stepped(reply.session.get(), edit.by));
            true
        }
        Field::ReplyTimestamp => {
            reply.timestamp = Timestamp::new(stepped(reply.timestamp.get(), edit.by));
            true
        }
        Field::ReplyCertainty => certainty(&mut reply.certainty, edit.by),
        Field::ReplyDesignated => replica(&mut reply.designated, edit.by),
        _ => false,
    }
}

pub(super) fn pre_prepare(body: &mut PrePrepare, edit: Edit) -> bool {
    match edit.field {
        Field::PrePrepareView => view(&mut body.view, edit.by),
        Field::PrePrepareSeq => seq(&mut body.seq, edit.by),
        Field::PrePrepareDigest => digest(&mut body.digest, edit.by),
        _ => false,
    }
}

pub(super) fn prepare(vote: &mut Vote, edit: Edit) -> bool {
    match edit.field {
        Field::PrepareView => view(&mut vote.view, edit.by),
        Field::PrepareSeq => seq(&mut vote.seq, edit.by),
        Field::PrepareDigest => digest(&mut vote.digest, edit.by),
        _ => false,
    }
}

pub(super) fn commit(vote: &mut Vote, edit: Edit) -> bool {
    match edit.field {
        Field::CommitView => view(&mut vote.view, edit.by),
        Field::CommitSeq => seq(&mut vote.seq, edit.by),
        Field::CommitDigest => digest(&mut vote.digest, edit.by),
        _ => false,
    }
}

pub(super) fn checkpoint(body: &mut Checkpoint, edit: Edit) -> bool {
    match edit.field {
        Field::CheckpointSeq => seq(&mut body.seq, edit.by),
        Field::CheckpointState => digest(&mut body.id.state_root, edit.by),
        Field::CheckpointHistory => digest(&mut body.id.history_root, edit.by),
        Field::CheckpointReplica => replica(&mut body.replica, edit.by),
        _ => false,
    }
}

pub(super) fn view_change(body: &mut ViewChange, edit: Edit) -> bool {
    let checkpoint = edit.of(&mut body.checkpoints);
    let (p, q) = (edit.of(&mut body.prepared), edit.of(&mut body.pre_prepared));
    match edit.field {
        Field::ViewChangeView => view(&mut body.new_view, edit.by),
        Field::ViewChangeReplica => replica(&mut body.replica, edit.by),
        Field::ViewChangeLow => seq(&mut body.low_water_mark, edit.by),
        Field::ViewChangeCheckpointSeq => {
            checkpoint.is_some_and(|(number, _)| seq(number, edit.by))
        }
        Field::ViewChangeCheckpointState => {
            checkpoint.is_some_and(|(_, id)| digest(&mut id.state_root, edit.by))
        }
        Field::ViewChangePreparedSeq => p.is_some_and(|entry| seq(&mut entry.seq, edit.by)),
        Field::ViewChangePreparedDigest => {
            p.is_some_and(|entry| digest(&mut entry.digest, edit.by))
        }
        Field::ViewChangePreparedView => p.is_some_and(|entry| view(&mut entry.view, edit.by)),
        Field::ViewChangePrePreparedSeq => q.is_some_and(|entry| seq(&mut entry.seq, edit.by)),
        Field::ViewChangePrePreparedDigest => {
            q.is_some_and(|entry| digest(&mut entry.digest, edit.by))
        }
        Field::ViewChangePrePreparedView => q.is_some_and(|entry| view(&mut entry.view, edit.by)),
        _ => false,
    }
}

pub(super) fn new_view(body: &mut NewView, edit: Edit) -> bool {
    match edit.field {
        Field::NewViewView => view(&mut body.view, edit.by),
        Field::NewViewCheckpointSeq => seq(&mut body.checkpoint.0, edit.by),
        Field::NewViewCheckpointState => digest(&mut body.checkpoint.1.state_root, edit.by),
        Field::NewViewChosen => {
            edit.of(&mut body.chosen).is_some_and(|choice| digest(choice, edit.by))
        }
        Field::NewViewNamed => {
            edit.of(&mut body.view_changes).is_some_and(|(_, named)| digest(named, edit.by))
        }
        _ => false,
    }
}

pub(super) fn status(status: &mut Status, edit: Edit) -> bool {
    match edit.field {
        Field::StatusView => view(&mut status.view, edit.by),
        Field::StatusActive => opposite(&mut status.active),
        Field::StatusLow => seq(&mut status.low_water_mark, edit.by),
        Field::StatusExecuted => seq(&mut status.last_executed, edit.by),
        Field::StatusNewView => view(&mut status.new_view, edit.by),
        _ => false,
    }
}

pub(super) fn committed(committed: &mut Committed, edit: Edit) -> bool {
    match edit.field {
        Field::CommittedSeq => seq(&mut committed.seq, edit.by),
        Field::CommittedDigest => digest(&mut committed.digest, edit.by),
        _ => false,
    }
}

pub(super) fn time(place: &mut WallTime, by: Step) -> bool {
    *place = WallTime::from_millis(stepped(place.as_millis(), by));
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

pub(super) fn number(place: &mut u64, by: Step) -> bool {
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

fn certainty(place: &mut Certainty, by: Step) -> bool {
    use Certainty::{Committed, CommittedInView, Tentative};
    *place = match (*place, by) {
        (Committed, Step::Up) | (CommittedInView, Step::Down) => Tentative,
        (Tentative, Step::Up) | (Committed, Step::Down) => CommittedInView,
        (CommittedInView, Step::Up) | (Tentative, Step::Down) => Committed,
    };
    true
}

/// One more or one less; below 0 is the highest number there is.
fn stepped(number: u64, by: Step) -> u64 {
    match by {
        Step::Up => number.wrapping_add(1),
        Step::Down => number.wrapping_sub(1),
    }
}
