use super::*;
use pbft::message::Message;
use pbft::{Digest, Recipients, SeqNum};
use std::sync::Arc;

/// What a core may ask for, in one line each: `p` persists the next record, `s(name, after)`
/// sends.
enum Scripted {
    Persist,
    Send(u64, u64),
    /// The host hands its records to the journal.
    Flush,
    /// The journal reports.
    Durable(u64),
}
use Scripted::{Durable, Flush, Persist, Send};

fn message(name: u64) -> Arc<Message> {
    Arc::new(Message::FetchBatch(Digest::of("test", &[&name.to_le_bytes()])))
}

/// Runs a script. Returns the names of what left, after each step that let something leave.
fn run(outbox: &mut Outbox, script: &[Scripted]) -> Vec<Vec<u64>> {
    let mut left = Vec::new();
    for step in script {
        let mut effects = Vec::new();
        match step {
            Persist => {
                let seq = SeqNum::new(outbox.last.get());
                let record = Record::Committed { seq, digest: Digest::default() };
                outbox.persist(outbox.last.next(), &record);
            }
            Send(name, after) => {
                let effect = Effect::Send { to: Recipients::Others, message: message(*name) };
                outbox.release(Position::new(*after), effect, &mut effects);
            }
            Flush => {
                outbox.flush(&mut effects);
                assert!(matches!(effects[..], [Effect::Journal(JournalTask::Append { .. })]));
                continue;
            }
            Durable(position) => outbox.on_durable(Position::new(*position), &mut effects),
        }
        let name = |effect: &Effect| match effect {
            Effect::Send { message: sent, .. } => {
                (0..100).find(|name| message(*name) == *sent).unwrap()
            }
            other => panic!("unexpected {other:?}"),
        };
        if !effects.is_empty() {
            left.push(effects.iter().map(name).collect());
        }
    }
    left
}

/// [DU1]
#[test]
fn message_leaves_only_when_what_it_names_is_durable() {
    let mut outbox = Outbox::default();
    let script = [Persist, Send(1, 1), Persist, Send(2, 2), Flush, Durable(1)];
    assert_eq!(run(&mut outbox, &script), [[1]]);
    assert_eq!(outbox.held_count(), 1);
    assert_eq!(run(&mut outbox, &[Durable(2)]), [[2]]);
    assert_eq!(outbox.held_count(), 0);
}

#[test]
fn what_needs_nothing_leaves_at_once_and_does_not_take_others_along() {
    let script = [Persist, Send(1, 1), Send(2, 0), Flush, Send(3, 0), Durable(1), Send(4, 1)];
    assert_eq!(run(&mut Outbox::default(), &script), [[2], [3], [1], [4]]);
}

#[test]
fn one_sync_for_many_records_releases_in_the_order_of_positions() {
    let script = [
        Persist,
        Send(1, 1),
        Persist,
        Persist,
        Send(3, 3),
        Send(2, 2),
        Send(4, 3),
        Flush,
        Durable(3),
    ];
    assert_eq!(run(&mut Outbox::default(), &script), [[1, 2, 3, 4]]);
}

#[test]
fn records_reach_the_journal_in_order_and_once() {
    let mut outbox = Outbox::default();
    run(&mut outbox, &[Persist, Persist]);
    let mut effects = Vec::new();
    let bytes = outbox.flush(&mut effects);
    let [Effect::Journal(JournalTask::Append { records, position })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((records.len(), position.get()), (2, 2));
    assert_eq!(bytes, records.iter().map(|record| record.len() as u64).sum());
    let seqs = records.iter().map(|record| match Record::decode(record).unwrap() {
        Record::Committed { seq, .. } => seq.get(),
        other => panic!("unexpected {other:?}"),
    });
    assert_eq!(seqs.collect::<Vec<_>>(), [0, 1]);
    effects.clear();
    assert_eq!(outbox.flush(&mut effects), 0);
    assert!(effects.is_empty());
}

#[test]
fn disk_that_stands_still_does_not_fill_the_memory() {
    let mut outbox = Outbox::default();
    run(&mut outbox, &[Persist]);
    let mut effects = Vec::new();
    for _ in 0..HELD_COUNT_MAX + 10 {
        let effect = Effect::Send { to: Recipients::Others, message: message(0) };
        outbox.release(Position::new(1), effect, &mut effects);
    }
    assert_eq!(outbox.held_count(), HELD_COUNT_MAX);
    outbox.on_durable(Position::new(1), &mut effects);
    assert_eq!((effects.len(), outbox.held_count()), (HELD_COUNT_MAX, 0));
}
