//! Primaries that lie about PRE-PREPAREs do so about outlines as well.

use super::*;
use crate::Repeated;
use pbft::Reject;
use pbft::message::{Outline, Outlined};

fn outlined(identity: &Identity) -> Message {
    let named = |name: &str| Outlined::Named(Digest::of("named", &[name.as_bytes()]));
    let time = WallTime::from_millis(5);
    let outline =
        Outline { time, requests: vec![named("one"), named("other")], ..Outline::default() };
    let body = PrePrepare { view: View::ZERO, seq: SeqNum::new(1), digest: outline.digest() };
    Message::Outline(identity.sign(body), Arc::new(outline))
}

fn shown_to_3(behaviour: Behaviour) -> Vec<Sending> {
    adversary(behaviour).on_send(replica(3), outlined(&identity(4, 0)))
}

fn admitted(message: &Message) -> Result<(), Reject> {
    let Identity { config, id, .. } = identity(4, 0);
    config.admit(Sender::Replica(id), message.clone()).map(|_| ())
}

#[test]
fn an_equivocating_primary_shows_two_outlines() {
    let equivocates = Behaviour::EquivocatingPrimary { second: None, both: true };
    let shown = messages(shown_to_3(equivocates));
    let [second @ Message::Outline(signed, outline), Message::Prepare(vote), honest] = &shown[..]
    else {
        panic!("other kinds: {shown:?}")
    };
    assert_eq!((admitted(second), admitted(honest)), (Ok(()), Ok(())));
    assert_eq!((vote.digest, outline.digest()), (signed.body.digest, signed.body.digest));
    assert_eq!(*honest, outlined(&identity(4, 0)));
    assert_ne!(second.pre_prepare(), honest.pre_prepare());
}

#[test]
fn a_wrong_digest_is_refused_and_a_wrong_number_is_signed() {
    let wrong = only(shown_to_3(Behaviour::FaultyPrimary));
    assert_eq!(admitted(&wrong), Err(Reject::WrongDigest));
    let jumped = only(shown_to_3(Behaviour::JumpingPrimary { to: Jump::High }));
    assert_eq!(admitted(&jumped), Ok(()));
    assert!(jumped.pre_prepare().is_some_and(|signed| signed.body.seq > SeqNum::new(1)));
}

#[test]
fn requests_are_repeated_by_name() {
    let twice = only(shown_to_3(Behaviour::RepeatingPrimary { repeated: Repeated::Same }));
    assert_eq!(admitted(&twice), Err(Reject::MalformedBatch));
    let Message::Outline(_, reversed) =
        only(shown_to_3(Behaviour::RepeatingPrimary { repeated: Repeated::Later }))
    else {
        panic!("an outline")
    };
    let Message::Outline(_, honest) = outlined(&identity(4, 0)) else { panic!("an outline") };
    assert!(reversed.requests.iter().eq(honest.requests.iter().rev()));
}

#[test]
fn outlines_are_kept_from_backups_in_the_dark_and_sent_late() {
    assert!(shown_to_3(Behaviour::IsolatingPrimary { dark: None }).is_empty());
    let late = shown_to_3(Behaviour::SlowPrimary { percent: 50 });
    assert!(late[0].delay > Duration::ZERO);
}
