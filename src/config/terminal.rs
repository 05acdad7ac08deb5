//! What a terminal excludes.

use super::diagnostic::Fault;
use super::fields::Fields;
use super::sections::ProgramKind;
use crate::models::ProgramConfig;

/// A terminal is all three of its standard streams, so that its standard error is where its standard output is.
pub(super) fn check(fields: &mut Fields<'_, '_>, kind: ProgramKind, program: &mut ProgramConfig) {
    let Some(entry) = fields.entry("tty").filter(|_| program.tty) else { return };
    match kind {
        ProgramKind::Plain => {}
        ProgramKind::EventListener => {
            let fault = Fault::new("its standard streams are what it is told events by", "remove the key");
            return fields.error(&entry, fault);
        }
        ProgramKind::Fcgi => {
            return fields.error(&entry, Fault::new("its standard input is its socket", "remove the key"));
        }
    }
    if let Some(stdin) = fields.entry("stdin") {
        fields.warn(&stdin, Fault::new("its standard input is its terminal (tty)", "remove one of the two"));
    }
    for key in ["stderr_logfile", "stderr_syslog"] {
        if let Some(entry) = fields.entry(key).filter(|entry| !matches!(entry.value, "" | "none" | "false")) {
            let why = "nothing comes there: what it writes to its terminal (tty) is its standard output";
            fields.warn(&entry, Fault::new(why, "write stdout_logfile or stdout_syslog, and remove the key"));
        }
    }
    program.redirect_stderr = true;
}
