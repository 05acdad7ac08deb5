//! Helpers that belong to no module, each written once.

pub(crate) mod did_you_mean;
pub(crate) mod glob;
