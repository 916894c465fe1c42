//! The views of the cluster as a whole: when each began, and when it was given up.

use super::replica;
use crate::trace::Line;
use std::collections::BTreeMap;

/// A view, and when the cluster was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Period {
    pub(in crate::report) view: u64,
    /// When the first replica was active in it.
    pub(in crate::report) from: u64,
    /// When f+1 replicas had left it, which no f faulty ones can bring about alone.
    pub(in crate::report) until: Option<u64>,
}

pub(super) fn read(replica_count: u32, lines: &[Line]) -> Vec<Period> {
    let enough = (replica_count as usize - 1) / 3 + 1;
    let mut periods = vec![Period { view: 0, from: 0, until: None }];
    let mut heads_for: BTreeMap<u32, u64> = BTreeMap::new();
    for line in lines {
        let Line::Event(event) = line else { continue };
        let (Some(view), Some(id)) = (event.view, replica(event.replica)) else { continue };
        let current = periods.last_mut().expect("the first view is always there");
        match event.event {
            "view change started" => {
                heads_for.insert(id, view);
                let gone = heads_for.values().filter(|view| **view > current.view).count();
                if gone >= enough {
                    current.until.get_or_insert(event.at);
                }
            }
            "view entered" if view > current.view => {
                current.until.get_or_insert(event.at);
                periods.push(Period { view, from: event.at, until: None });
            }
            _ => {}
        }
    }
    periods
}
