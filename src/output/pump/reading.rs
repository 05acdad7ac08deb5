//! Reading the pipes of programs.

use std::io::Read;

use super::super::escapes::strip;
use super::super::outage::Reporter;
use super::listeners::StreamEvent;
use super::*;

/// A pipe that gives less does not belong to a chatty child, in bytes.
const IDLE_READ: usize = 4 * 1024;
/// After so many turns with a nearly full pipe a child gets a bigger one.
const CHATTY_AFTER: u8 = 4;
/// How much bigger each time, and the limit in bytes. Not for all: users have 64 MiB of pipe memory in all.
const CHATTY_GROWTH: usize = 4;
const MAX_PIPE_BYTES: usize = 1024 * 1024;
/// What a terminal says that nobody has open.
const EIO: i32 = nix::errno::Errno::EIO as i32;

/// A stream of a run.
pub(super) struct Pipe {
    pub(super) file: File,
    pub(super) program: ProgramId,
    pub(super) generation: Generation,
    pub(super) kind: StreamKind,
    /// All writers have gone: read on to the end.
    pub(super) hung_up: bool,
    /// All writers have gone, and nothing was in it.
    pub(super) is_at_end: bool,
    /// It is in the queue of readable pipes.
    pub(super) queued: bool,
    pub(super) full_reads: u8,
    /// In bytes.
    pub(super) size: usize,
    pub(super) may_grow: bool,
    /// Our end of a terminal: it comes to no end of its own, and a short read says nothing of what is left.
    #[cfg(feature = "attach")]
    pub(super) is_terminal: bool,
}

impl Pipe {
    pub(super) fn is_terminal(&self) -> bool {
        #[cfg(feature = "attach")]
        return self.is_terminal;
        #[cfg(not(feature = "attach"))]
        return false;
    }
}

/// What reading a pipe came to.
#[derive(PartialEq, Eq)]
pub(super) enum Outcome {
    Empty,
    More,
    Paused,
    Closed,
}

/// How what was read is delivered.
pub(super) struct Delivery {
    /// Without the escape sequences of terminals.
    pub(super) strip_escapes: bool,
    /// Whoever follows it has a terminal for them.
    pub(super) is_terminal: bool,
    /// The newest output that is kept, in bytes.
    pub(super) ring_limit: usize,
}

/// Where in an escape sequence a stream is.
pub(super) fn escapes_of([of_stdout, of_stderr]: &mut [Escapes; 2], kind: StreamKind) -> &mut Escapes {
    match kind {
        StreamKind::Stdout => of_stdout,
        StreamKind::Stderr => of_stderr,
    }
}

/// Where it goes.
pub(super) struct Recipients<'p> {
    pub(super) sink: &'p mut Sink,
    pub(super) followers: &'p mut Followers,
    pub(super) escapes: &'p mut [Escapes; 2],
}

impl Delivery {
    /// Delivers the first `count` bytes of `buffer`.
    pub(super) fn deliver(
        &self,
        now: Instant,
        origin: Origin,
        Recipients { sink, followers, escapes }: Recipients<'_>,
        buffer: &mut Vec<u8>,
        count: usize,
        report: Reporter<'_>,
    ) {
        let data = buffer.get_mut(..count).unwrap_or_default();
        if self.is_terminal {
            followers.push(origin.stream, data);
        }
        let count = if self.strip_escapes { strip(escapes_of(escapes, origin.stream), data) } else { count };
        if !self.is_terminal {
            followers.push(origin.stream, data.get(..count).unwrap_or_default());
        }
        if count > 0 {
            sink.write(now, origin, buffer, count, self.ring_limit, report);
        }
    }
}

/// A program one of whose pipes is read.
struct Intake<'p> {
    program: &'p mut Program,
    pool: &'p WriterPool,
    origin: Origin,
    /// The run that the pipe belongs to.
    generation: Generation,
    delivery: Delivery,
    /// Something of the stream is for listeners.
    is_tapped: bool,
    /// What listeners are to be told of.
    events: Vec<StreamEvent>,
}

impl Intake<'_> {
    /// Whether nothing may be read now, because those who take the output are behind.
    fn is_held_up(&mut self, now: Instant) -> bool {
        let kind = self.origin.stream;
        self.program.sink(kind).should_pause(now) || self.program.followers.hold_up(kind, now)
    }

    /// Takes in the first `count` bytes of `buffer`, which were read just now.
    fn take(&mut self, now: Instant, buffer: &mut Vec<u8>, count: usize) {
        let Intake { program, pool, origin, generation, delivery, is_tapped, events } = self;
        let (Origin { program: id, stream: kind }, generation) = (*origin, *generation);
        let Program { out, err, followers, ready_line, output_watch, config, communications, escapes, .. } =
            &mut **program;
        let data = buffer.get(..count).unwrap_or_default();
        failpoint::hit("output", || String::from_utf8_lossy(data).into_owned());
        let is_of_run = |line: &mut Box<ReadyLine>| line.generation == generation && line.push(kind, data);
        if ready_line.take_if(is_of_run).is_some() {
            pool.notify(Note::ReadyLine { program: id, generation });
        }
        if let Some(watch) = output_watch.as_mut().filter(|watch| watch.generation == generation) {
            watch.push(now, id, kind, data, &mut |note| pool.notify(note));
        }
        let mut report = |report| pool.notify(origin.note(report));
        let sink = match kind {
            StreamKind::Stdout => out,
            StreamKind::Stderr => err,
        };
        let recipients = Recipients { sink, followers, escapes };
        if *is_tapped {
            let [of_stdout, of_stderr] = &mut **communications.get_or_insert_default();
            let marks = match kind {
                StreamKind::Stdout => of_stdout,
                StreamKind::Stderr => of_stderr,
            };
            let mut plain = listeners::tap(config, kind, marks, data, events);
            let length = plain.len();
            delivery.deliver(now, *origin, recipients, &mut plain, length, &mut report);
        } else {
            delivery.deliver(now, *origin, recipients, buffer, count, &mut report);
        }
    }
}

/// What follows from a read that failed; `None`: it is tried again.
fn outcome_of(error: &io::Error, pipe: &Pipe) -> Option<Outcome> {
    match error.kind() {
        io::ErrorKind::Interrupted => None,
        io::ErrorKind::WouldBlock => Some(Outcome::Empty),
        // Nobody has the other end open. Somebody may open it again.
        _ if pipe.is_terminal() && error.raw_os_error() == Some(EIO) => Some(Outcome::Empty),
        _ => {
            let (stream, program) = (pipe.kind.as_str(), pipe.program);
            log::error!("output: cannot read the {stream} of program {program}: {}", crate::util::errno::reason(error));
            Some(Outcome::Closed)
        }
    }
}

/// Reads what a pipe holds, then it is the next one's turn: what that came to, and how many bytes it was.
fn drain(
    pipe: &mut Pipe,
    intake: &mut Intake<'_>,
    buffer: &mut Vec<u8>,
    now: Instant,
    may_pause: bool,
) -> (Outcome, usize) {
    // A line target reads in smaller pieces.
    let size = intake.program.sink(pipe.kind).read_size(BLOCK_BYTES);
    let mut total = 0;
    for _ in 0..pipe.size.div_ceil(size) {
        if may_pause && intake.is_held_up(now) {
            return (Outcome::Paused, total);
        }
        match pipe.file.read(buffer.get_mut(..size).unwrap_or_default()) {
            Ok(0) => return (Outcome::Closed, total),
            Ok(count) => {
                total += count;
                intake.take(now, buffer, count);
                if count < size && !pipe.hung_up && !pipe.is_terminal() {
                    // Empty: new data or the end come with a new event.
                    return (Outcome::Empty, total);
                }
            }
            Err(error) => {
                if let Some(outcome) = outcome_of(&error, pipe) {
                    return (outcome, total);
                }
            }
        }
    }
    (Outcome::More, total)
}

impl Pump {
    pub(super) fn read(&mut self, now: Instant, token: usize, may_pause: bool) -> Outcome {
        let Some(pipe) = self.pipes.get_mut(&token) else { return Outcome::Closed };
        if pipe.is_at_end {
            return Outcome::Closed;
        }
        let (id, kind) = (pipe.program, pipe.kind);
        let Some(program) = self.programs.get_mut(&id) else { return Outcome::Closed };
        if self.buffer.is_empty() {
            self.buffer = self.pool.block();
        }
        let delivery = Delivery {
            strip_escapes: self.settings.strip_ansi,
            is_terminal: pipe.is_terminal(),
            ring_limit: program.ring_limit(),
        };
        let is_tapped = listeners::is_tapped(&program.config, kind);
        let mut intake = Intake {
            program,
            pool: &self.pool,
            origin: Origin { program: id, stream: kind },
            generation: pipe.generation,
            delivery,
            is_tapped,
            events: Vec::new(),
        };
        let (outcome, total) = drain(pipe, &mut intake, &mut self.buffer, now, may_pause);
        let Intake { program, events, origin, generation, .. } = intake;
        self.busiest = self.busiest.max((total * 100).div_ceil(pipe.size));
        grow_if_chatty(pipe, total);
        let is_partial = program.sink(kind).partial_due().is_some();
        #[cfg(feature = "http")]
        program.count_written(kind, total);
        if is_partial {
            self.note_partial(id, kind);
        }
        if is_tapped {
            self.publish_stream_events(now, origin, generation, events);
        }
        outcome
    }

    /// This stream holds a part of a line.
    pub(super) fn note_partial(&mut self, id: ProgramId, kind: StreamKind) {
        if !self.partials.contains(&(id, kind)) {
            self.partials.push((id, kind));
        }
    }

    pub(super) fn close(&mut self, token: usize) {
        let Some(pipe) = self.pipes.remove(&token) else { return };
        if let Some(program) = self.programs.get_mut(&pipe.program) {
            program.pipes.retain(|own| *own != token);
        }
        // Closing alone is not enough: a child between fork and exec may hold a copy for a moment. Where nobody is left
        // who could write to it, nothing more is told of the copy.
        if !pipe.hung_up {
            let _ = self.poll.registry().deregister(&mut SourceFd(&pipe.file.as_raw_fd()));
        }
        if pipe.queued {
            self.ready.retain(|queued| *queued != token);
        }
    }
}

fn grow_if_chatty(pipe: &mut Pipe, read: usize) {
    // Small writes leave the ends of a pipe's pages empty: three quarters are nearly all.
    if !pipe.may_grow || read < pipe.size / 4 * 3 {
        if read < IDLE_READ {
            pipe.full_reads = 0;
        }
        return;
    }
    pipe.full_reads += 1;
    if pipe.full_reads >= CHATTY_AFTER {
        pipe.full_reads = 0;
        let size = pipe.size * CHATTY_GROWTH;
        // Refused to users who own much pipe memory already: it is an optimisation, no more.
        let wanted = i32::try_from(size).unwrap_or(i32::MAX);
        let grown = fcntl(&pipe.file, FcntlArg::F_SETPIPE_SZ(wanted)).is_ok();
        pipe.may_grow = grown && size < MAX_PIPE_BYTES;
        pipe.size = if grown { size } else { pipe.size };
    }
}
