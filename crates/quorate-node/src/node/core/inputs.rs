//! What the protocol thread takes in next.

use crate::node::Command;
use crate::node::verifier::{Checked, Verifier};
use pbft::Sender;
use quorate_net::{PeerEvent, PeerInbox};
use quorate_replica::HostInput;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Inputs of replicas taken in a row while a client's request waits; then one of those is taken.
const REPLICAS_IN_A_ROW_MAX: u32 = 16;

/// What comes in, from most to least urgent.
pub(super) struct Inputs {
    pub(super) owner: oneshot::Receiver<()>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) done: mpsc::UnboundedReceiver<Option<HostInput>>,
    pub(super) checked: mpsc::UnboundedReceiver<Checked>,
    pub(super) peers: PeerInbox,
    pub(super) requests: mpsc::UnboundedReceiver<Checked>,
    pub(super) replicas_in_a_row: u32,
}

/// One of them.
pub(super) enum Next {
    Command(Command),
    Done(Option<HostInput>),
    Checked(Checked),
    Peer(PeerEvent),
    Deadline,
}

impl Inputs {
    /// Waits for the next input. While the disk is behind nothing new is taken in, and of a peer
    /// whose messages fill its lane of the verifier only votes are.
    pub(super) async fn next(
        &mut self,
        deadline: Option<Instant>,
        is_behind: bool,
        verifier: &Verifier,
    ) -> Next {
        let has_room = |peer| verifier.has_room(Sender::Replica(peer));
        let far = || Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            biased;
            _gone = &mut self.owner => Next::Command(Command::Stop),
            Some(command) = self.commands.recv() => Next::Command(command),
            Some(input) = self.done.recv() => Next::Done(input),
            Some(checked) = self.checked.recv(), if !is_behind => Next::Checked(checked),
            event = self.peers.recv(has_room), if !is_behind => Next::Peer(event),
            Some(request) = self.requests.recv(), if !is_behind => Next::Checked(request),
            () = sleep_until(deadline.unwrap_or_else(far)), if !is_behind => Next::Deadline,
        }
    }

    /// The next input, if there is one.
    pub(super) fn try_next(&mut self, is_behind: bool, verifier: &Verifier) -> Option<Next> {
        if let Ok(command) = self.commands.try_recv() {
            return Some(Next::Command(command));
        }
        if let Ok(input) = self.done.try_recv() {
            return Some(Next::Done(input));
        }
        if is_behind {
            return None;
        }
        if self.replicas_in_a_row >= REPLICAS_IN_A_ROW_MAX {
            self.replicas_in_a_row = 0;
            if let Ok(request) = self.requests.try_recv() {
                return Some(Next::Checked(request));
            }
        }
        self.replicas_in_a_row += 1;
        if let Ok(checked) = self.checked.try_recv() {
            return Some(Next::Checked(checked));
        }
        if let Some(event) = self.peers.try_recv(|peer| verifier.has_room(Sender::Replica(peer))) {
            return Some(Next::Peer(event));
        }
        self.replicas_in_a_row = 0;
        self.requests.try_recv().ok().map(Next::Checked)
    }
}
