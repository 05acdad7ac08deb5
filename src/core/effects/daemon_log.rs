//! The file of the daemon's own log, read and emptied for clients: on a thread of its own that ends at once, because a
//! disk may hang.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "xmlrpc")]
use super::output_client::Client;
use super::replies::Responder;
use crate::api::{Answer, Refusal, Reply};
use crate::logger;
use crate::models::LogStart;
use crate::output::LogPart;
use crate::sys::guarded_path::{self, Access};
use crate::util::errno;
use crate::util::on_drop::OnDrop;
use crate::util::thread;

/// The most threads that may hang on a dead disk.
const MAX_THREADS: usize = 4;
/// Room for what a look at a file needs.
const STACK_BYTES: usize = 64 * 1024;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// What the log is called where something can't be done to it.
const NAME: &str = "the daemon's log";

/// Does this to the file of the log, and answers.
pub(super) fn on_thread(responder: Responder, work: impl FnOnce(&Path) -> Answer + Send + 'static) {
    begin(responder, |responder, path| responder.answer(work(path)));
}

/// Sends a client the end of the log, and from then on what is written to it.
#[cfg(feature = "xmlrpc")]
pub(super) fn follow(responder: Responder, bytes: usize, client: Client) {
    begin(responder, move |responder, path| {
        let end =
            || guarded_path::open(path, Access::Read).and_then(|file| LogPart::of_file(&file, before(bytes), None));
        match logger::follow(|| end().map(|part| part.bytes), Box::new(client)) {
            Ok(()) => responder.stream(),
            Err(error) => responder.answer(Err(refused(path, &error))),
        }
    });
}

#[cfg(feature = "xmlrpc")]
fn before(bytes: usize) -> LogStart {
    LogStart::BeforeEnd(u64::try_from(bytes).unwrap_or(u64::MAX))
}

fn begin(responder: Responder, work: impl FnOnce(Responder, &Path) + Send + 'static) {
    let Some(path) = logger::logfile() else { return responder.answer(Err(Refusal::NoLog { path: None })) };
    let failed = |message: &str| Err(Refusal::Output { name: NAME.to_owned(), message: message.to_owned() });
    let is_crowded = THREADS.fetch_add(1, Ordering::Relaxed) >= MAX_THREADS;
    let place = OnDrop::new(|| _ = THREADS.fetch_sub(1, Ordering::Relaxed));
    if is_crowded {
        return responder.answer(failed("its disk does not answer; try again later"));
    }
    // Where no thread can be made the responder is dropped with the work, which answers.
    drop(thread::spawn("daemon log", STACK_BYTES, move || {
        work(responder, &path);
        drop(place);
    }));
}

pub(super) fn read(path: &Path, from: LogStart, length: Option<usize>) -> Answer {
    // What was logged before somebody asked is to be there.
    logger::flush(std::time::Duration::from_millis(100));
    match guarded_path::open(path, Access::Read).and_then(|file| LogPart::of_file(&file, from, length)) {
        Ok(LogPart { bytes, begin, size, file }) => Ok(Reply::LogRead { bytes, begin, size, file }),
        Err(error) => Err(refused(path, &error)),
    }
}

pub(super) fn clear(path: &Path) -> Answer {
    match guarded_path::open(path, Access::Overwrite) {
        Ok(_) => {
            // It counts the size of its file.
            logger::reopen();
            Ok(Reply::DaemonLogCleared)
        }
        Err(error) => Err(refused(path, &error)),
    }
}

fn refused(path: &Path, error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound => Refusal::NoLog { path: Some(path.display().to_string()) },
        _ => Refusal::Output { name: NAME.to_owned(), message: errno::reason(error) },
    }
}
