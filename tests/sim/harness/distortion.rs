//! Distortions: a machine that breaks one rule, made from the real one by bending what goes in, what comes out, its
//! timers or its configuration. The auditor is told what really happened and has to notice.
#![allow(clippy::unneeded_struct_pattern, reason = "which fields an event carries does not matter here")]

mod bends;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::super::subject::models::{AutoRestart, HealthCheckType, ProgramConfig, ProgramType, Readiness};
use super::super::subject::{
    Action, Desired, Event, Exit, Initiator, Machine, Moment, ProcessState, SignalTarget, SpawnError, SpawnStage,
    Transition,
};
use super::system::SIGKILL;
use Distortion::*;
use ProcessState::{Backoff, Exited, Fatal, Running, Starting, Stopping, Unhealthy};
use bends::*;

const ENOENT: i32 = 2;
/// How early the timers of [`Bend::Early`] fire.
const EARLY: Duration = Duration::from_secs(1);

/// A rule that the distorted machine breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distortion {
    /// Answers of an older generation are accepted.
    StaleAnswerAccepted,
    /// A restart does not wait until the group of the run before is empty.
    RestartBesideOldGroup,
    /// A retry does not wait until the group of the run before is empty.
    RetryBesideOldGroup,
    /// `STOPPED` is announced when the leader has ended although its group lives.
    StoppedBesideOldGroup,
    /// A stop is forgotten once the child has ended.
    StopForgotten,
    /// A stop does not cancel the pending retry.
    StopKeepsRetry,
    /// A start during `STOPPING` is lost.
    StartWhileStoppingLost,
    /// SIGKILL follows the stop signal at once.
    KillAtOnce,
    /// Of several stop signals only the first is sent.
    StopStepsSkipped,
    /// A oneshot may take as long as it likes.
    StartTimeoutIgnored,
    /// A oneshot counts as running after a while.
    OneshotTakenForDaemon,
    /// That it is ready is not heard.
    ReadyNotHeard,
    /// It is not waited for that it is ready.
    ReadyNotAwaited,
    /// What is configured for bad health is not done.
    HealthActionSkipped,
    /// That a try has found it ready is not heard.
    ProbeNotHeard,
    /// Whether it is ready is tried twice at once.
    TwoProbesAtOnce,
    /// SIGKILL never follows the stop signal.
    KillNever,
    /// SIGKILL is sent only once.
    KillNotRepeated,
    /// The timer of the repeated SIGKILL stays due.
    KillTimerStaysDue,
    /// What lingers of a group is not told to stop.
    LingeringGroupNotTold,
    /// Restarts are not paced.
    RestartNotPaced,
    /// The delay of a retry is one second short.
    RetryTooEarly,
    /// There is one retry too many.
    OneRetryTooMany,
    /// With `startsecs = 0`, nothing bounds the crashes.
    QuickCrashesUnbounded,
    /// A successful run does not end the row of failed attempts.
    FailuresNotReset,
    /// A permanent failure is tried again.
    PermanentFailureRetried,
    /// An end in `STARTING` is not announced as `EXITED`.
    ExitedSkipped,
    /// Nothing bounds the restarts for bad health.
    HealthRestartsNotCounted,
    /// Two health checks are under way at once.
    TwoChecksAtOnce,
    /// The times of the health checks drift with their answers.
    ChecksDrift,
    /// A health check that never answers is waited for.
    MuteCheckAwaited,
    /// A reload changes the health check of the present run.
    ReloadChangesPresentCheck,
    /// A request is put down to somebody else.
    WrongInitiator,
    /// What is for a program's leader alone goes to its workers as well.
    WorkersSignalled,
    /// What a leader has left behind is not signalled.
    RemainsNotSignalled,
    /// What somebody has paused is not continued for its stop signal.
    PausedNotResumed,
}

impl Distortion {
    pub const ALL: [Distortion; 36] = [
        StaleAnswerAccepted,
        RestartBesideOldGroup,
        RetryBesideOldGroup,
        StoppedBesideOldGroup,
        StopForgotten,
        StopKeepsRetry,
        StartWhileStoppingLost,
        KillAtOnce,
        StopStepsSkipped,
        StartTimeoutIgnored,
        OneshotTakenForDaemon,
        ReadyNotHeard,
        ReadyNotAwaited,
        HealthActionSkipped,
        ProbeNotHeard,
        TwoProbesAtOnce,
        KillNever,
        KillNotRepeated,
        KillTimerStaysDue,
        LingeringGroupNotTold,
        RestartNotPaced,
        RetryTooEarly,
        OneRetryTooMany,
        QuickCrashesUnbounded,
        FailuresNotReset,
        PermanentFailureRetried,
        ExitedSkipped,
        HealthRestartsNotCounted,
        TwoChecksAtOnce,
        ChecksDrift,
        MuteCheckAwaited,
        ReloadChangesPresentCheck,
        WrongInitiator,
        WorkersSignalled,
        RemainsNotSignalled,
        PausedNotResumed,
    ];

    /// What is bent, and a part of the message of the rule that has to catch it.
    fn plan(self) -> (Bend, &'static str) {
        match self {
            StaleAnswerAccepted => (Bend::Event(renew_generation), "a stale event changed"),
            RestartBesideOldGroup => (Bend::Event(|m, e| claim_empty(m, e, Exited)), "spawn while"),
            RetryBesideOldGroup => (Bend::Event(|m, e| claim_empty(m, e, Backoff)), "has_run is wrong"),
            StoppedBesideOldGroup => {
                (Bend::Event(|m, e| claim_empty(m, e, Stopping)), "STOPPING -> STOPPED without a reason")
            }
            StopForgotten => (Bend::Event(repeat_start), "STOPPED -> STARTING without a reason"),
            StopKeepsRetry => (Bend::Event(drop_stop_of_retry), "stuck in BACKOFF"),
            StartWhileStoppingLost => (Bend::Event(drop_start_while_stopping), "an operator's start was not done"),
            KillAtOnce => (Bend::Config(|config| config.stopwaitsecs = 0), "signal 9 is none"),
            StopStepsSkipped => (Bend::Config(first_step_alone), "signal 9 is none"),
            StartTimeoutIgnored => (Bend::Config(|config| config.start_timeout = 0), "stuck in STARTING"),
            OneshotTakenForDaemon => {
                (Bend::Config(|config| config.program_type = ProgramType::Simple), "a oneshot was RUNNING")
            }
            ReadyNotHeard => (Bend::Event(drop_ready), "[Running] was not announced"),
            ReadyNotAwaited => {
                (Bend::Config(|config| config.ready = Readiness::Startsecs), "RUNNING before it was ready")
            }
            HealthActionSkipped => (Bend::Action(drop_health_command), "healthcheck_action was not done"),
            ProbeNotHeard => (Bend::Event(drop_probe), "[Running] was not announced"),
            TwoProbesAtOnce => (Bend::Action(double_probe), "two tries whether it is ready at once"),
            KillNever => (Bend::Config(|config| config.stopwaitsecs = u32::MAX), "SIGKILL did not come in time"),
            KillNotRepeated => (Bend::Action(drop_second_kill), "was not killed again"),
            KillTimerStaysDue => (Bend::Timer(due_after_kill), "a timer stays due"),
            LingeringGroupNotTold => (Bend::Event(drop_lingers), "SIGKILL did not come in time"),
            RestartNotPaced => (Bend::Early(Exited), "two starts within one second"),
            RetryTooEarly => (Bend::Early(Backoff), "ms too early"),
            OneRetryTooMany => (Bend::Config(|config| config.startretries += 1), "FATAL had to come, not BACKOFF"),
            QuickCrashesUnbounded => (Bend::Event(end_as_expected), "[Backoff] was not announced"),
            FailuresNotReset => (Bend::Retries(fewer_after_success), "BACKOFF had to come, not FATAL"),
            PermanentFailureRetried => (Bend::Event(soften_failure), "FATAL had to come, not BACKOFF"),
            ExitedSkipped => (Bend::Action(drop_exited), "gap: STARTING was announced last"),
            HealthRestartsNotCounted => (Bend::Retries(endless_for_health), "FATAL had to come, not BACKOFF"),
            TwoChecksAtOnce => (Bend::Action(double_check), "two health checks at once"),
            ChecksDrift => (Bend::Timer(later_by_answer), "a health check was missed"),
            MuteCheckAwaited => (Bend::Timer(never_while_checking), "stuck in RUNNING"),
            ReloadChangesPresentCheck => (Bend::Action(drop_check_after_reload), "a health check was missed"),
            WorkersSignalled => (Bend::Signal(signal_all), "is not whom signal"),
            RemainsNotSignalled => (Bend::Signal(signal_leader), "is not whom signal"),
            PausedNotResumed => (Bend::Signal(resume_nobody), "was not continued"),
            WrongInitiator => (Bend::Event(ask_as_another), "it was asked"),
        }
    }

    /// A part of the message of the rule that has to catch it.
    pub fn rule(self) -> &'static str {
        self.plan().1
    }
}

/// Where the machine is bent, and how.
#[derive(Clone, Copy)]
enum Bend {
    /// The machine is given another configuration than the auditor.
    Config(fn(&mut ProgramConfig)),
    /// What the machine is told instead of the event.
    Event(fn(&mut Distorted, Event) -> Vec<Event>),
    /// How often the action is handed on.
    Action(fn(&Distorted, &Action) -> usize),
    /// What becomes of a signal.
    Signal(fn(&mut Action)),
    /// What becomes of the machine's next timer.
    Timer(fn(&Distorted, Option<Moment>) -> Option<Moment>),
    /// In this state the timer of a machine without a run fires too early.
    Early(ProcessState),
    /// After a transition, the machine is given another `startretries`.
    Retries(fn(&Distorted, &Transition) -> Option<u32>),
}

/// What has passed through so far.
#[derive(Debug)]
struct Memory {
    now: Moment,
    /// The configuration that the auditor knows.
    config: Arc<ProgramConfig>,
    /// An operator's start, to be repeated.
    start: Option<Event>,
    /// The generation that has got SIGKILL.
    killed: Option<u64>,
    /// `BACKOFF`s after failed attempts.
    failed: u32,
    check_sent: Option<Moment>,
    /// How long the last health check of this run took.
    answer_took: Duration,
    /// What an honest machine would say it wants.
    desired: Option<Desired>,
}

/// The machine, and what bends it. Whatever is not bent is the machine's own.
pub struct Distorted {
    machine: Machine,
    bend: Option<Bend>,
    memory: Memory,
    /// An action that is handed on once more.
    again: Option<Action>,
}

impl Deref for Distorted {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Distorted {
    pub fn new(config: &Arc<ProgramConfig>, distortion: Option<Distortion>, now: Moment) -> Self {
        let bend = distortion.map(|distortion| distortion.plan().0);
        Distorted {
            machine: Machine::new(bent(config, bend)),
            bend,
            memory: Memory {
                now,
                config: Arc::clone(config),
                start: None,
                killed: None,
                failed: 0,
                check_sent: None,
                answer_took: Duration::ZERO,
                desired: None,
            },
            again: None,
        }
    }

    pub fn handle_event(&mut self, now: Moment, event: Event) {
        let Some(bend) = self.bend else { return self.machine.handle_event(now, event) };
        self.remember_event(now, &event);
        match (bend, event) {
            (Bend::Event(bend), event) => {
                for event in bend(self, event) {
                    self.machine.handle_event(now, event);
                }
            }
            (Bend::Config(_), Event::ConfigChanged(config)) => {
                self.machine.handle_event(now, Event::ConfigChanged(bent(&config, Some(bend))));
            }
            (
                Bend::Config(_)
                | Bend::Action(_)
                | Bend::Signal(_)
                | Bend::Timer(_)
                | Bend::Early(_)
                | Bend::Retries(_),
                event,
            ) => {
                self.machine.handle_event(now, event);
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Moment) {
        self.memory.now = now;
        let early = self.is_early().then(|| self.machine.poll_timeout()).flatten();
        self.machine.handle_timeout(early.map_or(now, |due| due.max(now)));
    }

    pub fn poll_timeout(&self) -> Option<Moment> {
        let due = self.machine.poll_timeout();
        match self.bend {
            Some(Bend::Timer(bend)) => bend(self, due),
            Some(Bend::Early(_)) if self.is_early() => due.map(|due| due - EARLY),
            Some(
                Bend::Config(_)
                | Bend::Event(_)
                | Bend::Action(_)
                | Bend::Signal(_)
                | Bend::Early(_)
                | Bend::Retries(_),
            )
            | None => due,
        }
    }

    fn is_early(&self) -> bool {
        matches!(self.bend, Some(Bend::Early(state)) if state == self.machine.state() && !self.machine.has_run())
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        let Some(bend) = self.bend else { return self.machine.poll_action() };
        if let Some(action) = self.again.take() {
            return Some(action);
        }
        loop {
            let mut action = self.machine.poll_action()?;
            if let Bend::Signal(bend) = bend {
                bend(&mut action);
            }
            let times = if let Bend::Action(bend) = bend { bend(self, &action) } else { 1 };
            self.remember_action(&action);
            if let (Bend::Retries(bend), Action::Announce(transition)) = (bend, &action)
                && let Some(startretries) = bend(self, transition)
            {
                let config = ProgramConfig { startretries, ..ProgramConfig::clone(&self.memory.config) };
                self.machine.handle_event(self.memory.now, Event::ConfigChanged(Arc::new(config)));
            }
            if times > 1 {
                self.again = Some(action.clone());
            }
            if times > 0 {
                return Some(action);
            }
        }
    }

    pub fn desired(&self) -> Desired {
        self.memory.desired.unwrap_or(self.machine.desired())
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    fn remember_event(&mut self, now: Moment, event: &Event) {
        let current = self.machine.generation();
        let memory = &mut self.memory;
        memory.now = now;
        match event {
            Event::StartRequested { .. } => {
                memory.start = Some(event.clone());
                memory.desired = None;
            }
            Event::RestartRequested { .. } | Event::StopRequested { .. } | Event::KillRequested { .. } => {
                memory.desired = None;
            }
            Event::Spawned { .. } => (memory.check_sent, memory.answer_took) = (None, Duration::ZERO),
            Event::HealthReported { generation, .. } if *generation == current => {
                if let Some(sent) = memory.check_sent.take() {
                    memory.answer_took = now.saturating_duration_since(sent);
                }
            }
            Event::ConfigChanged(config) => memory.config = Arc::clone(config),
            Event::Held { .. }
            | Event::Released { .. }
            | Event::DependencyLost { .. }
            | Event::StartWhenTimedOut { .. }
            | Event::OrphansFound { .. }
            | Event::PauseRequested
            | Event::ResumeRequested
            | Event::SpawnFailed { .. }
            | Event::Exited { .. }
            | Event::GroupEmpty { .. }
            | Event::GroupLingers { .. }
            | Event::HookEnded { .. }
            | Event::HealthReported { .. }
            | Event::HealthMissed { .. }
            | Event::Probed { .. }
            | Event::ReadyReported { .. }
            | Event::Notified { .. }
            | Event::NotifyRefused { .. }
            | Event::NotificationsRead { .. }
            | Event::OutputWatched { .. }
            | Event::OutputResumed { .. }
            | Event::SpawnPending { .. }
            | Event::Executed { .. }
            | Event::MainFound { .. }
            | Event::NoMain { .. } => {}
        }
    }

    fn remember_action(&mut self, action: &Action) {
        let memory = &mut self.memory;
        match action {
            Action::Signal { generation, signal, .. } if *signal == SIGKILL => memory.killed = Some(*generation),
            Action::CheckHealth { .. } => memory.check_sent = Some(memory.now),
            Action::Announce(transition) if transition.to == Fatal => memory.desired = None,
            Action::Announce(transition) if transition.to == Backoff && transition.from != Stopping => {
                memory.failed += 1;
            }
            Action::Spawn { .. }
            | Action::Signal { .. }
            | Action::RunHook { .. }
            | Action::ProbeReadiness { .. }
            | Action::RunHealthCommand { .. }
            | Action::CancelHooks { .. }
            | Action::AskNotifications { .. }
            | Action::NoteRefused { .. }
            | Action::FindMain { .. }
            | Action::HandOver { .. }
            | Action::NoteMain { .. }
            | Action::NoteReadiness { .. }
            | Action::Announce(_) => {}
        }
    }
}

fn bent(config: &Arc<ProgramConfig>, bend: Option<Bend>) -> Arc<ProgramConfig> {
    let Some(Bend::Config(bend)) = bend else { return Arc::clone(config) };
    let mut config = ProgramConfig::clone(config);
    bend(&mut config);
    Arc::new(config)
}
