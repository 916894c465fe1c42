//! One encoding for each value: what decodes encodes to the same bytes, and decoding fails on
//! anything else without a panic and without reserving memory for what is only announced.

use pbft::message::{
    Answer, Batch, Certainty, Checkpoint, CheckpointId, Committed, Hello, HelloReply, Introduction,
    NewView, NewViewProof, Operation, Outcome, Outline, Outlined, PartId, PrePrepare,
    PreparedEntry, Question, Read, ReadReply, Rejoin, Remembered, Reply, ReplyBody, Request,
    RequestBody, Rest, ServiceId, SlotSet, Start, StartId, StatePart, StatePartRequest, StateParts,
    Status, ViewChange, Vote,
};
use pbft::{
    ClientId, Digest, Epoch, Incarnation, Message, Reading, Record, Reject, ReplicaId, SeqNum,
    Session, Signature, Signed, SignedRequest, Timestamp, View, WallTime, wire,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn view() -> impl Strategy<Value = View> {
    any::<u64>().prop_map(View::new)
}

fn seq() -> impl Strategy<Value = SeqNum> {
    any::<u64>().prop_map(SeqNum::new)
}

fn replica() -> impl Strategy<Value = ReplicaId> {
    any::<u32>().prop_map(ReplicaId::new)
}

fn short_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn signature() -> impl Strategy<Value = Signature> {
    vec(any::<u8>(), 64).prop_map(|bytes| borsh::from_slice(&bytes).expect("any 64 bytes"))
}

fn signed<T: Clone + std::fmt::Debug>(
    body: impl Strategy<Value = T>,
) -> impl Strategy<Value = Signed<T>> {
    (replica(), body, signature()).prop_map(|(signer, body, signature)| Signed {
        signer,
        body,
        signature,
    })
}

fn checkpoint_id() -> impl Strategy<Value = CheckpointId> {
    (digest(), digest())
        .prop_map(|(state_root, history_root)| CheckpointId { state_root, history_root })
}

fn operation() -> impl Strategy<Value = Operation> {
    (any::<u16>(), short_bytes())
        .prop_map(|(service, body)| Operation { service: ServiceId(service), body })
}

fn read() -> impl Strategy<Value = Read> {
    (any::<u64>(), any::<u64>(), seq(), vec(operation(), 0..4)).prop_map(
        |(session, number, not_before, operations)| Read {
            session: Session::new(session),
            number,
            not_before,
            operations,
        },
    )
}

fn read_reply() -> impl Strategy<Value = ReadReply> {
    let reading =
        (short_bytes(), any::<u64>()).prop_map(|(content, revision)| Reading { content, revision });
    (any::<u64>(), any::<u64>(), seq(), vec(proptest::option::of(reading), 0..4)).prop_map(
        |(session, number, executed, readings)| ReadReply {
            session: Session::new(session),
            number,
            executed,
            readings,
        },
    )
}

fn request() -> impl Strategy<Value = Arc<SignedRequest>> {
    let body = prop_oneof![
        Just(RequestBody::OpenSession),
        vec(operation(), 0..4).prop_map(RequestBody::Operations),
    ];
    let numbers = any::<(u32, u64, u64, u64, Option<u32>)>();
    (numbers, body, signature()).prop_map(|(numbers, body, signature)| {
        let (client, session, timestamp, below, replier) = numbers;
        let request = Request {
            client: ClientId::new(client),
            session: Session::new(session),
            timestamp: Timestamp::new(timestamp),
            acknowledged_below: Timestamp::new(below),
            replier: replier.map(ReplicaId::new),
            body,
        };
        // Only a client makes a signed request from its parts; bytes are anybody's.
        let bytes = borsh::to_vec(&(request, signature)).expect("memory");
        Arc::new(borsh::from_slice::<SignedRequest>(&bytes).expect("a request and 64 bytes"))
    })
}

fn rejoin() -> impl Strategy<Value = Signed<Rejoin>> {
    let body = (replica(), any::<(u64, u64)>(), start(), view()).prop_map(
        |(replica, (incarnation, expires), start, view)| Rejoin {
            replica,
            incarnation: Incarnation::new(incarnation),
            start,
            view,
            expires: WallTime::from_millis(expires),
        },
    );
    signed(body)
}

fn start() -> impl Strategy<Value = StartId> {
    any::<(u64, [u8; 16])>().prop_map(|(counter, boot_id)| StartId { counter, boot_id })
}

fn batch() -> impl Strategy<Value = Arc<Batch>> {
    (any::<u64>(), short_bytes(), vec(request(), 0..3), vec(rejoin(), 0..2)).prop_map(
        |(millis, choice, requests, rejoins)| {
            Arc::new(Batch { time: WallTime::from_millis(millis), choice, requests, rejoins })
        },
    )
}

fn outline() -> impl Strategy<Value = Outline> {
    let outlined =
        prop_oneof![request().prop_map(Outlined::Whole), digest().prop_map(Outlined::Named)];
    (any::<u64>(), short_bytes(), vec(outlined, 0..3), vec(rejoin(), 0..2)).prop_map(
        |(millis, choice, requests, rejoins)| Outline {
            time: WallTime::from_millis(millis),
            choice,
            requests,
            rejoins,
        },
    )
}

fn pre_prepare() -> impl Strategy<Value = PrePrepare> {
    (view(), seq(), digest()).prop_map(|(view, seq, digest)| PrePrepare { view, seq, digest })
}

fn vote() -> impl Strategy<Value = Vote> {
    (view(), seq(), digest()).prop_map(|(view, seq, digest)| Vote { view, seq, digest })
}

fn checkpoint() -> impl Strategy<Value = Signed<Checkpoint>> {
    let body = (seq(), checkpoint_id(), replica());
    signed(body.prop_map(|(seq, id, replica)| Checkpoint { seq, id, replica }))
}

fn entries() -> impl Strategy<Value = Vec<PreparedEntry>> {
    let entry = (seq(), digest(), view());
    vec(entry.prop_map(|(seq, digest, view)| PreparedEntry { seq, digest, view }), 0..4)
}

fn view_change() -> impl Strategy<Value = Arc<Signed<ViewChange>>> {
    let checkpoints = vec((seq(), checkpoint_id()), 0..3);
    let body = (view(), replica(), seq(), checkpoints, entries(), entries()).prop_map(
        |(new_view, replica, low_water_mark, checkpoints, prepared, pre_prepared)| ViewChange {
            new_view,
            replica,
            low_water_mark,
            checkpoints,
            prepared,
            pre_prepared,
        },
    );
    signed(body).prop_map(Arc::new)
}

fn new_view() -> impl Strategy<Value = Arc<NewViewProof>> {
    let named = vec((replica(), digest()), 0..4);
    let body = (view(), named, (seq(), checkpoint_id()), vec(digest(), 0..4)).prop_map(
        |(view, view_changes, checkpoint, chosen)| NewView {
            view,
            view_changes,
            checkpoint,
            chosen,
        },
    );
    (signed(body), vec(view_change(), 0..3))
        .prop_map(|(new_view, view_changes)| Arc::new(NewViewProof { new_view, view_changes }))
}

fn slots() -> impl Strategy<Value = SlotSet> {
    vec(0..40_u64, 0..8).prop_map(|members| {
        let mut set = SlotSet::with_room(32);
        members.into_iter().for_each(|member| set.insert(member));
        set
    })
}

fn status() -> impl Strategy<Value = Status> {
    let sets = (slots(), slots(), slots(), slots());
    (view(), any::<bool>(), seq(), seq(), sets, view(), vec(digest(), 0..3)).prop_map(
        |(view, active, low_water_mark, last_executed, sets, new_view, missing)| {
            let (pre_prepared, prepared, committed, view_changes) = sets;
            Status {
                view,
                active,
                low_water_mark,
                last_executed,
                pre_prepared,
                prepared,
                committed,
                view_changes,
                new_view,
                missing,
            }
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::SessionOpened),
        vec(short_bytes(), 0..3).prop_map(Outcome::Executed),
        digest().prop_map(Outcome::ExecutedBefore),
        any::<u64>().prop_map(|current| Outcome::Fenced { current: Session::new(current) }),
        Just(Outcome::OutsideWindow),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let body =
        prop_oneof![outcome().prop_map(ReplyBody::Full), digest().prop_map(ReplyBody::Digest),];
    use Certainty::{Committed, CommittedInView, Tentative};
    let certainty = prop_oneof![Just(Committed), Just(Tentative), Just(CommittedInView)];
    (view(), any::<(u64, u64)>(), certainty, replica(), body).prop_map(
        |(view, (session, timestamp), certainty, designated, body)| Reply {
            view,
            session: Session::new(session),
            timestamp: Timestamp::new(timestamp),
            certainty,
            designated,
            body,
        },
    )
}

fn part() -> impl Strategy<Value = PartId> {
    (short_bytes(), digest()).prop_map(|(path, digest)| PartId { path, digest })
}

fn hello() -> impl Strategy<Value = Hello> {
    let introduction = (started(), vec(start(), 0..3), any::<(u64, bool)>()).prop_map(
        |(start, knows, (round, takes_over))| {
            Question::Admission(Introduction { start, knows, round, takes_over })
        },
    );
    let question = prop_oneof![any::<[u8; 16]>().prop_map(Question::View), introduction];
    (digest(), any::<(u16, u16)>(), any::<u64>(), question).prop_map(
        |(config, versions, key_epoch, question)| Hello { config, versions, key_epoch, question },
    )
}

fn started() -> impl Strategy<Value = Signed<Start>> {
    let body = (any::<u64>(), start()).prop_map(|(incarnation, id)| {
        let incarnation = Incarnation::new(incarnation);
        Start { incarnation, id }
    });
    signed(body)
}

/// Any message, of every kind alike.
fn message() -> impl Strategy<Value = Message> {
    let remembered =
        (any::<(u64, bool, [u8; 16], u64)>(), vec(start(), 0..3), vec(started(), 0..3)).prop_map(
            |((incarnation, is_confirmed, by, round), seen, others)| {
                let incarnation = Incarnation::new(incarnation);
                Answer::Starts(Remembered { incarnation, seen, others, is_confirmed, by, round })
            },
        );
    let answer = prop_oneof![
        (view(), any::<u64>())
            .prop_map(|(view, wall)| Answer::View(view, WallTime::from_millis(wall))),
        remembered
    ];
    let hello_reply = (any::<[u8; 16]>(), answer)
        .prop_map(|(boot_id, answer)| Message::HelloReply(HelloReply { boot_id, answer }));
    let state_request =
        (seq(), digest(), vec(part(), 0..3)).prop_map(|(seq, state_root, parts)| {
            Message::FetchState(StatePartRequest { seq, state_root, parts })
        });
    let state_part =
        (part(), short_bytes()).prop_map(|(part, content)| StatePart { part, content });
    let rest = prop_oneof![
        Just(Rest::Follows),
        Just(Rest::Nothing),
        Just(Rest::NotHeld),
        any::<u64>().prop_map(|micros| Rest::Later { micros })
    ];
    let state_parts = (seq(), vec(state_part, 0..3), rest)
        .prop_map(|(seq, parts, rest)| Message::StateParts(StateParts { seq, parts, rest }));
    let committed =
        (seq(), digest()).prop_map(|(seq, digest)| Message::Committed(Committed { seq, digest }));
    let first = prop_oneof![
        hello().prop_map(Message::Hello),
        hello_reply,
        request().prop_map(Message::Request),
        reply().prop_map(Message::Reply),
        (signed(pre_prepare()), batch()).prop_map(|(s, batch)| Message::PrePrepare(s, batch)),
        vote().prop_map(Message::Prepare),
        vote().prop_map(Message::Commit),
        checkpoint().prop_map(Message::Checkpoint),
        view_change().prop_map(Message::ViewChange),
    ];
    let second = prop_oneof![
        new_view().prop_map(Message::NewView),
        status().prop_map(Message::Status),
        committed,
        digest().prop_map(Message::FetchBatch),
        batch().prop_map(Message::Batch),
        (view(), seq()).prop_map(|(view, seq)| Message::FetchPrePrepare(view, seq)),
        signed(pre_prepare()).prop_map(Message::PrePrepareSeen),
        state_request,
        state_parts,
        rejoin().prop_map(Message::Rejoin),
        vec(checkpoint(), 0..4).prop_map(|proof| Message::Stable(Arc::new(proof))),
        read().prop_map(Message::Read),
        read_reply().prop_map(Message::ReadReply),
        (signed(pre_prepare()), outline()).prop_map(|(s, o)| Message::Outline(s, Arc::new(o))),
    ];
    prop_oneof![9 => first, 14 => second]
}

const EPOCH: Epoch = Epoch::new(3);

/// Whatever these bytes are, decoding does not panic, and what decodes encodes to the same bytes.
fn check_canonical(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(message) = wire::decode(EPOCH, bytes) {
        prop_assert_eq!(wire::encode(EPOCH, &message), bytes);
    }
    if let Some(record) = Record::decode(bytes) {
        prop_assert_eq!(record.encode(), bytes);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_message_survives_the_wire(message in message()) {
        let bytes = wire::encode(EPOCH, &message);
        prop_assert_eq!(wire::decode(EPOCH, &bytes), Ok(message));
        prop_assert_eq!(wire::decode(Epoch::new(4), &bytes), Err(Reject::WrongEpoch));
    }

    #[test]
    fn truncated_and_extended_messages_are_undecodable(message in message(), cut in any::<u16>()) {
        let mut bytes = wire::encode(EPOCH, &message);
        let kept = usize::from(cut) % bytes.len();
        let truncated = wire::decode(EPOCH, &bytes[..kept]);
        prop_assert_eq!(truncated, Err(Reject::Undecodable));
        bytes.push(0);
        prop_assert_eq!(wire::decode(EPOCH, &bytes), Err(Reject::Undecodable));
    }

    #[test]
    fn mutated_bytes_decode_to_nothing_or_to_a_value_with_exactly_these_bytes(
        message in message(),
        places in vec((any::<u16>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = wire::encode(EPOCH, &message);
        for (place, value) in places {
            let index = usize::from(place) % bytes.len();
            bytes[index] = value;
        }
        check_canonical(&bytes)?;
    }

    #[test]
    fn arbitrary_bytes_are_decoded_canonically_or_not_at_all(
        tag in 0..24_u8,
        mut tail in vec(any::<u8>(), 0..300),
    ) {
        check_canonical(&tail)?;
        // Behind a good header and a plausible tag, so that the fields are reached.
        let mut bytes = vec![1, 0, 3, 0, 0, 0, 0, 0, 0, 0, tag];
        bytes.append(&mut tail);
        check_canonical(&bytes)?;
        check_canonical(&bytes[10..])?;
    }

    /// A list that announces four thousand million elements costs nothing: were memory reserved
    /// for them, this test would be killed.
    #[test]
    fn announced_lengths_reserve_no_memory(message in message()) {
        let bytes = wire::encode(EPOCH, &message);
        for start in (10..bytes.len().saturating_sub(4)).step_by(3) {
            let mut announced = bytes.clone();
            announced[start..start + 4].copy_from_slice(&[0xff; 4]);
            check_canonical(&announced)?;
        }
    }
}

#[test]
fn messages_beyond_the_limit_are_refused_unread() {
    let bytes = vec![0; wire::MESSAGE_BYTES_MAX + 1];
    assert_eq!(wire::decode(EPOCH, &bytes), Err(Reject::OverLimit));
    assert_eq!(wire::decode(EPOCH, &bytes[1..]), Err(Reject::UnknownVersion));
}
