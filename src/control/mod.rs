//! The io thread ([`server`]): control sockets, their connections, and what is on its way to them.

mod connection;
pub mod event_feed;
pub mod output_feed;
pub mod server;
