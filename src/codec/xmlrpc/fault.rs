//! Faults: the numbers that supervisord's clients know. A number comes from the type of a refusal, never from its
//! sentence.

use super::value::Value;
use crate::api::{Refusal, ReloadFailure, Unreached};
use crate::process::{Cause, Failure, SpawnError, SpawnStage, StdinRefusal};

/// What went wrong, as supervisord numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
    /// There is no such method.
    UnknownMethod,
    /// Their number or type is wrong.
    IncorrectParameters,
    /// Their values are.
    BadArguments,
    /// There is no such method to tell of.
    SignatureUnsupported,
    /// The daemon ends.
    ShutdownState,
    /// There is no such process or group.
    BadName,
    /// There is no such signal.
    BadSignal,
    /// A file is missing.
    NoFile,
    /// The program is no program.
    NotExecutable,
    /// It was not done.
    Failed,
    /// No rule of access allows it. A call that is not one of several is refused by HTTP instead.
    Forbidden,
    /// It has ended before it was running.
    AbnormalTermination,
    /// It could not be started.
    SpawnError,
    /// It runs.
    AlreadyStarted,
    /// It does not run.
    NotRunning,
    /// Nothing went wrong: one of several results.
    Success,
    /// The group is there.
    AlreadyAdded,
    /// Something of the group runs.
    StillRunning,
    /// The configuration can't be used.
    CantReread,
}

impl FaultCode {
    /// Its number.
    pub fn number(self) -> i64 {
        self.row().0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (i64, &'static str) {
        match self {
            FaultCode::UnknownMethod => (1, "UNKNOWN_METHOD"),
            FaultCode::IncorrectParameters => (2, "INCORRECT_PARAMETERS"),
            FaultCode::BadArguments => (3, "BAD_ARGUMENTS"),
            FaultCode::SignatureUnsupported => (4, "SIGNATURE_UNSUPPORTED"),
            FaultCode::ShutdownState => (6, "SHUTDOWN_STATE"),
            FaultCode::BadName => (10, "BAD_NAME"),
            FaultCode::BadSignal => (11, "BAD_SIGNAL"),
            FaultCode::NoFile => (20, "NO_FILE"),
            FaultCode::NotExecutable => (21, "NOT_EXECUTABLE"),
            FaultCode::Failed | FaultCode::Forbidden => (30, "FAILED"),
            FaultCode::AbnormalTermination => (40, "ABNORMAL_TERMINATION"),
            FaultCode::SpawnError => (50, "SPAWN_ERROR"),
            FaultCode::AlreadyStarted => (60, "ALREADY_STARTED"),
            FaultCode::NotRunning => (70, "NOT_RUNNING"),
            FaultCode::Success => (80, "SUCCESS"),
            FaultCode::AlreadyAdded => (90, "ALREADY_ADDED"),
            FaultCode::StillRunning => (91, "STILL_RUNNING"),
            FaultCode::CantReread => (92, "CANT_REREAD"),
        }
    }

    /// The fault about this.
    pub fn about(self, extra: impl Into<String>) -> Fault {
        Fault { code: self, extra: Some(extra.into()) }
    }

    /// The fault without particulars.
    pub fn bare(self) -> Fault {
        Fault { code: self, extra: None }
    }
}

/// What a client is told in place of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub code: FaultCode,
    /// About what: mostly the name as the caller wrote it.
    pub extra: Option<String>,
}

impl Fault {
    /// The text: `BAD_NAME: web`.
    pub fn text(&self) -> String {
        match &self.extra {
            Some(extra) => format!("{}: {extra}", self.code.name()),
            None => self.code.name().to_owned(),
        }
    }

    /// As one of several results, or what a fault consists of.
    pub fn to_value(&self) -> Value {
        Value::Struct(vec![
            ("faultCode".into(), Value::Int(self.code.number())),
            ("faultString".into(), Value::text(self.text())),
        ])
    }

    /// What a refusal is to a client that has written this `name`.
    pub fn of(refusal: &Refusal, name: &str) -> Fault {
        match refusal {
            Refusal::NoSuchProcess { .. } | Refusal::NoSuchGroup { .. } => FaultCode::BadName.about(name),
            Refusal::Forbidden { .. } => FaultCode::Forbidden.about(refusal.to_string()),
            Refusal::ShuttingDown => FaultCode::ShutdownState.bare(),
            Refusal::NotRunning { .. } => FaultCode::NotRunning.about(name),
            Refusal::NotReached { members, .. } => match members.first() {
                Some((_, why)) => Fault::of_member(why, name),
                None => FaultCode::Failed.about(refusal.to_string()),
            },
            Refusal::RereadFailed(why) | Refusal::ReloadFailed(why) | Refusal::UpdateFailed(why) => match why {
                ReloadFailure::ShuttingDown => FaultCode::ShutdownState.bare(),
                ReloadFailure::Config(_) | ReloadFailure::PendingCommit { .. } | ReloadFailure::TimedOut { .. } => {
                    FaultCode::CantReread.about(why.to_string())
                }
            },
            Refusal::Stdin { why: StdinRefusal::NoPipe | StdinRefusal::Closed, .. } => FaultCode::NoFile.about(name),
            Refusal::GroupThere { .. } => FaultCode::AlreadyAdded.about(name),
            Refusal::GroupRunning { .. } => FaultCode::StillRunning.about(name),
            Refusal::NoLog { path: None } => FaultCode::NoFile.bare(),
            Refusal::NoLog { path: Some(path) } => FaultCode::NoFile.about(path.clone()),
            Refusal::CannotRestart
            | Refusal::TooManyFlags { .. }
            | Refusal::NotScalable { .. }
            | Refusal::NoReload { .. }
            | Refusal::HookFailed { .. }
            | Refusal::Stdin { why: StdinRefusal::Full { .. }, .. }
            | Refusal::NotInit
            | Refusal::WaitFailed { .. }
            | Refusal::ReloadIncomplete { .. }
            | Refusal::UpdateIncomplete { .. }
            | Refusal::UpdateTakenBack { .. }
            | Refusal::NothingToConfirm { .. }
            | Refusal::Output { .. }
            | Refusal::Internal => FaultCode::Failed.about(refusal.to_string()),
            #[cfg(feature = "attach")]
            Refusal::NoTerminal { .. } | Refusal::Run { .. } => FaultCode::Failed.about(refusal.to_string()),
        }
    }

    /// Why a process that was to start has not, to a client that has written this `name`.
    pub fn of_member(why: &Unreached, name: &str) -> Fault {
        match why {
            Unreached::Reached(reached) => match reached.cause.as_ref().and_then(failure) {
                // That its command is not there, or is no program, was told before it was started.
                Some(_) => FaultCode::SpawnError.about(name),
                None => FaultCode::AbnormalTermination.about(name),
            },
            Unreached::WaitsFor { .. } | Unreached::CutShort { .. } => FaultCode::SpawnError.about(name),
            Unreached::StoppedMeanwhile(_) | Unreached::Disabled => FaultCode::AbnormalTermination.about(name),
            Unreached::Removed | Unreached::RemovedFromConfiguration => FaultCode::BadName.about(name),
            Unreached::ShuttingDown => FaultCode::ShutdownState.bare(),
        }
    }
}

/// Why the last attempt failed, where the state tells of one.
pub(super) fn failure(cause: &Cause) -> Option<&Failure> {
    if let Cause::BackedOff { failure, .. } | Cause::GaveUp { failure, .. } | Cause::StartFailed { failure } = cause {
        return Some(failure);
    }
    None
}

const ENOENT: i32 = 2;

/// Why a program could not be spawned, in the words of supervisord where it has some.
pub(super) fn spawn_error(error: &SpawnError) -> String {
    match (error.stage, error.errno) {
        (SpawnStage::Exec, ENOENT) => format!("can't find command '{}'", error.subject),
        _ => error.to_string(),
    }
}
