//! [`Process`]: the handle that users of the crate hold.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::cause::{Cause, Verb};
use super::machine::{Desired, Machine};
use super::moment::Moment;
use super::state::ProcessState;
use crate::models::ProgramConfig;

/// The way from a handle to its supervisor.
pub(crate) trait Control: Send + Sync {
    /// Executes the command and waits until the state has settled.
    fn ask(&self, name: &str, verb: Verb) -> Result<(), ProcessError>;
    /// Executes the command without waiting for it.
    fn send(&self, name: &str, verb: Verb) -> Result<(), ProcessError>;
    /// Ends the present run and waits until the state has settled.
    fn end_run(&self, name: &str) -> Result<(), ProcessError>;
    /// The same point in time as a std `Instant`.
    fn instant_of(&self, moment: Moment) -> Instant;
}

/// Why a command on a [`Process`] was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessError {
    /// The supervisor has ended, or is too busy to take the command.
    NotRunning,
    /// The supervisor refused it, or another state was reached instead.
    Failed {
        /// Which state and why, as a sentence.
        message: String,
        /// Why, as a stable word for programs; see [`ProcessError::refusal`].
        refusal: &'static str,
        /// Why the process is in the state that was reached, where that is known.
        cause: Option<Cause>,
    },
}

impl ProcessError {
    /// Why the supervisor refused, as a stable word for programs, for instance `no_such_process`, `not_reached` or
    /// `timed_out`: those of the control protocol, listed in supervice-protocol(7).
    ///
    /// ```
    /// use supervice::core::Supervisor;
    /// use supervice::models::{ProgramConfig, SupervisorConfig};
    /// use supervice::process::{Cause, Failure};
    ///
    /// let mut program = ProgramConfig::new("lost", "/nonexistent/program");
    /// program.autostart = false;
    /// let supervisor = Supervisor::with_config(SupervisorConfig {
    ///     programs: vec![program],
    ///     logfile: None,
    ///     pidfile: None,
    ///     socket_path: None,
    ///     ..SupervisorConfig::default()
    /// });
    /// let runner = supervisor.clone();
    /// let thread = std::thread::spawn(move || runner.run());
    ///
    /// let lost = supervisor.process("lost").expect("it is configured");
    /// let error = lost.start_process().expect_err("there is no such program");
    /// assert_eq!(error.refusal(), Some("not_reached"));
    /// let Some(Cause::BackedOff { failure, .. }) = error.cause() else { panic!("{error}") };
    /// assert!(matches!(&**failure, Failure::SpawnFailed(_)));
    ///
    /// supervisor.shutdown();
    /// thread.join().expect("no panic")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refusal(&self) -> Option<&str> {
        match self {
            ProcessError::Failed { refusal, .. } => Some(refusal),
            ProcessError::NotRunning => None,
        }
    }

    /// Why the process is in the state that was reached instead, where one process is to blame and that is known.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            ProcessError::Failed { cause, .. } => cause.as_ref(),
            ProcessError::NotRunning => None,
        }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::NotRunning => f.write_str("the supervisor does not run: call Supervisor::run first"),
            ProcessError::Failed { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for ProcessError {}

/// What other threads see of a process; written by the dispatcher alone.
#[derive(Debug)]
pub(crate) struct ProcessShared {
    view: Mutex<ProcessView>,
}

/// The state of a process as other threads see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProcessView {
    pub config: Arc<ProgramConfig>,
    pub state: ProcessState,
    pub should_run: bool,
    pub pid: Option<i32>,
    pub started_at: Option<Moment>,
    pub healthy: Option<bool>,
}

impl Machine {
    /// What other threads see of it.
    pub(crate) fn view(&self) -> ProcessView {
        ProcessView {
            config: Arc::clone(self.config()),
            state: self.state(),
            should_run: self.desired() == Desired::Up,
            pid: self.pid(),
            started_at: self.started_at(),
            healthy: self.healthy(),
        }
    }
}

impl ProcessShared {
    pub(crate) fn new(config: Arc<ProgramConfig>) -> Self {
        let view = ProcessView {
            config,
            state: ProcessState::Stopped,
            should_run: false,
            pid: None,
            started_at: None,
            healthy: None,
        };
        ProcessShared { view: Mutex::new(view) }
    }

    /// Shows another state.
    pub(crate) fn show(&self, view: ProcessView) {
        *self.lock() = view;
    }

    /// The settings that the next start will use.
    pub(crate) fn config(&self) -> Arc<ProgramConfig> {
        Arc::clone(&self.lock().config)
    }

    /// Plain data that is written in one go: sound even if a writer has panicked.
    fn lock(&self) -> MutexGuard<'_, ProcessView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on one process of a [`Supervisor`](crate::core::Supervisor): its state, and commands.
///
/// It may be used, cloned and sent to any thread while [`run`](crate::core::Supervisor::run) blocks
/// another. The accessors read a view that the dispatcher keeps; they never block on it. The commands
/// wait until the state has settled: at most `startsecs` or `stopwaitsecs` and a few seconds more.
///
/// ```
/// use supervice::core::Supervisor;
/// use supervice::models::{ProgramConfig, SupervisorConfig};
/// use supervice::process::ProcessState;
///
/// let mut sleeper = ProgramConfig::new("sleeper", "sleep 300");
/// sleeper.autostart = false;
/// sleeper.startsecs = 0;
/// let supervisor = Supervisor::with_config(SupervisorConfig {
///     programs: vec![sleeper],
///     logfile: None,
///     pidfile: None,
///     socket_path: None,
///     ..SupervisorConfig::default()
/// });
/// let runner = supervisor.clone();
/// let thread = std::thread::spawn(move || runner.run());
///
/// let sleeper = supervisor.process("sleeper").expect("it is configured");
/// sleeper.start_process()?;
/// assert_eq!(sleeper.state(), ProcessState::Running);
/// assert!(sleeper.pid().is_some());
/// sleeper.stop_process()?;
/// assert_eq!(sleeper.state(), ProcessState::Stopped);
///
/// supervisor.shutdown();
/// thread.join().expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Process {
    name: Arc<str>,
    shared: Arc<ProcessShared>,
    control: Arc<dyn Control>,
}

impl Process {
    pub(crate) fn new(name: Arc<str>, shared: Arc<ProcessShared>, control: Arc<dyn Control>) -> Self {
        Process { name, shared, control }
    }

    /// The unique name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings that the next start will use.
    pub fn config(&self) -> Arc<ProgramConfig> {
        self.shared.config()
    }

    /// The state now.
    pub fn state(&self) -> ProcessState {
        self.shared.lock().state
    }

    /// The running process; `None` where there is none.
    pub fn pid(&self) -> Option<i32> {
        self.shared.lock().pid
    }

    /// Whether it is meant to run.
    pub fn should_run(&self) -> bool {
        self.shared.lock().should_run
    }

    /// When the running process was spawned, by the monotonic clock; `None` where there is none.
    pub fn started_at(&self) -> Option<Instant> {
        let started_at = self.shared.lock().started_at;
        started_at.map(|moment| self.control.instant_of(moment))
    }

    /// What the health checks say of the running process; `None` where nothing is known.
    pub fn is_healthy(&self) -> Option<bool> {
        self.shared.lock().healthy
    }

    /// Asks for a start and returns at once: supervision brings the process up and keeps it so.
    ///
    /// # Errors
    /// [`ProcessError::NotRunning`].
    pub fn start(&self) -> Result<(), ProcessError> {
        self.control.send(&self.name, Verb::Start)
    }

    /// Ends supervision of the process: stops it and waits until nothing of it is left.
    ///
    /// # Errors
    /// As [`stop_process`](Self::stop_process).
    pub fn stop(&self) -> Result<(), ProcessError> {
        self.stop_process()
    }

    /// Starts it and waits until it is `RUNNING`, at most `startsecs` and five seconds.
    ///
    /// # Errors
    /// [`ProcessError::Failed`] with the state that was reached instead and why;
    /// [`ProcessError::NotRunning`] where no supervisor runs.
    pub fn start_process(&self) -> Result<(), ProcessError> {
        self.control.ask(&self.name, Verb::Start)
    }

    /// Sends the stop signal to its process group and waits until nothing of it is left (SIGKILL
    /// follows after `stopwaitsecs` seconds).
    ///
    /// # Errors
    /// [`ProcessError::Failed`] if not even SIGKILL has ended it within five seconds;
    /// [`ProcessError::NotRunning`] where no supervisor runs.
    pub fn stop_process(&self) -> Result<(), ProcessError> {
        self.control.ask(&self.name, Verb::Stop)
    }

    /// SIGKILLs its process group now and waits until nothing of it is left; it is not started again.
    ///
    /// # Errors
    /// As [`stop_process`](Self::stop_process).
    pub fn force_kill(&self) -> Result<(), ProcessError> {
        self.control.ask(&self.name, Verb::Kill)
    }

    /// Ends the present run as [`stop_process`](Self::stop_process) does (the stop signal for the whole group, SIGKILL
    /// after `stopwaitsecs`), but leaves [`should_run`](Self::should_run) as it is: where that is `true`, supervision
    /// starts the process again, and this waits until it is `RUNNING`. Where there is no run, it does nothing.
    ///
    /// # Errors
    /// As [`stop_process`](Self::stop_process), and [`ProcessError::Failed`] where the next run does not come up.
    pub fn kill(&self) -> Result<(), ProcessError> {
        self.control.end_run(&self.name)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("view", &*self.shared.lock()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_have_changed_are_shown() {
        let command = |command| Arc::new(ProgramConfig::new("p", command));
        let shared = ProcessShared::new(command("old"));
        shared.show(Machine::new(command("new")).view());
        assert_eq!(shared.config().command, "new");
    }
}
