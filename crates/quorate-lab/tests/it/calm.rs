//! Clusters to which nothing happens.

use super::pass;
use core::time::Duration;
use pbft::message::Kind;
use quorate_lab::rng::Seed;
use quorate_lab::swarm;
use quorate_lab::world::{Options, run};

#[test]
fn clusters_of_every_size_agree_without_a_view_change() {
    for replica_count in [4, 5, 6, 7, 8, 10, 13] {
        let outcome = pass(u64::from(replica_count), &Options::calm(replica_count));
        assert_eq!(outcome.counts.operations, 120);
        assert_eq!(outcome.counts.view.get(), 0);
        assert!(!outcome.counts.sent.contains_key(&Kind::ViewChange));
        assert!(outcome.counts.events.contains_key("checkpoint stable"));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [1, 2, 3, 4].map(Seed::new) {
        let options = swarm::options_of(seed);
        assert_eq!(run(seed, &options), run(seed, &options));
    }
    let options = Options::calm(4);
    assert_ne!(run(Seed::new(1), &options).trace_hash, run(Seed::new(2), &options).trace_hash);
}

#[test]
fn an_idle_cluster_changes_no_view_and_stops_talking_much() {
    let mut options = Options::calm(4);
    options.workload.operations = 1;
    options.heals_at = Duration::from_secs(60);
    let outcome = pass(1, &options);
    assert_eq!(outcome.counts.view.get(), 0);
    let sent: u64 = outcome.counts.sent.values().sum();
    // A STATUS of each replica to each other every second, and little else.
    assert!(sent < 60 * 12 * 2, "{:?}", outcome.counts.sent);
}

/// A cluster whose clients have many operations under way, with every optimization turned off.
fn nothing_on(replica_count: u32) -> Options {
    let mut options = Options::calm(replica_count);
    options.workload.concurrency = 8;
    options.client.outstanding_max = 4;
    let parameters = &mut options.parameters;
    parameters.batch_requests_max = 1;
    parameters.instances_in_flight_max = 1;
    parameters.operations_per_request_max = 1;
    parameters.batch_gathering_max = Duration::ZERO;
    parameters.digest_replies = false;
    parameters.tentative_execution = false;
    options.workload.one_round_reads = false;
    options
}

/// Then each operation takes what the papers' protocol takes: with a message to oneself counted like
/// any other, 2n² + n.
#[test]
fn without_optimizations_an_operation_takes_as_many_messages_as_the_protocol_says() {
    for n in [4_u64, 7, 10] {
        let messages = pass(n, &nothing_on(n as u32)).messages;
        let requests = messages.pre_prepare / (n - 1);
        let phases = [messages.pre_prepare, messages.prepare, messages.commit, messages.reply];
        let each = [n - 1, (n - 1) * (n - 1), n * (n - 1), n];
        assert_eq!(phases, each.map(|count| count * requests), "n = {n}");
        assert_eq!(messages.per_request_with_self, (2 * n * n + n) as f64);
    }
}

/// And each optimization that saves messages does.
#[test]
fn each_optimization_saves_messages() {
    let total = |turn_on: &dyn Fn(&mut Options)| {
        let mut options = nothing_on(4);
        turn_on(&mut options);
        let messages = pass(7, &options).messages;
        messages.pre_prepare + messages.prepare + messages.commit + messages.reply
    };
    let defaults = Options::calm(4).parameters;
    let none = total(&|_| {});
    let batches = total(&|options| {
        options.parameters.batch_requests_max = defaults.batch_requests_max;
    });
    let shared = total(&|options| {
        options.parameters.operations_per_request_max = defaults.operations_per_request_max;
    });
    let reads = total(&|options| options.workload.one_round_reads = true);
    assert!(batches * 2 < none, "batches: {batches} of {none}");
    assert!(shared * 4 < none * 3, "operations under one signature: {shared} of {none}");
    assert!(reads * 10 < none * 9, "reads without ordering: {reads} of {none}");
}

/// [DR2] With results of 4 KB one whole REPLY to each request, where there were four. What is sent,
/// and how often, is the same, and where results are short everything is.
#[test]
fn digest_replies_save_most_bytes_of_long_results_and_change_no_count() {
    let counted = |digest_replies, value_bytes| {
        let mut options = Options::calm(4);
        options.parameters.digest_replies = digest_replies;
        // Which requests share a batch depends on when clients have their answers.
        options.parameters.batch_requests_max = 1;
        options.workload.value_bytes = value_bytes;
        let outcome = pass(7, &options);
        assert_eq!(outcome.counts.digest_replies > 0, digest_replies && value_bytes > 0);
        outcome.messages
    };
    let (off, on) = (counted(false, 4096), counted(true, 4096));
    assert!(on.reply_bytes * 3 < off.reply_bytes, "{} of {}", on.reply_bytes, off.reply_bytes);
    assert_eq!((on.reply, on.total), (off.reply, off.total));
    counted(true, 0);
}

/// [SR1] Requests of 4 KB cross each link once, from their clients, where the primary sent each to
/// every backup once more. What is sent, and how often, is the same, and where requests are short
/// everything is.
#[test]
fn separate_requests_save_most_bytes_of_pre_prepares_and_change_no_count() {
    let counted = |separate_requests, value_bytes| {
        let mut options = Options::calm(4);
        options.parameters.separate_requests = separate_requests;
        options.parameters.batch_requests_max = 1;
        options.workload.value_bytes = value_bytes;
        let outcome = pass(7, &options);
        assert_eq!(outcome.counts.outlines > 0, separate_requests && value_bytes > 0);
        assert_eq!(outcome.counts.requests_asked_for, 0);
        outcome.messages
    };
    let (off, on) = (counted(false, 4096), counted(true, 4096));
    let (more, less) = (off.pre_prepare_bytes, on.pre_prepare_bytes);
    assert!(less * 5 < more, "{less} of {more}");
    assert_eq!((on.pre_prepare, on.total), (off.pre_prepare, off.total));
    assert_eq!(counted(true, 0).pre_prepare_bytes, counted(false, 0).pre_prepare_bytes);
}
