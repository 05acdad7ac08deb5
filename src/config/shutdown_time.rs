//! What the daemon's own end cuts short: supervisord waits for each program as long as its `stopwaitsecs`, supervice for all
//! of them no longer than `shutdown_timeout`.

use super::dependencies::Origin;
use super::diagnostic::{Fault, Report};
use super::expand::Scope;
use super::fields::Fields;
use crate::models::SupervisorConfig;

/// Warns of the program whose stop may take longest, where that is longer than the end of the daemon.
pub(super) fn check(config: &SupervisorConfig, origins: &[Origin<'_>], scope: Scope<'_>, report: &mut Report) {
    let waits = config.programs.iter().map(|program| program.stopwaitsecs).zip(origins);
    // Of several the first.
    let Some((longest, origin)) = waits.rev().max_by_key(|(seconds, _)| *seconds) else { return };
    let most = config.shutdown_timeout;
    let mut fields = Fields { view: origin.view, scope, report };
    if let Some(entry) = fields.entry("stopwaitsecs").filter(|_| longest > most) {
        let message = format!("the end of the daemon waits {most} seconds at most for all programs");
        let remedy = format!("write shutdown_timeout = {longest} in [supervisord] to wait as supervisord does");
        fields.warn(&entry, Fault::new(message, remedy));
    }
}
