//! Saying again what was said before: of the messages it sent and received it sends one again
//! beside every other message, as it was, in a frame of another epoch, or, where it is its own,
//! signed in another epoch.
//!
//! As it was, it passes the door, says nothing new and is dropped. Of another epoch it is refused
//! at the door. *Masked*, and the refusals are counted against its link.

use super::{Vice, now};
use crate::dice::Dice;
use crate::{Endpoint, Identity, Payload, Sending};
use core::time::Duration;
use pbft::message::SignedBody;
use pbft::{Domain, Epoch, Message, Signed, wire};
use std::collections::VecDeque;
use std::sync::Arc;

/// So many of the latest messages are remembered.
const MESSAGES_COUNT_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Replay {
    identity: Identity,
    dice: Dice,
    heard: VecDeque<Message>,
}

impl Replay {
    pub(super) fn new(identity: Identity, seed: u64) -> Self {
        let dice = Dice::new(identity.id, seed);
        Self { identity, dice, heard: VecDeque::new() }
    }

    fn remember(&mut self, message: &Message) {
        self.heard.push_back(message.clone());
        if self.heard.len() > MESSAGES_COUNT_MAX {
            self.heard.pop_front();
        }
    }

    fn another_epoch(&self) -> Epoch {
        Epoch::new(self.identity.config.domain.epoch.get() + 1)
    }

    fn sign_in_another_epoch<T: SignedBody>(&self, body: T) -> Signed<T> {
        let Identity { config, id, key, .. } = &self.identity;
        Signed::sign(&Domain { epoch: self.another_epoch(), ..config.domain }, key, *id, body)
    }

    /// As the replica would have signed it in another epoch; as it is, if it did not sign it.
    fn of_another_epoch(&self, message: Message) -> Message {
        let own = self.identity.id;
        match message {
            Message::PrePrepare(signed, batch) if signed.signer == own => {
                Message::PrePrepare(self.sign_in_another_epoch(signed.body), batch)
            }
            Message::Outline(signed, outline) if signed.signer == own => {
                Message::Outline(self.sign_in_another_epoch(signed.body), outline)
            }
            Message::Checkpoint(signed) if signed.signer == own => {
                Message::Checkpoint(self.sign_in_another_epoch(signed.body))
            }
            Message::ViewChange(signed) if signed.signer == own => {
                Message::ViewChange(Arc::new(self.sign_in_another_epoch(signed.body.clone())))
            }
            other => other,
        }
    }

    fn replayed(&mut self) -> Payload {
        let message = self.heard[self.dice.index(self.heard.len())].clone();
        match self.dice.below(3) {
            0 => Payload::Message(message),
            1 => Payload::Bytes(wire::encode(self.another_epoch(), &message)),
            _ => Payload::Message(self.of_another_epoch(message)),
        }
    }
}

impl Vice for Replay {
    fn on_send(&mut self, to: Endpoint, message: Message) -> Vec<Sending> {
        self.remember(&message);
        let again = Sending { delay: Duration::ZERO, to, payload: self.replayed() };
        vec![now(to, message), again]
    }

    fn on_receive(
        &mut self,
        _from: Endpoint,
        message: Message,
        _sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        self.remember(&message);
        Some(message)
    }
}
