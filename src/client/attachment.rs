//! Programs that are run by hand, and the terminals of programs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};
use serde_json::{Map, Value};

use super::output_stream::Frames;
use super::{ClientError, Controller};
use crate::codec::frames::{Attached, AttachedInput, MAX_TYPED};
use crate::models::WindowSize;

/// A program that is to be run.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewRun {
    /// `None`: the daemon names it.
    pub name: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `KEY=VALUE`.
    pub settings: Vec<String>,
    pub tty: bool,
    /// The type and size of the terminal that somebody sits at.
    pub term: Option<String>,
    pub size: Option<WindowSize>,
    /// Not attached: the most that the answer may take.
    pub timeout: Option<Duration>,
}

impl NewRun {
    fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        let mut add = |key: &str, value: Value| drop(parameters.insert(key.to_owned(), value));
        add("command", "run".into());
        add("argv", self.command.as_slice().into());
        add("settings", self.settings.as_slice().into());
        add("tty", self.tty.into());
        if let Some(name) = &self.name {
            add("name", name.as_str().into());
        }
        if let Some(term) = &self.term {
            add("term", term.as_str().into());
        }
        if let Some(timeout) = self.timeout {
            add("timeout", timeout.as_secs_f64().into());
        }
        add_size(&mut parameters, self.size);
        parameters
    }
}

fn add_size(parameters: &mut Map<String, Value>, size: Option<WindowSize>) {
    if let Some(WindowSize { rows, columns }) = size {
        parameters.insert("rows".to_owned(), rows.into());
        parameters.insert("columns".to_owned(), columns.into());
    }
}

impl Controller {
    /// Runs a program beside those of the configuration; the daemon's message, when it is up.
    pub(crate) fn run(&self, run: &NewRun) -> Result<String, ClientError> {
        let parameters = run.parameters();
        let parameters: Vec<(&str, Value)> =
            parameters.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        self.act("run", &parameters)
    }

    /// The same, attached to it.
    pub(crate) fn run_attached(&self, run: &NewRun) -> Result<Attachment, ClientError> {
        let mut parameters = run.parameters();
        parameters.insert("attach".to_owned(), true.into());
        Attachment::open(self, parameters)
    }

    /// Sits down at the terminal of a program.
    pub(crate) fn attach(&self, name: &str, size: Option<WindowSize>) -> Result<Attachment, ClientError> {
        let mut parameters = Map::new();
        parameters.insert("command".to_owned(), "attach".into());
        parameters.insert("name".to_owned(), name.into());
        add_size(&mut parameters, size);
        Attachment::open(self, parameters)
    }
}

/// A connection that is attached to a run of a program.
#[derive(Debug)]
pub(crate) struct Attachment {
    frames: Frames,
    name: String,
    has_terminal: bool,
    /// What was typed and not sent yet.
    unsent: Vec<u8>,
}

/// What comes from a program.
#[derive(Debug)]
pub(crate) enum Received {
    /// It has written this.
    Output { is_stderr: bool, bytes: Vec<u8>, lost: u64 },
    /// Its run has ended.
    Ended { code: u8, signal: Option<u8>, message: String },
}

/// What a shell adds to the number of the signal that has killed a program.
const KILLED: u8 = 128;

impl Attachment {
    fn open(controller: &Controller, parameters: Map<String, Value>) -> Result<Attachment, ClientError> {
        let mut frames = controller.open(&Value::Object(parameters))?;
        let first: Attached = frames.receive(true, "none of somebody who is attached")?;
        frames.wait_for_ever()?;
        let (name, has_terminal) = (first.name.unwrap_or_default(), first.tty.unwrap_or(false));
        Ok(Attachment { frames, name, has_terminal, unsent: Vec::new() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn has_terminal(&self) -> bool {
        self.has_terminal
    }

    /// [`receive`](Self::receive) gives something without waiting, whatever the descriptor says.
    pub(crate) fn is_ready(&self) -> bool {
        self.frames.has_frame()
    }

    /// What comes next. An error is the end, too.
    pub(crate) fn receive(&mut self) -> Result<Received, ClientError> {
        let mut frame: Attached = self.frames.receive(false, "none of somebody who is attached")?;
        if frame.more {
            let broken = || self.frames.controller.broken("the output is not encoded as it should be");
            let bytes = frame.bytes().ok_or_else(broken)?;
            return Ok(Received::Output {
                is_stderr: frame.stream.as_deref() == Some("stderr"),
                bytes,
                lost: frame.lost,
            });
        }
        let code = frame.exit_code.or(frame.exit_signal.map(|signal| KILLED.saturating_add(signal)));
        let message = frame.message.unwrap_or_default();
        Ok(Received::Ended { code: code.unwrap_or_default(), signal: frame.exit_signal, message })
    }

    /// Types this into its terminal. [`flush`](Self::flush) sends it.
    pub(crate) fn send_input(&mut self, bytes: &[u8]) {
        // In the worst case a byte is six in JSON.
        for piece in bytes.chunks(MAX_TYPED / 8) {
            self.unsent.extend_from_slice(&AttachedInput::keys(piece).frame());
        }
    }

    /// Tells the size of the window. [`flush`](Self::flush) sends it.
    pub(crate) fn resize(&mut self, size: WindowSize) {
        self.unsent.extend_from_slice(&AttachedInput::resized(size).frame());
    }

    /// Bytes that wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Sends what the daemon takes, without waiting.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.frames.as_fd().as_raw_fd(), &self.unsent, flags) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(nix::Error::EAGAIN) => return Ok(()),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Tells that nothing more will be typed. The daemon closes the connection when everything that was sent is typed.
    pub(crate) fn end_input(&self) {
        let _ = shutdown(self.frames.as_fd().as_raw_fd(), Shutdown::Write);
    }

    /// The daemon has closed the connection, and everything that came before was received.
    pub(crate) fn is_closed(&self) -> bool {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
        !self.frames.has_frame() && recv(self.frames.as_fd().as_raw_fd(), &mut [0], flags) == Ok(0)
    }
}

impl AsFd for Attachment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.frames.as_fd()
    }
}
