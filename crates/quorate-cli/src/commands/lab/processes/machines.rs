//! The replicas of a run, one process each, and what can be done to them and asked of them.

use crate::commands::cluster::{behave, status};
use crate::processes::Process;
use anyhow::{Context, Result};
use pbft::ReplicaId;
use quorate_adversary::Behaviour;
use quorate_lab::record::Entry;
use quorate_lab::rng::Seed;
use quorate_node::admin::{NodeStatus, Request};
use quorate_node::home::Home;
use quorate_node::setup::LocalCluster;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// All replicas.
pub(super) struct Machines {
    local: LocalCluster,
    each: Vec<Machine>,
}

struct Machine {
    id: ReplicaId,
    home: Home,
    process: Option<Process>,
    is_suspended: bool,
    behaviour: Option<Behaviour>,
    /// What it misbehaves by, where that is left to chance.
    seed: u64,
    records: Vec<Tail>,
}

/// The file that one start of a replica records into, as far as it was read.
struct Tail {
    path: PathBuf,
    offset: u64,
    /// The beginning of an entry that is not whole yet.
    rest: Vec<u8>,
}

impl Machines {
    /// None of them runs yet.
    pub(super) fn new(local: &LocalCluster, seed: Seed) -> Self {
        let homes = (0..).map(ReplicaId::new).zip(local.replica_homes());
        let each = homes.map(|(id, home)| Machine {
            id,
            home,
            process: None,
            is_suspended: false,
            behaviour: None,
            seed: seed.stream_of("adversary", u64::from(id.get())).bits(),
            records: Vec::new(),
        });
        Self { local: local.clone(), each: each.collect() }
    }

    pub(super) fn local(&self) -> &LocalCluster {
        &self.local
    }

    fn machine(&mut self, id: ReplicaId) -> &mut Machine {
        &mut self.each[id.get() as usize]
    }

    pub(super) fn is_up(&self, id: ReplicaId) -> bool {
        self.each[id.get() as usize].process.is_some()
    }

    /// Whether a replica has not been told to misbehave.
    pub(super) fn is_correct(&self, id: ReplicaId) -> bool {
        matches!(self.each[id.get() as usize].behaviour, None | Some(Behaviour::Honest))
    }

    /// Those that run.
    pub(super) fn up(&self) -> Vec<ReplicaId> {
        let up = self.each.iter().filter(|machine| machine.process.is_some());
        up.map(|machine| machine.id).collect()
    }

    /// Starts a replica that does not run, to behave as it was told last.
    pub(super) fn start(&mut self, id: ReplicaId) -> Result<()> {
        let machine = self.machine(id);
        if machine.process.is_some() {
            return Ok(());
        }
        let path = machine.home.path().join(format!("record-{}", machine.records.len()));
        let record = path.display().to_string();
        let mut arguments = vec!["--record", &record];
        let (behaviour, seed) =
            (machine.behaviour.map(|b| b.to_string()), machine.seed.to_string());
        if let Some(behaviour) = &behaviour {
            arguments.extend(["--behave", behaviour, "--seed", &seed]);
        }
        machine.process = Some(Process::replica_with(&machine.home, &arguments)?);
        machine.records.push(Tail { path, offset: 0, rest: Vec::new() });
        Ok(())
    }

    /// Waits until a replica that was just started listens.
    pub(super) async fn listening(&mut self, id: ReplicaId) -> Result<()> {
        let Some(process) = &mut self.machine(id).process else { return Ok(()) };
        process.listening().await.with_context(|| format!("replica {id}"))?;
        Ok(())
    }

    /// The process dies at once.
    pub(super) async fn crash(&mut self, id: ReplicaId) -> Result<()> {
        let machine = self.machine(id);
        machine.is_suspended = false;
        match machine.process.take() {
            Some(mut process) => process.kill().await,
            None => Ok(()),
        }
    }

    pub(super) fn suspend(&mut self, id: ReplicaId) {
        let machine = self.machine(id);
        if let Some(process) = &machine.process {
            process.suspend();
            machine.is_suspended = true;
        }
    }

    /// Lets a suspended replica go on; it hears now of what it was told meanwhile.
    pub(super) fn resume(&mut self, id: ReplicaId) -> Result<()> {
        let machine = self.machine(id);
        if std::mem::take(&mut machine.is_suspended)
            && let Some(process) = &machine.process
        {
            process.resume();
            return self.tell(id);
        }
        Ok(())
    }

    /// From now on, and after every start, the replica behaves so.
    pub(super) fn behave(&mut self, id: ReplicaId, behaviour: Behaviour) -> Result<()> {
        let machine = self.machine(id);
        machine.behaviour = Some(behaviour);
        if machine.process.is_none() || machine.is_suspended {
            return Ok(());
        }
        self.tell(id)
    }

    fn tell(&mut self, id: ReplicaId) -> Result<()> {
        let Machine { behaviour: Some(behaviour), seed, .. } = *self.machine(id) else {
            return Ok(());
        };
        let request = Request::Break { behaviour: behaviour.to_string(), for_ms: None, seed };
        tokio::task::block_in_place(|| behave::tell(self.local.root(), id.get(), &request))
    }

    /// How a replica is, if it runs and answers.
    pub(super) fn status(&self, id: ReplicaId) -> Option<NodeStatus> {
        let machine = &self.each[id.get() as usize];
        machine.process.as_ref().filter(|_| !machine.is_suspended)?;
        // Asking blocks, for as short as replicas on this machine take to answer.
        tokio::task::block_in_place(|| status::ask(&machine.home))
    }

    /// Which replicas ended although nobody ended them, and why.
    pub(super) async fn stopped(&mut self) -> Vec<(ReplicaId, String)> {
        let mut stopped = Vec::new();
        for machine in &mut self.each {
            if let Some(process) = &mut machine.process
                && process.has_ended()
            {
                stopped.push((machine.id, process.reason().await));
            }
        }
        stopped
    }

    /// What a replica has recorded since this was last asked.
    pub(super) fn recorded(&mut self, id: ReplicaId) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for tail in &mut self.machine(id).records {
            entries.extend(tail.read()?);
        }
        Ok(entries)
    }

    /// Ends all of them. What they were about to write down is written.
    pub(super) async fn stop(&mut self) {
        for machine in &mut self.each {
            let Some(process) = &mut machine.process else { continue };
            process.resume();
            if let Err(error) = process.stop().await {
                tracing::error!(%error, "cannot stop a process");
            }
        }
    }
}

impl Tail {
    fn read(&mut self) -> Result<Vec<Entry>> {
        let failed = || format!("cannot read {}", self.path.display());
        // A process that has just been started has not made it yet.
        let Ok(mut file) = File::open(&self.path) else { return Ok(Vec::new()) };
        file.seek(SeekFrom::Start(self.offset)).with_context(failed)?;
        let read = file.read_to_end(&mut self.rest).with_context(failed)?;
        self.offset += read as u64;
        Entry::take_all(&mut self.rest).with_context(failed)
    }
}
