//! What is known from outside of a life, and the rules.

use super::{MAX_JUMP, Millis};
use crate::subject::models::{Hook, ProgramConfig, ProgramType, Readiness};
use crate::subject::{Generation, Notification, ProcessState, Transition, WatchdogReport};

const SECOND: Millis = 1_000;
/// What the hooks of an end, one after the other, and three SIGKILLs may take beside the program's own time.
const HOOKS_AND_KILLS: Millis = 3 * 20 * SECOND + 3 * 5 * SECOND;

pub fn ensure(holds: bool, rule: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule()) }
}

/// How many processes of it live, and whether a hook of it runs that is waited for.
type There = (usize, bool);

/// See the [module](self).
#[derive(Debug)]
pub struct Book {
    pub shown: ProcessState,
    /// The present run has another main process than that which was spawned.
    pub in_background: bool,
    /// Its `pre_start` is being run, or was run, for this run.
    prepares: Option<Generation>,
    /// It has succeeded.
    prepared: bool,
    /// Something has begun that a `post_stop` has to clean up.
    owes_clean_up: bool,
    /// It has said so, in this run.
    is_ready: bool,
    /// When it was last heard of by its watchdog, or began to be.
    heard: Millis,
    has_triggered: bool,
    /// An operator has asked for something since the last spawn.
    was_asked: bool,
    last_spawn: Option<Millis>,
    /// A stop that was asked for has to be over by then.
    settles_by: Option<Millis>,
}

impl Default for Book {
    fn default() -> Book {
        Book {
            shown: ProcessState::Stopped,
            in_background: false,
            prepares: None,
            prepared: false,
            owes_clean_up: false,
            is_ready: false,
            heard: 0,
            has_triggered: false,
            was_asked: false,
            last_spawn: None,
            settles_by: None,
        }
    }
}

impl Book {
    /// Somebody asks for something.
    pub fn asked(&mut self, is_stop: bool, config: &ProgramConfig, now: Millis) {
        self.was_asked = true;
        let limit = Millis::from(config.stopwaitsecs) * SECOND + HOOKS_AND_KILLS + 10 * MAX_JUMP;
        match is_stop {
            true => drop(self.settles_by.get_or_insert(now + limit)),
            false => self.settles_by = None,
        }
    }

    pub fn hook_begins(
        &mut self,
        generation: Generation,
        hook: Hook,
        config: &ProgramConfig,
        (alive, has_hook): There,
    ) -> Result<(), String> {
        ensure(!has_hook, || format!("{hook} begins beside a hook"))?;
        match hook {
            Hook::PreStart => {
                ensure(alive == 0, || "it is prepared beside what lives of it".to_owned())?;
                ensure(!self.owes_clean_up, || "it is prepared, but the run before was not cleaned up".to_owned())?;
                (self.prepares, self.prepared) = (Some(generation), false);
                self.owes_clean_up = !config.hooks.post_stop.is_empty();
            }
            Hook::PostStop => {
                ensure(alive == 0, || "it is cleaned up beside what lives of it".to_owned())?;
                ensure(self.owes_clean_up, || "it is cleaned up twice, or without a run".to_owned())?;
                self.owes_clean_up = false;
            }
            Hook::StopCommand | Hook::PostStart | Hook::ReloadCommand | Hook::OnState | Hook::OnFatal => {}
        }
        Ok(())
    }

    pub fn hook_ended(&mut self, generation: Generation, hook: Hook, has_failed: bool) {
        if hook == Hook::PreStart && self.prepares == Some(generation) {
            self.prepared = !has_failed;
        }
    }

    /// It is spawned, or would be.
    pub fn attempted(
        &mut self,
        generation: Generation,
        config: &ProgramConfig,
        (alive, has_hook): There,
        now: Millis,
    ) -> Result<(), String> {
        ensure(alive == 0, || "it is spawned beside what lives of it".to_owned())?;
        ensure(!has_hook, || "it is spawned beside a hook".to_owned())?;
        let is_prepared = self.prepares == Some(generation);
        let has_succeeded = if is_prepared { self.prepared } else { config.hooks.pre_start.is_empty() };
        ensure(has_succeeded, || "it is spawned although its pre_start has not succeeded".to_owned())?;
        let owes = self.owes_clean_up && !is_prepared;
        ensure(!owes, || "it is spawned, but the run before was not cleaned up".to_owned())?;
        let is_paced = self.was_asked || self.last_spawn.is_none_or(|last| now >= last + SECOND);
        ensure(is_paced, || "two starts within a second that nobody has asked for".to_owned())?;
        (self.was_asked, self.last_spawn) = (false, Some(now));
        Ok(())
    }

    pub fn spawned(&mut self, config: &ProgramConfig, now: Millis) {
        self.owes_clean_up = !config.hooks.post_stop.is_empty();
        (self.is_ready, self.in_background, self.has_triggered, self.heard) = (false, false, false, now);
    }

    /// It says this of itself.
    pub fn told(&mut self, message: &Notification, now: Millis) {
        self.is_ready |= message.ready;
        match message.watchdog {
            Some(WatchdogReport::Alive) => self.heard = now,
            Some(WatchdogReport::Trigger) => self.has_triggered = true,
            None => {}
        }
        if let (Some(by), Some(more)) = (&mut self.settles_by, message.extend) {
            *by += u64::try_from(more.as_millis()).unwrap_or(0);
        }
    }

    /// Its state has changed.
    pub fn announced(
        &mut self,
        transition: &Transition,
        config: &ProgramConfig,
        (alive, has_hook): There,
        now: Millis,
    ) -> Result<(), String> {
        let Transition { from, to, .. } = transition;
        ensure(*from == self.shown && from != to, || format!("{} was shown, now {from} -> {to}", self.shown))?;
        self.shown = *to;
        match to {
            ProcessState::Stopped => {
                ensure(alive == 0, || "STOPPED while it lives".to_owned())?;
                ensure(!has_hook, || "STOPPED while a hook of it runs".to_owned())?;
                ensure(!self.owes_clean_up, || "STOPPED, but it was not cleaned up".to_owned())?;
                self.settles_by = None;
            }
            ProcessState::Running if *from == ProcessState::Starting => {
                let is_told = config.ready != Readiness::Notify || self.is_ready;
                ensure(is_told, || "RUNNING before it has said that it is ready".to_owned())?;
                let is_there = config.program_type != ProgramType::Forking || self.in_background;
                ensure(is_there, || "RUNNING before it was in the background".to_owned())?;
                // Before, the watchdog does not wait for anything.
                (self.heard, self.has_triggered) = (now, false);
            }
            ProcessState::Unhealthy => {
                let is_silent = now >= self.heard + Millis::from(config.watchdog) * SECOND;
                ensure(self.has_triggered || is_silent, || "UNHEALTHY although it was heard of".to_owned())?;
                self.has_triggered = false;
            }
            ProcessState::Exited | ProcessState::Fatal => self.settles_by = None,
            ProcessState::Running | ProcessState::Starting | ProcessState::Backoff | ProcessState::Stopping => {}
        }
        Ok(())
    }

    /// A stop that was asked for is over, or has time left.
    pub fn is_in_time(&self, now: Millis) -> Result<(), String> {
        let is_late = self.shown == ProcessState::Stopping && self.settles_by.is_some_and(|by| now > by);
        ensure(!is_late, || "a stop was not settled in time".to_owned())
    }
}
