//! Which lies pass the door, and which are refused there.

use super::*;
use pbft::message::{
    Checkpoint, CheckpointId, NewView, NewViewProof, PartId, PreparedEntry, Rest, StatePart,
    StateParts, Status, ViewChange,
};
use pbft::{Reject, wire};

/// What the door says to each message sent.
fn verdicts(identity: &Identity, sendings: Vec<Sending>) -> Vec<Result<(), Reject>> {
    let sender = Sender::Replica(identity.id);
    let admit = |message| identity.config.admit(sender, message).map(|_| ());
    let judge = |sending: Sending| match sending.payload {
        Payload::Message(message) => admit(message),
        Payload::Bytes(bytes) => wire::decode(identity.config.domain.epoch, &bytes).and_then(admit),
    };
    sendings.into_iter().map(judge).collect()
}

/// What becomes of a message of replica 0.
fn shown(behaviour: &str, message: Message) -> Vec<Result<(), Reject>> {
    let identity = identity(4, 0);
    let mut adversary = Adversary::new(behaviour.parse().unwrap(), identity.clone(), 1);
    verdicts(&identity, adversary.on_send(replica(3), message))
}

fn checkpoint_id() -> CheckpointId {
    CheckpointId { state_root: Digest::of("test", &[]), history_root: Digest::default() }
}

fn checkpoint(identity: &Identity) -> Message {
    let seq = SeqNum::new(identity.config.parameters.checkpoint_period);
    let body = Checkpoint { seq, id: checkpoint_id(), replica: identity.id };
    Message::Checkpoint(identity.sign(body))
}

fn view_change(identity: &Identity, new_view: u64) -> Arc<Signed<ViewChange>> {
    Arc::new(identity.sign(ViewChange {
        new_view: View::new(new_view),
        replica: identity.id,
        low_water_mark: SeqNum::ZERO,
        checkpoints: vec![(SeqNum::ZERO, checkpoint_id())],
        prepared: Vec::new(),
        pre_prepared: Vec::new(),
    }))
}

/// The NEW-VIEW of replica 0 for view 4.
fn new_view() -> Message {
    let view_changes: Vec<_> = (0..3).map(|id| view_change(&identity(4, id), 4)).collect();
    let body = NewView {
        view: View::new(4),
        view_changes: view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect(),
        checkpoint: (SeqNum::ZERO, checkpoint_id()),
        chosen: vec![Digest::of("test", &[b"chosen"])],
    };
    let new_view = identity(4, 0).sign(body);
    Message::NewView(Arc::new(NewViewProof { new_view, view_changes }))
}

#[test]
fn forged_names_are_refused_beside_the_honest_message() {
    let own = identity(4, 0);
    let refused = [Err(Reject::BadSignature), Err(Reject::ForgedSender), Ok(())];
    assert_eq!(shown("forging_node", checkpoint(&own)), refused);
    assert_eq!(shown("forging_node", Message::ViewChange(view_change(&own, 1))), refused);
    let commit = Message::Commit(Vote { view: View::new(1), ..vote() });
    assert_eq!(shown("forging_node", commit), [Err(Reject::BadSignature), Ok(())]);
}

#[test]
fn numbers_jump_to_the_high_water_mark_and_beyond() {
    let own = identity(4, 0);
    let high = own.config.parameters.log_window;
    for (to, number, verdict) in [
        ("high", high, Ok(())),
        ("above", high + 1, Ok(())),
        ("max", u64::MAX, Err(Reject::OutOfRange)),
    ] {
        let behaviour = format!("jumping_primary:to={to}");
        let mut adversary = adversary(behaviour.parse().unwrap());
        let Message::PrePrepare(signed, _) = only(adversary.on_send(replica(1), proposal(&own)))
        else {
            panic!("another kind")
        };
        assert_eq!(signed.body.seq.get(), number);
        assert_eq!(shown(&behaviour, proposal(&own)), [verdict]);
    }
}

#[test]
fn a_made_up_view_change_passes_the_door() {
    for part in Fabricated::ALL {
        let honest = view_change(&identity(4, 0), 1);
        let mut adversary = adversary(Behaviour::Fabricating { part: *part });
        let lie = only(adversary.on_send(replica(1), Message::ViewChange(Arc::clone(&honest))));
        assert_ne!(lie, Message::ViewChange(honest));
        assert_eq!(verdicts(&identity(4, 0), vec![vice::now(replica(1), lie)]), [Ok(())]);
    }
}

#[test]
fn a_new_view_with_an_invented_view_change_is_refused_and_every_other_lie_passes() {
    for lie in Disproof::ALL {
        let verdict = match lie {
            Disproof::Invented => Err(Reject::BadSignature),
            _ => Ok(()),
        };
        let behaviour = format!("lying_new_primary:lie={}", lie.name());
        assert_eq!(shown(&behaviour, new_view()), [verdict], "{behaviour}");
        let mut adversary = adversary(behaviour.parse().unwrap());
        assert_ne!(only(adversary.on_send(replica(3), new_view())), new_view());
    }
}

#[test]
fn a_huge_view_passes_the_door_with_a_view_change_that_never_changes() {
    let status = Message::Status(Status {
        view: View::ZERO,
        active: true,
        low_water_mark: SeqNum::ZERO,
        last_executed: SeqNum::new(3),
        pre_prepared: Default::default(),
        prepared: Default::default(),
        committed: Default::default(),
        view_changes: Default::default(),
        new_view: View::ZERO,
        missing: Vec::new(),
    });
    assert_eq!(shown("huge_view_node", status.clone()), [Ok(()), Ok(())]);
    let beyond = format!("huge_view_node:view={}", u64::MAX);
    assert_eq!(shown(&beyond, status.clone()), [Err(Reject::OutOfRange); 2]);
    let mut adversary = adversary("huge_view_node".parse().unwrap());
    let beside_status = message(adversary.on_send(replica(1), status).remove(1));
    let own = Message::ViewChange(view_change(&identity(4, 0), 1));
    assert_eq!(only(adversary.on_send(replica(2), own)), beside_status);
}

#[test]
fn another_epoch_is_refused_and_the_same_one_passes() {
    let own = identity(4, 0);
    let mut adversary = Adversary::new(Behaviour::Replaying, own.clone(), 1);
    let mut found = BTreeSet::new();
    for _ in 0..50 {
        let sendings = adversary.on_send(replica(1), checkpoint(&own));
        assert_eq!(sendings.len(), 2);
        found.extend(verdicts(&own, sendings));
    }
    let refused = [Err(Reject::WrongEpoch), Err(Reject::BadSignature)];
    assert_eq!(found, refused.into_iter().chain([Ok(())]).collect());
}

#[test]
fn garbage_stands_beside_the_message_and_is_the_same_with_the_same_seed() {
    let run = |seed| {
        let mut adversary = Adversary::new(Behaviour::Garbage, identity(4, 0), seed);
        let send = |_| adversary.on_send(replica(1), Message::Prepare(vote()));
        (0..100).flat_map(send).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let verdicts = verdicts(&identity(4, 0), run(1));
    assert_eq!(verdicts.iter().step_by(2).filter(|verdict| verdict.is_ok()).count(), 100);
    assert!(verdicts.contains(&Err(Reject::Undecodable)));
    assert!(verdicts.contains(&Err(Reject::UnknownVersion)));
}

#[test]
fn parts_of_the_state_are_wrong_in_four_ways() {
    let part = |number: u8| {
        let part = PartId { path: vec![number], digest: Digest::default() };
        let parts = vec![StatePart { part, content: vec![number; 9] }];
        StateParts { seq: SeqNum::new(128), parts, rest: Rest::Nothing }
    };
    let contents = |lie: StateLie, number: u8, adversary: &mut Adversary| {
        let sendings = adversary.on_send(replica(1), Message::StateParts(part(number)));
        let contents = |sending| match message(sending) {
            Message::StateParts(lie) => lie.parts.into_iter().map(|part| part.content),
            _ => panic!("another kind than {lie:?}"),
        };
        sendings.into_iter().flat_map(contents).collect::<Vec<_>>()
    };
    for lie in StateLie::ALL {
        let mut adversary = adversary(Behaviour::LyingStateServer { lie: *lie });
        let first = contents(*lie, 1, &mut adversary);
        let second = contents(*lie, 2, &mut adversary);
        match lie {
            StateLie::Changed => assert_eq!(second[0].iter().filter(|byte| **byte == 2).count(), 8),
            StateLie::Swapped => assert_eq!(second, [vec![1; 9]]),
            StateLie::Endless => assert!(first.len() > 1 && second.is_empty()),
            StateLie::Oversized => assert!(second[0].len() > 1 << 20 && second[0][..9] == [2; 9]),
        }
    }
}

#[test]
fn what_a_mutant_itself_signed_is_signed_again() {
    let own = identity(4, 0);
    let fields = |field: &Field| field.name().starts_with("checkpoint.");
    for field in Field::ALL.iter().filter(|field| fields(field)) {
        for by in Step::ALL {
            let verdict = match field {
                Field::CheckpointSeq => Err(Reject::NotACheckpoint),
                Field::CheckpointReplica => Err(Reject::ForgedSender),
                _ => Ok(()),
            };
            let behaviour = Behaviour::Mutant { field: Some(*field), by: Some(*by) }.to_string();
            assert_eq!(shown(&behaviour, checkpoint(&own)), [verdict], "{behaviour}");
        }
    }
    let others = checkpoint(&identity(4, 1));
    assert_eq!(shown("mutant:field=checkpoint.state", others), [Ok(())]);
}

#[test]
fn mutants_differ_in_each_field_of_each_entry_and_leave_alone_what_others_signed() {
    let own = identity(4, 0);
    let entry = |seq| PreparedEntry {
        seq: SeqNum::new(seq),
        digest: Digest::of("test", &[]),
        view: View::new(3),
    };
    let body = ViewChange {
        new_view: View::new(4),
        replica: own.id,
        low_water_mark: SeqNum::new(8),
        checkpoints: Vec::new(),
        prepared: vec![entry(9), entry(11)],
        pre_prepared: vec![entry(9)],
    };
    let mutants = mutants(&own, &Message::ViewChange(Arc::new(own.sign(body.clone()))));
    // Three scalars, and three fields of each of the three entries, one up and one down.
    assert_eq!(mutants.len(), 2 * (3 + 3 * 3));
    let bodies: Vec<&ViewChange> = mutants
        .iter()
        .map(|mutant| match mutant {
            Message::ViewChange(signed) => {
                let Identity { config, key, .. } = &own;
                let again = Signed::sign(&config.domain, key, own.id, signed.body.clone());
                assert_eq!(**signed, again, "it is well signed");
                &signed.body
            }
            other => panic!("{other:?}"),
        })
        .collect();
    for (index, body) in bodies.iter().enumerate() {
        assert!(!bodies[..index].contains(body), "{body:?} comes twice");
    }
    assert!(bodies.iter().any(|body| body.prepared == [entry(10), entry(11)]));
    assert!(bodies.iter().any(|body| body.prepared == [entry(9), entry(10)]));
    let others = identity(4, 1);
    assert_eq!(super::mutants(&own, &checkpoint(&others)), []);
}
