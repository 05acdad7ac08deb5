//! Tasks: their processes. When one is started and how it is stopped is the engine's business.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::super::effect::{Input, TaskId};
use super::super::environment::Prepared;
use super::launch::warn_if_pending;
use super::{Effects, Owner};
use crate::health::{no_pipe, script_command};
use crate::models::ProgramConfig;
use crate::process::{Exit, SpawnError};
use crate::sys;
use crate::sys::spawn::Child;

/// A task's process, from its spawn until the task is forgotten.
pub(super) struct TaskChild {
    child: Child,
    /// The leader was reaped; only its group may be left.
    reaped: bool,
}

impl Effects {
    pub(super) fn start_task(&mut self, task: TaskId, config: &ProgramConfig, command: &str) -> Input {
        match self.try_start_task(task, config, command) {
            Ok(pid) => Input::TaskSpawned { task, pid },
            Err(error) => Input::TaskSpawnFailed { task, error: Box::new(error) },
        }
    }

    /// Runs the command as the program's user, in its directory and environment.
    fn try_start_task(&mut self, task: TaskId, config: &ProgramConfig, command: &str) -> Result<i32, SpawnError> {
        let prepared =
            Prepared::new(config, &script_command(command), &self.parts.users, self.parts.identity.as_ref())?;
        // The output thread makes its end non-blocking.
        let (stderr, child_end) = io::pipe().map_err(no_pipe)?;
        let null = self.spawner.null();
        let null = null.as_fd();
        let command = prepared.command(null, null, child_end.as_fd(), self.parts.nofile, true);
        let child = self.spawner.spawn(command)?;
        warn_if_pending(&config.name, &child);
        self.parts.output.attach_task(task, OwnedFd::from(stderr));
        self.note_run();
        let pid = child.pid;
        self.children.insert(pid, Owner::Task(task));
        self.tasks.insert(task, TaskChild { child, reaped: false });
        Ok(pid)
    }

    /// Signals the group of a task; it may have gone by itself.
    pub(super) fn signal_task(&self, task: TaskId, signal: u8) {
        if let Some(TaskChild { child, reaped }) = self.tasks.get(&task) {
            let _ = sys::signal::signal_group(child.leader(*reaped), signal);
        }
    }

    /// The leader of a task has ended: what it has written so far is to be read.
    pub(super) fn task_reaped(&mut self, task: TaskId, exit: Exit) -> Input {
        if let Some(child) = self.tasks.get_mut(&task) {
            child.reaped = true;
        }
        self.parts.output.task_exited(task);
        self.note_run();
        Input::TaskExited { task, exit }
    }

    pub(super) fn forget_task(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }
}
