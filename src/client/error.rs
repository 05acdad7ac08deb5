//! [`ClientError`]: why a command was not done.

use std::fmt;
use std::io;
use std::time::Duration;

use serde_json::Value;

use crate::process::Cause;
use crate::util::errno;

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
    /// The listener is neither root nor our own user, and the directory is one where anybody could have put the socket.
    NotTrusted {
        /// The socket.
        socket: String,
        /// The user id of the listener.
        uid: u32,
    },
    /// The daemon has ended before it answered, or in the middle of a sequence of frames. The command may have been
    /// done.
    Ended {
        /// The socket; nobody listens at it any more.
        socket: String,
    },
    /// No answer in time. The command may still be done.
    Timeout {
        /// The socket.
        socket: String,
        /// The time that was waited.
        waited: Duration,
    },
    /// The connection broke, or the response is not a valid answer.
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
        self.answer()?.0
    }

    /// Why the daemon refused, as a stable word for programs, for instance `no_such_process`. A daemon that gives none
    /// only has a [`code`](Self::code).
    pub fn refusal(&self) -> Option<&str> {
        self.answer()?.1
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
        // A newer daemon may have causes that we do not know.
        serde_json::from_value(self.answer()?.2?.clone()).ok()
    }

    /// Code, refusal and cause of an error answer; `None` where none came.
    fn answer(&self) -> Option<(Option<&str>, Option<&str>, Option<&Value>)> {
        match self {
            ClientError::Failed { code, refusal, message: _, cause_data } => {
                Some((code.as_deref(), refusal.as_deref(), cause_data.as_ref()))
            }
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
                "no daemon at {socket}: {}; is it running? another one with -s SOCKET, -c FILE or $SUPERVICE_SOCKET",
                errno::reason(error)
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
