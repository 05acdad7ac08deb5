//! What the engine asks about times: what the clocks show, and when a schedule is due.

use super::super::effect::{ClockReading, FoundTime, Input, SearchFrom};
use crate::api::ProcId;
use crate::models::ProgramConfig;
use crate::schedule;
use crate::sys::host_id::host_id;
use crate::sys::time::all_clocks;
use crate::sys::zones::TimeZone;

/// What the clocks show now.
pub(super) fn clock_reading() -> ClockReading {
    let (at, wall, asleep) = all_clocks();
    ClockReading { at, wall, asleep }
}

/// The next time at which this program is to be started.
pub(super) fn find_time(id: ProcId, program: &ProgramConfig, from: SearchFrom) -> Input {
    let clock = clock_reading();
    let after = match from {
        SearchFrom::Now => clock.seconds(),
        SearchFrom::After(seconds) => seconds,
    };
    Input::TimeFound { id, clock: Some(clock), found: time_after(program, after) }
}

/// The same after this time, in seconds since 1970.
pub(in crate::core) fn time_after(program: &ProgramConfig, after: i64) -> Option<FoundTime> {
    let config = &program.schedule;
    let zone = match TimeZone::find(config.timezone.as_deref()) {
        Err(error) => {
            let zone = config.timezone.as_deref().unwrap_or_default();
            log::error!("{}: schedule_timezone = {zone}: {error}; its schedule rests", program.name);
            return None;
        }
        Ok(zone) => zone,
    };
    let offset = |at: i64| zone.offset(at);
    schedule::next(config, &offset, after).map(|nominal| {
        let following = schedule::next(config, &offset, nominal);
        let due = nominal + schedule::jitter(config, host_id, &program.name, following.map(|at| at - nominal));
        FoundTime { nominal, due, offset: offset(due) }
    })
}
