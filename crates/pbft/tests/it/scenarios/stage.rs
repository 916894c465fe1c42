//! What the commands of a scenario do to a cluster, and which part of the trace they show.

use super::notation::{Names, request_line};
use crate::cluster::{Cluster, Envelope, seq, test_config, view};
use crate::normal_case::batch_of;
use pbft::message::{
    Batch, Checkpoint, CheckpointId, Committed, NewView, NewViewProof, PrePrepare, PreparedEntry,
    ViewChange, Vote,
};
use pbft::{Digest, Event, Message, Output, Record, ReplicaId, Sender, SeqNum, Signed, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A cluster on the table, and what the scenario has named.
#[derive(Debug, Default)]
pub(super) struct Stage {
    cluster: Option<Cluster>,
    names: Names,
    batches: BTreeMap<String, Arc<Batch>>,
    messages: BTreeMap<String, Message>,
    down: BTreeSet<u32>,
    shows_status: bool,
}

/// A command taken apart into words and `key=value` pairs.
struct Words<'a> {
    place: &'a str,
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(command: &'a str, place: &'a str) -> Self {
        let (named, plain): (Vec<&str>, Vec<&str>) = command
            .split_whitespace()
            .partition(|word| word.contains('=') && !word.starts_with('"'));
        let named = named.iter().filter_map(|word| word.split_once('=')).collect();
        Self { place, plain, named }
    }

    fn word(&self, index: usize) -> &'a str {
        self.plain.get(index).copied().unwrap_or_else(|| panic!("{}: a word lacks", self.place))
    }

    fn value(&self, key: &str) -> &'a str {
        self.named.get(key).copied().unwrap_or_else(|| panic!("{}: {key}= lacks", self.place))
    }

    fn number(&self, key: &str) -> u64 {
        self.read(self.value(key))
    }

    fn number_or(&self, key: &str, otherwise: u64) -> u64 {
        self.named.get(key).map_or(otherwise, |text| self.read(text))
    }

    fn read(&self, text: &str) -> u64 {
        text.parse().unwrap_or_else(|_| panic!("{}: {text:?} is no number", self.place))
    }

    /// The items of a list; an absent key is the empty one.
    fn list(&self, key: &str) -> Vec<&'a str> {
        let text = self.named.get(key).copied().unwrap_or_default();
        text.split(',').filter(|item| !item.is_empty()).collect()
    }

    /// `r2` is replica 2, `c2` client 2.
    fn id(&self, text: &str) -> u32 {
        self.read(text.get(1..).unwrap_or_default()) as u32
    }

    fn ids(&self, key: &str) -> Vec<u32> {
        self.list(key).into_iter().map(|text| self.id(text)).collect()
    }

    fn span(&self, text: &str) -> Duration {
        match text.strip_suffix("ms") {
            Some(millis) => Duration::from_millis(self.read(millis)),
            None => Duration::from_secs(self.read(text.trim_end_matches('s'))),
        }
    }

    /// Whether `from=`, `to=`, `kind=` and `n=` all pick this message. STATUS must be named.
    fn pick(&self, names: &Names, envelope: &Envelope) -> bool {
        let line = names.message(&envelope.message);
        let kind = line.split(' ').next().unwrap_or_default();
        let (from, to, n) = (self.ids("from"), self.ids("to"), self.named.get("n"));
        let of_kind = match self.named.get("kind") {
            Some(wanted) => kind == *wanted,
            None => kind != "STATUS",
        };
        of_kind
            && (from.is_empty() || from.contains(&envelope.from))
            && (to.is_empty() || to.contains(&envelope.to))
            && n.is_none_or(|n| line.split(' ').any(|word| word == format!("n={n}")))
    }

    /// Whether the network lets a message through: not to or from those in `cut=` (`r0-r3` is one
    /// link), and not what `lose=` names, `from=` and `to=` whom it names.
    fn passes(&self, names: &Names, envelope: &Envelope) -> bool {
        let (from, to) = (envelope.from, envelope.to);
        let cut = self.list("cut").into_iter().any(|item| match item.split_once('-') {
            Some((a, b)) => {
                let (a, b) = (self.id(a), self.id(b));
                (from, to) == (a, b) || (from, to) == (b, a)
            }
            None => [from, to].contains(&self.id(item)),
        });
        let line = names.message(&envelope.message);
        let kind = line.split(' ').next().unwrap_or_default();
        let (from_only, to_only) = (self.ids("from"), self.ids("to"));
        let lost = self.list("lose").contains(&kind)
            && (from_only.is_empty() || from_only.contains(&from))
            && (to_only.is_empty() || to_only.contains(&to));
        !cut && !lost
    }
}

impl Stage {
    /// Performs one command and returns its trace.
    pub(super) fn perform(&mut self, command: &str, place: &str) -> Vec<String> {
        let words = Words::of(command, place);
        match words.word(0) {
            "cluster" => self.build(&words),
            "show" => self.show_status(),
            "request" => self.request(&words),
            "fill" => self.fill(&words),
            "deliver" => self.deliver(&words),
            "drop" => self.discard(&words),
            "pending" => self.pending(&words),
            "settle" => self.settle(&words),
            "run" => self.run(&words),
            "advance" => self.advance(&words),
            "status" => self.status(),
            "records" => self.records(&words),
            "crash" | "start" | "wipe" | "hold" | "release" | "sync" => self.machine(&words),
            "batch" => self.batch(&words),
            "name" => self.name(&words),
            "sign" => self.sign(&words),
            "play" => self.play(&words),
            other => panic!("{place}: {other:?} is no command"),
        }
    }

    fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().expect("a scenario begins with `cluster`")
    }

    fn build(&mut self, words: &Words<'_>) -> Vec<String> {
        let mut config = test_config(words.number("n") as u32);
        let parameters = &mut config.parameters;
        parameters.checkpoint_period = words.number_or("k", 4);
        parameters.log_window = words.number_or("l", 16);
        parameters.instances_in_flight_max = words.number_or("w", 4);
        parameters.tentative_execution = words.number_or("tentative", 0) == 1;
        let quorums = config.quorums;
        let (k, l) = (config.parameters.checkpoint_period, config.parameters.log_window);
        *self = Self::default();
        let cluster = self.cluster.insert(Cluster::with_config(config));
        cluster.network.clear();
        cluster.trace = Some(Vec::new());
        vec![format!(
            "n={} f={} quorum={} weak={} K={k} L={l}; the clients' sessions are n=1 to n=4",
            quorums.replica_count(),
            quorums.fault_bound(),
            quorums.quorum(),
            quorums.weak(),
        )]
    }

    fn show_status(&mut self) -> Vec<String> {
        self.shows_status = true;
        Vec::new()
    }

    fn request(&mut self, words: &Words<'_>) -> Vec<String> {
        let client = words.id(words.word(1));
        let body = words.word(2).trim_matches('"');
        let cluster = self.cluster();
        let request = cluster.operation(client, words.number("t"), body);
        let mut to = words.ids("to");
        if to.is_empty() {
            to = cluster.ids().collect();
        }
        let mut shown = Vec::new();
        for replica in to {
            shown.push(format!("r{replica} <- REQUEST {}", request_line(&request)));
            self.cluster().send_request_to(replica, Arc::clone(&request));
            shown.extend(self.reactions());
        }
        shown
    }

    /// Some requests, one after the other, each settled before the next; the milestones only.
    fn fill(&mut self, words: &Words<'_>) -> Vec<String> {
        let client = words.id(words.word(1));
        let first = words.number("t");
        let mut shown = Vec::new();
        for timestamp in first..first + words.number("count") {
            self.cluster().ask(client, timestamp, "fill");
            shown.extend(self.settle(words));
        }
        shown.retain(|line| !line.contains("REPLY"));
        shown
    }

    /// What the replicas did since the last command, indented below what caused it.
    fn reactions(&mut self) -> Vec<String> {
        self.drain().into_iter().map(|(_, _, line)| format!("    {line}")).collect()
    }

    fn drain(&mut self) -> Vec<(Time, u32, String)> {
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        let trace = cluster.trace.replace(Vec::new()).unwrap_or_default();
        let is_hidden = |output: &Output| {
            matches!(output, Output::Send { message, .. } if matches!(**message, Message::Status(_)))
                && !self.shows_status
        };
        trace
            .into_iter()
            .filter(|(_, _, output)| !is_hidden(output))
            .filter_map(|(time, replica, output)| {
                let line = self.names.output(&cluster.config, &output)?;
                Some((time, replica, line))
            })
            .collect()
    }

    fn deliver(&mut self, words: &Words<'_>) -> Vec<String> {
        let names = &self.names;
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        let picked = cluster.take(|envelope| words.pick(names, envelope));
        let mut shown = Vec::new();
        for envelope in picked {
            shown.push(self.arrival(&envelope));
            self.cluster().deliver(&envelope);
            shown.extend(self.reactions());
        }
        shown
    }

    fn arrival(&self, envelope: &Envelope) -> String {
        let message = self.names.message(&envelope.message);
        format!("r{} <- r{} {message}", envelope.to, envelope.from)
    }

    fn discard(&mut self, words: &Words<'_>) -> Vec<String> {
        let names = &self.names;
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        let picked = cluster.take(|envelope| words.pick(names, envelope));
        picked.iter().map(|envelope| format!("lost: {}", self.arrival(envelope))).collect()
    }

    fn pending(&mut self, words: &Words<'_>) -> Vec<String> {
        let names = &self.names;
        let cluster = self.cluster.as_ref().expect("a scenario begins with `cluster`");
        let picked = cluster.network.iter().filter(|envelope| words.pick(names, envelope));
        picked.map(|envelope| self.arrival(envelope)).collect()
    }

    fn settle(&mut self, words: &Words<'_>) -> Vec<String> {
        let names = &self.names;
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        cluster.deliver_where(|envelope| words.passes(names, envelope));
        self.summary(None)
    }

    fn run(&mut self, words: &Words<'_>) -> Vec<String> {
        let names = &self.names;
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        let start = cluster.now;
        cluster.run_where(words.span(words.word(1)), |envelope| words.passes(names, envelope));
        self.summary(Some(start))
    }

    /// The milestones only, replicas that reached one together on one line.
    fn summary(&mut self, start: Option<Time>) -> Vec<String> {
        let trace = self.cluster().trace.replace(Vec::new()).unwrap_or_default();
        let config = Arc::clone(&self.cluster().config);
        let mut lines: Vec<(Time, String, Vec<u32>)> = Vec::new();
        for (time, replica, output) in trace.into_iter().filter(|(_, _, o)| is_milestone(o)) {
            let Some(line) = self.names.output(&config, &output) else { continue };
            let time = if start.is_some() { time } else { Time::ZERO };
            match lines.iter_mut().find(|(t, l, _)| *t == time && *l == line) {
                Some((_, _, replicas)) if !replicas.contains(&replica) => replicas.push(replica),
                Some(_) => {}
                None => lines.push((time, line, vec![replica])),
            }
        }
        let shown = |(time, line, mut replicas): (Time, String, Vec<u32>)| {
            replicas.sort_unstable();
            let who: Vec<String> = replicas.iter().map(|r| format!("r{r}")).collect();
            let when =
                start.map_or(String::new(), |s| format!("+{}ms ", time.since(s).as_millis()));
            format!("{when}{}: {line}", who.join(" "))
        };
        lines.into_iter().map(shown).collect()
    }

    fn advance(&mut self, words: &Words<'_>) -> Vec<String> {
        let start = self.cluster().now;
        self.cluster().advance(words.span(words.word(1)));
        let mut shown = Vec::new();
        let mut last = None;
        for (time, replica, line) in self.drain() {
            if last != Some((time, replica)) {
                shown.push(format!("+{}ms r{replica}", time.since(start).as_millis()));
                last = Some((time, replica));
            }
            shown.push(format!("    {line}"));
        }
        shown
    }

    fn status(&mut self) -> Vec<String> {
        let down = self.down.clone();
        let cluster = self.cluster();
        let line = |replica: u32| {
            if down.contains(&replica) {
                return format!("r{replica} is down");
            }
            let status = cluster.status(replica);
            let role = if cluster.config.primary(status.view).get() == replica {
                "primary"
            } else {
                "backup"
            };
            let standing = match (status.halted, status.admitted, status.active) {
                (Some(_), _, _) => "stopped",
                (_, false, _) => "not let in",
                (_, _, false) => "not active",
                _ => role,
            };
            format!(
                "r{replica} v={} {standing} h={} executed={} waiting={}",
                status.view,
                status.stable_checkpoint.0,
                status.last_executed,
                status.waiting_requests
            )
        };
        cluster.ids().map(line).collect()
    }

    /// What a replica would write at the head of a new journal segment.
    fn records(&mut self, words: &Words<'_>) -> Vec<String> {
        let replica = words.id(words.word(1));
        let records = self.cluster().core(replica).durable_records();
        records.iter().map(|record| self.names.record(record)).collect()
    }

    fn machine(&mut self, words: &Words<'_>) -> Vec<String> {
        let replica = words.id(words.word(1));
        match words.word(0) {
            "crash" => {
                self.cluster().crash(replica);
                self.down.insert(replica);
            }
            "start" => {
                self.cluster().start(replica);
                self.down.remove(&replica);
            }
            "wipe" => self.cluster().wipe(replica),
            "hold" => self.cluster().hold_syncs(replica),
            "release" => self.cluster().release_syncs(replica),
            _ => self.cluster().sync(replica),
        }
        self.reactions()
    }

    /// A batch for the scenario to propose: empty but for a salt, or with requests `c0:1:body`.
    fn batch(&mut self, words: &Words<'_>) -> Vec<String> {
        let name = words.word(1);
        let salt = self.batches.len() as u8 + 1;
        let cluster = self.cluster();
        let requests = words.list("requests").into_iter().map(|text| {
            let parts: Vec<&str> = text.split(':').collect();
            cluster.operation(words.id(parts[0]), words.read(parts[1]), parts[2])
        });
        let batch = batch_of(cluster, salt, requests.collect());
        self.names.0.insert(batch.digest(), name.to_owned());
        self.batches.insert(name.to_owned(), batch);
        Vec::new()
    }

    /// Names the batch that was proposed at a number.
    fn name(&mut self, words: &Words<'_>) -> Vec<String> {
        let n = seq(words.number("n"));
        let name = words.word(1).to_owned();
        let down = self.down.clone();
        let cluster = self.cluster();
        let running = cluster.ids().filter(|replica| !down.contains(replica));
        let records: Vec<Record> =
            running.flat_map(|replica| cluster.core(replica).durable_records()).collect();
        let digest = records.iter().find_map(|record| match record {
            Record::PrePrepared { entry, .. } if entry.seq == n => Some(entry.digest),
            _ => None,
        });
        let digest = digest.unwrap_or_else(|| panic!("{}: nothing at {n}", words.place));
        let batch = records.into_iter().find_map(|record| match record {
            Record::Batch(batch) if batch.digest() == digest => Some(batch),
            _ => None,
        });
        self.batches.extend(batch.map(|batch| (name.clone(), batch)));
        self.names.0.insert(digest, name.clone());
        vec![format!("{name} is {digest}")]
    }

    /// The digest behind a name; a name nobody gave yet becomes that of an invented digest.
    fn digest(&mut self, name: &str) -> Digest {
        if name == "null" {
            return Batch::NULL;
        }
        let known = self.names.0.iter().find(|(_, known)| *known == name);
        if let Some((digest, _)) = known {
            return *digest;
        }
        let invented = Digest::of("a digest of no batch", &[name.as_bytes()]);
        self.names.0.insert(invented, name.to_owned());
        invented
    }

    /// Signs a message in a replica's name and keeps it under a name.
    fn sign(&mut self, words: &Words<'_>) -> Vec<String> {
        let by = words.id(words.value("by"));
        let message = self.compose(words, words.word(2), by);
        let shown = self.names.message(&message);
        self.messages.insert(words.word(1).to_owned(), message);
        vec![shown]
    }

    /// The scenario plays a faulty replica, with its real key: its message goes to some others.
    fn play(&mut self, words: &Words<'_>) -> Vec<String> {
        let from = words.id(words.word(1));
        let what = words.word(2);
        let message = match self.messages.get(what) {
            Some(message) => message.clone(),
            None => self.compose(words, what, from),
        };
        let mut shown = Vec::new();
        for to in words.ids("to") {
            let envelope = Envelope { from, to, message: Arc::new(message.clone()) };
            shown.push(self.arrival(&envelope));
            let config = Arc::clone(&self.cluster().config);
            let sender = Sender::Replica(ReplicaId::new(from));
            if let Err(reason) = config.admit(sender, message.clone()) {
                shown.push(format!("    refused at the door: {reason:?}"));
                continue;
            }
            self.cluster().deliver(&envelope);
            shown.extend(self.reactions());
        }
        shown
    }

    fn compose(&mut self, words: &Words<'_>, kind: &str, by: u32) -> Message {
        let (v, n) = (view(words.number_or("v", 0)), seq(words.number_or("n", 0)));
        let name = words.named.get("d").copied().unwrap_or("null");
        let digest = self.digest(name);
        let vote = Vote { view: v, seq: n, digest };
        match kind {
            "PRE-PREPARE" => {
                let batch = Arc::clone(&self.batches[name]);
                let body = PrePrepare { view: v, seq: n, digest };
                Message::PrePrepare(self.cluster().sign(by, body), batch)
            }
            "PREPARE" => Message::Prepare(vote),
            "COMMIT" => Message::Commit(vote),
            "COMMITTED" => Message::Committed(Committed { seq: n, digest }),
            "FETCH-BATCH" => Message::FetchBatch(digest),
            "BATCH" => Message::Batch(Arc::clone(&self.batches[name])),
            "CHECKPOINT" => {
                let id = self.checkpoint(n, words.value("state"));
                let body = Checkpoint { seq: n, id, replica: ReplicaId::new(by) };
                Message::Checkpoint(self.cluster().sign(by, body))
            }
            // The CHECKPOINTs of the first replicas that make a quorum.
            "STABLE" => {
                let id = self.checkpoint(n, words.value("state"));
                let cluster = self.cluster();
                let quorum = cluster.config.quorums.quorum();
                let signers = cluster.ids().take(quorum);
                let signed = signers.map(|signer| {
                    let body = Checkpoint { seq: n, id, replica: ReplicaId::new(signer) };
                    cluster.sign(signer, body)
                });
                Message::Stable(Arc::new(signed.collect()))
            }
            "VIEW-CHANGE" => {
                let body = self.view_change(words, by);
                Message::ViewChange(Arc::new(self.cluster().sign(by, body)))
            }
            "NEW-VIEW" => self.new_view(words, by),
            other => panic!("{}: {other:?} is no message to make up", words.place),
        }
    }

    /// The state at a checkpoint: `right` as some replica took it, anything else is invented.
    fn checkpoint(&mut self, n: SeqNum, state: &str) -> CheckpointId {
        let down = self.down.clone();
        let cluster = self.cluster();
        let running = cluster.ids().filter(|replica| !down.contains(replica));
        let mut records = running.flat_map(|replica| cluster.core(replica).durable_records());
        let right = records.find_map(|record| match record {
            Record::Checkpoint(signed) if signed.body.seq == n => Some(signed.body.id),
            Record::Stable { seq, id, .. } if seq == n => Some(id),
            _ => None,
        });
        let root = Digest::of("a state nobody reached", &[state.as_bytes()]);
        let invented = CheckpointId { state_root: root, history_root: root };
        if state == "right" { right.expect("a replica took that checkpoint") } else { invented }
    }

    /// `C=4,8` lists right states and `C=4,8:other` an invented one; `P=5:A@0` is an entry.
    fn view_change(&mut self, words: &Words<'_>, by: u32) -> ViewChange {
        let checkpoints = words.list("C").into_iter().map(|text| {
            let (n, state) = text.split_once(':').unwrap_or((text, "right"));
            let n = seq(words.read(n));
            (n, self.checkpoint(n, state))
        });
        let checkpoints = checkpoints.collect();
        let mut entries = |key| -> Vec<PreparedEntry> {
            let entry = |text: &str| {
                let (n, rest) = text.split_once(':').expect("n:digest@view");
                let (name, v) = rest.split_once('@').expect("n:digest@view");
                let (n, v) = (seq(words.read(n)), view(words.read(v)));
                PreparedEntry { seq: n, digest: self.digest(name), view: v }
            };
            words.list(key).into_iter().map(entry).collect()
        };
        ViewChange {
            new_view: view(words.number("v")),
            replica: ReplicaId::new(by),
            low_water_mark: seq(words.number("h")),
            checkpoints,
            prepared: entries("P"),
            pre_prepared: entries("Q"),
        }
    }

    fn new_view(&mut self, words: &Words<'_>, by: u32) -> Message {
        let view_changes: Vec<Arc<Signed<ViewChange>>> = words
            .list("V")
            .into_iter()
            .map(|name| match &self.messages[name] {
                Message::ViewChange(signed) => Arc::clone(signed),
                _ => panic!("{}: {name} is no VIEW-CHANGE", words.place),
            })
            .collect();
        let start = seq(words.number("start"));
        let id = self.checkpoint(start, words.named.get("state").copied().unwrap_or("right"));
        let body = NewView {
            view: view(words.number("v")),
            view_changes: view_changes.iter().map(|vc| (vc.signer, vc.digest())).collect(),
            checkpoint: (start, id),
            chosen: words.list("X").into_iter().map(|name| self.digest(name)).collect(),
        };
        let new_view = self.cluster().sign(by, body);
        Message::NewView(Arc::new(NewViewProof { new_view, view_changes }))
    }
}

/// What a summary shows of a longer stretch of time.
fn is_milestone(output: &Output) -> bool {
    match output {
        Output::Reply { .. } | Output::Evidence(_) => true,
        Output::Event(event) => !matches!(
            event,
            Event::Rejected { .. }
                | Event::RequestWaiting { .. }
                | Event::PrePrepared { .. }
                | Event::Prepared { .. }
                | Event::Committed { .. }
                | Event::CheckpointTaken { .. }
                | Event::NewViewTimerStarted { .. }
                | Event::EvidenceFound { .. }
        ),
        _ => false,
    }
}
