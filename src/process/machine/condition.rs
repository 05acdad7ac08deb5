//! [`Condition`]: what there is to tell a person about a process, as data; worded where it is shown.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::cause::{RetryNumber, Tries};
use super::super::failure::{Failure, completed};
use super::super::last_words::LastWords;
use super::super::main_process::NoMain;
use super::super::moment::Moment;
use super::super::notification::WatchdogMiss;
use super::super::readiness::ReadySign;
use super::super::span::{clock, span};
use super::super::state::{Exit, ProcessState, signal_text};
use super::Machine;
use super::due::Due;
use super::phase::{LeaderState, Phase, Remains, Retry, Run, StopProgress};
use super::startup::Startup;
use crate::models::DependencyCondition;

const SIGKILL: u8 = 9;

/// When something happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// At this moment at the earliest.
    pub at: Moment,
    /// Not before nothing is left of the process group of this leader.
    pub after_group: Option<i32>,
    /// Not before its `post_stop` has ended.
    #[serde(default)]
    pub after_hook: bool,
}

impl Upcoming {
    fn text(self, now: Moment) -> String {
        if self.after_hook {
            return "after its post_stop".to_owned();
        }
        match (self.after_group, seconds_left(Some(self.at), now)) {
            (Some(pid), 0) => format!("when the process group of pid {pid} has gone"),
            (Some(_) | None, seconds) => format!("in {seconds} s"),
        }
    }
}

/// Something that is waited for before a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prerequisite {
    /// Another process.
    Process {
        /// Which.
        name: Box<str>,
        /// What has to hold of it.
        condition: DependencyCondition,
        /// Its state.
        state: ProcessState,
        /// In `BACKOFF`: the number of the retry, how many there may be, and when it comes.
        retry: Option<(u32, u32, Moment)>,
    },
    /// Something outside (`start_when`).
    Outside {
        /// What, as it is written.
        condition: Box<str>,
        /// What the last try has found.
        detail: Option<Box<str>>,
    },
    /// That fewer others are starting (`start_limit`).
    StartSlot,
}

impl Prerequisite {
    /// `db (BACKOFF, retry 2 of 3 in 4 s)`
    pub(crate) fn text(&self, now: Moment) -> String {
        match self {
            Prerequisite::StartSlot => "a start slot".to_owned(),
            Prerequisite::Process { name, condition, state, retry } => {
                let on = condition.of(name);
                match retry {
                    Some((number, of, at)) => {
                        let retry = RetryNumber { number: *number, of: *of };
                        format!("{on} ({state}, {retry} in {} s)", seconds_left(Some(*at), now))
                    }
                    None => format!("{on} ({state})"),
                }
            }
            Prerequisite::Outside { condition, detail: Some(detail) } => format!("{condition} ({detail})"),
            Prerequisite::Outside { condition, detail: None } => condition.to_string(),
        }
    }
}

/// What there is to tell a person about a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// It has never run.
    NotStarted,
    /// Somebody stopped it.
    Stopped,
    /// It ended by itself.
    Exited {
        /// How, and after how many milliseconds; `None` where that is not known.
        end: Option<(Exit, u64)>,
        /// When it is started again.
        restart: Option<Upcoming>,
    },
    /// It was given up.
    Fatal {
        /// Why.
        failure: Arc<Failure>,
        /// What was tried, where that was more than once.
        after: Option<Tries>,
        /// When it is tried again all the same.
        retry: Option<Upcoming>,
        /// The last attempt got as far as a process, whose last words may tell why.
        has_run: bool,
        /// It ended with success, but before it had lived for so many seconds.
        #[serde(default)]
        early: Option<u32>,
    },
    /// It waits for a retry.
    Backoff {
        /// Why the attempt before failed.
        failure: Arc<Failure>,
        /// The number of the retry, from 1, and how many may follow one another; `None`: it does not count, because the
        /// daemon was short of something.
        number: Option<(u32, u32)>,
        /// When it comes.
        retry: Upcoming,
        /// The last attempt got as far as a process, whose last words may tell why.
        has_run: bool,
        /// It ended with success, but before it had lived for so many seconds.
        #[serde(default)]
        early: Option<u32>,
    },
    /// It waits for others before it starts.
    Waiting {
        /// The first of them.
        on: Vec<Prerequisite>,
        /// How many more there are.
        more: usize,
    },
    /// Its `pre_start` runs.
    Preparing,
    /// It is about to be executed.
    Spawning,
    /// It is a oneshot that has done what it is for, and is up until its `stop_command` has run.
    Up {
        /// How it ended.
        exit: Exit,
        /// After how many milliseconds.
        age_ms: u64,
    },
    /// A oneshot that has done what it is for.
    Completed {
        /// How it ended.
        exit: Exit,
        /// After how many milliseconds.
        age_ms: u64,
    },
    /// A oneshot that runs and may not do so for ever.
    Completing {
        /// Its process.
        pid: i32,
        /// When that was spawned.
        started: Moment,
        /// When it is given up.
        give_up_at: Moment,
    },
    /// It runs, and is to put itself into the background.
    Forking {
        /// The process that was spawned.
        pid: i32,
        /// When that was.
        started: Moment,
        /// When it is given up.
        give_up_at: Option<Moment>,
    },
    /// It has put itself into the background, and its main process is looked for.
    Detached {
        /// What was found last.
        found: Option<NoMain>,
        /// When it is given up.
        give_up_at: Option<Moment>,
    },
    /// It lives, and has not told yet that it is ready.
    Unready {
        /// Its process.
        pid: i32,
        /// When that was spawned.
        started: Moment,
        /// What is waited for.
        sign: ReadySign,
        /// What was found last, or what is looked at, where that is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<Arc<str>>,
        /// When it is given up.
        give_up_at: Option<Moment>,
    },
    /// Its process has not executed the program yet.
    ExecPending {
        /// Its process.
        pid: i32,
        /// When that was spawned.
        started: Moment,
    },
    /// It lives.
    Alive {
        /// Its process.
        pid: i32,
        /// When that was spawned.
        started: Moment,
        /// What the last try has found whether it is still ready, if it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unready: Option<Arc<str>>,
    },
    /// It lives, but its health checks fail.
    Unhealthy {
        /// Its process.
        pid: i32,
        /// What the last check found.
        message: Arc<str>,
    },
    /// It lives, but its watchdog has missed it.
    Missed {
        /// Its process.
        pid: i32,
        /// Why.
        miss: WatchdogMiss,
    },
    /// It is on its way out.
    Stopping {
        /// Its leader has ended; the one whose process group is waited for.
        remains_of: Option<i32>,
        /// The next signal before SIGKILL, and when it follows.
        next: Option<(u8, Moment)>,
        /// When SIGKILL follows.
        kill_at: Option<Moment>,
        /// SIGKILL was sent.
        killed: bool,
    },
}

impl Condition {
    /// What is waited for before the start: the first few, and how many more.
    pub fn awaited(&self) -> (&[Prerequisite], usize) {
        if let Condition::Waiting { on, more } = self { (on, *more) } else { (&[], 0) }
    }

    /// One line that a person can act on: `pid 12, uptime 0:05`, `exit code 3 after 0.2 s, retry 2 of 3 in 2 s`,
    /// `cannot execute /x/y: No such file or directory`, `stopping, SIGKILL in 7 s`.
    ///
    /// The last words of the run that has just ended are appended where the line tells of a failed end, which they
    /// probably explain.
    pub fn describe(&self, now: Moment, last_words: Option<&LastWords>) -> String {
        let line = self.line(now);
        match last_words {
            Some(said) if !said.is_empty() && self.is_failed_end() => format!("{line}: {said}"),
            Some(_) | None => line,
        }
    }

    /// It tells of an end that the last output of the run may explain.
    fn is_failed_end(&self) -> bool {
        match self {
            Condition::Exited { .. } => true,
            Condition::Fatal { has_run, .. } | Condition::Backoff { number: Some(_), has_run, .. } => *has_run,
            Condition::NotStarted
            | Condition::Stopped
            | Condition::Backoff { number: None, .. }
            | Condition::Waiting { .. }
            | Condition::Completed { .. }
            | Condition::Up { .. }
            | Condition::Completing { .. }
            | Condition::Unready { .. }
            | Condition::Preparing
            | Condition::Spawning
            | Condition::ExecPending { .. }
            | Condition::Alive { .. }
            | Condition::Unhealthy { .. }
            | Condition::Forking { .. }
            | Condition::Detached { .. }
            | Condition::Missed { .. }
            | Condition::Stopping { .. } => false,
        }
    }

    /// The line without the last output.
    fn line(&self, now: Moment) -> String {
        match self {
            Condition::NotStarted => "not started".to_owned(),
            Condition::Stopped => "stopped by request".to_owned(),
            Condition::Exited { end, restart } => exited(*end, *restart, now),
            Condition::Fatal { failure, after, retry, has_run: _, early } => {
                let failure = format!("{failure}{}", too_early(*early));
                fatal(failure, after.as_ref(), *retry, now)
            }
            Condition::Backoff { failure, number: Some((number, of)), retry, has_run: _, early } => {
                let number = RetryNumber { number: *number, of: *of };
                format!("{failure}{}, {number} {}", too_early(*early), retry.text(now))
            }
            Condition::Backoff { failure, number: None, retry, has_run: _, early: _ } => {
                format!("{failure}; the daemon tries again {}", retry.text(now))
            }
            Condition::Waiting { on, more } => waiting(on, *more, now),
            Condition::Completed { exit, age_ms } => completed(*exit, *age_ms),
            Condition::Up { exit, age_ms } => format!("up, {}", completed(*exit, *age_ms)),
            Condition::Preparing => "not executed yet".to_owned(),
            Condition::Spawning => "about to be executed".to_owned(),
            Condition::ExecPending { pid, started } => {
                let age = clock(now.saturating_duration_since(*started));
                format!(
                    "pid {pid} has not executed the program for {age}: does the file system of that, its interpreter \
                     or its directory answer?"
                )
            }
            Condition::Completing { pid, started, give_up_at } => {
                let left = seconds_left(Some(*give_up_at), now);
                format!("{}, has to complete within {left} s", uptime(*pid, *started, now))
            }
            Condition::Unready { pid, started, sign, detail, give_up_at } => {
                let line = format!("{}, waits for {}", uptime(*pid, *started, now), sign.with(detail.as_deref()));
                at_most(line, *give_up_at, now)
            }
            Condition::Alive { pid, started, unready: None } => uptime(*pid, *started, now),
            Condition::Alive { pid, started, unready: Some(found) } => {
                format!("{}; not ready: {found}", uptime(*pid, *started, now))
            }
            Condition::Unhealthy { pid, message } => format!("pid {pid}, unhealthy: {message}"),
            Condition::Missed { pid, miss } => format!("pid {pid}, unhealthy: {miss}"),
            Condition::Forking { pid, started, give_up_at } => {
                let line = format!("{}, is to put itself into the background", uptime(*pid, *started, now));
                at_most(line, *give_up_at, now)
            }
            Condition::Detached { found, give_up_at } => {
                let found = found.as_ref().map_or_else(String::new, |found| format!(" ({found})"));
                at_most(format!("in the background, waits for its pidfile{found}"), *give_up_at, now)
            }
            Condition::Stopping { remains_of, next, kill_at, killed } => {
                let mut line = stopping(*remains_of, *killed);
                let later = kill_at.map(|at| (SIGKILL, at));
                for (signal, at) in [*next, later].into_iter().flatten() {
                    line.push_str(&format!(", {} in {} s", signal_text(signal), seconds_left(Some(at), now)));
                }
                line
            }
        }
    }
}

fn exited(end: Option<(Exit, u64)>, restart: Option<Upcoming>, now: Moment) -> String {
    let end =
        end.map_or_else(String::new, |(exit, age_ms)| format!("{exit} after {}", span(Duration::from_millis(age_ms))));
    match restart {
        Some(restart) => format!("{end}, restart {}", restart.text(now)),
        None => end,
    }
}

fn fatal(mut line: String, after: Option<&Tries>, retry: Option<Upcoming>, now: Moment) -> String {
    if let Some(after) = after {
        line.push_str(&format!(", gave up after {after}"));
    }
    if let Some(retry) = retry {
        line.push_str(&format!(", another attempt {}", retry.text(now)));
    }
    line
}

fn uptime(pid: i32, started: Moment, now: Moment) -> String {
    format!("pid {pid}, uptime {}", clock(now.saturating_duration_since(started)))
}

/// With the time that is left.
fn at_most(line: String, give_up_at: Option<Moment>, now: Moment) -> String {
    match give_up_at {
        Some(at) => format!("{line}, {} s more at most", seconds_left(Some(at), now)),
        None => line,
    }
}

fn waiting(on: &[Prerequisite], more: usize, now: Moment) -> String {
    let each: Vec<String> = on.iter().map(|awaited| awaited.text(now)).collect();
    match (each.is_empty(), more) {
        (true, _) => "waiting".to_owned(),
        (false, 0) => format!("waiting for {}", each.join(", ")),
        (false, more) => format!("waiting for {} and {more} more", each.join(", ")),
    }
}

fn stopping(remains_of: Option<i32>, killed: bool) -> String {
    let who = match remains_of {
        None => String::new(),
        Some(pid) => format!(" what pid {pid} left of its process group"),
    };
    match killed {
        true => format!("stopping{who}, SIGKILL was sent but it has not ended yet"),
        false => format!("stopping{who}"),
    }
}

impl Machine {
    /// What there is to tell about it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use supervice::models::ProgramConfig;
    /// use supervice::internals::{Machine, Moment};
    ///
    /// let machine = Machine::new(Arc::new(ProgramConfig::new("web", "/usr/bin/web")));
    /// assert_eq!(machine.condition().describe(Moment::from_nanos(1), None), "not started");
    /// ```
    pub fn condition(&self) -> Condition {
        let has_run = |failure: &Failure| self.spawn_error.is_none() && failure.of_hook().is_none();
        match &self.phase {
            Phase::Stopped if self.last_run.is_none() && self.spawn_error.is_none() => Condition::NotStarted,
            Phase::Stopped => Condition::Stopped,
            Phase::Exited { restart_at, remains } => match &self.last_run {
                Some(last) if last.completed => Condition::Completed { exit: last.exit, age_ms: last.age_ms() },
                last => Condition::Exited {
                    end: last.as_ref().map(|last| (last.exit, last.age_ms())),
                    restart: restart_at.map(|at| upcoming(at, remains.as_ref())),
                },
            },
            Phase::Fatal { failure, after, retry_at, remains } => Condition::Fatal {
                failure: failure.clone(),
                after: *after,
                retry: retry_at.map(|at| upcoming(at, remains.as_ref())),
                has_run: has_run(failure),
                early: self.early_end(failure),
            },
            Phase::Backoff { retry: Retry { number, at, failure }, remains } => Condition::Backoff {
                failure: failure.clone(),
                number: number.map(|number| (number, self.config.startretries)),
                retry: upcoming(*at, remains.as_ref()),
                has_run: has_run(failure),
                early: self.early_end(failure),
            },
            // Whom it waits for, the shell knows.
            Phase::Waiting { .. } => Condition::Waiting { on: Vec::new(), more: 0 },
            Phase::PreStart { .. } => Condition::Preparing,
            Phase::Spawning { .. } => Condition::Spawning,
            Phase::Up { .. } => match &self.last_run {
                Some(last) => Condition::Up { exit: last.exit, age_ms: last.age_ms() },
                None => Condition::Exited { end: None, restart: None },
            },
            Phase::Starting { run, startup } => starting(run, startup),
            Phase::Running { run, .. } => {
                Condition::Alive { pid: run.pid, started: run.started, unready: run.unready().cloned() }
            }
            Phase::Unhealthy { run, checks, fault } => match run.watchdog_miss() {
                Some(miss) => Condition::Missed { pid: run.pid, miss },
                None => {
                    let failing = checks.as_ref().filter(|checks| checks.failures > 0);
                    let message = match (failing, fault) {
                        (None, Some(fault)) => fault.to_string().into(),
                        (Some(_), _) | (None, None) => {
                            checks.as_ref().map(|checks| Arc::clone(&checks.message)).unwrap_or_default()
                        }
                    };
                    Condition::Unhealthy { pid: run.pid, message }
                }
            },
            Phase::Stopping { leader, group, .. } => Condition::Stopping {
                remains_of: match leader {
                    LeaderState::Alive => None,
                    LeaderState::Gone => Some(group.run.pid),
                },
                next: group.next_signal(),
                kill_at: group.kill_at(),
                killed: matches!(group.progress, StopProgress::Killing { .. }),
            },
            Phase::Ending { .. } => Condition::Stopping { remains_of: None, next: None, kill_at: None, killed: false },
        }
    }
}

impl Machine {
    /// Of a failed attempt that looks like a success: for how many seconds it was to live.
    fn early_end(&self, failure: &Failure) -> Option<u32> {
        let Failure::Exited { exit, age_ms } = failure else { return None };
        let startsecs = self.config.startsecs;
        (self.is_success(*exit) && *age_ms < u64::from(startsecs) * 1000).then_some(startsecs)
    }
}

fn too_early(startsecs: Option<u32>) -> String {
    startsecs.map_or_else(String::new, |startsecs| format!(", too early (startsecs = {startsecs})"))
}

fn starting(run: &Run, startup: &Startup) -> Condition {
    let (pid, started) = (run.pid, run.started);
    let unready = |sign, give_up_at, checks| {
        let detail = run.unready_detail(checks);
        Condition::Unready { pid, started, sign, detail, give_up_at }
    };
    match startup {
        Startup::Completion { give_up_at: Some(at) } => Condition::Completing { pid, started, give_up_at: *at },
        Startup::Forking { give_up_at } => Condition::Forking { pid, started, give_up_at: *give_up_at },
        Startup::Detached { search } => Condition::Detached { found: search.found, give_up_at: search.give_up_at },
        Startup::Exec => Condition::ExecPending { pid, started },
        Startup::Completion { give_up_at: None } | Startup::Alive { .. } => {
            Condition::Alive { pid, started, unready: None }
        }
        Startup::Ready { sign, give_up_at } => unready(*sign, *give_up_at, None),
        Startup::Lost { give_up_at } => unready(ReadySign::Fd, *give_up_at, None),
        Startup::Healthy { checks, give_up_at } => unready(ReadySign::Health, *give_up_at, Some(checks.as_ref())),
    }
}

fn upcoming(at: Moment, remains: Option<&Remains>) -> Upcoming {
    let (after_group, after_hook) = match remains {
        Some(Remains::Group(group)) => (Some(group.run.pid), false),
        Some(Remains::PostStop { .. }) => (None, true),
        None => (None, false),
    };
    Upcoming { at, after_group, after_hook }
}

/// Whole seconds until a moment, rounded up; 0 when it has passed.
fn seconds_left(at: Due, now: Moment) -> u64 {
    let left = at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
