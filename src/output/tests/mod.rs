//! Real pipes, files and processes.

mod answers;
mod capture;
mod compressed;
mod files;
mod pieces;
mod stall;
mod tasks;
#[cfg(feature = "attach")]
mod terminal;
mod trouble;

use std::fs;
use std::io::{PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, unbounded};
use tempfile::TempDir;

use super::*;

/// How long a test waits for what must come.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// An output thread with a directory for its files.
struct Rig {
    output: Output,
    notes: Receiver<Note>,
    dir: TempDir,
    /// The kernel's id of the output thread, once it has told something.
    thread_id: Arc<AtomicI32>,
}

impl Rig {
    fn new() -> Rig {
        let (sender, notes) = unbounded();
        let thread_id = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&thread_id);
        let notify = Box::new(move |note| {
            seen.store(nix::unistd::gettid().as_raw(), Ordering::Release);
            let _ = sender.send(note);
        });
        let output = Output::start(Settings::default(), notify).unwrap();
        Rig { output, notes, dir: tempfile::tempdir().unwrap(), thread_id }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program whose standard output goes to `log`.
    fn configure(&self, id: ProgramId, log: Option<&Path>, change: impl FnOnce(&mut ProgramConfig)) {
        let mut config = ProgramConfig::new(format!("p{id}"), "test");
        config.stdout_logfile = log.map(|path| path.to_str().unwrap().to_owned());
        change(&mut config);
        self.output.configure(id, &Arc::new(config));
    }

    /// The child's end of a new run's standard output.
    fn attach(&self, id: ProgramId, generation: Generation) -> PipeWriter {
        let (reader, writer) = std::io::pipe().unwrap();
        self.output.attach(id, generation, 1, Some(OwnedFd::from(reader)), None);
        self.output.wake();
        writer
    }

    fn note(&self) -> Note {
        self.notes.recv_timeout(TEST_TIMEOUT).expect("a note in time")
    }

    /// What `Drained` says.
    fn drain(&self, id: ProgramId, generation: Generation) -> Option<String> {
        self.output.leader_exited(id, generation);
        self.output.wake();
        loop {
            match self.note() {
                Note::ListenerLost { .. } => {}
                Note::Drained { program, generation: of, last_line } if (program, of) == (id, generation) => {
                    return last_line;
                }
                Note::Drained { .. }
                | Note::Trouble { .. }
                | Note::Recovered { .. }
                | Note::ReadyLine { .. }
                | Note::WatchedLine { .. }
                | Note::Silent { .. }
                | Note::OutputResumed { .. }
                | Note::TaskOutput { .. } => {}
            }
        }
    }

    /// The same, and all that was written before is in the log file: `Drained` does not wait for a writer that has done
    /// nothing for a quarter of a second, as any on a busy machine.
    fn drain_to_file(&self, id: ProgramId, generation: Generation) -> Option<String> {
        let last_line = self.drain(id, generation);
        self.await_writer(id);
        last_line
    }

    /// Waits until the writer of the program's log has come to what is queued now.
    fn await_writer(&self, id: ProgramId) {
        wait_until("the writer answers", || {
            let (sender, answer) = bounded(1);
            let responder = Responder::new(move |_| _ = sender.send(is_writer()));
            self.output.tail(id, StreamKind::Stdout, 1, responder);
            answer.recv_timeout(TEST_TIMEOUT).expect("an answer in time")
        });
    }

    fn trouble(&self) -> String {
        match self.note() {
            Note::Trouble { reason, .. } => reason,
            other => panic!("expected trouble, got {other:?}"),
        }
    }

    /// Writes lines until the trouble is over; returns the bytes that were lost.
    fn write_until_recovered(&self, child: &mut PipeWriter) -> u64 {
        let end = Instant::now() + TEST_TIMEOUT;
        while Instant::now() < end {
            child.write_all(b"still here\n").unwrap();
            match self.notes.recv_timeout(Duration::from_millis(20)) {
                Ok(Note::Recovered { recovery, .. }) => return recovery.lost_bytes,
                Ok(other) => panic!("expected recovery, got {other:?}"),
                Err(_) => {}
            }
        }
        panic!("no recovery in time");
    }

    fn tail(&self, id: ProgramId, bytes: usize) -> Vec<u8> {
        let (sender, answer) = bounded(1);
        self.output.tail(id, StreamKind::Stdout, bytes, Responder::new(move |answer| drop(sender.send(answer))));
        answer.recv_timeout(TEST_TIMEOUT).expect("an answer in time").expect("a tail")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.output.shutdown(TEST_TIMEOUT);
    }
}

/// Whether this is a thread that writes files: the output thread answers in place of one that is late.
fn is_writer() -> bool {
    std::thread::current().name() != Some("output")
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + TEST_TIMEOUT;
    while !reached() {
        assert!(Instant::now() < end, "not reached in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}
