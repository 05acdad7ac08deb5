//! The paths that are waited for: by programs that are ready when they have made or changed one, and by starts. One
//! inotify for all of them, as long as one is waited for. It only says when to look; the look is a short-lived
//! thread's: it may hang on a dead disk.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::ready_pipes::ReadyRun;
use crate::api::ConditionId;
use crate::sys::path_events::{FileState, PathEvents, Watch, Watched};
use crate::util::thread;

/// How soon a path is looked at again of which nothing tells.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Only touched pages count.
const STACK: usize = 128 * 1024;

/// A path that a run waits for.
#[derive(Debug)]
pub struct AwaitedPath {
    /// Whose; of a start, the run that it is to become.
    pub run: ReadyRun,
    /// The path.
    pub path: Arc<Path>,
    /// What has to be so.
    pub until: Until,
}

/// What has to be so of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It is there and was made or changed: told once, and then it is waited for no longer.
    Changed {
        /// What was there before the start.
        before: Option<FileState>,
    },
    /// It is there: told whenever that changes.
    Exists {
        /// Which of the conditions it is.
        condition: ConditionId,
    },
}

/// News of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathReport {
    /// It was made or changed, by which this run is ready.
    Ready(ReadyRun),
    /// It is there, or has gone, for which the start of this run waits.
    Seen { run: ReadyRun, condition: ConditionId, is_there: bool },
}

/// What a look has found.
#[derive(Debug)]
pub(super) struct AwaitedPathInspected {
    run: ReadyRun,
    until: Until,
    found: Option<FileState>,
    watched: Watched,
}

struct PathWait {
    awaited: AwaitedPath,
    watches: Vec<Watch>,
    is_inspecting: bool,
    /// Something has happened since the look began.
    is_stale: bool,
    /// It was told to be there.
    is_there: bool,
    /// When it is looked at again without a reason.
    look_at: Option<Instant>,
}

/// Those that are waited for. Few: a program takes seconds to start.
#[derive(Default)]
pub(super) struct PathWaits {
    events: Option<Arc<PathEvents>>,
    waits: Vec<PathWait>,
}

impl PathWaits {
    /// Waits for this path.
    pub(super) fn add(
        &mut self,
        registry: &Registry,
        token: Token,
        awaited: AwaitedPath,
        report: impl FnOnce(AwaitedPathInspected) + Send + 'static,
    ) {
        if self.events.is_none() {
            self.events = begin_events(registry, token).ok();
        }
        let wait = PathWait {
            awaited,
            watches: Vec::new(),
            is_inspecting: false,
            is_stale: false,
            is_there: false,
            look_at: None,
        };
        self.waits.push(wait);
        if let Some(wait) = self.waits.last_mut() {
            wait.inspect(self.events.as_ref(), report);
        }
    }

    /// Nobody waits for a path of this run any more.
    pub(super) fn remove(&mut self, registry: &Registry, run: ReadyRun) {
        while let Some(place) = self.waits.iter().position(|wait| wait.awaited.run == run) {
            let gone = self.waits.swap_remove(place);
            let Some(events) = &self.events else { continue };
            for (watch, _) in gone.watches {
                if !self.waits.iter().any(|wait| wait.watches.iter().any(|(other, _)| *other == watch)) {
                    events.forget(watch);
                }
            }
        }
        if self.waits.is_empty()
            && let Some(events) = self.events.take()
        {
            let _ = registry.deregister(&mut SourceFd(&events.raw_fd()));
            self.waits = Vec::new();
        }
    }

    /// Something has happened: looks at what that may be about.
    pub(super) fn happened<R: FnOnce(AwaitedPathInspected) + Send + 'static>(&mut self, report: impl Fn() -> R) {
        let Some(events) = &self.events else { return };
        let happened = events.read();
        for wait in &mut self.waits {
            let is_about = match &happened {
                Some(happened) => happened.iter().any(|event| wait.is_about(event)),
                None => true,
            };
            if is_about {
                wait.inspect(Some(events), report());
            }
        }
    }

    /// Takes in what a look has found: what is to be told of that.
    pub(super) fn inspected<R: FnOnce(AwaitedPathInspected) + Send + 'static>(
        &mut self,
        registry: &Registry,
        inspected: AwaitedPathInspected,
        now: Instant,
        report: impl FnOnce() -> R,
    ) -> Option<PathReport> {
        let AwaitedPathInspected { run, until, found, watched } = inspected;
        let is_it = |wait: &&mut PathWait| wait.awaited.run == run && wait.awaited.until == until;
        let Some(wait) = self.waits.iter_mut().find(is_it) else {
            self.forget_unknown(watched);
            return None;
        };
        wait.is_inspecting = false;
        for watch in watched.watches {
            if !wait.watches.contains(&watch) {
                wait.watches.push(watch);
            }
        }
        wait.look_at = (!watched.is_complete).then(|| now + RETRY_INTERVAL);
        let news = match until {
            Until::Changed { before } if found.is_some() && found != before => {
                self.remove(registry, run);
                return Some(PathReport::Ready(run));
            }
            Until::Changed { .. } => None,
            Until::Exists { condition } => {
                let is_there = found.is_some();
                let was_there = std::mem::replace(&mut wait.is_there, is_there);
                (is_there != was_there).then_some(PathReport::Seen { run, condition, is_there })
            }
        };
        if wait.is_stale {
            wait.inspect(self.events.as_ref(), report());
        }
        news
    }

    /// The run has ended while somebody looked for it.
    fn forget_unknown(&self, watched: Watched) {
        let Some(events) = &self.events else { return };
        for (watch, _) in watched.watches {
            // One that looks at this moment may have the same.
            let may_be_used =
                |wait: &PathWait| wait.is_inspecting || wait.watches.iter().any(|(other, _)| *other == watch);
            if !self.waits.iter().any(may_be_used) {
                events.forget(watch);
            }
        }
    }

    /// When [`inspect_due`](Self::inspect_due) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waits.iter().filter(|wait| !wait.is_inspecting).filter_map(|wait| wait.look_at).min()
    }

    /// Looks at what nothing tells of, if it is time to.
    pub(super) fn inspect_due<R: FnOnce(AwaitedPathInspected) + Send + 'static>(
        &mut self,
        now: Instant,
        report: impl Fn() -> R,
    ) {
        for wait in &mut self.waits {
            if !wait.is_inspecting && wait.look_at.is_some_and(|at| at <= now) {
                wait.inspect(self.events.as_ref(), report());
            }
        }
    }
}

fn begin_events(registry: &Registry, token: Token) -> io::Result<Arc<PathEvents>> {
    let events = PathEvents::new()?;
    registry.register(&mut SourceFd(&events.raw_fd()), token, Interest::READABLE)?;
    Ok(Arc::new(events))
}

impl PathWait {
    fn is_about(&self, (at, name): &Watch) -> bool {
        // What it watches is known when the look has ended. Without a name it is the directory itself that has gone or
        // is another one.
        let is_of = |entry: &Option<OsString>| entry.is_none() || name.is_none() || entry == name;
        self.is_inspecting || self.watches.iter().any(|(watch, entry)| watch == at && is_of(entry))
    }

    /// Has a thread look at the path, or look again when the one that does has ended.
    fn inspect(
        &mut self,
        events: Option<&Arc<PathEvents>>,
        report: impl FnOnce(AwaitedPathInspected) + Send + 'static,
    ) {
        if self.is_inspecting {
            self.is_stale = true;
            return;
        }
        let AwaitedPath { run, path, until } = &self.awaited;
        let (run, path, until, events) = (*run, Arc::clone(path), *until, events.cloned());
        let inspect = move || {
            // First: what comes after the look is told.
            let watched = events.map_or_else(Watched::default, |events| events.watch(&path));
            let found = FileState::of(&path);
            report(AwaitedPathInspected { run, until, found, watched });
        };
        self.is_stale = false;
        self.is_inspecting = thread::spawn("paths", STACK, inspect).is_ok();
        self.look_at = (!self.is_inspecting).then(|| Instant::now() + RETRY_INTERVAL);
    }
}
