//! The world of the programs: what becomes of what the engine wants done.

use super::*;

/// A child that lives.
pub(super) struct Child {
    generation: Generation,
    /// When it ends, where that is settled.
    pub(super) ends: Option<Moment>,
    /// When it tells that it is ready.
    pub(super) ready: Option<Moment>,
    /// What its last health check has found.
    pub(super) healthy: Option<bool>,
    stopped: bool,
}

/// A command of a hook that lives.
pub(super) struct HookProcess {
    pub(super) owner: ProcId,
    pub(super) ends: Moment,
    exit: Exit,
}

impl Sim {
    fn transition(&mut self, name: &str, transition: &Transition) {
        self.trace
            .push(format!("{:?} {name}: {} -> {}: {}", self.now, transition.from, transition.to, transition.cause));
        self.check_once(name, transition);
        if let Cause::Exited { exit, .. } | Cause::Completed { exit, .. } = &transition.cause {
            self.exits.insert(name.to_owned(), *exit);
        }
        self.up.remove(name);
        self.completed.remove(name);
        if matches!(transition.cause, Cause::Completed { .. }) {
            self.completed.insert(name.to_owned());
            if self.stops_by_command.contains(name) {
                self.up.insert(name.to_owned());
            }
        }
        match transition.to {
            ProcessState::Stopping => self.check_stop(name, &transition.cause),
            ProcessState::Fatal => {
                let by_dependency = transition.cause.to_string().contains("it needs ");
                self.counts.lost += u64::from(by_dependency);
            }
            ProcessState::Starting => {
                self.fresh.insert(name.to_owned());
                self.attempts.insert(name.to_owned());
                self.counts.came_back += u64::from(matches!(transition.cause, Cause::DependencyBack { .. }));
            }
            ProcessState::Running => {
                let by_itself = self.programs.get(name).is_some_and(|program| program.ready == Readiness::Notify);
                self.counts.told_ready += u64::from(by_itself);
            }
            ProcessState::Stopped | ProcessState::Backoff | ProcessState::Exited | ProcessState::Unhealthy => {}
        }
        self.states.insert(name.to_owned(), transition.to);
    }

    pub(super) fn perform(&mut self, effect: Effect, results: &mut Vec<Input>) {
        match effect {
            Effect::Register { id, config } => drop(self.ids.insert(config.name.clone(), id)),
            Effect::Forget { id, config } => {
                assert!(!self.children.contains_key(&id), "{} is forgotten while it lives", config.name);
                self.ids.remove(&config.name);
                self.states.remove(&config.name);
                self.completed.remove(&config.name);
            }
            Effect::Spawn { id, generation, config } => {
                if self.has(Distortion::SpawnedTwice) {
                    self.spawn(id, generation, &config, &mut Vec::new());
                    self.children.remove(&id);
                }
                self.spawn(id, generation, &config, results);
            }
            Effect::Signal { id, generation, signal } => {
                self.trace.push(format!("{:?} signal {} to {id} in run {generation}", self.now, signal.number));
                let is_lost = signal.number == 9 && self.has(Distortion::KillsLost);
                let obeys = !is_lost && (signal.number == 9 || self.random.chance(90));
                let ends = self.soon(if signal.number == 9 { 10 } else { 3_000 });
                if let Some(child) = self.children.get_mut(&id).filter(|child| child.generation == generation)
                    && obeys
                {
                    child.stopped = true;
                    child.ends = Some(child.ends.map_or(ends, |before| before.min(ends)));
                }
            }
            Effect::StartTask { task, config, command } => self.begin_hook(task, &config, command, results),
            Effect::SignalTask { task, signal } => {
                self.trace.push(format!("{:?} signal {signal} to task {task}", self.now));
                let ends = self.soon(if signal == 9 { 10 } else { 500 });
                if let Some(hook) = self.hooks.get_mut(&task) {
                    (hook.ends, hook.exit) = (hook.ends.min(ends), Exit::Signal(signal));
                }
            }
            Effect::Reap => self.reap(results),
            Effect::LoadConfig { load, job } => self.loading = Some((load, job.in_force)),
            Effect::Reply { request, .. } => {
                if self.has(Distortion::ReplyLost) && self.random.chance(2) {
                    return;
                }
                assert!(self.open.remove(&request), "answered twice");
                if self.has(Distortion::ReplyTwice) {
                    assert!(self.open.remove(&request), "answered twice");
                }
            }
            Effect::Announce(announcement) => {
                if let Announcement::Transition { program, transition, .. } = &*announcement {
                    let name = program.name.clone();
                    self.transition(&name, transition);
                }
            }
            Effect::Check { id, generation, purpose, .. } | Effect::RefuseCheck { id, generation, purpose, .. } => {
                let healthy = self.calm || self.random.chance(60);
                if let Some(child) = self.children.get_mut(&id).filter(|child| child.generation == generation) {
                    child.healthy = Some(healthy);
                }
                let result = HealthCheckResult { healthy, message: String::new() };
                results.push(Input::Checked { id, generation, purpose, result });
            }
            Effect::SignalOrphans { signal } => {
                results.push(Input::OrphansCounted { count: 0, signalled: signal.is_some() });
            }
            Effect::ProbeGroup { id, generation, .. } => {
                results.push(Input::GroupProbed { id, generation, group: GroupLeft::Empty });
            }
            Effect::ReadClock { id } => results.push(Input::ClockRead { id, clock: None }),
            Effect::FindTime { id, .. } => results.push(Input::TimeFound { id, clock: None, found: None }),
            Effect::ProbePendingExecs => results.push(Input::PendingExecsProbed { left: false }),
            other => drop(other),
        }
    }

    fn spawn(&mut self, id: ProcId, generation: Generation, config: &ProgramConfig, results: &mut Vec<Input>) {
        self.check_attempt(&config.name);
        self.check_start(&config.name);
        assert!(!self.children.contains_key(&id), "{} has two children", config.name);
        let beside = self.hooks.values().any(|hook| hook.owner == id);
        assert!(!beside, "{} is spawned beside its hook", config.name);
        self.types.insert(config.name.clone(), config.program_type);
        match config.hooks.stop_command.is_empty() {
            true => self.stops_by_command.remove(&config.name),
            false => self.stops_by_command.insert(config.name.clone()),
        };
        if self.has(Distortion::HeldForNothing) && self.random.chance(5) {
            return self.engine.feed(id, process::Event::Held { generation });
        }
        if !self.calm && self.random.chance(5) {
            let error = crate::process::SpawnError::system(crate::process::SpawnStage::Exec, "/x", 2);
            return results.push(Input::SpawnFailed { id, generation, error });
        }
        let once = config.autorestart != AutoRestart::Always && self.random.chance(40);
        let completes = once || config.program_type == ProgramType::Oneshot;
        let crashes = completes || (!self.calm && self.random.chance(30));
        let ends = crashes.then(|| self.soon(6_000));
        let tells = config.ready == Readiness::Notify && (self.calm || self.random.chance(85));
        let ready = tells.then(|| self.soon(if self.calm { 2_000 } else { 5_000 }));
        self.children.insert(id, Child { generation, ends, ready, healthy: None, stopped: false });
        results.push(Input::Spawned { id, generation, pid: 1000 + id as i32, pending: false });
    }

    fn begin_hook(&mut self, task: TaskId, config: &ProgramConfig, command: TaskCommand, results: &mut Vec<Input>) {
        let TaskCommand::Hook(launch) = command else { panic!("no script is drawn") };
        let prepares = launch.variables.iter().any(|(_, value)| value == "pre_start");
        if prepares && self.fresh.remove(&config.name) {
            self.check_start(&config.name);
        }
        self.counts.hooked += 1;
        let hangs = !self.calm && self.random.chance(10);
        let ends = self.soon(if hangs { 60_000 } else { 1_500 });
        let exit = Exit::Code(u8::from(!self.calm && self.random.chance(20)));
        self.trace.push(format!("{:?} {}: task {task} begins, until {ends:?}", self.now, config.name));
        self.hooks.insert(task, HookProcess { owner: launch.program, ends, exit });
        results.push(Input::TaskSpawned { task, pid: 100_000 + task as i32 });
    }

    fn soon(&mut self, within: u64) -> Moment {
        self.now + Duration::from_millis(1 + self.random.below(within))
    }

    fn reap(&mut self, results: &mut Vec<Input>) {
        let due = |child: &Child, now: Moment| child.ends.is_some_and(|ends| ends <= now);
        let ended: Vec<ProcId> =
            self.children.iter().filter(|(_, child)| due(child, self.now)).map(|(id, _)| *id).collect();
        for id in ended {
            let child = self.children.remove(&id).expect("it was there");
            let exit = match child.stopped {
                true => Exit::Signal(15),
                false => Exit::Code(u8::from(!self.calm && self.random.chance(40))),
            };
            self.meet("an end", id);
            if self.has(Distortion::EndUnseen) && self.random.chance(10) {
                continue;
            }
            results.push(Input::Exited {
                id,
                generation: child.generation,
                exit,
                late: None,
                group: GroupLeft::Empty,
                descendant: None,
            });
        }
        let hooks: Vec<(TaskId, Exit)> = self
            .hooks
            .iter()
            .filter(|(_, hook)| hook.ends <= self.now)
            .map(|(task, hook)| (*task, hook.exit))
            .collect();
        for (task, exit) in hooks {
            self.trace.push(format!("{:?} task {task} has ended", self.now));
            self.hooks.remove(&task);
            results.push(Input::TaskExited { task, exit });
            results.push(Input::Output(crate::output::Note::TaskOutput { task, tail: Vec::new() }));
        }
        results.push(Input::Swept);
    }

    /// Those whose time has come tell that they are ready.
    pub(super) fn tell_ready(&mut self) {
        let is_due = |child: &Child| child.ready.is_some_and(|ready| ready <= self.now);
        let due: Vec<ProcId> = self.children.iter().filter(|(_, child)| is_due(child)).map(|(id, _)| *id).collect();
        for id in due {
            let Some(child) = self.children.get_mut(&id) else { continue };
            child.ready = None;
            let generation = child.generation;
            self.meet("ready", id);
            let report = ReadyReport::Ready;
            self.turn(|engine, now| engine.handle(now, Input::Readiness { id, generation, report }));
        }
    }
}
