use super::super::tests::{completions, open_client, operation};
use super::*;
use crate::client::ReplyRule;
use crate::message::ReadReply;
use crate::wire::Head;
use crate::{Epoch, Session};
use alloc::vec;

/// A client that has sent one READ, with so many operations.
fn reading_client(operations: usize) -> Client {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    for _ in 0..operations {
        client.read(operation(b"get"), SeqNum::ZERO).unwrap();
    }
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    assert_eq!(sent(&outputs).len(), 1, "operations at hand share a READ");
    client
}

fn sent(outputs: &[ClientOutput]) -> Vec<Read> {
    let read = |output: &ClientOutput| match output {
        ClientOutput::Send { message, .. } => match &**message {
            Message::Read(read) => Some(read.clone()),
            _ => None,
        },
        ClientOutput::Completed(..) => None,
    };
    outputs.iter().filter_map(read).collect()
}

fn reading(content: &[u8], revision: u64) -> Option<Reading> {
    Some(Reading { content: content.to_vec(), revision })
}

fn reply(executed: u64, readings: Vec<Option<Reading>>) -> ReadReply {
    ReadReply { session: Session::new(5), number: 1, executed: SeqNum::new(executed), readings }
}

fn hear(client: &mut Client, replica: u32, reply: ReadReply) -> Vec<Completion> {
    let mut outputs = Vec::new();
    client.on_read_reply(Time::ZERO, ReplicaId::new(replica), reply, &mut outputs);
    completions(&outputs)
}

/// [RO2] One liar, or fewer than a quorum, decides nothing; revisions need not be the same, and
/// the one that is believed is not a liar's alone.
#[test]
fn reading_is_believed_when_a_quorum_shows_the_same_content() {
    let mut client = reading_client(1);
    assert_eq!(hear(&mut client, 3, reply(9, vec![reading(b"lie", 99)])), []);
    assert_eq!(hear(&mut client, 0, reply(7, vec![reading(b"it", 1)])), []);
    assert_eq!(hear(&mut client, 0, reply(7, vec![reading(b"it", 1)])), []);
    assert_eq!(hear(&mut client, 1, reply(8, vec![reading(b"it", 6)])), []);
    let agreed = hear(&mut client, 2, reply(8, vec![reading(b"it", 1000)]));
    assert_eq!(agreed, [Completion::Read(Reading { content: b"it".to_vec(), revision: 6 })]);
    assert_eq!(client.unfinished(), 0);
}

/// [RO2] Each operation of a READ is decided by itself.
#[test]
fn operations_of_one_read_are_decided_one_by_one() {
    let mut client = reading_client(2);
    for replica in 0..2 {
        let shown = vec![reading(b"a", 1), reading(b"b", 1)];
        assert_eq!(hear(&mut client, replica, reply(7, shown)), []);
    }
    let late = reply(6, vec![reading(b"a", 0), reading(b"old b", 0)]);
    let first = hear(&mut client, 2, late);
    assert_eq!(first, [Completion::Read(Reading { content: b"a".to_vec(), revision: 1 })]);
    let second = hear(&mut client, 3, reply(7, vec![None, reading(b"b", 1)]));
    assert_eq!(second, [Completion::Read(Reading { content: b"b".to_vec(), revision: 1 })]);
}

/// [RO3] As soon as no content can get a quorum any more the client is told where to read again: at
/// the highest number and revision of a quorum, of which liars beyond it decide nothing.
#[test]
fn what_is_not_agreed_on_is_read_again_at_the_highest_of_a_quorum() {
    let mut client = reading_client(1);
    assert_eq!(hear(&mut client, 0, reply(7, vec![reading(b"old", 4)])), []);
    assert_eq!(hear(&mut client, 1, reply(8, vec![reading(b"new", 5)])), []);
    assert_eq!(hear(&mut client, 2, reply(8, vec![reading(b"new", 5)])), []);
    let not_agreed = hear(&mut client, 3, reply(1 << 60, vec![reading(b"lie", 1 << 60)]));
    let again = ReadAgain { not_before: SeqNum::new(8), revision: 5 };
    assert_eq!(not_agreed, [Completion::NotAgreed(Some(again))]);
    client.read(operation(b"get at 5"), again.not_before).unwrap();
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    assert_eq!(sent(&outputs)[0].not_before, again.not_before);
}

/// [RO5] What is not answered in time is not waited for: it is to be ordered.
#[test]
fn late_reading_is_given_up() {
    let mut client = reading_client(1);
    assert_eq!(hear(&mut client, 0, reply(7, vec![reading(b"it", 4)])), []);
    let due = client.next_deadline().unwrap();
    let mut outputs = Vec::new();
    client.on_tick(due, &mut outputs);
    assert_eq!(completions(&outputs), [Completion::NotAgreed(None)]);
    assert_eq!(hear(&mut client, 1, reply(7, vec![reading(b"it", 4)])), []);
    assert_eq!(client.unfinished(), 0);
}

/// [RO1] Only in an open session is a number the process's own; answers to others are not heard.
#[test]
fn reading_is_worth_decoding_only_while_it_is_waited_for() {
    let mut client = reading_client(1);
    let head = |session, number| {
        let reply = ReadReply { session: Session::new(session), number, ..reply(7, vec![]) };
        let bytes = crate::wire::encode(Epoch::ZERO, &Message::ReadReply(reply));
        crate::wire::head(Epoch::ZERO, &bytes).unwrap()
    };
    assert!(matches!(head(5, 1), Head::ReadReply(_)));
    let from = ReplicaId::ZERO;
    assert!(client.wants(from, &head(5, 1)));
    assert!(!client.wants(from, &head(4, 1)), "another process's session");
    assert!(!client.wants(from, &head(5, 2)), "a READ not sent");
    let mut other = reply(7, vec![reading(b"it", 4)]);
    other.session = Session::new(4);
    assert_eq!(hear(&mut client, 0, other), []);
    assert!(client.wants(from, &head(5, 1)), "that did not count");
    let too_many = reply(7, vec![reading(b"it", 4), reading(b"it", 4)]);
    assert_eq!(hear(&mut client, 0, too_many), []);
    assert!(client.wants(from, &head(5, 1)), "it holds more readings than were asked for");
    hear(&mut client, 0, reply(7, vec![reading(b"it", 4)]));
    assert!(!client.wants(from, &head(5, 1)), "heard already");
}

/// A reading that nobody waits for any more is not sent.
#[test]
fn cancelled_reading_is_not_sent() {
    let mut client = open_client(ReplyRule::AlwaysQuorum);
    let id = client.read(operation(b"get"), SeqNum::ZERO).unwrap();
    assert!(client.cancel(id));
    let mut outputs = Vec::new();
    client.flush(Time::ZERO, &mut outputs);
    assert_eq!(sent(&outputs), []);
}
