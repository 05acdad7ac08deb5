//! Tasks: short commands that are run for a process: those that tell whether it is healthy or ready (see
//! [`checks`](super::checks)), and those of its hooks (see [`hooks`](super::hooks)).
//!
//! What must never happen
//!
//! - A run that counts as gone while a task of it lives: its group is not empty before (see [`Tasks::has_live`]).
//! - Two scripts of one process for the same purpose at once: a check that is due while the former one lives has failed.
//! - A process that is never told: the script's end, its failed spawn, and a script that not even SIGKILL ends are told.
//!   Nobody is told of a cancelled one, because its run has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::hooks::HookProgress;
use super::timers::TimerKey;
use crate::api::{Announcement, ProcId, Refusal, RequestId, RunningHook};
use crate::core::effect::{CheckPurpose, Effect, TaskCommand, TaskId};
use crate::health::HealthCheckResult;
use crate::models::Hook;
use crate::process::{
    Generation, HOOK_GRACE_SECS, SignalReason, Task, TaskAction, TaskEnd, TaskEvent, TaskKind, TaskSpec,
};
use crate::util::sorted::SortedMap;

/// How long a command of a hook that is told to end has for that, before SIGKILL.
const HOOK_GRACE: Duration = Duration::from_secs(HOOK_GRACE_SECS as u64);

/// What a task is run for.
#[derive(Debug, Serialize, Deserialize)]
enum Purpose {
    /// A check by this shell command. The process waits for the result, if it `is_awaited`.
    Check { purpose: CheckPurpose, command: Box<str>, is_awaited: bool },
    /// It is the present command of this hook.
    Hook(Box<HookProgress>),
}

impl Purpose {
    fn hook(&self) -> Option<&HookProgress> {
        match self {
            Purpose::Hook(progress) => Some(progress),
            Purpose::Check { .. } => None,
        }
    }
}

/// One task, and what it is run for.
#[derive(Debug, Serialize, Deserialize)]
struct TaskEntry {
    task: Task,
    owner: ProcId,
    /// The run that it is for.
    generation: Generation,
    purpose: Purpose,
}

impl TaskEntry {
    /// It ends before the run does that it is for.
    fn belongs_to_run(&self) -> bool {
        self.purpose.hook().is_none_or(|progress| progress.hook.belongs_to_run())
    }
}

/// All tasks that have not ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tasks {
    entries: BTreeMap<TaskId, TaskEntry>,
    /// The tasks of each process that has some, oldest first: every end of a run and every row of a table asks for
    /// them.
    by_owner: SortedMap<ProcId, Vec<TaskId>>,
    next: TaskId,
}

impl Tasks {
    /// Whether a process of a task of this owner's run lives, or is about to: of a hook, as long as it has not come to
    /// its end, because another command may follow.
    pub(super) fn has_live(&self, owner: ProcId) -> bool {
        let is_there = |entry: &TaskEntry| entry.purpose.hook().is_some() || entry.task.may_live();
        self.entries_of(owner).any(|entry| entry.belongs_to_run() && is_there(entry))
    }

    /// As [`has_live`](Self::has_live), of the checks with this purpose.
    pub(super) fn has_live_of(&self, owner: ProcId, wanted: CheckPurpose) -> bool {
        let is_it = |entry: &TaskEntry| matches!(entry.purpose, Purpose::Check { purpose, .. } if purpose == wanted);
        self.entries_of(owner).any(|entry| is_it(entry) && entry.task.may_live())
    }

    /// The checks whether this owner may start.
    pub(super) fn start_checks_of(&self, owner: ProcId) -> Vec<TaskId> {
        let is_it = |entry: &TaskEntry| {
            matches!(entry.purpose, Purpose::Check { purpose: CheckPurpose::StartCondition(_), .. })
        };
        let mut all = self.of(owner);
        all.retain(|id| self.entries.get(id).is_some_and(is_it));
        all
    }

    /// Whether a process of any task lives.
    pub(super) fn any_live(&self) -> bool {
        self.entries.values().any(|entry| entry.task.may_live())
    }

    /// Whether this hook of this owner is under way.
    pub(super) fn runs(&self, owner: ProcId, hook: Hook) -> bool {
        self.entries_of(owner).any(|entry| entry.purpose.hook().is_some_and(|progress| progress.hook == hook))
    }

    /// The hook of this owner's run that is under way.
    pub(super) fn running_hook(&self, owner: ProcId) -> Option<RunningHook> {
        let mut of_run = self.entries_of(owner).filter(|entry| entry.belongs_to_run());
        of_run.find_map(|entry| Some(RunningHook { hook: entry.purpose.hook()?.hook, pid: entry.task.pid() }))
    }

    /// Whether a task is under way whose end answers this request.
    pub(super) fn answers(&self, request: RequestId) -> bool {
        let mut hooks = self.entries.values().filter_map(|entry| entry.purpose.hook());
        hooks.any(|progress| progress.request == Some(request))
    }

    fn insert(&mut self, entry: TaskEntry) -> TaskId {
        let id = self.next;
        self.next += 1;
        self.by_owner.get_or_default(entry.owner).push(id);
        self.entries.insert(id, entry);
        id
    }

    fn remove(&mut self, id: TaskId) -> Option<TaskEntry> {
        let entry = self.entries.remove(&id)?;
        if let Some(all) = self.by_owner.get_mut(&entry.owner) {
            all.retain(|other| *other != id);
            if all.is_empty() {
                self.by_owner.remove(&entry.owner);
            }
        }
        Some(entry)
    }

    /// Whether the tasks of each process are exactly those that are filed under it.
    #[cfg(test)]
    pub(super) fn is_index_right(&self) -> bool {
        let filed: usize = self.by_owner.values().map(Vec::len).sum();
        let is_filed =
            |(id, entry): (&TaskId, &TaskEntry)| self.by_owner.get(&entry.owner).is_some_and(|all| all.contains(id));
        filed == self.entries.len()
            && self.entries.iter().all(is_filed)
            && self.by_owner.values().all(|all| !all.is_empty())
    }

    fn of(&self, owner: ProcId) -> Vec<TaskId> {
        self.by_owner.get(&owner).cloned().unwrap_or_default()
    }

    fn entries_of(&self, owner: ProcId) -> impl Iterator<Item = &TaskEntry> {
        self.by_owner.get(&owner).into_iter().flatten().filter_map(|id| self.entries.get(id))
    }
}

impl Engine {
    /// Runs a command for a process, whose end is the answer of a check.
    pub(super) fn begin_check_task(
        &mut self,
        owner: ProcId,
        generation: Generation,
        purpose: CheckPurpose,
        spec: TaskSpec,
        command: &str,
    ) {
        // The answer of a former one whose last output is still being read was given up.
        for former in self.tasks.of(owner) {
            let former = self.tasks.entries.get_mut(&former).map(|former| &mut former.purpose);
            if let Some(Purpose::Check { purpose: other, is_awaited, .. }) = former
                && *other == purpose
            {
                *is_awaited = false;
            }
        }
        let check = Purpose::Check { purpose, command: command.into(), is_awaited: true };
        self.begin_task(owner, generation, spec, check);
    }

    /// Begins the present command of a hook.
    pub(super) fn begin_command(&mut self, id: ProcId, generation: Generation, progress: Box<HookProgress>) {
        let timeout = self.hook_limit(id, progress.config());
        let spec = TaskSpec { kind: TaskKind::Hook { term_grace: HOOK_GRACE }, timeout };
        self.begin_task(id, generation, spec, Purpose::Hook(progress));
    }

    fn begin_task(&mut self, owner: ProcId, generation: Generation, spec: TaskSpec, purpose: Purpose) {
        let mut actions = Vec::new();
        let task = Task::start(spec, &mut actions);
        let task_id = self.tasks.insert(TaskEntry { task, owner, generation, purpose });
        self.act_for_task(task_id, actions);
    }

    /// The leader of a run has ended: its health check is nobody's business any more, and the hooks that run beside it
    /// have nothing to act on.
    pub(super) fn cancel_tasks(&mut self, owner: ProcId) {
        for task in self.tasks.of(owner) {
            let hook = self.tasks.entries.get(&task).and_then(|entry| entry.purpose.hook());
            match hook.map(|progress| progress.hook) {
                None => self.handle_task_event(task, TaskEvent::CancelRequested { force: true }),
                Some(Hook::PostStart | Hook::ReloadCommand) => self.cancel_command(task, false),
                Some(Hook::PreStart | Hook::StopCommand | Hook::PostStop | Hook::OnState | Hook::OnFatal) => {}
            }
        }
    }

    /// Ends the hooks of a run that are under way.
    pub(super) fn cancel_hooks(&mut self, owner: ProcId, generation: Generation, force: bool) {
        for task in self.tasks.of(owner) {
            let Some(entry) = self.tasks.entries.get(&task) else { continue };
            if entry.generation == generation && entry.belongs_to_run() && entry.purpose.hook().is_some() {
                self.cancel_command(task, force);
            }
        }
    }

    fn cancel_command(&mut self, task: TaskId, force: bool) {
        if let Some(TaskEntry { purpose: Purpose::Hook(progress), .. }) = self.tasks.entries.get_mut(&task) {
            progress.is_cancelled = true;
        }
        self.handle_task_event(task, TaskEvent::CancelRequested { force });
    }

    /// Ends every task at once: the daemon goes.
    pub(super) fn kill_tasks(&mut self) {
        self.state_notices.clear();
        for task in self.tasks.entries.keys().copied().collect::<Vec<TaskId>>() {
            self.cancel_command(task, true);
        }
    }

    /// The daemon has ended: whoever waits for the end of a hook is told so.
    pub(super) fn abandon_hooks(&mut self) {
        let hooks = self.tasks.entries.values_mut();
        let asked = hooks.filter_map(|entry| match &mut entry.purpose {
            Purpose::Hook(progress) => progress.request.take(),
            Purpose::Check { .. } => None,
        });
        for request in asked.collect::<Vec<RequestId>>() {
            if let Some(token) = self.ledger.take(request) {
                self.refuse(token, Refusal::ShuttingDown);
            }
        }
    }

    /// Whoever has asked for this hook does not wait for it any more.
    pub(super) fn hook_requester_disconnected(&mut self, request: RequestId) {
        for entry in self.tasks.entries.values_mut() {
            if let Purpose::Hook(progress) = &mut entry.purpose
                && progress.request == Some(request)
            {
                progress.request = None;
            }
        }
    }

    /// Feeds an event to a task's machine, and performs the actions that follow.
    pub(super) fn handle_task_event(&mut self, id: TaskId, event: TaskEvent) {
        let mut actions = Vec::new();
        if let Some(entry) = self.tasks.entries.get_mut(&id) {
            entry.task.handle_event(self.now, event, &mut actions);
            self.act_for_task(id, actions);
        }
    }

    pub(super) fn task_timer(&mut self, id: TaskId) {
        let mut actions = Vec::new();
        if let Some(entry) = self.tasks.entries.get_mut(&id) {
            entry.task.handle_timeout(self.now, &mut actions);
            self.act_for_task(id, actions);
        }
    }

    /// Does what a task wants done, then files its next timer.
    fn act_for_task(&mut self, id: TaskId, actions: Vec<TaskAction>) {
        for action in actions {
            match action {
                TaskAction::Spawn => self.spawn_task(id),
                TaskAction::SignalGroup { signal, reason } => {
                    self.effects.push_back(Effect::SignalTask { task: id, signal });
                    match reason {
                        SignalReason::SurvivedKill { kills } => self.task_survives(id, kills),
                        SignalReason::TimedOut
                        | SignalReason::Cancelled
                        | SignalReason::GraceOver
                        | SignalReason::LeaderExited => {}
                    }
                }
                TaskAction::Done(end) => self.task_done(id, end),
            }
        }
        let timeout = self.tasks.entries.get(&id).and_then(|entry| entry.task.poll_timeout());
        self.timers.set(TimerKey::Task(id), timeout);
    }

    fn spawn_task(&mut self, id: TaskId) {
        let Some(entry) = self.tasks.entries.get(&id) else { return };
        let (config, command) = match &entry.purpose {
            Purpose::Check { purpose, command, .. } => {
                let Some(owner) = self.registry.get(entry.owner) else { return };
                let config = Arc::clone(owner.machine.run_config().unwrap_or(owner.config()));
                let command = command.clone();
                match purpose {
                    CheckPurpose::Health | CheckPurpose::Readiness | CheckPurpose::StartCondition(_) => {
                        (config, TaskCommand::Script(command))
                    }
                    CheckPurpose::HealthAction | CheckPurpose::OutputAction { .. } => {
                        (config, TaskCommand::Action(command))
                    }
                }
            }
            Purpose::Hook(progress) => {
                let Some(launch) = progress.launch(entry.owner) else { return };
                (Arc::clone(progress.config()), TaskCommand::Hook(Box::new(launch)))
            }
        };
        self.effects.push_back(Effect::StartTask { task: id, config, command });
    }

    /// Not even SIGKILL has ended it yet, which may take as long as a disk does not answer. Its process is not kept
    /// waiting.
    fn task_survives(&mut self, id: TaskId, kills: u32) {
        let Some(entry) = self.tasks.entries.get_mut(&id) else { return };
        let (owner, generation, pid, timeout) =
            (entry.owner, entry.generation, entry.task.pid(), entry.task.spec().timeout);
        let hook = entry.purpose.hook().map(|progress| progress.hook);
        let awaited = match &mut entry.purpose {
            Purpose::Check { purpose, is_awaited, .. } => std::mem::take(is_awaited).then_some(*purpose),
            Purpose::Hook(_) => None,
        };
        // It may take days: the first time, and then less and less often.
        if kills.is_power_of_two()
            && let Some(process) = self.registry.get(owner)
        {
            let (program, reason) = (Arc::clone(process.config()), SignalReason::SurvivedKill { kills });
            self.announce(Some(owner), Announcement::TaskSignalled { program, hook, pid, reason });
        }
        if let Some(purpose) = awaited {
            self.checked(owner, generation, purpose, HealthCheckResult::no_answer(timeout, None));
        }
    }

    fn task_done(&mut self, id: TaskId, end: TaskEnd) {
        self.effects.push_back(Effect::ForgetTask { task: id });
        let Some(TaskEntry { owner, generation, purpose, task: _ }) = self.tasks.remove(id) else { return };
        match purpose {
            Purpose::Check { purpose, is_awaited: true, .. } => match &end {
                TaskEnd::Cancelled => {}
                TaskEnd::SpawnFailed(error) if purpose == CheckPurpose::Health && error.is_shortage() => {
                    self.check_missed(owner, generation, error);
                }
                end @ (TaskEnd::SpawnFailed(_) | TaskEnd::Exited { .. } | TaskEnd::TimedOut { .. }) => {
                    let result = match purpose {
                        CheckPurpose::Health | CheckPurpose::Readiness | CheckPurpose::StartCondition(_) => {
                            HealthCheckResult::of_check(end)
                        }
                        CheckPurpose::HealthAction | CheckPurpose::OutputAction { .. } => end.into(),
                    };
                    self.checked(owner, generation, purpose, result);
                }
            },
            Purpose::Check { .. } => {}
            Purpose::Hook(progress) => self.hook_command_ended(owner, generation, progress, end),
        }
    }
}
