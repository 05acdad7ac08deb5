//! The answer to `why`: how a process came to its state, and what comes next.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::held_back::{ChainStep, HeldBack, LastRequest};
use super::next_run::NextRun;
use super::orphan_note::Bystanders;
use super::status::{HistoryRow, RunningHook, of_hooks, paused_text};
use crate::models::{AutoRestart, ExitOn, Hook, OutputTrouble, ProgramConfig};
use crate::process::{
    Condition, Exit, Failure, HookFailure, LastWords, Moment, NotifyState, ProcessState, RetryNumber, signal_text, span,
};
use crate::util::quote::quote_word;

/// How many transitions are shown in sentences.
const SHOWN_TRANSITIONS: usize = 5;

/// What happens next by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// SIGKILL, because it outlives its stop signal.
    Kill,
    /// The next stop signal, because it outlives the one before.
    StopSignal(u8),
    /// SIGKILL once more.
    KillAgain,
    /// SIGKILL for what its leader left of its process group.
    KillRemains,
    /// It counts as running.
    Running,
    /// The end of a start that takes too long.
    GiveUp,
    /// A health check.
    Check,
    /// The answer of the health check that is under way, at the latest.
    CheckAnswer,
    /// Another attempt, which does not count as a retry.
    Attempt,
    /// A look whether it is ready.
    Probe,
    /// The answer of such a look, at the latest.
    ProbeAnswer,
    /// A look at its pid file.
    PidFile,
    /// The end of the patience of its watchdog.
    Watchdog,
    /// A retry.
    Retry {
        /// Its number, from 1.
        number: u32,
        /// How many may follow one another.
        of: u32,
    },
    /// A restart.
    Restart,
}

impl fmt::Display for NextStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NextStep::Kill => f.write_str("SIGKILL"),
            NextStep::StopSignal(signal) => f.write_str(&signal_text(*signal)),
            NextStep::KillAgain => f.write_str("SIGKILL again"),
            NextStep::KillRemains => f.write_str("SIGKILL for what is left of its process group"),
            NextStep::Running => f.write_str("RUNNING, if it is still there"),
            NextStep::GiveUp => f.write_str("its stop signal, if it is not up by then (start_timeout),"),
            NextStep::Check => f.write_str("the next health check"),
            NextStep::CheckAnswer => f.write_str("the answer of the health check that is under way, at the latest"),
            NextStep::Attempt => f.write_str("another attempt"),
            NextStep::Probe => f.write_str("a look whether it is ready"),
            NextStep::ProbeAnswer => f.write_str("the answer whether it is ready, at the latest"),
            NextStep::PidFile => f.write_str("a look at its pidfile"),
            NextStep::Watchdog => f.write_str("its watchdog misses it, unless it tells that it is alive (WATCHDOG=1),"),
            NextStep::Retry { number, of } => RetryNumber { number: *number, of: *of }.fmt(f),
            NextStep::Restart => f.write_str("a restart"),
        }
    }
}

/// The way from a program that can't start, through those that wait as it does, to the one that is to blame. Empty
/// where nothing keeps it from starting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObstacleChain {
    /// Each is what the one before it needs.
    pub steps: Vec<ChainStep>,
    /// How many are left out before the last one.
    pub left_out: usize,
}

impl ObstacleChain {
    /// `web waits for api, which waits for db, which is BACKOFF: exit code 3 after 0.2 s, retry 1 of 3 in 1 s`
    fn text(&self, name: &str, state: ProcessState, now: Moment) -> Option<String> {
        let last = self.steps.last()?;
        let verb = |state: ProcessState| if state == ProcessState::Fatal { "needs" } else { "waits for" };
        let mut text = format!("{name} {}", verb(state));
        for (number, step) in self.steps.iter().enumerate() {
            let is_last = number + 1 == self.steps.len();
            if is_last && self.left_out > 0 {
                text.push_str(&format!(" another, and so on through {} more, to", self.left_out));
            }
            text.push_str(&format!(" {}, which ", step.condition.of(&step.program.name)));
            text.push_str(&match is_last {
                true => format!("is {}: {}", last.state, last.describe(now)),
                false => verb(step.state).to_owned(),
            });
        }
        Some(text)
    }
}

/// The lines of a hook that has failed that are told.
const HOOK_LINES: usize = 10;

/// The command that has failed, and the last lines that it wrote.
fn of_hook_failure(failure: &HookFailure) -> Vec<String> {
    let all: Vec<&str> = failure.end.lines().collect();
    let last = all.get(all.len().saturating_sub(HOOK_LINES)..).unwrap_or_default();
    let wrote = if last.is_empty() { "." } else { "; it wrote last:" };
    let mut lines = vec![format!("The command of its {} that failed was {}{wrote}", failure.hook, failure.command)];
    lines.extend(last.iter().map(|line| format!("  {line}")));
    lines
}

/// Nothing else happens before this hook has ended.
fn precedes_what_follows(hook: Hook) -> bool {
    match hook {
        Hook::PreStart | Hook::PostStop => true,
        Hook::PostStart | Hook::StopCommand | Hook::ReloadCommand | Hook::OnState | Hook::OnFatal => false,
    }
}

/// Everything that there is to tell about how a process came to its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// Its settings.
    pub program: Arc<ProgramConfig>,
    /// The present moment.
    pub now: Moment,
    /// Its state.
    pub state: ProcessState,
    /// What a person is told of it.
    pub condition: Condition,
    /// The hook of it that runs.
    pub hook: Option<RunningHook>,
    /// The hook of its present run that has failed last.
    pub hook_failure: Option<Arc<HookFailure>>,
    /// What the run that has just ended said last.
    pub last_words: Option<LastWords>,
    /// The worst that is wrong with its output, while something is.
    pub output_trouble: Option<OutputTrouble>,
    /// What runs beside it that an earlier daemon has left, or may have left.
    pub bystanders: Option<Bystanders>,
    /// Its process, where one lives.
    pub pid: Option<i32>,
    /// Its main process is stopped by this signal (SIGSTOP and the like). Looked up when somebody asks; the engine does
    /// not know it.
    pub paused: Option<u8>,
    /// It is paused by request.
    pub pause_requested: bool,
    /// When it came into its state.
    pub since: Option<Moment>,
    /// Its last transitions, oldest first.
    pub history: Vec<HistoryRow>,
    /// What was last asked for.
    pub last_request: Option<LastRequest>,
    /// Starts without an operator since the last operator's start.
    pub restarts: u64,
    /// Whether its last health check passed, and what it found.
    pub health: Option<(bool, Box<str>)>,
    /// It runs with other settings than the configuration has by now.
    pub config_changed: bool,
    /// How its last run ended.
    pub last_exit: Option<Exit>,
    /// It is a oneshot, and has done what it is for.
    pub completed: bool,
    /// A command that waits until others have gone.
    pub held: Option<HeldBack>,
    /// What is to blame where it can't start yet.
    pub chain: ObstacleChain,
    /// What it has told of itself.
    pub notify_state: Option<Box<NotifyState>>,
    /// What happens next by itself, and when.
    pub next: Option<(NextStep, Moment)>,
    /// When its schedule starts it; `None`: it has none.
    pub next_run: Option<NextRun>,
    /// The last lines of its standard error (its standard output where both are one).
    pub last_output: Vec<String>,
}

impl Why {
    /// Sentences for people, in the order in which they are to be read.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.present()];
        let chain = self.chain.text(&self.program.name, self.state, self.now);
        lines.extend(chain.map(|text| format!("{text}.")));
        lines.extend(self.held.as_ref().map(|held| held.text(self.now)));
        lines.extend(self.past());
        lines.extend(self.last_request());
        lines.extend(self.circumstances());
        lines.extend(self.schedule());
        if !self.awaits_schedule() {
            lines.push(self.future());
        }
        lines
    }

    fn since(&self, at: Moment) -> String {
        span(self.now.saturating_duration_since(at))
    }

    fn present(&self) -> String {
        let (name, state) = (&self.program.name, self.state);
        let mut description = self.condition.describe(self.now, self.last_words.as_ref());
        if let Some(hook) = of_hooks(&self.condition, self.hook, self.hook_failure.as_deref()) {
            description.push_str(&format!("; {hook}"));
        }
        if let Some(signal) = self.paused {
            description.push_str(&paused_text(signal, self.pause_requested));
        }
        if let Some(state) = &self.notify_state {
            description.push_str(&state.describe(self.now));
        }
        if let Some(trouble) = &self.output_trouble {
            description = format!("{description}; {}", trouble.describe("output"));
        }
        if let Some(bystanders) = &self.bystanders {
            description = format!("{description}; {bystanders}");
        }
        match self.since {
            Some(since) => format!("{name} has been {state} for {}: {description}.", self.since(since)),
            None => format!("{name} is {state}: {description}."),
        }
    }

    /// The last transitions, oldest first.
    fn past(&self) -> impl Iterator<Item = String> {
        let skip = self.history.len().saturating_sub(SHOWN_TRANSITIONS);
        self.history.iter().skip(skip).map(|HistoryRow { at, from, to, pid, cause, .. }| {
            let ago = self.since(*at);
            let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            if from == to {
                format!("{ago} ago, while {to}{who}: {cause}.")
            } else {
                format!("{ago} ago: from {from} to {to}{who}: {cause}.")
            }
        })
    }

    /// What was last asked for, where the transitions that followed have pushed it out of the history.
    fn last_request(&self) -> Option<String> {
        let LastRequest { verb, by, at } = self.last_request.as_ref()?;
        let is_it = |row: &HistoryRow| row.cause.request() == Some((*verb, by));
        let told = self.history.iter().rev().take(SHOWN_TRANSITIONS).any(is_it);
        (!told).then(|| format!("Last asked for, {} ago: {verb} requested {by}.", self.since(*at)))
    }

    /// What else is worth knowing.
    fn circumstances(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.restarts {
            0 => {}
            1 => lines.push("It was started again by the daemon once since it was last asked for.".to_owned()),
            times => {
                lines.push(format!("It was started again by the daemon {times} times since it was last asked for."));
            }
        }
        if let Some((healthy, message)) = &self.health {
            let how = if *healthy { "passed" } else { "failed" };
            lines.push(format!("Its last health check {how}: {message}."));
        }
        lines.extend(self.early_end());
        lines.extend(self.hook_failure.as_deref().into_iter().flat_map(of_hook_failure));
        lines.extend(self.notify_state.as_ref().and_then(|notify| notify.refusals()));
        if self.config_changed {
            lines.push("Its configuration has changed since it was started; a restart applies it.".to_owned());
        }
        lines
    }

    /// It is down, and its schedule tells what comes next.
    fn awaits_schedule(&self) -> bool {
        let is_known = self.next_run.is_some_and(|next| next.at.is_some());
        is_known && self.state.is_down() && self.next.is_none() && self.hook.is_none()
    }

    /// `By its schedule (0 3 * * *): next 03:00:00 (in 5 h 12 min).`
    fn schedule(&self) -> Option<String> {
        let config = &self.program.schedule;
        let next = self.next_run.as_ref()?.describe(self.now, config.timezone.as_deref());
        let times: Vec<String> = config.times.iter().map(ToString::to_string).collect();
        Some(format!("By its schedule ({}): {next}.", times.join("; ")))
    }

    fn future(&self) -> String {
        if let Some(held) = &self.held {
            return format!("Next: it is {} as soon as these have gone.", held.act.done().to_lowercase());
        }
        if let Some((step, at)) = &self.next {
            let left = span(at.checked_duration_since(self.now).unwrap_or(Duration::ZERO));
            let has_its_own =
                matches!(step, NextStep::CheckAnswer | NextStep::ProbeAnswer | NextStep::GiveUp | NextStep::Watchdog);
            let comma = if has_its_own { "" } else { "," };
            return format!("Next: {step}{comma} in {left}.");
        }
        let word = quote_word(&self.program.name);
        if let Some(hook) = self.hook.filter(|hook| precedes_what_follows(hook.hook)) {
            return format!("Next: what follows, when its {} has ended.", hook.hook);
        }
        match &self.condition {
            Condition::Up { .. } => {
                return format!("Nothing is due: it is up until it is stopped: supervicectl stop {word}");
            }
            Condition::Waiting { .. } => return "Next: it starts as soon as that holds.".to_owned(),
            Condition::Fatal { failure, .. } => {
                if let Failure::DependencyLost { on, state: None } = failure.as_ref() {
                    return format!("Next: it starts by itself when {on} is there, and has got there.");
                }
                if let Failure::DependencyLost { on, state: Some(_) } = failure.as_ref() {
                    if let Some(step) = self.chain.steps.last().filter(|step| step.disabled) {
                        let disabled = &step.program.name;
                        return format!(
                            "Next: it starts by itself as soon as {on} is as required. {disabled} is disabled: supervicectl enable {0}, or start {0}",
                            quote_word(disabled)
                        );
                    }
                    return format!(
                        "Next: it starts by itself as soon as {on} is as required. Try both now: supervicectl start {word}"
                    );
                }
            }
            // What is left to tell hangs on the state alone.
            Condition::NotStarted
            | Condition::Stopped
            | Condition::Exited { .. }
            | Condition::Backoff { .. }
            | Condition::Preparing
            | Condition::Spawning
            | Condition::Completed { .. }
            | Condition::Completing { .. }
            | Condition::Forking { .. }
            | Condition::Detached { .. }
            | Condition::ExecPending { .. }
            | Condition::Alive { .. }
            | Condition::Unready { .. }
            | Condition::Unhealthy { .. }
            | Condition::Missed { .. }
            | Condition::Stopping { .. } => {}
        }
        match self.state {
            ProcessState::Running | ProcessState::Unhealthy => {
                format!("Nothing is due: it runs until it ends{}.", self.after_its_end())
            }
            ProcessState::Exited if self.completed => {
                format!(
                    "Nothing is due: it has done what it is for. Have it done again with: supervicectl start {word}"
                )
            }
            ProcessState::Exited => {
                let settled = self.settled();
                format!("Nothing happens by itself: {settled}. Start it with: supervicectl start {word}")
            }
            ProcessState::Fatal => {
                format!("Nothing happens by itself: it has given up. Once the cause is gone: supervicectl start {word}")
            }
            ProcessState::Stopped => format!("Nothing happens by itself. Start it with: supervicectl start {word}"),
            ProcessState::Starting if self.pid.is_some() => {
                if let Condition::Unready { sign, .. } = &self.condition {
                    return format!("Nothing is due: it waits for {sign}.");
                }
                "Nothing is due: it runs until it has completed.".to_owned()
            }
            ProcessState::Starting | ProcessState::Backoff | ProcessState::Stopping => {
                "Next: as soon as nothing of its process group is left.".to_owned()
            }
        }
    }

    /// What comes after the end of one that runs: behind `it runs until it ends`.
    fn after_its_end(&self) -> String {
        let again = match self.program.autorestart {
            AutoRestart::Always => ", and is then started again",
            AutoRestart::Unexpected => ", and is then started again if that was unexpected",
            AutoRestart::Never => ", and is not started again (autorestart)",
        };
        match (self.program.exit_on, self.program.autorestart) {
            (ExitOn::Never, _) => again.to_owned(),
            (ExitOn::Exit, _) => "; the daemon ends with it (exit_on = exit)".to_owned(),
            (ExitOn::Failure, AutoRestart::Unexpected) => {
                "; if that is a failure, the daemon ends with it (exit_on = failure)".to_owned()
            }
            (ExitOn::Failure, AutoRestart::Always | AutoRestart::Never) => {
                format!("{again}; if that is a failure, the daemon ends with it (exit_on = failure)")
            }
            (ExitOn::Fatal, _) => format!("{again}; if it becomes FATAL, the daemon ends with it (exit_on = fatal)"),
        }
    }

    /// It has ended too early, and nothing else was wrong.
    fn early_end(&self) -> Option<String> {
        let (Condition::Backoff { early: Some(startsecs), .. } | Condition::Fatal { early: Some(startsecs), .. }) =
            &self.condition
        else {
            return None;
        };
        Some(format!(
            "Its end counts as a failed start, because it is to live for {startsecs} s (startsecs); what ends by itself is \
             type = oneshot."
        ))
    }

    /// Why an ended process is not started again.
    fn settled(&self) -> &'static str {
        let is_final = self.last_exit.is_some_and(|exit| self.program.restart.never_after.contains(&exit.into()));
        match (self.program.autorestart, self.last_exit) {
            (AutoRestart::Unexpected | AutoRestart::Always, _) if is_final => {
                "no start follows an end like that (norestart_exitcodes)"
            }
            (AutoRestart::Never, _) => "autorestart is off",
            (AutoRestart::Unexpected, Some(Exit::Code(_))) => "its exit code is among the expected ones (exitcodes)",
            (AutoRestart::Unexpected | AutoRestart::Always, _) => "it is not meant to run",
        }
    }
}
