//! What a replica sends and holds, beyond its bounds.

use super::*;
use pbft::message::{Certainty, Committed, SlotSet, Status};

/// The property about time or memory that does not hold after these observations, each observation with its time in milliseconds.
fn judge_bounds<'a>(
    observations: impl IntoIterator<Item = (u64, Observation<'a>)>,
) -> Option<&'static str> {
    let parameters = Parameters::default();
    let mut checkers =
        Checkers::new(4, &parameters).with_bounds(4, 1, &parameters, Duration::from_millis(1));
    let violation = observations.into_iter().find_map(|(millis, observation)| {
        checkers.observe(Time::from_micros(millis * 1_000), &observation)
    });
    violation.map(|violation| violation.property)
}

const RATE: Option<&str> = Some("bounded message rate");

fn status() -> Message {
    Message::Status(Status {
        view: View::ZERO,
        active: true,
        new_view: View::ZERO,
        low_water_mark: SeqNum::ZERO,
        last_executed: SeqNum::ZERO,
        pre_prepared: SlotSet::default(),
        prepared: SlotSet::default(),
        committed: SlotSet::default(),
        view_changes: SlotSet::default(),
        missing: Vec::new(),
    })
}

/// Replica 0 takes it from replica 9.
fn handled(message: &Message) -> Observation<'_> {
    let (at, from) = (replica(0), Endpoint::Replica(replica(9)));
    Observation::Handled { at, from, message }
}

#[test]
fn status_more_often_than_every_half_interval_is_noticed() {
    let status = status();
    let every = |millis: u64| judge_bounds((0..40).map(|k| (k * millis, sent(0, &status))));
    assert_eq!(every(50), None);
    assert_eq!(every(40), RATE);
}

#[test]
fn answers_without_limit_to_every_status_are_noticed() {
    let status = status();
    let claim = Message::Committed(Committed { seq: SeqNum::new(1), digest: digest(1) });
    let all = 2 * 64; // What a replica that lags far is told at once.
    let answered = |every: u64| {
        judge_bounds((0..20).flat_map(|k| {
            let answers = (0..all).map(|_| sent(0, &claim));
            [handled(&status)].into_iter().chain(answers).map(move |what| (k * every, what))
        }))
    };
    assert_eq!(answered(50), None);
    assert_eq!(answered(5), RATE, "ten times as often as it may");
    assert_eq!(judge_bounds([(0, sent(0, &claim))]), RATE, "nobody has asked");
}

#[test]
fn votes_are_said_again_only_to_those_who_ask() {
    let (once, far) = (Message::Commit(vote(0, 1)), Vote { seq: SeqNum::new(513), ..vote(0, 1) });
    assert_eq!(judge_bounds([(0, sent(0, &once))]), None);
    assert_eq!(judge_bounds([(0, sent(0, &once)), (900, sent(0, &once))]), RATE);
    let status = status();
    let asked = [(0, sent(0, &once)), (1, handled(&status)), (2, sent(0, &once))];
    assert_eq!(judge_bounds(asked), None);
    assert_eq!(judge_bounds([(0, sent(0, &Message::Commit(far)))]), RATE, "above the window");
}

#[test]
fn a_view_change_said_again_in_a_loop_is_noticed() {
    let leaving = view_change(&[]);
    let every = |millis: u64| judge_bounds((0..40).map(|k| (k * millis, sent(0, &leaving))));
    assert_eq!(every(250), None);
    assert_eq!(every(200), RATE);
}

#[test]
fn what_nobody_asked_for_is_noticed() {
    let ask = Message::FetchBatch(digest(1));
    let answer = Message::Batch(Arc::new(Batch::default()));
    assert_eq!(judge_bounds([(0, handled(&ask)), (1, sent(0, &answer))]), None);
    assert_eq!(judge_bounds([(0, sent(0, &answer))]), RATE);
    assert_eq!(judge_bounds([(0, sent(0, &ask))]), RATE, "it lacks nothing");
}

#[test]
fn replies_without_end_are_noticed() {
    let reply = Message::Reply(Reply {
        view: View::ZERO,
        session: Session::new(1),
        timestamp: Timestamp::new(1),
        certainty: Certainty::Committed,
        designated: replica(0),
        body: ReplyBody::Digest(digest(1)),
    });
    let to = Endpoint::Client(CLIENT);
    let replied = Observation::Sent { from: replica(0), to, message: &reply };
    let window = Parameters::default().client_window as usize;
    assert_eq!(judge_bounds(vec![(0, replied); window]), None);
    assert_eq!(judge_bounds(vec![(0, replied); window + 1]), RATE);
}

#[test]
fn whatever_is_held_without_bound_is_noticed() {
    let holds = |held: &Held, messages| {
        judge_bounds([(0, Observation::Holds { at: replica(0), held, messages })])
    };
    let memory = Some("bounded memory");
    let (l, k) = (512, 128);
    let full = Held {
        slots: l,
        prepared: l,
        pre_prepared: l,
        early_pre_prepares: l,
        outlines: l,
        outline_bytes: 8 << 20,
        asked_whole: 4,
        signed_pre_prepares: l,
        batches: 4 * l,
        batch_bytes: 64 << 20,
        past: l,
        past_bytes: 16 << 20,
        waiting_requests: 130,
        waiting_bytes: 64 << 20,
        view_changes: 8,
        new_views: 2 * l + 1,
        checkpoints: l / k * 4,
        own_checkpoints: l / k + 2,
        proofs_ahead: 8,
        replies: 64,
        evidence: 1024,
    };
    assert_eq!(holds(&full, 1 << 16), None);
    assert_eq!(holds(&full, (1 << 16) + 1), memory);
    let more: [fn(&mut Held); 21] = [
        |held| held.slots += 1,
        |held| held.prepared += 1,
        |held| held.pre_prepared += 1,
        |held| held.early_pre_prepares += 1,
        |held| held.outlines += 1,
        |held| held.outline_bytes += 1,
        |held| held.asked_whole += 1,
        |held| held.signed_pre_prepares += 1,
        |held| held.batches += 1,
        |held| held.batch_bytes <<= 10,
        |held| held.past += 1,
        |held| held.past_bytes += 1,
        |held| held.waiting_requests += 1,
        |held| held.waiting_bytes += 1,
        |held| held.view_changes += 1,
        |held| held.new_views += 1,
        |held| held.checkpoints += 1,
        |held| held.own_checkpoints += 1,
        |held| held.proofs_ahead += 1,
        |held| held.replies += 1,
        |held| held.evidence += 1,
    ];
    for (index, one_more) in more.iter().enumerate() {
        let mut held = full;
        one_more(&mut held);
        assert_eq!(holds(&held, 0), memory, "{index}");
    }
}
