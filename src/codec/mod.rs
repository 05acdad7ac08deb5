//! Codecs: bytes to [`api`](crate::api) types and back. Pure; they run on the io thread and in the client, never on the
//! dispatcher.

pub mod frames;
#[cfg(feature = "http")]
pub mod http;
pub mod sd_notify;
#[cfg(feature = "xmlrpc")]
pub mod xmlrpc;
