//! How far several commands have come: for the threads that do them, for the progress line, and for Ctrl-C.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::call::{Call, code_of, explain};
use super::exit::INTERRUPTED;
use super::print::{print, print_error};
use super::text::{printable, printable_lines};
use super::tty;
use super::verb::Verb;
use crate::client::{ClientError, Controller, ProcessStatus};
use crate::sys::terminal;
use crate::util::truncate::to_columns;

/// A command that is done sooner shows no progress line.
const SHOWN_AFTER: Duration = Duration::from_millis(400);
/// Countdowns are in seconds.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);
/// A daemon that is slow to answer must not block the progress line.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);

/// What has become of one target.
#[derive(Debug)]
pub(super) enum Outcome {
    Waiting,
    UnderWay,
    Done(Result<String, ClientError>),
    /// It was printed, and this is its exit code.
    Told(u8),
}

/// Prints the result of one target; returns its exit code.
pub(super) fn print_result(call: &Call<'_>, result: &Result<String, ClientError>) -> u8 {
    match result {
        Ok(message) => print(&format!("{}\n", printable_lines(message))),
        Err(error) => {
            print_error(&explain(call, error));
            code_of(error)
        }
    }
}

/// What is on the terminal.
#[derive(Debug, Default)]
struct Shown {
    /// How many targets, from the first one on, have been printed.
    told: usize,
    /// The progress line is there.
    has_line: bool,
    /// Somebody writes, without a lock: a terminal that takes nothing holds up nobody else.
    is_writing: bool,
}

fn erase_line() {
    let _ = io::stderr().write_all(b"\r\x1b[K");
}

/// The targets of one verb, and how far each has come.
pub(super) struct Progress<'a> {
    call: &'a Call<'a>,
    slots: Mutex<Vec<(String, Outcome)>>,
    /// Locked before `slots` where both are.
    shown: Mutex<Shown>,
    stop_at_failure: bool,
    count: usize,
    /// All are one operation: how many of them are done nobody knows before its end.
    at_once: AtomicBool,
}

impl<'a> Progress<'a> {
    pub fn new(call: &'a Call<'a>, targets: Vec<String>, stop_at_failure: bool) -> Self {
        let count = targets.len();
        let slots = targets.into_iter().map(|name| (name, Outcome::Waiting)).collect();
        let at_once = AtomicBool::new(false);
        Progress { call, slots: Mutex::new(slots), shown: Mutex::default(), stop_at_failure, count, at_once }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn into_outcomes(self) -> Vec<(String, Outcome)> {
        self.slots.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, Vec<(String, Outcome)>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of those that are done, as far as all before them are: in the order of the names, and not only when the
    /// last is done.
    fn print_done(&self) {
        if self.call.args.json() {
            return;
        }
        // Whoever writes looks again afterwards, and so finds what the others leave to it.
        while let Some((number, result, has_line)) = self.begin_printing() {
            if has_line {
                erase_line();
            }
            let code = print_result(self.call, &result);
            if let Some(slot) = self.slots().get_mut(number) {
                slot.1 = Outcome::Told(code);
            }
            let mut shown = self.shown();
            (shown.told, shown.is_writing) = (number + 1, false);
        }
    }

    /// The next to be told of, by its number, and whether the progress line is in the way.
    fn begin_printing(&self) -> Option<(usize, Result<String, ClientError>, bool)> {
        let mut shown = self.shown();
        if shown.is_writing {
            return None;
        }
        let result = self.take_done(shown.told)?;
        shown.is_writing = true;
        Some((shown.told, result, std::mem::take(&mut shown.has_line)))
    }

    /// Takes the progress line away, unless somebody writes, who has done so.
    fn clear_line(&self) {
        if std::mem::take(&mut self.shown().has_line) {
            erase_line();
        }
    }

    fn take_done(&self, number: usize) -> Option<Result<String, ClientError>> {
        let mut slots = self.slots();
        let outcome =
            slots.get_mut(number).map(|slot| &mut slot.1).filter(|outcome| matches!(outcome, Outcome::Done(_)));
        match std::mem::replace(outcome?, Outcome::UnderWay) {
            Outcome::Done(result) => Some(result),
            Outcome::Waiting | Outcome::UnderWay | Outcome::Told(_) => None,
        }
    }

    /// Takes one target after the other until none is left.
    pub fn work(&self, act: &dyn Fn(&str) -> Result<String, ClientError>) {
        while let Some((number, name)) = self.take() {
            let result = act(&name);
            let failed = result.is_err();
            if let Some(slot) = self.slots().get_mut(number) {
                slot.1 = Outcome::Done(result);
            }
            self.print_done();
            if failed && self.stop_at_failure {
                return;
            }
        }
    }

    /// All of them are under way, in one operation; their names.
    pub fn begin_all(&self) -> Vec<String> {
        self.at_once.store(true, Ordering::Relaxed);
        let mut slots = self.slots();
        slots.iter_mut().for_each(|slot| slot.1 = Outcome::UnderWay);
        slots.iter().map(|(name, _)| name.clone()).collect()
    }

    /// They are still to be done, one by one.
    pub fn begin_one_by_one(&self) {
        self.at_once.store(false, Ordering::Relaxed);
        self.slots().iter_mut().for_each(|slot| slot.1 = Outcome::Waiting);
    }

    fn take(&self) -> Option<(usize, String)> {
        let mut slots = self.slots();
        let is_free = |(_, (_, outcome)): &(usize, &mut (String, Outcome))| matches!(outcome, Outcome::Waiting);
        let (number, slot) = slots.iter_mut().enumerate().find(is_free)?;
        slot.1 = Outcome::UnderWay;
        Some((number, slot.0.clone()))
    }

    /// Does the work while Ctrl-C is handled and, on a terminal, a progress line is shown.
    pub fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let guard = self.begin_watch(scope);
            let result = work();
            drop(guard);
            result
        })
    }

    /// Watches until what this returns is closed.
    fn begin_watch<'s>(&'s self, scope: &'s Scope<'s, '_>) -> Option<PipeWriter> {
        let interrupts = terminal::signals(&[libc::SIGINT]);
        let (done, guard) = io::pipe().ok()?;
        let watch = || {
            if let Ok(interrupts) = interrupts {
                self.watch(interrupts, done);
            }
        };
        // Without the thread there is no line, and Ctrl-C ends this program without a message: the work matters more.
        let _ = std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, watch);
        Some(guard)
    }

    /// Until the work is done.
    fn watch(&self, mut interrupts: PipeReader, done: PipeReader) {
        let shows = !self.call.args.json() && tty::is_terminal(io::stderr());
        let quick = self.call.controller.clone().with_timeout(STATUS_TIMEOUT);
        let mut pause = SHOWN_AFTER;
        loop {
            let mut fds =
                [PollFd::new(interrupts.as_fd(), PollFlags::POLLIN), PollFd::new(done.as_fd(), PollFlags::POLLIN)];
            let timeout =
                if shows { PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX) } else { PollTimeout::NONE };
            let ready = match poll(&mut fds, timeout) {
                Ok(ready) => ready,
                Err(nix::Error::EINTR) => continue,
                Err(_) => return,
            };
            let is_ready = |fd: Option<&PollFd<'_>>| fd.is_some_and(|fd| fd.any() == Some(true));
            if is_ready(fds.get(1)) {
                break;
            }
            if is_ready(fds.first()) {
                let _ = interrupts.read(&mut [0; 16]);
                self.clear_line();
                self.report_interrupt();
                std::process::exit(i32::from(INTERRUPTED));
            }
            if ready == 0 && shows {
                self.draw(&quick);
                pause = REDRAWN_EVERY;
            }
        }
        self.clear_line();
    }

    fn report_interrupt(&self) {
        let verb = self.call.verb.name();
        let mut going = Vec::new();
        let mut waiting = Vec::new();
        for (name, outcome) in self.slots().iter() {
            match outcome {
                Outcome::UnderWay => going.push(name.clone()),
                Outcome::Waiting => waiting.push(name.clone()),
                Outcome::Done(_) | Outcome::Told(_) => {}
            }
        }
        let names = going.join(", ");
        let going = if names.is_empty() { verb.to_owned() } else { format!("{verb} {names}") };
        if self.call.verb == Verb::Wait {
            print_error("interrupted");
        } else {
            print_error(&format!("interrupted; the daemon goes on with: {going} (see supervicectl status)"));
        }
        if !waiting.is_empty() {
            print_error(&format!("not done: {}", waiting.join(", ")));
        }
    }

    /// Redraws the line.
    fn draw(&self, quick: &Controller) {
        let all = quick.status().unwrap_or_default();
        let by_name: HashMap<&str, &ProcessStatus> = all.iter().map(|one| (one.name.as_str(), one)).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (mut pending, mut done) = (Vec::new(), 0);
        let at_once = self.at_once.load(Ordering::Relaxed);
        for (name, outcome) in self.slots().iter() {
            match outcome {
                Outcome::Done(_) | Outcome::Told(_) => done += 1,
                Outcome::UnderWay => {
                    let members = all.iter().filter(|one| one.group.as_deref() == Some(name) && is_moving(one));
                    match by_name.get(name.as_str()) {
                        Some(one) if at_once && has_got_there(self.call.verb, one) => done += 1,
                        Some(one) => pending.push(describe(one, now)),
                        None => pending.extend(members.map(|one| describe(one, now))),
                    }
                }
                Outcome::Waiting => {}
            }
        }
        if pending.is_empty() {
            pending.extend(all.iter().filter(|one| is_moving(one)).map(|one| describe(one, now)));
        }
        let is_counted = self.count > 1 && (!at_once || done > 0);
        let count = if is_counted { format!("{done} of {} done, ", self.count) } else { String::new() };
        let text = format!(
            "{count}waiting for {}",
            if pending.is_empty() { "the daemon".to_owned() } else { pending.join(", ") }
        );
        let room = terminal::size(io::stderr()).map_or(80, |(columns, _)| columns);
        let line = format!("\r\x1b[K{}", to_columns(&printable(&text), room.saturating_sub(1)));
        if std::mem::replace(&mut self.shown().is_writing, true) {
            return;
        }
        let has_line = io::stderr().write_all(line.as_bytes()).is_ok();
        let mut shown = self.shown();
        (shown.has_line, shown.is_writing) = (shown.has_line || has_line, false);
        drop(shown);
        self.print_done();
    }
}

/// Whether it is as it was asked to be. Of a restart that can't be told from its state.
fn has_got_there(verb: Verb, process: &ProcessStatus) -> bool {
    if matches!(verb, Verb::Stop | Verb::Kill) {
        process.pid.is_none() && !is_moving(process)
    } else {
        verb == Verb::Start && process.state == "RUNNING"
    }
}

fn is_moving(process: &ProcessStatus) -> bool {
    matches!(process.state.as_str(), "STARTING" | "STOPPING" | "BACKOFF")
}

fn describe(process: &ProcessStatus, now: u64) -> String {
    // Without the state where the next step tells it: the line has 40 columns on some terminals.
    let soon = |at: u64| at.saturating_sub(now);
    match (process.kill_at, process.retry_at) {
        (Some(at), _) => format!("{} (SIGKILL in {} s)", process.name, soon(at)),
        (None, Some(at)) => format!("{} (retry in {} s)", process.name, soon(at)),
        (None, None) => format!("{} ({})", process.name, process.state),
    }
}

/// Does something that may take long and concerns no name; on Ctrl-C it says that the daemon goes on.
pub(super) fn waited_for<T>(call: &Call<'_>, work: impl FnOnce() -> T) -> T {
    Progress::new(call, Vec::new(), false).watched(work)
}
