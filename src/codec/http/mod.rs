//! HTTP/1.1 and 1.0 as pure code: what is on the wire, without a socket.
//!
//! A request comes in two steps. [`HeadReader`] finds the end of its head and parses it once; whoever reads decides by
//! the [`Head`] whether the body may come at all, and takes it when it is there whole. Answers are written by
//! [`Response`], and piece by piece by [`StreamHead`] and [`chunk`].

mod credentials;
mod date;
mod head;
mod malformed;
mod range;
mod response;
mod status;
mod target;

pub use credentials::Credentials;
pub use date::http_date;
pub use head::{Head, HeadReader, Method};
pub use malformed::Malformed;
pub use range::ByteRange;
pub use response::{Delivery, LAST_CHUNK, Response, StreamHead, chunk};
pub use status::Status;

/// Bytes of a head at most, the empty lines before it included.
pub const MAX_HEAD: usize = 16 * 1024;

/// Header fields of a head at most.
pub const MAX_HEADERS: usize = 100;

/// Bytes of a target at most.
pub const MAX_TARGET: usize = 8 * 1024;

/// Bytes of a body at most.
pub const MAX_BODY: usize = 1024 * 1024;

/// What a client that asks before it sends its body is told.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What stands before the body.
    pub head: Head,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests;
