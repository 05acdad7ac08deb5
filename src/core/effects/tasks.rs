//! Tasks: their processes. When one is started and how it is stopped is the engine's business.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::super::effect::{HookLaunch, Input, TaskCommand, TaskId};
use super::super::environment::{Prepared, words_of};
use super::launch::warn_if_pending;
use super::leftovers::EndedLeader;
use super::{Effects, Owner};
use crate::health::{no_pipe, script_command};
use crate::models::{ProgramConfig, Rare};
use crate::process::{Exit, SpawnError};
use crate::sys;
use crate::sys::spawn::Child;

/// A task's process, from its spawn until the task is forgotten.
pub(super) struct TaskChild {
    pub(super) child: Child,
    /// The leader was reaped; only what it has left may be there.
    reaped: bool,
    /// When the kernel has started the leader, where that has ended and leaves nothing.
    start_time: Option<u64>,
    /// Nothing that it has started is to stay: it was a check, or did not end by itself. What a command of another kind
    /// has left outside its process group may be a service of the machine.
    leaves_nothing: bool,
}

impl TaskChild {
    /// The leader has ended and is about to be reaped.
    pub(super) fn note_end(&mut self) {
        self.child.hold();
        self.start_time =
            if self.leaves_nothing { sys::proc::stat(self.child.pid).map(|stat| stat.start_time) } else { None };
    }
}

impl Effects {
    pub(super) fn start_task(&mut self, task: TaskId, config: &ProgramConfig, command: &TaskCommand) -> Input {
        let started = match command {
            TaskCommand::Script(script) => self.start_script(task, config, script, true),
            TaskCommand::Action(script) => self.start_script(task, config, script, false),
            TaskCommand::Hook(launch) => self.start_hook(task, config, launch),
        };
        match started {
            Ok(pid) => Input::TaskSpawned { task, pid },
            Err(error) => Input::TaskSpawnFailed { task, error: Box::new(error) },
        }
    }

    /// Runs the script as the program's user, in its directory and environment, with the program's name. What it writes
    /// to its standard output is nobody's.
    fn start_script(
        &mut self,
        task: TaskId,
        config: &ProgramConfig,
        script: &str,
        leaves_nothing: bool,
    ) -> Result<i32, SpawnError> {
        let words = script_command(script);
        let mut prepared = Prepared::new(config, &words, &self.parts.users, self.parts.identity.as_ref())?;
        prepared.set_variable("SUPERVICE_NAME", &config.name)?;
        prepared.set_variable("SUPERVICE_GROUP", config.group_name())?;
        // The output thread makes its end non-blocking.
        let (stderr, child_end) = io::pipe().map_err(no_pipe)?;
        let null = self.spawner.null();
        let command = prepared.command(null.as_fd(), null.as_fd(), child_end.as_fd(), self.parts.former, true);
        let child = self.spawner.spawn(command)?;
        self.parts.output.attach_task(task, None, OwnedFd::from(stderr));
        Ok(self.add_task(task, config, child, leaves_nothing))
    }

    /// Runs a command of a hook as the program's user or as the daemon's, in the program's directory and environment.
    fn start_hook(&mut self, task: TaskId, config: &ProgramConfig, launch: &HookLaunch) -> Result<i32, SpawnError> {
        let HookLaunch { program, hook: _, command, variables } = launch;
        let words = words_of(&command.command)?;
        let as_daemon = command.as_daemon.then(|| of_daemon(config));
        let config = as_daemon.as_ref().unwrap_or(config);
        let mut prepared = Prepared::new(config, &words, &self.parts.users, self.parts.identity.as_ref())?;
        for (name, value) in variables {
            // A text from outside may hold what no variable can.
            prepared.set_variable(name, &value.replace('\0', " "))?;
        }
        let (output, child_end) = io::pipe().map_err(no_pipe)?;
        let null = self.spawner.null();
        let (ours, both) = (null.as_fd(), child_end.as_fd());
        let child = self.spawner.spawn(prepared.command(ours, both, both, self.parts.former, true))?;
        self.parts.output.attach_task(task, Some(*program), OwnedFd::from(output));
        Ok(self.add_task(task, config, child, false))
    }

    fn add_task(&mut self, task: TaskId, config: &ProgramConfig, child: Child, leaves_nothing: bool) -> i32 {
        warn_if_pending(&config.name, &child);
        self.note_run();
        let pid = child.pid;
        self.children.insert(pid, Owner::Task(task));
        self.tasks.insert(task, TaskChild { child, reaped: false, start_time: None, leaves_nothing });
        pid
    }

    /// Signals the group of a task; it may have gone by itself. Behind the end of its leader, also what has left the
    /// group and is not to stay.
    pub(super) fn signal_task(&mut self, task: TaskId, signal: u8) {
        let Some(TaskChild { child, reaped, start_time, leaves_nothing }) = self.tasks.get_mut(&task) else { return };
        let _ = sys::signal::signal_group(child.leader(*reaped), signal);
        if !*reaped {
            *leaves_nothing = true;
        } else if let Some(start_time) = *start_time {
            let leader = EndedLeader { pid: child.pid, start_time };
            self.end_all_of(leader);
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

/// The same program, that runs as the daemon's user and may do what that may.
fn of_daemon(config: &ProgramConfig) -> ProgramConfig {
    ProgramConfig { user: None, confinement: Rare::default(), ..config.clone() }
}
