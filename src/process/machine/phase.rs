//! Where a process is in its life, and what exactly each phase has to remember.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::cause::Tries;
use super::super::failure::Failure;
use super::super::moment::Moment;
use super::super::notification::{NotifyState, WatchdogMiss};
use super::super::output_fault::OutputFault;
use super::super::signal_target::SignalTarget;
use super::super::state::{ProcessState, signal_number};
use super::super::stop_signals::{StopStep, seconds_behind};
use super::action::KillWhy;
use super::checks::Checks;
use super::due::{Due, after, earlier, is_due};
use super::probes::Probes;
use super::startup::Startup;
use super::watchdog::Watchdog;
use crate::models::{Hook, ProgramConfig, Readiness};
use crate::util::truncate::to_bytes;

/// The most bytes of a detail that are shown.
const MAX_DETAIL_BYTES: usize = 200;

/// One child, from its spawn until nothing is left of its process group.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    /// Its main process: the one that was spawned, or another one to which that has handed over.
    pub(super) pid: i32,
    /// Gone while the main process of a program is looked for that has put itself into the background.
    pub(super) leader: LeaderState,
    pub(super) started: Moment,
    /// The settings that it was started with.
    pub(super) config: Arc<ProgramConfig>,
    /// The tries whether it is ready, where that is tried.
    pub(super) probes: Option<Box<Probes>>,
    /// What it has reported about itself.
    pub(super) notify_state: Option<Box<NotifyState>>,
    /// From `RUNNING` on, where it has one.
    pub(super) watchdog: Option<Box<Watchdog>>,
    /// Somebody has stopped it in its place.
    #[serde(default)]
    pub(super) is_paused: bool,
}

impl Run {
    /// One that was spawned at `started`.
    pub(super) fn new(pid: i32, started: Moment, config: Arc<ProgramConfig>) -> Run {
        let (probes, notify_state, watchdog) = (None, None, None);
        Run { pid, leader: LeaderState::Alive, started, config, probes, notify_state, watchdog, is_paused: false }
    }

    /// How long it has lived; zero if the clock stands before its start.
    pub(super) fn age(&self, now: Moment) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// What there is to tell of a run that is not ready yet: what was found last, or what is looked at.
    pub(super) fn unready_detail(&self, checks: Option<&Checks>) -> Option<Arc<str>> {
        let found = match checks {
            Some(checks) => checks.healthy.map(|_| checks.message.clone()),
            None => self.probes.as_ref().and_then(|probes| probes.message.clone()),
        };
        found.or_else(|| match &self.config.ready {
            Readiness::Startsecs
            | Readiness::Notify
            | Readiness::Fd(_)
            | Readiness::FdVariable(_)
            | Readiness::Health => None,
            ready @ (Readiness::Path(_)
            | Readiness::Accepts(_)
            | Readiness::Http(_)
            | Readiness::Log(_)
            | Readiness::Command(_)) => Some(to_bytes(&ready.to_string(), MAX_DETAIL_BYTES).into()),
        })
    }

    /// What the last try whether it is still ready has found, if that has failed.
    pub(super) fn unready(&self) -> Option<&Arc<str>> {
        self.probes.as_ref().and_then(|probes| probes.message.as_ref())
    }

    pub(super) fn probes_timer(&self) -> Due {
        self.probes.as_ref().and_then(|probes| probes.timer())
    }

    /// The step of its stop with this number; `None`: SIGKILL.
    pub(super) fn stop_step(&self, number: usize) -> Option<StopStep> {
        match self.watchdog_signal() {
            None => StopStep::of(&self.config, number),
            Some(signal) => (number == 0).then_some(StopStep { signal, seconds: None }),
        }
    }

    /// Seconds from the beginning of a step to SIGKILL.
    fn seconds_behind(&self, step: usize) -> u32 {
        match self.watchdog_signal() {
            None => seconds_behind(&self.config, step),
            Some(_) => self.stop_step(step).map_or(0, |step| step.wait(&self.config)),
        }
    }

    /// The signal of its watchdog, where that stops it: in place of its stop signals.
    pub(super) fn watchdog_signal(&self) -> Option<u8> {
        match self.watchdog.as_deref()? {
            Watchdog::Missed { stops: true, .. } => signal_number(&self.config.watchdog_signal),
            Watchdog::Missed { stops: false, .. } | Watchdog::Waiting { .. } | Watchdog::Asking { .. } => None,
        }
    }

    /// Why its watchdog has timed out, if it has.
    pub(super) fn watchdog_miss(&self) -> Option<WatchdogMiss> {
        self.watchdog.as_ref().and_then(|watchdog| watchdog.miss())
    }

    pub(super) fn watchdog_is_due(&self, now: Moment) -> bool {
        is_due(self.watchdog_timer(), now)
    }

    /// When its watchdog has waited long enough.
    pub(super) fn watchdog_timer(&self) -> Due {
        self.watchdog.as_ref().and_then(|watchdog| watchdog.timer())
    }

    /// Why the signal is sent that follows this step of its stop.
    pub(super) fn why_next(&self, number: usize) -> KillWhy {
        match self.stop_step(number) {
            Some(StopStep { signal, seconds: Some(seconds) }) => KillWhy::NextStep { after: signal, seconds },
            Some(StopStep { seconds: None, .. }) | None => KillWhy::StopTimeout { seconds: self.config.stopwaitsecs },
        }
    }
}

/// How far the end of a process group has got.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum StopProgress {
    /// The leader has just ended; the shell is about to say whether it left anybody behind.
    Unsignalled,
    /// Its `stop_command` runs; where it hangs the stop signal follows at `signal_at`.
    Commanding { since: Moment, signal_at: Due },
    /// Its `stop_command` has succeeded, at `since`; the stop signal follows at `signal_at`.
    Commanded { since: Moment, signal_at: Due },
    /// It was sent the stop signal, or that of a later step; the next step follows at `over_at`, at last SIGKILL. A
    /// `stop_command` that has hung may go on meanwhile.
    Stopping { target: SignalTarget, step: usize, over_at: Due, command_runs: bool },
    /// It was sent SIGKILL. It gets it again: a member that was being forked may have been missed.
    Killing { target: SignalTarget, again_at: Due },
}

/// A process group that has to end, with or without its leader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) run: Run,
    pub(super) progress: StopProgress,
    /// SIGKILL comes at this moment, how far the stop has got by then: the limit of one that began with its
    /// `stop_command`.
    pub(super) kill_by: Due,
}

impl Group {
    /// What a leader that has just ended may have left behind.
    pub(super) fn left_by(run: Run) -> Self {
        Group { run, progress: StopProgress::Unsignalled, kill_by: None }
    }

    /// Its `stop_command` has not ended.
    pub(super) fn command_runs(&self) -> bool {
        match self.progress {
            StopProgress::Commanding { .. } => true,
            StopProgress::Stopping { command_runs, .. } => command_runs,
            StopProgress::Unsignalled | StopProgress::Commanded { .. } | StopProgress::Killing { .. } => false,
        }
    }

    /// When SIGKILL follows; `None` once it was sent.
    pub(super) fn kill_at(&self) -> Due {
        match self.progress {
            StopProgress::Stopping { step, over_at, .. } => {
                earlier(after(over_at?, self.run.seconds_behind(step + 1)), self.kill_by)
            }
            StopProgress::Commanding { .. } | StopProgress::Commanded { .. } => self.kill_by,
            StopProgress::Unsignalled | StopProgress::Killing { .. } => None,
        }
    }

    /// The next signal, where that is not SIGKILL yet, and when it follows.
    pub(super) fn next_signal(&self) -> Option<(u8, Moment)> {
        match self.progress {
            StopProgress::Stopping { over_at, .. } if over_at == self.kill_by => None,
            StopProgress::Stopping { step, over_at, .. } => Some((self.run.stop_step(step + 1)?.signal, over_at?)),
            StopProgress::Commanding { signal_at, .. } | StopProgress::Commanded { signal_at, .. } => {
                Some((self.run.stop_step(0)?.signal, signal_at?))
            }
            StopProgress::Unsignalled | StopProgress::Killing { .. } => None,
        }
    }

    fn timer(&self) -> Due {
        match self.progress {
            StopProgress::Unsignalled => None,
            StopProgress::Commanding { signal_at, .. } | StopProgress::Commanded { signal_at, .. } => signal_at,
            StopProgress::Stopping { over_at, .. } => over_at,
            StopProgress::Killing { again_at, .. } => again_at,
        }
    }
}

/// What is left of a run that has ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Remains {
    /// Members of its process group, with or without a `post_stop` that follows them.
    Group(Group),
    /// Its `post_stop`, which runs.
    PostStop { config: Arc<ProgramConfig> },
}

impl Remains {
    /// What a leader that has just ended may have left behind.
    pub(super) fn of(run: Run) -> Remains {
        Remains::Group(Group::left_by(run))
    }

    fn config(&self) -> &Arc<ProgramConfig> {
        match self {
            Remains::Group(group) => &group.run.config,
            Remains::PostStop { config } => config,
        }
    }

    fn run(&self) -> Option<&Run> {
        match self {
            Remains::Group(group) => Some(&group.run),
            Remains::PostStop { .. } => None,
        }
    }

    fn timer(&self) -> Due {
        match self {
            Remains::Group(group) => group.timer(),
            // The hook has its own.
            Remains::PostStop { .. } => None,
        }
    }
}

/// Whether the leader of a group that is being stopped still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LeaderState {
    Alive,
    Gone,
}

impl LeaderState {
    /// Whom a signal is for. What a leader has left behind has nobody else who would end it.
    pub(super) fn target(self, as_group: bool) -> SignalTarget {
        match self {
            LeaderState::Alive if !as_group => SignalTarget::Leader,
            LeaderState::Alive | LeaderState::Gone => SignalTarget::Group,
        }
    }
}

/// What follows when a stopping group has gone.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum AfterStop {
    /// `STOPPED`, and a start at once if that is desired by then.
    AsDesired,
    /// `BACKOFF` or `FATAL`: it was stopped because it was unhealthy.
    HealthRestart { failure: Arc<Failure> },
    /// `BACKOFF` or `FATAL`: its start did not come about.
    StartFailed { failure: Arc<Failure> },
}

/// The next attempt of a program that could not be started or kept healthy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Retry {
    /// 1 for the first retry; also its delay in seconds, up to the longest. `None`: it does not count, because the
    /// daemon was short of something.
    pub(super) number: Option<u32>,
    pub(super) at: Moment,
    /// Why the attempt before failed.
    pub(super) failure: Arc<Failure>,
}

/// The actual, in contrast to the desired.
///
/// `remains` is what an ended leader may have left of its group, and then its `post_stop`. While it is there nothing is
/// spawned; a moment of restart that passes meanwhile is made up for when nothing remains.
///
/// `prepared` are the settings with which `pre_start` was run for an attempt that has not got to a process yet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    Stopped,
    /// Ended by itself; `restart_at` where it is to be started again.
    Exited {
        restart_at: Option<Moment>,
        remains: Option<Remains>,
    },
    Fatal {
        failure: Arc<Failure>,
        /// What was tried, where that was more than once.
        after: Option<Tries>,
        /// When it is tried again all the same (`fatal_retry`).
        retry_at: Due,
        remains: Option<Remains>,
    },
    Backoff {
        retry: Retry,
        remains: Option<Remains>,
    },
    /// `pre_start` runs.
    PreStart {
        config: Arc<ProgramConfig>,
    },
    /// It is to start and may not yet: the shell has refused the `Spawn` action, and says when it may.
    Waiting {
        prepared: Option<Arc<ProgramConfig>>,
    },
    /// The `Spawn` action is out. `kill`: a kill was asked for meanwhile.
    Spawning {
        kill: bool,
        prepared: Option<Arc<ProgramConfig>>,
    },
    Starting {
        run: Run,
        startup: Startup,
    },
    /// `checks` where a health check is configured.
    Running {
        run: Run,
        checks: Option<Box<Checks>>,
    },
    /// Its checks fail, its watchdog has missed it, or its output has shown a `fault`.
    Unhealthy {
        run: Run,
        checks: Option<Box<Checks>>,
        #[serde(default)]
        fault: Option<Arc<OutputFault>>,
    },
    Stopping {
        leader: LeaderState,
        group: Group,
        then: AfterStop,
    },
    /// A oneshot that has completed and has a `stop_command`: it is up until that has run.
    Up {
        config: Arc<ProgramConfig>,
    },
    /// It is being stopped, and nothing is left of its group, or there was none: this hook runs (`pre_start`: it was
    /// told to end). At `until` it is killed. `pid`: the run's leader, where it had one.
    Ending {
        hook: Hook,
        config: Arc<ProgramConfig>,
        pid: Option<i32>,
        until: Due,
        then: AfterStop,
    },
}

impl Phase {
    /// The name under which the public knows it.
    pub(super) fn state(&self) -> ProcessState {
        match self {
            Phase::Stopped => ProcessState::Stopped,
            Phase::Exited { .. } | Phase::Up { .. } => ProcessState::Exited,
            Phase::Fatal { .. } => ProcessState::Fatal,
            Phase::Backoff { .. } => ProcessState::Backoff,
            Phase::PreStart { .. } | Phase::Waiting { .. } | Phase::Spawning { .. } | Phase::Starting { .. } => {
                ProcessState::Starting
            }
            Phase::Running { .. } => ProcessState::Running,
            Phase::Unhealthy { .. } => ProcessState::Unhealthy,
            Phase::Stopping { .. } | Phase::Ending { .. } => ProcessState::Stopping,
        }
    }

    /// The run of which something is left: a leader or members of its group.
    pub(super) fn run(&self) -> Option<&Run> {
        match self {
            Phase::Stopped
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => None,
            Phase::Exited { remains, .. } | Phase::Fatal { remains, .. } | Phase::Backoff { remains, .. } => {
                remains.as_ref().and_then(Remains::run)
            }
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => Some(run),
            Phase::Stopping { group, .. } => Some(&group.run),
        }
    }

    /// The settings of what is there: of a run, or of a hook that runs without one.
    pub(super) fn run_config(&self) -> Option<&Arc<ProgramConfig>> {
        match self {
            Phase::Stopped => None,
            Phase::Waiting { prepared } | Phase::Spawning { prepared, .. } => prepared.as_ref(),
            Phase::PreStart { config } | Phase::Up { config } | Phase::Ending { config, .. } => Some(config),
            Phase::Exited { remains, .. } | Phase::Fatal { remains, .. } | Phase::Backoff { remains, .. } => {
                remains.as_ref().map(Remains::config)
            }
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => {
                Some(&run.config)
            }
            Phase::Stopping { group, .. } => Some(&group.run.config),
        }
    }

    /// The run that is under way, or told to end.
    pub(super) fn run_mut(&mut self) -> Option<&mut Run> {
        match self {
            Phase::Stopped
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Up { .. }
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Ending { .. } => None,
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => Some(run),
            Phase::Stopping { group, .. } => Some(&mut group.run),
        }
    }

    /// The run whose leader lives.
    pub(super) fn live_run(&self) -> Option<&Run> {
        match self {
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Stopping { leader: LeaderState::Gone, .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => None,
            Phase::Starting { run, .. } if run.leader == LeaderState::Gone => None,
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => Some(run),
            Phase::Stopping { leader: LeaderState::Alive, group, .. } => Some(&group.run),
        }
    }

    /// What its output has shown, for which it is unhealthy.
    pub(super) fn output_fault(&self) -> Option<&Arc<OutputFault>> {
        match self {
            Phase::Unhealthy { fault, .. } => fault.as_ref(),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => None,
        }
    }

    /// The health checks, while they go on.
    pub(super) fn checks(&self) -> Option<&Checks> {
        match self {
            Phase::Running { checks, .. } | Phase::Unhealthy { checks, .. } => checks.as_deref(),
            Phase::Starting { startup: Startup::Healthy { checks, .. }, .. } => Some(checks),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => None,
        }
    }

    /// The tries whether it is ready, while they go on.
    pub(super) fn probes(&self) -> Option<&Probes> {
        match self {
            Phase::Starting { run, startup: Startup::Ready { .. } }
            | Phase::Running { run, .. }
            | Phase::Unhealthy { run, .. } => run.probes.as_deref(),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. } => None,
        }
    }

    /// As [`probes`](Self::probes).
    pub(super) fn probes_mut(&mut self) -> Option<&mut Probes> {
        match self {
            Phase::Starting { run, startup: Startup::Ready { .. } }
            | Phase::Running { run, .. }
            | Phase::Unhealthy { run, .. } => run.probes.as_deref_mut(),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. } => None,
        }
    }

    /// The one timer that runs in this phase.
    pub(super) fn timer(&self) -> Due {
        match self {
            Phase::Exited { remains: Some(remains), .. }
            | Phase::Fatal { remains: Some(remains), .. }
            | Phase::Backoff { remains: Some(remains), .. } => remains.timer(),
            Phase::Stopping { group, .. } => group.timer(),
            Phase::Ending { until, .. } => *until,
            Phase::Exited { restart_at, remains: None } => *restart_at,
            Phase::Fatal { retry_at, remains: None, .. } => *retry_at,
            Phase::Backoff { retry, remains: None } => Some(retry.at),
            Phase::Starting { run, startup: startup @ Startup::Ready { .. } } => {
                earlier(startup.timer(), run.probes_timer())
            }
            Phase::Starting { startup, .. } => startup.timer(),
            Phase::Running { run, checks } | Phase::Unhealthy { run, checks, fault: _ } => {
                let checks = checks.as_ref().and_then(|checks| checks.timer());
                earlier(checks, earlier(run.probes_timer(), run.watchdog_timer()))
            }
            Phase::Stopped
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Up { .. } => None,
        }
    }
}
