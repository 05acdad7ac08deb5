//! From a configuration to a running daemon and back: what is set up, in which order, and how it ends.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::effect::{External, Input};
use super::effects::{Adjust, Effects, Parts, StateWriter, identify, read_state};
use super::engine::Engine;
use super::environment::FormerLimits;
use super::http_sockets::HttpSockets;
use super::inbox::{Inbox, Unopened};
use super::run_error::{RunError, system};
use super::serving::{Served, claim, serve};
use super::users::Users;
use super::{Phase, Supervisor, descriptor_need, termination};
use crate::api::ExitDecision;
use crate::config::{self, Additions, LoadOptions};
use crate::control::names::Names;
use crate::control::server::{Io, ServerHandle};
use crate::logger;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::output::{self, Output};
use crate::sys;
use crate::sys::machine::Power;
use crate::sys::pidfile::PidFile;
use crate::sys::reap::ReapScope;
use crate::sys::signals::{ChildSignals, LeftToOthers, Listener, Signals};
use crate::util::errno;
use crate::util::plural::counted;

/// How long the threads may take to write out what they hold at the end.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Where the daemon's own log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Logging {
    /// Wherever the program that embeds the supervisor sends its log.
    #[default]
    Leave,
    /// To the configured `logfile`.
    File,
    /// To standard output, and to this file as well if the configuration or the command line names one.
    Foreground {
        /// Whether to write to the configured `logfile` too.
        file: bool,
    },
}

/// The details of a [`run`](Supervisor::run).
#[derive(Default)]
pub struct RunOptions {
    /// Where the daemon's own log goes.
    pub logging: Logging,
    /// All children of this process belong to the supervisor: an unknown one that ends is an orphan, to be
    /// reaped and forgotten. For PID 1, a subreaper, or a program that is nothing but a
    /// supervisor. Elsewhere, children of the embedding program are left to it.
    pub reap_orphans: bool,
    /// Applied to every configuration that a reload reads, before it is compared with the one in force: what a
    /// command line has set must not be undone by the file.
    pub adjust: Option<Adjust>,
    /// How a reload reads the file: as it was read at the start.
    pub load: LoadOptions,
    /// This is the kernel's init: signals and clients may ask for the machine to be turned off. When `run` has
    /// returned, this holds what they have asked for; the caller has to do it.
    pub machine: Option<Rc<Cell<Option<Power>>>>,
    /// `machine` is a container, whose PID 1 this is: only its programs may turn it off (`on_fatal`), no signal and no client.
    pub is_container: bool,
    /// A client may ask for a restart of the daemon. When `run` has returned, this says whether one has; the caller has
    /// to do it.
    pub restart: Option<Rc<Cell<bool>>>,
    /// The process ends when `run` has returned: its memory is left to the kernel.
    pub ends_process: bool,
    /// Called once everything is set up and the control socket listens, before the programs start.
    pub on_ready: Option<Box<dyn FnOnce()>>,
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("logging", &self.logging)
            .field("reap_orphans", &self.reap_orphans)
            .finish_non_exhaustive()
    }
}

/// Marks the supervisor as ended, however `run` returns, so that nobody goes on waiting for it.
struct Running<'a>(&'a Supervisor);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.setup().phase = Phase::Ended;
    }
}

pub(super) fn run(supervisor: &Supervisor, options: RunOptions) -> Result<(), RunError> {
    let termination_log = supervisor.inner.handles.settings().termination_log.clone();
    let ended = run_to_the_end(supervisor, options);
    let reason = match &ended {
        Ok(End { decision: Some(decision), .. }) => Some(decision.to_string()),
        Ok(End { clean: true, decision: None }) => None,
        Ok(End { clean: false, decision: None }) => Some(RunError::LeftBehind.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        termination::write_message(termination_log.as_deref(), &reason);
    }
    match ended? {
        End { decision: Some(decision), .. } if decision.code != 0 => {
            Err(RunError::ProgramEnded { code: decision.code, reason: decision.to_string() })
        }
        End { clean: false, .. } => Err(RunError::LeftBehind),
        End { clean: true, .. } => Ok(()),
    }
}

/// How it ended.
struct End {
    /// No process is left.
    clean: bool,
    /// Why, if nobody asked for it.
    decision: Option<ExitDecision>,
}

impl End {
    /// The last line of the log.
    fn log_outcome(&self) {
        let left = if self.clean { "" } else { "; something was left behind" };
        match &self.decision {
            Some(decision) => {
                log::warn!("supervice has ended with exit code {}{left}: {decision}", decision.code);
            }
            None => log::info!("supervice has ended{left}"),
        }
    }
}

fn run_to_the_end(supervisor: &Supervisor, options: RunOptions) -> Result<End, RunError> {
    let queue = {
        let mut setup = supervisor.setup();
        let Some(queue) = setup.queue.take() else { return Err(RunError::NotIdle) };
        setup.phase = Phase::Running;
        queue
    };
    let _running = Running(supervisor);
    let (machine, restart) = (options.machine.clone(), options.restart.clone());
    let ends_process = options.ends_process;
    let Prepared { queue, signals, left_to_others, server, io, output, begun } = *prepare(supervisor, options, queue)?;
    let end_threads = |is_clean| end_threads(supervisor, output.as_ref(), &server, is_clean, ends_process);
    let (ended, names) = dispatch_beside(io, begun, queue, (&signals, &left_to_others), ends_process, end_threads);
    let ended = ended.map(|Ended { end, power, begins_anew }| {
        if let Some(machine) = machine {
            machine.set(power);
        }
        if let Some(restart) = restart {
            restart.set(begins_anew);
        }
        end
    });
    leave(&ended, names);
    ended
}

/// All that is there before the programs start.
struct Prepared {
    queue: Inbox,
    signals: Signals,
    left_to_others: LeftToOthers,
    server: ServerHandle,
    io: Io,
    output: Option<Output>,
    begun: Result<Box<Dispatcher>, RunError>,
}

/// Sets everything up.
///
/// Apart from its caller, whose frame stays for as long as the daemon runs; so does what it gives back, on the heap.
#[inline(never)]
fn prepare(supervisor: &Supervisor, options: RunOptions, queue: Unopened) -> Result<Box<Prepared>, RunError> {
    let (config, config_path) =
        (SupervisorConfig::clone(&supervisor.inner.handles.settings()), supervisor.setup().path.clone());
    set_up_log(&config, options.logging)?;
    let former = take_own_limits(&config);
    // First: a daemon that is refused must not have touched the files of the other.
    let lock = claim(&config).map_err(RunError::Socket)?;
    let pid_file = config.pidfile.as_deref().map(|path| PidFile::acquire(Path::new(path))).transpose();
    let pid_file = pid_file.map_err(RunError::PidFile)?;
    if let Some((file, error)) = pid_file.as_ref().and_then(|file| Some((file, file.unwritten()?))) {
        log::error!(
            "cannot write the pid file {}: {}; it is empty, but locked: no second daemon can run; SIGHUP and SIGUSR2 try again",
            file.path().display(),
            errno::reason(error)
        );
    }
    let is_machine = options.machine.is_some() && !options.is_container;
    let listener = if is_machine { Listener::Machine } else { Listener::Daemon };
    let bell = queue.bell();
    let queue = queue.open().map_err(system("the dispatcher's loop"))?;
    let signals = Signals::install(listener, bell).map_err(system("the signal handlers"))?;
    // The dispatcher takes them: the threads that are made from here on, and this one, go on with their work.
    let left_to_others = LeftToOthers::begin(listener);
    let Served { server, io, sockets, may_have_orphans } = serve(supervisor, &config, pid_file, lock)?;
    let mut output = None;
    let parts = EffectParts { server: &server, sockets, child_signals: signals.child_signals() };
    let begun = begin(supervisor, config, config_path, former, options, parts, &mut output);
    let begun = begun.map(|mut dispatcher| {
        if !may_have_orphans {
            dispatcher.engine.expect_no_orphans();
        }
        dispatcher
    });
    Ok(Box::new(Prepared { queue, signals, left_to_others, server, io, output, begun }))
}

/// Logs the last line and removes the files.
#[inline(never)]
fn leave(ended: &Result<End, RunError>, names: Names) {
    let Names { socket, pid_file, lock, .. } = names;
    let is_clean = ended.as_ref().map_or(true, |end| end.clean);
    if is_clean {
        drop(socket);
    } else {
        // The next daemon looks for what was left behind where it finds the files.
        socket.into_iter().for_each(|socket| socket.guard.leave());
    }
    if let Ok(end) = ended {
        end.log_outcome();
    }
    // While the last line is written. The lock keeps the next daemon away until then.
    match is_clean {
        true => drop(pid_file),
        false => pid_file.into_iter().for_each(PidFile::leave),
    }
    logger::flush(FLUSH_LIMIT);
    drop(lock);
}

/// The result of the dispatcher.
struct Ended {
    end: End,
    power: Option<Power>,
    begins_anew: bool,
}

/// Runs the dispatcher on a thread of its own until the shutdown has ended, then ends the others; meanwhile the loop of
/// the io thread runs on this one. The kernel gives orphans to the main thread, which is usually this one: a child of
/// that thread is always an orphan.
fn dispatch_beside(
    io: Io,
    begun: Result<Box<Dispatcher>, RunError>,
    mut queue: Inbox,
    signals: (&Signals, &LeftToOthers),
    ends_process: bool,
    end_threads: impl Fn(bool) + Sync,
) -> (Result<Ended, RunError>, Names) {
    let (signals, left_to_others) = signals;
    thread::scope(|scope| {
        let work = || {
            left_to_others.take_back();
            let ended = catch_unwind(AssertUnwindSafe(|| {
                begun.map(|dispatcher| dispatch(dispatcher, &mut queue, signals, ends_process))
            }));
            // What the threads still have to say, nobody takes in any more: they must not wait for room in the queue.
            drop(queue);
            end_threads(matches!(&ended, Ok(Ok(Ended { end: End { clean: true, .. }, .. }))));
            ended
        };
        let thread = thread::Builder::new().name("dispatcher".to_owned()).stack_size(sys::memory::MIN_STACK);
        let thread = thread.spawn_scoped(scope, work).inspect_err(|_| end_threads(true));
        sys::memory::rest_stack();
        let names = io.run();
        let ended = match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(Ok(ended))) => ended,
            Ok(Ok(Err(panic)) | Err(panic)) => resume_unwind(panic),
            Err(error) => Err(RunError::System { what: "the thread of the dispatcher", error }),
        };
        (ended, names)
    })
}

fn dispatch(mut dispatcher: Box<Dispatcher>, inbox: &mut Inbox, signals: &Signals, ends_process: bool) -> Ended {
    dispatcher.begin();
    let clean = dispatcher.run(inbox, signals);
    let Dispatcher { engine, effects, .. } = &mut *dispatcher;
    let end = End { clean, decision: engine.exit_decision().cloned() };
    let ended = Ended { end, power: engine.power(), begins_anew: engine.wants_restart() };
    if ends_process && !ended.begins_anew {
        // To free what thousands of programs have needed takes a millisecond of the shutdown.
        effects.end();
        std::mem::forget(dispatcher);
    }
    ended
}

/// Sets the limits that the daemon needs for itself.
fn take_own_limits(config: &SupervisorConfig) -> FormerLimits {
    let set = |score| {
        let former = sys::proc::set_oom_score_adj(score);
        former.inspect_err(|error| {
            let reason = errno::reason(error);
            log::warn!(
                "oom_score_adj = {score} could not be set: {reason}; only root with CAP_SYS_RESOURCE may lower it"
            );
        })
    };
    FormerLimits {
        nofile: sys::limits::raise_nofile(),
        oom_score_adj: config.oom_score_adj.and_then(|score| set(score).ok()),
    }
}

/// What the effects need of what is set up before.
struct EffectParts<'a> {
    server: &'a ServerHandle,
    sockets: HttpSockets,
    child_signals: ChildSignals,
}

/// Sets up all that is needed to start the programs. What is in `output` is to be ended by the caller, whatever comes
/// back.
fn begin(
    supervisor: &Supervisor,
    config: SupervisorConfig,
    config_path: Option<PathBuf>,
    former: FormerLimits,
    mut options: RunOptions,
    parts: EffectParts<'_>,
    output: &mut Option<Output>,
) -> Result<Box<Dispatcher>, RunError> {
    let output = output.insert(start_output(supervisor, &config)?);
    supervisor.inner.bus.start().map_err(system("the events thread"))?;
    let users = Users::default();
    let programs: Vec<_> = supervisor.inner.handles.configs();
    users.learn(programs.iter().map(AsRef::as_ref));
    let identity = identify(&config);
    let kept = config.state_dir.as_deref().map(read_state).unwrap_or_default();
    let additions = kept.additions();
    let (programs, ended) = with_additions(supervisor, programs, config_path.as_deref(), &additions, options.load);
    let effects = Effects::new(Parts {
        inputs: supervisor.inner.inputs.clone(),
        bus: supervisor.inner.bus.clone(),
        output: output.clone(),
        default_output: config.default_output,
        server: parts.server.clone(),
        sockets: parts.sockets,
        child_signals: parts.child_signals,
        scope: if options.reap_orphans { ReapScope::All } else { ReapScope::Known },
        former,
        config_path,
        users,
        reopen: logger::reopen,
        identity: identity.clone(),
        state: config.state_dir.as_deref().map(StateWriter::new),
        load_options: options.load,
        adjust: options.adjust.take().unwrap_or_else(|| Arc::new(|_| {})),
        handles: supervisor.inner.handles.clone(),
    })
    .map_err(system("the means of starting programs"))?;
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    log::info!("supervice {version} is up (pid {pid}, {})", counted(programs.len(), "program"));
    if let Some(warning) = descriptor_need::warning(programs.iter().map(AsRef::as_ref), config.default_output) {
        log::warn!("{warning}");
    }
    if let Some(trouble) = sys::system_zone::trouble() {
        log::warn!("{trouble}");
    }
    if let Some(on_ready) = options.on_ready.take() {
        on_ready();
    }
    let own_pid = i32::try_from(pid).unwrap_or(0);
    let mut engine = Engine::new(sys::time::now(), own_pid, identity, config, programs);
    engine.restore(kept);
    engine.end_scales(&ended);
    engine.seed(sys::random::seed());
    engine.runs_as(nix::unistd::geteuid().as_raw());
    engine.commands_machine(options.machine.is_some() && !options.is_container);
    engine.ends_container(options.machine.is_some() && options.is_container);
    engine.can_restart(options.restart.is_some());
    Ok(Box::new(Dispatcher::new(engine, effects)))
}

/// The programs, with the instances that were asked of an earlier daemon: the file is read once more for these, and
/// differs only in the number of instances. Also returns the programs for which a saved number is no longer valid.
fn with_additions(
    supervisor: &Supervisor,
    programs: Vec<Arc<ProgramConfig>>,
    path: Option<&Path>,
    additions: &Additions,
    load: LoadOptions,
) -> (Vec<Arc<ProgramConfig>>, Vec<String>) {
    let (Some(path), false) = (path, additions.is_empty()) else { return (programs, Vec::new()) };
    let options = LoadOptions { reload: true, ..load };
    let (loaded, left_out) = match config::load_with_most(path, &options, additions) {
        Ok(loaded) => loaded,
        Err(error) => {
            log::warn!("{error}; begins without what was added to the file");
            return (programs, Vec::new());
        }
    };
    let ended = additions.ended_scales(&loaded.scaled);
    for name in ended.iter().filter(|name| !left_out.iter().any(|(program, _)| program == *name)) {
        log::info!("{name}: the number of instances that was saved is forgotten, the file says another numprocs now");
    }
    for (program, error) in left_out {
        log::warn!("{error}; begins with as many instances of {program} as in the file and forgets the number saved");
    }
    let (all, unmade) = additions.applied(programs, &loaded);
    for name in unmade {
        log::warn!("{name}: it was enabled, but no template of the file makes it; begins without");
    }
    supervisor.inner.handles.clear();
    for (id, program) in (0..).zip(&all) {
        supervisor.inner.handles.insert(id, program);
    }
    (all, ended)
}

fn start_output(supervisor: &Supervisor, config: &SupervisorConfig) -> Result<Output, RunError> {
    let inputs = supervisor.inner.inputs.clone();
    let notify = Box::new(move |note| drop(inputs.send(External::Input(Input::Output(note)))));
    Output::start(output::Settings::of(config), notify).map_err(system("the output thread"))
}

/// Ends the threads in the order of the shutdown: all output is written, all events are handled, all answers
/// are sent. `is_clean`: nothing is left that the next daemon would look for where it finds the control socket.
fn end_threads(
    supervisor: &Supervisor,
    output: Option<&Output>,
    server: &ServerHandle,
    is_clean: bool,
    ends_process: bool,
) {
    if is_clean {
        server.remove_sockets();
    }
    match output {
        Some(output) if ends_process => drop(output.finish(FLUSH_LIMIT)),
        Some(output) => output.shutdown(FLUSH_LIMIT),
        None => {}
    }
    if !supervisor.inner.bus.stop_within(FLUSH_LIMIT) {
        log::error!("a handler of events has not ended in time; the daemon exits without waiting");
    }
    server.shutdown(FLUSH_LIMIT);
}

fn set_up_log(config: &SupervisorConfig, logging: Logging) -> Result<(), RunError> {
    let file = config.logfile.as_deref().map(Path::new);
    let (stdout, file) = match logging {
        Logging::Leave => return Ok(()),
        Logging::File => (false, file),
        Logging::Foreground { file: wanted } => (true, file.filter(|_| wanted)),
    };
    logger::set_format(config.log_format);
    let level = logger::parse_level(&config.loglevel).map_err(RunError::Log)?;
    let logfile = file.map(Path::to_owned);
    let (maxbytes, backups) = (config.log_maxbytes, config.log_backups);
    logger::setup(&logger::Options { level, logfile, maxbytes, backups, stdout }).map_err(RunError::Log)?;
    Ok(())
}
