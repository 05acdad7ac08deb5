//! Checks of runs: their health, and whether they are ready. By a [task](super::tasks) where a command tells, else by a
//! thread that the effects have for it.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Entry};
use crate::api::ProcId;
use crate::core::effect::{CheckPurpose, Effect};
use crate::health::HealthCheckResult;
use crate::models::{HealthAction, HealthCheckType, OutputAction, ProgramConfig, Readiness, StartCondition};
use crate::process::{self, Cause, Generation, PROBE_TIMEOUT_SECS, SpawnError, TaskKind, TaskSpec};
use crate::util::truncate::to_bytes;

/// Bytes of what a command has said that are remembered.
const MAX_MESSAGE_BYTES: usize = 200;

/// What a command may take that is run because a program is unhealthy, or for its output.
const ACTION_TIMEOUT_SECS: u32 = 60;

/// Why a check fails that is due while the command of the one before lives.
const CHECK_STILL_RUNNING: &str = "the check before has not ended yet";

/// The same of a command that is no check.
const ACTION_STILL_RUNNING: &str = "the command before has not ended yet";

/// The command that tells, and the seconds that it may take; `None`: no command does.
fn command_of(purpose: CheckPurpose, config: &ProgramConfig) -> Option<(&str, u32)> {
    match purpose {
        CheckPurpose::Health => {
            let check = &config.healthcheck;
            let command = check.command.as_deref().filter(|_| check.check_type == HealthCheckType::Script)?;
            Some((command, check.timeout))
        }
        CheckPurpose::StartCondition(condition) => match config.start_when.get(usize::from(condition.place))? {
            StartCondition::Command(command) => Some((command, PROBE_TIMEOUT_SECS)),
            StartCondition::Path(_)
            | StartCondition::Accepts(_)
            | StartCondition::Network(_)
            | StartCondition::Flag(_) => None,
        },
        CheckPurpose::HealthAction => match &config.healthcheck.action {
            HealthAction::Command(command) => Some((command, ACTION_TIMEOUT_SECS)),
            HealthAction::Restart | HealthAction::None | HealthAction::Signal(_) => None,
        },
        CheckPurpose::OutputAction { rule } => match &config.restart.output_watch.get(usize::from(rule))?.action {
            OutputAction::Command(command) => Some((command, ACTION_TIMEOUT_SECS)),
            OutputAction::Restart | OutputAction::Unhealthy | OutputAction::Signal(_) => None,
        },
        CheckPurpose::Readiness => match &config.ready {
            Readiness::Command(command) => Some((command, PROBE_TIMEOUT_SECS)),
            Readiness::Startsecs
            | Readiness::Notify
            | Readiness::Fd(_)
            | Readiness::FdVariable(_)
            | Readiness::Path(_)
            | Readiness::Accepts(_)
            | Readiness::Http(_)
            | Readiness::Log(_)
            | Readiness::Health => None,
        },
    }
}

impl Engine {
    /// Begins a check of a run, whose answer goes to [`checked`](Self::checked).
    pub(super) fn begin_check(&mut self, id: ProcId, generation: Generation, purpose: CheckPurpose) {
        let Some(entry) = self.registry.get(id) else { return };
        let config = Arc::clone(entry.machine.run_config().unwrap_or(entry.machine.config()));
        let Some((command, seconds)) = command_of(purpose, &config) else {
            self.effects.push_back(Effect::Check { id, generation, purpose, config });
            return;
        };
        if self.tasks.has_live_of(id, purpose) {
            let reason = match purpose {
                CheckPurpose::Health | CheckPurpose::Readiness | CheckPurpose::StartCondition(_) => CHECK_STILL_RUNNING,
                CheckPurpose::HealthAction | CheckPurpose::OutputAction { .. } => ACTION_STILL_RUNNING,
            };
            self.effects.push_back(Effect::RefuseCheck { id, generation, purpose, reason });
            return;
        }
        let timeout = Duration::from_secs(u64::from(seconds));
        let spec = TaskSpec { kind: TaskKind::HealthCheck, timeout };
        self.begin_check_task(id, generation, purpose, spec, command);
    }

    /// A check of health could not be made: the trouble is the daemon's, and says nothing of the program.
    pub(super) fn check_missed(&mut self, id: ProcId, generation: Generation, error: &SpawnError) {
        self.note_shortage(error);
        if let Some(entry) = self.registry.get_mut(id).filter(|entry| entry.machine.generation() == generation) {
            entry.check_missed = Some(Box::new(error.clone()));
        }
        self.handle_event(id, process::Event::HealthMissed { generation });
    }

    /// A check has its answer.
    pub(super) fn checked(
        &mut self,
        id: ProcId,
        generation: Generation,
        purpose: CheckPurpose,
        result: HealthCheckResult,
    ) {
        match purpose {
            CheckPurpose::Health => self.health(id, generation, result),
            CheckPurpose::Readiness => {
                let HealthCheckResult { healthy: ready, message } = result;
                self.handle_event(id, process::Event::Probed { generation, ready, message });
            }
            CheckPurpose::StartCondition(condition) => self.start_condition_checked(id, generation, condition, &result),
            CheckPurpose::HealthAction | CheckPurpose::OutputAction { .. } => {
                let is_of_run =
                    |entry: &Entry| entry.machine.generation() == generation && entry.machine.pid().is_some();
                if self.registry.get(id).is_some_and(is_of_run) {
                    let HealthCheckResult { healthy: success, message } = result;
                    let message = to_bytes(&message, MAX_MESSAGE_BYTES).into();
                    self.note(
                        id,
                        match purpose == CheckPurpose::HealthAction {
                            true => Cause::HealthCommandEnded { success, message },
                            false => Cause::OutputCommandEnded { success, message },
                        },
                    );
                }
            }
        }
    }
}
