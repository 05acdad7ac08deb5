//! A connection to a daemon: one that carries frames, or HTTP in which they are wrapped. What is above it sees frames
//! alone.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(feature = "http")]
use super::web::WebWire;

/// See the [module](self).
#[derive(Debug)]
pub(super) enum Wire {
    /// A local socket.
    Frames(UnixStream),
    /// A connection over the network.
    #[cfg(feature = "http")]
    Web(WebWire),
}

impl Wire {
    /// The bytes that take this frame to the daemon.
    pub(super) fn wrap<'f>(&self, frame: &'f [u8]) -> Cow<'f, [u8]> {
        match self {
            Wire::Frames(_) => frame.into(),
            #[cfg(feature = "http")]
            Wire::Web(web) => web.request(frame).into(),
        }
    }

    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Wire::Frames(stream) => stream.set_read_timeout(timeout),
            #[cfg(feature = "http")]
            Wire::Web(web) => web.stream.set_read_timeout(timeout),
        }
    }

    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Wire::Frames(stream) => stream.set_write_timeout(timeout),
            #[cfg(feature = "http")]
            Wire::Web(web) => web.stream.set_write_timeout(timeout),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Frames(stream) => stream.write(bytes),
            #[cfg(feature = "http")]
            Wire::Web(web) => web.stream.write(bytes),
        }
    }

    /// Reads once, and adds what frames there are by then.
    pub(super) fn read_some(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        // The answer about some twenty processes fits; a larger one's further reads cost less than pages that nobody
        // needs.
        let mut chunk = [0; 16 * 1024];
        let read = match self {
            Wire::Frames(stream) => stream.read(&mut chunk),
            #[cfg(feature = "http")]
            Wire::Web(web) => web.stream.read(&mut chunk),
        };
        let bytes = match read {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => chunk.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        match self {
            Wire::Frames(_) => buffer.extend_from_slice(bytes),
            #[cfg(feature = "http")]
            Wire::Web(web) => web.unwrap(bytes, buffer)?,
        }
        Ok(())
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Wire::Frames(stream) => stream.as_fd(),
            #[cfg(feature = "http")]
            Wire::Web(web) => web.stream.as_fd(),
        }
    }
}
