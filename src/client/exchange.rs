//! One request and its answer: the connection, the time limits, and whom to believe.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::wire::Wire;
use super::{ClientError, Controller};
use crate::codec::frames::{self, ErrorCode, HEADER, Head};
use crate::sys::peer::peer_credentials;
use crate::util::errno;

/// How long the kernel may take to close what a process that has ended held.
const CLOSING: Duration = Duration::from_millis(200);

/// When a daemon that is well answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once: else something in it hangs.
    AtOnce,
    /// When what was asked for is done. That may take as long as a `stopwaitsecs` says.
    WhenDone,
}

impl Controller {
    /// The body of the answer.
    pub(super) fn send_until(
        &self,
        command: &str,
        parameters: &[(&str, Value)],
        pace: Pace,
        deadline: Instant,
    ) -> Result<Vec<u8>, ClientError> {
        let mut request = Map::new();
        request.insert("command".to_owned(), command.into());
        request.extend(parameters.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let body = serde_json::to_vec(&request).map_err(|error| self.broken(error.to_string()))?;
        if body.len() > frames::MAX_FRAME {
            let message = format!("a request of {} bytes; at most {} can be sent", body.len(), frames::MAX_FRAME);
            return Err(ClientError::Failed {
                code: Some(ErrorCode::TooLarge.as_str().to_owned()),
                refusal: None,
                message,
                cause_data: None,
            });
        }
        self.exchange(&frames::frame(&body), deadline, pace == Pace::WhenDone)
    }

    pub(super) fn object(&self, body: &[u8]) -> Result<Map<String, Value>, ClientError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(answer)) => Ok(answer),
            Ok(_) => Err(self.broken("the answer is no JSON object")),
            Err(error) => Err(self.broken(format!("the answer is not JSON: {error}"))),
        }
    }

    /// An answer that says `ok`, in its form; `not` is what it is called where it has another. Straight from the bytes:
    /// the code that reads a form from a tree of values as well would be as large again.
    pub(super) fn particulars<T: DeserializeOwned>(&self, body: &[u8], not: &str) -> Result<T, ClientError> {
        #[derive(Deserialize)]
        struct Envelope {
            status: String,
        }
        if !serde_json::from_slice::<Envelope>(body).is_ok_and(|envelope| envelope.status == "ok") {
            // An error, or none of our answers: which, the tree tells.
            self.done(self.object(body)?)?;
        }
        serde_json::from_slice(body).map_err(|error| {
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or(&text);
            self.broken(format!("the answer is {not}: {text}"))
        })
    }

    /// An answer that says `ok`.
    pub(super) fn done(&self, answer: Map<String, Value>) -> Result<Map<String, Value>, ClientError> {
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        match text("status") {
            Some("ok") => Ok(answer),
            Some("error") => Err(ClientError::Failed {
                code: text("code").map(str::to_owned),
                refusal: text("refusal").map(str::to_owned),
                message: text("message").unwrap_or("the daemon gave no reason").to_owned(),
                cause_data: answer.get("cause").cloned(),
            }),
            _ => Err(self.broken("the answer has no status")),
        }
    }

    fn exchange(&self, request: &[u8], mut deadline: Instant, may_wait: bool) -> Result<Vec<u8>, ClientError> {
        let begin = Instant::now();
        let mut stream = self.connect(deadline)?;
        let request = stream.wrap(request);
        if let Err(error) = send(&mut stream, &request, deadline) {
            // A daemon that takes no more has perhaps said why before it closed.
            if is_timeout(&error) {
                return Err(self.io(error, begin));
            }
        }
        let mut buffer = Vec::new();
        loop {
            match frames::head(&buffer) {
                Head::Frame(length) => {
                    return buffer.get(HEADER..HEADER + length).map(<[u8]>::to_vec).ok_or_else(|| self.broken("cut"));
                }
                Head::TooLarge(length) => {
                    return Err(self.broken(format!("an answer of {length} bytes is larger than the protocol allows")));
                }
                Head::Partial => {}
            }
            match self.read_more(&mut stream, &mut buffer, deadline) {
                Ok(()) => {}
                // A stop may take as long as its stopwaitsecs says: as long as the daemon is well, we wait.
                Err(error) if is_timeout(&error) && may_wait && !self.strict && self.is_alive() => {
                    deadline = Instant::now() + self.timeout;
                }
                Err(error) => return Err(self.io(error, begin)),
            }
        }
    }

    pub(super) fn read_more(&self, stream: &mut Wire, buffer: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        stream.read_some(buffer)
    }

    /// Does the daemon answer somebody else?
    fn is_alive(&self) -> bool {
        let probe = self.clone().with_timeout(Duration::from_secs(5));
        probe.send_command("status", &[("offset", u32::MAX.into())]).is_ok()
    }

    pub(super) fn connect(&self, deadline: Instant) -> Result<Wire, ClientError> {
        if self.socket.starts_with("http://") {
            return self.connect_web(deadline);
        }
        self.connect_local(deadline).map(Wire::Frames)
    }

    #[cfg(feature = "http")]
    fn connect_web(&self, deadline: Instant) -> Result<Wire, ClientError> {
        let begin = Instant::now();
        let wire = super::web::WebWire::connect(&self.socket, self.credentials.as_ref(), deadline);
        wire.map(Wire::Web).map_err(|error| match is_timeout(&error) {
            true => ClientError::Timeout { socket: self.socket.clone(), waited: begin.elapsed() },
            false => ClientError::NoDaemon { socket: self.socket.clone(), error },
        })
    }

    /// There is nothing that would speak it.
    #[cfg(not(feature = "http"))]
    fn connect_web(&self, _: Instant) -> Result<Wire, ClientError> {
        Err(self.broken("this supervice was built without HTTP (the feature http of its crate)"))
    }

    pub(super) fn connect_local(&self, deadline: Instant) -> Result<UnixStream, ClientError> {
        let begin = Instant::now();
        let no_daemon = |error: nix::Error| match error {
            nix::Error::EACCES | nix::Error::EPERM => ClientError::Denied { socket: self.socket.clone() },
            nix::Error::EAGAIN => ClientError::Timeout { socket: self.socket.clone(), waited: begin.elapsed() },
            error => ClientError::NoDaemon { socket: self.socket.clone(), error: error.into() },
        };
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(no_daemon)?;
        let address = match self.socket.strip_prefix('@') {
            Some(name) => UnixAddr::new_abstract(name.as_bytes()),
            None => UnixAddr::new(Path::new(&self.socket)),
        };
        let address = address.map_err(no_daemon)?;
        loop {
            // A daemon that was stopped accepts nobody: without this, connect would wait for ever once its queue is
            // full.
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let left = TimeVal::milliseconds(i64::try_from(left.as_millis()).unwrap_or(i64::MAX / 2000));
            setsockopt(&fd, sockopt::SendTimeout, &left).map_err(no_daemon)?;
            match connect(fd.as_raw_fd(), &address) {
                Ok(()) => break,
                // A signal of the program that uses this library.
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(no_daemon(error)),
            }
        }
        let stream = UnixStream::from(fd);
        self.check_peer(&stream)?;
        Ok(stream)
    }

    /// Where anybody could have put the socket, only root's and our own daemon are believed.
    fn check_peer(&self, stream: &UnixStream) -> Result<(), ClientError> {
        if !self.is_squattable() {
            return Ok(());
        }
        let uid = peer_credentials(stream.as_fd()).map(|peer| peer.uid).unwrap_or(u32::MAX);
        let trusted = uid == 0 || uid == nix::unistd::geteuid().as_raw();
        if trusted { Ok(()) } else { Err(ClientError::NotTrusted { socket: self.socket.clone(), uid }) }
    }

    fn is_squattable(&self) -> bool {
        if self.socket.starts_with('@') {
            return true;
        }
        let path = Path::new(&self.socket);
        // A link is no better than the place that it leads to, nor that place than the link's.
        let is_link = path.symlink_metadata().is_ok_and(|there| there.is_symlink());
        others_can_write_beside(path)
            || (is_link && path.canonicalize().map_or(true, |target| others_can_write_beside(&target)))
    }

    pub(super) fn io(&self, error: io::Error, begin: Instant) -> ClientError {
        let socket = self.socket.clone();
        if is_timeout(&error) {
            return ClientError::Timeout { socket, waited: begin.elapsed() };
        }
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the connection was closed before the answer came".to_owned(),
            _ => format!("the connection broke: {}", errno::reason(&error)),
        };
        if self.has_ended() { ClientError::Ended { socket } } else { ClientError::Protocol { socket, reason } }
    }

    /// Does nobody listen any more? A daemon that was killed leaves a connection as one that talks nonsense does.
    fn has_ended(&self) -> bool {
        // Of a process that is ending the kernel closes the descriptors in any order, the listening one perhaps after
        // ours: a connection that was made meanwhile is closed with it, and of a daemon that lives is not.
        for _ in 0..3 {
            match self.connect(Instant::now() + CLOSING) {
                Err(error) => return matches!(error, ClientError::NoDaemon { .. }),
                Ok(mut stream) => {
                    let read = stream.set_read_timeout(Some(CLOSING)).and_then(|()| stream.read_some(&mut Vec::new()));
                    if read.map_or_else(|error| is_timeout(&error), |()| true) {
                        return false;
                    }
                }
            }
        }
        false
    }

    pub(super) fn broken(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Protocol { socket: self.socket.clone(), reason: reason.into() }
    }
}

/// Could anybody but its owner have put this file into its directory?
fn others_can_write_beside(path: &Path) -> bool {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent.unwrap_or(Path::new(".")).metadata() {
        // A directory that its owner alone can write to holds what that user has put there: root may
        // well want to command a user's daemon by the path in that user's home.
        Ok(directory) => directory.permissions().mode() & 0o022 != 0,
        Err(_) => true,
    }
}

/// Writes all, by the deadline.
pub(super) fn send(stream: &mut Wire, mut rest: &[u8], deadline: Instant) -> io::Result<()> {
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
