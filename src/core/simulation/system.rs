//! The simulated system: it performs the engine's effects and tells what came of them, as the kernel and the programs
//! would.

use std::sync::Arc;
use std::time::Duration;

use super::event_queue::{EventQueue, PendingEvent};
use super::plan::{Part, Plan, selects};
use crate::api::{Announcement, Answer, ConditionId, ProcId};
use crate::config::{ConfigError, LoadResult, Loaded};
use crate::core::effect::{
    CheckPurpose, ClockReading, Effect, FoundTime, GroupLeft, Input, SearchFrom, Signal, TaskCommand, TaskId,
};
use crate::core::effects::time_after;
use crate::health::HealthCheckResult;
use crate::models::{DependencyTarget, OutputSign, ProgramConfig, ProgramType, Readiness, StartCondition};
use crate::output::Note;
use crate::process::{
    Exit, Generation, Moment, NoMain, Notification, ProcessState, ReadyReport, ReadySign, WatchdogReport, signal_number,
};
use crate::schedule;
use crate::util::line_pattern::LinePattern;
use crate::util::sorted::SortedMap;

const SIGKILL: u8 = 9;

/// What a check says that is to fail.
const FAILS: &str = "simulated failure";

/// A run of a program, from its spawn until nothing is left of it.
#[derive(Debug)]
struct Run {
    generation: Generation,
    config: Arc<ProgramConfig>,
    /// When it is ready; `None`: never.
    ready_at: Option<Moment>,
    /// When its leader ends, and how.
    end: Option<(Moment, Exit)>,
    /// Its end was told.
    reaped: bool,
    /// It has put itself into the background, and there it waits to be found.
    in_background: bool,
}

impl Run {
    fn is_ready(&self, now: Moment) -> bool {
        self.ready_at.is_some_and(|at| at <= now)
    }

    fn lives(&self, now: Moment) -> bool {
        !self.reaped && self.end.is_none_or(|(at, _)| at > now)
    }
}

/// Whether a signal ends a program that behaves: one of those that stop it.
fn ends(config: &ProgramConfig, signal: u8) -> bool {
    let steps = config.stopsignal.split(',').filter_map(|step| signal_number(step.split(':').next().unwrap_or(step)));
    let watchdog = signal_number(&config.watchdog_signal);
    signal == SIGKILL || steps.chain(watchdog).any(|known| known == signal)
}

/// The patterns of `output_watch` that hold of a line.
pub(crate) fn watched_patterns<'c>(config: &'c ProgramConfig, line: &str) -> Vec<&'c str> {
    let patterns = config.restart.output_watch.iter().filter_map(|rule| match &rule.sign {
        OutputSign::Pattern(pattern) => Some(pattern.as_str()),
        OutputSign::Silence(_) => None,
    });
    let holds = |pattern: &&str| LinePattern::new(pattern).is_ok_and(|known| known.matches(line.as_bytes()));
    patterns.filter(holds).collect()
}

/// What has happened that is worth reporting.
#[derive(Debug)]
pub(crate) enum SimulationEvent {
    /// As the daemon tells it.
    Announced(Arc<Announcement>),
    /// A program that had to wait before it was started.
    Executed { program: Arc<ProgramConfig>, pid: i32 },
    /// A process that was to fail had none that could.
    NothingToFail { program: Arc<ProgramConfig> },
    /// What the operator was answered.
    Answered(Box<Answer>),
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct System {
    plan: Plan,
    began: Moment,
    pub(super) now: Moment,
    pub(super) queue: EventQueue,
    /// The programs that are there.
    programs: SortedMap<ProcId, Arc<ProgramConfig>>,
    /// Since when those are to start that have not been executed yet.
    asked: SortedMap<String, Moment>,
    runs: SortedMap<ProcId, Run>,
    /// Commands that have not been reaped.
    tasks: Vec<(TaskId, Exit)>,
    pids: i32,
    /// What the file says at the next reload.
    pub(super) file: Option<Box<Loaded>>,
    /// What has happened and was not taken out yet.
    pub(super) happened: Vec<SimulationEvent>,
}

impl System {
    pub(super) fn new(mut plan: Plan, began: Moment) -> System {
        let mut queue = EventQueue::default();
        for step in std::mem::take(&mut plan.steps) {
            queue.add(began + step.at, PendingEvent::Step(Box::new(step.what)));
        }
        System {
            plan,
            began,
            now: began,
            queue,
            programs: SortedMap::default(),
            asked: SortedMap::default(),
            runs: SortedMap::default(),
            tasks: Vec::new(),
            pids: 1,
            file: None,
            happened: Vec::new(),
        }
    }

    pub(super) fn next_pid(&mut self) -> i32 {
        self.pids += 1;
        self.pids
    }

    fn later(&mut self, after: Duration, event: PendingEvent) {
        self.queue.add(self.now + after, event);
    }

    /// The processes that are meant.
    pub(super) fn selected(&self, target: &DependencyTarget) -> Vec<(ProcId, Arc<ProgramConfig>)> {
        let all = self.programs.iter().filter(|(_, program)| selects(target, program));
        all.map(|(id, program)| (*id, Arc::clone(program))).collect()
    }

    /// These end so by themselves, if they run.
    pub(super) fn fail(&mut self, target: &DependencyTarget, exit: Exit) {
        let now = self.now;
        for (id, program) in self.selected(target) {
            match self.runs.get_mut(&id).filter(|run| run.lives(now)) {
                Some(run) => {
                    (run.end, run.in_background) = (Some((now, exit)), false);
                    self.later(Duration::ZERO, PendingEvent::Child);
                }
                None => self.happened.push(SimulationEvent::NothingToFail { program }),
            }
        }
    }

    /// A run tells its watchdog that it is alive, and does so again at the half of its time.
    pub(super) fn send_keepalive(&mut self, id: ProcId, generation: Generation) -> Option<Input> {
        let now = self.now;
        let run = self.runs.get(&id).filter(|run| run.generation == generation && run.lives(now))?;
        let config = Arc::clone(&run.config);
        self.later(Duration::from_secs(u64::from(config.watchdog)) / 2, PendingEvent::Alive { id, generation });
        if self.fails(&config, Part::Watchdog) {
            return None;
        }
        Some(self.message(id, generation, |message| message.watchdog = Some(WatchdogReport::Alive)))
    }

    fn message(&self, id: ProcId, generation: Generation, tell: impl FnOnce(&mut Notification)) -> Input {
        let mut message = Box::<Notification>::default();
        tell(&mut message);
        Input::Notified { id, generation, pid: self.pids, is_main: true, message }
    }

    /// Does it; what comes of it at once goes to the end of `results`.
    pub(super) fn perform(&mut self, effect: Effect, results: &mut Vec<Input>) {
        match effect {
            Effect::Spawn { id, generation, config } => results.push(self.spawn(id, generation, config)),
            Effect::Signal { id, generation, signal } => self.signal(id, generation, signal),
            Effect::Reap => self.reap(results),
            Effect::ProbeGroup { id, generation, thorough: _ } => {
                results.push(Input::GroupProbed { id, generation, group: self.group(id) });
            }
            Effect::LeaderExited { id, generation } => {
                let note = Note::Drained { program: id, generation, last_line: None };
                results.push(Input::Output(note));
            }
            Effect::RunEnded { id, generation: _ } => drop(self.runs.remove(&id)),
            Effect::Check { id, generation, purpose, config } => {
                let result = self.check(id, purpose, &config);
                results.push(Input::Checked { id, generation, purpose, result });
            }
            Effect::RefuseCheck { id, generation, purpose, reason } => {
                let result = HealthCheckResult { healthy: false, message: reason.to_owned() };
                results.push(Input::Checked { id, generation, purpose, result });
            }
            Effect::FindMain { id, generation, config: _ } => results.push(self.find_main(id, generation)),
            Effect::HandOver { id, generation, pid } => {
                results.push(Input::MainRefused { id, generation, found: NoMain::Stranger { pid } });
            }
            Effect::ReadNotifications { id, generation } => results.push(Input::NotificationsRead { id, generation }),
            Effect::AwaitPath { id, generation, condition, path } => {
                self.await_condition(id, generation, condition, &StartCondition::Path(path.as_ref().to_owned()));
            }
            Effect::AwaitNetwork { id, generation, condition, what } => {
                self.await_condition(id, generation, condition, &StartCondition::Network(what));
            }
            Effect::StartTask { task, config, command } => results.push(self.start_task(task, &config, &command)),
            Effect::SignalTask { .. } | Effect::ForgetTask { .. } => {}
            Effect::Register { id, config } | Effect::Configure { id, config } => {
                self.programs.insert(id, config);
            }
            Effect::Forget { id, config: _ } => drop(self.programs.remove(&id)),
            Effect::LoadConfig { load, job } => {
                let found = self.file.take().map(|found| LoadResult::new(*found, &job.in_force));
                let result = found.ok_or(ConfigError::NotFound { path: "the file of --reload".into() });
                results.push(Input::ConfigLoaded { load, result: Box::new(result) });
            }
            Effect::Reply { request: _, answer } => self.happened.push(SimulationEvent::Answered(answer)),
            Effect::Announce(announcement) => self.announced(announcement),
            Effect::SignalOrphans { signal } => {
                results.push(Input::OrphansCounted { count: 0, signalled: signal.is_some() });
            }
            Effect::ProbePendingExecs => results.push(Input::PendingExecsProbed { left: false }),
            Effect::ReadClock { id } => results.push(Input::ClockRead { id, clock: Some(self.clock()) }),
            Effect::FindTime { id, config, from } => {
                let after = match from {
                    SearchFrom::Now => self.clock().seconds(),
                    SearchFrom::After(seconds) => seconds,
                };
                let in_utc = || {
                    let next = schedule::next(&config.schedule, &|_| 0, after);
                    next.map(|at| FoundTime { nominal: at, due: at, offset: 0 })
                };
                let found = if self.plan.date.is_some() { time_after(&config, after) } else { in_utc() };
                results.push(Input::TimeFound { id, clock: Some(self.clock()), found });
            }
            Effect::AskSilence { id, generation, long } => results.extend(self.silence(id, generation, long)),
            // Nothing of an earlier daemon is there, nobody watches, and nothing is written.
            Effect::Adoption(_)
            | Effect::ForgetConditions { .. }
            | Effect::WatchChanges { .. }
            | Effect::SampleUsage { .. }
            | Effect::ForgetChanges { .. }
            | Effect::Show { .. }
            | Effect::ShowSettings { .. }
            | Effect::ChangeSockets { .. }
            | Effect::EndStreams
            | Effect::Delegate { .. }
            | Effect::Follow { .. }
            | Effect::Unfollow { .. }
            | Effect::ReopenLogs
            | Effect::SetOutput { .. }
            | Effect::SetLogLevel { .. }
            | Effect::SetLogLimits { .. }
            | Effect::WatchClock { .. }
            | Effect::Keep { .. }
            | Effect::TrimMemory => {}
            // Nobody asks for them.
            #[cfg(feature = "attach")]
            Effect::ReadRun { .. } | Effect::Attach { .. } => {}
        }
    }

    /// In the simulation the wall clock begins with 1970, in UTC, or with a date that was asked for, and nobody sets
    /// it.
    fn clock(&self) -> ClockReading {
        let micros = |nanos: u128| i64::try_from(nanos / 1000).unwrap_or(i64::MAX);
        let wall = match self.plan.date {
            None => micros(self.now.as_nanos().into()),
            Some(date) => {
                let since = self.now.saturating_duration_since(self.began);
                date.saturating_mul(1_000_000).saturating_add(micros(since.as_nanos()))
            }
        };
        ClockReading { at: self.now, wall, asleep: Duration::ZERO }
    }

    fn announced(&mut self, announcement: Arc<Announcement>) {
        if let Announcement::Transition { program, transition, .. } = &*announcement {
            match transition.to == ProcessState::Starting {
                true => drop(self.asked.insert(program.name.clone(), self.now)),
                false => drop(self.asked.remove(program.name.as_str())),
            }
        }
        self.happened.push(SimulationEvent::Announced(announcement));
    }

    fn spawn(&mut self, id: ProcId, generation: Generation, config: Arc<ProgramConfig>) -> Input {
        let pid = self.next_pid();
        if self.asked.remove(config.name.as_str()).is_some_and(|asked| asked < self.now) {
            self.happened.push(SimulationEvent::Executed { program: Arc::clone(&config), pid });
        }
        let after = self.plan.ready_after(&config);
        let ready_at = after.map(|after| self.now + after);
        let end = match config.program_type {
            ProgramType::Simple => None,
            ProgramType::Oneshot => {
                let success =
                    if config.exitcodes.contains(&0) { 0 } else { config.exitcodes.first().copied().unwrap_or(0) };
                ready_at.map(|at| (at, Exit::Code(success)))
            }
            // It tells that it is ready by that alone, where nothing else is asked for.
            ProgramType::Forking if ReadySign::of(&config.ready).is_none() => ready_at.map(|at| (at, Exit::Code(0))),
            ProgramType::Forking => Some((self.now, Exit::Code(0))),
        };
        if let Some((at, _)) = end {
            self.queue.add(at, PendingEvent::Child);
        }
        let in_background = config.program_type == ProgramType::Forking;
        if let Some((at, input)) = ready_at.zip(self.readiness(id, generation, &config)) {
            self.queue.add(at, PendingEvent::Told(input));
        }
        if config.watchdog > 0 {
            self.later(Duration::ZERO, PendingEvent::Alive { id, generation });
        }
        self.runs.insert(id, Run { generation, config, ready_at, end, reaped: false, in_background });
        Input::Spawned { id, generation, pid, pending: false }
    }

    /// What a run says when it is ready; `None` where others look.
    fn readiness(&self, id: ProcId, generation: Generation, config: &ProgramConfig) -> Option<Input> {
        match ReadySign::of(&config.ready)? {
            ReadySign::Notify => Some(self.message(id, generation, |message| message.ready = true)),
            ReadySign::Fd | ReadySign::Path => Some(Input::Readiness { id, generation, report: ReadyReport::Ready }),
            ReadySign::Log => Some(Input::Output(Note::ReadyLine { program: id, generation })),
            ReadySign::Connection | ReadySign::Http | ReadySign::Command | ReadySign::Health => None,
        }
    }

    fn signal(&mut self, id: ProcId, generation: Generation, signal: Signal) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.generation == generation) else { return };
        if run.lives(now) && ends(&run.config, signal.number) {
            (run.end, run.in_background) = (Some((now, Exit::Signal(signal.number))), false);
            self.later(Duration::ZERO, PendingEvent::Child);
        }
    }

    fn reap(&mut self, results: &mut Vec<Input>) {
        let now = self.now;
        for (&id, run) in self.runs.iter_mut() {
            let Some((_, exit)) = run.end.filter(|(at, _)| *at <= now && !run.reaped) else { continue };
            run.reaped = true;
            let group = if run.in_background { GroupLeft::Lingers } else { GroupLeft::Empty };
            let generation = run.generation;
            results.push(Input::Exited { id, generation, exit, late: None, group, descendant: None });
        }
        for (task, exit) in self.tasks.drain(..) {
            results.push(Input::TaskExited { task, exit });
            results.push(Input::Output(Note::TaskOutput { task, tail: Vec::new() }));
        }
        results.push(Input::Swept);
    }

    fn group(&self, id: ProcId) -> GroupLeft {
        let is_there = |run: &Run| !run.reaped || run.in_background;
        if self.runs.get(&id).is_some_and(is_there) { GroupLeft::Lingers } else { GroupLeft::Empty }
    }

    /// What has put itself into the background is its main process from now on.
    fn find_main(&mut self, id: ProcId, generation: Generation) -> Input {
        let pid = self.next_pid();
        match self.runs.get_mut(&id).filter(|run| run.generation == generation && run.in_background) {
            Some(run) => {
                (run.end, run.reaped, run.in_background) = (None, false, false);
                Input::MainFound { id, generation, pid }
            }
            None => Input::NoMain { id, generation, found: NoMain::NoFile },
        }
    }

    /// A condition of a start comes to hold.
    fn await_condition(&mut self, id: ProcId, generation: Generation, condition: ConditionId, what: &StartCondition) {
        let Some(after) = self.plan.holds_after(what) else { return };
        let at = (self.began + after).max(self.now);
        self.queue.add(at, PendingEvent::Told(Input::ConditionSeen { id, generation, condition, is_there: true }));
    }

    fn holds(&self, condition: &StartCondition) -> bool {
        self.plan.holds_after(condition).is_some_and(|after| self.began + after <= self.now)
    }

    /// This part of the program fails now.
    fn fails(&self, config: &ProgramConfig, part: Part) -> bool {
        self.plan.fails(config, part, self.now.saturating_duration_since(self.began))
    }

    /// What is ready is healthy, too, unless that is to fail.
    fn check(&self, id: ProcId, purpose: CheckPurpose, config: &ProgramConfig) -> HealthCheckResult {
        let is_ready = self.runs.get(&id).is_some_and(|run| run.is_ready(self.now));
        let part = match purpose {
            CheckPurpose::Health => Some(Part::Health),
            CheckPurpose::Readiness => Some(Part::Readiness),
            CheckPurpose::HealthAction | CheckPurpose::OutputAction { .. } | CheckPurpose::StartCondition(_) => None,
        };
        if part.is_some_and(|part| self.fails(config, part)) {
            return HealthCheckResult { healthy: false, message: FAILS.to_owned() };
        }
        let healthy = match purpose {
            CheckPurpose::Health
            | CheckPurpose::Readiness
            | CheckPurpose::HealthAction
            | CheckPurpose::OutputAction { .. } => is_ready,
            CheckPurpose::StartCondition(condition) => {
                config.start_when.get(usize::from(condition.place)).is_some_and(|condition| self.holds(condition))
            }
        };
        HealthCheckResult { healthy, message: if healthy { "simulated" } else { "not yet" }.to_owned() }
    }

    /// For how long a run has written nothing. When it writes again that is told, where it was so long.
    fn silence(&mut self, id: ProcId, generation: Generation, long: Duration) -> Option<Input> {
        let run = self.runs.get(&id).filter(|run| run.generation == generation)?;
        let after = self.now.saturating_duration_since(self.began);
        let fault = self.plan.fault(&run.config, Part::Output, after);
        let silence = fault.map_or(Duration::ZERO, |fault| after.saturating_sub(fault.from));
        if let Some(until) = fault.and_then(|fault| fault.until).filter(|_| silence >= long) {
            let heard = Input::Output(Note::OutputResumed { program: id, generation });
            self.queue.add(self.began + until, PendingEvent::Told(heard));
        }
        Some(Input::Output(Note::Silent { program: id, generation, silence }))
    }

    /// These write a line: what comes of those that are watched for it.
    pub(super) fn write(&mut self, target: &DependencyTarget, line: &str) -> Vec<Input> {
        let mut told = Vec::new();
        for (id, program) in self.selected(target) {
            let Some(run) = self.runs.get(&id).filter(|run| run.lives(self.now)) else {
                self.happened.push(SimulationEvent::NothingToFail { program });
                continue;
            };
            let generation = run.generation;
            let mut patterns = watched_patterns(&run.config, line);
            patterns.dedup();
            let note = |pattern: &str| Note::WatchedLine {
                program: id,
                generation,
                pattern: pattern.into(),
                line: line.into(),
            };
            told.extend(patterns.into_iter().map(|pattern| Input::Output(note(pattern))));
        }
        told
    }

    /// Commands take no time.
    fn start_task(&mut self, task: TaskId, config: &Arc<ProgramConfig>, command: &TaskCommand) -> Input {
        let succeeds = !self.command_fails(config, command) && self.run_command(config, command);
        self.tasks.push((task, Exit::Code(u8::from(!succeeds))));
        self.later(Duration::ZERO, PendingEvent::Child);
        let pid = self.next_pid();
        Input::TaskSpawned { task, pid }
    }

    /// What it is part of fails now.
    fn command_fails(&self, config: &ProgramConfig, command: &TaskCommand) -> bool {
        match command {
            TaskCommand::Action(_) => false,
            TaskCommand::Script(command) => {
                let is_check = config.healthcheck.command.as_deref() == Some(&**command);
                let is_probe = matches!(&config.ready, Readiness::Command(probe) if **probe == **command);
                (is_check && self.fails(config, Part::Health)) || (is_probe && self.fails(config, Part::Readiness))
            }
            TaskCommand::Hook(launch) => self.fails(config, Part::Hook(launch.hook)),
        }
    }

    /// Whether it succeeds where nothing of it is to fail.
    fn run_command(&mut self, config: &Arc<ProgramConfig>, command: &TaskCommand) -> bool {
        let id = self.programs.iter().find(|(_, known)| known.name == config.name).map(|(id, _)| *id);
        let now = self.now;
        let run = id.and_then(|id| self.runs.get_mut(&id)).filter(|run| run.lives(now));
        match (command, run) {
            (TaskCommand::Script(_) | TaskCommand::Action(_), Some(run)) => run.is_ready(now),
            (TaskCommand::Script(command) | TaskCommand::Action(command), None) => {
                self.holds(&StartCondition::Command(command.to_string()))
            }
            (TaskCommand::Hook(launch), Some(run)) if config.hooks.stop_command.last() == Some(&launch.command) => {
                (run.end, run.in_background) = (Some((now, Exit::Code(0))), false);
                true
            }
            (TaskCommand::Hook(_), Some(_) | None) => true,
        }
    }
}
