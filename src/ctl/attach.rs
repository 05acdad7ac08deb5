//! `run` and `attach`: a program as if it ran in this terminal.

use std::io::{self, IsTerminal, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use super::call::{Call, code_of, explain, fail_at};
use super::exit::{DONE, FAILED, TIME_OUT};
use super::print::print_error;
use super::query::show;
use super::text::missing;
use super::tty;
use super::verb::{Opt, Verb};
use crate::client::{Attachment, ClientError, NewRun, Received};
use crate::models::WindowSize;
use crate::process::span;
use crate::sys::terminal::{RawMode, signals};
use crate::util::errno;

/// Ctrl-\, which leaves.
const LEAVE: u8 = 0x1c;
/// Ctrl-D, which a terminal takes for the end of its input.
const END_OF_INPUT: u8 = 0x04;
/// Bytes that are read at once.
const CHUNK: usize = 4096;
/// Bytes that wait for a program that does not read; beyond that our input waits, too.
const MAX_UNSENT: usize = 1024 * 1024;

/// What a program may have changed of the terminal that it no longer writes to: the colours, the cursor, the mouse,
/// bracketed paste, the keys with arrows.
const AS_BEFORE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\r\n";

/// What a program writes to draw on the alternate screen (with an `h` behind it), and to leave that (with an `l`).
const OTHER_SCREEN: &[u8] = b"\x1b[?1049";
const LEAVE_OTHER_SCREEN: &[u8] = b"\x1b[?1049l";

/// Signals that concern a client: those that the program is to get where it has no terminal of its own.
const FORWARDED: [(i32, &str); 2] = [(libc::SIGINT, "INT"), (libc::SIGTERM, "TERM")];

/// `run [--name N] [--set KEY=VALUE]... [--wait] [--pty] -- COMMAND...`
pub(super) fn run(call: &Call<'_>) -> u8 {
    let tty = call.args.has(Opt::Pty);
    let is_attached = tty || call.args.has(Opt::Wait);
    let run = NewRun {
        name: call.args.name.clone(),
        command: call.args.names.clone(),
        settings: call.args.settings.clone(),
        tty,
        term: std::env::var("TERM").ok().filter(|term| tty && !term.is_empty()),
        size: window_size().filter(|_| tty),
        timeout: call.args.timeout.filter(|_| !is_attached),
    };
    if !is_attached {
        return match call.outlasting_daemon().run(&run) {
            Ok(message) => show(call, &json!({"status": "ok", "message": message}), &format!("{message}\n")),
            Err(error) => fail_at(call, error),
        };
    }
    // Before the program is there: a signal that came in between would end us, and leave it alone.
    let signals = match Signals::watch() {
        Ok(signals) => signals,
        Err(error) => return no_signals(error),
    };
    match call.controller.run_attached(&run) {
        Ok(attachment) => Session::new(call, attachment, signals).and_then(Session::hold).unwrap_or_else(no_signals),
        Err(error) => fail_to_run(call, error),
    }
}

/// `attach NAME`
pub(super) fn attach(call: &Call<'_>) -> u8 {
    let Some(name) = call.args.names.first() else { return FAILED };
    match call.controller.attach(name, window_size()) {
        Ok(attachment) => Signals::watch()
            .and_then(|signals| Session::new(call, attachment, signals)?.hold())
            .unwrap_or_else(no_signals),
        Err(error) => fail_at(call, error),
    }
}

fn no_signals(error: io::Error) -> u8 {
    print_error(&format!("cannot watch the terminal: {}", errno::reason(&error)));
    FAILED
}

/// The size of the terminal that somebody sits at.
fn window_size() -> Option<WindowSize> {
    let (columns, rows) = tty::size()?;
    Some(WindowSize { rows: u16::try_from(rows).ok()?, columns: u16::try_from(columns).ok()? })
}

/// Why a session is over.
enum End {
    /// The run has ended.
    Exited {
        code: u8,
        signal: Option<u8>,
        message: String,
    },
    /// Whoever sits here has left, by a key or a signal.
    Left {
        signal: Option<i32>,
    },
    Failed(ClientError),
    /// The run has not ended in the time that it was given.
    TimedOut {
        waited: Duration,
    },
    /// Our own standard output takes nothing any more.
    Unwritable(io::Error),
}

/// The signals that mean something to a session.
struct Signals {
    forwarded: Vec<PipeReader>,
    /// SIGHUP and SIGQUIT.
    leaving: [PipeReader; 2],
    resized: PipeReader,
}

impl Signals {
    /// From now on they are noted, and end nobody.
    fn watch() -> io::Result<Signals> {
        Ok(Signals {
            forwarded: FORWARDED.iter().map(|(number, _)| signals(&[*number])).collect::<io::Result<_>>()?,
            leaving: [signals(&[libc::SIGHUP])?, signals(&[libc::SIGQUIT])?],
            resized: signals(&[libc::SIGWINCH])?,
        })
    }
}

/// Somebody who sits at a program.
struct Session<'c> {
    call: &'c Call<'c>,
    attachment: Attachment,
    /// Our input goes to the program.
    types: bool,
    /// Our input has ended: the daemon ends the connection when what came before is typed.
    is_leaving: bool,
    signals: Signals,
    /// When the end of the run is not waited for any longer, and how long that was.
    deadline: Option<(Instant, Duration)>,
    /// The program draws on the alternate screen.
    is_other_screen: bool,
    /// Until it is over every key goes to the program.
    raw: Option<RawMode>,
}

impl<'c> Session<'c> {
    fn new(call: &'c Call<'c>, attachment: Attachment, signals: Signals) -> io::Result<Session<'c>> {
        let types = attachment.has_terminal();
        let raw = (types && io::stdin().is_terminal()).then(|| RawMode::pass_through(io::stdin())).transpose()?;
        // Who sits at a terminal waits for nothing.
        let timeout = call.args.timeout.filter(|_| call.args.has(Opt::Wait));
        let deadline = timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout)));
        Ok(Session { call, attachment, types, is_leaving: false, signals, deadline, is_other_screen: false, raw })
    }

    /// Until it is over; the exit code.
    fn hold(mut self) -> io::Result<u8> {
        let end = loop {
            if let Some(end) = self.step()? {
                break end;
            }
        };
        let was_raw = self.raw.take().is_some();
        if was_raw && !matches!(end, End::Exited { .. }) {
            let first = if self.is_other_screen { LEAVE_OTHER_SCREEN } else { b"" };
            let _ = write(&mut io::stdout().lock(), &[first, AS_BEFORE].concat());
        }
        Ok(self.report_end(end))
    }

    /// Waits for something, and does it.
    fn step(&mut self) -> io::Result<Option<End>> {
        if let Err(error) = self.attachment.flush() {
            // What the daemon has said before it went is read.
            log::debug!("{}", errno::reason(&error));
            self.types = false;
        }
        if self.is_leaving && self.attachment.unsent() == 0 {
            self.attachment.end_input();
        }
        if let Some((at, waited)) = self.deadline
            && Instant::now() >= at
        {
            return Ok(Some(End::TimedOut { waited }));
        }
        if self.attachment.is_ready() {
            return Ok(self.receive());
        }
        let stdin = io::stdin();
        let reads = self.types && self.attachment.unsent() < MAX_UNSENT;
        let to_daemon = if self.attachment.unsent() > 0 { PollFlags::POLLOUT } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(self.attachment.as_fd(), PollFlags::POLLIN | to_daemon)];
        fds.push(PollFd::new(self.signals.resized.as_fd(), PollFlags::POLLIN));
        let noted = self.signals.leaving.iter().chain(&self.signals.forwarded);
        fds.extend(noted.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        if reads {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        let left = self.deadline.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        // Rounded up: it is over when we wake.
        let left = left.map(|left| PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX));
        match poll(&mut fds, left.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        let can_read = fds
            .first()
            .and_then(PollFd::revents)
            .is_some_and(|events| events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR));
        drop(fds);
        let is_ready = |place: usize| ready.get(place).copied().unwrap_or(false);
        for (place, signal) in [(2, libc::SIGHUP), (3, libc::SIGQUIT)] {
            if is_ready(place) {
                return Ok(Some(End::Left { signal: Some(signal) }));
            }
        }
        for (place, (number, name)) in (4..).zip(FORWARDED) {
            if is_ready(place)
                && let Some(end) = self.signalled(place - 4, number, name)
            {
                return Ok(Some(end));
            }
        }
        if is_ready(1) {
            let _ = self.signals.resized.read(&mut [0; CHUNK]);
            if let Some(size) = window_size().filter(|_| self.types) {
                self.attachment.resize(size);
            }
        }
        if is_ready(4 + FORWARDED.len())
            && let Some(end) = self.read_keys()?
        {
            return Ok(Some(end));
        }
        Ok(if can_read { self.receive() } else { None })
    }

    /// A signal was sent to us: a program without a terminal gets it.
    fn signalled(&mut self, place: usize, number: i32, name: &str) -> Option<End> {
        if self.attachment.has_terminal() {
            return Some(End::Left { signal: Some(number) });
        }
        let pipe = self.signals.forwarded.get_mut(place)?;
        let _ = pipe.read(&mut [0; CHUNK]);
        match self.call.controller.signal_group(self.attachment.name(), name) {
            // It may have ended by now, which is told next.
            Ok(_) | Err(ClientError::Failed { .. }) => None,
            Err(error) => Some(End::Failed(error)),
        }
    }

    fn read_keys(&mut self) -> io::Result<Option<End>> {
        let mut chunk = [0; CHUNK];
        let count = match nix::unistd::read(io::stdin().as_fd(), &mut chunk) {
            Ok(count) => count,
            Err(nix::Error::EINTR | nix::Error::EAGAIN) => return Ok(None),
            // The terminal is gone.
            Err(nix::Error::EIO) => return Ok(Some(End::Left { signal: Some(libc::SIGHUP) })),
            Err(error) => return Err(error.into()),
        };
        let mut typed = chunk.get(..count).unwrap_or_default();
        if typed.is_empty() {
            self.types = false;
            if self.raw.is_some() {
                return Ok(Some(End::Left { signal: Some(libc::SIGHUP) }));
            }
            if self.call.verb == Verb::Attach {
                // The program was there before us, and others may type into it: it is not ours to end.
                self.is_leaving = true;
                return Ok(None);
            }
            typed = &[END_OF_INPUT];
        }
        let leaves = typed.iter().position(|byte| *byte == LEAVE).filter(|_| self.raw.is_some());
        self.attachment.send_input(typed.get(..leaves.unwrap_or(typed.len())).unwrap_or_default());
        if leaves.is_some() {
            let _ = self.attachment.flush();
            return Ok(Some(End::Left { signal: None }));
        }
        Ok(None)
    }

    fn receive(&mut self) -> Option<End> {
        if self.is_leaving && self.attachment.is_closed() {
            return Some(End::Left { signal: None });
        }
        match self.attachment.receive() {
            Ok(Received::Output { is_stderr, bytes, lost }) => {
                if lost > 0 {
                    self.report_lost(lost);
                }
                self.note_screen(&bytes);
                let written = match is_stderr {
                    true => io::stderr().write_all(&bytes),
                    false => write(&mut io::stdout().lock(), &bytes),
                };
                written.err().map(End::Unwritable)
            }
            Ok(Received::Ended { code, signal, message }) => Some(End::Exited { code, signal, message }),
            Err(error) => Some(End::Failed(error)),
        }
    }

    fn note_screen(&mut self, bytes: &[u8]) {
        let ends = bytes.windows(OTHER_SCREEN.len() + 1).rev().filter(|part| part.starts_with(OTHER_SCREEN));
        if let Some(end) = ends.filter_map(|part| part.last()).find(|end| matches!(end, b'h' | b'l')) {
            self.is_other_screen = *end == b'h';
        }
    }

    /// On a screen that a program draws it would stand anywhere.
    fn report_lost(&self, lost: u64) {
        if self.raw.is_none() {
            print_error(&missing(lost, "byte"));
        }
    }

    /// Says why it is over; the exit code.
    fn report_end(&self, end: End) -> u8 {
        let name = self.attachment.name();
        match end {
            End::Exited { code, signal, message } => {
                if signal.is_some() || self.call.verb == Verb::Attach {
                    print_error(&message);
                }
                code
            }
            End::Left { signal } => {
                print_error(&format!("left {name}, which goes on{}", self.way_back()));
                match signal.map(u8::try_from) {
                    Some(Ok(number)) => 128_u8.saturating_add(number),
                    Some(Err(_)) | None => DONE,
                }
            }
            End::TimedOut { waited } => {
                print_error(&format!("{name} has not ended within {}, and goes on{}", span(waited), self.way_back()));
                TIME_OUT
            }
            End::Failed(error) => fail_to_run(self.call, error),
            End::Unwritable(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
            End::Unwritable(error) => {
                print_error(&format!("cannot write to standard output: {}", errno::reason(&error)));
                FAILED
            }
        }
    }

    fn way_back(&self) -> String {
        match self.attachment.has_terminal() {
            true => format!(" (supervicectl attach {})", self.attachment.name()),
            false => format!(" (supervicectl tail -f {})", self.attachment.name()),
        }
    }
}

fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// As a shell says it.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
const ENOENT: i64 = 2;

/// A program that could not be executed has the codes of a shell.
fn fail_to_run(call: &Call<'_>, error: ClientError) -> u8 {
    let errno = match &error {
        ClientError::Failed { cause_data: Some(cause), .. } => exec_errno(cause),
        ClientError::Failed { .. }
        | ClientError::NoDaemon { .. }
        | ClientError::Denied { .. }
        | ClientError::NotTrusted { .. }
        | ClientError::Ended { .. }
        | ClientError::Timeout { .. }
        | ClientError::Protocol { .. } => None,
    };
    print_error(&explain(call, &error));
    match errno {
        Some(ENOENT) => NOT_FOUND,
        Some(_) => NOT_EXECUTABLE,
        None => code_of(&error),
    }
}

/// The system's number of a program that could not be executed, wherever in the cause it stands.
fn exec_errno(cause: &Value) -> Option<i64> {
    match cause {
        Value::Object(fields) => {
            let is_exec = fields.get("stage").and_then(Value::as_str) == Some("exec");
            let own = fields.get("errno").and_then(Value::as_i64).filter(|_| is_exec);
            own.or_else(|| fields.values().find_map(exec_errno))
        }
        Value::Array(items) => items.iter().find_map(exec_errno),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
