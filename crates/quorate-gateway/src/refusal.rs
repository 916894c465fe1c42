//! What a client is told when there is no answer: etcd's code and words where etcd has them,
//! otherwise a sentence that begins with `quorate:`.

use crate::deadline::SetBy;
use crate::submit::{Refusal, SubmitError};
use quorate_services::store::StoreError;
use tonic::{Code, Status};

/// The store refused the operation.
pub(crate) fn refused_by_store(error: StoreError) -> Status {
    Status::new(Code::from_i32(error.code() as i32), error.to_string())
}

/// No quorum answered. A write that was sent has an unknown outcome, and the client is told so:
/// repeating it is the client's decision, because only the client knows whether it is harmless.
pub(crate) fn unanswered(error: SubmitError, deadline: SetBy, kind: Kind) -> Status {
    let late = match deadline {
        SetBy::Client => Code::DeadlineExceeded,
        SetBy::Gateway => Code::Unavailable,
    };
    let code = match error {
        SubmitError::Refused(Refusal::QueueFull) => return too_many_requests(),
        SubmitError::Refused(Refusal::TooLarge) => {
            return refused_by_store(StoreError::RequestTooLarge);
        }
        SubmitError::Refused(Refusal::Stopping | Refusal::Fenced) => Code::Unavailable,
        SubmitError::Unsent(_) | SubmitError::Unanswered(_) => late,
        SubmitError::Interrupted(_) => Code::Unavailable,
        SubmitError::ResultLost => Code::Internal,
    };
    let fate = match (kind, error) {
        (Kind::Read, _) | (_, SubmitError::Refused(_)) => "",
        (Kind::Write, SubmitError::Unsent(_)) => {
            "; the request was not sent and will not be executed"
        }
        (Kind::Write, SubmitError::Unanswered(_) | SubmitError::Interrupted(_)) => {
            "; the outcome is unknown: the request may have been executed, or may yet be"
        }
        (Kind::Write, SubmitError::ResultLost) => "; the request was executed",
    };
    Status::new(code, format!("quorate: {error}{fate}"))
}

/// Whether the operation changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// The gateway is as busy as it lets itself be; nothing was sent.
pub(crate) fn too_many_requests() -> Status {
    Status::resource_exhausted("etcdserver: too many requests")
}

/// A part of etcd's interface that is not there yet.
pub(crate) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("quorate: {what} is not supported yet"))
}

/// The replicas agreed on bytes this gateway cannot read.
pub(crate) fn unreadable() -> Status {
    Status::internal(
        "quorate: the replicas' agreed answer cannot be read; \
         gateway and replicas are of different versions",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submit::{Interruption, Reach};

    const TWO_OF_FOUR: SubmitError =
        SubmitError::Unanswered(Reach::Heard { answering: 2, replica_count: 4, needed: 3 });

    #[test]
    fn store_errors_keep_etcds_code_and_words() {
        let status = refused_by_store(StoreError::Compacted);
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(status.message(), "etcdserver: mvcc: required revision has been compacted");
        assert_eq!(refused_by_store(StoreError::EmptyKey).code(), Code::InvalidArgument);
        assert_eq!(refused_by_store(StoreError::LeaseNotFound).code(), Code::NotFound);
    }

    #[test]
    fn a_write_without_an_answer_says_that_its_outcome_is_unknown() {
        let status = unanswered(TWO_OF_FOUR, SetBy::Gateway, Kind::Write);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.message(),
            "quorate: only 2 of 4 replicas answer; 3 needed; the outcome is unknown: \
             the request may have been executed, or may yet be"
        );
        let status =
            unanswered(SubmitError::Interrupted(Interruption::Fenced), SetBy::Client, Kind::Write);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("the outcome is unknown"));
    }

    #[test]
    fn a_read_without_an_answer_by_the_clients_deadline_exceeds_it() {
        let status = unanswered(TWO_OF_FOUR, SetBy::Client, Kind::Read);
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(status.message(), "quorate: only 2 of 4 replicas answer; 3 needed");
    }

    #[test]
    fn a_write_whose_result_is_lost_is_known_to_be_executed() {
        let status = unanswered(SubmitError::ResultLost, SetBy::Client, Kind::Write);
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().ends_with("the request was executed"), "{status}");
    }

    #[test]
    fn what_was_not_sent_is_never_called_unknown() {
        for refusal in [Refusal::QueueFull, Refusal::TooLarge, Refusal::Stopping, Refusal::Fenced] {
            let status = unanswered(SubmitError::Refused(refusal), SetBy::Client, Kind::Write);
            assert!(!status.message().contains("unknown"), "{refusal:?}");
        }
        let status = unanswered(SubmitError::Unsent(Reach::Unknown), SetBy::Gateway, Kind::Write);
        assert_eq!(
            status.message(),
            "quorate: the replicas did not answer in time; \
             the request was not sent and will not be executed"
        );
    }
}
