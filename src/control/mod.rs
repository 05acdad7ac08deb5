//! The io thread ([`server`]): control sockets, their connections, and what is on its way to them; and the names by
//! which others find the daemon ([`names`]).

pub mod announcements;
#[cfg(feature = "attach")]
pub mod attachment;
mod client;
mod connection;
mod event_feed;
pub mod feed;
mod link;
mod name_watch;
pub mod names;
mod network_waits;
mod notifications;
pub mod output_feed;
mod path_waits;
mod peer;
mod ready_pipes;
pub mod server;
pub mod server_socket;
mod watched_paths;
#[cfg(feature = "http")]
pub mod web;
