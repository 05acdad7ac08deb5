//! [`OutputChange`]: trouble with the output of a process, and its end, in words.

use crate::models::{OutputRecovery, OutputTrouble, OutputTroubleKind, RecoveryCause, StreamKind};
use crate::util::plural::{choose, counted};

/// What became of the output of a process.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputChange {
    /// It can't be kept as it should.
    Trouble(OutputTrouble),
    /// It can be again.
    Recovered(OutputRecovery),
}

impl OutputChange {
    /// Something is lost from now on.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            OutputChange::Trouble(trouble) => match trouble.kind {
                OutputTroubleKind::Write | OutputTroubleKind::SyslogCopy => true,
                OutputTroubleKind::Stall | OutputTroubleKind::Rotation => false,
            },
            OutputChange::Recovered(_) => false,
        }
    }

    pub(super) fn describe(&self, stream: StreamKind) -> String {
        let stream = stream.as_str();
        match self {
            OutputChange::Trouble(trouble) => trouble.describe(stream),
            OutputChange::Recovered(recovery) => recovery.describe(stream),
        }
    }
}

impl OutputTrouble {
    /// The sentence that tells it of `stream`, a name for people.
    pub(super) fn describe(&self, stream: &str) -> String {
        let OutputTrouble { kind, reason } = self;
        match kind {
            OutputTroubleKind::Write => format!("{stream} is lost: {reason}"),
            OutputTroubleKind::SyslogCopy => format!("{stream}: the copy for syslog is lost: {reason}"),
            OutputTroubleKind::Stall => format!("{stream} waits for its disk: {reason}"),
            OutputTroubleKind::Rotation => format!("{stream}: {reason}"),
        }
    }
}

impl OutputRecovery {
    /// The sentence that tells it of `stream`, a name for people.
    fn describe(&self, stream: &str) -> String {
        let OutputRecovery { kind, cause, lost_bytes } = self;
        let (lost, is) = (counted(*lost_bytes, "byte"), choose(*lost_bytes, "is", "are"));
        let was = choose(*lost_bytes, "was", "were");
        match (kind, cause) {
            (OutputTroubleKind::Write, RecoveryCause::Works) => {
                format!("{stream} is written again; {lost} {was} lost")
            }
            (OutputTroubleKind::Write, RecoveryCause::Moved) => {
                format!("{stream} goes elsewhere from now on; {lost} {was} lost")
            }
            (OutputTroubleKind::SyslogCopy, RecoveryCause::Works) => {
                format!("{stream} goes to syslog again; {lost} of it {is} only in the log")
            }
            (OutputTroubleKind::SyslogCopy, RecoveryCause::Moved) => {
                format!("{stream} is not copied to syslog any more; {lost} of it {is} only in the log")
            }
            (OutputTroubleKind::Stall, RecoveryCause::Works) => format!("{stream} is written again"),
            (OutputTroubleKind::Rotation, RecoveryCause::Works) => format!("{stream} is rotated again"),
            (OutputTroubleKind::Stall | OutputTroubleKind::Rotation, RecoveryCause::Moved) => {
                format!("{stream} goes elsewhere from now on")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_not_said_to_be_lost() {
        let told = |kind| OutputTrouble { kind, reason: "why".into() }.describe("stdout");
        assert_eq!(told(OutputTroubleKind::Write), "stdout is lost: why");
        assert_eq!(told(OutputTroubleKind::SyslogCopy), "stdout: the copy for syslog is lost: why");
        assert_eq!(told(OutputTroubleKind::Rotation), "stdout: why");
    }

    #[test]
    fn what_goes_elsewhere_is_not_said_to_work() {
        let told = |kind, cause| OutputRecovery { kind, cause, lost_bytes: 1 }.describe("stdout");
        let (write, copy) = (OutputTroubleKind::Write, OutputTroubleKind::SyslogCopy);
        assert_eq!(told(write, RecoveryCause::Works), "stdout is written again; 1 byte was lost");
        assert_eq!(told(write, RecoveryCause::Moved), "stdout goes elsewhere from now on; 1 byte was lost");
        assert_eq!(told(copy, RecoveryCause::Works), "stdout goes to syslog again; 1 byte of it is only in the log");
        let dropped = "stdout is not copied to syslog any more; 1 byte of it is only in the log";
        assert_eq!(told(copy, RecoveryCause::Moved), dropped);
    }
}
