//! Tasks: short commands that are run for a process. For now these are its health check scripts.
//!
//! What must never happen
//!
//! - A run that counts as gone while a task of it lives: its group is not empty before (see [`Tasks::has_live`]).
//! - Two scripts of one process at once: a check that is due while the former one lives has failed.
//! - A process that is never told: the script's end, its failed spawn, and a script that not even SIGKILL ends are told.
//!   Nobody is told of a cancelled one, because its run has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::timers::TimerKey;
use crate::api::{Announcement, ProcId};
use crate::core::effect::{Effect, TaskId};
use crate::health::HealthCheckResult;
use crate::models::HealthCheckType;
use crate::process::{Generation, SignalReason, Task, TaskAction, TaskEnd, TaskEvent, TaskKind, TaskSpec};

/// Why a check fails that is due while the script of the one before lives.
const STILL_RUNNING: &str = "the check before has not ended yet";

/// One task, and what it is run for.
#[derive(Debug, Serialize, Deserialize)]
struct TaskEntry {
    task: Task,
    owner: ProcId,
    /// The run that is checked.
    generation: Generation,
    /// The process waits for the result.
    is_awaited: bool,
}

/// All tasks that have not ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tasks {
    entries: BTreeMap<TaskId, TaskEntry>,
    next: TaskId,
}

impl Tasks {
    /// Whether a process of a task of this owner lives, or is about to.
    pub(super) fn has_live(&self, owner: ProcId) -> bool {
        self.entries.values().any(|entry| entry.owner == owner && entry.task.may_live())
    }

    fn insert(&mut self, entry: TaskEntry) -> TaskId {
        let id = self.next;
        self.next += 1;
        self.entries.insert(id, entry);
        id
    }

    fn of(&self, owner: ProcId) -> Vec<TaskId> {
        self.entries.iter().filter(|(_, entry)| entry.owner == owner).map(|(id, _)| *id).collect()
    }
}

impl Engine {
    /// Checks the health of a run: by a task, or by a thread that the effects have for it.
    pub(super) fn check_health(&mut self, id: ProcId, generation: Generation) {
        let Some(entry) = self.registry.get(id) else { return };
        let config = Arc::clone(entry.machine.run_config().unwrap_or(entry.machine.config()));
        let check = &config.healthcheck;
        if check.check_type != HealthCheckType::Script || check.command.is_none() {
            self.effects.push_back(Effect::CheckHealth { id, generation, config });
            return;
        }
        if self.tasks.has_live(id) {
            self.effects.push_back(Effect::RefuseCheck { id, generation, reason: STILL_RUNNING });
            return;
        }
        // The answer of a former one whose last output is still being read was given up.
        for former in self.tasks.entries.values_mut().filter(|former| former.owner == id) {
            former.is_awaited = false;
        }
        let timeout = Duration::from_secs(u64::from(check.timeout));
        let mut actions = Vec::new();
        let task = Task::start(TaskSpec { kind: TaskKind::HealthCheck, timeout }, &mut actions);
        let task_id = self.tasks.insert(TaskEntry { task, owner: id, generation, is_awaited: true });
        self.act_for_task(task_id, actions);
    }

    /// The leader of a run has ended: its health check is nobody's business any more.
    pub(super) fn cancel_tasks(&mut self, owner: ProcId) {
        for task in self.tasks.of(owner) {
            self.tell_task(task, TaskEvent::CancelRequested { force: true });
        }
    }

    /// Tells a task what happened, and does what follows.
    pub(super) fn tell_task(&mut self, id: TaskId, event: TaskEvent) {
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
                TaskAction::Done(end) => self.task_done(id, &end),
            }
        }
        let timeout = self.tasks.entries.get(&id).and_then(|entry| entry.task.poll_timeout());
        self.timers.set(TimerKey::Task(id), timeout);
    }

    fn spawn_task(&mut self, id: TaskId) {
        let Some(owner) = self.tasks.entries.get(&id).and_then(|task| self.registry.get(task.owner)) else { return };
        let config = Arc::clone(owner.machine.run_config().unwrap_or(owner.config()));
        let command = config.healthcheck.command.as_deref().unwrap_or_default().into();
        self.effects.push_back(Effect::StartTask { task: id, config, command });
    }

    /// Not even SIGKILL has ended it yet, which may take as long as a disk does not answer. Its process is not kept waiting.
    fn task_survives(&mut self, id: TaskId, kills: u32) {
        let Some(entry) = self.tasks.entries.get_mut(&id) else { return };
        let (owner, generation, pid, timeout) =
            (entry.owner, entry.generation, entry.task.pid(), entry.task.spec().timeout);
        let is_awaited = std::mem::take(&mut entry.is_awaited);
        // It may take days: the first time, and then less and less often.
        if kills.is_power_of_two()
            && let Some(process) = self.registry.get(owner)
        {
            let (program, reason) = (Arc::clone(process.config()), SignalReason::SurvivedKill { kills });
            self.announce(Some(owner), Announcement::TaskSignalled { program, pid, reason });
        }
        if is_awaited {
            self.health(owner, generation, HealthCheckResult::no_answer(timeout, None));
        }
    }

    fn task_done(&mut self, id: TaskId, end: &TaskEnd) {
        self.effects.push_back(Effect::ForgetTask { task: id });
        let Some(TaskEntry { owner, generation, is_awaited, task: _ }) = self.tasks.entries.remove(&id) else { return };
        if is_awaited && *end != TaskEnd::Cancelled {
            self.health(owner, generation, end.into());
        }
    }
}
