//! What a program tells of itself by messages on `$NOTIFY_SOCKET` ([`Notification`]), and what is remembered of that
//! ([`NotifyState`]).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::main_process::NoMain;
use super::moment::Moment;
use crate::util::errno;

/// One message. Nothing in it is to be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// `READY=1`: it has started, or reloaded.
    pub ready: bool,
    /// `STOPPING=1`: it ends.
    pub stopping: bool,
    /// `RELOADING=1`.
    pub reloading: bool,
    /// `MONOTONIC_USEC=`: when that began.
    pub since: Option<Moment>,
    /// `STATUS=`: a line for people; an empty one takes the last one back.
    pub status: Option<Arc<str>>,
    /// `ERRNO=`: what has failed.
    pub errno: Option<i32>,
    /// `EXIT_STATUS=`: with what it will end.
    pub exit_status: Option<u8>,
    /// `MAINPID=`: which process is the main one, if it names any.
    pub main_pid: Option<Result<i32, NoMain>>,
    /// `EXTEND_TIMEOUT_USEC=`: its start or stop takes so much longer, from now on.
    pub extend: Option<Duration>,
    /// `WATCHDOG=`.
    pub watchdog: Option<WatchdogReport>,
}

/// What a program tells its watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchdogReport {
    /// `WATCHDOG=1`: it is alive.
    Alive,
    /// `WATCHDOG=trigger`: it has found out that it is not well.
    Trigger,
}

/// Why a watchdog has taken a program for unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogMiss {
    /// It has not told for so many seconds (`watchdog`) that it is alive.
    Silent(u32),
    /// It has said so itself.
    Triggered,
}

impl fmt::Display for WatchdogMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatchdogMiss::Silent(seconds) => write!(f, "no WATCHDOG=1 within {seconds} s (watchdog)"),
            WatchdogMiss::Triggered => f.write_str("it has told its watchdog that it is not well (WATCHDOG=trigger)"),
        }
    }
}

/// What a program says that it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It reads its configuration anew, since then.
    Reloading(Moment),
    /// It ends.
    Stopping,
}

/// What a run has reported about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyState {
    /// It has said that it is ready.
    pub ready: bool,
    /// What it says that it is doing.
    pub doing: Option<Doing>,
    /// A line for people.
    pub status: Option<Arc<str>>,
    /// What has failed, as the system numbers it.
    pub errno: Option<i32>,
    /// With what it says that it ends.
    pub exit_status: Option<u8>,
    /// Messages that were not taken, because somebody else than the main process has sent them (`notify_access =
    /// main`).
    pub refused: u32,
    /// Who has sent the last of those.
    pub refused_pid: Option<i32>,
    /// Why the process that it has named last is not taken for its main one.
    #[serde(default)]
    pub main_refused: Option<NoMain>,
    /// How often that has changed.
    #[serde(default)]
    pub main_refusals: u8,
}

/// How many refusals of a main process are reported for one run: some programs name another process in each message.
const MAX_REPORTED_REFUSALS: u8 = 8;

impl NotifyState {
    /// Remembers what a message says that was sent at `now` by a run that has begun at `started`.
    pub(super) fn update(&mut self, now: Moment, started: Moment, message: &Notification) {
        if let Some(status) = &message.status {
            self.status = Some(Arc::clone(status)).filter(|status| !status.is_empty());
        }
        self.errno = message.errno.or(self.errno);
        self.exit_status = message.exit_status.or(self.exit_status);
        if message.reloading {
            // Whoever lies about the time is taken at the message's.
            let since = message.since.filter(|since| (started..=now).contains(since)).unwrap_or(now);
            self.doing = Some(Doing::Reloading(since));
        }
        if message.ready {
            self.ready = true;
            self.doing = None;
        }
        if message.stopping {
            self.doing = Some(Doing::Stopping);
        }
    }

    /// Counts a message that is not taken; `true` for the first one.
    pub(super) fn refuse(&mut self, pid: i32) -> bool {
        self.refused = self.refused.saturating_add(1);
        self.refused_pid = Some(pid);
        self.refused == 1
    }

    /// Remembers why a process is not its main one; `true` where that is to be told: it is news, and was not told too
    /// often.
    pub(super) fn refuse_main(&mut self, found: NoMain) -> bool {
        if self.main_refused.replace(found) == Some(found) {
            return false;
        }
        self.main_refusals = self.main_refusals.saturating_add(1);
        self.main_refusals <= MAX_REPORTED_REFUSALS
    }

    /// What is worth showing behind the description of a process; empty: nothing.
    pub(crate) fn describe(&self, now: Moment) -> String {
        let mut line = String::new();
        match self.doing {
            Some(Doing::Reloading(since)) => {
                let seconds = now.saturating_duration_since(since).as_secs();
                line.push_str(&format!(", reloading for {seconds} s"));
            }
            Some(Doing::Stopping) => line.push_str(", it says that it ends"),
            None => {}
        }
        if let Some(status) = &self.status {
            line.push_str(&format!("; it says: {status}"));
        }
        if let Some(number) = self.errno.filter(|number| *number != 0) {
            line.push_str(&format!("; it says that it failed: {} (errno {number})", errno::text(number)));
        }
        if let Some(code) = self.exit_status {
            line.push_str(&format!("; it says that its exit status is {code}"));
        }
        line
    }

    /// Why messages were refused, as a sentence.
    pub(crate) fn refusals(&self) -> Option<String> {
        let pid = self.refused_pid?;
        let messages = match self.refused {
            1 => "A message on $NOTIFY_SOCKET was refused".to_owned(),
            count => format!("{count} messages on $NOTIFY_SOCKET were refused, the last one"),
        };
        Some(format!("{messages}: of pid {pid}, which is not its main process (notify_access = main)."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_run_that_names_another_process_each_time_is_told_of_a_few_times() {
        let mut told = NotifyState::default();
        assert!(told.refuse_main(NoMain::Gone { pid: 7 }));
        assert!(!told.refuse_main(NoMain::Gone { pid: 7 }), "that is no news");
        let news = (8..1000).filter(|pid| told.refuse_main(NoMain::Gone { pid: *pid })).count();
        assert_eq!(news + 1, usize::from(MAX_REPORTED_REFUSALS));
    }

    #[test]
    fn the_last_word_counts_and_an_empty_status_takes_the_last_one_back() {
        let mut told = NotifyState::default();
        let status = |text: &str| Notification { status: Some(text.into()), ..Notification::default() };
        told.update(at(5), at(1), &status("half of it"));
        told.update(at(6), at(1), &Notification { errno: Some(2), exit_status: Some(3), ..Notification::default() });
        let line = "; it says: half of it; it says that it failed: No such file or directory (errno 2); \
                    it says that its exit status is 3";
        assert_eq!(told.describe(at(9)), line);
        told.update(at(7), at(1), &status(""));
        assert_eq!(told.status, None);
    }

    #[test]
    fn it_reloads_since_it_says_so_unless_that_cannot_be() {
        let reloading = |since| Notification { reloading: true, since, ..Notification::default() };
        for (since, told_since) in [(None, 9), (Some(4), 4), (Some(0), 9), (Some(11), 9)] {
            let mut told = NotifyState::default();
            told.update(at(9), at(1), &reloading(since.map(at)));
            assert_eq!(told.doing, Some(Doing::Reloading(at(told_since))));
            told.update(at(9), at(1), &Notification { ready: true, ..Notification::default() });
            assert_eq!((told.doing, told.ready), (None, true));
        }
    }

    #[test]
    fn refused_messages_are_counted() {
        let mut told = NotifyState::default();
        assert_eq!(told.refusals(), None);
        assert!(told.refuse(7));
        assert!(!told.refuse(8));
        let sentence = "2 messages on $NOTIFY_SOCKET were refused, the last one: of pid 8, which is not its main process \
                        (notify_access = main).";
        assert_eq!(told.refusals().as_deref(), Some(sentence));
    }
}
