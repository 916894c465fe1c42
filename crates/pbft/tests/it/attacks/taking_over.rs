//! Attacks on what a replica that rejoins takes over, and on what the answers of a liar cost [RJ1].

use super::{ms, secs};
use crate::cluster::{Cluster, Envelope, work};
use pbft::message::{
    Answer, BootId, HelloReply, Introduction, Question, Remembered, STARTS_MAX, Start, StartId,
};
use pbft::{Event, Incarnation, Message, Signed};

/// The two ends of a HELLO or an answer to it, the smaller one first.
fn hello_between(e: &Envelope) -> Option<(u32, u32)> {
    let is_hello = matches!(&*e.message, Message::Hello(_) | Message::HelloReply(_));
    is_hello.then(|| (e.from.min(e.to), e.from.max(e.to)))
}

/// Whether 0, on its way back, asks this peer to let it in.
fn asks_to_come_back(e: &Envelope) -> Option<u32> {
    let Message::Hello(hello) = &*e.message else { return None };
    (e.from == 0 && matches!(hello.question, Question::Admission(_))).then_some(e.to)
}

/// All pass but HELLOs between these pairs, and what 0 asks of others than those it may ask.
fn passes<'a>(down: &'a [(u32, u32)], asked: &'a [u32]) -> impl Fn(&Envelope) -> bool + 'a {
    move |e| {
        hello_between(e).is_none_or(|pair| !down.contains(&pair))
            && asks_to_come_back(e).is_none_or(|peer| asked.contains(&peer))
    }
}

/// Section 10, "what its peers forgot of it", for n = 7, and never more than two replicas
/// without their memory or with an old disk. 0, 1, 3 and 4 let 2 in; 5 and 6 never hear of that. 0
/// loses its memory. While it comes back, 1 has a disk from before that start of 2, which nobody
/// finds out, and tells 0 what it remembers; 1 gives that up and rejoins. Then 3 does the same. At
/// last, when 0, 1 and 3 are long back, the disk of 2 is set back to before that start, and that of
/// 4 too. Here `tellers` are 1 and 3, or fewer; returns whether 2 is let in.
fn is_old_disk_let_in(tellers: &[u32]) -> bool {
    let mut c = Cluster::new(7);
    work(&mut c, 1..=3);
    c.run(secs(1));
    let old = [0, 1, 2, 3, 4].map(|replica| c.durable_records(replica).to_vec());
    let hidden = [(0, 2), (2, 5), (2, 6)];
    c.crash(2);
    c.start(2);
    c.run_where(secs(2), passes(&hidden[1..], &[]));
    assert!(c.status(2).admitted, "0, 1, 3 and 4 let it in");

    c.start_without_memory(0);
    c.run_where(secs(20), passes(&hidden, &[]));
    assert!(c.rejoined(5, 0).is_some() && c.status(0).amnesiac);
    for peer in tellers.iter().copied() {
        let down = [&hidden[..], &[(peer.min(2), peer.max(2))]].concat();
        c.crash(peer);
        c.restore_disk(peer, old[peer as usize].clone());
        c.start(peer);
        c.run_where(secs(2), passes(&down, &[]));
        assert!(c.status(peer).admitted, "nobody finds its disk out");
        c.run_where(secs(2), passes(&down, &[peer]));
        c.start_without_memory(peer);
        c.run_where(secs(60), passes(&hidden, &[]));
        let status = c.status(peer);
        assert!(status.admitted && !status.amnesiac, "{peer}: {status:?}");
        assert!(!c.status(0).admitted);
    }
    c.run_where(secs(60), passes(&hidden, &[1, 3, 5, 6]));
    let status = c.status(0);
    assert!(status.admitted && !status.amnesiac, "{status:?}");

    c.crash(2);
    c.crash(4);
    c.restore_disk(4, old[4].clone());
    c.start(4);
    c.run(secs(10));
    assert!(c.status(4).admitted);
    c.restore_disk(2, old[2].clone());
    c.start(2);
    c.run_where(secs(20), passes(&[(1, 2), (2, 3)], &[]));
    c.status(2).admitted
}

/// [RJ1] As told above, with 1 and 3.
#[test]
fn old_disk_stays_out_although_peers_told_from_old_disks_one_after_the_other() {
    assert!(!is_old_disk_let_in(&[1, 3]), "an old disk votes");
}

/// [RJ1] Control: 3 tells from its whole disk.
#[test]
fn old_disk_stays_out_although_one_peer_told_from_an_old_disk() {
    assert!(!is_old_disk_let_in(&[1]));
}

/// [RJ1] 3 of 4 is faulty. 2 was let in, and 3 answers it as often as it likes, in turn that it lets
/// it in and that it remembers a start. That is news once.
#[test]
fn answers_of_a_faulty_replica_do_not_fill_the_log() {
    let mut c = Cluster::new(4);
    c.crash(3);
    c.crash(2);
    c.start(2);
    c.run(secs(2));
    assert!(c.status(2).admitted);
    let boot_id = c.durable_records(2).iter().rev().find_map(|record| match record {
        pbft::Record::Boot { boot_id, .. } => Some(*boot_id),
        _ => None,
    });
    let boot_id = boot_id.expect("a start");
    c.events.clear();
    for _ in 0..100 {
        for seen in [vec![StartId { counter: 9, boot_id: [9; 16] }], Vec::new()] {
            let answer = Answer::Starts(Remembered {
                incarnation: Incarnation::ZERO,
                seen,
                others: Vec::new(),
                is_confirmed: false,
                by: [66; 16],
                round: 0,
            });
            c.inject(3, 2, Message::HelloReply(HelloReply { boot_id, answer }));
        }
    }
    let told = c.events.iter().filter(|(_, e)| matches!(e, Event::StartNotKnown { .. })).count();
    assert!(told <= 2, "{told} lines of the log, and no HELLO asked for them");
}

fn introduction(e: &Envelope) -> Option<&Introduction> {
    let Message::Hello(hello) = &*e.message else { return None };
    let Question::Admission(introduction) = &hello.question else { return None };
    Some(introduction)
}

/// Runs while 9 of 10 lies: whoever asks it is let in, and told these starts.
fn run_with_liar_9(
    c: &mut Cluster,
    steps: u32,
    told: &[Signed<Start>],
    passes: impl Fn(&Envelope) -> bool,
) {
    for _ in 0..steps {
        c.advance(ms(10));
        while let Some(e) = c.network.pop_front() {
            let lied_to = introduction(&e).filter(|_| e.to == 9 && e.from <= 2);
            if let Some(asked) = lied_to {
                let Start { incarnation, id } = asked.start.body;
                let others = if asked.takes_over { told.to_vec() } else { Vec::new() };
                let by: BootId = [66; 16];
                let (seen, round, is_confirmed) = (Vec::new(), asked.round, true);
                let remembered = Remembered { incarnation, seen, others, is_confirmed, by, round };
                let (boot_id, answer) = (id.boot_id, Answer::Starts(remembered));
                c.inject(9, e.from, Message::HelloReply(HelloReply { boot_id, answer }));
            } else if passes(&e) && !(e.from == 9 && hello_between(&e).is_some() && e.to <= 2) {
                c.deliver(&e);
            }
        }
    }
}

/// [RJ1] Section 10 for n = 10, and never more than three are faulty: 9, which lies; 2, whose disk was
/// set back to before its last start, is started with that again and again, and is heard by 9 alone;
/// and of 0 and 1 first the one, then the other, which lose their memory and rejoin. 9 tells them
/// `count` starts of that old disk, all genuine. Returns whether it is let in.
fn is_old_disk_let_in_that_was_started(count: usize) -> bool {
    let mut c = Cluster::new(10);
    work(&mut c, 1..=3);
    c.run(secs(1));
    let old = c.durable_records(2).to_vec();
    c.crash(2);
    c.start(2);
    c.run_where(secs(2), passes(&[(2, 6), (2, 7), (2, 8)], &[]));
    assert!(c.status(2).admitted, "0, 1, 3, 4, 5 and 9 let it in");
    c.crash(2);
    c.restore_disk(2, old);
    let mut told = Vec::new();
    for _ in 0..count + 1 {
        c.start(2);
        c.advance(ms(1));
        let to_9 = c.take(|e| (e.from, e.to) == (2, 9));
        told.push(to_9.iter().find_map(introduction).expect("it introduces itself").start);
        c.crash(2);
    }
    told.remove(0);
    for replica in [0, 1] {
        c.start_without_memory(replica);
        run_with_liar_9(&mut c, 6000, &told, |_| true);
        let status = c.status(replica);
        assert!(status.admitted && !status.amnesiac, "{replica}: {status:?}");
    }
    c.start(2);
    run_with_liar_9(&mut c, 2000, &[], passes(&[(2, 3), (2, 4), (2, 5)], &[]));
    c.status(2).admitted
}

/// [RJ1] There is room for so many; section 1 assumes that there are no more.
#[test]
fn old_disk_stays_out_although_a_liar_tells_of_some_of_its_later_starts() {
    assert!(!is_old_disk_let_in_that_was_started(STARTS_MAX - 1));
}
