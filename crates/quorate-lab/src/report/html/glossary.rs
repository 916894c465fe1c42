//! The few words that a reader needs, with the numbers of this run.

use crate::scenario::Scenario;
use core::fmt::Write;
use pbft::ReplyRule;

pub(super) fn write(out: &mut String, scenario: &Scenario) {
    let options = &scenario.options;
    let (n, f) = (options.replica_count, options.fault_bound());
    let quorum = (n + f) / 2 + 1;
    let believes = match options.client.reply_rule {
        ReplyRule::AlwaysQuorum => format!("a quorum, {quorum}, of equal REPLYs"),
        ReplyRule::WeakUnlessTentative => format!(
            "a weak quorum, {}, of equal REPLYs (a quorum, {quorum}, while some are tentative)",
            f + 1
        ),
    };
    let tentative = match options.parameters.tentative_execution {
        true => {
            " A batch that has prepared is executed tentatively: clients are answered before it is \
             committed, and it is undone if its view ends first."
        }
        false => "",
    };
    let words = [
        (
            "Batch, digest",
            "the requests that get one sequence number, and the beginning of their hash; a batch may \
             be empty."
                .to_owned(),
        ),
        (
            "Quorum, weak quorum",
            format!(
                "{quorum} of the n = {n} replicas, so that any two share a correct one; f+1 = {}, so \
                 that one is correct.",
                f + 1
            ),
        ),
        (
            "Prepared, committed",
            format!(
                "it holds the PRE-PREPARE and {} PREPAREs of backups for one batch; then {quorum} \
                 COMMITs. Batches are executed in the order of their numbers.{tentative}",
                quorum - 1
            ),
        ),
        (
            "View change",
            format!(
                "replicas leave their primary with VIEW-CHANGEs that tell what they had prepared; from \
                 {quorum} of them the next primary makes its NEW-VIEW."
            ),
        ),
        (
            "Session, answer",
            format!("a client opens a session with request 0, and believes {believes}."),
        ),
    ];
    out.push_str("<dl>");
    for (word, meaning) in words {
        let _ = write!(out, "<dt>{word}</dt><dd>{meaning}</dd>");
    }
    out.push_str("</dl>");
}
