//! The errors of a run.

use std::fmt;
use std::io;

use crate::logger;
use crate::sys::pidfile::PidFileError;
use crate::util::errno;

/// What keeps a supervisor from starting, or from ending cleanly.
#[derive(Debug)]
pub enum RunError {
    /// It runs already, or has run before.
    NotIdle,
    /// The daemon's log could not be set up.
    Log(logger::LoggerError),
    /// The pid file could not be taken; another daemon may hold it.
    PidFile(PidFileError),
    /// The control socket could not be made; the text names its path.
    Socket(io::Error),
    /// A thread, signal handler or pipe that the daemon needs was refused.
    System {
        /// What was refused.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// After the shutdown, not even SIGKILL has ended every process; the log names them.
    LeftBehind,
    /// Nothing failed in the supervisor itself: it has shut down because of the end of a program (`exit_on`,
    /// `exit_when_idle`), and that end was a failure.
    ProgramEnded {
        /// The exit code for it; never 0.
        code: u8,
        /// Which program it was, and how it ended.
        reason: String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::NotIdle => f.write_str("this supervisor runs already or has run; make a new one"),
            RunError::Log(error) => error.fmt(f),
            RunError::PidFile(error) => error.fmt(f),
            RunError::Socket(error) => f.write_str(&errno::reason_with_remedy(error)),
            RunError::System { what, error } => {
                write!(f, "cannot set up {what}: {}", errno::reason_with_remedy(error))
            }
            RunError::ProgramEnded { code, reason } => write!(f, "{reason}; exit code {code}"),
            RunError::LeftBehind => f.write_str("some processes could not be ended, not even by SIGKILL; see the log"),
        }
    }
}

impl std::error::Error for RunError {}

/// The error of a part that the system refuses.
pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |error| RunError::System { what, error }
}
