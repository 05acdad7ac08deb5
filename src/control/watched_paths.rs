//! The paths of `restart_on_change`: one inotify for all of them, as long as one is watched. It only says when to look;
//! the look (and the reading of what is compared) is a short-lived thread's: it may take long, or hang on a dead disk.
//!
//! Something has changed when nothing more happens for a while, and the content is another one than at the start of the
//! run, or than what was told last. What is away for the moment is no other content: it may be about to come back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::ready_pipes::ReadyRun;
use crate::sys::path_changes::{ChangeWatch, Fingerprint, PathChanges, first_file};
use crate::util::thread;

/// How long nothing must happen before a changed path is inspected: writing a new version takes a while.
const SETTLED: Duration = Duration::from_secs(2);
/// How soon it is looked at again where nothing tells of changes, or no thread could look.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// Only touched pages count.
const STACK: usize = 256 * 1024;

/// A path that a run is watched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedPath {
    /// As it is told.
    pub name: Arc<str>,
    /// Where it may be: the first of these that is there.
    pub candidates: Vec<PathBuf>,
}

/// What a look has found.
#[derive(Debug)]
pub(super) struct WatchedPathsInspected {
    run: ReadyRun,
    prints: Vec<Option<Fingerprint>>,
    watches: Vec<ChangeWatch>,
    /// All that may happen is told; else somebody has to look again by himself.
    is_complete: bool,
    /// Something has happened before it was watched.
    is_stale: bool,
}

/// The paths of one run.
struct Watched {
    run: ReadyRun,
    paths: Arc<[WatchedPath]>,
    /// What there was at the start, or was told last; `None`: the first look has not ended.
    prints: Option<Vec<Option<Fingerprint>>>,
    watches: Vec<ChangeWatch>,
    is_inspecting: bool,
    /// Something has happened since the look began.
    is_stale: bool,
    look_at: Option<Instant>,
}

/// The paths of all runs.
#[derive(Default)]
pub(super) struct WatchedPaths {
    events: Option<Arc<PathChanges>>,
    watched: Vec<Watched>,
}

impl WatchedPaths {
    /// Watches these paths for a run, from what they lead to now.
    pub(super) fn add(
        &mut self,
        registry: &Registry,
        token: Token,
        run: ReadyRun,
        paths: Arc<[WatchedPath]>,
        report: impl FnOnce(WatchedPathsInspected) + Send + 'static,
    ) {
        if self.events.is_none() {
            let begun = PathChanges::new().and_then(|events| {
                registry.register(&mut SourceFd(&events.raw_fd()), token, Interest::READABLE)?;
                Ok(Arc::new(events))
            });
            self.events = begun.ok();
        }
        let (prints, watches) = (None, Vec::new());
        let mut watched = Watched { run, paths, prints, watches, is_inspecting: false, is_stale: false, look_at: None };
        watched.inspect(self.events.as_ref(), report);
        self.watched.push(watched);
    }

    /// The run has ended.
    pub(super) fn remove(&mut self, registry: &Registry, run: ReadyRun) {
        let Some(place) = self.watched.iter().position(|watched| watched.run == run) else { return };
        let gone = self.watched.swap_remove(place);
        self.forget_unused(gone.watches);
        if self.watched.is_empty()
            && let Some(events) = self.events.take()
        {
            let _ = registry.deregister(&mut SourceFd(&events.raw_fd()));
            self.watched = Vec::new();
        }
    }

    /// Something has happened.
    pub(super) fn happened(&mut self, now: Instant) {
        let Some(events) = &self.events else { return };
        let happened = events.read();
        for watched in &mut self.watched {
            let is_about = match &happened {
                Some(happened) => {
                    happened.iter().any(|event| watched.watches.iter().any(|watch| watch.is_about(event)))
                }
                None => true,
            };
            // What a look that is under way watches is known when it has ended.
            watched.is_stale |= watched.is_inspecting;
            if is_about {
                watched.look_at = now.checked_add(SETTLED);
            }
        }
    }

    /// Takes in what a look has found: the path that leads to another thing than before.
    pub(super) fn inspected(&mut self, inspected: WatchedPathsInspected, now: Instant) -> Option<(ReadyRun, Arc<str>)> {
        let WatchedPathsInspected { run, prints, watches, is_complete, is_stale } = inspected;
        let Some(place) = self.watched.iter().position(|watched| watched.run == run) else {
            self.forget_unused(watches);
            return None;
        };
        let watched = self.watched.get_mut(place)?;
        watched.is_inspecting = false;
        let old = std::mem::replace(&mut watched.watches, watches);
        if std::mem::take(&mut watched.is_stale) || is_stale {
            watched.look_at = now.checked_add(SETTLED);
        } else if !is_complete {
            watched.look_at = watched.look_at.or(now.checked_add(RETRY_INTERVAL));
        }
        let is_settled = watched.look_at.is_none() || !is_complete;
        let news = match &mut watched.prints {
            None => {
                watched.prints = Some(prints);
                None
            }
            Some(before) if is_settled => {
                let mut changed = None;
                for ((path, before), found) in watched.paths.iter().zip(before).zip(prints) {
                    let Some(found) = found else { continue };
                    if found.differs(*before) {
                        changed.get_or_insert(Arc::clone(&path.name));
                    }
                    *before = Some(found);
                }
                changed.map(|name| (run, name))
            }
            Some(_) => None,
        };
        self.forget_unused(old);
        news
    }

    /// When [`inspect_due`](Self::inspect_due) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.watched.iter().filter(|watched| !watched.is_inspecting).filter_map(|watched| watched.look_at).min()
    }

    /// Looks at what has settled.
    pub(super) fn inspect_due<R: FnOnce(WatchedPathsInspected) + Send + 'static>(
        &mut self,
        now: Instant,
        report: impl Fn() -> R,
    ) {
        for watched in &mut self.watched {
            if !watched.is_inspecting && watched.look_at.is_some_and(|at| at <= now) {
                watched.inspect(self.events.as_ref(), report());
            }
        }
    }

    /// These are no longer needed for one; others may need them.
    fn forget_unused(&self, watches: Vec<ChangeWatch>) {
        let Some(events) = &self.events else { return };
        for watch in watches {
            // One that looks at this moment may have the same.
            let is_used = |watched: &Watched| {
                watched.is_inspecting || watched.watches.iter().any(|other| PathChanges::is_shared(other, &watch))
            };
            if !self.watched.iter().any(is_used) {
                events.forget(&watch);
            }
        }
    }
}

impl Watched {
    /// Has a thread look.
    fn inspect(
        &mut self,
        events: Option<&Arc<PathChanges>>,
        report: impl FnOnce(WatchedPathsInspected) + Send + 'static,
    ) {
        let (run, paths, events) = (self.run, Arc::clone(&self.paths), events.cloned());
        let before = self.prints.clone();
        let inspect = move || report(inspect(run, &paths, before.as_deref(), events.as_deref()));
        self.is_stale = false;
        self.is_inspecting = thread::spawn("changes", STACK, inspect).is_ok();
        self.look_at = if self.is_inspecting { None } else { Instant::now().checked_add(RETRY_INTERVAL) };
    }
}

/// Looks at the paths of a run, and begins to watch them as they lead now.
fn inspect(
    run: ReadyRun,
    paths: &[WatchedPath],
    before: Option<&[Option<Fingerprint>]>,
    events: Option<&PathChanges>,
) -> WatchedPathsInspected {
    let is_complete = events.is_some();
    let mut inspected =
        WatchedPathsInspected { run, prints: Vec::new(), watches: Vec::new(), is_complete, is_stale: false };
    for (number, path) in paths.iter().enumerate() {
        let found = first_file(&path.candidates).or(path.candidates.first());
        // At first this comes before all else: whatever happens from now on is a change.
        let first = before.is_none().then(|| found.and_then(|found| Fingerprint::of(found, None)));
        for candidate in &path.candidates {
            match events.map(|events| events.watch(candidate)) {
                Some(Ok(watches)) => inspected.watches.extend(watches),
                Some(Err(_)) | None => inspected.is_complete = false,
            }
        }
        // What comes after this look is told.
        let known = first.unwrap_or_else(|| before.and_then(|before| before.get(number).copied()).flatten());
        let now = found.and_then(|found| Fingerprint::of(found, known));
        inspected.is_stale |= first.is_some_and(|first| first != now);
        inspected.prints.push(first.unwrap_or(now));
    }
    inspected
}
