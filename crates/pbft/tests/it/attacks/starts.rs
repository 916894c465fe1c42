//! Attacks on what replicas remember of each other's starts [RJ1].

use super::{ms, secs};
use crate::cluster::{Cluster, Envelope, within, work};
use pbft::message::{
    Answer, BootId, HelloReply, Kind, Question, Remembered, STARTS_MAX, Start, StartId,
};
use pbft::{Incarnation, Message, Record, Signed};

/// [RJ1] An old disk stays out although it starts so often that its peers cannot remember all.
#[test]
fn old_disk_that_starts_seventy_times_stays_out() {
    let mut c = Cluster::new(4);
    c.run(secs(1));
    let image = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    // It takes part, and the network loses its STATUS.
    c.ask(0, 1, "a");
    let unseen = |e: &Envelope| e.from != 2 || e.kind() != Kind::Status;
    c.run_where(secs(1), unseen);
    assert!(c.status(2).admitted);
    c.crash(2);
    c.restore_disk(2, image);
    for start in 1..=70 {
        c.start(2);
        c.run(secs(4));
        assert!(!c.status(2).admitted, "start {start}: {:?}", c.status(2).halted);
        c.crash(2);
    }
}

/// [RJ1] Section 10: it does not matter how many replicas have rejoined in the course of time. Not
/// for what they remember of the others' starts either.
#[test]
fn old_disk_stays_out_although_its_peers_have_rejoined_one_after_the_other() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    let image = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    c.run(secs(1));
    work(&mut c, 4..=7);
    c.run(secs(1));
    assert!(c.status(2).admitted);
    c.crash(2);
    for peer in [0, 1, 3, 4] {
        c.start_without_memory(peer);
        c.run(secs(20));
        let status = c.status(peer);
        assert!(status.admitted && !status.amnesiac, "{peer}: {status:?}");
    }
    c.restore_disk(2, image);
    c.start(2);
    c.run(secs(2));
    let status = c.status(2);
    assert!(!status.admitted, "an old disk votes: accused by {:?}", status.accused_by);
}

/// [RJ1] A replica that was started more often than it remembers takes no start that it is told for
/// one of its own which it has forgotten: it may be one of another memory, that counts from one.
#[test]
fn start_that_may_be_forgotten_is_not_taken_for_one_s_own() {
    let mut c = Cluster::new(4);
    c.crash(2);
    let boots = (2..=(1 << 16) + 2_u64).map(|counter| {
        let mut boot_id = [200; 16];
        boot_id[..8].copy_from_slice(&counter.to_le_bytes());
        Record::Boot { counter, boot_id, incarnation: Incarnation::ZERO }
    });
    c.restore_disk(2, boots.collect());
    c.start(2);
    c.advance(ms(1));
    c.deliver_where(|e| matches!(&*e.message, Message::Hello(_) | Message::HelloReply(_)));
    assert!(!c.status(2).admitted);
}

/// [RJ1] Section 10 for n = 4, and never more than one replica without its memory. 1 runs with an old
/// disk, by mistake, and is not let in; it answers 2, which is started, but does not let it in. The
/// mistake is found, and 1 goes on with its own disk, which is whole. Then 2 is set back to before
/// that start.
#[test]
fn replica_is_not_let_in_by_what_a_peer_notes_on_an_old_disk() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=3);
    let old_disk_of_1 = c.durable_records(1).to_vec();
    c.crash(1);
    c.start(1);
    c.run(secs(2));
    work(&mut c, 4..=5);
    let old_disk_of_2 = c.durable_records(2).to_vec();

    let disk_of_1 = c.durable_records(1).to_vec();
    c.crash(1);
    c.restore_disk(1, old_disk_of_1);
    c.start(1);
    c.crash(2);
    c.start(2);
    c.run_where(secs(1), |e| within(&[0, 2])(e) || within(&[1, 2])(e));
    assert!(!c.status(1).admitted);
    // What 1 notes on that disk is not remembered.
    assert!(!c.status(2).admitted);
    c.crash(1);
    c.crash(2);
    c.restore_disk(1, disk_of_1);
    c.start(1);
    c.run(secs(2));
    assert_eq!(c.views(&[0, 1, 3]), [(0, true); 3]);
    assert!(c.status(1).admitted);

    c.restore_disk(2, old_disk_of_2);
    c.start(2);
    c.run(secs(2));
    let status = c.status(2);
    assert!(status.admitted, "it did not take part in the start that its disk lacks: {status:?}");
}

/// [RJ1] Section 10 for n = 7, and never more than two replicas with an old disk: 6, and of its peers
/// one after the other, each for a moment in which it is not let in. 4 and 5 never heard of the start
/// that the disk of 6 lacks; 0 to 3 noted it, and their own disks are whole.
#[test]
fn old_disk_stays_out_although_peers_answer_it_from_old_disks_one_after_the_other() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    let old_disks: Vec<_> = [0, 1].map(|peer| c.durable_records(peer).to_vec()).into();
    let old_disk_of_6 = c.durable_records(6).to_vec();
    for peer in [0, 1] {
        c.crash(peer);
        c.start(peer);
        c.run(secs(2));
        assert!(c.status(peer).admitted);
    }
    c.crash(6);
    c.start(6);
    c.run_where(secs(2), |e| within(&[0, 1, 2, 3, 6])(e) || within(&[0, 1, 2, 3, 4, 5])(e));
    assert!(c.status(6).admitted, "it takes part");
    c.crash(6);
    c.restore_disk(6, old_disk_of_6);
    c.start(6);
    c.run_where(secs(1), within(&[4, 5, 6]));
    for (peer, old_disk) in (0..).zip(old_disks) {
        assert!(!c.status(6).admitted);
        let disk = c.durable_records(peer).to_vec();
        c.crash(peer);
        c.restore_disk(peer, old_disk);
        c.start(peer);
        c.run_where(secs(1), within(&[peer, 6]));
        assert!(!c.status(peer).admitted);
        c.crash(peer);
        c.restore_disk(peer, disk);
        c.start(peer);
        c.run_where(secs(2), within(&[0, 1, 2, 3, 4, 5]));
        assert!(c.status(peer).admitted);
    }
    c.run(secs(2));
    let status = c.status(6);
    assert!(!status.admitted, "an old disk votes; accused by {:?}", status.accused_by);
}

/// The start in which a replica asks a peer to let it in and to tell what it remembers.
fn takes_over(envelope: &Envelope) -> Option<(BootId, Incarnation)> {
    let Message::Hello(hello) = &*envelope.message else { return None };
    let Question::Admission(introduction) = &hello.question else { return None };
    let start = introduction.start.body;
    introduction.takes_over.then_some((start.id.boot_id, start.incarnation))
}

/// So many starts of 6, from this counter on, as 6 alone can sign them.
fn starts_of_6(c: &Cluster, from: u64, count: usize) -> Vec<Signed<Start>> {
    let start = |counter| Start {
        incarnation: Incarnation::ZERO,
        id: StartId { counter, boot_id: [66; 16] },
    };
    (from..).take(count).map(|counter| c.sign(6, start(counter))).collect()
}

/// [RJ1] [RJ3] 6 of 7 is faulty, and of the others never more than one is without its memory. 6 tells
/// two who come back of many starts of its own, and the third one nothing. So those two tell nobody
/// any more what they remember, and the third one is kept out for ever.
#[test]
fn faulty_replica_that_tells_of_many_starts_does_not_keep_others_from_rejoining() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    c.crash(6);
    let others = starts_of_6(&c, 1000, 7 * STARTS_MAX);
    for replica in [0, 1, 2] {
        c.start_without_memory(replica);
        for _ in 0..2000 {
            c.advance(ms(10));
            while let Some(envelope) = c.network.pop_front() {
                let asked = takes_over(&envelope).filter(|_| envelope.to == 6 && replica != 2);
                let Some((boot_id, incarnation)) = asked else {
                    c.deliver(&envelope);
                    continue;
                };
                let remembered = Remembered {
                    incarnation,
                    seen: Vec::new(),
                    others: others.clone(),
                    is_confirmed: true,
                    by: [66; 16],
                    round: 0,
                };
                let answer = Answer::Starts(remembered);
                let reply = HelloReply { boot_id, answer };
                c.inject(6, envelope.from, Message::HelloReply(reply));
            }
        }
        let status = c.status(replica);
        assert!(status.admitted && !status.amnesiac, "{replica}: {status:?}");
    }
}

/// Runs until a replica on its way back asks 6 to let it in, which goes unanswered. Returns the start
/// that asks, and as which incarnation.
fn asked_for_admission(c: &mut Cluster, replica: u32) -> (BootId, Incarnation) {
    loop {
        c.advance(ms(10));
        while let Some(envelope) = c.network.pop_front() {
            match takes_over(&envelope) {
                Some(start) if (envelope.from, envelope.to) == (replica, 6) => return start,
                _ => c.deliver(&envelope),
            }
        }
    }
}

/// [RJ1] What a faulty peer says to one that comes back is noted once and within limits, however often
/// it answers, whatever it says of its own disk, and whether it makes up incarnations.
#[test]
fn answers_of_a_faulty_replica_do_not_fill_the_disk_of_one_that_rejoins() {
    for is_confirmed in [false, true] {
        let mut c = Cluster::new(7);
        work(&mut c, 1..=3);
        c.crash(6);
        c.start_without_memory(0);
        let (boot_id, incarnation) = asked_for_admission(&mut c, 0);
        for round in 0..100 {
            let mut others = starts_of_6(&c, 1000 * (round + 1), STARTS_MAX);
            let (later, id) = (Incarnation::new(round), StartId { counter: 1, boot_id: [66; 16] });
            others.push(c.sign(6, Start { incarnation: later, id }));
            let answer = Answer::Starts(Remembered {
                incarnation,
                seen: Vec::new(),
                others,
                is_confirmed,
                by: [66; 16],
                round: 0,
            });
            c.inject(6, 0, Message::HelloReply(HelloReply { boot_id, answer }));
        }
        c.run(secs(2));
        assert!(c.status(0).admitted);
        let noted = c.durable_records(0).iter().filter_map(|record| match record {
            Record::PeerStarts { replica, starts } if replica.get() == 6 => Some(starts.len()),
            _ => None,
        });
        assert_eq!(noted.collect::<Vec<_>>(), [1], "what the others remember of it");
    }
}

/// Starts a replica so often, with its whole disk, and returns what it told of that in HELLO.
fn starts_made(c: &mut Cluster, replica: u32, count: usize) -> Vec<Signed<Start>> {
    let mut starts = std::collections::BTreeMap::new();
    for _ in 0..count {
        c.crash(replica);
        c.start(replica);
        c.advance(ms(1));
        for envelope in c.network.iter().filter(|e| e.from == replica) {
            let Message::Hello(hello) = &*envelope.message else { continue };
            let Question::Admission(introduction) = &hello.question else { continue };
            starts.insert(introduction.start.body.id.counter, introduction.start);
        }
        c.run(secs(4));
        assert!(c.status(replica).admitted);
    }
    assert_eq!(starts.len(), count);
    starts.into_values().collect()
}

/// A replica loses its memory and rejoins. Of those that it asks what they remember a liar is heard
/// first, and tells these starts.
fn rejoin_with_a_liar_first(
    c: &mut Cluster,
    replica: u32,
    liar: u32,
    others: &[Signed<Start>],
    passes: impl Fn(&Envelope) -> bool,
) {
    c.start_without_memory(replica);
    let mut has_lied = false;
    for _ in 0..2000 {
        c.advance(ms(10));
        while let Some(envelope) = c.network.pop_front() {
            match takes_over(&envelope) {
                Some((boot_id, incarnation)) if envelope.to == liar => {
                    let answer = Answer::Starts(Remembered {
                        incarnation,
                        seen: Vec::new(),
                        others: others.to_vec(),
                        is_confirmed: true,
                        by: [66; 16],
                        round: 0,
                    });
                    c.inject(liar, replica, Message::HelloReply(HelloReply { boot_id, answer }));
                    has_lied = true;
                }
                Some(_) if !has_lied => {}
                _ if passes(&envelope) => c.deliver(&envelope),
                _ => {}
            }
        }
    }
    assert!(c.status(replica).admitted && has_lied);
}

/// [RJ1] 3 of 4 is faulty, and 0 alone was ever without its memory. To 0, which comes back, 3 tells 64
/// starts that 2 has really made, long ago. Later 2 is started once more, with its own whole disk.
#[test]
fn faulty_replica_that_tells_of_old_starts_of_a_correct_one_does_not_keep_it_out() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=3);
    let starts = starts_made(&mut c, 2, STARTS_MAX + 2);
    let others = &starts[..STARTS_MAX];
    rejoin_with_a_liar_first(&mut c, 0, 3, others, |_| true);
    c.crash(2);
    c.start(2);
    let answered = |e: &Envelope| e.from != 3 || !matches!(&*e.message, Message::HelloReply(_));
    c.run_where(secs(600), answered);
    let status = c.status(2);
    assert!(status.admitted, "its disk is whole, and one replica is faulty: {status:?}");
}

/// The first STATUS that a replica sends to another one from now on; it is not lost.
fn kept_status(c: &mut Cluster, from: u32, to: u32) -> Message {
    for _ in 0..500 {
        c.advance(ms(10));
        let of_both = |e: &&Envelope| (e.from, e.to, e.kind()) == (from, to, Kind::Status);
        if let Some(envelope) = c.network.iter().find(of_both) {
            return (*envelope.message).clone();
        }
        c.deliver_all();
    }
    panic!("no STATUS");
}

/// [RJ1] Section 10 for n = 7. 6 is faulty, and beside it 0 was once without its memory. To 0, which
/// comes back, 6 tells 64 starts that 5 has really made, but not the last one, for which no room is
/// left; then a STATUS of the last but one arrives late. Now the disk of 5 is set back to before its
/// last start, of which 3 and 4 never heard.
#[test]
fn old_disk_stays_out_although_a_faulty_replica_told_of_many_older_starts() {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    let starts = starts_made(&mut c, 5, STARTS_MAX);
    let late = kept_status(&mut c, 5, 0);
    c.run(secs(1));
    let old_disk = c.durable_records(5).to_vec();
    c.crash(5);
    c.start(5);
    let heard = |e: &Envelope| within(&[0, 1, 2, 5, 6])(e) || within(&[0, 1, 2, 3, 4, 6])(e);
    c.run_where(secs(2), heard);
    assert!(c.status(5).admitted, "it takes part");
    rejoin_with_a_liar_first(&mut c, 0, 6, &starts, heard);
    c.inject(5, 0, late);
    c.crash(5);
    c.restore_disk(5, old_disk);
    c.start(5);
    for _ in 0..200 {
        c.advance(ms(10));
        while let Some(envelope) = c.network.pop_front() {
            match &*envelope.message {
                Message::Hello(hello) if (envelope.from, envelope.to) == (5, 6) => {
                    let Question::Admission(introduction) = &hello.question else { continue };
                    let Start { incarnation, id } = introduction.start.body;
                    let (seen, others) = (Vec::new(), Vec::new());
                    let answer = Answer::Starts(Remembered {
                        incarnation,
                        seen,
                        others,
                        is_confirmed: true,
                        by: [66; 16],
                        round: 0,
                    });
                    let boot_id = id.boot_id;
                    c.inject(6, 5, Message::HelloReply(HelloReply { boot_id, answer }));
                }
                Message::HelloReply(_) if (envelope.from, envelope.to) == (6, 5) => {}
                _ if within(&[0, 3, 4, 5])(&envelope) || within(&[0, 1, 2, 3, 4, 6])(&envelope) => {
                    c.deliver(&envelope);
                }
                _ => {}
            }
        }
    }
    let status = c.status(5);
    assert!(!status.admitted, "an old disk votes: accused by {:?}", status.accused_by);
}

/// [RJ1] 3 of 4 is faulty and told 0 of 64 starts of 2, so that 0 has no room for the next one of 2. 2
/// loses its memory and rejoins; then a STATUS of before arrives late at 0. What 0 has noted of the
/// new incarnation, and answered, it goes on remembering.
#[test]
fn late_status_of_a_lost_memory_does_not_make_the_new_incarnation_forgotten() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=3);
    let starts = starts_made(&mut c, 2, STARTS_MAX + 2);
    rejoin_with_a_liar_first(&mut c, 0, 3, &starts[..STARTS_MAX], |_| true);
    c.crash(2);
    c.start(2);
    c.run_where(secs(3), |e| (e.from, e.to, e.kind()) != (2, 0, Kind::Status));
    assert!(c.status(2).admitted, "1 and 3 let it in");
    c.advance(secs(1));
    let status = |e: &Envelope| (e.from, e.to, e.kind()) == (2, 0, Kind::Status);
    let late = c.take(status).pop().expect("a STATUS");
    c.deliver_all();
    c.start_without_memory(2);
    c.run(secs(20));
    assert!(c.status(2).admitted && !c.status(2).amnesiac);
    let remembered = |c: &Cluster| {
        let last = c.durable_records(0).iter().rev().find_map(|record| match record {
            Record::PeerStarts { replica, starts } if replica.get() == 2 => starts.last().copied(),
            _ => None,
        });
        last.map(|start| start.body.incarnation)
    };
    assert_eq!(remembered(&c), Some(Incarnation::new(1)));
    c.inject(2, 0, (*late.message).clone());
    assert_eq!(remembered(&c), Some(Incarnation::new(1)));
}

/// [RJ1] 3 of 4 is faulty and told 0, which rejoined, of old starts of 1 and 2. Then all lose power, and
/// start with whole disks; of 3 nothing is heard any more.
#[test]
fn cluster_starts_although_a_faulty_replica_told_of_old_starts_of_correct_ones() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=3);
    let mut starts = starts_made(&mut c, 1, STARTS_MAX + 2);
    starts.truncate(STARTS_MAX);
    starts.extend(starts_made(&mut c, 2, STARTS_MAX + 2).into_iter().take(STARTS_MAX));
    rejoin_with_a_liar_first(&mut c, 0, 3, &starts, |_| true);
    c.ids().for_each(|replica| c.crash(replica));
    [0, 1, 2].into_iter().for_each(|replica| c.start(replica));
    c.run(secs(600));
    let admitted = [0, 1, 2].map(|replica| c.status(replica).admitted);
    assert_eq!(admitted, [true; 3], "their disks are whole, and one replica is faulty");
}

/// [RJ1] As in the attacks with old starts, but nobody lies: all are let in.
#[test]
fn cluster_with_many_honest_starts_starts_after_one_rejoined() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=3);
    starts_made(&mut c, 1, STARTS_MAX + 2);
    starts_made(&mut c, 2, STARTS_MAX + 2);
    rejoin_with_a_liar_first(&mut c, 0, 3, &[], |_| true);
    c.ids().for_each(|replica| c.crash(replica));
    [0, 1, 2].into_iter().for_each(|replica| c.start(replica));
    c.run(secs(10));
    let admitted = [0, 1, 2].map(|replica| c.status(replica).admitted);
    assert_eq!(admitted, [true; 3]);
}

/// [RJ1] 2 of 4 ran with an old disk for a moment, by mistake, was started five times with it, and 1
/// alone heard it. Its whole disk is put back and lets it take part; that is heard by 1, too. Later,
/// while 3 is down, it is started once more: its disk is whole, as those of 0 and 1 are.
#[test]
fn replica_is_let_in_with_its_whole_disk_after_an_old_one_was_started_more_often() {
    let mut c = Cluster::new(4);
    work(&mut c, 1..=3);
    let old_disk = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    c.run_where(secs(2), |e| within(&[0, 2, 3])(e) || within(&[0, 1, 3])(e));
    assert!(c.status(2).admitted);
    let disk = c.durable_records(2).to_vec();
    c.restore_disk(2, old_disk);
    for _ in 0..5 {
        c.crash(2);
        c.start(2);
        c.run_where(secs(1), |e| within(&[1, 2])(e) || within(&[0, 1, 3])(e));
        assert!(!c.status(2).admitted);
    }
    c.crash(2);
    c.restore_disk(2, disk);
    c.start(2);
    c.run(secs(60));
    assert!(c.status(2).admitted, "0 and 3 let it in");
    c.crash(3);
    c.crash(2);
    c.start(2);
    c.run(secs(60));
    let status = c.status(2);
    assert!(status.admitted, "accused by {:?} with a whole disk", status.accused_by);
}
