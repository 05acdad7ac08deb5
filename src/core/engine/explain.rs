//! The facts behind the answer to `why`.

use std::sync::Arc;

use super::{Engine, Entry};
use crate::api::{LastRequest, NextStep, ProcId, Why};
use crate::config::needs_restart;
use crate::process::{Moment, ProcessState};

impl Engine {
    /// How a process came to its state. The last lines of its output are added by the output thread.
    pub(super) fn explain(&self, id: ProcId) -> Option<Why> {
        let entry = self.registry.get(id)?;
        let machine = &entry.machine;
        let health = machine.healthy().zip(machine.health_message());
        Some(Why {
            program: Arc::clone(entry.config()),
            now: self.now,
            state: machine.state(),
            condition: self.condition_of(id, entry),
            last_words: entry.last_words.clone(),
            output_trouble: entry.output_trouble.iter().flatten().next().cloned(),
            pid: machine.pid(),
            paused: None,
            since: entry.since,
            history: entry.history.rows(entry.config()),
            last_request: machine.last_request().map(|(verb, by, at)| LastRequest {
                verb: *verb,
                by: by.clone(),
                at: *at,
            }),
            restarts: machine.restarts(),
            health: health.map(|(healthy, message)| (healthy, message.into())),
            config_changed: machine.run_config().is_some_and(|run| needs_restart(run, entry.config())),
            last_exit: machine.last_run().map(|run| run.exit),
            completed: machine.has_completed(),
            next: next_step(entry),
            last_output: Vec::new(),
        })
    }
}

/// What happens by itself, and when; `None` where nothing does.
fn next_step(entry: &Entry) -> Option<(NextStep, Moment)> {
    let machine = &entry.machine;
    let at = machine.poll_timeout()?;
    let step = match machine.state() {
        ProcessState::Stopping => match (machine.next_stop_signal(), machine.kill_at()) {
            (Some(signal), _) => NextStep::StopSignal(signal),
            (None, Some(_)) => NextStep::Kill,
            (None, None) => NextStep::KillAgain,
        },
        ProcessState::Starting if machine.gives_up() => NextStep::GiveUp,
        ProcessState::Starting if machine.is_checking() => NextStep::CheckAnswer,
        ProcessState::Starting if machine.ready() == Some(false) => NextStep::Check,
        ProcessState::Starting => NextStep::Running,
        ProcessState::Running | ProcessState::Unhealthy if machine.is_checking() => NextStep::CheckAnswer,
        ProcessState::Running | ProcessState::Unhealthy => NextStep::Check,
        ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal if machine.has_run() => {
            NextStep::KillRemains
        }
        ProcessState::Backoff => {
            let (number, of, _) = machine.retry()?;
            NextStep::Retry { number, of }
        }
        ProcessState::Exited | ProcessState::Fatal | ProcessState::Stopped => NextStep::Restart,
    };
    Some((step, at))
}
