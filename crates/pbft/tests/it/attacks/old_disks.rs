//! Old disks that were in use by mistake, and memories lost one after the other, while a replica is
//! being let in [RJ1].

use super::{ms, secs};
use crate::cluster::{Cluster, Envelope, within, work};
use pbft::{Message, Record};

/// 2 has taken part in a start that the first of these disks lacks; the second one is whole.
fn old_and_whole_disk_of_2(c: &mut Cluster) -> (Vec<Record>, Vec<Record>) {
    work(c, 1..=3);
    let old = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    c.run(secs(2));
    assert!(c.status(2).admitted);
    let whole = c.durable_records(2).to_vec();
    c.crash(2);
    (old, whole)
}

/// Starts 2 so often with its old disk, by mistake, while what `passes` refuses is lost.
fn start_with_old_disk(
    c: &mut Cluster,
    old: Vec<Record>,
    count: u32,
    passes: impl Fn(&Envelope) -> bool,
) {
    c.restore_disk(2, old);
    for _ in 0..count {
        c.crash(2);
        c.start(2);
        c.run_where(secs(1), &passes);
        assert!(!c.status(2).admitted);
    }
    c.crash(2);
    c.halted.clear();
}

fn start_with_whole_disk(c: &mut Cluster, whole: Vec<Record>) {
    c.restore_disk(2, whole);
    c.start(2);
}

/// What 2 says to this peer in its last start with an old disk; it comes late.
fn late_hello_of_old_disk(c: &mut Cluster, old: Vec<Record>, to: u32) -> Message {
    start_with_old_disk(c, old, 3, |e| e.from != 2 && e.to != 2);
    c.start(2);
    c.advance(ms(1));
    let hello =
        |e: &Envelope| (e.from, e.to) == (2, to) && matches!(&*e.message, Message::Hello(_));
    let kept = c.take(hello).pop().expect("it introduces itself");
    c.crash(2);
    (*kept.message).clone()
}

fn assert_let_in(c: &Cluster) {
    let status = c.status(2);
    assert!(
        status.admitted,
        "its disk is whole; accused by {:?}, {:?}",
        status.accused_by, status.halted
    );
}

/// [RJ1] The old disk lacks one start, and its replica was started with it, once or three times, as a
/// supervisor does. All heard of that, none let it in. Then the whole disk is put back.
#[test]
fn whole_disk_is_let_in_after_all_heard_of_more_starts_of_an_old_one() {
    for count in [1, 3] {
        let mut c = Cluster::new(4);
        let (old, whole) = old_and_whole_disk_of_2(&mut c);
        start_with_old_disk(&mut c, old, count, |_| true);
        start_with_whole_disk(&mut c, whole);
        c.run(secs(60));
        assert_let_in(&c);
    }
}

/// [RJ1] Nobody lies. A HELLO of the old disk arrives at 0 late, when 2 takes part with its whole disk
/// and 0 has let it in. Much later 2 is started again, while 3 is down.
#[test]
fn late_hello_of_an_old_disk_does_not_keep_the_whole_one_out() {
    let mut c = Cluster::new(4);
    let (old, whole) = old_and_whole_disk_of_2(&mut c);
    let late = late_hello_of_old_disk(&mut c, old, 0);
    start_with_whole_disk(&mut c, whole);
    c.run(secs(60));
    assert!(c.status(2).admitted);
    c.inject(2, 0, late);
    c.run(secs(600));
    work(&mut c, 4..=6);
    c.crash(3);
    c.crash(2);
    c.start(2);
    c.run(secs(600));
    assert_let_in(&c);
}

/// [RJ1] 1 alone heard the old disk. The whole one is put back, 0 and 3 let it in, and it crashes before
/// it can call the starts void at 1; then 3 is down. Nobody lies.
#[test]
fn whole_disk_is_let_in_although_it_crashed_right_after_it_was_let_in() {
    let mut c = Cluster::new(4);
    let (old, whole) = old_and_whole_disk_of_2(&mut c);
    start_with_old_disk(&mut c, old, 3, |e| within(&[1, 2])(e) || within(&[0, 1, 3])(e));
    start_with_whole_disk(&mut c, whole);
    for _ in 0..100 {
        if !c.status(2).admitted {
            c.run(ms(10));
        }
    }
    assert!(c.status(2).admitted);
    c.crash(3);
    c.crash(2);
    c.start(2);
    c.run(secs(600));
    assert_let_in(&c);
}

/// [RJ1] The same twice over: 2 called the starts void at 1, and its HELLO comes a second time.
#[test]
fn start_that_was_called_void_stays_void_although_its_hello_comes_twice() {
    let mut c = Cluster::new(4);
    let (old, whole) = old_and_whole_disk_of_2(&mut c);
    let hello = late_hello_of_old_disk(&mut c, old, 1);
    c.inject(2, 1, hello.clone());
    start_with_whole_disk(&mut c, whole);
    c.run(secs(60));
    assert!(c.status(2).admitted);
    c.inject(2, 1, hello);
    c.run(secs(600));
    c.crash(3);
    c.crash(2);
    c.start(2);
    c.run(secs(600));
    assert_let_in(&c);
}

/// [RJ1] The late HELLO arrives at 1; later 0 loses its memory and rejoins, and takes over from 1 what
/// that remembers. All are up and correct, and 2 is started again with its whole disk.
#[test]
fn void_start_that_is_taken_over_does_not_stop_the_whole_disk() {
    let mut c = Cluster::new(4);
    let (old, whole) = old_and_whole_disk_of_2(&mut c);
    let late = late_hello_of_old_disk(&mut c, old, 1);
    start_with_whole_disk(&mut c, whole);
    c.run(secs(60));
    assert!(c.status(2).admitted);
    c.inject(2, 1, late);
    c.start_without_memory(0);
    c.run(secs(60));
    assert!(c.status(0).admitted && !c.status(0).amnesiac);
    c.crash(2);
    c.start(2);
    c.run(secs(600));
    assert_let_in(&c);
}

/// [RJ1] No message is late and nobody lies: of six, 1 alone heard the old disk, and the link between
/// 1 and 2 is down while 0 and 3 lose their memories one after the other and rejoin. Then the link
/// is up for ten minutes, and 2 is started again, when all others are up.
#[test]
fn starts_are_void_for_those_who_took_them_over_as_well() {
    let mut c = Cluster::new(6);
    let (old, whole) = old_and_whole_disk_of_2(&mut c);
    start_with_old_disk(&mut c, old, 3, |e| within(&[1, 2])(e) || within(&[0, 1, 3, 4, 5])(e));
    let linked = |e: &Envelope| !within(&[1, 2])(e);
    start_with_whole_disk(&mut c, whole);
    c.run_where(secs(60), linked);
    assert!(c.status(2).admitted);
    for peer in [0, 3] {
        c.start_without_memory(peer);
        c.run_where(secs(60), linked);
        let status = c.status(peer);
        assert!(status.admitted && !status.amnesiac, "{peer}: {status:?}");
    }
    c.run(secs(600));
    c.crash(2);
    c.start(2);
    c.run(secs(600));
    assert_let_in(&c);
}

/// 2 is started with its whole disk, and its network is slow: those who are `lost` let it in, lose
/// their memory one after the other and rejoin, before any other has heard of that start. 2 counts
/// their answers all the same when those who hear it `later` let it in. Then its disk is set back to
/// before that start, and it asks the `unaware`. Never is more than one without its memory.
fn assert_old_disk_stays_out(lost: &[u32], later: &[u32], unaware: &[u32]) {
    let others = [lost, later, unaware].concat();
    let mut c = Cluster::new(u32::try_from(others.len()).expect("a few") + 1);
    work(&mut c, 1..=3);
    c.run(secs(1));
    let old = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    for peer in lost {
        c.run_where(secs(2), |e| within(&[*peer, 2])(e) || within(&others)(e));
        assert!(!c.status(2).admitted);
        c.start_without_memory(*peer);
        c.run_where(secs(60), within(&others));
        let status = c.status(*peer);
        assert!(status.admitted && !status.amnesiac, "{peer}: {status:?}");
    }
    // From now on it hears those as well who lost their memory.
    let second = [lost, later, &[2]].concat();
    c.run_where(secs(60), |e| within(&second)(e) || within(&others)(e));
    c.ask(1, 1, "takes part");
    c.run_where(secs(1), |e| within(&second)(e) || within(&others)(e));
    assert!(c.answered(1, 1, "takes part").contains(&2), "those who are left let it in");
    c.crash(2);
    c.restore_disk(2, old);
    c.start(2);
    let third = [lost, unaware, &[2]].concat();
    c.run_where(secs(60), |e| within(&third)(e) || within(&others)(e));
    let status = c.status(2);
    assert!(!status.admitted, "an old disk votes; accused by {:?}", status.accused_by);
}

/// [RJ1] Section 10, "what its peers forgot of it", for n = 6.
#[test]
fn old_disk_stays_out_although_a_peer_lost_its_memory_while_it_was_being_let_in() {
    assert_old_disk_stays_out(&[0], &[1, 3], &[4, 5]);
}

/// [RJ1] Section 10, "what its peers forgot of it", for n = 7.
#[test]
fn old_disk_stays_out_although_peers_lost_their_memories_while_it_was_being_let_in() {
    assert_old_disk_stays_out(&[0, 1], &[3, 4], &[5, 6]);
}
