//! The tree as a map, and its shape.

use super::naive::naive_digest;
use super::*;
use crate::tree::namespace::{Namespace, NamespaceMut};
use crate::tree::{TREE_KEY_BYTES_MAX, VALUE_BYTES_MAX};
use pbft::{Digest, State, StateRead};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_an_ordered_map(changes in any_changes(150), probes in prop::collection::vec(any_key(), 20)) {
        let (mut tree, mut map) = (Tree::new(), Map::new());
        for change in &changes {
            apply(&mut tree, std::slice::from_ref(change));
            apply_to_map(&mut map, std::slice::from_ref(change));
            prop_assert_eq!(tree.len(), map.len() as u64);
        }
        prop_assert_eq!(&content(&tree), &map);
        prop_assert_eq!(tree.is_empty(), map.is_empty());
        let bytes: usize = map.iter().map(|(key, value)| key.len() + value.len()).sum();
        prop_assert_eq!(tree.bytes(), bytes as u64);
        for key in probes.iter().chain(map.keys()) {
            prop_assert_eq!(tree.get(key), map.get(key).map(Vec::as_slice));
        }
    }

    #[test]
    fn scans_exactly_the_range(map in any_map(60), start in any_key(), end in any_key(), count in 0..9usize) {
        let tree = tree_of(&map);
        let expected: Vec<_> = map.keys().filter(|key| **key >= start && **key < end).collect();
        let mut visited = Vec::new();
        tree.scan(&start, Some(&end), &mut |key, _| { visited.push(key.to_vec()); true });
        prop_assert!(visited.iter().eq(expected.iter().copied()));
        let mut first = Vec::new();
        tree.scan(&start, None, &mut |key, _| { first.push(key.to_vec()); first.len() < count.max(1) });
        prop_assert!(first.iter().eq(map.range(start..).map(|(key, _)| key).take(count.max(1))));
    }

    #[test]
    fn digest_depends_on_the_content_alone(map in any_map(60), history in any_changes(80), order in any::<u64>()) {
        // First an arbitrary history, whose traces are then removed one by one, in a shuffled order.
        let mut tree = Tree::new();
        apply(&mut tree, &history);
        let mut last: Vec<Change> = map.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        last.extend(history.iter().filter(|(key, _)| !map.contains_key(key)).map(|(key, _)| (key.clone(), None)));
        last.sort_by_key(|(key, _)| Digest::of("shuffle", &[&order.to_le_bytes(), key]));
        apply(&mut tree, &last);
        prop_assert_eq!(tree.root_digest(), naive_digest(&map));
        prop_assert_eq!(tree_of(&map).root_digest(), naive_digest(&map));
    }

    #[test]
    fn digests_kept_between_changes_never_go_stale(rounds in prop::collection::vec(any_changes(25), 0..8)) {
        let (mut tree, mut map) = (Tree::new(), Map::new());
        let mut snapshots = Vec::new();
        for changes in &rounds {
            apply(&mut tree, changes);
            apply_to_map(&mut map, changes);
            // Every other snapshot is digested only after the tree has gone on.
            if snapshots.len() % 2 == 0 {
                prop_assert_eq!(tree.root_digest(), naive_digest(&map));
            }
            snapshots.push((tree.clone(), map.clone()));
        }
        for (snapshot, map) in snapshots {
            prop_assert_eq!(snapshot.root_digest(), naive_digest(&map));
            prop_assert_eq!(content(&snapshot), map);
        }
    }
}

#[test]
fn snapshot_is_hashed_on_another_thread_while_the_tree_changes() {
    let mut tree = spread_tree(2_000);
    let before = content(&tree);
    for round in 0..4_u64 {
        let snapshot = tree.clone();
        let expected = naive_digest(&content(&snapshot));
        std::thread::scope(|scope| {
            let hashed = scope.spawn(|| snapshot.root_digest());
            for number in 0..500 {
                let (key, _) = spread_entry(number);
                tree.put(&key, round.to_le_bytes().to_vec());
            }
            assert_eq!(hashed.join().unwrap(), expected);
        });
    }
    assert_eq!(tree.root_digest(), naive_digest(&content(&tree)));
    for number in 0..500 {
        let (key, value) = spread_entry(number);
        tree.put(&key, value);
    }
    assert_eq!(tree.root_digest(), naive_digest(&before));
}

#[test]
fn tree_as_deep_as_keys_allow_needs_no_deep_stack() {
    let tree = deep_tree(TREE_KEY_BYTES_MAX);
    on_small_stack(move || {
        let mut tree = tree;
        let digest = tree.root_digest();
        assert_eq!(content(&tree).len() as u64, tree.len());
        let key = vec![0; TREE_KEY_BYTES_MAX];
        tree.put(&key, vec![1]);
        assert_ne!(tree.root_digest(), digest);
        tree.delete(&key);
        assert_eq!(tree.root_digest(), digest);
        let snapshot = tree.clone();
        drop(tree);
        drop(snapshot);
    });
}

#[test]
fn largest_entries_are_pages_of_their_own() {
    let mut tree = Tree::new();
    for last in [0, 1, 2] {
        let mut key = vec![0; TREE_KEY_BYTES_MAX];
        key[TREE_KEY_BYTES_MAX - 1] = last;
        tree.put(&key, vec![last; VALUE_BYTES_MAX]);
    }
    let digest = tree.root_digest();
    let other = vec![9; TREE_KEY_BYTES_MAX];
    tree.put(&other, vec![]);
    tree.delete(&other);
    assert_eq!(tree.root_digest(), digest);
    assert_eq!(digest, naive_digest(&content(&tree)));
}

#[test]
fn overlong_keys_are_absent_and_bound_scans() {
    let longest = vec![5; TREE_KEY_BYTES_MAX];
    let mut tree = Tree::new();
    tree.put(&longest, b"value".to_vec());
    tree.put(b"\x06", b"behind".to_vec());
    let longer = vec![5; 3 * TREE_KEY_BYTES_MAX];
    assert_eq!(tree.get(&longer), None);
    tree.delete(&longer);
    let mut visited = Vec::new();
    tree.scan(&longer, None, &mut |_, value| {
        visited.push(value.to_vec());
        true
    });
    assert_eq!(visited, [b"behind"]);
}

#[test]
#[should_panic(expected = "too long")]
fn writing_an_overlong_key_is_a_bug_in_the_writer() {
    Tree::new().put(&[0; TREE_KEY_BYTES_MAX + 1], vec![]);
}

#[test]
fn namespace_shows_its_own_keys_only() {
    let mut tree = Tree::new();
    for prefix in [&b"\x01"[..], b"\xfe", b"\xff\xff"] {
        let mut space = NamespaceMut::new(&mut tree, prefix);
        for key in [&b""[..], b"a", b"b", b"\xff\xff\xff"] {
            space.put(key, prefix.to_vec());
        }
        space.put(b"gone", vec![]);
        space.delete(b"gone");
    }
    let scanned = |prefix: &[u8], start: &[u8], end: Option<&[u8]>| {
        let mut keys = Vec::new();
        Namespace::new(&tree, prefix).scan(start, end, &mut |key, value| {
            keys.push(key.to_vec());
            assert_eq!(value, prefix);
            true
        });
        keys
    };
    assert_eq!(scanned(b"\x01", b"", None), [&b""[..], b"a", b"b", b"\xff\xff\xff"]);
    assert_eq!(scanned(b"\x01", b"a", Some(b"b")), [b"a"]);
    assert_eq!(scanned(b"\xff\xff", b"b", None), [&b"b"[..], b"\xff\xff\xff"]);
    assert_eq!(Namespace::new(&tree, b"\x01").get(b"a"), Some(b"\x01".to_vec()));
    assert_eq!(Namespace::new(&tree, b"\x02").get(b"a"), None);
}
