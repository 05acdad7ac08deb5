//! The supervisor: one thread that owns every process (the dispatcher), and the threads around it.

mod dispatcher;
mod engine;
mod environment;
mod kernel;
mod listeners;
mod orphans;
mod roster;
mod run;
pub(crate) mod termination;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

pub use run::{Adjust, Logging, RunError, RunOptions};

use crate::config::{ConfigError, ReloadPlan};
use crate::events::EventBus;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{Command, Control, Moment, Process, ProcessError};
use roster::Roster;
use world::{Answer, Input, Notice};

/// Inputs that wait for the dispatcher at most; whoever sends one more waits for a moment. Small, because a
/// bounded channel touches its whole buffer at once.
const INPUT_QUEUE: usize = 64;

/// How long a thread tries to get a command into the dispatcher's queue.
const ENQUEUE_LIMIT: Duration = Duration::from_secs(5);

/// Supervises processes; clones share one supervisor.
///
/// [`run`](Self::run) blocks one thread, which must not end before it returns (the kernel ties
/// children to it); everything else may be called from any thread at any time.
///
/// ```no_run
/// use supervice::core::Supervisor;
/// use supervice::events::EventType;
///
/// let supervisor = Supervisor::new();
/// supervisor.load_config("supervisord.conf")?;
/// supervisor.events().subscribe(EventType::ProcessStateRunning, |event| {
///     println!("{} started", event.text("processname").unwrap_or("?"));
/// });
/// let runner = supervisor.clone();
/// let thread = std::thread::spawn(move || runner.run());
///
/// if let Some(web) = supervisor.process("web") {
///     web.start_process()?;
///     println!("web runs as {:?}", web.pid());
///     web.stop_process()?;
/// }
/// supervisor.shutdown();
/// thread.join().expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    setup: Mutex<Setup>,
    roster: Arc<Roster>,
    bus: EventBus,
    inputs: Sender<Input>,
}

/// What `run` starts from, and whether it has.
struct Setup {
    /// The file that a reload reads.
    path: Option<PathBuf>,
    /// The daemon's settings; the programs are in the roster.
    config: SupervisorConfig,
    phase: Phase,
    /// Until `run` takes it. When `run` drops it, whatever is in it is dropped as well and nothing more can be sent,
    /// so that nobody waits for an answer, or for room, that never comes.
    queue: Option<Receiver<Input>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `run` has not been called: commands wait for it.
    Idle,
    Running,
    /// `run` has returned.
    Ended,
}

impl Default for Supervisor {
    fn default() -> Self {
        Supervisor::new()
    }
}

impl Supervisor {
    /// A supervisor without programs.
    pub fn new() -> Self {
        let (inputs, queue) = bounded(INPUT_QUEUE);
        let setup = Setup { path: None, config: SupervisorConfig::default(), phase: Phase::Idle, queue: Some(queue) };
        Supervisor {
            inner: Arc::new(Inner {
                setup: Mutex::new(setup),
                roster: Arc::default(),
                bus: EventBus::default(),
                inputs,
            }),
        }
    }

    /// A supervisor with this configuration, which is taken as it is (nothing is checked but by the
    /// spawn itself). It has no file to reload from.
    pub fn with_config(config: SupervisorConfig) -> Self {
        let supervisor = Supervisor::new();
        supervisor.take(config, None);
        supervisor
    }

    /// Loads the configuration from an INI file. Warnings go to the log.
    ///
    /// # Errors
    /// As [`parse_config`](crate::config::parse_config): the file is missing or unreadable, or all that
    /// is wrong with it. The configuration before stays.
    pub fn load_config(&self, path: impl AsRef<Path>) -> Result<(), ConfigError> {
        let loaded = crate::config::load(path.as_ref(), &crate::config::LoadOptions::default())?;
        loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        self.take(loaded.config, Some(path.as_ref().to_owned()));
        Ok(())
    }

    /// As [`load_config`](Self::load_config), for a configuration that the caller has loaded from `path`.
    pub fn set_config(&self, config: SupervisorConfig, path: impl Into<PathBuf>) {
        self.take(config, Some(path.into()));
    }

    fn take(&self, mut config: SupervisorConfig, path: Option<PathBuf>) {
        let mut setup = self.setup();
        if setup.phase == Phase::Running {
            log::error!("load_config while the supervisor runs changes nothing; use reload_config");
            return;
        }
        self.inner.roster.clear();
        // The roster holds the one copy of each program that there is.
        for (id, program) in (0..).zip(std::mem::take(&mut config.programs)) {
            self.inner.roster.insert(id, &Arc::new(program));
        }
        setup.config = config;
        setup.path = path;
    }

    /// Starts the programs, serves the control socket, and blocks until a shutdown has ended.
    ///
    /// Handles SIGTERM, SIGINT, SIGHUP, SIGUSR2 and SIGCHLD as long as it runs.
    ///
    /// # Errors
    /// What keeps it from starting (see [`RunError`]), or from ending with nothing left behind.
    pub fn run(&self) -> Result<(), RunError> {
        self.run_with(RunOptions::default())
    }

    /// As [`run`](Self::run), with a say in the details.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(&self, options: RunOptions) -> Result<(), RunError> {
        run::run(self, options)
    }

    /// Asks for an orderly shutdown and returns at once; the second time, what is left is killed.
    pub fn shutdown(&self) {
        // Only a supervisor whose queue is full for seconds, that is a stuck one, does not hear this.
        let _ = self.inner.inputs.send_timeout(Input::Notice(Notice::Terminate), ENQUEUE_LIMIT);
    }

    /// Reads the configuration file again and applies it, or changes nothing. Added programs start (if
    /// `autostart`), removed ones are stopped and gone when this returns, changed ones take their new
    /// settings at their next start.
    ///
    /// # Errors
    /// [`ProcessError::Failed`] with everything that is wrong with the file.
    pub fn reload_config(&self) -> Result<ReloadPlan, ProcessError> {
        let (reply, answer) = bounded(1);
        self.inner.send(Input::LocalReload { reply })?;
        match self.inner.receive(&answer)? {
            Answer::Reloaded(plan) => Ok(plan),
            Answer::Failed { message, .. } => Err(ProcessError::Failed(message)),
            Answer::Done(_) | Answer::Status { .. } | Answer::Report(_) => Ok(ReloadPlan::default()),
        }
    }

    /// Every process by name.
    pub fn processes(&self) -> BTreeMap<String, Process> {
        let all = self.inner.roster.all().into_iter();
        all.map(|(name, shared)| (name.to_string(), Process::new(name, shared, self.control()))).collect()
    }

    /// The process of this name.
    pub fn process(&self, name: &str) -> Option<Process> {
        let (name, shared) = self.inner.roster.get(name)?;
        Some(Process::new(name, shared, self.control()))
    }

    /// The groups with the names of their members. A program in no `[group:…]` forms its own.
    pub fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for config in self.inner.roster.configs() {
            groups.entry(config.group_name().to_owned()).or_default().push(config.name.clone());
        }
        groups
    }

    /// The configuration in force. Settings of the daemon itself are those that it was started with.
    pub fn config(&self) -> SupervisorConfig {
        let mut config = self.setup().config.clone();
        let programs = self.inner.roster.configs();
        config.programs = programs.iter().map(|program| ProgramConfig::clone(program)).collect();
        config
    }

    /// The bus that announces every change of state and every health result.
    pub fn events(&self) -> &EventBus {
        &self.inner.bus
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.inner) as Arc<dyn Control>
    }

    fn setup(&self) -> MutexGuard<'_, Setup> {
        self.inner.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("processes", &self.inner.roster.all().len()).finish_non_exhaustive()
    }
}

impl Inner {
    fn send(&self, input: Input) -> Result<(), ProcessError> {
        let ended = self.setup.lock().unwrap_or_else(PoisonError::into_inner).phase == Phase::Ended;
        if ended || self.inputs.send_timeout(input, ENQUEUE_LIMIT).is_err() {
            return Err(ProcessError::NotRunning);
        }
        Ok(())
    }

    /// The dispatcher answers everything within its own bounds; one that ends drops what it has not
    /// answered, and the sender with it.
    fn receive(&self, answer: &Receiver<Answer>) -> Result<Answer, ProcessError> {
        answer.recv().map_err(|_| ProcessError::NotRunning)
    }
}

impl Control for Inner {
    fn ask(&self, name: &str, command: Command) -> Result<(), ProcessError> {
        let (reply, answer) = bounded(1);
        self.send(Input::Local { name: name.to_owned(), command, reply: Some(reply) })?;
        match self.receive(&answer)? {
            Answer::Failed { message, .. } => Err(ProcessError::Failed(message)),
            Answer::Done(_) | Answer::Status { .. } | Answer::Reloaded(_) | Answer::Report(_) => Ok(()),
        }
    }

    fn send(&self, name: &str, command: Command) -> Result<(), ProcessError> {
        Inner::send(self, Input::Local { name: name.to_owned(), command, reply: None })
    }

    fn instant_of(&self, moment: Moment) -> Instant {
        crate::sys::time::instant_of(moment)
    }
}
