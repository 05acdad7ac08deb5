//! One call of a verb, and how its failure is reported.

use std::time::Duration;

use serde_json::{Value, json};

use super::args::Args;
use super::exit::{FAILED, NO_DAEMON, TIME_OUT};
use super::print::{VERSION, print, print_error};
use super::verb::Verb;
use crate::client::{ClientError, Controller};
use crate::codec::frames::ErrorCode;

/// The daemon that is asked, and for what.
pub(super) struct Call<'a> {
    pub controller: &'a Controller,
    pub verb: Verb,
    pub args: &'a Args,
}

/// How much longer than the daemon the client waits: the daemon's answer says more than the client's time-out.
const GRACE: Duration = Duration::from_millis(500);

impl Call<'_> {
    /// A client that waits a little longer than the daemon was told to. The daemon's own time-out says how far the
    /// command has come; the client's is for a daemon that is silent.
    pub fn outlasting_daemon(&self) -> Controller {
        match self.args.timeout {
            Some(timeout) => self.controller.clone().with_timeout(timeout.saturating_add(GRACE)),
            None => self.controller.clone(),
        }
    }
}

/// The daemon is older than the command.
pub(super) fn is_unknown_command(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::UnknownCommand.as_str())
}

/// Whether a daemon answers so that takes one name only. What is wrong with a name is told with that; that there is
/// none, by a daemon that has looked for one.
pub(super) fn is_of_old_daemon(error: &ClientError) -> bool {
    let old = [ErrorCode::InvalidRequest, ErrorCode::NotFound, ErrorCode::UnknownCommand].map(ErrorCode::as_str);
    error.code().is_some_and(|code| old.contains(&code))
}

/// The exit code for an error.
pub(super) fn code_of(error: &ClientError) -> u8 {
    match error {
        ClientError::NoDaemon { .. } | ClientError::Ended { .. } => NO_DAEMON,
        ClientError::Timeout { .. } => TIME_OUT,
        ClientError::Failed { .. } if error.code() == Some(ErrorCode::Timeout.as_str()) => TIME_OUT,
        ClientError::Denied { .. }
        | ClientError::NotTrusted { .. }
        | ClientError::Protocol { .. }
        | ClientError::Failed { .. } => FAILED,
    }
}

/// Reports a failure; the exit code for it.
pub(super) fn fail_at(call: &Call<'_>, error: ClientError) -> u8 {
    let code = code_of(&error);
    let message = explain(call, &error);
    if call.args.json() {
        // For the script that asked for JSON a failure is an answer too.
        print(&format!("{}\n", json!({"status": "error", "code": answer_code(&error), "message": message})));
    } else {
        print_error(&message);
    }
    code
}

/// An answer in JSON. Where words have selected nothing it is an error that says so, with what was found for the
/// others.
pub(super) fn with_unknown(mut answer: Value, unknown: &[String]) -> Value {
    if unknown.is_empty() {
        answer["status"] = "ok".into();
    } else {
        answer["status"] = "error".into();
        answer["code"] = ErrorCode::NotFound.as_str().into();
        answer["message"] = unknown.join("; ").into();
    }
    answer
}

/// Reports the words that have selected nothing, unless an answer in JSON does.
pub(super) fn report_unknown(call: &Call<'_>, unknown: &[String]) {
    if !call.args.json() {
        unknown.iter().for_each(|message| print_error(message));
    }
}

/// The same where each name has an answer of its own.
pub(super) fn answer_for(call: &Call<'_>, unknown: &[String]) {
    if call.args.json() && !unknown.is_empty() {
        print(&format!("{}\n", with_unknown(json!({}), unknown)));
    }
    report_unknown(call, unknown);
}

/// The protocol's code for the error, where it has one.
pub(super) fn answer_code(error: &ClientError) -> Option<&str> {
    match error {
        ClientError::Timeout { .. } => Some(ErrorCode::Timeout.as_str()),
        ClientError::Failed { .. }
        | ClientError::NoDaemon { .. }
        | ClientError::Ended { .. }
        | ClientError::Denied { .. }
        | ClientError::NotTrusted { .. }
        | ClientError::Protocol { .. } => error.code(),
    }
}

/// The message for an error. For a command that the daemon does not know it names both versions, and for a change
/// without an answer it says that the change may have been made.
pub(super) fn explain(call: &Call<'_>, error: &ClientError) -> String {
    let verb = call.verb.name();
    match error {
        ClientError::Failed { .. } if is_unknown_command(error) => {
            // These verbs are known to every daemon; only the stream of events that they follow is not.
            let needed = if matches!(call.verb, Verb::Status | Verb::Top) {
                format!("'events', without which there is no {verb} that follows")
            } else {
                format!("'{verb}'")
            };
            let other = match call.controller.version() {
                Ok(daemon) => format!("the daemon (version {})", daemon.version),
                Err(_) => "the daemon (of an unknown version)".to_owned(),
            };
            format!("{other} does not know {needed}; this is supervicectl {VERSION}")
        }
        ClientError::Timeout { .. } | ClientError::Ended { .. } if call.verb.is_change() => {
            format!("{error}; {verb} may be done all the same (see status)")
        }
        error => error.to_string(),
    }
}
