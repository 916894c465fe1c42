//! The verifying sidecar: the etcd v3 API in front, the PBFT client behind.
