//! Random graphs of programs under starts, stops, crashes, reloads and the shutdown, in simulated time. The rules are judged
//! by what is announced and what is in force, with names looked up anew here:
//!
//! - nothing starts before what it requires is so;
//! - nothing is stopped by request or by the shutdown before those that need it have gone;
//! - whoever waits, waits for something that can still come;
//! - after the shutdown's bound nothing lives, and every request is answered.

use std::collections::{BTreeMap, BTreeSet};

use super::sim::random::Random;
use super::*;
use crate::api::ProcId;
use crate::core::effect::GroupLeft;
use crate::models::{AutoRestart, Dependency, DependencyCondition, DependencyKind, DependencyTarget};
use crate::process::{Cause, Generation, Relation, Transition, Verb};

/// A child that lives.
struct Child {
    generation: Generation,
    /// When it ends, where that is settled.
    ends: Option<Moment>,
    stopped: bool,
}

struct Sim {
    now: Moment,
    engine: Engine,
    random: Random,
    children: BTreeMap<ProcId, Child>,
    /// The programs in force, and the number of the file.
    programs: BTreeMap<String, ProgramConfig>,
    ids: BTreeMap<String, ProcId>,
    states: BTreeMap<String, ProcessState>,
    exits: BTreeMap<String, Exit>,
    /// The order within which dependencies are drawn: only on what comes earlier.
    order: Vec<String>,
    next_request: u64,
    open: BTreeSet<RequestId>,
    /// Told to stop or restart alone, or killed.
    alone: BTreeSet<String>,
    loading: Option<u64>,
    ending: bool,
    /// Nothing crashes, nobody asks.
    calm: bool,
    /// What was met, so that a life in which nothing happens is found out.
    waited: u64,
    lost: u64,
    came_back: u64,
    /// What was announced and asked, the newest last.
    trace: Vec<String>,
}

impl Sim {
    fn new(seed: u64) -> Sim {
        let mut random = Random::new(seed);
        let count = if random.chance(5) { 200 } else { 2 + random.below(25) };
        let order: Vec<String> = (0..count).map(|number| format!("p{}", (number * 7919) % 1009)).collect();
        let mut sim = Sim {
            now: Moment::from_nanos(1_000_000_000_000),
            engine: Engine::new(Moment::from_nanos(1), 1, None, SupervisorConfig::default(), Vec::new()),
            random,
            children: BTreeMap::new(),
            programs: BTreeMap::new(),
            ids: BTreeMap::new(),
            states: BTreeMap::new(),
            exits: BTreeMap::new(),
            order,
            next_request: 0,
            open: BTreeSet::new(),
            alone: BTreeSet::new(),
            loading: None,
            ending: false,
            calm: false,
            waited: 0,
            lost: 0,
            came_back: 0,
            trace: Vec::new(),
        };
        sim.programs = sim.draw(100);
        let settings = SupervisorConfig { shutdown_timeout: 1 + sim.random.small(40), ..SupervisorConfig::default() };
        let programs = sim.programs.values().cloned().map(Arc::new).collect();
        sim.engine = Engine::new(sim.now, 1, None, settings, programs);
        sim
    }

    /// Programs with dependencies that run in no circle; so many of a hundred are there.
    fn draw(&mut self, share: u64) -> BTreeMap<String, ProgramConfig> {
        let mut programs: BTreeMap<String, ProgramConfig> = BTreeMap::new();
        for name in self.order.clone() {
            if !self.random.chance(share) {
                continue;
            }
            let mut program = ProgramConfig {
                startsecs: self.random.small(3),
                startretries: self.random.small(3),
                stopwaitsecs: 1 + self.random.small(10),
                autostart: self.random.chance(60),
                autorestart: self.random.pick(&[AutoRestart::Always, AutoRestart::Never, AutoRestart::Unexpected]),
                ..ProgramConfig::new(name.clone(), "x")
            };
            let known: Vec<(String, AutoRestart)> =
                programs.values().map(|other| (other.name.clone(), other.autorestart)).collect();
            for _ in 0..self.random.below(4).min(known.len() as u64) {
                let (on, autorestart) = known[self.random.below(known.len() as u64) as usize].clone();
                let completes = autorestart != AutoRestart::Always && self.random.chance(30);
                let condition = match completes {
                    true => DependencyCondition::Completed,
                    false => self.random.pick(&[DependencyCondition::Ready, DependencyCondition::Started]),
                };
                let dependency = Dependency { target: DependencyTarget::Program(on), condition, optional: false };
                let kind = self.random.pick(&DependencyKind::ALL);
                kind.of_mut(&mut program).push(dependency);
            }
            programs.insert(name, program);
        }
        programs
    }

    /// The processes on which this one depends by these kinds, by their names.
    fn needs(&self, name: &str, kinds: &[DependencyKind]) -> Vec<(String, DependencyCondition)> {
        let Some(program) = self.programs.get(name) else { return Vec::new() };
        let all = kinds.iter().flat_map(|kind| kind.of(program));
        let named = all.map(|dependency| match &dependency.target {
            DependencyTarget::Program(on) => (on.clone(), dependency.condition),
            DependencyTarget::Group(_) => panic!("none is drawn"),
        });
        named.collect()
    }

    fn is_so(&self, name: &str, condition: DependencyCondition) -> bool {
        let state = self.states.get(name).copied().unwrap_or(ProcessState::Stopped);
        let lives = self.ids.get(name).is_some_and(|id| self.children.contains_key(id));
        match condition {
            DependencyCondition::Ready => state == ProcessState::Running,
            DependencyCondition::Started => {
                lives && matches!(state, ProcessState::Starting | ProcessState::Running | ProcessState::Unhealthy)
            }
            DependencyCondition::Healthy => panic!("none is drawn"),
            DependencyCondition::Completed => {
                state == ProcessState::Exited && self.exits.get(name) == Some(&Exit::Code(0))
            }
        }
    }

    /// Nothing starts before what it requires is so.
    fn check_start(&self, name: &str) {
        assert!(!self.ending, "{name} starts during the shutdown");
        for (on, condition) in self.needs(name, &[DependencyKind::Requires, DependencyKind::Binds]) {
            assert!(
                self.is_so(&on, condition),
                "{name} starts, but {on} is {:?}, not {condition:?}",
                self.states.get(&on)
            );
        }
    }

    /// Nothing is stopped before those that need it have gone.
    fn check_stop(&self, name: &str, cause: &Cause) {
        let Cause::Requested { verb, by, .. } = cause else { return };
        let follows = matches!(by, Initiator::Related(related) if related.relation == Relation::BoundTo);
        if *verb == Verb::Kill || follows || self.alone.contains(name) {
            return;
        }
        let hard = [DependencyKind::Requires, DependencyKind::Binds];
        let kinds = if self.ending { &DependencyKind::ALL[..] } else { &hard[..] };
        for (other, id) in &self.ids {
            let needs_it = self.needs(other, kinds).iter().any(|(on, _)| on == name);
            assert!(!needs_it || !self.children.contains_key(id), "{name} is stopped before {other}: {cause}");
        }
    }

    fn transition(&mut self, name: &str, transition: &Transition) {
        self.trace
            .push(format!("{:?} {name}: {} -> {}: {}", self.now, transition.from, transition.to, transition.cause));
        if let Cause::Exited { exit, .. } = &transition.cause {
            self.exits.insert(name.to_owned(), *exit);
        }
        match transition.to {
            ProcessState::Stopping => self.check_stop(name, &transition.cause),
            ProcessState::Fatal => {
                let by_dependency = transition.cause.to_string().contains("it needs ");
                self.lost += u64::from(by_dependency);
            }
            ProcessState::Starting => {
                self.came_back += u64::from(matches!(transition.cause, Cause::DependencyBack { .. }));
            }
            ProcessState::Stopped
            | ProcessState::Running
            | ProcessState::Backoff
            | ProcessState::Exited
            | ProcessState::Unhealthy => {}
        }
        self.states.insert(name.to_owned(), transition.to);
    }

    fn perform(&mut self, effect: Effect, results: &mut Vec<Input>) {
        match effect {
            Effect::Register { id, config } => drop(self.ids.insert(config.name.clone(), id)),
            Effect::Forget { id, config } => {
                assert!(!self.children.contains_key(&id), "{} is forgotten while it lives", config.name);
                self.ids.remove(&config.name);
                self.states.remove(&config.name);
            }
            Effect::Spawn { id, generation, config } => {
                self.check_start(&config.name);
                assert!(!self.children.contains_key(&id), "{} has two children", config.name);
                if !self.calm && self.random.chance(5) {
                    let error = crate::process::SpawnError::system(crate::process::SpawnStage::Exec, "/x", 2);
                    return results.push(Input::SpawnFailed { id, generation, error });
                }
                let completes = config.autorestart != AutoRestart::Always && self.random.chance(40);
                let crashes = completes || (!self.calm && self.random.chance(30));
                let ends = crashes.then(|| self.soon(6_000));
                self.children.insert(id, Child { generation, ends, stopped: false });
                results.push(Input::Spawned { id, generation, pid: 1000 + id as i32, pending: false });
            }
            Effect::Signal { id, generation, signal } => {
                let obeys = signal.number == 9 || self.random.chance(90);
                let after = if signal.number == 9 { 10 } else { 3_000 };
                let ends = self.soon(after);
                if let Some(child) = self.children.get_mut(&id).filter(|child| child.generation == generation)
                    && obeys
                {
                    child.stopped = true;
                    child.ends = Some(child.ends.map_or(ends, |before| before.min(ends)));
                }
            }
            Effect::Reap => self.reap(results),
            Effect::LoadConfig { load } => self.loading = Some(load),
            Effect::Reply { request, .. } => assert!(self.open.remove(&request), "answered twice"),
            Effect::Announce(announcement) => {
                if let Announcement::Transition { program, transition, .. } = &*announcement {
                    let name = program.name.clone();
                    self.transition(&name, transition);
                }
            }
            Effect::SignalOrphans { signal } => {
                results.push(Input::OrphansCounted { count: 0, signalled: signal.is_some() });
            }
            Effect::ProbeGroup { id, generation, .. } => {
                results.push(Input::GroupProbed { id, generation, group: GroupLeft::Empty });
            }
            Effect::ProbePendingExecs => results.push(Input::PendingExecsProbed { left: false }),
            other => drop(other),
        }
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
            results.push(Input::Exited {
                id,
                generation: child.generation,
                exit,
                late: None,
                group: GroupLeft::Empty,
                descendant: None,
            });
        }
        results.push(Input::Swept);
    }

    fn turn(&mut self, tell: impl FnOnce(&mut Engine, Moment)) {
        tell(&mut self.engine, self.now);
        let mut results = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            self.perform(effect, &mut results);
            for input in results.drain(..) {
                self.engine.handle(self.now, input);
            }
        }
        self.waited += self.engine.registry.iter().filter(|(_, entry)| entry.machine.is_waiting()).count() as u64;
        self.check_waiting();
    }

    /// Whoever waits, waits for something that can still come.
    fn check_waiting(&self) {
        for (id, entry) in self.engine.registry.iter().filter(|(_, entry)| entry.machine.is_waiting()) {
            let comes = |link: &graph::Link| {
                let on = self.engine.registry.get(link.on);
                self.engine.is_held(link.on) || on.is_some_and(|on| on.machine.comes_up())
            };
            let waits = self.engine.graph.needs(id).iter().any(|link| !self.engine.is_met(link) && comes(link));
            assert!(waits, "{} waits for nothing that could come", entry.name());
        }
    }

    fn ask(&mut self, request: Request) {
        self.trace.push(format!("{:?} {request:?}", self.now));
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.open.insert(id);
        self.turn(|engine, now| engine.handle(now, Input::Request { id, by: Initiator::Embedder, request }));
    }

    fn interfere(&mut self) {
        let place = self.random.below(self.order.len() as u64) as usize;
        let name = self.order[place].clone();
        match self.random.below(10) {
            0..3 => self.ask(bench::act(Act::Start, &name)),
            kind @ (3..8) => {
                let act = match kind {
                    3..5 => Act::Stop,
                    5..7 => Act::Restart { force: false },
                    _ => Act::Kill,
                };
                let only = self.random.chance(20);
                if only || act == Act::Kill {
                    self.alone.insert(name.clone());
                } else {
                    self.alone.remove(&name);
                }
                let terms = Terms { only, ..Terms::default() };
                self.ask(bench::act_on_terms(act, &name, terms));
            }
            _ => {
                let update = self.random.chance(50);
                let request = if update { bench::update(None) } else { reload() };
                self.ask(request);
                self.load();
            }
        }
    }

    /// The file is there, with other dependencies.
    fn load(&mut self) {
        let Some(load) = self.loading.take() else { return };
        self.programs = if self.random.chance(30) { self.programs.clone() } else { self.draw(90) };
        let programs: Vec<ProgramConfig> = self.programs.values().cloned().collect();
        let config = SupervisorConfig { programs, ..SupervisorConfig::default() };
        let loaded = Loaded { config, warnings: Vec::new(), logfile_given: false, files: Vec::new() };
        self.turn(|engine, now| engine.handle(now, Input::ConfigLoaded { load, result: Box::new(Ok(loaded)) }));
    }

    /// The time goes on to the next thing that happens, at most to `until`.
    fn step(&mut self, until: Moment) {
        let ends = self.children.values().filter_map(|child| child.ends).min();
        let next = [ends, self.engine.poll_timeout()].into_iter().flatten().min();
        self.now = next.map_or(until, |next| next.min(until)).max(self.now);
        let mut fired = true;
        while fired {
            self.turn(|engine, now| fired = engine.run_timer(now));
        }
        if self.children.values().any(|child| child.ends.is_some_and(|ends| ends <= self.now)) {
            self.turn(|engine, now| engine.handle(now, Input::Notice(Notice::Child)));
        }
    }

    fn pass(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while self.now < until {
            self.step(until);
        }
    }

    fn live(&mut self) {
        self.turn(Engine::begin);
        for _ in 0..40 {
            self.interfere();
            let pause = self.random.below(3_000);
            self.pass(pause);
        }
        if self.random.chance(50) {
            self.calm = true;
            self.pass(600_000);
            self.check_rest();
        }
        self.ending = true;
        let bound = Duration::from_secs(u64::from(self.engine.settings.shutdown_timeout) + 3);
        let until = self.now + bound;
        self.turn(|engine, now| engine.handle(now, Input::Notice(Notice::Terminate)));
        while self.now < until && self.engine.finished().is_none() {
            self.step(until);
        }
        assert_eq!(self.engine.finished(), Some(true), "{} live", self.children.len());
        assert!(self.children.is_empty() && self.open.is_empty());
    }

    /// In a calm life everything has come to rest: nobody waits, and no command is held.
    fn check_rest(&self) {
        let waiting = self.engine.registry.iter().filter(|(_, entry)| entry.machine.is_waiting());
        let stuck: Vec<&str> =
            waiting.map(|(_, entry)| entry.name()).filter(|name| self.is_waited_for_in_vain(name)).collect();
        assert!(stuck.is_empty(), "{stuck:?} still wait");
        assert!(self.engine.held.len() == 0, "commands are held for ever");
    }

    /// `:completed` of what runs for ever is waited for as long; of all else it is known by now.
    fn is_waited_for_in_vain(&self, name: &str) -> bool {
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            for (on, condition) in self.needs(&name, &DependencyKind::ALL) {
                let runs = self.states.get(&on) == Some(&ProcessState::Running);
                if condition == DependencyCondition::Completed && runs {
                    return false;
                }
                if self.states.get(&on) == Some(&ProcessState::Starting) {
                    open.push(on);
                }
            }
        }
        true
    }
}

#[test]
fn random_graphs_keep_their_order_whatever_happens() {
    let (mut waited, mut lost, mut came_back) = (0, 0, 0);
    // `SUPERVICE_SIM_GRAPHS` sets the number of lives.
    let lives = std::env::var("SUPERVICE_SIM_GRAPHS").map_or(300, |text| text.parse().expect("a number"));
    for seed in 0..lives {
        let mut sim = Sim::new(seed);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sim.live()));
        let tail = &sim.trace[sim.trace.len().saturating_sub(60)..];
        assert!(result.is_ok(), "seed {seed}\n{}", tail.join("\n"));
        waited += sim.waited;
        lost += sim.lost;
        came_back += sim.came_back;
    }
    println!("waited {waited}, lost {lost}, came back {came_back}");
    assert!(waited > 1_000 && lost > 100 && came_back > 10, "{waited} {lost} {came_back}");
}
