//! A connection within a time limit, and what is read and written there.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::lookup;
use crate::models::Endpoint;
use crate::util::errno::reason;

/// How often somebody who takes no more connections for the moment is asked.
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);
/// No time-out of a socket may be zero.
const MIN_SOCKET_TIMEOUT: Duration = Duration::from_millis(1);

/// A moment by which something has to have come about, and how long that was from the beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Deadline {
        Deadline { at: Instant::now() + limit, limit }
    }

    pub(super) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// What there is to say when it has passed.
    pub(super) fn no_answer(self) -> String {
        format!("no answer within {} s", self.limit.as_secs())
    }
}

/// A connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Writes all of it.
    pub(super) fn send(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), String> {
        let timeout = Some(deadline.left().max(MIN_SOCKET_TIMEOUT));
        let written = match self {
            Stream::Tcp(stream) => stream.set_write_timeout(timeout).and_then(|()| stream.write_all(bytes)),
            Stream::Unix(stream) => stream.set_write_timeout(timeout).and_then(|()| stream.write_all(bytes)),
        };
        written.map_err(|error| failed(&error, deadline))
    }

    /// Reads what is there, or comes until the deadline; 0: it has ended.
    pub(super) fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, String> {
        loop {
            let left = deadline.left();
            if left.is_zero() {
                return Err(deadline.no_answer());
            }
            let timeout = Some(left.max(MIN_SOCKET_TIMEOUT));
            let read = match self {
                Stream::Tcp(stream) => stream.set_read_timeout(timeout).and_then(|()| stream.read(buffer)),
                Stream::Unix(stream) => stream.set_read_timeout(timeout).and_then(|()| stream.read(buffer)),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| failed(&error, deadline)),
            }
        }
    }
}

fn failed(error: &io::Error, deadline: Deadline) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => deadline.no_answer(),
        _ => reason(error),
    }
}

/// Connects, or says where and why not.
pub(super) fn open(endpoint: &Endpoint, deadline: Deadline) -> Result<Stream, String> {
    match endpoint {
        Endpoint::Tcp { host, port } => open_tcp(host, *port, deadline).map(Stream::Tcp),
        Endpoint::Unix(path) => open_unix(path, deadline)
            .map(Stream::Unix)
            .map_err(|reason| format!("cannot connect to {}: {reason}", target(endpoint))),
    }
}

/// As people write it.
pub(super) fn target(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let host = without_brackets(host);
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        }
        Endpoint::Unix(path) => path.clone(),
    }
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

/// Numbers never ask the resolver, so that they can't be delayed by a name server.
fn addresses(host: &str, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, String> {
    let found = match host.parse::<IpAddr>() {
        Ok(ip) => vec![ip],
        Err(_) => lookup::resolve(host, deadline.at).unwrap_or_else(|| Err(deadline.no_answer()))?,
    };
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

fn open_tcp(host: &str, port: u16, deadline: Deadline) -> Result<TcpStream, String> {
    let host = without_brackets(host);
    let addresses = addresses(host, port, deadline).map_err(|reason| format!("cannot resolve {host}: {reason}"))?;
    let mut last = None;
    for (address, untried) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let left = deadline.left();
        if left.is_zero() {
            break;
        }
        // An address that does not answer leaves time for the next: a host may have lost one family of addresses.
        let share = left / u32::try_from(untried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(MIN_SOCKET_TIMEOUT)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    let reason = match last {
        Some(error) if error.kind() != io::ErrorKind::TimedOut => reason(&error),
        _ if addresses.is_empty() => "the name has no address".to_owned(),
        _ => deadline.no_answer(),
    };
    let target = target(&Endpoint::Tcp { host: host.to_owned(), port });
    Err(format!("cannot connect to {target}: {reason}"))
}

/// A connect that blocks waits for as long as the other one takes no more connections.
fn open_unix(path: &str, deadline: Deadline) -> Result<UnixStream, String> {
    let text = |error: Errno| crate::util::errno::text(error as i32);
    let address = match path.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes()),
        None => UnixAddr::new(path),
    };
    let address = address.map_err(text)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(text)?;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if deadline.left().is_zero() => return Err(deadline.no_answer()),
            Err(Errno::EAGAIN) => std::thread::sleep(BACKLOG_PAUSE.min(deadline.left())),
            Err(error) => return Err(text(error)),
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false).map_err(|error| reason(&error))?;
    Ok(stream)
}
