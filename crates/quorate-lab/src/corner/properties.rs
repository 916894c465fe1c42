//! What must hold in every situation.

use super::REPLICA_COUNT;
use super::THRESHOLDS;
use super::choices::Choices;
use super::lies::view_change;
use super::nodes::{Heard, MessageId, Nodes};
use super::stages::Situation;
use crate::restated;
use pbft::message::{ViewChange, Vote};
use pbft::{Digest, Message, SeqNum, View};
use std::collections::{BTreeMap, BTreeSet};

/// The digests that are committed somewhere, or would be if messages that exist were delivered, by
/// number: COMMITs of a quorum in one view, of which the liars supply theirs.
fn certifiable(
    nodes: &Nodes,
    liar_count: usize,
    all: &Situation,
) -> BTreeMap<SeqNum, BTreeSet<(Digest, View)>> {
    let mut count: BTreeMap<Vote, usize> = BTreeMap::new();
    for node in all.nodes().map(|id| nodes.node(id)) {
        for message in node.said.iter().map(|id| nodes.message(*id)) {
            if let Message::Commit(vote) = message {
                *count.entry(*vote).or_default() += 1;
            }
        }
    }
    let mut certifiable: BTreeMap<SeqNum, BTreeSet<(Digest, View)>> = BTreeMap::new();
    for (vote, _) in count.into_iter().filter(|(_, count)| count + liar_count >= THRESHOLDS.quorum)
    {
        certifiable.entry(vote.seq).or_default().insert((vote.digest, vote.view));
    }
    certifiable
}

/// Agreement: at no number two digests are committed at correct replicas, or could be.
pub(super) fn disagreement(choices: &Choices, all: &Situation) -> Option<String> {
    let nodes = &choices.nodes;
    let mut agreed: BTreeMap<SeqNum, BTreeSet<Digest>> = BTreeMap::new();
    for (seq, digests) in certifiable(nodes, choices.liars.ids.len(), all) {
        agreed.entry(seq).or_default().extend(digests.into_iter().map(|(digest, _)| digest));
    }
    for node in all.nodes().map(|id| nodes.node(id)) {
        for (seq, digest) in &node.committed {
            agreed.entry(*seq).or_default().insert(*digest);
        }
    }
    let (seq, digests) = agreed.into_iter().find(|(_, digests)| digests.len() > 1)?;
    let digests: Vec<String> = digests.iter().map(Digest::to_string).collect();
    Some(format!("agreement: {} are committed at number {seq}", digests.join(" and ")))
}

/// What was found out about the VIEW-CHANGEs of correct replicas for a view, and what must be
/// chosen.
pub(super) type Judged = BTreeMap<(View, Vec<MessageId>, Vec<(SeqNum, Digest)>), bool>;

/// Committed implies that the new-view decision can only choose it: on whichever quorum of the
/// VIEW-CHANGEs for `view`, lies included, it chooses that or is undecided.
pub(super) fn wrong_choice(
    choices: &mut Choices,
    judged: &mut Judged,
    view: View,
    all: &Situation,
) -> Option<String> {
    let liar_count = choices.liars.ids.len();
    let committed: Vec<(SeqNum, Digest)> = certifiable(&choices.nodes, liar_count, all)
        .into_iter()
        .flat_map(|(seq, digests)| digests.into_iter().map(move |(digest, of)| (seq, digest, of)))
        .filter(|(_, _, of)| *of < view)
        .map(|(seq, digest, _)| (seq, digest))
        .collect();
    if committed.is_empty() {
        return None;
    }
    let sent = choices.view_changes(view, all);
    if sent.len() + liar_count < THRESHOLDS.quorum {
        return None;
    }
    let key = (view, sent, committed);
    let holds = match judged.get(&key) {
        Some(known) => *known,
        None => {
            let holds = only_choice(choices, view, &key.1, &key.2);
            judged.insert(key, holds);
            holds
        }
    };
    (!holds).then(|| format!("committed, but a quorum chooses otherwise for view {view}"))
}

fn only_choice(
    choices: &mut Choices,
    view: View,
    sent: &[MessageId],
    committed: &[(SeqNum, Digest)],
) -> bool {
    let Choices { nodes, liars, .. } = choices;
    debug_assert!(sent.len() < REPLICA_COUNT as usize, "somebody is faulty");
    liars.quorums(nodes, view, sent).into_iter().all(|set| {
        let used: Vec<&ViewChange> = set
            .iter()
            .filter_map(|id| view_change(nodes, *id))
            .map(|signed| &signed.body)
            .collect();
        committed.iter().all(|(seq, digest)| {
            restated::choice(THRESHOLDS, &used, *seq).is_none_or(|chosen| chosen == *digest)
        })
    })
}

/// A view change always ends: once the correct replicas have told each other of the NEW-VIEWs they
/// hold and have their batches, their VIEW-CHANGEs alone decide, whatever happened before.
pub(super) fn standstill(choices: &mut Choices, view: View, all: &Situation) -> Option<String> {
    let nodes = &mut choices.nodes;
    let mut known: BTreeMap<String, Heard> = BTreeMap::new();
    for at in all.nodes() {
        known.extend(nodes.node(at).new_views.clone());
    }
    let mut told = Vec::new();
    for at in all.nodes() {
        let held = &nodes.node(at).new_views;
        let news = known.iter().filter(|(key, _)| !held.contains_key(*key)).map(|(_, id)| *id);
        let batches = nodes.batches();
        let heard = [batches.clone(), news.collect(), batches].concat();
        let informed = nodes.hearing(at, heard);
        told.push(nodes.next_view_change(informed, view));
    }
    let told: Vec<&ViewChange> = told.iter().collect();
    let log_window = nodes.cast.config.parameters.log_window;
    let stands_still = told.len() >= THRESHOLDS.quorum
        && restated::decide(THRESHOLDS, &told, log_window).is_none();
    stands_still.then(|| "a view change cannot end".to_owned())
}
