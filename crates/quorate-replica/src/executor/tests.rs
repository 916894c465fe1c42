use super::*;
use crate::testing::{RECORDER, Recorder, config_with, open_session, replica_key, request, sign};
use pbft::message::{Read, Request, StartId};
use pbft::{Incarnation, Parameters, Reading, Signed, StateRead as _, View};
use proptest::prelude::*;
use std::collections::BTreeSet;

const WINDOW: u64 = 4;
const CACHED_BYTES_MAX: usize = 80;

fn small_config() -> Arc<Config> {
    config_with(Parameters {
        client_window: WINDOW,
        cached_reply_bytes_max: CACHED_BYTES_MAX,
        cached_long_replies_bytes_max: 0,
        ..Parameters::default()
    })
}

fn recorder() -> Services {
    let choice = b"chosen".to_vec();
    let recorder = Recorder::choosing(choice);
    [(RECORDER, Box::new(recorder) as Box<dyn Service>)].into()
}

fn executor() -> Executor {
    Executor::genesis(small_config(), recorder())
}

fn batch(time: u64, choice: &[u8], requests: &[Request]) -> Batch {
    let config = small_config();
    Batch {
        time: WallTime::from_millis(time),
        choice: choice.to_vec(),
        requests: requests.iter().map(|request| sign(&config, request.clone())).collect(),
        ..Batch::default()
    }
}

fn run(executor: &mut Executor, requests: &[Request]) -> Vec<Execution> {
    let batch = batch(0, &[], requests);
    executor.execute(executor.last_executed().next(), batch.digest(), Some(&batch)).executions
}

fn execute_tentatively(executor: &mut Executor, time: u64, requests: &[Request]) -> Vec<Execution> {
    let batch = batch(time, &[], requests);
    let seq = executor.last_executed().next();
    executor.execute_tentatively(seq, batch.digest(), Some(&batch)).executions
}

fn run_one(executor: &mut Executor, request: Request) -> Option<Outcome> {
    run(executor, &[request]).remove(0).outcome
}

fn recorded(executor: &mut Executor) -> Vec<String> {
    let prefix = layout::service_prefix(RECORDER);
    let mut lines = Vec::new();
    NamespaceMut::new(&mut executor.tree, &prefix).scan(b"", None, &mut |_, line| {
        lines.push(String::from_utf8(line.to_vec()).unwrap());
        true
    });
    lines
}

fn replies_kept(executor: &Executor, client: u32) -> usize {
    let prefix = layout::client_key(ClientId::new(client));
    let mut count = 0;
    executor.tree.scan(&prefix, None, &mut |key, _| {
        count += usize::from(key.len() > prefix.len() && key.starts_with(&prefix));
        true
    });
    count
}

fn fenced(current: u64) -> Option<Outcome> {
    Some(Outcome::Fenced { current: Session::new(current) })
}

#[test]
fn request_ordered_twice_executes_once_and_is_answered_alike() {
    let mut executor = executor();
    run(&mut executor, &[open_session(0, 1)]);
    let first = run_one(&mut executor, request(0, 1, 1, 0, b"x"));
    assert_eq!(run_one(&mut executor, request(0, 1, 1, 0, b"x")), first);
    assert_eq!(recorded(&mut executor).len(), 1);
    let (client, session, timestamp) = (ClientId::new(0), Session::new(1), Timestamp::new(1));
    assert_eq!(executor.cached_outcome(client, session, timestamp), first);
    assert_eq!(executor.cached_outcome(client, Session::new(2), timestamp), None);
    assert_eq!(executor.cached_outcome(client, session, Timestamp::new(2)), None);
}

/// [DR2] And what is kept is the same whoever is named.
#[test]
fn replier_is_alone_only_with_an_outcome_that_is_long_and_kept() {
    let named = Some(ReplicaId::new(2));
    let run = |digest_replies, cached_reply_bytes_max, bytes: usize, replier| {
        let parameters = Parameters {
            digest_replies,
            cached_reply_bytes_max,
            cached_long_replies_bytes_max: 0,
            ..Parameters::default()
        };
        let mut executor = Executor::genesis(config_with(parameters), recorder());
        run(&mut executor, &[open_session(0, 1)]);
        // The recorder answers in the words of a list, at least two bytes for each of these.
        let request = Request { replier, ..request(0, 1, 1, 0, &vec![7; bytes]) };
        let first = run(&mut executor, std::slice::from_ref(&request)).remove(0);
        let (client, session, timestamp) = (ClientId::new(0), Session::new(1), Timestamp::new(1));
        let kept = executor.cached_outcome(client, session, timestamp);
        let again = run(&mut executor, &[request]).remove(0);
        assert_eq!(again.replier, None, "from the cache everybody answers in full");
        (first.replier, kept)
    };
    let (long, whole) = run(true, 4096, 1000, named);
    assert_eq!(long, named);
    assert_eq!(run(true, 4096, 1000, None), (None, whole));
    assert_eq!(run(false, 4096, 1000, named).0, None, "it is not offered");
    assert_eq!(run(true, 4096, 10, named).0, None, "a digest would save nothing");
    let (not_kept, before) = run(true, 2000, 1000, named);
    assert_eq!(not_kept, None, "nobody could be asked for it again");
    assert!(matches!(before, Some(Outcome::ExecutedBefore(_))));
}

/// [EX3]
#[test]
fn long_replies_are_kept_whole_while_the_client_has_room_for_them() {
    let mut executor = Executor::genesis(
        config_with(Parameters {
            cached_reply_bytes_max: 80,
            cached_long_replies_bytes_max: 10_000,
            ..Parameters::default()
        }),
        recorder(),
    );
    run(&mut executor, &[open_session(0, 1), open_session(1, 1)]);
    // The recorder answers a list of bytes with at least two and at most five for each.
    let mut is_whole = |client, timestamp, below, bytes| {
        run(&mut executor, &[request(client, 1, timestamp, below, &vec![7; bytes])]);
        let (client, timestamp) = (ClientId::new(client), Timestamp::new(timestamp));
        let kept = executor.cached_outcome(client, Session::new(1), timestamp);
        matches!(kept, Some(Outcome::Executed(_)))
    };
    assert!(is_whole(0, 1, 1, 1_500));
    assert!(!is_whole(0, 2, 1, 2_500), "there is no room beside the first");
    assert!(is_whole(0, 3, 1, 10), "short ones need none");
    assert!(is_whole(1, 1, 1, 1_500), "each client has room of its own");
    assert!(is_whole(0, 4, 2, 2_500), "the first was acknowledged");
}

/// [CL4]
#[test]
fn newer_session_fences_older_ones_and_forgets_their_replies() {
    let mut executor = executor();
    run(&mut executor, &[open_session(0, 3), request(0, 3, 1, 0, b"x")]);
    assert_eq!(replies_kept(&executor, 0), 1);
    assert_eq!(run_one(&mut executor, open_session(0, 3)), Some(Outcome::SessionOpened));
    assert_eq!(replies_kept(&executor, 0), 1, "opening it again changes nothing");
    assert_eq!(run_one(&mut executor, open_session(0, 5)), Some(Outcome::SessionOpened));
    assert_eq!(replies_kept(&executor, 0), 0);
    assert_eq!(run_one(&mut executor, open_session(0, 4)), fenced(5));
    assert_eq!(run_one(&mut executor, request(0, 3, 2, 0, b"y")), fenced(5));
    assert_eq!(run_one(&mut executor, request(0, 6, 1, 0, b"y")), fenced(5), "never opened");
    assert_eq!(recorded(&mut executor).len(), 1);
    assert_eq!(recorded(&mut executor).len(), 1);
    assert!(run_one(&mut executor, request(0, 5, 1, 0, b"y")).is_some());
    assert_eq!(recorded(&mut executor).len(), 2, "timestamps begin anew");
}

/// [CL6]
#[test]
fn window_moves_by_what_the_client_acknowledges_and_no_further_than_the_request() {
    let mut executor = executor();
    let full: Vec<Request> = (0..WINDOW).map(|t| request(1, 0, t, 0, b"x")).collect();
    run(&mut executor, &full);
    let beyond = |below| request(1, 0, WINDOW, below, b"y");
    assert_eq!(run_one(&mut executor, beyond(0)), Some(Outcome::OutsideWindow));
    assert!(matches!(run_one(&mut executor, beyond(2)), Some(Outcome::Executed(_))));
    assert_eq!(replies_kept(&executor, 1), 3);
    assert_eq!(run_one(&mut executor, request(1, 0, 1, 0, b"x")), None, "acknowledged");
    let execution = run(&mut executor, &[request(1, 0, 6, u64::MAX, b"z")]).remove(0);
    assert_eq!(execution.window.low, Timestamp::new(6));
    assert_eq!(execution.window.executed, BTreeSet::from([Timestamp::new(6)]));
    let last = request(1, 0, u64::MAX, u64::MAX, b"z");
    assert!(matches!(run_one(&mut executor, last), Some(Outcome::Executed(_))));
    assert_eq!(run_one(&mut executor, open_session(1, 1)), Some(Outcome::SessionOpened));
}

/// [EX3]
#[test]
fn long_results_are_kept_as_their_digest() {
    let mut executor = executor();
    let long = request(0, 0, 1, 0, &[7; CACHED_BYTES_MAX]);
    let outcome = run_one(&mut executor, long.clone()).unwrap();
    assert!(matches!(outcome, Outcome::Executed(_)));
    let before = Some(Outcome::ExecutedBefore(outcome.digest()));
    assert_eq!(run_one(&mut executor, long), before);
    let (client, session) = (ClientId::new(0), Session::ZERO);
    assert_eq!(executor.cached_outcome(client, session, Timestamp::new(1)), before);
}

/// [CL8] Once the results are long enough for one reply, the rest of the request is left undone.
#[test]
fn operations_beyond_the_limit_of_results_are_not_executed() {
    let mut several = request(0, 0, 1, 0, b"x");
    let Some(Outcome::Executed(one)) = run_one(&mut executor(), several.clone()) else {
        panic!("executed");
    };
    let results_bytes_max = one[0].len() + 1;
    let config = config_with(Parameters { results_bytes_max, ..Parameters::default() });
    let mut executor = Executor::genesis(config, recorder());
    if let RequestBody::Operations(operations) = &mut several.body {
        *operations = vec![operations[0].clone(); 4];
    }
    let Some(Outcome::Executed(results)) = run_one(&mut executor, several) else {
        panic!("executed in part");
    };
    assert_eq!(results.len(), 2);
    assert_eq!(recorded(&mut executor).len(), 2, "the service saw two operations");
}

#[test]
fn agreed_time_never_goes_backwards_and_reaches_the_service() {
    let mut executor = executor();
    for (seq, (time, timestamp)) in (1..).zip([(50, 1), (20, 2), (60, 3)]) {
        let batch = batch(time, &[], &[request(0, 0, timestamp, timestamp, b"")]);
        executor.execute(SeqNum::new(seq), batch.digest(), Some(&batch));
    }
    let lines = recorded(&mut executor);
    let times: Vec<&str> = lines.iter().map(|l| l.split(' ').nth(6).unwrap()).collect();
    assert_eq!(times, ["50", "50", "60"]);
}

#[test]
fn choice_reaches_the_service_and_nonsense_is_none() {
    let mut executor = executor();
    let choice = executor.choose();
    for (timestamp, choice) in [(1, choice), (2, vec![0xff; 9])] {
        let batch = batch(0, &choice, &[request(0, 0, timestamp, 0, b"")]);
        executor.execute(SeqNum::new(timestamp), batch.digest(), Some(&batch));
    }
    let lines = recorded(&mut executor);
    assert!(lines[0].contains(&format!("{:?}", b"chosen")), "{}", lines[0]);
    assert!(lines[1].contains("by []"), "{}", lines[1]);
}

#[test]
fn operation_for_a_service_that_is_not_there_has_a_result_and_the_others_execute() {
    let mut executor = executor();
    let mut mixed = request(0, 0, 1, 0, b"x");
    if let RequestBody::Operations(operations) = &mut mixed.body {
        operations.insert(0, Operation { service: ServiceId(77), body: vec![] });
    }
    let Some(Outcome::Executed(results)) = run_one(&mut executor, mixed) else {
        panic!("not executed")
    };
    assert_eq!(results[0], NO_SUCH_SERVICE);
    assert!(results[1].starts_with(b"1 of 0"));
}

/// [EX1]
#[test]
fn null_request_is_part_of_the_history_and_of_nothing_else() {
    let (mut one, mut other) = (executor(), executor());
    assert_eq!(one.execute(SeqNum::new(1), Batch::NULL, None), Executed::default());
    let empty = batch(0, &[], &[]);
    assert_eq!(other.execute(SeqNum::new(1), empty.digest(), Some(&empty)), Executed::default());
    assert_eq!(one.last_executed(), SeqNum::new(1));
    assert_ne!(one.checkpoint().id(), other.checkpoint().id());
    assert_ne!(one.checkpoint().id(), executor().checkpoint().id());
}

/// [RJ2] The table of those who rejoined is part of the state, and travels with it.
#[test]
fn rejoin_changes_the_state_once_and_is_found_in_it_again() {
    let config = small_config();
    let id = ReplicaId::new(2);
    let start = StartId { counter: 1, boot_id: [7; 16] };
    let expires = WallTime::from_millis(9_000_000);
    let rejoin = |incarnation: u64, late_ms: u64| {
        let (incarnation, view) = (Incarnation::new(incarnation), View::new(3));
        let body = Rejoin { replica: id, incarnation, start, view, expires };
        let rejoins = vec![Signed::sign(&config.domain, &replica_key(2), id, body)];
        let time = WallTime::from_millis(expires.as_millis() + late_ms);
        Batch { time, rejoins, ..Batch::default() }
    };
    let mut executor = executor();
    let mut run = |seq: u64, batch: &Batch| {
        executor.execute(SeqNum::new(seq), batch.digest(), Some(batch)).rejoined
    };
    let (seq, view, incarnation) = (SeqNum::new(1), View::new(3), Incarnation::new(1));
    let first = Rejoined { incarnation, start, seq: seq.next(), view };
    assert_eq!(run(1, &rejoin(1, 1)), [], "it has expired");
    assert_eq!(run(2, &rejoin(1, 0)), [(id, first)]);
    assert_eq!(run(3, &rejoin(1, 0)), [], "it was executed before");
    assert_eq!(run(4, &rejoin(2, 0)), [], "the bound of the first is not passed");
    let CheckpointState { seq, tree, .. } = executor.checkpoint();
    let mut other = Executor::genesis(small_config(), recorder());
    other.load(seq, tree.clone()).unwrap();
    assert_eq!(other.mirror().rejoined, [(id, first)]);
    let mut damaged = tree;
    damaged.put(b"\0rejoined\0\0\0\x02", vec![1]);
    assert!(matches!(other.check(damaged), Err(StateError::BadRecord { record: "rejoined" })));
}

#[test]
fn state_of_another_cluster_is_refused() {
    let mut executor = executor();
    let before = executor.checkpoint().id();
    assert!(matches!(executor.install(Tree::new()), Err(StateError::BadRecord { .. })));
    let mut config = (*small_config()).clone();
    config.domain.cluster = Digest::of("another cluster", &[]);
    let other = Executor::genesis(Arc::new(config), recorder());
    assert_ne!(other.checkpoint().id(), before, "the first checkpoint names the cluster");
    assert_eq!(executor.install(other.tree), Err(StateError::OtherCluster));
    assert_eq!(executor.checkpoint().id(), before);
}

/// The replicated state's own records, byte for byte: other versions must agree on them.
#[test]
fn records_are_those_written_down() {
    let mut executor = executor();
    run(&mut executor, &[open_session(1, 7)]);
    let first = batch(1_700_000_000_000, &[], &[request(1, 7, 1, 0, b"a")]);
    executor.execute(SeqNum::new(2), first.digest(), Some(&first));
    run(&mut executor, &[request(1, 7, 3, 1, &[b'b'; CACHED_BYTES_MAX])]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut text = String::new();
    executor.tree.scan(b"", None, &mut |key, value| {
        text += &format!("{} {}\n", hex(key), hex(value));
        true
    });
    let CheckpointId { state_root, history_root } = executor.checkpoint().id();
    text += &format!("state root {state_root:#}\nhistory root {history_root:#}\n");
    if std::env::var_os("QUORATE_BLESS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/replicated_state.txt");
        std::fs::write(file, &text).unwrap();
        return;
    }
    assert_eq!(text, include_str!("../../tests/golden/replicated_state.txt"));
}

/// A request as a client that keeps to no rule may send it.
fn any_request() -> impl Strategy<Value = Request> {
    let length = prop_oneof![3 => 0_usize..4, 1 => Just(CACHED_BYTES_MAX)];
    (0_u32..3, 0_u64..4, 0_u64..12, 0_u64..14, length, 0_u8..10).prop_map(
        |(client, session, timestamp, below, length, kind)| match kind {
            0 => open_session(client, session),
            _ => request(client, session, timestamp, below, &vec![kind; length]),
        },
    )
}

fn any_batches() -> impl Strategy<Value = Vec<Vec<Request>>> {
    proptest::collection::vec(proptest::collection::vec(any_request(), 0..6), 1..25)
}

/// The client table as one would write it without a thought for space or speed.
#[derive(Default)]
struct Naive {
    sessions: BTreeMap<u32, u64>,
    low: BTreeMap<(u32, u64), u64>,
    executed: BTreeMap<(u32, u64, u64), Outcome>,
    count: usize,
}

impl Naive {
    /// What must become of the request, given what did.
    fn check(&mut self, request: &Request, found: Option<&Outcome>) {
        let (client, session) = (request.client.get(), request.session.get());
        let timestamp = request.timestamp.get();
        let current = self.sessions.entry(client).or_default();
        if matches!(request.body, RequestBody::OpenSession) {
            if session < *current {
                assert_eq!(found.cloned(), fenced(*current));
            } else {
                *current = session;
                assert_eq!(found, Some(&Outcome::SessionOpened));
            }
            return;
        }
        if session != *current {
            assert_eq!(found.cloned(), fenced(*current));
            return;
        }
        let low = self.low.entry((client, session)).or_insert(session.min(1));
        if timestamp < *low {
            assert_eq!(found, None);
            return;
        }
        *low = (*low).max(request.acknowledged_below.get().min(timestamp));
        let known = self.executed.get(&(client, session, timestamp));
        match (known, found) {
            (Some(known), Some(Outcome::ExecutedBefore(digest))) => {
                assert_eq!(*digest, known.digest());
                assert!(clients::encoded_bytes(known) > CACHED_BYTES_MAX);
            }
            (Some(known), found) => assert_eq!(Some(known), found),
            (None, Some(Outcome::OutsideWindow)) => assert!(timestamp >= *low + WINDOW),
            (None, Some(outcome @ Outcome::Executed(results))) => {
                assert!(timestamp < *low + WINDOW);
                self.count += 1;
                let number = format!("{} of {client} ", self.count);
                assert!(results[0].starts_with(number.as_bytes()), "executed once, in order");
                self.executed.insert((client, session, timestamp), outcome.clone());
            }
            (None, other) => panic!("neither executed nor refused: {other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// [EX2] Duplicates, reorderings, false acknowledgements and session changes included.
    #[test]
    fn every_request_executes_at_most_once(batches in any_batches()) {
        let (mut executor, mut naive) = (executor(), Naive::default());
        for requests in &batches {
            let executions = run(&mut executor, requests);
            for (request, execution) in requests.iter().zip(&executions) {
                naive.check(request, execution.outcome.as_ref());
            }
        }
        prop_assert_eq!(recorded(&mut executor).len(), naive.count);
    }

    #[test]
    fn what_is_kept_of_a_client_is_bounded(batches in any_batches()) {
        let mut executor = executor();
        for requests in &batches {
            for execution in run(&mut executor, requests) {
                let pbft::ClientWindow { low, executed, .. } = execution.window;
                prop_assert!(executed.len() as u64 <= WINDOW);
                prop_assert!(executed.iter().all(|t| *t >= low && t.get() - low.get() < WINDOW));
            }
        }
        for (client, window) in executor.mirror().clients {
            prop_assert_eq!(replies_kept(&executor, client.get()), window.executed.len());
        }
    }

    /// Replicas that go on from a stored state do what the others do.
    #[test]
    fn state_and_results_depend_on_the_batches_alone(
        batches in any_batches(),
        restart in 0_usize..25,
    ) {
        let (mut one, mut other) = (executor(), executor());
        for (number, requests) in batches.iter().enumerate() {
            if number == restart {
                let CheckpointState { seq, tree, .. } = other.checkpoint();
                other = Executor::genesis(small_config(), recorder());
                other.load(seq, tree).unwrap();
            }
            prop_assert_eq!(run(&mut one, requests), run(&mut other, requests));
            prop_assert_eq!(one.checkpoint().id(), other.checkpoint().id());
        }
        prop_assert_eq!(one.mirror(), other.mirror());
    }

    /// [TE4] What is rolled back leaves no trace: neither in the state, the client table and the
    /// agreed time, nor in what services and this executor keep beside it.
    #[test]
    fn batch_that_is_rolled_back_was_never_executed(
        batches in any_batches(),
        lost in proptest::collection::vec(prop::option::of(any_batches()), 25),
    ) {
        let (mut one, mut other) = (executor(), executor());
        for (number, (requests, lost)) in (1..).zip(batches.iter().zip(lost)) {
            for requests in lost.into_iter().flatten().take(2) {
                execute_tentatively(&mut other, number + 1000, &requests);
                other.roll_back();
            }
            prop_assert_eq!(one.mirror(), other.mirror());
            let executions = execute_tentatively(&mut other, 0, requests);
            other.settle();
            prop_assert_eq!(run(&mut one, requests), executions);
            prop_assert_eq!(one.checkpoint().id(), other.checkpoint().id());
        }
        prop_assert_eq!(one.mirror(), other.mirror());
    }
}

/// [TE2] Until it is settled, nobody is answered from what a batch left in the reply cache, and what
/// it took from there is still answered.
#[test]
fn reply_cache_is_that_of_the_committed_state() {
    let mut executor = executor();
    run(&mut executor, &[open_session(0, 1), request(0, 1, 1, 0, b"a")]);
    let kept = |executor: &Executor, timestamp| {
        let (client, session) = (ClientId::new(0), Session::new(1));
        executor.cached_outcome(client, session, Timestamp::new(timestamp)).is_some()
    };
    execute_tentatively(&mut executor, 0, &[request(0, 1, 2, 2, b"b")]);
    assert!(kept(&executor, 1) && !kept(&executor, 2));
    executor.roll_back();
    assert!(kept(&executor, 1) && !kept(&executor, 2));
    execute_tentatively(&mut executor, 0, &[request(0, 1, 2, 2, b"b")]);
    executor.settle();
    assert!(!kept(&executor, 1) && kept(&executor, 2));
}

#[test]
fn state_with_a_damaged_client_table_is_refused() {
    let mut executor = executor();
    run(&mut executor, &[open_session(1, 7)]);
    run(&mut executor, &[request(1, 7, 1, 0, b"a")]);
    let sound = executor.checkpoint().tree;
    executor.check(sound.clone()).unwrap();
    let (window, reply) = (
        layout::client_key(ClientId::new(1)),
        layout::reply_key(ClientId::new(1), Timestamp::new(1)),
    );
    let without_reply = |tree: &mut Tree| tree.delete(&reply);
    let bad_reply = |tree: &mut Tree| tree.put(&reply, vec![77]);
    let bad_window = |tree: &mut Tree| tree.put(&window, vec![77]);
    for damage in [&without_reply as &dyn Fn(&mut Tree), &bad_reply, &bad_window] {
        let mut tree = sound.clone();
        damage(&mut tree);
        let found = executor.check(tree).map(|_| ());
        assert_eq!(found, Err(StateError::BadRecord { record: "client" }));
    }
}

/// A service whose answers are as long as it is asked for, and which counts its state as one revision.
struct Long;

impl Service for Long {
    fn execute(&mut self, _: &Context<'_>, _: &[u8], _: &mut dyn pbft::State) -> Vec<u8> {
        Vec::new()
    }

    fn query(&self, _: &Context<'_>, wanted: &[u8], _: &dyn pbft::StateRead) -> Option<Reading> {
        let wanted = <[u8; 8]>::try_from(wanted).ok().map(u64::from_le_bytes)?;
        Some(Reading { content: vec![0; wanted as usize], revision: 1 })
    }

    fn restored(&mut self, _: &dyn pbft::StateRead) {}
}

fn read_of(operations: &[(ServiceId, u64)]) -> Read {
    let operation = |(service, wanted): &(ServiceId, u64)| Operation {
        service: *service,
        body: wanted.to_le_bytes().to_vec(),
    };
    let operations = operations.iter().map(operation).collect();
    Read { session: Session::new(1), number: 9, not_before: SeqNum::ZERO, operations }
}

const LONG: ServiceId = ServiceId(77);

fn lengths(wanted: &[(ServiceId, u64)]) -> Vec<Option<usize>> {
    let services = Services::from([
        (LONG, Box::new(Long) as Box<dyn Service>),
        (RECORDER, Box::new(Recorder::default())),
    ]);
    let config = config_with(Parameters { results_bytes_max: 1000, ..Parameters::default() });
    let executor = Executor::genesis(config, services);
    let reply = executor.read(ClientId::new(0), &read_of(wanted));
    assert_eq!((reply.session, reply.number), (Session::new(1), 9));
    let length = |reading: &Option<Reading>| reading.as_ref().map(|it| it.content.len());
    reply.readings.iter().map(length).collect()
}

/// [RO2] What would have to write, and what no service answers, is not read, and the rest is.
#[test]
fn what_would_have_to_write_is_not_read() {
    let nobody = ServiceId(78);
    assert_eq!(
        lengths(&[(LONG, 3), (RECORDER, 0), (nobody, 0), (LONG, 5)]),
        [Some(3), None, None, Some(5)]
    );
}

/// [RO2] What is read fits into one message, like the results of a request.
#[test]
fn what_is_read_fits_into_one_message() {
    assert_eq!(lengths(&[(LONG, 900), (LONG, 900), (LONG, 1)]), [Some(900), Some(900)]);
    let longest = OUTCOME_BYTES_MAX as u64;
    assert_eq!(lengths(&[(LONG, longest), (LONG, 1)]), [None, Some(1)]);
}
