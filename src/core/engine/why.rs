//! The answer to `why`: how a process came to its state, and what comes next, in sentences.

use std::time::Instant;

use super::super::world::{ProcId, ReplyTo, World};
use super::history::WallClock;
use super::status::describe;
use super::{Engine, Entry};
use crate::config::quote_word;
use crate::models::AutoRestart;
use crate::output::StreamKind;
use crate::process::{Exit, ProcessState, span};
use crate::rpc::protocol::{HistoryItem, NextStep, Why};

/// Transitions that are told in sentences.
const TOLD: usize = 5;

impl Engine {
    /// Tells how the process came to its state. The last lines of its output are added by the output thread.
    pub(super) fn explain(&mut self, now: Instant, id: ProcId, reply: &ReplyTo, world: &mut dyn World) {
        let Some(entry) = self.entries.get(&id) else { return };
        let clock = WallClock::new(now, &*world);
        let history = self.past_of(clock, entry);
        let next = next_step(entry).map(|(what, at)| NextStep { what, at: clock.stamp(at) });
        let mut lines = vec![present(now, entry)];
        lines.extend(past(clock.stamp(now), &history));
        lines.extend(last_order(now, entry, &history));
        lines.extend(circumstances(entry));
        lines.push(future(now, entry));
        let state = entry.machine.state().as_str().to_owned();
        let why = Why { name: entry.name().to_owned(), state, lines, history, stderr: Vec::new(), next };
        let stream = if entry.config().redirect_stderr { StreamKind::Stdout } else { StreamKind::Stderr };
        world.explain(id, stream, why, reply);
    }
}

fn present(now: Instant, entry: &Entry) -> String {
    let (name, state) = (entry.name(), entry.machine.state());
    let description = describe(now, entry);
    match entry.since {
        Some(since) => {
            let long = span(now.saturating_duration_since(since));
            format!("{name} has been {state} for {long}: {description}.")
        }
        None => format!("{name} is {state}: {description}."),
    }
}

/// The last transitions, oldest first.
fn past(now: f64, history: &[HistoryItem]) -> impl Iterator<Item = String> {
    let skip = history.len().saturating_sub(TOLD);
    history.iter().skip(skip).map(move |HistoryItem { time, from_state, to_state, pid, cause, .. }| {
        let ago = span(std::time::Duration::from_secs_f64((now - time).max(0.0)));
        let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        if from_state == to_state {
            format!("{ago} ago, while {to_state}{who}: {cause}.")
        } else {
            format!("{ago} ago: from {from_state} to {to_state}{who}: {cause}.")
        }
    })
}

/// Who has last asked for something, where the transitions that followed have pushed that out of the history.
fn last_order(now: Instant, entry: &Entry, history: &[HistoryItem]) -> Option<String> {
    let (what, at) = entry.asked_for?;
    let cause = format!("{what} {}", entry.asked);
    let told = history.iter().rev().take(TOLD).any(|item| item.cause.starts_with(&cause));
    (!told).then(|| format!("Last asked for, {} ago: {cause}.", span(now.saturating_duration_since(at))))
}

/// What else is worth knowing.
fn circumstances(entry: &Entry) -> Vec<String> {
    let machine = &entry.machine;
    let mut lines = Vec::new();
    match machine.restarts() {
        0 => {}
        1 => lines.push("It was started again by the daemon once since it was last asked for.".to_owned()),
        times => lines.push(format!("It was started again by the daemon {times} times since it was last asked for.")),
    }
    if let (Some(healthy), Some(message)) = (machine.healthy(), machine.health_message()) {
        let how = if healthy { "passed" } else { "failed" };
        lines.push(format!("Its last health check {how}: {message}."));
    }
    if machine.run_config().is_some_and(|run| crate::config::needs_restart(run, entry.config())) {
        lines.push("Its configuration has changed since it was started; a restart applies it.".to_owned());
    }
    lines
}

/// What happens by itself, and when; `None` where nothing does.
fn next_step(entry: &Entry) -> Option<(String, Instant)> {
    let at = entry.machine.poll_timeout()?;
    let what = match entry.machine.state() {
        ProcessState::Stopping if entry.machine.kill_at().is_some() => "SIGKILL".to_owned(),
        ProcessState::Stopping => "SIGKILL again".to_owned(),
        ProcessState::Starting => "RUNNING, if it is still there".to_owned(),
        ProcessState::Running | ProcessState::Unhealthy if entry.machine.is_checking() => {
            "the answer of the health check that is under way, at the latest".to_owned()
        }
        ProcessState::Running | ProcessState::Unhealthy => "the next health check".to_owned(),
        ProcessState::Backoff if entry.machine.has_run() => "SIGKILL for what is left of its process group".to_owned(),
        ProcessState::Backoff => {
            let (number, of, _) = entry.machine.retry()?;
            format!("retry {number} of {of}")
        }
        ProcessState::Exited | ProcessState::Fatal if entry.machine.has_run() => {
            "SIGKILL for what is left of its process group".to_owned()
        }
        ProcessState::Exited | ProcessState::Fatal | ProcessState::Stopped => "a restart".to_owned(),
    };
    Some((what, at))
}

fn future(now: Instant, entry: &Entry) -> String {
    if let Some((what, at)) = next_step(entry) {
        let left = span(at.saturating_duration_since(now));
        let comma = if entry.machine.is_checking() { "" } else { "," };
        return format!("Next: {what}{comma} in {left}.");
    }
    let (word, config) = (quote_word(entry.name()), entry.config());
    match entry.machine.state() {
        ProcessState::Running | ProcessState::Unhealthy => match config.autorestart {
            AutoRestart::Always => "Nothing is due: it runs until it ends, and is then started again.".to_owned(),
            AutoRestart::Unexpected => {
                "Nothing is due: it runs until it ends, and is then started again if that was unexpected.".to_owned()
            }
            AutoRestart::Never => {
                "Nothing is due: it runs until it ends, and is not started again (autorestart).".to_owned()
            }
        },
        ProcessState::Exited => {
            format!("Nothing happens by itself: {}. Start it with: supervicectl start {word}", settled(entry))
        }
        ProcessState::Fatal => {
            format!("Nothing happens by itself: it has given up. Once the cause is gone: supervicectl start {word}")
        }
        ProcessState::Stopped => format!("Nothing happens by itself. Start it with: supervicectl start {word}"),
        ProcessState::Starting | ProcessState::Backoff | ProcessState::Stopping => {
            "Next: as soon as nothing of its process group is left.".to_owned()
        }
    }
}

/// Why an ended process is not started again.
fn settled(entry: &Entry) -> &'static str {
    let code = entry.machine.last_run().map(|run| run.exit);
    match (entry.config().autorestart, code) {
        (AutoRestart::Never, _) => "autorestart is off",
        (AutoRestart::Unexpected, Some(Exit::Code(_))) => "its exit code is among the expected ones (exitcodes)",
        (AutoRestart::Unexpected | AutoRestart::Always, _) => "it is not wanted up",
    }
}
