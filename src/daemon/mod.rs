//! The command `supervice`: from its arguments to its exit code.

mod args;
mod defaults;
mod demo;
mod schedules;
#[cfg(feature = "simulate")]
mod simulate;
#[cfg(not(feature = "simulate"))]
#[path = "without_simulation.rs"]
mod simulate;
mod supervisord;
mod system;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::{self, ConfigError, Diagnostic, Loaded, Secrets};
use crate::core::{Logging, RunError, RunOptions, Supervisor, termination};
use crate::sys;
use crate::sys::daemon::{Fork, ReadyWriter};
use crate::util::plural::counted;
use args::{Args, Mode};

const FAILURE: u8 = 1;
const USAGE: u8 = 2;

/// Runs the command with these arguments (the first is its own name) and tells its exit code: 0 for
/// success, 1 for failure, 2 for wrong usage.
///
/// With a program behind `--init`, or called through a link named after another init, it is that init (the module
/// `init`).
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let code = match before_a_run(args.collect()) {
        ControlFlow::Break(code) => code,
        ControlFlow::Continue(args) if args.system => system::start(args),
        ControlFlow::Continue(args) => start(args),
    };
    ExitCode::from(code)
}

/// Does what the arguments ask for, but for running a daemon.
///
/// Apart from its caller, whose frame stays for as long as a daemon runs.
#[inline(never)]
fn before_a_run(args: Vec<OsString>) -> ControlFlow<u8, Box<Args>> {
    if let Some(code) = crate::init::main(&args) {
        return ControlFlow::Break(code);
    }
    // Without the three standard descriptors the next file opened would become one of them.
    let _ = sys::stdio::ensure_standard_fds();
    sys::memory::keep_small();
    ControlFlow::Break(match args::parse(args.into_iter()) {
        Ok(Mode::Run(args)) => return ControlFlow::Continue(Box::new(args)),
        Err(message) => fail(USAGE, &format!("{message}\nTry 'supervice --help'.")),
        Ok(Mode::Help) => print(args::HELP),
        Ok(Mode::Version) => print(concat!("supervice ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Mode::DemoServer(address)) => match demo::serve(&address) {
            Ok(()) => 0,
            Err(error) => fail(FAILURE, &format!("demo server on {address}: {}", crate::util::errno::reason(&error))),
        },
        Ok(Mode::Check { graph: true, args, .. }) => graph(&args),
        Ok(Mode::Check { json, secrets, graph: false, args }) => {
            check(args, json, if secrets { Secrets::Shown } else { Secrets::Hidden })
        }
        Ok(Mode::Simulate { args, options, json }) => simulate::main(&args, &options, json),
    })
}

/// Says on standard error what failed; the exit code. A terminal that has gone changes nothing.
fn fail(code: u8, message: &str) -> u8 {
    let _ = writeln!(io::stderr(), "supervice: {message}");
    code
}

fn print(text: &str) -> u8 {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => 0,
        // The reader (`| head`) has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            fail(FAILURE, &format!("cannot write to standard output: {}", crate::util::errno::reason(&error)))
        }
    }
}

/// Loads the configuration and shows everything that is to be said about it.
// Not inlined: the caller's frame stays for as long as the daemon runs.
#[inline(never)]
fn load(args: &Args) -> Result<(Box<Loaded>, std::path::PathBuf), String> {
    let Some(path) = args.config.clone().or_else(config::default_config_path) else {
        let places = config::SEARCH_PATH.join(", ");
        return Err(format!("no configuration: none of {places} exists; name one with -c FILE"));
    };
    let loaded = config::load(&path, &args.load_options());
    // With an error, too: a warning may tell its cause.
    let warnings = match &loaded {
        Ok(loaded) => loaded.warnings.as_slice(),
        Err(ConfigError::Validation(error)) => error.warnings.as_slice(),
        Err(ConfigError::NotFound { .. } | ConfigError::Read { .. } | ConfigError::Log(_)) => &[],
    };
    for warning in warnings {
        let _ = writeln!(io::stderr(), "supervice: warning: {warning}");
    }
    let mut loaded = Box::new(loaded.map_err(|error| error.to_string())?);
    loaded.logfile_given |= args.logfile.is_some();
    args.adjust(&mut loaded.config);
    Ok((loaded, path))
}

fn check(mut args: Args, json: bool, secrets: Secrets) -> u8 {
    let loaded = load(&args).map(|(mut loaded, path)| {
        defaults::do_without(&mut loaded, &mut args);
        (loaded, path)
    });
    match loaded {
        Err(message) => fail(FAILURE, &message),
        Ok((loaded, _)) if json => print(&format!("{}\n", config::to_json(&loaded.config, secrets))),
        Ok((loaded, path)) => {
            let programs = counted(loaded.config.programs.len(), "program");
            let dialect = loaded.config.dialect.as_str();
            let times = schedules::next_times(&loaded.config);
            print(&format!("{}: no errors, {programs} ({dialect}'s dialect)\n{times}", path.display()))
        }
    }
}

/// Who starts after whom: a line for each stage.
fn graph(args: &Args) -> u8 {
    match load(args) {
        Err(message) => fail(FAILURE, &message),
        Ok((loaded, _)) => {
            let stages = config::start_stages(&loaded.config);
            let lines = (1..).zip(stages).map(|(number, names)| format!("{number}: {}\n", names.join(", ")));
            print(&lines.collect::<String>())
        }
    }
}

fn start(mut args: Box<Args>) -> u8 {
    let (mut loaded, path) = match load(&args) {
        Ok(loaded) => loaded,
        Err(message) => {
            // Nothing says where else to write.
            termination::write_message(Some("auto"), &message);
            return fail(FAILURE, &message);
        }
    };
    if let Err(message) = supervisord::apply(&loaded.config) {
        termination::write_message(loaded.config.termination_log.as_deref(), &message);
        return fail(FAILURE, &message);
    }
    args.foreground |= loaded.config.nodaemon;
    // The pid namespace ends with its PID 1: a copy in the background would die with the one that makes it.
    args.kept_in_foreground = !args.foreground && std::process::id() == 1;
    defaults::do_without(&mut loaded, &mut args);
    if args.foreground || args.kept_in_foreground {
        return inherit_orphans(args.init).unwrap_or_else(|| match sys::machine::is_containers_init() {
            true => system::run_in_container(loaded, &path, args),
            false => run(loaded, &path, args, None, None),
        });
    }
    match sys::daemon::detach() {
        Err(error) => fail(
            FAILURE,
            &format!("cannot detach: {}; use -n to stay in the foreground", crate::util::errno::reason(&error)),
        ),
        Ok(Fork::Parent(ready)) => match ready.wait() {
            Ok(()) => 0,
            Err(message) => fail(FAILURE, &message),
        },
        Ok(Fork::Daemon(ready)) => {
            let path = supervisord::resolve(&mut loaded.config, path);
            if let Err(message) = supervisord::settle(&loaded.config) {
                ready.failed(&message);
                return FAILURE;
            }
            inherit_orphans(args.init).unwrap_or_else(|| run(loaded, &path, args, Some(ready), None))
        }
    }
}

/// Makes this process inherit the orphans among its descendants, as PID 1 does anyway. Only so the kernel
/// tells when the last member of a program's group has gone, which a stop waits for; without it the
/// daemon has to look. That is why it is done without `--init` too, which only insists on it.
fn inherit_orphans(insist: bool) -> Option<u8> {
    let error = sys::reap::set_subreaper().err()?;
    insist
        .then(|| fail(FAILURE, &format!("cannot become the reaper of orphans: {}", crate::util::errno::reason(&error))))
}

/// What this is PID 1 of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InitOf {
    Machine,
    Container,
}

/// Runs the daemon in this process, as often as a client asks for a new beginning.
fn run(
    mut loaded: Box<Loaded>,
    path: &Path,
    args: Box<Args>,
    mut ready: Option<ReadyWriter>,
    init_of: Option<(system::PowerRequest, InitOf)>,
) -> u8 {
    let args: Arc<Args> = Arc::from(args);
    let foreground = ready.is_none();
    let mut warnings = std::mem::take(&mut loaded.warnings);
    loop {
        let restart = Rc::new(Cell::new(false));
        let given = loaded.logfile_given;
        let supervisor = Supervisor::new();
        let logging =
            if foreground && !loaded.config.silent { Logging::Foreground { file: given } } else { Logging::File };
        supervisor.set_config(loaded.config, path);
        let adjusting = Arc::clone(&args);
        let options = RunOptions {
            logging,
            reap_orphans: true,
            load: args.load_options(),
            adjust: Some(Arc::new(move |config| adjusting.adjust(config))),
            machine: init_of.as_ref().map(|(wanted, _)| Rc::clone(wanted)),
            is_container: matches!(init_of, Some((_, InitOf::Container))),
            restart: Some(Rc::clone(&restart)),
            ends_process: true,
            on_ready: None,
        };
        let (ready, warnings) = (ready.take(), std::mem::take(&mut warnings));
        let mode = RunMode { ready, warnings, foreground, was_kept: args.kept_in_foreground };
        let code = run_once(&supervisor, options, mode);
        if !restart.get() {
            return code;
        }
        loaded = load_again(path, &args).unwrap_or_else(|error| {
            // Better the programs of before than none.
            log::error!("begins anew with the configuration that was in force: {error}");
            Box::new(Loaded {
                config: supervisor.config(),
                warnings: Vec::new(),
                files: vec![path.to_owned()],
                logfile_given: given,
                pidfile_given: true,
                origins: Vec::new(),
                scaled: Vec::new(),
            })
        });
    }
}

/// Loads the configuration for a new beginning.
// Not inlined, for the same reason.
#[inline(never)]
fn load_again(path: &Path, args: &Args) -> Result<Box<Loaded>, ConfigError> {
    let mut loaded = Box::new(config::load(path, &args.load_options())?);
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    loaded.logfile_given |= args.logfile.is_some();
    args.adjust(&mut loaded.config);
    Ok(loaded)
}

/// Who watches a run.
struct RunMode {
    /// The process that waits for the start.
    ready: Option<ReadyWriter>,
    /// What was said of the configuration before there was a log.
    warnings: Vec<Diagnostic>,
    foreground: bool,
    /// It was to detach, and has not.
    was_kept: bool,
}

/// Runs one supervisor to its end, and tells the process that waits for it how its start went.
fn run_once(supervisor: &Supervisor, mut options: RunOptions, mode: RunMode) -> u8 {
    let RunMode { ready, warnings, foreground, was_kept } = mode;
    let slot = Rc::new(Cell::new(ready));
    let waiting = Rc::clone(&slot);
    let on_ready: Box<dyn FnOnce()> = Box::new(move || {
        warnings.iter().for_each(|warning| crate::logger::warn_in_file(format_args!("{warning}")));
        if was_kept {
            log::warn!("stays in the foreground: PID 1 can't detach, all would end with it; start it with -n");
        }
        if let Some(Err(error)) = waiting.take().map(ReadyWriter::ready) {
            log::error!("cannot detach from the terminal: {}", crate::util::errno::reason(&error));
        }
    });
    options.on_ready = Some(on_ready);
    sys::signals::ignore_hangups();
    match supervisor.run_with(options) {
        Ok(()) => 0,
        // The last line of the log has told it.
        Err(RunError::ProgramEnded { code, .. }) => code,
        Err(error) => {
            let ready = slot.take();
            // Whoever reads both streams is told once: as any command tells it, or in the form that machines read.
            let is_logged_alone = ready.is_none() && crate::logger::tells_machines();
            if !is_logged_alone {
                crate::logger::leave_stdout();
            }
            log::error!("{error}");
            crate::logger::flush(std::time::Duration::from_secs(2));
            match ready {
                Some(ready) => ready.failed(&error.to_string()),
                None if foreground && !is_logged_alone => drop(fail(FAILURE, &error.to_string())),
                None => {}
            }
            FAILURE
        }
    }
}
