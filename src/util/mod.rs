//! Helpers that belong to no module, each written once.

pub(crate) mod log_level;
