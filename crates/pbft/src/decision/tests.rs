use super::*;
use crate::{ReplicaId, View};
use alloc::vec;
use proptest::prelude::*;

const PERIOD: u64 = 4;
const WINDOW: u64 = 8;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn checkpoint_id(byte: u8) -> CheckpointId {
    CheckpointId { state_root: digest(byte), history_root: digest(byte) }
}

fn entry(seq: u64, byte: u8, view: u64) -> PreparedEntry {
    PreparedEntry { seq: SeqNum::new(seq), digest: digest(byte), view: View::new(view) }
}

/// A VIEW-CHANGE whose checkpoints are the right ones from `low` up to `high`.
fn view_change(low: u64, high: u64, p: &[PreparedEntry], q: &[PreparedEntry]) -> ViewChange {
    let checkpoints = (low..=high)
        .step_by(PERIOD as usize)
        .map(|seq| (SeqNum::new(seq), checkpoint_id(seq as u8)))
        .collect();
    ViewChange {
        new_view: View::new(9),
        replica: ReplicaId::ZERO,
        low_water_mark: SeqNum::new(low),
        checkpoints,
        prepared: p.to_vec(),
        pre_prepared: q.to_vec(),
    }
}

fn decide_4(view_changes: &[ViewChange]) -> Option<Decision> {
    let references: Vec<&ViewChange> = view_changes.iter().collect();
    decide(Quorums::new(4).unwrap(), WINDOW, &references)
}

fn chosen(view_changes: &[ViewChange]) -> Option<(u64, Vec<Digest>)> {
    decide_4(view_changes).map(|d| (d.checkpoint.0.get(), d.chosen))
}

/// [NV2] With nothing prepared the view starts from the stable checkpoint with nothing chosen.
#[test]
fn nothing_prepared_means_nothing_chosen() {
    let silent = view_change(0, 0, &[], &[]);
    assert_eq!(chosen(&[silent.clone(), silent.clone(), silent]), Some((0, vec![])));
}

/// [NV2] Rule A: what prepared at one correct replica, vouched for by f+1, is chosen; gaps below it
/// are null.
#[test]
fn prepared_digest_with_f_plus_1_vouchers_is_chosen_and_gaps_are_null() {
    let q = [entry(3, 1, 0)];
    let prepared = view_change(0, 0, &[entry(3, 1, 0)], &q);
    let vouching = view_change(0, 0, &[], &q);
    let silent = view_change(0, 0, &[], &[]);
    let expected = vec![Batch::NULL, Batch::NULL, digest(1)];
    assert_eq!(chosen(&[prepared, vouching, silent]), Some((0, expected)));
}

/// [NV2] A fabricated P entry, which no correct replica vouches for, is not chosen; and the
/// decision waits for one VIEW-CHANGE more than a quorum [NV1].
#[test]
fn fabricated_entry_is_never_chosen_and_the_decision_waits_for_the_last_correct_replica() {
    let liar = view_change(0, 0, &[entry(1, 66, 8)], &[entry(1, 66, 8)]);
    let silent = view_change(0, 0, &[], &[]);
    let mut held = vec![liar, silent.clone(), silent.clone()];
    assert_eq!(chosen(&held), None, "only two of the three have no entry");
    held.push(silent);
    assert_eq!(chosen(&held), Some((0, vec![])));
}

/// [NV2] Of two digests prepared in different views the later one is chosen.
#[test]
fn later_view_wins_between_two_prepared_digests() {
    let earlier = view_change(0, 0, &[entry(1, 1, 1)], &[entry(1, 1, 1)]);
    let later = view_change(0, 0, &[entry(1, 2, 2)], &[entry(1, 2, 2)]);
    let vouching = view_change(0, 0, &[], &[entry(1, 2, 2)]);
    let silent = view_change(0, 0, &[], &[]);
    let decided = chosen(&[earlier, later, vouching, silent]);
    assert_eq!(decided, Some((0, vec![digest(2)])));
}

/// [NV2] Another digest said to be prepared in the same view contradicts: only one of the two can
/// be true, and the decision waits until it is known which.
#[test]
fn two_digests_prepared_in_one_view_contradict_each_other() {
    let first = view_change(0, 0, &[entry(1, 1, 3)], &[entry(1, 1, 3)]);
    let second = view_change(0, 0, &[entry(1, 2, 3)], &[entry(1, 2, 3)]);
    let vouching = view_change(0, 0, &[], &[entry(1, 1, 3)]);
    let silent = view_change(0, 0, &[], &[]);
    assert_eq!(chosen(&[first.clone(), second.clone(), vouching.clone()]), None);
    let decided = chosen(&[first, second, vouching, silent]);
    assert_eq!(decided, Some((0, vec![digest(1)])));
}

/// [NV2] The two counts for the checkpoint range over all VIEW-CHANGEs independently: exactly f of
/// them one checkpoint ahead, or f+1, must both lead to a decision.
#[test]
fn checkpoint_counts_are_independent_of_each_other() {
    let behind = view_change(0, 0, &[], &[]);
    let ahead = view_change(4, 4, &[], &[]);
    let holds_both = view_change(0, 4, &[], &[]);
    let f_ahead = [ahead.clone(), behind.clone(), behind.clone(), behind.clone()];
    assert_eq!(chosen(&f_ahead), Some((0, vec![])));
    let f_plus_1_ahead = [ahead.clone(), ahead.clone(), behind.clone(), behind.clone()];
    assert_eq!(chosen(&f_plus_1_ahead), Some((4, vec![])));
    let supported = [ahead, holds_both, behind.clone(), behind];
    assert_eq!(chosen(&supported), Some((4, vec![])), "h itself counts as listed in C");
}

/// [NV2] A checkpoint that one liar invents is not chosen.
#[test]
fn checkpoint_without_f_plus_1_supporters_is_not_chosen() {
    let mut liar = view_change(0, 0, &[], &[]);
    liar.checkpoints.push((SeqNum::new(8), checkpoint_id(99)));
    let silent = view_change(0, 0, &[], &[]);
    let decided = chosen(&[liar, silent.clone(), silent]);
    assert_eq!(decided, Some((0, vec![])));
}

/// [NV6] The tail that is omitted has been decided: an undecided number in it is no decision.
#[test]
fn undecided_number_in_the_tail_prevents_the_decision() {
    let q = [entry(1, 1, 0), entry(5, 7, 0)];
    let first = view_change(0, 0, &[entry(1, 1, 0), entry(5, 7, 0)], &q);
    let second = view_change(0, 0, &[entry(1, 1, 0)], &[entry(1, 1, 0)]);
    let silent = view_change(0, 0, &[], &[]);
    let held = vec![first, second.clone(), silent.clone()];
    assert_eq!(chosen(&held), None, "number 5 has one voucher, and too few are silent");
    let mut more = held;
    more.push(silent);
    assert_eq!(chosen(&more), Some((0, vec![digest(1)])));
}

/// [VC9] A null request that prepared is chosen like any other, and trimmed from the end.
#[test]
fn prepared_null_request_is_chosen_and_trimmed_at_the_end() {
    let null = PreparedEntry { digest: Batch::NULL, ..entry(1, 0, 3) };
    let prepared = view_change(0, 0, &[null], &[null]);
    let decided = chosen(&[prepared.clone(), prepared.clone(), prepared]);
    assert_eq!(decided, Some((0, vec![])));
}

/// The decision as the paper writes it, number by number and quantifier by quantifier, with its own
/// arithmetic. Returns every justifiable choice, not one.
mod naive {
    use super::*;

    pub(super) struct Rules<'a> {
        pub(super) n: usize,
        pub(super) s: &'a [ViewChange],
    }

    impl Rules<'_> {
        fn f(&self) -> usize {
            (self.n - 1) / 3
        }

        fn q(&self) -> usize {
            (self.n + self.f()) / 2 + 1
        }

        pub(super) fn start(&self) -> Option<(SeqNum, CheckpointId)> {
            let mut best = None;
            for m in self.s {
                for c in &m.checkpoints {
                    let support = self.s.iter().filter(|o| o.checkpoints.contains(c)).count();
                    let below = self.s.iter().filter(|o| o.low_water_mark <= c.0).count();
                    if support > self.f() && below >= self.q() && best.is_none_or(|b| b < *c) {
                        best = Some(*c);
                    }
                }
            }
            best
        }

        fn p(m: &ViewChange, n: SeqNum) -> Option<&PreparedEntry> {
            m.prepared.iter().find(|e| e.seq == n)
        }

        fn rule_a(&self, n: SeqNum, candidate: &PreparedEntry) -> bool {
            let mut a1 = 0;
            let mut a2 = 0;
            for m in self.s {
                let harmless = Self::p(m, n).is_none_or(|e| {
                    e.view < candidate.view
                        || (e.view == candidate.view && e.digest == candidate.digest)
                });
                if m.low_water_mark < n && harmless {
                    a1 += 1;
                }
                let vouches = |e: &&PreparedEntry| {
                    e.seq == n && e.digest == candidate.digest && e.view >= candidate.view
                };
                if m.pre_prepared.iter().find(vouches).is_some() {
                    a2 += 1;
                }
            }
            a1 >= self.q() && a2 > self.f()
        }

        pub(super) fn justifiable(&self, n: SeqNum) -> Vec<Digest> {
            let by_a: Vec<Digest> = self
                .s
                .iter()
                .filter_map(|m| Self::p(m, n))
                .filter(|candidate| self.rule_a(n, candidate))
                .map(|candidate| candidate.digest)
                .collect();
            if !by_a.is_empty() {
                return by_a;
            }
            let silent =
                self.s.iter().filter(|m| m.low_water_mark < n && Self::p(m, n).is_none()).count();
            if silent >= self.q() { vec![Batch::NULL] } else { vec![] }
        }
    }
}

fn any_entries(low: u64) -> impl Strategy<Value = Vec<PreparedEntry>> {
    let one = (1..=WINDOW, 1..4u8, 0..4u64);
    prop::collection::vec(one, 0..4).prop_map(move |raw| {
        let by_seq: BTreeMap<u64, PreparedEntry> = raw
            .into_iter()
            .map(|(offset, byte, view)| (offset, entry(low + offset, byte, view)))
            .collect();
        by_seq.into_values().collect()
    })
}

fn any_view_change() -> impl Strategy<Value = ViewChange> {
    (0..3u64, 0..2u64, any::<bool>()).prop_flat_map(|(low, more, lies)| {
        let low = low * PERIOD;
        (any_entries(low), any_entries(low)).prop_map(move |(p, mut q)| {
            // Most VIEW-CHANGEs vouch for what they prepared.
            if !lies {
                let mut merged: BTreeMap<SeqNum, PreparedEntry> =
                    q.iter().map(|e| (e.seq, *e)).collect();
                merged.extend(p.iter().map(|e| (e.seq, *e)));
                q = merged.into_values().collect();
            }
            view_change(low, low + more * PERIOD, &p, &q)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// [NV2] The decision agrees with the paper's rules applied literally: same start, decided
    /// exactly when every number is, every choice justifiable, and the omitted tail null.
    #[test]
    fn decision_agrees_with_the_rules_applied_literally(
        n in 4..=7usize,
        all in prop::collection::vec(any_view_change(), 7),
        count in 3..=7usize,
    ) {
        let held = &all[..count.min(n)];
        let rules = naive::Rules { n, s: held };
        let references: Vec<&ViewChange> = held.iter().collect();
        let decision = decide(Quorums::new(n as u32).unwrap(), WINDOW, &references);
        let start = rules.start();
        let choices: Option<Vec<Vec<Digest>>> = start.and_then(|(h, _)| {
            (1..=WINDOW)
                .map(|offset| Some(rules.justifiable(h.plus(offset))).filter(|c| !c.is_empty()))
                .collect()
        });
        match (decision, choices) {
            (None, None) => {}
            (Some(decision), Some(choices)) => {
                prop_assert_eq!(Some(decision.checkpoint), start);
                for (index, justifiable) in choices.iter().enumerate() {
                    let chosen = decision.chosen.get(index).copied().unwrap_or(Batch::NULL);
                    prop_assert!(justifiable.contains(&chosen), "number {}", index + 1);
                }
                prop_assert!(decision.chosen.last() != Some(&Batch::NULL), "trimmed");
            }
            (decision, choices) => {
                prop_assert!(false, "decided {:?}, literally {:?}", decision, choices);
            }
        }
    }
}
