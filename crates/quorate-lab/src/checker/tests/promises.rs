//! What a replica says without its disk, without a certificate or without a reason.

use super::*;
use pbft::message::{Committed, NewView, NewViewProof};

#[test]
fn commit_needs_both_entries_on_disk_and_its_prepares() {
    let (prepare, commit) = (Message::Prepare(vote(0, 1)), Message::Commit(vote(0, 1)));
    let both = [pre_prepared(0, 1), prepared(0, 1)];
    let enough = handed(2, &prepare);
    assert_eq!(judge_world(&[durable(&both), enough, sent(1, &commit)]), None);
    assert_eq!(judge_world(&[durable(&both[..1]), enough, sent(1, &commit)]), DURABLE);
    assert_eq!(judge_world(&[durable(&both[1..]), enough, sent(1, &commit)]), DURABLE);
    let whole = Some("certificates are whole");
    assert_eq!(judge_world(&[durable(&both), sent(1, &commit)]), whole);
    let of_the_primary = handed(0, &prepare);
    assert_eq!(judge_world(&[durable(&both), of_the_primary, sent(1, &commit)]), whole);
    let other = Message::Prepare(vote(0, 2));
    assert_eq!(judge_world(&[durable(&both), handed(2, &other), sent(1, &commit)]), whole);
}

/// A crash takes back a stable checkpoint that was not on the disk, and COMMITs above the one before it
/// are sent again; their PREPAREs came before the crash.
#[test]
fn commit_repeated_above_a_checkpoint_that_a_crash_took_back_is_whole() {
    let (prepare, commit) = (Message::Prepare(vote(0, 1)), Message::Commit(vote(0, 1)));
    let both = [pre_prepared(0, 1), prepared(0, 1)];
    let (seq, nothing) = (SeqNum::new(1), digest(0));
    let id = CheckpointId { state_root: nothing, history_root: nothing };
    let event = Event::CheckpointStable { seq, id };
    let stable = Observation::Happened { at: replica(1), event: &event };
    let again = Observation::Durable { at: replica(1), starts: true, records: &both };
    let before = [durable(&both), handed(2, &prepare), sent(1, &commit), stable];
    let all = [before[0], before[1], before[2], before[3], again, sent(1, &commit)];
    assert_eq!(judge_world(&all), None);
    let record = [Record::Stable { seq, id, proof: Default::default() }];
    let below = [durable(&record), durable(&both), sent(1, &commit)];
    assert_eq!(judge_world(&below), None, "what waited for the disk leaves below it");
}

#[test]
fn number_committed_without_a_quorum_is_noticed() {
    let commit = Message::Commit(vote(0, 1));
    let Vote { seq, digest, .. } = vote(0, 1);
    let event = Event::Committed { seq, digest };
    let happened = Observation::Happened { at: replica(1), event: &event };
    let whole = Some("certificates are whole");
    let prepare = Message::Prepare(vote(0, 1));
    let (prepared, in_the_dark) = (handed(2, &prepare), [handed(2, &commit), handed(3, &commit)]);
    let [of_two, of_three] = in_the_dark;
    assert_eq!(judge_world(&[prepared, of_two, of_three, happened]), None);
    assert_eq!(judge_world(&[prepared, of_two, happened]), whole);
    assert_eq!(judge_world(&[of_two, of_three, happened]), whole, "it has none of its own");
    let of_another_view = Message::Commit(vote(1, 1));
    assert_eq!(judge_world(&[prepared, of_two, handed(3, &of_another_view), happened]), whole);
    let committed = Message::Committed(Committed { seq, digest });
    assert_eq!(judge_world(&[handed(2, &committed), handed(3, &committed), happened]), None);
    assert_eq!(judge_world(&[handed(2, &committed), happened]), whole);
}

#[test]
fn committed_needs_the_p_entry_behind_its_own_commit_on_disk() {
    let Vote { seq, digest, .. } = vote(0, 1);
    let word = Message::Committed(Committed { seq, digest });
    let (commit, p_entry) = (Message::Commit(vote(0, 1)), [prepared(0, 1)]);
    let [of_0, of_2, of_3] = [0, 2, 3].map(|id| handed(id, &commit));
    let whole = Some("certificates are whole");
    assert_eq!(judge_world(&[of_0, of_2, durable(&p_entry), sent(1, &word)]), None);
    assert_eq!(judge_world(&[of_0, of_2, sent(1, &word), durable(&p_entry)]), whole);
    assert_eq!(judge_world(&[of_0, of_2, durable(&[prepared(0, 2)]), sent(1, &word)]), whole);
    let starts_empty = Observation::Durable { at: replica(1), starts: true, records: &[] };
    let forgotten = [of_0, of_2, durable(&p_entry), starts_empty, sent(1, &word)];
    assert_eq!(judge_world(&forgotten), whole);
    assert_eq!(judge_world(&[of_0, of_2, of_3, sent(1, &word)]), None, "a quorum of others");
    let words = [handed(2, &word), handed(3, &word)];
    assert_eq!(judge_world(&[words[0], words[1], sent(1, &word)]), None, "the word of f+1");
    assert_eq!(judge_world(&[words[0], sent(1, &word)]), whole);
}

#[test]
fn new_view_that_does_not_follow_from_its_view_changes_is_noticed() {
    let genesis = CheckpointId { state_root: digest(0), history_root: digest(0) };
    let entry = PreparedEntry { seq: SeqNum::new(1), digest: digest(1), view: View::ZERO };
    let view_change = |id: u32, vouches: bool| {
        let body = ViewChange {
            new_view: View::new(1),
            replica: replica(id),
            low_water_mark: SeqNum::ZERO,
            checkpoints: vec![(SeqNum::ZERO, genesis)],
            prepared: if id == 1 { vec![entry] } else { Vec::new() },
            pre_prepared: if vouches { vec![entry] } else { Vec::new() },
        };
        Arc::new(signed(id, body))
    };
    let verdict = |vouchers: usize, chosen: Vec<Digest>| {
        let view_changes: Vec<_> =
            (1..=3).map(|id| view_change(id, id <= vouchers as u32)).collect();
        let body = NewView {
            view: View::new(1),
            checkpoint: (SeqNum::ZERO, genesis),
            chosen,
            view_changes: Vec::new(),
        };
        let proof = NewViewProof { new_view: signed(1, body), view_changes };
        let message = Message::NewView(Arc::new(proof));
        let records = [match &message {
            Message::NewView(proof) => Record::NewView(Arc::clone(proof)),
            _ => unreachable!("it is one"),
        }];
        judge_world(&[durable(&records), sent(1, &message)])
    };
    let unfounded = Some("a new view follows from its VIEW-CHANGEs");
    assert_eq!(verdict(2, vec![digest(1)]), None);
    assert_eq!(verdict(1, vec![digest(1)]), unfounded, "f+1 must vouch");
    assert_eq!(verdict(2, vec![]), unfounded, "null needs a quorum that is silent");
    assert_eq!(verdict(2, vec![digest(2)]), unfounded);
}
