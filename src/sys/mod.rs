//! Placeholder.
pub mod time;
