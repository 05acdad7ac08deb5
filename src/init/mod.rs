//! `supervice --init -- PROGRAM`: the init of a container that runs one program, without a configuration.
//!
//! It starts the program, forwards to it every signal that it gets, reaps every orphan that the kernel hands it, and
//! ends with the program. Called through a link named `tini`, `dumb-init` or `catatonit` it takes that program's
//! options, environment variables, signal rules and exit codes.
//!
//! There is one thread and one loop: all signals are blocked, and it sleeps until one comes. So none is lost, not
//! even before the program exists, nothing has to be done inside a signal handler, and it never wakes up for nothing.
//!
//! After the program's end it ends at once. As PID 1 it thereby has the kernel kill whatever is left; elsewhere the
//! rest lives on, except that dumb-init sends it SIGTERM first.

mod options;
mod rules;
pub mod system;

use std::ffi::OsString;
use std::fmt::{Arguments, Display};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::process::{Exit, signal_text};
use crate::sys::exec_trouble;
use crate::sys::init::{self as kernel, Place, Signals};
use crate::sys::reap;
use crate::util::errno;
use options::{Asked, CompatMode, Options};
use rules::{JOB_STOPS, SignalAction, TERM};

const FAILURE: u8 = 1;
/// How many exits are handled before the next signal: a storm of orphans must not keep SIGTERM waiting.
const MAX_REAPED_AT_ONCE: usize = 1000;
/// How long what is left of the program's group may take to end of the signal that its program has ended of.
const GROUP_END: Duration = Duration::from_millis(200);

/// Runs as an init if these arguments (the first is the command's own name) ask for it, and tells the exit
/// code. `None`: they are the daemon's.
pub fn main(args: &[OsString]) -> Option<u8> {
    let (command, rest) = args.split_first()?;
    let (mode, rest) = match (CompatMode::of(command), rest.split_first()) {
        (Some(mode), _) => (mode, rest),
        (None, Some((first, rest))) if first == "--init" && names_a_program(rest) => (CompatMode::Supervice, rest),
        _ => return None,
    };
    let signals = Signals::hold();
    Some(match options::parse(mode, rest, &|name| std::env::var_os(name)) {
        Ok(Asked::Run(options)) => run(&options, signals),
        Ok(Asked::Print(text)) => io::stdout().write_all(text.as_bytes()).map_or(FAILURE, |()| 0),
        Err(message) => {
            log_line(mode, format_args!("{message}\n{}", mode.help().trim_end()));
            mode.usage_code()
        }
    })
}

/// Without a program `--init` is an option of the daemon.
fn names_a_program(args: &[OsString]) -> bool {
    args.iter().any(|arg| arg == "--")
        || matches!(options::parse(CompatMode::Supervice, args, &|_| None), Ok(Asked::Run(_)))
        || matches!(args, [help] if help == "--help" || help == "-h")
}

/// One line on standard error in one piece. Whoever reads it may have gone, of which the kernel also tells us
/// by a signal: forwarded and told of in its turn, it would come again for ever.
fn log_line(mode: CompatMode, message: Arguments<'_>) {
    let line = format!("{}[{}]: {message}\n", mode.name(), std::process::id());
    if io::stderr().write_all(line.as_bytes()).is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        kernel::forget_sigpipe();
    }
}

/// One program and what we owe it.
struct Init<'a> {
    options: &'a Options,
    signals: Signals,
    pid: i32,
    /// A shell waits for us: when the program stops, so do we.
    job: bool,
    /// We gave up our terminal, and get these two signals for it, once each.
    expected: [bool; 2],
    /// The program's group was sent a signal that ends what does not handle it.
    group_told: bool,
}

const EXPECTED: [u8; 2] = [1, 18];

fn run(options: &Options, mut signals: Signals) -> u8 {
    let mode = options.mode;
    signals.release(options.released);
    inherit_orphans(options);
    if let Some(Err(error)) = options.parent_death.map(kernel::set_parent_death_signal) {
        log_line(mode, format_args!("cannot ask for the parent's death: {}", errno::reason(&error)));
        return FAILURE;
    }
    if options.pause {
        leave_directory();
        return pause(&signals);
    }
    let led_session = options.place == Place::OwnSession && kernel::give_up_terminal();
    let clean = mode == CompatMode::DumbInit;
    let failed = |error: io::Error| cannot_execute(mode, options, &error);
    match kernel::spawn(&options.program, options.place, &signals, clean, failed) {
        Ok(pid) => {
            leave_directory();
            let job = options.place == Place::OwnGroup && kernel::is_job();
            let mut init = Init { options, signals, pid, job, expected: [led_session; 2], group_told: false };
            init.note(2, format_args!("started {} with pid {pid}", options.name().display()));
            crate::sys::memory::release_code();
            init.serve()
        }
        Err(error) => {
            let hint = match error.kind() {
                io::ErrorKind::WouldBlock => "; raise the limit on processes (ulimit -u, pids.max)",
                _ => "",
            };
            log_line(mode, format_args!("cannot make a process: {}{hint}", errno::reason(&error)));
            FAILURE
        }
    }
}

fn inherit_orphans(options: &Options) {
    if std::process::id() == 1 {
        return;
    }
    let mode = options.mode;
    if options.subreaper {
        if let Err(error) = reap::set_subreaper() {
            log_line(mode, format_args!("orphans will not be reaped here: {}", errno::reason(&error)));
        }
    } else if mode == CompatMode::Tini && options.verbosity > 0 {
        log_line(
            mode,
            format_args!("neither PID 1 nor a subreaper: orphans will not be reaped here; use -s or TINI_SUBREAPER"),
        );
    }
}

/// So that no file system is kept from being unmounted.
fn leave_directory() {
    let _ = std::env::set_current_dir("/");
}

/// No program: a process that holds a pod's namespaces together.
fn pause(signals: &Signals) -> u8 {
    crate::sys::memory::release_code();
    loop {
        match signals.next(false) {
            Some(2 | TERM) => return 0,
            _ => while reap::peek().and_then(|(pid, _)| reap::reap(pid)).is_some() {},
        }
    }
}

/// In the child: says why, and gives the exit code.
fn cannot_execute(mode: CompatMode, options: &Options, error: &io::Error) -> u8 {
    let not_found = error.kind() == io::ErrorKind::NotFound;
    let name = options.name();
    let trouble = in_path(name).and_then(|path| exec_trouble::explain(&path, error.raw_os_error()?, None));
    let reason = match trouble {
        // "No such file or directory" would be a false statement about a file that is there.
        Some(trouble) if not_found => trouble,
        Some(trouble) => format!("{}: {trouble}", errno::reason(error)),
        None => errno::reason(error),
    };
    log_line(mode, format_args!("cannot execute {}: {reason}", name.display()));
    mode.exec_code(not_found)
}

/// The file that the name stands for.
fn in_path(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return Some(name.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

impl Init<'_> {
    /// Until the program has ended; the exit code.
    fn serve(&mut self) -> u8 {
        let mut more = false;
        loop {
            match self.signals.next(more) {
                None => match self.reap() {
                    Ok(rest) => more = rest,
                    Err(exit) => return self.end(exit),
                },
                Some(signal) if self.is_expected(signal) => {}
                Some(signal) => match self.options.rules.of(signal) {
                    SignalAction::Reap => more = true,
                    SignalAction::Drop => self.note(3, format_args!("{} is not forwarded", Name(signal))),
                    SignalAction::Forward(to) => self.forward(signal, to),
                    SignalAction::Continue(to) => self.resume(signal, to),
                },
            }
        }
    }

    /// Whether it comes only because we have given up our terminal.
    fn is_expected(&mut self, signal: u8) -> bool {
        let mut slots = EXPECTED.iter().zip(&mut self.expected);
        slots.find(|(number, waiting)| **number == signal && **waiting).is_some_and(|(_, waiting)| {
            *waiting = false;
            true
        })
    }

    fn forward(&mut self, signal: u8, to: u8) {
        self.group_told |= self.options.group && rules::ends_by_default(to);
        self.note(3, format_args!("{} came, {} goes to the program", Name(signal), Name(to)));
        if let Err(error) = kernel::send(self.pid, self.options.group, to) {
            self.note(1, format_args!("cannot send {} to {}: {}", Name(to), self.pid, errno::reason(&error)));
        }
        // The program can't be expected to stop us too; the shell that waits for us should have its prompt.
        if self.options.mode == CompatMode::DumbInit && JOB_STOPS.contains(&signal) {
            kernel::stop_ourselves(false);
        }
    }

    /// `fg` and `bg` of the shell that has started us.
    fn resume(&mut self, signal: u8, to: u8) {
        if self.job {
            kernel::lend_terminal(self.pid);
            // The whole job was stopped; what the program shares its group with doesn't hear of it otherwise.
            let _ = kernel::send(self.pid, true, to);
        }
        self.forward(signal, to);
    }

    /// Reaps what has ended. `Err`: the program itself, which is left unreaped; `Ok(true)`: there may be more.
    fn reap(&self) -> Result<bool, Exit> {
        for _ in 0..MAX_REAPED_AT_ONCE {
            match reap::peek() {
                None => {
                    self.follow_stop();
                    return Ok(false);
                }
                Some((pid, exit)) if pid == self.pid => return Err(exit),
                Some((pid, exit)) => self.reap_orphan(pid, exit),
            }
        }
        Ok(true)
    }

    fn reap_orphan(&self, pid: i32, exit: Exit) {
        reap::reap(pid);
        let level = if self.options.tell_reaped { 1 } else { 3 };
        self.note(level, format_args!("reaped the orphan {pid}: {exit}"));
    }

    /// The program and the rest of its group end of the same signal, some of them after us, and our parent may be one
    /// that reaps nothing. The kernel ends and reaps all that a PID 1 leaves.
    fn await_group(&mut self) {
        if !self.group_told || !self.options.subreaper || std::process::id() == 1 {
            return;
        }
        reap::reap(self.pid);
        let until = Instant::now() + GROUP_END;
        while reap::has_child_in(self.pid) {
            let left = until.saturating_duration_since(Instant::now());
            match self.signals.next_within(left) {
                None => return,
                Some(signal) => match self.options.rules.of(signal) {
                    SignalAction::Reap => self.reap_the_rest(),
                    SignalAction::Forward(to) | SignalAction::Continue(to) => {
                        let _ = kernel::send_to_rest(self.pid, to);
                    }
                    SignalAction::Drop => {}
                },
            }
        }
    }

    /// The last thing that we do: what has ended would go to our parent, which may be one that reaps nothing. What ends
    /// later is left to it.
    fn reap_the_rest(&self) {
        for _ in 0..MAX_REAPED_AT_ONCE {
            match reap::peek() {
                None => return,
                Some((pid, _)) if pid == self.pid => drop(reap::reap(pid)),
                Some((pid, exit)) => self.reap_orphan(pid, exit),
            }
        }
    }

    /// Ctrl-Z has stopped the program, and our shell should know.
    fn follow_stop(&self) {
        if self.job && reap::stopped(self.pid).is_some_and(|signal| JOB_STOPS.contains(&signal)) {
            kernel::reclaim_terminal(self.pid);
            kernel::stop_ourselves(true);
        }
    }

    /// The program has ended. It is reaped when its group needs nothing more from us: until then the group's id is its
    /// own.
    fn end(&mut self, exit: Exit) -> u8 {
        self.note(2, format_args!("the program has ended: {exit}"));
        if self.options.mode == CompatMode::DumbInit
            && let SignalAction::Forward(to) = self.options.rules.of(TERM)
        {
            let _ = kernel::send(self.pid, self.options.group, to);
        }
        if self.options.place == Place::OwnGroup {
            kernel::reclaim_terminal(self.pid);
        }
        self.reap_the_rest();
        self.await_group();
        self.options.forgiven.code(exit)
    }

    fn note(&self, level: u8, message: Arguments<'_>) {
        if self.options.verbosity >= level {
            log_line(self.options.mode, message);
        }
    }
}

/// `SIGTERM`.
struct Name(u8);

impl Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&signal_text(self.0))
    }
}
