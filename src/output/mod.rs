//! Capture of the children's output: read it without ever losing or delaying it, and write it where
//! the configuration says.
//!
//! One thread reads the pipes of all children. Nobody waits for it: the handle [`Output`] only sends.
//! Files are written by other threads, which exist while there is work (see `writer_pool`): a disk that hangs stops
//! what is on it, nothing else. A child waits only while its pipe is full, and it is never kept waiting by a disk
//! that refuses (the bytes are counted as lost and said), nor for more than three seconds by one that
//! hangs, nor for more than two by a console that nobody reads.

mod command;
mod communication;
mod compress;
mod console_lines;
mod escapes;
mod file;
mod file_queue;
mod follow;
mod gathering;
mod line_format;
mod lines;
mod listeners;
mod messages;
mod outage;
mod output_watch;
mod partial_lines;
mod pump;
mod ready_line;
mod request;
mod responder;
mod ring;
mod sink;
mod syslog;
mod target;
#[cfg(test)]
mod tests;
mod writer_pool;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::Waker;

#[cfg(feature = "attach")]
pub use messages::TerminalInput;
pub use messages::{Amount, Follower, LogPart, LogStart, Note, ProgramId, Settings, StreamKind, TaskId};
pub use responder::{InternalError, Responder};

use command::Command;
use gathering::Gathering;

use crate::models::{ListenerEvent, ProgramConfig};
use crate::process::{Generation, StdinRefusal};
use crate::util::latch::latch;
use crate::util::thread;

/// What is given up at the end is told within this.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(250);

/// A handle on the output thread. None of its methods waits, but for [`shutdown`](Self::shutdown).
///
/// The queue of commands has no limit of its own, because what may be in it has: a handful of commands
/// for each run of a child, which are paced to one a second and program, and one for each client request.
#[derive(Clone)]
pub struct Output {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    gathering: Arc<Gathering>,
}

impl Output {
    /// Starts the thread. `notify` is called by it and by those that write files, so it must not wait for long.
    ///
    /// # Errors
    /// When the system gives no thread or no epoll descriptor.
    pub fn start(settings: Settings, notify: Box<dyn Fn(Note) + Send + Sync>) -> io::Result<Output> {
        let (commands, queue): (Sender<Command>, Receiver<Command>) = unbounded();
        let poll = mio::Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), pump::WAKER)?);
        let pool = writer_pool::WriterPool::new(Arc::clone(&waker), Arc::from(notify));
        let gathering = Arc::new(Gathering::default());
        let shared = Arc::clone(&gathering);
        let thread = thread::spawn("output", 128 * 1024, move || {
            pump::Pump::new(poll, queue, settings, pool, shared).run();
        })?;
        Ok(Output { commands, waker, thread: Arc::new(Mutex::new(Some(thread))), gathering })
    }

    /// New or changed settings of a program. They act at once; a file whose path stays the same stays open.
    pub fn configure(&self, program: ProgramId, config: &Arc<ProgramConfig>) {
        self.send(Command::Configure { program, config: Arc::clone(config) });
    }

    /// Reads the pipes of a new run from now on. The child has the other (blocking) ends.
    ///
    /// The thread is not woken for this, nor for the end of a run: whoever starts or stops a thousand programs calls
    /// [`wake`](Self::wake) now and then and at the end, and spares them a thousand wake-ups.
    pub fn attach(
        &self,
        program: ProgramId,
        generation: Generation,
        pid: i32,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
    ) {
        self.leave(Command::Attach { program, generation, pid, stdout, stderr });
    }

    /// The writing end of the standard input of this run, closed when its leader ends. [`wake`](Self::wake) it.
    pub fn attach_stdin(&self, program: ProgramId, generation: Generation, fd: OwnedFd) {
        self.leave(Command::AttachStdin { program, generation, fd });
    }

    /// The terminal of this run: what it writes and what it reads. [`wake`](Self::wake) it.
    #[cfg(feature = "attach")]
    pub fn attach_terminal(&self, program: ProgramId, generation: Generation, pid: i32, terminal: OwnedFd) {
        self.leave(Command::AttachTerminal { program, generation, pid, terminal });
    }

    /// Hands everything to `follower` that a stream brings from now on.
    #[cfg(feature = "attach")]
    pub fn watch(&self, program: ProgramId, stream: StreamKind, follower: Box<dyn Follower>) {
        self.send(Command::Watch { program, stream, subscription: follow::Subscription::new(follower) });
    }

    /// There is something to be typed into the terminal of the present run. What it does not take yet stays with the
    /// keyboard.
    #[cfg(feature = "attach")]
    pub fn write_input(&self, program: ProgramId, keyboard: Arc<dyn TerminalInput>) {
        self.send(Command::TypeIn { program, keyboard });
    }

    /// Answers when everything was done that was asked for before.
    #[cfg(feature = "attach")]
    pub fn barrier(&self, responder: Responder<()>) {
        self.send(Command::Barrier { responder });
    }

    /// Writes to the standard input of the present run, all or nothing. What the program does not read yet waits here,
    /// up to a bound: nobody waits for the program.
    pub fn write_stdin(&self, program: ProgramId, bytes: Arc<[u8]>, responder: Responder<Result<(), StdinRefusal>>) {
        self.send(Command::WriteStdin { program, bytes, responder });
    }

    /// Tells event listeners of something that happened.
    pub fn notify_listeners(&self, kind: ListenerEvent, payload: Arc<str>) {
        self.send(Command::TellListeners { kind, payload });
    }

    /// An event listener has lived for as long as it has to, or does no more.
    pub fn set_listener_running(&self, program: ProgramId, is_running: bool) {
        self.send(Command::SetListenerRunning { program, is_running });
    }

    /// Makes the thread look at what [`attach`](Self::attach), [`attach_stdin`](Self::attach_stdin),
    /// [`leader_exited`](Self::leader_exited), [`run_ended`](Self::run_ended), [`attach_task`](Self::attach_task) and
    /// [`task_exited`](Self::task_exited) have left for it; every other method does so by itself.
    pub fn wake(&self) {
        let _ = self.waker.wake();
        self.gathering.end_nap();
    }

    /// The daemon ends: the thread is not woken for the end of each pipe any more, but for many at once.
    pub fn expect_ends(&self) {
        self.gathering.begin();
    }

    /// For how long this run has written nothing: [`Note::Silent`] follows. If it is that long, so does
    /// [`Note::OutputResumed`] when it writes again.
    pub fn ask_silence(&self, program: ProgramId, generation: Generation, long: Duration) {
        self.send(Command::TellSilence { program, generation, long });
    }

    /// The leader of the run has ended: reads what is in its pipes now, then tells [`Note::Drained`].
    /// The pipes stay open for what is left of the process group. [`wake`](Self::wake) it.
    pub fn leader_exited(&self, program: ProgramId, generation: Generation) {
        self.leave(Command::LeaderExited { program, generation });
    }

    /// Nothing is left of the run's process group: reads what is in its pipes now and closes them. [`wake`](Self::wake)
    /// it.
    pub fn run_ended(&self, program: ProgramId, generation: Generation) {
        self.leave(Command::RunEnded { program, generation });
    }

    /// Reads what a task writes from now on; tells its end by one [`Note::TaskOutput`]. With `program` it also goes to
    /// the log of that. [`wake`](Self::wake) it.
    pub fn attach_task(&self, task: TaskId, program: Option<ProgramId>, output: OwnedFd) {
        self.leave(Command::AttachTask { task, program, output });
    }

    /// The leader of a task has ended: reads what is in its pipe now, closes it and tells [`Note::TaskOutput`], unless
    /// that was told before because the pipe had ended. [`wake`](Self::wake) it.
    pub fn task_exited(&self, task: TaskId) {
        self.leave(Command::TaskExited { task });
    }

    /// Forgets a program; what is in its pipes is read before.
    pub fn remove(&self, program: ProgramId) {
        self.send(Command::Remove { program });
    }

    /// Changes what holds for all programs, at once.
    pub fn set_default(&self, settings: Settings) {
        self.send(Command::SetDefault { settings });
    }

    /// Opens all log files anew (SIGUSR2), so that logrotate may move them away.
    pub fn reopen(&self) {
        self.send(Command::Reopen);
    }

    /// The newest output of a stream, at most `bytes` bytes (and at most a megabyte): from its log file, else from
    /// memory.
    pub fn tail(&self, program: ProgramId, stream: StreamKind, bytes: usize, responder: Responder<Vec<u8>>) {
        self.send(Command::Tail { program, stream, bytes, responder });
    }

    /// How much these have written to standard output and error, in bytes.
    #[cfg(feature = "http")]
    pub fn written(&self, programs: Vec<ProgramId>, responder: Responder<Vec<[u64; 2]>>) {
        self.send(Command::Written { programs, responder });
    }

    /// A part of the log of a stream: of its file, or where it has none of what is kept in memory.
    pub fn read(
        &self,
        program: ProgramId,
        stream: StreamKind,
        from: LogStart,
        length: Option<usize>,
        responder: Responder<LogPart>,
    ) {
        self.send(Command::Read { program, stream, from, length, responder });
    }

    /// Hands the newest output of a stream to `follower`, and with `go_on` everything that comes later, with no gap and
    /// across rotations and runs. Beyond [`messages::MAX_FOLLOWERS`] of a program the oldest one is finished.
    pub fn follow(
        &self,
        program: ProgramId,
        stream: StreamKind,
        amount: Amount,
        go_on: bool,
        follower: Box<dyn Follower>,
    ) {
        let subscription = follow::Subscription::new(follower);
        self.send(Command::Follow { program, stream, amount, go_on, subscription });
    }

    /// Empties the log files of a program (not the rotated ones) and what is kept of its output in memory.
    pub fn clear(&self, program: ProgramId, responder: Responder<Result<(), String>>) {
        self.send(Command::Clear { program, responder });
    }

    /// Reads what is in all pipes, writes everything out, closes the files and ends the thread; waits
    /// for that at most until `deadline` has passed. Later calls of any method do nothing.
    pub fn shutdown(&self, deadline: Duration) {
        let is_written = self.finish(deadline);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that hangs in a dead disk is left behind: the process is about to end.
        if let Some(thread) = thread.filter(|_| is_written) {
            let _ = thread.join();
        }
    }

    /// The same for a process that is about to end: whether all was written in time. The thread frees its memory
    /// meanwhile.
    pub fn finish(&self, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        let (done, finished) = latch();
        self.send(Command::Shutdown { deadline: end, done });
        finished.wait_until(end + LAST_WORDS_LIMIT)
    }

    fn send(&self, command: Command) {
        self.leave(command);
        self.wake();
    }

    fn leave(&self, command: Command) {
        // Fails only after the thread has ended, as waking it does, and then nothing is left to be told.
        let _ = self.commands.send(command);
    }
}
