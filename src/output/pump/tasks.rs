//! What tasks write: only its end is kept, and told once.

use std::os::fd::OwnedFd;

use super::super::messages::{Note, TaskId};
use super::*;
use crate::process::OutputTail;

/// A task that writes without end is not read for longer than this at a time, in blocks of [`BLOCK_BYTES`]: what a pipe holds
/// fits into one.
const MOST_BLOCKS: usize = 2;

/// The pipe of one task.
pub(super) struct TaskPipe {
    task: TaskId,
    file: File,
    tail: OutputTail,
    /// All writers have gone: read on to the end.
    hung_up: bool,
    /// It is in the queue of readable pipes.
    queued: bool,
}

impl TaskPipe {
    /// There is something to read; `true` if it is to be queued for that.
    pub(super) fn mark_ready(&mut self, hung_up: bool) -> bool {
        self.hung_up |= hung_up;
        !std::mem::replace(&mut self.queued, true)
    }

    /// Everything was read.
    pub(super) fn mark_read(&mut self) {
        self.queued = false;
    }
}

impl Pump {
    pub(super) fn attach_task(&mut self, task: TaskId, output: OwnedFd) {
        match self.watch(output) {
            Ok((token, file)) => {
                let pipe = TaskPipe { task, file, tail: OutputTail::default(), hung_up: false, queued: false };
                self.task_pipes.insert(token, pipe);
            }
            Err(error) => {
                log::error!("output: cannot watch what a health check script writes: {error}; its output is lost");
                self.pool.notify(Note::TaskOutput { task, tail: Vec::new() });
            }
        }
    }

    /// Reads what is there. [`Outcome::Empty`]: new data or the end come with a new event.
    pub(super) fn read_task(&mut self, token: usize) -> Outcome {
        if self.buffer.is_empty() {
            self.buffer = self.pool.block();
        }
        let Some(pipe) = self.task_pipes.get_mut(&token) else { return Outcome::Closed };
        for _ in 0..MOST_BLOCKS {
            match pipe.file.read(&mut self.buffer) {
                Ok(0) => return Outcome::Closed,
                Ok(count) => {
                    pipe.tail.push(self.buffer.get(..count).unwrap_or_default());
                    self.busiest = self.busiest.max((count * 100).div_ceil(BLOCK_BYTES));
                    if count < self.buffer.len() && !pipe.hung_up {
                        return Outcome::Empty;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Outcome::Empty,
                Err(error) => {
                    log::error!("output: cannot read what a health check script writes: {error}");
                    return Outcome::Closed;
                }
            }
        }
        Outcome::More
    }

    /// What a leader has written is in its pipe when it has ended. Others may hold the pipe open, and write without end.
    pub(super) fn task_exited(&mut self, task: TaskId) {
        // Not found: the pipe has ended before.
        let Some(token) = self.task_pipes.iter().find(|(_, pipe)| pipe.task == task).map(|(token, _)| *token) else {
            return;
        };
        self.read_task(token);
        self.close_task(token);
    }

    /// Closes the pipe and tells what came through it.
    pub(super) fn close_task(&mut self, token: usize) {
        if let Some(pipe) = self.task_pipes.remove(&token) {
            // Closing alone is not enough: a child between fork and exec may hold a copy for a moment.
            let _ = self.poll.registry().deregister(&mut SourceFd(&pipe.file.as_raw_fd()));
            self.pool.notify(Note::TaskOutput { task: pipe.task, tail: pipe.tail.into_bytes() });
        }
        self.ready.retain(|queued| *queued != token);
    }
}
