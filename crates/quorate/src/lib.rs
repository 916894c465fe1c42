//! Replicate your own service so that it gives right answers while some replicas lie.
