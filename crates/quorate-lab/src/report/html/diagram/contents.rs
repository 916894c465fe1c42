//! What is in a picture, for its legend.

use super::{Frame, marks};
use crate::report::html::phase;
use crate::trace::Fate;

impl Frame<'_> {
    /// How many messages of a sort there are, to be shown when somebody asks.
    pub(in crate::report::html) fn count(&self, sort: &str) -> usize {
        self.arrows.iter().filter(|arrow| self.sort(arrow).trim_start() == sort).count()
    }

    /// How many messages of a kind there are.
    pub(in crate::report::html) fn count_kind(&self, class: &str) -> usize {
        self.arrows.iter().filter(|arrow| phase::of(arrow.message.kind).class == class).count()
    }

    /// Whether there is such a mark.
    pub(in crate::report::html) fn has_mark(&self, mark: &marks::Mark) -> bool {
        self.events().any(|event| {
            marks::of(event).is_some_and(|it| it.class == mark.class && it.glyph == mark.glyph)
        })
    }

    /// Whether messages name rival digests.
    pub(in crate::report::html) fn rivals(&self) -> usize {
        let ranks = self.arrows.iter().filter(|arrow| self.sort(arrow) != " more");
        let ranks = ranks.filter_map(|arrow| self.reading.rivals.rank(arrow.message));
        ranks.max().map_or(0, |rank| rank + 1)
    }

    pub(in crate::report::html) fn has_proofs(&self) -> bool {
        self.arrows.iter().any(|arrow| arrow.convicts.is_some())
    }

    pub(in crate::report::html) fn has_questions(&self) -> bool {
        self.arrows.iter().any(|arrow| arrow.asks_for_proof)
    }

    pub(in crate::report::html) fn has_refusals(&self) -> bool {
        self.arrows.iter().any(|arrow| arrow.is_refused_as_a_lie())
    }

    pub(in crate::report::html) fn has_losses(&self) -> bool {
        self.arrows.iter().any(|arrow| matches!(arrow.message.fate, Fate::Lost | Fate::Down))
    }

    pub(in crate::report::html) fn has_faults(&self) -> bool {
        let (from, to) = (self.stretch.from, self.stretch.to);
        self.reading.faults.iter().any(|(at, _)| (from..=to).contains(at))
    }
}
