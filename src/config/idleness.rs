//! `exit_when_idle` where it does not do what it is written for: a container that is to end with its programs would never end.

use super::diagnostic::{Fault, Report};
use super::document::Document;
use super::expand::Scope;
use super::fields::Fields;
use super::keys::Section;
use crate::models::SupervisorConfig;

/// Warns where nothing is started that could end, or something never ends for good. What is allowed all the same:
/// somebody may start a program, and another configuration may come.
pub(super) fn check(config: &SupervisorConfig, document: &Document, scope: Scope<'_>, report: &mut Report) {
    let Some(view) = document.section(Section::Supervice.name()).filter(|_| config.exit_when_idle) else { return };
    let mut fields = Fields { view, scope, report };
    let Some(entry) = fields.entry("exit_when_idle") else { return };
    let scheduled = config.programs.iter().find(|program| !program.schedule.times.is_empty());
    let (message, remedy) = if let Some(program) = scheduled {
        let message = format!("{} has a schedule and never ends for good: the daemon goes on", program.name);
        (message, "take its schedule away, or write exit_when_idle = false")
    } else if !config.programs.iter().any(|program| program.autostart) {
        let message =
            "nothing is started with the daemon: it goes on until somebody has started a program and that has ended";
        (message.to_owned(), "write autostart = true in a program, or exit_when_idle = false")
    } else {
        return;
    };
    fields.warn(&entry, Fault::new(message, remedy));
}
