//! What comes out of the machine, judged by the auditor's books.

use super::super::super::subject::models::{HealthAction, HealthCheckType, ProgramType};
use super::super::super::subject::{Action, KillWhy, ProcessState, SignalTarget, Transition, signal_name};
use super::super::system::{SIGKILL, Signal, System};
use super::super::{Millis, index_of};
use super::run::{Checks, Run};
use super::{Auditor, KILL_AGAIN, Reason, SECOND, ensure, seconds};
use ProcessState::{Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unhealthy};

impl Auditor {
    /// The machine asks for this.
    pub fn saw(&mut self, action: &Action, system: &System, now: Millis) -> Result<(), String> {
        match action {
            Action::Spawn { generation } => self.saw_spawn(*generation, system, now),
            Action::Signal { generation, signal, why: KillWhy::HealthAction, .. } => {
                let name = HealthAction::Signal(signal_name(*signal).unwrap_or_default().to_owned());
                self.saw_health_action(*generation, |action| *action == name)
            }
            Action::RunHealthCommand { generation } => {
                self.saw_health_action(*generation, |action| matches!(action, HealthAction::Command(_)))
            }
            Action::Signal { generation, signal, target, resume, why } => {
                let signal = Signal { number: *signal, target: *target, resume: *resume };
                self.saw_signal(*generation, signal, *why, system, now)
            }
            Action::RunHook { .. } | Action::CancelHooks { .. } => Err("no hook is configured".to_owned()),
            Action::CheckHealth { generation } => self.saw_check(*generation, now),
            Action::ProbeReadiness { generation } => self.saw_probe(*generation, now),
            Action::AskNotifications { .. }
            | Action::NoteRefused { .. }
            | Action::FindMain { .. }
            | Action::HandOver { .. }
            | Action::NoteReadiness { .. }
            | Action::NoteMain { .. } => Err("nobody here has a socket for messages".to_owned()),
            Action::Announce(transition) => self.saw_transition(transition, system, now),
        }
    }

    fn saw_spawn(&mut self, generation: u64, system: &System, now: Millis) -> Result<(), String> {
        let alive = system.alive(now);
        ensure(alive == 0, || format!("spawn while {alive} tasks of an older run live"))?;
        ensure(self.run.is_none(), || "spawn before the group of the run before was found empty".to_owned())?;
        ensure(self.spawning.is_none(), || "two spawns at once".to_owned())?;
        ensure(self.up, || "spawn although it is wanted down".to_owned())?;
        ensure(self.shown == Starting, || format!("spawn in {}", self.shown))?;
        ensure(generation > self.last_generation, || format!("generation {generation} is not fresh"))?;
        if !std::mem::take(&mut self.wish) {
            let paced = self.last_spawn.is_none_or(|last| now - last >= SECOND);
            ensure(paced, || "two starts within one second without an operator".to_owned())?;
            match self.reason.take() {
                Some(Reason::Restart { at } | Reason::Retry { at }) => {
                    ensure(at <= now, || format!("start {} ms too early", at - now))?;
                }
                None => return Err("start without a reason".to_owned()),
            }
            self.automatic = true;
        }
        self.reason = None;
        self.last_generation = generation;
        self.last_spawn = Some(now);
        self.spawning = Some(generation);
        Ok(())
    }

    fn saw_signal(
        &mut self,
        generation: u64,
        signal: Signal,
        why: KillWhy,
        system: &System,
        now: Millis,
    ) -> Result<(), String> {
        ensure(system.knows(generation), || {
            "a signal to a group that was found empty: a stranger may have it".to_owned()
        })?;
        let Some(run) = self.run.as_mut().filter(|run| run.generation == generation) else {
            return Err("a signal to an old run".to_owned());
        };
        let Signal { number: signal, target, resume } = signal;
        // The leader alone was told to end, and has: what it has left behind hears of it for the first time.
        let unheard = !run.leader && std::mem::take(&mut run.alone);
        if unheard && run.killed.take().is_some() {
            (run.next_by, run.step) = (None, 0);
        }
        let (over, _, own_seconds) = run.steps[run.step];
        let over_seconds = run.steps[run.step].1 / SECOND;
        let told = run.next_by.is_some();
        let repeated = run.killed.is_some_and(|at| now >= at + KILL_AGAIN);
        let overdue = run.next_by.is_some_and(|by| now >= by) && run.killed.is_none();
        let next = run.steps.get(run.step + 1).map(|(next, ..)| *next).filter(|_| overdue);
        if next == Some(signal) {
            (run.next_by, run.step) = (None, run.step + 1);
        }
        let at_once = (run.forced || over == SIGKILL) && run.killed.is_none();
        let kill = signal == SIGKILL && (repeated || overdue && next.is_none() || at_once);
        let stop =
            signal == over && signal != SIGKILL && run.killed.is_none() && (!told || unheard || self.shown != Stopping);
        ensure(kill || stop || next == Some(signal), || format!("signal {signal} is none that is to be sent now"))?;
        let stopping = self.shown == Stopping;
        let true_reason = match why {
            KillWhy::Requested => stopping && !repeated,
            KillWhy::StopTimeout { seconds } => {
                kill && overdue && stopping && !own_seconds && seconds == run.config.stopwaitsecs
            }
            KillWhy::NextStep { after, seconds } => {
                overdue && stopping && own_seconds && after == over && Millis::from(seconds) == over_seconds
            }
            KillWhy::Again => kill && repeated,
            KillWhy::Remains => !run.leader && (!stopping || unheard),
            KillWhy::StartFailed => run.leader && stopping && self.start_failed,
            KillWhy::OutlivedCommand { .. } | KillWhy::CommandHangs { .. } | KillWhy::CommandTimeout { .. } => false,
            KillWhy::Unhealthy => run.leader && stopping && self.health_stop,
            KillWhy::HealthAction | KillWhy::InternalError => false,
        };
        ensure(true_reason, || format!("{why:?} is not why signal {signal} is sent"))?;
        let as_group = if signal == SIGKILL { run.config.killasgroup } else { run.config.stopasgroup };
        let whom = if run.leader && !as_group { SignalTarget::Leader } else { SignalTarget::Group };
        ensure(target == whom, || format!("{target:?} is not whom signal {signal} is for"))?;
        ensure(resume == (signal != SIGKILL), || "what somebody may have paused was not continued".to_owned())?;
        run.alone = target == SignalTarget::Leader;
        if kill {
            run.killed = Some(now);
        }
        self.must_go(now);
        Ok(())
    }

    fn saw_health_action(&mut self, generation: u64, is_it: impl Fn(&HealthAction) -> bool) -> Result<(), String> {
        ensure(self.shown == Unhealthy, || format!("healthcheck_action in {}", self.shown))?;
        let run = self.run.as_ref().filter(|run| run.generation == generation && run.leader);
        let is_configured = run.is_some_and(|run| is_it(&run.config.healthcheck.action));
        ensure(is_configured, || "healthcheck_action is another one".to_owned())?;
        ensure(std::mem::take(&mut self.action_due), || "healthcheck_action was done twice".to_owned())
    }

    fn saw_probe(&mut self, generation: u64, now: Millis) -> Result<(), String> {
        ensure(self.shown == Starting, || format!("a try whether it is ready in {}", self.shown))?;
        let Some(run) = self.run.as_mut().filter(|run| run.generation == generation && run.leader) else {
            return Err("a try whether it is ready of a run without a leader".to_owned());
        };
        ensure(run.is_tried(), || "a try whether it is ready that nobody waits for".to_owned())?;
        ensure(run.probed.is_none(), || "two tries whether it is ready at once".to_owned())?;
        let first = run.spawned + seconds(run.config.startsecs);
        ensure(first <= now, || format!("a try whether it is ready {} ms too early", first - now))?;
        run.probed = Some(now);
        Ok(())
    }

    fn saw_check(&mut self, generation: u64, now: Millis) -> Result<(), String> {
        self.checks_sent += 1;
        let starting = self.shown == Starting;
        ensure(self.shown_is(&[Starting, Running, Unhealthy]), || format!("health check in {}", self.shown))?;
        let Some(run) = self.run.as_mut().filter(|run| run.generation == generation && run.leader) else {
            return Err("health check of a run without a leader".to_owned());
        };
        let Some(checks) = &mut run.checks else { return Err("health check although none is configured".to_owned()) };
        ensure(checks.awaited_since.is_none(), || "two health checks at once".to_owned())?;
        ensure(checks.due <= now, || format!("health check {} ms too early", checks.due - now))?;
        checks.awaited_since = Some(now);
        while checks.due <= now {
            checks.due += if starting { SECOND } else { seconds(run.config.healthcheck.interval) };
        }
        Ok(())
    }

    fn saw_transition(&mut self, transition: &Transition, system: &System, now: Millis) -> Result<(), String> {
        let Transition { from, to, pid, cause } = transition;
        ensure(*from == self.shown, || format!("gap: {} was announced last, now {from} -> {to}", self.shown))?;
        ensure(from != to, || format!("{from} -> {to} is no transition"))?;
        if !self.expected.is_empty() {
            let next = self.expected.remove(0);
            let cut_short = *to == Stopping && !self.up;
            ensure(next == *to || cut_short, || format!("{next} had to come, not {to} ({cause})"))?;
        } else {
            self.unasked(*from, *to, now)?;
        }
        self.shown = *to;
        self.entered[index_of(*to)] += 1;
        match to {
            Stopped => {
                let alive = system.alive(now);
                ensure(alive == 0, || format!("STOPPED is announced while {alive} tasks live"))?;
            }
            Running => self.saw_running(*from, *pid, now)?,
            Unhealthy => {
                let configured = self.run.as_ref().is_some_and(|run| run.checks.is_some());
                ensure(configured, || "UNHEALTHY without a health check".to_owned())?;
            }
            Fatal => {
                self.up = false;
                self.reason = None;
            }
            Stopping => {
                if let Some(run) = &mut self.run {
                    run.checks = None;
                }
            }
            Starting | Backoff | Exited => {}
        }
        let asker_named = cause.request().is_none_or(|(_, by)| Some(by) == self.asker.as_ref());
        ensure(asker_named, || format!("{cause}: it was asked {:?}", self.asker))
    }

    /// Transitions that no fact demands: those of timers and operators.
    fn unasked(&self, from: ProcessState, to: ProcessState, _now: Millis) -> Result<(), String> {
        let fine = match to {
            Starting => self.wish || self.reason.is_some(),
            Running => from == Starting,
            Stopping => !self.up || self.wish,
            Stopped => !self.up && [Backoff, Exited].contains(&from),
            Backoff | Exited | Fatal | Unhealthy => false,
        };
        ensure(fine, || format!("{from} -> {to} without a reason"))
    }

    fn saw_running(&mut self, from: ProcessState, pid: Option<i32>, now: Millis) -> Result<(), String> {
        let startsecs_passed = |run: &Run| now >= run.spawned + seconds(run.config.startsecs);
        let Some(run) = &mut self.run else { return Err("RUNNING without a child".to_owned()) };
        ensure(pid == Some(run.pid), || format!("RUNNING with pid {pid:?} instead of {}", run.pid))?;
        if from != Starting {
            return Ok(());
        }
        let simple = run.config.program_type == ProgramType::Simple;
        ensure(simple, || "a oneshot was RUNNING".to_owned())?;
        ensure(!run.is_awaited(), || "RUNNING before it was ready".to_owned())?;
        ensure(startsecs_passed(run), || "RUNNING before startsecs".to_owned())?;
        if run.config.startsecs > 0 {
            self.attempts = 0;
        }
        let health = &run.config.healthcheck;
        if health.check_type != HealthCheckType::None && run.leader && run.checks.is_none() {
            run.checks = Some(Checks { due: now + seconds(health.start_period), awaited_since: None, failures: 0 });
        }
        Ok(())
    }
}
