//! One line about a process that a person can act on.

use std::time::Duration;

use super::super::moment::Moment;
use super::super::span::{clock, span};
use super::Machine;
use super::phase::{Due, Group, Hunt, Leader, Phase, Retry, Run};

impl Machine {
    /// One line that a person can act on: `pid 12, uptime 0:05`, `exit code 3 after 0.2 s, retry 2 of 3
    /// in 2 s`, `cannot execute /x/y: No such file or directory`, `stopping, SIGKILL in 7 s`.
    ///
    /// `last_line` is the last line that the run which has just ended wrote to its standard error; it is
    /// appended where the line tells of a failed end, which it probably explains.
    ///
    /// ```
    /// use std::{sync::Arc, time::Moment};
    /// use supervice::{models::ProgramConfig, process::Machine};
    ///
    /// let machine = Machine::new(Arc::new(ProgramConfig::new("web", "/usr/bin/web")));
    /// assert_eq!(machine.describe(crate::sys::time::now(), None), "not started");
    /// ```
    pub fn describe(&self, now: Moment, last_line: Option<&str>) -> String {
        let line = match &self.phase {
            Phase::Stopped if self.last_run.is_none() && self.spawn_error.is_none() => "not started".to_owned(),
            Phase::Stopped => "stopped by request".to_owned(),
            Phase::Exited { restart_at, remains } => {
                let end = self.last_end();
                let next = restart_at.map(|at| format!("restart {}", when(at, remains.as_ref(), now)));
                joined(&end, next.as_deref())
            }
            Phase::Fatal { reason, .. } => reason.clone().into_string(),
            Phase::Backoff { retry: Retry { number, at, reason }, remains } => {
                let retries = self.config.startretries;
                format!("{reason}, retry {number} of {retries} {}", when(*at, remains.as_ref(), now))
            }
            Phase::Spawning { .. } => return "about to be executed".to_owned(),
            Phase::Starting { run, .. } | Phase::Running { run, .. } => return alive(run, now),
            Phase::Unhealthy { run, checks } => return format!("pid {}, unhealthy: {}", run.pid, checks.message),
            Phase::Stopping { leader, group, .. } => return stopping(*leader, group, now),
        };
        match last_line {
            Some(said) if !said.is_empty() && self.ended_badly() => format!("{line}: {said}"),
            Some(_) | None => line,
        }
    }

    fn last_end(&self) -> String {
        match &self.last_run {
            Some(last) => format!("{} after {}", last.exit, span(last.ended.saturating_duration_since(last.started))),
            None => String::new(),
        }
    }

    /// Whether the state is due to the end of a run, whose last words may tell why.
    fn ended_badly(&self) -> bool {
        match &self.phase {
            Phase::Exited { .. } | Phase::Backoff { .. } | Phase::Fatal { .. } => self.spawn_error.is_none(),
            Phase::Stopped
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => false,
        }
    }
}

fn alive(run: &Run, now: Moment) -> String {
    format!("pid {}, uptime {}", run.pid, clock(run.age(now)))
}

fn stopping(leader: Leader, group: &Group, now: Moment) -> String {
    let who = match leader {
        Leader::Alive => String::new(),
        Leader::Gone => format!(" what pid {} left of its process group", group.run.pid),
    };
    match group.hunt {
        Hunt::Unseen | Hunt::Told { kill_at: None } => format!("stopping{who}"),
        Hunt::Told { kill_at: Some(at) } => format!("stopping{who}, SIGKILL in {} s", seconds_left(Some(at), now)),
        Hunt::Killed { .. } => format!("stopping{who}, SIGKILL was sent but it has not ended yet"),
    }
}

fn when(at: Moment, remains: Option<&Group>, now: Moment) -> String {
    match (remains, seconds_left(Some(at), now)) {
        (Some(group), 0) => format!("when the process group of pid {} has gone", group.run.pid),
        (Some(_) | None, seconds) => format!("in {seconds} s"),
    }
}

fn joined(first: &str, second: Option<&str>) -> String {
    match second {
        Some(second) => format!("{first}, {second}"),
        None => first.to_owned(),
    }
}

/// Whole seconds until a moment, rounded up; 0 when it has passed.
fn seconds_left(at: Due, now: Moment) -> u64 {
    let left = at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
