//! How long the daemon's own end may take in supervisord's dialect: there each group is told to stop when the one before has
//! ended, and each program has its `stopwaitsecs`.

use super::dependencies::Origin;
use super::diagnostic::{Fault, Report};
use super::document::Document;
use super::expand::Scope;
use super::fields::Fields;
use super::sections::SUPERVISORD_SECTION;
use crate::models::SupervisorConfig;
use crate::util::sorted::SortedMap;

/// Gives all programs their time. Where `shutdown_timeout` is written it holds for all of them together, and the program is
/// warned of whose stop may take longest, where that is longer.
pub(super) fn settle(
    config: &mut SupervisorConfig,
    document: &Document,
    origins: &[Origin<'_>],
    scope: Scope<'_>,
    report: &mut Report,
) {
    if document.section(SUPERVISORD_SECTION).is_some_and(|view| view.get("shutdown_timeout").is_some()) {
        return warn(config, origins, scope, report);
    }
    let mut longest: SortedMap<&str, u32> = SortedMap::default();
    for program in &config.programs {
        let seconds = longest.get_or_default(program.group_name());
        *seconds = program.stopwaitsecs.max(*seconds);
    }
    let all = longest.values().fold(0, |all: u32, seconds| all.saturating_add(*seconds));
    config.shutdown_timeout = config.shutdown_timeout.max(all);
}

fn warn(config: &SupervisorConfig, origins: &[Origin<'_>], scope: Scope<'_>, report: &mut Report) {
    let waits = config.programs.iter().map(|program| program.stopwaitsecs).zip(origins);
    // Of several the first.
    let Some((longest, origin)) = waits.rev().max_by_key(|(seconds, _)| *seconds) else { return };
    let most = config.shutdown_timeout;
    let mut fields = Fields { view: origin.view, scope, report };
    if let Some(entry) = fields.entry("stopwaitsecs").filter(|_| longest > most) {
        let message = format!("the end of the daemon waits {most} seconds at most for all programs");
        let remedy = format!("write shutdown_timeout = {longest} or more in [supervisord]");
        fields.warn(&entry, Fault::new(message, remedy));
    }
}
