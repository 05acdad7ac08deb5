//! The script check: `/bin/sh -c command` must exit with 0 within the time-out.

use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{HealthCheckResult, HealthChecker};
use crate::models::Rare;
use crate::process::{
    Exit, Moment, SignalReason, SpawnError, SpawnStage, Task, TaskAction, TaskEvent, TaskKind, TaskSpec,
};
use crate::sys;
use crate::sys::launch::{Launch, c_string, standard_fds};
use crate::sys::spawn::{Child, Spawner};
use crate::sys::variables::{Inherited, Variables};

/// The words that run a check's command.
pub(crate) fn script_command(command: &str) -> [&str; 3] {
    ["/bin/sh", "-c", command]
}

const SIGKILL: u8 = 9;

/// How long the end of a script that is given up is waited for, to reap it: SIGKILL may take its time.
const AFTER_KILL: Duration = Duration::from_secs(1);

/// Passes when `/bin/sh -c command` exits with 0 within the time-out; else its process group is killed.
///
/// On its own it runs the command as the calling process's user, in its directory and environment;
/// in the daemon the script runs as the program's user, in the program's directory and environment.
#[derive(Debug, Clone)]
pub struct ScriptHealthChecker {
    command: String,
    timeout: Duration,
}

impl ScriptHealthChecker {
    /// A check by this shell command.
    pub fn new(command: &str, timeout: Duration) -> Self {
        ScriptHealthChecker { command: command.to_owned(), timeout }
    }

    fn spawn(&self) -> Result<OwnScript, SpawnError> {
        let (stderr, child_end) = io::pipe().map_err(no_pipe)?;
        sys::signals::set_nonblocking(stderr.as_fd()).map_err(no_pipe)?;
        let null = sys::stdio::open_null().map_err(no_pipe)?;
        let words = script_command(&self.command);
        let argv = words.iter().map(|word| c_string("the health check's command", word));
        let launch = Launch {
            pid_variable: None,
            argv: argv.collect::<Result<_, _>>()?,
            env: Variables::new(&Inherited::without(&[])),
            directory: None,
            stdin_file: None,
            credentials: None,
            pdeathsig: true,
            fds: standard_fds(null.as_fd(), null.as_fd(), child_end.as_fd()),
            rlimits: Vec::new(),
            umask: None,
            #[cfg(feature = "attach")]
            has_terminal: false,
            confinement: Rare::default(),
            argv_0_is_path: false,
        };
        let child = Spawner::new().map_err(no_pipe)?.spawn(launch)?;
        Ok(OwnScript { child, stderr: Some(stderr), exit: None })
    }
}

impl HealthChecker for ScriptHealthChecker {
    fn check(&self) -> HealthCheckResult {
        let mut actions = Vec::new();
        let mut task = Task::start(TaskSpec { kind: TaskKind::HealthCheck, timeout: self.timeout }, &mut actions);
        let mut script = match self.spawn() {
            Ok(script) => script,
            Err(error) => return HealthCheckResult::never_run(&error.to_string()),
        };
        task.handle_event(sys::time::now(), TaskEvent::Spawned { pid: script.child.pid }, &mut actions);
        loop {
            script.report(&mut task, &mut actions);
            for action in actions.drain(..) {
                match action {
                    TaskAction::Spawn => {}
                    TaskAction::SignalGroup { reason: SignalReason::SurvivedKill { .. }, .. } => {
                        return HealthCheckResult::no_answer(self.timeout, None);
                    }
                    TaskAction::SignalGroup { signal, reason: _ } => script.signal(signal),
                    TaskAction::Done(end) => return HealthCheckResult::of_check(&end),
                }
            }
            script.sleep_until(task.poll_timeout());
        }
    }
}

/// A script spawned and reaped by this thread.
struct OwnScript {
    child: Child,
    stderr: Option<PipeReader>,
    exit: Option<Exit>,
}

impl OwnScript {
    /// Tells the task what has happened since the last time.
    fn report(&mut self, task: &mut Task, actions: &mut Vec<TaskAction>) {
        // First: what the leader has written is in the pipe when it has ended.
        let exit = self.reap();
        let now = sys::time::now();
        self.read_stderr(|bytes| task.handle_event(now, TaskEvent::Output(bytes.to_vec()), actions));
        match exit {
            Some(exit) => {
                task.handle_event(now, TaskEvent::Drained, actions);
                task.handle_event(now, TaskEvent::Exited(exit), actions);
            }
            None => task.handle_timeout(now, actions),
        }
    }

    fn reap(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = sys::reap::reap(self.child.pid);
        }
        self.exit
    }

    fn signal(&self, signal: u8) {
        let _ = sys::signal::signal_group(self.child.leader(self.exit.is_some()), signal);
    }

    /// Sleeps until something is to be read, the script has exited, or `until` has come.
    fn sleep_until(&self, until: Option<Moment>) {
        let mut fds = Vec::with_capacity(2);
        fds.extend(self.stderr.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(sys::time::now()));
        // Without a descriptor that tells the exit (kernels before 5.2) it is asked for every 20 ms.
        let bound = match &self.child.pidfd {
            Some(pidfd) => {
                fds.push(PollFd::new(pidfd.as_fd(), PollFlags::POLLIN));
                left
            }
            None => left.min(Duration::from_millis(20)),
        };
        let millis = u16::try_from(bound.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
        let _ = poll(&mut fds, PollTimeout::from(millis));
    }

    fn read_stderr(&mut self, mut take: impl FnMut(&[u8])) {
        let mut buffer = [0; 4096];
        // Bounded: a script that writes without end is stopped by its time-out, not by us.
        for _ in 0..64 {
            let Some(pipe) = &mut self.stderr else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.stderr = None,
                Ok(count) => take(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.stderr = None,
            }
        }
    }
}

impl Drop for OwnScript {
    fn drop(&mut self) {
        if self.exit.is_some() {
            return;
        }
        self.signal(SIGKILL);
        // Not reaped within the bound (a process that even SIGKILL does not end): a zombie some day.
        let deadline = Instant::now() + AFTER_KILL;
        while self.reap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(crate) fn no_pipe(error: io::Error) -> SpawnError {
    SpawnError::system(SpawnStage::Pipe, "a pipe", error.raw_os_error().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::sys::testing::TEST_TIMEOUT;

    fn check(command: &str) -> HealthCheckResult {
        ScriptHealthChecker::new(command, TEST_TIMEOUT).check()
    }

    #[test]
    fn exit_code_decides_and_stderr_explains() {
        assert_eq!(check("true"), HealthCheckResult { healthy: true, message: "exit code 0".into() });
        let result = check("echo first >&2; echo 'no space left' >&2; echo >&2; exit 3");
        assert_eq!(result, HealthCheckResult { healthy: false, message: "exit code 3: no space left".into() });
        let result = check("kill -TERM $$");
        assert_eq!(result, HealthCheckResult { healthy: false, message: "killed by SIGTERM".into() });
    }

    #[test]
    fn time_out_kills_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let command = format!("sleep 300 & echo $! > {}; echo stuck >&2; wait", file.display());
        // On a busy machine the shell does not come to its last command in a second.
        let begin = Instant::now();
        let found = [1, 5, 25, 60].into_iter().find_map(|seconds| {
            let result = ScriptHealthChecker::new(&command, Duration::from_secs(seconds)).check();
            (result.message != format!("no answer within {seconds} s")).then_some((seconds, result))
        });
        let (seconds, result) = found.expect("it says something");
        let message = format!("no answer within {seconds} s: stuck");
        assert_eq!(result, HealthCheckResult { healthy: false, message });
        assert!(begin.elapsed() < Duration::from_secs(200), "its child has ended it");
        let pid = std::fs::read_to_string(&file).unwrap();
        wait_until_dead(pid.trim());
    }

    #[test]
    fn what_a_script_leaves_behind_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let result = check(&format!("sleep 300 & echo $! > {}", file.display()));
        assert!(result.healthy);
        wait_until_dead(std::fs::read_to_string(&file).unwrap().trim());
    }

    fn wait_until_dead(pid: &str) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        let stat = format!("/proc/{pid}/stat");
        // A zombie that its new parent has not reaped yet is dead as well.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
            assert!(Instant::now() < deadline, "process {pid} still lives");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_chatty_script_is_not_blocked_by_its_pipe() {
        let result = check("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo done >&2; exit 1");
        assert_eq!(result.message, "exit code 1: done");
    }
}
