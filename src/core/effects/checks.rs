//! Health checks: the worker threads, and the scripts that they wait for.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::effect::{External, Input};
use super::super::environment::Prepared;
use super::launch::warn_if_pending;
use super::{Effects, Owner};
use crate::api::ProcId;
use crate::health::{
    CheckRequest, HealthCheckResult, RunningScript, TcpHealthChecker, Work, Worker, capture_pipe, no_pipe,
    script_command, tell_exit,
};
use crate::models::{HealthCheckType, ProgramConfig};
use crate::process::{Exit, Generation, SpawnError};
use crate::sys;
use crate::sys::spawn::Child;

const SIGKILL: u8 = 9;

/// A health check script, from its spawn until it is reaped.
pub(super) struct Script {
    pub(super) owner: ProcId,
    pub(super) child: Child,
    exit: io::PipeWriter,
}

impl Effects {
    /// Begins a health check; what is wrong with that counts as a failed one.
    pub(super) fn check_health(
        &mut self,
        id: ProcId,
        generation: Generation,
        config: &Arc<ProgramConfig>,
    ) -> Option<Input> {
        let message = self.begin_check(id, generation, config).err()?;
        Some(Input::Health { id, generation, result: HealthCheckResult { healthy: false, message } })
    }

    fn begin_check(&mut self, id: ProcId, generation: Generation, config: &Arc<ProgramConfig>) -> Result<(), String> {
        // The thread first: a script without one to wait for it would be spawned for nothing.
        self.worker(id, &config.name)?;
        let script = self.next_script;
        let work = self.work(id, config)?;
        let taken = self.worker(id, &config.name)?.request(CheckRequest { generation, work });
        if taken.is_err() {
            // Nobody would ever stop a script that no thread waits for.
            self.kill_script(script);
        }
        if taken.is_err_and(|reason| reason == crate::health::THREAD_DIED) {
            self.workers.remove(&id); // The next check gets a new one.
        }
        taken.map_err(str::to_owned)
    }

    fn work(&mut self, id: ProcId, config: &ProgramConfig) -> Result<Work, String> {
        let check = &config.healthcheck;
        let incomplete = || "the health check's settings are incomplete".to_owned();
        match check.check_type {
            HealthCheckType::None => Err(incomplete()),
            HealthCheckType::Tcp => {
                let timeout = Duration::from_secs(u64::from(check.timeout));
                Ok(Work::Tcp(TcpHealthChecker::new(&check.host, check.port.ok_or_else(incomplete)?, timeout)))
            }
            HealthCheckType::Script => {
                let command = check.command.as_deref().ok_or_else(incomplete)?;
                self.spawn_script(id, config, command).map(Work::Script).map_err(|error| error.to_string())
            }
        }
    }

    fn worker(&mut self, id: ProcId, name: &str) -> Result<&Worker, String> {
        if !self.workers.contains_key(&id) {
            let inputs = self.parts.inputs.clone();
            let report = move |generation, result| {
                let _ = inputs.send(External::Input(Input::Health { id, generation, result }));
            };
            let worker = Worker::start(name, report).map_err(|error| format!("no thread for the check: {error}"))?;
            self.workers.insert(id, worker);
        }
        self.workers.get(&id).ok_or_else(|| "no thread for the check".to_owned())
    }

    fn spawn_script(&mut self, id: ProcId, config: &ProgramConfig, command: &str) -> Result<RunningScript, SpawnError> {
        let prepared =
            Prepared::new(config, &script_command(command), &self.parts.users, self.parts.identity.as_ref())?;
        let (stderr, child_end) = capture_pipe()?;
        let (exit_reader, exit_writer) = io::pipe().map_err(no_pipe)?;
        let null = self.spawner.null();
        let null = null.as_fd();
        let command = prepared.command(null, null, child_end.as_fd(), self.parts.nofile, true);
        let child = self.spawner.spawn(command)?;
        warn_if_pending(&config.name, &child);
        let script = self.next_script;
        self.next_script += 1;
        self.children.insert(child.pid, Owner::Script(script));
        self.scripts.insert(script, Script { owner: id, child, exit: exit_writer });
        let timeout = Duration::from_secs(u64::from(config.healthcheck.timeout));
        let inputs = self.parts.inputs.clone();
        Ok(RunningScript {
            stderr,
            exit: exit_reader,
            deadline: Instant::now() + timeout,
            timeout,
            kill: Box::new(move || {
                let _ = inputs.send(External::ScriptTimedOut { script });
            }),
        })
    }

    /// The end of a health check script: the worker that waits learns its exit, its group is cleared.
    pub(super) fn script_ended(&mut self, script: u64, exit: Exit) {
        if let Some(script) = self.scripts.remove(&script) {
            kill_group(&script.child, true);
            tell_exit(script.exit, exit);
        }
    }

    /// Kills a health check script that has used up its time.
    pub(in crate::core) fn kill_script(&mut self, script: u64) {
        if let Some(script) = self.scripts.get(&script) {
            kill_group(&script.child, false);
        }
    }
}

/// SIGKILL to a health check script's group; it may have gone by itself.
pub(super) fn kill_group(script: &Child, reaped: bool) {
    let _ = sys::signal::signal_group(script.leader(reaped), SIGKILL);
}
