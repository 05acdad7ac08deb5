//! The io thread ([`server`]): control sockets, their connections, and what is on its way to them; and the names by which
//! others find the daemon ([`names`]).

#[cfg(feature = "attach")]
pub mod attachment;
mod changes;
mod client;
mod connection;
pub mod door;
mod event_feed;
pub mod feed;
mod link;
mod name_watch;
pub mod names;
mod network_waits;
pub mod news;
mod notifications;
pub mod output_feed;
mod path_waits;
mod peer;
mod ready_pipes;
pub mod server;
#[cfg(feature = "http")]
pub mod web;
