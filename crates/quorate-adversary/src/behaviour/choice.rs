//! Parameters that are one of a few words.

/// Declares an enum whose variants have names in scenario files and on the command line.
macro_rules! choice {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every one, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// How scenario files and the command line spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Every name, for people.
            pub(super) fn names() -> String {
                let names: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
                format!("one of {}", names.join(", "))
            }

            pub(super) fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == text)
            }
        }
    };
}

choice! {
    /// What a slow replica is slow with.
    Slowed {
        /// Everything it sends.
        Everything = "all",
        /// Its replies to clients.
        Replies = "reply",
    }
}

choice! {
    /// What a replica that lies to clients says of results.
    ReplyLie {
        /// Another result.
        Changed = "changed",
        /// The right digest only, although it is to send the result whole.
        Withheld = "withheld",
        /// First the right digest, and then another result.
        Contradicted = "contradicted",
        /// That it did not keep the result.
        Lost = "lost",
    }
}

choice! {
    /// In which of its words on a batch a faulty replica names a wrong digest.
    Phase {
        /// PREPARE.
        Prepare = "prepare",
        /// COMMIT.
        Commit = "commit",
        /// COMMITTED, in which it names the null request.
        Committed = "committed",
    }
}

choice! {
    /// Where a primary jumps to with its sequence numbers.
    Jump {
        /// The high water mark: the last number that is accepted.
        High = "high",
        /// One above it.
        Above = "above",
        /// The highest number there is.
        Max = "max",
    }
}

choice! {
    /// Where a primary orders a request a second time.
    Repeated {
        /// In the next batch.
        Later = "later",
        /// In the same batch.
        Same = "same",
    }
}

choice! {
    /// What a faulty replica makes up in its VIEW-CHANGE.
    Fabricated {
        /// Entries of P.
        Prepared = "p",
        /// Entries of Q.
        PrePrepared = "q",
        /// Entries of both, which support each other.
        Both = "pq",
        /// The digests of its checkpoints.
        Checkpoints = "c",
    }
}

choice! {
    /// What is wrong with the NEW-VIEW of a lying new primary.
    Disproof {
        /// The last choice is missing.
        Dropped = "dropped",
        /// A choice is null that is not.
        Null = "null",
        /// It starts from a checkpoint that nobody has.
        Checkpoint = "checkpoint",
        /// One of the VIEW-CHANGEs is made up.
        Invented = "invented",
        /// There are two of them, one for each half of the backups, and each is justified.
        Two = "two",
    }
}

choice! {
    /// What is wrong with the parts of the state that a lying server sends.
    StateLie {
        /// A byte is another: a wrong child in a node, a wrong value in a page.
        Changed = "changed",
        /// Each is another right part.
        Swapped = "swapped",
        /// The first comes again and again, and no other ever.
        Endless = "endless",
        /// Each is a mebibyte too long.
        Oversized = "oversized",
    }
}

choice! {
    /// Which way a mutant changes a field.
    Step {
        /// One more.
        Up = "+1",
        /// One less.
        Down = "-1",
    }
}

choice! {
    /// A field of a message that a mutant changes. Of the fields of a list that of the last entry
    /// is meant; a digest changes in its first byte, and a truth value turns into its opposite.
    Field {
        /// HELLO: how often the replica has started.
        HelloBootCounter = "hello.boot_counter",
        /// HELLO: the generation of its keys.
        HelloKeyEpoch = "hello.key_epoch",
        /// HELLO: which start this is.
        HelloBootId = "hello.boot_id",
        /// HELLO-REPLY: the start that is answered.
        HelloReplyBootId = "hello_reply.boot_id",
        /// HELLO-REPLY: the counter of a start that was seen.
        HelloReplyCounter = "hello_reply.counter",
        /// REPLY: the view.
        ReplyView = "reply.view",
        /// REPLY: the session.
        ReplySession = "reply.session",
        /// REPLY: the timestamp.
        ReplyTimestamp = "reply.timestamp",
        /// REPLY: whether it is tentative, committed, or committed in its view.
        ReplyCertainty = "reply.certainty",
        /// REPLY: the designated replier.
        ReplyDesignated = "reply.designated",
        /// PRE-PREPARE: the view.
        PrePrepareView = "pre_prepare.view",
        /// PRE-PREPARE: the number.
        PrePrepareSeq = "pre_prepare.seq",
        /// PRE-PREPARE: the digest.
        PrePrepareDigest = "pre_prepare.digest",
        /// PRE-PREPARE: the time of the batch, in milliseconds, with the digest that follows.
        PrePrepareTime = "pre_prepare.time",
        /// PREPARE: the view.
        PrepareView = "prepare.view",
        /// PREPARE: the number.
        PrepareSeq = "prepare.seq",
        /// PREPARE: the digest.
        PrepareDigest = "prepare.digest",
        /// COMMIT: the view.
        CommitView = "commit.view",
        /// COMMIT: the number.
        CommitSeq = "commit.seq",
        /// COMMIT: the digest.
        CommitDigest = "commit.digest",
        /// CHECKPOINT: the number.
        CheckpointSeq = "checkpoint.seq",
        /// CHECKPOINT: the root of the state.
        CheckpointState = "checkpoint.state",
        /// CHECKPOINT: the root of the history.
        CheckpointHistory = "checkpoint.history",
        /// CHECKPOINT: the replica in the body.
        CheckpointReplica = "checkpoint.replica",
        /// VIEW-CHANGE: the new view.
        ViewChangeView = "view_change.view",
        /// VIEW-CHANGE: the replica in the body.
        ViewChangeReplica = "view_change.replica",
        /// VIEW-CHANGE: the low water mark.
        ViewChangeLow = "view_change.low_water_mark",
        /// VIEW-CHANGE: the number of a checkpoint.
        ViewChangeCheckpointSeq = "view_change.c_seq",
        /// VIEW-CHANGE: the state of a checkpoint.
        ViewChangeCheckpointState = "view_change.c_state",
        /// VIEW-CHANGE: the number of an entry of P.
        ViewChangePreparedSeq = "view_change.p_seq",
        /// VIEW-CHANGE: the digest of an entry of P.
        ViewChangePreparedDigest = "view_change.p_digest",
        /// VIEW-CHANGE: the view of an entry of P.
        ViewChangePreparedView = "view_change.p_view",
        /// VIEW-CHANGE: the number of an entry of Q.
        ViewChangePrePreparedSeq = "view_change.q_seq",
        /// VIEW-CHANGE: the digest of an entry of Q.
        ViewChangePrePreparedDigest = "view_change.q_digest",
        /// VIEW-CHANGE: the view of an entry of Q.
        ViewChangePrePreparedView = "view_change.q_view",
        /// NEW-VIEW: the view.
        NewViewView = "new_view.view",
        /// NEW-VIEW: the number of the checkpoint it starts from.
        NewViewCheckpointSeq = "new_view.h_seq",
        /// NEW-VIEW: the state of that checkpoint.
        NewViewCheckpointState = "new_view.h_state",
        /// NEW-VIEW: a choice.
        NewViewChosen = "new_view.x_digest",
        /// NEW-VIEW: the digest of a VIEW-CHANGE it names.
        NewViewNamed = "new_view.v_digest",
        /// STATUS: the view.
        StatusView = "status.view",
        /// STATUS: whether the sender is active.
        StatusActive = "status.active",
        /// STATUS: the low water mark.
        StatusLow = "status.low_water_mark",
        /// STATUS: the last number executed.
        StatusExecuted = "status.last_executed",
        /// STATUS: the highest NEW-VIEW.
        StatusNewView = "status.new_view",
        /// COMMITTED: the number.
        CommittedSeq = "committed.seq",
        /// COMMITTED: the digest.
        CommittedDigest = "committed.digest",
        /// FETCH-BATCH: the digest.
        FetchBatchDigest = "fetch_batch.digest",
        /// BATCH: the time.
        BatchTime = "batch.time",
        /// FETCH-PRE-PREPARE: the number.
        FetchPrePrepareSeq = "fetch_pre_prepare.seq",
        /// PRE-PREPARE-SEEN: the digest, where the replica itself signed it.
        PrePrepareSeenDigest = "pre_prepare_seen.digest",
        /// FETCH-STATE: the number.
        FetchStateSeq = "fetch_state.seq",
        /// STATE-PART: the number.
        StatePartsSeq = "state_parts.seq",
    }
}

impl Field {
    /// Whether a message may have it more than once.
    pub(crate) const fn is_of_a_list(self) -> bool {
        matches!(
            self,
            Self::HelloReplyCounter
                | Self::ViewChangeCheckpointSeq
                | Self::ViewChangeCheckpointState
                | Self::ViewChangePreparedSeq
                | Self::ViewChangePreparedDigest
                | Self::ViewChangePreparedView
                | Self::ViewChangePrePreparedSeq
                | Self::ViewChangePrePreparedDigest
                | Self::ViewChangePrePreparedView
                | Self::NewViewChosen
                | Self::NewViewNamed
        )
    }
}
