//! [`MainSearch`]: for the main process of a program that has put itself into the background.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::main_process::NoMain;
use super::super::moment::Moment;
use super::due::Due;

/// The pause after the first look at the pid file; each one is twice as long, …
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// … up to this.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// The search for the main process of a run whose leader has ended with 0.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct MainSearch {
    pub(super) give_up_at: Due,
    /// `None`: somebody is looking.
    pub(super) look_at: Due,
    pause: Duration,
    /// What was found last.
    pub(super) found: Option<NoMain>,
}

impl MainSearch {
    /// One that has begun: somebody is looking.
    pub(super) fn new(give_up_at: Due) -> MainSearch {
        MainSearch { give_up_at, look_at: None, pause: FIRST_PAUSE, found: None }
    }

    /// It goes on for so long already that the looks have become seldom.
    pub(super) fn is_slow(&self) -> bool {
        self.pause >= MAX_PAUSE
    }

    /// The look at `now` has found no process; another one follows.
    pub(super) fn schedule_next(&mut self, now: Moment, found: NoMain) {
        self.found = Some(found);
        self.look_at = now.checked_add(self.pause);
        self.pause = (self.pause * 2).min(MAX_PAUSE);
    }
}
