//! The io thread ([`server`]): control sockets, their connections, and what is on its way to them; and the names by which
//! others find the daemon ([`names`]).

mod connection;
pub mod event_feed;
mod name_watch;
pub mod names;
pub mod output_feed;
mod ready_pipes;
pub mod server;
