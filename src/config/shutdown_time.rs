//! How long the daemon's own end may take: whose stop it cuts off, and in supervisord's dialect what it has to be.
//! There each group is told to stop when the one before has ended, and each program has its `stopwaitsecs`.

use super::dependencies::Origin;
use super::diagnostic::{Fault, Report};
use super::document::Document;
use super::expand::Scope;
use super::fields::Fields;
use super::keys::Section;
use super::sections::SUPERVISORD_SECTION;
use crate::models::{Dialect, SupervisorConfig};
use crate::process::stop_seconds;
use crate::util::plural::counted;
use crate::util::sorted::SortedMap;

/// In supervisord's dialect gives all programs their time where `shutdown_timeout` is not written. Else it holds for
/// all of them together, and the program is warned of whose stop may take longest, where that is longer.
pub(super) fn settle(
    config: &mut SupervisorConfig,
    document: &Document,
    origins: &[Origin<'_>],
    scope: Scope<'_>,
    report: &mut Report,
) {
    let supervisord = document.section(SUPERVISORD_SECTION).filter(|_| document.dialect == Dialect::Supervisord);
    if supervisord.is_none_or(|view| view.get("shutdown_timeout").is_some()) {
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

/// Of a time that is not written nobody is warned: who bounds the end to less than the default of a stop means that.
fn warn(config: &SupervisorConfig, origins: &[Origin<'_>], scope: Scope<'_>, report: &mut Report) {
    let most = config.shutdown_timeout;
    let is_written =
        |origin: &Origin<'_>| ["stopwaitsecs", "stopsignal"].iter().any(|key| origin.view.get(key).is_some());
    let stops = config.programs.iter().zip(origins).filter(|(_, origin)| is_written(origin));
    let stops = stops.map(|(program, origin)| (stop_seconds(program), program, origin));
    let cut_off: Vec<_> = stops.filter(|(seconds, ..)| *seconds > most).collect();
    // The first of several.
    let Some((longest, program, origin)) = cut_off.iter().rev().max_by_key(|(seconds, ..)| *seconds) else { return };
    let mut fields = Fields { view: origin.view, scope, report };
    let Some(entry) = fields.entry("stopwaitsecs").or_else(|| fields.entry("stopsignal")) else { return };
    let others = match cut_off.len() - 1 {
        0 => String::new(),
        others => format!(" (and those of {})", counted(others, "other program")),
    };
    let message = format!(
        "a stop of {} may take {longest} s{others}, but a shutdown sends SIGKILL after {most} s (shutdown_timeout)",
        program.name
    );
    let section = if scope.dialect == Dialect::Supervisord { SUPERVISORD_SECTION } else { Section::Supervice.name() };
    let remedy = format!("write shutdown_timeout = {longest} or more in [{section}]");
    fields.warn(&entry, Fault::new(message, remedy));
}
