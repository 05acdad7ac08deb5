//! Codecs: bytes to [`api`](crate::api) types and back. Pure; they run on the io thread and in the client, never on the
//! dispatcher.

pub mod frames;
