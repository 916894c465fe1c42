//! Batches that a stable checkpoint covers, kept for those who are not as far: whoever fetches the
//! state under load has that of a checkpoint which the others have left behind meanwhile, and
//! without the batches since it would have to fetch a state again, for ever [CU4].

use crate::message::Batch;
use crate::{Digest, SeqNum};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::RangeInclusive;

/// The last batches that were executed here and are covered, without a gap.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    digests: BTreeMap<SeqNum, Digest>,
    /// The bodies of those that are not null, and the last number that each has.
    batches: BTreeMap<Digest, (SeqNum, Arc<Batch>)>,
    bytes: usize,
}

impl Past {
    /// Keeps the batch with the number after the last one kept; after a gap everything before is
    /// forgotten, and so are the oldest beyond so many numbers or bytes.
    pub(super) fn keep(
        &mut self,
        seq: SeqNum,
        digest: Digest,
        batch: Option<Arc<Batch>>,
        (count_max, bytes_max): (u64, usize),
    ) {
        let is_next = self.digests.keys().next_back().is_none_or(|last| last.next() == seq);
        if !is_next {
            *self = Self::default();
        }
        self.digests.insert(seq, digest);
        if let Some(batch) = batch {
            self.bytes += batch.byte_count();
            if let Some((_, known)) = self.batches.insert(digest, (seq, batch)) {
                self.bytes -= known.byte_count();
            }
        }
        while self.digests.len() as u64 > count_max || self.bytes > bytes_max {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((seq, digest)) = self.digests.pop_first() else { return };
        if self.batches.get(&digest).is_some_and(|(last, _)| *last == seq)
            && let Some((_, batch)) = self.batches.remove(&digest)
        {
            self.bytes -= batch.byte_count();
        }
    }

    /// The digests at these numbers.
    pub(super) fn digests(
        &self,
        range: RangeInclusive<SeqNum>,
    ) -> impl Iterator<Item = (SeqNum, Digest)> {
        self.digests.range(range).map(|(seq, digest)| (*seq, *digest))
    }

    /// The body of a batch.
    pub(super) fn batch(&self, digest: Digest) -> Option<&Arc<Batch>> {
        self.batches.get(&digest).map(|(_, batch)| batch)
    }

    pub(super) fn len(&self) -> usize {
        self.digests.len()
    }

    pub(super) const fn byte_count(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{SignedRequest, SigningKey};
    use crate::message::{Request, RequestBody};
    use crate::{ClientId, Domain, Epoch, Session, Timestamp};
    use alloc::vec;
    use alloc::vec::Vec;
    use zeroize::Zeroizing;

    /// A batch of one request; all take the same number of bytes.
    fn batch(number: u64) -> Arc<Batch> {
        let domain = Domain { cluster: Digest::of("test", &[]), epoch: Epoch::ZERO };
        let request = Request {
            client: ClientId::new(0),
            session: Session::new(1),
            timestamp: Timestamp::new(number),
            acknowledged_below: Timestamp::new(1),
            replier: None,
            body: RequestBody::OpenSession,
        };
        let key = SigningKey::from_seed(Zeroizing::new([1; 32]));
        let request = Arc::new(SignedRequest::sign(&domain, &key, request));
        Arc::new(Batch { requests: vec![request], ..Batch::default() })
    }

    fn keep(past: &mut Past, seq: u64, batch: &Arc<Batch>, limits: (u64, usize)) {
        past.keep(SeqNum::new(seq), batch.digest(), Some(Arc::clone(batch)), limits);
    }

    fn kept(past: &Past) -> Vec<u64> {
        past.digests(SeqNum::ZERO..=SeqNum::new(100)).map(|(seq, _)| seq.get()).collect()
    }

    #[test]
    fn oldest_give_way_to_both_limits() {
        let batches: Vec<_> = (0..10).map(batch).collect();
        let each = batches[0].byte_count();
        for limits in [(3, usize::MAX), (100, 3 * each)] {
            let mut past = Past::default();
            (1..=5).for_each(|seq| keep(&mut past, seq, &batches[seq as usize], limits));
            assert_eq!(kept(&past), [3, 4, 5]);
            assert_eq!(past.byte_count(), 3 * each);
            assert!(past.batch(batches[2].digest()).is_none());
            assert_eq!(past.batch(batches[3].digest()), Some(&batches[3]));
        }
    }

    #[test]
    fn what_is_before_a_gap_is_forgotten() {
        let (mut past, limits) = (Past::default(), (100, usize::MAX));
        keep(&mut past, 1, &batch(1), limits);
        past.keep(SeqNum::new(2), Batch::NULL, None, limits);
        assert_eq!(kept(&past), [1, 2]);
        keep(&mut past, 4, &batch(4), limits);
        assert_eq!(kept(&past), [4]);
        assert_eq!(past.byte_count(), batch(4).byte_count());
    }

    #[test]
    fn batch_with_two_numbers_is_there_until_the_second_is_forgotten() {
        let (mut past, limits) = (Past::default(), (2, usize::MAX));
        (1..=2).for_each(|seq| keep(&mut past, seq, &batch(1), limits));
        keep(&mut past, 3, &batch(3), limits);
        assert!(past.batch(batch(1).digest()).is_some());
        assert_eq!(past.byte_count(), 2 * batch(1).byte_count());
        keep(&mut past, 4, &batch(4), limits);
        assert!(past.batch(batch(1).digest()).is_none());
    }
}
