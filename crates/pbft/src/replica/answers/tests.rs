use super::*;

const BOOT: BootId = [1; 16];
const LATER: BootId = [2; 16];

fn peer(id: u32) -> ReplicaId {
    ReplicaId::new(id)
}

/// [RJ1] One answer of each is not enough, two of each are, if all came after all had answered once.
#[test]
fn peers_let_in_when_all_have_answered_again_after_all_had_answered() {
    let mut answers = Answers::default();
    for id in [1, 2, 3] {
        answers.note(peer(id), BOOT, 0, true);
        assert_eq!(answers.have_become_enough(2), id == 2, "that is told once");
    }
    assert!(answers.at_one_moment(1).is_none(), "nobody was asked again");
    answers.begin_round();
    for id in [1, 2] {
        answers.note(peer(id), BOOT, 1, true);
        assert!(answers.at_one_moment(3).is_none());
    }
    assert!(answers.at_one_moment(2).is_some());
    answers.note(peer(3), BOOT, 1, true);
    assert!(answers.at_one_moment(3).is_some());
    assert!(answers.at_one_moment(4).is_none());
}

/// [RJ1] Who answers for the first time after a round has begun did perhaps not remember at that
/// moment.
#[test]
fn first_answer_that_comes_after_a_round_began_does_not_count_in_it() {
    let mut answers = Answers::default();
    answers.note(peer(1), BOOT, 0, true);
    answers.begin_round();
    answers.note(peer(2), BOOT, 0, true);
    answers.note(peer(2), BOOT, 1, true);
    answers.note(peer(1), BOOT, 1, true);
    assert!(answers.at_one_moment(1).is_some() && answers.at_one_moment(2).is_none());
    answers.begin_round();
    answers.note(peer(2), BOOT, 2, true);
    assert!(answers.at_one_moment(2).is_none(), "1 was not asked since both had answered");
    answers.note(peer(1), BOOT, 2, true);
    assert!(answers.at_one_moment(2).is_some());
}

/// [RJ1] A peer that was started again may have lost its memory in between; one whose disk may be an
/// old one may lose what it notes there; and no round is answered before it began.
#[test]
fn second_answer_counts_from_the_same_start_and_the_right_disk_alone() {
    let mut answers = Answers::default();
    answers.note(peer(1), BOOT, 0, true);
    answers.begin_round();
    answers.note(peer(1), LATER, 1, true);
    assert!(answers.at_one_moment(1).is_none(), "it is as if it had not answered before");
    answers.begin_round();
    answers.note(peer(1), LATER, 2, false);
    answers.note(peer(1), LATER, 3, true);
    assert!(answers.at_one_moment(1).is_none());
    assert!(answers.is_kept_by(peer(1)), "it remembers by now");
    answers.note(peer(1), LATER, 2, true);
    assert!(answers.at_one_moment(1).is_some());
    answers.forget_other_start(peer(1), LATER);
    assert!(answers.are_enough_once(1));
    answers.forget_other_start(peer(1), BOOT);
    assert!(!answers.are_enough_once(1));
}
