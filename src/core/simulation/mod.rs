//! A configuration tried before it is used: the engine of the daemon, on a simulated clock, with a simulated kernel and
//! simulated programs. What is decided is decided by the same code as ever; only what is around it is made up.

mod event_queue;
mod plan;
mod system;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::effect::{Input, Notice};
use super::engine::Engine;
use crate::api::{
    Act, Announcement, Command, ExitDecision, Query, Reply, Request, RequestId, Selector, StatusRow, Terms,
};
use crate::models::{DependencyTarget, SupervisorConfig};
use crate::process::{Caller, Initiator, Moment, ProcessState};
use event_queue::PendingEvent;
pub(crate) use plan::{Fault, Part, Plan, ReadyAfter, Step, StepKind, selects};
use system::System;
pub(crate) use system::{SimulationEvent, watched_patterns};

/// When the simulated clock begins. Not at its start: what was before is a moment, too.
const BEGIN: Moment = Moment::from_nanos(1_000_000_000);

/// After the end of a simulation it goes on for so long, to see whether those that still wait do so in vain …
const LOOK_AHEAD: Duration = Duration::from_secs(24 * 3600);
/// … and for so many turns at most.
const LOOK_AHEAD_TURNS: u32 = 200_000;

/// Where a process has got to at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalState {
    /// As it is to be, or on its way by itself.
    Fine,
    /// It was given up.
    Fatal,
    /// It has not started yet, and is `RUNNING`, `EXITED` or `FATAL` so long after the beginning.
    Later(ProcessState, Duration),
    /// It has not started yet, and nothing that will happen changes that.
    WaitsForEver,
}

/// How it ends.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// After this time.
    pub at: Duration,
    /// The same as the engine's moment.
    pub now: Moment,
    /// The processes.
    pub rows: Vec<(StatusRow, FinalState)>,
    /// The daemon has ended, because a program's end asked for it.
    pub decision: Option<ExitDecision>,
}

/// A daemon that is simulated.
struct Simulation {
    engine: Engine,
    system: System,
    requests: u64,
}

/// Simulates a daemon with this configuration; each thing that happens is told with its time, counted from the
/// beginning.
pub(crate) fn simulate(
    mut settings: SupervisorConfig,
    plan: Plan,
    tell: &mut dyn FnMut(Duration, &SimulationEvent),
) -> Outcome {
    let end = BEGIN + plan.duration;
    let flags = plan.flags(&settings.programs);
    let programs = std::mem::take(&mut settings.programs).into_iter().map(Arc::new).collect();
    let engine = Engine::new(BEGIN, 1, None, settings, programs);
    let mut simulation = Simulation { engine, system: System::new(plan, BEGIN), requests: 0 };
    simulation.begin(flags);
    loop {
        simulation.report_all(tell);
        if !simulation.turn(end) {
            break;
        }
    }
    simulation.outcome()
}

impl Simulation {
    /// Begins, with these flags and when they are set.
    fn begin(&mut self, flags: Vec<(String, Duration)>) {
        // Whoever is registered is there before anything happens.
        self.perform_all();
        self.engine.begin(self.system.now);
        self.perform_all();
        for (flag, after) in flags {
            match after.is_zero() {
                true => self.set_flag(flag, Initiator::Embedder),
                false => self.system.queue.add(BEGIN + after, PendingEvent::Step(Box::new(StepKind::SetFlag { flag }))),
            }
        }
        // That was no news to anybody.
        self.system.happened.retain(|happening| !matches!(happening, SimulationEvent::Answered(_)));
    }

    /// What has happened, with its time.
    fn report_all(&mut self, tell: &mut dyn FnMut(Duration, &SimulationEvent)) {
        let at = self.system.now.saturating_duration_since(BEGIN);
        for happening in self.system.happened.drain(..) {
            tell(at, &happening);
        }
    }

    /// Goes on to the next thing that happens; `false`: nothing does until this moment, which it is now.
    fn turn(&mut self, end: Moment) -> bool {
        if self.engine.finished().is_some() {
            return false;
        }
        let next = [self.system.queue.next(), self.engine.poll_timeout()].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.system.now = end;
            return false;
        };
        self.system.now = self.system.now.max(next);
        while self.engine.run_timer(self.system.now) {
            self.perform_all();
        }
        if let Some(event) = self.system.queue.take_due(self.system.now) {
            self.handle_pending(event);
        }
        true
    }

    fn handle_pending(&mut self, event: PendingEvent) {
        match event {
            PendingEvent::Child => self.handle_input(Input::Notice(Notice::Child)),
            PendingEvent::Told(input) => self.handle_input(input),
            PendingEvent::Alive { id, generation } => {
                if let Some(input) = self.system.send_keepalive(id, generation) {
                    self.handle_input(input);
                }
            }
            PendingEvent::Step(what) => self.step(*what),
        }
    }

    fn step(&mut self, what: StepKind) {
        match what {
            StepKind::Fail { on, exit } => self.system.fail(&on, exit),
            StepKind::Write { on, line } => {
                for input in self.system.write(&on, &line) {
                    self.handle_input(input);
                }
            }
            StepKind::Stop { on } => self.stop(&on),
            StepKind::SetFlag { flag } => {
                let by = self.operator();
                self.set_flag(flag, by);
            }
            StepKind::Reload { found } => {
                self.system.file = Some(found);
                self.handle_input(Input::Notice(Notice::Reload));
            }
        }
    }

    /// As an operator does it.
    fn stop(&mut self, target: &DependencyTarget) {
        let selected = self.system.selected(target);
        let mut names: Vec<String> = selected.iter().map(|(_, program)| program.name.clone()).collect();
        let on = match names.pop() {
            Some(name) if names.is_empty() => Selector::Process(name),
            last => {
                names.extend(last);
                Selector::Processes(names)
            }
        };
        let by = self.operator();
        self.ask(by, Request::Command(Command::Act { act: Act::Stop, on, terms: Terms::default() }));
    }

    fn set_flag(&mut self, name: String, by: Initiator) {
        self.ask(by, Request::Command(Command::SetFlag { name, is_set: true }));
    }

    /// Somebody with a command line.
    fn operator(&mut self) -> Initiator {
        let (pid, command) = (self.system.next_pid(), Some("supervicectl".into()));
        let caller = Caller { uid: 0, pid, command, user: None, groups: Box::default() };
        Initiator::Client(Arc::new(caller))
    }

    fn ask(&mut self, by: Initiator, request: Request) {
        self.requests += 1;
        self.handle_input(Input::Request { id: RequestId(self.requests), by, request });
    }

    fn handle_input(&mut self, input: Input) {
        self.engine.handle(self.system.now, input);
        self.perform_all();
    }

    /// Does what the engine wants done, in order. What comes of an effect is told at once.
    fn perform_all(&mut self) {
        let mut results = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            self.system.perform(effect, &mut results);
            for input in results.drain(..) {
                self.engine.handle(self.system.now, input);
            }
        }
    }

    /// What there is to tell of each process.
    fn rows(&mut self) -> Vec<StatusRow> {
        self.ask(Initiator::Embedder, Request::Query(Query::Status { name: None, offset: 0 }));
        let mut found = Vec::new();
        for happening in self.system.happened.drain(..) {
            if let SimulationEvent::Answered(answer) = happening
                && let Ok(Reply::Status { rows, .. }) = *answer
            {
                found = rows;
            }
        }
        found
    }

    fn outcome(mut self) -> Outcome {
        let (now, rows, decision) = (self.system.now, self.rows(), self.engine.exit_decision().cloned());
        let later = self.look_ahead(&rows);
        let prospect = |row: &StatusRow| match later.iter().find(|waiting| waiting.name == row.program.name) {
            Some(waiting) => waiting.prospect(),
            None if row.state == ProcessState::Fatal => FinalState::Fatal,
            None => FinalState::Fine,
        };
        let rows = rows.into_iter().map(|row| (prospect(&row), row)).map(|(prospect, row)| (row, prospect)).collect();
        Outcome { at: now.saturating_duration_since(BEGIN), now, rows, decision }
    }

    /// Where those get to that have not started yet.
    fn look_ahead(&mut self, rows: &[StatusRow]) -> Vec<Waiting> {
        let mut waiting: Vec<Waiting> = rows.iter().filter_map(Waiting::of).collect();
        let (end, mut turns) = (self.system.now + LOOK_AHEAD, 0);
        while !waiting.iter().all(Waiting::is_over) && turns < LOOK_AHEAD_TURNS && self.turn(end) {
            turns += 1;
            self.report_all(&mut |at, happening| {
                let SimulationEvent::Announced(announcement) = happening else { return };
                let Announcement::Transition { program, transition, .. } = &**announcement else { return };
                if let Some(waiting) = waiting.iter_mut().find(|waiting| waiting.name == program.name) {
                    waiting.note(transition.to, at);
                }
            });
        }
        waiting
    }
}

/// A process that has not started yet at the end, and what becomes of it.
struct Waiting {
    name: String,
    /// The state that it has come to, and when.
    found: Option<(ProcessState, Duration)>,
}

impl Waiting {
    fn of(row: &StatusRow) -> Option<Waiting> {
        let is_starting = matches!(row.state, ProcessState::Starting | ProcessState::Backoff);
        is_starting.then(|| Waiting { name: row.program.name.clone(), found: None })
    }

    fn note(&mut self, state: ProcessState, at: Duration) {
        if !self.is_over() {
            self.found = Some((state, at));
        }
    }

    /// It has got somewhere where it stays.
    fn is_over(&self) -> bool {
        match self.found {
            Some((ProcessState::Running | ProcessState::Exited | ProcessState::Fatal, _)) => true,
            Some((
                ProcessState::Stopped
                | ProcessState::Starting
                | ProcessState::Stopping
                | ProcessState::Unhealthy
                | ProcessState::Backoff,
                _,
            ))
            | None => false,
        }
    }

    fn prospect(&self) -> FinalState {
        match self.found.filter(|_| self.is_over()) {
            Some((state, at)) => FinalState::Later(state, at),
            None => FinalState::WaitsForEver,
        }
    }
}
