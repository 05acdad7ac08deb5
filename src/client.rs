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

#[cfg(feature = "attach")]
mod attachment;
mod commands;
mod error;
mod event_stream;
mod exchange;
mod output_stream;
mod peer;
#[cfg(feature = "http")]
mod web;
mod wire;

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use crate::codec::frames::{
    Access, Amount, Blame, BlameItem, ChainItem, DaemonChanges, EventItem, Flag, GraphItem, GraphNeed, HistoryItem,
    KeyChange, NextStep, ProcessStatus, ProgramRights, ProgramSettings, Reread, Setting, SettingSource, Terms, Updated,
    WaitFor, WaitedFor, WaitingFor, Why,
};
pub use crate::models::Power;
#[cfg(feature = "attach")]
pub(crate) use attachment::{Attachment, NewRun, Received};
pub use commands::{DaemonVersion, Results};
pub use error::ClientError;
pub use event_stream::{EventStream, StreamedEvent};
pub use output_stream::{Follow, OutputPiece};

use crate::models::DEFAULT_SOCKET_PATH;
use exchange::Pace;

/// How long an answer is waited for, unless [`Controller::with_timeout`] says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longer than any wait, and short enough to be added to any clock.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The most pages of a status answer that are asked for: far more than a daemon can fill.
const MAX_PAGES: usize = 10_000;

/// What a reload has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reloaded {
    /// Programs that were added, sorted.
    pub added: Vec<String>,
    /// Programs that were stopped and removed, sorted.
    pub removed: Vec<String>,
    /// Programs with new settings, sorted.
    pub changed: Vec<String>,
    /// Those of them that still run with their old settings until they are restarted; the others have the new ones, or
    /// are down. `None`: an older daemon does not say.
    pub needs_restart: Option<Vec<String>>,
    /// The daemon's own settings.
    pub daemon: DaemonChanges,
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
    /// Name and password for HTTP; with an empty name it is a token.
    #[cfg(feature = "http")]
    credentials: Option<(String, String)>,
}

impl Default for Controller {
    fn default() -> Self {
        Controller::new(DEFAULT_SOCKET_PATH)
    }
}

impl Controller {
    /// A client of the daemon at this socket; `@name` is a name in the abstract namespace, `http://HOST:PORT` a socket
    /// of
    /// `[http]`.
    pub fn new(socket_path: impl Into<String>) -> Self {
        Controller {
            socket: socket_path.into(),
            timeout: DEFAULT_TIMEOUT,
            strict: false,
            #[cfg(feature = "http")]
            credentials: None,
        }
    }

    /// The same client with a name and a password for HTTP; with an empty name the password is a token.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// The same client with a time-out for every command. Without one, a command that takes longer
    /// than [`DEFAULT_TIMEOUT`] is waited for as long as the daemon answers others.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(Duration::from_millis(1), MAX_TIMEOUT);
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
        self.object(&self.send_until(command, parameters, Pace::WhenDone, Instant::now() + self.timeout)?)
    }

    /// The state of every process, in the order of the configuration.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn status(&self) -> Result<Vec<ProcessStatus>, ClientError> {
        self.status_of(None)
    }

    /// The state of one process; `None` where an older daemon, which can only list all of them, does not have it.
    ///
    /// # Errors
    /// [`ClientError::Failed`] with the code `NOT_FOUND` where there is none of this name; see [`ClientError`] for the
    /// others.
    pub fn process_status(&self, name: &str) -> Result<Option<ProcessStatus>, ClientError> {
        let processes: Vec<ProcessStatus> = self.status_of(Some(name))?;
        // A daemon that does not know the parameter answers with all.
        Ok(processes.into_iter().find(|process| process.name == name))
    }

    /// The state of every process, or of the one of this name, in any form of an answer. An older daemon may answer
    /// with all processes though one is named.
    pub(crate) fn status_of<T: DeserializeOwned>(&self, name: Option<&str>) -> Result<Vec<T>, ClientError> {
        let name: Vec<(&str, Value)> = name.map(|name| ("name", name.into())).into_iter().collect();
        self.pages("status", &name)
    }

    /// All pages of an answer that has `processes`.
    fn pages<T: DeserializeOwned>(&self, command: &str, parameters: &[(&str, Value)]) -> Result<Vec<T>, ClientError> {
        #[derive(Deserialize)]
        struct Page<T> {
            status: String,
            processes: Vec<T>,
            next: Option<u64>,
        }
        let deadline = Instant::now() + self.timeout;
        let mut processes = Vec::new();
        let mut offset = None;
        for _ in 0..MAX_PAGES {
            let mut parameters = parameters.to_vec();
            parameters.extend(offset.map(|offset: u64| ("offset", offset.into())));
            let body = self.send_until(command, &parameters, Pace::AtOnce, deadline)?;
            // Straight into its form: by way of a tree of values a thousand processes take twice as long.
            let page = serde_json::from_slice::<Page<T>>(&body);
            let page = match page {
                Ok(page) if page.status == "ok" => page,
                _ => {
                    // An error, or none of our answers.
                    self.particulars(&body, &format!("no {command}"))?
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
    /// [`ClientError::Failed`] with everything that is wrong with it; then nothing was changed.
    pub fn reload(&self) -> Result<Reloaded, ClientError> {
        self.reload_within(None)
    }

    /// The same with a time limit, after which the daemon answers how far it has come.
    pub(crate) fn reload_within(&self, timeout: Option<Duration>) -> Result<Reloaded, ClientError> {
        let given: Vec<(&str, Value)> =
            timeout.map(|time| ("timeout", time.as_secs_f64().into())).into_iter().collect();
        let body = self.send_until("reload", &given, Pace::WhenDone, Instant::now() + self.timeout)?;
        self.particulars(&body, "no reload's")
    }

    fn act(&self, command: &str, parameters: &[(&str, Value)]) -> Result<String, ClientError> {
        let answer = self.done(self.send_command(command, parameters)?)?;
        Ok(answer.get("message").and_then(Value::as_str).unwrap_or("done").to_owned())
    }
}
