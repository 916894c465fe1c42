//! What Quorate replicates: a multi-version key-value store with the semantics of etcd.
