//! Rejoining again and again: to each STATUS it answers with REJOIN as its next incarnation, and as
//! the last one that was proposed, should that have been lost. It hears nothing but HELLO and what
//! it needs for this, because a replica that executes the REJOIN of another memory stops.
//!
//! All of it passes the door. The first REJOIN is executed, and whoever executes it leaves its view;
//! those that come in the minutes after it are dropped as stale: *masked after a view change*.

use super::{Vice, now};
use crate::{Endpoint, Identity, Sending};
use pbft::message::{Kind, Rejoin, StartId};
use pbft::{Incarnation, Message, Signed, View, WallTime};

#[derive(Debug)]
pub(super) struct Rejoining {
    identity: Identity,
    /// The highest incarnation that it heard proposed.
    proposed: Incarnation,
}

impl Rejoining {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, proposed: Incarnation::ZERO }
    }

    fn note(&mut self, rejoins: &[Signed<Rejoin>]) {
        let own = rejoins.iter().filter(|rejoin| rejoin.signer == self.identity.id);
        let highest = own.map(|rejoin| rejoin.body.incarnation).max();
        self.proposed = self.proposed.max(highest.unwrap_or_default());
    }

    fn rejoin(&self, incarnation: Incarnation, view: View) -> Message {
        let start = StartId { counter: 1, boot_id: [0xad; 16] };
        let (replica, expires) = (self.identity.id, WallTime::from_millis(u64::MAX));
        let body = Rejoin { replica, incarnation, start, view, expires };
        Message::Rejoin(self.identity.sign(body))
    }
}

impl Vice for Rejoining {
    fn on_receive(
        &mut self,
        from: Endpoint,
        message: Message,
        sendings: &mut Vec<Sending>,
    ) -> Option<Message> {
        match &message {
            Message::PrePrepare(_, batch) | Message::Batch(batch) => self.note(&batch.rejoins),
            Message::Outline(_, outline) => self.note(&outline.rejoins),
            Message::Status(status) if status.view < View::MAX => {
                let known = [self.proposed, self.proposed.next()];
                let asked = known.into_iter().filter(|known| *known > Incarnation::ZERO);
                let view = status.view.next();
                sendings.extend(asked.map(|known| now(from, self.rejoin(known, view))));
            }
            _ => {}
        }
        matches!(message.kind(), Kind::Hello).then_some(message)
    }
}
