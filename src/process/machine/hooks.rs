//! Hooks: commands that are run around a run. The shell runs them and tells their end; here is what follows from it.
//!
//! A run begins with its `pre_start`, where it has one, and ends with its `post_stop`: once for each that has begun,
//! whether it ended by itself, was killed, or did not get to a process. What waits for a hook waits for its task, which
//! has a limit.

use std::sync::Arc;

use super::super::cause::{Cause, Verb};
use super::super::failure::Failure;
use super::super::hook::HookFailure;
use super::super::moment::Moment;
use super::super::state::ProcessState;
use super::super::stop_signals::stop_seconds;
use super::Machine;
use super::action::{Action, KillWhy};
use super::attempts::retry_at;
use super::due::{after, half_way, whole_seconds};
use super::phase::{AfterStop, Group, LeaderState, Phase, Remains, Retry, Run, StopProgress};
use crate::models::{Hook, ProgramConfig};

impl Machine {
    pub(super) fn run_hook(&mut self, hook: Hook, config: &Arc<ProgramConfig>) {
        let action = Action::RunHook { generation: self.generation, hook, config: Arc::clone(config) };
        self.actions.push_back(action);
    }

    fn cancel_hooks(&mut self, force: bool) {
        self.actions.push_back(Action::CancelHooks { generation: self.generation, force });
    }

    /// An attempt: its `pre_start`, or the spawn.
    pub(super) fn begin_attempt(&mut self) -> Phase {
        let config = Arc::clone(&self.config);
        if config.hooks.pre_start.is_empty() {
            return self.spawn(None);
        }
        self.run_hook(Hook::PreStart, &config);
        Phase::PreStart { config }
    }

    pub(super) fn spawn(&mut self, prepared: Option<Arc<ProgramConfig>>) -> Phase {
        self.actions.push_back(Action::Spawn { generation: self.generation });
        Phase::Spawning { kill: false, prepared }
    }

    /// What remains of a run with these settings when no process of it is left: its `post_stop`, which has yet to
    /// begin. (What an earlier daemon has left was no run of ours.)
    pub(super) fn clean_up_of(&self, config: &Arc<ProgramConfig>) -> Option<Remains> {
        let has_hook = self.generation > 0 && !config.hooks.post_stop.is_empty();
        has_hook.then(|| Remains::PostStop { config: Arc::clone(config) })
    }

    /// Begins what remains, where that is a hook.
    pub(super) fn begin_remains(&mut self, remains: Option<&Remains>) {
        match remains {
            Some(Remains::PostStop { config }) => self.run_hook(Hook::PostStop, config),
            Some(Remains::Group(_)) | None => {}
        }
    }

    /// The same at the end of a group.
    pub(super) fn remains_after(&mut self, group: &Group) -> Option<Remains> {
        let remains = self.clean_up_of(&group.run.config);
        self.begin_remains(remains.as_ref());
        remains
    }

    /// A oneshot that has completed, and has to be stopped by its `stop_command`.
    pub(super) fn is_up_after(&self, run: &Run) -> bool {
        self.last_run_completed() && !run.config.hooks.stop_command.is_empty()
    }

    /// What is there beside the process of a run that is being stopped ends with it.
    pub(super) fn end_hooks_of(&mut self, run: &Run, force: bool) {
        if !run.config.hooks.post_start.is_empty() || !self.config.hooks.reload_command.is_empty() {
            self.cancel_hooks(force);
        }
    }

    /// `STOPPING` without a process: what was begun is ended, then cleaned up.
    pub(super) fn stop_pre_start(&mut self, config: Arc<ProgramConfig>, force: bool, cause: Cause) -> Phase {
        self.announce(ProcessState::Starting, ProcessState::Stopping, None, cause);
        self.cancel_hooks(force);
        Phase::Ending { hook: Hook::PreStart, config, pid: None, until: None, then: AfterStop::AsDesired }
    }

    /// `STOPPING`, or `STOPPED` at once where there is nothing to be cleaned up, of an attempt that has not got to a process.
    pub(super) fn stop_prepared(&mut self, prepared: Option<&Arc<ProgramConfig>>, cause: Cause) -> Phase {
        match prepared.filter(|config| self.clean_up_of(config).is_some()) {
            Some(config) => {
                self.announce(ProcessState::Starting, ProcessState::Stopping, None, cause);
                self.begin_post_stop(Arc::clone(config), None, AfterStop::AsDesired)
            }
            None => self.enter(ProcessState::Starting, Phase::Stopped, None, cause),
        }
    }

    /// Its `pre_start` was run, perhaps with the settings of before, and is run again: after its `post_stop`, if it has
    /// one.
    pub(super) fn prepare_again(&mut self, config: Arc<ProgramConfig>, cause: Cause) -> Phase {
        match self.clean_up_of(&config) {
            Some(_) => self.stop_prepared(Some(&config), cause),
            None => Phase::Waiting { prepared: None },
        }
    }

    /// `STOPPING` of a oneshot that is up. By force without its `stop_command`.
    pub(super) fn stop_active_oneshot(
        &mut self,
        now: Moment,
        config: Arc<ProgramConfig>,
        force: bool,
        cause: Cause,
    ) -> Phase {
        self.announce(ProcessState::Exited, ProcessState::Stopping, None, cause);
        match force {
            true => self.clean_up_or_stop(now, config, None, AfterStop::AsDesired),
            false => self.begin_stop_command(now, config, None, AfterStop::AsDesired),
        }
    }

    fn begin_stop_command(
        &mut self,
        now: Moment,
        config: Arc<ProgramConfig>,
        pid: Option<i32>,
        then: AfterStop,
    ) -> Phase {
        self.run_hook(Hook::StopCommand, &config);
        let until = after(now, stop_seconds(&config));
        Phase::Ending { hook: Hook::StopCommand, config, pid, until, then }
    }

    fn begin_post_stop(&mut self, config: Arc<ProgramConfig>, pid: Option<i32>, then: AfterStop) -> Phase {
        self.run_hook(Hook::PostStop, &config);
        Phase::Ending { hook: Hook::PostStop, config, pid, until: None, then }
    }

    fn clean_up_or_stop(
        &mut self,
        now: Moment,
        config: Arc<ProgramConfig>,
        pid: Option<i32>,
        then: AfterStop,
    ) -> Phase {
        match self.clean_up_of(&config) {
            Some(_) => self.begin_post_stop(config, pid, then),
            None => self.stopped(now, pid, then),
        }
    }

    /// Nothing is left of a group that was told to stop.
    pub(super) fn stopped_group(&mut self, now: Moment, run: Run, then: AfterStop) -> Phase {
        let (pid, was_killed) = (Some(run.pid), self.last_asked().0 == Verb::Kill);
        match self.is_up_after(&run) && !was_killed {
            true => self.begin_stop_command(now, run.config, pid, then),
            false => self.clean_up_or_stop(now, run.config, pid, then),
        }
    }

    /// Somebody asks for something while a hook of the end runs: it goes on, unless it is to be killed.
    pub(super) fn kill_hook_if_forced(&mut self, force: bool) {
        if force {
            self.cancel_hooks(true);
        }
    }

    /// `STOPPING` of one whose `post_stop` runs after an end of its own.
    pub(super) fn stop_post_stop(
        &mut self,
        from: ProcessState,
        config: Arc<ProgramConfig>,
        force: bool,
        cause: Cause,
    ) -> Phase {
        self.announce(from, ProcessState::Stopping, None, cause);
        self.kill_hook_if_forced(force);
        Phase::Ending { hook: Hook::PostStop, config, pid: None, until: None, then: AfterStop::AsDesired }
    }

    /// The orderly stop of a run that has a `stop_command`.
    pub(super) fn begin_stop_by_command(&mut self, now: Moment, group: Group) -> Group {
        self.run_hook(Hook::StopCommand, &group.run.config);
        let kill_by = after(now, stop_seconds(&group.run.config));
        let signal_at = half_way(now, kill_by);
        Group { progress: StopProgress::Commanding { since: now, signal_at }, kill_by, ..group }
    }

    /// The `stop_command` has run.
    fn commanded(&mut self, now: Moment, leader: LeaderState, group: Group, has_failed: bool) -> Group {
        match (group.progress, leader) {
            // Its leader has ended. Whoever it has left behind has nobody else who would end them.
            (StopProgress::Commanding { .. }, LeaderState::Gone) => {
                let group = Group { progress: StopProgress::Unsignalled, ..group };
                self.terminate(now, leader, group, KillWhy::Remains)
            }
            (StopProgress::Commanding { .. }, LeaderState::Alive) if has_failed => {
                let group = Group { progress: StopProgress::Unsignalled, ..group };
                self.terminate(now, leader, group, KillWhy::Requested)
            }
            (StopProgress::Commanding { .. }, LeaderState::Alive) => {
                let signal_at = half_way(now, group.kill_by);
                Group { progress: StopProgress::Commanded { since: now, signal_at }, ..group }
            }
            // It had hung for a while.
            (StopProgress::Stopping { target, step, over_at, command_runs: _ }, _) => {
                Group { progress: StopProgress::Stopping { target, step, over_at, command_runs: false }, ..group }
            }
            (
                StopProgress::Unsignalled | StopProgress::Commanded { .. } | StopProgress::Killing { .. },
                LeaderState::Alive | LeaderState::Gone,
            ) => group,
        }
    }

    /// Half of the time of the `stop_command` is up, and it has not ended: it may hang. The program gets its stop
    /// signal, for which it would never have a chance else, and the command goes on.
    pub(super) fn command_hangs(&mut self, now: Moment, leader: LeaderState, group: Group, since: Moment) -> Group {
        let why = match leader {
            LeaderState::Alive => KillWhy::CommandHangs { seconds: whole_seconds(now, since) },
            LeaderState::Gone => KillWhy::Remains,
        };
        self.terminate(now, leader, group, why)
    }

    /// The time of the stop is up.
    pub(super) fn stop_timed_out(&mut self, now: Moment, leader: LeaderState, group: Group) -> Group {
        let seconds = stop_seconds(&group.run.config);
        let why = match group.command_runs() {
            true => KillWhy::CommandTimeout { seconds },
            false => KillWhy::StopTimeout { seconds },
        };
        self.cancel_stop_command(&group);
        self.kill(now, leader, group, why)
    }

    pub(super) fn cancel_stop_command(&mut self, group: &Group) {
        if group.command_runs() {
            self.cancel_hooks(true);
        }
    }

    /// The commands of a hook have ended.
    pub(super) fn hook_ended(&mut self, now: Moment, phase: Phase, hook: Hook, failure: Option<HookFailure>) -> Phase {
        match phase {
            Phase::PreStart { config } if hook == Hook::PreStart => match failure {
                None => self.spawn(Some(config)),
                Some(failure) => self.pre_start_failed(now, &config, failure),
            },
            Phase::Stopping { leader, group, then } if hook == Hook::StopCommand => {
                let group = self.commanded(now, leader, group, failure.is_some());
                Phase::Stopping { leader, group, then }
            }
            Phase::Ending { hook: Hook::PostStop, pid, then, .. } if hook == Hook::PostStop => {
                self.stopped(now, pid, then)
            }
            Phase::Ending { hook: awaited, config, pid, then, .. } if hook == awaited => {
                self.clean_up_or_stop(now, config, pid, then)
            }
            Phase::Exited { restart_at, remains: Some(Remains::PostStop { .. }) } if hook == Hook::PostStop => {
                self.wait_or_start(now, Phase::Exited { restart_at, remains: None })
            }
            Phase::Backoff { retry, remains: Some(Remains::PostStop { .. }) } if hook == Hook::PostStop => {
                let at = match retry.number {
                    Some(number) => now.checked_add(self.retry_delay(number)).unwrap_or(now),
                    None => retry_at(now, self.tally.shortages),
                };
                let retry = Retry { at, ..retry };
                Phase::Backoff { retry, remains: None }
            }
            Phase::Fatal { failure, after, retry_at, remains: Some(Remains::PostStop { .. }) }
                if hook == Hook::PostStop =>
            {
                self.wait_or_start(now, Phase::Fatal { failure, after, retry_at, remains: None })
            }
            // A hook that nobody waits for any more, or ever did.
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => phase,
        }
    }

    /// A failed attempt, as that of a program that can't be executed or ends too soon.
    fn pre_start_failed(&mut self, now: Moment, config: &Arc<ProgramConfig>, failure: HookFailure) -> Phase {
        let remains = self.clean_up_of(config);
        match failure.spawn_error().cloned() {
            Some(error) => self.not_spawned(now, &error, Arc::new(Failure::HookFailed(failure)), remains),
            None => {
                let failure = Arc::new(Failure::HookFailed(failure));
                self.failed_attempt(now, ProcessState::Starting, failure, remains)
            }
        }
    }

    /// The time of the hook that is run without a process is up.
    pub(super) fn ending_timed_out(
        &mut self,
        hook: Hook,
        config: Arc<ProgramConfig>,
        pid: Option<i32>,
        then: AfterStop,
    ) -> Phase {
        self.cancel_hooks(true);
        Phase::Ending { hook, config, pid, until: None, then }
    }

    /// A step has panicked: what it has begun is ended.
    pub(super) fn abandon_hooks(&mut self) {
        self.cancel_hooks(true);
    }

    /// What is to be cleaned up before a start that has to wait anew.
    pub(super) fn discard_prepared(&mut self, prepared: Option<Arc<ProgramConfig>>, failure: Arc<Failure>) -> Phase {
        match prepared.filter(|config| self.clean_up_of(config).is_some()) {
            // It is still wanted up: it waits again when that is done.
            Some(config) => {
                let cause = Cause::StartFailed { failure };
                self.announce(ProcessState::Starting, ProcessState::Stopping, None, cause);
                self.begin_post_stop(config, None, AfterStop::AsDesired)
            }
            None => {
                let cause = Cause::GaveUp { failure: Arc::clone(&failure), after: None };
                let phase = Phase::Fatal { failure, after: None, retry_at: None, remains: None };
                self.enter(ProcessState::Starting, phase, None, cause)
            }
        }
    }

    /// A oneshot that has completed and has a `stop_command`, which it waits for.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// It has ended by itself, and its `post_stop` runs.
    pub fn is_cleaning_up(&self) -> bool {
        match &self.phase {
            Phase::Exited { remains, .. } | Phase::Fatal { remains, .. } | Phase::Backoff { remains, .. } => {
                matches!(remains, Some(Remains::PostStop { .. }))
            }
            Phase::Stopped
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => false,
        }
    }

    /// Something of it is there that a stop has to end or clean up: a process, a hook that runs, what `pre_start` has
    /// made, a oneshot that is up.
    pub fn is_engaged(&self) -> bool {
        match &self.phase {
            Phase::Stopped => false,
            Phase::Exited { remains, .. } | Phase::Fatal { remains, .. } | Phase::Backoff { remains, .. } => {
                remains.is_some()
            }
            Phase::Waiting { prepared } => prepared.is_some(),
            Phase::PreStart { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => true,
        }
    }
}
