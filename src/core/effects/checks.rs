//! Checks that no command makes: each on a thread of its own, which ends with it, so that one that takes its time (a
//! name server, a dead host or disk) delays nobody else's. Those by a command are [tasks](super::tasks).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::effect::{CheckPurpose, External, Input};
use super::Effects;
use crate::api::ProcId;
use crate::health::{
    HealthCheckResult, HealthChecker, check_on_thread, connection_checker, create_health_checker, readiness_checker,
};
use crate::models::{ProgramConfig, StartCondition};
use crate::process::{Generation, PROBE_TIMEOUT_SECS, SpawnError, SpawnStage};

/// Checks that may be under way at the same time. Each ends within its time-out, unless a disk hangs.
const MAX_UNDER_WAY: usize = 4096;

/// One check of one run.
type Check = (ProcId, Generation, CheckPurpose);

/// Checks whose thread has not come back.
#[derive(Clone, Default)]
pub(super) struct ChecksUnderWay(Arc<Mutex<Vec<Check>>>);

impl ChecksUnderWay {
    fn lock(&self) -> MutexGuard<'_, Vec<Check>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine has given up the one before; its thread may be there all the same.
    fn begin(&self, check: Check) -> Result<UnderWay, &'static str> {
        let mut all = self.lock();
        if all.contains(&check) {
            return Err("the check before has not ended yet");
        }
        if all.len() >= MAX_UNDER_WAY {
            return Err("too many checks wait for an answer");
        }
        all.push(check);
        Ok(UnderWay { all: self.clone(), check })
    }
}

/// A check is under way as long as this is there.
struct UnderWay {
    all: ChecksUnderWay,
    check: Check,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        all.retain(|other| *other != self.check);
        if all.is_empty() {
            *all = Vec::new();
        }
    }
}

/// Why a check has not begun.
enum CheckRefusal {
    Refused(&'static str),
    NoThread(SpawnError),
}

impl Effects {
    /// Begins a check; what is wrong with that counts as a failed one, unless it is the daemon that is short of
    /// something.
    pub(super) fn check(
        &mut self,
        id: ProcId,
        generation: Generation,
        purpose: CheckPurpose,
        config: &ProgramConfig,
    ) -> Option<Input> {
        let failed =
            |message| Input::Checked { id, generation, purpose, result: HealthCheckResult { healthy: false, message } };
        Some(match self.begin_check((id, generation, purpose), config).err()? {
            CheckRefusal::Refused(message) => failed(message.to_owned()),
            CheckRefusal::NoThread(error) if purpose == CheckPurpose::Health && error.is_shortage() => {
                Input::CheckMissed { id, generation, error: Box::new(error) }
            }
            CheckRefusal::NoThread(error) => failed(error.to_string()),
        })
    }

    fn begin_check(&mut self, check: Check, config: &ProgramConfig) -> Result<(), CheckRefusal> {
        let (id, generation, purpose) = check;
        let checker =
            checker(purpose, config).ok_or(CheckRefusal::Refused("the settings of the check are incomplete"))?;
        let under_way = self.checks.begin(check).map_err(CheckRefusal::Refused)?;
        let inputs = self.parts.inputs.clone();
        let report = move |result| {
            // First: the next check may begin as soon as the answer is there.
            drop(under_way);
            let _ = inputs.send(External::Input(Input::Checked { id, generation, purpose, result }));
        };
        check_on_thread(&config.name, checker, report).map_err(|error| {
            let number = error.raw_os_error().unwrap_or(0);
            CheckRefusal::NoThread(SpawnError::system(SpawnStage::Fork, "a thread for a check", number))
        })
    }
}

fn checker(purpose: CheckPurpose, config: &ProgramConfig) -> Option<Box<dyn HealthChecker>> {
    match purpose {
        CheckPurpose::Health => create_health_checker(&config.healthcheck),
        // A command, which is a task.
        CheckPurpose::HealthAction | CheckPurpose::OutputAction { .. } => None,
        CheckPurpose::StartCondition(condition) => match config.start_when.get(usize::from(condition.place))? {
            StartCondition::Accepts(endpoint) => Some(connection_checker(endpoint, probe_timeout())),
            StartCondition::Path(_)
            | StartCondition::Network(_)
            | StartCondition::Flag(_)
            | StartCondition::Command(_) => None,
        },
        CheckPurpose::Readiness => readiness_checker(&config.ready, probe_timeout()),
    }
}

fn probe_timeout() -> Duration {
    Duration::from_secs(u64::from(PROBE_TIMEOUT_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_begins_when_the_one_before_has_ended_and_those_of_another_run_do_not_wait() {
        let checks = ChecksUnderWay::default();
        let first = checks.begin((1, 1, CheckPurpose::Health)).expect("the first");
        assert!(checks.begin((1, 1, CheckPurpose::Health)).is_err());
        let others = [(1, 2, CheckPurpose::Health), (2, 1, CheckPurpose::Health), (1, 1, CheckPurpose::Readiness)];
        let others = others.map(|check| checks.begin(check));
        assert!(others.iter().all(Result::is_ok));
        drop(first);
        assert!(checks.begin((1, 1, CheckPurpose::Health)).is_ok());
        drop(others);
        assert!(checks.lock().is_empty());
    }

    #[test]
    fn the_number_of_checks_under_way_is_bounded() {
        let checks = ChecksUnderWay::default();
        let begin = |number| checks.begin((number, 1, CheckPurpose::Health));
        let all: Vec<_> = (0..MAX_UNDER_WAY).map(|number| begin(number as ProcId).expect("there is room")).collect();
        assert_eq!(begin(ProcId::MAX).err(), Some("too many checks wait for an answer"));
        drop(all);
    }
}
