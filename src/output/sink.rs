//! What one stream of one program is written to.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::file::reason;
use super::file_queue::{FileQueue, Origin};
use super::line_format::{LineFormat, Source};
use super::lines::{Assembler, MAX_LAST_LINE, last_line};
use super::messages::Settings;
use super::outage::{Report, Reporter, WriteOutage};
use super::ring::Ring;
use super::syslog::Syslog;
use super::target::Target;
use crate::logger::{self, ConsoleStream};
use crate::models::{OutputRecovery, OutputTroubleKind};

/// What a ring keeps at least, so that the last line is known even with `log_buffer = 0`.
const MIN_RING: usize = MAX_LAST_LINE;
/// How long the syslog socket is left alone after a failure.
const SYSLOG_RETRY: Duration = Duration::from_secs(1);

/// One stream's targets: the ring in memory, and a file, the console or syslog.
#[derive(Default)]
pub(super) struct Sink {
    ring: Ring,
    /// Bytes since it began or its memory was cleared.
    all_bytes: u64,
    /// Bytes of the present run.
    run_bytes: u64,
    dest: Dest,
    /// Syslog beside the target.
    also: Option<Box<Lines>>,
}

#[derive(Default)]
pub(super) enum Dest {
    #[default]
    Nothing,
    File(Arc<FileQueue>),
    Lines(Box<Lines>),
}

/// A target that takes whole lines.
#[derive(Debug)]
pub(super) struct Lines {
    to: LinesTo,
    target: Target,
    format: LineFormat,
    /// Where lines are put together.
    scratch: Vec<u8>,
    assembler: Assembler,
    outage: WriteOutage,
}

#[derive(Debug)]
enum LinesTo {
    Console(ConsoleStream),
    Syslog(Rc<RefCell<Syslog>>),
}

impl Dest {
    /// A console or syslog target of the stream of a program.
    pub fn lines(target: &Target, source: Source<'_>, settings: &Settings, syslog: &Rc<RefCell<Syslog>>) -> Dest {
        Lines::new(target, source, settings, syslog).map_or(Dest::Nothing, Dest::Lines)
    }

    /// Whether it is what the settings ask for.
    pub fn is(&self, target: &Target) -> bool {
        match (self, target) {
            (Dest::Nothing, Target::Nothing) => true,
            (Dest::File(file), Target::File(path)) => file.path() == path,
            // What stands before a line may name the pid of the run.
            (Dest::Lines(lines), Target::Console { .. }) => lines.target == *target && lines.format.outlives_runs(),
            (Dest::Nothing | Dest::File(_) | Dest::Lines(_), _) => false,
        }
    }
}

impl Lines {
    /// A console or syslog; `None` where the target is neither.
    pub fn new(
        target: &Target,
        source: Source<'_>,
        settings: &Settings,
        syslog: &Rc<RefCell<Syslog>>,
    ) -> Option<Box<Lines>> {
        let (to, format) = match target {
            Target::Console { stream, prefix } => (
                LinesTo::Console(*stream),
                LineFormat::console(source, settings, *prefix, logger::wants_colour(*stream)),
            ),
            Target::Syslog => (LinesTo::Syslog(Rc::clone(syslog)), LineFormat::syslog(source)),
            Target::Nothing | Target::File(_) => return None,
        };
        Some(Box::new(Lines {
            to,
            target: target.clone(),
            format,
            scratch: Vec::new(),
            assembler: Assembler::default(),
            outage: WriteOutage::default(),
        }))
    }

    fn write(&mut self, now: Instant, data: &[u8], report: Reporter<'_>) {
        let Lines { to, format, scratch, assembler, outage, .. } = self;
        assembler.push(now, data, &mut |line| {
            to.write(now, format.parts(line, scratch), line.bytes.len(), outage, report);
        });
    }

    fn flush(&mut self, now: Instant, is_over: bool, report: Reporter<'_>) {
        let Lines { to, format, scratch, assembler, outage, .. } = self;
        assembler.flush(is_over, &mut |line| {
            to.write(now, format.parts(line, scratch), line.bytes.len(), outage, report);
        });
    }

    /// Writes what is held of a line. An outage goes on where the next ones go to the same target.
    fn give_way_to(mut self, now: Instant, next: Option<&mut Lines>, report: Reporter<'_>) {
        self.flush(now, true, report);
        match next {
            Some(next) if next.target == self.target => next.outage = self.outage,
            Some(_) | None => self.outage.end(report),
        }
    }

    fn should_pause(&self, now: Instant) -> bool {
        match &self.to {
            LinesTo::Console(stream) => logger::console_is_busy(*stream) && !logger::console_is_stalled(*stream),
            LinesTo::Syslog(syslog) => syslog.borrow_mut().is_busy(now),
        }
    }
}

impl Sink {
    /// A new run begins: what is counted of its output is counted anew.
    pub fn begin_run(&mut self) {
        self.run_bytes = 0;
    }

    /// The target besides the ring.
    pub fn dest(&self) -> &Dest {
        &self.dest
    }

    /// Writes to syslog as well, or no more; what was held of a line for it is written.
    pub fn set_also(&mut self, now: Instant, mut also: Option<Box<Lines>>, report: Reporter<'_>) {
        if let Some(before) = self.also.take() {
            before.give_way_to(now, also.as_deref_mut(), &mut |told| report(of_copy(told)));
        }
        self.also = also;
    }

    /// Changes the target; what the old one holds of a line is written to it, and what troubles it is over.
    pub fn set_dest(&mut self, now: Instant, origin: Origin, mut dest: Dest, report: Reporter<'_>) {
        match (std::mem::take(&mut self.dest), &mut dest) {
            (Dest::Nothing, _) => {}
            (Dest::File(before), _) => before.leave(now, origin),
            (Dest::Lines(before), Dest::Lines(next)) => before.give_way_to(now, Some(next), report),
            (Dest::Lines(before), Dest::Nothing | Dest::File(_)) => before.give_way_to(now, None, report),
        }
        self.dest = dest;
    }

    /// Writes the first `count` bytes of `buffer`; never waits. The buffer may be another one afterwards.
    pub fn write(
        &mut self,
        now: Instant,
        origin: Origin,
        buffer: &mut Vec<u8>,
        count: usize,
        ring_limit: usize,
        report: Reporter<'_>,
    ) {
        let data = buffer.get(..count).unwrap_or_default();
        self.run_bytes += data.len() as u64;
        self.all_bytes += data.len() as u64;
        self.ring.push(data, ring_limit.max(MIN_RING));
        if let Some(also) = &mut self.also {
            also.write(now, data, &mut |told| report(of_copy(told)));
        }
        match &mut self.dest {
            Dest::Nothing => {}
            Dest::File(file) => file.append(now, origin, buffer, count),
            Dest::Lines(lines) => lines.write(now, data, report),
        }
    }

    /// When [`flush_partial`](Self::flush_partial) is due.
    pub fn partial_due(&self) -> Option<Instant> {
        let main = match &self.dest {
            Dest::Lines(lines) => lines.assembler.due(),
            Dest::Nothing | Dest::File(_) => None,
        };
        main.into_iter().chain(self.also.as_ref().and_then(|also| also.assembler.due())).min()
    }

    /// Passes on what is held of a line. `is_over`: its rest does not come, or goes elsewhere.
    pub fn flush_partial(&mut self, now: Instant, is_over: bool, report: Reporter<'_>) {
        if let Dest::Lines(lines) = &mut self.dest {
            lines.flush(now, is_over, report);
        }
        if let Some(also) = &mut self.also {
            also.flush(now, is_over, &mut |told| report(of_copy(told)));
        }
    }

    /// `true` while its source should pause: the console or the file is behind, but moves.
    pub fn should_pause(&self, now: Instant) -> bool {
        if self.also.as_ref().is_some_and(|also| also.should_pause(now)) {
            return true;
        }
        match &self.dest {
            Dest::Lines(lines) => lines.should_pause(now),
            Dest::File(file) => file.should_pause(now),
            Dest::Nothing => false,
        }
    }

    /// The most that should be read for it at once, in bytes: a prefix can make much of little.
    pub fn read_size(&self, whole: usize) -> usize {
        match &self.dest {
            Dest::Lines(_) => whole.min(16 * 1024),
            Dest::Nothing | Dest::File(_) if self.also.is_some() => whole.min(16 * 1024),
            Dest::Nothing | Dest::File(_) => whole,
        }
    }

    /// Forgets what is in memory.
    pub fn clear_memory(&mut self) {
        self.ring = Ring::default();
        self.all_bytes = 0;
    }

    /// So much was written since it began or its memory was cleared, in bytes.
    pub fn all_bytes(&self) -> u64 {
        self.all_bytes
    }

    /// The newest bytes in memory.
    pub fn newest(&self, count: usize) -> Vec<u8> {
        self.ring.newest(count)
    }

    /// The last line of the present run that is not empty.
    pub fn last_line(&self) -> Option<String> {
        // More than the longest line: it may be followed by empty ones.
        let of_run = usize::try_from(self.run_bytes).unwrap_or(usize::MAX);
        last_line(&self.ring.newest(of_run.min(2 * MAX_LAST_LINE)))
    }
}

/// The log beside the copy has all of it.
fn of_copy(told: Report) -> Report {
    let kind = OutputTroubleKind::SyslogCopy;
    match told {
        Report::Trouble { kind: _, reason } => Report::Trouble { kind, reason },
        Report::Recovered(recovery) => Report::Recovered(OutputRecovery { kind, ..recovery }),
    }
}

impl LinesTo {
    fn write(&self, now: Instant, parts: [&[u8]; 2], length: usize, outage: &mut WriteOutage, report: Reporter<'_>) {
        let size = length + 1;
        match self {
            LinesTo::Console(stream) => {
                if logger::write_line(*stream, &parts) {
                    outage.succeed(now, report);
                } else {
                    outage.fail(now, size, Duration::ZERO, report, || {
                        "nobody reads the daemon's standard output; lines for it are lost until that changes".to_owned()
                    });
                }
            }
            LinesTo::Syslog(syslog) => {
                if outage.waits(now, size) {
                    return;
                }
                let message = parts.concat();
                match syslog.borrow_mut().send(now, &message) {
                    Ok(()) => outage.succeed(now, report),
                    Err(error) => {
                        let retry = match error.kind() {
                            io::ErrorKind::WouldBlock => Duration::ZERO,
                            _ => SYSLOG_RETRY,
                        };
                        outage.fail(now, size, retry, report, || {
                            let why = match error.kind() {
                                io::ErrorKind::WouldBlock => "it takes nothing".to_owned(),
                                _ => reason(&error),
                            };
                            format!("cannot write to syslog (/dev/log): {why}; lines for it are lost")
                        });
                    }
                }
            }
        }
    }
}
