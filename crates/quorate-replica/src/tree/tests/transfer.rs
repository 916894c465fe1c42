//! Transfer by parts: from honest servers, from liars, and to roots that are no state's.

use super::*;
use crate::tree::TREE_KEY_BYTES_MAX;
use crate::tree::assembler::{Assembler, BadPart};
use crate::tree::decode;
use crate::tree::key::BIT_MAX;
use crate::tree::node::{Claim, InnerClaim, Node};
use crate::tree::part::{INNER_LEVELS, PART_BYTES_MAX, PART_ID_BYTES_MAX, PartId, PartKind};
use crate::tree::run::{Entry, Run, Value, split_entry_header};
use crate::tree::totals::Totals;
use crate::tree::value::{CHUNK_BYTES_MAX, INLINE_VALUE_BYTES_MAX};
use pbft::Digest;

/// Fetches everything from `server`, `limit` parts at a time; returns how many there were.
fn fetch(assembler: &mut Assembler, server: &Tree, limit: usize) -> usize {
    let mut fetched = 0;
    loop {
        let wanted = assembler.wanted(limit);
        if wanted.is_empty() {
            return fetched;
        }
        for id in wanted {
            let encoded = borsh::to_vec(&id).unwrap();
            assert!(encoded.len() <= PART_ID_BYTES_MAX);
            let part = server.part(&borsh::from_slice(&encoded).unwrap()).unwrap();
            assert!(part.len() <= PART_BYTES_MAX);
            assembler.accept(&id, &part).unwrap();
            assert_eq!(assembler.accept(&id, &part), Err(BadPart::NotWanted));
            fetched += 1;
        }
    }
}

fn assert_same(tree: &Tree, expected: &Tree) {
    assert_eq!(tree.root_digest(), expected.root_digest());
    assert_eq!(content(tree), content(expected));
    assert_eq!(tree_of(&content(tree)).root_digest(), expected.root_digest());
}

/// The bytes of a page that was decoded, and what they amount to.
fn encoded(page: &decode::PageClaim) -> (Vec<u8>, Totals) {
    let (mut bytes, mut totals) = (Vec::new(), Totals::ZERO);
    let (mut rest, mut large) = (page.buffer.as_slice(), page.large.iter());
    while !rest.is_empty() {
        let (key_bytes, value_bytes, behind) = split_entry_header(rest).unwrap();
        let is_inline = value_bytes <= INLINE_VALUE_BYTES_MAX;
        let taken = rest.len() - behind.len() + key_bytes + if is_inline { value_bytes } else { 0 };
        bytes.extend_from_slice(&rest[..taken]);
        if !is_inline {
            let claim = large.next().unwrap();
            assert_eq!(claim.bytes, value_bytes);
            claim.digests.iter().for_each(|digest| bytes.extend_from_slice(digest.as_bytes()));
        }
        totals = totals.plus(Totals::of_entry(key_bytes, value_bytes));
        rest = &rest[taken..];
    }
    assert_eq!(large.next(), None);
    (bytes, totals)
}

#[test]
fn decoded_page_with_a_large_value_has_one_encoding() {
    // A key of one byte, and a value of 0x1_0009 bytes, of which the page has two digests.
    let bytes = [&[1, 0, 9, 0, 1, 0, 9][..], &[2; 64]].concat();
    let page = decode::page(&bytes).unwrap();
    assert_eq!(encoded(&page).0, bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn transfers_any_tree_onto_any_base(base in any_map(60), changes in any_changes(40), limit in 1..20usize) {
        let (base, mut server) = (tree_of(&base), tree_of(&base));
        apply(&mut server, &changes);
        let mut assembler = Assembler::new(server.root_digest(), base);
        fetch(&mut assembler, &server, limit);
        assert_same(&assembler.finish().unwrap(), &server);
    }

    #[test]
    fn target_may_move_at_any_time(
        rounds in prop::collection::vec((any_changes(20), 0..12usize), 1..6),
        limit in 1..4usize,
    ) {
        let mut server = spread_tree(200);
        let mut assembler = Assembler::new(server.root_digest(), Tree::new());
        for (changes, steps) in rounds {
            for _ in 0..steps {
                for id in assembler.wanted(limit) {
                    let part = server.part(&id).unwrap();
                    assembler.accept(&id, &part).unwrap();
                }
            }
            apply(&mut server, &changes);
            assembler.retarget(server.root_digest());
        }
        fetch(&mut assembler, &server, limit);
        assert_same(&assembler.finish().unwrap(), &server);
    }

    #[test]
    fn lies_change_nothing(map in any_map(60), lies in prop::collection::vec(any::<prop::sample::Index>(), 30)) {
        let server = tree_of(&map);
        let other = spread_tree(50);
        other.root_digest();
        let mut assembler = Assembler::new(server.root_digest(), Tree::new());
        let mut lies = lies.into_iter();
        while let Some(id) = assembler.wanted(1).pop() {
            let part = server.part(&id).unwrap();
            if let Some(lie) = lies.next() {
                let mut bent = part.clone();
                let at = lie.index(bent.len());
                bent[at] ^= 0x10;
                for bad in [&bent[..], &part[..at], &[], &[part.as_slice(), &[0]].concat()] {
                    prop_assert_eq!(assembler.accept(&id, bad), Err(BadPart::WrongDigest));
                }
                let another = PartId { digest: other.root_digest(), ..id.clone() };
                prop_assert_eq!(assembler.accept(&another, &part), Err(BadPart::NotWanted));
                prop_assert_eq!(server.part(&another), None);
            }
            assembler.accept(&id, &part).unwrap();
        }
        assert_same(&assembler.finish().unwrap(), &server);
    }

    #[test]
    fn decoded_nodes_have_one_encoding(bytes in prop::collection::vec(prop::sample::select(vec![0, 1, 2, 9]), 0..120)) {
        if let Some(inner) = decode::inner(&bytes) {
            prop_assert_eq!(inner.encode(), &bytes[..]);
        }
        if let Some(page) = decode::page(&bytes) {
            let (encoded, totals) = encoded(&page);
            prop_assert_eq!(encoded, bytes);
            prop_assert_eq!(page.totals, totals);
        }
    }

    #[test]
    fn arbitrary_part_names_are_answered_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(id) = borsh::from_slice::<PartId>(&bytes) {
            prop_assert_eq!(spread_tree(100).part(&id), None);
            prop_assert_eq!(borsh::to_vec(&id).unwrap(), bytes);
        }
    }
}

#[test]
fn unchanged_subtrees_are_not_fetched_again() {
    let mut server = spread_tree(20_000);
    let base = server.clone();
    let (key, _) = spread_entry(77);
    server.put(&key, b"changed".to_vec());
    let mut assembler = Assembler::new(server.root_digest(), base);
    let fetched = fetch(&mut assembler, &server, 8);
    assert!(fetched < 30, "fetched {fetched} parts for one change");
    assert_same(&assembler.finish().unwrap(), &server);
}

#[test]
fn equal_and_empty_targets_need_no_parts() {
    let tree = spread_tree(100);
    for target in [&tree, &Tree::new()] {
        let assembler = Assembler::new(target.root_digest(), tree.clone());
        assert_eq!(assembler.wanted(9), []);
        assert_same(&assembler.finish().unwrap(), target);
    }
}

#[test]
fn fetched_content_survives_two_moves_of_the_target() {
    let mut server = spread_tree(5_000);
    let mut assembler = Assembler::new(server.root_digest(), Tree::new());
    let whole = fetch(&mut Assembler::new(server.root_digest(), Tree::new()), &server, 8);
    for _ in 0..whole / 8 * 9 / 10 {
        for id in assembler.wanted(8) {
            assembler.accept(&id, &server.part(&id).unwrap()).unwrap();
        }
    }
    for number in 0..2 {
        server.put(&spread_entry(number).0, b"changed".to_vec());
        assembler.retarget(server.root_digest());
    }
    let rest = fetch(&mut assembler, &server, 8);
    assert!(rest < whole / 5, "fetched {rest} of {whole} parts again");
    assert_same(&assembler.finish().unwrap(), &server);
}

/// Round trips count where replicas are far from each other, or busy.
#[test]
fn tree_is_fetched_in_few_round_trips() {
    let server = spread_tree(20_000);
    let mut assembler = Assembler::new(server.root_digest(), Tree::new());
    let mut round_trips = 0;
    while assembler.finish().is_none() {
        for id in assembler.wanted(usize::MAX) {
            assembler.accept(&id, &server.part(&id).unwrap()).unwrap();
        }
        round_trips += 1;
    }
    assert!(round_trips <= 5, "{round_trips}");
}

#[test]
fn part_that_came_too_late_is_used_for_the_next_target() {
    let mut server = spread_tree(5_000);
    let mut assembler = Assembler::new(server.root_digest(), Tree::new());
    let root = assembler.wanted(1).remove(0);
    assembler.accept(&root, &server.part(&root).unwrap()).unwrap();
    let late = assembler.wanted(1).remove(0);
    let part = server.part(&late).unwrap();
    server.put(b"\xff\xff", b"at the other end".to_vec());
    assembler.retarget(server.root_digest());
    assert_eq!(assembler.accept(&late, &part), Err(BadPart::NotWanted));
    assert_eq!(assembler.keep(&late, &part[1..]), Err(BadPart::WrongDigest));
    assembler.keep(&late, &part).unwrap();
    let root = assembler.wanted(1).remove(0);
    assembler.accept(&root, &server.part(&root).unwrap()).unwrap();
    assert!(!assembler.wanted(usize::MAX).contains(&late));
    fetch(&mut assembler, &server, 8);
    assert_same(&assembler.finish().unwrap(), &server);
}

#[test]
fn chunks_of_a_changed_value_are_reused() {
    let mut server = Tree::new();
    let mut value: Vec<u8> =
        (0..10 * CHUNK_BYTES_MAX).map(|at| (at / CHUNK_BYTES_MAX) as u8).collect();
    server.put(b"large", value.clone());
    server.put(b"small", vec![0; 100]);
    let mut assembler = Assembler::new(server.root_digest(), Tree::new());
    // The page and half of the chunks arrive before the target moves.
    for limit in [1, 5] {
        for id in assembler.wanted(limit) {
            assembler.accept(&id, &server.part(&id).unwrap()).unwrap();
        }
    }
    value[9 * CHUNK_BYTES_MAX] ^= 1;
    server.put(b"large", value);
    assembler.retarget(server.root_digest());
    assert!(fetch(&mut assembler, &server, 4) <= 7);
    let base = assembler.finish().unwrap();
    assert_same(&base, &server);
    // Now everything is there but the page with another small value in it.
    server.put(b"small", vec![1; 100]);
    let mut assembler = Assembler::new(server.root_digest(), base);
    assert_eq!(fetch(&mut assembler, &server, 4), 1);
    assert_same(&assembler.finish().unwrap(), &server);
}

#[test]
fn missing_parts_stay_few_and_the_stack_small() {
    let server = spread_tree(20_000);
    let mut assembler = Assembler::new(server.root_digest(), Tree::new());
    while assembler.finish().is_none() {
        for id in assembler.wanted(16) {
            assembler.accept(&id, &server.part(&id).unwrap()).unwrap();
        }
        assert!(assembler.frontier_len() < 2500);
    }
    let server = deep_tree(TREE_KEY_BYTES_MAX);
    server.root_digest();
    on_small_stack(|| {
        let mut assembler = Assembler::new(server.root_digest(), Tree::new());
        fetch(&mut assembler, &server, 1000);
        assert_eq!(assembler.finish().unwrap().root_digest(), server.root_digest());
    });
}

/// What a liar who could make replicas vouch for any digest would serve: nodes by digest.
#[derive(Default)]
struct Forger {
    /// Each alone.
    parts: BTreeMap<Digest, Vec<u8>>,
}

impl Forger {
    fn page(&mut self, entries: &[(&[u8], usize)]) -> Claim {
        let value = vec![0; 1024];
        let empty = Run { buffer: &[], large: &[] };
        let mut encoded = Vec::new();
        for (key, length) in entries {
            let run = empty.with(Entry { key, value: Value::Inline(&value[..*length]) });
            encoded.extend(run.buffer);
        }
        let totals = Run { buffer: &encoded, large: &[] }.totals();
        self.add(PartKind::Page, &encoded, totals)
    }

    fn inner(&mut self, bit: u16, children: [Claim; 2]) -> Claim {
        let [left, right] = children.map(|child| child.totals);
        self.add(PartKind::Inner, &InnerClaim { bit, children }.encode(), left.plus(right))
    }

    fn add(&mut self, kind: PartKind, content: &[u8], totals: Totals) -> Claim {
        let digest = kind.digest(content);
        self.parts.insert(digest, kind.part(content));
        Claim { digest, totals }
    }

    /// The part with this digest; for an inner node with those below it.
    fn part(&self, digest: Digest) -> Vec<u8> {
        let mut part = self.parts[&digest].clone();
        let mut stack = self.inner_below(&part, 1);
        while let Some((digest, level)) = stack.pop() {
            let below = &self.parts[&digest];
            part.extend_from_slice(&below[1..]);
            stack.extend(self.inner_below(below, level));
        }
        part
    }

    fn inner_below(&self, part: &[u8], level: usize) -> Vec<(Digest, usize)> {
        if part[0] != PartKind::Inner as u8 || level == INNER_LEVELS {
            return Vec::new();
        }
        let claim: InnerClaim = borsh::from_slice(&part[1..]).unwrap();
        let inner = claim.children.iter().rev().filter(|child| !child.totals.fit_page());
        inner.map(|child| (child.digest, level + 1)).collect()
    }

    /// What happens to who fetches the tree with this root.
    fn serve(&self, root: Claim) -> Result<Option<Tree>, BadPart> {
        let mut assembler = Assembler::new(root.digest, Tree::new());
        while let Some(id) = assembler.wanted(1).pop() {
            if let Err(bad) = assembler.accept(&id, &self.part(id.digest)) {
                if bad == BadPart::WrongDigest {
                    return Err(bad);
                }
                assert_eq!(assembler.wanted(1), []);
                assert!(assembler.finish().is_none());
                assembler.retarget(Tree::new().root_digest());
                assert!(assembler.finish().is_some_and(|tree| tree.is_empty()));
                return Err(bad);
            }
        }
        Ok(assembler.finish())
    }
}

#[test]
fn roots_that_are_no_state_are_refused_without_panic() {
    let mut forger = Forger::default();
    let entry: (&[u8], usize) = (b"a", 1000);
    let a = forger.page(&[(b"a", 1000), (b"aa", 1000), (b"ab", 1000)]);
    let b = forger.page(&[(b"b", 1000), (b"ba", 1000), (b"bb", 1000)]);
    let small = forger.page(&[(b"b", 10)]);
    // "a" is 0x61 and "b" is 0x62: bit 0 says that there is a byte, they differ at its seventh.
    let bit = 7;
    let good = forger.inner(bit, [a, b]);
    assert!(forger.serve(good).unwrap().is_some());

    let swapped = forger.inner(bit, [b, a]);
    let elsewhere = forger.inner(bit + 1, [a, b]);
    let tiny = forger.page(&[(b"a", 10)]);
    let should_be_page = forger.inner(bit, [tiny, small]);
    let twice = forger.inner(bit, [a, a]);
    let lying_totals = Claim { totals: a.totals.plus(b.totals), ..a };
    let lying = forger.inner(bit, [lying_totals, b]);
    let beyond = forger.inner(BIT_MAX + 1, [a, b]);
    let huge = Claim { totals: Totals { entries: u64::MAX, ..a.totals }, ..a };
    let huge = InnerClaim { bit, children: [huge, huge] }.encode();
    let huge = forger.add(PartKind::Inner, &huge, a.totals);
    let not_growing = forger.inner(bit, [good, b]);
    let empty = forger.add(PartKind::Page, &[], Totals::ZERO);
    let unsorted = forger.page(&[(b"b", 1), (b"a", 1)]);
    let repeated = forger.page(&[entry, entry]);
    let too_large = forger.page(&[(b"a", 1024), (b"b", 1024), (b"c", 1024), (b"d", 1024)]);
    let overlong = forger.page(&[(&[0; TREE_KEY_BYTES_MAX + 1], 0)]);
    let cut = forger.add(PartKind::Page, &[1, 0, 9, 0, 0, 0, b'a', 1], Totals::ZERO);
    let chunk = forger.add(PartKind::Chunk, b"chunk", Totals::ZERO);
    let vast = forger.add(PartKind::Page, &[1, 0, 255, 255, 255, 255, b'a', 1], Totals::ZERO);
    // What is said to be an inner node and is a page nobody can hand over as part of another one.
    assert_eq!(forger.serve(lying).unwrap_err(), BadPart::WrongDigest);
    for root in [
        swapped,
        elsewhere,
        should_be_page,
        twice,
        beyond,
        huge,
        not_growing,
        empty,
        unsorted,
        repeated,
        too_large,
        overlong,
        cut,
        chunk,
        vast,
    ] {
        assert_eq!(forger.serve(root).unwrap_err(), BadPart::NoState);
    }
}

#[test]
fn chunks_of_another_length_than_claimed_are_refused() {
    let mut forger = Forger::default();
    let chunk = forger.add(PartKind::Chunk, &[7; 2000], Totals::ZERO);
    let mut page = vec![1, 0, 0x08, 0x07, 0, 0, b'k'];
    page.extend_from_slice(chunk.digest.as_bytes());
    let root = forger.add(PartKind::Page, &page, Totals::ZERO);
    assert_eq!(forger.serve(root).unwrap_err(), BadPart::NoState);
}

#[test]
fn endless_chain_ends_where_keys_do() {
    let mut forger = Forger::default();
    let page = forger.page(&[(b"a", 1000), (b"aa", 1000), (b"ab", 1000), (b"ac", 900)]);
    let mut root = page;
    // The lowest nodes repeat bits, so the chain is longer than any key.
    for bit in (0..=BIT_MAX).chain(BIT_MAX - 20..=BIT_MAX).rev() {
        root = forger.inner(bit, [root, page]);
    }
    on_small_stack(|| assert_eq!(forger.serve(root).unwrap_err(), BadPart::NoState));
}

#[test]
fn forged_tree_equals_the_real_one() {
    let mut forger = Forger::default();
    let root = forger.page(&[(b"a", 100), (b"b", 100)]);
    let real = tree_of(&Map::from([(b"a".to_vec(), vec![0; 100]), (b"b".to_vec(), vec![0; 100])]));
    assert_eq!(real.root_digest(), root.digest);
    assert_eq!(real.root.as_deref().map(Node::totals), Some(root.totals));
}
