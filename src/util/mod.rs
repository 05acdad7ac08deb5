//! Helpers that belong to no module, each written once.

pub(crate) mod base64;
pub(crate) mod civil;
pub(crate) mod command_line;
pub(crate) mod did_you_mean;
pub(crate) mod errno;
pub(crate) mod escapes;
pub(crate) mod fnv;
pub(crate) mod glob;
pub(crate) mod gzip;
pub(crate) mod json;
pub(crate) mod latch;
pub(crate) mod line_pattern;
pub(crate) mod log_level;
pub(crate) mod on_drop;
pub(crate) mod plural;
pub(crate) mod progress;
pub(crate) mod quick_hash;
pub(crate) mod quote;
pub(crate) mod ranges;
pub(crate) mod sort;
pub(crate) mod sorted;
pub(crate) mod thread;
pub(crate) mod topology;
pub(crate) mod truncate;
pub(crate) mod width;
