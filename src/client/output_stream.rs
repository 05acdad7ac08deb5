//! The output of a process, as it is and as it comes.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::exchange;
use super::wire::Wire;
use super::{ClientError, Controller};
use crate::codec::frames::{self, Amount, HEADER, Head, Piece};
use crate::models::Power;
use crate::util::base64;

/// A piece of a process's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputPiece {
    /// The bytes as the process wrote them.
    pub bytes: Vec<u8>,
    /// Bytes that are missing before these: the daemon drops the oldest where a client does not keep up.
    pub lost: u64,
}

/// The output of a process as it comes; ends when the process is removed or the daemon ends.
///
/// ```no_run
/// use std::io::Write;
/// use supervice::client::{Amount, Controller};
///
/// let controller = Controller::new("/run/supervice/ctl.sock");
/// for piece in controller.follow("web", false, Amount::Lines(10))? {
///     std::io::stdout().write_all(&piece?.bytes).ok();
/// }
/// # Ok::<(), supervice::client::ClientError>(())
/// ```
#[derive(Debug)]
pub struct Follow {
    frames: Frames,
    first: Option<OutputPiece>,
    over: bool,
}

impl Controller {
    /// The newest output of a process, of its standard error with `stderr`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn tail(&self, name: &str, stderr: bool, amount: Amount) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        for piece in self.read_output(name, stderr, amount, false)? {
            bytes.extend_from_slice(&piece?.bytes);
        }
        Ok(bytes)
    }

    /// The newest output of a process and then everything that it writes, across rotations and restarts.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn follow(&self, name: &str, stderr: bool, amount: Amount) -> Result<Follow, ClientError> {
        self.read_output(name, stderr, amount, true)
    }

    /// Empties the log files of a process (not the rotated ones) and the daemon's memory of its output; the daemon's
    /// message.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn clear(&self, name: &str) -> Result<String, ClientError> {
        self.act("clear", &[("name", name.into())])
    }

    /// Writes to the standard input of a process; the daemon's message. A program that has `stdin = pipe` takes it, all
    /// or nothing.
    ///
    /// ```no_run
    /// supervice::client::Controller::default().write_stdin("console", b"say hello\n")?;
    /// # Ok::<(), supervice::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Failed`], with the [refusal](ClientError::refusal) `stdin_full` where the program does not read
    /// what was written before, `stdin_closed` where it never will, `stdin_no_pipe` and `not_running`. See
    /// [`ClientError`].
    pub fn write_stdin(&self, name: &str, bytes: &[u8]) -> Result<String, ClientError> {
        let (key, value) = match std::str::from_utf8(bytes) {
            Ok(text) => ("text", text.to_owned()),
            Err(_) => ("base64", base64::encode(bytes)),
        };
        self.act("stdin", &[("name", name.into()), (key, value.into())])
    }

    /// Has the daemon open all log files anew, as SIGUSR2 does; the daemon's message.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn reopen(&self) -> Result<String, ClientError> {
        self.act("reopen", &[])
    }

    /// Has the machine of which the daemon is the init turned off, started anew or halted; the daemon's message.
    ///
    /// # Errors
    /// [`ClientError::Failed`] where it is not the machine's init: nothing was done. See [`ClientError`] for the
    /// others.
    pub fn power(&self, power: Power) -> Result<String, ClientError> {
        self.act(power.command(), &[])
    }

    fn read_output(&self, name: &str, stderr: bool, amount: Amount, follow: bool) -> Result<Follow, ClientError> {
        let (key, number) = match amount {
            Amount::Lines(number) => ("lines", number),
            Amount::Bytes(number) => ("bytes", number),
        };
        let stream = if stderr { "stderr" } else { "stdout" };
        let request = json!({ "command": "tail", "name": name, "stream": stream, "follow": follow, key: number });
        let mut output = Follow { frames: self.open(&request)?, first: None, over: false };
        // The first piece comes at once, or an error; a silent program says nothing for hours.
        output.first = Some(output.receive(true)?);
        if follow {
            output.frames.wait_for_ever()?;
        }
        Ok(output)
    }
}

impl Follow {
    /// `true` if output was read from the socket already, or there will be none: [`next`](Iterator::next) does not wait, and
    /// [`as_fd`](AsFd::as_fd) may stay silent.
    pub fn is_ready(&self) -> bool {
        self.over || self.first.is_some() || self.frames.has_frame()
    }

    fn receive(&mut self, in_time: bool) -> Result<OutputPiece, ClientError> {
        let piece: Piece = self.frames.receive(in_time, "no output")?;
        let controller = &self.frames.controller;
        self.over = !piece.more;
        let lost = piece.lost;
        let bytes = piece.into_bytes().ok_or_else(|| controller.broken("the output is not encoded as it should be"))?;
        Ok(OutputPiece { bytes, lost })
    }
}

/// A connection whose answer is a row of frames.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) controller: Controller,
    stream: Wire,
    buffer: Vec<u8>,
}

impl Controller {
    /// Sends a request that is answered by a row of frames.
    pub(super) fn open(&self, request: &Value) -> Result<Frames, ClientError> {
        let begin = Instant::now();
        let deadline = begin + self.timeout;
        let mut stream = self.connect(deadline)?;
        let frame = frames::frame(request.to_string().as_bytes());
        let request = stream.wrap(&frame);
        exchange::send(&mut stream, &request, deadline).map_err(|error| self.io(error, begin))?;
        Ok(Frames { controller: self.clone(), stream, buffer: Vec::new() })
    }
}

impl Frames {
    /// A whole frame was read already.
    pub(super) fn has_frame(&self) -> bool {
        !matches!(frames::head(&self.buffer), Head::Partial)
    }

    /// From now on frames come when something happens.
    pub(super) fn wait_for_ever(&mut self) -> Result<(), ClientError> {
        self.stream.set_read_timeout(None).map_err(|error| self.controller.io(error, Instant::now()))
    }

    /// The next frame, an answer that says `ok`; `not` is what it is called where it has another form.
    pub(super) fn receive<T: DeserializeOwned>(&mut self, in_time: bool, not: &str) -> Result<T, ClientError> {
        let begin = Instant::now();
        let controller = &self.controller;
        let length = loop {
            match frames::head(&self.buffer) {
                Head::Frame(length) => break length,
                Head::TooLarge(length) => {
                    return Err(
                        controller.broken(format!("an answer of {length} bytes is larger than the protocol allows"))
                    );
                }
                Head::Partial => {}
            }
            let read = match in_time {
                true => controller.read_more(&mut self.stream, &mut self.buffer, begin + controller.timeout),
                false => self.stream.read_some(&mut self.buffer),
            };
            read.map_err(|error| controller.io(error, begin))?;
        };
        let body: Vec<u8> = self.buffer.drain(..HEADER + length).skip(HEADER).collect();
        controller.particulars(&body, not)
    }
}

/// The socket, for `poll`: readable when output comes. See [`Follow::is_ready`].
impl AsFd for Follow {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.frames.as_fd()
    }
}

impl AsFd for Frames {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Iterator for Follow {
    type Item = Result<OutputPiece, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.over {
            return None;
        }
        let piece = self.receive(false);
        self.over |= piece.is_err();
        Some(piece)
    }
}
