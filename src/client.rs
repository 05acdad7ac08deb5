//! The client of the control socket: [`Controller`].
//!
//! ```no_run
//! use supervice::client::Controller;
//!
//! let controller = Controller::new("/run/supervice/ctl.sock");
//! for process in controller.status()? {
//!     println!("{} {}", process.name, process.state);
//! }
//! controller.restart_process("web", false)?;
//! # Ok::<(), supervice::client::ClientError>(())
//! ```

mod commands;
mod event_stream;
mod output_stream;
mod peer;

use std::fmt;
use std::io::{self, Read, Write};
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

pub use crate::codec::frames::{
    Amount, EventItem, HistoryItem, KeyChange, NextStep, ProcessStatus, Reread, Terms, Updated, WaitFor, Why,
};
pub use crate::models::Power;
pub use commands::DaemonVersion;
pub use event_stream::{EventStream, StreamedEvent};
pub use output_stream::{Follow, OutputPiece};

use crate::codec::frames::{self, ErrorCode, HEADER, Head};
use crate::models::DEFAULT_SOCKET_PATH;
use crate::process::Cause;
use crate::sys::net::peer_credentials;

/// How long an answer is waited for, unless [`Controller::with_timeout`] says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longer than any wait, and short enough to be added to any clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the kernel may take to close what a process that has ended held.
const CLOSING: Duration = Duration::from_millis(200);

/// Pages of a status answer that are asked for at most: far more than a daemon can have processes.
const MOST_PAGES: usize = 10_000;

/// Why a command was not done.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens at the socket.
    NoDaemon {
        /// The socket.
        socket: String,
        /// The system's reason.
        error: io::Error,
    },
    /// The socket may not be used by us.
    Denied {
        /// The socket.
        socket: String,
    },
    /// Whoever listens there is neither root nor we ourselves, in a directory where anybody could have put the socket.
    NotTrusted {
        /// The socket.
        socket: String,
        /// The user id of the one who listens.
        uid: u32,
    },
    /// The daemon has ended before it answered, or in the middle of a row of frames. The command may be done.
    Ended {
        /// The socket, at which nobody listens any more.
        socket: String,
    },
    /// No answer in time. The command may still be done.
    Timeout {
        /// The socket.
        socket: String,
        /// The time that was waited.
        waited: Duration,
    },
    /// The connection broke, or what came back is no answer.
    Protocol {
        /// The socket.
        socket: String,
        /// What was wrong.
        reason: String,
    },
    /// The daemon's answer is an error.
    Failed {
        /// Its code, where it gave one.
        code: Option<String>,
        /// Why it refused, as a stable word for programs (`no_such_process`), where it gave one.
        refusal: Option<String>,
        /// Its message.
        message: String,
        /// Why the process is in the state that was reached, where it told that; see [`ClientError::cause`].
        cause_data: Option<Value>,
    },
}

impl ClientError {
    /// The protocol's code of an error answer, for instance `NOT_FOUND`; see supervice-protocol(7).
    ///
    /// ```
    /// use supervice::client::{ClientError, Controller, ProcessStatus};
    ///
    /// fn state(controller: &Controller, name: &str) -> Result<Option<String>, ClientError> {
    ///     let found = |process: ProcessStatus| Some(process.state);
    ///     match controller.process_status(name) {
    ///         Ok(process) => Ok(process.and_then(found)),
    ///         Err(error) if error.code() == Some("NOT_FOUND") => Ok(None),
    ///         Err(error) => Err(error),
    ///     }
    /// }
    ///
    /// let nobody = Controller::new("/nonexistent/supervice.sock");
    /// let error = state(&nobody, "web").expect_err("there is no daemon");
    /// assert_eq!((error.code(), error.refusal()), (None, None));
    /// ```
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Failed { code, .. } => code.as_deref(),
            ClientError::NoDaemon { .. }
            | ClientError::Denied { .. }
            | ClientError::NotTrusted { .. }
            | ClientError::Ended { .. }
            | ClientError::Timeout { .. }
            | ClientError::Protocol { .. } => None,
        }
    }

    /// Why the daemon refused, as a stable word for programs, for instance `no_such_process`. A daemon that gives none
    /// only has a [`code`](Self::code).
    pub fn refusal(&self) -> Option<&str> {
        match self {
            ClientError::Failed { refusal, .. } => refusal.as_deref(),
            ClientError::NoDaemon { .. }
            | ClientError::Denied { .. }
            | ClientError::NotTrusted { .. }
            | ClientError::Ended { .. }
            | ClientError::Timeout { .. }
            | ClientError::Protocol { .. } => None,
        }
    }

    /// Why the process is in the state that was reached instead, where one process is to blame and the daemon told that
    /// in a form that this version knows.
    ///
    /// ```
    /// use supervice::client::ClientError;
    /// use supervice::process::{Cause, Exit};
    ///
    /// /// The exit code with which the process of a refused command ended.
    /// fn exit_code(error: &ClientError) -> Option<u8> {
    ///     match error.cause()? {
    ///         Cause::Exited { exit: Exit::Code(code), .. } => Some(code),
    ///         _ => None,
    ///     }
    /// }
    /// # let failed = |data: &str| ClientError::Failed {
    /// #     code: None,
    /// #     refusal: None,
    /// #     message: String::new(),
    /// #     cause_data: serde_json::from_str(data).ok(),
    /// # };
    /// # assert_eq!(exit_code(&failed(r#"{"kind":"exited","code":3,"age_ms":1}"#)), Some(3));
    /// # assert_eq!(exit_code(&failed(r#"{"kind":"of a newer daemon"}"#)), None);
    /// # assert_eq!(exit_code(&failed("")), None);
    /// ```
    pub fn cause(&self) -> Option<Cause> {
        match self {
            // A newer daemon may have causes that we do not know.
            ClientError::Failed { cause_data, .. } => serde_json::from_value(cause_data.clone()?).ok(),
            ClientError::NoDaemon { .. }
            | ClientError::Denied { .. }
            | ClientError::NotTrusted { .. }
            | ClientError::Ended { .. }
            | ClientError::Timeout { .. }
            | ClientError::Protocol { .. } => None,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoDaemon { socket, error } => write!(
                f,
                "no daemon at {socket}: {}; is it running? another socket with -s or $SUPERVICE_SOCKET",
                plain(error)
            ),
            ClientError::Denied { socket } => {
                write!(f, "no permission to use {socket}; become its owner, or see socket_mode and socket_owner")
            }
            ClientError::NotTrusted { socket, uid } => {
                let why = match socket.starts_with('@') {
                    true => "anybody can take a name in the abstract namespace",
                    false => "others can write to its directory",
                };
                write!(
                    f,
                    "{socket} is served by user {uid}, neither root nor you, and {why}; \
                     use a socket in a private directory"
                )
            }
            ClientError::Ended { socket } => write!(f, "the daemon at {socket} has ended"),
            ClientError::Timeout { socket, waited } => {
                let waited = waited.as_secs_f64();
                write!(f, "no answer from {socket} within {waited:.1} s: the daemon is stopped or overloaded")
            }
            ClientError::Protocol { socket, reason } => {
                write!(f, "{socket}: {reason}; is that the socket of a supervice daemon?")
            }
            ClientError::Failed { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for ClientError {}

/// What a reload has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reloaded {
    /// Programs that were added, sorted.
    pub added: Vec<String>,
    /// Programs that were stopped and removed, sorted.
    pub removed: Vec<String>,
    /// Programs with new settings, which they take at their next start, sorted.
    pub changed: Vec<String>,
}

/// Commands a daemon through its control socket: this package's or the Python package's.
///
/// Each command has a connection of its own, so that one `Controller` serves several threads. Methods
/// block until the daemon answers, which it does when the state has settled.
#[derive(Debug, Clone)]
pub struct Controller {
    socket: String,
    timeout: Duration,
    /// The time-out is the caller's: it holds whatever the daemon does.
    strict: bool,
}

impl Default for Controller {
    fn default() -> Self {
        Controller::new(DEFAULT_SOCKET_PATH)
    }
}

impl Controller {
    /// A client of the daemon at this socket; `@name` is a name in the abstract namespace.
    pub fn new(socket_path: impl Into<String>) -> Self {
        Controller { socket: socket_path.into(), timeout: DEFAULT_TIMEOUT, strict: false }
    }

    /// The same client with a time-out for every command. Without one, a command that takes longer
    /// than [`DEFAULT_TIMEOUT`] is waited for as long as the daemon answers others.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(Duration::from_millis(1), LONGEST_TIMEOUT);
        self.strict = true;
        self
    }

    /// The socket's path.
    pub fn socket_path(&self) -> &str {
        &self.socket
    }

    /// Sends a command with its parameters and returns the answer as it came, errors of the daemon included.
    ///
    /// # Errors
    /// All but [`ClientError::Failed`].
    pub fn send_command(&self, command: &str, parameters: &[(&str, Value)]) -> Result<Map<String, Value>, ClientError> {
        self.object(&self.send_until(command, parameters, Instant::now() + self.timeout)?)
    }

    /// The body of the answer.
    fn send_until(
        &self,
        command: &str,
        parameters: &[(&str, Value)],
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
        // What only asks is answered at once; else something in the daemon hangs.
        let asks = ["status", "why", "history", "pid", "ping", "version", "loglevel"].contains(&command);
        self.exchange(&frames::frame(&body), deadline, !asks)
    }

    fn object(&self, body: &[u8]) -> Result<Map<String, Value>, ClientError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(answer)) => Ok(answer),
            Ok(_) => Err(self.broken("the answer is no JSON object")),
            Err(error) => Err(self.broken(format!("the answer is not JSON: {error}"))),
        }
    }

    /// The state of every process, in the order of the configuration.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn status(&self) -> Result<Vec<ProcessStatus>, ClientError> {
        self.status_of(None)
    }

    /// The state of one process; `None` where a daemon that can only tell of all does not have it.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the code `NOT_FOUND` where there is none of this name; see [`ClientError`] for the others.
    pub fn process_status(&self, name: &str) -> Result<Option<ProcessStatus>, ClientError> {
        let processes: Vec<ProcessStatus> = self.status_of(Some(name))?;
        // A daemon that does not know the parameter answers with all.
        Ok(processes.into_iter().find(|process| process.name == name))
    }

    /// The state of every process, or of the one of this name, in any form of an answer. An older daemon may answer with
    /// all processes though one is named.
    pub(crate) fn status_of<T: DeserializeOwned>(&self, name: Option<&str>) -> Result<Vec<T>, ClientError> {
        #[derive(Deserialize)]
        struct Page<T> {
            status: String,
            processes: Vec<T>,
            next: Option<u64>,
        }
        let deadline = Instant::now() + self.timeout;
        let mut processes = Vec::new();
        let mut offset = None;
        for _ in 0..MOST_PAGES {
            let mut parameters: Vec<(&str, Value)> = Vec::new();
            parameters.extend(name.map(|name| ("name", name.into())));
            parameters.extend(offset.map(|offset: u64| ("offset", offset.into())));
            let body = self.send_until("status", &parameters, deadline)?;
            // Straight into its form: by way of a tree of values a thousand processes take twice as long.
            let page = serde_json::from_slice::<Page<T>>(&body);
            let page = match page {
                Ok(page) if page.status == "ok" => page,
                _ => {
                    // An error, or none of our answers.
                    self.particulars(&body, "no status")?
                }
            };
            processes.extend(page.processes);
            match page.next {
                Some(next) if Some(next) > offset => offset = Some(next),
                Some(_) | None => break,
            }
        }
        Ok(processes)
    }

    /// Starts a process and waits until it is `RUNNING`; the daemon's message.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the state that was reached instead and why; see [`ClientError`] for the others.
    pub fn start_process(&self, name: &str) -> Result<String, ClientError> {
        self.act("start", &[("name", name.into())])
    }

    /// Stops a process and waits until nothing of it is left; the daemon's message.
    ///
    /// # Errors
    /// As [`start_process`](Self::start_process).
    pub fn stop_process(&self, name: &str) -> Result<String, ClientError> {
        self.act("stop", &[("name", name.into())])
    }

    /// Stops a process (with `force` by SIGKILL) and starts it again; the daemon's message.
    ///
    /// # Errors
    /// As [`start_process`](Self::start_process).
    pub fn restart_process(&self, name: &str, force: bool) -> Result<String, ClientError> {
        self.act("restart", &[("name", name.into()), ("force", force.into())])
    }

    /// Starts all members of a group at the same time; the daemon's message.
    ///
    /// # Errors
    /// [`ClientError::Failed`] names the members that failed.
    pub fn start_group(&self, name: &str) -> Result<String, ClientError> {
        self.act("startgroup", &[("name", name.into())])
    }

    /// Stops all members of a group at the same time; the daemon's message.
    ///
    /// # Errors
    /// [`ClientError::Failed`] names the members that failed.
    pub fn stop_group(&self, name: &str) -> Result<String, ClientError> {
        self.act("stopgroup", &[("name", name.into())])
    }

    /// Has the daemon read its configuration again.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with everything that is wrong with it; nothing was changed then.
    pub fn reload(&self) -> Result<Reloaded, ClientError> {
        let body = self.send_until("reload", &[], Instant::now() + self.timeout)?;
        self.particulars(&body, "no reload's")
    }

    fn act(&self, command: &str, parameters: &[(&str, Value)]) -> Result<String, ClientError> {
        let answer = self.done(self.send_command(command, parameters)?)?;
        Ok(answer.get("message").and_then(Value::as_str).unwrap_or("done").to_owned())
    }

    /// An answer that says `ok`, in its form; `not` is what it is called where it has another. Straight from the bytes:
    /// the code that reads a form from a tree of values as well would be as large again.
    fn particulars<T: DeserializeOwned>(&self, body: &[u8], not: &str) -> Result<T, ClientError> {
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
    fn done(&self, answer: Map<String, Value>) -> Result<Map<String, Value>, ClientError> {
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
        if let Err(error) = send(&mut stream, request, deadline) {
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

    fn read_more(&self, stream: &mut UnixStream, buffer: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        read_some(stream, buffer)
    }

    /// Does the daemon answer somebody else?
    fn is_alive(&self) -> bool {
        let probe = self.clone().with_timeout(Duration::from_secs(5));
        probe.send_command("status", &[("offset", u32::MAX.into())]).is_ok()
    }

    fn connect(&self, deadline: Instant) -> Result<UnixStream, ClientError> {
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
            // A daemon that was stopped accepts nobody: without this, connect would wait for ever once its queue is full.
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

    fn io(&self, error: io::Error, begin: Instant) -> ClientError {
        let socket = self.socket.clone();
        if is_timeout(&error) {
            return ClientError::Timeout { socket, waited: begin.elapsed() };
        }
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the connection was closed before the answer came".to_owned(),
            _ => format!("the connection broke: {}", plain(&error)),
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
                    let read = stream.set_read_timeout(Some(CLOSING)).and_then(|()| stream.read(&mut [0]));
                    if read.map_or_else(|error| is_timeout(&error), |count| count > 0) {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn broken(&self, reason: impl Into<String>) -> ClientError {
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
fn send(stream: &mut UnixStream, mut rest: &[u8], deadline: Instant) -> io::Result<()> {
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

fn read_some(stream: &mut UnixStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    // The answer about some twenty processes fits; a larger one's further reads cost less than pages that nobody needs.
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// An error's text without the number that std appends.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
