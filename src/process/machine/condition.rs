//! [`Condition`]: what there is to tell a person about a process, as data; worded where it is shown.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::cause::{Failure, Tries, completed};
use super::super::last_words::LastWords;
use super::super::moment::Moment;
use super::super::readiness::ReadySign;
use super::super::span::{clock, span};
use super::super::state::{Exit, ProcessState, signal_text};
use super::Machine;
use super::due::Due;
use super::phase::{Group, Leader, Phase, Retry, Run, StopStage};
use super::startup::Startup;

const SIGKILL: u8 = 9;

/// When something happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// At this moment at the earliest.
    pub at: Moment,
    /// Not before nothing is left of the process group of this leader.
    pub after_group: Option<i32>,
}

impl Upcoming {
    fn text(self, now: Moment) -> String {
        match (self.after_group, seconds_left(Some(self.at), now)) {
            (Some(pid), 0) => format!("when the process group of pid {pid} has gone"),
            (Some(_) | None, seconds) => format!("in {seconds} s"),
        }
    }
}

/// Something that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The process, and its condition as it is written.
    pub on: Box<str>,
    /// Its state.
    pub state: ProcessState,
    /// In `BACKOFF`: the number of the retry, how many there may be, and when it comes.
    pub retry: Option<(u32, u32, Moment)>,
}

impl Awaited {
    /// `db (BACKOFF, retry 2 of 3 in 4 s)`
    fn text(&self, now: Moment) -> String {
        let Awaited { on, state, retry } = self;
        match retry {
            Some((number, of, at)) => {
                format!("{on} ({state}, retry {number} of {of} in {} s)", seconds_left(Some(*at), now))
            }
            None => format!("{on} ({state})"),
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
        /// The last attempt got as far as a process, whose last words may tell why.
        has_run: bool,
    },
    /// It waits for a retry.
    Backoff {
        /// Why the attempt before failed.
        failure: Arc<Failure>,
        /// The number of the retry, from 1.
        number: u32,
        /// So many may follow one another.
        of: u32,
        /// When it comes.
        retry: Upcoming,
        /// The last attempt got as far as a process, whose last words may tell why.
        has_run: bool,
    },
    /// It waits for others before it starts.
    Waiting {
        /// The first of them.
        on: Vec<Awaited>,
        /// So many more.
        more: usize,
    },
    /// It is about to be executed.
    Spawning,
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
    /// It lives, and has not told yet that it is ready.
    Unready {
        /// Its process.
        pid: i32,
        /// When that was spawned.
        started: Moment,
        /// What is waited for.
        sign: ReadySign,
        /// When it is given up.
        give_up_at: Option<Moment>,
    },
    /// It lives.
    Alive {
        /// Its process.
        pid: i32,
        /// When that was spawned.
        started: Moment,
    },
    /// It lives, but its health checks fail.
    Unhealthy {
        /// Its process.
        pid: i32,
        /// What the last check found.
        message: Arc<str>,
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
    /// One line that a person can act on: `pid 12, uptime 0:05`, `exit code 3 after 0.2 s, retry 2 of 3 in 2 s`, `cannot
    /// execute /x/y: No such file or directory`, `stopping, SIGKILL in 7 s`.
    ///
    /// The last words of the run that has just ended are appended where the line tells of a failed end, which they probably
    /// explain.
    pub fn describe(&self, now: Moment, last_words: Option<&LastWords>) -> String {
        let (line, ended_badly) = match self {
            Condition::NotStarted => return "not started".to_owned(),
            Condition::Stopped => return "stopped by request".to_owned(),
            Condition::Exited { end, restart } => {
                let end = end.map_or_else(String::new, |(exit, age_ms)| {
                    format!("{exit} after {}", span(Duration::from_millis(age_ms)))
                });
                let line = match restart {
                    Some(restart) => format!("{end}, restart {}", restart.text(now)),
                    None => end,
                };
                (line, true)
            }
            Condition::Fatal { failure, after, has_run } => {
                let line = match after {
                    None => failure.to_string(),
                    Some(after) => format!("{failure}, gave up after {after}"),
                };
                (line, *has_run)
            }
            Condition::Backoff { failure, number, of, retry, has_run } => {
                (format!("{failure}, retry {number} of {of} {}", retry.text(now)), *has_run)
            }
            Condition::Waiting { on, more } => return waiting(on, *more, now),
            Condition::Completed { exit, age_ms } => return completed(*exit, *age_ms),
            Condition::Completing { pid, started, give_up_at } => {
                let uptime = clock(now.saturating_duration_since(*started));
                let left = seconds_left(Some(*give_up_at), now);
                return format!("pid {pid}, uptime {uptime}, has to complete within {left} s");
            }
            Condition::Unready { pid, started, sign, give_up_at } => {
                let uptime = clock(now.saturating_duration_since(*started));
                let line = format!("pid {pid}, uptime {uptime}, waits for {sign}");
                return match give_up_at {
                    Some(at) => format!("{line}, {} s more at most", seconds_left(Some(*at), now)),
                    None => line,
                };
            }
            Condition::Spawning => return "about to be executed".to_owned(),
            Condition::Alive { pid, started } => {
                return format!("pid {pid}, uptime {}", clock(now.saturating_duration_since(*started)));
            }
            Condition::Unhealthy { pid, message } => return format!("pid {pid}, unhealthy: {message}"),
            Condition::Stopping { remains_of, next, kill_at, killed } => {
                let mut line = stopping(*remains_of, *killed);
                let later = kill_at.map(|at| (SIGKILL, at));
                for (signal, at) in [*next, later].into_iter().flatten() {
                    line.push_str(&format!(", {} in {} s", signal_text(signal), seconds_left(Some(at), now)));
                }
                return line;
            }
        };
        match last_words {
            Some(said) if !said.is_empty() && ended_badly => format!("{line}: {said}"),
            Some(_) | None => line,
        }
    }
}

fn waiting(on: &[Awaited], more: usize, now: Moment) -> String {
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
        let has_run = self.spawn_error.is_none();
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
            Phase::Fatal { failure, after, .. } => {
                Condition::Fatal { failure: failure.clone(), after: *after, has_run }
            }
            Phase::Backoff { retry: Retry { number, at, failure }, remains } => Condition::Backoff {
                failure: failure.clone(),
                number: *number,
                of: self.config.startretries,
                retry: upcoming(*at, remains.as_ref()),
                has_run,
            },
            // Whom it waits for, the shell knows.
            Phase::Waiting => Condition::Waiting { on: Vec::new(), more: 0 },
            Phase::Spawning { .. } => Condition::Spawning,
            Phase::Starting { run, startup } => starting(run, startup),
            Phase::Running { run, .. } => Condition::Alive { pid: run.pid, started: run.started },
            Phase::Unhealthy { run, checks } => Condition::Unhealthy { pid: run.pid, message: checks.message.clone() },
            Phase::Stopping { leader, group, .. } => Condition::Stopping {
                remains_of: match leader {
                    Leader::Alive => None,
                    Leader::Gone => Some(group.run.pid),
                },
                next: group.next_signal(),
                kill_at: group.kill_at(),
                killed: matches!(group.stage, StopStage::Killing { .. }),
            },
        }
    }
}

fn starting(run: &Run, startup: &Startup) -> Condition {
    let (pid, started) = (run.pid, run.started);
    let unready = |sign, give_up_at| Condition::Unready { pid, started, sign, give_up_at };
    match startup {
        Startup::Completion { give_up_at: Some(at) } => Condition::Completing { pid, started, give_up_at: *at },
        Startup::Completion { give_up_at: None } | Startup::Alive { .. } => Condition::Alive { pid, started },
        Startup::Ready { sign, give_up_at } => unready(*sign, *give_up_at),
        Startup::Lost { give_up_at } => unready(ReadySign::Fd, *give_up_at),
        Startup::Healthy { give_up_at, .. } => unready(ReadySign::Health, *give_up_at),
    }
}

fn upcoming(at: Moment, remains: Option<&Group>) -> Upcoming {
    Upcoming { at, after_group: remains.map(|group| group.run.pid) }
}

/// Whole seconds until a moment, rounded up; 0 when it has passed.
fn seconds_left(at: Due, now: Moment) -> u64 {
    let left = at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
