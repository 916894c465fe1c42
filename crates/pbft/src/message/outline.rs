//! What a PRE-PREPARE says of its batch where long requests travel apart from it: clients send them
//! to all replicas anyway (OSDI '99 section 5.1.1, TOCS 2002 section 5.1).

use super::{Batch, Rejoin};
use crate::auth::{Signed, SignedRequest};
use crate::{ClientId, Digest, WallTime};
use alloc::sync::Arc;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// A request of no more bytes than this travels inside the PRE-PREPARE, whole: a digest must save
/// something [SR1].
pub const SHORT_REQUEST_BYTES_MAX: usize = 1024;

/// A batch of which some requests are named by their digests only. It has the digest of the batch,
/// which covers its requests by theirs [PP4], so the primary's signature covers all of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Outline {
    /// As in the batch.
    pub time: WallTime,
    /// As in the batch.
    pub choice: Vec<u8>,
    /// The requests, in the order of the batch.
    pub requests: Vec<Outlined>,
    /// As in the batch.
    pub rejoins: Vec<Signed<Rejoin>>,
}

/// A request in an outline.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Outlined {
    /// The request itself.
    Whole(Arc<SignedRequest>),
    /// The digest of one that the client sends.
    Named(Digest),
}

impl Outlined {
    /// The digest of the request.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Whole(request) => request.digest(),
            Self::Named(digest) => *digest,
        }
    }
}

impl Outline {
    /// The outline of a batch in which the long requests of those clients are named of which
    /// `is_apart` says so; none if that is none of them, since then the batch travels as it is.
    pub fn of(batch: &Batch, is_apart: impl Fn(ClientId) -> bool) -> Option<Self> {
        let is_named = |request: &SignedRequest| {
            request.byte_count() > SHORT_REQUEST_BYTES_MAX && is_apart(request.request().client)
        };
        if !batch.requests.iter().any(|request| is_named(request)) {
            return None;
        }
        let outlined = |request: &Arc<SignedRequest>| {
            if is_named(request) {
                Outlined::Named(request.digest())
            } else {
                Outlined::Whole(Arc::clone(request))
            }
        };
        Some(Self {
            time: batch.time,
            choice: batch.choice.clone(),
            requests: batch.requests.iter().map(outlined).collect(),
            rejoins: batch.rejoins.clone(),
        })
    }

    /// The batch that it is the outline of, if `find` knows every request that it names; else the
    /// digests of those that `find` does not know.
    pub fn fill(
        &self,
        find: impl Fn(&Digest) -> Option<Arc<SignedRequest>>,
    ) -> Result<Batch, Vec<Digest>> {
        let (mut requests, mut missing) = (Vec::new(), Vec::new());
        for outlined in &self.requests {
            match outlined {
                Outlined::Whole(request) => requests.push(Arc::clone(request)),
                Outlined::Named(digest) => match find(digest) {
                    Some(request) => requests.push(request),
                    None => missing.push(*digest),
                },
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let (choice, rejoins) = (self.choice.clone(), self.rejoins.clone());
        Ok(Batch { time: self.time, choice, requests, rejoins })
    }

    /// The requests that come whole.
    pub fn whole(&self) -> impl Iterator<Item = &Arc<SignedRequest>> {
        self.requests.iter().filter_map(|outlined| match outlined {
            Outlined::Whole(request) => Some(request),
            Outlined::Named(_) => None,
        })
    }

    /// How many bytes the requests that come whole take on the wire.
    pub fn byte_count(&self) -> usize {
        self.whole().map(|request| request.byte_count()).sum()
    }

    /// The digest of the batch; see [`Batch::digest`].
    pub fn digest(&self) -> Digest {
        let requests = self.requests.iter().map(Outlined::digest);
        Batch::digest_of(self.time, &self.choice, requests, &self.rejoins)
    }
}
