//! A daemon that runs: started, awaited, stopped, and gone in any case.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, wait, waitpid};
use nix::unistd::Pid;

use crate::clock::{milliseconds, monotonic_ns};
use crate::error::{Context, Result};
use crate::procfs;
use crate::site::{Records, Site};

/// The longest wait for the first sign of all children, for a replacement, and for the end.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The file that gets what the daemon says.
pub const OUTPUT: &str = "output";
/// The pause between two looks at the FIFO while many children start. Their records hold the time, so this
/// costs no accuracy; a reader who woke for each record would take CPU time from the start itself.
const LOOK: Duration = Duration::from_millis(5);

/// A daemon in its site. Dropping it kills all that descends from this benchmark.
pub struct Running {
    /// Its directory.
    pub site: Site,
    /// Its pid.
    pub pid: i32,
    began_ns: u64,
    records: Records,
    // Of the living children: pid → when it began.
    children: HashMap<i32, u64>,
}

impl Running {
    /// Runs `command` in `site`, its output into a file there.
    pub fn launch(site: Site, command: Command) -> Result<Self> {
        Self::launch_with(site, command, false)
    }

    /// As [`launch`](Self::launch), but nobody reads its standard output: some supervisors log there as well as to their file, and
    /// others have to be asked for that.
    pub fn launch_unread(site: Site, command: Command) -> Result<Self> {
        Self::launch_with(site, command, true)
    }

    fn launch_with(site: Site, mut command: Command, is_unread: bool) -> Result<Self> {
        let records = Records::open(&site)?;
        let log = site.path(OUTPUT);
        let output = File::create(&log).context(format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().context("cannot duplicate a descriptor")?;
        // A group of its own: a Ctrl-C at the terminal is for the benchmark, which then cleans up.
        let output = if is_unread { Stdio::null() } else { output.into() };
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let began_ns = monotonic_ns();
        let child = command.spawn().context(format!("cannot run {}", command.get_program().display()))?;
        let pid = i32::try_from(child.id()).context("no such pid")?;
        Ok(Self { site, pid, began_ns, records, children: HashMap::new() })
    }

    /// Waits for `n` children and tells the milliseconds from the daemon's exec to the first
    /// instruction of the last of them.
    pub fn started(&mut self, n: usize) -> Result<f64> {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            for record in self.records.read()? {
                self.children.insert(record.pid, record.ns);
            }
            if self.children.len() >= n {
                let last = self.children.values().max().copied().unwrap_or(self.began_ns);
                return Ok(milliseconds(self.began_ns, last));
            }
            if let Some(status) = self.ended_already() {
                return Err(self.complaint(&format!("it ended with {status}")));
            }
            if Instant::now() > deadline {
                let what = format!("{} of {n} children after {} s", self.children.len(), TEST_TIMEOUT.as_secs());
                return Err(self.complaint(&what));
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until the youngest child is `age` old.
    pub fn let_age(&self, age: Duration) {
        let youngest = self.children.values().max().copied().unwrap_or(0);
        let old = Duration::from_nanos(monotonic_ns().saturating_sub(youngest));
        thread::sleep(age.saturating_sub(old));
    }

    /// Children that have not been killed here yet, oldest first.
    pub fn victims(&self) -> Vec<i32> {
        let mut all: Vec<_> = self.children.iter().map(|(&pid, &ns)| (ns, pid)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, pid)| pid).collect()
    }

    /// Kills the child and tells the milliseconds until the first instruction of its replacement.
    pub fn respawn(&mut self, victim: i32) -> Result<f64> {
        let killed_ns = monotonic_ns();
        kill(Pid::from_raw(victim), Signal::SIGKILL).context(format!("cannot kill child {victim}"))?;
        self.children.remove(&victim);
        Ok(milliseconds(killed_ns, self.next_record()?))
    }

    /// Waits for one child to begin; when it did, as CLOCK_MONOTONIC.
    pub fn next_record(&mut self) -> Result<u64> {
        match self.records.wait(TEST_TIMEOUT)?.first() {
            Some(record) => {
                self.children.insert(record.pid, record.ns);
                Ok(record.ns)
            }
            None => Err(self.complaint(&format!("no child began within {} s", TEST_TIMEOUT.as_secs()))),
        }
    }

    /// Sends the signal and tells the milliseconds until the daemon, its helpers and all children
    /// are gone.
    pub fn stop(mut self, signal: Signal) -> Result<f64> {
        let (done, watch) = mpsc::channel::<()>();
        // As a subreaper, this process inherits whatever outlives the daemon; so "no child left to wait
        // for" means that all have gone. The watchdog bounds the wait.
        let watchdog = thread::spawn(move || {
            let late = watch.recv_timeout(TEST_TIMEOUT).is_err_and(|error| error == mpsc::RecvTimeoutError::Timeout);
            if late {
                kill_descendants();
            }
            late
        });
        let began_ns = monotonic_ns();
        kill(Pid::from_raw(self.pid), signal).context("cannot signal the daemon")?;
        loop {
            match wait() {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => break,
                Err(error) => return Err(format!("cannot wait for the daemon: {error}")),
            }
        }
        let ended_ns = monotonic_ns();
        drop(done);
        if watchdog.join().unwrap_or(true) {
            return Err(self.complaint(&format!("not gone {} s after {signal}", TEST_TIMEOUT.as_secs())));
        }
        if !self.records.ended() {
            return Err("a child lives that is no descendant of this benchmark".to_owned());
        }
        Ok(milliseconds(began_ns, ended_ns))
    }

    /// The processes of the supervisor itself.
    pub fn processes(&self) -> Vec<i32> {
        procfs::supervisor_processes(self.pid, &self.site.child)
    }

    fn ended_already(&self) -> Option<ExitStatus> {
        match waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::from_raw(code << 8)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(ExitStatus::from_raw(signal as i32)),
            _ => None,
        }
    }

    /// An error with the end of what the daemon said.
    fn complaint(&self, what: &str) -> String {
        let said = std::fs::read(self.site.path(OUTPUT)).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<_> = said.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n    ");
        format!("{what}; the last that it said:\n    {tail}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        sweep();
    }
}

/// Kills everything that descends from this process and buries it.
pub fn sweep() {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        kill_descendants();
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
        if Instant::now() > deadline {
            eprintln!("supervisors: some processes do not die: {:?}", procfs::descendants(own_pid()));
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn kill_descendants() {
    for pid in procfs::descendants(own_pid()) {
        // Whatever has gone meanwhile is what is wanted. The pid is a descendant that nobody but its
        // parent can reap, and the parents are killed first.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn own_pid() -> i32 {
    Pid::this().as_raw()
}
