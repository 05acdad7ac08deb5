//! Hooks: the commands that are run around a program, one after the other, each as a task.
//!
//! What must never happen
//!
//! - A hook that delays another process: nobody but its own process waits for it.
//! - A run that counts as gone while a hook of it lives (see [`Tasks::has_live`](super::tasks::Tasks)); those of `on_state`
//!   and `on_fatal` belong to no run.
//! - A machine that is never told of the end of a hook that it waits for: each has a limit, and so has the number of its commands.
//! - More than one `on_state` of a process at a time, or more than a few that wait for their turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::ledger::{Owner, ReplyToken};
use super::shutdown::Shutdown;
use crate::api::{Announcement, ProcId, Refusal, Reply, RequestId, RunningHook};
use crate::core::effect::{HookLaunch, Signal};
use crate::models::{Hook, HookCommand, ProgramConfig};
use crate::process::{
    self, Cause, Exit, Failure, Generation, HookFailure, Initiator, ProcessState, SignalTarget, TaskEnd, Transition,
    signal_number,
};
use crate::util::sorted::SortedMap;

/// So many changes of state of one process may wait for the end of the `on_state` before; the next ones are lost, which
/// is said.
const MAX_NOTICES: usize = 16;

/// What is told to a hook, by variables.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HookFacts {
    state: ProcessState,
    from_state: Option<ProcessState>,
    pid: Option<i32>,
    /// Of the run that has ended.
    exit: Option<Exit>,
    /// Why it is in this state.
    cause: Option<Cause>,
}

/// A hook that runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HookProgress {
    pub(super) hook: Hook,
    /// The settings that it was begun with.
    config: Arc<ProgramConfig>,
    /// The number of the command that runs.
    at: usize,
    /// The first failure so far.
    failure: Option<HookFailure>,
    facts: HookFacts,
    /// Who asked for it, where somebody waits for its end.
    pub(super) request: Option<RequestId>,
    /// No other command is begun.
    pub(super) is_cancelled: bool,
}

impl HookProgress {
    fn new(hook: Hook, config: Arc<ProgramConfig>, facts: HookFacts) -> Box<HookProgress> {
        Box::new(HookProgress { hook, config, at: 0, failure: None, facts, request: None, is_cancelled: false })
    }

    fn command(&self) -> Option<&HookCommand> {
        self.hook.of(&self.config).get(self.at)
    }

    pub(super) fn config(&self) -> &Arc<ProgramConfig> {
        &self.config
    }

    /// What the present command is run with.
    pub(super) fn launch(&self, program: ProcId) -> Option<HookLaunch> {
        let command = self.command()?.clone();
        Some(HookLaunch { program, hook: self.hook, command, variables: self.variables() })
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let HookFacts { state, from_state, pid, exit, cause } = &self.facts;
        let mut variables = vec![
            ("SUPERVICE_NAME", self.config.name.clone()),
            ("SUPERVICE_GROUP", self.config.group_name().to_owned()),
            ("SUPERVICE_HOOK", self.hook.to_string()),
            ("SUPERVICE_STATE", state.to_string()),
        ];
        variables.extend(from_state.map(|from| ("SUPERVICE_FROM_STATE", from.to_string())));
        for name in ["SUPERVICE_PID", "MAINPID"] {
            variables.extend(pid.map(|pid| (name, pid.to_string())));
        }
        variables.extend(exit.map(|exit| match exit {
            Exit::Code(code) => ("SUPERVICE_EXIT_CODE", code.to_string()),
            Exit::Signal(signal) => ("SUPERVICE_EXIT_SIGNAL", signal.to_string()),
        }));
        variables.extend(cause.as_ref().map(|cause| ("SUPERVICE_CAUSE", cause.to_string())));
        variables
    }

    /// The present command has ended; whether another one follows.
    fn take_end(&mut self, end: TaskEnd) -> bool {
        let Some(command) = self.command() else { return false };
        let has_failed = !end.is_success() && !command.may_fail;
        if has_failed {
            let failure = HookFailure { hook: self.hook, command: command.command.as_str().into(), end };
            self.failure.get_or_insert(failure);
        }
        self.at += 1;
        !self.is_cancelled && (!has_failed || self.hook.goes_on()) && self.command().is_some()
    }
}

/// The changes of state of each process that wait for the end of the `on_state` before, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StateNotices(SortedMap<ProcId, VecDeque<Box<HookProgress>>>);

impl StateNotices {
    fn count(&self, owner: ProcId) -> usize {
        self.0.get(&owner).map_or(0, VecDeque::len)
    }

    fn add(&mut self, owner: ProcId, progress: Box<HookProgress>) {
        self.0.get_or_default(owner).push_back(progress);
    }

    fn take_next(&mut self, owner: ProcId) -> Option<Box<HookProgress>> {
        let waiting = self.0.get_mut(&owner)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.0.remove(&owner);
        }
        next
    }

    /// Nothing is begun any more.
    pub(super) fn clear(&mut self) {
        self.0 = SortedMap::default();
    }
}

impl Engine {
    /// A machine wants a hook run.
    pub(super) fn run_hook(&mut self, id: ProcId, generation: Generation, hook: Hook, config: Arc<ProgramConfig>) {
        // The time that the shutdown may take is up: what there is is killed.
        if matches!(self.shutdown, Shutdown::Killing { .. }) {
            return self.feed(id, process::Event::HookEnded { generation, hook, failure: None });
        }
        match hook {
            Hook::PreStart if !self.may_begin(id, generation) => return,
            Hook::PostStart if !self.has_process(id) => return,
            Hook::PreStart
            | Hook::PostStart
            | Hook::StopCommand
            | Hook::PostStop
            | Hook::ReloadCommand
            | Hook::OnState
            | Hook::OnFatal => {}
        }
        if hook == Hook::PreStart
            && let Some(entry) = self.registry.get_mut(id)
        {
            entry.hook_failure = None;
        }
        let Some(facts) = self.hook_facts(id) else { return };
        self.begin_command(id, generation, HookProgress::new(hook, config, facts));
    }

    fn has_process(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(|entry| entry.machine.pid().is_some())
    }

    fn hook_facts(&self, id: ProcId) -> Option<HookFacts> {
        let entry = self.registry.get(id)?;
        let machine = &entry.machine;
        let pid = machine.pid();
        let last = machine.last_run().filter(|last| pid.is_none() && last.generation == machine.generation());
        Some(HookFacts {
            state: machine.state(),
            from_state: entry.history.last_transition().map(|past| past.from),
            pid,
            exit: last.map(|last| last.exit),
            cause: entry.cause(),
        })
    }

    /// How long one command may take: as the newest settings say.
    pub(super) fn hook_limit(&self, id: ProcId, config: &ProgramConfig) -> Duration {
        let newest = self.registry.get(id).map_or(config, |entry| entry.config());
        Duration::from_secs(u64::from(newest.hooks.timeout))
    }

    /// A command of a hook has ended: the next one, or what follows.
    pub(super) fn hook_command_ended(
        &mut self,
        id: ProcId,
        generation: Generation,
        mut progress: Box<HookProgress>,
        end: TaskEnd,
    ) {
        if progress.take_end(end) {
            return self.begin_command(id, generation, progress);
        }
        let HookProgress { hook, config, failure, request, .. } = *progress;
        self.report_hook_failure(id, &config, failure.as_ref());
        match hook {
            Hook::PreStart | Hook::StopCommand | Hook::PostStop => {
                self.handle_event(id, process::Event::HookEnded { generation, hook, failure });
                self.probe_group(id);
            }
            Hook::PostStart => self.probe_group(id),
            Hook::ReloadCommand => {
                self.reload_commanded(id, generation, request, failure);
                self.probe_group(id);
            }
            Hook::OnFatal => {}
            Hook::OnState => {
                if let Some(next) = self.state_notices.take_next(id) {
                    self.begin_command(id, generation, next);
                }
            }
        }
    }

    /// Reports it to the log and `why`. A failed `pre_start` is the cause of the state that follows.
    fn report_hook_failure(&mut self, id: ProcId, program: &Arc<ProgramConfig>, failure: Option<&HookFailure>) {
        let Some(failure) = failure.filter(|failure| failure.end != TaskEnd::Cancelled) else { return };
        match failure.hook {
            // A note for each would soon push everything else out of the history.
            Hook::OnState | Hook::OnFatal => {
                let (program, failure) = (Arc::clone(program), Arc::new(failure.clone()));
                return self.announce(Some(id), Announcement::HookFailed { program, failure });
            }
            Hook::PreStart => {}
            Hook::PostStart | Hook::StopCommand | Hook::PostStop | Hook::ReloadCommand => {
                self.note(id, Cause::HookFailed { failure: Arc::new(Failure::HookFailed(failure.clone())) });
            }
        }
        if let Some(entry) = self.registry.get_mut(id) {
            entry.hook_failure = Some(Arc::new(failure.clone()));
        }
    }

    /// A subscriber: `on_state`.
    pub(super) fn notify_state(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { program, transition, at: _ }) = (id, announcement) else { return };
        if program.hooks.on_state.is_empty() || matches!(self.shutdown, Shutdown::Killing { .. }) {
            return;
        }
        let Some(entry) = self.registry.get(id) else { return };
        let Transition { from, to, pid, cause } = transition;
        let (generation, machine) = (entry.machine.generation(), &entry.machine);
        let has_process = match to {
            ProcessState::Starting | ProcessState::Running | ProcessState::Unhealthy | ProcessState::Stopping => true,
            ProcessState::Stopped | ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => false,
        };
        let last = machine.last_run().filter(|last| !has_process && last.generation == generation);
        let facts = HookFacts {
            state: *to,
            from_state: Some(*from),
            pid: pid.filter(|_| has_process),
            exit: last.map(|last| last.exit),
            cause: Some(cause.clone()),
        };
        let progress = HookProgress::new(Hook::OnState, Arc::clone(program), facts);
        match self.state_notices.count(id) {
            _ if !self.tasks.runs(id, Hook::OnState) => self.begin_command(id, generation, progress),
            waiting if waiting < MAX_NOTICES => self.state_notices.add(id, progress),
            _ => self.announce(Some(id), Announcement::NoticeLost { program: Arc::clone(program), state: *to }),
        }
    }

    /// The hook of a process that runs beside or instead of it, where one does.
    pub(super) fn running_hook(&self, id: ProcId) -> Option<RunningHook> {
        self.tasks.running_hook(id)
    }

    /// Has a process read its configuration again.
    pub(super) fn reload_process(&mut self, token: ReplyToken, name: &str, by: Initiator) {
        let id = match self.registry.find_or_refuse(name) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let Some(entry) = self.registry.get(id) else { return self.refuse(token, Refusal::Internal) };
        let (config, generation) = (Arc::clone(entry.config()), entry.machine.generation());
        if config.hooks.reload_signal.is_none() && config.hooks.reload_command.is_empty() {
            return self.refuse(token, Refusal::NoReload { name: name.to_owned() });
        }
        let is_up = match entry.machine.state() {
            ProcessState::Starting | ProcessState::Running | ProcessState::Unhealthy => entry.machine.pid().is_some(),
            ProcessState::Stopped
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Exited
            | ProcessState::Fatal => false,
        };
        if !is_up {
            let reached = entry.reached(self.now);
            return self.refuse(token, Refusal::NotRunning { name: name.to_owned(), reached });
        }
        self.note(id, Cause::ReloadRequested { by });
        let facts = self.hook_facts(id).filter(|_| !config.hooks.reload_command.is_empty());
        let Some(facts) = facts else {
            let reply = self.send_reload_signal(id, generation);
            return self.answer(token, reply);
        };
        let mut progress = HookProgress::new(Hook::ReloadCommand, config, facts);
        progress.request = Some(self.owe(token, Owner::Hook));
        self.begin_command(id, generation, progress);
    }

    /// As [`reload_process`](Self::reload_process) of a run that is up, where nobody waits for the answer.
    pub(super) fn reload_unasked(&mut self, id: ProcId, by: Initiator) {
        let Some(entry) = self.registry.get(id) else { return };
        let (config, generation) = (Arc::clone(entry.config()), entry.machine.generation());
        if entry.machine.state() == ProcessState::Stopping || self.tasks.runs(id, Hook::ReloadCommand) {
            return;
        }
        self.note(id, Cause::ReloadRequested { by });
        match self.hook_facts(id).filter(|_| !config.hooks.reload_command.is_empty()) {
            Some(facts) => {
                let progress = HookProgress::new(Hook::ReloadCommand, config, facts);
                self.begin_command(id, generation, progress);
            }
            None => drop(self.send_reload_signal(id, generation)),
        }
    }

    /// The `reload_command` has ended: the signal follows, where there is one.
    fn reload_commanded(
        &mut self,
        id: ProcId,
        generation: Generation,
        request: Option<RequestId>,
        failure: Option<HookFailure>,
    ) {
        let name = self.registry.get(id).map_or("", |entry| entry.name()).to_owned();
        // Whoever asked may have gone: the command was his, and so is the signal.
        let answer = match failure {
            Some(failure) => Err(Refusal::HookFailed { name, failure: Arc::new(failure) }),
            None => self.send_reload_signal(id, generation),
        };
        if let Some(token) = request.and_then(|request| self.ledger.take(request)) {
            self.answer(token, answer);
        }
    }

    fn send_reload_signal(&mut self, id: ProcId, generation: Generation) -> Result<Reply, Refusal> {
        let Some(entry) = self.registry.get(id) else { return Err(Refusal::Internal) };
        let name = entry.name().to_owned();
        let signal = entry.config().hooks.reload_signal.as_deref().and_then(signal_number);
        if let Some(number) = signal {
            self.send_signal(id, generation, Signal { number, target: SignalTarget::Leader, resume: false });
        }
        Ok(Reply::ProcessReloaded { name, signal })
    }
}
