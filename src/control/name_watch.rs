//! The io thread's side of [`Names`]: when they are to be looked at again, and by whom. The look itself is a
//! short-lived thread's: it may hang on a dead disk.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::names::{Names, NamesInspected};
use crate::sys;
use crate::sys::path_watch::PathWatch;
use crate::util::thread;

/// Before the first look: whoever removes a directory with all that is in it is to finish.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two looks that nobody has asked for.
const MIN_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Where a name vanishes as soon as it is there, it is made anew at longer and longer intervals, up to this one.
const MAX_SETTLE: Duration = Duration::from_secs(10);
/// A name that has stayed for so long is made anew at once again.
const QUIET_PERIOD: Duration = Duration::from_secs(60);

const STACK: usize = 128 * 1024;

/// The tokens of what is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    pub(super) paths: Token,
    pub(super) mounts: Token,
    pub(super) lock: Token,
}

/// See the [module](self).
pub(super) struct NameWatch {
    tokens: Tokens,
    /// `None` while a thread looks at them.
    names: Option<Names>,
    paths: Option<PathWatch>,
    /// Tells that something was mounted or unmounted.
    _mounts: Option<File>,
    due: Option<Instant>,
    settle: Duration,
    inspected: Option<Instant>,
    renewed: Option<Instant>,
}

impl NameWatch {
    /// Begins to watch; what can't be watched is looked at when somebody asks for it.
    pub(super) fn new(mut names: Names, registry: &Registry, tokens: Tokens) -> io::Result<NameWatch> {
        let paths = names.watch();
        if let Some(lock) = &names.lock {
            registry.register(&mut SourceFd(&lock.raw_fd()), tokens.lock, Interest::READABLE)?;
        }
        // Readable at any time; a change is told as an exceptional condition.
        let mounts = if names.may_be_watched() { sys::proc::mounts() } else { None };
        let mounts =
            mounts.filter(|file| register(registry, file.as_raw_fd(), tokens.mounts, Interest::PRIORITY).is_ok());
        let mut watch = NameWatch {
            tokens,
            names: Some(names),
            paths: None,
            _mounts: mounts,
            due: None,
            settle: SETTLE,
            inspected: None,
            renewed: None,
        };
        watch.take_watch(paths, registry);
        Ok(watch)
    }

    /// A descriptor with this token has something to tell: whether it was one of ours.
    pub(super) fn event(&mut self, token: Token, now: Instant) -> bool {
        let Tokens { paths, mounts, lock } = self.tokens;
        if token == paths {
            if let Some(watch) = &self.paths {
                watch.drain();
            }
        } else if token == lock {
            // A second daemon: where nothing can be watched, this tells that the files may have gone.
            if let Some(lock) = self.names.as_ref().and_then(|names| names.lock.as_ref()) {
                lock.drain();
            }
        } else if token != mounts {
            return false;
        }
        self.inspect_later(now);
        true
    }

    /// Somebody asks for a look.
    pub(super) fn inspect_now(&mut self, now: Instant) {
        self.settle = SETTLE;
        self.due = Some(now);
    }

    fn inspect_later(&mut self, now: Instant) {
        let earliest = self.inspected.map_or(now, |inspected| inspected + MIN_LOOK_INTERVAL);
        self.due = self.due.or(Some(earliest.max(now + self.settle)));
    }

    /// When [`begin_inspection`](Self::begin_inspection) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.names.is_some())
    }

    /// A thread looks at the names.
    pub(super) fn is_inspecting(&self) -> bool {
        self.names.is_none()
    }

    /// Has a thread look at the names, if it is time to; it reports by `report`.
    pub(super) fn begin_inspection(&mut self, now: Instant, report: impl FnOnce(NamesInspected) + Send + 'static) {
        if self.deadline().is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let Some(names) = self.names.take_if(|names| !names.is_empty()) else { return };
        // A thread that is refused must not take the names with it.
        let slot = Arc::new(Mutex::new(Some(names)));
        let taken = Arc::clone(&slot);
        let take = |slot: &Mutex<Option<Names>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let spawned = thread::spawn("names", STACK, move || {
            if let Some(names) = take(&taken) {
                report(names.inspect());
            }
        });
        if spawned.is_err() {
            self.names = take(&slot);
            self.due = Some(now + MIN_LOOK_INTERVAL);
        }
    }

    /// Takes the names back; the listener, if the socket was made anew.
    pub(super) fn inspected(
        &mut self,
        inspected: NamesInspected,
        now: Instant,
        registry: &Registry,
    ) -> Option<UnixListener> {
        let NamesInspected { names, listener, watch, renewed, is_gone } = inspected;
        if let Some(lock) = &names.lock {
            lock.drain();
        }
        self.names = Some(names);
        self.inspected = Some(now);
        self.take_watch(watch, registry);
        if renewed {
            let was_quiet = self.renewed.is_none_or(|renewed| now.saturating_duration_since(renewed) > QUIET_PERIOD);
            self.settle = if was_quiet { SETTLE } else { (self.settle * 2).min(MAX_SETTLE) };
            self.renewed = Some(now);
        }
        if is_gone {
            self.inspect_later(now);
        }
        listener
    }

    /// Removes the file of the control socket, which nobody makes anew from now on. Where a thread looks at the names,
    /// it goes with them.
    pub(super) fn remove_socket(&mut self) {
        self.paths = None;
        self.due = None;
        drop(self.names.as_mut().and_then(|names| names.socket.take()));
    }

    /// The names; empty where a thread still looks at them, and gives them up when it is done.
    pub(super) fn end(self) -> Names {
        self.names.unwrap_or_default()
    }

    fn take_watch(&mut self, watch: Option<PathWatch>, registry: &Registry) {
        let (token, readable) = (self.tokens.paths, Interest::READABLE);
        self.paths = watch.filter(|watch| register(registry, watch.raw_fd(), token, readable).is_ok());
    }
}

fn register(registry: &Registry, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
    registry.register(&mut SourceFd(&fd), token, interest)
}
