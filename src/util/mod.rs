//! Helpers that belong to no module, each written once.

pub(crate) mod did_you_mean;
pub(crate) mod errno;
pub(crate) mod glob;
pub(crate) mod log_level;
pub(crate) mod quote;
pub(crate) mod sort;
pub(crate) mod sorted;
pub(crate) mod topology;
pub(crate) mod truncate;
pub(crate) mod width;
