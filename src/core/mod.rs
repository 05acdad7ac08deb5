//! The supervisor: the dispatcher, a thread of its own that owns every process; the event loop of the connections, on
//! the thread that calls [`Supervisor::run`]; and the threads around both.

mod descriptor_need;
mod dispatcher;
mod effect;
mod effects;
mod engine;
mod environment;
mod handles;
mod http_sockets;
mod inbox;
mod run;
mod run_error;
mod serving;
#[cfg(feature = "simulate")]
pub(crate) mod simulation;
pub(crate) mod termination;
#[cfg(test)]
mod tests;
mod users;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

pub use crate::models::Power;
pub use crate::sys::pidfile::PidFileError;
pub use effects::Adjust;
pub use run::{Logging, RunOptions};
pub use run_error::RunError;

use crate::api::{Act, Answer, Changes, Command, Refusal, Reply, Request, Selector, Terms};
use crate::config::{ChangedSetting, ConfigError, ReloadPlan};
use crate::events::EventBus;
use crate::logger::{self, LoggerError};
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{Control, Moment, Process, ProcessError, Verb};
use effect::{External, Input, Notice};
use handles::Handles;
use inbox::{Inputs, Unopened, inbox};

/// The most inputs that wait for the dispatcher; the sender of a further one waits for a moment. Small, because a
/// bounded channel touches its whole buffer at once.
const INPUT_QUEUE: usize = 64;

/// How long a thread tries to get a command into the dispatcher's queue.
const ENQUEUE_LIMIT: Duration = Duration::from_secs(5);

/// Supervises processes; clones share one supervisor.
///
/// [`run`](Self::run) blocks one thread; everything else may be called from any thread at any time.
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
    handles: Arc<Handles>,
    bus: EventBus,
    inputs: Inputs,
}

/// What `run` starts from, and whether it has.
struct Setup {
    /// The file that a reload reads.
    path: Option<PathBuf>,
    phase: Phase,
    /// Until `run` takes it. When `run` drops it, whatever is in it is dropped as well and nothing more can be sent,
    /// so that nobody waits for an answer, or for room, that never comes.
    queue: Option<Unopened>,
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
        let (inputs, queue) = inbox(INPUT_QUEUE);
        let setup = Setup { path: None, phase: Phase::Idle, queue: Some(queue) };
        Supervisor {
            inner: Arc::new(Inner {
                setup: Mutex::new(setup),
                handles: Arc::default(),
                bus: EventBus::default(),
                inputs,
            }),
        }
    }

    /// A supervisor with this configuration, which is taken as it is: only the spawn itself will find what is wrong
    /// with it. It has no file to reload from.
    pub fn with_config(config: SupervisorConfig) -> Self {
        let supervisor = Supervisor::new();
        supervisor.take(config, None);
        supervisor
    }

    /// Loads the configuration from an INI file and sets up the log as it says: `loglevel`, `logfile` and its rotation.
    /// Warnings go to the log.
    ///
    /// A logger that the program has set up before stays as it is, with its level, and gets what the supervisor logs.
    /// With `logfile = none`, and by [`set_config`](Self::set_config), no logger is set up: the program may still do
    /// so.
    ///
    /// # Errors
    /// As [`parse_config`](crate::config::parse_config): the file is missing or unreadable, or everything that is wrong
    /// with it. [`ConfigError::Log`] where the log file can't be opened. The previous configuration stays in force.
    pub fn load_config(&self, path: impl AsRef<Path>) -> Result<(), ConfigError> {
        let loaded = crate::config::load(path.as_ref(), &crate::config::LoadOptions::default())?;
        set_up_log(&loaded.config)?;
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
        self.inner.handles.clear();
        // The handles hold the one copy of each program that there is.
        for (id, program) in (0..).zip(std::mem::take(&mut config.programs)) {
            self.inner.handles.insert(id, &Arc::new(program));
        }
        self.inner.handles.show_settings(Arc::new(config));
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
        let _ = self.inner.inputs.send_timeout(External::Input(Input::Notice(Notice::Terminate(None))), ENQUEUE_LIMIT);
    }

    /// Reads the configuration file again and applies it, or changes nothing. Added programs start (if
    /// `autostart`), removed ones are stopped and gone when this returns, changed ones take their new
    /// settings at their next start.
    ///
    /// # Errors
    /// [`ProcessError::Failed`] with everything that is wrong with the file.
    pub fn reload_config(&self) -> Result<ReloadPlan, ProcessError> {
        let reply = self.inner.obtain(Command::Reload { timeout: None })?;
        let Reply::Reloaded { changes: Changes { added, removed, changed }, daemon, outdated: _ } = reply else {
            return Ok(ReloadPlan::default());
        };
        let daemon_settings_changed = ChangedSetting::of_keys(&[daemon.live, daemon.restart].concat());
        Ok(ReloadPlan { added, removed, changed, daemon_settings_changed })
    }

    /// Every process by name.
    pub fn processes(&self) -> BTreeMap<String, Process> {
        let all = self.inner.handles.all().into_iter();
        all.map(|(name, shared)| (name.to_string(), Process::new(name, shared, self.control()))).collect()
    }

    /// The process of this name.
    pub fn process(&self, name: &str) -> Option<Process> {
        let (name, shared) = self.inner.handles.get(name)?;
        Some(Process::new(name, shared, self.control()))
    }

    /// The groups with the names of their members. A program in no `[group:…]` forms its own.
    pub fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for config in self.inner.handles.configs() {
            groups.entry(config.group_name().to_owned()).or_default().push(config.name.clone());
        }
        groups
    }

    /// The configuration in force. A reload changes the programs and those settings of the daemon that take effect at
    /// once; the others stay those that it was started with.
    pub fn config(&self) -> SupervisorConfig {
        let mut config = SupervisorConfig::clone(&self.inner.handles.settings());
        let programs = self.inner.handles.configs();
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

/// A refusal as users of the crate see it. No `From`: an implementation would make `Refusal` part of the interface.
fn refused(refusal: Refusal) -> ProcessError {
    ProcessError::Failed { message: refusal.to_string(), refusal: refusal.kind(), cause: refusal.cause().cloned() }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("processes", &self.inner.handles.all().len()).finish_non_exhaustive()
    }
}

impl Inner {
    fn send(&self, input: External) -> Result<(), ProcessError> {
        let ended = self.setup.lock().unwrap_or_else(PoisonError::into_inner).phase == Phase::Ended;
        if ended || self.inputs.send_timeout(input, ENQUEUE_LIMIT).is_err() {
            return Err(ProcessError::NotRunning);
        }
        Ok(())
    }

    /// Sends a command and waits for the answer. The dispatcher answers everything within its own bounds; when it ends,
    /// it drops the requests that it has not answered, and their senders.
    fn obtain(&self, command: Command) -> Result<Reply, ProcessError> {
        let (reply, answer) = bounded(1);
        self.send(External::Local { request: Request::Command(command), reply: Some(reply) })?;
        let answer: Answer = answer.recv().map_err(|_| ProcessError::NotRunning)?;
        answer.map_err(refused)
    }
}

/// Sets the log up as the configuration says, unless the program has a logger of its own.
fn set_up_log(config: &SupervisorConfig) -> Result<(), ConfigError> {
    let Some(file) = config.logfile.as_deref() else { return Ok(()) };
    match logger::setup_logger(&config.loglevel, Some(Path::new(file)), config.log_maxbytes, config.log_backups) {
        Ok(_) | Err(LoggerError::Taken) => Ok(()),
        Err(error) => Err(ConfigError::Log(Box::new(error))),
    }
}

/// What a handle asks for, and whether anybody waits for the answer.
fn command(name: &str, verb: Verb, wait: bool) -> Command {
    let act = match verb {
        Verb::Start => Act::Start,
        Verb::Stop => Act::Stop,
        Verb::Kill => Act::Kill,
        Verb::Restart => Act::Restart { force: false },
    };
    Command::Act { act, on: Selector::Process(name.to_owned()), terms: Terms { wait, ..Terms::default() } }
}

impl Control for Inner {
    fn ask(&self, name: &str, verb: Verb) -> Result<(), ProcessError> {
        self.obtain(command(name, verb, true)).map(drop)
    }

    fn end_run(&self, name: &str) -> Result<(), ProcessError> {
        self.obtain(Command::EndRun { name: name.to_owned() }).map(drop)
    }

    fn send(&self, name: &str, verb: Verb) -> Result<(), ProcessError> {
        Inner::send(self, External::Local { request: Request::Command(command(name, verb, false)), reply: None })
    }

    fn instant_of(&self, moment: Moment) -> Instant {
        crate::sys::time::instant_of(moment)
    }
}
