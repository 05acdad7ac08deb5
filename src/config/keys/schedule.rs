//! Keys of schedules that depend on what the system has.

use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::config::values::{schedules, seconds};
use crate::models::{ProgramConfig, Schedule};
use crate::sys::host_id::host_id;
use crate::sys::zones::{NoZone, TimeZone, renew_system};

/// When the clock starts it.
pub(crate) fn schedule(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let times = schedules(&given.text()?)?;
    if times.iter().any(|time| matches!(time, Schedule::Calendar(_))) {
        // The system's zone may be another one by now.
        renew_system();
    }
    program.schedule.times = times;
    Ok(())
}

/// By which zone. Its file is read here, on the thread that reads the configuration.
pub(crate) fn schedule_timezone(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let Some(name) = given.filled()? else { return Ok(()) };
    TimeZone::renew(Some(&name)).map_err(|no| {
        let remedy = match no {
            #[cfg(feature = "timezones")]
            NoZone::NoName | NoZone::Broken(_) | NoZone::Missing { has_directory: true, .. } => {
                "write a name such as Europe/Berlin, or UTC"
            }
            #[cfg(feature = "timezones")]
            NoZone::Missing { has_directory: false, .. } => "install the time zones (the package tzdata), or write UTC",
            #[cfg(not(feature = "timezones"))]
            NoZone::NotBuilt => "write UTC, or build it with the feature timezones",
        };
        Fault::new(no.to_string(), remedy)
    })?;
    program.schedule.timezone = Some(name);
    Ok(())
}

/// In seconds. What it depends on is read here, on the thread that reads the configuration.
pub(crate) fn schedule_jitter(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let jitter = seconds(&given.text()?, 0)?;
    if jitter > 0 {
        program.schedule.jitter = jitter;
        let _ = host_id();
    }
    Ok(())
}
