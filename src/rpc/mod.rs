//! The control protocol: frames and messages ([`protocol`]), and the thread that serves them ([`server`]).

mod connection;
pub mod events;
pub mod protocol;
pub mod server;
pub mod stream;
