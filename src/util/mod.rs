//! Helpers that belong to no module, each written once.

pub(crate) mod errno;
pub(crate) mod sort;
