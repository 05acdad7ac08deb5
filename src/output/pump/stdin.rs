//! What clients write to the standard input of programs.

use std::io::Write;
use std::os::fd::OwnedFd;

use mio::Interest;

use super::commands::set_nonblocking;
use super::*;
use crate::process::StdinRefusal;

/// Bytes that wait for a program that does not read, besides what its pipe holds. What comes at once may be more, as
/// much as a request can hold, where nothing waits.
const MAX_WAITING: usize = 256 * 1024;

/// The writing end of the standard input of one run.
pub(super) struct StdinPipe {
    generation: Generation,
    /// `None`: the program has closed the other end.
    file: Option<File>,
    waiting: Vec<u8>,
    /// By which the poll tells that there is room.
    token: Option<usize>,
    /// Those who have typed more than it takes at present; no memory where there are none.
    #[cfg(feature = "attach")]
    pub(super) keyboards: Vec<Arc<dyn TerminalInput>>,
}

impl Pump {
    pub(super) fn attach_stdin(&mut self, id: ProgramId, generation: Generation, fd: OwnedFd) {
        self.close_stdin(id, None);
        if let Err(error) = set_nonblocking(&fd) {
            // It would wait for the program: better none.
            log::error!("output: cannot write to program {id}: {}", crate::util::errno::reason(&error));
            return;
        }
        let pipe = StdinPipe {
            generation,
            file: Some(File::from(fd)),
            waiting: Vec::new(),
            token: None,
            #[cfg(feature = "attach")]
            keyboards: Vec::new(),
        };
        if let Some(program) = self.programs.get_mut(&id) {
            program.stdin = Some(Box::new(pipe));
        }
    }

    /// The leader of the run has ended, or with `None` whatever run there is.
    pub(super) fn close_stdin(&mut self, id: ProgramId, generation: Option<Generation>) {
        let Some(program) = self.programs.get_mut(&id) else { return };
        let is_it = |pipe: &mut Box<StdinPipe>| generation.is_none_or(|generation| pipe.generation == generation);
        if let Some(mut pipe) = program.stdin.take_if(is_it) {
            self.forget_wait(&mut pipe);
        }
    }

    pub(super) fn write_stdin(&mut self, id: ProgramId, bytes: &[u8]) -> Result<(), StdinRefusal> {
        let pipe = self.programs.get_mut(&id).and_then(|program| program.stdin.as_mut());
        let pipe = pipe.ok_or(StdinRefusal::NoPipe)?;
        if pipe.file.is_none() {
            return Err(StdinRefusal::Closed);
        }
        let waiting = pipe.waiting.len();
        if waiting > 0 && waiting + bytes.len() > MAX_WAITING {
            return Err(StdinRefusal::Full { waiting });
        }
        pipe.waiting.extend_from_slice(bytes);
        self.flush_stdin(id);
        let pipe = self.programs.get(&id).and_then(|program| program.stdin.as_ref());
        match pipe.is_some_and(|pipe| pipe.file.is_some()) {
            true => Ok(()),
            false => Err(StdinRefusal::Closed),
        }
    }

    /// Writes what was typed: there is no more of it at a time than a terminal takes.
    #[cfg(feature = "attach")]
    pub(super) fn write_typed(&mut self, id: ProgramId, bytes: &[u8]) {
        if let Some(pipe) = self.programs.get_mut(&id).and_then(|program| program.stdin.as_mut()) {
            pipe.waiting.extend_from_slice(bytes);
            self.flush_pipe(id);
        }
    }

    /// Writes an event: a listener has one at a time, so that there is no bound to be kept.
    pub(super) fn send_to_listener(&mut self, id: ProgramId, bytes: &[u8]) -> Option<()> {
        let pipe = self.programs.get_mut(&id)?.stdin.as_mut()?;
        pipe.file.as_ref()?;
        pipe.waiting.extend_from_slice(bytes);
        self.flush_stdin(id);
        Some(())
    }

    /// Writes what the pipe takes, and then what was typed.
    pub(super) fn flush_stdin(&mut self, id: ProgramId) {
        self.flush_pipe(id);
        #[cfg(feature = "attach")]
        self.continue_input(id);
    }

    /// The poll is asked to tell of room only where something waits for it.
    fn flush_pipe(&mut self, id: ProgramId) {
        let taken = self.programs.get_mut(&id).and_then(|program| program.stdin.take());
        let Some(mut pipe) = taken else { return };
        match pipe.write() {
            Ok(()) if pipe.waiting.is_empty() => self.forget_wait(&mut pipe),
            Ok(()) => self.await_room(id, &mut pipe),
            Err(_) => {
                self.forget_wait(&mut pipe);
                (pipe.file, pipe.waiting) = (None, Vec::new());
            }
        }
        if let Some(program) = self.programs.get_mut(&id) {
            program.stdin = Some(pipe);
        }
    }

    fn await_room(&mut self, id: ProgramId, pipe: &mut StdinPipe) {
        let Some(file) = pipe.file.as_ref().filter(|_| pipe.token.is_none()) else { return };
        let token = self.next_token;
        self.next_token = self.next_token.checked_add(1).unwrap_or(WAKER.0 + 1);
        match self.poll.registry().register(&mut SourceFd(&file.as_raw_fd()), Token(token), Interest::WRITABLE) {
            Ok(()) => {
                pipe.token = Some(token);
                self.stdin_waits.push((token, id));
            }
            // The next write tries again.
            Err(error) => {
                let reason = crate::util::errno::reason(&error);
                log::error!("output: cannot watch the standard input of program {id}: {reason}");
            }
        }
    }

    fn forget_wait(&mut self, pipe: &mut StdinPipe) {
        let Some(token) = pipe.token.take() else { return };
        self.stdin_waits.retain(|(waits, _)| *waits != token);
        if let Some(file) = &pipe.file {
            // Closing alone is not enough: a child between fork and exec may hold a copy for a moment.
            let _ = self.poll.registry().deregister(&mut SourceFd(&file.as_raw_fd()));
        }
    }
}

impl StdinPipe {
    /// What was written last has been taken.
    #[cfg(feature = "attach")]
    pub(super) fn has_room(&self) -> bool {
        self.waiting.is_empty()
    }

    #[cfg(feature = "attach")]
    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// An error: nobody will read any more.
    fn write(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        while !self.waiting.is_empty() {
            match file.write(&self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.waiting = Vec::new();
        Ok(())
    }
}
