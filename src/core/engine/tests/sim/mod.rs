//! The whole core in simulated time: the engine with all processes, groups, commands, reloads and shutdown, in a world
//! in which everything goes wrong. An oracle keeps its own account of it and judges every step.
//!
//! `SUPERVICE_SIM_SEED` replays a seed (the first life has exactly this one), `SUPERVICE_SIM_STEPS` sets the number of turns:
//!
//! ```text
//! SUPERVICE_SIM_SEED=7 SUPERVICE_SIM_STEPS=100000000 cargo test --release --lib the_whole_core -- --nocapture
//! ```

mod oracle;
mod random;
mod world;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::super::super::world::{Answer, Input, Notice, ProcId, ReplyTo, World};
use super::super::Engine;
use crate::codec::frames::{Amount, Request, Terms, WaitFor};
use crate::control::server::{ConnId, IncomingRequest};
use crate::health::HealthCheckResult;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::output::{Note, StreamKind};
use crate::process::Moment;
use crate::process::{Command, Desired, ProcessState};
use crate::sys::net::Peer;
use oracle::{Counts, Kind};
use random::Random;
use world::{Distortion, Fake, Pending};

type Millis = u64;
const SECOND: Millis = 1_000;

/// In CI.
const TURNS: u64 = 1_000_000;
/// The numbers of threads that wait begin here, those of connections at 0.
const THREADS: ConnId = 1 << 40;
/// Within this time everything that is bounded has come to its end in a calm world: a retry of half a minute, a stop, a
/// SIGKILL that comes again, a check that nobody answers.
const CALM: Millis = 120 * SECOND;

struct Sim {
    engine: Engine,
    world: Fake,
    connections: ConnId,
    /// Threads of the embedding program that wait.
    threads: Vec<(ConnId, Receiver<Answer>)>,
    /// Somebody has asked for the end.
    told: bool,
}

/// One daemon, from its start to its end.
fn live(seed: u64, distortion: Option<Distortion>, trace: bool) -> (Counts, Result<(), String>, Vec<String>) {
    let mut sim = Sim::new(seed, trace);
    sim.world.distortion = distortion;
    let result = sim.live();
    let mut counts = sim.world.oracle.counts.clone();
    counts.turns = sim.world.oracle.counts.turns;
    (counts, result, sim.world.oracle.trace.take().unwrap_or_default())
}

impl Sim {
    fn new(seed: u64, trace: bool) -> Sim {
        let mut world = Fake::new(Random::new(seed), crate::sys::time::now());
        world.oracle.trace = trace.then(Vec::new);
        let count = 1 + world.random.below(6);
        let programs: Vec<_> = (0..count).map(|number| Arc::new(world.program(format!("p{number}")))).collect();
        let settings = SupervisorConfig { shutdown_timeout: world.random.small(20), ..SupervisorConfig::default() };
        world.oracle.shutdown_timeout = Millis::from(settings.shutdown_timeout) * SECOND;
        let engine = Engine::new(settings, programs, Arc::clone(&world.roster), &mut world);
        Sim { engine, world, connections: 0, threads: Vec::new(), told: false }
    }

    fn live(&mut self) -> Result<(), String> {
        self.world.oracle.boot();
        self.engine.autostart(self.world.instant(), &mut self.world);
        let turns = 50 + self.world.random.below(1_500);
        for _ in 0..turns {
            self.turn(true)?;
            if self.engine.finished().is_some() {
                return self.end();
            }
        }
        if self.world.random.chance(50) && !self.told {
            self.become_quiet()?;
        }
        self.world.calm &= self.world.random.chance(50);
        self.terminate();
        while self.engine.finished().is_none() {
            self.turn(false)?;
        }
        self.end()
    }

    /// One turn of the dispatcher: the time goes on to the next news, timers fire, inputs come in.
    fn turn(&mut self, lively: bool) -> Result<(), String> {
        self.world.oracle.counts.turns += 1;
        let timer = self.engine.poll_timeout().map(|at| self.millis(at));
        if let Some(promised) = self.world.oracle.first_timeout().filter(|at| timer.is_none_or(|timer| timer > *at)) {
            return Err(format!("somebody is to be answered at {promised}, but the engine sleeps until {timer:?}"));
        }
        let next = [self.world.next(), timer].into_iter().flatten().min();
        let random = &mut self.world.random;
        let pause = match next {
            None => random.below(5 * SECOND),
            Some(next) if lively && random.chance(20) => random.below(next.saturating_sub(self.world.now) + 1),
            // The machine slept, or somebody has stopped the daemon for a while.
            Some(next) if lively && self.world.oracle.ending.is_none() && random.chance(2) => {
                next.saturating_sub(self.world.now) + random.pick(&[1, 50, SECOND, 60 * SECOND, 3_600 * SECOND])
            }
            Some(next) => next.saturating_sub(self.world.now),
        };
        self.world.now += pause;
        self.timers()?;
        while let Some(news) = self.world.take_due() {
            self.tell(news)?;
        }
        if lively && self.world.random.chance(25) {
            self.interfere()?;
        }
        self.timers()?;
        self.look_around()
    }

    fn millis(&self, at: Moment) -> Millis {
        let ahead = at.saturating_duration_since(self.world.instant());
        // A timer in the middle of a millisecond fires at its end.
        self.world.now + u64::try_from(ahead.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    fn timers(&mut self) -> Result<(), String> {
        let now = self.world.instant();
        for _ in 0..8 {
            self.engine.run_timers(now, &mut self.world);
            self.hear_threads();
            if self.engine.finished().is_some() || self.engine.poll_timeout().is_none_or(|at| at > now) {
                return self.check();
            }
        }
        Err("a timer stays due: the dispatcher would never sleep again".to_owned())
    }

    fn handle(&mut self, input: Input) -> Result<(), String> {
        self.engine.handle(self.world.instant(), input, &mut self.world);
        self.hear_threads();
        self.check()
    }

    /// What the waiting threads have been told.
    fn hear_threads(&mut self) {
        let mut open = std::mem::take(&mut self.threads);
        open.retain(|(number, answer)| match answer.try_recv() {
            Ok(answer) => {
                self.world.reply(&ReplyTo::Connection(*number), answer);
                false
            }
            Err(_) => self.world.oracle.is_waiting(*number),
        });
        self.threads = open;
    }

    fn check(&mut self) -> Result<(), String> {
        self.world.oracle.broken.take().map_or(Ok(()), Err)
    }

    fn tell(&mut self, news: Pending) -> Result<(), String> {
        let input = match news {
            Pending::Child => Input::Notice(Notice::Child),
            Pending::Health { id, generation, healthy } => {
                let result = HealthCheckResult { healthy, message: "as it is".to_owned() };
                Input::Health { id, generation, result }
            }
            Pending::Drained { id, generation } => {
                let last_line = self.world.random.chance(50).then(|| "the last line".to_owned());
                Input::Output(Note::Drained { program: id, generation, last_line })
            }
            Pending::ScriptTimedOut => Input::ScriptTimedOut { script: 0 },
            Pending::Config => {
                let now = self.world.now;
                let result = self.world.read_file();
                let programs = result.as_ref().ok().map(|loaded| loaded.config.programs.as_slice());
                let timeout = result.as_ref().map_or(0, |loaded| loaded.config.shutdown_timeout);
                self.world.oracle.note(now, || format!("file: {:?}", programs.map(<[ProgramConfig]>::len)));
                self.world.oracle.loaded(now, programs, timeout);
                Input::ConfigLoaded(Box::new(result))
            }
        };
        self.handle(input)
    }

    /// Somebody does something.
    fn interfere(&mut self) -> Result<(), String> {
        match self.world.random.below(100) {
            0..60 => self.client(),
            60..70 => self.thread(),
            70..80 => {
                self.world.strike();
                Ok(())
            }
            80..88 => self.handle(Input::Notice(Notice::Child)),
            88..92 => {
                self.world.oracle.wants_reload(false);
                self.handle(Input::Notice(Notice::Reload))
            }
            92..94 => self.handle(Input::Notice(Notice::Reopen)),
            94..98 => {
                let id = self.world.random.small(8);
                let (stream, text) = (StreamKind::Stdout, "no room".to_owned());
                let trouble = Note::Trouble { program: id, stream, text };
                let recovered = Note::Recovered { program: id, stream, lost_bytes: 1 };
                let note = if self.world.random.chance(50) { trouble } else { recovered };
                self.handle(Input::Output(note))
            }
            _ if self.world.random.chance(4) => {
                self.terminate();
                self.check()
            }
            _ => Ok(()),
        }
    }

    fn terminate(&mut self) {
        self.told = true;
        let now = self.world.now;
        self.world.oracle.note(now, || "TERM".to_owned());
        let orphans = !self.world.orphans.is_empty();
        self.world.oracle.terminate(now, orphans);
        self.engine.handle(self.world.instant(), Input::Notice(Notice::Terminate), &mut self.world);
        self.hear_threads();
    }

    /// A client asks, or one goes.
    fn client(&mut self) -> Result<(), String> {
        let waiting = self.world.oracle.waiting();
        if !waiting.is_empty() && self.world.random.chance(25) {
            let conn = self.world.random.pick(&waiting);
            if conn < THREADS {
                self.world.oracle.gone(conn);
                return self.handle(Input::Gone(conn));
            }
            // A thread can't go; but it may end and drop its end of the channel.
            self.threads.retain(|(number, _)| *number != conn);
            self.world.oracle.gone(conn);
            return Ok(());
        }
        let (conn, now) = (self.connections, self.world.now);
        self.connections += 1;
        let request = self.request(conn);
        self.world.oracle.note(now, || format!("{conn} asks: {request:?}"));
        let peer = Peer { pid: 1, uid: 0, gid: 0 };
        self.handle(Input::Request(Box::new(IncomingRequest { conn, peer, request })))
    }

    fn request(&mut self, conn: ConnId) -> Request {
        let now = self.world.now;
        let group = self.world.random.chance(15);
        let name = match group {
            true => self.world.random.pick(&["red", "blue", "p0", "green"]).to_owned(),
            false => format!("p{}", self.world.random.below(7)),
        };
        let ids = self.world.oracle.meant(&name, group);
        let wait = !self.world.random.chance(15);
        let timeout = self.world.random.chance(15).then(|| self.world.random.pick(&[SECOND, 3 * SECOND, 60 * SECOND]));
        let terms = Terms { wait, timeout: timeout.map(Duration::from_millis) };
        let what = self.world.random.below(100);
        let kind = match what {
            0..30 => Kind::Start,
            30..55 => Kind::Stop,
            55..65 => Kind::Restart,
            65..75 => Kind::Reload,
            75..78 => Kind::Reread,
            78..84 if !group => Kind::Wait,
            _ => Kind::Question,
        };
        let named = matches!(kind, Kind::Start | Kind::Stop | Kind::Restart | Kind::Wait);
        let group = group && kind != Kind::Restart;
        let ids = if group || !named { ids } else { self.world.oracle.meant(&name, false) };
        let missing = named && ids.is_empty();
        let oracle = &mut self.world.oracle;
        let asked = match kind {
            _ if missing => Kind::NotFound,
            // During a shutdown it is refused, whether somebody waits or not.
            Kind::Start | Kind::Restart if !wait && oracle.ending.is_none() => Kind::Order,
            Kind::Stop if !wait => Kind::Order,
            kind => kind,
        };
        let members: &[ProcId] = if named { &ids } else { &[] };
        let unbounded = matches!(kind, Kind::Reload | Kind::Reread | Kind::Question);
        oracle.ask(now, conn, asked, members, timeout.filter(|_| !unbounded));
        if matches!(kind, Kind::Start | Kind::Stop | Kind::Restart) {
            oracle.will(kind, &ids);
        }
        match kind {
            Kind::Start if group => Request::StartGroup { name, terms },
            Kind::Start => Request::Start { name, terms },
            Kind::Stop if group => Request::StopGroup { name, terms },
            Kind::Stop if what < 36 => Request::Kill { name, terms },
            Kind::Stop => Request::Stop { name, terms },
            Kind::Restart => Request::Restart { name, force: what < 58, terms },
            Kind::Reload => {
                oracle.wants_reload(what >= 73);
                if what >= 73 { Request::Update { confirm: None } } else { Request::Reload }
            }
            Kind::Reread => Request::Reread,
            Kind::Wait => {
                let all = [WaitFor::Running, WaitFor::Healthy, WaitFor::Stopped, WaitFor::Exited];
                Request::Wait { name, until: self.world.random.pick(&all), timeout: terms.timeout }
            }
            _ => self.question(name),
        }
    }

    fn question(&mut self, name: String) -> Request {
        match self.world.random.below(9) {
            0 => Request::Status { name: None, offset: None },
            1 => Request::Status { name: Some(name), offset: Some(3) },
            2 => Request::Tail { name, stderr: true, amount: Amount::Lines(3), follow: false },
            3 => Request::Clear { name },
            4 => Request::Reopen,
            5 => Request::Why { name },
            6 => Request::History { name: None },
            7 => Request::Signal { name, signal: "USR1".to_owned() },
            _ => Request::Pid { name: Some(name) },
        }
    }

    /// A thread of the embedding program asks.
    fn thread(&mut self) -> Result<(), String> {
        let number = THREADS + self.connections;
        self.connections += 1;
        let now = self.world.now;
        let (reply, answer) = bounded(1);
        if self.world.random.chance(10) {
            self.world.oracle.ask(now, number, Kind::Reload, &[], None);
            self.world.oracle.wants_reload(false);
            self.threads.push((number, answer));
            return self.handle(Input::LocalReload { reply });
        }
        let name = format!("p{}", self.world.random.below(7));
        let (kind, command) = match self.world.random.below(3) {
            0 => (Kind::Start, Command::Start),
            1 => (Kind::Stop, Command::Stop),
            _ => (Kind::Stop, Command::Kill),
        };
        let ids = self.world.oracle.meant(&name, false);
        let waits = self.world.random.chance(60);
        if waits {
            let kind = if ids.is_empty() { Kind::NotFound } else { kind };
            self.world.oracle.ask(now, number, kind, &ids, None);
            self.threads.push((number, answer));
        }
        self.world.oracle.will(kind, &ids);
        self.world.oracle.note(now, || format!("{number}: {command:?} {name}"));
        self.handle(Input::Local { name, command, reply: waits.then_some(reply) })
    }

    /// What must hold after every turn.
    fn look_around(&mut self) -> Result<(), String> {
        let ensure = |holds: bool, rule: &dyn Fn() -> String| if holds { Ok(()) } else { Err(rule()) };
        let (engine, world, now) = (&self.engine, &self.world, self.world.now);
        if engine.finished().is_some() {
            return Ok(());
        }
        if let Some(late) = world.oracle.overdue(now) {
            return Err(late);
        }
        let (waiting, entries) = (world.oracle.waiting().len(), engine.entries.len());
        // A job that nobody waits for is that of a reload by a signal, as long as something of a removed one lives.
        let leaving = world.oracle.procs.values().filter(|proc| proc.leaving).count();
        let jobs = engine.jobs.open();
        ensure(jobs <= waiting + 64 * usize::from(leaving > 0) + 64, &|| format!("{jobs} jobs for {waiting} clients"))?;
        ensure(engine.timers.len() <= entries, &|| format!("{} timers for {entries}", engine.timers.len()))?;
        ensure(entries == world.oracle.procs.len(), &|| {
            format!("{entries} entries, not {}", world.oracle.procs.len())
        })?;
        ensure(world.oracle.ending.is_none_or(|by| by >= now), &|| "the shutdown takes too long".to_owned())?;
        for (id, entry) in &engine.entries {
            let name = entry.name();
            let proc = world.oracle.procs.get(id).ok_or_else(|| format!("{name} is unknown"))?;
            let state = entry.machine.state();
            ensure(state == proc.state, &|| format!("{name} is {state}, announced was {}", proc.state))?;
            let run = world.runs.get(id);
            let pid = run.filter(|run| run.leader.is_some()).map(|run| run.pid);
            ensure(entry.machine.pid() == pid, &|| format!("{name}: pid {:?}, not {pid:?}", entry.machine.pid()))?;
            ensure(entry.machine.has_run() == run.is_some(), &|| format!("{name}: has it a run?"))?;
            let started = run.filter(|run| run.leader.is_some()).map(|run| run.spawned);
            let told =
                entry.machine.started_at().map(|at| self.world.instant().saturating_duration_since(at).as_millis());
            ensure(told == started.map(|at| u128::from(now - at)), &|| format!("{name}: up for {told:?} ms"))?;
            let down = state.is_down() && run.is_none();
            ensure(entry.jobs.len() <= waiting + 64, &|| format!("{name}: {} jobs", entry.jobs.len()))?;
            ensure(!(proc.leaving && down) || entry.wake.is_some(), &|| format!("{name} has left, but is there"))?;
            let starting = Millis::from(proc.config.startsecs.max(4)) * SECOND + 4_000 * SECOND;
            let stuck = state == ProcessState::Starting && world.oracle.age(now, *id) > starting;
            ensure(!stuck, &|| format!("{name} hangs in STARTING"))?;
        }
        Ok(())
    }

    /// Nothing goes wrong any more: everything comes to rest, as it was wanted.
    fn become_quiet(&mut self) -> Result<(), String> {
        self.world.settle();
        let until = self.world.now + CALM;
        while self.world.now < until && self.engine.finished().is_none() {
            self.turn(false)?;
        }
        self.world.oracle.counts.quiet += 1;
        let mut waiting = self.world.oracle.waiting();
        // Whoever waits without a bound for what may never come goes on waiting.
        waiting.retain(|conn| !self.world.oracle.is_patient(*conn));
        if !waiting.is_empty() {
            return Err(format!("in a calm world {waiting:?} still wait"));
        }
        let (jobs, patient) = (self.engine.jobs.open(), self.world.oracle.waiting().len());
        if jobs > patient || self.engine.reload.waiting() > 0 {
            return Err(format!("in a calm world {jobs} jobs are open, {patient} wait"));
        }
        for (id, entry) in &self.engine.entries {
            let proc = &self.world.oracle.procs[id];
            let (name, state, alive) = (entry.name(), entry.machine.state(), self.world.alive(*id));
            let want = proc.want.unwrap_or(entry.machine.desired() == Desired::Up);
            let up = state == ProcessState::Running && alive > 0;
            let done = state == ProcessState::Exited && proc.may_rest;
            let down = matches!(state, ProcessState::Stopped | ProcessState::Exited | ProcessState::Fatal);
            let right = if want { up || done && alive == 0 } else { down && alive == 0 };
            if !right {
                return Err(format!(
                    "{name} shall be {}, but is {state}; {alive} tasks live",
                    if want { "up" } else { "down" }
                ));
            }
            if proc.leaving {
                return Err(format!("{name} has left the configuration, and is there"));
            }
        }
        let names: Vec<String> = self.world.roster.all().into_iter().map(|(name, _)| name.to_string()).collect();
        let mut expected: Vec<String> = self.world.oracle.expected().into_iter().map(|program| program.name).collect();
        expected.sort();
        let mut sorted = names;
        sorted.sort();
        if sorted == expected { Ok(()) } else { Err(format!("the roster holds {sorted:?}, not {expected:?}")) }
    }

    /// The shutdown is over.
    fn end(&mut self) -> Result<(), String> {
        let alive: usize = self.engine.entries.keys().map(|id| self.world.alive(*id)).sum();
        let left = alive + self.world.orphans_alive();
        let clean = self.engine.finished() == Some(true);
        let counts = &mut self.world.oracle.counts;
        (counts.clean_ends, counts.given_up) = (u64::from(clean), u64::from(!clean));
        match clean {
            true if left > 0 => Err(format!("the daemon says that nothing is left, but {left} tasks live")),
            true if !self.world.oracle.waiting().is_empty() => {
                Err(format!("the daemon has gone without an answer to {:?}", self.world.oracle.waiting()))
            }
            false if left == 0 && self.world.calm => Err("the daemon says that something is left".to_owned()),
            true | false => self.check(),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} shall be a number, not {text}")))
}

/// Lives from `seed` on, until so many turns have passed.
fn simulate(seed: u64, distortion: Option<Distortion>, turns: u64) -> Result<Counts, String> {
    let mut sum = Counts::default();
    let mut seed = seed;
    while sum.turns < turns {
        let (counts, result, _) = live(seed, distortion, false);
        if let Err(broken) = result {
            let (_, again, trace) = live(seed, distortion, true);
            let tail = trace[trace.len().saturating_sub(60)..].join("\n");
            let same = if again.as_ref() == Err(&broken) { "" } else { " (not the same the second time!)" };
            return Err(format!("{broken}{same}\n{tail}\n{broken}\nSUPERVICE_SIM_SEED={seed} replays it"));
        }
        sum.add(&counts);
        seed = seed.wrapping_add(1);
    }
    Ok(sum)
}

#[test]
fn the_whole_core_keeps_its_word_in_a_world_of_faults() {
    // The same lives in every run of the tests; a long run takes others.
    let seed = setting("SUPERVICE_SIM_SEED").unwrap_or(1);
    let turns = setting("SUPERVICE_SIM_STEPS").unwrap_or(TURNS);
    println!("SUPERVICE_SIM_SEED={seed} SUPERVICE_SIM_STEPS={turns}");
    let halves = [seed, seed.wrapping_add(1 << 40)];
    let threads = halves.map(|seed| std::thread::spawn(move || simulate(seed, None, turns / 2)));
    for thread in threads {
        match thread.join().expect("the simulation does not panic") {
            Ok(counts) => {
                println!("{counts:?}");
                assert!(turns < TURNS || counts.rarest() >= 10, "not every case was met often");
            }
            Err(broken) => panic!("{broken}"),
        }
    }
}

/// A distorted kernel makes the engine break its rules. The oracle has to notice.
#[test]
fn every_distortion_is_caught() {
    for distortion in [Distortion::EmptyGroups, Distortion::LostChildren, Distortion::DeafGroups] {
        let found = simulate(1, Some(distortion), 200_000).err();
        let found = found.unwrap_or_else(|| panic!("{distortion:?} was not caught"));
        println!("{distortion:?}: {}", found.lines().next().unwrap_or_default());
    }
}
