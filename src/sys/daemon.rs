//! Detaching from the terminal: the command that was typed returns only when the daemon listens, or
//! with the reason why it doesn't.

use std::io::{self, PipeReader, PipeWriter, Read, Write};

use super::stdio;
use crate::util::errno;

/// First byte of the message from the daemon.
const READY: u8 = b'+';
const FAILED: u8 = b'-';
/// The longest reason that is passed on, in bytes: less than a pipe holds, so that the daemon never waits.
const MAX_REASON_BYTES: usize = 16 * 1024;

/// In which process [`detach`] has returned.
#[derive(Debug)]
pub enum Fork {
    /// The command that was typed: it waits for word and exits.
    Parent(ReadyReader),
    /// The daemon: it goes on, and gives word.
    Daemon(ReadyWriter),
}

/// Waits for the daemon's word.
#[derive(Debug)]
pub struct ReadyReader {
    pipe: PipeReader,
    middle: i32,
}

/// Gives the daemon's word; dropped without one, the command reports that the daemon died.
#[derive(Debug)]
pub struct ReadyWriter {
    pipe: PipeWriter,
}

/// Forks twice: the daemon has a session of its own, is not its leader (so that it can't get
/// a terminal by accident), and is nobody's child. It keeps the working directory, so that relative paths in
/// the configuration hold, and its standard streams until [`ReadyWriter::ready`].
///
/// To be called before any thread exists: only the calling thread lives on in the daemon.
///
/// # Errors
///
/// Where the system refuses the pipe or a process.
pub fn detach() -> io::Result<Fork> {
    let (reader, writer) = io::pipe()?;
    let middle = fork()?;
    if middle != 0 {
        drop(writer);
        return Ok(Fork::Parent(ReadyReader { pipe: reader, middle }));
    }
    drop(reader);
    let mut writer = ReadyWriter { pipe: writer };
    // SAFETY: setsid has no preconditions; it can't fail in a process that was just forked.
    unsafe { libc::setsid() };
    match fork() {
        Ok(0) => Ok(Fork::Daemon(writer)),
        Ok(_) => exit_now(0),
        Err(error) => {
            writer.send(FAILED, &format!("cannot create the daemon's process: {}", errno::reason(&error)));
            exit_now(1)
        }
    }
}

fn fork() -> io::Result<i32> {
    // SAFETY: by the contract of `detach` there is one thread, so that the copy is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// Without atexit handlers and buffers, which belong to the first process.
fn exit_now(code: i32) -> ! {
    // SAFETY: ends this process and nothing else.
    unsafe { libc::_exit(code) }
}

impl ReadyReader {
    /// Waits until the daemon is ready. There is no time-out: the pipe ends with the daemon.
    ///
    /// # Errors
    ///
    /// The daemon's reason, or that it died without one.
    pub fn wait(mut self) -> Result<(), String> {
        let middle = nix::unistd::Pid::from_raw(self.middle);
        while nix::sys::wait::waitpid(middle, None) == Err(nix::Error::EINTR) {}
        let mut message = Vec::new();
        self.pipe
            .read_to_end(&mut message)
            .map_err(|error| format!("cannot hear from the daemon: {}", errno::reason(&error)))?;
        match message.split_first() {
            Some((&READY, _)) => Ok(()),
            Some((_, reason)) => Err(String::from_utf8_lossy(reason).into_owned()),
            None => {
                Err("the daemon died before it was ready and gave no reason; run it with -n to see more".to_owned())
            }
        }
    }
}

impl ReadyWriter {
    /// The daemon listens: lets the command return with success, and from here on standard input,
    /// output and error lead nowhere.
    ///
    /// # Errors
    ///
    /// Where the null device can't be opened; the command has then been told so.
    pub fn ready(mut self) -> io::Result<()> {
        if let Err(error) = stdio::redirect_to_null() {
            self.send(FAILED, &format!("cannot open /dev/null: {}", errno::reason(&error)));
            return Err(error);
        }
        self.send(READY, "");
        Ok(())
    }

    /// The daemon gives up: lets the command fail with this reason.
    pub fn failed(mut self, reason: &str) {
        self.send(FAILED, reason);
    }

    fn send(&mut self, kind: u8, text: &str) {
        let text = text.as_bytes();
        let message = [&[kind], text.get(..MAX_REASON_BYTES).unwrap_or(text)].concat();
        // If the command was interrupted meanwhile, nobody wants to know any more.
        let _ = self.pipe.write_all(&message);
    }
}

#[cfg(test)]
mod tests;
