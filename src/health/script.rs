//! The script check: `/bin/sh -c command` must exit with 0 within the time-out.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{HealthCheckResult, HealthChecker};
use crate::process::{Exit, SpawnError, SpawnStage};
use crate::sys;
use crate::sys::launch::{Launch, c_string, standard_fds};
use crate::sys::spawn::{Child, Spawner};

/// The words that run a check's command.
pub(crate) fn script_command(command: &str) -> [&str; 3] {
    ["/bin/sh", "-c", command]
}

const SIGKILL: u8 = 9;

/// The longest part of a script's last line that goes into a message, in bytes.
const LAST_LINE_LIMIT: usize = 256;

/// How long the outcome of a killed script is waited for: SIGKILL may take its time.
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

    fn run(&self) -> Result<HealthCheckResult, SpawnError> {
        let (stderr, child_end) = capture_pipe()?;
        let null = sys::stdio::open_null().map_err(no_pipe)?;
        let words = script_command(&self.command);
        let argv = words.iter().map(|word| c_string("the health check's command", word));
        let variable = |(mut key, value): (OsString, OsString)| {
            key.push("=");
            key.push(value);
            c_string("the environment", key)
        };
        let launch = Launch {
            argv: argv.collect::<Result<_, _>>()?,
            env: std::env::vars_os().map(variable).collect::<Result<_, _>>()?,
            directory: None,
            credentials: None,
            pdeathsig: true,
            fds: standard_fds(null.as_fd(), null.as_fd(), child_end.as_fd()),
            rlimits: Vec::new(),
            umask: None,
        };
        let child = Spawner::new().map_err(no_pipe)?.spawn(launch)?;
        drop(child_end);
        let mut script = OwnScript { child, exit: None };
        let waiter =
            ScriptWaiter { stderr: Some(stderr), deadline: Instant::now() + self.timeout, timeout: self.timeout };
        Ok(waiter.wait(&mut script))
    }
}

impl HealthChecker for ScriptHealthChecker {
    fn check(&self) -> HealthCheckResult {
        self.run().unwrap_or_else(|error| HealthCheckResult::failed(error.to_string()))
    }
}

/// A script that somebody has spawned and whose outcome is to be awaited.
trait Script {
    /// Readable once the exit is known.
    fn exit_fd(&self) -> Option<BorrowedFd<'_>>;
    /// The exit, if it is known by now.
    fn exit(&mut self) -> Option<Exit>;
    /// SIGKILL to its whole group.
    fn kill(&mut self);
}

/// A script spawned and reaped by this thread.
struct OwnScript {
    child: Child,
    exit: Option<Exit>,
}

impl Script for OwnScript {
    fn exit_fd(&self) -> Option<BorrowedFd<'_>> {
        self.child.pidfd.as_ref().map(AsFd::as_fd)
    }

    fn exit(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = sys::reap::reap(self.child.pid);
        }
        self.exit
    }

    fn kill(&mut self) {
        let _ = sys::signal::signal_group(self.child.leader(self.exit.is_some()), SIGKILL);
    }
}

impl Drop for OwnScript {
    fn drop(&mut self) {
        self.kill();
        // Not reaped within the bound (a process that even SIGKILL does not end): a zombie some day.
        let deadline = Instant::now() + AFTER_KILL;
        while self.exit().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A script that the dispatcher has spawned for a worker, and which its reaper reaps.
pub(crate) struct RunningScript {
    /// Our end of the script's standard error; non-blocking.
    pub stderr: PipeReader,
    /// The reaper writes the exit here (see [`encode_exit`]), or closes it.
    pub exit: PipeReader,
    /// When the script's time is up.
    pub deadline: Instant,
    /// What that time was, for the message.
    pub timeout: Duration,
    /// Asks the dispatcher to kill the script's group.
    pub kill: Box<dyn Fn() + Send>,
}

/// The two bytes that tell an exit through a pipe.
pub(crate) fn encode_exit(exit: Exit) -> [u8; 2] {
    match exit {
        Exit::Code(code) => [0, code],
        Exit::Signal(signal) => [1, signal],
    }
}

fn decode_exit([kind, number]: [u8; 2]) -> Exit {
    if kind == 0 { Exit::Code(number) } else { Exit::Signal(number) }
}

struct ReapedElsewhere {
    pipe: PipeReader,
    kill: Box<dyn Fn() + Send>,
}

impl Script for ReapedElsewhere {
    fn exit_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pipe.as_fd())
    }

    fn exit(&mut self) -> Option<Exit> {
        let mut bytes = [0; 2];
        match poll_readable(self.pipe.as_fd()).then(|| self.pipe.read(&mut bytes)) {
            Some(Ok(2)) => Some(decode_exit(bytes)),
            // Closed without a word: the dispatcher has ended, and the script with it.
            Some(_) => Some(Exit::Signal(SIGKILL)),
            None => None,
        }
    }

    fn kill(&mut self) {
        (self.kill)();
    }
}

impl RunningScript {
    /// Waits for the outcome, at most until the deadline (and a second more for the kill).
    pub(crate) fn wait(self) -> HealthCheckResult {
        let mut script = ReapedElsewhere { pipe: self.exit, kill: self.kill };
        ScriptWaiter { stderr: Some(self.stderr), deadline: self.deadline, timeout: self.timeout }.wait(&mut script)
    }
}

struct ScriptWaiter {
    stderr: Option<PipeReader>,
    deadline: Instant,
    timeout: Duration,
}

impl ScriptWaiter {
    fn wait(mut self, script: &mut dyn Script) -> HealthCheckResult {
        let mut tail = LastLine::default();
        let exit = loop {
            if let Some(exit) = script.exit() {
                break exit;
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                script.kill();
                return self.timed_out(script, tail);
            }
            self.sleep(script, left);
            self.read_stderr(&mut tail);
        };
        self.read_stderr(&mut tail);
        script.kill(); // What it left behind in its group ends with it.
        let message = tail.describe(&exit.to_string());
        HealthCheckResult { healthy: exit == Exit::Code(0), message }
    }

    fn timed_out(&mut self, script: &mut dyn Script, mut tail: LastLine) -> HealthCheckResult {
        let deadline = Instant::now() + AFTER_KILL;
        while script.exit().is_none() && Instant::now() < deadline {
            self.sleep(script, deadline.saturating_duration_since(Instant::now()));
            self.read_stderr(&mut tail);
        }
        HealthCheckResult::failed(tail.describe(&format!("no answer within {} s", self.timeout.as_secs())))
    }

    /// Sleeps until something is to be read, the script has exited, or `left` is over.
    fn sleep(&self, script: &dyn Script, left: Duration) {
        let mut fds = Vec::with_capacity(2);
        fds.extend(self.stderr.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        // Without a descriptor that tells the exit (kernels before 5.2) it is asked for every 20 ms.
        let bound = match script.exit_fd() {
            Some(fd) => {
                fds.push(PollFd::new(fd, PollFlags::POLLIN));
                left
            }
            None => left.min(Duration::from_millis(20)),
        };
        let millis = u16::try_from(bound.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
        let _ = poll(&mut fds, PollTimeout::from(millis));
    }

    fn read_stderr(&mut self, tail: &mut LastLine) {
        let mut buffer = [0; 4096];
        // Bounded: a script that writes without end is stopped by its time-out, not by us.
        for _ in 0..64 {
            let Some(pipe) = &mut self.stderr else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.stderr = None,
                Ok(count) => tail.push(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.stderr = None,
            }
        }
    }
}

/// The last line of a stream that is not blank, cut to [`LAST_LINE_LIMIT`] bytes.
#[derive(Default)]
struct LastLine {
    finished: Vec<u8>,
    current: Vec<u8>,
}

impl LastLine {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                if !self.current.trim_ascii().is_empty() {
                    self.finished = std::mem::take(&mut self.current);
                }
                self.current.clear();
            } else if self.current.len() < LAST_LINE_LIMIT {
                self.current.push(byte);
            }
        }
    }

    /// `what`, and the last line behind it where there is one.
    fn describe(&self, what: &str) -> String {
        let line = if self.current.trim_ascii().is_empty() { &self.finished } else { &self.current };
        let line = String::from_utf8_lossy(line.trim_ascii());
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if line.is_empty() { what.to_owned() } else { format!("{what}: {line}") }
    }
}

/// A pipe for a child's output: our end does not block, the child's does.
pub(crate) fn capture_pipe() -> Result<(PipeReader, io::PipeWriter), SpawnError> {
    let (reader, writer) = io::pipe().map_err(no_pipe)?;
    sys::signals::set_nonblocking(reader.as_fd()).map_err(no_pipe)?;
    Ok((reader, writer))
}

pub(crate) fn no_pipe(error: io::Error) -> SpawnError {
    SpawnError::system(SpawnStage::Pipe, "a pipe", error.raw_os_error().unwrap_or(0))
}

fn poll_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(count) if count > 0)
}

/// A descriptor kept only so that it can be written to once.
pub(crate) fn tell_exit(pipe: io::PipeWriter, exit: Exit) {
    use std::io::Write;
    // The worker may have gone; the pipe is empty, so this never blocks.
    let _ = File::from(std::os::fd::OwnedFd::from(pipe)).write_all(&encode_exit(exit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, seconds: u64) -> HealthCheckResult {
        ScriptHealthChecker::new(command, Duration::from_secs(seconds)).check()
    }

    #[test]
    fn exit_code_decides_and_stderr_explains() {
        assert_eq!(check("true", 10), HealthCheckResult { healthy: true, message: "exit code 0".into() });
        let result = check("echo first >&2; echo 'no space left' >&2; echo >&2; exit 3", 10);
        assert_eq!(result, HealthCheckResult { healthy: false, message: "exit code 3: no space left".into() });
        let result = check("kill -TERM $$", 10);
        assert_eq!(result, HealthCheckResult { healthy: false, message: "killed by SIGTERM".into() });
    }

    #[test]
    fn time_out_kills_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let begin = Instant::now();
        let result = check(&format!("sleep 300 & echo $! > {}; echo stuck >&2; wait", file.display()), 1);
        assert_eq!(result, HealthCheckResult { healthy: false, message: "no answer within 1 s: stuck".into() });
        assert!(begin.elapsed() < Duration::from_secs(5));
        let pid = std::fs::read_to_string(&file).unwrap();
        wait_until_dead(pid.trim());
    }

    #[test]
    fn what_a_script_leaves_behind_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let result = check(&format!("sleep 300 & echo $! > {}", file.display()), 10);
        assert!(result.healthy);
        wait_until_dead(std::fs::read_to_string(&file).unwrap().trim());
    }

    fn wait_until_dead(pid: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let stat = format!("/proc/{pid}/stat");
        // A zombie that its new parent has not reaped yet is dead as well.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
            assert!(Instant::now() < deadline, "process {pid} still lives");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_chatty_script_is_not_blocked_by_its_pipe() {
        let result = check("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo done >&2; exit 1", 20);
        assert_eq!(result.message, "exit code 1: done");
    }

    #[test]
    fn a_task_words_its_result_as_this_checker_does() {
        use crate::process::task::OutputTail;
        use crate::process::{Task, TaskAction, TaskEvent, TaskKind, TaskSpec};

        let pieces: [&[u8]; 8] =
            [b"one", b"\n", b" \t", &[b'y'; 200], &[b' '; 300], b"\xff\x1b", b"\n\n\n", b"two\nthree"];
        for number in 0..4096_usize {
            let (mut last_line, mut condensed, mut actions) = (LastLine::default(), OutputTail::default(), Vec::new());
            let (now, timeout) = (crate::process::Moment::from_nanos(1), Duration::from_secs(1));
            let mut task = Task::start(TaskSpec { kind: TaskKind::HealthCheck, timeout }, &mut actions);
            task.handle_event(now, TaskEvent::Spawned { pid: 1 }, &mut actions);
            for piece in [0, 3, 6, 9].map(|shift| pieces[number >> shift & 7]) {
                last_line.push(piece);
                condensed.push(piece);
            }
            task.handle_event(now, TaskEvent::Output(condensed.into_bytes()), &mut actions);
            task.handle_event(now, TaskEvent::Drained, &mut actions);
            task.handle_event(now, TaskEvent::Exited(Exit::Code(1)), &mut actions);
            let Some(TaskAction::Done(end)) = actions.pop() else { panic!("it has not ended") };
            assert_eq!(HealthCheckResult::from(&end).message, last_line.describe("exit code 1"), "{number:o}");
        }
    }

    #[test]
    fn last_line_is_bounded_and_printable() {
        let mut tail = LastLine::default();
        tail.push(&[b'a'; 1000]);
        tail.push(b"\nx\xffy\x1b[1m\n");
        assert_eq!(tail.describe("exit code 1"), "exit code 1: x\u{fffd}y [1m");
        let mut tail = LastLine::default();
        tail.push(&[b'a'; 1000]);
        assert_eq!(tail.describe("").len(), LAST_LINE_LIMIT + 2);
    }
}
