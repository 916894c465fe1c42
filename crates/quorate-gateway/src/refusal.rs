//! What a client is told when there is no answer: etcd's code and words where etcd has them,
//! otherwise a sentence that begins with `quorate:`.

use crate::deadline::SetBy;
use quorate_net::ClientError;
use quorate_services::store::StoreError;
use tonic::{Code, Status};

/// The store refused the operation.
pub(crate) fn refused_by_store(error: StoreError) -> Status {
    Status::new(Code::from_i32(error.code() as i32), error.to_string())
}

/// No quorum answered. The sentence says whether the operation may have been executed; repeating
/// it is the client's decision, because only the client knows whether that is harmless.
pub(crate) fn unanswered(error: ClientError, deadline: SetBy) -> Status {
    let code = match error {
        ClientError::Overloaded => return too_many_requests(),
        ClientError::TooLarge { .. } => return refused_by_store(StoreError::RequestTooLarge),
        ClientError::NoQuorum { .. } | ClientError::Timeout { .. } => too_late(deadline),
        ClientError::Fenced { .. } | ClientError::Unknown | ClientError::Closed { .. } => {
            Code::Unavailable
        }
        ClientError::ResultLost => Code::Internal,
    };
    Status::new(code, format!("quorate: {error}"))
}

/// The code of what did not happen before the deadline.
fn too_late(deadline: SetBy) -> Code {
    match deadline {
        SetBy::Client => Code::DeadlineExceeded,
        SetBy::Gateway => Code::Unavailable,
    }
}

/// The gateway is as busy as it lets itself be; nothing was sent.
pub(crate) fn too_many_requests() -> Status {
    refused_by_store(StoreError::TooManyRequests)
}

/// The deadline passed before all of the request was there.
pub(crate) fn half_sent(deadline: SetBy) -> Status {
    let sentence = "quorate: the request did not arrive in time; it was not executed";
    Status::new(too_late(deadline), sentence)
}

/// Clients leave so many answers untaken that this one cannot be kept. Only what was executed has
/// an answer of any length.
pub(crate) fn no_room_for_answer() -> Status {
    Status::unavailable(
        "quorate: the operation was executed, but too many answers wait for clients to take them; \
         read the state instead",
    )
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
    use pbft::Session;
    use quorate_net::Fate;

    #[test]
    fn store_errors_keep_etcds_code_and_words() {
        let status = refused_by_store(StoreError::Compacted);
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(status.message(), "etcdserver: mvcc: required revision has been compacted");
        assert_eq!(refused_by_store(StoreError::EmptyKey).code(), Code::InvalidArgument);
        assert_eq!(refused_by_store(StoreError::LeaseNotFound).code(), Code::NotFound);
    }

    #[test]
    fn what_comes_too_late_depends_on_whose_deadline_it_was() {
        let no_quorum = ClientError::NoQuorum { reachable: 2, needed: 3, fate: Fate::Unknown };
        for error in [no_quorum, ClientError::Timeout { fate: Fate::NotExecuted }] {
            assert_eq!(unanswered(error, SetBy::Client).code(), Code::DeadlineExceeded);
            let status = unanswered(error, SetBy::Gateway);
            assert_eq!(status.code(), Code::Unavailable);
            assert_eq!(status.message(), format!("quorate: {error}"));
        }
    }

    #[test]
    fn every_error_has_a_code() {
        let code = |error| unanswered(error, SetBy::Client).code();
        assert_eq!(code(ClientError::Overloaded), Code::ResourceExhausted);
        assert_eq!(code(ClientError::TooLarge { bytes_max: 1 }), Code::InvalidArgument);
        assert_eq!(code(ClientError::Fenced { current: Session::new(2) }), Code::Unavailable);
        assert_eq!(code(ClientError::Unknown), Code::Unavailable);
        assert_eq!(code(ClientError::Closed { fate: Fate::Unknown }), Code::Unavailable);
        assert_eq!(code(ClientError::ResultLost), Code::Internal);
    }

    #[test]
    fn a_request_that_is_too_large_is_so_in_etcds_words() {
        let status = unanswered(ClientError::TooLarge { bytes_max: 1 }, SetBy::Gateway);
        assert_eq!(status.message(), "etcdserver: request is too large");
    }
}
