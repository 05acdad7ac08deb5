//! `supervicectl top`: the state of everything on one screen, as it changes.

mod model;
mod view;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::call::{Call, fail_at};
use super::exit::{DONE, FAILED, INTERRUPTED, NO_DAEMON};
use super::keys::{Ends, Key, Keyboard, Wake};
use super::print::print_error;
use super::tty;
use super::usage::{self, UsageSample};
use crate::client::{Amount, ClientError, EventStream, Follow, Terms};
use crate::util::plural::{choose, counted};
use model::{Action, Sort, Top};

/// CPU time is looked at so often.
const MEASURED_EVERY: Duration = Duration::from_secs(1);
/// Commands are only handed over, status is only asked for: a daemon that takes longer is not well.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Lines of the selected program's output that are kept.
const KEPT_LINES: usize = 500;
/// A longer line is cut.
const MAX_LINE_CHARS: usize = 1000;
/// Pieces and events that are taken before the screen is drawn again.
const AT_ONCE: usize = 64;

/// The alternate screen of the terminal; the normal one is back when this is dropped.
struct AlternateScreen;

const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

impl AlternateScreen {
    fn enter() -> AlternateScreen {
        // The message of a panic must not vanish with the alternate screen.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = io::stdout().write_all(LEAVE.as_bytes());
            usual(panic);
        }));
        write(ENTER);
        AlternateScreen
    }
}

impl Drop for AlternateScreen {
    fn drop(&mut self) {
        write(LEAVE);
    }
}

fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    // A terminal that has gone is noticed where keys are read.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Shows it until `q`.
pub(super) fn top(call: &Call<'_>) -> u8 {
    if !tty::is_interactive() {
        print_error("top needs a terminal; 'status -w' writes to anything");
        return FAILED;
    }
    let events = match call.controller.events(&[], 0) {
        Ok(events) => events,
        Err(error) => return fail_at(call, error),
    };
    let (ends, keyboard) = match Ends::install().and_then(|ends| Ok((ends, Keyboard::open()?))) {
        Ok(both) => both,
        Err(error) => {
            print_error(&format!("cannot use the terminal: {}", crate::util::errno::reason(&error)));
            return FAILED;
        }
    };
    let mut top = Top {
        controller: call.controller.clone().with_timeout(TIMEOUT),
        socket: call.controller.socket_path(),
        processes: Vec::new(),
        sample: UsageSample::default(),
        before: UsageSample::default(),
        sort: Sort::Order,
        selected: String::new(),
        stderr: false,
        output: VecDeque::new(),
        open_line: false,
        message: String::new(),
        question: None,
    };
    let ended = {
        let alternate = AlternateScreen::enter();
        let ended = top.run(events, ends, keyboard);
        drop(alternate);
        ended
    };
    match ended {
        Ok(code) => {
            if code == NO_DAEMON {
                print_error(&format!("the daemon at {} has ended", call.controller.socket_path()));
            }
            code
        }
        Err(error) => fail_at(call, error),
    }
}

impl Top<'_> {
    fn run(&mut self, mut events: EventStream, mut ends: Ends, mut keyboard: Keyboard) -> Result<u8, ClientError> {
        self.refresh()?;
        self.measure();
        let mut follow: Option<Follow> = None;
        let mut followed = (String::new(), false);
        loop {
            let wanted = (self.selected.clone(), self.stderr);
            if followed != wanted {
                follow = self.follow();
                followed = wanted;
            }
            write(&view::draw(self));
            let mut fds = vec![events.as_fd()];
            fds.extend(follow.as_ref().map(AsFd::as_fd));
            let ready = events.is_ready() || follow.as_ref().is_some_and(Follow::is_ready);
            let wait = if ready { Duration::ZERO } else { MEASURED_EVERY };
            match keyboard.next(&mut ends, &fds, Some(wait)) {
                Wake::Key(key) => {
                    if !self.handle_key(key)? {
                        return Ok(DONE);
                    }
                }
                Wake::Terminated => return Ok(INTERRUPTED),
                Wake::Closed => return Ok(DONE),
                Wake::Resized => write("\x1b[2J"),
                Wake::Ready(0) => {
                    if !self.take_events(&mut events)? {
                        return Ok(NO_DAEMON);
                    }
                }
                Wake::Timeout if !ready => {
                    self.refresh()?;
                    self.measure();
                }
                Wake::Ready(_) | Wake::Timeout => {
                    if events.is_ready() && !self.take_events(&mut events)? {
                        return Ok(NO_DAEMON);
                    }
                    if !self.take_output(&mut follow) {
                        follow = None;
                    }
                }
            }
        }
    }

    /// Asks for the state of everything.
    fn refresh(&mut self) -> Result<(), ClientError> {
        self.processes = self.controller.status()?;
        if !self.processes.iter().any(|process| process.name == self.selected) {
            self.selected = self.processes.first().map_or_else(String::new, |process| process.name.clone());
        }
        Ok(())
    }

    fn measure(&mut self) {
        let sample = usage::sample(&self.controller, usage::pids(&self.processes));
        self.before = std::mem::replace(&mut self.sample, sample);
    }

    /// Takes what has come, and asks once for what has become of it; `false`: the daemon has ended.
    fn take_events(&mut self, events: &mut EventStream) -> Result<bool, ClientError> {
        for _ in 0..AT_ONCE {
            match events.next() {
                Some(Ok(_)) => {}
                // A daemon that ends closes its connections in the middle of the row.
                Some(Err(ClientError::Protocol { .. })) | None => return Ok(false),
                Some(Err(error)) => return Err(error),
            }
            if !events.is_ready() {
                break;
            }
        }
        self.refresh()?;
        Ok(true)
    }

    fn follow(&mut self) -> Option<Follow> {
        self.output.clear();
        self.open_line = false;
        if self.selected.is_empty() {
            return None;
        }
        match self.controller.follow(&self.selected, self.stderr, Amount::Lines(KEPT_LINES)) {
            Ok(follow) => Some(follow),
            Err(error) => {
                self.output.push_back(format!("({error})"));
                None
            }
        }
    }

    /// `false`: there is no more.
    fn take_output(&mut self, follow: &mut Option<Follow>) -> bool {
        let Some(follow) = follow else { return true };
        for _ in 0..AT_ONCE {
            match follow.next() {
                Some(Ok(piece)) => {
                    if piece.lost > 0 {
                        let were = choose(piece.lost, "was", "were");
                        self.output.push_back(format!("({} {were} lost)", counted(piece.lost, "byte")));
                        self.open_line = false;
                    }
                    self.add_output(&String::from_utf8_lossy(&piece.bytes));
                }
                Some(Err(_)) | None => return false,
            }
            if !follow.is_ready() {
                break;
            }
        }
        true
    }

    fn add_output(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            let line = part.trim_end_matches(['\n', '\r']);
            match self.output.back_mut().filter(|_| self.open_line) {
                Some(open) => open.push_str(line),
                None => self.output.push_back(line.to_owned()),
            }
            if let Some(last) = self.output.back_mut()
                && let Some((end, _)) = last.char_indices().nth(MAX_LINE_CHARS)
            {
                last.truncate(end);
            }
            self.open_line = !part.ends_with('\n');
        }
        self.output.drain(..self.output.len().saturating_sub(KEPT_LINES));
    }

    /// Does what a key stands for; `false`: leave.
    fn handle_key(&mut self, key: Key) -> Result<bool, ClientError> {
        let page = 10;
        if let Some(action) = self.question.take() {
            self.message.clear();
            if matches!(key, Key::Char('y' | 'Y')) {
                self.perform(action);
            }
            return Ok(true);
        }
        self.message.clear();
        match key {
            Key::Char('q') | Key::Escape | Key::Ctrl('c' | 'd') => return Ok(false),
            Key::Up | Key::Char('k') => self.select(-1),
            Key::Down | Key::Char('j') => self.select(1),
            Key::PageUp => self.select(-page),
            Key::PageDown => self.select(page),
            Key::Home | Key::Char('g') => self.select(-isize::MAX),
            Key::End | Key::Char('G') => self.select(isize::MAX),
            Key::Char('s') => self.perform(Action::Start),
            Key::Char('x') => self.ask(Action::Stop),
            Key::Char('r') => self.ask(Action::Restart),
            Key::Char('K') => self.ask(Action::Kill),
            Key::Char('o') => self.sort = self.sort.next(),
            Key::Char('e') => self.stderr = !self.stderr,
            Key::Ctrl('l') => write("\x1b[2J"),
            Key::Char(_)
            | Key::Ctrl(_)
            | Key::Enter
            | Key::Tab
            | Key::Backspace
            | Key::Delete
            | Key::Left
            | Key::Right
            | Key::Other => {}
        }
        Ok(true)
    }

    fn select(&mut self, by: isize) {
        let order = view::order(self);
        let now = order.iter().position(|process| process.name == self.selected).unwrap_or(0);
        let last = order.len().saturating_sub(1);
        let new = now.saturating_add_signed(by).min(last);
        if let Some(process) = order.get(new) {
            self.selected = process.name.clone();
        }
    }

    /// What can't be undone is confirmed: a finger slips.
    fn ask(&mut self, action: Action) {
        if !self.selected.is_empty() {
            self.question = Some(action);
            self.message = format!("{} {}? (y/n)", action.name(), self.selected);
        }
    }

    /// Hands the command over; what comes of it the events tell.
    fn perform(&mut self, action: Action) {
        let terms = Terms { wait: false, ..Terms::default() };
        let (name, controller) = (self.selected.as_str(), &self.controller);
        let result = match action {
            Action::Start => controller.start_process_with(name, terms),
            Action::Stop => controller.stop_process_with(name, terms),
            Action::Restart => controller.restart_process_with(name, false, terms),
            Action::Kill => controller.kill_process(name, terms),
        };
        self.message = match result {
            Ok(message) => message,
            Err(error) => error.to_string(),
        };
    }
}
