use super::peer::REST_MAX;
use super::server::{ANSWER_BYTES_MAX, PEER_BURST_BYTES_MAX, PEER_BYTES_PER_SECOND_MAX};
use super::*;
use crate::executor::CheckpointState;
use crate::tree::part::PART_BYTES_MAX;
use std::collections::BTreeSet;

const PARTS_PER_REQUEST: usize = 8;

fn peer(id: u32) -> ReplicaId {
    ReplicaId::new(id)
}

fn micros(micros: u64) -> Time {
    Time::from_micros(micros)
}

/// A state with so many entries, some of them large; the generation decides the values of every
/// third one.
fn state(seq: u64, entries: u32, generation: u32) -> (CheckpointState, CheckpointId) {
    let mut tree = Tree::new();
    for number in 0..entries {
        let own = if number % 3 == 0 { generation } else { 0 };
        let length = if number % 50 == 7 { 70_000 } else { 100 };
        let mut value = vec![number as u8; length];
        value[..4].copy_from_slice(&own.to_le_bytes());
        tree.put(&number.to_be_bytes(), value);
    }
    let history_root = Digest::of("test history", &[&seq.to_le_bytes()]);
    let state = CheckpointState { seq: SeqNum::new(seq), tree, history_root };
    let id = state.id();
    (state, id)
}

/// How a peer answers a request.
enum Behaviour {
    Correct(Vec<(CheckpointState, CheckpointId)>),
    Silent,
    /// Wrong bytes of this length.
    Wrong(usize),
    /// One part right, the next one wrong, and so on.
    Alternating((CheckpointState, CheckpointId), bool),
    /// Answers the first part only, and late.
    Dripping((CheckpointState, CheckpointId)),
    /// Says that it has no checkpoint.
    Refusing,
    /// Says that it has it, and sends nothing.
    Empty,
}

struct World {
    peers: BTreeMap<ReplicaId, (Behaviour, StateServer)>,
    now: Time,
    bytes_wasted: usize,
    requests: u64,
}

impl World {
    fn new(behaviours: Vec<Behaviour>) -> Self {
        let servers = behaviours.into_iter().map(|b| (b, StateServer::default()));
        let peers = (1..).map(peer).zip(servers).collect();
        Self { peers, now: micros(1), bytes_wasted: 0, requests: 0 }
    }

    fn ids(&self) -> Vec<ReplicaId> {
        self.peers.keys().copied().collect()
    }

    fn fetch(&self, target: &(CheckpointState, CheckpointId), base: Tree) -> Fetch {
        let target = (target.0.seq(), target.1);
        Fetch::new(target, base, self.ids().into_iter(), PARTS_PER_REQUEST)
    }

    fn answers(&mut self, to: ReplicaId, request: &StatePartRequest) -> Vec<StateParts> {
        let (behaviour, server) = self.peers.get_mut(&to).unwrap();
        let seq = request.seq;
        let of = |state: &CheckpointState, part: &PartId| {
            let content = state.tree().part(&tree_part_id(part).unwrap()).unwrap();
            StatePart { part: part.clone(), content }
        };
        let message = |parts, rest| vec![StateParts { seq, parts, rest }];
        match behaviour {
            Behaviour::Correct(states) => {
                let find = |seq| states.iter().find(|(state, _)| state.seq() == seq).cloned();
                server.answer(self.now, to, request.clone(), find).unwrap_or_default()
            }
            Behaviour::Silent => vec![],
            Behaviour::Wrong(length) => {
                let part =
                    |part: &PartId| StatePart { part: part.clone(), content: vec![1; *length] };
                message(request.parts.iter().map(part).collect(), Rest::Nothing)
            }
            Behaviour::Alternating((state, _), lies) => {
                let mut parts: Vec<_> = request.parts.iter().map(|part| of(state, part)).collect();
                for part in &mut parts {
                    if std::mem::replace(lies, !*lies) {
                        part.content = vec![3; 50];
                    }
                }
                message(parts, Rest::Nothing)
            }
            Behaviour::Dripping((state, _)) => {
                self.now = self.now.after(Duration::from_millis(1900));
                let first = request.parts.iter().take(1).map(|part| of(state, part)).collect();
                message(first, Rest::Follows)
            }
            Behaviour::Refusing => message(vec![], Rest::NotHeld),
            Behaviour::Empty => message(vec![], Rest::Nothing),
        }
    }

    /// One exchange with everybody who was asked; when nobody is, time passes.
    fn exchange(&mut self, fetch: &mut Fetch) {
        let requests = fetch.ask(self.now);
        if requests.is_empty() {
            self.now = fetch.next_deadline().expect("a fetch that is not done has a next step");
        }
        for (to, message) in requests {
            let Message::FetchState(request) = message else { panic!("asks for parts only") };
            assert!(request.parts.len() <= PARTS_PER_REQUEST);
            self.requests += 1;
            for parts in self.answers(to, &request) {
                let bytes: usize = parts.parts.iter().map(|part| part.content.len()).sum();
                if fetch.on_parts(self.now, to, parts).is_err() {
                    self.bytes_wasted += bytes;
                }
            }
        }
    }

    fn finish(&mut self, fetch: &mut Fetch) -> Tree {
        for _ in 0..10_000 {
            if let Some(tree) = fetch.take_finished() {
                return tree;
            }
            self.exchange(fetch);
        }
        panic!("the fetch does not end")
    }
}

#[test]
fn part_names_travel_unchanged_and_nonsense_is_none() {
    let (state, id) = state(128, 200, 1);
    let mut assembler = Assembler::new(id.state_root, Tree::new());
    for _ in 0..20 {
        for part in assembler.wanted(10) {
            assert_eq!(tree_part_id(&wire_part_id(&part)).as_ref(), Some(&part));
            assembler.accept(&part, &state.tree().part(&part).unwrap()).unwrap();
        }
    }
    assert_eq!(tree_part_id(&PartId { path: vec![9; 3], digest: Digest::default() }), None);
}

#[test]
fn state_is_fetched_from_several_peers_at_once() {
    let target = state(128, 500, 1);
    let mut world = World::new((0..3).map(|_| Behaviour::Correct(vec![target.clone()])).collect());
    let mut fetch = world.fetch(&target, Tree::new());
    let mut asked = BTreeSet::new();
    while !fetch.assembler.is_finished() {
        let mut of_round = BTreeSet::new();
        for (to, message) in fetch.ask(world.now) {
            let Message::FetchState(request) = message else { panic!() };
            for part in &request.parts {
                assert!(of_round.insert(part.clone()), "no part is asked of two peers");
            }
            asked.insert(to);
            for parts in world.answers(to, &request) {
                fetch.on_parts(world.now, to, parts).unwrap();
            }
        }
    }
    assert_eq!(fetch.take_finished().unwrap().root_digest(), target.1.state_root);
    assert_eq!(asked.len(), 3);
    assert_eq!(fetch.progress().parts_in_flight, 0);
}

#[test]
fn only_what_differs_from_the_own_state_is_fetched() {
    let (old, new) = (state(128, 3000, 1), {
        let (mut state, _) = state(256, 3000, 1);
        state.tree.put(&7_u32.to_be_bytes(), b"changed".to_vec());
        let id = state.id();
        (state, id)
    });
    let mut world = World::new(vec![Behaviour::Correct(vec![new.clone()])]);
    let mut fetch = world.fetch(&new, old.0.tree().clone());
    assert_eq!(world.finish(&mut fetch).root_digest(), new.1.state_root);
    assert!(fetch.progress().parts_fetched < 20, "{:?}", fetch.progress());
}

/// Liars of every kind, and one correct peer that is asked last.
#[test]
fn liars_cost_time_and_little_else() {
    let target = state(128, 2000, 1);
    let older = state(128, 2000, 9);
    let liars = || {
        vec![
            Behaviour::Wrong(100),
            Behaviour::Wrong(PART_BYTES_MAX * 4),
            Behaviour::Correct(vec![older.clone()]),
            Behaviour::Alternating(target.clone(), false),
            Behaviour::Silent,
            Behaviour::Dripping(target.clone()),
            Behaviour::Correct(vec![target.clone()]),
        ]
    };
    let mut world = World::new(liars());
    let mut fetch = world.fetch(&target, Tree::new());
    assert_eq!(world.finish(&mut fetch).root_digest(), target.1.state_root);
    let useful = fetch.progress().bytes_fetched as usize;
    assert!(world.bytes_wasted < useful * 2, "{} of {useful}", world.bytes_wasted);
}

#[test]
fn who_sent_a_wrong_part_is_asked_again_only_when_the_others_rest() {
    let target = state(128, 2000, 1);
    let correct = Behaviour::Correct(vec![target.clone()]);
    let mut world = World::new(vec![Behaviour::Wrong(10), correct]);
    let mut fetch = world.fetch(&target, Tree::new());
    world.exchange(&mut fetch);
    assert_eq!(fetch.peers[&peer(1)].wrong_parts, 1);
    world.now = world.now.after(REST_MAX);
    while !fetch.assembler.is_finished() {
        let requests = fetch.ask(world.now);
        assert!(requests.iter().all(|(to, _)| *to == peer(2)));
        for (to, message) in requests {
            let Message::FetchState(request) = message else { panic!() };
            for parts in world.answers(to, &request) {
                fetch.on_parts(world.now, to, parts).unwrap();
            }
        }
    }
}

#[test]
fn fetch_waits_for_the_only_peer_that_has_the_checkpoint() {
    let target = state(128, 300, 1);
    let mut world =
        World::new(vec![Behaviour::Correct(vec![]), Behaviour::Silent, Behaviour::Correct(vec![])]);
    let mut fetch = world.fetch(&target, Tree::new());
    for _ in 0..30 {
        world.exchange(&mut fetch);
    }
    assert_eq!(fetch.progress().parts_fetched, 0);
    world.peers.get_mut(&peer(3)).unwrap().0 = Behaviour::Correct(vec![target.clone()]);
    assert_eq!(world.finish(&mut fetch).root_digest(), target.1.state_root);
}

/// The others went on and forgot the checkpoint in the middle of the fetch. [CU3]
#[test]
fn new_target_keeps_what_was_fetched() {
    let (old, new) = (state(128, 4000, 1), state(256, 4000, 2));
    let mut world = World::new(vec![Behaviour::Correct(vec![old.clone()])]);
    let mut fetch = world.fetch(&old, Tree::new());
    while fetch.progress().parts_fetched < 100 {
        world.exchange(&mut fetch);
    }
    world.peers.insert(peer(1), (Behaviour::Correct(vec![new.clone()]), StateServer::default()));
    world.exchange(&mut fetch);
    assert!(!fetch.assembler.is_finished());
    let before = fetch.progress().bytes_fetched;
    fetch.aim((new.0.seq(), new.1));
    assert_eq!(world.finish(&mut fetch).root_digest(), new.1.state_root);
    assert_eq!(fetch.target(), (new.0.seq(), new.1));
    let after_all = {
        let mut world = World::new(vec![Behaviour::Correct(vec![new.clone()])]);
        let mut fetch = world.fetch(&new, Tree::new());
        world.finish(&mut fetch);
        fetch.progress().bytes_fetched
    };
    let fetched = fetch.progress().bytes_fetched - before;
    assert!(fetched < after_all, "{fetched} instead of {after_all}");
}

/// A newer checkpoint is stable after every exchange, and the others keep no other one of their own
/// accord. [CU3]
#[test]
fn fetch_ends_although_a_newer_checkpoint_is_stable_all_the_time() {
    let mut states: Vec<_> = (1..=40).map(|number| state(number * 128, 4000, 1)).collect();
    for (number, (state, id)) in (0..).zip(&mut states) {
        (0..=number).for_each(|key| state.tree.put(&(key * 100_u32).to_be_bytes(), vec![7; 90]));
        *id = state.id();
    }
    let correct = |latest: usize| Behaviour::Correct(vec![states[latest].clone()]);
    let mut world = World::new(vec![correct(0), correct(0), Behaviour::Refusing]);
    let mut fetch = world.fetch(&states[0], Tree::new());
    let mut fetched = Vec::new();
    for (latest, (state, id)) in states.iter().enumerate().skip(1) {
        world.exchange(&mut fetch);
        for id in [peer(1), peer(2)] {
            world.peers.get_mut(&id).unwrap().0 = correct(latest);
        }
        fetch.aim((state.seq(), *id));
        if let Some(tree) = fetch.take_finished() {
            fetched.push((fetch.target(), tree.root_digest(), latest));
        }
    }
    let (first, root, _) = fetched[0];
    assert_eq!((first.0.get(), root), (128, first.1.state_root), "to its end");
    let (last, root, latest) = *fetched.last().unwrap();
    assert_eq!(root, last.1.state_root);
    assert!(latest - (last.0.get() as usize / 128 - 1) <= 3, "closer to the others: {last:?}");
    let whole = states[0].0.tree.bytes();
    assert!(fetch.progress().bytes_fetched < whole * 3 / 2, "and little twice");
}

/// What is on its way when the target moves is taken when it comes, and is not asked for again.
#[test]
fn answers_under_way_when_the_target_moves_are_taken() {
    let (old, mut new) = (state(128, 2000, 1), state(256, 2000, 1));
    new.0.tree.put(&7_u32.to_be_bytes(), b"changed".to_vec());
    new.1 = new.0.id();
    let correct = || Behaviour::Correct(vec![old.clone(), new.clone()]);
    let mut world = World::new(vec![correct(), Behaviour::Refusing, Behaviour::Refusing]);
    let mut fetch = world.fetch(&old, Tree::new());
    while fetch.progress().parts_fetched < 20 {
        world.exchange(&mut fetch);
    }
    let requests = fetch.ask(world.now);
    let [(to, Message::FetchState(request))] = &requests[..] else { panic!("{requests:?}") };
    fetch.aim((new.0.seq(), new.1));
    fetch.turn_to_newer(world.now);
    let asked: BTreeSet<PartId> = request.parts.iter().cloned().collect();
    let again: Vec<_> = fetch.ask(world.now);
    for (_, message) in again {
        let Message::FetchState(request) = message else { panic!() };
        assert!(request.parts.iter().all(|part| !asked.contains(part)));
    }
    let before = fetch.progress().parts_fetched;
    for parts in world.answers(*to, request) {
        fetch.on_parts(world.now, *to, parts).unwrap();
    }
    assert_eq!(fetch.progress().parts_fetched, before + asked.len() as u64);
    let mut later = BTreeSet::new();
    while !fetch.assembler.is_finished() {
        for (to, message) in fetch.ask(world.now) {
            let Message::FetchState(request) = message else { panic!() };
            later.extend(request.parts.iter().cloned());
            for parts in world.answers(to, &request) {
                fetch.on_parts(world.now, to, parts).unwrap();
            }
        }
        world.now = world.now.after(Duration::from_millis(100));
    }
    assert!(later.is_disjoint(&asked), "nothing that came is asked for again");
}

/// What a refusal costs is a question: the others are asked at once.
#[test]
fn refusal_of_a_peer_is_made_up_for_at_once() {
    let target = state(128, 1000, 1);
    let correct = Behaviour::Correct(vec![target.clone()]);
    let mut world = World::new(vec![Behaviour::Refusing, Behaviour::Empty, correct]);
    let mut fetch = world.fetch(&target, Tree::new());
    let started = world.now;
    while !fetch.assembler.is_finished() {
        world.exchange(&mut fetch);
    }
    assert_eq!(world.now, started, "nothing waits for a time-out");
}

/// So many faulty servers that the checkpoint may be gone make no difference while others have it,
/// and none either when it is gone. [CU3]
#[test]
fn fetch_turns_to_a_newer_checkpoint_when_all_but_the_faulty_lack_the_old_one() {
    let (old, new) = (state(128, 500, 1), state(256, 500, 2));
    let mut behaviours: Vec<_> = (0..4).map(|_| Behaviour::Correct(vec![new.clone()])).collect();
    behaviours.extend([Behaviour::Dripping(old.clone()), Behaviour::Dripping(old.clone())]);
    let mut world = World::new(behaviours);
    let mut fetch = world.fetch(&old, Tree::new());
    fetch.aim((new.0.seq(), new.1));
    world.exchange(&mut fetch);
    fetch.ask(world.now);
    assert_eq!(fetch.target().0, new.0.seq());
    assert_eq!(world.finish(&mut fetch).root_digest(), new.1.state_root);
}

#[test]
fn checkpoint_of_which_nothing_comes_is_given_up_for_a_newer_one() {
    let (old, new) = (state(128, 500, 1), state(256, 500, 2));
    let correct = Behaviour::Correct(vec![new.clone()]);
    let mut world = World::new(vec![Behaviour::Silent, correct, Behaviour::Empty]);
    let mut fetch = world.fetch(&old, Tree::new());
    fetch.aim((new.0.seq(), new.1));
    let started = world.now;
    assert_eq!(world.finish(&mut fetch).root_digest(), new.1.state_root);
    assert!(world.now.since(started) <= STANDSTILL_MAX * 2);
}

#[test]
fn parts_nobody_asked_for_are_refused() {
    let target = state(128, 100, 1);
    let mut fetch = Fetch::new((target.0.seq(), target.1), Tree::new(), (1..3).map(peer), 1);
    let requests = fetch.ask(micros(1));
    let [(asked, Message::FetchState(request)), (other, Message::FetchState(hold))] = &requests[..]
    else {
        panic!("the root of one, and that the other keeps the checkpoint");
    };
    assert!(hold.parts.is_empty());
    let message = |part: &PartId| StateParts {
        seq: request.seq,
        parts: vec![StatePart { part: part.clone(), content: vec![] }],
        rest: Rest::Nothing,
    };
    let part = &request.parts[0];
    assert_eq!(fetch.on_parts(micros(2), *other, message(part)), Err(Reject::Unsolicited));
    let mut unknown = part.clone();
    unknown.path.push(0);
    assert_eq!(fetch.on_parts(micros(2), *asked, message(&unknown)), Err(Reject::Unsolicited));
    let of_another = StateParts { seq: SeqNum::new(1), parts: vec![], rest: Rest::NotHeld };
    assert_eq!(fetch.on_parts(micros(2), *asked, of_another), Err(Reject::Unsolicited));
}

#[test]
fn digest_that_is_no_states_is_given_up() {
    let (kind_page, nonsense) = (2, b"no page");
    let state_root = Digest::of("quorate state tree v1 page", &[nonsense]);
    let id = CheckpointId { state_root, history_root: Digest::default() };
    let target = (SeqNum::new(128), id);
    let mut fetch = Fetch::new(target, Tree::new(), [peer(1)].into_iter(), 8);
    let Some((_, Message::FetchState(request))) = fetch.ask(micros(1)).pop() else { panic!() };
    assert!(!fetch.is_hopeless());
    let content = [&[kind_page], &nonsense[..]].concat();
    let parts = vec![StatePart { part: request.parts[0].clone(), content }];
    let message = StateParts { seq: request.seq, parts, rest: Rest::Nothing };
    assert_eq!(fetch.on_parts(micros(2), peer(1), message), Ok(()), "the sender is not to blame");
    assert!(fetch.is_hopeless());
    assert_eq!(fetch.ask(micros(3)), []);
}

fn request_for(target: &(CheckpointState, CheckpointId), parts: Vec<PartId>) -> StatePartRequest {
    StatePartRequest { seq: target.0.seq(), state_root: target.1.state_root, parts }
}

fn root_part(target: &(CheckpointState, CheckpointId)) -> PartId {
    let assembler = Assembler::new(target.1.state_root, Tree::new());
    wire_part_id(&assembler.wanted(1)[0])
}

#[test]
fn server_keeps_a_checkpoint_for_who_fetches_it_until_it_asks_no_more() {
    let old = state(128, 1000, 1);
    let request = request_for(&old, vec![root_part(&old)]);
    let mut server = StateServer::default();
    let has = |answer: Vec<StateParts>| match answer[0].rest {
        Rest::NotHeld => false,
        _ => !answer[0].parts.is_empty(),
    };
    let mut ask = |at: u64, known: bool| {
        let retained = |_| known.then(|| old.clone());
        has(server.answer(micros(at), peer(1), request.clone(), retained).unwrap())
    };
    assert!(!ask(1, false));
    assert!(ask(2, true));
    assert!(ask(3, false), "kept although this replica forgot it");
    let deadline = server.next_deadline().unwrap();
    server.expire(deadline);
    assert_eq!(server.next_deadline(), None);
    let forgotten = server.answer(deadline, peer(1), request.clone(), |_| None).unwrap();
    assert!(!has(forgotten));
}

#[test]
fn server_limits_what_it_sends_at_once_and_in_the_long_run() {
    let target = state(128, 3000, 1);
    let chunk = {
        let mut assembler = Assembler::new(target.1.state_root, Tree::new());
        loop {
            let parts = assembler.wanted(1000);
            let content = |part| target.0.tree().part(part).unwrap();
            if let Some(large) = parts.iter().find(|part| content(part).len() > 60_000) {
                break wire_part_id(large);
            }
            parts.iter().for_each(|part| assembler.accept(part, &content(part)).unwrap());
        }
    };
    let request = request_for(&target, vec![chunk; 64]);
    let (mut server, mut sent) = (StateServer::default(), 0);
    let mut ask = |at: u64| {
        let retained = |_| Some(target.clone());
        let answer = server.answer(micros(at), peer(1), request.clone(), retained)?;
        let bytes = |message: &StateParts| -> usize {
            message.parts.iter().map(|part| part.content.len()).sum()
        };
        assert!(answer.iter().all(|message| bytes(message) <= 2 * PART_BYTES_MAX));
        let (last, before) = answer.split_last().unwrap();
        assert!(before.iter().all(|message| message.rest == Rest::Follows));
        let total: usize = answer.iter().map(bytes).sum();
        assert!(total as u64 <= ANSWER_BYTES_MAX);
        sent += total as u64;
        Ok::<Rest, Reject>(last.rest)
    };
    let Some(Rest::Later { micros: wait }) =
        (1..100).map(|at| ask(at).unwrap()).find(|rest| *rest != Rest::Nothing)
    else {
        panic!("the burst ends")
    };
    assert_eq!(ask(200), Err(Reject::TooOften), "it was told when to ask again");
    assert_eq!(ask(200 + wait), Ok(Rest::Nothing), "credit comes back with time");
    let asked = (1..=10_000).filter_map(|tick| ask(200 + wait + tick * 100).ok());
    let answered = asked.filter(|rest| *rest == Rest::Nothing).count();
    assert!(answered > 50, "{answered}");
    let allowed = PEER_BURST_BYTES_MAX + PEER_BYTES_PER_SECOND_MAX * 105 / 100;
    assert!(sent <= allowed, "{sent}");
}

#[test]
fn server_refuses_names_that_are_too_long_to_be_a_part() {
    let target = state(128, 10, 1);
    let part = PartId { path: vec![0; 1 << 20], digest: Digest::default() };
    let request = request_for(&target, vec![part]);
    let answer = StateServer::default().answer(micros(1), peer(1), request, |_| None);
    assert_eq!(answer, Err(Reject::OverLimit));
}
