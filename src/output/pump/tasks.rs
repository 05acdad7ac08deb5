//! What tasks write. Its end is kept, and told once; what a hook writes also goes to the log of its program.

use std::os::fd::OwnedFd;

use super::super::messages::{Note, TaskId};
use super::reading::{Delivery, Recipients};
use super::*;
use crate::process::OutputTail;

/// A task that writes without end is not read for longer than this at a time, in blocks of [`BLOCK_BYTES`]: what a pipe
/// holds fits into one.
const MAX_BLOCKS: usize = 2;

/// The pipe of one task.
pub(super) struct TaskPipe {
    task: TaskId,
    file: File,
    tail: OutputTail,
    log: Option<TaskLog>,
    /// All writers have gone: read on to the end.
    hung_up: bool,
    /// It is in the queue of readable pipes.
    queued: bool,
}

/// The log to which the output of a task goes.
#[derive(Clone, Copy)]
struct TaskLog {
    program: ProgramId,
    kind: StreamKind,
    /// A line was begun and not ended.
    in_line: bool,
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
    pub(super) fn attach_task(&mut self, now: Instant, task: TaskId, program: Option<ProgramId>, output: OwnedFd) {
        match self.watch(output) {
            Ok((token, file)) => {
                let log = program.and_then(|program| self.task_log(now, program));
                let pipe = TaskPipe { task, file, tail: OutputTail::default(), log, hung_up: false, queued: false };
                self.task_pipes.insert(token, pipe);
            }
            Err(error) => {
                log::error!(
                    "output: cannot watch what a script or hook writes: {}; its output is lost",
                    crate::util::errno::reason(&error)
                );
                self.pool.notify(Note::TaskOutput { task, tail: Vec::new() });
            }
        }
    }

    /// The log of a program that takes the output of its hooks: standard output, unless only standard error is kept.
    fn task_log(&mut self, now: Instant, id: ProgramId) -> Option<TaskLog> {
        let config = &self.programs.get(&id)?.config;
        let only_stderr = config.stdout_logfile.is_none() && !config.stdout_syslog && config.stderr_logfile.is_some();
        let kind = match only_stderr && !config.redirect_stderr {
            true => StreamKind::Stderr,
            false => StreamKind::Stdout,
        };
        self.prepare_sink(now, id, kind);
        Some(TaskLog { program: id, kind, in_line: false })
    }

    /// Reads what is there. [`Outcome::Empty`]: new data or the end come with a new event.
    pub(super) fn read_task(&mut self, now: Instant, token: usize) -> Outcome {
        if self.buffer.is_empty() {
            self.buffer = self.pool.block();
        }
        for _ in 0..MAX_BLOCKS {
            let Some(pipe) = self.task_pipes.get_mut(&token) else { return Outcome::Closed };
            let (log, size) = (pipe.log, self.buffer.len());
            match pipe.file.read(&mut self.buffer) {
                Ok(0) => return Outcome::Closed,
                Ok(count) => {
                    let data = self.buffer.get(..count).unwrap_or_default();
                    pipe.tail.push(data);
                    if let Some(log) = &mut pipe.log {
                        log.in_line = data.last() != Some(&b'\n');
                    }
                    let is_all = count < size && !pipe.hung_up;
                    self.busiest = self.busiest.max((count * 100).div_ceil(BLOCK_BYTES));
                    self.write_of_task(now, log, count);
                    if is_all {
                        return Outcome::Empty;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Outcome::Empty,
                Err(error) => {
                    log::error!(
                        "output: cannot read what a script or hook writes: {}",
                        crate::util::errno::reason(&error)
                    );
                    return Outcome::Closed;
                }
            }
        }
        Outcome::More
    }

    /// Writes the first `count` bytes of the buffer to the log of a program. A task is not made to wait for its disk or
    /// console: what these can't take is lost, as that of a program whose disk hangs.
    fn write_of_task(&mut self, now: Instant, log: Option<TaskLog>, count: usize) {
        let Some(TaskLog { program: id, kind, .. }) = log else { return };
        let Pump { programs, pool, buffer, settings, .. } = self;
        let Some(program) = programs.get_mut(&id) else { return };
        let delivery =
            Delivery { strip_escapes: settings.strip_ansi, is_terminal: false, ring_limit: program.ring_limit() };
        let origin = Origin { program: id, stream: kind };
        let mut report = |report| pool.notify(origin.note(report));
        let Program { out, err, followers, escapes, .. } = &mut **program;
        let sink = match kind {
            StreamKind::Stdout => out,
            StreamKind::Stderr => err,
        };
        delivery.deliver(now, origin, Recipients { sink, followers, escapes }, buffer, count, &mut report);
        if sink.partial_due().is_some() {
            self.note_partial(id, kind);
        }
    }

    /// What a leader has written is in its pipe when it has ended. Others may hold the pipe open, and write without
    /// end.
    pub(super) fn task_exited(&mut self, now: Instant, task: TaskId) {
        // Not found: the pipe has ended before.
        let Some(token) = self.task_pipes.iter().find(|(_, pipe)| pipe.task == task).map(|(token, _)| *token) else {
            return;
        };
        self.read_task(now, token);
        self.close_task(now, token);
    }

    /// Closes the pipe and tells what came through it.
    pub(super) fn close_task(&mut self, now: Instant, token: usize) {
        if let Some(pipe) = self.task_pipes.remove(&token) {
            // Closing alone is not enough: a child between fork and exec may hold a copy for a moment.
            let _ = self.poll.registry().deregister(&mut SourceFd(&pipe.file.as_raw_fd()));
            if pipe.log.is_some_and(|log| log.in_line) {
                self.end_line_of_task(now, pipe.log);
            }
            self.pool.notify(Note::TaskOutput { task: pipe.task, tail: pipe.tail.into_bytes() });
        }
        self.ready.retain(|queued| *queued != token);
    }

    /// What the program writes next begins a line of its own.
    fn end_line_of_task(&mut self, now: Instant, log: Option<TaskLog>) {
        if self.buffer.is_empty() {
            self.buffer = self.pool.block();
        }
        if let Some(first) = self.buffer.first_mut() {
            *first = b'\n';
            self.write_of_task(now, log, 1);
        }
    }
}
