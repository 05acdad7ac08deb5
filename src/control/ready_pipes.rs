//! The pipes on which programs tell that they are ready: by a line feed, as s6 has it.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::api::ProcId;
use crate::process::{Generation, ReadyReport};
use crate::sys::signals::set_nonblocking;

/// What a program may write before its line feed, in bytes. One that writes on and on is not what it is taken for.
const MAX_BYTES: usize = 64 * 1024;

/// A run that is to tell that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyRun {
    /// Whose.
    pub id: ProcId,
    /// Which.
    pub generation: Generation,
}

struct ReadyPipe {
    token: Token,
    run: ReadyRun,
    pipe: PipeReader,
    read: usize,
}

/// Those of the runs that have told nothing yet. Few: a program takes seconds to start.
#[derive(Default)]
pub(super) struct ReadyPipes {
    pipes: Vec<ReadyPipe>,
}

impl ReadyPipes {
    /// Waits for a line feed on this pipe.
    pub(super) fn add(&mut self, registry: &Registry, token: Token, run: ReadyRun, pipe: PipeReader) -> io::Result<()> {
        set_nonblocking(pipe.as_fd())?;
        registry.register(&mut SourceFd(&pipe.as_raw_fd()), token, Interest::READABLE)?;
        self.pipes.push(ReadyPipe { token, run, pipe, read: 0 });
        Ok(())
    }

    /// The run has ended: somebody else may hold its end of the pipe for ever.
    pub(super) fn remove(&mut self, registry: &Registry, run: ReadyRun) {
        if let Some(place) = self.pipes.iter().position(|pipe| pipe.run == run) {
            self.close(registry, place);
        }
    }

    /// The pipe has something to tell, if it is one of these: what, and of which run.
    pub(super) fn readable(&mut self, registry: &Registry, token: Token) -> Option<(ReadyRun, ReadyReport)> {
        let place = self.pipes.iter().position(|pipe| pipe.token == token)?;
        let ready = self.pipes.get_mut(place)?;
        let (run, report) = (ready.run, ready.report()?);
        self.close(registry, place);
        Some((run, report))
    }

    /// Reads all of them: each that has something to tell tells it.
    pub(super) fn read_all(&mut self, registry: &Registry, mut tell: impl FnMut(ReadyRun, ReadyReport)) {
        let mut place = 0;
        while let Some(ready) = self.pipes.get_mut(place) {
            match ready.report() {
                Some(report) => {
                    tell(ready.run, report);
                    self.close(registry, place);
                }
                None => place += 1,
            }
        }
    }

    fn close(&mut self, registry: &Registry, place: usize) {
        let closed = self.pipes.swap_remove(place);
        let _ = registry.deregister(&mut SourceFd(&closed.pipe.as_raw_fd()));
        if self.pipes.is_empty() {
            self.pipes = Vec::new();
        }
    }
}

impl ReadyPipe {
    /// What it tells, if that is clear by now.
    fn report(&mut self) -> Option<ReadyReport> {
        let mut buffer = [0; 512];
        while self.read < MAX_BYTES {
            match self.pipe.read(&mut buffer) {
                Ok(0) => return Some(ReadyReport::Never),
                Ok(count) if buffer.iter().take(count).any(|byte| *byte == b'\n') => return Some(ReadyReport::Ready),
                Ok(count) => self.read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(ReadyReport::Never),
            }
        }
        Some(ReadyReport::Never)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeWriter, Write, pipe};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::super::names::Names;
    use super::super::server::{ServerEvent, ServerHandle, start};
    use super::*;

    const TEST_TIMEOUT: Duration = Duration::from_secs(60);

    fn io_thread() -> (ServerHandle, Receiver<(ReadyRun, ReadyReport)>) {
        let (tell, told) = channel();
        let sink = Arc::new(move |event| {
            if let ServerEvent::Readiness(run, report) = event {
                let _ = tell.send((run, report));
            }
        });
        (start(None, Names::default(), sink).expect("an io thread"), told)
    }

    fn run(id: ProcId) -> ReadyRun {
        ReadyRun { id, generation: 7 }
    }

    fn awaited(handle: &ServerHandle, id: ProcId) -> PipeWriter {
        let (reader, writer) = pipe().expect("a pipe");
        handle.await_ready(run(id), reader);
        writer
    }

    /// Row 59: what was written counts, whether the one who wrote it is still there or not.
    #[test]
    fn a_line_feed_is_heard_wherever_it_stands_and_an_end_without_one_too() {
        let (handle, told) = io_thread();
        let cases: [(&[u8], ReadyReport); 5] = [
            (b"\n", ReadyReport::Ready),
            (b"ready\n", ReadyReport::Ready),
            (b"1\n2", ReadyReport::Ready),
            (b"ready", ReadyReport::Never),
            (b"", ReadyReport::Never),
        ];
        for (id, (text, report)) in (0..).zip(cases) {
            let mut writer = awaited(&handle, id);
            writer.write_all(text).expect("there is room");
            drop(writer);
            assert_eq!(told.recv_timeout(TEST_TIMEOUT), Ok((run(id), report)), "{text:?}");
        }
        let mut late = awaited(&handle, 9);
        late.write_all(b"not yet").expect("there is room");
        let mut other = awaited(&handle, 10);
        other.write_all(b"\n").expect("there is room");
        assert_eq!(told.recv_timeout(TEST_TIMEOUT), Ok((run(10), ReadyReport::Ready)));
        late.write_all(b"\n").expect("there is room");
        assert_eq!(told.recv_timeout(TEST_TIMEOUT), Ok((run(9), ReadyReport::Ready)));
        handle.shutdown(TEST_TIMEOUT);
    }

    /// A child that has ended is reaped at once behind it: what it has written meanwhile is not told by a later poll.
    #[test]
    fn all_that_was_written_is_read_without_a_poll() {
        let poll = mio::Poll::new().expect("a poll");
        let mut pipes = ReadyPipes::default();
        let mut writers: Vec<PipeWriter> = (0..4)
            .map(|id| {
                let (reader, writer) = pipe().expect("a pipe");
                pipes.add(poll.registry(), Token(id), run(id as ProcId), reader).expect("registered");
                writer
            })
            .collect();
        writers[0].write_all(b"\n").expect("there is room");
        writers[2].write_all(b"not yet").expect("there is room");
        drop(writers.pop());
        let mut told = Vec::new();
        pipes.read_all(poll.registry(), |run, report| told.push((run.id, report)));
        told.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(told, [(0, ReadyReport::Ready), (3, ReadyReport::Never)]);
        writers[2].write_all(b"\n").expect("there is room");
        let mut told = Vec::new();
        pipes.read_all(poll.registry(), |run, report| told.push((run.id, report)));
        assert_eq!(told, [(2, ReadyReport::Ready)]);
    }

    #[test]
    fn what_writes_on_and_on_is_not_what_it_is_taken_for() {
        let (handle, told) = io_thread();
        let mut writer = awaited(&handle, 1);
        let wrote = std::thread::spawn(move || writer.write_all(&[b'x'; 8 * MAX_BYTES]).is_ok());
        assert_eq!(told.recv_timeout(TEST_TIMEOUT), Ok((run(1), ReadyReport::Never)));
        assert!(!wrote.join().expect("no panic"), "our end is closed");
        handle.shutdown(TEST_TIMEOUT);
    }

    #[test]
    fn the_pipe_of_a_run_that_has_ended_is_closed_although_somebody_holds_it() {
        let (handle, told) = io_thread();
        let mut held = awaited(&handle, 1);
        handle.forget_ready(run(1));
        // Behind it in the queue.
        drop(awaited(&handle, 2));
        assert_eq!(told.recv_timeout(TEST_TIMEOUT), Ok((run(2), ReadyReport::Never)));
        // A child that another test forks has a copy of it until it executes its program.
        let begin = std::time::Instant::now();
        while held.write_all(b"\n").is_ok() {
            assert!(begin.elapsed() < TEST_TIMEOUT, "our end is open");
            std::thread::yield_now();
        }
        handle.shutdown(TEST_TIMEOUT);
    }
}
