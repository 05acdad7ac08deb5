//! HTTP on the io thread. A [`WebConnection`] reads requests and writes what they are answered; the [`gate`] of its
//! socket and the [`guard`] decide who gets in and what a page of somebody else's may have sent; the [`router`] finds
//! the handler.
//!
//! A handler is a function from a request to a [`Step`]: an answer at once, or something that is asked of the
//! dispatcher and what becomes of its answer. A new face is a file with handlers, and its rows in the router.

mod api;
mod command;
mod connection;
#[cfg(feature = "xmlrpc")]
mod executable;
mod gate;
mod guard;
mod log_range;
mod metrics;
mod oom;
#[cfg(feature = "web-page")]
mod page;
mod probes;
mod router;
#[cfg(feature = "xmlrpc")]
mod rpc;
mod step;
mod stream;
mod usage;

pub(super) use connection::{WebConnection, WebWork};
pub use gate::{AccessGate, Secret, User};
pub(super) use oom::begin as begin_oom_count;
pub(super) use step::{Step, Work};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod timing_tests;
