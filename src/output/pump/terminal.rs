//! Terminals of programs: one descriptor to read what is written and to write what is typed. Those who watch are
//! followers of its standard output; those who type are asked for more whenever the terminal has taken what they typed
//! before.

use std::os::fd::OwnedFd;

use super::super::follow::Subscription;
use super::*;
use crate::sys::pty;

/// Bytes that are typed into a terminal at once: what its buffer holds.
const TYPED_AT_ONCE: usize = 4096;

impl Pump {
    pub(super) fn attach_terminal(
        &mut self,
        now: Instant,
        id: ProgramId,
        generation: Generation,
        pid: i32,
        terminal: OwnedFd,
    ) {
        // The poll takes each descriptor once.
        let input = terminal.try_clone();
        self.attach(now, id, generation, pid, StreamKind::Stdout, Some(terminal));
        for token in self.tokens(id, |pipe| pipe.generation == generation) {
            if let Some(pipe) = self.pipes.get_mut(&token) {
                (pipe.is_terminal, pipe.may_grow) = (true, false);
            }
        }
        match input {
            Ok(input) => {
                self.attach_stdin(id, generation, input);
                self.write_early_input(id);
            }
            Err(error) => {
                let reason = crate::util::errno::reason(&error);
                log::error!("output: nothing can be typed into the terminal of program {id}: {reason}");
            }
        }
    }

    /// From here on, whatever a disk does.
    pub(super) fn watch_stream(&mut self, id: ProgramId, kind: StreamKind, subscription: Arc<Subscription>) {
        let program = self.programs.get_mut(&id);
        subscription.begin_here(Vec::new(), program.is_some());
        subscription.answer_from_memory();
        if let Some(program) = program {
            program.followers.add(kind, subscription);
        }
    }

    /// What was typed before the terminal was there.
    fn write_early_input(&mut self, id: ProgramId) {
        for (of, keyboard) in std::mem::take(&mut self.early_keyboards) {
            match of == id {
                true => self.write_input(id, keyboard),
                false => self.early_keyboards.push((of, keyboard)),
            }
        }
    }

    /// The program is no longer there.
    pub(super) fn forget_keyboards(&mut self, id: ProgramId) {
        self.early_keyboards.retain(|(of, _)| *of != id);
    }

    pub(super) fn write_input(&mut self, id: ProgramId, keyboard: Arc<dyn TerminalInput>) {
        let Some(pipe) = self.programs.get_mut(&id).and_then(|program| program.stdin.as_mut()) else {
            return self.defer_input(id, keyboard);
        };
        if let Some(terminal) = pipe.file()
            && let Some(size) = keyboard.take_size()
        {
            // A pipe has none.
            let _ = pty::announce_size(terminal, size);
        }
        // It may wait already for the terminal to take what was typed before.
        if !pipe.keyboards.iter().any(|other| Arc::ptr_eq(other, &keyboard)) {
            pipe.keyboards.push(keyboard);
        }
        self.continue_input(id);
    }

    /// Keeps a client that types before the terminal is there, and forgets those that have gone meanwhile: the terminal
    /// may never come.
    fn defer_input(&mut self, id: ProgramId, keyboard: Arc<dyn TerminalInput>) {
        self.early_keyboards.retain(|(_, other)| other.is_there() && !Arc::ptr_eq(other, &keyboard));
        self.early_keyboards.push((id, keyboard));
    }

    /// Goes on with what was typed, as far as the terminal takes it. Several take turns.
    pub(super) fn continue_input(&mut self, id: ProgramId) {
        loop {
            let pipe = self.programs.get_mut(&id).and_then(|program| program.stdin.as_mut());
            let is_next = |pipe: &&mut Box<StdinPipe>| pipe.has_room() && !pipe.keyboards.is_empty();
            let Some(pipe) = pipe.filter(is_next) else { return };
            let keyboard = pipe.keyboards.remove(0);
            let typed = keyboard.take(TYPED_AT_ONCE);
            if typed.is_empty() {
                continue;
            }
            pipe.keyboards.push(keyboard);
            self.write_typed(id, &typed);
        }
    }
}
